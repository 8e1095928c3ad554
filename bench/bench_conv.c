/* SPDX-License-Identifier: Apache-2.0 */
/* bench_conv [--threads=N] [--batch=N] [--cpu=LEVEL] [--runs=N] [--filter=PREFIX]: the convolutions of ResNet-20 (3x3),
 * of its separable forms (dw2, 1x1) and three larger ones, in GFLOP/s (2 per multiply-add) and as share of the FMA peak
 * measured here. The last column counts processor seconds of all threads instead of wall time, against the peak of one:
 * on a machine that others use it is the one to believe. Layers take turns, so that a slow moment falls on all of them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/context.h"
#include "base/mem.h"
#include "ops/conv_algo.h"

#define MAX_RUNS 99

typedef struct layer {
    const char *name;
    int64_t c, extent, o, groups, kernel, stride, times; /* times: how often ResNet-20 has it; 0: not at all */
    clvi_conv_shape shape;
    const clvi_conv_algo *algo;
    float *x, *w, *y, *packed;
    void *work;
    double seconds[MAX_RUNS], cpu; /* cpu: of all runs, because the clock lags by some milliseconds */
} layer;

static layer layers[] = {
    {.name = "3x3   3->16  32x32", .c = 3, .extent = 32, .o = 16, .groups = 1, .kernel = 3, .stride = 1, .times = 1},
    {.name = "3x3  16->16  32x32", .c = 16, .extent = 32, .o = 16, .groups = 1, .kernel = 3, .stride = 1, .times = 6},
    {.name = "3x3  16->32  /2", .c = 16, .extent = 32, .o = 32, .groups = 1, .kernel = 3, .stride = 2, .times = 1},
    {.name = "3x3  32->32  16x16", .c = 32, .extent = 16, .o = 32, .groups = 1, .kernel = 3, .stride = 1, .times = 5},
    {.name = "3x3  32->64  /2", .c = 32, .extent = 16, .o = 64, .groups = 1, .kernel = 3, .stride = 2, .times = 1},
    {.name = "3x3  64->64  8x8", .c = 64, .extent = 8, .o = 64, .groups = 1, .kernel = 3, .stride = 1, .times = 5},
    {.name = "dw2  16->32  32x32", .c = 16, .extent = 32, .o = 32, .groups = 16, .kernel = 3, .stride = 1},
    {.name = "dw2  16->32  /2", .c = 16, .extent = 32, .o = 32, .groups = 16, .kernel = 3, .stride = 2},
    {.name = "dw2  32->64  16x16", .c = 32, .extent = 16, .o = 64, .groups = 32, .kernel = 3, .stride = 1},
    {.name = "dw2  32->64  /2", .c = 32, .extent = 16, .o = 64, .groups = 32, .kernel = 3, .stride = 2},
    {.name = "dw2  64->128 8x8", .c = 64, .extent = 8, .o = 128, .groups = 64, .kernel = 3, .stride = 1},
    {.name = "1x1  32->16  32x32", .c = 32, .extent = 32, .o = 16, .groups = 1, .kernel = 1, .stride = 1},
    {.name = "1x1  64->32  16x16", .c = 64, .extent = 16, .o = 32, .groups = 1, .kernel = 1, .stride = 1},
    {.name = "1x1 128->64  8x8", .c = 128, .extent = 8, .o = 64, .groups = 1, .kernel = 1, .stride = 1},
    {.name = "1x1  16->32  /2", .c = 16, .extent = 32, .o = 32, .groups = 1, .kernel = 1, .stride = 2},
    {.name = "1x1 960->240 1x1", .c = 960, .extent = 1, .o = 240, .groups = 1, .kernel = 1, .stride = 1},
    {.name = "imagenet 3x3 64 56x56", .c = 64, .extent = 56, .o = 64, .groups = 1, .kernel = 3, .stride = 1},
    {.name = "imagenet 1x1 512 14x14", .c = 256, .extent = 14, .o = 512, .groups = 1, .kernel = 1, .stride = 1},
    {.name = "imagenet 3x3 512 7x7", .c = 512, .extent = 7, .o = 512, .groups = 1, .kernel = 3, .stride = 1},
};

