/* SPDX-License-Identifier: Apache-2.0 */
/* The structure check: what every pass may rely on and must leave behind. */
#include <string.h>

#include "graph/copy.h"
#include "graph/graph.h"
#include "graph/names.h"

static clv_status check_value(const clvi_graph *graph, size_t id, clv_error *err)
{
    const clvi_value *value = &graph->values[id];
    if (!value->name || !value->name[0])
        return FAIL(err, CLV_ERR_FORMAT, "value %zu has no name", id);
    const clvi_name *entry = clvi_names_find(graph->names, value->name);
    if (!entry || entry->id != (int32_t)id)
        return FAIL(err, CLV_ERR_FORMAT, "value %zu and value %d are both called \"%s\"", id,
                    entry ? (int)entry->id : CLVI_NONE, value->name);
    if (value->rank < -1 || value->rank > CLV_MAX_RANK)
        return FAIL(err, CLV_ERR_FORMAT, "value \"%s\": rank %d", value->name, value->rank);
    if (value->constant && clvi_check_tensor(value->constant, value->name, err) != CLV_OK) {
        if (err)
            err->code = CLV_ERR_FORMAT;
        return CLV_ERR_FORMAT;
    }
    return CLV_OK;
}

/* ids[0..n) in range; CLVI_NONE allowed when optional. */
static clv_status check_ids(const clvi_graph *graph, const clvi_node *node, const char *what, const int32_t *ids,
                            size_t n, clv_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < CLVI_NONE || ids[i] >= (int32_t)graph->n_values)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s %zu is value %d of %zu", clvi_node_label(graph, node),
                        what, i, (int)ids[i], graph->n_values);
    return CLV_OK;
}

static clv_status check_reads(const clvi_graph *graph, const clvi_node *node, const uint8_t *defined,
                              const int32_t *ids, size_t n, clv_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] != CLVI_NONE && !defined[ids[i]])
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\" (%s) reads \"%s\", which nothing before it makes",
                        clvi_node_label(graph, node), node->op_type, graph->values[ids[i]].name);
    return CLV_OK;
}

static clv_status check_node(const clvi_graph *graph, const clvi_node *node, uint8_t *defined, clv_error *err)
{
    TRY(check_ids(graph, node, "input", node->in, node->n_in, err));
    TRY(check_ids(graph, node, "output", node->out, node->n_out, err));
    TRY(check_ids(graph, node, "captured value", node->capture, node->n_capture, err));
    if (!node->op_type || !node->op_type[0])
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\" has no operator", clvi_node_label(graph, node));
    TRY(check_reads(graph, node, defined, node->in, node->n_in, err));
    TRY(check_reads(graph, node, defined, node->capture, node->n_capture, err));
    for (size_t i = 0; i < node->n_out; i++) {
        if (node->out[i] == CLVI_NONE)
            continue;
        if (defined[node->out[i]])
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\" (%s) makes \"%s\", which was made before",
                        clvi_node_label(graph, node), node->op_type, graph->values[node->out[i]].name);
        defined[node->out[i]] = 1;
    }
    for (size_t i = 0; i < node->n_attr; i++) {
        const clvi_attr *attr = &node->attr[i];
        if (!attr->name || !attr->name[0])
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": attribute %zu has no name", clvi_node_label(graph, node), i);
        if (attr->kind == CLVI_ATTR_TENSOR && (!attr->tensor || clvi_check_tensor(attr->tensor, attr->name, NULL)))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": attribute \"%s\" holds no whole tensor",
                        clvi_node_label(graph, node), attr->name);
    }
    return CLV_OK;
}

/* The lists of inputs and outputs against the flags of the values. */
static clv_status check_interface(const clvi_graph *graph, uint8_t *defined, clv_error *err)
{
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const int32_t id = graph->inputs[i];
        if (id < 0 || (size_t)id >= graph->n_values)
            return FAIL(err, CLV_ERR_FORMAT, "graph input %zu is value %d of %zu", i, (int)id, graph->n_values);
        if (!graph->values[id].is_input || graph->values[id].constant || defined[id])
            return FAIL(err, CLV_ERR_FORMAT, "graph input \"%s\" is listed twice or is a constant",
                        graph->values[id].name);
        defined[id] = 1;
    }
    for (size_t v = 0; v < graph->n_values; v++) {
        const clvi_value *value = &graph->values[v];
        if (value->is_input && !value->constant && !value->opaque && !defined[v])
            return FAIL(err, CLV_ERR_FORMAT, "value \"%s\" is marked as a graph input but not listed", value->name);
        if (value->constant || value->opaque)
            defined[v] = 1;
    }
    for (size_t i = 0; i < graph->n_outputs; i++) {
        const int32_t id = graph->outputs[i];
        if (id < 0 || (size_t)id >= graph->n_values || !graph->values[id].is_output)
            return FAIL(err, CLV_ERR_FORMAT, "graph output %zu is value %d, which is not marked as one", i, (int)id);
    }
    return CLV_OK;
}

clv_status clvi_graph_verify(const clvi_graph *graph, clv_error *err)
{
    uint8_t *defined = clvi_calloc(graph->n_values, 1);
    if (!defined)
        return FAIL(err, CLV_ERR_NOMEM, "graph: check of %zu values", graph->n_values);
    clv_status st = CLV_OK;
    for (size_t v = 0; v < graph->n_values; v++)
        if ((st = check_value(graph, v, err)) != CLV_OK)
            goto out;
    if ((st = check_interface(graph, defined, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < graph->n_nodes; i++)
        if ((st = check_node(graph, graph->nodes[i], defined, err)) != CLV_OK)
            goto out;
    for (size_t i = 0; i < graph->n_outputs; i++)
        if (!defined[graph->outputs[i]]) {
            st = FAIL(err, CLV_ERR_FORMAT, "graph output \"%s\" is made by no node",
                      graph->values[graph->outputs[i]].name);
            goto out;
        }
out:
    clvi_free(defined);
    return st;
}
