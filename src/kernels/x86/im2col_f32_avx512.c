/* SPDX-License-Identifier: Apache-2.0 */
/* im2col_f32, AVX-512: some panels are cut once into pieces of at most 16 pixels of one output row; then every window
 * row is one masked load and one store a piece.
 *
 *   panel of 32, ow = 12, first = 5:   |row 0: 7|row 1: 12    |row 2: 12    |1|
 *
 * A piece is stored 16 wide where its panel has room: what lies behind it is written by the next piece. Several panels
 * are filled together, so that x is read along its rows and not panel by panel down its planes. Column strides 1 and 2
 * use loads (and a shuffle), others a gather.
 *
 * Reference: ref/im2col_f32_ref.c.   Measured: docs/perf.md#im2col */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define INLINE     static inline __attribute__((always_inline))
#define LANES      16
#define MAX_PIECES 128
#define MAX_EXTENT (INT32_MAX / 64) /* column arithmetic is in 32 bits */

typedef struct piece {
    ptrdiff_t row, column; /* of window element (0, 0) of the first pixel */
    size_t at;             /* offset in b of window row 0 */
    __mmask16 live, room;  /* pixels of the piece; lanes that may be stored */
} piece;

static __mmask16 lanes_below(size_t n)
{
    return n >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

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
                                  .live = left ? lanes_below(step) : 0,
                                  .room = lanes_below(p->nr - u)};
        q += step;
        if (q >= p->ow) {
            q = 0;
            r++;
        }
    }
    return count;
}

/* x[column + l * stride] for the live lanes inside [0, w), else zero. */
INLINE __m512 window(const float *x, __m512i width, ptrdiff_t column, const size_t stride, __mmask16 live)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i at = _mm512_add_epi32(_mm512_set1_epi32((int)column), lane);
    if (stride > 2) {
        const __m512i far = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)stride));
        const __m512i index = _mm512_add_epi32(_mm512_set1_epi32((int)column), far);
        const __mmask16 use = _mm512_mask_cmplt_epu32_mask(live, index, width);
        return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), use, index, x, sizeof *x);
    }
    if (stride == 1)
        return _mm512_maskz_loadu_ps(_mm512_mask_cmplt_epu32_mask(live, at, width), x + column);
    const __mmask16 inside = _mm512_cmplt_epu32_mask(at, width);
    const __mmask16 above = _mm512_cmplt_epu32_mask(_mm512_add_epi32(at, _mm512_set1_epi32(LANES)), width);
    const __m512 low = _mm512_maskz_loadu_ps(inside, x + column);
    const __m512 high = _mm512_maskz_loadu_ps(above, x + column + LANES);
    const __m512i even = _mm512_slli_epi32(lane, 1);
    return _mm512_maskz_permutex2var_ps(live, low, even, high);
}

INLINE void fill(const clvi_im2col *p, const float *x, size_t k0, size_t k, const piece *pieces, size_t count, float *b,
                 const size_t stride)
{
    const size_t h = p->h, w = p->w, dh = p->dh, dw = p->dw, nr = p->nr;
    const __m512i width = _mm512_set1_epi32((int)w);
    size_t j = k0 % p->kw, i = k0 / p->kw % p->kh;
    x += k0 / p->kw / p->kh * h * w;
    for (size_t t = 0; t < k; t++, b += nr) {
        for (size_t u = 0; u < count; u++) {
            const size_t row = (size_t)pieces[u].row + i * dh; /* above h when negative */
            const ptrdiff_t column = pieces[u].column + (ptrdiff_t)(j * dw);
            __m512 v = _mm512_setzero_ps();
            if (row < h)
                v = window(x + row * w, width, column, stride, pieces[u].live);
            if (pieces[u].room == (__mmask16)0xffff)
                _mm512_storeu_ps(b + pieces[u].at, v);
            else
                _mm512_mask_storeu_ps(b + pieces[u].at, pieces[u].room, v);
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

void clvk_im2col_f32__avx512(const clvi_im2col *p, const float *x, size_t k0, size_t k, size_t first, size_t n,
                             float *b)
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
