/* SPDX-License-Identifier: Apache-2.0 */
/* A chain as it is written computes what the dense convolution computes that it equals, in every way of writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "compress/emit_cases.h"
#include "runtime/passes.h"

/* max |a - b| / max |b| of two networks on random input; 1e9 when their output shapes differ. */
static double departure(const clvi_graph *a, const clvi_graph *b, int64_t c)
{
    const clvi_graph *const graph[2] = {a, b};
    clvi_session *session[2] = {NULL, NULL};
    clv_tensor y[2], x = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {2, c, EMIT_SIDE, EMIT_SIDE}};
    clvi_rng rng;
    clv_error err = {0};
    double difference = 0, scale = 1e-30;
    const size_t n = (size_t)clv_tensor_count(&x);
    float *data = clvi_calloc(n, sizeof *data);
    clvi_rng_seed(&rng, 6);
    for (size_t i = 0; i < n; i++)
        data[i] = (float)clvi_rng_normal(&rng);
    x.data = data;
    for (int i = 0; i < 2; i++)
        if (clvi_session_create(&session[i], graph[i], NULL, NULL, &err) != CLV_OK ||
            clvi_session_run(session[i], &x, 1, &y[i], &err) != CLV_OK)
            fail_msg("%s", err.msg);
    const bool same = y[0].rank == y[1].rank && memcmp(y[0].dims, y[1].dims, 4 * sizeof *y[0].dims) == 0;
    for (int64_t i = 0; same && i < clv_tensor_count(&y[0]); i++) {
        const double p = (double)((float *)y[0].data)[i], q = (double)((float *)y[1].data)[i];
        difference = fmax(difference, fabs(p - q));
        scale = fmax(scale, fabs(q));
    }
    clvi_session_free(session[0]);
    clvi_session_free(session[1]);
    clvi_free(data);
    return same ? difference / scale : 1e9;
}

static void every_form_is_written_as_what_it_equals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof emit_cases / sizeof *emit_cases; i++)
        for (int emit = CLVI_EMIT_PARALLEL; emit <= CLVI_EMIT_GATHER; emit++) {
            clvi_graph *dense, *written;
            emit_case_make(&dense, &written, &emit_cases[i], (clvi_emit)emit);
            const double d = departure(written, dense, emit_cases[i].c);
            if (!(d < 1e-5))
                fail_msg("case %zu, %s, %s: departs by %g", i, emit_cases[i].form, clvi_emit_name((clvi_emit)emit), d);
            clvi_graph_free(dense);
            clvi_graph_free(written);
        }
}

/* The passes that follow: the stem makes what a pruned layer reads, a removed layer's constant is in the sum. */
static void what_nobody_reads_is_taken_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof emit_cases / sizeof *emit_cases; i++) {
        const emit_case *t = &emit_cases[i];
        clvi_graph *dense, *written;
        emit_case_make(&dense, &written, t, CLVI_EMIT_GROUPED);
        assert_int_equal(clvi_pass_absorb_constants(written, NULL), CLV_OK);
        assert_int_equal(clvi_pass_prune_channels(written, NULL), CLV_OK);
        const double d = departure(written, dense, t->c);
        if (!(d < 1e-5))
            fail_msg("case %zu, %s: departs by %g", i, t->form, d);
        const clv_tensor *stem = written->values[clvi_graph_find_value(written, "stem.weight")].constant;
        if (strcmp(t->form, "prune") == 0) {
            assert_int_equal(count_nodes(written, "Gather"), 0);
            assert_int_equal(stem->dims[0], t->size);
        }
        if (strcmp(t->form, "remove") == 0 && t->size == 1 && emit_keeps_shape(t)) {
            assert_int_equal(count_nodes(written, "Conv"), 1);
            assert_int_equal(count_nodes(written, "Gather"), 0);
        }
        clvi_graph_free(dense);
        clvi_graph_free(written);
    }
}

