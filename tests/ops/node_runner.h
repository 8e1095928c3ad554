/* SPDX-License-Identifier: Apache-2.0 */
/* One node at work outside a session: every input has data, outputs are exact blocks so that sanitizers see each
 * overrun. */
#ifndef CLVI_TESTS_NODE_RUNNER_H
#define CLVI_TESTS_NODE_RUNNER_H

#include "ops/op.h"

typedef struct node_runner {
    const clvi_graph *graph;
    clv_tensor *values; /* [graph->n_values]; data of node outputs are given by malloc */
    clvi_pool *pool;
    clvi_kernels kernels;
    size_t limit;    /* bytes of one output; more is CLV_ERR_NOMEM */
    bool infer_only; /* check and infer shapes, as for inputs that are not known yet */
    bool in_place;   /* let the operator overwrite a copy of input 0 where it says that it may */
} node_runner;

/* values[i] = constants of the graph; everything else empty. CLV_ERR_NOMEM only. */
clv_status node_runner_open(node_runner *runner, const clvi_graph *graph, clvi_pool *pool, clv_error *err);

/* Frees the outputs of all nodes that ran. */
void node_runner_close(node_runner *runner);

/* infer, prepare, run, release. */
clv_status node_runner_step(node_runner *runner, const clvi_node *node, clv_error *err);

#endif
