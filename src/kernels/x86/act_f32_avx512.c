/* SPDX-License-Identifier: Apache-2.0 */
/* act_f32, AVX-512. exp(-v) = 2^k exp(r) with k = round(-v / ln 2) and |r| <= ln 2 / 2; ln 2 is split in two so that r
 * is exact to rounding (Cody and Waite 1980), exp(r) is its Taylor polynomial to r^6 (remainder below 2^-22.9). -v is
 * clamped to where 2^k stays a normal number. The reciprocal is the processor's estimate (2^-14) after one step of
 * Newton: a division takes as long as all the rest.
 *
 * Reference: ref/act_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>

#include "kernels/kernel_decls.h"

#define LANES  16
#define INLINE static inline __attribute__((always_inline))

typedef __m512 vec;
typedef __mmask16 lanes;

INLINE lanes lanes_below(size_t n)
{
    return n < LANES ? (lanes)((1u << n) - 1) : (lanes)0xffff;
}

INLINE vec set1(float v)
{
    return _mm512_set1_ps(v);
}

INLINE vec load(const float *x, lanes mask)
{
    return _mm512_maskz_loadu_ps(mask, x);
}

INLINE void store(float *y, lanes mask, vec v)
{
    _mm512_mask_storeu_ps(y, mask, v);
}

INLINE vec mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

/* max and min return their second operand when one is NaN */
INLINE vec clamp(vec v, float lo, float hi)
{
    return _mm512_min_ps(set1(hi), _mm512_max_ps(set1(lo), v));
}

INLINE vec logistic(vec v)
{
    const vec u = clamp(_mm512_sub_ps(_mm512_setzero_ps(), v), -87.0f, 87.0f);
    const vec k = _mm512_sub_ps(_mm512_fmadd_ps(u, set1(1.44269504f), set1(0x1.8p23f)), set1(0x1.8p23f)); /* rounds */
    vec r = _mm512_fnmadd_ps(k, set1(0.693359375f), u);
    r = _mm512_fnmadd_ps(k, set1(-2.12194440e-4f), r);
    vec e = set1(1.0f / 720);
    e = _mm512_fmadd_ps(e, r, set1(1.0f / 120));
    e = _mm512_fmadd_ps(e, r, set1(1.0f / 24));
    e = _mm512_fmadd_ps(e, r, set1(1.0f / 6));
    e = _mm512_fmadd_ps(e, r, set1(0.5f));
    e = _mm512_fmadd_ps(e, r, set1(1.0f));
    e = _mm512_fmadd_ps(e, r, set1(1.0f));
    const vec d = _mm512_add_ps(set1(1.0f), _mm512_scalef_ps(e, k)), y = _mm512_rcp14_ps(d);
    return mul(y, _mm512_fnmadd_ps(d, y, set1(2.0f)));
}

INLINE vec hard(const clvi_act_f32 *act, vec v)
{
    return clamp(_mm512_add_ps(mul(set1(act->alpha), v), set1(act->beta)), 0.0f, 1.0f);
}

INLINE vec leak(vec v, vec slope)
{
    return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_LT_OQ), v, slope);
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

void clvk_act_f32__avx512(const clvi_act_f32 *act, float *y, size_t rows, size_t n, size_t ld)
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
