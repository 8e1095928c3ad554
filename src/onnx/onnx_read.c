/* SPDX-License-Identifier: Apache-2.0 */
/* A model file becomes a graph. The messages are unpacked into the graph's own arena and used where they are: weights
 * are copied once, from the file's bytes. What is taken into the graph is removed from the messages; what remains of
 * them is kept as raw bytes. */
#include <string.h>

#include "base/size.h"
#include "onnx/onnx.h"
#include "onnx/onnx_proto.h"

#define MIN_IR    3
#define MAX_IR    13 /* later than 10 adds fields, which are kept, and changes none */
#define MIN_OPSET 7
#define MAX_OPSET 22

typedef struct reader {
    clvi_graph *graph;
    clvi_arena *work; /* scratch */
    Onnx__ModelProto *model;
    clvi_external external;
    int32_t *info_owner; /* [n_value_info] the value it was taken into, or CLVI_NONE */
    clv_error *err;
} reader;

static clv_status check_versions(reader *r)
{
    const Onnx__ModelProto *model = r->model;
    if (!model->graph)
        return FAIL(r->err, CLV_ERR_FORMAT, "holds no graph: not an ONNX model");
    if (!model->has_ir_version)
        return FAIL(r->err, CLV_ERR_FORMAT, "states no IR version: not an ONNX model");
    if (model->ir_version < MIN_IR || model->ir_version > MAX_IR)
        return FAIL(r->err, CLV_ERR_UNSUP, "IR version %lld, %d to %d can be read", (long long)model->ir_version,
                    MIN_IR, MAX_IR);
    const int64_t opset = clvi_graph_opset(r->graph, "");
    if (opset && (opset < MIN_OPSET || opset > MAX_OPSET))
        return FAIL(r->err, CLV_ERR_UNSUP,
                    "operator set %lld, %d to %d can be read: export the model with one of these", (long long)opset,
                    MIN_OPSET, MAX_OPSET);
    return CLV_OK;
}

static clv_status read_header(reader *r)
{
    clvi_graph *graph = r->graph;
    Onnx__ModelProto *model = r->model;
    graph->ir_version = model->ir_version;
    graph->opsets = clvi_arena_calloc(graph->arena, model->n_opset_import, sizeof *graph->opsets);
    graph->metadata = clvi_arena_calloc(graph->arena, model->n_metadata_props, sizeof *graph->metadata);
    if (!graph->opsets || !graph->metadata)
        return clvi_proto_no_memory(r->err);
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *opset = model->opset_import[i];
        graph->opsets[i] = (clvi_opset){opset->domain ? opset->domain : "", opset->has_version ? opset->version : 0};
    }
    graph->n_opsets = model->n_opset_import;
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
        graph->metadata[i] = (clvi_metadata){entry->key ? entry->key : "", entry->value ? entry->value : ""};
    }
    graph->n_metadata = model->n_metadata_props;
    return CLV_OK;
}

/* The value of that name, made if it is new. */
static clv_status declare(reader *r, const char *what, size_t index, const char *name, int32_t *id)
{
    if (!name || !name[0])
        return FAIL(r->err, CLV_ERR_FORMAT, "%s %zu has no name", what, index);
    *id = clvi_graph_find_value(r->graph, name);
    return *id == CLVI_NONE ? clvi_graph_add_value(r->graph, name, id, r->err) : CLV_OK;
}

/* Keep a declaration with its value. */
static clv_status take_info(reader *r, int32_t id, const Onnx__ValueInfoProto *info)
{
    clvi_value *value = &r->graph->values[id];
    clvi_onnx_value_type(value, info);
    return clvi_proto_pack(&value->raw_info, &info->base, r->graph->arena, r->err);
}

static clv_status read_inputs(reader *r)
{
    const Onnx__GraphProto *g = r->model->graph;
    for (size_t i = 0; i < g->n_input; i++) {
        int32_t id;
        TRY(declare(r, "graph input", i, g->input[i]->name, &id));
        if (r->graph->values[id].is_input)
            return FAIL(r->err, CLV_ERR_FORMAT, "graph input \"%s\" is listed twice", g->input[i]->name);
        r->graph->values[id].is_input = true;
        TRY(take_info(r, id, g->input[i]));
    }
    return CLV_OK;
}

