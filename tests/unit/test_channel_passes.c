/* SPDX-License-Identifier: Apache-2.0 */
/* Channels that nobody reads are no longer computed, constants go into sums: the outputs stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/passes.h"
#include "runtime_graphs.h"

#define SIDE  6
#define BATCH 2
#define MOST  (1 << 16)

typedef clv_status (*pass)(clvi_graph *graph, clv_error *err);

/* All outputs of a graph of one input x[BATCH, c, SIDE, SIDE], one after the other; their number. */
static size_t run_all(const clvi_graph *graph, int64_t c, float *to)
{
    clvi_session *session = NULL;
    clv_tensor outputs[4], x = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {BATCH, c, SIDE, SIDE}};
    clv_error err = {0};
    clvi_rng rng;
    size_t n = 0;
    float *data = clvi_calloc((size_t)clv_tensor_count(&x), sizeof *data);
    clvi_rng_seed(&rng, 9);
    for (int64_t i = 0; i < clv_tensor_count(&x); i++)
        data[i] = (float)clvi_rng_normal(&rng);
    x.data = data;
    if (clvi_session_create(&session, graph, NULL, NULL, &err) != CLV_OK ||
        clvi_session_run(session, &x, 1, outputs, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < graph->n_outputs; i++) {
        const size_t count = (size_t)clv_tensor_count(&outputs[i]);
        assert_true(n + count <= MOST);
        memcpy(to + n, outputs[i].data, count * sizeof *to);
        n += count;
    }
    clvi_session_free(session);
    clvi_free(data);
    return n;
}

/* Apply the pass: outputs and their names stay. `what` names the case. */
static void check(clvi_graph *graph, int64_t c, pass apply, const char *what)
{
    float *before = clvi_calloc(MOST, sizeof *before), *after = clvi_calloc(MOST, sizeof *after);
    clv_error err = {0};
    double difference = 0, scale = 1e-30;
    char name[4][64];
    for (size_t i = 0; i < graph->n_outputs; i++)
        (void)snprintf(name[i], sizeof name[i], "%s", graph->values[graph->outputs[i]].name);
    const size_t n = run_all(graph, c, before);
    if (apply(graph, &err) != CLV_OK)
        fail_msg("%s: %s", what, err.msg);
    if (clvi_graph_verify(graph, &err) != CLV_OK)
        fail_msg("%s: %s", what, err.msg);
    assert_int_equal(run_all(graph, c, after), n);
    for (size_t i = 0; i < n; i++) {
        assert_true(isfinite(after[i]));
        difference = fmax(difference, fabs((double)before[i] - (double)after[i]));
        scale = fmax(scale, fabs((double)before[i]));
    }
    if (!(difference < 1e-5 * scale))
        fail_msg("%s: outputs depart by %g of %g", what, difference, scale);
    for (size_t i = 0; i < graph->n_outputs; i++)
        assert_string_equal(graph->values[graph->outputs[i]].name, name[i]);
    clvi_free(before);
    clvi_free(after);
}

/* --- building -------------------------------------------------------------------------------------------------- */

static int32_t conv(clvi_graph *g, int32_t x, int64_t o, int64_t c, int64_t k, int64_t groups, const char *name)
{
    char w[64], b[64];
    (void)snprintf(w, sizeof w, "%s.weight", name);
    (void)snprintf(b, sizeof b, "%s.bias", name);
    const int32_t weight = add_random(g, w, 4, DIMS(o, c / groups, k, k), (uint64_t)x * 7 + 1, 0.4F, 0);
    const int32_t y = NODE(g, "Conv", IDS(x, weight, add_random(g, b, 1, DIMS(o), (uint64_t)x + 5, 1, 0)), name);
    const int64_t p = k / 2, pads[4] = {p, p, p, p};
    assert_int_equal(clvi_node_set_ints(g, last_node(g), "pads", pads, 4, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_int(g, last_node(g), "group", groups, NULL), CLV_OK);
    return y;
}

static int32_t gather(clvi_graph *g, int32_t x, const int64_t *list, int64_t n, const char *name)
{
    char list_name[64];
    (void)snprintf(list_name, sizeof list_name, "%s.list", name);
    const int32_t y = NODE(g, "Gather", IDS(x, add_ints(g, list_name, n, list)), name);
    assert_int_equal(clvi_node_set_int(g, last_node(g), "axis", 1, NULL), CLV_OK);
    return y;
}

static int32_t pool(clvi_graph *g, const char *op, int32_t x, const char *name)
{
    const int32_t y = add_node(g, op, &x, 1, name);
    assert_int_equal(clvi_node_set_ints(g, last_node(g), "kernel_shape", DIMS(3, 3), 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(g, last_node(g), "pads", DIMS(1, 1, 1, 1), 4, NULL), CLV_OK);
    return y;
}

static clvi_graph *start(int64_t c, int32_t *x)
{
    clvi_graph *g = new_graph(13);
    *x = add_input(g, "x", CLV_FLOAT32, 4, DIMS(-1, c, SIDE, SIDE));
    return g;
}

static int64_t outputs_of(const clvi_graph *g, const char *conv_name)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i]->name, conv_name) == 0)
            return g->values[g->nodes[i]->in[1]].constant->dims[0];
    return 0;
}

