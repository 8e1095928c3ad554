/* SPDX-License-Identifier: Apache-2.0 */
/* Conv, ConvTranspose, Gemm and MatMul against loops in double: odd shapes, every instruction set of this machine, one
 * thread and several, weights known before the run or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "ops/conv_algo.h"
#include "ops/op.h"

extern const clvi_op clvi_op_conv, clvi_op_conv_transpose, clvi_op_gemm, clvi_op_matmul;

/* --- one node, run by hand --------------------------------------------------------------------------------------- */

typedef struct bench {
    clvi_graph *graph;
    clvi_node *node;
    clv_tensor in[3], out;
    const clv_tensor *ins[3];
    clv_tensor *outs[1];
    clvi_op_call call;
    clvi_kernels kernels;
} bench;

static void bench_open(bench *b, const char *type, size_t n_in)
{
    const int32_t ids[4] = {0, 1, 2, 3};
    *b = (bench){0};
    assert_int_equal(clvi_graph_create(&b->graph, NULL), CLV_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(clvi_graph_add_value(b->graph, (const char *[]){"x", "w", "b", "y"}[i], &(int32_t){0}, NULL),
                         CLV_OK);
    b->node = clvi_node_new(b->graph, type, "node", ids, n_in, ids + 3, 1);
    assert_non_null(b->node);
    for (size_t i = 0; i < n_in; i++)
        b->ins[i] = &b->in[i];
    b->outs[0] = &b->out;
    b->call = (clvi_op_call){
        .graph = b->graph, .node = b->node, .opset = 13, .n_in = n_in, .n_out = 1, .in = b->ins, .out = b->outs};
}

static void bench_close(bench *b)
{
    for (int i = 0; i < 3; i++)
        clvi_free(b->in[i].data);
    clvi_free(b->out.data);
    clvi_graph_free(b->graph);
}

static void tensor(clv_tensor *t, int rank, const int64_t *dims, clvi_rng *rng)
{
    *t = (clv_tensor){.dtype = CLV_FLOAT32, .rank = rank};
    for (int i = 0; i < rank; i++)
        t->dims[i] = dims[i];
    const size_t n = (size_t)clv_tensor_count(t);
    float *data = clvi_alloc_array(n, sizeof(float));
    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        data[i] = (float)(2.0 * clvi_rng_uniform(rng) - 1.0);
    t->data = data;
}

/* infer, prepare when `known`, run on `threads` threads. The output is NaN before and no allocation happens in run. */
static void execute(bench *b, const clvi_op *op, clvi_cpu level, int threads, bool known)
{
    clv_error err = {.msg = ""};
    clvi_pool *pool = NULL;
    assert_int_equal(clvi_pool_create(&pool, threads, NULL), CLV_OK);
    b->kernels = clvi_kernels_for(level);
    b->call.kernels = &b->kernels;
    b->call.pool = pool;
    b->call.state = NULL;
    if (op->infer(&b->call, &err) != CLV_OK)
        fail_msg("infer: %s", err.msg);
    if (known)
        assert_int_equal(op->prepare(&b->call, &err), CLV_OK);
    const size_t n = (size_t)clv_tensor_count(&b->out);
    clvi_free(b->out.data);
    b->out.data = clvi_alloc_array(n, sizeof(float));
    for (size_t i = 0; i < n; i++)
        ((float *)b->out.data)[i] = NAN;
    b->call.work = clvi_alloc(op->work(&b->call));
    const long before = clvi_mem_calls();
    assert_int_equal(op->run(&b->call, &err), CLV_OK);
    assert_int_equal(clvi_mem_calls(), before);
    clvi_free(b->call.work);
    op->release(b->call.state);
    clvi_pool_free(pool);
}

/* Higham 2002, 3.1: a sum of `steps` products in any order. */
static bool near(float got, double want, double magnitude, size_t steps)
{
    const double k = (double)(steps + 3) * 0x1p-24;
    return fabs((double)got - want) <= k / (1.0 - k) * magnitude + (double)FLT_MIN;
}

static clvi_cpu top_level(void)
{
    return clvi_cpu_detect();
}

/* NEON stands beside the levels of x86. */
static clvi_cpu next_level(clvi_cpu level)
{
    return top_level() == CLVI_CPU_NEON && level == CLVI_CPU_REF ? CLVI_CPU_NEON : level + 1;
}

/* --- Conv -------------------------------------------------------------------------------------------------------- */

typedef struct geometry {
    int rank;
    int64_t n, c, h, w, o, groups, kh, kw, sh, sw, dh, dw, pads[4];
    bool bias;
} geometry;

static void conv_attributes(bench *b, const geometry *g)
{
    const size_t skip = g->rank == 3;
    const int64_t strides[2] = {g->sh, g->sw}, dilations[2] = {g->dh, g->dw}, shape[2] = {g->kh, g->kw};
    const int64_t pads1[2] = {g->pads[1], g->pads[3]};
    assert_int_equal(clvi_node_set_ints(b->graph, b->node, "strides", strides + skip, 2 - skip, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(b->graph, b->node, "dilations", dilations + skip, 2 - skip, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(b->graph, b->node, "kernel_shape", shape + skip, 2 - skip, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_ints(b->graph, b->node, "pads", skip ? pads1 : g->pads, 4 - 2 * skip, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_int(b->graph, b->node, "group", g->groups, NULL), CLV_OK);
}

static void conv_open(bench *b, const char *type, const geometry *g, int64_t w0, int64_t w1, uint64_t seed)
{
    const bool flat = g->rank == 3;
    clvi_rng rng;
    clvi_rng_seed(&rng, seed);
    bench_open(b, type, g->bias ? 3 : 2);
    conv_attributes(b, g);
    tensor(&b->in[0], g->rank, (const int64_t[]){g->n, g->c, flat ? g->w : g->h, g->w}, &rng);
    tensor(&b->in[1], g->rank, (const int64_t[]){w0, w1, flat ? g->kw : g->kh, g->kw}, &rng);
    if (g->bias)
        tensor(&b->in[2], 1, &g->o, &rng);
}

static void judge(const clvi_conv_shape *s, const bench *b, const float *y, const char *how)
{
    const clvi_conv_ref p = {(size_t)s->n,  (size_t)s->c,  (size_t)s->h,  (size_t)s->w,
                             (size_t)s->o,  (size_t)s->oh, (size_t)s->ow, (size_t)s->groups,
                             (size_t)s->kh, (size_t)s->kw, (size_t)s->sh, (size_t)s->sw,
                             (size_t)s->dh, (size_t)s->dw, s->pt,         s->pl};
    const size_t n = (size_t)clv_tensor_count(&b->out), steps = (size_t)(s->c / s->groups * s->kh * s->kw);
    double *want = clvi_alloc_array(2 * n, sizeof *want);
    clvk_conv_f32__ref(&p, b->in[0].data, b->in[1].data, b->call.n_in > 2 ? b->in[2].data : NULL, want, want + n);
    for (size_t i = 0; i < n; i++)
        if (!near(y[i], want[i], want[n + i], steps))
            fail_msg("%s: c %d o %d groups %d, %dx%d window of %dx%d: output %zu is %.9g, must be %.9g", how, (int)s->c,
                     (int)s->o, (int)s->groups, (int)s->kh, (int)s->kw, (int)s->h, (int)s->w, i, (double)y[i], want[i]);
    clvi_free(want);
}

/* Each algorithm that fits, not only the one that is chosen. */
static void every_algorithm(const clvi_conv_shape *s, const bench *b, clvi_cpu level)
{
    const clvi_conv_algo *const all[] = {&clvi_conv_depthwise, &clvi_conv_whole, &clvi_conv_pointwise,
                                         &clvi_conv_im2col};
    const clvi_kernels kernels = clvi_kernels_for(level);
    float *y = clvi_alloc_array((size_t)clv_tensor_count(&b->out), sizeof(float));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i]->fits(s))
            continue;
        float *packed = clvi_alloc(all[i]->packed_bytes(s, &kernels));
        clvi_conv_job job = {.shape = s,
                             .kernels = &kernels,
                             .x = b->in[0].data,
                             .bias = b->call.n_in > 2 ? b->in[2].data : NULL,
                             .weights = all[i]->pack ? packed : b->in[1].data,
                             .y = y,
                             .work = clvi_alloc(all[i]->work_bytes(s, &kernels, 1))};
        if (all[i]->pack)
            all[i]->pack(s, &kernels, b->in[1].data, packed);
        all[i]->run(&job);
        judge(s, b, y, all[i]->name);
        clvi_free(job.work);
        clvi_free(packed);
    }
    clvi_free(y);
}

/* Image i alone gives the bits it gave in the batch. */
static void same_bits_alone(const bench *all, const geometry *g, clvi_cpu level)
{
    const size_t in = (size_t)clv_tensor_count(&all->in[0]) / (size_t)g->n,
                 out = (size_t)clv_tensor_count(&all->out) / (size_t)g->n;
    geometry one = *g;
    one.n = 1;
    for (size_t i = 0; i < (size_t)g->n; i++) {
        bench b;
        conv_open(&b, "Conv", &one, g->o, g->c / g->groups, 1);
        memcpy(b.in[0].data, (const float *)all->in[0].data + i * in, in * sizeof(float));
        memcpy(b.in[1].data, all->in[1].data, (size_t)clv_tensor_count(&all->in[1]) * sizeof(float));
        if (g->bias)
            memcpy(b.in[2].data, all->in[2].data, (size_t)g->o * sizeof(float));
        execute(&b, &clvi_op_conv, level, 2, true);
        assert_memory_equal(b.out.data, (const float *)all->out.data + i * out, out * sizeof(float));
        bench_close(&b);
    }
}

static void check_conv(const geometry *g, uint64_t seed)
{
    for (clvi_cpu level = CLVI_CPU_REF; level <= top_level(); level = next_level(level)) {
        bench b;
        clvi_conv_shape s;
        conv_open(&b, "Conv", g, g->o, g->c / g->groups, seed);
        execute(&b, &clvi_op_conv, level, 1, true);
        assert_int_equal(clvi_conv_shape_of(b.graph, b.node, &b.in[0], &b.in[1], &s, NULL), CLV_OK);
        assert_int_equal(clvi_op_conv.macs(&b.call), clvi_conv_macs(&s));
        judge(&s, &b, b.out.data, "op");
        every_algorithm(&s, &b, level);
        same_bits_alone(&b, g, level);
        const size_t bytes = (size_t)clv_tensor_count(&b.out) * sizeof(float);
        float *first = clvi_alloc(bytes);
        memcpy(first, b.out.data, bytes);
        execute(&b, &clvi_op_conv, level, 3, false);
        assert_memory_equal(first, b.out.data, bytes);
        clvi_free(first);
        bench_close(&b);
    }
}

static void conv_matches_the_formula(void **state)
{
    static const geometry cases[] = {
        /* rank n c h w  o groups kernel stride dilation pads bias */
        {4, 3, 3, 32, 32, 16, 1, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, true},   /* ResNet-20, first */
        {4, 2, 16, 32, 32, 32, 1, 3, 3, 2, 2, 1, 1, {1, 1, 1, 1}, true},  /* and strided */
        {4, 2, 64, 8, 8, 64, 1, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, true},    /* two blocks of k */
        {4, 2, 16, 9, 13, 32, 16, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, true},  /* depthwise, multiplier 2 */
        {4, 1, 5, 31, 33, 5, 5, 5, 5, 2, 2, 1, 1, {2, 2, 2, 2}, true},    /* depthwise, strided */
        {4, 2, 24, 11, 11, 10, 1, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}, true},  /* pointwise */
        {4, 2, 24, 11, 11, 10, 2, 1, 1, 2, 2, 1, 1, {0, 0, 0, 0}, false}, /* pointwise, strided, grouped */
        {4, 2, 12, 7, 9, 18, 3, 3, 2, 1, 2, 2, 1, {0, 2, 3, 1}, true},    /* grouped, dilated, lopsided pads */
        {4, 1, 3, 37, 41, 12, 1, 7, 7, 4, 3, 1, 1, {3, 3, 2, 2}, true},   /* long strides */
        {4, 2, 6, 1, 1, 130, 1, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}, true},    /* as a matrix product */
        {4, 1, 130, 5, 5, 3, 1, 5, 5, 1, 1, 1, 1, {0, 0, 0, 0}, false},   /* one output pixel, long k */
        {4, 1, 8, 6, 6, 8, 8, 3, 3, 1, 1, 3, 3, {3, 3, 3, 3}, true},      /* depthwise, dilated */
        {4, 1, 4, 10, 10, 4, 1, 1, 5, 1, 1, 1, 1, {0, 2, 0, 2}, true},    /* separable */
        {4, 1, 4, 10, 10, 4, 4, 5, 1, 1, 1, 1, 1, {2, 0, 2, 0}, true},
        {3, 2, 6, 1, 50, 9, 3, 1, 4, 1, 2, 1, 2, {0, 3, 0, 1}, true},   /* 1-D */
        {3, 3, 1, 1, 33, 1, 1, 1, 3, 1, 1, 1, 1, {0, 1, 0, 1}, false},  /* 1-D, channel attention */
        {4, 1, 2, 2, 3, 3, 1, 4, 5, 1, 1, 1, 1, {3, 4, 3, 4}, true},    /* window larger than the image */
        {4, 1, 1, 300, 2, 40, 1, 3, 1, 1, 1, 1, 1, {1, 0, 1, 0}, true}, /* narrow */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_conv(&cases[i], i + 1);
}

static int64_t pick(clvi_rng *rng, int64_t low, int64_t high)
{
    return low + (int64_t)clvi_rng_below(rng, (uint64_t)(high - low + 1));
}

static void random_geometry(clvi_rng *rng, geometry *g)
{
    *g = (geometry){
        .rank = (int)pick(rng, 3, 4), .n = pick(rng, 1, 2), .groups = pick(rng, 1, 4), .bias = pick(rng, 0, 1)};
    g->c = g->groups * pick(rng, 1, 5);
    g->o = g->groups * pick(rng, 1, 17);
    g->kh = g->rank == 3 ? 1 : pick(rng, 1, 4);
    g->kw = pick(rng, 1, 5);
    g->sh = g->rank == 3 ? 1 : pick(rng, 1, 3);
    g->sw = pick(rng, 1, 3);
    g->dh = g->rank == 3 ? 1 : pick(rng, 1, 2);
    g->dw = pick(rng, 1, 3);
    for (int i = 0; i < 4; i++)
        g->pads[i] = g->rank == 3 && i % 2 == 0 ? 0 : pick(rng, 0, 3);
    g->h = g->rank == 3 ? 1 : (g->kh - 1) * g->dh + pick(rng, 1, 12);
    g->w = (g->kw - 1) * g->dw + pick(rng, 1, 40);
}

static void conv_matches_on_random_shapes(void **state)
{
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 7);
    for (int i = 0; i < 60; i++) {
        geometry g;
        random_geometry(&rng, &g);
        check_conv(&g, (uint64_t)i);
    }
}

