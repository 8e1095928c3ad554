/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a fitted chain into a graph as standard ONNX nodes. */
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "compress/emit.h"
#include "compress/sites.h"
#include "decompose/averaged.h"

typedef struct writer {
    clvi_graph *graph;
    const char *name;   /* of the node that is replaced, or "" */
    const char *weight; /* name of its weight */
    clv_dtype dtype;    /* of its weight */
    int32_t x;          /* what the next link reads */
    int32_t y;          /* what the last node writes */
    clvi_arena *arena;  /* scratch: weights in another order */
    clvi_node **nodes;
    size_t n;
} writer;

static clv_status add_floats(int32_t *id, writer *w, const char *name, const float *data, clv_tensor shape,
                             clv_error *err)
{
    const int64_t count = clv_tensor_count(&shape);
    shape.dtype = w->dtype;
    shape.data = count < 0 ? NULL : clvi_alloc_array((size_t)count, clv_dtype_size(w->dtype));
    if (!shape.data)
        return FAIL(err, CLV_ERR_NOMEM, "weight \"%s\"", name);
    clvi_floats_to(shape.data, w->dtype, data, (size_t)count);
    const clv_status st = clvi_graph_add_constant(w->graph, name, &shape, id, err);
    clvi_free(shape.data);
    return st;
}

/* "<name>/<suffix>", or "<name>" plus nothing where the original node had no name. */
static const char *link_name(const writer *w, const char *base, const char *suffix)
{
    return *base ? clvi_arena_printf(w->graph->arena, "%s/%s", base, suffix) : "";
}

static clv_status add_node(clvi_node **out, writer *w, const char *op, const char *suffix, const int32_t *in,
                           size_t n_in, int32_t result, clv_error *err)
{
    const char *name = link_name(w, w->name, suffix);
    *out = name ? clvi_node_new(w->graph, op, name, in, n_in, &result, 1) : NULL;
    if (!*out)
        return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", w->name);
    w->nodes[w->n++] = *out;
    return CLV_OK;
}

/* Repeat or pick input channels: Gather along axis 1. */
static clv_status add_gather(int32_t *value, writer *w, const int32_t *channels, int64_t count, const char *suffix,
                             clv_error *err)
{
    int32_t indices, result;
    clv_tensor list = {.dtype = CLV_INT64, .rank = 1, .dims = {count}};
    int64_t *index = clvi_alloc_array((size_t)count, sizeof *index);
    clvi_node *node;
    if (!index)
        return FAIL(err, CLV_ERR_NOMEM, "channel list of \"%s\"", w->name);
    for (int64_t i = 0; i < count; i++)
        index[i] = channels[i];
    list.data = index;
    const char *name = clvi_arena_printf(w->graph->arena, "%s/%s.channels", w->weight, suffix);
    clv_status st = name ? clvi_graph_add_constant(w->graph, name, &list, &indices, err)
                         : FAIL(err, CLV_ERR_NOMEM, "channel list of \"%s\"", w->name);
    clvi_free(index);
    if (st != CLV_OK)
        return st;
    TRY(clvi_graph_add_value(w->graph, name, &result, err));
    const int32_t in[2] = {*value, indices};
    name = clvi_arena_printf(w->graph->arena, "%s.channels", suffix);
    if (!name)
        return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", w->name);
    TRY(add_node(&node, w, "Gather", name, in, 2, result, err));
    TRY(clvi_node_set_int(w->graph, node, "axis", 1, err));
    *value = result;
    return CLV_OK;
}

static clv_status set_geometry(writer *w, clvi_node *node, const clvi_conv *link, clv_error *err)
{
    const size_t skip = link->rank == 4 ? 0 : 1; /* 1-D: the width alone */
    const size_t n = 2 - skip;
    const int64_t kernel[2] = {link->kh, link->kw}, strides[2] = {link->sh, link->sw},
                  dilations[2] = {link->dh, link->dw};
    const int64_t pads[4] = {link->pt, link->pl, link->pb, link->pr}, pads_1d[2] = {link->pl, link->pr};
    TRY(clvi_node_set_ints(w->graph, node, "dilations", dilations + skip, n, err));
    TRY(clvi_node_set_int(w->graph, node, "group", link->groups, err));
    TRY(clvi_node_set_ints(w->graph, node, "kernel_shape", kernel + skip, n, err));
    TRY(clvi_node_set_ints(w->graph, node, "pads", skip ? pads_1d : pads, 2 * n, err));
    return clvi_node_set_ints(w->graph, node, "strides", strides + skip, n, err);
}

static clv_status add_conv(int32_t x, int32_t y, writer *w, const clvi_conv *link, const char *suffix, clv_error *err)
{
    int32_t in[3] = {x, CLVI_NONE, CLVI_NONE};
    clvi_node *node;
    clv_tensor shape = {.rank = link->rank};
    const int64_t dims[4] = {link->o, link->c / link->groups, link->kh, link->kw};
    memcpy(shape.dims, dims, sizeof dims);
    if (link->rank == 3)
        shape.dims[2] = link->kw;
    const char *name = clvi_arena_printf(w->graph->arena, "%s/%s", w->weight, suffix);
    const char *bias = clvi_arena_printf(w->graph->arena, "%s/%s.bias", w->weight, suffix);
    if (!name || !bias)
        return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", w->name);
    TRY(add_floats(&in[1], w, name, link->w, shape, err));
    if (link->bias)
        TRY(add_floats(&in[2], w, bias, link->bias, (clv_tensor){.rank = 1, .dims = {link->o}}, err));
    TRY(add_node(&node, w, "Conv", suffix, in, link->bias ? 3 : 2, y, err));
    return set_geometry(w, node, link, err);
}

