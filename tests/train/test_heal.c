/* SPDX-License-Identifier: Apache-2.0 */
/* Healing of a small network: it gets better, never worse; the bits do not depend on threads or on a pause; what
 * cannot be is refused with a sentence. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "train/balance.h"
#include "train/guide.h"
#include "train/heal.h"
#include "train/plan.h"
#include "unit/runtime_graphs.h"

#define N 200
#define H 8

static char folder[] = "/tmp/cleave-heal-XXXXXX";
static char array[64], checkpoint[64], saved[64];

static void conv(clvi_graph *g, int32_t *x, const char *y, const int64_t dims[4], uint64_t seed, float scale)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s/w", y);
    const int32_t w = add_random(g, name, 4, dims, seed, scale, 0);
    (void)snprintf(name, sizeof name, "%s/b", y);
    const int32_t b = add_random(g, name, 1, dims, seed + 100, 0.1F, 0);
    const int64_t pad = dims[2] / 2;
    *x = NODE(g, "Conv", IDS(*x, w, b), y);
    (void)clvi_node_set_ints(g, last_node(g), "pads", DIMS(pad, pad, pad, pad), 4, NULL);
}

/* conv, relu, [conv or 1x1 then 3x3], + shortcut, relu, mean, Gemm. */
static clvi_graph *network(bool split)
{
    clvi_graph *const g = new_graph(13);
    int32_t x = add_input(g, "x", CLV_FLOAT32, 4, DIMS(-1, 3, H, H));
    conv(g, &x, "stem", DIMS(8, 3, 3, 3), 1, 0.3F);
    const int32_t shortcut = x = NODE(g, "Relu", IDS(x), "a");
    if (split)
        conv(g, &x, "inner", DIMS(4, 8, 1, 1), 50, 0.3F);
    conv(g, &x, "block", split ? DIMS(8, 4, 3, 3) : DIMS(8, 8, 3, 3), 2, split ? 0.03F : 0.2F);
    x = NODE(g, "Relu", IDS(NODE(g, "Add", IDS(x, shortcut), "sum")), "out");
    x = NODE(g, "Flatten", IDS(NODE(g, "GlobalAveragePool", IDS(x), "pool")), "flat");
    const int32_t w = add_random(g, "fc", 2, DIMS(8, 5), 3, 2, 0), b = add_random(g, "fcb", 1, DIMS(5), 4, 0.1F, 0);
    add_output(g, NODE(g, "Gemm", IDS(x, w, b), "logits"));
    return g;
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(array, sizeof array, "%s/x.npy", folder);
    (void)snprintf(checkpoint, sizeof checkpoint, "%s/state", folder);
    (void)snprintf(saved, sizeof saved, "%s/best.onnx", folder);
    clv_tensor t = tensor_of(CLV_FLOAT32, 4, DIMS(N, 3, H, H), NULL);
    float *const x = clvi_calloc(N * 3 * H * H, sizeof *x);
    clvi_rng rng;
    clvi_rng_seed(&rng, 3);
    for (size_t i = 0; i < N * 3 * H * H; i++)
        x[i] = (float)clvi_rng_normal(&rng) + (float)(i / (3 * H * H) % 5) * 0.3F;
    t.data = x;
    assert_int_equal(clv_npy_write(&t, array, NULL), CLV_OK);
    clvi_free(x);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(array);
    (void)unlink(checkpoint);
    (void)unlink(saved);
    return rmdir(folder);
}

static volatile sig_atomic_t cancel;
static long calls, cancel_after;

/* One message a judgement: cancels between two of them, in the middle of the steps. */
static void on_log(void *user, clv_log_level level, const char *message)
{
    (void)user;
    (void)level;
    (void)message;
    if (++calls == cancel_after)
        cancel = 1;
}

typedef struct result {
    clv_status st;
    clv_error err;
    double before, after;
    clvi_graph *graph;
} result;

static result heal(clvi_graph *student, const clvi_graph *teacher, const clv_heal_opts *opts, int threads)
{
    result r = {0};
    clv_context *context = NULL;
    clv_dataset *data = NULL;
    clv_report *report = NULL;
    clv_context_opts how = clv_context_opts_default();
    how.threads = threads;
    how.cancel = &cancel;
    how.log = on_log;
    cancel = 0;
    calls = 0;
    assert_int_equal(clv_context_create(&context, &how, NULL), CLV_OK);
    assert_int_equal(clv_dataset_open(&data, array, NULL, NULL), CLV_OK);
    assert_int_equal(clv_report_create(&report, NULL), CLV_OK);
    r.st = clvi_heal(&r.graph, student, teacher, data, NULL, opts, context, report, &r.err);
    if (r.st == CLV_OK) {
        assert_int_equal(clv_report_number(report, "healing.loss_before", &r.before, NULL), CLV_OK);
        assert_int_equal(clv_report_number(report, "healing.loss_after", &r.after, NULL), CLV_OK);
    }
    clv_report_free(report);
    clv_dataset_free(data);
    clv_context_free(context);
    return r;
}

