/* SPDX-License-Identifier: Apache-2.0 */
/* Deep copies. Each helper returns false when memory is short. */
#include <string.h>

#include "graph/copy.h"
#include "graph/graph.h"
#include "graph/names.h"

static bool copy_text(clvi_arena *arena, const char **to, const char *from)
{
    *to = from ? clvi_arena_strdup(arena, from) : NULL;
    return *to || !from;
}

static bool copy_tensor(clvi_arena *arena, const clv_tensor **to, const clv_tensor *from)
{
    *to = from ? clvi_copy_tensor(arena, from) : NULL;
    return *to || !from;
}

static bool copy_value(clvi_arena *arena, clvi_value *to, const clvi_value *from)
{
    *to = *from;
    for (int i = 0; i < CLV_MAX_RANK; i++)
        if (!copy_text(arena, &to->dim_names[i], from->dim_names[i]))
            return false;
    return copy_text(arena, &to->name, from->name) && copy_tensor(arena, &to->constant, from->constant) &&
           clvi_copy_blob(arena, &to->raw_info, from->raw_info) &&
           clvi_copy_blob(arena, &to->raw_tensor, from->raw_tensor);
}

static bool copy_attr(clvi_arena *arena, clvi_attr *to, const clvi_attr *from)
{
    *to = *from;
    if (from->floats && !(to->floats = clvi_copy_array(arena, from->floats, from->count, sizeof(float))))
        return false;
    if (from->ints && !(to->ints = clvi_copy_array(arena, from->ints, from->count, sizeof(int64_t))))
        return false;
    if (from->strings) {
        clvi_blob *strings = clvi_arena_calloc(arena, from->count, sizeof *strings);
        if (!strings)
            return false;
        for (size_t i = 0; i < from->count; i++)
            if (!clvi_copy_blob(arena, &strings[i], from->strings[i]))
                return false;
        to->strings = strings;
    }
    return copy_text(arena, &to->name, from->name) && clvi_copy_blob(arena, &to->s, from->s) &&
           copy_tensor(arena, &to->tensor, from->tensor) && clvi_copy_blob(arena, &to->raw, from->raw);
}

static clvi_node *copy_node(clvi_arena *arena, const clvi_node *from)
{
    clvi_node *to = clvi_arena_alloc(arena, sizeof *to);
    if (!to)
        return NULL;
    *to = *from;
    to->in = clvi_copy_array(arena, from->in, from->n_in, sizeof *to->in);
    to->out = clvi_copy_array(arena, from->out, from->n_out, sizeof *to->out);
    to->capture = clvi_copy_array(arena, from->capture, from->n_capture, sizeof *to->capture);
    if (from->capture_name)
        to->capture_name = clvi_arena_calloc(arena, from->n_capture, sizeof *to->capture_name);
    to->attr = clvi_arena_calloc(arena, from->n_attr, sizeof *to->attr);
    if (!to->in || !to->out || !to->capture || (from->capture_name && !to->capture_name) || !to->attr)
        return NULL;
    for (size_t i = 0; from->capture_name && i < from->n_capture; i++)
        if (!copy_text(arena, &to->capture_name[i], from->capture_name[i]))
            return NULL;
    for (size_t i = 0; i < from->n_attr; i++)
        if (!copy_attr(arena, &to->attr[i], &from->attr[i]))
            return NULL;
    return copy_text(arena, &to->name, from->name) && copy_text(arena, &to->domain, from->domain) &&
                   copy_text(arena, &to->op_type, from->op_type) && clvi_copy_blob(arena, &to->raw, from->raw)
               ? to
               : NULL;
}

static bool copy_names(clvi_graph *to, const clvi_graph *from)
{
    clvi_arena *arena = to->arena;
    if (!clvi_names_reserve(to->names, arena, from->names->count))
        return false;
    for (size_t v = 0; v < to->n_values; v++)
        if (!clvi_names_put(to->names, arena, to->values[v].name, (int32_t)v))
            return false;
    for (size_t i = 0; i < from->names->capacity; i++) {
        const clvi_name *entry = &from->names->slots[i];
        const char *name = NULL;
        if (!entry->name || entry->id != CLVI_NONE)
            continue;
        if (!copy_text(arena, &name, entry->name) || !clvi_names_put(to->names, arena, name, CLVI_NONE))
            return false;
    }
    return true;
}

static bool copy_lists(clvi_graph *to, const clvi_graph *from)
{
    clvi_arena *arena = to->arena;
    to->inputs = clvi_copy_array(arena, from->inputs, from->n_inputs, sizeof *to->inputs);
    to->outputs = clvi_copy_array(arena, from->outputs, from->n_outputs, sizeof *to->outputs);
    to->opsets = clvi_copy_array(arena, from->opsets, from->n_opsets, sizeof *to->opsets);
    to->metadata = clvi_copy_array(arena, from->metadata, from->n_metadata, sizeof *to->metadata);
    to->values = clvi_arena_calloc(arena, from->n_values, sizeof *to->values);
    to->nodes = clvi_arena_calloc(arena, from->n_nodes, sizeof *to->nodes);
    if (!to->inputs || !to->outputs || !to->opsets || !to->metadata || !to->values || !to->nodes)
        return false;
    for (size_t i = 0; i < from->n_opsets; i++)
        if (!copy_text(arena, &to->opsets[i].domain, from->opsets[i].domain))
            return false;
    for (size_t i = 0; i < from->n_metadata; i++)
        if (!copy_text(arena, &to->metadata[i].key, from->metadata[i].key) ||
            !copy_text(arena, &to->metadata[i].value, from->metadata[i].value))
            return false;
    for (size_t v = 0; v < from->n_values; v++)
        if (!copy_value(arena, &to->values[v], &from->values[v]))
            return false;
    for (size_t i = 0; i < from->n_nodes; i++)
        if (!(to->nodes[i] = copy_node(arena, from->nodes[i])))
            return false;
    return copy_text(arena, &to->name, from->name) && clvi_copy_blob(arena, &to->raw, from->raw);
}

clv_status clvi_graph_clone(clvi_graph **out, const clvi_graph *graph, clv_error *err)
{
    clvi_graph *to = NULL;
    *out = NULL;
    TRY(clvi_graph_create(&to, err));
    to->ir_version = graph->ir_version;
    to->n_inputs = graph->n_inputs;
    to->n_outputs = graph->n_outputs;
    to->n_opsets = graph->n_opsets;
    to->n_metadata = graph->n_metadata;
    to->n_values = to->values_capacity = graph->n_values;
    to->n_nodes = to->nodes_capacity = graph->n_nodes;
    if (!copy_lists(to, graph) || !copy_names(to, graph)) {
        clvi_graph_free(to);
        return FAIL(err, CLV_ERR_NOMEM, "copy of graph \"%s\"", graph->name);
    }
    *out = to;
    return CLV_OK;
}
