/* SPDX-License-Identifier: Apache-2.0 */
#include "search/cost.h"

static const char *const names[] = {"macs", "params", "bytes", "latency"};

const char *clvi_cost_name(clvi_cost kind)
{
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

double clvi_cost_of(clvi_cost kind, int64_t macs_per_pixel, int64_t pixels, int64_t parameters, int64_t parameter_bytes)
{
    if (kind == CLVI_COST_MACS)
        return (double)macs_per_pixel * (double)pixels;
    return (double)parameters * (kind == CLVI_COST_BYTES ? (double)parameter_bytes : 1);
}

int64_t clvi_conv_parameters(const clvi_conv *conv)
{
    return conv->o * (conv->c / conv->groups) * conv->kh * conv->kw + (conv->bias ? conv->o : 0);
}
