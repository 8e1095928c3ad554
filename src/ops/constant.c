// SPDX-License-Identifier: Apache-2.0
/* Tensors made from attributes and shapes: Constant, ConstantOfShape, Shape, Size, Range. */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "ops/element.h"
#include "ops/op.h"
#include "ops/walk.h"

static bool is_float(clv_dtype dtype)
{
    return dtype == CLV_FLOAT32 || dtype == CLV_FLOAT64 || dtype == CLV_FLOAT16 || dtype == CLV_BFLOAT16;
}

/* The type a tensor of the file has at run time: floating types are float32. */
static clv_dtype runtime_dtype(clv_dtype dtype)
{
    return is_float(dtype) ? CLV_FLOAT32 : dtype;
}

static void copy_elements(clv_tensor *to, const clv_tensor *from)
{
    const size_t n = (size_t)clv_tensor_count(from);
    if (is_float(from->dtype))
        clvi_floats_from(to->data, from->dtype, from->data, n);
    else
        clvi_copy_bytes(to->data, from->data, n * clv_dtype_size(from->dtype));
}

/* --- Constant: value, or from opset 12 one of value_float(s), value_int(s)
 * ---------------------------------------------- */

static clv_status constant_view(const clvi_op_call *call, clv_tensor *view, clv_error *err)
{
    static const char *const names[] = {"value", "value_float", "value_int", "value_floats", "value_ints"};
    const clvi_attr *a = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !a; i++)
        a = clvi_node_attr(call->node, names[i]);
    const clvi_attr_kind kind = a ? a->kind : CLVI_ATTR_OTHER;
    *view = (clv_tensor){.dtype = CLV_INT64, .rank = 1};
    if (kind == CLVI_ATTR_TENSOR && a->tensor) {
        *view = *a->tensor;
    } else if (kind == CLVI_ATTR_FLOAT) {
        *view = (clv_tensor){.dtype = CLV_FLOAT32, .data = (void *)(uintptr_t)&a->f};
    } else if (kind == CLVI_ATTR_INT) {
        *view = (clv_tensor){.dtype = CLV_INT64, .data = (void *)(uintptr_t)&a->i};
    } else if (kind == CLVI_ATTR_FLOATS) {
        *view = (clv_tensor){.dtype = CLV_FLOAT32, .rank = 1, .data = (void *)(uintptr_t)a->floats};
        view->dims[0] = (int64_t)a->count;
    } else if (kind == CLVI_ATTR_INTS) {
        view->data = (void *)(uintptr_t)a->ints;
        view->dims[0] = (int64_t)a->count;
    } else {
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": Constant of strings, of a sparse tensor, or without a value",
                    clvi_call_label(call));
    }
    if (!clv_dtype_size(view->dtype) || (clv_tensor_count(view) && !view->data))
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": Constant of %s", clvi_call_label(call),
                    clv_dtype_name(view->dtype));
    return CLV_OK;
}

static clv_status constant_infer(clvi_op_call *call, clv_error *err)
{
    clv_tensor view;
    TRY(clvi_call_arity(call, 0, 0, err));
    TRY(constant_view(call, &view, err));
    return clvi_call_set_shape(call, call->out[0], runtime_dtype(view.dtype), view.rank, view.dims, err);
}

static clv_status constant_run(clvi_op_call *call, clv_error *err)
{
    clv_tensor view;
    TRY(constant_view(call, &view, err));
    copy_elements(call->out[0], &view);
    return CLV_OK;
}

const clvi_op clvi_op_constant = {.type = "Constant", .since = 1, .infer = constant_infer, .run = constant_run};

/* --- ConstantOfShape
 * ------------------------------------------------------------------------------------------------------ */

static clv_status constant_of_shape_infer(clvi_op_call *call, clv_error *err)
{
    int64_t dims[CLV_MAX_RANK];
    size_t rank;
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(clvi_call_const_ints(call, 0, dims, CLV_MAX_RANK, &rank, err));
    const clvi_attr *value = clvi_node_attr(call->node, "value");
    const clv_tensor *t = value ? value->tensor : NULL;
    if (value && (!t || clv_tensor_count(t) != 1 || !t->data || !clv_dtype_size(t->dtype)))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the value of ConstantOfShape must be one number",
                    clvi_call_label(call));
    return clvi_call_set_shape(call, call->out[0], t ? runtime_dtype(t->dtype) : CLV_FLOAT32, (int)rank, dims, err);
}

