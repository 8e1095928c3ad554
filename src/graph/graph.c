/* SPDX-License-Identifier: Apache-2.0 */
/* Making and changing a graph. Arrays that grow are replaced in the arena; the old ones die with it. */
#include "graph/graph.h"

#include <limits.h>
#include <string.h>

#include "base/size.h"
#include "graph/copy.h"
#include "graph/names.h"

static clv_status no_memory(clv_error *err, const char *what)
{
    return FAIL(err, CLV_ERR_NOMEM, "graph: no memory for %s", what);
}

clv_status clvi_graph_create(clvi_graph **out, clv_error *err)
{
    *out = NULL;
    /* The struct stands beside its arena, so that the contents of two graphs can be exchanged. */
    clvi_graph *graph = clvi_calloc(1, sizeof *graph);
    clvi_arena *arena = graph ? clvi_arena_create() : NULL;
    clvi_names *names = arena ? clvi_arena_calloc(arena, 1, sizeof *names) : NULL;
    if (!names) {
        clvi_arena_free(arena);
        clvi_free(graph);
        return no_memory(err, "the graph");
    }
    graph->arena = arena;
    graph->names = names;
    graph->name = "";
    *out = graph;
    return CLV_OK;
}

void clvi_graph_free(clvi_graph *graph)
{
    if (!graph)
        return;
    clvi_arena_free(graph->arena);
    clvi_free(graph);
}

/* An array of `count` elements with room for one more: the same one, or a copy twice as large. NULL: memory is short.
 */
static void *room_for_one(clvi_graph *graph, void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    const size_t wanted = *capacity ? *capacity * 2 : 16;
    void *grown = clvi_arena_calloc(graph->arena, wanted, size);
    if (!grown)
        return NULL;
    if (count)
        memcpy(grown, array, count * size);
    *capacity = wanted;
    return grown;
}

/* array[0..count) and one element more, in a new array. NULL: memory is short. */
static void *one_longer(clvi_graph *graph, const void *array, size_t count, size_t size, const void *element)
{
    char *longer = clvi_arena_calloc(graph->arena, count + 1, size);
    if (!longer)
        return NULL;
    if (count)
        memcpy(longer, array, count * size);
    memcpy(longer + count * size, element, size);
    return longer;
}

clv_status clvi_graph_add_value(clvi_graph *graph, const char *name, int32_t *id, clv_error *err)
{
    *id = CLVI_NONE;
    if (graph->n_values >= INT32_MAX - 1)
        return FAIL(err, CLV_ERR_UNSUP, "graph has %zu values, no more are possible", graph->n_values);
    const char *base = name && *name ? name : "value";
    char *own = clvi_arena_strdup(graph->arena, base);
    for (long long n = 1; own && clvi_names_find(graph->names, own); n++)
        own = clvi_arena_printf(graph->arena, "%s_%lld", base, n);
    clvi_value *values =
        own ? room_for_one(graph, graph->values, graph->n_values, &graph->values_capacity, sizeof *values) : NULL;
    if (!values || !clvi_names_put(graph->names, graph->arena, own, (int32_t)graph->n_values))
        return no_memory(err, "a value");
    graph->values = values;
    values[graph->n_values] = (clvi_value){.name = own, .rank = -1};
    *id = (int32_t)graph->n_values++;
    return CLV_OK;
}

clv_status clvi_graph_add_constant(clvi_graph *graph, const char *name, const clv_tensor *tensor, int32_t *id,
                                   clv_error *err)
{
    *id = CLVI_NONE;
    TRY(clvi_check_tensor(tensor, name ? name : "", err));
    const clv_tensor *copy = clvi_copy_tensor(graph->arena, tensor);
    if (!copy)
        return no_memory(err, "a constant");
    TRY(clvi_graph_add_value(graph, name, id, err));
    clvi_value *value = &graph->values[*id];
    value->dtype = copy->dtype;
    value->rank = copy->rank;
    memcpy(value->dims, copy->dims, sizeof value->dims);
    value->constant = copy;
    return CLV_OK;
}

