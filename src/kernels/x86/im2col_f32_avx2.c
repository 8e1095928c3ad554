/* SPDX-License-Identifier: Apache-2.0 */
/* im2col_f32, AVX2: some panels are cut once into pieces of at most 8 pixels of one output row; then every window row
 * is one masked load and one store a piece. A piece is stored 8 wide where its panel has room: what lies behind it is
 * written by the next piece. Several panels are filled together, so that x is read along its rows and not panel by
 * panel down its planes. Column strides 1 and 2 use loads (and a shuffle), others a gather.
 *
 * Reference: ref/im2col_f32_ref.c.   Measured: docs/perf.md#im2col */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define INLINE     static inline __attribute__((always_inline))
#define LANES      8
#define MAX_PIECES 96
#define MAX_EXTENT (INT32_MAX / 64) /* column arithmetic is in 32 bits */

typedef struct piece {
    ptrdiff_t row, column; /* of window element (0, 0) of the first pixel */
    size_t at;             /* offset in b of window row 0 */
    size_t live, room;     /* pixels of the piece; lanes that may be stored */
} piece;

/* One panel, n <= nr pixels, whose rows begin at b[at]. Returns the number of pieces, at most nr. */
static size_t cut(const clvi_im2col *p, size_t first, size_t n, size_t at, piece *pieces)
{
    size_t count = 0, r = first / p->ow, q = first % p->ow, step;
    for (size_t u = 0; u < p->nr; u += step) {
        const size_t left = u < n ? n - u : 0;
        step = left < p->ow - q ? left : p->ow - q;
        if (step > LANES || left == 0)
            step = LANES;
        pieces[count++] = (piece){.row = (ptrdiff_t)(r * p->sh) - p->pt,
                                  .column = (ptrdiff_t)(q * p->sw) - p->pl,
                                  .at = at + u,
                                  .live = left ? step : 0,
                                  .room = p->nr - u};
        q += step;
        if (q >= p->ow) {
            q = 0;
            r++;
        }
    }
    return count;
}

/* Lanes l with 0 <= from + l < limit. */
INLINE __m256i lanes_inside(ptrdiff_t from, size_t limit)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i at = _mm256_add_epi32(_mm256_set1_epi32((int)from), lane);
    return _mm256_andnot_si256(_mm256_srai_epi32(at, 31), _mm256_cmpgt_epi32(_mm256_set1_epi32((int)limit), at));
}

/* x[column + l * stride] for the first `live` lanes inside [0, w), else zero. */
INLINE __m256 window(const float *x, size_t w, ptrdiff_t column, const size_t stride, size_t live)
{
    const __m256i use = lanes_inside(0, live);
    if (stride == 1)
        return _mm256_maskload_ps(x + column, _mm256_and_si256(use, lanes_inside(column, w)));
    if (stride > 2) {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), limit = _mm256_set1_epi32((int)w);
        const __m256i far = _mm256_mullo_epi32(lane, _mm256_set1_epi32((int)stride));
        const __m256i index = _mm256_add_epi32(_mm256_set1_epi32((int)column), far);
        const __m256i inside = _mm256_andnot_si256(_mm256_srai_epi32(index, 31), _mm256_cmpgt_epi32(limit, index));
        const __m256 mask = _mm256_castsi256_ps(_mm256_and_si256(use, inside));
        return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), x, index, mask, sizeof *x);
    }
    const __m256 low = _mm256_maskload_ps(x + column, lanes_inside(column, w));
    const __m256 high = _mm256_maskload_ps(x + column + LANES, lanes_inside(column + LANES, w));
    const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88)); /* even elements, halves interleaved */
    return _mm256_and_ps(_mm256_castsi256_ps(use), _mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8)));
}

INLINE void fill(const clvi_im2col *p, const float *x, size_t k0, size_t k, const piece *pieces, size_t count, float *b,
                 const size_t stride)
{
    const size_t h = p->h, w = p->w, dh = p->dh, dw = p->dw, nr = p->nr;
    size_t j = k0 % p->kw, i = k0 / p->kw % p->kh;
    x += k0 / p->kw / p->kh * h * w;
    for (size_t t = 0; t < k; t++, b += nr) {
        for (size_t u = 0; u < count; u++) {
            const size_t row = (size_t)pieces[u].row + i * dh; /* above h when negative */
            const ptrdiff_t column = pieces[u].column + (ptrdiff_t)(j * dw);
            __m256 v = _mm256_setzero_ps();
            if (row < h)
                v = window(x + row * w, w, column, stride, pieces[u].live);
            if (pieces[u].room >= LANES)
                _mm256_storeu_ps(b + pieces[u].at, v);
            else
                _mm256_maskstore_ps(b + pieces[u].at, lanes_inside(0, pieces[u].room), v);
        }
        if (++j == p->kw) {
            j = 0;
            if (++i == p->kh) {
                i = 0;
                x += h * w;
            }
        }
    }
}

void clvk_im2col_f32__avx2(const clvi_im2col *p, const float *x, size_t k0, size_t k, size_t first, size_t n, float *b)
{
    piece pieces[MAX_PIECES];
    if (p->sw > MAX_EXTENT || p->w > MAX_EXTENT || p->nr > MAX_PIECES / 2) {
        clvk_im2col_f32__ref(p, x, k0, k, first, n, b);
        return;
    }
    for (size_t done = 0; done < n;) {
        size_t count = 0, at = 0;
        const size_t begin = done;
        for (; done < n && count + p->nr <= MAX_PIECES; done += p->nr, at += k * p->nr)
            count += cut(p, first + done, n - done < p->nr ? n - done : p->nr, at, pieces + count);
        if (p->sw == 1)
            fill(p, x, k0, k, pieces, count, b + begin * k, 1);
        else if (p->sw == 2)
            fill(p, x, k0, k, pieces, count, b + begin * k, 2);
        else
            fill(p, x, k0, k, pieces, count, b + begin * k, p->sw);
    }
}
