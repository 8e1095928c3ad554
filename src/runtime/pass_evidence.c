/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pass_evidence.h"

#include <string.h>

#include "runtime/infer.h"

/* Extents tried for symbolic sizes that are not a batch: multiples of 32, as downsampling networks want. Symbol k of
 * the graph gets base + 64 k, so that no two are equal and their quotients and differences change from one binding to
 * the next. */
static const int64_t base_extents[] = {224, 320, 512, 128, 416, 64, 640, 32, 96};
static const int64_t batches[CLVI_BINDINGS] = {1, 3, 7};

/* --- bindings -------------------------------------------------------------------------------------------------- */

typedef struct symbol {
    const char *name; /* NULL: a dimension of its own */
    bool is_batch;    /* first met as a leading dimension */
} symbol;

typedef struct symbols {
    symbol *list;
    size_t n;
    size_t *of; /* [n_inputs * CLV_MAX_RANK] index of each unknown dimension's symbol */
} symbols;

static size_t symbol_index(symbols *s, const char *name, bool is_batch)
{
    for (size_t i = 0; i < s->n && name; i++)
        if (s->list[i].name && strcmp(s->list[i].name, name) == 0)
            return i;
    s->list[s->n] = (symbol){.name = name, .is_batch = is_batch};
    return s->n++;
}

static clv_status find_symbols(symbols *s, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    s->list = clvi_arena_calloc(arena, graph->n_inputs, CLV_MAX_RANK * sizeof *s->list);
    s->of = clvi_arena_calloc(arena, graph->n_inputs, CLV_MAX_RANK * sizeof *s->of);
    if (!s->list || !s->of)
        return FAIL(err, CLV_ERR_NOMEM, "pass over %zu inputs", graph->n_inputs);
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const clvi_value *const v = &graph->values[graph->inputs[i]];
        for (int j = 0; j < v->rank; j++)
            if (v->dims[j] < 0)
                s->of[i * CLV_MAX_RANK + (size_t)j] = symbol_index(s, v->dim_names[j], j == 0);
    }
    return CLV_OK;
}

static void bind_inputs(const symbols *s, const clvi_graph *graph, int64_t batch, int64_t base, clv_tensor *inputs)
{
    clvi_default_inputs(graph, 1, 1, inputs);
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const clvi_value *const v = &graph->values[graph->inputs[i]];
        for (int j = 0; j < v->rank; j++) {
            const size_t k = s->of[i * CLV_MAX_RANK + (size_t)j];
            if (v->dims[j] < 0)
                inputs[i].dims[j] = s->list[k].is_batch ? batch : base + 64 * (int64_t)k;
        }
    }
}

static void drop_bindings(clvi_evidence *e)
{
    for (size_t i = 0; i < e->n; i++)
        clvi_shapes_free(&e->shapes[i]);
    e->n = 0;
}

/* Bindings of all symbols until enough of them worked. One that does not work (a size the network cannot take) is not
 * evidence. */
static clv_status infer_bindings(clvi_evidence *e, const clvi_graph *graph, clvi_arena *arena, clv_error *err)
{
    symbols s = {0};
    TRY(find_symbols(&s, graph, arena, err));
    clv_tensor *const inputs = clvi_arena_calloc(arena, graph->n_inputs, sizeof *inputs);
    if (!inputs)
        return FAIL(err, CLV_ERR_NOMEM, "pass over %zu inputs", graph->n_inputs);
    const size_t enough = s.n > 0 ? CLVI_BINDINGS : 1;
    for (size_t i = 0; i < sizeof base_extents / sizeof *base_extents && e->n < enough; i++) {
        bind_inputs(&s, graph, batches[e->n], base_extents[i], inputs);
        const clv_status st = clvi_shapes_infer(&e->shapes[e->n], graph, inputs, graph->n_inputs, err);
        if (st == CLV_OK)
            e->n++;
        else if (st == CLV_ERR_NOMEM)
            return st;
    }
    if (e->n == enough)
        return CLV_OK;
    drop_bindings(e);
    for (size_t i = 0; i < graph->n_inputs; i++)
        inputs[i].rank = -1;
    TRY(clvi_shapes_infer(&e->shapes[0], graph, inputs, graph->n_inputs, err));
    e->n = 1;
    return CLV_OK;
}

/* --- judgement ------------------------------------------------------------------------------------------------- */

