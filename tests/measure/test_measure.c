/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of src/measure/ on networks whose results are known. */
#include "cli/networks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "measure/baseline.h"
#include "measure/compare.h"
#include "measure/diff.h"
#include "measure/evaluate.h"
#include "measure/feed.h"
#include "measure/floats.h"
#include "measure/inspect.h"
#include "measure/predict.h"
#include "measure/preprocess.h"
#include "measure/score.h"

#define IMAGES 96

typedef struct fixture {
    char folder[64], images[80];
    clv_dataset *dataset;
    clv_context *context;
    clv_report *report;
    clv_preprocess preprocess;
    char log[512];
} fixture;

static void keep_log(void *user, clv_log_level level, const char *message)
{
    fixture *f = user;
    if (level == CLV_LOG_WARNING)
        (void)snprintf(f->log, sizeof f->log, "%s", message);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/cleave-measure-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->images, sizeof f->images, "%s/images.bin", f->folder);
    write_colour_images(f->images, IMAGES);
    const clv_context_opts opts = {.threads = 2, .log = keep_log, .user = f};
    assert_int_equal(clv_context_create(&f->context, &opts, NULL), CLV_OK);
    assert_int_equal(clv_dataset_open(&f->dataset, f->images, NULL, NULL), CLV_OK);
    assert_int_equal(clv_preprocess_preset(&f->preprocess, "cifar10", NULL), CLV_OK);
    assert_int_equal(clv_report_create(&f->report, NULL), CLV_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    clv_report_free(f->report);
    clv_dataset_free(f->dataset);
    clv_context_free(f->context);
    assert_int_equal(unlink(f->images), 0);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    assert_int_equal(clvi_mem_live(), 0);
    return 0;
}

