/* SPDX-License-Identifier: Apache-2.0 */
/* The main job on a small residual network made here: a stem, two blocks (the second with stride 2, a grouped and a
 * dilated convolution on the way), random weights, float images in an .npy file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"
#include "compress/compress.h"
#include "compress/sites.h"
#include "onnx/onnx.h"
#include "report/report.h"
#include "runtime/session.h"

#define IMAGES 48
#define SIDE   12

static char folder[] = "/tmp/cleave-test-XXXXXX";
static char images_path[128];
static clv_error err;

#define OK(call)                                                      \
    do {                                                              \
        const clv_status ok_status_ = (call);                         \
        if (ok_status_ != CLV_OK)                                     \
            fail_msg("%s: %s", clv_status_text(ok_status_), err.msg); \
    } while (0)

/* --- a network ------------------------------------------------------------------------------------------------- */

typedef struct conv_spec {
    const char *name;
    int64_t o, c, k, stride, dilation, groups;
} conv_spec;

static int32_t random_weights(clvi_graph *g, clvi_rng *rng, const char *name, clv_dtype dtype, int rank,
                              const int64_t *dims, double scale)
{
    clv_tensor t = {.dtype = dtype, .rank = rank};
    int32_t id;
    memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    const size_t n = (size_t)clv_tensor_count(&t);
    float *floats = clvi_alloc_array(n, sizeof *floats);
    t.data = clvi_alloc_array(n, clv_dtype_size(dtype));
    for (size_t i = 0; i < n; i++)
        floats[i] = (float)(scale * clvi_rng_normal(rng));
    assert_true(clvi_floats_to(t.data, dtype, floats, n));
    OK(clvi_graph_add_constant(g, name, &t, &id, &err));
    clvi_free(floats);
    clvi_free(t.data);
    return id;
}

static int32_t value(clvi_graph *g, const char *name)
{
    int32_t id;
    OK(clvi_graph_add_value(g, name, &id, &err));
    return id;
}

static int32_t add_op(clvi_graph *g, const char *op, const char *name, const int32_t *in, size_t n_in)
{
    const int32_t out = value(g, name);
    clvi_node *node = clvi_node_new(g, op, name, in, n_in, &out, 1);
    OK(clvi_graph_append(g, node, &err));
    return out;
}

static int32_t add_conv(clvi_graph *g, clvi_rng *rng, int32_t x, const conv_spec *s, clv_dtype dtype)
{
    char weight[64], bias[64];
    (void)snprintf(weight, sizeof weight, "%s.weight", s->name);
    (void)snprintf(bias, sizeof bias, "%s.bias", s->name);
    const int64_t dims[4] = {s->o, s->c / s->groups, s->k, s->k}, pad = s->dilation * (s->k - 1) / 2;
    const double scale = 1 / sqrt((double)(s->c / s->groups * s->k * s->k));
    const int32_t in[3] = {x, random_weights(g, rng, weight, dtype, 4, dims, scale),
                           random_weights(g, rng, bias, dtype, 1, &s->o, 0.1)};
    const int32_t out = value(g, s->name);
    clvi_node *node = clvi_node_new(g, "Conv", s->name, in, 3, &out, 1);
    const int64_t strides[2] = {s->stride, s->stride}, dilations[2] = {s->dilation, s->dilation};
    const int64_t pads[4] = {pad, pad, pad, pad};
    OK(clvi_node_set_ints(g, node, "strides", strides, 2, &err));
    OK(clvi_node_set_ints(g, node, "dilations", dilations, 2, &err));
    OK(clvi_node_set_ints(g, node, "pads", pads, 4, &err));
    OK(clvi_node_set_int(g, node, "group", s->groups, &err));
    OK(clvi_graph_append(g, node, &err));
    return out;
}

