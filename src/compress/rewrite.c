/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a fitted chain into a graph as standard ONNX nodes. */
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "compress/sites.h"

typedef struct writer {
    clvi_graph *graph;
    const char *name;   /* of the node that is replaced, or "" */
    const char *weight; /* name of its weight */
    clv_dtype dtype;    /* of its weight */
    clvi_node *nodes[2 * CLVI_MAX_LINKS];
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
static const char *suffix_of(const writer *w, const clvi_chain *chain, size_t i)
{
    const clvi_conv *link = &chain->link[i];
    const char *kind = link->groups == link->c && link->c > 1 ? "dw" : link->kh * link->kw == 1 ? "pw" : "conv";
    return clvi_arena_printf(w->graph->arena, "%s%zu", kind, i + 1);
}

clv_status clvi_site_rewrite(clvi_graph *graph, const clvi_site *site, const clvi_chain *chain, clv_error *err)
{
    const int32_t at = clvi_site_node(graph, site);
    if (at == CLVI_NONE)
        return FAIL(err, CLV_ERR_ARG, "convolution \"%s\" is not in the graph", site->name);
    const clvi_node *old = graph->nodes[at];
    const clvi_value *weight = &graph->values[old->in[1]];
    writer w = {.graph = graph, .name = old->name, .weight = weight->name, .dtype = weight->constant->dtype};
    int32_t x = site->x;
    for (size_t i = 0; i < chain->n; i++) {
        int32_t y = site->y;
        const char *suffix = suffix_of(&w, chain, i);
        if (!suffix)
            return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", site->name);
        if (chain->gather[i])
            TRY(add_gather(&x, &w, chain->gather[i], chain->link[i].c, suffix, err));
        if (i + 1 < chain->n) {
            const char *name = clvi_arena_printf(graph->arena, "%s/%s", graph->values[site->y].name, suffix);
            if (!name)
                return FAIL(err, CLV_ERR_NOMEM, "node of \"%s\"", site->name);
            TRY(clvi_graph_add_value(graph, name, &y, err));
        }
        TRY(add_conv(x, y, &w, &chain->link[i], suffix, err));
        x = y;
    }
    return clvi_graph_replace(graph, (size_t)at, w.nodes, w.n, err);
}