static void conv_algorithms_are_the_fast_ones(void **state)
{
    const clvi_kernels kernels = clvi_kernels_for(top_level());
    clvi_conv_shape s = {.n = 1,
                         .c = 32,
                         .h = 16,
                         .w = 16,
                         .o = 64,
                         .oh = 16,
                         .ow = 16,
                         .groups = 32,
                         .kh = 3,
                         .kw = 3,
                         .sh = 1,
                         .sw = 1,
                         .dh = 1,
                         .dw = 1,
                         .pt = 1,
                         .pl = 1,
                         .pb = 1,
                         .pr = 1,
                         .rank = 4};
    (void)state;
    assert_ptr_equal(clvi_conv_choose(&s, &kernels), &clvi_conv_depthwise);
    s.groups = 1;
    assert_ptr_equal(clvi_conv_choose(&s, &kernels), &clvi_conv_im2col);
    s.kh = s.kw = 1;
    s.pt = s.pl = s.pb = s.pr = 0;
    assert_ptr_equal(clvi_conv_choose(&s, &kernels), &clvi_conv_pointwise);
    s.h = s.w = s.oh = s.ow = 1;
    assert_ptr_equal(clvi_conv_choose(&s, &kernels), &clvi_conv_whole);
}

static void auto_pad_is_resolved(void **state)
{
    static const struct {
        const char *mode;
        int64_t in, kernel, stride, dilation, out, begin, end;
    } cases[] = {{"VALID", 10, 3, 1, 1, 8, 0, 0},       {"SAME_UPPER", 10, 3, 1, 1, 10, 1, 1},
                 {"SAME_UPPER", 10, 4, 1, 1, 10, 1, 2}, {"SAME_LOWER", 10, 4, 1, 1, 10, 2, 1},
                 {"SAME_UPPER", 10, 3, 2, 1, 5, 0, 1},  {"SAME_LOWER", 10, 3, 2, 1, 5, 1, 0},
                 {"SAME_UPPER", 7, 3, 2, 2, 4, 2, 2},   {"SAME_UPPER", 9, 1, 3, 1, 3, 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t stride[2] = {cases[i].stride, cases[i].stride},
                      dilation[2] = {cases[i].dilation, cases[i].dilation};
        bench b;
        clvi_conv_shape s;
        bench_open(&b, "Conv", 2);
        const clv_tensor x = {CLV_FLOAT32, 4, {1, 1, cases[i].in, cases[i].in}, NULL};
        const clv_tensor w = {CLV_FLOAT32, 4, {1, 1, cases[i].kernel, cases[i].kernel}, NULL};
        assert_int_equal(clvi_node_set_string(b.graph, b.node, "auto_pad", cases[i].mode, NULL), CLV_OK);
        assert_int_equal(clvi_node_set_ints(b.graph, b.node, "strides", stride, 2, NULL), CLV_OK);
        assert_int_equal(clvi_node_set_ints(b.graph, b.node, "dilations", dilation, 2, NULL), CLV_OK);
        assert_int_equal(clvi_conv_shape_of(b.graph, b.node, &x, &w, &s, NULL), CLV_OK);
        assert_int_equal(s.oh, cases[i].out);
        assert_int_equal(s.pt, cases[i].begin);
        assert_int_equal(s.pb, cases[i].end);
        assert_int_equal(s.ow, s.oh);
        bench_close(&b);
    }
}

static void bad_convolutions_are_refused(void **state)
{
    static const struct {
        clv_tensor x, w;
        const char *name;
        int64_t values[4];
        size_t count;
        clv_status status;
        const char *text;
    } cases[] = {
        {{CLV_FLOAT32, 4, {1, 3, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {4, 2, 3, 3}, NULL},
         NULL,
         {0},
         0,
         CLV_ERR_FORMAT,
         "2 channels"},
        {{CLV_FLOAT32, 4, {1, 3, 8, 8}, NULL}, {CLV_FLOAT32, 3, {4, 3, 3}, NULL}, NULL, {0}, 0, CLV_ERR_FORMAT, "rank"},
        {{CLV_FLOAT32, 5, {1, 3, 8, 8, 8}, NULL},
         {CLV_FLOAT32, 5, {4, 3, 3, 3, 3}, NULL},
         NULL,
         {0},
         0,
         CLV_ERR_UNSUP,
         "3-D"},
        {{CLV_FLOAT32, 4, {1, 3, 2, 8}, NULL},
         {CLV_FLOAT32, 4, {4, 3, 3, 3}, NULL},
         NULL,
         {0},
         0,
         CLV_ERR_FORMAT,
         "larger than input 2"},
        {{CLV_FLOAT32, 4, {1, 3, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {4, 3, 3, 3}, NULL},
         "strides",
         {0, 1},
         2,
         CLV_ERR_FORMAT,
         "strides[0] is 0"},
        {{CLV_FLOAT32, 4, {1, 3, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {4, 3, 3, 3}, NULL},
         "strides",
         {1},
         1,
         CLV_ERR_FORMAT,
         "1 numbers"},
        {{CLV_FLOAT32, 4, {1, 3, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {4, 3, 3, 3}, NULL},
         "pads",
         {0, -1, 0, 0},
         4,
         CLV_ERR_FORMAT,
         "pads[1] is -1"},
        {{CLV_FLOAT32, 4, {1, 3, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {4, 3, 3, 3}, NULL},
         "dilations",
         {INT64_MAX, 1},
         2,
         CLV_ERR_FORMAT,
         "dilations[0]"},
        {{CLV_FLOAT32, 4, {1, 3, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {4, 3, 3, 3}, NULL},
         "kernel_shape",
         {5, 3},
         2,
         CLV_ERR_FORMAT,
         "kernel_shape says 5"},
        {{CLV_FLOAT32, 4, {1, 3, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {0, 3, 3, 3}, NULL},
         NULL,
         {0},
         0,
         CLV_ERR_FORMAT,
         "weight dimension 0 is 0"},
        {{CLV_FLOAT32, 4, {INT32_MAX, INT32_MAX, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {4, INT32_MAX, 3, 3}, NULL},
         NULL,
         {0},
         0,
         CLV_ERR_FORMAT,
         "overflow"},
        {{CLV_FLOAT32, 4, {1, INT64_MAX, 8, 8}, NULL},
         {CLV_FLOAT32, 4, {4, 3, 3, 3}, NULL},
         NULL,
         {0},
         0,
         CLV_ERR_FORMAT,
         "dimension 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        clvi_conv_shape s;
        clv_error err = {.msg = ""};
        bench_open(&b, "Conv", 2);
        if (cases[i].name)
            assert_int_equal(clvi_node_set_ints(b.graph, b.node, cases[i].name, cases[i].values, cases[i].count, NULL),
                             CLV_OK);
        assert_int_equal(clvi_conv_shape_of(b.graph, b.node, &cases[i].x, &cases[i].w, &s, &err), cases[i].status);
        assert_non_null(strstr(err.msg, "node \"node\""));
        if (!strstr(err.msg, cases[i].text))
            fail_msg("\"%s\" does not say \"%s\"", err.msg, cases[i].text);
        bench_close(&b);
    }
    bench b;
    clv_error err = {.msg = ""};
    bench_open(&b, "Conv", 2);
    b.in[0] = (clv_tensor){CLV_FLOAT32, 4, {1, 6, 8, 8}, NULL};
    b.in[1] = (clv_tensor){CLV_FLOAT32, 4, {4, 6, 3, 3}, NULL};
    for (int64_t group = -1; group < 6; group += 5) {
        assert_int_equal(clvi_node_set_int(b.graph, b.node, "group", group, NULL), CLV_OK);
        assert_int_equal(clvi_op_conv.infer(&b.call, &err), CLV_ERR_FORMAT);
        assert_non_null(strstr(err.msg, "group is"));
    }
    assert_int_equal(clvi_node_set_int(b.graph, b.node, "group", 1, NULL), CLV_OK);
    b.in[1].dtype = CLV_INT8;
    assert_int_equal(clvi_op_conv.infer(&b.call, &err), CLV_ERR_UNSUP);
    assert_non_null(strstr(err.msg, "int8"));
    bench_close(&b);
}

/* --- ConvTranspose ----------------------------------------------------------------------------------------------- */

static void check_transpose(const geometry *g, const int64_t extra[2], uint64_t seed)
{
    const size_t skip = g->rank == 3;
    for (clvi_cpu level = CLVI_CPU_REF; level <= top_level(); level = next_level(level)) {
        bench b;
        conv_open(&b, "ConvTranspose", g, g->c, g->o / g->groups, seed);
        assert_int_equal(clvi_node_set_ints(b.graph, b.node, "output_padding", extra + skip, 2 - skip, NULL), CLV_OK);
        execute(&b, &clvi_op_conv_transpose, level, 1, true);
        const int64_t oh = skip ? 1 : g->sh * (g->h - 1) + extra[0] + (g->kh - 1) * g->dh + 1 - g->pads[0] - g->pads[2];
        const int64_t ow = g->sw * (g->w - 1) + extra[1] + (g->kw - 1) * g->dw + 1 - g->pads[1] - g->pads[3];
        const int64_t cg = g->c / g->groups, og = g->o / g->groups, window = g->kh * g->kw;
        const size_t n = (size_t)(g->n * g->o * oh * ow);
        assert_int_equal(clv_tensor_count(&b.out), n);
        double *want = clvi_calloc(2 * n, sizeof *want);
        const float *x = b.in[0].data, *w = b.in[1].data, *y = b.out.data;
        for (size_t i = 0; i < n && g->bias; i++) {
            want[i] = (double)((const float *)b.in[2].data)[i / (size_t)(oh * ow) % (size_t)g->o];
            want[n + i] = fabs(want[i]);
        }
        for (int64_t at = 0; at < g->n * g->c * g->h * g->w; at++) {
            const int64_t q = at % g->w, r = at / g->w % g->h, c = at / g->w / g->h % g->c,
                          image = at / g->w / g->h / g->c;
            for (int64_t v = 0; v < og * window; v++) {
                const int64_t o = c / cg * og + v / window, i = v % window / g->kw, j = v % g->kw;
                const int64_t row = r * g->sh + i * g->dh - g->pads[0], column = q * g->sw + j * g->dw - g->pads[1];
                if (row < 0 || row >= oh || column < 0 || column >= ow)
                    continue;
                const double product = (double)x[at] * (double)w[c * og * window + v];
                const size_t to = (size_t)(((image * g->o + o) * oh + row) * ow + column);
                want[to] += product;
                want[n + to] += fabs(product);
            }
        }
        for (size_t i = 0; i < n; i++)
            if (!near(y[i], want[i], want[n + i], (size_t)(cg * window)))
                fail_msg("transposed case %d: output %zu is %.9g, must be %.9g", (int)seed, i, (double)y[i], want[i]);
        float *first = clvi_alloc(n * sizeof(float));
        memcpy(first, y, n * sizeof(float));
        execute(&b, &clvi_op_conv_transpose, level, 3, false);
        assert_memory_equal(first, b.out.data, n * sizeof(float));
        clvi_free(first);
        clvi_free(want);
        bench_close(&b);
    }
}

static void transpose_matches_the_formula(void **state)
{
    static const geometry cases[] = {
        {4, 2, 16, 8, 8, 8, 1, 2, 2, 2, 2, 1, 1, {0, 0, 0, 0}, true},
        {4, 1, 6, 9, 7, 20, 2, 3, 3, 2, 2, 1, 1, {1, 1, 1, 1}, true},
        {4, 2, 400, 5, 6, 3, 1, 4, 3, 3, 2, 1, 2, {2, 0, 1, 3}, false}, /* two blocks of k */
        {4, 1, 4, 20, 20, 4, 4, 3, 3, 1, 1, 2, 2, {0, 1, 2, 0}, true},  /* depthwise */
        {3, 2, 5, 1, 30, 7, 1, 1, 4, 1, 3, 1, 1, {0, 1, 0, 0}, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_transpose(&cases[i], (const int64_t[]){i % 2 ? 1 : 0, i % 2 ? 1 : 0}, i + 1);
}

static void transpose_shapes_follow_output_shape(void **state)
{
    static const struct {
        const char *mode;
        int64_t wanted, out, begin, end; /* wanted 0: no output_shape; input 5, kernel 3, stride 2: 11 before pads */
    } cases[] = {{"NOTSET", 8, 8, 2, 1},      {"SAME_UPPER", 8, 8, 1, 2}, {"SAME_UPPER", 0, 10, 0, 1},
                 {"SAME_LOWER", 0, 10, 1, 0}, {"NOTSET", 12, 12, 0, 0},   {"VALID", 0, 11, 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const clv_tensor x = {CLV_FLOAT32, 4, {1, 1, 5, 5}, NULL}, w = {CLV_FLOAT32, 4, {1, 1, 3, 3}, NULL};
        const int64_t wanted[2] = {cases[i].wanted, cases[i].wanted};
        bench b;
        clvi_conv_shape s;
        bench_open(&b, "ConvTranspose", 2);
        assert_int_equal(clvi_node_set_string(b.graph, b.node, "auto_pad", cases[i].mode, NULL), CLV_OK);
        assert_int_equal(clvi_node_set_ints(b.graph, b.node, "strides", (const int64_t[]){2, 2}, 2, NULL), CLV_OK);
        if (wanted[0] > 0)
            assert_int_equal(clvi_node_set_ints(b.graph, b.node, "output_shape", wanted, 2, NULL), CLV_OK);
        assert_int_equal(clvi_conv_transpose_shape_of(b.graph, b.node, &x, &w, &s, NULL), CLV_OK);
        assert_int_equal(s.oh, cases[i].out);
        assert_int_equal(s.pt, cases[i].begin);
        assert_int_equal(s.pb, cases[i].end);
        bench_close(&b);
    }
}

/* --- Gemm and MatMul --------------------------------------------------------------------------------------------- */

/* out[i, j] against sum_t a[i*ars + t*acs] b[t*brs + j*bcs], times scale, plus start(i, j). */
typedef struct product {
    size_t m, n, k, ars, acs, brs, bcs;
    const float *a, *b, *c;
    size_t crs, ccs;
    double alpha, beta;
} product;

static void judge_product(const product *p, const float *y)
{
    for (size_t i = 0; i < p->m; i++) {
        for (size_t j = 0; j < p->n; j++) {
            double want = p->c ? p->beta * (double)p->c[i * p->crs + j * p->ccs] : 0.0, size = fabs(want);
            for (size_t t = 0; t < p->k; t++) {
                const double v =
                    p->alpha * (double)p->a[i * p->ars + t * p->acs] * (double)p->b[t * p->brs + j * p->bcs];
                want += v;
                size += fabs(v);
            }
            if (!near(y[i * p->n + j], want, size, p->k + 3))
                fail_msg("%zux%zux%zu: [%zu, %zu] is %.9g, must be %.9g", p->m, p->n, p->k, i, j,
                         (double)y[i * p->n + j], want);
        }
    }
}

static void gemm_matches_the_formula(void **state)
{
    static const size_t sizes[][3] = {{1, 1, 1},     {1, 1000, 64}, {64, 10, 64}, {13, 33, 500},
                                      {130, 140, 7}, {7, 40, 0},    {0, 5, 3}};
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 3);
    for (size_t at = 0; at < 4 * sizeof sizes / sizeof *sizes; at++) {
        const size_t m = sizes[at / 4][0], n = sizes[at / 4][1], k = sizes[at / 4][2];
        const int64_t ta = (int64_t)at % 2, tb = (int64_t)at / 2 % 2, im = (int64_t)m, in = (int64_t)n, ik = (int64_t)k;
        const int64_t shapes[6][3] = {{0}, {2, im, in}, {1, in}, {2, im, 1}, {0}, {2, 1, in}}; /* rank, dims */
        for (int c = 0; c < 6; c++) {
            for (clvi_cpu level = CLVI_CPU_REF; level <= top_level(); level = next_level(level)) {
                bench b;
                bench_open(&b, "Gemm", c == 0 ? 2 : 3);
                clvi_node_set_int(b.graph, b.node, "transA", ta, NULL);
                clvi_node_set_int(b.graph, b.node, "transB", tb, NULL);
                clvi_node_set_float(b.graph, b.node, "alpha", 0.5f, NULL);
                clvi_node_set_float(b.graph, b.node, "beta", c == 3 ? 0.0f : 2.0f, NULL);
                tensor(&b.in[0], 2, ta ? (const int64_t[]){ik, im} : (const int64_t[]){im, ik}, &rng);
                tensor(&b.in[1], 2, tb ? (const int64_t[]){in, ik} : (const int64_t[]){ik, in}, &rng);
                if (c > 0)
                    tensor(&b.in[2], (int)shapes[c][0], shapes[c] + 1, &rng);
                const product p = {m,
                                   n,
                                   k,
                                   ta ? 1 : k,
                                   ta ? m : 1,
                                   tb ? 1 : n,
                                   tb ? k : 1,
                                   b.in[0].data,
                                   b.in[1].data,
                                   c > 0 ? b.in[2].data : NULL,
                                   c == 1 ? n : c == 3,
                                   c == 1 || c == 2 || c == 5,
                                   0.5,
                                   c == 3 ? 0.0 : 2.0};
                execute(&b, &clvi_op_gemm, level, 1, true);
                judge_product(&p, b.out.data);
                float *first = clvi_alloc(m * n * sizeof(float));
                memcpy(first, b.out.data, m * n * sizeof(float));
                execute(&b, &clvi_op_gemm, level, 3, false);
                assert_memory_equal(first, b.out.data, m * n * sizeof(float));
                clvi_free(first);
                bench_close(&b);
            }
        }
    }
}

static void matmul_broadcasts(void **state)
{
    static const struct {
        int ra;
        int64_t a[4];
        int rb;
        int64_t b[4];
        int ry;
        int64_t y[4];
    } cases[] = {{2, {5, 7}, 2, {7, 40}, 2, {5, 40}},
                 {1, {7}, 2, {7, 3}, 1, {3}},
                 {2, {5, 7}, 1, {7}, 1, {5}},
                 {1, {9}, 1, {9}, 0, {0}},
                 {3, {4, 5, 7}, 2, {7, 6}, 3, {4, 5, 6}},
                 {2, {5, 7}, 3, {4, 7, 6}, 3, {4, 5, 6}},
                 {4, {2, 1, 5, 7}, 3, {3, 7, 6}, 4, {2, 3, 5, 6}},
                 {4, {1, 3, 5, 7}, 4, {2, 1, 7, 6}, 4, {2, 3, 5, 6}},
                 {1, {7}, 3, {4, 7, 6}, 2, {4, 6}},
                 {3, {4, 5, 7}, 1, {7}, 2, {4, 5}},
                 {3, {0, 5, 7}, 2, {7, 6}, 3, {0, 5, 6}},
                 {2, {5, 0}, 2, {0, 6}, 2, {5, 6}}};
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        bench_open(&b, "MatMul", 2);
        tensor(&b.in[0], cases[i].ra, cases[i].a, &rng);
        tensor(&b.in[1], cases[i].rb, cases[i].b, &rng);
        execute(&b, &clvi_op_matmul, top_level(), 2, i % 2);
        assert_int_equal(b.out.rank, cases[i].ry);
        for (int d = 0; d < cases[i].ry; d++)
            assert_int_equal(b.out.dims[d], cases[i].y[d]);
        const size_t k = (size_t)cases[i].a[cases[i].ra - 1],
                     m = cases[i].ra > 1 ? (size_t)cases[i].a[cases[i].ra - 2] : 1;
        const size_t n = cases[i].rb > 1 ? (size_t)cases[i].b[cases[i].rb - 1] : 1;
        const size_t count = m * n > 0 ? (size_t)clv_tensor_count(&b.out) / (m * n) : 0;
        for (size_t u = 0; u < count; u++) {
            /* coordinates of the two leading output dimensions, [outer, inner] with inner = 3 where both are there */
            const size_t inner = cases[i].ry == 4 ? (size_t)cases[i].y[1] : count, low = u % inner, high = u / inner;
            size_t at[2] = {0, 0};
            for (int side = 0; side < 2; side++) {
                const int rank = side ? cases[i].rb : cases[i].ra;
                const int64_t *dims = side ? cases[i].b : cases[i].a;
                const size_t d0 = rank > 2 ? (size_t)dims[rank - 3] : 1, d1 = rank > 3 ? (size_t)dims[rank - 4] : 1;
                at[side] = (d1 > 1 ? high : 0) * d0 + (d0 > 1 ? low : 0);
            }
            const product p = {m,
                               n,
                               k,
                               k,
                               1,
                               n,
                               1,
                               (const float *)b.in[0].data + at[0] * m * k,
                               (const float *)b.in[1].data + at[1] * k * n,
                               NULL,
                               0,
                               0,
                               1.0,
                               0.0};
            judge_product(&p, (const float *)b.out.data + u * m * n);
        }
        bench_close(&b);
    }
}

static void bad_products_are_refused(void **state)
{
    clv_error err = {.msg = ""};
    bench b;
    (void)state;
    bench_open(&b, "MatMul", 2);
    b.in[0] = (clv_tensor){CLV_FLOAT32, 2, {3, 4}, NULL};
    b.in[1] = (clv_tensor){CLV_FLOAT32, 2, {5, 6}, NULL};
    assert_int_equal(clvi_op_matmul.infer(&b.call, &err), CLV_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "[3, 4] and [5, 6]"));
    assert_int_equal(clvi_op_gemm.infer(&b.call, &err), CLV_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "[3, 4] and [5, 6]"));
    b.in[1] = (clv_tensor){CLV_INT64, 2, {4, 6}, NULL};
    assert_int_equal(clvi_op_matmul.infer(&b.call, &err), CLV_ERR_UNSUP);
    assert_int_equal(clvi_op_gemm.infer(&b.call, &err), CLV_ERR_UNSUP);
    b.in[0] = (clv_tensor){CLV_FLOAT32, 3, {2, 3, 4}, NULL};
    b.in[1] = (clv_tensor){CLV_FLOAT32, 3, {3, 4, 6}, NULL};
    assert_int_equal(clvi_op_matmul.infer(&b.call, &err), CLV_ERR_FORMAT);
    b.in[0] = (clv_tensor){CLV_FLOAT32, 0, {0}, NULL};
    assert_int_equal(clvi_op_matmul.infer(&b.call, &err), CLV_ERR_FORMAT);
    b.in[0] = (clv_tensor){CLV_FLOAT32, 2, {INT64_MAX / 2, 4}, NULL};
    b.in[1] = (clv_tensor){CLV_FLOAT32, 2, {4, INT64_MAX / 2}, NULL};
    assert_int_equal(clvi_op_matmul.infer(&b.call, &err), CLV_ERR_FORMAT);
    assert_int_equal(clvi_op_gemm.infer(&b.call, &err), CLV_ERR_FORMAT);
    bench_close(&b);
}

static void empty_batch_is_nothing(void **state)
{
    static const geometry g = {4, 0, 3, 8, 8, 4, 1, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, true};
    (void)state;
    for (int known = 0; known < 2; known++) {
        bench b;
        conv_open(&b, "Conv", &g, g.o, g.c, 1);
        execute(&b, &clvi_op_conv, top_level(), 2, known);
        assert_int_equal(clv_tensor_count(&b.out), 0);
        assert_int_equal(b.out.dims[2], 8);
        bench_close(&b);
        conv_open(&b, "ConvTranspose", &g, g.c, g.o, 1);
        execute(&b, &clvi_op_conv_transpose, top_level(), 2, known);
        assert_int_equal(clv_tensor_count(&b.out), 0);
        bench_close(&b);
    }
}

/* Packing constant weights is the one allocation. */
static void short_memory_is_told(void **state)
{
    static const struct {
        const char *type;
        const clvi_op *op;
        int rank;
    } cases[] = {{"Conv", &clvi_op_conv, 4},
                 {"ConvTranspose", &clvi_op_conv_transpose, 4},
                 {"Gemm", &clvi_op_gemm, 2},
                 {"MatMul", &clvi_op_matmul, 2}};
    const clvi_kernels kernels = clvi_kernels_for(CLVI_CPU_REF);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t dims[4] = {4, 4, 4, 4};
        clv_error err = {.msg = ""};
        clvi_rng rng;
        bench b;
        clvi_rng_seed(&rng, 1);
        bench_open(&b, cases[i].type, 2);
        tensor(&b.in[0], cases[i].rank, dims, &rng);
        tensor(&b.in[1], cases[i].rank, dims, &rng);
        b.call.kernels = &kernels;
        assert_int_equal(cases[i].op->infer(&b.call, &err), CLV_OK);
        const long live = clvi_mem_live();
        clvi_mem_fail_after(0);
        const clv_status st = cases[i].op->prepare(&b.call, &err);
        clvi_mem_fail_after(-1);
        assert_int_equal(st, CLV_ERR_NOMEM);
        assert_non_null(strstr(err.msg, "node \"node\""));
        assert_null(b.call.state);
        assert_int_equal(clvi_mem_live(), live);
        bench_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_matches_the_formula),
        cmocka_unit_test(conv_matches_on_random_shapes),
        cmocka_unit_test(conv_algorithms_are_the_fast_ones),
        cmocka_unit_test(auto_pad_is_resolved),
        cmocka_unit_test(bad_convolutions_are_refused),
        cmocka_unit_test(transpose_matches_the_formula),
        cmocka_unit_test(transpose_shapes_follow_output_shape),
        cmocka_unit_test(gemm_matches_the_formula),
        cmocka_unit_test(matmul_broadcasts),
        cmocka_unit_test(bad_products_are_refused),
        cmocka_unit_test(empty_batch_is_nothing),
        cmocka_unit_test(short_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
