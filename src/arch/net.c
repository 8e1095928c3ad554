/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/net.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

#define LONGEST_PATH 128

static bool note(clvi_net *net, clv_status st)
{
    if (net->st == CLV_OK)
        net->st = st;
    return net->st == CLV_OK;
}

static void no_memory(clvi_net *net)
{
    if (net->st == CLV_OK)
        net->st = FAIL(net->err, CLV_ERR_NOMEM, "network of %zu values", net->graph ? net->graph->n_values : 0);
}

const char *clvi_net_path(clvi_net *net, const char *format, ...)
{
    char text[LONGEST_PATH];
    va_list args;
    if (net->st != CLV_OK)
        return "";
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *const path = clvi_arena_strdup(net->graph->arena, text);
    if (!path)
        no_memory(net);
    return path ? path : "";
}

int64_t clvi_net_scaled(const clvi_net *net, int64_t channels)
{
    const double wanted = net->width * (double)channels;
    int64_t n = (int64_t)((wanted + 4) / 8) * 8;
    if (n < 8)
        n = 8;
    return (double)n < 0.9 * wanted ? n + 8 : n;
}

/* --- begin and end --------------------------------------------------------------------------------------------- */

clvi_map clvi_net_begin(clvi_net *net, const char *name, int64_t side)
{
    clvi_map x = {.id = CLVI_NONE, .channels = 3, .side = side, .power = 1};
    const clv_tensor type = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {-1, 3, side, side}};
    net->zero = net->six = CLVI_NONE;
    if (!note(net, clvi_graph_create(&net->graph, net->err)))
        return x;
    net->graph->ir_version = 7;
    net->graph->name = clvi_net_path(net, "%s", name);
    if (note(net, clvi_graph_set_opset(net->graph, "", 13, net->err)) &&
        note(net, clvi_graph_add_input(net->graph, "input", &type, &x.id, net->err)))
        net->graph->values[x.id].dim_names[0] = clvi_net_path(net, "batch");
    return x;
}

clv_status clvi_net_finish(clvi_net *net, clvi_map x)
{
    if (net->st == CLV_OK && note(net, clvi_graph_add_output(net->graph, x.id, net->err))) {
        clvi_value *const v = &net->graph->values[x.id];
        v->dtype = CLV_FLOAT32;
        v->rank = x.side ? 4 : 2;
        v->dims[0] = -1;
        v->dim_names[0] = clvi_net_path(net, "batch");
        v->dims[1] = x.channels;
        v->dims[2] = v->dims[3] = x.side;
        (void)note(net, clvi_graph_verify(net->graph, net->err));
    }
    if (net->st != CLV_OK) {
        clvi_graph_free(net->graph);
        net->graph = NULL;
    }
    return net->st;
}

/* --- nodes and constants --------------------------------------------------------------------------------------- */

static int32_t add_value(clvi_net *net, const char *name)
{
    int32_t id = CLVI_NONE;
    if (net->st == CLV_OK)
        (void)note(net, clvi_graph_add_value(net->graph, name, &id, net->err));
    return id;
}

/* A node that makes out[n_out]; NULL after a failure. */
static clvi_node *append(clvi_net *net, const clvi_node *like)
{
    if (net->st != CLV_OK)
        return NULL;
    clvi_node *const node =
        clvi_node_new(net->graph, like->op_type, like->name, like->in, like->n_in, like->out, like->n_out);
    if (!node) {
        no_memory(net);
        return NULL;
    }
    return note(net, clvi_graph_append(net->graph, node, net->err)) ? node : NULL;
}

clvi_node *clvi_net_node(clvi_net *net, const char *op, const char *path, const int32_t *in, size_t n_in, int32_t *out)
{
    *out = add_value(net, path);
    return append(net,
                  &(clvi_node){.op_type = op, .name = path, .in = (int32_t *)in, .n_in = n_in, .out = out, .n_out = 1});
}

void clvi_net_int(clvi_net *net, clvi_node *node, const char *name, int64_t value)
{
    if (net->st == CLV_OK)
        (void)note(net, clvi_node_set_int(net->graph, node, name, value, net->err));
}

void clvi_net_ints(clvi_net *net, clvi_node *node, const char *name, const int64_t *ints, size_t n)
{
    if (net->st == CLV_OK)
        (void)note(net, clvi_node_set_ints(net->graph, node, name, ints, n, net->err));
}

