/* SPDX-License-Identifier: Apache-2.0 */
/* Averaging before the last convolution: the error that is foretold from sums is the error of the network written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "compress/sites.h"
#include "decompose/averaged.h"
#include "unit/runtime_graphs.h"

#define IMAGES 7
#define IN     3
#define OUT    5
#define HIGH   4
#define WIDE   6

typedef struct average_case {
    const char *activation; /* NULL: none */
    int64_t pads[4];
    const char *mean;
    size_t sizes;
} average_case;

static const average_case cases[] = {
    {"Relu", {1, 1, 1, 1}, "GlobalAveragePool", 2}, {"Relu", {0, 0, 0, 0}, "GlobalAveragePool", 1},
    {"Clip", {0, 1, 2, 0}, "GlobalAveragePool", 2}, {"LeakyRelu", {0, 0, 0, 0}, "ReduceMean", 1},
    {"Relu", {1, 0, 0, 0}, "ReduceMean", 2},        {NULL, {1, 1, 1, 1}, "GlobalAveragePool", 2},
};
#define CASES (sizeof cases / sizeof *cases)

static clvi_graph *network(const average_case *t)
{
    clvi_graph *graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, IN, HIGH, WIDE));
    const int32_t w = add_random(graph, "w", 4, DIMS(OUT, IN, 1, 1), 3, 1, 0);
    const int32_t b = add_random(graph, "b", 1, DIMS(OUT), 4, 0.5F, 0.3F);
    int32_t y = NODE(graph, "Conv", IDS(x, w, b), "y");
    assert_int_equal(clvi_node_set_ints(graph, last_node(graph), "pads", t->pads, 4, NULL), CLV_OK);
    if (t->activation && strcmp(t->activation, "Clip") == 0) {
        float lo = -0.25F, hi = 1;
        const int32_t bounds[2] = {add_constant(graph, "lo", tensor_of(CLV_FLOAT32, 0, NULL, &lo)),
                                   add_constant(graph, "hi", tensor_of(CLV_FLOAT32, 0, NULL, &hi))};
        y = NODE(graph, "Clip", IDS(y, bounds[0], bounds[1]), "f");
    } else if (t->activation) {
        y = NODE(graph, t->activation, IDS(y), "f");
    }
    y = NODE(graph, t->mean, IDS(y), "mean");
    if (strcmp(t->mean, "ReduceMean") == 0) {
        assert_int_equal(clvi_node_set_ints(graph, last_node(graph), "axes", DIMS(2, 3), 2, NULL), CLV_OK);
        assert_int_equal(clvi_node_set_int(graph, last_node(graph), "keepdims", t->pads[0], NULL), CLV_OK);
    }
    add_output(graph, y);
    return graph;
}

static float *pictures(void)
{
    clvi_rng rng;
    const size_t n = (size_t)IMAGES * IN * HIGH * WIDE;
    float *x = clvi_calloc(n, sizeof *x);
    assert_non_null(x);
    clvi_rng_seed(&rng, 8);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)clvi_rng_normal(&rng) + 0.2F * (float)(i / (n / IMAGES)); /* means differ */
    return x;
}

static void run(const clvi_graph *graph, float *x, float *mean)
{
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(IMAGES, IN, HIGH, WIDE), x);
    run_once(graph, &in, mean, (size_t)IMAGES * OUT);
}