/* --- cases ----------------------------------------------------------------------------------------------------- */

/* Up through every kind of elementwise operator and pooling, into the convolution; nothing is left of the Gather. */
static void a_gather_goes_up_into_the_convolution(void **state)
{
    (void)state;
    int32_t x;
    clvi_graph *g = start(3, &x);
    int32_t y = conv(g, x, 8, 3, 3, 1, "a");
    y = NODE(g, "Relu", IDS(y), "r");
    y = NODE(g, "PRelu", IDS(y, add_random(g, "slope", 3, DIMS(8, 1, 1), 2, 0.2F, 0)), "pr");
    y = NODE(g, "PRelu", IDS(y, add_random(g, "one_slope", 1, DIMS(1), 2, 0.2F, 0)), "pr1");
    y = pool(g, "MaxPool", y, "mp");
    y = NODE(g, "Add", IDS(add_random(g, "shift", 4, DIMS(1, 8, 1, 1), 3, 1, 0), y), "shifted");
    y = NODE(g, "Mul", IDS(y, add_random(g, "mask", 3, DIMS(8, SIDE, SIDE), 4, 1, 0)), "masked");
    y = NODE(g, "BatchNormalization",
             IDS(y, add_random(g, "gamma", 1, DIMS(8), 5, 1, 0), add_random(g, "beta", 1, DIMS(8), 6, 1, 0),
                 add_random(g, "mean", 1, DIMS(8), 7, 1, 0), add_random(g, "var", 1, DIMS(8), 8, 0, 2)),
             "bn");
    y = pool(g, "AveragePool", y, "ap");
    y = NODE(g, "Sigmoid", IDS(y), "s");
    y = conv(g, y, 8, 8, 3, 8, "dw");
    y = gather(g, y, DIMS(1, 2, -2), 3, "few");
    add_output(g, conv(g, y, 4, 3, 3, 1, "b"));
    g->values[clvi_graph_find_value(g, "r")].dtype = CLV_FLOAT32;
    check(g, 3, clvi_pass_prune_channels, "chain");
    assert_int_equal(count_nodes(g, "Gather"), 0);
    assert_int_equal(outputs_of(g, "a"), 3);
    assert_int_equal(outputs_of(g, "dw"), 3);
    assert_string_equal(g->values[g->nodes[0]->in[1]].name, "a.weight");
    assert_int_equal(g->values[clvi_graph_find_value(g, "mask")].constant->dims[0], 3);
    const size_t nodes = g->n_nodes;
    check(g, 3, clvi_pass_prune_channels, "again");
    assert_int_equal(g->n_nodes, nodes);
    clvi_graph_free(g);
}

/* Readers with lists of their own: what any of them takes is computed, and each is renumbered. */
static void several_gathers_share_what_they_need(void **state)
{
    (void)state;
    int32_t x;
    clvi_graph *g = start(3, &x);
    const int32_t r = NODE(g, "Relu", IDS(conv(g, x, 10, 3, 3, 1, "a")), "r");
    add_output(g, conv(g, gather(g, r, DIMS(1, 4, 7), 3, "p"), 4, 3, 1, 1, "b"));
    add_output(g, conv(g, gather(g, pool(g, "MaxPool", r, "mp"), DIMS(9, 4, 4, 0), 4, "q"), 4, 4, 1, 1, "c"));
    check(g, 3, clvi_pass_prune_channels, "shared");
    assert_int_equal(outputs_of(g, "a"), 5); /* 0, 1, 4, 7, 9 */
    assert_int_equal(count_nodes(g, "Gather"), 2);
    clvi_graph_free(g);
}

