/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and their attributes. */
#include <string.h>

#include "graph/copy.h"
#include "graph/graph.h"

clvi_node *clvi_node_new(clvi_graph *graph, const char *op_type, const char *name, const int32_t *in, size_t n_in,
                         const int32_t *out, size_t n_out)
{
    clvi_node *node = clvi_arena_calloc(graph->arena, 1, sizeof *node);
    if (!node)
        return NULL;
    node->name = clvi_arena_strdup(graph->arena, name ? name : "");
    node->op_type = clvi_arena_strdup(graph->arena, op_type);
    node->domain = "";
    node->in = clvi_copy_array(graph->arena, in, n_in, sizeof *in);
    node->n_in = n_in;
    node->out = clvi_copy_array(graph->arena, out, n_out, sizeof *out);
    node->n_out = n_out;
    return node->name && node->op_type && node->in && node->out ? node : NULL;
}

/* Put the attribute in the place of the one of that name, or behind the others. */
static clv_status set_attr(clvi_graph *graph, clvi_node *node, const char *name, clvi_attr attr, clv_error *err)
{
    for (size_t i = 0; i < node->n_attr; i++)
        if (strcmp(node->attr[i].name, name) == 0) {
            attr.name = node->attr[i].name;
            node->attr[i] = attr;
            return CLV_OK;
        }
    attr.name = clvi_arena_strdup(graph->arena, name);
    clvi_attr *longer = clvi_arena_calloc(graph->arena, node->n_attr + 1, sizeof *longer);
    if (!attr.name || !longer)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\": attribute \"%s\"", node->name, name);
    if (node->n_attr)
        memcpy(longer, node->attr, node->n_attr * sizeof *longer);
    longer[node->n_attr] = attr;
    node->attr = longer;
    node->n_attr++;
    return CLV_OK;
}

clv_status clvi_node_set_ints(clvi_graph *graph, clvi_node *node, const char *name, const int64_t *ints, size_t count,
                              clv_error *err)
{
    const int64_t *copy = clvi_copy_array(graph->arena, ints, count, sizeof *ints);
    if (!copy)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\": attribute \"%s\"", node->name, name);
    return set_attr(graph, node, name, (clvi_attr){.kind = CLVI_ATTR_INTS, .count = count, .ints = copy}, err);
}

clv_status clvi_node_set_int(clvi_graph *graph, clvi_node *node, const char *name, int64_t i, clv_error *err)
{
    return set_attr(graph, node, name, (clvi_attr){.kind = CLVI_ATTR_INT, .i = i}, err);
}

clv_status clvi_node_set_float(clvi_graph *graph, clvi_node *node, const char *name, float f, clv_error *err)
{
    return set_attr(graph, node, name, (clvi_attr){.kind = CLVI_ATTR_FLOAT, .f = f}, err);
}

clv_status clvi_node_set_string(clvi_graph *graph, clvi_node *node, const char *name, const char *s, clv_error *err)
{
    clvi_attr attr = {.kind = CLVI_ATTR_STRING};
    if (!clvi_copy_blob(graph->arena, &attr.s, (clvi_blob){(const uint8_t *)s, strlen(s)}))
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\": attribute \"%s\"", node->name, name);
    return set_attr(graph, node, name, attr, err);
}

clv_status clvi_node_set_tensor(clvi_graph *graph, clvi_node *node, const char *name, const clv_tensor *tensor,
                                clv_error *err)
{
    TRY(clvi_check_tensor(tensor, name, err));
    const clv_tensor *copy = clvi_copy_tensor(graph->arena, tensor);
    if (!copy)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\": attribute \"%s\"", node->name, name);
    return set_attr(graph, node, name, (clvi_attr){.kind = CLVI_ATTR_TENSOR, .tensor = copy}, err);
}

const clvi_attr *clvi_node_attr(const clvi_node *node, const char *name)
{
    for (size_t i = 0; i < node->n_attr; i++)
        if (strcmp(node->attr[i].name, name) == 0)
            return &node->attr[i];
    return NULL;
}

static const clvi_attr *attr_of_kind(const clvi_node *node, const char *name, clvi_attr_kind kind)
{
    const clvi_attr *attr = clvi_node_attr(node, name);
    return attr && attr->kind == kind ? attr : NULL;
}

int64_t clvi_node_int(const clvi_node *node, const char *name, int64_t absent)
{
    const clvi_attr *attr = attr_of_kind(node, name, CLVI_ATTR_INT);
    return attr ? attr->i : absent;
}

float clvi_node_float(const clvi_node *node, const char *name, float absent)
{
    const clvi_attr *attr = attr_of_kind(node, name, CLVI_ATTR_FLOAT);
    return attr ? attr->f : absent;
}

const char *clvi_node_string(const clvi_node *node, const char *name, const char *absent)
{
    const clvi_attr *attr = attr_of_kind(node, name, CLVI_ATTR_STRING);
    return attr ? (const char *)attr->s.data : absent;
}

const int64_t *clvi_node_ints(const clvi_node *node, const char *name, size_t *count)
{
    const clvi_attr *attr = attr_of_kind(node, name, CLVI_ATTR_INTS);
    *count = attr ? attr->count : 0;
    return attr ? attr->ints : NULL;
}

bool clvi_node_is(const clvi_node *node, const char *op_type)
{
    return strcmp(node->op_type, op_type) == 0 && (node->domain[0] == '\0' || strcmp(node->domain, "ai.onnx") == 0);
}

const char *clvi_node_label(const clvi_graph *graph, const clvi_node *node)
{
    if (node->name[0])
        return node->name;
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i] >= 0 && (size_t)node->out[i] < graph->n_values)
            return graph->values[node->out[i]].name;
    return node->op_type;
}
