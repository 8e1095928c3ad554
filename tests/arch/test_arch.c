/* SPDX-License-Identifier: Apache-2.0 */
/* The networks made in code, against what is known of them: multiply-adds, parameters, shapes; and that they can be
 * run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/arch.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "onnx/onnx.h"
#include "runtime/count.h"
#include "runtime/session.h"

static clvi_graph *build(const char *name, clv_arch_opts opts)
{
    clvi_graph *graph = NULL;
    clv_error err = {0};
    if (clvi_arch_build(&graph, name, &opts, NULL, &err) != CLV_OK)
        fail_msg("%s: %s", name, err.msg);
    return graph;
}

static clv_arch_opts with(int64_t classes, int64_t side, double width, uint64_t seed)
{
    return (clv_arch_opts){.classes = classes, .side = side, .width = width, .seed = seed};
}

/* What training would change: all but running statistics and the bounds of ReLU6. */
static int64_t trainable(const clvi_graph *g)
{
    int64_t n = 0;
    for (size_t v = 0; v < g->n_values; v++) {
        const char *const name = g->values[v].name, *const dot = strrchr(name, '.');
        if (g->values[v].constant && g->values[v].constant->dtype == CLV_FLOAT32 && g->values[v].constant->rank > 0 &&
            !(dot && (strcmp(dot, ".mean") == 0 || strcmp(dot, ".var") == 0)))
            n += clv_tensor_count(g->values[v].constant);
    }
    return n;
}

/* Millions of multiply-adds as published for these networks or counted by others (to the last digit given), and the
 * parameters of torchvision's networks of the same names; resnet20 to 56 and mobilenet_v1 from their papers' tables.
 * vgg16_bn has no biases before its BatchNorm, 4,224 less than torchvision's. */
static const struct {
    const char *name;
    double mmacs, digit;
    int64_t parameters;
} known[] = {
    {"resnet8", 12.24, 0.01, 75290},      {"resnet14", 26.40, 0.01, 172506},      {"resnet20", 40.55, 0.01, 269722},
    {"resnet32", 68.86, 0.01, 464154},    {"resnet44", 97.17, 0.01, 658586},      {"resnet56", 125.49, 0.01, 853018},
    {"resnet18", 1814, 1, 11689512},      {"resnet50", 4089, 1, 25557032},        {"vgg16", 15470, 1, 138357544},
    {"vgg16_bn", 15470, 1, 138361768},    {"vgg16_features", 15347, 1, 14714688}, {"mobilenet_v1", 569, 1, 4231976},
    {"mobilenet_v2", 301, 1, 3504872},    {"shufflenet_v2", 145, 1, 2278604},     {"mnasnet", 314, 1, 4383312},
    {"efficientnet_b0", 386, 1, 5288548}, {"squeezenet1.1", 349, 1, 1235496},
};

static void known_sizes(void **state)
{
    size_t n;
    const clvi_arch *const all = clvi_arch_all(&n);
    (void)state;
    assert_int_equal(n, sizeof known / sizeof *known);
    for (size_t i = 0; i < n; i++) {
        clvi_count count;
        assert_string_equal(all[i].info.name, known[i].name);
        clvi_graph *const g = build(known[i].name, with(0, 0, 1, 1));
        assert_int_equal(clvi_count_graph(&count, g, NULL, 0, NULL), CLV_OK);
        if (!(fabs(1e-6 * (double)count.macs - known[i].mmacs) <= 0.6 * known[i].digit))
            fail_msg("%s: %lld multiply-adds, %g million were expected", known[i].name, (long long)count.macs,
                     known[i].mmacs);
        if (trainable(g) != known[i].parameters)
            fail_msg("%s: %lld parameters, %lld were expected", known[i].name, (long long)trainable(g),
                     (long long)known[i].parameters);
        clvi_graph_free(g);
    }
}

/* Runs the network on normal noise. Returns the standard deviation of its outputs, which must be finite. */
static double run(const clvi_graph *g, int64_t batch, int64_t want_classes)
{
    clvi_session *session = NULL;
    clv_error err = {0};
    clv_tensor x, y;
    clvi_rng rng;
    double sum = 0, squares = 0;
    clvi_default_inputs(g, batch, 0, &x);
    const int64_t n = clv_tensor_count(&x);
    float *const data = clvi_alloc_array((size_t)n, sizeof *data);
    assert_non_null(data);
    clvi_rng_seed(&rng, 5);
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)clvi_rng_normal(&rng);
    x.data = data;
    if (clvi_session_create(&session, g, NULL, NULL, &err) != CLV_OK ||
        clvi_session_run(session, &x, 1, &y, &err) != CLV_OK)
        fail_msg("%s: %s", g->name, err.msg);
    assert_int_equal(y.dims[0], batch);
    assert_int_equal(y.dims[1], want_classes);
    const int64_t outputs = clv_tensor_count(&y);
    for (int64_t i = 0; i < outputs; i++) {
        const double v = (double)((const float *)y.data)[i];
        assert_true(isfinite(v));
        sum += v;
        squares += v * v;
    }
    clvi_session_free(session);
    clvi_free(data);
    const double mean = sum / (double)outputs;
    return sqrt(squares / (double)outputs - mean * mean);
}

static void outputs_have_a_natural_size(void **state)
{
    size_t n;
    const clvi_arch *const all = clvi_arch_all(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        const bool features = strcmp(all[i].info.name, "vgg16_features") == 0;
        clvi_graph *const g = build(all[i].info.name, with(50, all[i].info.side == 32 ? 32 : 64, 1, 3));
        const double deviation = run(g, 2, features ? 512 : 50);
        if (!(deviation > 0.02 && deviation < 20))
            fail_msg("%s: outputs have standard deviation %g", all[i].info.name, deviation);
        clvi_graph_free(g);
    }
}

