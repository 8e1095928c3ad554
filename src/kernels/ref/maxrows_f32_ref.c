/* SPDX-License-Identifier: Apache-2.0 */
/* The greatest of several rows, channel by channel; the specification of maxrows_f32. */
#include <math.h>

#include "kernels/kernel_decls.h"

void clvk_maxrows_f32__ref(size_t taps, const float *const *rows, float *y, size_t channels)
{
    for (size_t ch = 0; ch < channels; ch++) {
        float top = -INFINITY;
        for (size_t t = 0; t < taps; t++)
            if (rows[t][ch] > top || isnan(rows[t][ch]))
                top = rows[t][ch];
        y[ch] = top;
    }
}
