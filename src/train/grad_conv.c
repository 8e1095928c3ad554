/* SPDX-License-Identifier: Apache-2.0 */
/* Conv of every kind (dense, grouped, depthwise, strided, dilated) on oneDNN, activations channels last.
 *
 *   y = W * x + b,   dx = W^T * dy,   dW = dy * x,   db = sum dy
 *
 * Weights are kept as oneDNN wants them (one copy for forward, one for backward) and written anew from the parameters
 * once a step; the gradient of the weights goes the other way for every lane. */
#include <string.h>

#include "base/mem.h"
#include "ops/conv_shape.h"
#include "train/node.h"
#include "train/white.h"

typedef struct conv_state {
    clvi_conv_shape s;
    clvi_dnn_prim forward, data, weights;
    clvi_dnn_prim to_forward, to_data, from_weights;
    float *w_forward, *w_data;
    float *no_bias; /* [o] zeros */
    size_t dw_floats;
    clvi_white *white; /* or NULL */
} conv_state;

static void release(void *state)
{
    conv_state *const c = state;
    clvi_dnn_prim_free(&c->forward);
    clvi_dnn_prim_free(&c->data);
    clvi_dnn_prim_free(&c->weights);
    clvi_dnn_prim_free(&c->to_forward);
    clvi_dnn_prim_free(&c->to_data);
    clvi_dnn_prim_free(&c->from_weights);
    clvi_free(c->w_forward);
    clvi_free(c->w_data);
    clvi_free(c->no_bias);
    clvi_white_free(c->white);
    clvi_free(c);
}

static clv_status describe(dnnl_memory_desc_t *md, int n, const dnnl_dim_t *dims, dnnl_format_tag_t tag, clv_error *err)
{
    if (dnnl_memory_desc_init_by_tag(md, n, dims, dnnl_f32, tag) != dnnl_success)
        return FAIL(err, CLV_ERR_UNSUP, "oneDNN refuses an array of %d axes", n);
    return CLV_OK;
}

typedef struct conv_layouts {
    dnnl_memory_desc_t x, y, b, w_any, w_onnx;
    dnnl_dims_t stride, dilation, begin, end;
} conv_layouts;

static clv_status layouts(conv_layouts *l, const clvi_conv_shape *s, clv_error *err)
{
    const dnnl_dims_t x = {s->n, s->c, s->h, s->w}, y = {s->n, s->o, s->oh, s->ow}, b = {s->o};
    const dnnl_dims_t w = {s->o, s->c, s->kh, s->kw};
    const dnnl_dims_t wg = {s->groups, s->o / s->groups, s->c / s->groups, s->kh, s->kw};
    const bool grouped = s->groups > 1;
    TRY(describe(&l->x, 4, x, dnnl_nhwc, err));
    TRY(describe(&l->y, 4, y, dnnl_nhwc, err));
    TRY(describe(&l->b, 1, b, dnnl_a, err));
    TRY(describe(&l->w_any, grouped ? 5 : 4, grouped ? wg : w, dnnl_format_tag_any, err));
    TRY(describe(&l->w_onnx, grouped ? 5 : 4, grouped ? wg : w, grouped ? dnnl_goihw : dnnl_oihw, err));
    l->stride[0] = s->sh, l->stride[1] = s->sw;
    l->dilation[0] = s->dh - 1, l->dilation[1] = s->dw - 1;
    l->begin[0] = s->pt, l->begin[1] = s->pl;
    l->end[0] = s->pb, l->end[1] = s->pr;
    return CLV_OK;
}

static clv_status make_forward(conv_state *c, clvi_dnn *dnn, const conv_layouts *l, clv_error *err)
{
    static const int args[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};
    dnnl_convolution_desc_t d;
    if (dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct, &l->x, &l->w_any,
                                                   &l->b, &l->y, l->stride, l->dilation, l->begin,
                                                   l->end) != dnnl_success)
        return FAIL(err, CLV_ERR_UNSUP, "oneDNN refuses this convolution");
    TRY(clvi_dnn_prim_create(&c->forward, dnn, &d, NULL, args, 4, err));
    TRY(clvi_dnn_reorder_create(&c->to_forward, dnn, &l->w_onnx, clvi_dnn_prim_md(&c->forward, DNNL_ARG_WEIGHTS), err));
    c->w_forward = clvi_alloc(clvi_dnn_prim_bytes(&c->forward, DNNL_ARG_WEIGHTS));
    c->no_bias = clvi_calloc((size_t)c->s.o, sizeof(float));
    return c->w_forward && c->no_bias ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "weights of a convolution");
}

static clv_status make_data(conv_state *c, clvi_dnn *dnn, const conv_layouts *l, clv_error *err)
{
    static const int args[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC};
    dnnl_convolution_desc_t d;
    if (dnnl_dilated_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &l->x, &l->w_any, &l->y,
                                                         l->stride, l->dilation, l->begin, l->end) != dnnl_success)
        return FAIL(err, CLV_ERR_UNSUP, "oneDNN refuses the gradient of this convolution's input");
    TRY(clvi_dnn_prim_create(&c->data, dnn, &d, c->forward.desc, args, 3, err));
    TRY(clvi_dnn_reorder_create(&c->to_data, dnn, &l->w_onnx, clvi_dnn_prim_md(&c->data, DNNL_ARG_WEIGHTS), err));
    c->w_data = clvi_alloc(clvi_dnn_prim_bytes(&c->data, DNNL_ARG_WEIGHTS));
    return c->w_data ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "weights of a convolution");
}

