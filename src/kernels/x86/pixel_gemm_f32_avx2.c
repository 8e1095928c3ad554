/* SPDX-License-Identifier: Apache-2.0 */
/* pixel_gemm_f32, AVX2 + FMA: tiles of up to 6 pixels x 16 channels.
 *
 * A full tile keeps 12 sums in ymm registers and 6 row pointers in general ones; 2 more hold a row of B and one a
 * broadcast of A. Every m has its own code, so rows may be cut into equal tiles. Each sum runs over (tap, k) in order
 * with one fused multiply-add a step: an element's bits do not depend on the tile it is computed in.
 *
 * Reference: ref/pixel_gemm_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define MR     6
#define NR     16
#define INLINE static inline __attribute__((always_inline))

static __m256i lanes_below(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < 8 ? (int)n : 8), lane);
}

INLINE __m256 finish(__m256 sum, const float *add, __m256i mask, const clvi_pixel_tile *tile)
{
    if (add)
        sum = _mm256_add_ps(sum, _mm256_maskload_ps(add, mask));
    /* max and min return their second operand when one is NaN */
    sum = _mm256_max_ps(_mm256_set1_ps(tile->lo), sum);
    return _mm256_min_ps(_mm256_set1_ps(tile->hi), sum);
}

/* m rows and `vectors` x 8 columns, both known when this is compiled. */
INLINE void run(size_t taps, size_t depth, const float *const *rows, const float *b, float *c, size_t ldc, size_t n,
                const clvi_pixel_tile *tile, const size_t m, const size_t vectors)
{
    const __m256i last = lanes_below(n - 8 * (vectors - 1)), first = vectors > 1 ? lanes_below(8) : last;
    const __m256 bias0 = tile->bias ? _mm256_maskload_ps(tile->bias, first) : _mm256_setzero_ps();
    const __m256 bias1 = tile->bias && vectors > 1 ? _mm256_maskload_ps(tile->bias + 8, last) : bias0;
    __m256 sum[MR][2];
#pragma GCC unroll 6
    for (size_t i = 0; i < m; i++) {
        sum[i][0] = bias0;
        sum[i][1] = bias1;
    }
    const char *next = tile->next ? tile->next : (const char *)b;
    const size_t next_step = tile->next ? tile->next_step : 0;
    for (size_t t = 0; t < taps; t++, rows += MR) {
        const float *a[MR];
#pragma GCC unroll 6
        for (size_t i = 0; i < m; i++)
            a[i] = rows[i];
        for (size_t k = 0; k < depth; k++, b += NR, next += next_step) {
            _mm_prefetch(next, _MM_HINT_T1);
            const __m256 b0 = _mm256_loadu_ps(b);
            const __m256 b1 = vectors > 1 ? _mm256_loadu_ps(b + 8) : b0;
#pragma GCC unroll 6
            for (size_t i = 0; i < m; i++) {
                const __m256 ai = _mm256_broadcast_ss(a[i] + k);
                sum[i][0] = _mm256_fmadd_ps(ai, b0, sum[i][0]);
                if (vectors > 1)
                    sum[i][1] = _mm256_fmadd_ps(ai, b1, sum[i][1]);
            }
        }
    }
    const float *add = tile->add;
#pragma GCC unroll 6
    for (size_t i = 0; i < m; i++, c += ldc) {
        _mm256_maskstore_ps(c, first, finish(sum[i][0], add, first, tile));
        if (vectors > 1)
            _mm256_maskstore_ps(c + 8, last, finish(sum[i][1], add ? add + 8 : NULL, last, tile));
        add = add ? add + tile->add_ld : NULL;
    }
}

void clvk_pixel_gemm_f32_6x16__avx2(size_t taps, size_t depth, const float *const *rows, const float *b, float *c,
                                    size_t ldc, size_t m, size_t n, const clvi_pixel_tile *tile)
{
    if (m == 0 || n == 0)
        return;
#define ROWS(count)                                               \
    case count:                                                   \
        if (n > 8)                                                \
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
    default:
        break;
    }
#undef ROWS
}
