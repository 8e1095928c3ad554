/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_f32, AVX-512: tiles of up to 14 rows x 32 columns.
 *
 * A full tile keeps 28 sums in zmm registers; 2 more hold a row of B and one a broadcast of A. Smaller m and n <= 16
 * have their own code, so that a caller with 16 rows loses nothing by asking for 8 + 8. Each sum runs over k in order
 * with one fused multiply-add a step: an element's bits do not depend on the tile it is computed in.
 *
 * Reference: ref/gemm_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define MR     14
#define NR     32
#define INLINE static inline __attribute__((always_inline))

INLINE __m512 finish(__m512 sum, const float *c, __mmask16 mask, size_t row, const clvi_gemm_tile *tile)
{
    if (tile->accumulate)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, c));
    if (tile->bias)
        sum = _mm512_add_ps(sum, _mm512_set1_ps(tile->bias[row]));
    /* max and min return their second operand when one is NaN */
    sum = _mm512_max_ps(_mm512_set1_ps(tile->lo), sum);
    return _mm512_min_ps(_mm512_set1_ps(tile->hi), sum);
}

/* m rows and `vectors` x 16 columns, both known when this is compiled. */
INLINE void run(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t n, const clvi_gemm_tile *tile,
                const size_t m, const size_t vectors)
{
    __m512 sum[MR][2];
#pragma GCC unroll 14
    for (size_t i = 0; i < m; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (size_t t = 0; t < k; t++, a += MR, b += NR) {
        const __m512 b0 = _mm512_loadu_ps(b);
        const __m512 b1 = vectors > 1 ? _mm512_loadu_ps(b + 16) : b0;
#pragma GCC unroll 14
        for (size_t i = 0; i < m; i++) {
            const __m512 ai = _mm512_set1_ps(a[i]);
            sum[i][0] = _mm512_fmadd_ps(ai, b0, sum[i][0]);
            if (vectors > 1)
                sum[i][1] = _mm512_fmadd_ps(ai, b1, sum[i][1]);
        }
    }
    const __mmask16 last = (__mmask16)((1u << (n - 16 * (vectors - 1))) - 1);
    const __mmask16 first = vectors > 1 ? (__mmask16)0xffff : last;
#pragma GCC unroll 14
    for (size_t i = 0; i < m; i++, c += ldc) {
        _mm512_mask_storeu_ps(c, first, finish(sum[i][0], c, first, i, tile));
        if (vectors > 1)
            _mm512_mask_storeu_ps(c + 16, last, finish(sum[i][1], c + 16, last, i, tile));
    }
}

void clvk_gemm_f32_14x32__avx512(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t m, size_t n,
                                 const clvi_gemm_tile *tile)
{
    if (m == 0 || n == 0)
        return;
#define ROWS(rows)                                  \
    case rows:                                      \
        if (n > 16)                                 \
            run(k, a, b, c, ldc, n, tile, rows, 2); \
        else                                        \
            run(k, a, b, c, ldc, n, tile, rows, 1); \
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