static clv_status make_weights(conv_state *c, clvi_dnn *dnn, const conv_layouts *l, clv_error *err)
{
    static const int args[] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS};
    dnnl_convolution_desc_t d;
    if (dnnl_dilated_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &l->x, &l->w_any, &l->b, &l->y,
                                                            l->stride, l->dilation, l->begin, l->end) != dnnl_success)
        return FAIL(err, CLV_ERR_UNSUP, "oneDNN refuses the gradient of this convolution's weights");
    TRY(clvi_dnn_prim_create(&c->weights, dnn, &d, c->forward.desc, args, 4, err));
    TRY(clvi_dnn_reorder_create(&c->from_weights, dnn, clvi_dnn_prim_md(&c->weights, DNNL_ARG_DIFF_WEIGHTS), &l->w_onnx,
                                err));
    c->dw_floats = (clvi_dnn_prim_bytes(&c->weights, DNNL_ARG_DIFF_WEIGHTS) / sizeof(float) + 15) / 16 * 16;
    return CLV_OK;
}

static clv_status prepare(clvi_tnode *node, clv_error *err)
{
    conv_layouts l = {0};
    conv_state *const c = clvi_calloc(1, sizeof *c);
    if (!c)
        return FAIL(err, CLV_ERR_NOMEM, "convolution");
    node->state = c;
    TRY(clvi_conv_shape_of(node->graph, node->node, node->x[0], node->x[1], &c->s, err));
    if (c->s.rank != 4)
        return FAIL(err, CLV_ERR_UNSUP, "a convolution over one axis cannot be trained through yet");
    if (!clvi_tconstant(node, 1))
        return FAIL(err, CLV_ERR_UNSUP, "weights that are computed cannot be trained");
    TRY(layouts(&l, &c->s, err));
    TRY(make_forward(c, clvi_tdnn(node->plan), &l, err));
    if (node->want[0])
        TRY(make_data(c, clvi_tdnn(node->plan), &l, err));
    if (clvi_tis_param(node, 1) || clvi_tis_param(node, 2))
        TRY(make_weights(c, clvi_tdnn(node->plan), &l, err));
    TRY(clvi_twhiten(&c->white, node, &c->s, err));
    const size_t x_floats = node->want[0] && node->add[0] ? (size_t)clv_tensor_count(node->x[0]) : 0;
    const size_t w_floats = (size_t)clv_tensor_count(node->x[1]);
    const size_t grads = c->dw_floats + (size_t)c->s.o + w_floats + 32;
    node->temp = x_floats > grads ? x_floats : grads;
    return CLV_OK;
}

static clv_status refresh(clvi_tnode *node, int worker, clv_error *err)
{
    conv_state *const c = node->state;
    float *const w = clvi_tconstant(node, 1);
    TRY(clvi_dnn_run(&c->to_forward, clvi_tdnn(node->plan), worker, (void *[]){w, c->w_forward}, err));
    return c->w_data ? clvi_dnn_run(&c->to_data, clvi_tdnn(node->plan), worker, (void *[]){w, c->w_data}, err) : CLV_OK;
}

static clv_status forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const conv_state *const c = node->state;
    const float *const b = clvi_tin(node, run, 2);
    void *const at[] = {run->lane->data[node->node->in[0]], c->w_forward, b ? (void *)(uintptr_t)b : c->no_bias,
                        clvi_tout(node, run, 0)};
    return clvi_dnn_run(&c->forward, clvi_tdnn(node->plan), run->worker, at, err);
}

static clv_status weights_back(const clvi_tnode *node, clvi_trun *run, void *dy, clv_error *err)
{
    const conv_state *const c = node->state;
    const clvi_loops *const loops = clvi_tloops(node->plan);
    float *const dw = clvi_tparam_grad(node, run, 1), *const db = clvi_tparam_grad(node, run, 2);
    float *const packed = clvi_ttemp(run), *const bias = packed + c->dw_floats;
    float *const plain = bias + ((size_t)c->s.o + 15) / 16 * 16;
    void *const at[] = {run->lane->data[node->node->in[0]], dy, packed, bias};
    if (c->white)
        clvi_white_gather(c->white, run->number, run->lane->data[node->node->in[0]]);
    TRY(clvi_dnn_run(&c->weights, clvi_tdnn(node->plan), run->worker, at, err));
    if (dw) {
        TRY(clvi_dnn_run(&c->from_weights, clvi_tdnn(node->plan), run->worker, (void *[]){packed, plain}, err));
        loops->accumulate(dw, plain, (size_t)clv_tensor_count(node->x[1]));
    }
    if (db)
        loops->accumulate(db, bias, (size_t)c->s.o);
    return CLV_OK;
}

static clv_status backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const conv_state *const c = node->state;
    void *const dy = (void *)(uintptr_t)clvi_tgrad_out(node, run, 0);
    if (c->weights.primitive)
        TRY(weights_back(node, run, dy, err));
    float *const dx = clvi_tgrad_in(node, run, 0);
    if (!dx)
        return CLV_OK;
    float *const to = node->add[0] ? clvi_ttemp(run) : dx;
    TRY(clvi_dnn_run(&c->data, clvi_tdnn(node->plan), run->worker, (void *[]){dy, c->w_data, to}, err));
    if (node->add[0])
        clvi_tloops(node->plan)->accumulate(dx, to, (size_t)clv_tensor_count(node->x[0]));
    return CLV_OK;
}

const clvi_gradient clvi_gradient_conv = {.type = "Conv",
                                          .saves = 1u,
                                          .params = 6u,
                                          .prepare = prepare,
                                          .release = release,
                                          .refresh = refresh,
                                          .forward = forward,
                                          .backward = backward};
