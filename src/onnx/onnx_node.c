/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: NodeProto to clvi_node. */
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx_proto.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No attribute twice. Sorted, since a hostile node may have very many. */
static clv_status check_attr_names(const clvi_node *node, const char *label, clvi_arena *work, clv_error *err)
{
    if (node->n_attr < 2)
        return CLV_OK;
    const char **names = clvi_arena_calloc(work, node->n_attr, sizeof *names);
    if (!names)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < node->n_attr; i++)
        names[i] = node->attr[i].name;
    qsort(names, node->n_attr, sizeof *names, compare_names);
    for (size_t i = 1; i < node->n_attr; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": attribute \"%s\" is given twice", label, names[i]);
    return CLV_OK;
}

/* Ids of the named values; "" is CLVI_NONE. */
static clv_status read_ids(int32_t **out, const clvi_graph *graph, char **names, size_t n, const char *label,
                           clv_error *err)
{
    int32_t *ids = *out = clvi_arena_calloc(graph->arena, n, sizeof *ids);
    if (!ids)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        ids[i] = names[i][0] ? clvi_graph_find_value(graph, names[i]) : CLVI_NONE;
        if (names[i][0] && ids[i] == CLVI_NONE)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\" reads \"%s\", which nothing makes", label, names[i]);
    }
    return CLV_OK;
}

typedef struct captures {
    clvi_graph *graph;
    const char *label;
    clvi_names found; /* name -> id, in the order met */
    clvi_arena *work;
} captures;

static clv_status add_capture(void *arg, char **name, const clvi_scope *scope, clv_error *err)
{
    captures *c = arg;
    (void)scope;
    if (clvi_names_find(&c->found, *name))
        return CLV_OK;
    const int32_t id = clvi_graph_find_value(c->graph, *name);
    if (id == CLVI_NONE)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": a graph inside it reads \"%s\", which nothing makes", c->label,
                    *name);
    return clvi_names_put(&c->found, c->work, *name, id) ? CLV_OK : clvi_proto_no_memory(err);
}

static clv_status reserve_local(void *arg, const char *name, clv_error *err)
{
    const captures *c = arg;
    return clvi_graph_reserve_name(c->graph, name, err);
}

static int compare_captures(const void *a, const void *b)
{
    const int32_t x = ((const clvi_name *)a)->id, y = ((const clvi_name *)b)->id;
    return (x > y) - (x < y);
}

/* What the graphs nested in the node read from outside, by ascending id. */
static clv_status read_captures(clvi_node *node, clvi_graph *graph, Onnx__NodeProto *proto, const char *label,
                                clvi_arena *work, clv_error *err)
{
    captures c = {.graph = graph, .label = label, .work = work};
    const clvi_scope_visitor visitor = {add_capture, reserve_local, &c};
    for (size_t i = 0; i < proto->n_attribute; i++)
        TRY(clvi_scope_walk(proto->attribute[i], &visitor, work, err));
    if (c.found.count == 0)
        return CLV_OK;
    clvi_name *list = clvi_arena_calloc(work, c.found.count, sizeof *list);
    node->capture = clvi_arena_calloc(graph->arena, c.found.count, sizeof *node->capture);
    node->capture_name = clvi_arena_calloc(graph->arena, c.found.count, sizeof *node->capture_name);
    if (!list || !node->capture || !node->capture_name)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < c.found.capacity; i++)
        if (c.found.slots[i].name)
            list[node->n_capture++] = c.found.slots[i];
    qsort(list, node->n_capture, sizeof *list, compare_captures);
    for (size_t i = 0; i < node->n_capture; i++) {
        node->capture[i] = list[i].id;
        node->capture_name[i] = list[i].name;
    }
    return CLV_OK;
}

/* Move a text out of the proto; one that is there but empty stays, to be written again. */
static const char *take_text(char **text)
{
    const char *taken = *text && (*text)[0] ? *text : "";
    if (taken[0])
        *text = NULL;
    return taken;
}

clv_status clvi_onnx_node(clvi_node **out, clvi_graph *graph, Onnx__NodeProto *proto, clvi_arena *work, clv_error *err)
{
    clvi_node *node = *out = clvi_arena_calloc(graph->arena, 1, sizeof *node);
    if (!node)
        return clvi_proto_no_memory(err);
    node->name = take_text(&proto->name);
    node->op_type = take_text(&proto->op_type);
    node->domain = take_text(&proto->domain);
    const char *label = node->name[0]      ? node->name
                        : proto->n_output  ? proto->output[0]
                        : node->op_type[0] ? node->op_type
                                           : "?";
    if (!node->op_type[0])
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\" has no operator", label);
    TRY(read_ids(&node->in, graph, proto->input, proto->n_input, label, err));
    TRY(read_ids(&node->out, graph, proto->output, proto->n_output, label, err));
    node->n_in = proto->n_input;
    node->n_out = proto->n_output;
    TRY(read_captures(node, graph, proto, label, work, err));

    node->attr = clvi_arena_calloc(graph->arena, proto->n_attribute, sizeof *node->attr);
    if (!node->attr)
        return clvi_proto_no_memory(err);
    node->n_attr = proto->n_attribute;
    for (size_t i = 0; i < node->n_attr; i++)
        TRY(clvi_onnx_attr(&node->attr[i], proto->attribute[i], label, graph->arena, err));
    TRY(check_attr_names(node, label, work, err));

    proto->n_input = proto->n_output = proto->n_attribute = 0;
    return clvi_proto_pack(&node->raw, &proto->base, graph->arena, err);
}
