/* SPDX-License-Identifier: Apache-2.0 */
/* BatchNorm and constant folding: the outputs stay, the nodes go, and what must not be folded is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "base/half.h"
#include "runtime/passes.h"
#include "runtime_graphs.h"

static void fill(float *x, size_t n, uint64_t seed)
{
    clvi_rng rng;
    clvi_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)clvi_rng_normal(&rng);
}

/* max |a - b| / max |b|; NaN when anything is not finite */
static double departure(const float *a, const float *b, size_t n)
{
    double difference = 0, scale = 1e-30;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i]))
            return (double)NAN;
        difference = fmax(difference, fabs((double)a[i] - (double)b[i]));
        scale = fmax(scale, fabs((double)b[i]));
    }
    return difference / scale;
}

/* --- BatchNorm ------------------------------------------------------------------------------------------------- */

static int32_t add_batchnorm(clvi_graph *graph, int32_t x, int64_t channels, const char *out, uint64_t seed)
{
    char name[4][32];
    int32_t p[4];
    for (int i = 0; i < 4; i++)
        (void)snprintf(name[i], sizeof name[i], "%s.p%d", out, i);
    p[0] = add_random(graph, name[0], 1, DIMS(channels), seed, 1.0F, 1.5F);
    p[1] = add_random(graph, name[1], 1, DIMS(channels), seed + 1, 1.0F, 0.0F);
    p[2] = add_random(graph, name[2], 1, DIMS(channels), seed + 2, 0.5F, 0.0F);
    p[3] = add_random(graph, name[3], 1, DIMS(channels), seed + 3, 0.0F, 0.7F);
    const int32_t y = NODE(graph, "BatchNormalization", IDS(x, p[0], p[1], p[2], p[3]), out);
    assert_int_equal(clvi_node_set_float(graph, last_node(graph), "epsilon", 1e-3F, NULL), CLV_OK);
    return y;
}

/* Fold, and check that n output numbers stay while `left` BatchNorms do. */
static void check_fold(clvi_graph *graph, const clv_tensor *in, size_t n, size_t left)
{
    float *const before = clvi_calloc(n, sizeof *before), *const after = clvi_calloc(n, sizeof *after);
    clv_error err = {0};
    const char *const output = graph->values[graph->outputs[0]].name;
    char name[64];
    (void)snprintf(name, sizeof name, "%s", output);
    run_once(graph, in, before, n);
    if (clvi_pass_fold_batchnorm(graph, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(count_nodes(graph, "BatchNormalization"), left);
    assert_string_equal(graph->values[graph->outputs[0]].name, name);
    run_once(graph, in, after, n);
    const double d = departure(after, before, n);
    if (!(d < 1e-5))
        fail_msg("the output departs by %g", d);
    clvi_free(before);
    clvi_free(after);
}

/* Conv without bias, then with one, two BatchNorms in a row after it. */
static void conv_takes_batchnorms_in(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 4, 6, 6));
    const int32_t w = add_random(graph, "a.weight", 4, DIMS(8, 2, 3, 3), 1, 0.3F, 0.0F);
    const int32_t a = NODE(graph, "Conv", IDS(x, w), "a");
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "group", 2, NULL), CLV_OK);
    const int32_t r = NODE(graph, "Relu", IDS(add_batchnorm(graph, a, 8, "a_bn", 10)), "r");
    const int32_t w2 = add_random(graph, "b.weight", 4, DIMS(5, 8, 1, 1), 2, 0.3F, 0.0F);
    const int32_t b2 = add_random(graph, "b.bias", 1, DIMS(5), 3, 1.0F, 0.0F);
    const int32_t b = NODE(graph, "Conv", IDS(r, w2, b2), "b");
    add_output(graph, add_batchnorm(graph, add_batchnorm(graph, b, 5, "b_bn", 20), 5, "y", 30));
    float data[2 * 4 * 36];
    fill(data, COUNT(data), 5);
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(2, 4, 6, 6), data);
    check_fold(graph, &in, 2 * 5 * 16, 0);
    assert_int_equal(graph->n_nodes, 3);
    assert_true(clvi_graph_find_value(graph, "a.bias") != CLVI_NONE);
    assert_int_equal(graph->nodes[0]->in[1], w); /* the weights keep their name */
    assert_null(graph->values[clvi_graph_find_value(graph, "y.p0")].constant);
    clvi_graph_free(graph);
}

