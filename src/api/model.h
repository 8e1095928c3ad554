/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind the public handle of a model. */
#ifndef CLVI_API_MODEL_H
#define CLVI_API_MODEL_H

#include "cleave/model.h"
#include "graph/graph.h"

struct clv_model {
    clvi_graph *graph; /* owned; a job that rewrites the model swaps it for another one */
};

/* Gives *out around a graph, which is taken: freed on failure too. */
clv_status clvi_model_wrap(clv_model **out, clvi_graph *graph, clv_error *err);

#endif
