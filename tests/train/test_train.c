/* SPDX-License-Identifier: Apache-2.0 */
/* Training from labels: a small ResNet learns to name colours; what comes out does as well in the runtime, with the
 * statistics that were tracked; the bits do not depend on threads or on a pause; NaN and nonsense are told. */
#include "train/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/arch.h"
#include "base/mem.h"
#include "cli/networks.h"
#include "measure/evaluate.h"
#include "train/loader.h"

#define N 240

static char folder[] = "/tmp/cleave-train-XXXXXX";
static char images[64], checkpoint[64], saved[64], logged[64];

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(images, sizeof images, "%s/images.bin", folder);
    (void)snprintf(checkpoint, sizeof checkpoint, "%s/state", folder);
    (void)snprintf(saved, sizeof saved, "%s/best.onnx", folder);
    (void)snprintf(logged, sizeof logged, "%s/log", folder);
    write_colour_images(images, N);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(images);
    (void)unlink(checkpoint);
    (void)unlink(saved);
    (void)unlink(logged);
    return rmdir(folder);
}

static clvi_graph *network(int64_t classes)
{
    const clv_arch_opts opts = {.classes = classes, .side = 32, .width = 0.5, .seed = 3};
    clvi_graph *g = NULL;
    assert_int_equal(clvi_arch_build(&g, "resnet8", &opts, NULL, NULL), CLV_OK);
    return g;
}

/* --- running ----------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t cancel;
static int messages, cancel_after; /* one message an epoch: the step behind it is the last */

static void on_log(void *user, clv_log_level level, const char *message)
{
    (void)user;
    (void)level;
    (void)message;
    if (++messages == cancel_after)
        cancel = 1;
}

static clv_context *context_with(int threads)
{
    clv_context *context = NULL;
    clv_context_opts how = clv_context_opts_default();
    how.threads = threads;
    how.cancel = &cancel;
    how.log = on_log;
    cancel = 0;
    messages = 0;
    assert_int_equal(clv_context_create(&context, &how, NULL), CLV_OK);
    return context;
}

typedef struct result {
    clv_status st;
    clv_error err;
    double top1, best_epoch;
    bool stopped;
    clvi_graph *graph;
} result;

static result train(const clvi_graph *graph, const clv_train_opts *opts, int threads, const char *path)
{
    result r = {0};
    clv_context *const context = context_with(threads);
    clv_dataset *data = NULL;
    clv_report *report = NULL;
    clv_preprocess unit;
    assert_int_equal(clv_preprocess_preset(&unit, "cifar10", NULL), CLV_OK);
    assert_int_equal(clv_dataset_open(&data, path, NULL, NULL), CLV_OK);
    assert_int_equal(clv_report_create(&report, NULL), CLV_OK);
    r.st = clvi_train(&r.graph, graph, data, &unit, opts, context, report, &r.err);
    if (r.st == CLV_OK) {
        assert_int_equal(clv_report_number(report, "training.held_out_top1", &r.top1, NULL), CLV_OK);
        assert_int_equal(clv_report_number(report, "training.best_epoch", &r.best_epoch, NULL), CLV_OK);
        r.stopped = strcmp(clv_report_string(report, "training.stopped"), "interrupted") == 0;
    }
    clv_report_free(report);
    clv_dataset_free(data);
    clv_context_free(context);
    return r;
}

static clv_train_opts options(int64_t epochs)
{
    clv_train_opts o = clv_train_opts_default();
    o.epochs = epochs;
    o.batch = 24;
    o.held_out = 24;
    return o;
}

static void same_weights(const clvi_graph *a, const clvi_graph *b)
{
    size_t compared = 0;
    assert_int_equal(a->n_values, b->n_values);
    for (size_t v = 0; v < a->n_values; v++) {
        const clv_tensor *const t = a->values[v].constant;
        if (!t || t->dtype != CLV_FLOAT32)
            continue;
        assert_memory_equal(t->data, b->values[v].constant->data, (size_t)clv_tensor_count(t) * sizeof(float));
        compared++;
    }
    assert_true(compared >= 30); /* 7 convolutions, 7 norms of four, a classifier */
}