static clvi_graph *make_network(clv_dtype dtype)
{
    clvi_graph *g = NULL;
    clvi_rng rng;
    clvi_rng_seed(&rng, 7);
    OK(clvi_graph_create(&g, &err));
    g->ir_version = 7;
    g->name = "residual";
    OK(clvi_graph_set_opset(g, "", 13, &err));
    const clv_tensor image = {.dtype = dtype, .rank = 4, .dims = {-1, 3, SIDE, SIDE}};
    int32_t x;
    OK(clvi_graph_add_input(g, "x", &image, &x, &err));

    int32_t y = add_conv(g, &rng, x, &(conv_spec){"stem", 8, 3, 3, 1, 1, 1}, dtype);
    const int32_t stem = y = add_op(g, "Relu", "stem_relu", &y, 1);
    y = add_conv(g, &rng, y, &(conv_spec){"a1", 8, 8, 3, 1, 1, 1}, dtype);
    y = add_op(g, "Relu", "a1_relu", &y, 1);
    y = add_conv(g, &rng, y, &(conv_spec){"a2", 8, 8, 3, 1, 2, 1}, dtype);
    y = add_op(g, "Add", "a_sum", (const int32_t[]){y, stem}, 2);
    const int32_t block = y = add_op(g, "Relu", "a_out", &y, 1);
    y = add_conv(g, &rng, y, &(conv_spec){"b1", 12, 8, 5, 2, 1, 2}, dtype);
    y = add_op(g, "Relu", "b1_relu", &y, 1);
    y = add_conv(g, &rng, y, &(conv_spec){"b2", 12, 12, 3, 1, 1, 1}, dtype);
    const int32_t side = add_conv(g, &rng, block, &(conv_spec){"b_down", 12, 8, 1, 2, 1, 1}, dtype);
    y = add_op(g, "Add", "b_sum", (const int32_t[]){side, y}, 2);
    y = add_op(g, "GlobalAveragePool", "pooled", &y, 1);
    y = add_op(g, "Flatten", "logits", &y, 1);
    OK(clvi_graph_add_output(g, y, &err));
    g->values[y].dtype = dtype;
    g->values[y].rank = 2;
    g->values[y].dims[0] = -1;
    g->values[y].dims[1] = 12;
    OK(clvi_graph_verify(g, &err));
    return g;
}

/* A 3x5 convolution with asymmetric pads, then 1-D convolutions over the flattened rows. */
static clvi_graph *make_sequence(void)
{
    clvi_graph *g = NULL;
    clvi_rng rng;
    clvi_rng_seed(&rng, 11);
    OK(clvi_graph_create(&g, &err));
    g->ir_version = 7;
    g->name = "sequence";
    OK(clvi_graph_set_opset(g, "", 13, &err));
    const clv_tensor image = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {-1, 3, SIDE, SIDE}};
    int32_t x;
    OK(clvi_graph_add_input(g, "x", &image, &x, &err));

    const int32_t first[2] = {
        x, random_weights(g, &rng, "wide.weight", CLV_FLOAT32, 4, (const int64_t[]){6, 3, 3, 5}, 0.2)};
    int32_t y = add_op(g, "Conv", "wide", first, 2);
    OK(clvi_node_set_ints(g, g->nodes[0], "pads", (const int64_t[]){0, 3, 2, 1}, 4, &err));
    y = add_op(g, "Relu", "wide_relu", &y, 1);
    int64_t shape[3] = {0, 6, -1};
    int32_t target;
    OK(clvi_graph_add_constant(g, "rows", &(clv_tensor){.dtype = CLV_INT64, .rank = 1, .dims = {3}, .data = shape},
                               &target, &err));
    y = add_op(g, "Reshape", "sequence", (const int32_t[]){y, target}, 2);
    const int32_t second[2] = {y,
                               random_weights(g, &rng, "line.weight", CLV_FLOAT32, 3, (const int64_t[]){8, 6, 5}, 0.2)};
    y = add_op(g, "Conv", "line", second, 2);
    clvi_node *line = g->nodes[g->n_nodes - 1];
    OK(clvi_node_set_ints(g, line, "pads", (const int64_t[]){1, 3}, 2, &err));
    OK(clvi_node_set_ints(g, line, "strides", (const int64_t[]){2}, 1, &err));
    OK(clvi_node_set_ints(g, line, "dilations", (const int64_t[]){2}, 1, &err));
    y = add_op(g, "Flatten", "out", &y, 1);
    OK(clvi_graph_add_output(g, y, &err));
    OK(clvi_graph_verify(g, &err));
    return g;
}

