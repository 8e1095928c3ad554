/* SPDX-License-Identifier: Apache-2.0 */
/* What an error does to the outputs, as measured from cuts of the network, against whole networks on the same images.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "compress/probe_chains.h"
#include "compress/survey.h"
#include "unit/runtime_graphs.h"

#define IMAGES 12
#define SIDE   32

static clv_error err;

#define OK(call)                                                      \
    do {                                                              \
        const clv_status ok_status_ = (call);                         \
        if (ok_status_ != CLV_OK)                                     \
            fail_msg("%s: %s", clv_status_text(ok_status_), err.msg); \
    } while (0)

/* x -> 3x3 (3 to 6) -> Relu -> 3x3 (6 to 6, stride 2) -> Relu -> 1x1 (6 to 5) -> Relu -> mean -> y */
static clvi_graph *network(void)
{
    clvi_graph *graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 3, SIDE, SIDE));
    const int32_t a = add_random(graph, "a", 4, DIMS(6, 3, 3, 3), 1, 0.3F, 0);
    const int32_t b = add_random(graph, "b", 4, DIMS(6, 6, 3, 3), 2, 0.3F, 0);
    const int32_t c = add_random(graph, "c", 4, DIMS(5, 6, 1, 1), 3, 0.5F, 0);
    int32_t y = NODE(graph, "Relu", IDS(NODE(graph, "Conv", IDS(x, a), "first")), "r1");
    y = NODE(graph, "Conv", IDS(y, b), "second");
    assert_int_equal(clvi_node_set_ints(graph, last_node(graph), "strides", DIMS(2, 2), 2, NULL), CLV_OK);
    y = NODE(graph, "Relu", IDS(NODE(graph, "Conv", IDS(NODE(graph, "Relu", IDS(y), "r2"), c), "third")), "r3");
    add_output(graph, NODE(graph, "GlobalAveragePool", IDS(y), "y"));
    return graph;
}

typedef struct setting {
    clvi_graph *graph;
    clvi_sites sites;
    clv_dataset *data;
    clv_preprocess preprocess;
    clv_context *context;
    clvi_calibration calibration;
    clvi_candidates *lists;
    clvi_probe probes[3 * CLVI_PROBES_MAX];
    size_t n;
    clvi_arena *arena;
} setting;

/* Candidates of a form as the search would list them: their errors are what the probes are chosen by. */
static clv_status take(void *user, const clvi_survey_part *part, clv_error *e)
{
    setting *s = user;
    clvi_explore_opts opts = {.round = 1, .fit = clvi_fit_opts_default()};
    clvi_covariance *cov[3];
    clvi_candidates *lists[3];
    for (size_t k = 0; k < part->n; k++) {
        lists[k] = &s->lists[part->site[k]];
        TRY(clvi_covariances_of(&cov[k], part->moments[k], 1, e));
    }
    TRY(clvi_candidates_explore(lists, &s->sites, part->site, cov, part->n, &opts, s->context, e));
    for (size_t k = 0; k < part->n; k++)
        clvi_candidates_add_averaged(lists[k], &s->sites.site[part->site[k]], &part->averaged[k], &opts);
    TRY(clvi_probe_chains(s->probes, &s->n, lists, &s->sites, part->site, cov, part->averaged, part->n, &opts, s->arena,
                          s->context, e));
    for (size_t k = 0; k < part->n; k++)
        clvi_covariances_free(cov[k], 1);
    return CLV_OK;
}

static void set_up(setting *s, int threads)
{
    clvi_shapes shapes;
    clv_context_opts opts = clv_context_opts_default();
    const clv_tensor input = tensor_of(CLV_FLOAT32, 4, DIMS(1, 3, SIDE, SIDE), NULL);
    *s = (setting){.graph = network(), .arena = clvi_arena_create()};
    opts.threads = threads;
    OK(clv_context_create(&s->context, &opts, &err));
    OK(clv_preprocess_preset(&s->preprocess, "cifar10", &err));
    OK(clv_dataset_open(&s->data, "builtin:shapes?n=12&seed=3", NULL, &err));
    OK(clvi_shapes_infer(&shapes, s->graph, &input, 1, &err));
    OK(clvi_sites_find(&s->sites, s->graph, &shapes, &err));
    clvi_shapes_free(&shapes);
    assert_int_equal(s->sites.n, 3);
    s->lists = clvi_calloc(3, sizeof *s->lists);
    assert_non_null(s->lists);
    OK(clvi_calibration_create(&s->calibration, s->graph, s->data, &s->preprocess, (size_t)64 << 20, 0, 1, s->context,
                               &err));
    s->calibration.samples = 2000;
    s->calibration.batch = 5;
    s->calibration.seed = 1;
    OK(clvi_survey(s->graph, &s->sites, &s->calibration, (size_t)64 << 20, take, s, &err));
    OK(clvi_probe_run(s->probes, s->n, s->lists, s->graph, &s->sites, &s->calibration, &err));
}

