/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/passes.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "runtime/infer.h"
#include "runtime/pass_edit.h"
#include "runtime/pass_evidence.h"

#define SMALL ((size_t)64 * 1024) /* bytes that a result may always have */

/* --- nodes that do nothing ------------------------------------------------------------------------------------- */

/* Dropout outside training: opset 12 has a training_mode input, absent or false; before, there is no other mode. */
static bool is_idle_dropout(const clvi_graph *graph, const clvi_node *node, const size_t *uses)
{
    if (!clvi_node_is(node, "Dropout") || (node->n_out > 1 && node->out[1] != CLVI_NONE && uses[node->out[1]] > 0))
        return false;
    if (node->n_in < 3 || node->in[2] == CLVI_NONE)
        return true;
    const clv_tensor *const mode = graph->values[node->in[2]].constant;
    return mode && mode->dtype == CLV_BOOL && mode->data && *(const uint8_t *)mode->data == 0;
}

/* The result of Identity gets its operand's place. A graph output keeps its name, which the operand can only take over
 * when it is a node's result and no output itself. */
static clv_status skip_idle_nodes(clvi_graph *graph, clv_error *err)
{
    size_t *const uses = clvi_calloc(graph->n_values, sizeof *uses);
    bool *const gone = clvi_calloc(graph->n_nodes, sizeof *gone);
    if (!uses || !gone) {
        clvi_free(uses);
        clvi_free(gone);
        return FAIL(err, CLV_ERR_NOMEM, "pass over %zu nodes", graph->n_nodes);
    }
    clvi_count_uses(graph, uses);
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *const node = graph->nodes[i];
        if (node->n_in == 0 || node->n_out == 0 || node->in[0] == CLVI_NONE || node->out[0] == CLVI_NONE ||
            uses[node->out[0]] == 0 || !(clvi_node_is(node, "Identity") || is_idle_dropout(graph, node, uses)))
            continue;
        if (graph->values[node->out[0]].is_output && graph->values[node->in[0]].constant)
            continue;                                                    /* an initializer keeps its name */
        gone[i] = clvi_graph_redirect(graph, node->out[0], node->in[0]); /* false: a graph output must keep its maker */
    }
    clvi_remove_nodes(graph, gone);
    clvi_free(uses);
    clvi_free(gone);
    return CLV_OK;
}

/* --- Reshape targets ------------------------------------------------------------------------------------------- */

/* Entry j of a target shape: what ONNX writes for it when it is the same under all bindings, or copies dimension j of
 * the input. false: neither. */
static bool describe_entry(const clvi_evidence *e, const clvi_node *node, int64_t j, int64_t *entry)
{
    bool same = true, copies = true;
    const int64_t first = ((const int64_t *)e->shapes[0].values[node->in[1]].data)[j];
    for (size_t i = 0; i < e->n; i++) {
        const clv_tensor *const x = &e->shapes[i].values[node->in[0]];
        const int64_t d = ((const int64_t *)e->shapes[i].values[node->in[1]].data)[j];
        same = same && d == first;
        copies = copies && j < x->rank && d == x->dims[j];
    }
    *entry = same ? first : 0;
    return same || copies;
}

/* The target of a Reshape as constants, 0 (copy) and at most one -1 (what is left). */
static bool describe_target(const clvi_evidence *e, const clvi_node *node, int64_t *target, int64_t *n)
{
    int64_t holes = 0;
    for (size_t i = 0; i < e->n; i++) {
        const clv_tensor *const shape = &e->shapes[i].values[node->in[1]];
        if (!shape->data || shape->dtype != CLV_INT64 || shape->rank != 1 || shape->dims[0] > CLV_MAX_RANK ||
            shape->dims[0] != e->shapes[0].values[node->in[1]].dims[0])
            return false;
    }
    *n = e->shapes[0].values[node->in[1]].dims[0];
    for (int64_t j = 0; j < *n; j++) {
        if (!describe_entry(e, node, j, &target[j]))
            target[j] = -1;
        holes += target[j] == -1;
    }
    return holes <= 1;
}

/* Write down the targets that are computed from dimensions of their own input. */
static clv_status describe_reshapes(clvi_graph *graph, const clvi_evidence *e, clv_error *err)
{
    for (size_t i = 0; i < graph->n_nodes; i++) {
        clvi_node *const node = graph->nodes[i];
        int64_t target[CLV_MAX_RANK], n;
        int32_t id;
        if (!clvi_node_is(node, "Reshape") || node->n_in != 2 || node->in[0] == CLVI_NONE || node->in[1] == CLVI_NONE ||
            clvi_node_int(node, "allowzero", 0) != 0 || (size_t)node->in[1] >= e->n_values || e->fixed[node->in[1]] ||
            !e->trusted[node->in[0]] || !e->trusted[node->in[1]] || !describe_target(e, node, target, &n))
            continue;
        const clv_tensor t = {.dtype = CLV_INT64, .rank = 1, .dims = {n}, .data = target};
        char name[512];
        (void)snprintf(name, sizeof name, "%.400s_shape", clvi_node_label(graph, node));
        TRY(clvi_graph_add_constant(graph, name, &t, &id, err));
        node->in[1] = id;
    }
    return CLV_OK;
}

