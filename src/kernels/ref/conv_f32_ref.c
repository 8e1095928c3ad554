/* SPDX-License-Identifier: Apache-2.0 */
/* A whole grouped 2-D convolution in double, the judge of every convolution algorithm. */
#include <math.h>

#include "kernels/kernels.h"

static void pixel(const clvi_conv_ref *p, const float *x, const float *w, size_t r, size_t q, double *sum,
                  double *magnitude)
{
    for (size_t c = 0; c < p->c / p->groups; c++) {
        for (size_t i = 0; i < p->kh; i++) {
            for (size_t j = 0; j < p->kw; j++) {
                const ptrdiff_t row = (ptrdiff_t)(r * p->sh + i * p->dh) - p->pt;
                const ptrdiff_t column = (ptrdiff_t)(q * p->sw + j * p->dw) - p->pl;
                if (row < 0 || row >= (ptrdiff_t)p->h || column < 0 || column >= (ptrdiff_t)p->w)
                    continue;
                const double product = (double)w[(c * p->kh + i) * p->kw + j] *
                                       (double)x[(c * p->h + (size_t)row) * p->w + (size_t)column];
                *sum += product;
                *magnitude += fabs(product);
            }
        }
    }
}

void clvk_conv_f32__ref(const clvi_conv_ref *p, const float *x, const float *w, const float *bias, double *y,
                        double *magnitude)
{
    const size_t cg = p->c / p->groups, og = p->o / p->groups;
    size_t at = 0;
    for (size_t n = 0; n < p->n; n++) {
        for (size_t o = 0; o < p->o; o++) {
            const float *planes = x + (n * p->c + o / og * cg) * p->h * p->w;
            for (size_t r = 0; r < p->oh; r++) {
                for (size_t q = 0; q < p->ow; q++, at++) {
                    double sum = bias ? (double)bias[o] : 0.0, size = fabs(sum);
                    pixel(p, planes, w + o * cg * p->kh * p->kw, r, q, &sum, &size);
                    y[at] = sum;
                    if (magnitude)
                        magnitude[at] = size;
                }
            }
        }
    }
}
