/* SPDX-License-Identifier: Apache-2.0 */
/* dwrow_f32, AVX-512: 16 channels x up to 8 pixels of one output row.
 *
 * A row is cut into groups of at most 8 pixels (4 with stride 2), as equal as possible. A window row's weights are
 * loaded once for a group, and a pixel of the input once for all of its windows; pixels outside the row count as zero.
 * Windows 3 and 5 wide with stride 1 and 2 are compiled with their size and the group's known. Others take one pixel at
 * a time, 64 channels at once. Each sum runs over (i, j) in order, so an element's bits do not depend on where a row is
 * cut.
 *
 * Reference: ref/dwrow_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES  16
#define PIXELS 8
#define WIDE   4 /* vectors of channels where pixels are taken singly */
#define INLINE static inline __attribute__((always_inline))

typedef __m512 vec;
typedef __mmask16 lanes;

INLINE lanes lanes_below(size_t n)
{
    return n < LANES ? (lanes)((1u << n) - 1) : (lanes)0xffff;
}

INLINE vec load(const float *x, lanes mask)
{
    return _mm512_maskz_loadu_ps(mask, x);
}

INLINE void store(float *y, lanes mask, vec v)
{
    _mm512_mask_storeu_ps(y, mask, v);
}

INLINE vec clamp(vec v, const clvi_dwrow *p)
{
    /* max and min return their second operand when one is NaN */
    return _mm512_min_ps(_mm512_set1_ps(p->hi), _mm512_max_ps(_mm512_set1_ps(p->lo), v));
}

/* `pixels` outputs from q on; kw, sw and pixels are known when this is compiled, dw is 1, and at most kw / 2 columns at
 * each end of the window row lie outside: those are loaded with an empty mask, so that no branch depends on q. */
INLINE void group(const clvi_dwrow *p, const float *const *x, const float *k, const float *bias, float *y, size_t q,
                  const size_t kw, const size_t sw, const size_t pixels)
{
    const ptrdiff_t from = (ptrdiff_t)(q * sw) - p->pl;
    const size_t edge = kw / 2, columns = (pixels - 1) * sw + kw;
    const ptrdiff_t until = from + (ptrdiff_t)columns - (ptrdiff_t)p->w; /* columns beyond the row, if positive */
    lanes left[2], right[2];
#pragma GCC unroll 2
    for (size_t t = 0; t < edge; t++) {
        left[t] = from + (ptrdiff_t)t >= 0 ? (lanes)0xffff : (lanes)0;
        right[t] = until <= (ptrdiff_t)t ? (lanes)0xffff : (lanes)0;
    }
    for (size_t ch = 0; ch < p->channels; ch += LANES) {
        const lanes mask = lanes_below(p->channels - ch);
        vec sum[PIXELS];
        const vec start = bias ? load(bias + ch, mask) : _mm512_setzero_ps();
#pragma GCC unroll 8
        for (size_t s = 0; s < pixels; s++)
            sum[s] = start;
        for (size_t i = 0; i < p->kh; i++) {
            if (!x[i])
                continue;
            const float *at = x[i] + from * (ptrdiff_t)p->x_ld + (ptrdiff_t)ch;
            const float *const weights = k + i * kw * p->k_ld + ch;
            vec v[19];
#pragma GCC unroll 19
            for (size_t t = 0; t < columns; t++, at += p->x_ld)
                v[t] = load(at, t < edge              ? (lanes)(mask & left[t])
                                : t + edge >= columns ? (lanes)(mask & right[columns - 1 - t])
                                                      : mask);
#pragma GCC unroll 5
            for (size_t j = 0; j < kw; j++) {
                const vec w = load(weights + j * p->k_ld, mask);
#pragma GCC unroll 8
                for (size_t s = 0; s < pixels; s++) /* sums in turn, so that one does not wait for itself */
                    sum[s] = _mm512_fmadd_ps(w, v[s * sw + j], sum[s]);
            }
        }
#pragma GCC unroll 8
        for (size_t s = 0; s < pixels; s++)
            store(y + s * p->y_ld + ch, mask, clamp(sum[s], p));
    }
}

