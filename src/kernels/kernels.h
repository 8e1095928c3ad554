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

/* --- channels last -------------------------------------------------------------------------------------------------
 * A pixel is a row of channels; pixels of an image row stand a constant number of floats apart. */

/* Where the sums of a tile of C begin, and what happens to them before they are stored: add, then the clamp (NaN stays
 * NaN). */
typedef struct clvi_pixel_tile {
    const float *bias; /* [n] one a column, or NULL: zeros */
    const float *add;  /* [m] rows of n, add_ld apart (the shortcut of a residual block), or NULL; may be C itself */
    size_t add_ld;
    float lo, hi;
    const char *next; /* what will be read soon: the cache line at next + i * next_step is fetched into L2 in step i <
                         taps * depth, so that it arrives evenly spread; or NULL. Never read: it may not exist */
    size_t next_step; /* bytes */
} clvi_pixel_tile;

/* One tile of a convolution over pixels:
 *   C[i, j] = sum_{t < taps, k < depth} rows[t * mr + i][k] * b[(t * depth + k) * nr + j],  i < m <= mr, j < n <= nr
 * rows: [taps][mr] pointers to `depth` floats, entries from m on are not read; b: zero-padded to nr; C: row stride ldc,
 * only m x n elements are touched. Each sum starts at the bias and runs over (t, k) in order. */
typedef void (*clvi_pixel_gemm_f32_fn)(size_t taps, size_t depth, const float *const *rows, const float *b, float *c,
                                       size_t ldc, size_t m, size_t n, const clvi_pixel_tile *tile);

typedef struct clvi_pixel_gemm_f32 {
    clvi_pixel_gemm_f32_fn run;
    size_t mr, nr;
} clvi_pixel_gemm_f32;

/* A part of one output row of a depthwise convolution, channels last:
 *   y[q, ch] = clamp(bias[ch] + sum_{i<kh, j<kw} k[(i*kw + j) * k_ld + ch] * x[i][(q*sw + j*dw - pl) * x_ld + ch])
 * for first <= q < first + count and ch < channels. x[i] is an input row of w pixels or NULL: a row of zeros; columns
 * outside [0, w) count as zero too. y begins at pixel `first`. */
typedef struct clvi_dwrow {
    size_t channels, w, kh, kw, sw, dw, x_ld, y_ld, k_ld;
    ptrdiff_t pl;
    float lo, hi;
} clvi_dwrow;

typedef void (*clvi_dwrow_f32_fn)(const clvi_dwrow *p, const float *const *x, const float *k, const float *bias,
                                  float *y, size_t first, size_t count);

/* A tile of a 3x3 convolution of stride 1 by Winograd's F(m x m, 3 x 3), m = 4 or 2; matrices and error bound:
 * kernels/winograd.h. With n = m + 2 and for every channel:
 *   in:  v[(i*n + j) * v_ld] = (B^T d B)[i, j], d[i, j] = *rows[i*n + j]
 *   out: y[r*y_row + q*y_ld] = (A^T p A)[r, q] + bias + add[r*add_row + q*add_ld], clamped (NaN stays NaN), for r <
 * rows, q < columns; p[i, j] = products[(i*n + j) * products_ld] */
typedef struct clvi_winograd_tile {
    size_t m, rows, columns; /* rows, columns <= m: outputs that exist */
    size_t products_ld, y_row, y_ld, add_row, add_ld;
    const float *bias; /* [channels], or NULL */
    const float *add;  /* or NULL; may be y itself */
    float lo, hi;
} clvi_winograd_tile;

typedef void (*clvi_winograd_in_f32_fn)(size_t m, const float *const *rows, float *v, size_t v_ld, size_t channels);
typedef void (*clvi_winograd_out_f32_fn)(const clvi_winograd_tile *tile, const float *products, float *y,
                                         size_t channels);

typedef struct clvi_winograd_f32 {
    clvi_winograd_in_f32_fn in;
    clvi_winograd_out_f32_fn out;
} clvi_winograd_f32;

/* y[ch] = the greatest of rows[t][ch], t < taps, for ch < channels; NaN wins; -INFINITY when taps is 0. */
typedef void (*clvi_maxrows_f32_fn)(size_t taps, const float *const *rows, float *y, size_t channels);

/* What follows a convolution, element by element, with s(v) = 1 / (1 + exp(-v)):
 *   SIGMOID s(v); SILU v s(v); HARD_SIGMOID h(v) = min(1, max(0, alpha v + beta)); HARD_SWISH v h(v);
 *   LEAKY v < 0 ? alpha v : v; PRELU v < 0 ? slope[j] v : v. NaN stays NaN. */
typedef enum clvi_act_kind {
    CLVI_ACT_NONE,
    CLVI_ACT_SIGMOID,
    CLVI_ACT_SILU,
    CLVI_ACT_HARD_SIGMOID,
    CLVI_ACT_HARD_SWISH,
    CLVI_ACT_LEAKY,
    CLVI_ACT_PRELU
} clvi_act_kind;

typedef struct clvi_act_f32 {
    clvi_act_kind kind;
    float alpha, beta;
    const float *slope; /* [n] of PRELU */
} clvi_act_f32;

/* In place on y[i * ld + j], i < rows, j < n. s(v) is within CLVK_SIGMOID_ERROR of the exact value, relative, where
 * that is a normal number. */
#define CLVK_SIGMOID_ERROR 1e-6
typedef void (*clvi_act_f32_fn)(const clvi_act_f32 *act, float *y, size_t rows, size_t n, size_t ld);

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
    clvi_pixel_gemm_f32 pixel_gemm_f32;
    clvi_dwrow_f32_fn dwrow_f32;
    clvi_act_f32_fn act_f32;
    clvi_maxrows_f32_fn maxrows_f32;
    clvi_winograd_f32 winograd_f32;
    /* The elementwise and reduction kernels of kernel_list.h follow here as they are added. */
} clvi_kernels;

/* The best kernels of a CPU level (not above what the machine has). Reentrant. */
clvi_kernels clvi_kernels_for(clvi_cpu level);

#endif
