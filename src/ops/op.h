/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is to the rest of the library: one row of the table in ops/op_list.h.
 *
 * All floating types are computed as CLV_FLOAT32: the session converts float16, bfloat16 and float64 tensors at its
 * doors. Movement operators (Concat, Slice, ...) work on any element size. Tensors are dense, row-major, and `data` is
 * CLV_ALIGN-aligned when the session made it, float-aligned at least. */
#ifndef CLVI_OPS_OP_H
#define CLVI_OPS_OP_H

#include "base/pool.h"
#include "graph/graph.h"
#include "kernels/kernels.h"

/* One node at work. The session fills all but what is said otherwise. */
typedef struct clvi_op_call {
    const clvi_graph *graph;
    const clvi_node *node;
    int64_t opset; /* of the node's domain, as imported by the model */
    size_t n_in, n_out;
    const clv_tensor *const *in; /* NULL: left out. data is NULL in infer() unless the value is constant */
    clv_tensor *const *out;      /* NULL: left out. infer() sets dtype, rank, dims; run() writes data */
    void *state;                 /* what prepare() made, or NULL */
    void *work;                  /* work() bytes of scratch, CLV_ALIGN-aligned, or NULL */
    clvi_pool *pool;
    const clvi_kernels *kernels;
} clvi_op_call;

typedef struct clvi_op {
    const char *type; /* ONNX name, default domain */
    int since, until; /* opset versions of the model that this row serves, both inclusive; until 0: no end */

    /* Check inputs and attributes, set the outputs' dtype and shape. Messages: node label, offending values. */
    clv_status (*infer)(clvi_op_call *call, clv_error *err);

    /* Compute the outputs. Shapes were inferred before; must not allocate. */
    clv_status (*run)(clvi_op_call *call, clv_error *err);

    /* Optional. Multiply-adds of one run, from shapes alone (convolution, Gemm, MatMul). NULL: none. */
    int64_t (*macs)(const clvi_op_call *call);

    /* Optional. Scratch bytes that run() needs. NULL: none. */
    size_t (*work)(const clvi_op_call *call);

    /* Optional. Made once a plan, from shapes and constant inputs (data set): e.g. packed weights. Stored in
     * call->state, freed by release(). */
    clv_status (*prepare)(clvi_op_call *call, clv_error *err);
    void (*release)(void *state);

    /* Optional. true: output 0 may share the memory of input 0 (elementwise; or same bytes, as Reshape). */
    bool (*in_place)(const clvi_op_call *call);
} clvi_op;

/* The row that serves this node at this opset; NULL when the library cannot run it. */
const clvi_op *clvi_op_find(const clvi_graph *graph, const clvi_node *node);

/* "operator X (opset n)" sentence for CLV_ERR_UNSUP. */
clv_status clvi_op_unsupported(const clvi_graph *graph, const clvi_node *node, clv_error *err);

/* All rows, for tests and docs; *n rows. */
const clvi_op *const *clvi_op_all(size_t *n);

/* --- help for operator files ----------------------------------------------------------------------------------- */

const char *clvi_call_label(const clvi_op_call *call);

/* CLV_ERR_FORMAT unless the call has between min_in and max_in inputs (the first min_in present) and at least one
 * output. */
clv_status clvi_call_arity(const clvi_op_call *call, size_t min_in, size_t max_in, clv_error *err);

/* Input i when present, else NULL. */
const clv_tensor *clvi_call_in(const clvi_op_call *call, size_t i);

/* The int64 (or int32) values of a constant 1-D or scalar input; CLV_ERR_UNSUP when its data are not known at plan
 * time, CLV_ERR_FORMAT when the type or count is wrong. At most max values are written; *count says how many. */
clv_status clvi_call_const_ints(const clvi_op_call *call, size_t i, int64_t *out, size_t max, size_t *count,
                                clv_error *err);

/* CLV_ERR_UNSUP unless input i has this dtype (floating types are float32 here). */
clv_status clvi_call_want(const clvi_op_call *call, size_t i, clv_dtype dtype, clv_error *err);

/* Output 0 gets the shape of input 0 and this dtype. */
clv_status clvi_call_same_shape(const clvi_op_call *call, clv_dtype dtype, clv_error *err);

/* A list of integers that older versions keep in attribute `name` and newer ones in constant input i: the input when it
 * is present, else the attribute, else *found is false and *count is 0. */
clv_status clvi_call_ints(const clvi_op_call *call, const char *name, size_t i, int64_t *out, size_t max, size_t *count,
                          bool *found, clv_error *err);

/* Axes of a tensor of this rank, each in [-rank, rank) and no two the same -> chosen[axis] = true. */
clv_status clvi_call_axes(const clvi_op_call *call, const int64_t *axes, size_t count, int rank,
                          bool chosen[CLV_MAX_RANK], clv_error *err);

/* axis in [-rank, rank) -> [0, rank); CLV_ERR_FORMAT otherwise. */
clv_status clvi_call_axis(const clvi_op_call *call, int64_t axis, int rank, int *out, clv_error *err);

/* NumPy broadcasting of two shapes into out (dims and rank alone). */
clv_status clvi_call_broadcast(const clvi_op_call *call, const clv_tensor *a, const clv_tensor *b, clv_tensor *out,
                               clv_error *err);

/* Set the shape of out; checks that the element count and byte size fit. */
clv_status clvi_call_set_shape(const clvi_op_call *call, clv_tensor *out, clv_dtype dtype, int rank,
                               const int64_t *dims, clv_error *err);

#endif
