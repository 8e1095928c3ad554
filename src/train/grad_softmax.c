/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax over the numbers that stand together in memory: the last axis, or the channels of what is channels last.
 *
 *   y = exp(x - max) / sum,   dx = y (dy - sum y dy) */
#include <math.h>

#include "train/node.h"

static clv_status prepare(clvi_tnode *node, clv_error *err)
{
    const clv_tensor *const x = node->x[0];
    const int64_t opset = clvi_graph_opset(node->graph, "");
    const int64_t axis = clvi_node_int(node->node, "axis", opset < 13 ? 1 : -1);
    const int64_t at = axis < 0 ? axis + x->rank : axis, inner = x->rank == 4 ? 1 : x->rank - 1;
    if (at != inner || (opset < 13 && x->rank != 2))
        return FAIL(err, CLV_ERR_UNSUP, "Softmax over axis %d of rank %d cannot be trained through", (int)axis,
                    x->rank);
    return CLV_OK;
}

static size_t length(const clvi_tnode *node)
{
    const clv_tensor *const x = node->x[0];
    return (size_t)x->dims[x->rank == 4 ? 1 : x->rank - 1];
}

static clv_status forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    const size_t n = (size_t)clv_tensor_count(node->y[0]), c = length(node);
    (void)err;
    for (size_t r = 0; r < n; r += c) {
        float high = x[r];
        double sum = 0;
        for (size_t i = 1; i < c; i++)
            high = x[r + i] > high ? x[r + i] : high;
        for (size_t i = 0; i < c; i++)
            sum += (double)(y[r + i] = expf(x[r + i] - high));
        for (size_t i = 0; i < c; i++)
            y[r + i] = (float)((double)y[r + i] / sum);
    }
    return CLV_OK;
}

static clv_status backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const float *const y = clvi_tout(node, run, 0), *const dy = clvi_tgrad_out(node, run, 0);
    float *const dx = clvi_tgrad_in(node, run, 0);
    const size_t n = (size_t)clv_tensor_count(node->y[0]), c = length(node);
    (void)err;
    for (size_t r = 0; r < n; r += c) {
        double dot = 0;
        for (size_t i = 0; i < c; i++)
            dot += (double)y[r + i] * (double)dy[r + i];
        for (size_t i = 0; i < c; i++) {
            const float g = y[r + i] * (dy[r + i] - (float)dot);
            dx[r + i] = node->add[0] ? dx[r + i] + g : g;
        }
    }
    return CLV_OK;
}

const clvi_gradient clvi_gradient_softmax = {
    .type = "Softmax", .saves = CLVI_SAVE_OUT, .prepare = prepare, .forward = forward, .backward = backward};
