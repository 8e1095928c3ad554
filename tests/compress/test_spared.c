/* SPDX-License-Identifier: Apache-2.0 */
/* What pruning spares the layers before it, against the network that is really written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "compress/spared.h"
#include "runtime/passes.h"
#include "unit/runtime_graphs.h"

#define SIDE 6

/* x -> 1x1 (4 to 8) -> Relu -> depthwise 3x3 -> Relu -> 1x1 (8 to 6) -> y */
static clvi_graph *network(void)
{
    clvi_graph *graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 4, SIDE, SIDE));
    const int32_t a = add_random(graph, "a", 4, DIMS(8, 4, 1, 1), 1, 1, 0);
    const int32_t d = add_random(graph, "d", 4, DIMS(8, 1, 3, 3), 2, 1, 0);
    const int32_t b = add_random(graph, "b", 4, DIMS(6, 8, 1, 1), 3, 1, 0);
    int32_t y = NODE(graph, "Relu", IDS(NODE(graph, "Conv", IDS(x, a), "first")), "r1");
    y = NODE(graph, "Conv", IDS(y, d), "middle");
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "group", 8, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(graph, last_node(graph), "pads", DIMS(1, 1, 1, 1), 4, NULL), CLV_OK);
    y = NODE(graph, "Conv", IDS(NODE(graph, "Relu", IDS(y), "r2"), b), "last");
    add_output(graph, y);
    return graph;
}

typedef struct setting {
    clvi_graph *graph;
    clvi_sites sites;
    clvi_candidates *lists; /* first: dense or channel of rank 2; middle: kept; last: dense or pruned to 4 */
    clvi_count whole;
    clv_tensor input;
} setting;

static clvi_candidate candidate(const char *form, int64_t size, double error, const clvi_site *site)
{
    clvi_candidate c = {.form = clvi_form_find(form), .multiplier = 1, .size = size, .error = error};
    const clvi_fit_opts opts = {.size = size};
    c.macs_per_pixel = c.form->macs(&site->conv, &opts);
    c.parameters = c.macs_per_pixel;
    return c;
}

static void set_up(setting *s)
{
    clvi_shapes shapes;
    s->graph = network();
    s->input = tensor_of(CLV_FLOAT32, 4, DIMS(1, 4, SIDE, SIDE), NULL);
    assert_int_equal(clvi_shapes_infer(&shapes, s->graph, &s->input, 1, NULL), CLV_OK);
    assert_int_equal(clvi_sites_find(&s->sites, s->graph, &shapes, NULL), CLV_OK);
    clvi_shapes_free(&shapes);
    assert_int_equal(s->sites.n, 3);
    s->lists = clvi_calloc(3, sizeof *s->lists);
    assert_non_null(s->lists);
    for (size_t i = 0; i < 3; i += 2) {
        const clvi_conv *v = &s->sites.site[i].conv;
        s->lists[i].n = 2;
        s->lists[i].share = 1;
        s->lists[i].item[0] =
            (clvi_candidate){.macs_per_pixel = clvi_conv_macs_per_pixel(v), .parameters = clvi_conv_parameters(v)};
    }
    s->lists[0].item[1] = candidate("channel", 2, 0.3, &s->sites.site[0]);
    s->lists[2].item[1] = candidate("prune", 4, 0.1, &s->sites.site[2]);
    assert_int_equal(clvi_count_graph(&s->whole, s->graph, &s->input, 1, NULL), CLV_OK);
}

static void tear_down(setting *s)
{
    clvi_free(s->lists);
    clvi_sites_free(&s->sites);
    clvi_graph_free(s->graph);
}

/* MACs of the network that the choice leads to. */
static int64_t written(const setting *s, const size_t *chosen)
{
    clvi_graph *graph;
    clvi_count after;
    clv_error err = {0};
    clvi_arena *arena = clvi_arena_create();
    assert_int_equal(clvi_graph_clone(&graph, s->graph, NULL), CLV_OK);
    for (size_t i = 0; i < 3; i += 2) {
        const clvi_candidate *c = &s->lists[i].item[chosen[i]];
        clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_fit fit;
        opts = clvi_candidate_fit_opts(c, &opts);
        opts.method = CLVI_METHOD_SVD;
        if (c->form && (c->form->fit(&fit, &s->sites.site[i].conv, NULL, &opts, arena, NULL, &err) != CLV_OK ||
                        clvi_site_rewrite(graph, &s->sites.site[i], &fit.chain, &err) != CLV_OK))
            fail_msg("%s", err.msg);
    }
    if (clvi_pass_prune_channels(graph, &err) != CLV_OK ||
        clvi_count_graph(&after, graph, &s->input, 1, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    clvi_graph_free(graph);
    clvi_arena_free(arena);
    return after.macs;
}

static void savings_are_those_of_the_network(void **state)
{
    (void)state;
    setting s;
    clvi_costs costs;
    set_up(&s);
    assert_int_equal(clvi_costs_count(&costs, CLVI_COST_MACS, &s.whole, s.lists, &s.sites, NULL), CLV_OK);
    for (size_t a = 0; a < 2; a++)
        for (size_t b = 0; b < 2; b++) {
            const size_t chosen[3] = {a, 0, b};
            const double *own = costs.item, *last = costs.item + (size_t)2 * CLVI_CANDIDATES_MAX;
            const double spared = clvi_spared(CLVI_COST_MACS, chosen, s.lists, &s.sites);
            const double foretold = costs.whole - own[0] + own[a] - last[0] + last[b] - spared;
            assert_true((spared > 0) == (b == 1));
            assert_int_equal(written(&s, chosen), (int64_t)foretold);
        }
    clvi_costs_free(&costs);
    tear_down(&s);
}

/* Half of the network: pruning its last layer alone is enough, which its own costs do not say. */
static void the_choice_knows_of_them(void **state)
{
    (void)state;
    setting s;
    clvi_costs costs;
    size_t plain[3] = {0}, chosen[3] = {0};
    set_up(&s);
    assert_int_equal(clvi_costs_count(&costs, CLVI_COST_MACS, &s.whole, s.lists, &s.sites, NULL), CLV_OK);
    const double amount = 0.55 * costs.whole;
    assert_int_equal(clvi_plan_choose(plain, amount, &costs, s.lists, &s.sites, NULL), CLV_ERR_BUDGET);
    assert_int_equal(clvi_spared_choose(chosen, amount, CLVI_COST_MACS, &costs, s.lists, &s.sites, NULL), CLV_OK);
    assert_int_equal(chosen[0], 0);
    assert_int_equal(chosen[2], 1);
    assert_true((double)written(&s, chosen) <= amount);
    assert_int_equal(clvi_spared_choose(chosen, 0.1 * costs.whole, CLVI_COST_MACS, &costs, s.lists, &s.sites, NULL),
                     CLV_ERR_BUDGET);
    clvi_costs_free(&costs);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(savings_are_those_of_the_network),
        cmocka_unit_test(the_choice_knows_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
