/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pass_edit.h"

#include <string.h>

#include "graph/dead_code.h"

void clvi_count_uses(const clvi_graph *graph, size_t *counts)
{
    memset(counts, 0, graph->n_values * sizeof *counts);
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *const node = graph->nodes[i];
        for (size_t j = 0; j < node->n_in; j++)
            if (node->in[j] != CLVI_NONE)
                counts[node->in[j]]++;
        for (size_t j = 0; j < node->n_capture; j++)
            counts[node->capture[j]]++;
    }
    for (size_t i = 0; i < graph->n_outputs; i++)
        counts[graph->outputs[i]]++;
}

void clvi_remove_nodes(clvi_graph *graph, const bool *gone)
{
    size_t kept = 0;
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (!gone[i])
            graph->nodes[kept++] = graph->nodes[i];
    graph->n_nodes = kept;
}

clv_status clvi_pass_apply(clvi_graph *graph, clv_status (*apply)(clvi_graph *copy, clv_error *err), clv_error *err)
{
    clvi_graph *copy = NULL;
    clv_status st = CLV_OK;
    if ((st = clvi_graph_clone(&copy, graph, err)) != CLV_OK || (st = apply(copy, err)) != CLV_OK ||
        (st = clvi_pass_dead_code(copy, NULL, err)) != CLV_OK || (st = clvi_graph_verify(copy, err)) != CLV_OK)
        goto out;
    const clvi_graph old = *graph;
    *graph = *copy;
    *copy = old; /* freed below */
out:
    clvi_graph_free(copy);
    return st;
}
