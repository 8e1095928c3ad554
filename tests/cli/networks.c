/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/networks.h"

#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "unit/runtime_graphs.h"

static int32_t convolution(clvi_graph *g, const char *name, int32_t x, int64_t c, int64_t o, int64_t k, uint64_t seed)
{
    char weight[32];
    (void)snprintf(weight, sizeof weight, "%s.weight", name);
    const int32_t w = add_random(g, weight, 4, DIMS(o, c, k, k), seed, 0.2F, 0);
    const int32_t y = NODE(g, "Conv", IDS(x, w), name);
    const int64_t p = k / 2;
    assert_int_equal(clvi_node_set_ints(g, last_node(g), "pads", DIMS(p, p, p, p), 4, NULL), CLV_OK);
    return y;
}

static int32_t batch_norm(clvi_graph *g, const char *name, int32_t x, int64_t c, uint64_t seed)
{
    const int32_t scale = add_random(g, "scale", 1, &c, seed, 0.1F, 1),
                  shift = add_random(g, "shift", 1, &c, seed + 1, 0.1F, 0),
                  mean = add_random(g, "mean", 1, &c, seed + 2, 0.1F, 0),
                  var = add_random(g, "var", 1, &c, seed + 3, 0.01F, 1);
    return NODE(g, "BatchNormalization", IDS(x, scale, shift, mean, var), name);
}

clvi_graph *network_residual(uint64_t seed)
{
    clvi_graph *g = new_graph(13);
    g->ir_version = 7;
    const int32_t x = add_input(g, "input", CLV_FLOAT32, 4, DIMS(-1, 3, 32, 32));
    const int32_t a =
        NODE(g, "Relu", IDS(batch_norm(g, "bn1", convolution(g, "c1", x, 3, 8, 3, seed), 8, seed + 10)), "relu1");
    const int32_t b = batch_norm(g, "bn2", convolution(g, "c2", a, 8, 8, 3, seed + 1), 8, seed + 20);
    const int32_t sum = NODE(g, "Relu", IDS(NODE(g, "Add", IDS(b, a), "sum")), "relu2");
    const int32_t c = NODE(g, "GlobalAveragePool", IDS(convolution(g, "c3", sum, 8, 8, 1, seed + 2)), "pool");
    const int32_t flat = NODE(g, "Flatten", IDS(c), "flat");
    const int32_t w = add_random(g, "fc.weight", 2, DIMS(8, 10), seed + 3, 2, 0);
    add_output(g, NODE(g, "MatMul", IDS(flat, w), "logits"));
    return g;
}

clvi_graph *network_colour(void)
{
    clvi_graph *g = new_graph(13);
    float ten = 10;
    g->ir_version = 7;
    const int32_t x = add_input(g, "input", CLV_FLOAT32, 4, DIMS(-1, 3, 32, 32));
    const int32_t flat = NODE(g, "Flatten", IDS(NODE(g, "GlobalAveragePool", IDS(x), "pool")), "flat");
    const int32_t scale = add_constant(g, "ten", tensor_of(CLV_FLOAT32, 0, NULL, &ten));
    add_output(g, NODE(g, "Mul", IDS(flat, scale), "scores"));
    return g;
}

clvi_graph *network_two_inputs(void)
{
    clvi_graph *g = new_graph(13);
    g->ir_version = 7;
    const int32_t a = add_input(g, "left", CLV_FLOAT32, 2, DIMS(2, 3)),
                  b = add_input(g, "right", CLV_FLOAT32, 2, DIMS(2, 3));
    const int32_t sum = NODE(g, "Add", IDS(a, b), "out/sum");
    add_output(g, sum);
    add_output(g, NODE(g, "Add", IDS(sum, sum), "out:sum"));
    return g;
}

clvi_graph *network_unknown_operator(void)
{
    clvi_graph *g = new_graph(13);
    g->ir_version = 7;
    assert_int_equal(clvi_graph_set_opset(g, "tests.cleave", 1, NULL), CLV_OK);
    const int32_t x = add_input(g, "input", CLV_FLOAT32, 4, DIMS(1, 3, 4, 4));
    const int32_t y = NODE(g, "Invent", IDS(convolution(g, "c1", x, 3, 4, 3, 1)), "output");
    last_node(g)->domain = "tests.cleave";
    add_output(g, y);
    return g;
}

clvi_graph *network_identity(int64_t n)
{
    clvi_graph *g = new_graph(13);
    g->ir_version = 7;
    add_output(g, NODE(g, "Abs", IDS(add_input(g, "input", CLV_FLOAT32, 2, DIMS(1, n))), "output"));
    return g;
}

void write_colour_images(const char *path, int n)
{
    enum { PIXELS = 32 * 32, ROW = 1 + 3 * PIXELS };
    uint8_t *bytes = clvi_calloc((size_t)n, ROW);
    clvi_rng rng;
    assert_non_null(bytes);
    clvi_rng_seed(&rng, 1);
    for (int i = 0; i < n; i++) {
        uint8_t *row = bytes + (size_t)i * ROW;
        row[0] = (uint8_t)(i % 3);
        for (int p = 0; p < 3 * PIXELS; p++)
            row[1 + p] = (uint8_t)(clvi_rng_below(&rng, 100) + (p / PIXELS == i % 3 ? 120 : 20));
    }
    assert_int_equal(clvi_file_replace(path, bytes, (size_t)n * ROW, NULL), CLV_OK);
    clvi_free(bytes);
}
