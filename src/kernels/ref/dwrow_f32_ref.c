/* SPDX-License-Identifier: Apache-2.0 */
/* A part of one output row of a depthwise convolution, channels last, as its formula; the specification of dwrow_f32.
 */
#include "kernels/kernel_decls.h"

void clvk_dwrow_f32__ref(const clvi_dwrow *p, const float *const *x, const float *k, const float *bias, float *y,
                         size_t first, size_t count)
{
    for (size_t q = first; q < first + count; q++, y += p->y_ld) {
        for (size_t ch = 0; ch < p->channels; ch++) {
            double sum = bias ? (double)bias[ch] : 0.0;
            for (size_t i = 0; i < p->kh; i++) {
                for (size_t j = 0; j < p->kw && x[i]; j++) {
                    const ptrdiff_t column = (ptrdiff_t)(q * p->sw + j * p->dw) - p->pl;
                    if (column >= 0 && column < (ptrdiff_t)p->w)
                        sum += (double)k[(i * p->kw + j) * p->k_ld + ch] * (double)x[i][(size_t)column * p->x_ld + ch];
                }
            }
            float v = (float)sum;
            v = v < p->lo ? p->lo : v;
            y[ch] = v > p->hi ? p->hi : v;
        }
    }
}
