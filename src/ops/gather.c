// SPDX-License-Identifier: Apache-2.0
/* Gather, GatherElements, GatherND: copies chosen by an index tensor; negative indices count from the end. */
#include <string.h>

#include "ops/element.h"
#include "ops/op.h"
#include "ops/walk.h"

static clv_status want_indices(const clvi_op_call *call, clv_error *err)
{
    const clv_dtype dtype = call->in[1]->dtype;
    if (dtype != CLV_INT64 && dtype != CLV_INT32)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the indices of %s are %s", clvi_call_label(call),
                    call->node->op_type, clv_dtype_name(dtype));
    return CLV_OK;
}

/* Index i of input 1, in [-n, n) -> [0, n). */
static clv_status index_at(const clvi_op_call *call, int64_t i, int64_t n, int64_t *out, clv_error *err)
{
    const int64_t v = clvi_load_int(call->in[1]->dtype, call->in[1]->data, i);
    if (v < -n || v >= n)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": index %lld of %s is outside an axis of %lld",
                    clvi_call_label(call), (long long)v, call->node->op_type, (long long)n);
    *out = v < 0 ? v + n : v;
    return CLV_OK;
}

/* Gather: y[outer, indices..., inner] = x[outer, index, inner] */
static clv_status gather_infer(clvi_op_call *call, clv_error *err)
{
    int axis = 0, rank = 0;
    int64_t dims[2 * CLV_MAX_RANK];
    TRY(clvi_call_arity(call, 2, 2, err));
    TRY(want_indices(call, err));
    const clv_tensor *x = call->in[0], *index = call->in[1];
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 0), x->rank, &axis, err));
    for (int i = 0; i < axis; i++)
        dims[rank++] = x->dims[i];
    for (int i = 0; i < index->rank; i++)
        dims[rank++] = index->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    return clvi_call_set_shape(call, call->out[0], x->dtype, rank, dims, err);
}

static clv_status gather_run(clvi_op_call *call, clv_error *err)
{
    int axis = 0;
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 0), call->in[0]->rank, &axis, err));
    const clvi_axis_view v = clvi_view_axis(call->in[0], axis);
    const int64_t count = clv_tensor_count(call->in[1]);
    const size_t bytes = (size_t)v.inner * clv_dtype_size(call->in[0]->dtype);
    const char *x = call->in[0]->data;
    char *y = call->out[0]->data;
    for (int64_t i = 0; i < count; i++) {
        int64_t index = 0;
        TRY(index_at(call, i, v.n, &index, err));
        for (int64_t o = 0; o < v.outer && bytes; o++)
            memcpy(y + (size_t)(o * count + i) * bytes, x + (size_t)(o * v.n + index) * bytes, bytes);
    }
    return CLV_OK;
}

const clvi_op clvi_op_gather = {.type = "Gather", .since = 1, .infer = gather_infer, .run = gather_run};

/* GatherElements: y[i, j, k] = x[i, index[i, j, k], k] for axis 1; y has the shape of the indices. */
static clv_status gather_elements_infer(clvi_op_call *call, clv_error *err)
{
    int axis = 0;
    TRY(clvi_call_arity(call, 2, 2, err));
    TRY(want_indices(call, err));
    const clv_tensor *x = call->in[0], *index = call->in[1];
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 0), x->rank, &axis, err));
    bool fits = index->rank == x->rank;
    for (int i = 0; i < x->rank && fits; i++)
        fits = i == axis || index->dims[i] <= x->dims[i];
    if (!fits)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the indices of GatherElements are larger than its data",
                    clvi_call_label(call));
    return clvi_call_set_shape(call, call->out[0], x->dtype, index->rank, index->dims, err);
}

static clv_status gather_elements_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0], *index = call->in[1];
    const size_t element = clv_dtype_size(x->dtype);
    const int64_t count = clv_tensor_count(index);
    int axis = 0;
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 0), x->rank, &axis, err));
    int64_t stride[CLV_MAX_RANK];
    clvi_dense_strides(x->rank, x->dims, element, stride);
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, offset = 0, chosen = 0;
        for (int k = x->rank - 1; k >= 0; k--) {
            if (k != axis)
                offset += rest % index->dims[k] * stride[k];
            rest /= index->dims[k];
        }
        TRY(index_at(call, i, x->dims[axis], &chosen, err));
        memcpy((char *)call->out[0]->data + i * (int64_t)element,
               (const char *)x->data + offset + chosen * stride[axis], element);
    }
    return CLV_OK;
}

const clvi_op clvi_op_gather_elements = {
    .type = "GatherElements", .since = 11, .infer = gather_elements_infer, .run = gather_elements_run};

/* GatherND: the last axis of the indices [batch..., more..., m] addresses axes b .. b+m of the data. */
static clv_status gather_nd_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 2, 2, err));
    TRY(want_indices(call, err));
    const clv_tensor *x = call->in[0], *index = call->in[1];
    const int64_t batch = clvi_node_int(call->node, "batch_dims", 0);
    const int64_t m = index->rank ? index->dims[index->rank - 1] : 0;
    bool fits = index->rank > 0 && x->rank > 0 && batch >= 0 && batch < index->rank && batch < x->rank && m >= 1 &&
                m <= x->rank - batch;
    for (int i = 0; fits && i < batch; i++)
        fits = index->dims[i] == x->dims[i];
    if (!fits)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": GatherND with batch_dims %lld and %lld indices a row on rank %d",
                    clvi_call_label(call), (long long)batch, (long long)m, x->rank);
    int64_t dims[2 * CLV_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < index->rank - 1; i++)
        dims[rank++] = index->dims[i];
    for (int i = (int)(batch + m); i < x->rank; i++)
        dims[rank++] = x->dims[i];
    return clvi_call_set_shape(call, call->out[0], x->dtype, rank, dims, err);
}

static clv_status gather_nd_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0], *index = call->in[1];
    const int64_t batch = clvi_node_int(call->node, "batch_dims", 0), m = index->dims[index->rank - 1];
    const int64_t rows = clv_tensor_count(index) / m;
    int64_t stride[CLV_MAX_RANK], per_batch = rows, bytes = (int64_t)clv_dtype_size(x->dtype);
    clvi_dense_strides(x->rank, x->dims, (size_t)bytes, stride);
    for (int i = 0; i < batch && x->dims[i]; i++)
        per_batch /= x->dims[i];
    for (int i = (int)(batch + m); i < x->rank; i++)
        bytes *= x->dims[i];
    for (int64_t row = 0; row < rows; row++) {
        int64_t offset = batch ? row / per_batch * stride[batch - 1] : 0;
        for (int64_t k = 0; k < m; k++) {
            int64_t at = 0;
            TRY(index_at(call, row * m + k, x->dims[batch + k], &at, err));
            offset += at * stride[batch + k];
        }
        if (bytes)
            memcpy((char *)call->out[0]->data + row * bytes, (const char *)x->data + offset, (size_t)bytes);
    }
    return CLV_OK;
}

const clvi_op clvi_op_gather_nd = {.type = "GatherND", .since = 11, .infer = gather_nd_infer, .run = gather_nd_run};