static int32_t constant(clvi_net *net, const char *name, const clv_tensor *tensor)
{
    int32_t id = CLVI_NONE;
    if (net->st == CLV_OK)
        (void)note(net, clvi_graph_add_constant(net->graph, name, tensor, &id, net->err));
    return id;
}

int32_t clvi_net_ints_constant(clvi_net *net, const char *name, const int64_t *ints, int64_t n)
{
    int64_t *const copy = clvi_alloc_array((size_t)n, sizeof *copy);
    if (!copy) {
        no_memory(net);
        return CLVI_NONE;
    }
    memcpy(copy, ints, (size_t)n * sizeof *copy);
    const clv_tensor t = {.dtype = CLV_INT64, .rank = 1, .dims = {n}, .data = copy};
    const int32_t id = constant(net, name, &t);
    clvi_free(copy);
    return id;
}

static int32_t scalar(clvi_net *net, const char *name, float value)
{
    const clv_tensor t = {.dtype = CLV_FLOAT32, .rank = 0, .data = &value};
    return constant(net, name, &t);
}

/* How the elements of a weight are drawn: normal around mean, or uniform in [lo, hi) when hi > lo. */
typedef struct draw {
    double mean, deviation, lo, hi;
} draw;

/* shape: dtype, rank and dims of the weight */
static int32_t weight(clvi_net *net, const char *name, clv_tensor shape, draw from)
{
    const int64_t n = clv_tensor_count(&shape);
    clvi_rng rng;
    if (net->st != CLV_OK)
        return CLVI_NONE;
    if (n < 1) {
        net->st = FAIL(net->err, CLV_ERR_ARG, "\"%s\" would have no elements, or too many to count", name);
        return CLVI_NONE;
    }
    float *const data = clvi_alloc_array((size_t)n, sizeof *data);
    if (!data) {
        no_memory(net);
        return CLVI_NONE;
    }
    clvi_rng_seed_stream(&rng, net->seed, net->streams++);
    for (int64_t i = 0; i < n; i++)
        data[i] = from.hi > from.lo      ? (float)(from.lo + (from.hi - from.lo) * clvi_rng_uniform(&rng))
                  : from.deviation > 0.0 ? (float)(from.mean + from.deviation * clvi_rng_normal(&rng))
                                         : (float)from.mean;
    shape.dtype = CLV_FLOAT32;
    shape.data = data;
    const int32_t id = constant(net, name, &shape);
    clvi_free(data);
    return id;
}

static clv_tensor vector(int64_t n)
{
    return (clv_tensor){.rank = 1, .dims = {n}};
}

/* --- layers ---------------------------------------------------------------------------------------------------- */

static int64_t windows(int64_t side, int64_t kernel, int64_t stride, int64_t pads)
{
    return side + pads < kernel ? 0 : (side + pads - kernel) / stride + 1;
}

static void check_side(clvi_net *net, const char *path, int64_t side)
{
    if (net->st == CLV_OK && side < 1)
        net->st = FAIL(net->err, CLV_ERR_ARG, "nothing is left of the image at \"%s\": the input is too small", path);
}

clvi_map clvi_net_conv(clvi_net *net, clvi_map x, const char *path, clvi_conv_spec s)
{
    const int64_t groups = s.groups ? s.groups : 1, stride = s.stride ? s.stride : 1;
    const int64_t pad = s.unpadded ? 0 : s.kernel / 2, fan_in = x.channels / groups * s.kernel * s.kernel;
    const clv_tensor shape = {.rank = 4, .dims = {s.out, x.channels / groups, s.kernel, s.kernel}};
    clvi_map y = {.channels = s.out, .side = windows(x.side, s.kernel, stride, 2 * pad), .power = 2 * x.power};
    check_side(net, path, y.side);
    const int32_t w =
        weight(net, clvi_net_path(net, "%s.weight", path), shape, (draw){.deviation = sqrt(2.0 / (double)fan_in)});
    const int32_t b = s.bias ? weight(net, clvi_net_path(net, "%s.bias", path), vector(s.out), (draw){0}) : CLVI_NONE;
    clvi_node *const node = clvi_net_node(net, "Conv", path, (const int32_t[]){x.id, w, b}, s.bias ? 3 : 2, &y.id);
    clvi_net_ints(net, node, "kernel_shape", (const int64_t[]){s.kernel, s.kernel}, 2);
    clvi_net_ints(net, node, "strides", (const int64_t[]){stride, stride}, 2);
    clvi_net_ints(net, node, "pads", (const int64_t[]){pad, pad, pad, pad}, 4);
    clvi_net_ints(net, node, "dilations", (const int64_t[]){1, 1}, 2);
    clvi_net_int(net, node, "group", groups);
    return y;
}

