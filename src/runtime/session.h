/* SPDX-License-Identifier: Apache-2.0 */
/* Running a graph: plan for concrete input shapes, then run. */
#ifndef CLVI_RUNTIME_SESSION_H
#define CLVI_RUNTIME_SESSION_H

#include "base/context.h"
#include "graph/graph.h"

typedef struct clvi_session clvi_session;

/* What a plan may do beyond running node by node; each can be switched off to measure or to compare. */
typedef enum clvi_fuse {
    CLVI_FUSE_LAYOUT = 1,    /* convolutions and what follows them channels last; the others need it */
    CLVI_FUSE_EPILOGUE = 2,  /* residual addition and clamp in the step that makes the tensor */
    CLVI_FUSE_SEPARABLE = 4, /* depthwise and the pointwise layer behind it as one step */
    CLVI_FUSE_INVERTED = 8,  /* pointwise, depthwise, pointwise as one step; needs the two before */
    CLVI_FUSE_WINOGRAD = 16, /* 3x3 convolutions of stride 1 by Winograd */
    CLVI_FUSE_ALL = 31,
    CLVI_FUSE_ALWAYS = 32 /* also where it is not expected to pay */
} clvi_fuse;

typedef struct clvi_session_opts {
    const int32_t *fetch; /* value ids wanted; NULL: the graph's outputs. Nodes that no fetch needs are not run. */
    size_t n_fetch;
    bool profile;       /* keep the time of every node and step (runtime/profile.h) */
    unsigned dont_fuse; /* clvi_fuse bits that are switched off, besides those that CLEAVE_FUSE leaves out: a list of
                           "layout", "epilogue", "separable", "inverted", "winograd" separated by commas, or "none" */
    bool fuse_always;   /* wherever a fusion is possible, not only where it is expected to pay: for tests */
} clvi_session_opts;

/* The session borrows graph and context, both must outlive it and graph must not change. The plan is made at the first
 * run and again whenever the input shapes change. CLV_ERR_UNSUP names the first operator that cannot be run. */
clv_status clvi_session_create(clvi_session **out, const clvi_graph *graph, const clvi_session_opts *opts,
                               clv_context *context, clv_error *err);
void clvi_session_free(clvi_session *session); /* NULL-safe */

/* inputs[i] is graph->inputs[i] (borrowed; NULL data allowed for an input that no fetch needs); float16 / bfloat16 /
 * float64 are converted. outputs[j] views fetch j: valid until the next run or free; float types come back as declared
 * when the fetch is a graph output with a declared type, else as float32. Same bits for any number of threads. */
clv_status clvi_session_run(clvi_session *session, const clv_tensor *inputs, size_t n_inputs, clv_tensor *outputs,
                            clv_error *err);

size_t clvi_session_peak_bytes(const clvi_session *session); /* activations of the current plan */

/* Seconds spent in node i of the graph since creation; 0 without profile. A fused step counts for its last convolution.
 */
double clvi_session_node_seconds(const clvi_session *session, size_t node);

/* --- shapes without running ------------------------------------------------------------------------------------- */

/* Shapes, types and folded constants of every value for given input shapes (inputs[i].data ignored). */
typedef struct clvi_shapes {
    clvi_arena *arena;
    clv_tensor *values; /* [n_values]; rank -1: not reached (behind an unsupported operator); data: constant, or NULL */
    int64_t *macs;      /* [n_nodes] multiply-adds, 0 where none */
    size_t n_values, n_nodes;
} clvi_shapes;

/* Nodes that cannot be run leave their outputs unknown (the declared shape is used when it is complete) and do not fail
 * the call; a malformed node does. */
clv_status clvi_shapes_infer(clvi_shapes *out, const clvi_graph *graph, const clv_tensor *inputs, size_t n_inputs,
                             clv_error *err);
void clvi_shapes_free(clvi_shapes *shapes);

/* Concrete input tensors (no data) for a graph: symbolic first dimensions become `batch`, other unknown dimensions
 * `extent`. tensors has graph->n_inputs elements. */
void clvi_default_inputs(const clvi_graph *graph, int64_t batch, int64_t extent, clv_tensor *tensors);

#endif