/* "dw" a depthwise link, "pw" a 1x1 one, "conv" any other; numbered, since a chain may have two of a kind. */
static const char *suffix_of(const writer *w, const clvi_conv *link, size_t i)
{
    const char *kind = link->c == 0                             ? "constant"
                       : link->groups == link->c && link->c > 1 ? "dw"
                       : link->kh * link->kw == 1               ? "pw"
                                                                : "conv";
    return clvi_arena_printf(w->graph->arena, "%s%zu", kind, i + 1);
}

/* A value between two nodes of the chain. */
static clv_status add_between(int32_t *id, writer *w, const char *suffix, clv_error *err)
{
    const char *name = clvi_arena_printf(w->graph->arena, "%s/%s", w->graph->values[w->y].name, suffix);
    return name ? clvi_graph_add_value(w->graph, name, id, err) : FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", w->name);
}

/* One Conv, after a Gather where `channels` says so; it reads w->x and its result is w->x then. */
static clv_status write_link(writer *w, const clvi_conv *link, const int32_t *channels, const char *suffix, bool last,
                             clv_error *err)
{
    int32_t y = w->y;
    if (channels)
        TRY(add_gather(&w->x, w, channels, link->c, suffix, err));
    if (!last)
        TRY(add_between(&y, w, suffix, err));
    TRY(add_conv(w->x, y, w, link, suffix, err));
    w->x = y;
    return CLV_OK;
}

/* Links i and i + 1 as m pairs with one filter a channel, summed one after the other. */
static clv_status write_pairs(writer *w, const clvi_chain *chain, size_t i, clv_error *err)
{
    const size_t m = (size_t)clvi_emit_multiplier(&chain->link[i]);
    const bool last = i + 2 == chain->n;
    const char *suffix = suffix_of(w, &chain->link[i], i);
    int32_t sum = CLVI_NONE;
    if (!suffix)
        return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", w->name);
    if (chain->gather[i])
        TRY(add_gather(&w->x, w, chain->gather[i], chain->link[i].c, suffix, err));
    const int32_t x = w->x;
    for (size_t j = 0; j < m; j++) {
        clvi_conv pair[2];
        clvi_node *node;
        int32_t y = w->y;
        const char *dw = clvi_arena_printf(w->graph->arena, "dw%zu.%zu", i + 1, j + 1);
        const char *pw = clvi_arena_printf(w->graph->arena, "pw%zu.%zu", i + 2, j + 1);
        const char *add = clvi_arena_printf(w->graph->arena, "sum%zu.%zu", i + 2, j + 1);
        if (!dw || !pw || !add || !clvi_emit_pair(pair, chain, i, j, w->arena))
            return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", w->name);
        w->x = x;
        TRY(write_link(w, &pair[0], NULL, dw, false, err));
        TRY(write_link(w, &pair[1], NULL, pw, false, err));
        if (j > 0) {
            const int32_t in[2] = {sum, w->x};
            if (j + 1 < m || !last)
                TRY(add_between(&y, w, add, err));
            TRY(add_node(&node, w, "Add", add, in, 2, y, err));
            w->x = y;
        }
        sum = w->x;
    }
    return CLV_OK;
}

/* Link *i of the chain and, in pairs, the one after it. */
static clv_status write_next(writer *w, const clvi_chain *chain, size_t *i, const clvi_site *site, clv_error *err)
{
    const clvi_conv *link = &chain->link[*i];
    const char *suffix = suffix_of(w, link, *i);
    const int32_t first[1] = {0}, *channels = chain->gather[*i];
    const bool many = site->emit != CLVI_EMIT_GROUPED && clvi_emit_multiplier(link) > 1;
    clvi_conv other;
    if (many && site->emit == CLVI_EMIT_PARALLEL && clvi_emit_splits(chain, *i)) {
        TRY(write_pairs(w, chain, *i, err));
        (*i)++;
        return CLV_OK;
    }
    if (link->c == 0) {
        channels = *i == 0 && site->conv.c == 1 ? NULL : first;
        if (!clvi_emit_constant(&other, link, w->arena))
            suffix = NULL;
    } else if (many && !(channels = clvi_emit_repeated(&other, chain, *i, w->arena))) {
        suffix = NULL;
    }
    if (!suffix)
        return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", w->name);
    return write_link(w, link->c == 0 || many ? &other : link, channels, suffix, *i + 1 == chain->n, err);
}

/* --- averaging before a pointwise convolution -----------------------------------------------------------------------
 */

