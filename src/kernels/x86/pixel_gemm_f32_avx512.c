/* SPDX-License-Identifier: Apache-2.0 */
/* pixel_gemm_f32, AVX-512: tiles of up to 14 pixels x 32 channels.
 *
 * A full tile keeps 28 sums in zmm registers, two of B and one element of A, and all but four of its 14 row pointers in
 * general ones; those four are read again each step, which costs nothing beside 28 multiply-adds. Every m has its own
 * code, so rows may be cut into equal tiles. Each sum runs over (tap, k) in order with one fused multiply-add a step:
 * an element's bits do not depend on the tile it is computed in.
 *
 * Reference: ref/pixel_gemm_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>
#include <math.h>

#include "kernels/kernel_decls.h"

#define MR     14
#define NR     32
#define INLINE static inline __attribute__((always_inline))

/* m rows and `vectors` x 16 columns, both known when this is compiled. */
INLINE void run(size_t taps, size_t depth, const float *const *rows, const float *b, float *c, size_t ldc, size_t n,
                const clvi_pixel_tile *tile, const size_t m, const size_t vectors)
{
    const __mmask16 last = (__mmask16)((1u << (n - 16 * (vectors - 1))) - 1);
    const __mmask16 first = vectors > 1 ? (__mmask16)0xffff : last;
    const __m512 bias0 = tile->bias ? _mm512_maskz_loadu_ps(first, tile->bias) : _mm512_setzero_ps();
    const __m512 bias1 = tile->bias && vectors > 1 ? _mm512_maskz_loadu_ps(last, tile->bias + 16) : bias0;
    __m512 sum[MR][2];
#pragma GCC unroll 14
    for (size_t i = 0; i < m; i++) {
        sum[i][0] = bias0;
        sum[i][1] = bias1;
    }
    /* Fetches take a load's place; several of one line are left out. */
    const size_t skip = tile->next_step > 32 ? 0 : tile->next_step > 16 ? 1 : 3;
    const size_t next_step = tile->next ? tile->next_step * (skip + 1) : 0;
    const char *next = tile->next ? tile->next : (const char *)b;
    for (size_t t = 0; t < taps; t++, rows += MR) {
        const float *a[MR];
#pragma GCC unroll 14
        for (size_t i = 0; i < m; i++)
            a[i] = rows[i];
        for (size_t k = 0; k < depth; k++, b += NR) {
            if ((k & skip) == 0) {
                _mm_prefetch(next, _MM_HINT_T1);
                if (m < 7) /* a step takes less time than a line: two may be wanted */
                    _mm_prefetch(next + 64, _MM_HINT_T1);
                next += next_step;
            }
            const __m512 b0 = _mm512_loadu_ps(b);
            const __m512 b1 = vectors > 1 ? _mm512_loadu_ps(b + 16) : b0;
#pragma GCC unroll 14
            for (size_t i = 0; i < m; i++) {
                const __m512 ai = _mm512_set1_ps(a[i][k]);
                sum[i][0] = _mm512_fmadd_ps(ai, b0, sum[i][0]);
                if (vectors > 1)
                    sum[i][1] = _mm512_fmadd_ps(ai, b1, sum[i][1]);
            }
        }
    }
    if (tile->add) {
        const float *add = tile->add;
#pragma GCC unroll 14
        for (size_t i = 0; i < m; i++, add += tile->add_ld) {
            sum[i][0] = _mm512_add_ps(sum[i][0], _mm512_maskz_loadu_ps(first, add));
            if (vectors > 1)
                sum[i][1] = _mm512_add_ps(sum[i][1], _mm512_maskz_loadu_ps(last, add + 16));
        }
    }
    /* max and min return their second operand when one is NaN */
    if (tile->lo > -INFINITY) {
        const __m512 lo = _mm512_set1_ps(tile->lo);
#pragma GCC unroll 14
        for (size_t i = 0; i < m; i++) {
            sum[i][0] = _mm512_max_ps(lo, sum[i][0]);
            sum[i][1] = _mm512_max_ps(lo, sum[i][1]);
        }
    }
    if (tile->hi < INFINITY) {
        const __m512 hi = _mm512_set1_ps(tile->hi);
#pragma GCC unroll 14
        for (size_t i = 0; i < m; i++) {
            sum[i][0] = _mm512_min_ps(hi, sum[i][0]);
            sum[i][1] = _mm512_min_ps(hi, sum[i][1]);
        }
    }
#pragma GCC unroll 14
    for (size_t i = 0; i < m; i++, c += ldc) {
        _mm512_mask_storeu_ps(c, first, sum[i][0]);
        if (vectors > 1)
            _mm512_mask_storeu_ps(c + 16, last, sum[i][1]);
    }
}

void clvk_pixel_gemm_f32_14x32__avx512(size_t taps, size_t depth, const float *const *rows, const float *b, float *c,
                                       size_t ldc, size_t m, size_t n, const clvi_pixel_tile *tile)
{
    if (m == 0 || n == 0)
        return;
#define ROWS(count)                                               \
    case count:                                                   \
        if (n > 16)                                               \
            run(taps, depth, rows, b, c, ldc, n, tile, count, 2); \
        else                                                      \
            run(taps, depth, rows, b, c, ldc, n, tile, count, 1); \
        break;
    switch (m) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
        ROWS(5)
        ROWS(6)
        ROWS(7)
        ROWS(8)
        ROWS(9)
        ROWS(10)
        ROWS(11)
        ROWS(12)
        ROWS(13)
        ROWS(14)
    default:
        break;
    }
#undef ROWS
}
