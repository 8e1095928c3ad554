/* SPDX-License-Identifier: Apache-2.0 */
/* What each node does to the channels (axis 1) of the values that pass through it: what clvi_pass_prune_channels reads.
 * Shapes are not needed: a convolution says how many channels it makes and of which rank, and the rest follows. */
#ifndef CLVI_RUNTIME_CHANNEL_FLOW_H
#define CLVI_RUNTIME_CHANNEL_FLOW_H

#include "graph/graph.h"

typedef enum clvi_role {
    CLVI_ROLE_OTHER = 0, /* may look at every channel; its outputs are not tracked */
    CLVI_ROLE_MAKES,     /* output channels are independent of each other: Conv, ConvTranspose without groups */
    CLVI_ROLE_FIXED,     /* makes channels, none of which can be left out: grouped Conv */
    CLVI_ROLE_DEPTHWISE, /* outputs i m .. i m + m - 1 come from input channel i and stay together */
    CLVI_ROLE_PASSES,    /* channel by channel; constant operands may have an entry for each */
    CLVI_ROLE_JOINS,     /* channel by channel, of several inputs: Add */
    CLVI_ROLE_CONCAT,    /* one input after the other */
    CLVI_ROLE_GATHER     /* output j is input list[j] */
} clvi_role;

typedef struct clvi_channel_flow {
    const clvi_graph *graph;
    clvi_arena *arena;
    clvi_role *role;   /* [n_nodes] */
    int64_t **list;    /* [n_nodes] GATHER: [channels of the output], none negative; else NULL */
    int64_t *channels; /* [n_values] 0: not tracked */
    int *rank;         /* [n_values] of what is tracked */
} clvi_channel_flow;

/* Gives *out (clvi_channel_flow_free), valid until the graph changes. CLV_ERR_NOMEM. */
clv_status clvi_channel_flow_create(clvi_channel_flow *out, const clvi_graph *graph, clv_error *err);
void clvi_channel_flow_free(clvi_channel_flow *flow); /* NULL-safe; and resets to empty */

/* The axis of input i's constant along which it has an entry for each of `channels` channels of a value of this rank,
 * by NumPy's rules (BatchNormalization: axis 0); -1: the same for all. *fits is cleared when it is neither. */
int clvi_channel_axis(const clvi_graph *graph, const clvi_node *node, size_t i, int64_t channels, int rank, bool *fits);

#endif
