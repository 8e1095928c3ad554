/* SPDX-License-Identifier: Apache-2.0 */
/* dwconv_f32, AVX2 + FMA: blocks of 8 columns x up to 4 output rows of one plane.
 *
 * An input row is loaded once for each window column and used by every output row of the block that it reaches, so a
 * 3x3 window of stride 1 makes 18 loads for 36 multiply-adds. Blocks at the plane's edges load under masks, others
 * plainly; rows outside are skipped. 3x3 and 5x5 with stride 1 or 2 are compiled with their sizes known; other windows
 * of column stride 1 or 2 use the same body; the rest is left to the reference. Each sum runs over (i, j) in order.
 *
 * Reference: ref/dwconv_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES      8
#define MAX_KW     16
#define BLOCK_ROWS 4
#define INLINE     static inline __attribute__((always_inline))

/* The part of a plane that one column block reads: masks of the loads for each window column. */
typedef struct columns {
    ptrdiff_t from; /* input column of lane 0, window column 0 */
    bool inner;     /* every load is whole and so is the store */
    __m256i low[MAX_KW], high[MAX_KW], store;
} columns;

/* Lanes l with 0 <= from + l < w. */
static __m256i lanes_inside(ptrdiff_t from, size_t w)
{
    const ptrdiff_t end = (ptrdiff_t)w - from, begin = -from;
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const int last = end <= 0 ? 0 : end >= LANES ? LANES : (int)end;
    const int first = begin <= 0 ? 0 : begin >= LANES ? LANES : (int)begin;
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(first), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(last), lane));
}

static void plan_columns(columns *out, const clvi_dwconv_plane *p, size_t q)
{
    const size_t span = (p->kw - 1) * p->dw + LANES * p->sw;
    out->from = (ptrdiff_t)(q * p->sw) - p->pl;
    out->inner = out->from >= 0 && (size_t)out->from + span <= p->w && q + LANES <= p->ow;
    for (size_t j = 0; j < p->kw; j++) {
        const ptrdiff_t at = out->from + (ptrdiff_t)(j * p->dw);
        out->low[j] = lanes_inside(at, p->w);
        out->high[j] = lanes_inside(at + LANES, p->w);
    }
    out->store = lanes_inside(0, p->ow - q);
}

INLINE __m256 load(const float *x, __m256i mask, const bool inner)
{
    return inner ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, mask);
}

INLINE __m256 window(const float *x, const columns *c, size_t j, size_t dw, const size_t sw, const bool inner)
{
    const float *at = x + c->from + (ptrdiff_t)(j * dw);
    const __m256 low = load(at, c->low[j], inner);
    if (sw == 1)
        return low;
    const __m256 high = load(at + LANES, c->high[j], inner);
    const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88)); /* even elements, halves interleaved */
    return _mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8));
}

/* `rows` output rows from r on, for one column block. Dilation of rows is 1 when rows > 1. */
INLINE void block(const clvi_dwconv_plane *p, const float *x, const float *k, float *y, size_t r, const columns *c,
                  const bool inner, const size_t kh, const size_t kw, const size_t sh, const size_t sw,
                  const size_t rows)
{
    const size_t dh = rows > 1 ? 1 : p->dh;
    __m256 sum[BLOCK_ROWS];
#pragma GCC unroll 4
    for (size_t s = 0; s < rows; s++)
        sum[s] = _mm256_set1_ps(p->bias);
#pragma GCC unroll 12
    for (size_t t = 0; t < (rows - 1) * sh + kh; t++) {
        const ptrdiff_t row = (ptrdiff_t)(r * sh + t * dh) - p->pt;
        if (row < 0 || row >= (ptrdiff_t)p->h)
            continue;
#pragma GCC unroll 5
        for (size_t j = 0; j < kw; j++) {
            const __m256 v = window(x + (size_t)row * p->w, c, j, p->dw, sw, inner);
#pragma GCC unroll 4
            for (size_t s = 0; s < rows; s++)
                if (t >= s * sh && t - s * sh < kh)
                    sum[s] = _mm256_fmadd_ps(_mm256_broadcast_ss(k + (t - s * sh) * kw + j), v, sum[s]);
        }
    }
#pragma GCC unroll 4
    for (size_t s = 0; s < rows; s++) {
        /* max and min return their second operand when one is NaN */
        const __m256 v = _mm256_min_ps(_mm256_set1_ps(p->hi), _mm256_max_ps(_mm256_set1_ps(p->lo), sum[s]));
        if (inner)
            _mm256_storeu_ps(y + (r + s) * p->ow, v);
        else
            _mm256_maskstore_ps(y + (r + s) * p->ow, c->store, v);
    }
}

INLINE void column_block(const clvi_dwconv_plane *p, const float *x, const float *k, float *y, const columns *c,
                         const bool inner, const size_t kh, const size_t kw, const size_t sh, const size_t sw,
                         const size_t rows)
{
    size_t r = 0;
    for (; r + rows <= p->oh; r += rows)
        block(p, x, k, y, r, c, inner, kh, kw, sh, sw, rows);
    for (; r < p->oh; r++)
        block(p, x, k, y, r, c, inner, kh, kw, sh, sw, 1);
}

INLINE void plane(const clvi_dwconv_plane *p, const float *x, const float *k, float *y, const size_t kh,
                  const size_t kw, const size_t sh, const size_t sw, const size_t rows)
{
    columns c;
    for (size_t q = 0; q < p->ow; q += LANES) {
        plan_columns(&c, p, q);
        if (c.inner)
            column_block(p, x, k, y + q, &c, true, kh, kw, sh, sw, rows);
        else
            column_block(p, x, k, y + q, &c, false, kh, kw, sh, sw, rows);
    }
}

void clvk_dwconv_f32__avx2(const clvi_dwconv_plane *p, const float *x, const float *k, float *y)
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
