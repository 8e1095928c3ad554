// SPDX-License-Identifier: Apache-2.0
/* Operators that keep the bytes: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout at inference. */
#include <string.h>

#include "base/size.h"
#include "ops/op.h"
#include "ops/walk.h"

static clv_status copy_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    (void)err;
    clvi_copy_bytes(call->out[0]->data, x->data, (size_t)clv_tensor_count(x) * clv_dtype_size(x->dtype));
    return CLV_OK;
}

static bool always(const clvi_op_call *call)
{
    (void)call;
    return true;
}

/* A view of input 0 with another shape of as many elements. */
static clv_status view_shape(clvi_op_call *call, int rank, const int64_t *dims, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    if (!clv_dtype_size(x->dtype))
        return clvi_call_want(call, 0, CLV_FLOAT32, err);
    TRY(clvi_call_set_shape(call, call->out[0], x->dtype, rank, dims, err));
    if (clv_tensor_count(call->out[0]) != clv_tensor_count(x))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s turns %lld elements into %lld", clvi_call_label(call),
                    call->node->op_type, (long long)clv_tensor_count(x), (long long)clv_tensor_count(call->out[0]));
    return CLV_OK;
}

/* Reshape 5: 0 copies the input's extent (unless allowzero, 14), one -1 takes what is left. */
static clv_status reshape_infer(clvi_op_call *call, clv_error *err)
{
    int64_t dims[CLV_MAX_RANK] = {0}, known = 1;
    size_t rank;
    int free_axis = -1;

    TRY(clvi_call_arity(call, 2, 2, err));
    TRY(clvi_call_const_ints(call, 1, dims, CLV_MAX_RANK, &rank, err));
    const clv_tensor *x = call->in[0];
    const bool allow_zero = clvi_node_int(call->node, "allowzero", 0) != 0;
    for (int i = 0; i < (int)rank; i++) {
        if (dims[i] == 0 && !allow_zero) {
            if (i >= x->rank)
                return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Reshape copies axis %d of an input of rank %d",
                            clvi_call_label(call), i, x->rank);
            dims[i] = x->dims[i];
        }
        if (dims[i] < -1 || (dims[i] == -1 && free_axis >= 0))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Reshape to extent %lld at axis %d%s", clvi_call_label(call),
                        (long long)dims[i], i, dims[i] == -1 ? ", the second -1" : "");
        if (dims[i] == -1)
            free_axis = i;
        else if (!clvi_mul_i64(known, dims[i], &known))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the shape of Reshape overflows at axis %d",
                        clvi_call_label(call), i);
    }
    if (free_axis >= 0)
        dims[free_axis] = known ? clv_tensor_count(x) / known : 0;
    return view_shape(call, (int)rank, dims, err);
}

const clvi_op clvi_op_reshape = {
    .type = "Reshape", .since = 5, .infer = reshape_infer, .run = copy_run, .in_place = always};

/* Flatten: [product of axes before, product of axes from `axis`]; axis may be the rank. */
static clv_status flatten_infer(clvi_op_call *call, clv_error *err)
{
    int axis = 0;
    TRY(clvi_call_arity(call, 1, 1, err));
    const clv_tensor *x = call->in[0];
    const int64_t wanted = clvi_node_int(call->node, "axis", 1);
    if (wanted == x->rank)
        axis = x->rank;
    else
        TRY(clvi_call_axis(call, wanted, x->rank, &axis, err));
    int64_t dims[2] = {1, 1};
    for (int i = 0; i < x->rank; i++)
        dims[i >= axis] *= x->dims[i];
    return view_shape(call, 2, dims, err);
}

const clvi_op clvi_op_flatten = {
    .type = "Flatten", .since = 1, .infer = flatten_infer, .run = copy_run, .in_place = always};

