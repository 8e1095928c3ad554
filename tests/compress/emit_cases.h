/* SPDX-License-Identifier: Apache-2.0 */
/* One convolution, replaced by a chain of each form and written in each way, beside the dense convolution that the
 * chain equals. For the test in C and for the files that ONNX Runtime judges. Every helper asserts that it succeeds. */
#ifndef CLEAVE_TESTS_EMIT_CASES_H
#define CLEAVE_TESTS_EMIT_CASES_H

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "compress/sites.h"
#include "unit/runtime_graphs.h"

#define EMIT_SIDE 9

typedef struct emit_case {
    const char *form;
    int64_t o, c, groups, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
    double multiplier;
    int64_t size;
    bool uneven; /* fitted on made-up moments; the others on weights alone */
} emit_case;

static const emit_case emit_cases[] = {
    {"depthwise", 8, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, false},
    {"depthwise", 8, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2, 0, false},
    {"depthwise", 8, 6, 1, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1, 4, 0, false},
    {"depthwise", 8, 6, 2, 3, 5, 1, 2, 2, 1, 2, 0, 2, 3, 3, 0, false},
    {"depthwise", 7, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2, 0, false},
    {"depthwise", 8, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2, 0, true},
    {"bottleneck", 8, 6, 1, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 5, false},
    {"output-depthwise", 8, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, false},
    {"prune", 8, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, false},
    {"prune", 8, 6, 2, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0, 1, 2, false},
    {"prune", 8, 6, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 3, false},
    {"remove", 6, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, false},
    {"remove", 6, 6, 2, 3, 2, 1, 1, 2, 1, 2, 0, 2, 1, 1, 2, false},
    {"remove", 6, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, false},
    {"remove", 8, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, false},
    {"remove", 8, 1, 1, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, false},
    {"remove", 8, 6, 2, 5, 3, 2, 1, 1, 2, 0, 0, 1, 0, 1, 1, false},
    {"remove", 8, 6, 1, 2, 1, 3, 1, 1, 1, 3, 0, 2, 1, 1, 1, false},
    {"channel", 8, 6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, false},
    {"channel", 8, 6, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, false},
};

/* The output has the shape of the input. */
static inline bool emit_keeps_shape(const emit_case *t)
{
    return t->o == t->c && t->sh == 1 && t->sw == 1 && t->pt + t->pb == t->dh * (t->kh - 1) &&
           t->pl + t->pr == t->dw * (t->kw - 1);
}

/* x -> 1x1 stem -> Relu -> conv -> Relu -> y; where it keeps the shape, conv is added to what it reads. */
static inline clvi_graph *emit_graph(const emit_case *t, const double *w, const float *bias)
{
    clvi_graph *graph = new_graph(13);
    graph->ir_version = 7;
    graph->name = t->form;
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, t->c, EMIT_SIDE, EMIT_SIDE));
    const int32_t stem = add_random(graph, "stem.weight", 4, DIMS(t->c, t->c, 1, 1), 8, 0.5F, 0);
    const int32_t seen = NODE(graph, "Relu", IDS(NODE(graph, "Conv", IDS(x, stem), "stem")), "seen");
    const int32_t weight = add_random(graph, "conv.weight", 4, DIMS(t->o, t->c / t->groups, t->kh, t->kw), 3, 0.3F, 0);
    const int32_t b = add_random(graph, "conv.bias", 1, DIMS(t->o), 4, 1, 0);
    const clv_tensor *const dense = graph->values[weight].constant;
    for (int64_t i = 0; w && i < clv_tensor_count(dense); i++)
        ((float *)dense->data)[i] = (float)w[i];
    for (int64_t i = 0; bias && i < t->o; i++)
        ((float *)graph->values[b].constant->data)[i] = bias[i];
    const int32_t conv = NODE(graph, "Conv", IDS(seen, weight, b), "conv");
    assert_int_equal(clvi_node_set_ints(graph, last_node(graph), "strides", DIMS(t->sh, t->sw), 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(graph, last_node(graph), "dilations", DIMS(t->dh, t->dw), 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(graph, last_node(graph), "pads", DIMS(t->pt, t->pl, t->pb, t->pr), 4, NULL),
                     CLV_OK);
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "group", t->groups, NULL), CLV_OK);
    const int32_t sum = emit_keeps_shape(t) ? NODE(graph, "Add", IDS(conv, seen), "sum") : conv;
    const int32_t y = NODE(graph, "Relu", IDS(sum), "y");
    add_output(graph, y);
    clvi_value *const output = &graph->values[y];
    output->dtype = CLV_FLOAT32;
    output->rank = 4;
    output->dims[0] = output->dims[2] = output->dims[3] = -1;
    output->dims[1] = t->o;
    return graph;
}