static clv_heal_opts options(int64_t steps)
{
    clv_heal_opts o = clv_heal_opts_default();
    o.steps = steps;
    o.batch = 16;
    o.held_out = 40;
    return o;
}

static void same_weights(const clvi_graph *a, const clvi_graph *b)
{
    size_t compared = 0;
    for (size_t v = 0; v < a->n_values; v++) {
        const clv_tensor *const t = a->values[v].constant;
        if (!t || t->dtype != CLV_FLOAT32)
            continue;
        const int32_t w = clvi_graph_find_value(b, a->values[v].name);
        assert_true(w >= 0);
        assert_memory_equal(t->data, b->values[w].constant->data, (size_t)clv_tensor_count(t) * sizeof(float));
        compared++;
    }
    assert_true(compared >= 6);
}

static void test_gets_better(void **state)
{
    clvi_graph *const teacher = network(false), *const student = network(true);
    clv_heal_opts o = options(120);
    (void)state;
    o.rate = 0.05;
    o.save = saved;
    result one = heal(student, teacher, &o, 1);
    if (one.st != CLV_OK)
        fail_msg("%s", one.err.msg);
    assert_true(one.after < 0.7 * one.before);
    assert_int_equal(access(saved, R_OK), 0);
    result two = heal(student, teacher, &o, 2);
    assert_int_equal(two.st, CLV_OK);
    same_weights(one.graph, two.graph);
    clvi_graph_free(one.graph);
    clvi_graph_free(two.graph);
    clvi_graph_free(teacher);
    clvi_graph_free(student);
}

/* Steps that wreck the network: what comes back is the start. */
static void test_never_worse(void **state)
{
    clvi_graph *const teacher = network(false), *const student = network(false);
    clv_heal_opts o = options(20);
    (void)state;
    o.rate = 9;
    float *const w = student->values[clvi_graph_find_value(student, "block/w")].constant->data;
    for (int i = 0; i < 20; i++)
        w[i] *= 1.05F;
    result r = heal(student, teacher, &o, 1);
    assert_int_equal(r.st, CLV_OK);
    assert_true(r.after <= r.before);
    if (r.after == r.before)
        same_weights(r.graph, student);
    clvi_graph_free(r.graph);
    clvi_graph_free(teacher);
    clvi_graph_free(student);
}

/* The same rate with steps enough: it goes back, slows down, and heals after all. */
static void test_large_rate(void **state)
{
    clvi_graph *const teacher = network(false), *const student = network(true);
    clv_heal_opts o = options(200);
    (void)state;
    o.rate = 9;
    result r = heal(student, teacher, &o, 2);
    assert_int_equal(r.st, CLV_OK);
    assert_true(r.after < 0.9 * r.before);
    clvi_graph_free(r.graph);
    clvi_graph_free(teacher);
    clvi_graph_free(student);
}

static void test_resume(void **state)
{
    clvi_graph *const teacher = network(false), *const student = network(true);
    clv_heal_opts o = options(60);
    (void)state;
    cancel_after = 0;
    result whole = heal(student, teacher, &o, 2);
    assert_int_equal(whole.st, CLV_OK);
    o.checkpoint = checkpoint;
    o.resume = true;
    cancel_after = 5;
    result part = heal(student, teacher, &o, 1);
    assert_int_equal(part.st, CLV_OK);
    assert_int_equal(access(checkpoint, R_OK), 0);
    cancel_after = 0;
    o.seed = 2; /* not the run that the state is of */
    result other = heal(student, teacher, &o, 1);
    assert_int_equal(other.st, CLV_ERR_DATA);
    assert_non_null(strstr(other.err.msg, "another run"));
    o.seed = 1;
    result rest = heal(student, teacher, &o, 2);
    assert_int_equal(rest.st, CLV_OK);
    same_weights(whole.graph, rest.graph);
    assert_int_not_equal(access(checkpoint, R_OK), 0); /* done: the state is gone */
    clvi_graph_free(whole.graph);
    clvi_graph_free(part.graph);
    clvi_graph_free(rest.graph);
    clvi_graph_free(teacher);
    clvi_graph_free(student);
}

