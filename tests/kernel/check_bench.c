/* SPDX-License-Identifier: Apache-2.0 */
/* Best and median time of every kernel on sizes of CIFAR and ImageNet networks, beside the reference's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "kernel/check.h"
#include "kernels/kernel_decls.h"

#define SAMPLES  15
#define MIN_TIME 2e-3 /* seconds a sample */

typedef struct subject {
    clvi_gemm_f32 gemm;
    clvi_dwconv_f32_fn dwconv;
    clvi_im2col_f32_fn im2col;
    size_t k;
    clvi_dwconv_plane plane;
    clvi_im2col window;
    float *a, *b, *c;
} subject;

static void call(const subject *s)
{
    const clvi_gemm_tile tile = {.lo = -INFINITY, .hi = INFINITY};
    if (s->gemm.run)
        s->gemm.run(s->k, s->a, s->b, s->c, s->gemm.nr, s->gemm.mr, s->gemm.nr, &tile);
    else if (s->dwconv)
        s->dwconv(&s->plane, s->a, s->b, s->c);
    else
        s->im2col(&s->window, s->a, 0, s->k, 0, s->window.nr, s->c);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const subject *s, double *best, double *median)
{
    double times[SAMPLES];
    size_t repeats = 1;
    for (double t = 0; t < MIN_TIME; repeats *= 2) {
        const double start = clvi_now();
        for (size_t i = 0; i < repeats; i++)
            call(s);
        t = clvi_now() - start;
    }
    for (int i = 0; i < SAMPLES; i++) {
        const double start = clvi_now();
        for (size_t r = 0; r < repeats; r++)
            call(s);
        times[i] = (clvi_now() - start) / (double)repeats;
    }
    qsort(times, SAMPLES, sizeof *times, ascending);
    *best = times[0];
    *median = times[SAMPLES / 2];
}

/* flops 0: bytes are counted. ref: ns per unit of the reference, set by the first row of a slot. */
static void row(const subject *s, const char *name, const char *size, double work, const char *unit, double *ref)
{
    double best, median;
    measure(s, &best, &median);
    if (*ref == 0)
        *ref = best / work;
    printf("%-30s %-26s %10.1f %10.1f ns %8.2f %s %7.1fx\n", name, size, best * 1e9, median * 1e9, work / best * 1e-9,
           unit, *ref / (best / work));
}

static const struct {
    const char *name;
    size_t extent, kernel, stride;
} planes[] = {{"32x32 3x3", 32, 3, 1}, {"16x16 3x3", 16, 3, 1},    {"8x8 3x3", 8, 3, 1},    {"112x112 3x3", 112, 3, 1},
              {"7x7 3x3", 7, 3, 1},    {"32x32 3x3 s2", 32, 3, 2}, {"32x32 5x5", 32, 5, 1}, {"32x32 5x5 s2", 32, 5, 2}};

void check_bench(clvi_cpu level)
{
    subject s = {
        .a = check_buffer(0, 1 << 17, true), .b = check_buffer(1, 1 << 17, true), .c = check_buffer(2, 1 << 17, true)};
    memset(s.a, 0, sizeof(float) << 17);
    memset(s.b, 0, sizeof(float) << 17);
    double gemm_ref = 0, col_ref = 0, plane_ref[sizeof planes / sizeof *planes] = {0};
#define K_GEMM_F32(needs, rows, columns, function)                                                \
    if (needs <= level) {                                                                         \
        subject g = s;                                                                            \
        g.gemm = (clvi_gemm_f32){function, rows, columns};                                        \
        g.k = 288;                                                                                \
        row(&g, #function, "full tile, k 288", 2.0 * 288 * rows * columns, "GFLOP/s", &gemm_ref); \
    }
#define K_DWCONV_F32(needs, function)                                                                \
    for (size_t i = 0; needs <= level && i < sizeof planes / sizeof *planes; i++) {                  \
        const size_t e = planes[i].extent, o = (e - 1) / planes[i].stride + 1, k = planes[i].kernel; \
        subject g = s;                                                                               \
        g.dwconv = function;                                                                         \
        g.plane = (clvi_dwconv_plane){.h = e,                                                        \
                                      .w = e,                                                        \
                                      .oh = o,                                                       \
                                      .ow = o,                                                       \
                                      .kh = k,                                                       \
                                      .kw = k,                                                       \
                                      .sh = planes[i].stride,                                        \
                                      .sw = planes[i].stride,                                        \
                                      .dh = 1,                                                       \
                                      .dw = 1,                                                       \
                                      .pt = (ptrdiff_t)k / 2,                                        \
                                      .pl = (ptrdiff_t)k / 2,                                        \
                                      .lo = -INFINITY,                                               \
                                      .hi = INFINITY};                                               \
        row(&g, #function, planes[i].name, 2.0 * (double)(o * o * k * k), "GFLOP/s", &plane_ref[i]); \
    }
#define K_IM2COL_F32(needs, function)                                                   \
    if (needs <= level) {                                                               \
        subject g = s;                                                                  \
        g.im2col = function;                                                            \
        g.k = 144;                                                                      \
        g.window = (clvi_im2col){.h = 32,                                               \
                                 .w = 32,                                               \
                                 .ow = 32,                                              \
                                 .kh = 3,                                               \
                                 .kw = 3,                                               \
                                 .sh = 1,                                               \
                                 .sw = 1,                                               \
                                 .dh = 1,                                               \
                                 .dw = 1,                                               \
                                 .pt = 1,                                               \
                                 .pl = 1,                                               \
                                 .nr = 32};                                             \
        row(&g, #function, "3x3, 32 wide, k 144", 4.0 * 144 * 32, "GB/s   ", &col_ref); \
    }
#include "kernels/kernel_list.h"
}
