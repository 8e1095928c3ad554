/* SPDX-License-Identifier: Apache-2.0 */
/* A graph becomes a model file, with its large tensors inside or in a second file. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/size.h"
#include "onnx/onnx.h"
#include "onnx/onnx_proto.h"

#define MAX_MODEL      ((size_t)INT32_MAX) /* bytes of one protobuf message */
#define LARGE_TENSOR   1024                /* bytes from which a tensor may go outside */
#define EXTERNAL_ALIGN 4096                /* so that tensors can be mapped */

static clv_status header_to(Onnx__ModelProto *model, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    Onnx__OperatorSetIdProto **read = model->opset_import; /* as they were written in the file */
    const size_t n_read = model->n_opset_import;
    model->has_ir_version = 1;
    model->ir_version = graph->ir_version;
    model->opset_import = clvi_arena_calloc(arena, graph->n_opsets, sizeof *model->opset_import);
    model->metadata_props = clvi_arena_calloc(arena, graph->n_metadata, sizeof *model->metadata_props);
    Onnx__OperatorSetIdProto *opsets = clvi_arena_calloc(arena, graph->n_opsets, sizeof *opsets);
    Onnx__StringStringEntryProto *entries = clvi_arena_calloc(arena, graph->n_metadata, sizeof *entries);
    if (!model->opset_import || !model->metadata_props || !opsets || !entries)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < graph->n_opsets; i++) {
        const char *domain = i < n_read && read[i]->domain ? read[i]->domain : "";
        if (i < n_read && strcmp(domain, graph->opsets[i].domain) == 0) {
            model->opset_import[i] = read[i];
        } else {
            model->opset_import[i] = &opsets[i];
            onnx__operator_set_id_proto__init(&opsets[i]);
            opsets[i].domain = (char *)graph->opsets[i].domain;
        }
        model->opset_import[i]->has_version = 1;
        model->opset_import[i]->version = graph->opsets[i].version;
    }
    model->n_opset_import = graph->n_opsets;
    for (size_t i = 0; i < graph->n_metadata; i++) {
        onnx__string_string_entry_proto__init(&entries[i]);
        entries[i].key = (char *)graph->metadata[i].key;
        entries[i].value = (char *)graph->metadata[i].value;
        model->metadata_props[i] = &entries[i];
    }
    model->n_metadata_props = graph->n_metadata;
    return CLV_OK;
}

/* The messages of the graph. They live in the arena and point into the graph. */
static clv_status build(Onnx__ModelProto **out, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    ProtobufCMessage *message;
    TRY(clvi_graph_verify(graph, err));
    TRY(clvi_proto_unpack(&message, &onnx__model_proto__descriptor, graph->raw, arena, err));
    Onnx__ModelProto *model = *out = (Onnx__ModelProto *)message;
    TRY(header_to(model, graph, arena, err));
    if (!model->graph) {
        model->graph = clvi_arena_alloc(arena, sizeof *model->graph);
        if (!model->graph)
            return clvi_proto_no_memory(err);
        onnx__graph_proto__init(model->graph);
        model->graph->name = (char *)"graph"; /* a graph made here; ONNX wants some name */
    }
    Onnx__GraphProto *g = model->graph;
    if (graph->name[0])
        g->name = (char *)graph->name;
    g->node = clvi_arena_calloc(arena, graph->n_nodes, sizeof *g->node);
    if (!g->node)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < graph->n_nodes; i++)
        TRY(clvi_onnx_node_to(&g->node[i], graph, graph->nodes[i], arena, err));
    g->n_node = graph->n_nodes;
    return clvi_onnx_values_to(g, graph, arena, err);
}

static clv_status pack(clvi_bytes *out, const Onnx__ModelProto *model, clv_error *err)
{
    const size_t size = onnx__model_proto__get_packed_size(model);
    if (size > MAX_MODEL)
        return FAIL(err, CLV_ERR_UNSUP, "the model has %zu bytes, a single ONNX file holds %zu", size, MAX_MODEL);
    uint8_t *data = clvi_alloc(size);
    if (!data)
        return clvi_proto_no_memory(err);
    *out = (clvi_bytes){data, onnx__model_proto__pack(model, data)};
    return CLV_OK;
}

clv_status clvi_onnx_write_bytes(const clvi_graph *graph, clvi_bytes *out, clv_error *err)
{
    Onnx__ModelProto *model;
    *out = (clvi_bytes){0};
    clvi_arena *arena = clvi_arena_create();
    if (!arena)
        return clvi_proto_no_memory(err);
    clv_status st = build(&model, graph, arena, err);
    if (st == CLV_OK)
        st = pack(out, model, err);
    clvi_arena_free(arena);
    return st;
}

