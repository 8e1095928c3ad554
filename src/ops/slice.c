// SPDX-License-Identifier: Apache-2.0
/* Slice: attributes below opset 10, constant inputs from there; ends are clamped as in NumPy, steps may be negative. */
#include <string.h>

#include "ops/op.h"
#include "ops/region.h"
#include "ops/walk.h"

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* start : end : step over an axis of `extent`. */
static void slice_axis(clvi_slice *plan, int axis, int64_t extent, int64_t start, int64_t end, int64_t step)
{
    const int64_t low = step > 0 ? 0 : -1; /* what "before the first" is */
    start = clamp(start < 0 ? start + extent : start, 0, extent + low);
    end = clamp(end < 0 ? end + extent : end, low, extent + low);
    const int64_t span = step > 0 ? end - start : start - end;
    const int64_t stride = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    plan->start[axis] = start;
    plan->dims[axis] = extent > 0 && span > 0 ? (span - 1) / stride + 1 : 0;
    plan->step[axis] = plan->dims[axis] > 1 ? step : 1; /* a lone element needs no step, which could overflow */
}

static clv_status slice_list(const clvi_op_call *call, const char *name, size_t input, int64_t *out, size_t *count,
                             clv_error *err)
{
    bool found = true;
    if (call->opset >= 10) {
        *count = 0;
        return clvi_call_in(call, input) ? clvi_call_const_ints(call, input, out, CLV_MAX_RANK, count, err) : CLV_OK;
    }
    return clvi_call_ints(call, name, SIZE_MAX, out, CLV_MAX_RANK, count, &found, err);
}

clv_status clvi_slice_of(const clvi_op_call *call, clvi_slice *plan, clv_error *err)
{
    int64_t starts[CLV_MAX_RANK], ends[CLV_MAX_RANK], axes[CLV_MAX_RANK], steps[CLV_MAX_RANK];
    size_t count, n_ends, n_axes, n_steps = 0;
    bool chosen[CLV_MAX_RANK];
    const clv_tensor *x = call->in[0];

    TRY(slice_list(call, "starts", 1, starts, &count, err));
    TRY(slice_list(call, "ends", 2, ends, &n_ends, err));
    TRY(slice_list(call, "axes", 3, axes, &n_axes, err));
    TRY(slice_list(call, "steps", 4, steps, &n_steps, err));
    if (count != n_ends || (n_axes && n_axes != count) || (n_steps && n_steps != count) || count > (size_t)x->rank)
        return FAIL(err, CLV_ERR_FORMAT,
                    "node \"%s\": Slice of a tensor of rank %d has %zu starts, %zu ends, %zu axes, %zu steps",
                    clvi_call_label(call), x->rank, count, n_ends, n_axes, n_steps);
    for (size_t i = n_axes; i < count; i++)
        axes[i] = (int64_t)i;
    TRY(clvi_call_axes(call, axes, count, x->rank, chosen, err));
    for (int i = 0; i < x->rank; i++)
        slice_axis(plan, i, x->dims[i], 0, x->dims[i], 1);
    for (size_t i = 0; i < count; i++) {
        int axis = 0;
        TRY(clvi_call_axis(call, axes[i], x->rank, &axis, err));
        if (n_steps && !steps[i])
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Slice has step 0 at axis %d", clvi_call_label(call), axis);
        slice_axis(plan, axis, x->dims[axis], starts[i], ends[i], n_steps ? steps[i] : 1);
    }
    return CLV_OK;
}

static clv_status slice_infer(clvi_op_call *call, clv_error *err)
{
    clvi_slice plan;
    TRY(clvi_call_arity(call, call->opset < 10 ? 1 : 3, call->opset < 10 ? 1 : 5, err));
    TRY(clvi_slice_of(call, &plan, err));
    return clvi_call_set_shape(call, call->out[0], call->in[0]->dtype, call->in[0]->rank, plan.dims, err);
}

static clv_status slice_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    const size_t element = clv_dtype_size(x->dtype);
    int64_t to[CLV_MAX_RANK], from[CLV_MAX_RANK], offset = 0;
    clvi_slice plan;
    TRY(clvi_slice_of(call, &plan, err));
    if (!clv_tensor_count(call->out[0]))
        return CLV_OK;
    clvi_dense_strides(x->rank, plan.dims, element, to);
    clvi_dense_strides(x->rank, x->dims, element, from);
    for (int i = 0; i < x->rank; i++) {
        offset += plan.start[i] * from[i];
        from[i] *= plan.step[i];
    }
    clvi_copy_strided(call->pool, element, x->rank, plan.dims, call->out[0]->data, to, (const char *)x->data + offset,
                      from);
    return CLV_OK;
}

const clvi_op clvi_op_slice = {.type = "Slice", .since = 1, .infer = slice_infer, .run = slice_run};