/* Top-1 in the runtime, BatchNorm as inference has it. */
static double accuracy_of(const clvi_graph *graph)
{
    clv_context *const context = context_with(1);
    clv_evaluate_opts opts = clv_evaluate_opts_default();
    clv_dataset *data = NULL;
    clv_report *report = NULL;
    clv_preprocess p;
    double top1;
    assert_int_equal(clv_preprocess_preset(&p, "cifar10", NULL), CLV_OK);
    assert_int_equal(clv_dataset_open(&data, images, NULL, NULL), CLV_OK);
    assert_int_equal(clv_report_create(&report, NULL), CLV_OK);
    opts.preprocess = &p;
    opts.no_check = true;
    const clvi_evaluate_job job = {graph, NULL, data, &opts, context, clvi_report_root(report)};
    assert_int_equal(clvi_evaluate(&job, NULL), CLV_OK);
    assert_int_equal(clv_report_number(report, "accuracy.top1", &top1, NULL), CLV_OK);
    clv_report_free(report);
    clv_dataset_free(data);
    clv_context_free(context);
    return top1;
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

static void test_learns(void **state)
{
    clvi_graph *const net = network(3);
    clv_train_opts o = options(4);
    (void)state;
    o.save = saved;
    o.log = logged;
    result one = train(net, &o, 1, images);
    if (one.st != CLV_OK)
        fail_msg("%s", one.err.msg);
    assert_false(one.stopped);
    assert_true(one.top1 > 95);
    assert_true(accuracy_of(net) < 80);
    assert_true(accuracy_of(one.graph) > 95);
    assert_int_equal(access(saved, R_OK), 0);
    assert_int_equal(access(logged, R_OK), 0);
    result two = train(net, &o, 2, images);
    assert_int_equal(two.st, CLV_OK);
    same_weights(one.graph, two.graph);
    for (size_t v = 0; v < net->n_values; v++) { /* every statistic was tracked */
        const char *const name = net->values[v].name, *const dot = strrchr(name, '.');
        const clv_tensor *const t = net->values[v].constant;
        if (t && dot && (strcmp(dot, ".mean") == 0 || strcmp(dot, ".var") == 0))
            assert_memory_not_equal(t->data, one.graph->values[v].constant->data,
                                    (size_t)clv_tensor_count(t) * sizeof(float));
    }
    clvi_graph_free(one.graph);
    clvi_graph_free(two.graph);
    clvi_graph_free(net);
}

static void test_methods(void **state)
{
    clvi_graph *const net = network(3);
    clv_train_opts o = options(3);
    (void)state;
    o.optimiser = "adamw";
    o.schedule = "cosine";
    o.rate = 0.01;
    o.clip = 1;
    o.cutout = 8;
    o.no_flip = true;
    result r = train(net, &o, 2, images);
    if (r.st != CLV_OK)
        fail_msg("%s", r.err.msg);
    assert_true(r.top1 > 95);
    clvi_graph_free(r.graph);
    clvi_graph_free(net);
}

/* Stopped one step into the second epoch, and gone on with: the same bits as at a stretch. */
static void test_resume(void **state)
{
    clvi_graph *const net = network(3);
    clv_train_opts o = options(3);
    (void)state;
    cancel_after = 0;
    result whole = train(net, &o, 2, images);
    assert_int_equal(whole.st, CLV_OK);
    o.checkpoint = checkpoint;
    o.resume = true;
    cancel_after = 1;
    result part = train(net, &o, 1, images);
    assert_int_equal(part.st, CLV_OK);
    assert_true(part.stopped);
    assert_int_equal(access(checkpoint, R_OK), 0);
    cancel_after = 0;
    o.seed = 2; /* not the run that the state is of */
    result other = train(net, &o, 1, images);
    assert_int_equal(other.st, CLV_ERR_DATA);
    assert_non_null(strstr(other.err.msg, "another run"));
    o.seed = 1;
    result rest = train(net, &o, 1, images);
    assert_int_equal(rest.st, CLV_OK);
    assert_false(rest.stopped);
    same_weights(whole.graph, rest.graph);
    assert_int_not_equal(access(checkpoint, R_OK), 0); /* done: the state is gone */
    clvi_graph_free(whole.graph);
    clvi_graph_free(part.graph);
    clvi_graph_free(rest.graph);
    clvi_graph_free(net);
}

/* Everything random at once, and the mean of the weights: as reproducible, on threads and over a pause. */
static void test_changes(void **state)
{
    clvi_graph *const net = network(3);
    clv_train_opts o = options(4);
    (void)state;
    o.crop = 0.5;
    o.jitter = 0.1;
    o.mixup = 0.2;
    o.cutout = 6;
    o.shift = 2;
    cancel_after = 0;
    result plain = train(net, &o, 1, images);
    o.average = 0.8;
    result whole = train(net, &o, 2, images);
    assert_int_equal(plain.st, CLV_OK);
    assert_int_equal(whole.st, CLV_OK);
    assert_true(whole.top1 > 80 && plain.top1 > 80);
    assert_true(accuracy_of(whole.graph) > 80); /* with the statistics that belong to the mean */
    const int32_t w = clvi_graph_find_value(net, "classifier.weight");
    const clv_tensor *const t = plain.graph->values[w].constant;
    assert_memory_not_equal(t->data, whole.graph->values[w].constant->data,
                            (size_t)clv_tensor_count(t) * sizeof(float));
    o.checkpoint = checkpoint;
    o.resume = true;
    cancel_after = 2;
    result part = train(net, &o, 1, images);
    assert_int_equal(part.st, CLV_OK);
    assert_true(part.stopped);
    cancel_after = 0;
    o.mixup = 0.3;
    result other = train(net, &o, 1, images);
    assert_int_equal(other.st, CLV_ERR_DATA);
    o.mixup = 0.2;
    result rest = train(net, &o, 1, images);
    assert_int_equal(rest.st, CLV_OK);
    same_weights(whole.graph, rest.graph);
    clvi_graph_free(plain.graph);
    clvi_graph_free(whole.graph);
    clvi_graph_free(part.graph);
    clvi_graph_free(rest.graph);
    clvi_graph_free(net);
}

/* Weights that grow out of all bounds: the step and the layer are said, and nothing comes back. */
static void test_not_finite(void **state)
{
    clvi_graph *const net = network(3);
    clv_train_opts o = options(40);
    (void)state;
    o.rate = 900;
    o.decay = 9;
    result r = train(net, &o, 1, images);
    assert_int_equal(r.st, CLV_ERR_NUMERIC);
    assert_non_null(strstr(r.err.msg, "step "));
    assert_non_null(strstr(r.err.msg, "Conv \""));
    assert_null(r.graph);
    float *const w = net->values[clvi_graph_find_value(net, "classifier.weight")].constant->data;
    w[0] = (float)NAN;
    o = options(1);
    r = train(net, &o, 1, images);
    assert_int_equal(r.st, CLV_ERR_NUMERIC);
    assert_non_null(strstr(r.err.msg, "before training"));
    clvi_graph_free(net);
}

static void refused(const clvi_graph *net, clv_train_opts o, const char *path, clv_status st, const char *text)
{
    const result r = train(net, &o, 1, path);
    assert_int_equal(r.st, st);
    if (!strstr(r.err.msg, text))
        fail_msg("\"%s\" is not in \"%s\"", text, r.err.msg);
    assert_null(r.graph);
}

static void test_refused(void **state)
{
    clvi_graph *const net = network(3), *const two = network(2);
    clv_train_opts o;
    (void)state;
    refused(two, options(1), images, CLV_ERR_DATA, "3 classes");
    refused(net, (o = options(1), o.batch = 26, o), images, CLV_ERR_ARG, "multiple of 4");
    refused(net, (o = options(1), o.batch = 220, o), images, CLV_ERR_DATA, "too few");
    refused(net, (o = options(0), o), images, CLV_ERR_ARG, "epochs");
    refused(net, (o = options(1), o.optimiser = "adam", o), images, CLV_ERR_ARG, "adamw");
    refused(net, (o = options(1), o.schedule = "line", o), images, CLV_ERR_ARG, "one-cycle");
    refused(net, (o = options(1), o.smoothing = 1, o), images, CLV_ERR_ARG, "smoothing");
    refused(net, (o = options(1), o.mixup = 1.5, o), images, CLV_ERR_ARG, "mixup 1.5");
    refused(net, (o = options(1), o.average = 1, o), images, CLV_ERR_ARG, "average 1");
    refused(net, (o = options(1), o.resume = true, o), images, CLV_ERR_ARG, "checkpoint");
    char flat[80];
    (void)snprintf(flat, sizeof flat, "%s/x.npy", folder);
    float *const x = clvi_calloc(N * 3 * 32 * 32, sizeof *x);
    assert_int_equal(clv_npy_write(&(clv_tensor){CLV_FLOAT32, 4, {N, 3, 32, 32}, x}, flat, NULL), CLV_OK);
    refused(net, options(1), flat, CLV_ERR_DATA, "has no label");
    clvi_free(x);
    (void)unlink(flat);
    clvi_graph_free(net);
    clvi_graph_free(two);
}

/* What differs from the plain image is black and lies in a square of the size that was asked for. */
static void test_cutout(void **state)
{
    enum { SIDE = 10, H = 32 };
    const float black = -0.485F / 0.229F;
    int64_t items[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    clvi_loader_opts o = {
        .items = items, .n_items = 8, .batch = 8, .chw = {3, H, H}, .cutout = SIDE, .seed = 5, .labels = true};
    clv_dataset *data = NULL;
    clvi_loader *loader = NULL;
    clvi_batch batch;
    clv_preprocess p;
    size_t cut = 0;
    (void)state;
    assert_int_equal(clv_preprocess_preset(&p, "cifar10", NULL), CLV_OK);
    assert_int_equal(clv_dataset_open(&data, images, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_loader_create(&loader, data, &p, &o, NULL), CLV_OK);
    assert_int_equal(clvi_loader_next(loader, &batch, NULL), CLV_OK);
    for (int i = 0; i < 8; i++) {
        int top = H, left = H, bottom = -1, right = -1;
        for (int y = 0; y < H; y++)
            for (int x = 0; x < H; x++)
                if (fabsf(batch.images[(size_t)i * 3 * H * H + (size_t)(y * H + x)] - black) < 1e-5F) {
                    top = y < top ? y : top;
                    bottom = y;
                    left = x < left ? x : left;
                    right = x > right ? x : right;
                    cut++;
                }
        assert_true(bottom >= top && bottom - top < SIDE && right - left < SIDE); /* the images have no black */
    }
    assert_true(cut > 8 * SIDE * SIDE / 4);
    clvi_loader_free(loader);
    clv_dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_learns),     cmocka_unit_test(test_methods),
                                       cmocka_unit_test(test_resume),     cmocka_unit_test(test_changes),
                                       cmocka_unit_test(test_not_finite), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_cutout)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