/* --- results that become initializers -------------------------------------------------------------------------- */

static size_t bytes_of(const clvi_evidence *e, int32_t v)
{
    size_t bytes = 0;
    return v != CLVI_NONE && (size_t)v < e->n_values && clvi_tensor_bytes(&e->shapes[0].values[v], &bytes) ? bytes : 0;
}

/* Is every result known, and small enough where a node that stays reads it? */
static bool can_go(const clvi_graph *graph, const clvi_evidence *e, const clvi_node *node, const bool *read)
{
    size_t made_from = 0;
    const bool is_constant = clvi_node_is(node, "Constant"); /* its value is in the file already */
    for (size_t i = 0; i < node->n_in; i++)
        made_from += clvi_min_size(bytes_of(e, node->in[i]), SIZE_MAX / 2 - made_from);
    for (size_t i = 0; i < node->n_out; i++) {
        const int32_t v = node->out[i];
        if (v == CLVI_NONE)
            continue;
        if (!e->fixed[v] || graph->values[v].is_output)
            return false;
        if (read[v] && !is_constant && (e->narrow[v] || bytes_of(e, v) > clvi_max_size(SMALL, made_from)))
            return false;
    }
    return true;
}

/* Constant with a tensor keeps its type; all else was computed here. */
static clv_status make_initializer(clvi_graph *graph, const clvi_evidence *e, const clvi_node *node, int32_t v,
                                   clv_error *err)
{
    const clvi_attr *const attr = clvi_node_is(node, "Constant") ? clvi_node_attr(node, "value") : NULL;
    clvi_value *const value = &graph->values[v];
    size_t bytes = bytes_of(e, v);
    clv_tensor *const t = clvi_arena_calloc(graph->arena, 1, sizeof *t);
    if (!t)
        return FAIL(err, CLV_ERR_NOMEM, "constant \"%s\"", value->name);
    *t = attr && attr->tensor ? *attr->tensor : e->shapes[0].values[v];
    if (!attr || !attr->tensor) {
        t->data = clvi_arena_alloc(graph->arena, bytes);
        if (!t->data)
            return FAIL(err, CLV_ERR_NOMEM, "constant \"%s\", %zu bytes", value->name, bytes);
        if (bytes > 0)
            memcpy(t->data, e->shapes[0].values[v].data, bytes);
    }
    value->constant = t;
    value->dtype = t->dtype;
    value->rank = t->rank;
    memcpy(value->dims, t->dims, sizeof value->dims);
    return CLV_OK;
}

/* Backwards, so that a node knows which of its results a staying node reads: those become initializers. */
static clv_status fold_fixed(clvi_graph *graph, const clvi_evidence *e, clv_error *err)
{
    clv_status st = CLV_OK;
    bool *const read = clvi_calloc(graph->n_values, sizeof *read);
    bool *const gone = clvi_calloc(graph->n_nodes, sizeof *gone);
    if (!read || !gone) {
        st = FAIL(err, CLV_ERR_NOMEM, "pass over %zu nodes", graph->n_nodes);
        goto out;
    }
    for (size_t i = graph->n_nodes; i-- > 0 && st == CLV_OK;) {
        const clvi_node *const node = graph->nodes[i];
        gone[i] = can_go(graph, e, node, read);
        for (size_t j = 0; j < node->n_in && !gone[i]; j++)
            if (node->in[j] != CLVI_NONE)
                read[node->in[j]] = true;
        for (size_t j = 0; j < node->n_capture && !gone[i]; j++)
            read[node->capture[j]] = true;
        for (size_t j = 0; j < node->n_out && gone[i] && st == CLV_OK; j++)
            if (node->out[j] != CLVI_NONE && read[node->out[j]])
                st = make_initializer(graph, e, node, node->out[j], err);
    }
    if (st == CLV_OK)
        clvi_remove_nodes(graph, gone);
out:
    clvi_free(read);
    clvi_free(gone);
    return st;
}

static clv_status apply(clvi_graph *graph, clv_error *err)
{
    clvi_evidence evidence;
    TRY(skip_idle_nodes(graph, err));
    TRY(clvi_evidence_gather(&evidence, graph, err));
    clv_status st = describe_reshapes(graph, &evidence, err);
    if (st == CLV_OK)
        st = fold_fixed(graph, &evidence, err);
    clvi_evidence_free(&evidence);
    return st;
}

clv_status clvi_pass_fold_constants(clvi_graph *graph, clv_error *err)
{
    return clvi_pass_apply(graph, apply, err);
}
