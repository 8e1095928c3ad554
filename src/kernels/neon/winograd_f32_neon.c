/* SPDX-License-Identifier: Apache-2.0 */
/* winograd_f32, NEON: 4 channels of a tile at a time.
 *
 * Reference: ref/winograd_f32_ref.c.   Checked under qemu, not measured: docs/perf.md */
#include "kernels/kernel_decls.h"
#include "kernels/neon/lanes_neon.h"

#define ENTRY(name)     clvk_winograd_##name##_f32__neon
#define load(x)         vld1q_f32(x)
#define store(y, v)     vst1q_f32(y, v)
#define part_of(n)      (n)
#define set1(v)         vdupq_n_f32(v)
#define add(a, b)       vaddq_f32(a, b)
#define sub(a, b)       vsubq_f32(a, b)
#define mul(a, b)       vmulq_f32(a, b)
#define fmadd(a, b, c)  vfmaq_f32(c, a, b)
#define fnmadd(a, b, c) vfmsq_f32(c, a, b)

typedef float32x4_t vec;
typedef size_t part;

#include "kernels/winograd_f32.inc"