/* One output, any window. */
static void single(const clvi_dwrow *p, const float *const *x, const float *k, const float *bias, float *y, size_t q)
{
    const ptrdiff_t from = (ptrdiff_t)(q * p->sw) - p->pl;
    size_t j0 = 0, j1 = p->kw;
    while (j0 < j1 && from + (ptrdiff_t)(j0 * p->dw) < 0)
        j0++;
    while (j1 > j0 && from + (ptrdiff_t)((j1 - 1) * p->dw) >= (ptrdiff_t)p->w)
        j1--;
    for (size_t ch = 0; ch < p->channels; ch += WIDE * LANES) {
        lanes mask[WIDE];
        vec sum[WIDE];
#pragma GCC unroll 4
        for (size_t v = 0; v < WIDE; v++) {
            mask[v] = lanes_below(ch + v * LANES < p->channels ? p->channels - ch - v * LANES : 0);
            sum[v] = bias ? load(bias + ch + v * LANES, mask[v]) : _mm512_setzero_ps();
        }
        for (size_t i = 0; i < p->kh; i++) {
            for (size_t j = j0; j < j1 && x[i]; j++) {
                const float *const at = x[i] + (from + (ptrdiff_t)(j * p->dw)) * (ptrdiff_t)p->x_ld + ch;
                const float *const w = k + (i * p->kw + j) * p->k_ld + ch;
#pragma GCC unroll 4
                for (size_t v = 0; v < WIDE; v++)
                    sum[v] = _mm512_fmadd_ps(load(w + v * LANES, mask[v]), load(at + v * LANES, mask[v]), sum[v]);
            }
        }
#pragma GCC unroll 4
        for (size_t v = 0; v < WIDE; v++)
            store(y + ch + v * LANES, mask[v], clamp(sum[v], p));
    }
}

/* Does no window of `pixels` outputs from q on reach over an end of the row by more than half its width? */
INLINE bool fits(const clvi_dwrow *p, size_t q, size_t pixels, const size_t kw, const size_t sw)
{
    const ptrdiff_t from = (ptrdiff_t)(q * sw) - p->pl, edge = (ptrdiff_t)(kw / 2);
    return from >= -edge && from + (ptrdiff_t)((pixels - 1) * sw + kw) <= (ptrdiff_t)p->w + edge;
}

INLINE void row(const clvi_dwrow *p, const float *const *x, const float *k, const float *bias, float *y, size_t first,
                size_t count, const size_t kw, const size_t sw)
{
    const size_t most = sw > 1 ? PIXELS / 2 : PIXELS; /* more than 4 win nothing with stride 2, and take 14 KB */
    size_t pixels;
    for (size_t q = first, end = first + count; q < end; q += pixels, y += pixels * p->y_ld) {
        const uint32_t left = (uint32_t)(end - q), groups = (left + (uint32_t)most - 1) / (uint32_t)most;
        pixels = left <= most ? left : (left + groups - 1) / groups; /* 32 bits: a shorter division */
        if (!fits(p, q, pixels, kw, sw))
            pixels = 1;
        if (pixels == 1 && !fits(p, q, 1, kw, sw)) { /* what becomes of a pixel depends on itself alone */
            single(p, x, k, bias, y, q);
            continue;
        }
#define GROUP(size)                                   \
    case size:                                        \
        if (size <= most)                             \
            group(p, x, k, bias, y, q, kw, sw, size); \
        break;
        switch (pixels) {
            GROUP(1)
            GROUP(2)
            GROUP(3)
            GROUP(4)
            GROUP(5)
            GROUP(6)
            GROUP(7)
            GROUP(8)
        default:
            break;
        }
#undef GROUP
    }
}

void clvk_dwrow_f32__avx512(const clvi_dwrow *p, const float *const *x, const float *k, const float *bias, float *y,
                            size_t first, size_t count)
{
    const bool dense = p->dw == 1;
    if (dense && p->kw == 3 && p->sw == 1)
        row(p, x, k, bias, y, first, count, 3, 1);
    else if (dense && p->kw == 3 && p->sw == 2)
        row(p, x, k, bias, y, first, count, 3, 2);
    else if (dense && p->kw == 5 && p->sw == 1)
        row(p, x, k, bias, y, first, count, 5, 1);
    else if (dense && p->kw == 5 && p->sw == 2)
        row(p, x, k, bias, y, first, count, 5, 2);
    else
        for (size_t q = first; q < first + count; q++, y += p->y_ld)
            single(p, x, k, bias, y, q);
}
