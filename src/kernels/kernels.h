/* SPDX-License-Identifier: Apache-2.0 */
/* Leaf loops and the table that chooses them. A kernel takes pointers, sizes and strides; it does not allocate, use
 * threads or know a graph. ref/ is the specification: plain loops, double accumulators. Every kernel is listed once, in
 * kernel_list.h. */
#ifndef CLVI_KERNELS_KERNELS_H
#define CLVI_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* What happens to a finished tile of C before it is stored. */
typedef struct clvi_gemm_tile {
    const float *bias; /* [m] added to every element of a row, or NULL */
    bool accumulate;   /* C += instead of C = (the bias is then added too, so pass it once) */
    float lo, hi;      /* clamp to [lo, hi] after all; -INFINITY and INFINITY: none. NaN stays NaN. */
} clvi_gemm_tile;

/* One tile: C[m, n] (+)= sum_k A[k, 0..m) * B[k, 0..n), m <= mr, n <= nr.
 * a: packed [k][mr], b: packed [k][nr], both zero-padded to mr and nr; c: row stride ldc, only m x n elements are
 * touched. */
typedef void (*clvi_gemm_f32_fn)(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t m, size_t n,
                                 const clvi_gemm_tile *tile);

typedef struct clvi_gemm_f32 {
    clvi_gemm_f32_fn run;
    size_t mr, nr;
} clvi_gemm_f32;

/* One channel plane of a depthwise convolution:
 *   y[r, q] = clamp(bias + sum_{i<kh, j<kw} k[i*kw + j] * x[r*sh + i*dh - pt, q*sw + j*dw - pl])
 * x outside [h, w] counts as zero; row strides are w and ow. */
typedef struct clvi_dwconv_plane {
    size_t h, w, oh, ow, kh, kw, sh, sw, dh, dw;
    ptrdiff_t pt, pl;
    float bias, lo, hi;
} clvi_dwconv_plane;

typedef void (*clvi_dwconv_f32_fn)(const clvi_dwconv_plane *p, const float *x, const float *k, float *y);

/* Convolution windows as matrix columns: output pixel p = r * ow + q of one image, window row t = (c * kh + i) * kw +
 * j, B[t, p] = x[c, r*sh + i*dh - pt, q*sw + j*dw - pl], zero outside [h, w]; x is [channels, h, w]. */
typedef struct clvi_im2col {
    size_t h, w, ow, kh, kw, sh, sw, dh, dw;
    ptrdiff_t pt, pl;
    size_t nr; /* width of a panel: a multiple of 16 */
} clvi_im2col;

/* Rows [k0, k0 + k) of pixels [first, first + n) as panels of nr pixels, b[ceil(n / nr)][k][nr]; the last is zero from
 * pixel n on. */
typedef void (*clvi_im2col_f32_fn)(const clvi_im2col *p, const float *x, size_t k0, size_t k, size_t first, size_t n,
                                   float *b);

/* The specification of a whole convolution, for tests: double sums, plain loops.
 *   y[n, o, r, q] = bias[o] + sum_{c,i,j} w[o, c, i, j] * x[n, g*cg + c, r*sh + i*dh - pt, q*sw + j*dw - pl]
 * with cg = c / groups and g the group of o; magnitude (may be NULL) receives the same sum of absolute values, which
 * the error bound needs. bias may be NULL. */
typedef struct clvi_conv_ref {
    size_t n, c, h, w, o, oh, ow, groups, kh, kw, sh, sw, dh, dw;
    ptrdiff_t pt, pl;
} clvi_conv_ref;

void clvk_conv_f32__ref(const clvi_conv_ref *p, const float *x, const float *w, const float *bias, double *y,
                        double *magnitude);

typedef struct clvi_kernels {
    clvi_gemm_f32 gemm_f32;
    clvi_dwconv_f32_fn dwconv_f32;
    clvi_im2col_f32_fn im2col_f32;
    /* The elementwise and reduction kernels of kernel_list.h follow here as they are added. */
} clvi_kernels;

/* The best kernels of a CPU level (not above what the machine has). Reentrant. */
clvi_kernels clvi_kernels_for(clvi_cpu level);

#endif