/* Squeeze: axes are an attribute below 13, an input from there; none: every axis of extent 1. */
static clv_status squeeze_infer(clvi_op_call *call, clv_error *err)
{
    int64_t axes[CLV_MAX_RANK], dims[CLV_MAX_RANK];
    bool found, chosen[CLV_MAX_RANK];
    size_t count;
    int rank = 0;

    TRY(clvi_call_arity(call, 1, 2, err));
    const clv_tensor *x = call->in[0];
    TRY(clvi_call_ints(call, "axes", 1, axes, CLV_MAX_RANK, &count, &found, err));
    TRY(clvi_call_axes(call, axes, count, x->rank, chosen, err));
    for (int i = 0; i < x->rank; i++) {
        if (chosen[i] && x->dims[i] != 1)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Squeeze of axis %d, whose extent is %lld",
                        clvi_call_label(call), i, (long long)x->dims[i]);
        if (found ? !chosen[i] : x->dims[i] != 1)
            dims[rank++] = x->dims[i];
    }
    return view_shape(call, rank, dims, err);
}

const clvi_op clvi_op_squeeze = {
    .type = "Squeeze", .since = 1, .infer = squeeze_infer, .run = copy_run, .in_place = always};

/* Unsqueeze: axes of the output, an attribute below 13, an input from there. */
static clv_status unsqueeze_infer(clvi_op_call *call, clv_error *err)
{
    int64_t axes[CLV_MAX_RANK], dims[CLV_MAX_RANK];
    bool found, chosen[CLV_MAX_RANK];
    size_t count;

    TRY(clvi_call_arity(call, 1, 2, err));
    const clv_tensor *x = call->in[0];
    TRY(clvi_call_ints(call, "axes", 1, axes, CLV_MAX_RANK, &count, &found, err));
    const int rank = x->rank + (int)count;
    if (!found || rank > CLV_MAX_RANK)
        return FAIL(err, found ? CLV_ERR_UNSUP : CLV_ERR_FORMAT, "node \"%s\": Unsqueeze to rank %d with %zu axes",
                    clvi_call_label(call), rank, count);
    TRY(clvi_call_axes(call, axes, count, rank, chosen, err));
    for (int i = 0, from = 0; i < rank; i++)
        dims[i] = chosen[i] ? 1 : x->dims[from++];
    return view_shape(call, rank, dims, err);
}

const clvi_op clvi_op_unsqueeze = {
    .type = "Unsqueeze", .since = 1, .infer = unsqueeze_infer, .run = copy_run, .in_place = always};

static clv_status identity_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 1, err));
    return view_shape(call, call->in[0]->rank, call->in[0]->dims, err);
}

const clvi_op clvi_op_identity = {
    .type = "Identity", .since = 1, .infer = identity_infer, .run = copy_run, .in_place = always};

/* --- Dropout at inference: the identity, and a mask of ones ----------------------------------------------------------
 */

/* training_mode (12) drops nothing when the ratio is 0. */
static clv_status refuse_training(const clvi_op_call *call, clv_error *err)
{
    const clv_tensor *ratio = clvi_call_in(call, 1), *training = clvi_call_in(call, 2);
    if (!training || !training->data || !*(const uint8_t *)training->data)
        return CLV_OK;
    if (ratio && ratio->data && ratio->dtype == CLV_FLOAT32 && *(const uint32_t *)ratio->data == 0)
        return CLV_OK;
    return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": Dropout in training mode", clvi_call_label(call));
}

static clv_status dropout_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 3, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    for (size_t i = 1; i < call->n_in; i++)
        if (call->in[i] && clv_tensor_count(call->in[i]) != 1)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": input %zu of Dropout must be a scalar",
                        clvi_call_label(call), i);
    TRY(refuse_training(call, err));
    if (call->n_out > 1 && call->out[1])
        TRY(clvi_call_set_shape(call, call->out[1], call->opset < 10 ? call->in[0]->dtype : CLV_BOOL, call->in[0]->rank,
                                call->in[0]->dims, err));
    return view_shape(call, call->in[0]->rank, call->in[0]->dims, err);
}

static clv_status dropout_run(clvi_op_call *call, clv_error *err)
{
    TRY(refuse_training(call, err));
    if (call->n_out > 1 && call->out[1]) {
        static const float one = 1;
        static const uint8_t yes = 1;
        const clv_tensor *mask = call->out[1];
        const bool is_float = mask->dtype == CLV_FLOAT32;
        clvi_fill(mask->data, clv_dtype_size(mask->dtype), is_float ? (const void *)&one : &yes,
                  clv_tensor_count(mask));
    }
    return copy_run(call, err);
}

const clvi_op clvi_op_dropout = {
    .type = "Dropout", .since = 7, .infer = dropout_infer, .run = dropout_run, .in_place = always};
