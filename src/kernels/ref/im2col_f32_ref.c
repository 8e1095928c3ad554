/* SPDX-License-Identifier: Apache-2.0 */
/* Panels of window columns, element by element; the specification of im2col_f32. */
#include "kernels/kernel_decls.h"

static float element(const clvi_im2col *p, const float *x, size_t t, size_t pixel)
{
    const size_t j = t % p->kw, i = t / p->kw % p->kh, c = t / p->kw / p->kh;
    const ptrdiff_t row = (ptrdiff_t)(pixel / p->ow * p->sh + i * p->dh) - p->pt;
    const ptrdiff_t column = (ptrdiff_t)(pixel % p->ow * p->sw + j * p->dw) - p->pl;
    if (row < 0 || row >= (ptrdiff_t)p->h || column < 0 || column >= (ptrdiff_t)p->w)
        return 0.0f;
    return x[(c * p->h + (size_t)row) * p->w + (size_t)column];
}

void clvk_im2col_f32__ref(const clvi_im2col *p, const float *x, size_t k0, size_t k, size_t first, size_t n, float *b)
{
    for (size_t panel = 0; panel < n; panel += p->nr)
        for (size_t t = 0; t < k; t++)
            for (size_t u = panel; u < panel + p->nr; u++)
                *b++ = u < n ? element(p, x, k0 + t, first + u) : 0.0f;
}
