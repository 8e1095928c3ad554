/* SPDX-License-Identifier: Apache-2.0 */
/* act_f32, AVX-512. exp(-v) = 2^n 2^(j / 16) exp(-r) with 16 n + j = round(-16 v / ln 2) and |r| <= ln 2 / 32; ln 2 is
 * split in two so that r is exact to rounding (Cody and Waite 1980). The root is one of 16 in a register, 2^n is added
 * to its exponent, exp(-r) is 1 - r + r^2 / 2 with the cubic term's nearest line (remainder below 2^-21.1). v is
 * clamped to where 2^n stays a normal number. The reciprocal is the processor's estimate (2^-14) after one step of
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

/* The bits of 2^(j / 16) minus j << 19. */
static const uint32_t roots[16] = {0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532,
                                   0x3f75fed7, 0x3f75583f, 0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c,
                                   0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};

INLINE vec logistic(vec v)
{
    const vec magic = set1(0x1.8p23f), u = clamp(v, -87.0f, 87.0f);
    const vec t = _mm512_fmadd_ps(u, set1(-23.0831207f), magic); /* its last bits: k = 16 n + j, rounded */
    const vec k = _mm512_sub_ps(t, magic);
    vec r = _mm512_fmadd_ps(k, set1(0.693359375f / 16), u);
    r = _mm512_fmadd_ps(k, set1(-2.12194440e-4f / 16), r);
    vec e = _mm512_fmadd_ps(r, set1(0.5f), set1(-1.00005865f));
    e = _mm512_fmadd_ps(e, r, set1(1.0f));
    const __m512i bits = _mm512_castps_si512(t), root = _mm512_permutexvar_epi32(bits, _mm512_loadu_si512(roots));
    const vec power = _mm512_castsi512_ps(_mm512_add_epi32(root, _mm512_slli_epi32(bits, 19)));
    const vec d = _mm512_fmadd_ps(e, power, set1(1.0f)), y = _mm512_rcp14_ps(d);
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