enum { LAYERS = sizeof layers / sizeof *layers };

static bool layer_open(layer *l, int64_t batch, const clvi_kernels *kernels, int threads)
{
    const int64_t pad = l->kernel / 2, out = (l->extent + 2 * pad - l->kernel) / l->stride + 1;
    l->shape = (clvi_conv_shape){.n = batch,
                                 .c = l->c,
                                 .h = l->extent,
                                 .w = l->extent,
                                 .o = l->o,
                                 .oh = out,
                                 .ow = out,
                                 .groups = l->groups,
                                 .kh = l->kernel,
                                 .kw = l->kernel,
                                 .sh = l->stride,
                                 .sw = l->stride,
                                 .dh = 1,
                                 .dw = 1,
                                 .pt = pad,
                                 .pl = pad,
                                 .pb = pad,
                                 .pr = pad,
                                 .rank = 4};
    l->algo = clvi_conv_choose(&l->shape, kernels);
    const size_t weights = (size_t)(l->o * l->c / l->groups * l->kernel * l->kernel);
    l->x = clvi_calloc((size_t)(batch * l->c * l->extent * l->extent), sizeof(float));
    l->w = clvi_calloc(weights, sizeof(float));
    l->y = clvi_calloc((size_t)(batch * l->o * out * out), sizeof(float));
    l->packed = clvi_alloc(l->algo->packed_bytes(&l->shape, kernels));
    l->work = clvi_alloc(l->algo->work_bytes(&l->shape, kernels, threads));
    if (!l->x || !l->w || !l->y || !l->packed || !l->work)
        return false;
    if (l->algo->pack)
        l->algo->pack(&l->shape, kernels, l->w, l->packed);
    return true;
}

static void layer_close(layer *l)
{
    void *const all[] = {l->x, l->w, l->y, l->packed, l->work};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        clvi_free(all[i]);
}

/* Seconds that all threads of this process have computed. */
static double cpu_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void layer_run(layer *l, const clvi_kernels *kernels, clvi_pool *pool, int run)
{
    const clvi_conv_job job = {.shape = &l->shape,
                               .kernels = kernels,
                               .pool = pool,
                               .x = l->x,
                               .weights = l->algo->pack ? l->packed : l->w,
                               .y = l->y,
                               .work = l->work};
    const double start = clvi_now(), cpu = cpu_now();
    l->algo->run(&job);
    l->cpu += run < 0 ? 0 : cpu_now() - cpu;
    l->seconds[run < 0 ? 0 : run] = clvi_now() - start;
}

/* --- the peak: the gemm tile itself on operands that stay in L1, one task a thread -------------------------------- */

typedef struct peak {
    const clvi_kernels *kernels;
    float *a, *b, *c;
} peak;

#define PEAK_K       128
#define PEAK_REPEATS 4000
#define PEAK_RUNS    40

static void peak_task(void *arg, size_t index, int worker)
{
    const peak *p = arg;
    const clvi_gemm_f32 *g = &p->kernels->gemm_f32;
    const clvi_gemm_tile tile = {.lo = -INFINITY, .hi = INFINITY};
    (void)worker;
    for (int i = 0; i < PEAK_REPEATS; i++)
        g->run(PEAK_K, p->a, p->b, p->c + index * g->mr * g->nr, g->nr, g->mr, g->nr, &tile);
}

typedef struct rates {
    double wall, cpu; /* GFLOP/s of all threads together; per processor second */
} rates;

static rates measure_peak(const clvi_kernels *kernels, clvi_pool *pool)
{
    const clvi_gemm_f32 *g = &kernels->gemm_f32;
    const size_t threads = (size_t)clvi_pool_threads(pool);
    peak p = {kernels, clvi_calloc(PEAK_K * g->mr, sizeof(float)), clvi_calloc(PEAK_K * g->nr, sizeof(float)),
              clvi_calloc(threads * g->mr * g->nr, sizeof(float))};
    const double work = 2.0 * PEAK_K * PEAK_REPEATS * (double)(g->mr * g->nr * threads) * 1e-9;
    const double cpu = cpu_now();
    rates best = {0, 0};
    for (int i = 0; i < PEAK_RUNS && p.a && p.b && p.c; i++) {
        const double start = clvi_now();
        clvi_pool_run(pool, threads, peak_task, &p);
        const double now = work / (clvi_now() - start);
        best.wall = now > best.wall ? now : best.wall;
    }
    best.cpu = work * PEAK_RUNS / (cpu_now() - cpu);
    clvi_free(p.a);
    clvi_free(p.b);
    clvi_free(p.c);
    return best;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return values[n / 2];
}

