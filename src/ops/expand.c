// SPDX-License-Identifier: Apache-2.0
/* Expand and Tile: the input repeated along axes. */
#include <string.h>

#include "base/size.h"
#include "ops/op.h"
#include "ops/walk.h"

static clv_status expand_infer(clvi_op_call *call, clv_error *err)
{
    clv_tensor wanted = {0}, shape = {0};
    size_t rank;
    TRY(clvi_call_arity(call, 2, 2, err));
    TRY(clvi_call_const_ints(call, 1, wanted.dims, CLV_MAX_RANK, &rank, err));
    wanted.rank = (int)rank;
    TRY(clvi_call_broadcast(call, call->in[0], &wanted, &shape, err));
    return clvi_call_set_shape(call, call->out[0], call->in[0]->dtype, shape.rank, shape.dims, err);
}

static clv_status expand_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *y = call->out[0];
    clvi_walk w = clvi_walk_over(y->rank, y->dims);
    (void)err;
    clvi_walk_add_tensor(&w, y);
    clvi_walk_add_tensor(&w, call->in[0]);
    clvi_copy_strided(call->pool, clv_dtype_size(y->dtype), y->rank, y->dims, y->data, w.stride[0], call->in[0]->data,
                      w.stride[1]);
    return CLV_OK;
}

const clvi_op clvi_op_expand = {.type = "Expand", .since = 8, .infer = expand_infer, .run = expand_run};

static clv_status tile_infer(clvi_op_call *call, clv_error *err)
{
    int64_t repeats[CLV_MAX_RANK], dims[CLV_MAX_RANK];
    size_t count;
    TRY(clvi_call_arity(call, 2, 2, err));
    const clv_tensor *x = call->in[0];
    TRY(clvi_call_const_ints(call, 1, repeats, CLV_MAX_RANK, &count, err));
    if (count != (size_t)x->rank)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Tile has %zu repeats for rank %d", clvi_call_label(call), count,
                    x->rank);
    for (int i = 0; i < x->rank; i++)
        if (repeats[i] < 0 || !clvi_mul_i64(x->dims[i], repeats[i], &dims[i]))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Tile repeats axis %d %lld times", clvi_call_label(call), i,
                        (long long)repeats[i]);
    return clvi_call_set_shape(call, call->out[0], x->dtype, x->rank, dims, err);
}

/* The output [d0 * r0, ...] seen as [r0, d0, r1, d1, ...], where the input does not move along r. */
static clv_status tile_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0], *y = call->out[0];
    const size_t element = clv_dtype_size(x->dtype);
    int64_t dims[CLVI_WALK_RANK], to[CLVI_WALK_RANK], from[CLVI_WALK_RANK], dense[CLV_MAX_RANK];
    (void)err;
    if (!clv_tensor_count(y))
        return CLV_OK;
    clvi_dense_strides(x->rank, x->dims, element, dense);
    for (int i = 0; i < x->rank; i++) {
        dims[2 * i] = y->dims[i] / x->dims[i];
        dims[2 * i + 1] = x->dims[i];
        from[2 * i] = 0;
        from[2 * i + 1] = dense[i];
    }
    clvi_dense_strides(2 * x->rank, dims, element, to);
    clvi_copy_strided(call->pool, element, 2 * x->rank, dims, y->data, to, x->data, from);
    return CLV_OK;
}

const clvi_op clvi_op_tile = {.type = "Tile", .since = 6, .infer = tile_infer, .run = tile_run};
