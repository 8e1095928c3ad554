/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: clvi_node to NodeProto. */
#include <string.h>

#include "onnx/onnx_proto.h"

/* protobuf-c has no const; packing only reads the names. */
static clv_status names_of(char ***out, const clvi_graph *graph, const int32_t *ids, size_t n, clvi_arena *arena,
                           clv_error *err)
{
    char **names = *out = clvi_arena_calloc(arena, n, sizeof *names);
    if (!names)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < n; i++)
        names[i] = ids[i] == CLVI_NONE ? (char *)"" : (char *)graph->values[ids[i]].name;
    return CLV_OK;
}

typedef struct renames {
    const clvi_graph *graph;
    const clvi_node *node;
    clvi_names index; /* name inside the subgraphs -> index into node->capture */
} renames;

static clv_status rename_capture(void *arg, char **name, const clvi_scope *scope, clv_error *err)
{
    const renames *r = arg;
    const clvi_name *entry = clvi_names_find(&r->index, *name);
    if (!entry)
        return CLV_OK;
    const char *now = r->graph->values[r->node->capture[entry->id]].name;
    if (strcmp(now, *name) != 0 && clvi_scope_has(scope, now))
        return FAIL(err, CLV_ERR_UNSUP,
                    "node \"%s\": a graph inside it has a value \"%s\" of its own, so it cannot read the "
                    "outer one",
                    clvi_node_label(r->graph, r->node), now);
    *name = (char *)now;
    return CLV_OK;
}

/* Let the nested graphs follow values that were renamed or replaced since the node was read. */
static clv_status follow_captures(Onnx__NodeProto *proto, const clvi_graph *graph, const clvi_node *node,
                                  clvi_arena *arena, clv_error *err)
{
    renames r = {.graph = graph, .node = node};
    bool changed = false;
    for (size_t i = 0; node->capture_name && i < node->n_capture; i++)
        changed |= strcmp(graph->values[node->capture[i]].name, node->capture_name[i]) != 0;
    if (!changed)
        return CLV_OK;
    for (size_t i = 0; i < node->n_capture; i++)
        if (!clvi_names_put(&r.index, arena, node->capture_name[i], (int32_t)i))
            return clvi_proto_no_memory(err);
    const clvi_scope_visitor visitor = {rename_capture, NULL, &r};
    for (size_t i = 0; i < proto->n_attribute; i++)
        TRY(clvi_scope_walk(proto->attribute[i], &visitor, arena, err));
    return CLV_OK;
}

clv_status clvi_onnx_node_to(Onnx__NodeProto **out, const clvi_graph *graph, const clvi_node *node, clvi_arena *arena,
                             clv_error *err)
{
    ProtobufCMessage *message;
    TRY(clvi_proto_unpack(&message, &onnx__node_proto__descriptor, node->raw, arena, err));
    Onnx__NodeProto *proto = *out = (Onnx__NodeProto *)message;
    TRY(names_of(&proto->input, graph, node->in, node->n_in, arena, err));
    TRY(names_of(&proto->output, graph, node->out, node->n_out, arena, err));
    proto->n_input = node->n_in;
    proto->n_output = node->n_out;
    proto->op_type = (char *)node->op_type;
    if (node->name[0])
        proto->name = (char *)node->name;
    if (node->domain[0])
        proto->domain = (char *)node->domain;
    proto->attribute = clvi_arena_calloc(arena, node->n_attr, sizeof *proto->attribute);
    if (!proto->attribute)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < node->n_attr; i++)
        TRY(clvi_onnx_attr_to(&proto->attribute[i], &node->attr[i], arena, err));
    proto->n_attribute = node->n_attr;
    return follow_captures(proto, graph, node, arena, err);
}