static void test_refused(void **state)
{
    clvi_graph *const teacher = network(false), *const student = network(true);
    clv_heal_opts o = options(5);
    (void)state;
    o.batch = 18;
    assert_int_equal(heal(student, teacher, &o, 1).st, CLV_ERR_ARG);
    o = options(5);
    o.batch = 196;
    assert_int_equal(heal(student, teacher, &o, 1).st, CLV_ERR_DATA);
    o = options(5);
    float *const w = student->values[clvi_graph_find_value(student, "inner/w")].constant->data;
    w[3] = (float)NAN;
    result r = heal(student, teacher, &o, 1);
    assert_int_equal(r.st, CLV_ERR_NUMERIC);
    assert_null(r.graph);
    clvi_graph_free(teacher);
    clvi_graph_free(student);
}

/* Same outputs, and on both sides of the inner value the same root mean square, channel by channel. */
static void test_balance(void **state)
{
    clvi_graph *const g = network(true);
    static float x[2 * 3 * H * H], before[10], after[10];
    const clv_tensor input = tensor_of(CLV_FLOAT32, 4, DIMS(2, 3, H, H), x);
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 8);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)clvi_rng_normal(&rng);
    run_once(g, &input, before, 10);
    assert_int_equal(clvi_balance(g, NULL), CLV_OK);
    run_once(g, &input, after, 10);
    for (int i = 0; i < 10; i++)
        assert_true(fabs((double)(before[i] - after[i])) < 1e-4);
    const float *const a = g->values[clvi_graph_find_value(g, "inner/w")].constant->data;
    const float *const b = g->values[clvi_graph_find_value(g, "block/w")].constant->data;
    for (int k = 0; k < 4; k++) {
        double p = 0, q = 0;
        for (int i = 0; i < 8; i++)
            p += (double)(a[k * 8 + i] * a[k * 8 + i]) / 8;
        for (int o = 0; o < 8; o++)
            for (int i = 0; i < 9; i++)
                q += (double)(b[(o * 4 + k) * 9 + i] * b[(o * 4 + k) * 9 + i]) / 72;
        assert_true(fabs(p - q) < 1e-5 * p);
    }
    clvi_graph_free(g);
}

/* The teacher in the runtime and the same network in a training plan: the same numbers in the same order. */
static void test_guide(void **state)
{
    enum { LANES = 3, ROWS = 2 };
    clvi_graph *const g = network(false);
    const int32_t heads[] = {clvi_graph_find_value(g, "logits"), clvi_graph_find_value(g, "out")};
    const clvi_tplan_opts o = {.batch = LANES * ROWS, .lanes = LANES, .heads = heads, .n_heads = 2};
    static float x[LANES * ROWS * 3 * H * H];
    const clv_tensor lane = tensor_of(CLV_FLOAT32, 4, DIMS(ROWS, 3, H, H), NULL);
    const size_t counts[] = {(size_t)ROWS * 5, (size_t)ROWS * 8 * H * H};
    clvi_guide *guide = NULL;
    clvi_tplan *plan = NULL;
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 9);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)clvi_rng_normal(&rng);
    assert_int_equal(clvi_guide_create(&guide, g, heads, 2, &lane, LANES, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_tplan_create(&plan, g, &lane, &o, NULL, NULL), CLV_OK);
    for (int again = 0; again < 2; again++) {
        x[0] += 1;
        assert_int_equal(clvi_guide_run(guide, x, NULL), CLV_OK);
        assert_int_equal(clvi_tplan_run(plan, x, NULL, NULL, NULL), CLV_OK);
        for (size_t l = 0; l < LANES; l++)
            for (size_t h = 0; h < 2; h++) {
                const float *const a = clvi_guide_head(guide, l, h), *const b = clvi_tplan_head(plan, l, h);
                for (size_t i = 0; i < counts[h]; i++)
                    if (!(fabs((double)(a[i] - b[i])) < 1e-4))
                        fail_msg("lane %zu, head %zu, number %zu: %g, not %g", l, h, i, (double)a[i], (double)b[i]);
            }
    }
    clvi_guide_free(guide);
    clvi_tplan_free(plan);
    clvi_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gets_better), cmocka_unit_test(test_never_worse),
                                       cmocka_unit_test(test_large_rate),  cmocka_unit_test(test_resume),
                                       cmocka_unit_test(test_refused),     cmocka_unit_test(test_balance),
                                       cmocka_unit_test(test_guide)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
