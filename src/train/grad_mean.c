/* SPDX-License-Identifier: Apache-2.0 */
/* Means over the plane: GlobalAveragePool, and ReduceMean over both spatial axes (or over any trailing axes of what is
 * not channels last). */
#include <string.h>

#include "base/mem.h"
#include "train/node.h"

/* x: [outer, length, inner], the mean is over length. */
typedef struct mean_state {
    size_t outer, length, inner;
} mean_state;

static void release(void *state)
{
    clvi_free(state);
}

static clv_status set(clvi_tnode *node, size_t outer, size_t length, size_t inner, clv_error *err)
{
    mean_state *const s = clvi_alloc(sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "mean");
    *s = (mean_state){outer, length, inner};
    node->state = s;
    return CLV_OK;
}

static clv_status pool_prepare(clvi_tnode *node, clv_error *err)
{
    const clv_tensor *const x = node->x[0];
    if (x->rank != 4)
        return FAIL(err, CLV_ERR_UNSUP, "GlobalAveragePool of rank %d cannot be trained through", x->rank);
    return set(node, (size_t)x->dims[0], (size_t)(x->dims[2] * x->dims[3]), (size_t)x->dims[1], err);
}

/* Axes that are averaged, from the shapes: infer() has resolved attribute or input, keepdims included. Without keepdims
 * they are looked up. */
static clv_status find_axes(const clvi_tnode *node, bool chosen[CLV_MAX_RANK], clv_error *err)
{
    const clv_tensor *const x = node->x[0];
    size_t count = 0;
    const int64_t *axes = clvi_node_ints(node->node, "axes", &count);
    if (node->node->n_in > 1 && node->x[1]) {
        if (!node->x[1]->data || node->x[1]->dtype != CLV_INT64)
            return FAIL(err, CLV_ERR_UNSUP, "ReduceMean over axes that are computed cannot be trained through");
        axes = node->x[1]->data;
        count = (size_t)clv_tensor_count(node->x[1]);
    }
    for (size_t i = 0; i < count; i++)
        chosen[axes[i] < 0 ? axes[i] + x->rank : axes[i]] = true;
    if (count == 0)
        return FAIL(err, CLV_ERR_UNSUP, "ReduceMean over all axes mixes the images of a batch");
    return CLV_OK;
}

static clv_status reduce_prepare(clvi_tnode *node, clv_error *err)
{
    const clv_tensor *const x = node->x[0];
    bool chosen[CLV_MAX_RANK] = {false};
    TRY(find_axes(node, chosen, err));
    if (x->rank == 4) {
        const bool plane = !chosen[0] && !chosen[1] && chosen[2] && chosen[3];
        const bool channel = !chosen[0] && chosen[1] && !chosen[2] && !chosen[3];
        if (!plane && !(channel && node->y[0]->rank == 4))
            return FAIL(err, CLV_ERR_UNSUP, "ReduceMean is trained through over the channels or the whole plane alone");
        if (plane)
            return set(node, (size_t)x->dims[0], (size_t)(x->dims[2] * x->dims[3]), (size_t)x->dims[1], err);
        return set(node, (size_t)(x->dims[0] * x->dims[2] * x->dims[3]), (size_t)x->dims[1], 1, err);
    }
    size_t outer = 1, length = 1;
    bool seen = false;
    for (int d = 0; d < x->rank; d++) {
        if (chosen[d])
            length *= (size_t)x->dims[d];
        else
            outer *= (size_t)x->dims[d];
        if (seen && !chosen[d])
            return FAIL(err, CLV_ERR_UNSUP, "ReduceMean is trained through over trailing axes alone");
        seen |= chosen[d];
    }
    if (chosen[0] || node->y[0]->rank == 4)
        return FAIL(err, CLV_ERR_UNSUP, "this ReduceMean cannot be trained through");
    return set(node, outer, length, 1, err);
}

static clv_status forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const mean_state *const s = node->state;
    const float *const x = clvi_tin(node, run, 0);
    float *const y = clvi_tout(node, run, 0);
    (void)err;
    memset(y, 0, s->outer * s->inner * sizeof *y);
    for (size_t o = 0; o < s->outer; o++) {
        for (size_t l = 0; l < s->length; l++)
            for (size_t i = 0; i < s->inner; i++)
                y[o * s->inner + i] += x[(o * s->length + l) * s->inner + i];
        for (size_t i = 0; i < s->inner; i++)
            y[o * s->inner + i] /= (float)s->length;
    }
    return CLV_OK;
}

static clv_status backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const mean_state *const s = node->state;
    const float *const dy = clvi_tgrad_out(node, run, 0), scale = 1 / (float)s->length;
    float *const dx = clvi_tgrad_in(node, run, 0);
    (void)err;
    for (size_t o = 0; o < s->outer; o++)
        for (size_t l = 0; l < s->length; l++)
            for (size_t i = 0; i < s->inner; i++) {
                float *const to = &dx[(o * s->length + l) * s->inner + i];
                const float g = dy[o * s->inner + i] * scale;
                *to = node->add[0] ? *to + g : g;
            }
    return CLV_OK;
}

const clvi_gradient clvi_gradient_global_average_pool = {
    .type = "GlobalAveragePool", .prepare = pool_prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_reduce_mean = {
    .type = "ReduceMean", .prepare = reduce_prepare, .release = release, .forward = forward, .backward = backward};
