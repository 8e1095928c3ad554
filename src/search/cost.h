/* SPDX-License-Identifier: Apache-2.0 */
/* What a convolution, or the chain in its place, costs. Measured milliseconds join these models with the fast runtime.
 */
#ifndef CLVI_SEARCH_COST_H
#define CLVI_SEARCH_COST_H

#include <stdint.h>

#include "decompose/form.h"

typedef enum clvi_cost {
    CLVI_COST_MACS = 0,       /* multiply-adds for one image */
    CLVI_COST_PARAMETERS = 1, /* weights, biases among them */
} clvi_cost;

/* What a convolution, or a whole fitted chain, costs at oh x ow output positions. Reentrant. */
double clvi_cost_of_conv(clvi_cost kind, const clvi_conv *conv, int64_t oh, int64_t ow);
double clvi_cost_of_fit(clvi_cost kind, const clvi_fit *fit, int64_t oh, int64_t ow);

#endif
