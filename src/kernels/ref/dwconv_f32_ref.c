/* SPDX-License-Identifier: Apache-2.0 */
/* One plane of a depthwise convolution as its formula; the specification of dwconv_f32. */
#include "kernels/kernel_decls.h"

void clvk_dwconv_f32__ref(const clvi_dwconv_plane *p, const float *x, const float *k, float *y)
{
    for (size_t r = 0; r < p->oh; r++) {
        for (size_t q = 0; q < p->ow; q++) {
            double sum = (double)p->bias;
            for (size_t i = 0; i < p->kh; i++) {
                const ptrdiff_t row = (ptrdiff_t)(r * p->sh + i * p->dh) - p->pt;
                for (size_t j = 0; j < p->kw; j++) {
                    const ptrdiff_t column = (ptrdiff_t)(q * p->sw + j * p->dw) - p->pl;
                    if (row >= 0 && row < (ptrdiff_t)p->h && column >= 0 && column < (ptrdiff_t)p->w)
                        sum += (double)k[i * p->kw + j] * (double)x[(size_t)row * p->w + (size_t)column];
                }
            }
            float v = (float)sum;
            v = v < p->lo ? p->lo : v;
            y[r * p->ow + q] = v > p->hi ? p->hi : v;
        }
    }
}