static void tear_down(setting *s)
{
    clvi_calibration_free(&s->calibration);
    clv_dataset_free(s->data);
    clv_context_free(s->context);
    clvi_free(s->lists);
    clvi_arena_free(s->arena);
    clvi_sites_free(&s->sites);
    clvi_graph_free(s->graph);
}

static void outputs(setting *s, const clvi_graph *graph, float y[IMAGES * 5])
{
    float *x = clvi_calloc((size_t)IMAGES * 3 * SIDE * SIDE, sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < IMAGES; i++)
        OK(clvi_calibration_read(&s->calibration, i, 1, x + i * 3 * SIDE * SIDE, &err));
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(IMAGES, 3, SIDE, SIDE), x);
    run_once(graph, &in, y, (size_t)IMAGES * 5);
    clvi_free(x);
}

static double harm_of(const float *changed, const float *original)
{
    double lost = 0, spread = 0;
    for (size_t j = 0; j < 5; j++) {
        double mean = 0;
        for (size_t i = 0; i < IMAGES; i++)
            mean += (double)original[i * 5 + j] / IMAGES;
        for (size_t i = 0; i < IMAGES; i++) {
            const double v = (double)original[i * 5 + j];
            lost += ((double)changed[i * 5 + j] - v) * ((double)changed[i * 5 + j] - v);
            spread += (v - mean) * (v - mean);
        }
    }
    return lost / spread;
}

static void harm_is_that_of_the_whole_network(void **state)
{
    (void)state;
    setting s;
    float before[IMAGES * 5], after[IMAGES * 5];
    set_up(&s, 1);
    outputs(&s, s.graph, before);
    size_t seen[3] = {0}, averages = 0;
    assert_true(s.n >= 6);
    for (size_t i = 0; i < s.n; i++) {
        const clvi_probe *p = &s.probes[i];
        clvi_graph *changed;
        OK(clvi_graph_clone(&changed, s.graph, &err));
        OK(clvi_site_rewrite(changed, &s.sites.site[p->site], &p->chain, &err));
        outputs(&s, changed, after);
        const double harm = harm_of(after, before);
        if (!(fabs(p->harm - harm) < 1e-4 * harm + 1e-9))
            fail_msg("probe %zu of site %zu: %g, the whole network says %g", i, p->site, p->harm, harm);
        if (p->item != SIZE_MAX) {
            const clvi_candidate *c = &s.lists[p->site].item[p->item];
            assert_string_equal(c->form->name, "average");
            assert_true(c->harm == fmax(p->harm, 1e-9));
            averages++;
        } else {
            const clvi_candidates *list = &s.lists[p->site];
            const double law = list->scale * pow(p->error, list->power);
            assert_true(list->power >= 1 && list->power <= 2);
            if (seen[p->site]++ == 0) /* the law goes through the first point, through both where it may */
                assert_true(fabs(law - p->harm) < 1e-9 * p->harm);
        }
        clvi_graph_free(changed);
    }
    assert_int_equal(averages, 3); /* of 14 x 14: cells of 2, 7 and 14 */
    tear_down(&s);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    setting one, two;
    set_up(&one, 1);
    set_up(&two, 2);
    assert_int_equal(one.n, two.n);
    for (size_t i = 0; i < one.n; i++)
        assert_memory_equal(&one.probes[i].harm, &two.probes[i].harm, sizeof one.probes[i].harm);
    tear_down(&one);
    tear_down(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harm_is_that_of_the_whole_network),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