/* Moments of q correlated inputs whose variances differ much, so that uneven multipliers differ. */
static inline clvi_covariance emit_moments(const clvi_conv *v)
{
    clvi_moments m;
    clvi_covariance cov;
    clvi_rng rng;
    const size_t q = (size_t)(v->c * v->kh * v->kw), n = (size_t)v->o, k = (size_t)(v->kh * v->kw);
    float *x = clvi_calloc(q, sizeof *x), *y = clvi_calloc(n, sizeof *y);
    clvi_rng_seed(&rng, 2);
    assert_int_equal(clvi_moments_create(&m, q, n, NULL), CLV_OK);
    for (size_t s = 0; s < 8 * q; s++) {
        for (size_t j = 0; j < q; j++)
            x[j] = (float)(clvi_rng_normal(&rng) * (double)(j / k * j / k));
        for (size_t i = 0; i < n; i++) {
            y[i] = 0;
            for (size_t j = 0; j < q; j++)
                y[i] += v->w[i * q + j] * x[j];
        }
        assert_int_equal(clvi_moments_add(&m, 1, x, y, NULL), CLV_OK);
    }
    assert_int_equal(clvi_covariance_of(&cov, &m, NULL), CLV_OK);
    clvi_moments_free(&m);
    clvi_free(x);
    clvi_free(y);
    return cov;
}

/* *dense: the convolution that the fitted chain equals; *written: the chain. */
static inline void emit_case_make(clvi_graph **dense, clvi_graph **written, const emit_case *t, clvi_emit emit)
{
    clvi_graph *graph = emit_graph(t, NULL, NULL);
    const clv_tensor input = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {1, t->c, EMIT_SIDE, EMIT_SIDE}};
    clvi_arena *arena = clvi_arena_create();
    clvi_shapes shapes;
    clvi_sites sites;
    clvi_fit fit;
    clvi_covariance cov = {0};
    clv_error err = {0};
    clvi_fit_opts opts = clvi_fit_opts_default();
    assert_int_equal(clvi_shapes_infer(&shapes, graph, &input, 1, NULL), CLV_OK);
    assert_int_equal(clvi_sites_find(&sites, graph, &shapes, NULL), CLV_OK);
    assert_int_equal(sites.n, 2);
    clvi_site *const site = &sites.site[1];
    opts.method = t->uneven ? CLVI_METHOD_JOINT : CLVI_METHOD_SVD;
    opts.multiplier = t->multiplier;
    opts.size = t->size;
    opts.uneven = t->uneven;
    if (t->uneven)
        cov = emit_moments(&site->conv);
    if (clvi_form_find(t->form)->fit(&fit, &site->conv, t->uneven ? &cov : NULL, &opts, arena, NULL, &err) != CLV_OK)
        fail_msg("%s: %s", t->form, err.msg);
    double *w = clvi_calloc((size_t)(t->o * t->c * t->kh * t->kw), sizeof *w);
    assert_int_equal(clvi_chain_expand(&fit.chain, &site->conv, w, NULL), CLV_OK);
    *dense = emit_graph(t, w, fit.chain.link[fit.chain.n - 1].bias);
    site->emit = emit;
    if (clvi_site_rewrite(graph, site, &fit.chain, &err) != CLV_OK)
        fail_msg("%s: %s", t->form, err.msg);
    assert_int_equal(clvi_graph_verify(graph, NULL), CLV_OK);
    *written = graph;
    clvi_free(w);
    clvi_covariance_free(&cov);
    clvi_sites_free(&sites);
    clvi_shapes_free(&shapes);
    clvi_arena_free(arena);
}

#endif
