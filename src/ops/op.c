// SPDX-License-Identifier: Apache-2.0
/* The table of operators, and what every operator file needs: checks, broadcasting, constant inputs. */
#include "ops/op.h"

#include <string.h>

#include "base/size.h"

#define OP(symbol) extern const clvi_op symbol;
#include "ops/op_list.h"
#undef OP

#define OP(symbol) &symbol,
static const clvi_op *const op_table[] = {
#include "ops/op_list.h"
};
#undef OP

const clvi_op *const *clvi_op_all(size_t *n)
{
    *n = sizeof op_table / sizeof op_table[0];
    return op_table;
}

const clvi_op *clvi_op_find(const clvi_graph *graph, const clvi_node *node)
{
    if (node->domain[0] && strcmp(node->domain, "ai.onnx") != 0)
        return NULL;
    const int64_t opset = clvi_graph_opset(graph, "");
    for (size_t i = 0; i < sizeof op_table / sizeof op_table[0]; i++) {
        const clvi_op *op = op_table[i];
        if (opset >= op->since && (!op->until || opset <= op->until) && !strcmp(op->type, node->op_type))
            return op;
    }
    return NULL;
}

clv_status clvi_op_unsupported(const clvi_graph *graph, const clvi_node *node, clv_error *err)
{
    return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": operator %s%s%s (opset %lld) is not supported",
                clvi_node_label(graph, node), node->domain, node->domain[0] ? "." : "", node->op_type,
                (long long)clvi_graph_opset(graph, node->domain));
}

const char *clvi_call_label(const clvi_op_call *call)
{
    return clvi_node_label(call->graph, call->node);
}

clv_status clvi_call_arity(const clvi_op_call *call, size_t min_in, size_t max_in, clv_error *err)
{
    if (call->n_in < min_in || call->n_in > max_in)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s has %zu inputs, expected %zu to %zu", clvi_call_label(call),
                    call->node->op_type, call->n_in, min_in, max_in);
    for (size_t i = 0; i < min_in; i++)
        if (!call->in[i])
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": required input %zu of %s is left out", clvi_call_label(call),
                        i, call->node->op_type);
    if (!call->n_out || !call->out[0])
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s has no output", clvi_call_label(call), call->node->op_type);
    return CLV_OK;
}

const clv_tensor *clvi_call_in(const clvi_op_call *call, size_t i)
{
    return i < call->n_in ? call->in[i] : NULL;
}

clv_status clvi_call_const_ints(const clvi_op_call *call, size_t i, int64_t *out, size_t max, size_t *count,
                                clv_error *err)
{
    const clv_tensor *t = clvi_call_in(call, i);
    if (!t || (t->dtype != CLV_INT64 && t->dtype != CLV_INT32) || t->rank > 1)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": input %zu of %s must be a list of integers, found %s of rank %d",
                    clvi_call_label(call), i, call->node->op_type, t ? clv_dtype_name(t->dtype) : "nothing",
                    t ? t->rank : 0);
    const int64_t n = clv_tensor_count(t);
    if (n < 0 || (uint64_t)n > max)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": input %zu of %s has %lld values, at most %zu fit",
                    clvi_call_label(call), i, call->node->op_type, (long long)n, max);
    if (n > 0 && !t->data)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": input %zu of %s is not known before the network runs",
                    clvi_call_label(call), i, call->node->op_type);
    for (int64_t k = 0; k < n; k++)
        out[k] = t->dtype == CLV_INT64 ? ((const int64_t *)t->data)[k] : ((const int32_t *)t->data)[k];
    *count = (size_t)n;
    return CLV_OK;
}

clv_status clvi_call_axis(const clvi_op_call *call, int64_t axis, int rank, int *out, clv_error *err)
{
    if (axis < -rank || axis >= rank)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": axis %lld of %s is outside a tensor of rank %d",
                    clvi_call_label(call), (long long)axis, call->node->op_type, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return CLV_OK;
}

