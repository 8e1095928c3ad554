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

enum { softmax_block = 64 };

/* `width` neighbouring lines x[q], x[q + step], ...: e^(x - max) / sum, the sum in double. Taken together, so that
 * lines along an outer axis read memory in order. */
static void softmax_lines(softmax_kind kind, const float *x, float *y, int64_t n, int64_t step, int64_t width)
{
    float max[softmax_block];
    int64_t top[softmax_block] = {0};
    double sum[softmax_block] = {0};
    memcpy(max, x, (size_t)width * sizeof max[0]);
    for (int64_t i = 1; i < n; i++)
        for (int64_t q = 0; q < width; q++)
            if (x[i * step + q] > max[q]) {
                max[q] = x[i * step + q];
                top[q] = i;
            }
    for (int64_t i = 0; i < n; i++)
        for (int64_t q = 0; q < width; q++) {
            const float v = x[i * step + q] - max[q], e = kind == HARDMAX ? 0 : expf(v);
            sum[q] += (double)e;
            y[i * step + q] = kind == SOFTMAX ? e : kind == LOG_SOFTMAX ? v : i == top[q] ? 1 : 0;
        }
    if (kind == HARDMAX)
        return;
    float scale[softmax_block], shift[softmax_block];
    for (int64_t q = 0; q < width; q++) {
        scale[q] = kind == SOFTMAX ? (float)(1 / sum[q]) : 1;
        shift[q] = kind == SOFTMAX ? 0 : (float)log(sum[q]);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t q = 0; q < width; q++)
            y[i * step + q] = y[i * step + q] * scale[q] - shift[q];
}

/* Units are blocks of lines: ceil(inner / softmax_block) for every outer index. */
static void softmax_blocks(void *ctx, int64_t begin, int64_t end)
{
    const softmax_job *job = ctx;
    const clvi_axis_view v = job->view;
    const int64_t blocks = (v.inner + softmax_block - 1) / softmax_block;
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i % blocks * softmax_block, left = v.inner - first;
        const int64_t at = i / blocks * v.n * v.inner + first;
        softmax_lines(job->kind, job->x + at, job->y + at, v.n, v.inner, left < softmax_block ? left : softmax_block);
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
    const int64_t blocks = job.view.outer * ((job.view.inner + softmax_block - 1) / softmax_block);
    clvi_split_range(call->pool, blocks, 1 + 2048 / job.view.n, softmax_blocks, &job);
    return CLV_OK;
}

/* A line is read whole before its first element is overwritten, and every element is read before it is written. */
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
