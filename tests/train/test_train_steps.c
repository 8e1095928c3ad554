/* SPDX-License-Identifier: Apache-2.0 */
/* Ten steps of training against torch's (tests/golden/train_steps.py): losses, the first gradient, parameters and
 * running statistics at the end, for both optimisers; and the same bits for one, two and three threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cleave/data.h"
#include "train/loss.h"
#include "train/optimiser.h"
#include "unit/runtime_graphs.h"

#define IMAGES  8
#define CLASSES 10
#define STEPS   10

/* The network of the script, its parameters taken from `from` in order. */
typedef struct builder {
    clvi_graph *graph;
    const float *from;
    size_t used;
} builder;

static int32_t weights(builder *b, const char *name, int rank, const int64_t *dims)
{
    clv_tensor t = tensor_of(CLV_FLOAT32, rank, dims, (void *)(uintptr_t)(b->from + b->used));
    b->used += (size_t)clv_tensor_count(&t);
    return add_constant(b->graph, name, t);
}

static int32_t conv(builder *b, int32_t x, const int64_t dims[4], const int64_t geometry[4], bool bias)
{
    const int64_t stride = geometry[0], pad = geometry[1], dilation = geometry[2];
    const int32_t w = weights(b, "w", 4, dims), c = bias ? weights(b, "b", 1, dims) : CLVI_NONE;
    const int32_t y = bias ? NODE(b->graph, "Conv", IDS(x, w, c), "conv") : NODE(b->graph, "Conv", IDS(x, w), "conv");
    clvi_node *const node = last_node(b->graph);
    (void)clvi_node_set_ints(b->graph, node, "strides", DIMS(stride, stride), 2, NULL);
    (void)clvi_node_set_ints(b->graph, node, "pads", DIMS(pad, pad, pad, pad), 4, NULL);
    (void)clvi_node_set_ints(b->graph, node, "dilations", DIMS(dilation, dilation), 2, NULL);
    (void)clvi_node_set_int(b->graph, node, "group", geometry[3], NULL);
    return y;
}

static int32_t norm(builder *b, int32_t x, int64_t c)
{
    const int32_t g = weights(b, "gamma", 1, &c), s = weights(b, "beta", 1, &c);
    const int32_t m = add_random(b->graph, "mean", 1, &c, 1, 0, 0), v = add_random(b->graph, "var", 1, &c, 1, 0, 1);
    return NODE(b->graph, "BatchNormalization", IDS(x, g, s, m, v), "norm");
}

static clvi_graph *network(const float *from, size_t *used)
{
    builder b = {.graph = new_graph(14), .from = from};
    int32_t x = add_input(b.graph, "x", CLV_FLOAT32, 4, DIMS(-1, 3, 8, 8));
    x = NODE(b.graph, "Relu", IDS(norm(&b, conv(&b, x, DIMS(8, 3, 3, 3), DIMS(1, 1, 1, 1), false), 8)), "a");
    x = NODE(b.graph, "HardSwish", IDS(norm(&b, conv(&b, x, DIMS(16, 1, 3, 3), DIMS(2, 1, 1, 8), false), 16)), "b");
    x = conv(&b, x, DIMS(8, 16, 1, 1), DIMS(1, 0, 1, 1), true);
    const int32_t side = norm(&b, conv(&b, x, DIMS(8, 8, 3, 3), DIMS(1, 2, 2, 1), false), 8);
    x = NODE(b.graph, "Relu", IDS(NODE(b.graph, "Add", IDS(x, side), "sum")), "c");
    x = NODE(b.graph, "MaxPool", IDS(x), "pool");
    (void)clvi_node_set_ints(b.graph, last_node(b.graph), "kernel_shape", DIMS(2, 2), 2, NULL);
    (void)clvi_node_set_ints(b.graph, last_node(b.graph), "strides", DIMS(2, 2), 2, NULL);
    x = NODE(b.graph, "Flatten", IDS(NODE(b.graph, "GlobalAveragePool", IDS(x), "mean")), "flat");
    const int32_t w = weights(&b, "fc", 2, DIMS(CLASSES, 8)), c = weights(&b, "bias", 1, DIMS(CLASSES));
    x = NODE(b.graph, "Gemm", IDS(x, w, c), "logits");
    (void)clvi_node_set_int(b.graph, last_node(b.graph), "transB", 1, NULL);
    add_output(b.graph, x);
    *used = b.used;
    return b.graph;
}

typedef struct trainer {
    const int64_t *labels;
    double sum[IMAGES];
    size_t lanes;
} trainer;

