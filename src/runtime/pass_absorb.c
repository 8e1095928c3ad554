/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/half.h"
#include "runtime/infer.h"
#include "runtime/pass_edit.h"
#include "runtime/pass_evidence.h"
#include "runtime/passes.h"

/* Every element of a floating tensor is +0 or -0. */
static bool all_zero(const clv_tensor *t)
{
    const int64_t n = clv_tensor_count(t);
    if (n < 1 || !t->data || clvi_compute_dtype(t->dtype) != CLV_FLOAT32)
        return false;
    if (t->dtype == CLV_FLOAT64) {
        for (int64_t i = 0; i < n; i++)
            if (((const double *)t->data)[i] != 0)
                return false;
        return true;
    }
    const size_t size = clv_dtype_size(t->dtype);
    for (size_t i = 0; i < (size_t)n; i++) {
        float x;
        if (!clvi_floats_from(&x, t->dtype, (const char *)t->data + i * size, 1) || x != 0)
            return false;
    }
    return true;
}

/* Zero weights [O, I, k...], and a constant bias [O] or none. */
static bool makes_constant(const clvi_graph *graph, const clvi_node *node)
{
    if (!clvi_node_is(node, "Conv") || node->n_in < 2 || node->n_out != 1 || node->in[1] == CLVI_NONE ||
        node->out[0] == CLVI_NONE || graph->values[node->out[0]].is_output)
        return false;
    const clv_tensor *w = graph->values[node->in[1]].constant;
    const bool biased = node->n_in > 2 && node->in[2] != CLVI_NONE;
    const clv_tensor *b = biased ? graph->values[node->in[2]].constant : NULL;
    if (!w || w->rank < 3 || !all_zero(w))
        return false;
    return !biased || (b && b->data && b->rank == 1 && b->dims[0] == w->dims[0] && b->dtype == w->dtype);
}

static bool same_shapes(const clvi_evidence *e, int32_t a, int32_t b)
{
    for (size_t i = 0; i < e->n; i++) {
        const clv_tensor *x = &e->shapes[i].values[a], *y = &e->shapes[i].values[b];
        if (x->rank < 2 || x->rank != y->rank || y->data ||
            memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0)
            return false;
    }
    return e->n > 0;
}

/* The operand of an Add beside v; CLVI_NONE: it is no such Add. */
static int32_t other_operand(const clvi_node *add, int32_t v)
{
    if (!clvi_node_is(add, "Add") || add->n_in != 2 || add->n_capture || add->in[0] == add->in[1])
        return CLVI_NONE;
    return add->in[0] == v ? add->in[1] : add->in[0];
}

static bool only_feeds_adds(const clvi_graph *graph, const clvi_evidence *e, const clvi_uses *uses, int32_t v)
{
    for (int32_t i = uses->first[v]; i < uses->first[v + 1]; i++) {
        const int32_t other = other_operand(graph->nodes[uses->consumer[i]], v);
        if (other == CLVI_NONE || (size_t)other >= e->n_values || graph->values[other].constant ||
            !same_shapes(e, v, other))
            return false;
    }
    return uses->first[v + 1] > uses->first[v];
}

/* The bias as [1, O, 1, ...]. */
static clv_status add_bias(int32_t *id, clvi_graph *graph, const clvi_node *node, clv_error *err)
{
    const clv_tensor *w = graph->values[node->in[1]].constant;
    const bool biased = node->n_in > 2 && node->in[2] != CLVI_NONE;
    clv_tensor t = {.dtype = w->dtype, .rank = w->rank};
    for (int i = 0; i < t.rank; i++)
        t.dims[i] = i == 1 ? w->dims[0] : 1;
    const char *name = clvi_arena_printf(graph->arena, "%s.constant", graph->values[node->out[0]].name);
    t.data = biased ? graph->values[node->in[2]].constant->data
                    : clvi_arena_calloc(graph->arena, (size_t)w->dims[0], clv_dtype_size(w->dtype));
    if (!name || !t.data)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(graph, node));
    return clvi_graph_add_constant(graph, name, &t, id, err);
}

static clv_status apply(clvi_graph *graph, clv_error *err)
{
    clvi_evidence e = {0};
    clvi_uses uses = {0};
    bool any = false;
    clv_status st;
    for (size_t i = 0; i < graph->n_nodes; i++)
        any = any || makes_constant(graph, graph->nodes[i]);
    if (!any)
        return CLV_OK;
    if ((st = clvi_evidence_gather(&e, graph, err)) != CLV_OK || (st = clvi_uses_create(&uses, graph, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; st == CLV_OK && i < graph->n_nodes; i++) {
        const clvi_node *node = graph->nodes[i];
        int32_t bias;
        if (!makes_constant(graph, node) || !only_feeds_adds(graph, &e, &uses, node->out[0]))
            continue;
        if ((st = add_bias(&bias, graph, node, err)) != CLV_OK)
            break;
        for (int32_t k = uses.first[node->out[0]]; k < uses.first[node->out[0] + 1]; k++) {
            clvi_node *add = graph->nodes[uses.consumer[k]];
            add->in[add->in[0] == node->out[0] ? 0 : 1] = bias;
        }
    }
out:
    clvi_uses_free(&uses);
    clvi_evidence_free(&e);
    return st;
}

clv_status clvi_pass_absorb_constants(clvi_graph *graph, clv_error *err)
{
    return clvi_pass_apply(graph, apply, err);
}
