// SPDX-License-Identifier: Apache-2.0
/* Softmax, LogSoftmax, Hardmax. Below opset 13 the input is flattened to two axes at `axis`; from 13 it is one axis. */
#include <math.h>
#include <string.h>

#include "ops/op.h"
#include "ops/walk.h"

static clv_status softmax_axis(const clvi_op_call *call, int *axis, clv_error *err)
{
    const int64_t wanted = clvi_node_int(call->node, "axis", call->opset < 13 ? 1 : -1);
    *axis = call->in[0]->rank;
    if (call->opset < 13 && wanted == call->in[0]->rank)
        return CLV_OK; /* rows of one element */
    return clvi_call_axis(call, wanted, call->in[0]->rank, axis, err);
}

static clv_status softmax_infer(clvi_op_call *call, clv_error *err)
{
    int axis;
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    if (call->in[0]->rank)
        TRY(softmax_axis(call, &axis, err));
    return clvi_call_same_shape(call, CLV_FLOAT32, err);
}

typedef enum softmax_kind { SOFTMAX, LOG_SOFTMAX, HARDMAX } softmax_kind;

typedef struct softmax_job {
    softmax_kind kind;
    clvi_axis_view view;
    const float *x;
    float *y;
} softmax_job;

/* One line x[0], x[step], ...: e^(x - max) / sum, the sum in double. */
static void softmax_line(softmax_kind kind, const float *x, float *y, int64_t n, int64_t step)
{
    int64_t top = 0;
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i * step] > x[top * step])
            top = i;
    const float max = x[top * step];
    if (kind == HARDMAX) {
        for (int64_t i = 0; i < n; i++)
            y[i * step] = i == top ? 1 : 0;
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i * step] - max, e = expf(v);
        sum += (double)e;
        y[i * step] = kind == SOFTMAX ? e : v;
    }
    const float scale = (float)(1 / sum), shift = (float)log(sum);
    for (int64_t i = 0; i < n; i++)
        y[i * step] = kind == SOFTMAX ? y[i * step] * scale : y[i * step] - shift;
}

static void softmax_lines(void *ctx, int64_t begin, int64_t end)
{
    const softmax_job *job = ctx;
    const clvi_axis_view v = job->view;
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i / v.inner * v.n * v.inner + i % v.inner;
        softmax_line(job->kind, job->x + at, job->y + at, v.n, v.inner);
    }
}

static clv_status softmax_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    softmax_job job = {.x = x->data, .y = call->out[0]->data, .view = {1, 1, 1}};
    int axis = 0;
    job.kind = clvi_node_is(call->node, "Softmax")   ? SOFTMAX
               : clvi_node_is(call->node, "Hardmax") ? HARDMAX
                                                     : LOG_SOFTMAX;
    if (!clv_tensor_count(x))
        return CLV_OK;
    if (x->rank)
        TRY(softmax_axis(call, &axis, err));
    if (x->rank && call->opset >= 13) {
        job.view = clvi_view_axis(x, axis);
    } else {
        for (int i = 0; i < x->rank; i++)
            *(i < axis ? &job.view.outer : &job.view.n) *= x->dims[i];
    }
    clvi_split_range(call->pool, job.view.outer * job.view.inner, 1 + 2048 / job.view.n, softmax_lines, &job);
    return CLV_OK;
}

/* A line is read whole before it is written. */
static bool always(const clvi_op_call *call)
{
    (void)call;
    return true;
}

#define SOFTMAX_ROW(name)                                                                        \
    {                                                                                            \
        .type = name, .since = 1, .infer = softmax_infer, .run = softmax_run, .in_place = always \
    }

const clvi_op clvi_op_softmax = SOFTMAX_ROW("Softmax");
const clvi_op clvi_op_log_softmax = SOFTMAX_ROW("LogSoftmax");
const clvi_op clvi_op_hardmax = SOFTMAX_ROW("Hardmax");
