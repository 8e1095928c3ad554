/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/dead_code.h"

static bool any_needed(const uint8_t *needed, const clvi_node *node)
{
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i] != CLVI_NONE && needed[node->out[i]])
            return true;
    return false;
}

static void need(uint8_t *needed, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] != CLVI_NONE)
            needed[ids[i]] = 1;
}

clv_status clvi_pass_dead_code(clvi_graph *graph, size_t *removed, clv_error *err)
{
    uint8_t *needed = clvi_calloc(graph->n_values, 1);
    if (!needed)
        return FAIL(err, CLV_ERR_NOMEM, "dead code: %zu values", graph->n_values);

    /* Backwards, so that a node is asked after all its readers; the survivors move to the end of the array. */
    need(needed, graph->outputs, graph->n_outputs);
    size_t first = graph->n_nodes;
    for (size_t i = graph->n_nodes; i-- > 0;) {
        clvi_node *node = graph->nodes[i];
        if (!any_needed(needed, node))
            continue;
        need(needed, node->in, node->n_in);
        need(needed, node->capture, node->n_capture);
        graph->nodes[--first] = node;
    }
    graph->n_nodes -= first;
    for (size_t i = 0; first && i < graph->n_nodes; i++)
        graph->nodes[i] = graph->nodes[first + i];

    for (size_t v = 0; v < graph->n_values; v++) {
        clvi_value *value = &graph->values[v];
        if (!value->constant || needed[v] || value->keep)
            continue;
        value->constant = NULL;
        value->is_input = false; /* IR < 4 lists initializers as inputs */
        value->raw_info = value->raw_tensor = (clvi_blob){0};
    }
    if (removed)
        *removed = first;
    clvi_free(needed);
    return CLV_OK;
}
