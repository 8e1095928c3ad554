/* SPDX-License-Identifier: Apache-2.0 */
/* What a student is held against: outputs by position, blocks by the names of their values. */
#ifndef CLVI_TRAIN_PAIRS_H
#define CLVI_TRAIN_PAIRS_H

#include "graph/graph.h"

#define CLVI_MAX_PAIRS 64

typedef struct clvi_pairs {
    int32_t student[CLVI_MAX_PAIRS], teacher[CLVI_MAX_PAIRS]; /* value ids; outputs first */
    bool classes[CLVI_MAX_PAIRS]; /* [n, classes]: compared as distributions; logits where a Softmax follows */
    size_t n_outputs, n;
} clvi_pairs;

/* Blocks are what a residual sum gives, behind its activation; in a network without any, every activation. input: of
 * both networks, no data. CLV_ERR_ARG: outputs differ in number or shape. */
clv_status clvi_pairs_find(clvi_pairs *out, const clvi_graph *student, const clvi_graph *teacher,
                           const clv_tensor *input, clv_error *err);

#endif
