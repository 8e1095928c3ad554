/* SPDX-License-Identifier: Apache-2.0 */
/* What a network may cost: the cost models that a budget can speak of. Seconds are measured, not counted: time_curve.h.
 */
#ifndef CLVI_SEARCH_COST_H
#define CLVI_SEARCH_COST_H

#include <stdint.h>

#include "decompose/form.h"

typedef enum clvi_cost {
    CLVI_COST_MACS = 0,       /* multiply-adds for one image */
    CLVI_COST_PARAMETERS = 1, /* weights, biases among them */
    CLVI_COST_BYTES = 2,      /* of the weights as they are stored */
    CLVI_COST_LATENCY = 3,    /* seconds for one image in this runtime, on this machine */
} clvi_cost;

const char *clvi_cost_name(clvi_cost kind); /* "macs", "params", "bytes", "latency": the words of a budget */

/* One layer, of what is counted: MACs for each of `pixels` output positions, and parameters of `parameter_bytes` each.
 */
double clvi_cost_of(clvi_cost kind, int64_t macs_per_pixel, int64_t pixels, int64_t parameters,
                    int64_t parameter_bytes);

/* Weights and biases of a convolution; clvi_chain_parameters is that of a chain. */
int64_t clvi_conv_parameters(const clvi_conv *conv);

#endif
