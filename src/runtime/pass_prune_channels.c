/* SPDX-License-Identifier: Apache-2.0 */
/* Which channels does anybody read? Every channel of every tracked value is an element; a node that works channel by
 * channel unites those of its inputs with those of its output, so that what one of them needs all of them carry. A
 * class is live when something that looks at every channel reads one of it, or a Gather or a depthwise convolution
 * whose own output is live. What makes the rest stops making it; a Gather's list is renumbered, and where it has become
 * 0, 1, 2, ... the Gather goes. */
#include <string.h>

#include "base/size.h"
#include "runtime/channel_flow.h"
#include "runtime/pass_edit.h"
#include "runtime/passes.h"

typedef struct pruning {
    clvi_graph *graph;
    clvi_channel_flow flow;
    size_t n_values;   /* at the start */
    size_t *first;     /* [n_values + 1] the elements of v are first[v] .. first[v + 1] - 1 */
    size_t *parent;    /* [elements] of the class; the root is its own parent */
    bool *live;        /* [elements] of roots */
    int64_t *kept;     /* [n_values] live channels */
    size_t *uses;      /* [n_values] */
    bool *drop;        /* [n_nodes] a Gather that changes nothing any more */
    clvi_arena *arena; /* all of the above */
} pruning;

static size_t root_of(pruning *p, int32_t v, int64_t channel)
{
    size_t at = p->first[v] + (size_t)channel;
    while (p->parent[at] != at)
        at = p->parent[at] = p->parent[p->parent[at]];
    return at;
}

static void unite(pruning *p, int32_t a, int64_t i, int32_t b, int64_t j)
{
    const size_t x = root_of(p, a, i), y = root_of(p, b, j);
    if (x < y)
        p->parent[y] = x;
    else
        p->parent[x] = y;
}

static bool is_live(pruning *p, int32_t v, int64_t channel)
{
    return p->live[root_of(p, v, channel)];
}

static void need_all(pruning *p, int32_t v)
{
    for (int64_t i = 0; v != CLVI_NONE && i < p->flow.channels[v]; i++)
        p->live[root_of(p, v, i)] = true;
}

static int64_t filters_each(const pruning *p, const clvi_node *node)
{
    return p->flow.channels[node->out[0]] / clvi_node_int(node, "group", 1);
}

/* --- what is live ---------------------------------------------------------------------------------------------- */

static clv_status prepare(pruning *p, clv_error *err)
{
    const clvi_graph *g = p->graph;
    p->n_values = g->n_values;
    TRY(clvi_channel_flow_create(&p->flow, g, err));
    p->arena = clvi_arena_create();
    p->first = p->arena ? clvi_arena_calloc(p->arena, g->n_values + 1, sizeof *p->first) : NULL;
    bool fits = p->first != NULL;
    for (size_t v = 0; fits && v < g->n_values; v++)
        fits = clvi_add(p->first[v], (size_t)p->flow.channels[v], &p->first[v + 1]);
    if (fits) {
        p->parent = clvi_arena_calloc(p->arena, p->first[g->n_values], sizeof *p->parent);
        p->live = clvi_arena_calloc(p->arena, p->first[g->n_values], sizeof *p->live);
        p->kept = clvi_arena_calloc(p->arena, g->n_values, sizeof *p->kept);
        p->uses = clvi_arena_calloc(p->arena, g->n_values, sizeof *p->uses);
        p->drop = clvi_arena_calloc(p->arena, g->n_nodes, sizeof *p->drop);
    }
    if (!fits || !p->parent || !p->live || !p->kept || !p->uses || !p->drop)
        return FAIL(err, CLV_ERR_NOMEM, "channels of %zu values", g->n_values);
    for (size_t i = 0; i < p->first[g->n_values]; i++)
        p->parent[i] = i;
    clvi_count_uses(g, p->uses);
    return CLV_OK;
}

