/* SPDX-License-Identifier: Apache-2.0 */
/* Activations as their formulas, in double; the specification of act_f32. */
#include <math.h>

#include "kernels/kernel_decls.h"

static double hard(const clvi_act_f32 *act, double v)
{
    const double h = (double)act->alpha * v + (double)act->beta;
    return h < 0.0 ? 0.0 : h > 1.0 ? 1.0 : h;
}

static double apply(const clvi_act_f32 *act, size_t j, double v)
{
    switch (act->kind) {
    case CLVI_ACT_SIGMOID:
        return 1.0 / (1.0 + exp(-v));
    case CLVI_ACT_SILU:
        return v / (1.0 + exp(-v));
    case CLVI_ACT_HARD_SIGMOID:
        return hard(act, v);
    case CLVI_ACT_HARD_SWISH:
        return v * hard(act, v);
    case CLVI_ACT_LEAKY:
        return v < 0.0 ? (double)act->alpha * v : v;
    case CLVI_ACT_PRELU:
        return v < 0.0 ? (double)act->slope[j] * v : v;
    default:
        return v;
    }
}

void clvk_act_f32__ref(const clvi_act_f32 *act, float *y, size_t rows, size_t n, size_t ld)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            y[i * ld + j] = (float)apply(act, j, (double)y[i * ld + j]);
}