static clv_status constant_of_shape_run(clvi_op_call *call, clv_error *err)
{
    char element[16] = {0};
    clv_tensor one = {.dtype = call->out[0]->dtype, .data = element};
    const clvi_attr *value = clvi_node_attr(call->node, "value");
    (void)err;
    if (value)
        copy_elements(&one, value->tensor);
    clvi_fill(call->out[0]->data, clv_dtype_size(one.dtype), element, clv_tensor_count(call->out[0]));
    return CLV_OK;
}

const clvi_op clvi_op_constant_of_shape = {
    .type = "ConstantOfShape", .since = 9, .infer = constant_of_shape_infer, .run = constant_of_shape_run};

/* --- Shape (start and end from 15), Size
 * ----------------------------------------------------------------------------------- */

static void shape_range(const clvi_op_call *call, int *first, int *last)
{
    const int64_t rank = call->in[0]->rank;
    int64_t start = clvi_node_int(call->node, "start", 0), end = clvi_node_int(call->node, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    *first = (int)(start < 0 ? 0 : start > rank ? rank : start);
    *last = (int)(end < *first ? *first : end > rank ? rank : end);
}

static clv_status shape_infer(clvi_op_call *call, clv_error *err)
{
    int first, last;
    TRY(clvi_call_arity(call, 1, 1, err));
    shape_range(call, &first, &last);
    return clvi_call_set_shape(call, call->out[0], CLV_INT64, 1, (const int64_t[]){last - first}, err);
}

static clv_status shape_run(clvi_op_call *call, clv_error *err)
{
    int first, last;
    (void)err;
    shape_range(call, &first, &last);
    clvi_copy_bytes(call->out[0]->data, call->in[0]->dims + first, (size_t)(last - first) * sizeof(int64_t));
    return CLV_OK;
}

const clvi_op clvi_op_shape = {.type = "Shape", .since = 1, .infer = shape_infer, .run = shape_run};

static clv_status size_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 1, err));
    return clvi_call_set_shape(call, call->out[0], CLV_INT64, 0, NULL, err);
}

static clv_status size_run(clvi_op_call *call, clv_error *err)
{
    (void)err;
    *(int64_t *)call->out[0]->data = clv_tensor_count(call->in[0]);
    return CLV_OK;
}

const clvi_op clvi_op_size = {.type = "Size", .since = 1, .infer = size_infer, .run = size_run};

/* --- Range: start, start + delta, ... below (or above) limit
 * ---------------------------------------------------------------- */

static clv_status range_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 3, 3, err));
    const clv_dtype dtype = call->in[0]->dtype;
    for (size_t i = 0; i < 3; i++) {
        const clv_tensor *t = call->in[i];
        if (t->dtype != dtype || clv_tensor_count(t) != 1 || (dtype != CLV_FLOAT32 && !clvi_is_integer(dtype)))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": input %zu of Range must be one number",
                        clvi_call_label(call), i);
        if (!t->data)
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": input %zu of Range is not known before the network runs",
                        clvi_call_label(call), i);
    }
    const double start = clvi_load_double(dtype, call->in[0]->data, 0),
                 limit = clvi_load_double(dtype, call->in[1]->data, 0);
    const double delta = clvi_load_double(dtype, call->in[2]->data, 0), n = ceil((limit - start) / delta);
    if (!(delta < 0 || delta > 0) || !(n < 0x1p53))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Range from %g to %g by %g", clvi_call_label(call), start, limit,
                    delta);
    return clvi_call_set_shape(call, call->out[0], dtype, 1, (const int64_t[]){n > 0 ? (int64_t)n : 0}, err);
}

static clv_status range_run(clvi_op_call *call, clv_error *err)
{
    clv_tensor *y = call->out[0];
    (void)err;
    if (y->dtype == CLV_FLOAT32) {
        const float start = *(const float *)call->in[0]->data, delta = *(const float *)call->in[2]->data;
        for (int64_t i = 0; i < y->dims[0]; i++)
            ((float *)y->data)[i] = start + (float)i * delta;
        return CLV_OK;
    }
    const uint64_t start = (uint64_t)clvi_load_int(y->dtype, call->in[0]->data, 0);
    const uint64_t delta = (uint64_t)clvi_load_int(y->dtype, call->in[2]->data, 0);
    for (int64_t i = 0; i < y->dims[0]; i++)
        clvi_store_int(y->dtype, y->data, i, (int64_t)(start + (uint64_t)i * delta));
    return CLV_OK;
}

const clvi_op clvi_op_range = {.type = "Range", .since = 11, .infer = range_infer, .run = range_run};
