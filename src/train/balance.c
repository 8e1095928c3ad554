/* SPDX-License-Identifier: Apache-2.0 */
#include "train/balance.h"

#include <math.h>

#define SWEEPS 8 /* chains of three or four settle in a few */

typedef struct link {
    const clv_tensor *a, *bias, *b; /* weights [channels, ...] that write, weights that read; bias may be NULL */
    bool depthwise;                 /* b is [channels * m, 1, kh, kw] */
} link;

/* The initializer behind input i of a node when it is this node's alone and float32. */
static const clv_tensor *own_constant(const clvi_graph *graph, const clvi_uses *uses, const clvi_node *node, size_t i)
{
    const int32_t v = i < node->n_in ? node->in[i] : CLVI_NONE;
    const clv_tensor *const t = v == CLVI_NONE ? NULL : graph->values[v].constant;
    return t && t->dtype == CLV_FLOAT32 && t->data && uses->first[v + 1] - uses->first[v] == 1 ? t : NULL;
}

static bool find_link(link *l, const clvi_graph *graph, const clvi_uses *uses, const clvi_node *first)
{
    const int32_t v = first->out[0];
    if (!clvi_node_is(first, "Conv") || graph->values[v].is_output || uses->first[v + 1] - uses->first[v] != 1)
        return false;
    const clvi_node *const second = graph->nodes[uses->consumer[uses->first[v]]];
    if (!clvi_node_is(second, "Conv") || second->in[0] != v)
        return false;
    l->a = own_constant(graph, uses, first, 1);
    l->b = own_constant(graph, uses, second, 1);
    l->bias = own_constant(graph, uses, first, 2);
    const bool has_bias = first->n_in > 2 && first->in[2] != CLVI_NONE;
    if (!l->a || !l->b || (has_bias && !l->bias) || l->a->rank < 3 || l->b->rank != l->a->rank || l->a->dims[0] < 1)
        return false;
    const int64_t c = l->a->dims[0], groups = clvi_node_int(second, "group", 1);
    l->depthwise = groups == c && l->b->dims[1] == 1 && l->b->dims[0] % c == 0;
    return l->depthwise || (groups == 1 && l->b->dims[1] == c);
}

/* Weights of b that read channel k: `runs` runs of `length`, the first at `at`, `step` apart. */
typedef struct slice {
    size_t at, runs, length, step;
} slice;

static slice readers(const link *l, size_t k)
{
    const size_t c = (size_t)l->a->dims[0], all = (size_t)clv_tensor_count(l->b);
    if (l->depthwise)
        return (slice){.at = k * (all / c), .runs = 1, .length = all / c};
    const size_t o = (size_t)l->b->dims[0], plane = all / (o * c);
    return (slice){.at = k * plane, .runs = o, .length = plane, .step = c * plane};
}

static double mean_square(const float *w, slice s)
{
    double sum = 0;
    for (size_t r = 0; r < s.runs; r++)
        for (size_t i = 0; i < s.length; i++)
            sum += (double)w[s.at + r * s.step + i] * (double)w[s.at + r * s.step + i];
    return sum / (double)(s.runs * s.length);
}

static void scale(float *w, slice s, double factor)
{
    for (size_t r = 0; r < s.runs; r++)
        for (size_t i = 0; i < s.length; i++)
            w[s.at + r * s.step + i] = (float)((double)w[s.at + r * s.step + i] * factor);
}

static void balance_link(const link *l)
{
    const size_t c = (size_t)l->a->dims[0], row = (size_t)clv_tensor_count(l->a) / c;
    float *const a = l->a->data, *const b = l->b->data, *const bias = l->bias ? l->bias->data : NULL;
    for (size_t k = 0; k < c; k++) {
        const slice mine = {.at = k * row, .runs = 1, .length = row}, theirs = readers(l, k);
        const double x = mean_square(a, mine), y = mean_square(b, theirs);
        const double factor = sqrt(sqrt(y / x));
        if (!(x > 0) || !(y > 0) || !isfinite(factor) || factor < 1e-6 || factor > 1e6)
            continue;
        scale(a, mine, factor);
        if (bias)
            bias[k] = (float)((double)bias[k] * factor);
        scale(b, theirs, 1 / factor);
    }
}

clv_status clvi_balance(clvi_graph *graph, clv_error *err)
{
    clvi_uses uses;
    TRY(clvi_uses_create(&uses, graph, err));
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (size_t i = 0; i < graph->n_nodes; i++) {
            link l;
            if (graph->nodes[i]->n_out > 0 && graph->nodes[i]->out[0] != CLVI_NONE &&
                find_link(&l, graph, &uses, graph->nodes[i]))
                balance_link(&l);
        }
    clvi_uses_free(&uses);
    return CLV_OK;
}
