/* SPDX-License-Identifier: Apache-2.0 */
/* Activations, element by element: each a function and its derivative, written in what is cheapest to keep. */
#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "train/node.h"

static size_t count_of(const clvi_tnode *node)
{
    return (size_t)clv_tensor_count(node->y[0]);
}

static void put(float *dx, float g, bool add)
{
    *dx = add ? *dx + g : g;
}

/* --- Relu -------------------------------------------------------------------------------------------------------- */

static clv_status relu_forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    (void)err;
    clvi_tloops(node->plan)->relu(clvi_tout(node, run, 0), clvi_tin(node, run, 0), count_of(node));
    return CLV_OK;
}

static clv_status relu_backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    (void)err;
    clvi_tloops(node->plan)
        ->relu_back(clvi_tgrad_in(node, run, 0), clvi_tgrad_out(node, run, 0), clvi_tout(node, run, 0), count_of(node),
                    node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_relu = {
    .type = "Relu", .saves = CLVI_SAVE_OUT, .forward = relu_forward, .backward = relu_backward, .in_place = 1};

/* --- two numbers: Clip, LeakyRelu, HardSigmoid ------------------------------------------------------------------- */

typedef struct two {
    float a, b;
} two;

static clv_status set_two(clvi_tnode *node, float a, float b, clv_error *err)
{
    two *const t = clvi_alloc(sizeof *t);
    if (!t)
        return FAIL(err, CLV_ERR_NOMEM, "activation");
    *t = (two){a, b};
    node->state = t;
    return CLV_OK;
}

static void release(void *state)
{
    clvi_free(state);
}

/* The bound is an input since opset 11, an attribute before. */
static clv_status bound(const clvi_tnode *node, size_t i, const char *name, float absent, float *out, clv_error *err)
{
    *out = clvi_node_float(node->node, name, absent);
    if (i >= node->node->n_in || !node->x[i])
        return CLV_OK;
    if (!node->x[i]->data || node->x[i]->dtype != CLV_FLOAT32)
        return FAIL(err, CLV_ERR_UNSUP, "a bound of Clip is not a constant");
    *out = *(const float *)node->x[i]->data;
    return CLV_OK;
}

static clv_status clip_prepare(clvi_tnode *node, clv_error *err)
{
    float low, high;
    TRY(bound(node, 1, "min", -FLT_MAX, &low, err));
    TRY(bound(node, 2, "max", FLT_MAX, &high, err));
    return set_two(node, low, high, err);
}

static clv_status clip_forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const two *const t = node->state;
    const float *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        y[i] = x[i] < t->a ? t->a : x[i] > t->b ? t->b : x[i];
    return CLV_OK;
}

/* From y: between the bounds is where the derivative is 1. */
static clv_status clip_backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const two *const t = node->state;
    const float *const y = clvi_tout(node, run, 0), *const dy = clvi_tgrad_out(node, run, 0);
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        put(&dx[i], y[i] > t->a && y[i] < t->b ? dy[i] : 0, node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_clip = {.type = "Clip",
                                          .saves = CLVI_SAVE_OUT,
                                          .prepare = clip_prepare,
                                          .release = release,
                                          .forward = clip_forward,
                                          .backward = clip_backward,
                                          .in_place = 1};

static clv_status leaky_prepare(clvi_tnode *node, clv_error *err)
{
    return set_two(node, clvi_node_float(node->node, "alpha", 0.01F), 0, err);
}

static clv_status leaky_forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float alpha = ((const two *)node->state)->a, *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        y[i] = x[i] > 0 ? x[i] : alpha * x[i];
    return CLV_OK;
}

static clv_status leaky_backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float alpha = ((const two *)node->state)->a, *const x = clvi_tin(node, run, 0);
    const float *const dy = clvi_tgrad_out(node, run, 0);
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        put(&dx[i], x[i] > 0 ? dy[i] : alpha * dy[i], node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_leaky_relu = {.type = "LeakyRelu",
                                                .saves = 1u,
                                                .prepare = leaky_prepare,
                                                .release = release,
                                                .forward = leaky_forward,
                                                .backward = leaky_backward,
                                                .in_place = 1};

static clv_status hard_sigmoid_prepare(clvi_tnode *node, clv_error *err)
{
    return set_two(node, clvi_node_float(node->node, "alpha", 0.2F), clvi_node_float(node->node, "beta", 0.5F), err);
}

static clv_status hard_sigmoid_forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const two *const t = node->state;
    const float *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++) {
        const float v = t->a * x[i] + t->b;
        y[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
    return CLV_OK;
}

static clv_status hard_sigmoid_backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const two *const t = node->state;
    const float *const y = clvi_tout(node, run, 0), *const dy = clvi_tgrad_out(node, run, 0);
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        put(&dx[i], y[i] > 0 && y[i] < 1 ? t->a * dy[i] : 0, node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_hard_sigmoid = {.type = "HardSigmoid",
                                                  .saves = CLVI_SAVE_OUT,
                                                  .prepare = hard_sigmoid_prepare,
                                                  .release = release,
                                                  .forward = hard_sigmoid_forward,
                                                  .backward = hard_sigmoid_backward,
                                                  .in_place = 1};

/* --- HardSwish: x clamp(x / 6 + 1/2, 0, 1) ----------------------------------------------------------------------- */

static clv_status hard_swish_forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++) {
        const float v = x[i] / 6 + 0.5F;
        y[i] = x[i] * (v < 0 ? 0 : v > 1 ? 1 : v);
    }
    return CLV_OK;
}

static clv_status hard_swish_backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const x = clvi_tin(node, run, 0), *const dy = clvi_tgrad_out(node, run, 0);
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        put(&dx[i], dy[i] * (x[i] <= -3 ? 0 : x[i] >= 3 ? 1 : x[i] / 3 + 0.5F), node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_hard_swish = {
    .type = "HardSwish", .saves = 1u, .forward = hard_swish_forward, .backward = hard_swish_backward, .in_place = 1};

/* --- Sigmoid, Tanh, Exp: the derivative from y -------------------------------------------------------------------- */

static clv_status sigmoid_forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        y[i] = 1 / (1 + expf(-x[i]));
    return CLV_OK;
}

static clv_status sigmoid_backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const y = clvi_tout(node, run, 0), *const dy = clvi_tgrad_out(node, run, 0);
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        put(&dx[i], dy[i] * y[i] * (1 - y[i]), node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_sigmoid = {
    .type = "Sigmoid", .saves = CLVI_SAVE_OUT, .forward = sigmoid_forward, .backward = sigmoid_backward, .in_place = 1};

static clv_status tanh_forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        y[i] = tanhf(x[i]);
    return CLV_OK;
}

static clv_status tanh_backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const y = clvi_tout(node, run, 0), *const dy = clvi_tgrad_out(node, run, 0);
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        put(&dx[i], dy[i] * (1 - y[i] * y[i]), node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_tanh = {
    .type = "Tanh", .saves = CLVI_SAVE_OUT, .forward = tanh_forward, .backward = tanh_backward, .in_place = 1};

static clv_status exp_forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        y[i] = expf(x[i]);
    return CLV_OK;
}

static clv_status exp_backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const y = clvi_tout(node, run, 0), *const dy = clvi_tgrad_out(node, run, 0);
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    for (size_t i = 0, n = count_of(node); i < n; i++)
        put(&dx[i], dy[i] * y[i], node->add[0]);
    return CLV_OK;
}

const clvi_gradient clvi_gradient_exp = {
    .type = "Exp", .saves = CLVI_SAVE_OUT, .forward = exp_forward, .backward = exp_backward, .in_place = 1};
