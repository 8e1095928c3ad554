/* SPDX-License-Identifier: Apache-2.0 */
/* MaxPool and AveragePool over two axes, on oneDNN, channels last. */
#include <string.h>

#include "base/mem.h"
#include "ops/pool_shape.h"
#include "runtime/infer.h"
#include "train/node.h"

typedef struct pool_state {
    clvi_dnn_prim forward, backward;
    bool max;
} pool_state;

static void release(void *state)
{
    pool_state *const s = state;
    clvi_dnn_prim_free(&s->forward);
    clvi_dnn_prim_free(&s->backward);
    clvi_free(s);
}

typedef struct pool_layouts {
    dnnl_memory_desc_t x, y;
    dnnl_dims_t stride, kernel, dilation, begin, end;
} pool_layouts;

static clv_status layouts(pool_layouts *l, const clvi_tnode *node, clv_error *err)
{
    const clv_tensor *const x = node->x[0], *const y = node->y[0];
    clvi_pool_shape p;
    const clvi_op_call call = {.graph = node->graph,
                               .node = node->node,
                               .opset = clvi_graph_opset(node->graph, ""),
                               .n_in = node->node->n_in,
                               .n_out = node->node->n_out,
                               .in = node->x,
                               .out = node->y};
    if (x->rank != 4)
        return FAIL(err, CLV_ERR_UNSUP, "pooling over %d axes cannot be trained through", x->rank - 2);
    TRY(clvi_pool_shape_of(&call, &p, err));
    for (int a = 0; a < 2; a++) {
        l->stride[a] = p.stride[a + 1];
        l->kernel[a] = p.kernel[a + 1];
        l->dilation[a] = p.dilation[a + 1] - 1;
        l->begin[a] = p.begin[a + 1];
        const int64_t reach = (p.out[a + 1] - 1) * p.stride[a + 1] + (p.kernel[a + 1] - 1) * p.dilation[a + 1] + 1;
        l->end[a] = reach - p.in[a + 1] - p.begin[a + 1]; /* ceil_mode may reach beyond the pad, or stop before it */
        if (clvi_node_int(node->node, "count_include_pad", 0) && l->end[a] > p.end[a + 1])
            return FAIL(err, CLV_ERR_UNSUP, "count_include_pad with ceil_mode cannot be trained through");
    }
    const dnnl_dims_t xd = {x->dims[0], x->dims[1], x->dims[2], x->dims[3]};
    const dnnl_dims_t yd = {y->dims[0], y->dims[1], y->dims[2], y->dims[3]};
    if (dnnl_memory_desc_init_by_tag(&l->x, 4, xd, dnnl_f32, dnnl_nhwc) != dnnl_success ||
        dnnl_memory_desc_init_by_tag(&l->y, 4, yd, dnnl_f32, dnnl_nhwc) != dnnl_success)
        return FAIL(err, CLV_ERR_UNSUP, "oneDNN refuses these shapes");
    return CLV_OK;
}

static clv_status prepare(clvi_tnode *node, clv_error *err)
{
    static const int f_args[] = {DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_WORKSPACE};
    static const int b_args[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC, DNNL_ARG_WORKSPACE};
    pool_layouts l = {0};
    dnnl_pooling_v2_desc_t d;
    pool_state *const s = clvi_calloc(1, sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "pooling");
    node->state = s;
    s->max = clvi_node_is(node->node, "MaxPool");
    const dnnl_alg_kind_t kind = s->max                                              ? dnnl_pooling_max
                                 : clvi_node_int(node->node, "count_include_pad", 0) ? dnnl_pooling_avg_include_padding
                                                                                     : dnnl_pooling_avg_exclude_padding;
    if (node->node->n_out > 1)
        return FAIL(err, CLV_ERR_UNSUP, "MaxPool with indices cannot be trained through");
    TRY(layouts(&l, node, err));
    const int n = s->max ? 3 : 2;
    if (dnnl_pooling_v2_forward_desc_init(&d, dnnl_forward_training, kind, &l.x, &l.y, l.stride, l.kernel, l.dilation,
                                          l.begin, l.end) != dnnl_success)
        return FAIL(err, CLV_ERR_UNSUP, "oneDNN refuses this pooling");
    TRY(clvi_dnn_prim_create(&s->forward, clvi_tdnn(node->plan), &d, NULL, f_args, n, err));
    if (s->max)
        node->keep = clvi_dnn_prim_bytes(&s->forward, DNNL_ARG_WORKSPACE);
    if (!node->want[0])
        return CLV_OK;
    if (dnnl_pooling_v2_backward_desc_init(&d, kind, &l.x, &l.y, l.stride, l.kernel, l.dilation, l.begin, l.end) !=
        dnnl_success)
        return FAIL(err, CLV_ERR_UNSUP, "oneDNN refuses the gradient of this pooling");
    TRY(clvi_dnn_prim_create(&s->backward, clvi_tdnn(node->plan), &d, s->forward.desc, b_args, n, err));
    node->temp = node->add[0] ? (size_t)clv_tensor_count(node->x[0]) : 0;
    return CLV_OK;
}

static clv_status forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const pool_state *const s = node->state;
    void *const at[] = {run->lane->data[node->node->in[0]], clvi_tout(node, run, 0), clvi_tkept(node, run)};
    return clvi_dnn_run(&s->forward, clvi_tdnn(node->plan), run->worker, at, err);
}

static clv_status backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const pool_state *const s = node->state;
    float *const dx = clvi_tgrad_in(node, run, 0), *const to = node->add[0] ? clvi_ttemp(run) : dx;
    void *const at[] = {(void *)(uintptr_t)clvi_tgrad_out(node, run, 0), to, clvi_tkept(node, run)};
    TRY(clvi_dnn_run(&s->backward, clvi_tdnn(node->plan), run->worker, at, err));
    if (node->add[0])
        clvi_tloops(node->plan)->accumulate(dx, to, (size_t)clv_tensor_count(node->x[0]));
    return CLV_OK;
}

const clvi_gradient clvi_gradient_max_pool = {
    .type = "MaxPool", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_average_pool = {
    .type = "AveragePool", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
