/* SPDX-License-Identifier: Apache-2.0 */
/* maxrows_f32, NEON: 4 channels at a time. fmax gives NaN when one operand is.
 *
 * Reference: ref/maxrows_f32_ref.c.   Checked under qemu, not measured: docs/perf.md */
#include <math.h>

#include "kernels/kernel_decls.h"
#include "kernels/neon/lanes_neon.h"

void clvk_maxrows_f32__neon(size_t taps, const float *const *rows, float *y, size_t channels)
{
    size_t ch = 0;
    for (; ch + LANES <= channels; ch += LANES) {
        float32x4_t top = vdupq_n_f32(-INFINITY);
        for (size_t t = 0; t < taps; t++)
            top = vmaxq_f32(top, vld1q_f32(rows[t] + ch));
        vst1q_f32(y + ch, top);
    }
    if (ch < channels) {
        float32x4_t top = vdupq_n_f32(-INFINITY);
        for (size_t t = 0; t < taps; t++)
            top = vmaxq_f32(top, load_part(rows[t] + ch, channels - ch));
        store_part(y + ch, top, channels - ch);
    }
}