/* What each way is made of, and that one filter a channel is written as ever. */
static void the_nodes_are_those_asked_for(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        clvi_emit emit;
        size_t convs, gathers, adds; /* beside the stem and the sum around it */
    } want[] = {
        {0, CLVI_EMIT_PARALLEL, 2, 0, 0}, {0, CLVI_EMIT_GATHER, 2, 0, 0},   {1, CLVI_EMIT_GROUPED, 2, 0, 0},
        {1, CLVI_EMIT_PARALLEL, 4, 0, 1}, {1, CLVI_EMIT_GATHER, 2, 1, 0},   {2, CLVI_EMIT_PARALLEL, 8, 0, 3},
        {3, CLVI_EMIT_PARALLEL, 6, 0, 2}, {4, CLVI_EMIT_PARALLEL, 2, 0, 0}, {4, CLVI_EMIT_GATHER, 2, 0, 0},
        {5, CLVI_EMIT_PARALLEL, 2, 1, 0}, {6, CLVI_EMIT_PARALLEL, 3, 0, 0}, {8, CLVI_EMIT_PARALLEL, 1, 1, 0},
        {14, CLVI_EMIT_GROUPED, 1, 1, 0}, {15, CLVI_EMIT_GROUPED, 1, 0, 0}, {18, CLVI_EMIT_GATHER, 2, 0, 0},
        {19, CLVI_EMIT_GATHER, 2, 0, 0},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        clvi_graph *dense, *written;
        emit_case_make(&dense, &written, &emit_cases[want[i].at], want[i].emit);
        if (count_nodes(written, "Conv") != want[i].convs + 1 || count_nodes(written, "Gather") != want[i].gathers ||
            count_nodes(written, "Add") != want[i].adds)
            fail_msg("row %zu: %zu Conv, %zu Gather, %zu Add", i, count_nodes(written, "Conv"),
                     count_nodes(written, "Gather"), count_nodes(written, "Add"));
        clvi_graph_free(dense);
        clvi_graph_free(written);
    }
}

static void names_are_parsed(void **state)
{
    (void)state;
    clvi_emit emit;
    for (int i = CLVI_EMIT_PARALLEL; i <= CLVI_EMIT_GATHER; i++) {
        assert_true(clvi_emit_parse(clvi_emit_name((clvi_emit)i), &emit));
        assert_int_equal(emit, i);
    }
    assert_true(clvi_emit_parse(NULL, &emit));
    assert_int_equal(emit, 0);
    assert_false(clvi_emit_parse("sideways", &emit));
    assert_string_equal(clvi_emit_name((clvi_emit)9), "unknown");
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    const float zeros[6 * 2 * 9] = {0}, mix[8 * 12] = {0};
    const clvi_conv dw = {.o = 12,
                          .c = 6,
                          .groups = 6,
                          .kh = 3,
                          .kw = 3,
                          .sh = 1,
                          .sw = 1,
                          .dh = 1,
                          .dw = 1,
                          .pt = 1,
                          .pl = 1,
                          .pb = 1,
                          .pr = 1,
                          .rank = 4,
                          .w = zeros};
    clvi_chain chain = {
        .n = 2,
        .link = {
            dw,
            {.o = 8, .c = 12, .groups = 1, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .rank = 4, .w = mix}}};
    const long live = clvi_mem_live();
    for (int emit = CLVI_EMIT_PARALLEL; emit <= CLVI_EMIT_GATHER + 1; emit++)
        for (long permitted = 0;; permitted++) {
            clvi_graph *graph = emit_graph(&emit_cases[1], NULL, NULL);
            const int32_t y = clvi_graph_find_value(graph, "conv"), x = clvi_graph_find_value(graph, "seen");
            clvi_site site = {.name = "conv", .node = graph->nodes[2], .x = x, .y = y, .emit = (clvi_emit)emit};
            if (emit > CLVI_EMIT_GATHER) { /* a constant */
                chain.n = 1;
                chain.link[0].c = 0;
                chain.link[0].o = 8;
            }
            clvi_mem_fail_after(permitted);
            const clv_status st = clvi_site_rewrite(graph, &site, &chain, NULL);
            clvi_mem_fail_after(-1);
            clvi_graph_free(graph);
            assert_int_equal(clvi_mem_live(), live);
            if (st == CLV_OK)
                break;
            assert_int_equal(st, CLV_ERR_NOMEM);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_written_as_what_it_equals),
        cmocka_unit_test(what_nobody_reads_is_taken_out),
        cmocka_unit_test(the_nodes_are_those_asked_for),
        cmocka_unit_test(names_are_parsed),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