/* --- the job ----------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    clvi_graph *graph;
    clv_report *report;
    clv_status status;
} outcome;

static clv_context *make_context(int threads, const volatile sig_atomic_t *cancel)
{
    clv_context *context = NULL;
    clv_context_opts opts = clv_context_opts_default();
    opts.threads = threads;
    opts.cancel = cancel;
    OK(clv_context_create(&context, &opts, &err));
    return context;
}

static outcome compress(const clvi_graph *g, const clv_compress_opts *opts, int threads,
                        const volatile sig_atomic_t *cancel)
{
    outcome out = {0};
    clv_dataset *data = NULL;
    clv_preprocess raw;
    clv_context *context = make_context(threads, cancel);
    OK(clv_preprocess_preset(&raw, "raw", &err));
    OK(clv_dataset_open(&data, images_path, NULL, &err));
    OK(clv_report_create(&out.report, &err));
    out.status = clvi_compress(&out.graph, g, data, &raw, opts, context, out.report, &err);
    clv_dataset_free(data);
    clv_context_free(context);
    return out;
}

static void outcome_free(outcome *o)
{
    clvi_graph_free(o->graph);
    clv_report_free(o->report);
}

static void images(float *to)
{
    clvi_rng rng;
    clvi_rng_seed(&rng, 3);
    for (size_t i = 0; i < (size_t)IMAGES * 3 * SIDE * SIDE; i++)
        to[i] = (float)clvi_rng_normal(&rng);
}

/* relative rms difference of the outputs of two networks on the images */
static double difference(const clvi_graph *a, const clvi_graph *b)
{
    clv_context *context = make_context(2, NULL);
    clvi_session *sa = NULL, *sb = NULL;
    clv_tensor x = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {IMAGES, 3, SIDE, SIDE}}, ya, yb;
    double d = 0, n = 0;
    x.data = clvi_alloc(IMAGES * 3 * SIDE * SIDE * sizeof(float));
    images(x.data);
    OK(clvi_session_create(&sa, a, &(clvi_session_opts){0}, context, &err));
    OK(clvi_session_create(&sb, b, &(clvi_session_opts){0}, context, &err));
    OK(clvi_session_run(sa, &x, 1, &ya, &err));
    OK(clvi_session_run(sb, &x, 1, &yb, &err));
    for (int64_t i = 0; i < clv_tensor_count(&ya); i++) {
        const double p = (double)((float *)ya.data)[i], q = (double)((float *)yb.data)[i];
        d += (p - q) * (p - q);
        n += p * p;
    }
    clvi_session_free(sa);
    clvi_session_free(sb);
    clvi_free(x.data);
    clv_context_free(context);
    return sqrt(d / n);
}

static double number(const clv_report *report, const char *path)
{
    double x;
    OK(clv_report_number(report, path, &x, &err));
    return x;
}

static clv_compress_opts small_options(void)
{
    clv_compress_opts opts = clv_compress_opts_default();
    opts.samples = 4000;
    opts.batch = 16;
    return opts;
}

static void residual_blocks_are_found(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    clvi_shapes shapes;
    clvi_sites sites;
    clv_tensor input = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {1, 3, SIDE, SIDE}};
    OK(clvi_shapes_infer(&shapes, g, &input, 1, &err));
    OK(clvi_sites_find(&sites, g, &shapes, &err));
    assert_int_equal(sites.n, 6);
    const char *const repaired[6] = {NULL, NULL, "a_sum", NULL, NULL, "b_sum"}; /* b2 comes before b_down is final */
    for (size_t i = 0; i < 6; i++) {
        const clvi_site *s = &sites.site[i];
        assert_string_equal(s->sum == CLVI_NONE ? "-" : g->values[s->sum].name, repaired[i] ? repaired[i] : "-");
    }
    clvi_sites_free(&sites);
    clvi_shapes_free(&shapes);
    clvi_graph_free(g);
}

static void more_filters_lose_less(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    clv_compress_opts opts = small_options();
    opts.multiplier = 4;
    outcome some = compress(g, &opts, 2, NULL);
    assert_int_equal(some.status, CLV_OK);
    opts.multiplier = 1;
    outcome few = compress(g, &opts, 2, NULL);
    assert_int_equal(few.status, CLV_OK);
    const double lost_some = difference(g, some.graph), lost_few = difference(g, few.graph);
    assert_true(lost_some < lost_few);
    assert_true(lost_few < 1);
    assert_true(number(few.report, "after.macs") < number(few.report, "before.macs"));
    outcome_free(&some);
    outcome_free(&few);
    clvi_graph_free(g);
}

