/* SPDX-License-Identifier: Apache-2.0 */
/* What a Conv node is and whether it can be split, from shapes alone. */
#ifndef CLVI_MEASURE_CONV_FACTS_H
#define CLVI_MEASURE_CONV_FACTS_H

#include "decompose/form.h"
#include "ops/conv_shape.h"
#include "runtime/session.h"

typedef struct clvi_conv_facts {
    const char *kept;      /* why no form can take it, static storage; NULL: conv is set, ask the forms */
    clvi_conv_shape shape; /* zero when it is not known */
    clvi_conv conv;        /* geometry; without weights */
} clvi_conv_facts;

/* Errors of clvi_conv_shape_of. */
clv_status clvi_conv_facts_of(clvi_conv_facts *out, const clvi_graph *graph, const clvi_node *node,
                              const clvi_shapes *shapes, clv_error *err);

#endif