static void unite_node(pruning *p, size_t at)
{
    const clvi_node *node = p->graph->nodes[at];
    const clvi_role role = p->flow.role[at];
    const int32_t y = role == CLVI_ROLE_OTHER ? CLVI_NONE : node->out[0];
    int64_t offset = 0;
    if (role == CLVI_ROLE_DEPTHWISE)
        for (int64_t i = 0, m = filters_each(p, node); i < p->flow.channels[y]; i++)
            unite(p, y, i, y, i - i % m);
    if (role != CLVI_ROLE_PASSES && role != CLVI_ROLE_JOINS && role != CLVI_ROLE_CONCAT)
        return;
    for (size_t k = 0; k < node->n_in; k++) {
        const int32_t x = node->in[k];
        if (x == CLVI_NONE)
            continue;
        for (int64_t i = 0; i < p->flow.channels[x]; i++)
            unite(p, y, offset + i, x, i);
        offset += role == CLVI_ROLE_CONCAT ? p->flow.channels[x] : 0;
    }
}

/* What is read whole, whoever reads it. */
static void need_roots(pruning *p)
{
    const clvi_graph *g = p->graph;
    for (size_t i = 0; i < g->n_outputs; i++)
        need_all(p, g->outputs[i]);
    for (size_t at = 0; at < g->n_nodes; at++) {
        const clvi_node *node = g->nodes[at];
        const clvi_role role = p->flow.role[at];
        for (size_t k = 0; k < node->n_capture; k++)
            need_all(p, node->capture[k]);
        if (role == CLVI_ROLE_OTHER || role == CLVI_ROLE_MAKES || role == CLVI_ROLE_FIXED)
            for (size_t k = 0; k < node->n_in; k++)
                need_all(p, node->in[k]);
        if (role == CLVI_ROLE_FIXED)
            need_all(p, node->out[0]);
    }
}

/* Through the nodes whose input is live only where their output is. true: something new is live. */
static bool need_more(pruning *p)
{
    bool more = false;
    for (size_t at = p->graph->n_nodes; at-- > 0;) {
        const clvi_node *node = p->graph->nodes[at];
        const clvi_role role = p->flow.role[at];
        if ((role != CLVI_ROLE_GATHER && role != CLVI_ROLE_DEPTHWISE) || p->flow.channels[node->in[0]] == 0)
            continue;
        const int64_t m = role == CLVI_ROLE_DEPTHWISE ? filters_each(p, node) : 1;
        for (int64_t i = 0; i < p->flow.channels[node->out[0]]; i++) {
            if (!is_live(p, node->out[0], i))
                continue;
            const size_t from = root_of(p, node->in[0], p->flow.list[at] ? p->flow.list[at][i] : i / m);
            more = more || !p->live[from];
            p->live[from] = true;
        }
    }
    return more;
}

static void find_live(pruning *p)
{
    for (size_t at = 0; at < p->graph->n_nodes; at++)
        unite_node(p, at);
    need_roots(p);
    while (need_more(p))
        continue;
    for (size_t v = 0; v < p->n_values; v++)
        for (int64_t i = 0; i < p->flow.channels[v]; i++)
            p->kept[v] += is_live(p, (int32_t)v, i);
}

/* --- the new nodes --------------------------------------------------------------------------------------------- */

/* Live channels of v, ascending: list[kept[v]]. NULL: no memory. */
static int64_t *live_list(pruning *p, int32_t v)
{
    int64_t n = 0, *list = clvi_arena_calloc(p->arena, (size_t)p->kept[v], sizeof *list);
    for (int64_t i = 0; list && i < p->flow.channels[v]; i++)
        if (is_live(p, v, i))
            list[n++] = i;
    return list;
}

/* Input i of the node becomes its entries list[n] along `axis`: in place when nobody else reads the old constant. */
static clv_status keep_entries(pruning *p, clvi_node *node, size_t i, int axis, const int64_t *list, int64_t n,
                               clv_error *err)
{
    const int32_t old = node->in[i];
    const clv_tensor *from = p->graph->values[old].constant;
    size_t inner = clv_dtype_size(from->dtype), outer = 1;
    for (int d = 0; d < from->rank; d++)
        if (d < axis)
            outer *= (size_t)from->dims[d];
        else if (d > axis)
            inner *= (size_t)from->dims[d];
    clv_tensor *t = clvi_arena_calloc(p->graph->arena, 1, sizeof *t);
    char *data = clvi_arena_calloc(p->graph->arena, outer * (size_t)n, inner);
    if (!t || !data)
        return FAIL(err, CLV_ERR_NOMEM, "constant \"%s\"", p->graph->values[old].name);
    *t = *from;
    t->dims[axis] = n;
    t->data = data;
    for (size_t o = 0; o < outer; o++)
        for (size_t j = 0; j < (size_t)n; j++)
            memcpy(data + (o * (size_t)n + j) * inner,
                   (const char *)from->data + (o * (size_t)from->dims[axis] + (size_t)list[j]) * inner, inner);
    if (p->uses[old] == 1) {
        clvi_value *value = &p->graph->values[old];
        value->constant = t;
        value->raw_info = (clvi_blob){0};
        value->rank = t->rank;
        memcpy(value->dims, t->dims, sizeof value->dims);
        return CLV_OK;
    }
    p->uses[old]--;
    return clvi_graph_add_constant(p->graph, p->graph->values[old].name, t, &node->in[i], err);
}