static void print_table(int runs, const char *filter, rates top)
{
    double gflop = 0, seconds = 0, cpu = 0;
    printf("%-22s %-10s %9s %9s %9s %9s %7s %9s\n", "layer", "algorithm", "min ms", "median", "max", "GFLOP/s", "peak",
           "peak, cpu");
    for (int i = 0; i < LAYERS; i++) {
        layer *l = &layers[i];
        if (filter && strncmp(l->name, filter, strlen(filter)) != 0)
            continue;
        const double wall = median_of(l->seconds, runs), spent = l->cpu / runs;
        const double work = 2e-9 * (double)clvi_conv_macs(&l->shape);
        printf("%-22s %-10s %9.3f %9.3f %9.3f %9.1f %6.1f%% %8.1f%%\n", l->name, l->algo->name, l->seconds[0] * 1e3,
               wall * 1e3, l->seconds[runs - 1] * 1e3, work / wall, 100 * work / wall / top.wall,
               100 * work / spent / top.cpu);
        gflop += work * (double)l->times;
        seconds += wall * (double)l->times;
        cpu += spent * (double)l->times;
    }
    if (seconds > 0)
        printf("%-33s %19.3f %19.1f %6.1f%% %8.1f%%\n", "ResNet-20, 19 layers", seconds * 1e3, gflop / seconds,
               100 * gflop / seconds / top.wall, 100 * gflop / cpu / top.cpu);
}

int main(int argc, char **argv)
{
    int threads = clvi_cpu_cores(), runs = 15, batch = 64;
    clvi_cpu level = clvi_cpu_detect();
    const char *filter = NULL;
    clvi_pool *pool = NULL;
    clv_error err;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--filter=", 9) == 0)
            filter = argv[i] + 9;
        else if (sscanf(argv[i], "--threads=%d", &threads) != 1 && sscanf(argv[i], "--batch=%d", &batch) != 1 &&
                 sscanf(argv[i], "--runs=%d", &runs) != 1 &&
                 !(strncmp(argv[i], "--cpu=", 6) == 0 && clvi_cpu_parse(argv[i] + 6, &level))) {
            (void)fprintf(stderr,
                          "usage: bench_conv [--threads=N] [--batch=N] [--cpu=LEVEL] [--runs=N] [--filter=PREFIX]\n");
            return 2;
        }
    }
    runs = runs < 1 ? 1 : runs > MAX_RUNS ? MAX_RUNS : runs;
    if (clvi_pool_create(&pool, threads, &err) != CLV_OK) {
        (void)fprintf(stderr, "bench_conv: %s\n", err.msg);
        return 1;
    }
    const clvi_kernels kernels = clvi_kernels_for(level);
    bool good = batch > 0;
    for (int i = 0; i < LAYERS; i++)
        good = layer_open(&layers[i], batch, &kernels, threads) && good;
    const rates top = measure_peak(&kernels, pool);
    printf("batch %d, %d thread(s), %s; FMA peak %.1f GFLOP/s, %.1f a processor second; %d runs\n", batch, threads,
           clvi_cpu_name(level), top.wall, top.cpu, runs);
    for (int run = -1; good && run < runs; run++) /* run -1 warms up */
        for (int i = 0; i < LAYERS; i++)
            if (!filter || strncmp(layers[i].name, filter, strlen(filter)) == 0)
                layer_run(&layers[i], &kernels, pool, run);
    if (good)
        print_table(runs, filter, top);
    else
        (void)fprintf(stderr, "bench_conv: out of memory\n");
    for (int i = 0; i < LAYERS; i++)
        layer_close(&layers[i]);
    clvi_pool_free(pool);
    return good ? 0 : 1;
}
