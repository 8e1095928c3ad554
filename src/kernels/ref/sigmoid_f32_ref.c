/* SPDX-License-Identifier: Apache-2.0 */
/* The logistic function as its formula, in double; the specification of sigmoid_f32. */
#include <math.h>

#include "kernels/kernel_decls.h"

void clvk_sigmoid_f32__ref(const float *x, float *y, size_t n, bool times_x)
{
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i], s = 1.0 / (1.0 + exp(-v));
        y[i] = (float)(times_x ? v * s : s);
    }
}