static void transposed_conv_and_gemm_take_batchnorms_in(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 4, 3, 3));
    const int32_t w = add_random(graph, "w", 4, DIMS(4, 3, 2, 2), 1, 0.3F, 0.0F);
    const int32_t t = NODE(graph, "ConvTranspose", IDS(x, w), "t");
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "group", 2, NULL), CLV_OK);
    const int32_t tb = add_batchnorm(graph, t, 6, "tb", 10);
    const int32_t f = NODE(graph, "Flatten", IDS(tb), "f");
    const int32_t k = 6 * 16;
    const int32_t g1 = NODE(graph, "Gemm",
                            IDS(f, add_random(graph, "g1.weight", 2, DIMS(k, 7), 2, 0.1F, 0.0F),
                                add_random(graph, "g1.bias", 2, DIMS(1, 7), 3, 1.0F, 0.0F)),
                            "g1");
    assert_int_equal(clvi_node_set_float(graph, last_node(graph), "beta", 0.5F, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_float(graph, last_node(graph), "alpha", 1.5F, NULL), CLV_OK);
    const int32_t g1b = add_batchnorm(graph, g1, 7, "g1b", 20);
    const int32_t g2 = NODE(graph, "Gemm",
                            IDS(g1b, add_random(graph, "g2.weight", 2, DIMS(5, 7), 4, 0.3F, 0.0F),
                                add_random(graph, "g2.bias", 1, DIMS(1), 5, 1.0F, 0.0F)),
                            "g2");
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "transB", 1, NULL), CLV_OK);
    add_output(graph, add_batchnorm(graph, g2, 5, "y", 30));
    float data[2 * 36];
    fill(data, COUNT(data), 5);
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(2, 4, 3, 3), data);
    check_fold(graph, &in, 2 * 5, 0);
    clvi_graph_free(graph);
}

static void shared_weights_are_copied(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 4, 3, 3));
    const int32_t w = add_random(graph, "w", 4, DIMS(4, 4, 1, 1), 1, 0.3F, 0.0F);
    const int32_t a = add_batchnorm(graph, NODE(graph, "Conv", IDS(x, w), "a"), 4, "an", 10);
    const int32_t b = add_batchnorm(graph, NODE(graph, "Conv", IDS(a, w), "b"), 4, "bn", 20);
    add_output(graph, NODE(graph, "Conv", IDS(b, w), "y"));
    float data[36];
    fill(data, COUNT(data), 5);
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 4, 3, 3), data);
    check_fold(graph, &in, 36, 0);
    assert_int_equal(graph->nodes[2]->in[1], w);
    assert_true(graph->nodes[0]->in[1] != w);
    assert_true(graph->nodes[0]->in[1] != graph->nodes[1]->in[1]);
    clvi_graph_free(graph);
}

/* Another reader, a graph output between, a producer of another kind, parameters that are not constant, variance that
 * gives no finite weight: nothing happens. */