/* AveragePool over cells, into w->x. */
static clv_status add_average(writer *w, int64_t cell, clv_error *err)
{
    const int64_t sides[2] = {cell, cell}, none[4] = {0};
    clvi_node *node;
    int32_t y;
    TRY(add_between(&y, w, "average", err));
    TRY(add_node(&node, w, "AveragePool", "average", &w->x, 1, y, err));
    w->x = y;
    TRY(clvi_node_set_ints(w->graph, node, "kernel_shape", sides, 2, err));
    TRY(clvi_node_set_ints(w->graph, node, "pads", none, 4, err));
    return clvi_node_set_ints(w->graph, node, "strides", sides, 2, err);
}

/* One more node behind w->x: op(w->x, a constant), into y. */
static clv_status add_behind(writer *w, const char *op, const char *suffix, const float *data, clv_tensor shape,
                             int32_t y, clv_error *err)
{
    int32_t in[2] = {w->x, CLVI_NONE};
    clvi_node *node;
    const char *name = clvi_arena_printf(w->graph->arena, "%s/%s", w->weight, suffix);
    if (!name)
        return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", w->name);
    TRY(add_floats(&in[1], w, name, data, shape, err));
    TRY(add_node(&node, w, op, suffix, in, 2, y, err));
    w->x = y;
    return CLV_OK;
}

/* The mean, then gain and shift, in the place of the node that made the mean. */
static clv_status correct_mean(writer *w, const clvi_site *site, const clvi_chain *chain, clv_error *err)
{
    int32_t at = CLVI_NONE, y;
    const clvi_conv *v = &site->conv;
    const bool shifted = v->pt > 0 || v->pl > 0 || v->pb > 0 || v->pr > 0;
    const float gain = (float)clvi_averaged_gain(chain, v);
    const float *shift = clvi_averaged_shift(chain, v, &site->activation, w->arena);
    for (size_t i = 0; i < w->graph->n_nodes; i++)
        if (w->graph->nodes[i]->n_out > 0 && w->graph->nodes[i]->out[0] == site->mean)
            at = (int32_t)i;
    if (at == CLVI_NONE || !shift)
        return at == CLVI_NONE ? FAIL(err, CLV_ERR_ARG, "the mean behind \"%s\" is not in the graph", site->name)
                               : FAIL(err, CLV_ERR_NOMEM, "mean behind \"%s\"", site->name);
    const clvi_node *old = w->graph->nodes[at];
    const bool flat = !clvi_node_is(old, "GlobalAveragePool") && clvi_node_int(old, "keepdims", 1) == 0;
    w->n = 0;
    w->y = site->mean;
    TRY(add_between(&y, w, "mean", err));
    clvi_node *mean = clvi_node_new(w->graph, old->op_type, old->name, old->in, old->n_in, &y, 1);
    if (!mean)
        return FAIL(err, CLV_ERR_NOMEM, "mean behind \"%s\"", site->name);
    mean->attr = old->attr;
    mean->n_attr = old->n_attr;
    w->nodes[w->n++] = mean;
    w->x = y;
    y = site->mean;
    if (shifted)
        TRY(add_between(&y, w, "gain", err));
    TRY(add_behind(w, "Mul", "gain", &gain, (clv_tensor){.rank = 1, .dims = {1}}, y, err));
    if (shifted)
        TRY(add_behind(w, "Add", "shift", shift, (clv_tensor){.rank = flat ? 1 : 3, .dims = {v->o, 1, 1}}, site->mean,
                       err));
    return clvi_graph_replace(w->graph, (size_t)at, w->nodes, w->n, err);
}

clv_status clvi_site_rewrite(clvi_graph *graph, const clvi_site *site, const clvi_chain *chain, clv_error *err)
{
    const int32_t at = clvi_site_node(graph, site);
    if (at == CLVI_NONE)
        return FAIL(err, CLV_ERR_ARG, "convolution \"%s\" is not in the graph", site->name);
    const clvi_node *old = graph->nodes[at];
    const clvi_value *weight = &graph->values[old->in[1]];
    writer w = {.graph = graph,
                .name = old->name,
                .weight = weight->name,
                .dtype = weight->constant->dtype,
                .x = site->x,
                .y = site->y,
                .arena = clvi_arena_create()};
    size_t most =
        3; /* an average, or a mean and what stands behind it; a Gather and a Conv a link, or three nodes a filter */
    for (size_t i = 0; i < chain->n; i++)
        most += 3 + 3 * (size_t)clvi_emit_multiplier(&chain->link[i]);
    w.nodes = w.arena ? clvi_arena_calloc(w.arena, most, sizeof(clvi_node *)) : NULL;
    clv_status st = w.nodes ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", site->name);
    if (st == CLV_OK && chain->average > 1)
        st = add_average(&w, chain->average, err);
    for (size_t i = 0; st == CLV_OK && i < chain->n; i++)
        st = write_next(&w, chain, &i, site, err);
    if (st == CLV_OK)
        st = clvi_graph_replace(graph, (size_t)at, w.nodes, w.n, err);
    if (st == CLV_OK && chain->average)
        st = correct_mean(&w, site, chain, err);
    clvi_arena_free(w.arena);
    return st;
}
