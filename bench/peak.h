/* SPDX-License-Identifier: Apache-2.0 */
/* The FMA peak that rates are compared with: the gemm tile on operands that stay in L1, one task a thread. */
#ifndef CLEAVE_BENCH_PEAK_H
#define CLEAVE_BENCH_PEAK_H

#include <math.h>

#include "base/context.h"
#include "base/mem.h"
#include "kernels/kernels.h"

#define PEAK_K       128
#define PEAK_REPEATS 4000
#define PEAK_RUNS    20

typedef struct peak {
    const clvi_kernels *kernels;
    float *a, *b, *c;
} peak;

static inline void peak_task(void *arg, size_t index, int worker)
{
    const peak *const p = arg;
    const clvi_gemm_f32 *const g = &p->kernels->gemm_f32;
    const clvi_gemm_tile tile = {.lo = -INFINITY, .hi = INFINITY};
    (void)worker;
    for (int i = 0; i < PEAK_REPEATS; i++)
        g->run(PEAK_K, p->a, p->b, p->c + index * g->mr * g->nr, g->nr, g->mr, g->nr, &tile);
}

/* GFLOP/s (2 per multiply-add) of all threads together, the best of PEAK_RUNS; 0 when memory is short. */
static inline double measure_peak(const clvi_kernels *kernels, clvi_pool *pool)
{
    const clvi_gemm_f32 *const g = &kernels->gemm_f32;
    const size_t threads = (size_t)clvi_pool_threads(pool);
    peak p = {kernels, clvi_calloc(PEAK_K * g->mr, sizeof(float)), clvi_calloc(PEAK_K * g->nr, sizeof(float)),
              clvi_calloc(threads * g->mr * g->nr, sizeof(float))};
    double best = HUGE_VAL;
    for (int i = 0; i < PEAK_RUNS && p.a && p.b && p.c; i++) {
        const double start = clvi_now();
        clvi_pool_run(pool, threads, peak_task, &p);
        best = fmin(best, clvi_now() - start);
    }
    clvi_free(p.a);
    clvi_free(p.b);
    clvi_free(p.c);
    return 2.0 * PEAK_K * PEAK_REPEATS * (double)(g->mr * g->nr * threads) / best * 1e-9;
}

#endif
