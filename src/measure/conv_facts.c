/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/conv_facts.h"

static const clv_tensor *shape_of(const clvi_node *node, size_t i, const clvi_shapes *shapes)
{
    return i < node->n_in && node->in[i] != CLVI_NONE ? &shapes->values[node->in[i]] : NULL;
}

static bool is_constant(const clvi_graph *graph, const clvi_node *node, size_t i)
{
    return i >= node->n_in || node->in[i] == CLVI_NONE || graph->values[node->in[i]].constant;
}

clv_status clvi_conv_facts_of(clvi_conv_facts *out, const clvi_graph *graph, const clvi_node *node,
                              const clvi_shapes *shapes, clv_error *err)
{
    const clv_tensor *x = shape_of(node, 0, shapes), *w = shape_of(node, 1, shapes);
    *out = (clvi_conv_facts){0};
    if (!x || !w || x->rank < 0 || w->rank < 0) {
        out->kept = "the shape of its input is not known: an operator before it cannot be run";
        return CLV_OK;
    }
    if (x->rank != 3 && x->rank != 4) {
        out->kept = "only 1-D and 2-D convolutions are split";
        return CLV_OK;
    }
    TRY(clvi_conv_shape_of(graph, node, x, w, &out->shape, err));
    const clvi_conv_shape *s = &out->shape;
    out->conv = (clvi_conv){.o = s->o,
                            .c = s->c,
                            .groups = s->groups,
                            .kh = s->kh,
                            .kw = s->kw,
                            .sh = s->sh,
                            .sw = s->sw,
                            .dh = s->dh,
                            .dw = s->dw,
                            .pt = s->pt,
                            .pl = s->pl,
                            .pb = s->pb,
                            .pr = s->pr,
                            .rank = s->rank};
    if (!is_constant(graph, node, 1) || !is_constant(graph, node, 2))
        out->kept = "its weights are computed, not constant";
    return CLV_OK;
}
