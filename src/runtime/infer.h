/* SPDX-License-Identifier: Apache-2.0 */
/* Shape inference one node at a time, with folding of what is already known. Used by shapes.c and plan.c. */
#ifndef CLVI_RUNTIME_INFER_H
#define CLVI_RUNTIME_INFER_H

#include "kernels/kernels.h"
#include "ops/op.h"
#include "runtime/session.h"

typedef struct clvi_infer {
    const clvi_graph *graph;
    const clvi_kernels *kernels; /* borrowed */
    clvi_pool *pool;
    clvi_shapes shapes;  /* the result; moved out by its user */
    size_t folded_bytes; /* so far, against a limit that a hostile model cannot pass */
} clvi_infer;

/* values[n_values]: the initializers as views, the floating ones as float32 (converted into arena where they are not);
 * rank -1 for all else. values is written whole. */
clv_status clvi_infer_constants(const clvi_graph *graph, clvi_arena *arena, clv_tensor *values, clv_error *err);

/* Fill infer->shapes: `constants` (from clvi_infer_constants, viewed; NULL: made here) and the graph's inputs. An input
 * of rank -1 stays unknown. On failure nothing is owned. */
clv_status clvi_infer_begin(clvi_infer *infer, const clv_tensor *constants, const clv_tensor *inputs, size_t n_inputs,
                            clv_error *err);

/* Set shape, type and, where they can be known, data of the outputs of node `index`. CLV_ERR_UNSUP: the operator is
 * unknown or an input's shape is; the outputs are unknown then. */
clv_status clvi_infer_node(clvi_infer *infer, size_t index, clv_error *err);

/* A call for node `index` over the tensors of `shapes`; its pointer arrays live in shapes->arena. */
clv_status clvi_call_bind(clvi_op_call *call, const clvi_graph *graph, size_t index, clvi_shapes *shapes,
                          clv_error *err);

/* Bytes of a tensor's elements; false when its shape is unknown or too large. */
bool clvi_tensor_bytes(const clv_tensor *tensor, size_t *bytes);

/* float16, bfloat16 and float64 become CLV_FLOAT32, the type they are computed in; others stay. */
clv_dtype clvi_compute_dtype(clv_dtype dtype);

/* Put `node "label": ` before a message that does not name the node yet. Returns status. */
clv_status clvi_fail_at_node(clv_error *err, clv_status status, const clvi_graph *graph, const clvi_node *node);

#endif
