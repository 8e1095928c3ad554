// SPDX-License-Identifier: Apache-2.0
/* Transpose, DepthToSpace, SpaceToDepth: dense copies with the axes in another order. */
#include <string.h>

#include "ops/op.h"
#include "ops/walk.h"

/* to[..., i_k, ...] = from[...]: axis k of the output is axis perm[k] of the input, whose shape is dims. */
static void permute(clvi_op_call *call, int rank, const int64_t *dims, const int *perm)
{
    const size_t element = clv_dtype_size(call->out[0]->dtype);
    int64_t from[CLVI_WALK_RANK], source[CLVI_WALK_RANK], to[CLVI_WALK_RANK], out[CLVI_WALK_RANK];
    clvi_dense_strides(rank, dims, element, source);
    for (int i = 0; i < rank; i++) {
        out[i] = dims[perm[i]];
        from[i] = source[perm[i]];
    }
    clvi_dense_strides(rank, out, element, to);
    clvi_copy_strided(call->pool, element, rank, out, call->out[0]->data, to, call->in[0]->data, from);
}

static clv_status transpose_perm(const clvi_op_call *call, int perm[CLV_MAX_RANK], clv_error *err)
{
    const int rank = call->in[0]->rank;
    bool chosen[CLV_MAX_RANK];
    size_t count;
    const int64_t *wanted = clvi_node_ints(call->node, "perm", &count);
    for (int i = 0; i < rank; i++)
        perm[i] = rank - 1 - i;
    if (!wanted)
        return CLV_OK;
    if (count != (size_t)rank)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": perm of Transpose has %zu axes, the input %d",
                    clvi_call_label(call), count, rank);
    TRY(clvi_call_axes(call, wanted, count, rank, chosen, err));
    for (int i = 0; i < rank; i++)
        TRY(clvi_call_axis(call, wanted[i], rank, &perm[i], err));
    return CLV_OK;
}

static clv_status transpose_infer(clvi_op_call *call, clv_error *err)
{
    int perm[CLV_MAX_RANK];
    int64_t dims[CLV_MAX_RANK];
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(transpose_perm(call, perm, err));
    for (int i = 0; i < call->in[0]->rank; i++)
        dims[i] = call->in[0]->dims[perm[i]];
    return clvi_call_set_shape(call, call->out[0], call->in[0]->dtype, call->in[0]->rank, dims, err);
}

static clv_status transpose_run(clvi_op_call *call, clv_error *err)
{
    int perm[CLV_MAX_RANK];
    TRY(transpose_perm(call, perm, err));
    permute(call, call->in[0]->rank, call->in[0]->dims, perm);
    return CLV_OK;
}

const clvi_op clvi_op_transpose = {.type = "Transpose", .since = 1, .infer = transpose_infer, .run = transpose_run};

/* --- blocks
 * ------------------------------------------------------------------------------------------------------------- */

static clv_status block_check(const clvi_op_call *call, bool to_depth, int64_t *block, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 1, err));
    const clv_tensor *x = call->in[0];
    const int64_t b = clvi_node_int(call->node, "blocksize", 0);
    if (x->rank != 4)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s of rank %d, expected 4", clvi_call_label(call),
                    call->node->op_type, x->rank);
    const bool fits =
        b >= 1 && b <= INT32_MAX && (to_depth ? x->dims[2] % b == 0 && x->dims[3] % b == 0 : x->dims[1] % (b * b) == 0);
    if (!fits)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s by %lld of a [%lld, %lld, %lld, %lld] input",
                    clvi_call_label(call), call->node->op_type, (long long)b, (long long)x->dims[0],
                    (long long)x->dims[1], (long long)x->dims[2], (long long)x->dims[3]);
    *block = b;
    return CLV_OK;
}

static clv_status depth_to_space_infer(clvi_op_call *call, clv_error *err)
{
    int64_t b = 1;
    TRY(block_check(call, false, &b, err));
    const int64_t *x = call->in[0]->dims;
    const char *mode = clvi_node_string(call->node, "mode", "DCR");
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": DepthToSpace mode \"%s\"", clvi_call_label(call), mode);
    if (x[2] > INT64_MAX / b || x[3] > INT64_MAX / b)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": DepthToSpace by %lld overflows", clvi_call_label(call),
                    (long long)b);
    const int64_t dims[4] = {x[0], x[1] / (b * b), x[2] * b, x[3] * b};
    return clvi_call_set_shape(call, call->out[0], call->in[0]->dtype, 4, dims, err);
}

/* DCR: the depth is [b, b, C]; CRD: [C, b, b]. */
static clv_status depth_to_space_run(clvi_op_call *call, clv_error *err)
{
    int64_t b = 1;
    TRY(block_check(call, false, &b, err));
    const int64_t *x = call->in[0]->dims, c = x[1] / (b * b);
    if (!strcmp(clvi_node_string(call->node, "mode", "DCR"), "DCR"))
        permute(call, 6, (const int64_t[]){x[0], b, b, c, x[2], x[3]}, (const int[]){0, 3, 4, 1, 5, 2});
    else
        permute(call, 6, (const int64_t[]){x[0], c, b, b, x[2], x[3]}, (const int[]){0, 1, 4, 2, 5, 3});
    return CLV_OK;
}

const clvi_op clvi_op_depth_to_space = {
    .type = "DepthToSpace", .since = 1, .infer = depth_to_space_infer, .run = depth_to_space_run};

static clv_status space_to_depth_infer(clvi_op_call *call, clv_error *err)
{
    int64_t b = 1;
    TRY(block_check(call, true, &b, err));
    const int64_t *x = call->in[0]->dims;
    if (x[1] > INT64_MAX / (b * b))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": SpaceToDepth by %lld overflows", clvi_call_label(call),
                    (long long)b);
    const int64_t dims[4] = {x[0], x[1] * b * b, x[2] / b, x[3] / b};
    return clvi_call_set_shape(call, call->out[0], call->in[0]->dtype, 4, dims, err);
}

static clv_status space_to_depth_run(clvi_op_call *call, clv_error *err)
{
    int64_t b = 1;
    TRY(block_check(call, true, &b, err));
    const int64_t *x = call->in[0]->dims;
    permute(call, 6, (const int64_t[]){x[0], x[1], x[2] / b, b, x[3] / b, b}, (const int[]){0, 3, 5, 1, 2, 4});
    return CLV_OK;
}

const clvi_op clvi_op_space_to_depth = {
    .type = "SpaceToDepth", .since = 1, .infer = space_to_depth_infer, .run = space_to_depth_run};