clv_status clvi_graph_add_input(clvi_graph *graph, const char *name, const clv_tensor *type, int32_t *id,
                                clv_error *err)
{
    *id = CLVI_NONE;
    if (type->rank < -1 || type->rank > CLV_MAX_RANK)
        return FAIL(err, CLV_ERR_ARG, "input \"%s\": rank %d, -1 to %d were expected", name, type->rank, CLV_MAX_RANK);
    const int32_t next = (int32_t)graph->n_values;
    int32_t *inputs = one_longer(graph, graph->inputs, graph->n_inputs, sizeof *inputs, &next);
    if (!inputs)
        return no_memory(err, "an input");
    TRY(clvi_graph_add_value(graph, name, id, err));
    clvi_value *value = &graph->values[*id];
    value->dtype = type->dtype;
    value->rank = type->rank;
    for (int i = 0; i < type->rank; i++)
        value->dims[i] = type->dims[i] < 0 ? -1 : type->dims[i];
    value->is_input = true;
    graph->inputs = inputs;
    graph->n_inputs++;
    return CLV_OK;
}

clv_status clvi_graph_add_output(clvi_graph *graph, int32_t id, clv_error *err)
{
    if (id < 0 || (size_t)id >= graph->n_values)
        return FAIL(err, CLV_ERR_ARG, "output %d is not one of the graph's %zu values", (int)id, graph->n_values);
    int32_t *outputs = one_longer(graph, graph->outputs, graph->n_outputs, sizeof *outputs, &id);
    if (!outputs)
        return no_memory(err, "an output");
    graph->outputs = outputs;
    graph->n_outputs++;
    graph->values[id].is_output = true;
    return CLV_OK;
}

int32_t clvi_graph_find_value(const clvi_graph *graph, const char *name)
{
    const clvi_name *entry = clvi_names_find(graph->names, name);
    return entry ? entry->id : CLVI_NONE;
}

clv_status clvi_graph_reserve_name(clvi_graph *graph, const char *name, clv_error *err)
{
    if (clvi_names_find(graph->names, name))
        return CLV_OK;
    const char *own = clvi_arena_strdup(graph->arena, name);
    if (!own || !clvi_names_put(graph->names, graph->arena, own, CLVI_NONE))
        return no_memory(err, "a name");
    return CLV_OK;
}

static clv_status check_ids(const clvi_graph *graph, const clvi_node *node, clv_error *err)
{
    const int32_t *lists[] = {node->in, node->out, node->capture};
    const size_t counts[] = {node->n_in, node->n_out, node->n_capture};
    for (size_t l = 0; l < 3; l++)
        for (size_t i = 0; i < counts[l]; i++)
            if (lists[l][i] < CLVI_NONE || lists[l][i] >= (int32_t)graph->n_values)
                return FAIL(err, CLV_ERR_ARG, "node \"%s\" (%s): value %d is not one of the graph's %zu", node->name,
                            node->op_type, (int)lists[l][i], graph->n_values);
    return CLV_OK;
}

clv_status clvi_graph_append(clvi_graph *graph, clvi_node *node, clv_error *err)
{
    TRY(check_ids(graph, node, err));
    clvi_node **nodes = room_for_one(graph, graph->nodes, graph->n_nodes, &graph->nodes_capacity, sizeof *nodes);
    if (!nodes)
        return no_memory(err, "a node");
    graph->nodes = nodes;
    nodes[graph->n_nodes++] = node;
    return CLV_OK;
}

clv_status clvi_graph_replace(clvi_graph *graph, size_t index, clvi_node *const *nodes, size_t count, clv_error *err)
{
    if (index >= graph->n_nodes)
        return FAIL(err, CLV_ERR_ARG, "node %zu of a graph with %zu nodes", index, graph->n_nodes);
    for (size_t i = 0; i < count; i++)
        TRY(check_ids(graph, nodes[i], err));
    const size_t behind = graph->n_nodes - index - 1;
    size_t total;
    if (!clvi_add(graph->n_nodes - 1, count, &total))
        return no_memory(err, "the nodes");
    if (total > graph->nodes_capacity) {
        const size_t capacity = clvi_max_size(total, graph->nodes_capacity * 2);
        clvi_node **grown = clvi_arena_calloc(graph->arena, capacity, sizeof *grown);
        if (!grown)
            return no_memory(err, "the nodes");
        memcpy(grown, graph->nodes, graph->n_nodes * sizeof *grown);
        graph->nodes = grown;
        graph->nodes_capacity = capacity;
    }
    memmove(graph->nodes + index + count, graph->nodes + index + 1, behind * sizeof *graph->nodes);
    if (count)
        memcpy(graph->nodes + index, nodes, count * sizeof *graph->nodes);
    graph->n_nodes = total;
    return CLV_OK;
}

