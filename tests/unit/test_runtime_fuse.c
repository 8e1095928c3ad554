/* SPDX-License-Identifier: Apache-2.0 */
/* Fused steps against the same network run node by node: random chains of convolutions and what follows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/context.h"
#include "base/mem.h"
#include "runtime/profile.h"
#include "runtime_graphs.h"

#define MAX_VALUES 128

/* A network under construction: images of any size, newest last. */
typedef struct net {
    clvi_graph *graph;
    clvi_rng rng;
    int32_t id[MAX_VALUES];
    int64_t c[MAX_VALUES], h[MAX_VALUES], w[MAX_VALUES];
    size_t n;
    int named;
} net;

static size_t below(net *g, size_t n)
{
    return (size_t)clvi_rng_below(&g->rng, n);
}

static const char *fresh(net *g)
{
    static char name[32];
    (void)snprintf(name, sizeof name, "v%d", g->named++);
    return name;
}

static void push(net *g, int32_t id, int64_t c, int64_t h, int64_t w)
{
    g->id[g->n] = id;
    g->c[g->n] = c;
    g->h[g->n] = h;
    g->w[g->n] = w;
    g->n++;
}

static int32_t weights(net *g, int64_t a, int64_t b, int64_t kh, int64_t kw)
{
    const float scale = 1.0F / sqrtf((float)(b * kh * kw));
    return add_random(g->graph, fresh(g), 4, DIMS(a, b, kh, kw), clvi_rng_u64(&g->rng), scale, 0.0F);
}

