/* SPDX-License-Identifier: Apache-2.0 */
/* act_f32, NEON. exp(-v) = 2^k exp(r) with k = round(-v / ln 2) and |r| <= ln 2 / 2; ln 2 is split in two so that r is
 * exact to rounding (Cody and Waite 1980), exp(r) is its Taylor polynomial to r^7 (remainder below 2^-27). -v is
 * clamped to where 2^k stays a normal number.
 *
 * Reference: ref/act_f32_ref.c.   Checked under qemu, not measured: docs/perf.md */
#include "kernels/kernel_decls.h"
#include "kernels/neon/lanes_neon.h"

typedef float32x4_t vec;

INLINE vec set1(float v)
{
    return vdupq_n_f32(v);
}

INLINE vec logistic(vec v)
{
    const vec u = clamp(vnegq_f32(v), -87.0f, 87.0f);
    const vec k = vrndnq_f32(vmulq_f32(u, set1(1.44269504f)));
    vec r = vfmsq_f32(u, k, set1(0.693359375f));
    r = vfmsq_f32(r, k, set1(-2.12194440e-4f));
    vec e = set1(1.0f / 5040);
    e = vfmaq_f32(set1(1.0f / 720), e, r);
    e = vfmaq_f32(set1(1.0f / 120), e, r);
    e = vfmaq_f32(set1(1.0f / 24), e, r);
    e = vfmaq_f32(set1(1.0f / 6), e, r);
    e = vfmaq_f32(set1(0.5f), e, r);
    e = vfmaq_f32(set1(1.0f), e, r);
    e = vfmaq_f32(set1(1.0f), e, r);
    const int32x4_t power = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(k), vdupq_n_s32(127)), 23);
    e = vmulq_f32(e, vreinterpretq_f32_s32(power));
    return vdivq_f32(set1(1.0f), vaddq_f32(set1(1.0f), e));
}

INLINE vec hard(const clvi_act_f32 *act, vec v)
{
    return clamp(vaddq_f32(vmulq_f32(set1(act->alpha), v), set1(act->beta)), 0.0f, 1.0f);
}

/* n elements from column j on; the kind is known when this is compiled. */
INLINE void some(const clvi_act_f32 *act, const clvi_act_kind kind, float *y, size_t j, size_t n)
{
    vec v = load_part(y + j, n);
    if (kind == CLVI_ACT_SIGMOID) {
        v = logistic(v);
    } else if (kind == CLVI_ACT_SILU) {
        v = vmulq_f32(v, logistic(v));
    } else if (kind == CLVI_ACT_HARD_SIGMOID) {
        v = hard(act, v);
    } else if (kind == CLVI_ACT_HARD_SWISH) {
        v = vmulq_f32(v, hard(act, v));
    } else {
        const vec slope = kind == CLVI_ACT_LEAKY ? set1(act->alpha) : load_part(act->slope + j, n);
        v = vbslq_f32(vcltzq_f32(v), vmulq_f32(v, slope), v);
    }
    store_part(y + j, v, n);
}

INLINE void all(const clvi_act_f32 *act, const clvi_act_kind kind, float *y, size_t rows, size_t n, size_t ld)
{
    for (size_t i = 0; i < rows; i++, y += ld) {
        size_t j = 0;
        for (; j + LANES <= n; j += LANES)
            some(act, kind, y, j, LANES);
        if (j < n)
            some(act, kind, y, j, n - j);
    }
}

void clvk_act_f32__neon(const clvi_act_f32 *act, float *y, size_t rows, size_t n, size_t ld)
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
