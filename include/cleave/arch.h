/* SPDX-License-Identifier: Apache-2.0 */
/* Networks made in code, with random weights: to train, to measure with, to try things on. */
#ifndef CLEAVE_ARCH_H
#define CLEAVE_ARCH_H

#include <stddef.h>
#include <stdint.h>

#include "cleave/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_arch_opts {
    int64_t classes; /* 0: 10 or 1000, as the network's own data have */
    int64_t side;    /* of the square input; 0: 32 or 224 */
    double width;    /* multiplies the numbers of channels; 1. Only where the family defines it */
    uint64_t seed;   /* of the weights, 1 */
} clv_arch_opts;

typedef struct clv_arch_info {
    const char *name, *summary, *preprocess; /* static storage; the preset that its own data use */
    int64_t side, classes;                   /* defaults */
} clv_arch_info;

/* Reentrant. */
CLV_API clv_arch_opts clv_arch_opts_default(void);

/* How many networks there are, and which. CLV_ERR_ARG: index out of range. Reentrant. */
CLV_API size_t clv_arch_count(void);
CLV_API clv_status clv_arch_describe(size_t index, clv_arch_info *out, clv_error *err);

/* Gives *out (clv_model_free): the network `name`, opset 13, input [batch, 3, side, side] with a symbolic batch, output
 * "logits" [batch, classes]. Convolutions have He's initialisation, BatchNorm nodes are there with scale 1, shift 0 and
 * statistics under which activations keep their size, so that the network can be trained and can be run as it is. The
 * same name, options and library give the same bytes. The preprocessing is in the metadata. opts may be NULL.
 * CLV_ERR_ARG: an unknown name (the message lists them), options out of range, an input too small. Reentrant. */
CLV_API clv_status clv_arch_build(clv_model **out, const char *name, const clv_arch_opts *opts, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