static double number(const fixture *f, const char *path)
{
    double x = (double)NAN;
    clv_error err;
    if (clv_report_number(f->report, path, &x, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    return x;
}

static void rows_are_scored(void **state)
{
    (void)state;
    clvi_score s = {0};
    const float logits[] = {0, 3, 1, 2, -1, -2, -3}, probabilities[] = {0.1F, 0.2F, 0.7F}, equal[] = {1, 1, 1};
    const float bad[] = {0, (float)NAN, 1};
    assert_int_equal(clvi_score_add(&s, logits, 7, 1), 1);
    assert_int_equal(s.top1, 1);
    double sum = 0;
    for (int k = 0; k < 7; k++)
        sum += exp((double)logits[k] - 3);
    assert_true(fabs(s.confidence - 1 / sum) < 1e-12);
    assert_int_equal(clvi_score_add(&s, logits, 7, 4), 1); /* fifth of seven */
    assert_int_equal(s.top5, 2);
    assert_int_equal(clvi_score_add(&s, logits, 7, 5), 1); /* sixth */
    assert_int_equal(s.top5, 2);
    const double before = s.confidence;
    assert_int_equal(clvi_score_add(&s, probabilities, 3, 2), 2);
    assert_true(fabs(s.confidence - before - (double)0.7F) < 1e-12); /* probabilities are not softmaxed again */
    assert_int_equal(clvi_score_add(&s, equal, 3, 1), 0);            /* the first of equals wins */
    assert_int_equal(s.top1, 2);
    assert_int_equal(clvi_score_add(&s, bad, 3, 1), -1);
    assert_int_equal(s.non_finite, 1);
    assert_int_equal(clvi_score_add(&s, equal, 3, -1), 0);
    assert_int_equal(s.rows, 7);
    assert_int_equal(s.labelled, 6);
    assert_true(fabs(clvi_percent_error(50, 100) - 5) < 1e-12);
    assert_true(isnan(clvi_percent(0, 0)));
}

static void tensors_are_compared(void **state)
{
    (void)state;
    const float nan = (float)NAN, inf = (float)INFINITY;
    const float a[] = {3, 4}, b[] = {3, 5}, zero[] = {0, 0}, odd[] = {nan, inf}, finite[] = {1, 1};
    clvi_compare c = {0};
    assert_true(isnan(clvi_compare_error(&c)));
    clvi_compare_add(&c, a, a, 2);
    assert_true(clvi_compare_error(&c) == 0);
    clvi_compare_add(&c, a, b, 2);
    assert_true(fabs(clvi_compare_error(&c) - sqrt(1.0 / 50)) < 1e-12);
    assert_true(c.max_diff == 1 && c.low == 3 && c.high == 5 && clvi_compare_mean(&c) == 3.75);
    c = (clvi_compare){0};
    clvi_compare_add(&c, zero, zero, 2);
    assert_true(clvi_compare_error(&c) == 0);
    clvi_compare_add(&c, zero, b, 2);
    assert_true(isinf(clvi_compare_error(&c)));
    c = (clvi_compare){0};
    clvi_compare_add(&c, odd, odd, 2); /* the same NaN and Inf: no difference */
    assert_true(clvi_compare_error(&c) == 0);
    assert_true(c.not_finite);
    clvi_compare_add(&c, odd, finite, 2);
    assert_true(isinf(clvi_compare_error(&c)));
}

static void any_number_is_a_float(void **state)
{
    (void)state;
    int64_t integers[] = {-3, 1 << 20};
    uint8_t bytes[] = {255, 1};
    uint16_t halves[] = {0x3C00, 0xC000};
    clvi_floats room = {0};
    const float *x;
    size_t n;
    const clv_tensor kinds[] = {
        {CLV_INT64, 1, {2}, integers}, {CLV_UINT8, 1, {2}, bytes}, {CLV_FLOAT16, 1, {2}, halves}};
    const float expected[][2] = {{-3, 1 << 20}, {255, 1}, {1, -2}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(clvi_floats_of(&x, &n, &room, &kinds[i], NULL), CLV_OK);
        assert_int_equal(n, 2);
        assert_true(x[0] == expected[i][0] && x[1] == expected[i][1]);
    }
    clv_error err;
    const clv_tensor text = {CLV_STRING, 1, {2}, bytes}, none = {CLV_FLOAT32, 1, {2}, NULL};
    assert_int_equal(clvi_floats_of(&x, &n, &room, &text, &err), CLV_ERR_UNSUP);
    assert_int_equal(clvi_floats_of(&x, &n, &room, &none, &err), CLV_ERR_ARG);
    clvi_floats_free(&room);
}

/* How many rows and batches a feed gives, and the last index. */
static void count_feed(fixture *f, const clvi_graph *g, clvi_feed_opts opts, int64_t expected[3])
{
    clvi_feed feed;
    clv_error err = {0};
    int64_t rows = 0, batches = 0, last = -1;
    if (clvi_feed_create(&feed, g, f->dataset, &f->preprocess, opts, f->context, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    for (bool more;;) {
        assert_int_equal(clvi_feed_next(&feed, &more, &err), CLV_OK);
        if (!more)
            break;
        for (int64_t i = 0; i < feed.rows; i++) {
            assert_true(feed.index[i] > last);
            last = feed.index[i];
        }
        rows += feed.rows;
        batches++;
    }
    clvi_feed_free(&feed);
    assert_int_equal(rows, expected[0]);
    assert_int_equal(batches, expected[1]);
    assert_int_equal(last, expected[2]);
}

static void images_are_fed_in_batches(void **state)
{
    fixture *f = *state;
    clv_error err;
    clvi_feed feed;
    clvi_graph *g = network_colour();
    count_feed(f, g, (clvi_feed_opts){.batch = 40}, (int64_t[]){96, 3, 95});
    count_feed(f, g, (clvi_feed_opts){.batch = 200}, (int64_t[]){96, 1, 95});
    count_feed(f, g, (clvi_feed_opts){.batch = 5, .limit = 8}, (int64_t[]){8, 2, 84});
    g->values[g->inputs[0]].dims[0] = 64; /* a network with a fixed batch takes no other */
    count_feed(f, g, (clvi_feed_opts){.batch = 3}, (int64_t[]){96, 2, 95});
    assert_int_equal(
        clvi_feed_create(&feed, g, f->dataset, &f->preprocess, (clvi_feed_opts){.batch = 0}, f->context, &err),
        CLV_ERR_ARG);
    g->values[g->inputs[0]].dims[1] = 1;
    assert_int_equal(
        clvi_feed_create(&feed, g, f->dataset, &f->preprocess, (clvi_feed_opts){.batch = 1}, f->context, &err),
        CLV_ERR_DATA);
    clvi_graph_free(g);
    g = network_two_inputs();
    assert_int_equal(
        clvi_feed_create(&feed, g, f->dataset, &f->preprocess, (clvi_feed_opts){.batch = 1}, f->context, &err),
        CLV_ERR_UNSUP);
    clvi_graph_free(g);
}

static clv_status evaluate(fixture *f, const clvi_graph *g, const clvi_graph *against, clv_evaluate_opts opts,
                           clv_error *err)
{
    opts.preprocess = &f->preprocess;
    const clvi_evaluate_job job = {g, against, f->dataset, &opts, f->context, clvi_report_root(f->report)};
    return clvi_evaluate(&job, err);
}

static void a_classifier_is_evaluated(void **state)
{
    fixture *f = *state;
    clv_error err = {0};
    clvi_graph *g = network_colour();
    if (evaluate(f, g, NULL, clv_evaluate_opts_default(), &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_true(number(f, "accuracy.top1") == 100);
    assert_true(number(f, "accuracy.top1_standard_error") == 0);
    assert_true(number(f, "images.count") == IMAGES);
    assert_true(number(f, "baseline.accuracy") == 100);
    assert_null(clv_report_string(f->report, "baseline.warning"));
    assert_string_equal(f->log, "");
    f->preprocess.order = CLV_BGR; /* green stays, red and blue are taken for each other */
    if (evaluate(f, g, NULL, clv_evaluate_opts_default(), &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_true(fabs(number(f, "accuracy.top1") - 100.0 / 3) < 0.01);
    assert_non_null(
        strstr(clv_report_string(f->report, "baseline.warning"), "100 % with RGB: the channel order looks wrong"));
    assert_non_null(strstr(f->log, "the channel order looks wrong"));
    clvi_graph_free(g);
}

static void two_networks_are_compared_on_images(void **state)
{
    fixture *f = *state;
    clv_error err = {0};
    clvi_graph *g = network_residual(1), *other = network_residual(2);
    const clv_evaluate_opts opts = {.batch = 7, .no_check = true};
    if (evaluate(f, g, g, opts, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_true(number(f, "agreement.same_class") == 100);
    assert_true(number(f, "agreement.top1_change") == 0);
    assert_true(number(f, "outputs.0.relative_error") == 0);
    const double mean = number(f, "outputs.0.mean"), top1 = number(f, "accuracy.top1");
    clv_report_free(f->report);
    assert_int_equal(clv_report_create(&f->report, NULL), CLV_OK);
    if (evaluate(f, g, other, (clv_evaluate_opts){.batch = 64, .no_check = true}, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_true(fabs(number(f, "outputs.0.mean") - mean) < 1e-5); /* whatever the batch */
    assert_true(number(f, "accuracy.top1") == top1);
    assert_true(number(f, "outputs.0.relative_error") > 0.1);
    assert_true(fabs(number(f, "accuracy.top1") - number(f, "against.top1") - number(f, "agreement.top1_change")) <
                1e-9);
    clvi_graph_free(g);
    clvi_graph_free(other);
}

static void labels_must_be_classes(void **state)
{
    fixture *f = *state;
    clv_error err = {0};
    char path[96];
    (void)snprintf(path, sizeof path, "%s/labels.txt", f->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < IMAGES; i++)
        (void)fprintf(file, "%d\n", i == 50 ? 7 : 0);
    assert_int_equal(fclose(file), 0);
    clv_dataset_free(f->dataset);
    clv_dataset_opts opts = clv_dataset_opts_default();
    opts.labels = path;
    if (clv_dataset_open(&f->dataset, f->images, &opts, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    clvi_graph *g = network_colour();
    assert_int_equal(evaluate(f, g, NULL, (clv_evaluate_opts){.batch = 8, .no_check = true}, &err), CLV_ERR_DATA);
    assert_non_null(strstr(err.msg, "labels reach 7"));
    clvi_graph_free(g);
    assert_int_equal(unlink(path), 0);
}

static clv_status diff(fixture *f, const clvi_graph *a, const clvi_graph *b, clv_error *err)
{
    clv_diff_opts opts = clv_diff_opts_default();
    opts.dataset = f->dataset;
    opts.preprocess = &f->preprocess;
    const clvi_diff_job job = {a, b, &opts, f->context, clvi_report_root(f->report)};
    return clvi_diff(&job, err);
}

static void the_first_departure_is_found(void **state)
{
    fixture *f = *state;
    clv_error err = {0};
    clvi_graph *a = network_residual(1), *b = network_residual(1);
    if (diff(f, a, b, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(clv_report_string(f->report, "first_departure"), "none");
    assert_true(number(f, "images") == 16);
    assert_string_equal(clv_report_string(f->report, "tensors.0.tensor"), "c1");
    assert_true(number(f, "worst_output_error") == 0);
    const int32_t weight = clvi_graph_find_value(b, "c2.weight");
    ((float *)b->values[weight].constant->data)[0] += 0.5F;
    clv_report_free(f->report);
    assert_int_equal(clv_report_create(&f->report, NULL), CLV_OK);
    assert_int_equal(diff(f, a, b, &err), CLV_ERR_VERIFY);
    assert_string_equal(clv_report_string(f->report, "first_departure"), "c2");
    assert_true(number(f, "tensors.2.relative_error") == 0); /* relu1 */
    assert_true(number(f, "tensors.3.relative_error") > 1e-3);
    assert_non_null(strstr(err.msg, "\"c2\""));
    clvi_graph_free(b);
    b = network_two_inputs();
    assert_int_equal(diff(f, a, b, &err), CLV_ERR_ARG);
    clvi_graph_free(a);
    clvi_graph_free(b);
}

static void a_network_is_described(void **state)
{
    fixture *f = *state;
    clv_error err = {0};
    clvi_graph *g = network_residual(1);
    if (clvi_inspect(g, NULL, 0, clvi_report_root(f->report), &err) != CLV_OK)
        fail_msg("%s", err.msg);
    /* 32 * 32 * (8 * 3 * 9 + 8 * 8 * 9 + 8 * 8) + 8 * 10 */
    assert_true(number(f, "model.macs") == 876624);
    assert_true(number(f, "layers.0.macs") == 221184 && number(f, "layers.0.parameters") == 216);
    assert_string_equal(clv_report_string(f->report, "layers.0.output"), "1x8x32x32");
    assert_string_equal(clv_report_string(f->report, "inputs.0.counted_with"), "1x3x32x32");
    assert_non_null(strstr(clv_report_string(f->report, "convolutions.1.can_be_split"), "depthwise"));
    assert_non_null(strstr(clv_report_string(f->report, "convolutions.2.reason"), "not depthwise"));
    const clv_input_shape shapes[] = {{"input", 4, {1, 3, 32, 32}}, {"input", 4, {1, 3, 16, 32}},
                                      {"x", 4, {1, 3, 32, 32}},     {"input", 3, {3, 32, 32}},
                                      {"input", -1, {0}},           {"input", 100, {0}}};
    assert_int_equal(clvi_inspect(g, shapes, 1, clvi_report_root(f->report), &err), CLV_OK);
    for (size_t i = 1; i < sizeof shapes / sizeof *shapes; i++)
        assert_int_equal(clvi_inspect(g, &shapes[i], 1, clvi_report_root(f->report), &err), CLV_ERR_ARG);
    clvi_graph_free(g);
    g = network_unknown_operator();
    assert_int_equal(clvi_inspect(g, NULL, 0, clvi_report_root(f->report), &err), CLV_OK);
    assert_string_equal(clv_report_string(f->report, "not_runnable.0.operator"), "Invent");
    assert_true(number(f, "model.nodes_cleave_cannot_run") == 1);
    clvi_graph_free(g);
}

static void preprocessing_is_never_guessed(void **state)
{
    fixture *f = *state;
    clv_error err = {0};
    clv_preprocess p;
    char text[512];
    clvi_graph *g = network_colour();
    assert_int_equal(clvi_preprocess_resolve(&p, g, NULL, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "\"cifar10\" is usual"));
    assert_int_equal(clv_preprocess_format(&f->preprocess, text, sizeof text, NULL), CLV_OK);
    assert_int_equal(clvi_graph_set_metadata(g, CLVI_PREPROCESS_KEY, text, NULL), CLV_OK);
    assert_int_equal(clvi_preprocess_resolve(&p, g, NULL, &err), CLV_OK);
    assert_true(p.scale == f->preprocess.scale && p.mean[2] == f->preprocess.mean[2]);
    p.scale = 7;
    const clv_preprocess given = p;
    assert_int_equal(clvi_preprocess_resolve(&p, g, &given, &err), CLV_OK);
    assert_true(p.scale == 7);
    assert_int_equal(clvi_graph_set_metadata(g, CLVI_PREPROCESS_KEY, "nonsense", NULL), CLV_OK);
    assert_int_equal(clvi_preprocess_resolve(&p, g, NULL, &err), CLV_ERR_ARG);
    clvi_graph_free(g);
}

static volatile sig_atomic_t cancel;

static clv_status cancel_soon(void *user, int64_t index, const clv_tensor *outputs, size_t n, clv_error *err)
{
    int64_t *visited = user;
    (void)outputs;
    (void)err;
    assert_int_equal(n, 1);
    assert_int_equal(index, *visited);
    cancel = ++*visited >= 40;
    return CLV_OK;
}

static void work_can_be_stopped(void **state)
{
    fixture *f = *state;
    clv_error err;
    clv_context *context = NULL;
    const clv_context_opts opts = {.threads = 1, .cancel = &cancel};
    int64_t visited = 0;
    const clv_visitor visitor = {cancel_soon, &visited};
    assert_int_equal(clv_context_create(&context, &opts, NULL), CLV_OK);
    clvi_graph *g = network_colour();
    assert_int_equal(clvi_predict(g, f->dataset, &f->preprocess, &visitor, context, &err), CLV_ERR_INTERRUPTED);
    assert_true(visited >= 40 && visited < IMAGES);
    cancel = 0;
    clvi_graph_free(g);
    clv_context_free(context);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_scored),
        cmocka_unit_test(tensors_are_compared),
        cmocka_unit_test(any_number_is_a_float),
        TEST(images_are_fed_in_batches),
        TEST(a_classifier_is_evaluated),
        TEST(two_networks_are_compared_on_images),
        TEST(labels_must_be_classes),
        TEST(the_first_departure_is_found),
        TEST(a_network_is_described),
        TEST(preprocessing_is_never_guessed),
        TEST(work_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
