/* SPDX-License-Identifier: Apache-2.0 */
/* The networks of ../shared/data/models give the outputs of ../shared/data/expected: at every instruction set of this
 * machine, with the same bits for 1 and 2 threads, before and after the folding passes, without allocating in a planned
 * run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"
#include "base/file.h"
#include "onnx/onnx.h"
#include "runtime/count.h"
#include "runtime/passes.h"
#include "runtime/session.h"

#define DATA           "../shared/data/"
#define MAX_OUTPUTS    6
#define TOLERANCE      1e-4  /* absolute, against the stored outputs */
#define FOLD_TOLERANCE 1e-5  /* of the largest output, between a network and itself after folding */
#define REF_MACS       300e6 /* the reference kernels are slow: networks above this are not run with them */

/* Sanitizers make the kernels slow too. */
#if defined(__SANITIZE_ADDRESS__)
#define MAX_MACS 1e9
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAX_MACS 1e9
#endif
#endif
#ifndef MAX_MACS
#define MAX_MACS 1e12
#endif

typedef struct network {
    const char *model;
    const char *input;
    int64_t dims[4];
    double mmacs;                    /* per image, as the README of the data says, to its last digit */
    size_t nodes_left;               /* after folding */
    const char *output[MAX_OUTPUTS]; /* in the order of the graph */
} network;

/* DiCENet's outputs are stored thinned out, see check_dicenet(). */
static const network networks[] = {
    {"resnet20", "cifar.input.f32", {4, 3, 32, 32}, 40.6, 56, {"logits"}},
    {"resnet20_torchraw", "cifar.input.f32", {4, 3, 32, 32}, 40.6, 57, {"logits"}},
    {"resnet56", "cifar.input.f32", {4, 3, 32, 32}, 125.5, 146, {"logits"}},
    {"squeezenet1.1", "squeezenet.input.f32", {2, 3, 227, 227}, 418.5, 66, {"prob"}},
    {"mobilenet_v1_0.25_224", "mobilenet.input.f32", {2, 3, 224, 224}, 41.0, 58, {"prob"}},
    {"ultraface_version-slim-320", "ultraface.input.f32", {1, 3, 240, 320}, 81.4, 113, {"scores", "boxes"}},
    {"ultraface_version-slim-320_simplified", "ultraface.input.f32", {1, 3, 240, 320}, 81.4, 95, {"scores", "boxes"}},
    {"waifu2x_upconv_7_photo_scale2x", "waifu2x.input.f32", {1, 3, 142, 142}, 9522, 13, {"Eltwise4"}},
    {"dicenet_s_0.2_pascal_256x256", "dicenet.input.f32", {1, 3, 256, 256}, 60.8, 577, {NULL}},
    {"nanodet_m_320", "nanodet.input.f32", {1, 3, 320, 320}, 342.2, 225, {"792", "795", "814", "817", "836", "839"}},
};