static clv_status read_initializer(reader *r, Onnx__TensorProto *proto, size_t index)
{
    int32_t id;
    clv_tensor *tensor;
    TRY(declare(r, "initializer", index, proto->name, &id));
    clvi_value *value = &r->graph->values[id];
    if (value->constant || value->opaque)
        return FAIL(r->err, CLV_ERR_FORMAT, "initializer \"%s\" is given twice", proto->name);
    value->external = proto->has_data_location && proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    TRY(clvi_onnx_load_external(&r->external, proto, r->err));
    TRY(clvi_onnx_tensor(&tensor, proto, proto->name, r->graph->arena, r->err));
    if (tensor) {
        clvi_onnx_tensor_strip(proto);
        if (!value->is_input) {
            value->dtype = tensor->dtype;
            value->rank = tensor->rank;
            memcpy(value->dims, tensor->dims, sizeof value->dims);
        }
    }
    value->constant = tensor;
    value->opaque = !tensor;
    return clvi_proto_pack(&value->raw_tensor, &proto->base, r->graph->arena, r->err);
}

static clv_status read_initializers(reader *r)
{
    const Onnx__GraphProto *g = r->model->graph;
    for (size_t i = 0; i < g->n_initializer; i++)
        TRY(read_initializer(r, g->initializer[i], i));
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        int32_t id;
        const Onnx__TensorProto *values = g->sparse_initializer[i]->values;
        TRY(declare(r, "sparse initializer", i, values ? values->name : NULL, &id));
        if (r->graph->values[id].constant || r->graph->values[id].opaque)
            return FAIL(r->err, CLV_ERR_FORMAT, "initializer \"%s\" is given twice", values->name);
        r->graph->values[id].opaque = true; /* its content stays in the raw bytes of the model */
    }
    return CLV_OK;
}

static clv_status read_outputs(reader *r)
{
    const Onnx__GraphProto *g = r->model->graph;
    clvi_graph *graph = r->graph;
    graph->outputs = clvi_arena_calloc(graph->arena, g->n_output, sizeof *graph->outputs);
    if (!graph->outputs)
        return clvi_proto_no_memory(r->err);
    for (size_t i = 0; i < g->n_output; i++) {
        int32_t id;
        TRY(declare(r, "graph output", i, g->output[i]->name, &id));
        if (!graph->values[id].is_input && !graph->values[id].is_output)
            TRY(take_info(r, id, g->output[i]));
        graph->values[id].is_output = true;
        graph->outputs[graph->n_outputs++] = id;
    }
    return CLV_OK;
}

/* Declarations of inner values. One that nothing in the main graph makes, or that repeats another, stays in the raw
 * bytes (keep_spare_infos). */
static clv_status read_value_infos(reader *r)
{
    const Onnx__GraphProto *g = r->model->graph;
    r->info_owner = clvi_arena_calloc(r->work, g->n_value_info, sizeof *r->info_owner);
    if (!r->info_owner)
        return clvi_proto_no_memory(r->err);
    for (size_t i = 0; i < g->n_value_info; i++) {
        int32_t id;
        TRY(declare(r, "value info", i, g->value_info[i]->name, &id));
        r->info_owner[i] = CLVI_NONE;
        if (r->graph->values[id].raw_info.size)
            continue;
        r->info_owner[i] = id;
        TRY(take_info(r, id, g->value_info[i]));
    }
    return CLV_OK;
}

static clv_status read_nodes(reader *r)
{
    const Onnx__GraphProto *g = r->model->graph;
    clvi_graph *graph = r->graph;
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t j = 0; j < g->node[i]->n_output; j++) {
            int32_t id;
            if (g->node[i]->output[j][0])
                TRY(declare(r, "node output", j, g->node[i]->output[j], &id));
        }
    graph->nodes = clvi_arena_calloc(graph->arena, g->n_node, sizeof *graph->nodes);
    if (!graph->nodes)
        return clvi_proto_no_memory(r->err);
    graph->nodes_capacity = g->n_node;
    for (size_t i = 0; i < g->n_node; i++) {
        TRY(clvi_onnx_node(&graph->nodes[i], graph, g->node[i], r->work, r->err));
        graph->n_nodes++;
        if (graph->nodes[i]->domain[0] == '\0' && clvi_graph_opset(graph, "") == 0)
            return FAIL(r->err, CLV_ERR_FORMAT, "node \"%s\" (%s): the model imports no operator set for it",
                        clvi_node_label(graph, graph->nodes[i]), graph->nodes[i]->op_type);
    }
    return clvi_onnx_sort(graph, r->err);
}