static void stem_and_listed_layers_are_kept(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    clv_compress_opts opts = small_options();
    const char *const keep[] = {"a2"};
    opts.keep = keep;
    opts.n_keep = 1;
    outcome o = compress(g, &opts, 1, NULL);
    assert_int_equal(o.status, CLV_OK);
    assert_string_equal(clv_report_string(o.report, "layers.0.form"), "kept");
    assert_string_equal(clv_report_string(o.report, "layers.1.form"), "depthwise");
    assert_string_equal(clv_report_string(o.report, "layers.2.note"), "asked to be kept");
    assert_string_equal(clv_report_string(o.report, "layers.5.form"), "kept"); /* 1x1 */
    assert_non_null(clvi_graph_metadata(o.graph, "cleave.preprocess"));
    assert_non_null(clvi_graph_metadata(o.graph, "cleave.recipe"));
    OK(clvi_graph_verify(o.graph, &err));
    outcome_free(&o);
    const char *const wrong[] = {"a3"};
    opts.keep = wrong;
    o = compress(g, &opts, 1, NULL);
    assert_int_equal(o.status, CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "a3"));
    assert_null(o.graph);
    outcome_free(&o);
    clvi_graph_free(g);
}

/* Non-square kernels, asymmetric pads and 1-D convolutions keep their output shapes and gain with more filters. */
static void odd_geometries_are_split(void **state)
{
    (void)state;
    clvi_graph *g = make_sequence();
    clv_compress_opts opts = small_options();
    opts.first = true;
    double lost[2];
    for (int i = 0; i < 2; i++) {
        opts.multiplier = i == 0 ? 1 : 2;
        outcome o = compress(g, &opts, 2, NULL);
        if (o.status != CLV_OK)
            fail_msg("%s", err.msg);
        assert_string_equal(clv_report_string(o.report, "layers.0.form"), "depthwise");
        assert_string_equal(clv_report_string(o.report, "layers.1.form"), "depthwise");
        assert_int_equal(o.graph->nodes[0]->n_out, 1);
        lost[i] = difference(g, o.graph);
        outcome_free(&o);
    }
    assert_true(lost[1] < lost[0] && lost[0] < 1);
    clvi_graph_free(g);
}

/* Every float constant of a within 1e-4 of the same one in b, relative to its largest entry. */
static void assert_same_filters(const clvi_graph *a, const clvi_graph *b)
{
    for (size_t v = 0; v < a->n_values; v++) {
        const clv_tensor *t = a->values[v].constant;
        if (!t || t->dtype != CLV_FLOAT32)
            continue;
        const int32_t other = clvi_graph_find_value(b, a->values[v].name);
        assert_true(other != CLVI_NONE);
        const float *p = t->data, *q = b->values[other].constant->data;
        double difference = 0, largest = 0;
        for (int64_t i = 0; i < clv_tensor_count(t); i++) {
            difference = fmax(difference, fabs((double)p[i] - (double)q[i]));
            largest = fmax(largest, fabs((double)p[i]));
        }
        if (difference > 1e-4 * largest)
            fail_msg("%s: %g of %g", a->values[v].name, difference, largest);
    }
}

static void instruction_sets_choose_the_same_filters(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    const clv_compress_opts opts = small_options();
    const outcome best = compress(g, &opts, 2, NULL);
    assert_int_equal(best.status, CLV_OK);
    for (clvi_cpu level = CLVI_CPU_REF; level < clvi_cpu_detect(); level++) {
        assert_int_equal(setenv("CLEAVE_ISA", clvi_cpu_name(level), 1), 0);
        outcome o = compress(g, &opts, 2, NULL);
        assert_int_equal(unsetenv("CLEAVE_ISA"), 0);
        assert_int_equal(o.status, CLV_OK);
        assert_same_filters(best.graph, o.graph);
        outcome_free(&o);
    }
    outcome_free(&(outcome){best.graph, best.report, CLV_OK});
    clvi_graph_free(g);
}

