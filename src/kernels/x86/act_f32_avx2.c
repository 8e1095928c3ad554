/* SPDX-License-Identifier: Apache-2.0 */
/* act_f32, AVX2 + FMA. exp(-v) = 2^k exp(r) with k = round(-v / ln 2) and |r| <= ln 2 / 2; ln 2 is split in two so that
 * r is exact to rounding (Cody and Waite 1980), exp(r) is its Taylor polynomial to r^7 (remainder below 2^-27). -v is
 * clamped to where 2^k stays a normal number.
 *
 * Reference: ref/act_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES  8
#define INLINE static inline __attribute__((always_inline))

typedef __m256 vec;
typedef __m256i lanes;

INLINE lanes lanes_below(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < LANES ? (int)n : LANES), lane);
}

INLINE vec set1(float v)
{
    return _mm256_set1_ps(v);
}

INLINE vec load(const float *x, lanes mask)
{
    return _mm256_maskload_ps(x, mask);
}

INLINE void store(float *y, lanes mask, vec v)
{
    _mm256_maskstore_ps(y, mask, v);
}

INLINE vec mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

/* max and min return their second operand when one is NaN */
INLINE vec clamp(vec v, float lo, float hi)
{
    return _mm256_min_ps(set1(hi), _mm256_max_ps(set1(lo), v));
}

INLINE vec logistic(vec v)
{
    const vec u = clamp(_mm256_sub_ps(_mm256_setzero_ps(), v), -87.0f, 87.0f);
    const vec k = _mm256_round_ps(mul(u, set1(1.44269504f)), 8);
    vec r = _mm256_fnmadd_ps(k, set1(0.693359375f), u);
    r = _mm256_fnmadd_ps(k, set1(-2.12194440e-4f), r);
    vec e = set1(1.0f / 5040);
    e = _mm256_fmadd_ps(e, r, set1(1.0f / 720));
    e = _mm256_fmadd_ps(e, r, set1(1.0f / 120));
    e = _mm256_fmadd_ps(e, r, set1(1.0f / 24));
    e = _mm256_fmadd_ps(e, r, set1(1.0f / 6));
    e = _mm256_fmadd_ps(e, r, set1(0.5f));
    e = _mm256_fmadd_ps(e, r, set1(1.0f));
    e = _mm256_fmadd_ps(e, r, set1(1.0f));
    const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)), 23);
    e = mul(e, _mm256_castsi256_ps(power));
    return _mm256_div_ps(set1(1.0f), _mm256_add_ps(set1(1.0f), e));
}

INLINE vec hard(const clvi_act_f32 *act, vec v)
{
    return clamp(_mm256_add_ps(mul(set1(act->alpha), v), set1(act->beta)), 0.0f, 1.0f);
}

INLINE vec leak(vec v, vec slope)
{
    return _mm256_blendv_ps(v, mul(v, slope), _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LT_OQ));
}

/* One row of n; the kind is known when this is compiled. */
INLINE void row(const clvi_act_f32 *act, const clvi_act_kind kind, float *y, size_t n)
{
    for (size_t j = 0; j < n; j += LANES) {
        const lanes mask = lanes_below(n - j);
        vec v = load(y + j, mask);
        if (kind == CLVI_ACT_SIGMOID)
            v = logistic(v);
        else if (kind == CLVI_ACT_SILU)
            v = mul(v, logistic(v));
        else if (kind == CLVI_ACT_HARD_SIGMOID)
            v = hard(act, v);
        else if (kind == CLVI_ACT_HARD_SWISH)
            v = mul(v, hard(act, v));
        else
            v = leak(v, kind == CLVI_ACT_LEAKY ? set1(act->alpha) : load(act->slope + j, mask));
        store(y + j, mask, v);
    }
}

INLINE void all(const clvi_act_f32 *act, const clvi_act_kind kind, float *y, size_t rows, size_t n, size_t ld)
{
    for (size_t i = 0; i < rows; i++)
        row(act, kind, y + i * ld, n);
}

void clvk_act_f32__avx2(const clvi_act_f32 *act, float *y, size_t rows, size_t n, size_t ld)
{
    switch (act->kind) {
    case CLVI_ACT_SIGMOID:
        all(act, CLVI_ACT_SIGMOID, y, rows, n, ld);
        break;
    case CLVI_ACT_SILU:
        all(act, CLVI_ACT_SILU, y, rows, n, ld);
        break;
    case CLVI_ACT_HARD_SIGMOID:
        all(act, CLVI_ACT_HARD_SIGMOID, y, rows, n, ld);
        break;
    case CLVI_ACT_HARD_SWISH:
        all(act, CLVI_ACT_HARD_SWISH, y, rows, n, ld);
        break;
    case CLVI_ACT_LEAKY:
        all(act, CLVI_ACT_LEAKY, y, rows, n, ld);
        break;
    case CLVI_ACT_PRELU:
        all(act, CLVI_ACT_PRELU, y, rows, n, ld);
        break;
    default:
        break;
    }
}
