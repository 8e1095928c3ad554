/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two files that make steps of nodes: plan_steps.c emits, plan_fuse.c finds what can run as one. */
#ifndef CLVI_RUNTIME_PLAN_BUILD_H
#define CLVI_RUNTIME_PLAN_BUILD_H

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

/* Images of one pixel: dense form and pixels are the same memory. */
bool clvi_is_flat(const clv_tensor *t);

/* Can this operator run on pixels as it is, given that some of its inputs exist as pixels? */
bool clvi_match_elementwise(const clvi_build *b, size_t node);

/* Concat or Split along the channels, all of whose images exist as pixels? */
bool clvi_match_channels(const clvi_build *b, size_t node);

/* Reshape, Transpose, Reshape that shuffle the channels of an image that exists as pixels: the other two nodes, and the
 * number of groups. */
bool clvi_match_shuffle(const clvi_build *b, size_t node, size_t nodes[3], size_t *groups);

#endif
