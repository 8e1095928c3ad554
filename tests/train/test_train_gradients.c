/* SPDX-License-Identifier: Apache-2.0 */
/* Every gradient against differences: L = sum c y with random c, along random directions of the parameters.
 *
 * A convolution in front of the operator under test carries parameters, so that the gradient of the operator's input is
 * seen through it. The four-point difference (h = 2^-6) is exact to the fourth order; what is left is the rounding of
 * float32 forwards, about 1e-6 / h of the terms' size, against which the error is measured. The forward pass is judged
 * by the runtime's own operators. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "train/plan.h"
#include "unit/runtime_graphs.h"

#define BATCH 4
#define LANES 2

typedef struct objective {
    size_t heads;
    uint64_t seed;
    double sum[LANES], size[LANES]; /* of the terms, of their squares */
} objective;

/* Coefficients of a head are drawn in ONNX order for the whole batch's lane; the same in every call. */
static clv_status objective_of(void *user, clvi_tplan *plan, size_t lane, int worker, clv_error *err)
{
    objective *const o = user;
    (void)worker;
    (void)err;
    o->sum[lane] = o->size[lane] = 0;
    for (size_t h = 0; h < o->heads; h++) {
        const clv_tensor *const t = clvi_tplan_head_shape(plan, h);
        const float *const y = clvi_tplan_head(plan, lane, h);
        float *const dy = clvi_tplan_head_gradient(plan, lane, h);
        clvi_rng rng;
        clvi_rng_seed_stream(&rng, o->seed, 100 * lane + h);
        for (int64_t i = 0; i < clv_tensor_count(t); i++) {
            const double c = (double)(float)clvi_rng_normal(&rng), term = c * (double)y[i];
            o->sum[lane] += term;
            o->size[lane] += term * term;
            if (dy)
                dy[i] = (float)c;
        }
    }
    return CLV_OK;
}