/* --- the second file --------------------------------------------------------------------------------------------- */

static bool wants_second_file(const clvi_graph *graph, const Onnx__ModelProto *model)
{
    for (size_t v = 0; v < graph->n_values; v++)
        if (graph->values[v].external && graph->values[v].constant)
            return true;
    return onnx__model_proto__get_packed_size(model) > MAX_MODEL;
}

static bool is_large(const Onnx__TensorProto *tensor)
{
    return tensor->has_raw_data && tensor->raw_data.len >= LARGE_TENSOR;
}

/* FNV-1a over the bytes of all large tensors, 64 bits. */
static uint64_t hash_data(const Onnx__GraphProto *g)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < g->n_initializer; i++)
        for (size_t b = 0; is_large(g->initializer[i]) && b < g->initializer[i]->raw_data.len; b++)
            h = (h ^ g->initializer[i]->raw_data.data[b]) * 0x100000001b3u;
    return h;
}

static clv_status write_data(const Onnx__GraphProto *g, const char *path, clv_error *err)
{
    static const uint8_t zeros[EXTERNAL_ALIGN];
    clvi_file_writer *writer = NULL;
    uint64_t at = 0;
    TRY(clvi_file_create(&writer, path, err));
    clv_status st = CLV_OK;
    for (size_t i = 0; st == CLV_OK && i < g->n_initializer; i++) {
        if (!is_large(g->initializer[i]))
            continue;
        const size_t pad = (size_t)(-at % EXTERNAL_ALIGN);
        const ProtobufCBinaryData data = g->initializer[i]->raw_data;
        if ((st = clvi_file_write(writer, zeros, pad, err)) == CLV_OK)
            st = clvi_file_write(writer, data.data, data.len, err);
        at += pad + data.len;
    }
    if (st == CLV_OK)
        st = clvi_file_commit(writer, err);
    clvi_file_free(writer);
    return st;
}

static clv_status set_external(Onnx__TensorProto *tensor, const char *location, uint64_t offset, clvi_arena *arena,
                               clv_error *err)
{
    const char *keys[] = {"location", "offset", "length"};
    const char *values[] = {location, clvi_arena_printf(arena, "%" PRIu64, offset),
                            clvi_arena_printf(arena, "%zu", tensor->raw_data.len)};
    tensor->external_data = clvi_arena_calloc(arena, 3, sizeof *tensor->external_data);
    Onnx__StringStringEntryProto *entries = clvi_arena_calloc(arena, 3, sizeof *entries);
    if (!tensor->external_data || !entries || !values[1] || !values[2])
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < 3; i++) {
        onnx__string_string_entry_proto__init(&entries[i]);
        entries[i].key = (char *)keys[i];
        entries[i].value = (char *)values[i];
        tensor->external_data[i] = &entries[i];
    }
    tensor->n_external_data = 3;
    tensor->has_data_location = 1;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    tensor->has_raw_data = 0;
    return CLV_OK;
}

/* Write the large tensors to <path>.<hash>.data and let the model refer to it. */
static clv_status move_out(Onnx__GraphProto *g, const char *path, clvi_arena *arena, clv_error *err)
{
    const char *data_path = clvi_arena_printf(arena, "%s.%016" PRIx64 ".data", path, hash_data(g));
    if (!data_path)
        return clvi_proto_no_memory(err);
    const char *slash = strrchr(data_path, '/'), *location = slash ? slash + 1 : data_path;
    TRY(write_data(g, data_path, err));
    uint64_t at = 0;
    for (size_t i = 0; i < g->n_initializer; i++) {
        if (!is_large(g->initializer[i]))
            continue;
        at += -at % EXTERNAL_ALIGN;
        const size_t size = g->initializer[i]->raw_data.len;
        TRY(set_external(g->initializer[i], location, at, arena, err));
        at += size;
    }
    return CLV_OK;
}

clv_status clvi_onnx_write(const clvi_graph *graph, const char *path, clv_error *err)
{
    Onnx__ModelProto *model;
    clvi_bytes bytes = {0};
    clvi_arena *arena = clvi_arena_create();
    if (!arena)
        return clvi_proto_no_memory(err);
    clv_status st = build(&model, graph, arena, err);
    if (st == CLV_OK && wants_second_file(graph, model))
        st = move_out(model->graph, path, arena, err);
    if (st == CLV_OK)
        st = pack(&bytes, model, err);
    if (st == CLV_OK)
        st = clvi_file_replace(path, bytes.data, bytes.size, err);
    clvi_free(bytes.data);
    clvi_arena_free(arena);
    return st;
}
