/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a GraphProto that speak of values: inputs, outputs, initializers, value infos. */
#include <string.h>

#include "onnx/onnx_proto.h"

/* produced[v]: some node makes v. In the arena. */
static clv_status find_produced(uint8_t **out, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    uint8_t *produced = *out = clvi_arena_calloc(arena, graph->n_values, 1);
    if (!produced)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < graph->n_nodes; i++)
        for (size_t j = 0; j < graph->nodes[i]->n_out; j++)
            if (graph->nodes[i]->out[j] != CLVI_NONE)
                produced[graph->nodes[i]->out[j]] = 1;
    return CLV_OK;
}

/* An initializer, or NULL for a value that has none of its own. */
static clv_status initializer_to(Onnx__TensorProto **out, const clvi_value *value, clvi_arena *arena, clv_error *err)
{
    ProtobufCMessage *message;
    *out = NULL;
    if (!value->constant && !(value->opaque && value->raw_tensor.size))
        return CLV_OK;
    TRY(clvi_proto_unpack(&message, &onnx__tensor_proto__descriptor, value->raw_tensor, arena, err));
    *out = (Onnx__TensorProto *)message;
    (*out)->name = (char *)value->name;
    if (value->constant)
        clvi_onnx_tensor_to(*out, value->constant);
    return CLV_OK;
}

static clv_status initializers_to(Onnx__GraphProto *proto, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    proto->initializer = clvi_arena_calloc(arena, graph->n_values, sizeof *proto->initializer);
    if (!proto->initializer)
        return clvi_proto_no_memory(err);
    for (size_t v = 0; v < graph->n_values; v++) {
        Onnx__TensorProto *tensor;
        TRY(initializer_to(&tensor, &graph->values[v], arena, err));
        if (tensor)
            proto->initializer[proto->n_initializer++] = tensor;
    }
    return CLV_OK;
}

/* Before IR 4 every initializer is an input too. */
static bool is_listed_input(const clvi_graph *graph, const clvi_value *value)
{
    return value->is_input || (graph->ir_version < 4 && (value->constant || value->opaque));
}

/* Graph inputs in the order of graph->inputs, the initializers among them where their ids put them. */
static clv_status inputs_to(Onnx__GraphProto *proto, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    size_t next = 0;
    proto->input = clvi_arena_calloc(arena, graph->n_values, sizeof *proto->input);
    if (!proto->input)
        return clvi_proto_no_memory(err);
    for (size_t v = 0; v < graph->n_values; v++) {
        const clvi_value *value = &graph->values[v];
        if (!is_listed_input(graph, value))
            continue;
        if (!value->constant && !value->opaque)
            value = &graph->values[graph->inputs[next++]];
        TRY(clvi_onnx_value_info(&proto->input[proto->n_input++], value, arena, err));
    }
    return CLV_OK;
}

static clv_status outputs_to(Onnx__GraphProto *proto, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    proto->output = clvi_arena_calloc(arena, graph->n_outputs, sizeof *proto->output);
    if (!proto->output)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < graph->n_outputs; i++)
        TRY(clvi_onnx_value_info(&proto->output[proto->n_output++], &graph->values[graph->outputs[i]], arena, err));
    return CLV_OK;
}

/* The declarations of inner values, then those that no value had taken when the file was read. */
static clv_status infos_to(Onnx__GraphProto *proto, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    uint8_t *produced;
    TRY(find_produced(&produced, graph, arena, err));
    Onnx__ValueInfoProto **spare = proto->value_info;
    const size_t n_spare = proto->n_value_info;
    proto->value_info = clvi_arena_calloc(arena, graph->n_values + n_spare, sizeof *proto->value_info);
    proto->n_value_info = 0;
    if (!proto->value_info)
        return clvi_proto_no_memory(err);
    for (size_t v = 0; v < graph->n_values; v++) {
        const clvi_value *value = &graph->values[v];
        const bool declared = value->raw_info.size || (produced[v] && (value->dtype != CLV_DTYPE_NONE));
        if (is_listed_input(graph, value) || value->is_output || !declared ||
            !(produced[v] || value->constant || value->opaque))
            continue;
        TRY(clvi_onnx_value_info(&proto->value_info[proto->n_value_info++], value, arena, err));
    }
    for (size_t i = 0; i < n_spare; i++)
        proto->value_info[proto->n_value_info++] = spare[i];
    return CLV_OK;
}

clv_status clvi_onnx_values_to(Onnx__GraphProto *proto, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    TRY(initializers_to(proto, graph, arena, err));
    TRY(inputs_to(proto, graph, arena, err));
    TRY(outputs_to(proto, graph, arena, err));
    return infos_to(proto, graph, arena, err);
}
