/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of which only some lanes exist in memory, for the ends of rows. Every AArch64 processor has NEON, so a shared
 * inline function cannot be compiled for the wrong one. */
#ifndef CLVI_KERNELS_NEON_LANES_NEON_H
#define CLVI_KERNELS_NEON_LANES_NEON_H

#include <arm_neon.h>
#include <stddef.h>

#define LANES  4
#define INLINE static inline __attribute__((always_inline))

/* x[0..n), zero from lane n on; n in 0..4 and above. */
INLINE float32x4_t load_part(const float *x, size_t n)
{
    if (n >= LANES)
        return vld1q_f32(x);
    float32x4_t v = vdupq_n_f32(0.0f);
    if (n >= 2)
        v = vcombine_f32(vld1_f32(x), vdup_n_f32(0.0f));
    if (n == 3)
        return vld1q_lane_f32(x + 2, v, 2);
    return n == 1 ? vld1q_lane_f32(x, v, 0) : v;
}

/* y[0..n) = v; n in 0..4 and above. */
INLINE void store_part(float *y, float32x4_t v, size_t n)
{
    if (n >= LANES) {
        vst1q_f32(y, v);
        return;
    }
    if (n >= 2)
        vst1_f32(y, vget_low_f32(v));
    if (n == 3)
        vst1q_lane_f32(y + 2, v, 2);
    if (n == 1)
        vst1q_lane_f32(y, v, 0);
}

/* NaN stays NaN: fmax and fmin give NaN when one operand is. */
INLINE float32x4_t clamp(float32x4_t v, float lo, float hi)
{
    return vminq_f32(vmaxq_f32(v, vdupq_n_f32(lo)), vdupq_n_f32(hi));
}

#endif
