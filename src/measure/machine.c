/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/machine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define FMA_K       128  /* length of the tile's sums */
#define FMA_REPEATS 4000 /* tiles in one run */
#define FMA_RUNS    20
#define COPY_RUNS   5
#define COPY_BYTES  32e6 /* moved in one run, at least once over the buffer */

/* --- multiply-adds --------------------------------------------------------------------------------------------- */

typedef struct tiles {
    const clvi_kernels *kernels;
    float *a, *b, *c;
} tiles;

static void fma_task(void *arg, size_t index, int worker)
{
    const tiles *const p = arg;
    const clvi_gemm_f32 *const g = &p->kernels->gemm_f32;
    const clvi_gemm_tile tile = {.lo = -INFINITY, .hi = INFINITY};
    (void)worker;
    for (int i = 0; i < FMA_REPEATS; i++)
        g->run(FMA_K, p->a, p->b, p->c + index * g->mr * g->nr, g->nr, g->mr, g->nr, &tile);
}

double clvi_machine_fma(const clvi_kernels *kernels, clvi_pool *pool)
{
    const clvi_gemm_f32 *const g = &kernels->gemm_f32;
    const size_t threads = (size_t)clvi_pool_threads(pool);
    tiles p = {kernels, clvi_calloc(FMA_K * g->mr, sizeof(float)), clvi_calloc(FMA_K * g->nr, sizeof(float)),
               clvi_calloc(threads * g->mr * g->nr, sizeof(float))};
    double best = HUGE_VAL;
    for (int i = 0; i < FMA_RUNS && p.a && p.b && p.c; i++) {
        const double start = clvi_now();
        clvi_pool_run(pool, threads, fma_task, &p);
        best = fmin(best, clvi_now() - start);
    }
    clvi_free(p.a);
    clvi_free(p.b);
    clvi_free(p.c);
    return (double)FMA_K * FMA_REPEATS * (double)(g->mr * g->nr * threads) / best;
}

/* --- bytes ----------------------------------------------------------------------------------------------------- */

typedef struct copies {
    char *buffer; /* [threads * size]; each thread copies one half of its part to the other and back */
    size_t size;
    int rounds;
} copies;

static void copy_task(void *arg, size_t index, int worker)
{
    const copies *const p = arg;
    char *const a = p->buffer + index * p->size, *const b = a + p->size / 2;
    (void)worker;
    for (int i = 0; i < p->rounds; i++) {
        memcpy(b, a, p->size / 2);
        __asm__ volatile("" : : "r"(a), "r"(b) : "memory"); /* the copies may not be merged */
        memcpy(a, b, p->size / 2);
        __asm__ volatile("" : : "r"(a), "r"(b) : "memory");
    }
}

static double copy_rate(char *buffer, size_t size, clvi_pool *pool)
{
    const int threads = clvi_pool_threads(pool);
    copies p = {buffer, size, (int)(COPY_BYTES / (double)(2 * size))};
    double best = HUGE_VAL;
    p.rounds = p.rounds < 1 ? 1 : p.rounds;
    for (int i = 0; i < COPY_RUNS; i++) {
        const double start = clvi_now();
        clvi_pool_run(pool, (size_t)threads, copy_task, &p);
        best = fmin(best, clvi_now() - start);
    }
    /* a round reads and writes `size` bytes each */
    return 2.0 * (double)size * p.rounds * threads / best;
}

/* --- all ------------------------------------------------------------------------------------------------------- */

void clvi_machine_cpu(char *name, size_t size)
{
    char line[256];
    name[0] = '\0';
    FILE *const f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *const colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            (void)snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (f)
        (void)fclose(f);
}

clv_status clvi_machine_measure(clvi_machine *out, const clv_context *context, clv_error *err)
{
    static const size_t kib[CLVI_COPY_SIZES] = {16, 128, 768, 4096, 16384, 65536};
    const clvi_kernels kernels = clvi_kernels_for(context->cpu);
    const size_t threads = (size_t)clvi_pool_threads(context->pool), most = kib[CLVI_COPY_SIZES - 1] * 1024;
    char *const buffer = clvi_calloc(threads, most);
    if (!buffer)
        return FAIL(err, CLV_ERR_NOMEM, "%zu MB to measure memory with", threads * most >> 20);
    clvi_machine_cpu(out->cpu, sizeof out->cpu);
    out->fma = clvi_machine_fma(&kernels, context->pool);
    for (int i = 0; i < CLVI_COPY_SIZES; i++) {
        out->copy_bytes[i] = (double)kib[i] * 1024;
        out->copy_rate[i] = copy_rate(buffer, kib[i] * 1024, context->pool);
    }
    clvi_free(buffer);
    return out->fma > 0 ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "the peak cannot be measured");
}

double clvi_machine_floor(const clvi_machine *machine, double macs, double bytes, int threads, bool *memory)
{
    int i = 0;
    while (i + 1 < CLVI_COPY_SIZES && machine->copy_bytes[i] * threads < bytes)
        i++;
    const double compute = macs / machine->fma, moving = bytes / machine->copy_rate[i];
    *memory = moving > compute;
    return *memory ? moving : compute;
}

void clvi_report_machine(const clvi_machine *machine, const clv_context *context, clvi_item *item)
{
    clvi_report_text(item, "cpu", machine->cpu);
    clvi_report_text(item, "isa", clv_context_isa(context));
    clvi_report_int(item, "threads", clv_context_threads(context));
    clvi_report_real(item, "fma_gflops", 2e-9 * machine->fma, 1);
    clvi_report_real(item, "copy_gbs_l1", 1e-9 * machine->copy_rate[0], 1);
    clvi_report_real(item, "copy_gbs_memory", 1e-9 * machine->copy_rate[CLVI_COPY_SIZES - 1], 1);
}