clv_status clvi_call_broadcast(const clvi_op_call *call, const clv_tensor *a, const clv_tensor *b, clv_tensor *out,
                               clv_error *err)
{
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[CLV_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) {
        const int ia = i - (rank - a->rank), ib = i - (rank - b->rank);
        const int64_t da = ia < 0 ? 1 : a->dims[ia], db = ib < 0 ? 1 : b->dims[ib];
        if (da != db && da != 1 && db != 1)
            return FAIL(err, CLV_ERR_FORMAT,
                        "node \"%s\": the inputs of %s do not broadcast: %lld against %lld at axis %d",
                        clvi_call_label(call), call->node->op_type, (long long)da, (long long)db, i);
        dims[i] = da == 1 ? db : da;
    }
    out->rank = rank;
    memcpy(out->dims, dims, sizeof dims);
    return CLV_OK;
}

clv_status clvi_call_set_shape(const clvi_op_call *call, clv_tensor *out, clv_dtype dtype, int rank,
                               const int64_t *dims, clv_error *err)
{
    if (rank < 0 || rank > CLV_MAX_RANK)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": the output of %s has rank %d, at most %d is supported",
                    clvi_call_label(call), call->node->op_type, rank, CLV_MAX_RANK);
    /* Zero extents do not hide an overflow: strides are products of the others. */
    int64_t bytes = (int64_t)clv_dtype_size(dtype);
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || !clvi_mul_i64(bytes, dims[i] ? dims[i] : 1, &bytes))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the output of %s has an impossible extent %lld at axis %d",
                        clvi_call_label(call), call->node->op_type, (long long)dims[i], i);
    out->dtype = dtype;
    out->rank = rank;
    if (rank && dims != out->dims)
        memcpy(out->dims, dims, (size_t)rank * sizeof dims[0]);
    return CLV_OK;
}

clv_status clvi_call_want(const clvi_op_call *call, size_t i, clv_dtype dtype, clv_error *err)
{
    const clv_tensor *t = call->in[i];
    if (t->dtype != dtype)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": input %zu of %s is %s, only %s is supported",
                    clvi_call_label(call), i, call->node->op_type, clv_dtype_name(t->dtype), clv_dtype_name(dtype));
    return CLV_OK;
}

clv_status clvi_call_same_shape(const clvi_op_call *call, clv_dtype dtype, clv_error *err)
{
    return clvi_call_set_shape(call, call->out[0], dtype, call->in[0]->rank, call->in[0]->dims, err);
}

clv_status clvi_call_ints(const clvi_op_call *call, const char *name, size_t i, int64_t *out, size_t max, size_t *count,
                          bool *found, clv_error *err)
{
    *found = true;
    *count = 0;
    if (clvi_call_in(call, i))
        return clvi_call_const_ints(call, i, out, max, count, err);
    const int64_t *ints = clvi_node_ints(call->node, name, count);
    *found = ints != NULL || clvi_node_attr(call->node, name) != NULL;
    if (*count > max)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": attribute %s has %zu values, at most %zu fit",
                    clvi_call_label(call), name, *count, max);
    if (*count)
        memcpy(out, ints, *count * sizeof out[0]);
    return CLV_OK;
}

clv_status clvi_call_axes(const clvi_op_call *call, const int64_t *axes, size_t count, int rank,
                          bool chosen[CLV_MAX_RANK], clv_error *err)
{
    memset(chosen, 0, CLV_MAX_RANK * sizeof chosen[0]);
    for (size_t i = 0; i < count; i++) {
        int axis = 0;
        TRY(clvi_call_axis(call, axes[i], rank, &axis, err));
        if (chosen[axis])
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": axis %d of %s is named twice", clvi_call_label(call), axis,
                        call->node->op_type);
        chosen[axis] = true;
    }
    return CLV_OK;
}