/* groups 0: depthwise with multiplier o / c. */
static void conv(net *g, size_t from, int64_t o, int64_t kh, int64_t kw, int64_t stride, int64_t dilation,
                 bool depthwise)
{
    const int64_t c = g->c[from], pads[4] = {kh / 2, (kw - 1) / 2, (kh - 1) / 2, kw / 2};
    const int64_t reach_h = (kh - 1) * dilation + 1, reach_w = (kw - 1) * dilation + 1;
    const int64_t slack_h = g->h[from] + kh - 1 - reach_h, slack_w = g->w[from] + kw - 1 - reach_w;
    if (slack_h < 0 || slack_w < 0)
        return;
    const int32_t w = weights(g, o, depthwise ? 1 : c, kh, kw);
    const int32_t b = add_random(g->graph, fresh(g), 1, DIMS(o), clvi_rng_u64(&g->rng), 0.3F, 0.0F);
    const int32_t y = below(g, 4) ? NODE(g->graph, "Conv", IDS(g->id[from], w, b), fresh(g))
                                  : NODE(g->graph, "Conv", IDS(g->id[from], w), fresh(g));
    clvi_node *const node = last_node(g->graph);
    assert_int_equal(clvi_node_set_ints(g->graph, node, "pads", pads, 4, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(g->graph, node, "strides", DIMS(stride, stride), 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(g->graph, node, "dilations", DIMS(dilation, dilation), 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_int(g->graph, node, "group", depthwise ? c : 1, NULL), CLV_OK);
    push(g, y, o, slack_h / stride + 1, slack_w / stride + 1);
}

static void unary(net *g, size_t from, const char *type)
{
    const int32_t y = NODE(g->graph, type, IDS(g->id[from]), fresh(g));
    push(g, y, g->c[from], g->h[from], g->w[from]);
}

static void clip(net *g, size_t from)
{
    const float lo = -0.2F, hi = 0.9F;
    const int32_t low = add_constant(g->graph, fresh(g), tensor_of(CLV_FLOAT32, 0, NULL, (void *)(uintptr_t)&lo));
    const int32_t high = add_constant(g->graph, fresh(g), tensor_of(CLV_FLOAT32, 0, NULL, (void *)(uintptr_t)&hi));
    push(g, NODE(g->graph, "Clip", IDS(g->id[from], low, high), fresh(g)), g->c[from], g->h[from], g->w[from]);
}

static void silu(net *g, size_t from)
{
    unary(g, from, "Sigmoid");
    push(g, NODE(g->graph, "Mul", IDS(g->id[from], g->id[g->n - 1]), fresh(g)), g->c[from], g->h[from], g->w[from]);
}

static void hard_swish(net *g, size_t from)
{
    unary(g, from, "HardSigmoid");
    assert_int_equal(clvi_node_set_float(g->graph, last_node(g->graph), "alpha", 1.0F / 6, NULL), CLV_OK);
    push(g, NODE(g->graph, "Mul", IDS(g->id[from], g->id[g->n - 1]), fresh(g)), g->c[from], g->h[from], g->w[from]);
}

static void leak(net *g, size_t from)
{
    const int64_t c = below(g, 3) ? g->c[from] : 1;
    if (below(g, 2)) {
        unary(g, from, "LeakyRelu");
        return;
    }
    const int32_t slope = add_random(g->graph, fresh(g), 3, DIMS(c, 1, 1), clvi_rng_u64(&g->rng), 0.5F, 0.0F);
    push(g, NODE(g->graph, "PRelu", IDS(g->id[from], slope), fresh(g)), g->c[from], g->h[from], g->w[from]);
}

static void activation(net *g)
{
    switch (below(g, 9)) {
    case 6:
        hard_swish(g, g->n - 1);
        break;
    case 7:
        leak(g, g->n - 1);
        break;
    case 8:
        unary(g, g->n - 1, "HardSigmoid");
        break;
    case 0:
        clip(g, g->n - 1);
        break;
    case 1:
        silu(g, g->n - 1);
        break;
    case 2:
        unary(g, g->n - 1, below(g, 2) ? "Sigmoid" : "Tanh");
        break;
    case 3:
        break;
    default:
        unary(g, g->n - 1, "Relu");
        break;
    }
}

/* The newest image plus an earlier one of its shape, if there is one. */
static void shortcut(net *g)
{
    const size_t to = g->n - 1;
    for (size_t i = 0; i < to; i++) {
        if (g->c[i] != g->c[to] || g->h[i] != g->h[to] || g->w[i] != g->w[to])
            continue;
        push(g, NODE(g->graph, below(g, 3) ? "Add" : "Mul", IDS(g->id[to], g->id[i]), fresh(g)), g->c[to], g->h[to],
             g->w[to]);
        return;
    }
}

static void attention(net *g)
{
    const size_t x = g->n - 1;
    push(g, NODE(g->graph, "GlobalAveragePool", IDS(g->id[x]), fresh(g)), g->c[x], 1, 1);
    conv(g, g->n - 1, 4, 1, 1, 1, 1, false);
    unary(g, g->n - 1, "Relu");
    conv(g, g->n - 1, g->c[x], 1, 1, 1, 1, false);
    unary(g, g->n - 1, "Sigmoid");
    push(g, NODE(g->graph, "Mul", IDS(g->id[x], g->id[g->n - 1]), fresh(g)), g->c[x], g->h[x], g->w[x]);
}

/* Windows of every size, stride and pads; those of a maximum dilated, too. */
static void pool(net *g)
{
    const size_t x = g->n - 1;
    const bool maximum = below(g, 2) != 0;
    int64_t kernel[2], stride[2], dilation[2], pads[4], out[2];
    for (size_t a = 0; a < 2; a++) {
        kernel[a] = 1 + (int64_t)below(g, 4);
        stride[a] = 1 + (int64_t)below(g, 3);
        dilation[a] = maximum ? 1 + (int64_t)below(g, 2) : 1;
        pads[a] = (int64_t)below(g, (size_t)kernel[a]);
        pads[a + 2] = (int64_t)below(g, (size_t)kernel[a]);
        out[a] = (a ? g->w[x] : g->h[x]) + pads[a] + pads[a + 2] - (kernel[a] - 1) * dilation[a] - 1;
        if (out[a] < 0)
            return;
        out[a] = out[a] / stride[a] + 1;
    }
    const int32_t y = NODE(g->graph, maximum ? "MaxPool" : "AveragePool", IDS(g->id[x]), fresh(g));
    clvi_node *const node = last_node(g->graph);
    assert_int_equal(clvi_node_set_ints(g->graph, node, "kernel_shape", kernel, 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(g->graph, node, "strides", stride, 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(g->graph, node, "pads", pads, 4, NULL), CLV_OK);
    if (maximum)
        assert_int_equal(clvi_node_set_ints(g->graph, node, "dilations", dilation, 2, NULL), CLV_OK);
    else
        assert_int_equal(clvi_node_set_int(g->graph, node, "count_include_pad", (int64_t)below(g, 2), NULL), CLV_OK);
    push(g, y, g->c[x], out[0], out[1]);
}

/* Two halves of the channels, one of them worked on, put together and shuffled. */
static void split_and_shuffle(net *g)
{
    const size_t x = g->n - 1;
    const int64_t c = g->c[x], h = g->h[x], w = g->w[x];
    int32_t half[2];
    if (c % 2 != 0 || c > 64)
        return;
    for (int i = 0; i < 2; i++)
        assert_int_equal(clvi_graph_add_value(g->graph, fresh(g), &half[i], NULL), CLV_OK);
    const int32_t sizes = add_ints(g->graph, fresh(g), 2, DIMS(c / 2, c / 2));
    clvi_node *const split = clvi_node_new(g->graph, "Split", "", IDS(g->id[x], sizes), 2, half, 2);
    assert_int_equal(clvi_node_set_int(g->graph, split, "axis", 1, NULL), CLV_OK);
    assert_int_equal(clvi_graph_append(g->graph, split, NULL), CLV_OK);
    push(g, half[1], c / 2, h, w);
    conv(g, g->n - 1, c / 2, 1, 1, 1, 1, false);
    int32_t y = NODE(g->graph, "Concat", IDS(half[0], g->id[g->n - 1]), fresh(g));
    assert_int_equal(clvi_node_set_int(g->graph, last_node(g->graph), "axis", 1, NULL), CLV_OK);
    y = NODE(g->graph, "Reshape", IDS(y, add_ints(g->graph, fresh(g), 5, DIMS(0, 2, c / 2, h, w))), fresh(g));
    y = NODE(g->graph, "Transpose", IDS(y), fresh(g));
    assert_int_equal(clvi_node_set_ints(g->graph, last_node(g->graph), "perm", DIMS(0, 2, 1, 3, 4), 5, NULL), CLV_OK);
    y = NODE(g->graph, "Reshape", IDS(y, add_ints(g->graph, fresh(g), 4, DIMS(0, c, h, w))), fresh(g));
    push(g, y, c, h, w);
}

/* Two or three convolutions of one image, one of them with a shortcut, put together. */
static void branches(net *g)
{
    const size_t x = g->n - 1;
    int32_t part[3];
    int64_t c = 0;
    const size_t n = 2 + below(g, 2);
    for (size_t i = 0; i < n; i++) {
        const size_t before = g->n;
        conv(g, x, i == 0 ? g->c[x] : 1 + (int64_t)below(g, 20), 1 + 2 * (int64_t)below(g, 2), 1, 1, 1, false);
        assert_int_equal(g->n, before + 1);
        if (i == 0 && below(g, 2))
            push(g, NODE(g->graph, "Add", IDS(g->id[g->n - 1], g->id[x]), fresh(g)), g->c[x], g->h[x], g->w[x]);
        activation(g);
        part[i] = g->id[g->n - 1];
        c += g->c[g->n - 1];
    }
    const int32_t y = n == 2 ? NODE(g->graph, "Concat", IDS(part[0], part[1]), fresh(g))
                             : NODE(g->graph, "Concat", IDS(part[0], part[1], part[2]), fresh(g));
    assert_int_equal(clvi_node_set_int(g->graph, last_node(g->graph), "axis", 1, NULL), CLV_OK);
    push(g, y, c, g->h[x], g->w[x]);
}

/* Elements start, start + step, ... of one axis of v, whose extent is that. */
static int32_t slice(net *g, int32_t v, int64_t axis, int64_t start, int64_t end, int64_t step)
{
    return NODE(g->graph, "Slice",
                IDS(v, add_ints(g->graph, fresh(g), 1, DIMS(start)), add_ints(g->graph, fresh(g), 1, DIMS(end)),
                    add_ints(g->graph, fresh(g), 1, DIMS(axis)), add_ints(g->graph, fresh(g), 1, DIMS(step))),
                fresh(g));
}

/* A block of a ResNet where the map shrinks: its shortcut is every other pixel, between channels of zeros. */
static void shrinking(net *g)
{
    const size_t x = g->n - 1;
    const int64_t c = g->c[x], h = g->h[x], w = g->w[x], cut = below(g, 3) || c < 2 ? 0 : 1, kept = c - cut;
    const int64_t front = (int64_t)below(g, 4), o = kept + front + (int64_t)below(g, 4);
    const int64_t step = h > 2 && w > 2 ? 2 : 1, start = step == 2 ? (int64_t)below(g, 2) : 0;
    const int64_t rows = (h - start + step - 1) / step, columns = (w - start + step - 1) / step;
    conv(g, x, o, 3, 3, step, 1, false);
    const size_t y = g->n - 1;
    int32_t v = g->id[x];
    if (cut)
        v = slice(g, v, 1, cut, INT64_MAX, 1);
    v = slice(g, v, 2, start, INT64_MAX, step);
    v = slice(g, v, -1, start, w, step);
    const int32_t pads = add_ints(g->graph, fresh(g), 8, DIMS(0, front, 0, 0, 0, o - kept - front, 0, 0));
    push(g, NODE(g->graph, "Pad", IDS(v, pads), fresh(g)), o, rows, columns);
    if (rows == g->h[y] && columns == g->w[y])
        push(g, NODE(g->graph, "Add", IDS(g->id[y], g->id[g->n - 1]), fresh(g)), o, rows, columns);
}

static void block(net *g)
{
    static const int64_t windows[][2] = {{3, 3}, {5, 5}, {1, 1}, {3, 1}, {1, 5}, {2, 2}};
    const int64_t *const k = windows[below(g, 6)], o = 1 + (int64_t)below(g, 40), c = g->c[g->n - 1];
    const int64_t stride = 1 + (int64_t)below(g, 2), dilation = below(g, 4) ? 1 : 2;
    switch (below(g, 10)) {
    case 9:
        shrinking(g);
        break;
    case 8:
        branches(g);
        break;
    case 0:
    case 1: /* separable, with and without a multiplier */
        conv(g, g->n - 1, c * (int64_t)(1 + below(g, 3)), k[0], k[1], stride, dilation, true);
        activation(g);
        conv(g, g->n - 1, below(g, 2) ? c : o, 1, 1, 1, 1, false);
        break;
    case 2: /* an inverted residual */
        conv(g, g->n - 1, 3 * c, 1, 1, 1, 1, false);
        activation(g);
        conv(g, g->n - 1, 3 * c, k[0], k[1], stride, 1, true);
        activation(g);
        conv(g, g->n - 1, c, 1, 1, 1, 1, false);
        break;
    case 3: /* squeeze and excitation, in an inverted residual or alone */
        if (below(g, 2)) {
            conv(g, g->n - 1, 3 * c, 1, 1, 1, 1, false);
            activation(g);
            conv(g, g->n - 1, 3 * c, k[0], k[1], stride, 1, true);
            activation(g);
        }
        attention(g);
        if (below(g, 3))
            conv(g, g->n - 1, below(g, 2) ? c : o, 1, 1, 1, 1, false);
        break;
    case 4:
        pool(g);
        break;
    case 5:
        split_and_shuffle(g);
        if (below(g, 2))
            split_and_shuffle(g);
        break;
    default:
        conv(g, g->n - 1, o, k[0], k[1], stride, dilation, false);
        break;
    }
    if (below(g, 2))
        shortcut(g);
    activation(g);
    if (g->c[g->n - 1] > 80)
        conv(g, g->n - 1, 16, 1, 1, 1, 1, false);
}

/* A convolution of a picture, depthwise and pointwise. */
static void first_layers(net *g)
{
    const int64_t kh = 1 + (int64_t)below(g, 5), kw = 1 + (int64_t)below(g, 5), o = 1 + (int64_t)below(g, 40);
    conv(g, g->n - 1, o, kh, kw, 1 + (int64_t)below(g, 2), 1 + (int64_t)below(g, 2), false);
    activation(g);
    conv(g, g->n - 1, g->c[g->n - 1], 3, 3, 1 + (int64_t)below(g, 2), 1, true);
    activation(g);
    if (below(g, 3))
        conv(g, g->n - 1, o, 1, 1, 1, 1, false);
    activation(g);
}

static void classifier(net *g)
{
    const size_t x = g->n - 1;
    const int64_t c = g->c[x], o = 1 + (int64_t)below(g, 70);
    int32_t y = NODE(g->graph, "GlobalAveragePool", IDS(g->id[x]), fresh(g));
    y = NODE(g->graph, "Flatten", IDS(y), fresh(g));
    const int32_t w = add_random(g->graph, fresh(g), 2, DIMS(o, c), clvi_rng_u64(&g->rng), 0.5F, 0.0F);
    const int32_t b = add_random(g->graph, fresh(g), 1, DIMS(o), clvi_rng_u64(&g->rng), 0.3F, 0.0F);
    push(g, below(g, 4) ? NODE(g->graph, "Gemm", IDS(y, w, b), fresh(g)) : NODE(g->graph, "Gemm", IDS(y, w), fresh(g)),
         o, 1, 1);
    assert_int_equal(clvi_node_set_int(g->graph, last_node(g->graph), "transB", 1, NULL), CLV_OK);
}

static void random_net(net *g, uint64_t seed)
{
    *g = (net){.graph = new_graph(13)};
    clvi_rng_seed(&g->rng, seed);
    const bool picture = below(g, 3) == 0;
    const int64_t c = 1 + (int64_t)below(g, picture ? 4 : 20), h = 3 + (int64_t)below(g, 20),
                  w = 3 + (int64_t)below(g, 20);
    push(g, add_input(g->graph, "x", CLV_FLOAT32, 4, DIMS(-1, c, h, w)), c, h, w);
    if (picture)
        first_layers(g);
    for (size_t i = 0, n = 1 + below(g, 4); i < n; i++)
        block(g);
    if (g->n == 1)
        unary(g, 0, "Relu");
    if (below(g, 3) == 0)
        classifier(g);
    add_output(g->graph, g->id[g->n - 1]);
}

/* Outputs and two inner values, copied. Gives out[3]. */
static void run(const net *g, const int32_t fetch[3], unsigned dont_fuse, int threads, const char *isa,
                clv_tensor out[3])
{
    static float x[2 * 20 * 22 * 22];
    clvi_rng rng;
    clvi_session *session = NULL;
    clv_context *context = NULL;
    clv_context_opts context_opts = clv_context_opts_default();
    context_opts.threads = threads;
    context_opts.isa = isa;
    const clvi_session_opts opts = {
        .fetch = fetch, .n_fetch = 3, .dont_fuse = dont_fuse, .fuse_always = dont_fuse % 2 == 0, .profile = true};
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(2, g->c[0], g->h[0], g->w[0]), x);
    clvi_rng_seed(&rng, 3);
    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = (float)clvi_rng_normal(&rng);
    assert_int_equal(clv_context_create(&context, &context_opts, NULL), CLV_OK);
    assert_int_equal(clvi_session_create(&session, g->graph, &opts, context, NULL), CLV_OK);
    assert_int_equal(clvi_session_run(session, &in, 1, out, NULL), CLV_OK);
    const long calls = clvi_mem_calls();
    assert_int_equal(clvi_session_run(session, &in, 1, out, NULL), CLV_OK); /* memory of the run before is reused */
    assert_int_equal(clvi_mem_calls(), calls);
    for (size_t i = 0; i < 3; i++) {
        const size_t bytes = (size_t)clv_tensor_count(&out[i]) * sizeof(float);
        void *const copy = clvi_alloc(bytes);
        memcpy(copy, out[i].data, bytes);
        out[i].data = copy;
    }
    clvi_session_free(session);
    clv_context_free(context);
}

static void release(clv_tensor out[3])
{
    for (size_t i = 0; i < 3; i++)
        clvi_free(out[i].data);
}

static void check_near(const clv_tensor *got, const clv_tensor *want, uint64_t seed)
{
    double largest = 1e-3, worst = 0;
    assert_int_equal(got->rank, want->rank);
    assert_memory_equal(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims);
    for (int64_t i = 0; i < clv_tensor_count(want); i++) {
        const double a = (double)((const float *)got->data)[i], b = (double)((const float *)want->data)[i];
        largest = fmax(largest, fabs(b));
        worst = fmax(worst, fabs(a - b));
    }
    if (!(worst <= 2e-5 * largest))
        fail_msg("seed %llu: differs by %g of %g", (unsigned long long)seed, worst, largest);
}

static void check_same(const clv_tensor *got, const clv_tensor *want)
{
    assert_memory_equal(got->data, want->data, (size_t)clv_tensor_count(want) * sizeof(float));
}

static uint64_t networks = 150; /* test_runtime_fuse NETWORKS: another number of them */

/* Every switch, every level of this machine; inner values are fetched, so each chain is also cut at random. */
static void fused_equals_unfused(void **state)
{
    static const unsigned off[] = {0, CLVI_FUSE_INVERTED, CLVI_FUSE_SEPARABLE, CLVI_FUSE_EPILOGUE, CLVI_FUSE_WINOGRAD};
    static const char *const levels[] = {"avx512", "avx2", "neon", "ref"};
    (void)state;
    for (uint64_t seed = 1; seed <= networks; seed++) {
        net g;
        random_net(&g, seed);
        const int32_t fetch[3] = {g.id[g.n - 1], g.id[below(&g, g.n)], g.id[below(&g, g.n)]};
        clv_tensor want[3], got[3], again[3];
        run(&g, fetch, CLVI_FUSE_ALL, 1, "ref", want);
        for (size_t l = 0; l < COUNT(levels); l++) {
            clvi_cpu level;
            if (!clvi_cpu_parse(levels[l], &level))
                continue;
            for (size_t f = 0; f < COUNT(off); f++) {
                run(&g, fetch, off[f], 1, levels[l], got);
                run(&g, fetch, off[f], 3, levels[l], again);
                for (size_t i = 0; i < 3; i++) {
                    check_near(&got[i], &want[i], seed);
                    check_same(&again[i], &got[i]);
                }
                release(got);
                release(again);
            }
        }
        release(want);
        clvi_graph_free(g.graph);
    }
}

/* What the profile names: an inverted residual with a shortcut is this many steps, and no conversion is made twice. */
static void chains_become_steps(void **state)
{
    (void)state;
    net g = {.graph = new_graph(13)};
    clvi_session *session = NULL;
    clvi_profile_row rows[16];
    float x[8 * 49] = {0};
    clv_tensor out;
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 8, 7, 7), x);
    clvi_rng_seed(&g.rng, 1);
    push(&g, add_input(g.graph, "x", CLV_FLOAT32, 4, DIMS(-1, 8, 7, 7)), 8, 7, 7);
    conv(&g, 0, 8, 1, 1, 1, 1, false);
    const size_t trunk = g.n - 1;
    conv(&g, trunk, 24, 1, 1, 1, 1, false);
    unary(&g, g.n - 1, "Relu");
    conv(&g, g.n - 1, 24, 3, 3, 1, 1, true);
    unary(&g, g.n - 1, "Relu");
    conv(&g, g.n - 1, 8, 1, 1, 1, 1, false);
    add_output(g.graph, NODE(g.graph, "Add", IDS(g.id[g.n - 1], g.id[trunk]), "y"));
    const clvi_session_opts opts = {.profile = true, .fuse_always = true};
    assert_int_equal(clvi_session_create(&session, g.graph, &opts, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_session_profile(session, rows, COUNT(rows)), 0);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
    const size_t n = clvi_session_profile(session, rows, COUNT(rows));
    int64_t macs = 0;
    for (size_t i = 0; i < n; i++) {
        macs += rows[i].macs;
        assert_int_equal(rows[i].runs, 1);
        assert_true(rows[i].bytes > 0 && rows[i].nodes && rows[i].kernel && rows[i].least <= rows[i].seconds);
    }
    /* to pixels, 1x1, 1x1 + Relu + 3x3 + Relu + 1x1 + Add, from pixels */
    assert_int_equal(n, 4);
    assert_non_null(strstr(rows[2].nodes, " + "));
    assert_int_equal(macs, 49 * (8 * 8 + 8 * 24 + 24 * 9 + 24 * 8));
    clvi_session_free(session);
    clvi_graph_free(g.graph);
}

/* The steps of a network with everything fused that can be. */
static void check_kernels(const net *g, const clv_tensor *in, const char *const *kernels, size_t n)
{
    const clvi_session_opts opts = {.fuse_always = true};
    clvi_session *session = NULL;
    clvi_profile_row rows[16];
    clv_tensor out;
    assert_int_equal(clvi_session_create(&session, g->graph, &opts, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_session_run(session, in, 1, &out, NULL), CLV_OK);
    assert_int_equal(clvi_session_profile(session, rows, COUNT(rows)), n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(rows[i].kernel, kernels[i]);
    clvi_session_free(session);
}

/* The scale of squeeze and excitation runs in the convolution behind it, what stands before in one step. */
static void attention_becomes_steps(void **state)
{
    (void)state;
    net g = {.graph = new_graph(13)};
    float x[8 * 49] = {0};
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 8, 7, 7), x);
    static const char *const kernels[] = {"to channels last",           "pointwise + depthwise",
                                          "global mean, channels last", "convolution, channels last",
                                          "convolution, channels last", "convolution, channels last",
                                          "from channels last"};
    clvi_rng_seed(&g.rng, 1);
    push(&g, add_input(g.graph, "x", CLV_FLOAT32, 4, DIMS(-1, 8, 7, 7)), 8, 7, 7);
    conv(&g, 0, 24, 1, 1, 1, 1, false);
    silu(&g, g.n - 1);
    conv(&g, g.n - 1, 24, 3, 3, 1, 1, true);
    hard_swish(&g, g.n - 1);
    attention(&g);
    conv(&g, g.n - 1, 8, 1, 1, 1, 1, false);
    add_output(g.graph, g.id[g.n - 1]);
    check_kernels(&g, &in, kernels, COUNT(kernels));
    clvi_graph_free(g.graph);
}

/* The shortcut of a block where the map shrinks is one step, before those of the block, whose last one adds it. */
static void a_shortcut_of_slices_is_added_in_the_chain(void **state)
{
    (void)state;
    net g = {.graph = new_graph(13)};
    float x[8 * 64] = {0};
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 8, 8, 8), x);
    static const char *const kernels[] = {"to channels last",           "convolution, channels last",
                                          "part, channels last",        "convolution, channels last",
                                          "convolution, channels last", "from channels last"};
    clvi_rng_seed(&g.rng, 1);
    push(&g, add_input(g.graph, "x", CLV_FLOAT32, 4, DIMS(-1, 8, 8, 8)), 8, 8, 8);
    conv(&g, 0, 8, 1, 1, 1, 1, false);
    const size_t trunk = g.n - 1;
    conv(&g, trunk, 16, 3, 3, 2, 1, false);
    conv(&g, g.n - 1, 16, 1, 1, 1, 1, false);
    const int32_t half = slice(&g, slice(&g, g.id[trunk], 2, 0, 8, 2), 3, 0, 8, 2);
    const int32_t pads = add_ints(g.graph, fresh(&g), 8, DIMS(0, 4, 0, 0, 0, 4, 0, 0));
    const int32_t wide = NODE(g.graph, "Pad", IDS(half, pads), fresh(&g));
    add_output(g.graph, NODE(g.graph, "Relu", IDS(NODE(g.graph, "Add", IDS(g.id[g.n - 1], wide), fresh(&g))), "y"));
    check_kernels(&g, &in, kernels, COUNT(kernels));
    clvi_graph_free(g.graph);
}

static void environment_switches_fusion(void **state)
{
    (void)state;
    clv_error err = {0};
    clvi_session *session = NULL;
    clvi_profile_row rows[8];
    float x[4 * 9] = {0};
    clv_tensor out;
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 4, 3, 3), x);
    const clvi_session_opts opts = {.fuse_always = true};
    net g = {.graph = new_graph(13)};
    push(&g, add_input(g.graph, "x", CLV_FLOAT32, 4, DIMS(-1, 4, 3, 3)), 4, 3, 3);
    conv(&g, 0, 4, 3, 3, 1, 1, false);
    unary(&g, 1, "Relu");
    add_output(g.graph, g.id[2]);
    static const struct {
        const char *text;
        size_t steps;
    } cases[] = {{"none", 2}, {"layout", 4}, {"layout,epilogue", 3}, {"", 3}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(setenv("CLEAVE_FUSE", cases[i].text, 1), 0);
        assert_int_equal(clvi_session_create(&session, g.graph, &opts, NULL, NULL), CLV_OK);
        assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
        assert_int_equal(clvi_session_profile(session, rows, COUNT(rows)), cases[i].steps);
        clvi_session_free(session);
    }
    assert_int_equal(setenv("CLEAVE_FUSE", "layout,nonsense", 1), 0);
    assert_int_equal(clvi_session_create(&session, g.graph, NULL, NULL, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "nonsense"));
    assert_int_equal(unsetenv("CLEAVE_FUSE"), 0);
    clvi_graph_free(g.graph);
}