static double evaluate(clvi_tplan *plan, const float *x, objective *o)
{
    clv_error err = {0};
    if (clvi_tplan_run(plan, x, objective_of, o, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    double sum = 0;
    for (size_t l = 0; l < LANES; l++)
        sum += o->sum[l];
    return sum;
}

/* The largest of the directional errors over all parameters, each alone and all together. */
static void check_directions(clvi_tplan *plan, const float *x, objective *o, const char *what)
{
    const clvi_tparam *params;
    const size_t n = clvi_tplan_params(plan, &params), size = clvi_tplan_size(plan);
    float *const theta = clvi_tplan_theta(plan);
    float *const start = clvi_calloc(size, sizeof *start), *const d = clvi_calloc(size, sizeof *d);
    float *const g = clvi_calloc(size, sizeof *g);
    const double h = 1.0 / 64;
    assert_true(n > 0);
    memcpy(start, theta, size * sizeof *start);
    (void)evaluate(plan, x, o);
    const double scale = sqrt(o->size[0] + o->size[1]);
    memcpy(g, clvi_tplan_gradient(plan), size * sizeof *g);
    for (size_t p = 0; p <= n; p++) {
        clvi_rng rng;
        double predicted = 0, l[4];
        static const double step[4] = {-2, -1, 1, 2};
        clvi_rng_seed(&rng, 77 + p);
        memset(d, 0, size * sizeof *d);
        for (size_t q = 0; q < n; q++)
            for (size_t i = 0; i < params[q].count && (p == n || p == q); i++)
                d[params[q].offset + i] = (float)(clvi_rng_normal(&rng) / sqrt((double)params[q].count));
        for (size_t i = 0; i < size; i++)
            predicted += (double)g[i] * (double)d[i];
        for (int k = 0; k < 4; k++) {
            for (size_t i = 0; i < size; i++)
                theta[i] = start[i] + (float)(step[k] * h) * d[i];
            l[k] = evaluate(plan, x, o);
        }
        const double measured = (l[0] - 8 * l[1] + 8 * l[2] - l[3]) / (12 * h);
        const double error = fabs(measured - predicted) / (scale + fabs(predicted) + 1e-6);
        if (!(error < 2e-4))
            fail_msg("%s, %s: difference %.8g, gradient %.8g, scale %.3g, error %.2g", what,
                     p == n ? "all parameters" : params[p].name, measured, predicted, scale, error);
    }
    memcpy(theta, start, size * sizeof *start);
    clvi_free(start);
    clvi_free(d);
    clvi_free(g);
}

/* Heads against the session's outputs. */
static void check_forward(clvi_tplan *plan, const clvi_graph *graph, const clv_tensor *input, const int32_t *heads,
                          size_t n, const char *what)
{
    clvi_session *session = NULL;
    clv_tensor out[4];
    const clvi_session_opts opts = {.fetch = heads, .n_fetch = n};
    assert_int_equal(clvi_session_create(&session, graph, &opts, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_session_run(session, input, 1, out, NULL), CLV_OK);
    for (size_t h = 0; h < n; h++) {
        const clv_tensor *const t = clvi_tplan_head_shape(plan, h);
        const size_t count = (size_t)clv_tensor_count(t), c = (size_t)t->dims[1];
        const size_t hw = t->rank == 4 ? (size_t)(t->dims[2] * t->dims[3]) : 0;
        assert_int_equal(count * LANES, clv_tensor_count(&out[h]));
        for (size_t l = 0; l < LANES; l++)
            for (size_t i = 0; i < count; i++) {
                const size_t image = hw ? i / (c * hw) : 0, at = i - image * c * hw;
                const size_t place = hw ? image * c * hw + at % hw * c + at / hw : i;
                const double want = (double)((const float *)out[h].data)[l * count + i];
                const double got = (double)clvi_tplan_head(plan, l, h)[place];
                if (!(fabs(want - got) <= 2e-5 * (1 + fabs(want))))
                    fail_msg("%s: head %zu, number %zu of lane %zu is %.8g, the runtime says %.8g", what, h, i, l, got,
                             want);
            }
    }
    clvi_session_free(session);
}

/* y alone, then y and the middle value, whose gradient then has two sources. */
static void check_graph(clvi_graph *graph, int32_t middle, int32_t y, const int64_t dims[4], bool batch_norm,
                        const char *what)
{
    const clv_tensor shape = tensor_of(CLV_FLOAT32, 4, dims, NULL);
    clv_tensor input = shape;
    const size_t n = (size_t)clv_tensor_count(&shape);
    float *const x = clvi_calloc(n, sizeof *x);
    clvi_rng rng;
    clvi_rng_seed(&rng, 5);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)clvi_rng_normal(&rng);
    input.data = x;
    for (size_t heads = 1; heads <= 2; heads++) {
        const int32_t head[2] = {y, middle};
        clvi_tplan *plan = NULL;
        clv_error err = {0};
        const clvi_tplan_opts opts = {.batch = BATCH,
                                      .lanes = LANES,
                                      .heads = head,
                                      .n_heads = heads,
                                      .backward = true,
                                      .batch_norm = batch_norm};
        objective o = {.heads = heads, .seed = 9};
        if (clvi_tplan_create(&plan, graph, &shape, &opts, NULL, &err) != CLV_OK)
            fail_msg("%s: %s", what, err.msg);
        (void)evaluate(plan, x, &o);
        if (!batch_norm)
            check_forward(plan, graph, &input, head, heads, what);
        check_directions(plan, x, &o, what);
        clvi_tplan_free(plan);
    }
    clvi_free(x);
}

/* --- one operator behind a convolution --------------------------------------------------------------------------- */

typedef struct bench {
    clvi_graph *graph;
    int32_t middle; /* [4, c, 6, 6] */
    int64_t dims[4];
} bench;

static bench start(int64_t c)
{
    bench b = {.graph = new_graph(13), .dims = {BATCH, 3, 6, 6}};
    const int32_t x = add_input(b.graph, "x", CLV_FLOAT32, 4, DIMS(-1, 3, 6, 6));
    const int32_t w = add_random(b.graph, "w0", 4, DIMS(c, 3, 3, 3), 1, 0.3F, 0);
    const int32_t bias = add_random(b.graph, "b0", 1, DIMS(c), 2, 0.5F, 0);
    b.middle = NODE(b.graph, "Conv", IDS(x, w, bias), "middle");
    assert_int_equal(clvi_node_set_ints(b.graph, last_node(b.graph), "pads", DIMS(1, 1, 1, 1), 4, NULL), CLV_OK);
    return b;
}

static void finish(bench *b, int32_t y, const char *what)
{
    add_output(b->graph, y);
    check_graph(b->graph, b->middle, y, b->dims, false, what);
    clvi_graph_free(b->graph);
}

static void set_ints(const bench *b, const char *name, size_t n, const int64_t *v)
{
    assert_int_equal(clvi_node_set_ints(b->graph, last_node(b->graph), name, v, n, NULL), CLV_OK);
}

static void set_int(const bench *b, const char *name, int64_t v)
{
    assert_int_equal(clvi_node_set_int(b->graph, last_node(b->graph), name, v, NULL), CLV_OK);
}

static void test_convolutions(void **state)
{
    static const struct {
        const char *what;
        int64_t c, o, groups, k, stride, dilation, pad;
    } cases[] = {{"dense 3x3", 5, 7, 1, 3, 1, 1, 1},
                 {"dense 16 to 32, stride 2", 16, 32, 1, 3, 2, 1, 1},
                 {"1x1", 6, 5, 1, 1, 1, 1, 0},
                 {"1x1 stride 2", 16, 8, 1, 1, 2, 1, 0},
                 {"dilated", 4, 6, 1, 3, 1, 2, 2},
                 {"grouped", 6, 9, 3, 3, 1, 1, 1},
                 {"depthwise", 7, 7, 7, 3, 1, 1, 1},
                 {"depthwise 16, stride 2", 16, 16, 16, 3, 2, 1, 1},
                 {"depthwise, multiplier 2", 5, 10, 5, 3, 1, 1, 1},
                 {"multiplier 3 of 16", 16, 48, 16, 3, 1, 1, 1},
                 {"5x5 without pad", 3, 4, 1, 5, 1, 1, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b = start(cases[i].c);
        const int64_t k = cases[i].k, p = cases[i].pad;
        const int32_t w =
            add_random(b.graph, "w1", 4, DIMS(cases[i].o, cases[i].c / cases[i].groups, k, k), 3, 0.3F, 0);
        const int32_t bias = add_random(b.graph, "b1", 1, DIMS(cases[i].o), 4, 0.5F, 0);
        const int32_t y =
            i % 2 ? NODE(b.graph, "Conv", IDS(b.middle, w), "y") : NODE(b.graph, "Conv", IDS(b.middle, w, bias), "y");
        set_ints(&b, "pads", 4, DIMS(p, p, p, p));
        set_ints(&b, "strides", 2, DIMS(cases[i].stride, cases[i].stride));
        set_ints(&b, "dilations", 2, DIMS(cases[i].dilation, cases[i].dilation));
        set_int(&b, "group", cases[i].groups);
        finish(&b, y, cases[i].what);
    }
}

static void test_uneven_pads(void **state)
{
    bench b = start(4);
    (void)state;
    const int32_t w = add_random(b.graph, "w1", 4, DIMS(5, 4, 3, 2), 3, 0.3F, 0);
    const int32_t y = NODE(b.graph, "Conv", IDS(b.middle, w), "y");
    set_ints(&b, "pads", 4, DIMS(0, 1, 2, 0));
    set_ints(&b, "strides", 2, DIMS(2, 1));
    finish(&b, y, "uneven pads");
}

/* Kinks are met where a direction moves a number across them: such activations are judged far from their kinks, by
 * a large bias on half of the channels. */
static bench start_away_from_zero(int64_t c)
{
    bench b = start(c);
    float *const w = b.graph->values[clvi_graph_find_value(b.graph, "w0")].constant->data;
    float *const bias = b.graph->values[clvi_graph_find_value(b.graph, "b0")].constant->data;
    for (int64_t i = 0; i < c * 27; i++)
        w[i] *= 0.1F;
    for (int64_t i = 0; i < c; i++)
        bias[i] = i % 2 ? 1.2F : -1.2F;
    return b;
}

static void test_activations(void **state)
{
    static const char *const names[] = {"Relu", "LeakyRelu", "Sigmoid", "HardSwish", "Tanh", "Exp", "HardSigmoid"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bench b = start_away_from_zero(6);
        assert_int_equal(clvi_graph_set_opset(b.graph, "", 14, NULL), CLV_OK);
        const int32_t y = NODE(b.graph, names[i], IDS(b.middle), "y");
        finish(&b, y, names[i]);
    }
    bench b = start_away_from_zero(6);
    float low = -0.5F, high = 6;
    const int32_t lo = add_constant(b.graph, "lo", tensor_of(CLV_FLOAT32, 0, NULL, &low));
    const int32_t hi = add_constant(b.graph, "hi", tensor_of(CLV_FLOAT32, 0, NULL, &high));
    const int32_t y = NODE(b.graph, "Clip", IDS(b.middle, lo, hi), "y");
    finish(&b, y, "Clip");
    b = start_away_from_zero(6);
    const int32_t slope = add_random(b.graph, "slope", 3, DIMS(6, 1, 1), 8, 0.3F, 0.1F);
    finish(&b, NODE(b.graph, "PRelu", IDS(b.middle, slope), "y"), "PRelu");
}

static void test_binary(void **state)
{
    static const char *const names[] = {"Add", "Sub", "Mul", "Div"};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (int kind = 0; kind < 5; kind++) {
            bench b = start_away_from_zero(4);
            int32_t other = b.middle;
            if (kind == 0) {
                const int32_t w = add_random(b.graph, "w1", 4, DIMS(4, 4, 1, 1), 3, 0.3F, 0);
                const int32_t c = add_random(b.graph, "b1", 1, DIMS(4), 4, 0.1F, 3);
                other = NODE(b.graph, "Conv", IDS(b.middle, w, c), "other");
            } else if (kind == 1) {
                other = add_random(b.graph, "channel", 3, DIMS(4, 1, 1), 4, 0.1F, 2);
            } else if (kind == 2) {
                other = NODE(b.graph, "GlobalAveragePool", IDS(b.middle), "other"); /* as attention has it */
            } else if (kind == 3) {
                other = add_random(b.graph, "plane", 4, DIMS(1, 4, 6, 6), 4, 0.1F, 2);
            }
            const int32_t y = NODE(b.graph, names[i], IDS(b.middle, other), "y");
            finish(&b, y, names[i]);
        }
}

static void test_movement(void **state)
{
    (void)state;
    bench b = start(6); /* option A of ResNet: two slices, channels padded */
    const int32_t starts = add_ints(b.graph, "starts", 1, DIMS(0)),
                  ends = add_ints(b.graph, "ends", 1, DIMS(INT64_MAX));
    const int32_t two = add_ints(b.graph, "two", 1, DIMS(2)), three = add_ints(b.graph, "three", 1, DIMS(3));
    const int32_t h = NODE(b.graph, "Slice", IDS(b.middle, starts, ends, two, two), "rows");
    const int32_t w = NODE(b.graph, "Slice", IDS(h, starts, ends, three, two), "columns");
    const int32_t pads = add_ints(b.graph, "pads", 8, DIMS(0, 2, 0, 0, 0, 3, 0, 0));
    float zero = 0;
    const int32_t nothing = add_constant(b.graph, "nothing", tensor_of(CLV_FLOAT32, 0, NULL, &zero));
    finish(&b, NODE(b.graph, "Pad", IDS(w, pads, nothing), "y"), "Slice, Slice, Pad");

    b = start(5); /* uneven multipliers: channels repeated and left out */
    const int32_t index = add_ints(b.graph, "index", 6, DIMS(4, 0, 0, 3, 3, 3));
    const int32_t gathered = NODE(b.graph, "Gather", IDS(b.middle, index), "y");
    set_int(&b, "axis", 1);
    finish(&b, gathered, "Gather");

    b = start(6); /* channel shuffle */
    const int32_t split = add_ints(b.graph, "split", 5, DIMS(-1, 2, 3, 6, 6)),
                  back = add_ints(b.graph, "back", 4, DIMS(-1, 6, 6, 6));
    const int32_t five = NODE(b.graph, "Reshape", IDS(b.middle, split), "five");
    const int32_t turned = NODE(b.graph, "Transpose", IDS(five), "turned");
    set_ints(&b, "perm", 5, DIMS(0, 2, 1, 3, 4));
    finish(&b, NODE(b.graph, "Reshape", IDS(turned, back), "y"), "shuffle");

    b = start(3);
    const int32_t sigmoid = NODE(b.graph, "Sigmoid", IDS(b.middle), "sigmoid");
    const int32_t joined = NODE(b.graph, "Concat", IDS(b.middle, sigmoid, b.middle), "joined");
    set_int(&b, "axis", 1);
    finish(&b, NODE(b.graph, "Flatten", IDS(joined), "y"), "Concat, Flatten");
}

static void test_split(void **state)
{
    bench b = start(6);
    int32_t out[2];
    (void)state;
    assert_int_equal(clvi_graph_add_value(b.graph, "left", &out[0], NULL), CLV_OK);
    assert_int_equal(clvi_graph_add_value(b.graph, "right", &out[1], NULL), CLV_OK);
    const int32_t sizes = add_ints(b.graph, "sizes", 2, DIMS(2, 4));
    clvi_node *const node = clvi_node_new(b.graph, "Split", "cut", IDS(b.middle, sizes), 2, out, 2);
    assert_int_equal(clvi_graph_append(b.graph, node, NULL), CLV_OK);
    set_int(&b, "axis", 1);
    finish(&b, NODE(b.graph, "Sigmoid", IDS(out[1]), "y"), "Split, one part used");
}

static void test_pooling(void **state)
{
    (void)state;
    bench b = start(5);
    int32_t y = NODE(b.graph, "AveragePool", IDS(b.middle), "y");
    set_ints(&b, "kernel_shape", 2, DIMS(3, 3));
    set_ints(&b, "strides", 2, DIMS(2, 2));
    set_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    finish(&b, y, "AveragePool");
    b = start(5);
    y = NODE(b.graph, "AveragePool", IDS(b.middle), "y");
    set_ints(&b, "kernel_shape", 2, DIMS(2, 3));
    set_ints(&b, "pads", 4, DIMS(1, 1, 0, 1));
    set_int(&b, "count_include_pad", 1);
    finish(&b, y, "AveragePool with pads counted");
    b = start(5);
    finish(&b, NODE(b.graph, "GlobalAveragePool", IDS(b.middle), "y"), "GlobalAveragePool");
    for (int64_t keep = 0; keep < 2; keep++) {
        b = start(5);
        y = NODE(b.graph, "ReduceMean", IDS(b.middle), "y");
        set_ints(&b, "axes", 2, DIMS(2, 3));
        set_int(&b, "keepdims", keep);
        finish(&b, y, "ReduceMean");
    }
}

/* The largest of a window changes hands where two are close: only the front weights' bias is moved, by little. */
static void test_max_pool(void **state)
{
    bench b = start(4);
    (void)state;
    float *const w = b.graph->values[clvi_graph_find_value(b.graph, "w0")].constant->data;
    for (int i = 0; i < 4 * 27; i++)
        w[i] *= 100;
    const int32_t scaled = add_random(b.graph, "scale", 3, DIMS(4, 1, 1), 4, 0, 0.01F);
    const int32_t small = NODE(b.graph, "Mul", IDS(b.middle, scaled), "small");
    const int32_t y = NODE(b.graph, "MaxPool", IDS(small), "y");
    set_ints(&b, "kernel_shape", 2, DIMS(3, 3));
    set_ints(&b, "strides", 2, DIMS(2, 2));
    set_int(&b, "ceil_mode", 1);
    finish(&b, y, "MaxPool");
}

static void test_matrices(void **state)
{
    (void)state;
    for (int64_t transposed = 0; transposed < 2; transposed++) {
        bench b = start(3);
        const int32_t flat = NODE(b.graph, "Flatten", IDS(b.middle), "flat");
        const int32_t w = add_random(b.graph, "w1", 2, transposed ? DIMS(7, 108) : DIMS(108, 7), 3, 0.2F, 0);
        const int32_t c = add_random(b.graph, "b1", 1, DIMS(7), 4, 0.2F, 0);
        const int32_t g = NODE(b.graph, "Gemm", IDS(flat, w, c), "g");
        set_int(&b, "transB", transposed);
        assert_int_equal(clvi_node_set_float(b.graph, last_node(b.graph), "alpha", 0.5F, NULL), CLV_OK);
        const int32_t v = add_random(b.graph, "w2", 2, DIMS(7, 5), 5, 0.3F, 0);
        const int32_t m = NODE(b.graph, "MatMul", IDS(g, v), "m");
        finish(&b, NODE(b.graph, "Softmax", IDS(m), "y"), "Gemm, MatMul, Softmax");
    }
    bench b = start(4); /* attention: both factors depend on the input */
    const int32_t shape = add_ints(b.graph, "shape", 3, DIMS(-1, 4, 36));
    const int32_t q = NODE(b.graph, "Reshape", IDS(b.middle, shape), "q");
    const int32_t k = NODE(b.graph, "Transpose", IDS(q), "k");
    set_ints(&b, "perm", 3, DIMS(0, 2, 1));
    const int32_t a = NODE(b.graph, "MatMul", IDS(q, k), "a");
    finish(&b, a, "MatMul of stacks");
}

static void test_batch_norm(void **state)
{
    (void)state;
    for (int batch = 0; batch < 2; batch++)
        for (int64_t c = 5; c <= 32; c += 27) {
            bench b = start(c);
            const int32_t g = add_random(b.graph, "gamma", 1, DIMS(c), 3, 0.3F, 1),
                          s = add_random(b.graph, "beta", 1, DIMS(c), 4, 0.3F, 0);
            const int32_t m = add_random(b.graph, "mean", 1, DIMS(c), 5, 0.3F, 0),
                          v = add_random(b.graph, "var", 1, DIMS(c), 6, 0.02F, 1);
            const int32_t n = NODE(b.graph, "BatchNormalization", IDS(b.middle, g, s, m, v), "n");
            const int32_t y = NODE(b.graph, "Sigmoid", IDS(n), "y");
            add_output(b.graph, y);
            check_graph(b.graph, b.middle, y, b.dims, batch, batch ? "BatchNorm of the batch" : "BatchNorm");
            clvi_graph_free(b.graph);
        }
}

/* A residual block: gradients that are shared, memory that is taken over. */
static void test_residual(void **state)
{
    bench b = start_away_from_zero(8);
    int32_t x = b.middle;
    (void)state;
    for (int i = 0; i < 3; i++) {
        const int32_t w = add_random(b.graph, "w", 4, DIMS(8, 8, 3, 3), 20 + (uint64_t)i, 0.05F, 0);
        const int32_t c = add_random(b.graph, "b", 1, DIMS(8), 30 + (uint64_t)i, 0.05F, 0);
        const int32_t y = NODE(b.graph, "Conv", IDS(x, w, c), "conv");
        set_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
        const int32_t t = NODE(b.graph, "Tanh", IDS(y), "tanh");
        const int32_t sum = NODE(b.graph, "Add", IDS(t, x), "sum");
        x = NODE(b.graph, "Sigmoid", IDS(sum), "sigmoid");
    }
    finish(&b, x, "residual blocks");
}

static void test_refused(void **state)
{
    bench b = start(4);
    clvi_tplan *plan = NULL;
    clv_error err = {0};
    (void)state;
    add_output(b.graph, NODE(b.graph, "Erf", IDS(b.middle), "curve"));
    const clv_tensor shape = tensor_of(CLV_FLOAT32, 4, b.dims, NULL);
    clvi_tplan_opts opts = {.batch = 4, .lanes = 2, .backward = true};
    assert_int_equal(clvi_tplan_create(&plan, b.graph, &shape, &opts, NULL, &err), CLV_ERR_UNSUP);
    assert_non_null(strstr(err.msg, "Erf"));
    assert_null(plan);
    opts.lanes = 3;
    assert_int_equal(clvi_tplan_create(&plan, b.graph, &shape, &opts, NULL, &err), CLV_ERR_ARG);
    clvi_graph_free(b.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions), cmocka_unit_test(test_uneven_pads), cmocka_unit_test(test_activations),
        cmocka_unit_test(test_binary),       cmocka_unit_test(test_movement),    cmocka_unit_test(test_split),
        cmocka_unit_test(test_pooling),      cmocka_unit_test(test_max_pool),    cmocka_unit_test(test_matrices),
        cmocka_unit_test(test_batch_norm),   cmocka_unit_test(test_residual),    cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
