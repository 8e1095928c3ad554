/* SPDX-License-Identifier: Apache-2.0 */
/* dwconv_f32, AVX-512: blocks of 16 columns x up to 4 output rows of one plane.
 *
 * An input row is loaded once for each window column and used by every output row of the block that it reaches, so a
 * 3x3 window of stride 1 makes 18 loads for 36 multiply-adds. Loads are masked by the plane's edges, rows outside are
 * skipped. 3x3 and 5x5 with stride 1 or 2 are compiled with their sizes known; other windows of column stride 1 or 2
 * use the same body; the rest is left to the reference. Each sum runs over (i, j) in order.
 *
 * Reference: ref/dwconv_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES      16
#define MAX_KW     16
#define BLOCK_ROWS 4
#define INLINE     static inline __attribute__((always_inline))

/* The part of a plane that one column block reads: masks of the loads for each window column. */
typedef struct columns {
    ptrdiff_t from; /* input column of lane 0, window column 0 */
    __mmask16 low[MAX_KW], high[MAX_KW], store;
} columns;

static __mmask16 lanes_inside(ptrdiff_t from, size_t w)
{
    const ptrdiff_t end = (ptrdiff_t)w - from, begin = -from;
    const unsigned below_end = end <= 0 ? 0 : end >= LANES ? 0xffffu : (1u << end) - 1;
    const unsigned below_begin = begin <= 0 ? 0 : begin >= LANES ? 0xffffu : (1u << begin) - 1;
    return (__mmask16)(below_end & ~below_begin);
}

static void plan_columns(columns *out, const clvi_dwconv_plane *p, size_t q)
{
    out->from = (ptrdiff_t)(q * p->sw) - p->pl;
    for (size_t j = 0; j < p->kw; j++) {
        const ptrdiff_t at = out->from + (ptrdiff_t)(j * p->dw);
        out->low[j] = lanes_inside(at, p->w);
        out->high[j] = p->sw > 1 ? lanes_inside(at + LANES, p->w) : 0;
    }
    out->store = lanes_inside(0, p->ow - q);
}

INLINE __m512 window(const float *x, const columns *c, size_t j, size_t dw, const size_t sw)
{
    const float *at = x + c->from + (ptrdiff_t)(j * dw);
    const __m512 low = _mm512_maskz_loadu_ps(c->low[j], at);
    if (sw == 1)
        return low;
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(low, even, _mm512_maskz_loadu_ps(c->high[j], at + LANES));
}

/* `rows` output rows from r on, for one column block. Dilation of rows is 1 when rows > 1. */
INLINE void block(const clvi_dwconv_plane *p, const float *x, const float *k, float *y, size_t r, const columns *c,
                  const size_t kh, const size_t kw, const size_t sh, const size_t sw, const size_t rows)
{
    const size_t dh = rows > 1 ? 1 : p->dh;
    __m512 sum[BLOCK_ROWS];
#pragma GCC unroll 4
    for (size_t s = 0; s < rows; s++)
        sum[s] = _mm512_set1_ps(p->bias);
#pragma GCC unroll 12
    for (size_t t = 0; t < (rows - 1) * sh + kh; t++) {
        const ptrdiff_t row = (ptrdiff_t)(r * sh + t * dh) - p->pt;
        if (row < 0 || row >= (ptrdiff_t)p->h)
            continue;
#pragma GCC unroll 5
        for (size_t j = 0; j < kw; j++) {
            const __m512 v = window(x + (size_t)row * p->w, c, j, p->dw, sw);
#pragma GCC unroll 4
            for (size_t s = 0; s < rows; s++)
                if (t >= s * sh && t - s * sh < kh)
                    sum[s] = _mm512_fmadd_ps(_mm512_set1_ps(k[(t - s * sh) * kw + j]), v, sum[s]);
        }
    }
#pragma GCC unroll 4
    for (size_t s = 0; s < rows; s++) {
        /* max and min return their second operand when one is NaN */
        const __m512 v = _mm512_max_ps(_mm512_set1_ps(p->lo), sum[s]);
        _mm512_mask_storeu_ps(y + (r + s) * p->ow, c->store, _mm512_min_ps(_mm512_set1_ps(p->hi), v));
    }
}

INLINE void plane(const clvi_dwconv_plane *p, const float *x, const float *k, float *y, const size_t kh,
                  const size_t kw, const size_t sh, const size_t sw, const size_t rows)
{
    columns c;
    for (size_t q = 0; q < p->ow; q += LANES) {
        size_t r = 0;
        plan_columns(&c, p, q);
        for (; r + rows <= p->oh; r += rows)
            block(p, x, k, y + q, r, &c, kh, kw, sh, sw, rows);
        for (; r < p->oh; r++)
            block(p, x, k, y + q, r, &c, kh, kw, sh, sw, 1);
    }
}

void clvk_dwconv_f32__avx512(const clvi_dwconv_plane *p, const float *x, const float *k, float *y)
{
    const bool square = p->kh == p->kw && p->sh == p->sw && p->dh == 1;
    if (p->sw > 2 || p->kw > MAX_KW)
        clvk_dwconv_f32__ref(p, x, k, y);
    else if (square && p->kh == 3 && p->sh == 1)
        plane(p, x, k, y, 3, 3, 1, 1, 4);
    else if (square && p->kh == 3)
        plane(p, x, k, y, 3, 3, 2, 2, 4);
    else if (square && p->kh == 5 && p->sh == 1)
        plane(p, x, k, y, 5, 5, 1, 1, 4);
    else if (square && p->kh == 5)
        plane(p, x, k, y, 5, 5, 2, 2, 4);
    else
        plane(p, x, k, y, p->kh, p->kw, p->sh, p->sw, 1);
}