static clv_status cross_entropy(void *user, clvi_tplan *plan, size_t lane, int worker, clv_error *err)
{
    trainer *const t = user;
    const size_t rows = IMAGES / t->lanes;
    (void)worker;
    (void)err;
    t->sum[lane] = clvi_loss_cross_entropy(clvi_tplan_head_gradient(plan, lane, 0), clvi_tplan_head(plan, lane, 0),
                                           t->labels + lane * rows, rows, CLASSES, 0.1, 1.0 / IMAGES, NULL);
    return CLV_OK;
}

typedef struct outcome {
    float losses[STEPS];
    float first[4096], theta[4096], state[128];
    size_t n, n_state;
} outcome;

static void pack(float *to, const float *from, const clvi_tplan *plan)
{
    const clvi_tparam *params;
    const size_t n = clvi_tplan_params(plan, &params);
    for (size_t i = 0; i < n; i++) {
        memcpy(to, from + params[i].offset, params[i].count * sizeof *to);
        to += params[i].count;
    }
}

static void train(outcome *o, const clvi_graph *graph, const float *x, const int64_t *labels, clvi_optimiser_kind kind,
                  int64_t lanes, int threads)
{
    const clv_tensor shape = tensor_of(CLV_FLOAT32, 4, DIMS(IMAGES, 3, 8, 8), NULL);
    clv_context_opts one = clv_context_opts_default();
    one.threads = threads;
    clv_context *context = NULL;
    clvi_tplan *plan = NULL;
    clvi_optimiser optimiser;
    clv_error err = {0};
    const clvi_tplan_opts opts = {.batch = IMAGES, .lanes = lanes, .backward = true, .batch_norm = true};
    clvi_optimiser_opts how = clvi_optimiser_opts_default(kind);
    how.decay = 0.01;
    how.clip = kind == CLVI_NESTEROV ? 0.5 : 0;
    assert_int_equal(clv_context_create(&context, &one, &err), CLV_OK);
    if (clvi_tplan_create(&plan, graph, &shape, &opts, context, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(clvi_optimiser_create(&optimiser, plan, &how, context, &err), CLV_OK);
    trainer t = {.labels = labels, .lanes = (size_t)lanes};
    for (int s = 0; s < STEPS; s++) {
        const long calls = clvi_mem_calls();
        if (clvi_tplan_run(plan, x, cross_entropy, &t, &err) != CLV_OK)
            fail_msg("%s", err.msg);
        double sum = 0;
        for (size_t l = 0; l < t.lanes; l++)
            sum += t.sum[l];
        o->losses[s] = (float)(sum / IMAGES);
        if (s == 0)
            pack(o->first, clvi_tplan_gradient(plan), plan);
        assert_true(clvi_optimiser_step(&optimiser, kind == CLVI_NESTEROV ? 0.05 : 3e-3) > 0);
        assert_int_equal(clvi_mem_calls(), calls); /* a step allocates nothing */
    }
    pack(o->theta, clvi_tplan_theta(plan), plan);
    const float *const state = clvi_tplan_state(plan, &o->n_state);
    memcpy(o->state, state, o->n_state * sizeof(float));
    clvi_optimiser_free(&optimiser);
    clvi_tplan_free(plan);
    clv_context_free(context);
}

/* |got - want| against the root mean square of want: float32 sums in another order, ten steps on. */
static void close_to(const float *got, const float *want, size_t n, double tolerance, const char *what)
{
    double size = 0, worst = 0;
    for (size_t i = 0; i < n; i++)
        size += (double)want[i] * (double)want[i];
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
    if (!(worst <= tolerance * sqrt(size / (double)n)))
        fail_msg("%s: off by %.3g, the root mean square is %.3g", what, worst, sqrt(size / (double)n));
}

static void test_against_torch(void **state)
{
    clv_tensor file = {0};
    clv_error err = {0};
    size_t n;
    (void)state;
    if (clv_npy_read(&file, "tests/golden/train/steps.npy", &err) != CLV_OK)
        fail_msg("%s", err.msg);
    const float *const all = file.data;
    clvi_graph *const graph = network(all, &n);
    const float *const x = all + n, *const y = x + IMAGES * 3 * 8 * 8, *at = y + IMAGES;
    int64_t labels[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        labels[i] = (int64_t)y[i];
    const size_t statistics = 2 * (8 + 16 + 8);
    assert_int_equal(clv_tensor_count(&file), (size_t)(at - all) + 2 * (STEPS + 2 * n + statistics));
    for (int kind = 0; kind < 2; kind++) {
        static outcome o, other;
        const clvi_optimiser_kind which = kind ? CLVI_NESTEROV : CLVI_ADAMW;
        for (int64_t lanes = 1; lanes <= 4; lanes *= 2) {
            train(&o, graph, x, labels, which, lanes, 1);
            close_to(o.losses, at, STEPS, 2e-4, "losses");
            close_to(o.first, at + STEPS, n, 2e-5, "first gradient");
            close_to(o.theta, at + STEPS + n, n, 5e-3, "parameters after ten steps");
            const float *const stats = at + STEPS + 2 * n;
            close_to(o.state, stats, 8, 1e-3, "running mean"); /* each starts at a multiple of 16 */
            close_to(o.state + 16, stats + 8, 8, 1e-3, "running variance");
        }
        for (int threads = 2; threads <= 3; threads++) {
            train(&other, graph, x, labels, which, 4, threads);
            assert_memory_equal(&o, &other, sizeof o);
        }
        at += STEPS + 2 * n + statistics;
    }
    clvi_graph_free(graph);
    clv_npy_free(&file);
}

/* Sums and gradients of the losses, by hand and by differences. */
static void test_losses(void **state)
{
    const float s[6] = {0.3F, -1, 2, 0.5F, 0.1F, -0.2F}, t[6] = {1, 0, 1.5F, -1, 0.4F, 0.2F};
    const int64_t labels[2] = {2, 1};
    int64_t count = 0;
    (void)state;
    assert_true(fabs(clvi_loss_kl(NULL, t, t, 2, 3, 2, 1, &count)) < 1e-12);
    assert_int_equal(count, 2);
    assert_true(fabs(clvi_loss_relative(&clvi_loops_ref, NULL, t, t, 6, 1)) < 1e-12);
    for (int kind = 0; kind < 3; kind++)
        for (int i = 0; i < 6; i++) {
            float g[6], p[6];
            double l[2];
            for (int side = 0; side < 2; side++) {
                memcpy(p, s, sizeof p);
                p[i] += side ? 1e-2F : -1e-2F;
                l[side] = kind == 0   ? clvi_loss_kl(g, p, t, 2, 3, 2, 1, NULL)
                          : kind == 1 ? clvi_loss_cross_entropy(g, p, labels, 2, 3, 0.1, 1, NULL)
                                      : clvi_loss_relative(&clvi_loops_ref, g, p, t, 6, 1);
            }
            (void)(kind == 0   ? clvi_loss_kl(g, s, t, 2, 3, 2, 1, NULL)
                   : kind == 1 ? clvi_loss_cross_entropy(g, s, labels, 2, 3, 0.1, 1, NULL)
                               : clvi_loss_relative(&clvi_loops_ref, g, s, t, 6, 1));
            const double measured = (l[1] - l[0]) / ((double)(s[i] + 1e-2F) - (double)(s[i] - 1e-2F));
            if (!(fabs(measured - (double)g[i]) < 2e-4))
                fail_msg("loss %d, number %d: difference %.6g, gradient %.6g", kind, i, measured, (double)g[i]);
        }
}

/* The sums of a relative error from every instruction set, with a tail that fills no vector: the same bits. */
static void test_relative_loops(void **state)
{
    enum { COUNT_OF = 16 * 40 + 11 };
    static float s[COUNT_OF], t[COUNT_OF], g[COUNT_OF], first[COUNT_OF];
    const double plain_scale = 0.7;
    double error = 0, all = 0, one = 0;
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 21);
    for (size_t i = 0; i < COUNT_OF; i++) {
        s[i] = (float)clvi_rng_normal(&rng);
        t[i] = (float)clvi_rng_normal(&rng);
        error += ((double)s[i] - (double)t[i]) * ((double)s[i] - (double)t[i]);
        all += (double)t[i] * (double)t[i];
    }
    for (int level = CLVI_CPU_REF; level <= (int)clvi_cpu_detect(); level++) {
        const double l = clvi_loss_relative(clvi_loops_for((clvi_cpu)level), level == CLVI_CPU_REF ? first : g, s, t,
                                            COUNT_OF, plain_scale);
        if (level == CLVI_CPU_REF) {
            one = l;
            assert_true(fabs(l - error / all) < 1e-6);
            for (size_t i = 0; i < COUNT_OF; i++)
                assert_true(fabs((double)first[i] - 2 * plain_scale * ((double)s[i] - (double)t[i]) / all) < 1e-7);
        } else {
            assert_true(l == one);
            assert_memory_equal(g, first, sizeof g);
        }
    }
}

static void test_schedules(void **state)
{
    (void)state;
    assert_true(fabs(clvi_schedule_factor(CLVI_ONE_CYCLE, 0.1) - 1) < 1e-12);
    assert_true(clvi_schedule_factor(CLVI_ONE_CYCLE, 0) < 0.2);
    assert_true(clvi_schedule_factor(CLVI_ONE_CYCLE, 1) < 1e-12);
    assert_true(fabs(clvi_schedule_factor(CLVI_COSINE, 0.5) - 0.5) < 1e-12);
    assert_true(clvi_schedule_factor(CLVI_MULTI_STEP, 0.6) == 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_torch), cmocka_unit_test(test_losses),
                                       cmocka_unit_test(test_relative_loops), cmocka_unit_test(test_schedules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
