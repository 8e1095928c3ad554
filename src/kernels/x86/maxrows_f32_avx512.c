/* SPDX-License-Identifier: Apache-2.0 */
/* maxrows_f32, AVX-512: 16 channels at a time. vmaxps returns its second operand when one is NaN: a NaN that is met
 * replaces the maximum, and one that the maximum has become is kept by the blend.
 *
 * Reference: ref/maxrows_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>
#include <math.h>

#include "kernels/kernel_decls.h"

#define LANES 16

void clvk_maxrows_f32__avx512(size_t taps, const float *const *rows, float *y, size_t channels)
{
    for (size_t ch = 0; ch < channels; ch += LANES) {
        const __mmask16 mask = (__mmask16)(channels - ch < LANES ? (1u << (channels - ch)) - 1 : 0xffffu);
        __m512 top = _mm512_set1_ps(-INFINITY);
        for (size_t t = 0; t < taps; t++) {
            const __m512 v = _mm512_maskz_loadu_ps(mask, rows[t] + ch);
            const __mmask16 nan = _mm512_cmp_ps_mask(top, top, _CMP_UNORD_Q);
            top = _mm512_mask_max_ps(top, (__mmask16)~nan, top, v);
        }
        _mm512_mask_storeu_ps(y + ch, mask, top);
    }
}