static void what_does_not_fit_stays(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 4, 3, 3));
    const int32_t w = add_random(graph, "w", 4, DIMS(4, 4, 1, 1), 1, 0.3F, 0.0F);
    const int32_t first = add_batchnorm(graph, x, 4, "first", 10); /* before nothing foldable */
    const int32_t two = NODE(graph, "Conv", IDS(first, w), "two");
    const int32_t two_bn = add_batchnorm(graph, two, 4, "two_bn", 20);
    const int32_t sum = NODE(graph, "Add", IDS(two, two_bn), "sum"); /* `two` has a second reader */
    const int32_t seen = NODE(graph, "Conv", IDS(sum, w), "seen");
    const int32_t y = add_batchnorm(graph, seen, 4, "y", 30);
    add_output(graph, y);
    add_output(graph, seen);
    clv_error err = {0};
    const size_t n = graph->n_nodes;
    assert_int_equal(clvi_pass_fold_batchnorm(graph, &err), CLV_OK);
    assert_int_equal(graph->n_nodes, n);
    assert_int_equal(count_nodes(graph, "BatchNormalization"), 3);
    clvi_graph_free(graph);

    clvi_graph *const bad = new_graph(13);
    const int32_t u = add_input(bad, "x", CLV_FLOAT32, 4, DIMS(-1, 4, 3, 3));
    const int32_t v = add_random(bad, "w", 4, DIMS(4, 4, 1, 1), 1, 0.3F, 0.0F);
    const int32_t one = add_random(bad, "one", 1, DIMS(4), 1, 0.0F, 1.0F);
    const int32_t minus = add_random(bad, "minus", 1, DIMS(4), 1, 0.0F, -1.0F);
    const int32_t c = NODE(bad, "Conv", IDS(u, v), "c");
    add_output(bad, NODE(bad, "BatchNormalization", IDS(c, one, one, one, minus), "y"));
    assert_int_equal(clvi_pass_fold_batchnorm(bad, &err), CLV_OK);
    assert_int_equal(count_nodes(bad, "BatchNormalization"), 1);
    clvi_graph_free(bad);
}

/* Folded weights keep the type of the weights they replace; a float16 that would overflow is left alone. */
static void weights_keep_their_type(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++) {
        uint16_t half[4], one[2], big[2], zero[2];
        for (int i = 0; i < 4; i++)
            half[i] = clvi_float_to_half((float)i - 1.5F);
        for (int i = 0; i < 2; i++) {
            one[i] = clvi_float_to_half(1.0F);
            zero[i] = clvi_float_to_half(0.0F);
            big[i] = clvi_float_to_half(large ? 60000.0F : 2.0F);
        }
        clvi_graph *const graph = new_graph(13);
        const int32_t x = add_input(graph, "x", CLV_FLOAT16, 4, DIMS(-1, 2, 3, 3));
        const int32_t w = add_constant(graph, "w", tensor_of(CLV_FLOAT16, 4, DIMS(2, 2, 1, 1), half));
        const int32_t scale = add_constant(graph, "scale", tensor_of(CLV_FLOAT16, 1, DIMS(2), big));
        const int32_t var = add_constant(graph, "var", tensor_of(CLV_FLOAT16, 1, DIMS(2), one));
        const int32_t shift = add_constant(graph, "shift", tensor_of(CLV_FLOAT16, 1, DIMS(2), zero));
        const int32_t c = NODE(graph, "Conv", IDS(x, w), "c");
        add_output(graph, NODE(graph, "BatchNormalization", IDS(c, scale, shift, shift, var), "y"));
        assert_int_equal(clvi_pass_fold_batchnorm(graph, NULL), CLV_OK);
        assert_int_equal(count_nodes(graph, "BatchNormalization"), large ? 1 : 0);
        const clv_tensor *const folded = graph->values[graph->nodes[0]->in[1]].constant;
        assert_int_equal(folded->dtype, CLV_FLOAT16);
        const float w0 = clvi_half_to_float(((const uint16_t *)folded->data)[0]);
        assert_true(fabsf(w0 - (large ? -1.5F : -3.0F)) < 2e-3F);
        if (!large)
            assert_int_equal(graph->values[graph->nodes[0]->in[2]].constant->dtype, CLV_FLOAT16);
        clvi_graph_free(graph);
    }
}

/* --- constants ------------------------------------------------------------------------------------------------- */