clvi_map clvi_net_batchnorm(clvi_net *net, clvi_map x, const char *path)
{
    clvi_map y = x;
    const clv_tensor shape = vector(x.channels);
    const draw one = {.mean = 1}, none = {0}, mean = {.deviation = 0.1 * sqrt(x.power)},
               variance = {.lo = 0.8 * x.power, .hi = 1.25 * x.power};
    const int32_t in[] = {x.id, weight(net, clvi_net_path(net, "%s.scale", path), shape, one),
                          weight(net, clvi_net_path(net, "%s.bias", path), shape, none),
                          weight(net, clvi_net_path(net, "%s.mean", path), shape, mean),
                          weight(net, clvi_net_path(net, "%s.var", path), shape, variance)};
    clvi_node *const node = clvi_net_node(net, "BatchNormalization", path, in, 5, &y.id);
    if (net->st == CLV_OK)
        (void)note(net, clvi_node_set_float(net->graph, node, "epsilon", 1e-5F, net->err));
    y.mean = 0;
    y.power = 1;
    return y;
}

/* E max(z, 0) and E max(z, 0)^2 for z of N(mean, power - mean^2). */
static void rectify(clvi_map *y)
{
    const double m = y->mean, variance = y->power - m * m, s = sqrt(variance > 1e-12 * y->power ? variance : 1e-12);
    const double below = 0.5 * erfc(-m / s / sqrt(2.0)), density = exp(-0.5 * m * m / (s * s)) / sqrt(2.0 * acos(-1.0));
    y->mean = m * below + s * density;
    y->power = y->power * below + m * s * density;
}

static int32_t relu6(clvi_net *net, clvi_map x, const char *path)
{
    int32_t y;
    if (net->zero == CLVI_NONE) {
        net->zero = scalar(net, "zero", 0);
        net->six = scalar(net, "six", 6);
    }
    (void)clvi_net_node(net, "Clip", path, (const int32_t[]){x.id, net->zero, net->six}, 3, &y);
    return y;
}

clvi_map clvi_net_activate(clvi_net *net, clvi_map x, const char *path, clvi_net_activation kind)
{
    clvi_map y = x;
    int32_t gate;
    switch (kind) {
    case CLVI_LINEAR:
        break;
    case CLVI_RELU:
        (void)clvi_net_node(net, "Relu", path, &x.id, 1, &y.id);
        rectify(&y);
        break;
    case CLVI_RELU6:
        y.id = relu6(net, x, path);
        rectify(&y);
        break;
    case CLVI_SWISH: /* z sigmoid(z) has mean 0.207 and mean square 0.356 for z of N(0, 1) */
        (void)clvi_net_node(net, "Sigmoid", clvi_net_path(net, "%s.sigmoid", path), &x.id, 1, &gate);
        (void)clvi_net_node(net, "Mul", path, (const int32_t[]){x.id, gate}, 2, &y.id);
        y.mean = 0.207 * sqrt(x.power);
        y.power = 0.356 * x.power;
        break;
    }
    return y;
}

clvi_map clvi_net_unit(clvi_net *net, clvi_map x, const char *path, clvi_conv_spec spec, clvi_net_activation kind)
{
    static const char *const names[] = {"", "relu", "relu6", "swish"};
    x = clvi_net_conv(net, x, clvi_net_path(net, "%s.conv", path), spec);
    x = clvi_net_batchnorm(net, x, clvi_net_path(net, "%s.bn", path));
    return clvi_net_activate(net, x, clvi_net_path(net, "%s.%s", path, names[kind]), kind);
}

