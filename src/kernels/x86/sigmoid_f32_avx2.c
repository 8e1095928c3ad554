/* SPDX-License-Identifier: Apache-2.0 */
/* sigmoid_f32, AVX2 + FMA. exp(-v) = 2^k exp(r) with k = round(-v / ln 2) and |r| <= ln 2 / 2; ln 2 is split in two so
 * that r is exact to rounding (Cody and Waite 1980), exp(r) is its Taylor polynomial to r^7 (remainder below 2^-27). -v
 * is clamped to where 2^k stays a normal number.
 *
 * Reference: ref/sigmoid_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES 8

static inline __m256i lanes_below(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < LANES ? (int)n : LANES), lane);
}

static inline __m256 logistic(__m256 v)
{
    /* max and min return their second operand when one is NaN */
    const __m256 u = _mm256_min_ps(_mm256_set1_ps(87.0f),
                                   _mm256_max_ps(_mm256_set1_ps(-87.0f), _mm256_sub_ps(_mm256_setzero_ps(), v)));
    const __m256 k = _mm256_round_ps(_mm256_mul_ps(u, _mm256_set1_ps(1.44269504f)), 8);
    __m256 r = _mm256_fnmadd_ps(k, _mm256_set1_ps(0.693359375f), u);
    r = _mm256_fnmadd_ps(k, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 e = _mm256_set1_ps(1.0f / 5040);
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f / 720));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f / 120));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f / 24));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f / 6));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(0.5f));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f));
    const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)), 23);
    e = _mm256_mul_ps(e, _mm256_castsi256_ps(power));
    return _mm256_div_ps(_mm256_set1_ps(1.0f), _mm256_add_ps(_mm256_set1_ps(1.0f), e));
}

void clvk_sigmoid_f32__avx2(const float *x, float *y, size_t n, bool times_x)
{
    for (size_t i = 0; i < n; i += LANES) {
        const __m256i mask = lanes_below(n - i);
        const __m256 v = _mm256_maskload_ps(x + i, mask), s = logistic(v);
        _mm256_maskstore_ps(y + i, mask, times_x ? _mm256_mul_ps(v, s) : s);
    }
}
