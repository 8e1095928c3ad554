/* SPDX-License-Identifier: Apache-2.0 */
/* bench_conv [--threads=N] [--batch=N] [--cpu=LEVEL] [--runs=N] [--filter=TEXT]: the convolutions of ResNet-20 and of
 * its separable forms through the Conv operator, as GFLOP/s (2 per multiply-add) and as share of the FMA peak measured
 * here. Layers take turns, so that a slow moment of the machine falls on all of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    double seconds[MAX_RUNS];
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
    {.name = "3x3  64->64  56x56", .c = 64, .extent = 56, .o = 64, .groups = 1, .kernel = 3, .stride = 1},
    {.name = "1x1 256->512 14x14", .c = 256, .extent = 14, .o = 512, .groups = 1, .kernel = 1, .stride = 1},
    {.name = "3x3 512->512 7x7", .c = 512, .extent = 7, .o = 512, .groups = 1, .kernel = 3, .stride = 1},
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

static double layer_run(const layer *l, const clvi_kernels *kernels, clvi_pool *pool)
{
    const clvi_conv_job job = {.shape = &l->shape,
                               .kernels = kernels,
                               .pool = pool,
                               .x = l->x,
                               .weights = l->algo->pack ? l->packed : l->w,
                               .y = l->y,
                               .work = l->work};
    const double start = clvi_now();
    l->algo->run(&job);
    return clvi_now() - start;
}

/* --- the peak: the gemm tile itself on operands that stay in L1, one task a thread -------------------------------- */

typedef struct peak {
    const clvi_kernels *kernels;
    float *a, *b, *c;
} peak;

#define PEAK_K       128
#define PEAK_REPEATS 4000

static void peak_task(void *arg, size_t index, int worker)
{
    const peak *p = arg;
    const clvi_gemm_f32 *g = &p->kernels->gemm_f32;
    const clvi_gemm_tile tile = {.lo = -INFINITY, .hi = INFINITY};
    (void)worker;
    for (int i = 0; i < PEAK_REPEATS; i++)
        g->run(PEAK_K, p->a, p->b, p->c + index * g->mr * g->nr, g->nr, g->mr, g->nr, &tile);
}

/* GFLOP/s of all threads together. */
static double measure_peak(const clvi_kernels *kernels, clvi_pool *pool)
{
    const clvi_gemm_f32 *g = &kernels->gemm_f32;
    const size_t threads = (size_t)clvi_pool_threads(pool);
    peak p = {kernels, clvi_calloc(PEAK_K * g->mr, sizeof(float)), clvi_calloc(PEAK_K * g->nr, sizeof(float)),
              clvi_calloc(threads * g->mr * g->nr, sizeof(float))};
    double best = HUGE_VAL;
    for (int i = 0; i < 20 && p.a && p.b && p.c; i++) {
        const double start = clvi_now();
        clvi_pool_run(pool, threads, peak_task, &p);
        const double t = clvi_now() - start;
        best = t < best ? t : best;
    }
    clvi_free(p.a);
    clvi_free(p.b);
    clvi_free(p.c);
    return 2.0 * PEAK_K * PEAK_REPEATS * (double)(g->mr * g->nr * threads) / best * 1e-9;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_table(int runs, const char *filter, double fma_peak)
{
    double flops = 0, seconds = 0;
    printf("%-20s %-10s %9s %9s %9s %9s %7s\n", "layer", "algorithm", "min ms", "median", "max", "GFLOP/s", "peak");
    for (int i = 0; i < LAYERS; i++) {
        layer *l = &layers[i];
        if (filter && !strstr(l->name, filter))
            continue;
        qsort(l->seconds, (size_t)runs, sizeof *l->seconds, ascending);
        const double median = l->seconds[runs / 2], work = 2.0 * (double)clvi_conv_macs(&l->shape);
        printf("%-20s %-10s %9.3f %9.3f %9.3f %9.1f %6.1f%%\n", l->name, l->algo->name, l->seconds[0] * 1e3,
               median * 1e3, l->seconds[runs - 1] * 1e3, work / median * 1e-9, work / median * 1e-7 / fma_peak);
        flops += work * (double)l->times;
        seconds += median * (double)l->times;
    }
    if (seconds > 0)
        printf("%-31s %19.3f %19.1f %6.1f%%\n", "all 20 of ResNet-20", seconds * 1e3, flops / seconds * 1e-9,
               flops / seconds * 1e-7 / fma_peak);
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
                          "usage: bench_conv [--threads=N] [--batch=N] [--cpu=LEVEL] [--runs=N] [--filter=TEXT]\n");
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
    const double fma_peak = measure_peak(&kernels, pool);
    printf("batch %d, %d thread(s), %s; FMA peak of the threads together %.1f GFLOP/s; %d runs\n", batch, threads,
           clvi_cpu_name(level), fma_peak, runs);
    for (int run = -1; good && run < runs; run++) /* run -1 warms up */
        for (int i = 0; i < LAYERS; i++)
            if (!filter || strstr(layers[i].name, filter))
                layers[i].seconds[run < 0 ? 0 : run] = layer_run(&layers[i], &kernels, pool);
    if (good)
        print_table(runs, filter, fma_peak);
    else
        (void)fprintf(stderr, "bench_conv: out of memory\n");
    for (int i = 0; i < LAYERS; i++)
        layer_close(&layers[i]);
    clvi_pool_free(pool);
    return good ? 0 : 1;
}