/* A sum that others read whole, a graph output, a grouped convolution and a reader outside: the Gather stays. */
static void a_gather_stays_where_others_read(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        int32_t x;
        clvi_graph *g = start(4, &x);
        int32_t y = conv(g, x, 8, 4, 3, kind == 2 ? 2 : 1, "a");
        if (kind == 0) {
            y = NODE(g, "Add", IDS(y, conv(g, x, 8, 4, 1, 1, "side")), "sum");
            add_output(g, conv(g, y, 2, 8, 1, 1, "whole"));
        }
        if (kind == 1)
            add_output(g, y);
        y = NODE(g, "Relu", IDS(y), "r");
        if (kind == 3)
            add_output(g, NODE(g, "Flatten", IDS(y), "flat"));
        add_output(g, conv(g, gather(g, y, DIMS(2, 5), 2, "few"), 3, 2, 1, 1, "b"));
        check(g, 4, clvi_pass_prune_channels, "stays");
        assert_int_equal(count_nodes(g, "Gather"), 1);
        assert_int_equal(outputs_of(g, "a"), 8);
        clvi_graph_free(g);
    }
}

/* A sum of which nobody reads more lets both of its branches shrink; a depthwise layer over a value that must stay
 * whole gets its Gather before it; of a concatenation only what is read is joined. */
static void sums_depthwise_layers_and_concatenations(void **state)
{
    (void)state;
    int32_t x;
    clvi_graph *g = start(4, &x);
    int32_t y = NODE(g, "Add", IDS(conv(g, x, 8, 4, 3, 1, "a"), conv(g, x, 8, 4, 1, 1, "side")), "sum");
    add_output(g, conv(g, gather(g, y, DIMS(2, 5), 2, "few"), 3, 2, 1, 1, "b"));
    check(g, 4, clvi_pass_prune_channels, "sum");
    assert_int_equal(outputs_of(g, "a") + outputs_of(g, "side"), 4);
    assert_int_equal(count_nodes(g, "Gather"), 0);
    clvi_graph_free(g);

    g = start(4, &x);
    y = NODE(g, "Relu", IDS(conv(g, x, 8, 4, 3, 4, "dw")), "r"); /* two filters a channel */
    add_output(g, conv(g, gather(g, y, DIMS(3, 2, 6), 3, "few"), 3, 3, 1, 1, "b"));
    check(g, 4, clvi_pass_prune_channels, "depthwise");
    assert_int_equal(outputs_of(g, "dw"), 4); /* channels 1 and 3 */
    assert_int_equal(clvi_node_int(g->nodes[1], "group", 1), 2);
    assert_int_equal(count_nodes(g, "Gather"), 2);
    clvi_graph_free(g);

    g = start(4, &x);
    const int32_t a = conv(g, x, 5, 4, 3, 1, "a"), b = conv(g, x, 6, 4, 3, 1, "b"), c = conv(g, x, 7, 4, 1, 1, "c");
    y = NODE(g, "Concat", IDS(a, NODE(g, "Relu", IDS(b), "br"), c), "all");
    assert_int_equal(clvi_node_set_int(g, last_node(g), "axis", 1, NULL), CLV_OK);
    y = NODE(g, "Relu", IDS(y), "r");
    add_output(g, conv(g, gather(g, y, DIMS(1, 4, 12, 13), 4, "few"), 3, 4, 1, 1, "d"));
    check(g, 4, clvi_pass_prune_channels, "concat");
    assert_int_equal(outputs_of(g, "a"), 2);
    assert_int_equal(outputs_of(g, "b"), 0);
    assert_int_equal(outputs_of(g, "c"), 2);
    assert_int_equal(count_nodes(g, "Gather"), 0);
    clvi_graph_free(g);
}