clvi_map clvi_net_add(clvi_net *net, clvi_map a, clvi_map b, const char *path)
{
    clvi_map y = a;
    (void)clvi_net_node(net, "Add", path, (const int32_t[]){a.id, b.id}, 2, &y.id);
    y.mean = a.mean + b.mean;
    y.power = a.power + b.power + 2 * a.mean * b.mean;
    return y;
}

clvi_map clvi_net_concat(clvi_net *net, clvi_map a, clvi_map b, const char *path)
{
    clvi_map y = a;
    clvi_node *const node = clvi_net_node(net, "Concat", path, (const int32_t[]){a.id, b.id}, 2, &y.id);
    clvi_net_int(net, node, "axis", 1);
    y.channels = a.channels + b.channels;
    y.mean = (a.mean * (double)a.channels + b.mean * (double)b.channels) / (double)y.channels;
    y.power = (a.power * (double)a.channels + b.power * (double)b.channels) / (double)y.channels;
    return y;
}

void clvi_net_split(clvi_net *net, const char *path, const int32_t in[2], clvi_map half[2])
{
    int32_t out[2];
    for (int i = 0; i < 2; i++)
        half[i].id = out[i] = add_value(net, clvi_net_path(net, "%s.%d", path, i));
    clvi_node *const node = append(
        net, &(clvi_node){.op_type = "Split", .name = path, .in = (int32_t *)in, .n_in = 2, .out = out, .n_out = 2});
    clvi_net_int(net, node, "axis", 1);
}

clvi_map clvi_net_maxpool(clvi_net *net, clvi_map x, const char *path, clvi_pool_spec s)
{
    clvi_map y = x;
    clvi_node *const node = clvi_net_node(net, "MaxPool", path, &x.id, 1, &y.id);
    clvi_net_ints(net, node, "kernel_shape", (const int64_t[]){s.kernel, s.kernel}, 2);
    clvi_net_ints(net, node, "strides", (const int64_t[]){s.stride, s.stride}, 2);
    clvi_net_ints(net, node, "pads", (const int64_t[]){s.pad, s.pad, s.pad, s.pad}, 4);
    if (s.ceil)
        clvi_net_int(net, node, "ceil_mode", 1);
    y.side = windows(x.side + (s.ceil ? s.stride - 1 : 0), s.kernel, s.stride, 2 * s.pad);
    check_side(net, path, y.side);
    return y;
}

clvi_map clvi_net_global_average(clvi_net *net, clvi_map x, const char *path)
{
    clvi_map y = x;
    (void)clvi_net_node(net, "GlobalAveragePool", path, &x.id, 1, &y.id);
    y.side = 1;
    return y;
}

clvi_map clvi_net_flatten(clvi_net *net, clvi_map x, const char *path)
{
    clvi_map y = x;
    clvi_node *const node = clvi_net_node(net, "Flatten", path, &x.id, 1, &y.id);
    clvi_net_int(net, node, "axis", 1);
    y.channels = x.channels * x.side * x.side;
    y.side = 0;
    return y;
}

static clvi_map linear(clvi_net *net, clvi_map x, const char *path, const char *value, int64_t out)
{
    clvi_map y = {.channels = out, .power = x.power};
    const clv_tensor shape = {.rank = 2, .dims = {out, x.channels}};
    const draw normal = {.deviation = sqrt(1.0 / (double)x.channels)};
    const int32_t w = weight(net, clvi_net_path(net, "%s.weight", path), shape, normal),
                  b = weight(net, clvi_net_path(net, "%s.bias", path), vector(out), (draw){0});
    int32_t in[] = {x.id, w, b};
    y.id = add_value(net, value);
    clvi_node *const node =
        append(net, &(clvi_node){.op_type = "Gemm", .name = path, .in = in, .n_in = 3, .out = &y.id, .n_out = 1});
    clvi_net_int(net, node, "transB", 1);
    return y;
}

clvi_map clvi_net_linear(clvi_net *net, clvi_map x, const char *path, int64_t out)
{
    return linear(net, x, path, path, out);
}

clvi_map clvi_net_logits(clvi_net *net, clvi_map x, const char *path)
{
    return linear(net, x, path, "logits", net->classes);
}

clvi_map clvi_net_classify(clvi_net *net, clvi_map x)
{
    x = clvi_net_global_average(net, x, "pool");
    x = clvi_net_flatten(net, x, "flatten");
    return clvi_net_logits(net, x, "classifier");
}