/* Operators that only move elements or compute them by +, -, *, /: if such a result agrees under unrelated bindings, it
 * does not depend on them. Minimum, comparison and the like are left out on purpose. */
static bool moves_or_computes(const clvi_node *node)
{
    static const char *const names[] = {
        "Shape", "Size",   "Gather",          "Squeeze",  "Unsqueeze", "Reshape", "Flatten", "Transpose",
        "Split", "Concat", "ConstantOfShape", "Identity", "Cast",      "Add",     "Sub",     "Mul",
        "Div",   "Neg",    "Slice",           "Expand",   "Tile",      "Pad",     "Range",   "ReduceProd"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (clvi_node_is(node, names[i]))
            return true;
    return false;
}

/* Known in every binding, with the same type, shape and bytes. */
static bool agrees(const clvi_evidence *e, size_t v)
{
    const clv_tensor *const a = &e->shapes[0].values[v];
    size_t bytes;
    if (a->rank < 0 || !a->data || !clvi_tensor_bytes(a, &bytes))
        return false;
    for (size_t i = 1; i < e->n; i++) {
        const clv_tensor *const b = &e->shapes[i].values[v];
        if (!b->data || b->dtype != a->dtype || b->rank != a->rank ||
            memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0 || memcmp(a->data, b->data, bytes) != 0)
            return false;
    }
    return true;
}

static bool is_whole(clv_dtype dtype)
{
    return clvi_compute_dtype(dtype) != CLV_FLOAT32;
}

/* Some element is the same in all bindings, or they cannot be compared one by one. */
static bool agrees_somewhere(const clvi_evidence *e, size_t v)
{
    const clv_tensor *const a = &e->shapes[0].values[v];
    const size_t size = clv_dtype_size(a->dtype);
    const int64_t n = clv_tensor_count(a);
    if (!a->data)
        return true;
    for (size_t i = 1; i < e->n; i++)
        if (!e->shapes[i].values[v].data || clv_tensor_count(&e->shapes[i].values[v]) != n)
            return true;
    for (int64_t j = 0; j < n; j++) {
        bool same = true;
        for (size_t i = 1; i < e->n && same; i++)
            same = memcmp((const char *)a->data + (size_t)j * size,
                          (const char *)e->shapes[i].values[v].data + (size_t)j * size, size) == 0;
        if (same)
            return true;
    }
    return false;
}

/* Division of whole numbers and casts to them round: n / 8 is 0 for every n that is tried. Where such a result agrees,
 * it is no evidence. */
static bool rounds(const clvi_evidence *e, const clvi_node *node)
{
    if (!(clvi_node_is(node, "Div") || clvi_node_is(node, "Cast")) || node->n_in == 0 || node->n_out == 0)
        return false;
    const clv_tensor *const in = &e->shapes[0].values[node->in[0]], *const out = &e->shapes[0].values[node->out[0]];
    return is_whole(out->dtype) && (clvi_node_is(node, "Div") || !is_whole(in->dtype)) &&
           agrees_somewhere(e, (size_t)node->out[0]);
}

/* Gather and Slice pick by their other inputs: with varying ones they may pick equal elements of a table by chance. */
static bool picks_by_chance(const clvi_evidence *e, const clvi_node *node)
{
    if (!clvi_node_is(node, "Gather") && !clvi_node_is(node, "Slice"))
        return false;
    for (size_t i = 1; i < node->n_in; i++)
        if (node->in[i] != CLVI_NONE && !e->fixed[node->in[i]])
            return true;
    return false;
}

static bool is_known(const clvi_evidence *e, size_t v)
{
    bool known = true;
    for (size_t i = 0; i < e->n; i++)
        known = known && e->shapes[i].values[v].rank >= 0;
    return known;
}

static bool has_data(const clvi_evidence *e, size_t v)
{
    bool data = false;
    for (size_t i = 0; i < e->n; i++)
        data = data || e->shapes[i].values[v].data;
    return data;
}

static bool dim_varies(const clvi_evidence *e, int32_t v, int axis)
{
    for (size_t i = 1; i < e->n; i++)
        if (e->shapes[i].values[v].dims[axis] != e->shapes[0].values[v].dims[axis])
            return true;
    return false;
}

/* A Slice may cut a varying dimension to one length by clamping at its end; that the length agrees is no evidence then.
 */
static bool clamps(const clvi_evidence *e, const clvi_node *node)
{
    if (!clvi_node_is(node, "Slice") || node->n_in == 0 || node->n_out == 0)
        return false;
    const int32_t in = node->in[0], out = node->out[0];
    for (int j = 0; j < e->shapes[0].values[out].rank; j++)
        if (dim_varies(e, in, j) && !dim_varies(e, out, j))
            return true;
    return false;
}

/* Is it evidence when the data that the node made agree in all bindings, although its inputs do not? */
static bool data_are_evidence(const clvi_evidence *e, const clvi_node *node)
{
    return moves_or_computes(node) && !clamps(e, node) && !rounds(e, node) && !picks_by_chance(e, node);
}

static bool is_narrow(clv_dtype dtype)
{
    return dtype != CLV_FLOAT32 && clvi_compute_dtype(dtype) == CLV_FLOAT32;
}

static bool node_is_narrow(const clvi_evidence *e, const clvi_graph *graph, const clvi_node *node)
{
    const clvi_attr *const value = clvi_node_attr(node, "value"); /* Constant, ConstantOfShape */
    bool narrow = (clvi_node_is(node, "Cast") && is_narrow((clv_dtype)clvi_node_int(node, "to", CLV_FLOAT32))) ||
                  (value && value->tensor && is_narrow(value->tensor->dtype));
    for (size_t i = 0; i < node->n_out && !narrow; i++)
        narrow = node->out[i] != CLVI_NONE && is_narrow(graph->values[node->out[i]].dtype);
    if (clvi_node_is(node, "Shape") || clvi_node_is(node, "Size"))
        return narrow;
    for (size_t i = 0; i < node->n_in && !narrow; i++)
        narrow = node->in[i] != CLVI_NONE && e->narrow[node->in[i]];
    return narrow;
}

static void judge_node(clvi_evidence *e, const clvi_graph *graph, const clvi_node *node)
{
    const bool narrow = node_is_narrow(e, graph, node);
    bool inputs_trusted = true, inputs_fixed = true;
    for (size_t i = 0; i < node->n_in; i++) {
        if (node->in[i] == CLVI_NONE)
            continue;
        inputs_trusted = inputs_trusted && e->trusted[node->in[i]];
        inputs_fixed = inputs_fixed && e->fixed[node->in[i]];
    }
    for (size_t i = 0; i < node->n_out; i++) {
        if (node->out[i] == CLVI_NONE)
            continue;
        const size_t v = (size_t)node->out[i];
        e->narrow[v] = narrow;
        e->trusted[v] = inputs_trusted && is_known(e, v) &&
                        (inputs_fixed || (has_data(e, v) ? data_are_evidence(e, node) : !clamps(e, node)));
        e->fixed[v] = e->trusted[v] && agrees(e, v);
    }
}

clv_status clvi_evidence_gather(clvi_evidence *out, const clvi_graph *graph, clv_error *err)
{
    clv_status st = CLV_OK;
    *out = (clvi_evidence){.n_values = graph->n_values};
    clvi_arena *const scratch = clvi_arena_create();
    out->fixed = clvi_calloc(graph->n_values, sizeof *out->fixed);
    out->trusted = clvi_calloc(graph->n_values, sizeof *out->trusted);
    out->narrow = clvi_calloc(graph->n_values, sizeof *out->narrow);
    if (!scratch || !out->fixed || !out->trusted || !out->narrow) {
        st = FAIL(err, CLV_ERR_NOMEM, "pass over %zu values", graph->n_values);
        goto out;
    }
    if ((st = infer_bindings(out, graph, scratch, err)) != CLV_OK)
        goto out;
    for (size_t v = 0; v < graph->n_values; v++) {
        const clvi_value *const value = &graph->values[v];
        out->narrow[v] = is_narrow(value->constant ? value->constant->dtype : value->dtype);
        out->trusted[v] = (value->constant || value->is_input) && is_known(out, v);
        out->fixed[v] = value->constant && agrees(out, v);
    }
    for (size_t i = 0; i < graph->n_nodes; i++)
        judge_node(out, graph, graph->nodes[i]);
out:
    clvi_arena_free(scratch);
    if (st != CLV_OK)
        clvi_evidence_free(out);
    return st;
}

void clvi_evidence_free(clvi_evidence *evidence)
{
    if (!evidence)
        return;
    drop_bindings(evidence);
    clvi_free(evidence->fixed);
    clvi_free(evidence->trusted);
    clvi_free(evidence->narrow);
    *evidence = (clvi_evidence){0};
}