static int32_t add_constant_node(clvi_graph *graph, const char *name, clv_tensor t)
{
    int32_t id;
    assert_int_equal(clvi_graph_add_value(graph, name, &id, NULL), CLV_OK);
    clvi_node *const node = clvi_node_new(graph, "Constant", name, NULL, 0, &id, 1);
    assert_non_null(node);
    assert_int_equal(clvi_node_set_tensor(graph, node, "value", &t, NULL), CLV_OK);
    assert_int_equal(clvi_graph_append(graph, node, NULL), CLV_OK);
    return id;
}

static int32_t add_dim(clvi_graph *graph, int32_t x, int64_t axis, const char *name)
{
    char shape[32], index[32];
    (void)snprintf(shape, sizeof shape, "%s_shape", name);
    (void)snprintf(index, sizeof index, "%s_axis", name);
    return NODE(graph, "Gather", IDS(NODE(graph, "Shape", IDS(x), shape), add_ints(graph, index, 1, DIMS(axis))), name);
}

static void check_same_output(const clvi_graph *a, const clvi_graph *b, const clv_tensor *in, size_t n)
{
    float *const x = clvi_calloc(n, sizeof *x), *const y = clvi_calloc(n, sizeof *y);
    run_once(a, in, x, n);
    run_once(b, in, y, n);
    assert_memory_equal(x, y, n * sizeof *x);
    clvi_free(x);
    clvi_free(y);
}

/* view(x.size(0), -1) over symbolic batch and size, behind Identity, Dropout, and constants made by nodes */
static void shape_arithmetic_goes(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13), *original = NULL;
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 3, -1, 8));
    const int32_t i = NODE(graph, "Identity", IDS(x), "i");
    const int32_t two = add_constant_node(graph, "two", tensor_of(CLV_FLOAT32, 0, NULL, &(float){2.0F}));
    const int32_t m = NODE(graph, "Mul", IDS(i, NODE(graph, "Neg", IDS(two), "minus_two")), "m");
    const int32_t d = NODE(graph, "Dropout", IDS(m), "d");
    const int32_t target = NODE(graph, "Concat",
                                IDS(add_dim(graph, d, 0, "n"), add_dim(graph, d, 1, "c"),
                                    add_constant_node(graph, "rest", tensor_of(CLV_INT64, 1, DIMS(1), &(int64_t){-1}))),
                                "target");
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "axis", 0, NULL), CLV_OK);
    add_output(graph, NODE(graph, "Reshape", IDS(d, target), "y"));
    assert_int_equal(clvi_graph_clone(&original, graph, NULL), CLV_OK);
    assert_int_equal(clvi_pass_fold_constants(graph, NULL), CLV_OK);
    assert_int_equal(graph->n_nodes, 2); /* Mul, Reshape */
    assert_string_equal(graph->values[graph->outputs[0]].name, "y");
    assert_string_equal(graph->values[graph->nodes[0]->in[1]].name, "minus_two");
    const clv_tensor *const shape = graph->values[graph->nodes[1]->in[1]].constant;
    assert_non_null(shape);
    assert_memory_equal(shape->data, DIMS(0, 3, -1), 3 * sizeof(int64_t));
    float data[2 * 3 * 5 * 8];
    fill(data, COUNT(data), 1);
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(2, 3, 5, 8), data);
    check_same_output(graph, original, &in, COUNT(data));
    clvi_graph_free(graph);
    clvi_graph_free(original);
}

static int32_t add_cast(clvi_graph *graph, int32_t x, clv_dtype to, const char *name)
{
    const int32_t y = NODE(graph, "Cast", IDS(x), name);
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "to", to, NULL), CLV_OK);
    return y;
}

/* h - h = 0 is independent of h. What is clamped, rounded or looked up only seems so at the sizes that are tried:
 * min(h, 16), the length of x[:, :, :16], h / 1000, the whole part of h / 1000.0, table[n] when the batches tried are
 * odd. */
