/* SPDX-License-Identifier: Apache-2.0 */
/* maxrows_f32, AVX2: 8 channels at a time. vmaxps returns its second operand when one is NaN: a NaN that is met
 * replaces the maximum, and one that the maximum has become is kept by the blend.
 *
 * Reference: ref/maxrows_f32_ref.c.   Measured: docs/perf.md */
#include <immintrin.h>
#include <math.h>

#include "kernels/kernel_decls.h"

#define LANES 8

void clvk_maxrows_f32__avx2(size_t taps, const float *const *rows, float *y, size_t channels)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (size_t ch = 0; ch < channels; ch += LANES) {
        const int left = channels - ch < LANES ? (int)(channels - ch) : LANES;
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lane);
        __m256 top = _mm256_set1_ps(-INFINITY);
        for (size_t t = 0; t < taps; t++) {
            const __m256 v = _mm256_maskload_ps(rows[t] + ch, mask);
            top = _mm256_blendv_ps(_mm256_max_ps(top, v), top, _mm256_cmp_ps(top, top, _CMP_UNORD_Q));
        }
        _mm256_maskstore_ps(y + ch, mask, top);
    }
}