/* Two convolutions with the same weights, of which one is pruned. */
static void shared_weights_are_copied(void **state)
{
    (void)state;
    int32_t x;
    clvi_graph *g = start(3, &x);
    const int32_t a = conv(g, x, 6, 3, 3, 1, "a");
    const int32_t b = NODE(g, "Conv", IDS(x, last_node(g)->in[1]), "b");
    add_output(g, a);
    add_output(g, conv(g, gather(g, b, DIMS(0, 3), 2, "few"), 3, 2, 1, 1, "c"));
    check(g, 3, clvi_pass_prune_channels, "shared weights");
    assert_int_equal(outputs_of(g, "a"), 6);
    assert_int_equal(outputs_of(g, "b"), 2);
    clvi_graph_free(g);
}

/* Networks drawn at random: each node reads one or two of the values so far. */
typedef struct drawn {
    int32_t id;
    int64_t c;
    bool flat;
} drawn;

static int64_t below(clvi_rng *rng, int64_t n)
{
    return (int64_t)clvi_rng_below(rng, (uint64_t)n);
}

static drawn draw_node(clvi_graph *g, clvi_rng *rng, const drawn *from, int64_t n, int64_t step)
{
    char name[32], extra[40];
    const drawn x = from[below(rng, n)], z = from[below(rng, n)];
    const int64_t o = 1 + below(rng, 9);
    int64_t list[9];
    drawn y = {0, x.c, x.flat};
    (void)snprintf(name, sizeof name, "n%d", (int)step);
    (void)snprintf(extra, sizeof extra, "%s.k", name);
    switch (below(rng, 11)) {
    case 0:
    case 1:
        y.id = conv(g, x.id, y.c = o, x.c, x.flat ? 1 : 3, 1, name);
        break;
    case 2:
        y.c = x.c * (1 + below(rng, 2));
        y.id = conv(g, x.id, y.c, x.c, x.flat ? 1 : 3, x.c, name);
        break;
    case 3:
        y.id = x.flat ? NODE(g, "Tanh", IDS(x.id), name) : pool(g, o % 2 ? "MaxPool" : "AveragePool", x.id, name);
        break;
    case 4:
        y.id = NODE(g, "PRelu", IDS(x.id, add_random(g, extra, 3, DIMS(o % 2 ? x.c : 1, 1, 1), 1, 1, 0)), name);
        break;
    case 5:
        if (x.c != z.c || x.id == z.id) {
            y.id = NODE(g, "LeakyRelu", IDS(x.id), name);
            break;
        }
        y.id = NODE(g, "Add", IDS(x.id, z.id), name);
        y.flat = x.flat && z.flat;
        break;
    case 6:
        if (x.flat != z.flat) {
            y.id = NODE(g, "Clip", IDS(x.id), name);
            break;
        }
        y.id = NODE(g, "Concat", IDS(x.id, z.id), name);
        y.c = x.c + z.c;
        assert_int_equal(clvi_node_set_int(g, last_node(g), "axis", 1, NULL), CLV_OK);
        break;
    case 7:
        y.id = x.flat ? NODE(g, "Sigmoid", IDS(x.id), name) : NODE(g, "GlobalAveragePool", IDS(x.id), name);
        y.flat = true;
        break;
    default: /* often */
        for (int64_t i = 0; i < o; i++)
            list[i] = below(rng, 2 * x.c) - x.c;
        y.c = o;
        y.id = gather(g, x.id, list, o, name);
    }
    return y;
}

static void random_networks_keep_their_outputs(void **state)
{
    (void)state;
    size_t fewer = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        char what[32];
        clvi_rng rng;
        drawn all[24] = {{0}};
        int64_t n = 1, weights[2] = {0, 0};
        clvi_rng_seed(&rng, seed);
        clvi_graph *g = start(4, &all[0].id);
        all[0].c = 4;
        for (; n < 6 + (int64_t)(seed % 18); n++)
            all[n] = draw_node(g, &rng, all, n, n);
        add_output(g, all[n - 1].id);
        if (seed % 3 == 0 && all[n - 2].id != all[0].id)
            add_output(g, all[n - 2].id);
        (void)snprintf(what, sizeof what, "seed %d", (int)seed);
        for (int after = 0; after < 2; after++) {
            for (size_t v = 0; v < g->n_values; v++)
                if (g->values[v].constant && g->values[v].constant->rank == 4)
                    weights[after] += clv_tensor_count(g->values[v].constant);
            if (!after)
                check(g, 4, clvi_pass_prune_channels, what);
        }
        fewer += weights[1] < weights[0];
        clvi_graph_free(g);
    }
    assert_true(fewer > 100);
}