static void clamped_sizes_are_not_mistaken_for_fixed(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13), *original = NULL;
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 3, DIMS(-1, 2, -1));
    const int32_t h = add_dim(graph, x, 2, "h");
    const int32_t thousand = add_ints(graph, "thousand", 1, DIMS(1000));
    const int32_t zero = NODE(graph, "Sub", IDS(h, h), "zero");
    const int32_t least = NODE(graph, "Min", IDS(h, add_ints(graph, "sixteen", 1, DIMS(16))), "least");
    const int32_t cut = NODE(
        graph, "Slice",
        IDS(x, add_ints(graph, "s", 1, DIMS(0)), add_ints(graph, "e", 1, DIMS(16)), add_ints(graph, "a", 1, DIMS(2))),
        "cut");
    const int32_t length = add_dim(graph, cut, 2, "length");
    const int32_t part = NODE(graph, "Div", IDS(h, thousand), "part");
    const int32_t share =
        NODE(graph, "Div", IDS(add_cast(graph, h, CLV_FLOAT32, "hf"), add_cast(graph, thousand, CLV_FLOAT32, "tf")),
             "share");
    const int32_t whole = add_cast(graph, share, CLV_INT64, "whole");
    const int32_t table = add_ints(graph, "table", 8, DIMS(0, 5, 0, 5, 0, 5, 0, 5));
    const int32_t looked_up = NODE(graph, "Gather", IDS(table, add_dim(graph, x, 0, "n")), "looked_up");
    const int32_t all = NODE(graph, "Concat", IDS(zero, least, length, part, whole, looked_up), "all");
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "axis", 0, NULL), CLV_OK);
    add_output(graph, NODE(graph, "Neg", IDS(add_cast(graph, all, CLV_FLOAT32, "numbers")), "y"));
    assert_int_equal(clvi_graph_clone(&original, graph, NULL), CLV_OK);
    assert_int_equal(clvi_pass_fold_constants(graph, NULL), CLV_OK);
    assert_int_equal(count_nodes(graph, "Sub"), 0);
    static float data[3 * 2 * 1040];
    fill(data, COUNT(data), 1);
    static const int64_t sizes[] = {5, 40, 1040};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const clv_tensor in = tensor_of(CLV_FLOAT32, 3, DIMS(1 + (int64_t)i, 2, sizes[i]), data);
        check_same_output(graph, original, &in, 6);
    }
    clvi_graph_free(graph);
    clvi_graph_free(original);
}

/* A small file must not become a large one. */
static void expansions_stay(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 2, DIMS(-1, 32768));
    const int32_t row = NODE(graph, "ConstantOfShape", IDS(add_ints(graph, "size", 1, DIMS(32768))), "row");
    const int32_t small = NODE(graph, "ConstantOfShape", IDS(add_ints(graph, "unit", 1, DIMS(1))), "small");
    add_output(graph, NODE(graph, "Add", IDS(NODE(graph, "Add", IDS(x, row), "sum"), small), "y"));
    assert_int_equal(clvi_pass_fold_constants(graph, NULL), CLV_OK);
    assert_int_equal(count_nodes(graph, "ConstantOfShape"), 1);
    assert_int_equal(graph->n_nodes, 3);
    assert_null(graph->values[row].constant);
    assert_non_null(graph->values[small].constant);
    clvi_graph_free(graph);
}

static void constants_keep_their_type(void **state)
{
    (void)state;
    uint16_t half = clvi_float_to_half(1.25F);
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT16, 1, DIMS(-1));
    const int32_t c = add_constant_node(graph, "c", tensor_of(CLV_FLOAT16, 0, NULL, &half));
    const int32_t n = NODE(graph, "Neg", IDS(c), "n"); /* would be float32 if it were folded */
    add_output(graph, NODE(graph, "Add", IDS(x, n), "y"));
    assert_int_equal(clvi_pass_fold_constants(graph, NULL), CLV_OK);
    assert_int_equal(graph->values[c].constant->dtype, CLV_FLOAT16);
    assert_memory_equal(graph->values[c].constant->data, &half, sizeof half);
    assert_int_equal(count_nodes(graph, "Constant"), 0);
    assert_int_equal(count_nodes(graph, "Neg"), 1);
    clvi_graph_free(graph);
}