static clvi_bytes read_file(const char *name)
{
    char path[256];
    clvi_bytes bytes = {0};
    clv_error err = {0};
    (void)snprintf(path, sizeof path, DATA "expected/%s", name);
    if (clvi_file_read(&bytes, path, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    return bytes;
}

/* The largest difference; infinite when a number is not finite. */
static double farthest(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        worst = isfinite(d) ? fmax(worst, d) : (double)INFINITY;
    }
    return worst;
}

static void check_dicenet(const clv_tensor *logits, const char *how)
{
    clvi_bytes thin = read_file("dicenet_s_0.2_pascal_256x256.logits_stride4.f32");
    clvi_bytes classes = read_file("dicenet_s_0.2_pascal_256x256.argmax.u8");
    const float *const got = logits->data, *const want = (const float *)(void *)thin.data;
    assert_int_equal(clv_tensor_count(logits), 21 * 256 * 256);
    assert_int_equal(thin.size, 21 * 64 * 64 * sizeof(float));
    assert_int_equal(classes.size, 256 * 256);
    double worst = 0;
    for (size_t c = 0; c < 21; c++)
        for (size_t y = 0; y < 64; y++)
            for (size_t x = 0; x < 64; x++)
                worst = fmax(worst, farthest(&got[(c * 256 + 4 * y) * 256 + 4 * x], &want[(c * 64 + y) * 64 + x], 1));
    if (!(worst <= TOLERANCE))
        fail_msg("dicenet, %s: logits depart by %g", how, worst);
    for (size_t p = 0; p < 256 * 256; p++) { /* the stored class is the largest, or as good as */
        float best = got[p];
        for (size_t c = 1; c < 21; c++)
            best = fmaxf(best, got[c * 65536 + p]);
        if (best - got[classes.data[p] * (size_t)65536 + p] > (float)TOLERANCE)
            fail_msg("dicenet, %s: class of pixel %zu is not %d", how, p, classes.data[p]);
    }
    clvi_free(thin.data);
    clvi_free(classes.data);
}

static void check_outputs(const network *net, const clvi_graph *graph, const clv_tensor *outputs, const char *how)
{
    if (!net->output[0]) {
        check_dicenet(&outputs[0], how);
        return;
    }
    for (size_t i = 0; i < graph->n_outputs; i++) {
        char name[128];
        assert_non_null(net->output[i]);
        assert_string_equal(graph->values[graph->outputs[i]].name, net->output[i]);
        (void)snprintf(name, sizeof name, "%s.%s.f32", net->model, net->output[i]);
        clvi_bytes want = read_file(name);
        assert_int_equal(want.size, (size_t)clv_tensor_count(&outputs[i]) * sizeof(float));
        const double d = farthest(outputs[i].data, (const float *)(void *)want.data, want.size / sizeof(float));
        if (!(d <= TOLERANCE))
            fail_msg("%s, %s: output \"%s\" departs by %g", net->model, how, net->output[i], d);
        clvi_free(want.data);
    }
}

/* All outputs one after the other; *n numbers. Also: the second run allocates nothing and gives the same. */
static float *run(const network *net, const clvi_graph *graph, const char *isa, int threads, size_t *n)
{
    clv_context *context = NULL;
    clvi_session *session = NULL;
    clv_error err = {0};
    clv_tensor outputs[MAX_OUTPUTS];
    clv_context_opts opts = clv_context_opts_default();
    char how[64];
    opts.isa = isa;
    opts.threads = threads;
    (void)snprintf(how, sizeof how, "%s, %d threads, %zu nodes", isa, threads, graph->n_nodes);
    clvi_bytes file = read_file(net->input);
    clv_tensor in = {.dtype = CLV_FLOAT32, .rank = 4, .data = file.data};
    memcpy(in.dims, net->dims, sizeof net->dims);
    assert_int_equal(file.size, (size_t)clv_tensor_count(&in) * sizeof(float));
    assert_true(graph->n_outputs <= MAX_OUTPUTS);
    if (clv_context_create(&context, &opts, &err) != CLV_OK ||
        clvi_session_create(&session, graph, NULL, context, &err) != CLV_OK ||
        clvi_session_run(session, &in, 1, outputs, &err) != CLV_OK)
        fail_msg("%s, %s: %s", net->model, how, err.msg);
    check_outputs(net, graph, outputs, how);
    *n = 0;
    for (size_t i = 0; i < graph->n_outputs; i++)
        *n += (size_t)clv_tensor_count(&outputs[i]);
    float *const all = clvi_alloc_array(*n, sizeof *all);
    assert_non_null(all);
    size_t at = 0;
    for (size_t i = 0; i < graph->n_outputs; at += (size_t)clv_tensor_count(&outputs[i]), i++)
        memcpy(all + at, outputs[i].data, (size_t)clv_tensor_count(&outputs[i]) * sizeof *all);
    const long calls = clvi_mem_calls();
    assert_int_equal(clvi_session_run(session, &in, 1, outputs, &err), CLV_OK);
    if (clvi_mem_calls() != calls)
        fail_msg("%s, %s: %ld allocations in a planned run", net->model, how, clvi_mem_calls() - calls);
    assert_memory_equal(outputs[0].data, all, (size_t)clv_tensor_count(&outputs[0]) * sizeof *all);
    clvi_session_free(session);
    clv_context_free(context);
    clvi_free(file.data);
    return all;
}

/* Returns what 1 thread gives; 2 threads must give the same bits. */
static float *run_both(const network *net, const clvi_graph *graph, const char *isa, size_t *n)
{
    float *const one = run(net, graph, isa, 1, n), *const two = run(net, graph, isa, 2, n);
    if (memcmp(one, two, *n * sizeof *one) != 0)
        fail_msg("%s, %s: 1 and 2 threads differ by %g", net->model, isa, farthest(one, two, *n));
    clvi_free(two);
    return one;
}

static clvi_graph *read_model(const network *net)
{
    char path[256];
    clvi_graph *graph = NULL;
    clv_error err = {0};
    (void)snprintf(path, sizeof path, DATA "models/%s.onnx", net->model);
    if (clvi_onnx_read(&graph, path, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    return graph;
}

static void fold(clvi_graph *graph)
{
    clv_error err = {0};
    if (clvi_pass_fold_constants(graph, &err) != CLV_OK || clvi_pass_fold_batchnorm(graph, &err) != CLV_OK)
        fail_msg("%s", err.msg);
}

/* Of one run; MatMul left out, as in the README of the data (DiCENet pools by multiplying with constant matrices). */
static double macs_of(const network *net, const clvi_graph *graph)
{
    clvi_shapes shapes;
    clvi_count count;
    clv_tensor in = {.dtype = CLV_FLOAT32, .rank = 4};
    int64_t macs = 0, products = 0;
    memcpy(in.dims, net->dims, sizeof net->dims);
    assert_int_equal(clvi_shapes_infer(&shapes, graph, &in, 1, NULL), CLV_OK);
    for (size_t i = 0; i < graph->n_nodes; i++)
        *(clvi_node_is(graph->nodes[i], "MatMul") ? &products : &macs) += shapes.macs[i];
    clvi_shapes_free(&shapes);
    assert_int_equal(clvi_count_graph(&count, graph, &in, 1, NULL), CLV_OK);
    assert_int_equal(count.macs, macs + products);
    return (double)macs;
}

static void outputs_are_as_expected(void **state)
{
    const network *const net = *state;
    static const char *const isas[] = {"ref", "avx2", "avx512", "neon"};
    clvi_graph *const graph = read_model(net), *folded = NULL;
    const double macs = macs_of(net, graph);
    if (macs > MAX_MACS) {
        clvi_graph_free(graph);
        skip();
    }
    assert_int_equal(clvi_graph_clone(&folded, graph, NULL), CLV_OK);
    fold(folded);
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        clvi_cpu level;
        size_t n;
        if (!clvi_cpu_parse(isas[i], &level) || (level == CLVI_CPU_REF && macs > REF_MACS))
            continue;
        float *const plain = run_both(net, graph, isas[i], &n), *const fast = run_both(net, folded, isas[i], &n);
        double largest = 0;
        for (size_t j = 0; j < n; j++)
            largest = fmax(largest, fabs((double)plain[j]));
        const double d = farthest(fast, plain, n) / largest;
        if (!(d <= FOLD_TOLERANCE))
            fail_msg("%s, %s: folding moves the output by %g of its size", net->model, isas[i], d);
        clvi_free(plain);
        clvi_free(fast);
    }
    clvi_graph_free(graph);
    clvi_graph_free(folded);
}

static size_t count_nodes(const clvi_graph *graph, const char *op)
{
    size_t n = 0;
    for (size_t i = 0; i < graph->n_nodes; i++)
        n += strcmp(graph->nodes[i]->op_type, op) == 0;
    return n;
}

/* MACs are those of the data's README; no shape arithmetic and no foldable BatchNorm is left after the passes, and each
 * pass is finished after one go. */
static void folding_leaves_only_what_computes(void **state)
{
    static const char *const gone[] = {"Constant",  "Shape", "Gather",  "ConstantOfShape",
                                       "Unsqueeze", "Cast",  "Identity"};
    const network *const net = *state;
    clvi_graph *const graph = read_model(net);
    const double macs = macs_of(net, graph);
    if (fabs(macs / (double)net->dims[0] / 1e6 - net->mmacs) > (net->mmacs < 1000 ? 0.05 : 0.5))
        fail_msg("%s: %.4f million multiply-adds per image, %.1f expected", net->model,
                 macs / (double)net->dims[0] / 1e6, net->mmacs);
    fold(graph);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        if (count_nodes(graph, gone[i]) != 0)
            fail_msg("%s: %zu %s nodes are left", net->model, count_nodes(graph, gone[i]), gone[i]);
    assert_int_equal(graph->n_nodes, net->nodes_left);
    fold(graph);
    assert_int_equal(graph->n_nodes, net->nodes_left);
    assert_true(macs_of(net, graph) == macs);
    clvi_graph_free(graph);
}

/* Read, fold, plan and run a real network with 0, 1, 2, ... allocations permitted until all succeeds. */
static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    const network *const net = &networks[1]; /* resnet20_torchraw: every pass has work to do */
    clvi_bytes file = read_file(net->input);
    clv_tensor in = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {1, 3, 32, 32}, .data = file.data}, out;
    clv_status st = CLV_ERR_NOMEM;
    long permitted = 0;
    for (; st != CLV_OK && permitted < 5000; permitted++) {
        clvi_graph *graph = read_model(net);
        clvi_session *session = NULL;
        clvi_mem_fail_after(permitted);
        if ((st = clvi_pass_fold_constants(graph, NULL)) == CLV_OK &&
            (st = clvi_pass_fold_batchnorm(graph, NULL)) == CLV_OK &&
            (st = clvi_session_create(&session, graph, NULL, NULL, NULL)) == CLV_OK)
            st = clvi_session_run(session, &in, 1, &out, NULL);
        clvi_mem_fail_after(-1);
        clvi_session_free(session);
        clvi_graph_free(graph);
        assert_true(st == CLV_OK || st == CLV_ERR_NOMEM);
        assert_int_equal(clvi_mem_live(), 1); /* the input file */
    }
    assert_int_equal(st, CLV_OK);
    assert_true(permitted > 50);
    clvi_free(file.data);
}

int main(void)
{
    enum { N = sizeof networks / sizeof *networks };
    struct CMUnitTest tests[2 * N + 1];
    char names[2 * N][96];
    if (access(DATA "expected/index.json", R_OK) != 0) {
        printf("skipped: " DATA " is not there\n");
        return 77;
    }
    for (size_t i = 0; i < N; i++) {
        void *const net = (void *)(uintptr_t)&networks[i];
        (void)snprintf(names[i], sizeof names[i], "folding %s", networks[i].model);
        (void)snprintf(names[N + i], sizeof names[i], "outputs of %s", networks[i].model);
        tests[i] = (struct CMUnitTest){names[i], folding_leaves_only_what_computes, NULL, NULL, net};
        tests[N + i] = (struct CMUnitTest){names[N + i], outputs_are_as_expected, NULL, NULL, net};
    }
    tests[2 * N] = (struct CMUnitTest)cmocka_unit_test(every_failing_allocation_is_reported);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