static clv_status prune_maker(pruning *p, clvi_node *node, clv_error *err)
{
    const int32_t y = node->out[0];
    const int64_t *list = live_list(p, y), n = p->kept[y];
    if (!list)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(p->graph, node));
    TRY(keep_entries(p, node, 1, clvi_node_is(node, "ConvTranspose") ? 1 : 0, list, n, err));
    return node->n_in > 2 && node->in[2] != CLVI_NONE ? keep_entries(p, node, 2, 0, list, n, err) : CLV_OK;
}

/* Constants with an entry for each channel. */
static clv_status prune_operands(pruning *p, clvi_node *node, clv_error *err)
{
    const int32_t y = node->out[0];
    const int64_t *list = live_list(p, y);
    if (!list)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(p->graph, node));
    for (size_t i = 0; i < node->n_in; i++) {
        bool fits = true;
        const int32_t x = node->in[i];
        if (x == CLVI_NONE || (size_t)x >= p->n_values || p->flow.channels[x] > 0)
            continue;
        const int axis = clvi_channel_axis(p->graph, node, i, p->flow.channels[y], p->flow.rank[y], &fits);
        if (fits && axis >= 0)
            TRY(keep_entries(p, node, i, axis, list, p->kept[y], err));
    }
    return CLV_OK;
}

/* A constant list of channels, named after the node. */
static clv_status add_list(int32_t *id, pruning *p, const clvi_node *node, int64_t *list, int64_t n, clv_error *err)
{
    const clv_tensor t = {.dtype = CLV_INT64, .rank = 1, .dims = {n}, .data = list};
    const char *name = clvi_arena_printf(p->graph->arena, "%s.kept", clvi_node_label(p->graph, node));
    return name ? clvi_graph_add_constant(p->graph, name, &t, id, err)
                : FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(p->graph, node));
}

/* Where a live channel stands among those of v that are left; an untracked v has all of its channels. */
static int64_t position_of(pruning *p, int32_t v, int64_t channel)
{
    int64_t before = 0;
    if (p->flow.channels[v] == 0)
        return channel;
    for (int64_t i = 0; i < channel; i++)
        before += is_live(p, v, i);
    return before;
}

/* Keep the filters of the channels whose outputs are live, and gather those channels where the input has others. */
static clv_status prune_depthwise(pruning *p, size_t *at, clv_error *err)
{
    clvi_node *node = p->graph->nodes[*at];
    const int32_t x = node->in[0], y = node->out[0];
    const int64_t m = filters_each(p, node), n = p->kept[y] / m, left = p->flow.channels[x] ? p->kept[x] : INT64_MAX;
    int64_t *list = live_list(p, y);
    int32_t ids[2] = {x, CLVI_NONE}, gathered;
    if (!list)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(p->graph, node));
    TRY(prune_maker(p, node, err));
    TRY(clvi_node_set_int(p->graph, node, "group", n, err));
    if (left == n)
        return CLV_OK;
    for (int64_t i = 0; i < n; i++)
        list[i] = position_of(p, x, list[i * m] / m);
    TRY(add_list(&ids[1], p, node, list, n, err));
    TRY(clvi_graph_add_value(p->graph, p->graph->values[ids[1]].name, &gathered, err));
    clvi_node *gather = clvi_node_new(p->graph, "Gather", "", ids, 2, &gathered, 1);
    if (!gather)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(p->graph, node));
    TRY(clvi_node_set_int(p->graph, gather, "axis", 1, err));
    node->in[0] = gathered;
    clvi_node *const both[2] = {gather, node};
    TRY(clvi_graph_replace(p->graph, *at, both, 2, err));
    (*at)++;
    return CLV_OK;
}