static void threads_do_not_change_a_byte(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    for (int uneven = 0; uneven < 2; uneven++) {
        clv_compress_opts opts = small_options();
        opts.uneven = uneven != 0;
        opts.reestimate = uneven != 0;
        clvi_bytes bytes[3];
        for (int i = 0; i < 3; i++) {
            outcome o = compress(g, &opts, 1 + i, NULL);
            assert_int_equal(o.status, CLV_OK);
            OK(clvi_onnx_write_bytes(o.graph, &bytes[i], &err));
            outcome_free(&o);
        }
        for (int i = 1; i < 3; i++) {
            assert_int_equal(bytes[0].size, bytes[i].size);
            assert_memory_equal(bytes[0].data, bytes[i].data, bytes[0].size);
        }
        for (int i = 0; i < 3; i++)
            clvi_free(bytes[i].data);
    }
    clvi_graph_free(g);
}

static void every_form_and_method_writes_a_valid_network(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"depthwise", "svd"},   {"depthwise", "gsvd"},        {"depthwise", "inter-channel"}, {"depthwise", "sweeps"},
        {"depthwise", "joint"}, {"channel", "gsvd"},          {"bottleneck", "joint"},        {"spatial", "joint"},
        {"tucker2", "joint"},   {"output-depthwise", "joint"}};
    clvi_graph *g = make_network(CLV_FLOAT16);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        clv_compress_opts opts = small_options();
        clvi_bytes bytes;
        clvi_graph *again = NULL;
        opts.form = pairs[i][0];
        opts.method = pairs[i][1];
        opts.symmetric = i % 2 == 0;
        outcome o = compress(g, &opts, 2, NULL);
        if (o.status != CLV_OK)
            fail_msg("%s %s: %s", opts.form, opts.method, err.msg);
        OK(clvi_onnx_write_bytes(o.graph, &bytes, &err));
        OK(clvi_onnx_read_bytes(&again, bytes.data, bytes.size, NULL, &err));
        assert_true(difference(o.graph, again) == 0);
        for (size_t v = 0; v < again->n_values; v++) /* float16 in, float16 out */
            assert_true(!again->values[v].constant || again->values[v].constant->dtype == CLV_FLOAT16 ||
                        again->values[v].constant->dtype == CLV_INT64);
        clvi_graph_free(again);
        clvi_free(bytes.data);
        outcome_free(&o);
    }
    clvi_graph_free(g);
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    clv_compress_opts opts = small_options();
    outcome o;
    opts.form = "cubist";
    o = compress(g, &opts, 1, NULL);
    assert_int_equal(o.status, CLV_ERR_ARG);
    outcome_free(&o);
    opts = small_options();
    opts.method = NULL; /* the default */
    o = compress(g, &opts, 1, NULL);
    assert_int_equal(o.status, CLV_OK);
    assert_non_null(strstr(clvi_graph_metadata(o.graph, "cleave.recipe"), "\"method\":\"joint\""));
    outcome_free(&o);
    opts = small_options();
    opts.multiplier = 1.5;
    o = compress(g, &opts, 1, NULL);
    assert_int_equal(o.status, CLV_ERR_ARG);
    outcome_free(&o);
    opts.form = "channel"; /* as many MACs as 1.5 filters a channel would have: a size, not a number of filters */
    o = compress(g, &opts, 1, NULL);
    assert_int_equal(o.status, CLV_OK);
    outcome_free(&o);
    opts.form = NULL;
    opts.multiplier = 1000; /* nothing gains */
    o = compress(g, &opts, 1, NULL);
    assert_int_equal(o.status, CLV_ERR_UNSUP);
    outcome_free(&o);
    clvi_graph_free(g);
}

/* A budget is met by the whole network, more of it loses no more, one thread or two find the same; what cannot be
 * reached says how far one can go. */