/* Two tiny convolutions with a transpose of rows and columns between them: the changes of form would cost more than the
 * convolutions gain. */
static void small_regions_stay_dense(void **state)
{
    (void)state;
    clvi_session *session = NULL;
    clvi_profile_row rows[8];
    float x[4 * 9] = {0};
    clv_tensor out;
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 4, 3, 3), x);
    net g = {.graph = new_graph(13)};
    push(&g, add_input(g.graph, "x", CLV_FLOAT32, 4, DIMS(-1, 4, 3, 3)), 4, 3, 3);
    conv(&g, 0, 4, 1, 1, 1, 1, false);
    const int32_t turned = NODE(g.graph, "Transpose", IDS(g.id[1]), "turned");
    assert_int_equal(clvi_node_set_ints(g.graph, last_node(g.graph), "perm", DIMS(0, 1, 3, 2), 4, NULL), CLV_OK);
    push(&g, turned, 4, 3, 3);
    conv(&g, 2, 4, 1, 1, 1, 1, false);
    add_output(g.graph, g.id[3]);
    for (int always = 0; always < 2; always++) {
        const clvi_session_opts opts = {.fuse_always = always};
        assert_int_equal(clvi_session_create(&session, g.graph, &opts, NULL, NULL), CLV_OK);
        assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
        assert_int_equal(clvi_session_profile(session, rows, COUNT(rows)), always ? 7 : 3);
        clvi_session_free(session);
    }
    clvi_graph_free(g.graph);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        networks = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fused_equals_unfused),
        cmocka_unit_test(chains_become_steps),
        cmocka_unit_test(attention_becomes_steps),
        cmocka_unit_test(environment_switches_fusion),
        cmocka_unit_test(a_shortcut_of_slices_is_added_in_the_chain),
        cmocka_unit_test(small_regions_stay_dense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
