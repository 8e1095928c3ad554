// SPDX-License-Identifier: Apache-2.0
/* Concat and its inverse Split: blocks of rows along one axis, any element size. */
#include <string.h>

#include "base/size.h"
#include "ops/op.h"
#include "ops/walk.h"

/* One part [outer, n, inner] of a whole [outer, whole_n, inner] that starts at index `first` of the axis. */
static void copy_part(const clvi_op_call *call, const clv_tensor *part, int axis, int64_t first,
                      const clv_tensor *whole, bool join)
{
    const int64_t element = (int64_t)clv_dtype_size(part->dtype);
    const clvi_axis_view p = clvi_view_axis(part, axis), w = clvi_view_axis(whole, axis);
    const int64_t dims[2] = {p.outer, p.n * p.inner};
    const int64_t part_stride[2] = {p.n * p.inner * element, element},
                  whole_stride[2] = {w.n * w.inner * element, element};
    if (!p.outer || !dims[1])
        return;
    char *at = (char *)whole->data + first * w.inner * element;
    if (join)
        clvi_copy_strided(call->pool, (size_t)element, 2, dims, at, whole_stride, part->data, part_stride);
    else
        clvi_copy_strided(call->pool, (size_t)element, 2, dims, part->data, part_stride, at, whole_stride);
}

static clv_status concat_infer(clvi_op_call *call, clv_error *err)
{
    int axis = 0;
    TRY(clvi_call_arity(call, call->n_in ? call->n_in : 1, SIZE_MAX, err));
    const clv_tensor *first = call->in[0];
    const clvi_attr *attr = clvi_node_attr(call->node, "axis");
    if (!attr && call->opset >= 4)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Concat has no axis", clvi_call_label(call));
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 1), first->rank, &axis, err));
    int64_t dims[CLV_MAX_RANK];
    memcpy(dims, first->dims, sizeof dims);
    for (size_t k = 1; k < call->n_in; k++) {
        const clv_tensor *x = call->in[k];
        bool same = x->dtype == first->dtype && x->rank == first->rank;
        for (int i = 0; i < first->rank && same; i++)
            same = i == axis || x->dims[i] == dims[i];
        if (!same || !clvi_add_i64(dims[axis], x->dims[axis], &dims[axis]))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": input %zu of Concat does not fit input 0 off axis %d",
                        clvi_call_label(call), k, axis);
    }
    return clvi_call_set_shape(call, call->out[0], first->dtype, first->rank, dims, err);
}

static clv_status concat_run(clvi_op_call *call, clv_error *err)
{
    int axis = 0;
    int64_t at = 0;
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 1), call->in[0]->rank, &axis, err));
    for (size_t k = 0; k < call->n_in; k++) {
        copy_part(call, call->in[k], axis, at, call->out[0], true);
        at += call->in[k]->dims[axis];
    }
    return CLV_OK;
}

const clvi_op clvi_op_concat = {.type = "Concat", .since = 1, .infer = concat_infer, .run = concat_run};

/* --- Split: sizes are an attribute below 13, an input from there; none: even parts (18: the last may be smaller)
 * -------- */

/* Extent of part k; -1 when no sizes are given, or not so many. */
static int64_t listed_extent(const clvi_op_call *call, size_t k)
{
    size_t count;
    const int64_t *ints = clvi_node_ints(call->node, "split", &count);
    const clv_tensor *t = clvi_call_in(call, 1);
    if (t)
        return (int64_t)k < t->dims[0] ? ((const int64_t *)t->data)[k] : -1;
    return k < count ? ints[k] : -1;
}

static clv_status split_extent(const clvi_op_call *call, int64_t whole, size_t k, int64_t *extent, clv_error *err)
{
    const int64_t parts = (int64_t)call->n_out;
    size_t count = 0;
    clvi_node_ints(call->node, "split", &count);
    if (clvi_call_in(call, 1) || count) {
        *extent = listed_extent(call, k);
        if (*extent < 0)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Split gives part %zu of %zu no valid size",
                        clvi_call_label(call), k, call->n_out);
        return CLV_OK;
    }
    const int64_t even = whole / parts + (whole % parts != 0);
    if (whole % parts && call->opset < 18)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Split of %lld into %lld equal parts", clvi_call_label(call),
                    (long long)whole, (long long)parts);
    const int64_t left = whole - (int64_t)k * even;
    *extent = left < 0 ? 0 : left < even ? left : even;
    return CLV_OK;
}

static clv_status split_infer(clvi_op_call *call, clv_error *err)
{
    int axis = 0;
    int64_t sum = 0;
    if (call->n_in < 1 || call->n_in > 2 || !call->in[0] || !call->n_out)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Split has %zu inputs and %zu outputs", clvi_call_label(call),
                    call->n_in, call->n_out);
    const clv_tensor *x = call->in[0], *sizes = clvi_call_in(call, 1);
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 0), x->rank, &axis, err));
    if (sizes && (sizes->dtype != CLV_INT64 || sizes->rank != 1 || sizes->dims[0] != (int64_t)call->n_out))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the sizes of Split must be %zu int64", clvi_call_label(call),
                    call->n_out);
    if (sizes && !sizes->data)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": the sizes of Split are not known before the network runs",
                    clvi_call_label(call));
    if (clvi_node_int(call->node, "num_outputs", (int64_t)call->n_out) != (int64_t)call->n_out)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": num_outputs of Split is not its %zu outputs",
                    clvi_call_label(call), call->n_out);
    for (size_t k = 0; k < call->n_out; k++) {
        int64_t extent = 0, dims[CLV_MAX_RANK];
        TRY(split_extent(call, x->dims[axis], k, &extent, err));
        if (!clvi_add_i64(sum, extent, &sum))
            sum = -1;
        if (sum < 0 || sum > x->dims[axis])
            break;
        memcpy(dims, x->dims, sizeof dims);
        dims[axis] = extent;
        if (call->out[k])
            TRY(clvi_call_set_shape(call, call->out[k], x->dtype, x->rank, dims, err));
    }
    if (sum != x->dims[axis])
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the sizes of Split do not add up to %lld", clvi_call_label(call),
                    (long long)x->dims[axis]);
    return CLV_OK;
}

static clv_status split_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    int axis = 0;
    int64_t at = 0;
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 0), x->rank, &axis, err));
    for (size_t k = 0; k < call->n_out; k++) {
        int64_t extent = 0;
        TRY(split_extent(call, x->dims[axis], k, &extent, err));
        if (call->out[k])
            copy_part(call, call->out[k], axis, at, x, false);
        at += extent;
    }
    return CLV_OK;
}

const clvi_op clvi_op_split = {.type = "Split", .since = 2, .infer = split_infer, .run = split_run};
