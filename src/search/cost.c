/* SPDX-License-Identifier: Apache-2.0 */
#include "search/cost.h"

static double parameters(const clvi_conv *conv)
{
    const double weights = (double)conv->o * (double)(conv->c / conv->groups) * (double)conv->kh * (double)conv->kw;
    return weights + (conv->bias ? (double)conv->o : 0);
}

double clvi_cost_of_conv(clvi_cost kind, const clvi_conv *conv, int64_t oh, int64_t ow)
{
    if (kind == CLVI_COST_PARAMETERS)
        return parameters(conv);
    return (double)clvi_conv_macs_per_pixel(conv) * (double)oh * (double)ow;
}

double clvi_cost_of_fit(clvi_cost kind, const clvi_fit *fit, int64_t oh, int64_t ow)
{
    double sum = 0;
    if (kind == CLVI_COST_MACS)
        return (double)fit->macs_per_pixel * (double)oh * (double)ow;
    for (size_t i = 0; i < fit->chain.n; i++)
        sum += parameters(&fit->chain.link[i]);
    return sum;
}
