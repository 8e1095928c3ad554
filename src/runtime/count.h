/* SPDX-License-Identifier: Apache-2.0 */
/* What a network costs: multiply-adds, parameters, bytes of weights. */
#ifndef CLVI_RUNTIME_COUNT_H
#define CLVI_RUNTIME_COUNT_H

#include "graph/graph.h"

typedef struct clvi_count {
    int64_t macs; /* multiply-adds (1 MAC = one multiplication and one addition) of Conv, ConvTranspose, Gemm, MatMul */
    int64_t parameters; /* elements of the floating initializers that nodes read, each counted once */
    int64_t bytes;      /* of all initializers that nodes read, in the types of the file */
} clvi_count;

/* Per inference with these inputs, shapes alone; inputs NULL: clvi_default_inputs at batch 1 and extent 224, so per
 * image. Nodes whose shapes cannot be known count 0; clvi_shapes has the numbers per node. Errors of clvi_shapes_infer.
 * Reentrant. */
clv_status clvi_count_graph(clvi_count *out, const clvi_graph *graph, const clv_tensor *inputs, size_t n_inputs,
                            clv_error *err);

#endif
