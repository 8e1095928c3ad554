/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_f32, AVX2 + FMA: tiles of up to 6 rows x 16 columns.
 *
 * A full tile keeps 12 sums in ymm registers; 2 more hold a row of B and one a broadcast of A. Smaller m and n <= 8
 * have their own code. Each sum runs over k in order with one fused multiply-add a step: an element's bits do not
 * depend on the tile it is computed in.
 *
 * Reference: ref/gemm_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define MR     6
#define NR     16
#define INLINE static inline __attribute__((always_inline))

/* Lanes below n set; n in 0..8 and above. */
INLINE __m256i lanes_below(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

INLINE void finish(__m256 sum, float *c, size_t n, size_t row, const clvi_gemm_tile *tile)
{
    const __m256i mask = lanes_below(n);
    if (tile->accumulate)
        sum = _mm256_add_ps(sum, n >= 8 ? _mm256_loadu_ps(c) : _mm256_maskload_ps(c, mask));
    if (tile->bias)
        sum = _mm256_add_ps(sum, _mm256_set1_ps(tile->bias[row]));
    /* max and min return their second operand when one is NaN */
    sum = _mm256_max_ps(_mm256_set1_ps(tile->lo), sum);
    sum = _mm256_min_ps(_mm256_set1_ps(tile->hi), sum);
    if (n >= 8)
        _mm256_storeu_ps(c, sum);
    else
        _mm256_maskstore_ps(c, mask, sum);
}

/* m rows and `vectors` x 8 columns, both known when this is compiled. */
INLINE void run(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t n, const clvi_gemm_tile *tile,
                const size_t m, const size_t vectors)
{
    __m256 sum[MR][2];
#pragma GCC unroll 6
    for (size_t i = 0; i < m; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_ps();
    for (size_t t = 0; t < k; t++, a += MR, b += NR) {
        const __m256 b0 = _mm256_loadu_ps(b);
        const __m256 b1 = vectors > 1 ? _mm256_loadu_ps(b + 8) : b0;
#pragma GCC unroll 6
        for (size_t i = 0; i < m; i++) {
            const __m256 ai = _mm256_broadcast_ss(a + i);
            sum[i][0] = _mm256_fmadd_ps(ai, b0, sum[i][0]);
            if (vectors > 1)
                sum[i][1] = _mm256_fmadd_ps(ai, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 6
    for (size_t i = 0; i < m; i++, c += ldc) {
        finish(sum[i][0], c, n, i, tile);
        if (vectors > 1)
            finish(sum[i][1], c + 8, n - 8, i, tile);
    }
}

void clvk_gemm_f32_6x16__avx2(size_t k, const float *a, const float *b, float *c, size_t ldc, size_t m, size_t n,
                              const clvi_gemm_tile *tile)
{
    if (m == 0 || n == 0)
        return;
#define ROWS(rows)                                  \
    case rows:                                      \
        if (n > 8)                                  \
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
    default:
        break;
    }
#undef ROWS
}