static void sites_of(clvi_sites *sites, const clvi_graph *graph)
{
    clvi_shapes shapes;
    clv_error err = {0};
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, IN, HIGH, WIDE), NULL);
    if (clvi_shapes_infer(&shapes, graph, &in, 1, &err) != CLV_OK ||
        clvi_sites_find(sites, graph, &shapes, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    clvi_shapes_free(&shapes);
    assert_int_equal(sites->n, 1);
}

/* Squared departure over the variance about each output's mean over the images. */
static double departure(const float *from, const float *mean)
{
    double lost = 0, variance = 0;
    for (size_t j = 0; j < OUT; j++) {
        double centre = 0;
        for (size_t i = 0; i < IMAGES; i++)
            centre += (double)mean[i * OUT + j] / IMAGES;
        for (size_t i = 0; i < IMAGES; i++) {
            const double d = (double)from[i * OUT + j] - (double)mean[i * OUT + j],
                         v = (double)mean[i * OUT + j] - centre;
            lost += d * d;
            variance += v * v;
        }
    }
    return lost / variance;
}

static void the_error_foretold_is_that_of_the_network(void **state)
{
    (void)state;
    float *x = pictures(), mean[IMAGES * OUT], after[IMAGES * OUT];
    const bool skip[IMAGES] = {false};
    for (size_t c = 0; c < CASES; c++) {
        clvi_graph *original = network(&cases[c]);
        clvi_sites sites;
        clvi_averaged sums;
        int64_t size[CLVI_AVERAGE_SIZES];
        run(original, x, mean);
        sites_of(&sites, original);
        const clvi_site *site = &sites.site[0];
        assert_null(clvi_form_average.refuses(&site->conv));
        assert_int_equal(clvi_average_sizes(size, &site->conv), cases[c].sizes);
        assert_int_equal(clvi_averaged_create(&sums, &site->conv, NULL), CLV_OK);
        assert_int_equal(clvi_averaged_add(&sums, &site->conv, &site->activation, IMAGES, x, mean, skip, NULL), CLV_OK);
        for (size_t i = 0; i < cases[c].sizes; i++) {
            clvi_graph *written;
            clvi_fit fit;
            clv_error err = {0};
            clvi_arena *arena = clvi_arena_create();
            clvi_fit_opts opts = clvi_fit_opts_default();
            opts.size = size[i];
            assert_int_equal(clvi_graph_clone(&written, original, NULL), CLV_OK);
            assert_int_equal(clvi_form_average.fit(&fit, &site->conv, NULL, &opts, arena, NULL, NULL), CLV_OK);
            if (clvi_averaged_finish(&fit, &sums, &site->conv, &err) != CLV_OK ||
                clvi_site_rewrite(written, site, &fit.chain, &err) != CLV_OK ||
                clvi_graph_verify(written, &err) != CLV_OK)
                fail_msg("%s", err.msg);
            run(written, x, after);
            const double d = departure(after, mean);
            if (!(fabs(d - fit.error) < 1e-6 + 1e-4 * d))
                fail_msg("case %zu, size %d: departs by %g, foretold %g", c, (int)size[i], d, fit.error);
            /* no knee is between the cells of one pixel, or of no activation */
            assert_true((size[i] == 1 || !cases[c].activation) == (d < 1e-9));
            assert_true(fit.macs_per_pixel <= (OUT * IN * 24 + size[i] * size[i] * 24 - 1) / (size[i] * size[i] * 24));
            clvi_graph_free(written);
            clvi_arena_free(arena);
        }
        clvi_averaged_free(&sums);
        clvi_sites_free(&sites);
        clvi_graph_free(original);
    }
    clvi_free(x);
}

static void sums_add_up_and_survive_a_file(void **state)
{
    (void)state;
    float *x = pictures(), mean[IMAGES * OUT];
    bool none[IMAGES] = {false}, odd[IMAGES], even[IMAGES];
    clvi_graph *original = network(&cases[0]);
    clvi_sites sites;
    clvi_averaged whole, part[2], read;
    double gain[2];
    for (size_t i = 0; i < IMAGES; i++) {
        odd[i] = i % 2 == 1;
        even[i] = !odd[i];
    }
    run(original, x, mean);
    sites_of(&sites, original);
    const clvi_site *site = &sites.site[0];
    assert_int_equal(clvi_averaged_create(&whole, &site->conv, NULL), CLV_OK);
    assert_int_equal(clvi_averaged_create(&part[0], &site->conv, NULL), CLV_OK);
    assert_int_equal(clvi_averaged_create(&part[1], &site->conv, NULL), CLV_OK);
    assert_int_equal(clvi_averaged_add(&whole, &site->conv, &site->activation, IMAGES, x, mean, none, NULL), CLV_OK);
    assert_int_equal(clvi_averaged_add(&part[0], &site->conv, &site->activation, IMAGES, x, mean, odd, NULL), CLV_OK);
    assert_int_equal(clvi_averaged_add(&part[1], &site->conv, &site->activation, IMAGES, x, mean, even, NULL), CLV_OK);
    clvi_averaged_merge(&part[0], &part[1]);
    for (size_t i = 0; i < whole.sizes; i++) {
        const double a = clvi_averaged_error(&gain[0], &whole, i), b = clvi_averaged_error(&gain[1], &part[0], i);
        assert_true(fabs(a - b) < 1e-12 && fabs(gain[0] - gain[1]) < 1e-12);
    }
    clvi_packer p = {0};
    clvi_averaged_pack(&p, &whole);
    assert_false(p.failed);
    for (size_t cut = 0; cut < p.size; cut++) {
        clvi_unpacker u = {p.data, cut, false};
        assert_false(clvi_averaged_unpack(&u, &read));
    }
    clvi_unpacker u = {p.data, p.size, false};
    assert_true(clvi_averaged_unpack(&u, &read));
    assert_int_equal(read.sizes, whole.sizes);
    assert_true(clvi_averaged_error(&gain[0], &read, 1) == clvi_averaged_error(&gain[1], &whole, 1));
    clvi_packer_free(&p);
    clvi_averaged_free(&read);
    clvi_averaged_free(&whole);
    clvi_averaged_free(&part[0]);
    clvi_averaged_free(&part[1]);
    clvi_sites_free(&sites);
    clvi_graph_free(original);
    clvi_free(x);
}

/* Another reader of the map, or no mean behind it. */
static void other_convolutions_are_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        clvi_graph *graph = network(&cases[0]);
        clvi_sites sites;
        clvi_averaged sums;
        clvi_fit fit;
        const clvi_fit_opts opts = {.size = 3}; /* no divisor of 4 */
        if (kind == 0)
            add_output(graph, clvi_graph_find_value(graph, "y"));
        sites_of(&sites, graph);
        assert_true((clvi_form_average.refuses(&sites.site[0].conv) != NULL) == (kind == 0));
        assert_int_equal(clvi_form_average.fit(&fit, &sites.site[0].conv, NULL, &opts, NULL, NULL, NULL), CLV_ERR_ARG);
        assert_int_equal(clvi_averaged_create(&sums, &sites.site[0].conv, NULL), CLV_OK);
        assert_true((sums.o == 0) == (kind == 0));
        clvi_averaged_free(&sums);
        clvi_sites_free(&sites);
        clvi_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_error_foretold_is_that_of_the_network),
        cmocka_unit_test(sums_add_up_and_survive_a_file),
        cmocka_unit_test(other_convolutions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