/* conv -> sum -> output, the convolution's weights all zero; `kind` says what stands in the way. */
static clvi_graph *constant_graph(int kind)
{
    int32_t x;
    clvi_graph *g = start(4, &x);
    const int32_t first = conv(g, x, 4, 4, 3, 1, "first");
    const int32_t a = conv(g, NODE(g, "Relu", IDS(first), "r"), 4, 4, 3, 1, "gone");
    const clv_tensor *w = g->values[last_node(g)->in[1]].constant;
    for (int64_t i = kind == 1; i < clv_tensor_count(w); i++)
        ((float *)w->data)[i] = i % 2 ? 0.0F : -0.0F;
    int32_t other = x;
    if (kind == 2)
        other = NODE(g, "GlobalAveragePool", IDS(x), "small");
    if (kind == 3)
        other = add_random(g, "constant", 4, DIMS(1, 4, SIDE, SIDE), 1, 1, 0);
    const int32_t sum = NODE(g, "Add", IDS(other, a), "sum");
    add_output(g, NODE(g, "Relu", IDS(sum), "y"));
    if (kind == 4)
        add_output(g, a);
    if (kind == 5)
        add_output(g, NODE(g, "Relu", IDS(a), "z"));
    return g;
}

static void a_constant_goes_into_its_sum(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        clvi_graph *g = constant_graph(kind);
        check(g, 4, clvi_pass_absorb_constants, "constant");
        assert_int_equal(count_nodes(g, "Conv"), kind == 0 ? 0 : 2); /* what only it read is gone, too */
        clvi_graph_free(g);
    }
}

static void both_sides_of_a_sum_are_not_constants(void **state)
{
    (void)state;
    int32_t x;
    clvi_graph *g = start(4, &x);
    const int32_t a = conv(g, x, 4, 4, 3, 1, "a"), b = conv(g, x, 4, 4, 1, 1, "b");
    for (size_t i = 0; i < 2; i++) {
        const clv_tensor *w = g->values[g->nodes[i]->in[1]].constant;
        memset(w->data, 0, (size_t)clv_tensor_count(w) * sizeof(float));
    }
    add_output(g, NODE(g, "Add", IDS(a, b), "sum"));
    check(g, 4, clvi_pass_absorb_constants, "two constants");
    assert_int_equal(count_nodes(g, "Conv"), 1);
    clvi_graph_free(g);
}

/* Every allocation may fail: the graph is then as it was, and nothing leaks. */
static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (long permitted = 0;; permitted++) {
            const long live = clvi_mem_live();
            int32_t x;
            clvi_graph *g = kind ? constant_graph(0) : start(4, &x);
            if (!kind) {
                const int32_t y = conv(g, conv(g, x, 6, 4, 3, 1, "a"), 6, 6, 3, 6, "dw");
                const int32_t f = gather(g, NODE(g, "Relu", IDS(y), "r"), DIMS(2, 1, 5), 3, "few");
                add_output(g, conv(g, f, 3, 3, 1, 1, "b"));
            }
            const size_t nodes = g->n_nodes;
            clvi_mem_fail_after(permitted);
            const clv_status st = (kind ? clvi_pass_absorb_constants : clvi_pass_prune_channels)(g, NULL);
            clvi_mem_fail_after(-1);
            if (st != CLV_OK) {
                assert_int_equal(st, CLV_ERR_NOMEM);
                assert_int_equal(g->n_nodes, nodes);
                assert_int_equal(clvi_graph_verify(g, NULL), CLV_OK);
            }
            clvi_graph_free(g);
            assert_int_equal(clvi_mem_live(), live);
            if (st == CLV_OK)
                break;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gather_goes_up_into_the_convolution),
        cmocka_unit_test(several_gathers_share_what_they_need),
        cmocka_unit_test(a_gather_stays_where_others_read),
        cmocka_unit_test(sums_depthwise_layers_and_concatenations),
        cmocka_unit_test(shared_weights_are_copied),
        cmocka_unit_test(random_networks_keep_their_outputs),
        cmocka_unit_test(a_constant_goes_into_its_sum),
        cmocka_unit_test(both_sides_of_a_sum_are_not_constants),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