/* Renumber the list; *same when it is now all that its input has, in order. */
static clv_status prune_gather(pruning *p, clvi_node *node, const int64_t *old, bool *same, clv_error *err)
{
    const int32_t x = node->in[0], y = node->out[0];
    int64_t *list = live_list(p, y);
    if (!list)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(p->graph, node));
    *same = p->kept[y] == p->kept[x];
    for (int64_t i = 0; i < p->kept[y]; i++) {
        list[i] = position_of(p, x, old[list[i]]);
        *same = *same && list[i] == i;
    }
    return *same ? CLV_OK : add_list(&node->in[1], p, node, list, p->kept[y], err);
}

/* Inputs of which no channel is left do not take part. */
static void prune_concat(const pruning *p, clvi_node *node)
{
    size_t n = 0;
    for (size_t i = 0; i < node->n_in; i++)
        if (p->kept[node->in[i]] > 0)
            node->in[n++] = node->in[i];
    node->n_in = n;
}

static clv_status prune_nodes(pruning *p, clv_error *err)
{
    const size_t n = p->graph->n_nodes;
    for (size_t k = 0, at = 0; k < n; k++, at++) { /* k: in the flow; at: in the graph, which grows */
        clvi_node *node = p->graph->nodes[at];
        const clvi_role role = p->flow.role[k];
        if (role == CLVI_ROLE_OTHER || role == CLVI_ROLE_FIXED || p->kept[node->out[0]] == 0)
            continue;
        const bool fewer = p->kept[node->out[0]] < p->flow.channels[node->out[0]];
        if (role == CLVI_ROLE_GATHER)
            TRY(prune_gather(p, node, p->flow.list[k], &p->drop[k], err));
        else if (fewer && role == CLVI_ROLE_MAKES)
            TRY(prune_maker(p, node, err));
        else if (fewer && role == CLVI_ROLE_DEPTHWISE)
            TRY(prune_depthwise(p, &at, err));
        else if (fewer && role == CLVI_ROLE_CONCAT)
            prune_concat(p, node);
        else if (fewer)
            TRY(prune_operands(p, node, err));
    }
    return CLV_OK;
}

/* What was declared of a value that has fewer channels now. */
static void forget_shapes(const pruning *p)
{
    for (size_t v = 0; v < p->n_values; v++) {
        clvi_value *value = &p->graph->values[v];
        if (p->kept[v] == p->flow.channels[v])
            continue;
        value->raw_info = (clvi_blob){0};
        if (value->rank > 1)
            value->dims[1] = p->kept[v];
    }
}

/* Gathers that change nothing, once all lists are written: their readers then read what they read. */
static clv_status drop_gathers(const pruning *p, size_t n_before, clv_error *err)
{
    clvi_graph *g = p->graph;
    bool *gone = clvi_calloc(g->n_nodes, sizeof *gone);
    if (!gone)
        return FAIL(err, CLV_ERR_NOMEM, "pass over %zu nodes", g->n_nodes);
    for (size_t k = 0, at = 0; k < n_before; k++, at++) {
        const clvi_node *node = g->nodes[at];
        if (node->n_out == 1 && node->out[0] != CLVI_NONE && (size_t)node->out[0] >= p->n_values)
            at++; /* a Gather of this pass, which stands before a convolution */
        if (p->drop[k])
            gone[at] = clvi_graph_redirect(g, g->nodes[at]->out[0], g->nodes[at]->in[0]);
    }
    clvi_remove_nodes(g, gone);
    clvi_free(gone);
    return CLV_OK;
}

static clv_status apply(clvi_graph *graph, clv_error *err)
{
    pruning p = {.graph = graph};
    const size_t n_before = graph->n_nodes;
    clv_status st = prepare(&p, err);
    if (st == CLV_OK) {
        find_live(&p);
        st = prune_nodes(&p, err);
    }
    if (st == CLV_OK) {
        forget_shapes(&p);
        st = drop_gathers(&p, n_before, err);
    }
    clvi_channel_flow_free(&p.flow);
    clvi_arena_free(p.arena);
    return st;
}

clv_status clvi_pass_prune_channels(clvi_graph *graph, clv_error *err)
{
    return clvi_pass_apply(graph, apply, err);
}
