// SPDX-License-Identifier: Apache-2.0
/* Pad: attributes below opset 11, constant inputs from there, a choice of axes from 18; negative pads crop.
 * constant, reflect, edge, and wrap (19). */
#include <string.h>

#include "base/size.h"
#include "ops/op.h"
#include "ops/region.h"
#include "ops/walk.h"

clv_status clvi_border_of(const clvi_op_call *call, clvi_border *plan, clv_error *err)
{
    int64_t pads[2 * CLV_MAX_RANK], axes[CLV_MAX_RANK];
    bool found, chosen[CLV_MAX_RANK];
    size_t count, n_axes = 0;
    const clv_tensor *x = call->in[0];

    TRY(clvi_call_ints(call, "pads", call->opset < 11 ? SIZE_MAX : 1, pads, 2 * CLV_MAX_RANK, &count, &found, err));
    if (call->opset >= 18 && clvi_call_in(call, 3))
        TRY(clvi_call_const_ints(call, 3, axes, CLV_MAX_RANK, &n_axes, err));
    else
        for (; n_axes < (size_t)x->rank; n_axes++)
            axes[n_axes] = (int64_t)n_axes;
    TRY(clvi_call_axes(call, axes, n_axes, x->rank, chosen, err));
    if (count != 2 * n_axes)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Pad has %zu pads for %zu axes", clvi_call_label(call), count,
                    n_axes);

    memset(plan->begin, 0, sizeof plan->begin);
    memcpy(plan->dims, x->dims, sizeof plan->dims);
    for (size_t i = 0; i < n_axes; i++) {
        int axis = 0;
        int64_t extent;
        TRY(clvi_call_axis(call, axes[i], x->rank, &axis, err));
        if (!clvi_add_i64(x->dims[axis], pads[i], &extent) || !clvi_add_i64(extent, pads[n_axes + i], &extent) ||
            extent < 0)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": pads %lld and %lld of axis %d, whose extent is %lld",
                        clvi_call_label(call), (long long)pads[i], (long long)pads[n_axes + i], axis,
                        (long long)x->dims[axis]);
        plan->begin[axis] = pads[i];
        plan->dims[axis] = extent;
    }
    return CLV_OK;
}

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP, PAD_UNKNOWN } pad_mode;

static pad_mode pad_mode_of(const clvi_op_call *call)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *mode = clvi_node_string(call->node, "mode", "constant");
    for (int i = 0; i < PAD_UNKNOWN; i++)
        if (!strcmp(mode, names[i]))
            return (pad_mode)i;
    return PAD_UNKNOWN;
}

bool clvi_border_is_zero(const clvi_op_call *call)
{
    const clv_tensor *const value = clvi_call_in(call, 2);
    if (pad_mode_of(call) != PAD_CONSTANT)
        return false;
    return value ? value->dtype == CLV_FLOAT32 && value->data && *(const float *)value->data == 0
                 : clvi_node_float(call->node, "value", 0) == 0;
}

static clv_status pad_infer(clvi_op_call *call, clv_error *err)
{
    clvi_border plan;
    TRY(clvi_call_arity(call, call->opset < 11 ? 1 : 2, call->opset < 11 ? 1 : call->opset < 18 ? 3 : 4, err));
    const clv_tensor *x = call->in[0], *value = clvi_call_in(call, 2);
    TRY(clvi_border_of(call, &plan, err));
    if (value && (value->dtype != x->dtype || clv_tensor_count(value) != 1))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the value of Pad must be one %s", clvi_call_label(call),
                    clv_dtype_name(x->dtype));
    const pad_mode mode = pad_mode_of(call);
    if (mode == PAD_UNKNOWN)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": Pad mode \"%s\"", clvi_call_label(call),
                    clvi_node_string(call->node, "mode", ""));
    for (int i = 0; i < x->rank; i++)
        if (mode != PAD_CONSTANT && !x->dims[i] && plan.dims[i])
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Pad of empty axis %d from its own elements",
                        clvi_call_label(call), i);
    return clvi_call_set_shape(call, call->out[0], x->dtype, x->rank, plan.dims, err);
}

/* The whole output filled, then the part of the input that is inside copied. */
static void pad_constant(clvi_op_call *call, const clvi_border *plan)
{
    const clv_tensor *x = call->in[0], *value = clvi_call_in(call, 2);
    clv_tensor *y = call->out[0];
    const size_t element = clv_dtype_size(x->dtype);
    static const char zero[16] = {0};
    float attribute = clvi_node_float(call->node, "value", 0);
    const void *fill = value ? value->data : x->dtype == CLV_FLOAT32 ? (const void *)&attribute : zero;
    int64_t dims[CLV_MAX_RANK], to[CLV_MAX_RANK], from[CLV_MAX_RANK], first_to = 0, first_from = 0;

    clvi_fill(y->data, element, fill, clv_tensor_count(y));
    clvi_dense_strides(x->rank, x->dims, element, from);
    clvi_dense_strides(x->rank, y->dims, element, to);
    for (int i = 0; i < x->rank; i++) {
        const int64_t skip_from = plan->begin[i] < 0 ? -plan->begin[i] : 0;
        const int64_t skip_to = plan->begin[i] > 0 ? plan->begin[i] : 0;
        const int64_t left_from = x->dims[i] - skip_from, left_to = y->dims[i] - skip_to;
        dims[i] = left_from < left_to ? left_from : left_to;
        if (dims[i] <= 0)
            return;
        first_from += skip_from * from[i];
        first_to += skip_to * to[i];
    }
    clvi_copy_strided(call->pool, element, x->rank, dims, (char *)y->data + first_to, to,
                      (const char *)x->data + first_from, from);
}

/* Input index that position i (may be outside [0, n)) shows. reflect: 0 1 2 3 2 1 0 1 ... */
static int64_t mirrored(pad_mode mode, int64_t i, int64_t n)
{
    if (mode == PAD_EDGE)
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    const int64_t period = mode == PAD_WRAP ? n : n > 1 ? 2 * (n - 1) : 1;
    const int64_t r = i % period < 0 ? i % period + period : i % period;
    return r < n ? r : period - r;
}

/* One int64 offset for every index of every output axis. */
static size_t pad_work(const clvi_op_call *call)
{
    int64_t sum = 0;
    if (pad_mode_of(call) != PAD_CONSTANT)
        for (int i = 0; i < call->out[0]->rank; i++)
            sum += call->out[0]->dims[i];
    return (size_t)sum * sizeof(int64_t);
}

static clv_status pad_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0], *y = call->out[0];
    const pad_mode mode = pad_mode_of(call);
    clvi_border plan;
    TRY(clvi_border_of(call, &plan, err));
    if (!clv_tensor_count(y))
        return CLV_OK;
    if (mode == PAD_CONSTANT || !x->rank) {
        pad_constant(call, &plan);
        return CLV_OK;
    }
    clvi_choice choice = {clv_dtype_size(x->dtype), x->rank, y->dims, y->data, x->data, NULL, {0}};
    int64_t stride[CLV_MAX_RANK], *next = call->work;
    clvi_dense_strides(x->rank, x->dims, choice.element, stride);
    for (int i = 0; i < y->rank; i++) {
        choice.offset[i] = next;
        for (int64_t k = 0; k < y->dims[i]; k++)
            *next++ = mirrored(mode, k - plan.begin[i], x->dims[i]) * stride[i];
    }
    clvi_copy_chosen(call->pool, &choice);
    return CLV_OK;
}

const clvi_op clvi_op_pad = {.type = "Pad", .since = 2, .infer = pad_infer, .run = pad_run, .work = pad_work};