static void replace_ids(int32_t *ids, size_t n, int32_t from, int32_t to)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == from)
            ids[i] = to;
}

/* Let two values swap what the outside knows them by: name and declared type. */
static void swap_identity(clvi_graph *graph, int32_t a, int32_t b)
{
    clvi_value *va = &graph->values[a], *vb = &graph->values[b];
    clvi_names_find(graph->names, va->name)->id = b;
    clvi_names_find(graph->names, vb->name)->id = a;
    const clvi_value old = *va;
    va->name = vb->name;
    vb->name = old.name;
    va->raw_info = vb->raw_info;
    vb->raw_info = old.raw_info;
    va->dtype = vb->dtype;
    vb->dtype = old.dtype;
    va->rank = vb->rank;
    vb->rank = old.rank;
    memcpy(va->dims, vb->dims, sizeof va->dims);
    memcpy(vb->dims, old.dims, sizeof vb->dims);
    memcpy(va->dim_names, vb->dim_names, sizeof va->dim_names);
    memcpy(vb->dim_names, old.dim_names, sizeof vb->dim_names);
}

bool clvi_graph_redirect(clvi_graph *graph, int32_t from, int32_t to)
{
    if (from == to)
        return false;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        replace_ids(graph->nodes[i]->in, graph->nodes[i]->n_in, from, to);
        replace_ids(graph->nodes[i]->capture, graph->nodes[i]->n_capture, from, to);
    }
    clvi_value *source = &graph->values[from], *target = &graph->values[to];
    if (!source->is_output)
        return true;
    if (target->is_output || target->is_input || target->opaque)
        return false;
    replace_ids(graph->outputs, graph->n_outputs, from, to);
    source->is_output = false;
    target->is_output = true;
    swap_identity(graph, from, to);
    return true;
}

const char *clvi_graph_metadata(const clvi_graph *graph, const char *key)
{
    for (size_t i = 0; i < graph->n_metadata; i++)
        if (strcmp(graph->metadata[i].key, key) == 0)
            return graph->metadata[i].value;
    return NULL;
}

clv_status clvi_graph_set_metadata(clvi_graph *graph, const char *key, const char *value, clv_error *err)
{
    const clvi_metadata entry = {clvi_arena_strdup(graph->arena, key), clvi_arena_strdup(graph->arena, value)};
    if (!entry.key || !entry.value)
        return no_memory(err, "metadata");
    for (size_t i = 0; i < graph->n_metadata; i++)
        if (strcmp(graph->metadata[i].key, key) == 0) {
            graph->metadata[i].value = entry.value;
            return CLV_OK;
        }
    clvi_metadata *longer = one_longer(graph, graph->metadata, graph->n_metadata, sizeof entry, &entry);
    if (!longer)
        return no_memory(err, "metadata");
    graph->metadata = longer;
    graph->n_metadata++;
    return CLV_OK;
}

/* "" and "ai.onnx" are the same domain. */
static bool same_domain(const char *a, const char *b)
{
    if (strcmp(a, "ai.onnx") == 0)
        a = "";
    if (strcmp(b, "ai.onnx") == 0)
        b = "";
    return strcmp(a, b) == 0;
}

int64_t clvi_graph_opset(const clvi_graph *graph, const char *domain)
{
    int64_t version = 0;
    for (size_t i = 0; i < graph->n_opsets; i++)
        if (same_domain(graph->opsets[i].domain, domain) && graph->opsets[i].version > version)
            version = graph->opsets[i].version;
    return version;
}

clv_status clvi_graph_set_opset(clvi_graph *graph, const char *domain, int64_t version, clv_error *err)
{
    for (size_t i = 0; i < graph->n_opsets; i++)
        if (same_domain(graph->opsets[i].domain, domain)) {
            graph->opsets[i].version = version;
            return CLV_OK;
        }
    const clvi_opset entry = {clvi_arena_strdup(graph->arena, domain), version};
    clvi_opset *longer = entry.domain ? one_longer(graph, graph->opsets, graph->n_opsets, sizeof entry, &entry) : NULL;
    if (!longer)
        return no_memory(err, "an operator set");
    graph->opsets = longer;
    graph->n_opsets++;
    return CLV_OK;
}