/* Identity between an input and an output, and from a constant to an output, is all there is to keep both names. */
static void interface_names_stay(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 1, DIMS(3));
    add_output(graph, NODE(graph, "Identity", IDS(x), "y"));
    add_output(graph, NODE(graph, "Identity", IDS(add_random(graph, "c", 1, DIMS(2), 1, 1.0F, 0.0F)), "z"));
    add_output(graph, NODE(graph, "Identity", IDS(NODE(graph, "Relu", IDS(x), "r")), "w"));
    assert_int_equal(clvi_pass_fold_constants(graph, NULL), CLV_OK);
    assert_int_equal(graph->n_nodes, 3);
    assert_string_equal(graph->values[graph->inputs[0]].name, "x");
    assert_string_equal(graph->values[graph->outputs[0]].name, "y");
    assert_string_equal(graph->values[graph->outputs[1]].name, "z");
    assert_string_equal(graph->values[graph->outputs[2]].name, "w");
    clvi_graph_free(graph);
}

/* With any allocation failing a pass says so and leaves every node and name as it was. */
static void failing_passes_change_nothing(void **state)
{
    (void)state;
    clv_status (*const passes[])(clvi_graph *, clv_error *) = {clvi_pass_fold_constants, clvi_pass_fold_batchnorm};
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 4, 6, 6));
    const int32_t w = add_random(graph, "a.weight", 4, DIMS(8, 4, 3, 3), 1, 0.3F, 0.0F);
    const int32_t b = add_batchnorm(graph, NODE(graph, "Conv", IDS(x, w), "a"), 8, "bn", 10);
    const int32_t target =
        NODE(graph, "Concat", IDS(add_dim(graph, b, 0, "n"), add_ints(graph, "rest", 1, DIMS(-1))), "target");
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "axis", 0, NULL), CLV_OK);
    add_output(graph, NODE(graph, "Reshape", IDS(b, target), "y"));
    for (size_t p = 0; p < COUNT(passes); p++) {
        const long live = clvi_mem_live();
        const size_t n_nodes = graph->n_nodes, n_values = graph->n_values;
        const clvi_node *const first = graph->nodes[0];
        clv_status st = CLV_ERR_NOMEM;
        long permitted = 0;
        for (; permitted < 2000; permitted++) {
            clvi_mem_fail_after(permitted);
            st = passes[p](graph, NULL);
            clvi_mem_fail_after(-1);
            if (st == CLV_OK)
                break;
            assert_int_equal(st, CLV_ERR_NOMEM);
            assert_int_equal(clvi_mem_live(), live);
            assert_int_equal(graph->n_nodes, n_nodes);
            assert_int_equal(graph->n_values, n_values);
            assert_ptr_equal(graph->nodes[0], first);
            assert_int_equal(clvi_graph_verify(graph, NULL), CLV_OK);
        }
        assert_int_equal(st, CLV_OK);
        assert_true(permitted > 5);
        assert_true(graph->n_nodes < n_nodes);
    }
    clvi_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_takes_batchnorms_in),
        cmocka_unit_test(transposed_conv_and_gemm_take_batchnorms_in),
        cmocka_unit_test(shared_weights_are_copied),
        cmocka_unit_test(what_does_not_fit_stays),
        cmocka_unit_test(weights_keep_their_type),
        cmocka_unit_test(shape_arithmetic_goes),
        cmocka_unit_test(clamped_sizes_are_not_mistaken_for_fixed),
        cmocka_unit_test(expansions_stay),
        cmocka_unit_test(constants_keep_their_type),
        cmocka_unit_test(interface_names_stay),
        cmocka_unit_test(failing_passes_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
