/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/sites.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "measure/conv_facts.h"

/* The values that `value` is computed from: mark[n_values], value itself included. Nodes stand in topological order, so
 * one backward sweep is enough. */
static void mark_ancestors(const clvi_graph *graph, int32_t value, bool *mark)
{
    memset(mark, 0, graph->n_values * sizeof *mark);
    mark[value] = true;
    for (size_t i = graph->n_nodes; i-- > 0;) {
        const clvi_node *node = graph->nodes[i];
        bool wanted = false;
        for (size_t j = 0; j < node->n_out; j++)
            wanted = wanted || (node->out[j] != CLVI_NONE && mark[node->out[j]]);
        if (!wanted)
            continue;
        for (size_t j = 0; j < node->n_in; j++)
            if (node->in[j] != CLVI_NONE)
                mark[node->in[j]] = true;
        for (size_t j = 0; j < node->n_capture; j++)
            mark[node->capture[j]] = true;
    }
}

static bool same_shape(const clv_tensor *a, const clv_tensor *b)
{
    return a->rank == b->rank && a->rank > 0 && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* y feeds nothing but a residual Add whose other operand is a computed tensor of the same shape. */
static void find_shortcut(clvi_site *site, const clvi_graph *graph, const clvi_uses *uses, const clvi_shapes *shapes)
{
    site->sum = site->shortcut = CLVI_NONE;
    const int32_t first = uses->first[site->y];
    if (uses->first[site->y + 1] - first != 1 || graph->values[site->y].is_output)
        return;
    const clvi_node *add = graph->nodes[uses->consumer[first]];
    if (!clvi_node_is(add, "Add") || add->n_in != 2 || add->in[0] == add->in[1])
        return;
    const int32_t other = add->in[0] == site->y ? add->in[1] : add->in[0];
    if (shapes->values[other].data || !same_shape(&shapes->values[other], &shapes->values[site->y]))
        return;
    site->sum = add->out[0];
    site->shortcut = other;
}

/* A shortcut can be subtracted only when everything on it is already in its final state: no convolution of a later
 * place in the order may lie on it, nor the site itself. */
static void drop_unready_shortcuts(clvi_sites *sites, const clvi_graph *graph, bool *mark)
{
    for (size_t i = 0; i < sites->n; i++) {
        clvi_site *site = &sites->site[i];
        if (site->shortcut == CLVI_NONE)
            continue;
        mark_ancestors(graph, site->shortcut, mark);
        for (size_t j = i; j < sites->n; j++)
            if (mark[sites->site[j].y])
                site->sum = site->shortcut = CLVI_NONE;
    }
}

static const float *constant_floats(clvi_arena *arena, const clv_tensor *tensor)
{
    const int64_t count = clv_tensor_count(tensor);
    float *to = count < 0 ? NULL : clvi_arena_calloc(arena, (size_t)count, sizeof *to);
    return to && clvi_floats_from(to, tensor->dtype, tensor->data, (size_t)count) ? to : NULL;
}

/* A scalar constant, or `absent` when the input is left out; false when it is neither. */
static bool scalar_input(double *out, const clvi_graph *graph, const clvi_node *node, size_t i, double absent)
{
    float value;
    *out = absent;
    if (i >= node->n_in || node->in[i] == CLVI_NONE)
        return true;
    const clv_tensor *constant = graph->values[node->in[i]].constant;
    if (!constant || clv_tensor_count(constant) != 1 || !clvi_floats_from(&value, constant->dtype, constant->data, 1))
        return false;
    *out = (double)value;
    return true;
}

/* Clip has its bounds in attributes up to opset 10, in inputs from 11 on. */
static bool read_clip(clvi_activation *a, const clvi_graph *graph, const clvi_node *node)
{
    a->kind = CLVI_ACTIVATION_CLIP;
    if (clvi_graph_opset(graph, "") < 11) {
        a->lo = (double)clvi_node_float(node, "min", -HUGE_VALF);
        a->hi = (double)clvi_node_float(node, "max", HUGE_VALF);
        return true;
    }
    return scalar_input(&a->lo, graph, node, 1, -HUGE_VAL) && scalar_input(&a->hi, graph, node, 2, HUGE_VAL);
}

/* One slope, or one for each channel: [c, 1, 1] behind a Conv of o channels. */
static bool read_prelu(clvi_activation *a, const clvi_graph *graph, const clvi_node *node, int64_t o, clvi_arena *arena)
{
    const clv_tensor *slope = node->n_in > 1 && node->in[1] != CLVI_NONE ? graph->values[node->in[1]].constant : NULL;
    const int64_t count = slope ? clv_tensor_count(slope) : 0;
    const bool channels = slope && slope->rank >= 3 && slope->dims[slope->rank - 3] == o && count == o;
    if (count != 1 && !channels)
        return false;
    const float *slopes = constant_floats(arena, slope);
    if (!slopes)
        return false;
    *a = count == 1 ? (clvi_activation){.kind = CLVI_ACTIVATION_LEAKY, .slope = (double)slopes[0]}
                    : (clvi_activation){.kind = CLVI_ACTIVATION_PRELU, .slopes = slopes};
    return true;
}

/* What the fits may aim through: the activation that alone reads the value the site is fitted to. */
static void find_activation(clvi_site *site, const clvi_graph *graph, const clvi_uses *uses, clvi_arena *arena)
{
    const int32_t value = site->sum != CLVI_NONE ? site->sum : site->y;
    const int32_t first = uses->first[value];
    clvi_activation a = {.kind = CLVI_ACTIVATION_NONE};
    site->activation = a;
    if (uses->first[value + 1] - first != 1 || graph->values[value].is_output)
        return;
    const clvi_node *node = graph->nodes[uses->consumer[first]];
    bool known = node->n_in > 0 && node->in[0] == value;
    if (clvi_node_is(node, "Relu"))
        a.kind = CLVI_ACTIVATION_RELU;
    else if (clvi_node_is(node, "LeakyRelu"))
        a = (clvi_activation){.kind = CLVI_ACTIVATION_LEAKY, .slope = (double)clvi_node_float(node, "alpha", 0.01F)};
    else if (clvi_node_is(node, "Clip"))
        known = known && read_clip(&a, graph, node);
    else if (clvi_node_is(node, "PRelu"))
        known = known && read_prelu(&a, graph, node, site->shape.o, arena);
    if (known && clvi_activation_check(&a, (size_t)site->shape.o, NULL) == CLV_OK)
        site->activation = a;
}

/* The only node that reads a value, or NULL. */
static const clvi_node *only_reader(const clvi_graph *graph, const clvi_uses *uses, int32_t value)
{
    const int32_t first = uses->first[value];
    return uses->first[value + 1] - first == 1 && !graph->values[value].is_output ? graph->nodes[uses->consumer[first]]
                                                                                  : NULL;
}

static void find_next(clvi_sites *sites, size_t index, const clvi_graph *graph, const clvi_uses *uses)
{
    clvi_site *site = &sites->site[index];
    const clvi_node *reader = only_reader(graph, uses, site->y);
    site->next = CLVI_NONE;
    if (reader && site->activation.kind != CLVI_ACTIVATION_NONE && site->sum == CLVI_NONE)
        reader = only_reader(graph, uses, reader->out[0]);
    for (size_t i = index + 1; reader && i < sites->n; i++)
        if (sites->site[i].node == reader)
            site->next = (int32_t)i;
}

/* ReduceMean over the two axes of an image. */
static bool over_pixels(const clvi_node *node)
{
    size_t n;
    const int64_t *axes = clvi_node_ints(node, "axes", &n);
    return axes && n == 2 && (axes[0] == 2 || axes[0] == -2) && (axes[1] == 3 || axes[1] == -1);
}

/* The mean over all pixels that alone reads the site, behind its activation. */
static void find_mean(clvi_site *site, const clvi_graph *graph, const clvi_uses *uses)
{
    const clvi_node *reader = only_reader(graph, uses, site->y);
    if (reader && site->activation.kind != CLVI_ACTIVATION_NONE && site->sum == CLVI_NONE)
        reader = only_reader(graph, uses, reader->out[0]);
    if (!reader || site->sum != CLVI_NONE || site->conv.rank != 4 ||
        !(clvi_node_is(reader, "GlobalAveragePool") || (clvi_node_is(reader, "ReduceMean") && over_pixels(reader))))
        return;
    site->mean = reader->out[0];
    site->conv.map_h = site->shape.h;
    site->conv.map_w = site->shape.w;
}

static clv_status describe(clvi_site *site, const clvi_graph *graph, clvi_arena *arena, const clvi_shapes *shapes,
                           clv_error *err)
{
    const clvi_node *node = site->node;
    clvi_conv_facts facts;
    TRY(clvi_conv_facts_of(&facts, graph, node, shapes, err));
    site->kept = facts.kept;
    site->shape = facts.shape;
    site->conv = facts.conv;
    if (site->kept)
        return CLV_OK;
    const int32_t bias = node->n_in > 2 ? node->in[2] : CLVI_NONE;
    site->weight_bytes = (int64_t)clv_dtype_size(graph->values[node->in[1]].constant->dtype);
    site->conv.w = constant_floats(arena, graph->values[node->in[1]].constant);
    if (bias != CLVI_NONE)
        site->conv.bias = constant_floats(arena, graph->values[bias].constant);
    if (!site->conv.w || (bias != CLVI_NONE && !site->conv.bias))
        return FAIL(err, CLV_ERR_NOMEM, "weights of convolution \"%s\"", site->name);
    return CLV_OK;
}

clv_status clvi_sites_find(clvi_sites *out, const clvi_graph *graph, const clvi_shapes *shapes, clv_error *err)
{
    clv_status st = CLV_OK;
    clvi_uses uses = {0};
    bool *mark = NULL;
    *out = (clvi_sites){.arena = clvi_arena_create()};
    if (out->arena)
        out->site = clvi_arena_calloc(out->arena, graph->n_nodes, sizeof *out->site);
    mark = clvi_alloc_array(graph->n_values, sizeof *mark);
    if (!out->site || !mark) {
        st = FAIL(err, CLV_ERR_NOMEM, "list of convolutions");
        goto out;
    }
    if ((st = clvi_uses_create(&uses, graph, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        clvi_node *node = graph->nodes[i];
        if (!clvi_node_is(node, "Conv") || node->n_in < 2 || node->n_out < 1 || node->in[0] == CLVI_NONE)
            continue;
        clvi_site *site = &out->site[out->n++];
        *site = (clvi_site){
            .name = clvi_node_label(graph, node), .node = node, .x = node->in[0], .y = node->out[0], .mean = CLVI_NONE};
        find_shortcut(site, graph, &uses, shapes);
        if ((st = describe(site, graph, out->arena, shapes, err)) != CLV_OK)
            goto out;
    }
    drop_unready_shortcuts(out, graph, mark);
    for (size_t i = 0; i < out->n; i++)
        if (!out->site[i].kept)
            find_activation(&out->site[i], graph, &uses, out->arena);
    for (size_t i = 0; i < out->n; i++)
        if (!out->site[i].kept)
            find_mean(&out->site[i], graph, &uses);
    for (size_t i = 0; i < out->n; i++)
        find_next(out, i, graph, &uses);
out:
    clvi_uses_free(&uses);
    clvi_free(mark);
    if (st != CLV_OK)
        clvi_sites_free(out);
    return st;
}

void clvi_sites_free(clvi_sites *sites)
{
    clvi_arena_free(sites->arena);
    *sites = (clvi_sites){0};
}

int32_t clvi_site_node(const clvi_graph *graph, const clvi_site *site)
{
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->n_out > 0 && graph->nodes[i]->out[0] == site->y)
            return (int32_t)i;
    return CLVI_NONE;
}
