/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/extract.h"

#include <string.h>

#include "base/mem.h"
#include "graph/copy.h"

static void need_all(bool *need, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] != CLVI_NONE)
            need[ids[i]] = true;
}

/* Does the node make something that is needed? Its inputs are needed then, too. */
static bool serves(bool *need, const clvi_node *node)
{
    bool wanted = false;
    for (size_t j = 0; j < node->n_out; j++)
        wanted = wanted || (node->out[j] != CLVI_NONE && need[node->out[j]]);
    if (wanted) {
        need_all(need, node->in, node->n_in);
        need_all(need, node->capture, node->n_capture);
    }
    return wanted;
}

/* Backwards over the nodes; given[v] stops the search, since a value that is given needs no producer. */
static size_t choose_nodes(clvi_graph *to, const clvi_graph *from, bool *need, const bool *given)
{
    size_t first = from->n_nodes;
    for (size_t i = from->n_nodes; i-- > 0;) {
        clvi_node *node = from->nodes[i];
        for (size_t j = 0; j < node->n_out; j++)
            if (node->out[j] != CLVI_NONE && given[node->out[j]])
                need[node->out[j]] = false;
        if (serves(need, node))
            to->nodes[--first] = node;
    }
    return first;
}

static clv_status fill(clvi_graph *to, const clvi_graph *from, const int32_t *inputs, size_t n_inputs,
                       const int32_t *outputs, size_t n_outputs, clv_error *err)
{
    bool *need = clvi_arena_calloc(to->arena, from->n_values, sizeof *need);
    bool *given = clvi_arena_calloc(to->arena, from->n_values, sizeof *given);
    to->values = clvi_copy_array(to->arena, from->values, from->n_values, sizeof *to->values);
    to->nodes = clvi_arena_calloc(to->arena, from->n_nodes, sizeof(clvi_node *));
    to->inputs = clvi_arena_calloc(to->arena, n_inputs + from->n_inputs, sizeof *to->inputs);
    to->outputs = clvi_copy_array(to->arena, outputs, n_outputs, sizeof *to->outputs);
    if (!need || !given || !to->values || !to->nodes || !to->inputs || !to->outputs)
        return FAIL(err, CLV_ERR_NOMEM, "part of a graph of %zu nodes", from->n_nodes);
    need_all(need, outputs, n_outputs);
    need_all(given, inputs, n_inputs);
    const size_t first = choose_nodes(to, from, need, given);
    to->n_nodes = from->n_nodes - first;
    memmove(to->nodes, to->nodes + first, to->n_nodes * sizeof(clvi_node *));
    memcpy(to->inputs, inputs, n_inputs * sizeof *inputs);
    to->n_inputs = n_inputs;
    for (size_t i = 0; i < from->n_inputs; i++)
        if (need[from->inputs[i]] && !given[from->inputs[i]])
            to->inputs[to->n_inputs++] = from->inputs[i];
    for (size_t v = 0; v < from->n_values; v++)
        to->values[v].is_input = to->values[v].is_output = false;
    for (size_t i = 0; i < to->n_inputs; i++) {
        clvi_value *value = &to->values[to->inputs[i]];
        value->is_input = true;
        value->rank = -1; /* declared shapes of intermediate values may speak of another batch */
    }
    for (size_t i = 0; i < n_outputs; i++)
        to->values[outputs[i]].is_output = true;
    return CLV_OK;
}

clv_status clvi_graph_extract(clvi_graph **out, const clvi_graph *graph, const int32_t *inputs, size_t n_inputs,
                              const int32_t *outputs, size_t n_outputs, clv_error *err)
{
    clvi_graph *to = NULL;
    *out = NULL;
    TRY(clvi_graph_create(&to, err));
    to->name = graph->name;
    to->ir_version = graph->ir_version;
    to->opsets = graph->opsets;
    to->n_opsets = graph->n_opsets;
    to->n_values = graph->n_values;
    to->n_outputs = n_outputs;
    const clv_status st = fill(to, graph, inputs, n_inputs, outputs, n_outputs, err);
    if (st == CLV_OK)
        *out = to;
    else
        clvi_graph_free(to);
    return st;
}

clv_status clvi_graph_live_at(bool *live, const clvi_graph *graph, size_t at, const int32_t *wanted, size_t n_wanted,
                              clv_error *err)
{
    clvi_uses uses;
    TRY(clvi_uses_create(&uses, graph, err));
    memset(live, 0, graph->n_values * sizeof *live);
    need_all(live, wanted, n_wanted);
    for (size_t i = graph->n_nodes; i-- > at;)
        (void)serves(live, graph->nodes[i]);
    for (size_t v = 0; v < graph->n_values; v++) {
        const int32_t producer = uses.producer[v];
        const bool early = producer == CLVI_NONE ? graph->values[v].is_input : (size_t)producer < at;
        live[v] = live[v] && early && !graph->values[v].constant;
    }
    clvi_uses_free(&uses);
    return CLV_OK;
}
