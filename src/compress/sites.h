/* SPDX-License-Identifier: Apache-2.0 */
/* Where a network can be split: its convolutions, in the order they are fitted, and what each one is fitted to. */
#ifndef CLVI_COMPRESS_SITES_H
#define CLVI_COMPRESS_SITES_H

#include "compress/emit.h"
#include "decompose/activation.h"
#include "decompose/form.h"
#include "graph/graph.h"
#include "ops/conv_shape.h"
#include "runtime/session.h"

typedef struct clvi_site {
    const char *name;           /* the node's label, views the graph */
    clvi_node *node;            /* the Conv, in the graph that was searched; its value ids hold in every clone */
    int32_t x, y;               /* input and output values */
    int32_t sum;                /* output of the residual Add that y feeds, or CLVI_NONE */
    int32_t shortcut;           /* the Add's other operand, or CLVI_NONE */
    clvi_conv_shape shape;      /* at batch 1 */
    clvi_conv conv;             /* weights converted to float32 */
    int64_t weight_bytes;       /* of one weight as it is stored */
    clvi_activation activation; /* the only reader of y, or of the sum where there is one; NONE when there are others */
    int32_t mean;     /* the mean over all pixels that y, behind an activation at most, alone goes into; or NONE */
    int32_t next;     /* index of the convolution that alone reads y, behind an activation at most; or NONE */
    const char *kept; /* NULL: to be split; else why not, a sentence in static storage */
    clvi_emit emit;   /* how clvi_site_rewrite writes filters beyond the first; 0, the default, when found */
} clvi_site;

typedef struct clvi_sites {
    clvi_arena *arena;
    clvi_site *site; /* every Conv of the graph, topological order */
    size_t n;
} clvi_sites;

/* shapes: of `graph` at batch 1. A convolution behind an operator that cannot be run is kept with that reason. */
clv_status clvi_sites_find(clvi_sites *out, const clvi_graph *graph, const clvi_shapes *shapes, clv_error *err);
void clvi_sites_free(clvi_sites *sites);

/* The index of the Conv node that makes value y in a clone (nodes move when others are replaced); CLVI_NONE when gone.
 */
int32_t clvi_site_node(const clvi_graph *graph, const clvi_site *site);

/* Put a fitted chain in the place of the site's node, in a clone: Gather where a link asks for it, then Conv after
 * Conv; the last one writes y. site->emit decides how several filters a channel are written. A link that reads nothing
 * becomes a Conv of zeros over one channel, for its shape; clvi_pass_absorb_constants takes it out where that can be.
 * Weights take the type that the original weights had. */
clv_status clvi_site_rewrite(clvi_graph *graph, const clvi_site *site, const clvi_chain *chain, clv_error *err);

#endif