static clvi_bytes bytes_of(const char *name, clv_arch_opts opts)
{
    clvi_bytes bytes = {0};
    clvi_graph *const g = build(name, opts);
    assert_int_equal(clvi_onnx_write_bytes(g, &bytes, NULL), CLV_OK);
    clvi_graph_free(g);
    return bytes;
}

static void the_seed_decides(void **state)
{
    const clvi_bytes a = bytes_of("resnet20", with(10, 32, 1, 7)), b = bytes_of("resnet20", with(0, 0, 1, 7)),
                     c = bytes_of("resnet20", with(10, 32, 1, 8));
    (void)state;
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    assert_int_equal(a.size, c.size);
    assert_memory_not_equal(a.data, c.data, a.size);
    clvi_free(a.data);
    clvi_free(b.data);
    clvi_free(c.data);
}

static const clv_tensor *weight(const clvi_graph *g, const char *name)
{
    const int32_t id = clvi_graph_find_value(g, name);
    if (id == CLVI_NONE || !g->values[id].constant)
        fail_msg("no weight \"%s\"", name);
    return g->values[id].constant;
}

static void a_width_scales_the_channels(void **state)
{
    (void)state;
    clvi_graph *g = build("mobilenet_v1", with(0, 0, 0.25, 1));
    clvi_count count;
    assert_int_equal(weight(g, "stem.conv.weight")->dims[0], 8);
    assert_int_equal(weight(g, "classifier.weight")->dims[1], 256);
    assert_int_equal(clvi_count_graph(&count, g, NULL, 0, NULL), CLV_OK);
    assert_true(fabs(1e-6 * (double)count.macs - 41.0) < 0.3); /* the paper's 41 million */
    clvi_graph_free(g);
    g = build("mobilenet_v2", with(0, 0, 1.4, 1));
    assert_int_equal(weight(g, "head.conv.weight")->dims[0], 1792);
    assert_int_equal(clvi_count_graph(&count, g, NULL, 0, NULL), CLV_OK);
    assert_true(fabs(1e-6 * (double)count.macs - 582) < 4); /* the paper's 585, rounded by others to 582 */
    clvi_graph_free(g);
    g = build("resnet20", with(0, 0, 0.5, 1));
    assert_int_equal(weight(g, "stage3.block1.conv1.weight")->dims[0], 32);
    clvi_graph_free(g);
}

/* Convolution weights have He's variance, BatchNorm starts as the identity on a scale that its statistics give. */
static void weights_are_drawn_as_documented(void **state)
{
    (void)state;
    clvi_graph *const g = build("resnet20", with(0, 0, 1, 1));
    const clv_tensor *const w = weight(g, "stage3.block2.conv1.weight"),
                            *const var = weight(g, "stage3.block2.bn1.var"),
                            *const scale = weight(g, "stage3.block2.bn1.scale");
    const int64_t n = clv_tensor_count(w);
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)((const float *)w->data)[i] * (double)((const float *)w->data)[i];
    assert_true(fabs(squares / (double)n * 576 / 2 - 1) < 5 * sqrt(2.0 / (double)n));
    for (int64_t i = 0; i < 64; i++) {
        assert_true(((const float *)var->data)[i] > 0);
        assert_true(((const float *)scale->data)[i] == 1.0F);
    }
    clvi_graph_free(g);
}

static void wrong_use_is_refused(void **state)
{
    clvi_graph *g = NULL;
    clv_error err = {0};
    (void)state;
    assert_int_equal(clvi_arch_build(&g, "resnet21", NULL, NULL, &err), CLV_ERR_ARG);
    assert_null(g);
    assert_non_null(strstr(err.msg, "squeezenet1.1"));
    const clv_arch_opts wrong[] = {with(-1, 0, 1, 1), with(0, -5, 1, 1),          with(0, 100000, 1, 1),
                                   with(0, 0, 0, 1),  with(0, 0, (double)NAN, 1), with(2000000, 0, 1, 1)};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(clvi_arch_build(&g, "resnet20", &wrong[i], NULL, &err), CLV_ERR_ARG);
    const clv_arch_opts wide = with(0, 0, 2, 1), tiny = with(0, 17, 1, 1);
    assert_int_equal(clvi_arch_build(&g, "resnet18", &wide, NULL, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "one width"));
    assert_int_equal(clvi_arch_build(&g, "squeezenet1.1", &tiny, NULL, &err), CLV_OK);
    clvi_graph_free(g);
    const clv_arch_opts none = with(0, 16, 1, 1);
    assert_int_equal(clvi_arch_build(&g, "squeezenet1.1", &none, NULL, &err), CLV_ERR_ARG);
    assert_null(g);
}

static void memory_may_run_out(void **state)
{
    const long before = clvi_mem_live();
    const clv_arch_opts opts = with(4, 32, 1, 1);
    clv_status st = CLV_ERR_NOMEM;
    long failures = 0;
    (void)state;
    for (long allowed = 0; st != CLV_OK; allowed += 3) {
        clvi_graph *g = NULL;
        clvi_mem_fail_after(allowed);
        st = clvi_arch_build(&g, "shufflenet_v2", &opts, NULL, NULL);
        clvi_mem_fail_after(-1);
        assert_true(st == CLV_OK ? g != NULL : st == CLV_ERR_NOMEM && !g);
        clvi_graph_free(g);
        assert_int_equal(clvi_mem_live(), before);
        failures += st != CLV_OK;
    }
    assert_true(failures > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_sizes),
        cmocka_unit_test(outputs_have_a_natural_size),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(a_width_scales_the_channels),
        cmocka_unit_test(weights_are_drawn_as_documented),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