static void budgets_are_met(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    clv_compress_opts opts = small_options();
    static const char *const budgets[] = {"macs=40%", "macs=60%", "params=70%"};
    double lost[3];
    for (int i = 0; i < 3; i++) {
        opts.budget = budgets[i];
        outcome o = compress(g, &opts, 1, NULL), again = compress(g, &opts, 2, NULL);
        if (o.status != CLV_OK)
            fail_msg("%s: %s", opts.budget, err.msg);
        const char *what = i < 2 ? "macs" : "parameters";
        char before[32], after[32];
        (void)snprintf(before, sizeof before, "before.%s", what);
        (void)snprintf(after, sizeof after, "after.%s", what);
        const double share = i == 0 ? 0.4 : i == 1 ? 0.6 : 0.7;
        assert_true(number(o.report, after) <= share * number(o.report, before));
        assert_true(number(o.report, after) > 0.5 * share * number(o.report, before));
        lost[i] = difference(g, o.graph);
        assert_true(difference(o.graph, again.graph) == 0);
        outcome_free(&o);
        outcome_free(&again);
    }
    assert_true(lost[1] < lost[0]);
    opts.budget = "macs=2%";
    outcome o = compress(g, &opts, 2, NULL);
    assert_int_equal(o.status, CLV_ERR_BUDGET);
    assert_non_null(strstr(err.msg, "nearest"));
    assert_null(o.graph);
    outcome_free(&o);
    static const char *const malformed[] = {"",          "macs",    "macs=",  "macs=x",  "macs=0%",
                                            "macs=101%", "macs=5T", "time=3", "macs=nan"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        opts.budget = malformed[i];
        o = compress(g, &opts, 1, NULL);
        assert_int_equal(o.status, CLV_ERR_ARG);
        outcome_free(&o);
    }
    clvi_graph_free(g);
}

static void nan_weights_are_named(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    clv_compress_opts opts = small_options();
    const int32_t w = clvi_graph_find_value(g, "a1.weight");
    ((float *)g->values[w].constant->data)[5] = NAN;
    outcome o = compress(g, &opts, 1, NULL);
    assert_int_equal(o.status, CLV_ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "a1"));
    outcome_free(&o);
    clvi_graph_free(g);
}

static void cancellation_leaves_nothing_behind(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    const clv_compress_opts opts = small_options();
    const volatile sig_atomic_t cancel = 1;
    const long live = clvi_mem_live();
    outcome o = compress(g, &opts, 2, &cancel);
    assert_int_equal(o.status, CLV_ERR_INTERRUPTED);
    outcome_free(&o);
    assert_int_equal(clvi_mem_live(), live);
    clvi_graph_free(g);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    clvi_graph *g = make_network(CLV_FLOAT32);
    clv_compress_opts opts = small_options();
    opts.samples = 200;
    opts.method = "gsvd";
    for (long n = 0, step = 1; n < 100000; n += step, step += n / 50) {
        const long live = clvi_mem_live();
        outcome out = {0};
        clv_dataset *data = NULL;
        clv_preprocess raw;
        clv_context *context = make_context(1, NULL);
        OK(clv_preprocess_preset(&raw, "raw", &err));
        OK(clv_dataset_open(&data, images_path, NULL, &err));
        clvi_mem_fail_after(n);
        out.status = clvi_compress(&out.graph, g, data, &raw, &opts, context, NULL, &err);
        clvi_mem_fail_after(-1);
        clv_dataset_free(data);
        clv_context_free(context);
        const bool done = out.status == CLV_OK;
        if (!done)
            assert_int_equal(out.status, CLV_ERR_NOMEM);
        outcome_free(&out);
        assert_int_equal(clvi_mem_live(), live);
        if (done)
            break;
        assert_true(n + step < 100000);
    }
    clvi_graph_free(g);
}

static int set_up(void **state)
{
    (void)state;
    clv_tensor x = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {IMAGES, 3, SIDE, SIDE}};
    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(images_path, sizeof images_path, "%s/images.npy", folder);
    x.data = clvi_alloc(IMAGES * 3 * SIDE * SIDE * sizeof(float));
    images(x.data);
    const clv_status st = clv_npy_write(&x, images_path, &err);
    clvi_free(x.data);
    return st == CLV_OK ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(images_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual_blocks_are_found),
        cmocka_unit_test(more_filters_lose_less),
        cmocka_unit_test(stem_and_listed_layers_are_kept),
        cmocka_unit_test(odd_geometries_are_split),
        cmocka_unit_test(instruction_sets_choose_the_same_filters),
        cmocka_unit_test(threads_do_not_change_a_byte),
        cmocka_unit_test(every_form_and_method_writes_a_valid_network),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(budgets_are_met),
        cmocka_unit_test(nan_weights_are_named),
        cmocka_unit_test(cancellation_leaves_nothing_behind),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
