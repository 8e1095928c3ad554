/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that make steps of nodes: plan_steps.c goes through them, plan_fuse.c finds what can run as one,
 * plan_emit.c makes the step. */
#ifndef CLVI_RUNTIME_PLAN_BUILD_H
#define CLVI_RUNTIME_PLAN_BUILD_H

#include "ops/pixels.h"
#include "runtime/plan.h"

#define CLVI_CHAIN_NODES 12
#define CLVI_NO_NODE     SIZE_MAX

typedef struct clvi_build {
    clvi_plan *plan;
    const clvi_graph *graph;
    bool *keep;              /* [n_nodes] must run */
    bool *done;              /* [n_nodes] runs in a step that has been emitted */
    size_t *uses;            /* [n_values] reads by nodes that must run; being fetched counts as one more */
    size_t *reader;          /* [n_values] the last node that reads it */
    size_t *producer;        /* [n_values] the node that makes it; meaningful for what a node reads */
    bool *dense, *as_pixels; /* [n_values] forms that exist after the steps emitted so far; constants are dense */
} clvi_build;

/* A convolution of a chain: its node, its shape, what follows it. */
typedef struct clvi_link {
    size_t node; /* CLVI_NO_NODE: not there */
    clvi_conv_shape shape;
    float lo, hi;
    clvi_act_f32 act; /* slope: views a constant */
} clvi_link;

/* A convolution and what runs in the same step: x [times scale], [expand,] [depthwise,] conv, + add, y. */
typedef struct clvi_chain {
    size_t nodes[CLVI_CHAIN_NODES], n_nodes; /* in the order of the graph */
    clvi_link expand, depthwise, conv;
    int32_t x, add, scale, y; /* values; add and scale may be CLVI_NONE */
} clvi_chain;

/* Does node begin a chain that pixel steps can run? */
bool clvi_match_conv(const clvi_build *b, size_t node, clvi_chain *chain);

/* Does node multiply each channel of an image by a number (the end of squeeze and excitation), for one pointwise
 * convolution alone? */
bool clvi_match_scaled(const clvi_build *b, size_t node, clvi_chain *chain);

/* The pixel step that writes this slot alone and with any stride between pixels; NULL: none does. */
clvi_step *clvi_step_into(const clvi_build *b, int32_t slot);

/* Images of one pixel: dense form and pixels are the same memory. */
bool clvi_is_flat(const clv_tensor *t);

/* Can this operator run on pixels as it is, given that some of its inputs exist as pixels? */
bool clvi_match_elementwise(const clvi_build *b, size_t node);

/* Concat or Split along the channels, all of whose images exist as pixels? */
bool clvi_match_channels(const clvi_build *b, size_t node);

/* Reshape, Transpose, Reshape that shuffle the channels of an image that exists as pixels: the other two nodes, and the
 * number of groups. */
bool clvi_match_shuffle(const clvi_build *b, size_t node, size_t nodes[3], size_t *groups);

/* Concat along the channels whose operands are made by pixel steps, for it alone: they can write into the result. */
bool clvi_match_concat(const clvi_build *b, size_t node);

/* Concat of two halves of the channels that exist as pixels, a shuffle of it in two groups and, where nothing else
 * needs the whole, a split in halves: what the step writes. */
typedef struct clvi_exchange {
    size_t nodes[5], n_nodes;
    int32_t x[2], y[2]; /* values; y[1]: CLVI_NONE without the split */
} clvi_exchange;
bool clvi_match_exchange(const clvi_build *b, size_t node, clvi_exchange *found);

/* Slices of an image that exists as pixels, and zeros around its channels: the shortcut of a ResNet where the map
 * shrinks. One step, which may run before its turn: then the convolution that it is added to can do that. */
typedef struct clvi_part {
    size_t nodes[4], n_nodes;
    int32_t x, y; /* values */
    clvi_pixel_region region;
} clvi_part;
bool clvi_match_part(const clvi_build *b, size_t node, clvi_part *found);

/* Pooling stays on pixels where its input is; so does the mean of an image. */
bool clvi_match_pool(const clvi_build *b, size_t node, clvi_pool_shape *window);
bool clvi_match_global_mean(const clvi_build *b, size_t node);

/* A Gemm with constant weights is a pointwise convolution of images of one pixel: its kind fetches weights ahead, which
 * takes most of a classifier's time at batch 1. */
bool clvi_match_gemm(const clvi_build *b, size_t node, clvi_conv_shape *s);

/* Each appends one step, and changes of form before it. */
clv_status clvi_emit_node(clvi_build *b, size_t node, bool on_pixels, clv_error *err); /* an operator as it is */
clv_status clvi_emit_channels(clvi_build *b, size_t node, clv_error *err);
clv_status clvi_emit_shuffle(clvi_build *b, const size_t nodes[3], size_t groups, clv_error *err);
clv_status clvi_emit_part(clvi_build *b, const clvi_part *found, clv_error *err);
clv_status clvi_emit_exchange(clvi_build *b, const clvi_exchange *found, clv_error *err);
clv_status clvi_emit_concat(clvi_build *b, size_t node, clv_error *err); /* no step: changes those that write */
clv_status clvi_emit_chain(clvi_build *b, const clvi_chain *chain, clv_error *err);
clv_status clvi_emit_gemm(clvi_build *b, size_t node, const clvi_conv_shape *s, clv_error *err);
clv_status clvi_emit_pool(clvi_build *b, size_t node, const clvi_pool_shape *window, clv_error *err); /* NULL: mean */
clv_status clvi_need_dense(clvi_build *b, size_t node, int32_t v, clv_error *err);

#endif