/* Graph inputs that are no initializers; initializers that nothing reads. */
static clv_status finish_values(reader *r, const clvi_uses *uses)
{
    clvi_graph *graph = r->graph;
    graph->inputs = clvi_arena_calloc(graph->arena, graph->n_values, sizeof *graph->inputs);
    if (!graph->inputs)
        return clvi_proto_no_memory(r->err);
    for (size_t v = 0; v < graph->n_values; v++) { /* inputs got their ids first and in order */
        clvi_value *value = &graph->values[v];
        if (value->is_input && !value->constant && !value->opaque)
            graph->inputs[graph->n_inputs++] = (int32_t)v;
        value->keep = value->constant && uses->first[v] == uses->first[v + 1] && !value->is_output;
    }
    return CLV_OK;
}

/* Leave in the message only the declarations that no value has taken. */
static void keep_spare_infos(reader *r, const clvi_uses *uses)
{
    Onnx__GraphProto *g = r->model->graph;
    size_t kept = 0;
    for (size_t i = 0; i < g->n_value_info; i++) {
        const int32_t id = r->info_owner[i];
        clvi_value *value = id == CLVI_NONE ? NULL : &r->graph->values[id];
        if (value && (value->constant || value->opaque || uses->producer[id] != CLVI_NONE))
            continue;
        if (value)
            value->raw_info = (clvi_blob){0};
        g->value_info[kept++] = g->value_info[i];
    }
    g->n_value_info = kept;
}

static clv_status keep_rest(reader *r)
{
    Onnx__GraphProto *g = r->model->graph;
    clvi_uses uses;
    TRY(clvi_uses_create(&uses, r->graph, r->err));
    const clv_status st = finish_values(r, &uses);
    keep_spare_infos(r, &uses);
    clvi_uses_free(&uses);
    TRY(st);

    r->graph->name = g->name ? g->name : "";
    if (r->graph->name[0])
        g->name = NULL;
    g->n_node = g->n_initializer = g->n_input = g->n_output = 0;
    r->model->has_ir_version = 0;
    r->model->n_metadata_props = 0; /* opset_import stays, for the form that it was written in */
    return clvi_proto_pack(&r->graph->raw, &r->model->base, r->graph->arena, r->err);
}

static clv_status read_model(reader *r, clvi_blob bytes)
{
    ProtobufCMessage *message;
    TRY(clvi_onnx_scan(bytes, &onnx__model_proto__descriptor, r->err));
    TRY(clvi_proto_unpack(&message, &onnx__model_proto__descriptor, bytes, r->graph->arena, r->err));
    r->model = (Onnx__ModelProto *)message;
    r->external.arena = r->graph->arena;
    TRY(read_header(r));
    TRY(check_versions(r));
    TRY(read_inputs(r));
    TRY(read_initializers(r));
    TRY(clvi_proto_each_tensor(&r->model->base, clvi_onnx_load_external, &r->external, r->err));
    TRY(read_outputs(r));
    TRY(read_value_infos(r));
    TRY(read_nodes(r));
    TRY(keep_rest(r));
    return clvi_graph_verify(r->graph, r->err);
}

clv_status clvi_onnx_read_bytes(clvi_graph **out, const void *bytes, size_t size, const char *folder, clv_error *err)
{
    reader r = {.external.folder = folder, .err = err};
    *out = NULL;
    TRY(clvi_graph_create(&r.graph, err));
    r.work = clvi_arena_create();
    const clv_status st = r.work ? read_model(&r, (clvi_blob){bytes, size}) : clvi_proto_no_memory(err);
    clvi_arena_free(r.work);
    if (st == CLV_OK)
        *out = r.graph;
    else
        clvi_graph_free(r.graph);
    return st;
}

clv_status clvi_onnx_read(clvi_graph **out, const char *path, clv_error *err)
{
    clvi_bytes file;
    *out = NULL;
    TRY(clvi_file_read(&file, path, err));
    const char *slash = strrchr(path, '/');
    const size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    char *folder = clvi_strdup(n ? path : ".");
    if (folder && n)
        folder[n] = '\0';
    const clv_status st =
        folder ? clvi_onnx_read_bytes(out, file.data, file.size, folder, err) : clvi_proto_no_memory(err);
    clvi_free(folder);
    clvi_free(file.data);
    return st == CLV_OK ? st : clvi_fail_prefix(err, st, path);
}
