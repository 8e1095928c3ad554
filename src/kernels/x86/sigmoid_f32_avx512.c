/* SPDX-License-Identifier: Apache-2.0 */
/* sigmoid_f32, AVX-512. exp(-v) = 2^k exp(r) with k = round(-v / ln 2) and |r| <= ln 2 / 2; ln 2 is split in two so
 * that r is exact to rounding (Cody and Waite 1980), exp(r) is its Taylor polynomial to r^7 (remainder below 2^-27). -v
 * is clamped to where 2^k stays a normal number.
 *
 * Reference: ref/sigmoid_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES 16

static inline __m512 logistic(__m512 v)
{
    /* max and min return their second operand when one is NaN */
    const __m512 u = _mm512_min_ps(_mm512_set1_ps(87.0f),
                                   _mm512_max_ps(_mm512_set1_ps(-87.0f), _mm512_sub_ps(_mm512_setzero_ps(), v)));
    const __m512 k = _mm512_roundscale_ps(_mm512_mul_ps(u, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0.693359375f), u);
    r = _mm512_fnmadd_ps(k, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 e = _mm512_set1_ps(1.0f / 5040);
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f / 720));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f / 120));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f / 24));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f / 6));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(0.5f));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f));
    const __m512i power = _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(k), _mm512_set1_epi32(127)), 23);
    e = _mm512_mul_ps(e, _mm512_castsi512_ps(power));
    return _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

void clvk_sigmoid_f32__avx512(const float *x, float *y, size_t n, bool times_x)
{
    for (size_t i = 0; i < n; i += LANES) {
        const __mmask16 mask = (__mmask16)(n - i < LANES ? (1u << (n - i)) - 1 : 0xffffu);
        const __m512 v = _mm512_maskz_loadu_ps(mask, x + i), s = logistic(v);
        _mm512_mask_storeu_ps(y + i, mask, times_x ? _mm512_mul_ps(v, s) : s);
    }
}
