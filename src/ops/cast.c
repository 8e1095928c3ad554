// SPDX-License-Identifier: Apache-2.0
/* Cast and CastLike. Floating types are float32 here; a cast to float16 or bfloat16 still rounds to it. */
#include <string.h>

#include "base/half.h"
#include "ops/element.h"
#include "ops/op.h"
#include "ops/walk.h"

/* The ONNX type that is asked for: attribute `to`, or what the file declares of CastLike's second input. */
static clv_dtype cast_target(const clvi_op_call *call)
{
    if (clvi_node_is(call->node, "Cast")) {
        const int64_t to = clvi_node_int(call->node, "to", 0);
        return to > 0 && to <= CLV_BFLOAT16 ? (clv_dtype)to : CLV_DTYPE_NONE;
    }
    const clv_dtype declared = call->graph->values[call->node->in[1]].dtype;
    return call->in[1]->dtype == CLV_FLOAT32 && declared != CLV_DTYPE_NONE ? declared : call->in[1]->dtype;
}

static bool is_number(clv_dtype dtype)
{
    return dtype == CLV_FLOAT32 || dtype == CLV_BOOL || clvi_is_integer(dtype);
}

static clv_status cast_infer(clvi_op_call *call, clv_error *err)
{
    const size_t arity = clvi_node_is(call->node, "Cast") ? 1 : 2;
    TRY(clvi_call_arity(call, arity, arity, err));
    const clv_dtype target = cast_target(call), from = call->in[0]->dtype;
    const bool half = target == CLV_FLOAT16 || target == CLV_BFLOAT16 || target == CLV_FLOAT64;
    if (!is_number(from) || (!half && !is_number(target)))
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": %s from %s to %s (type %lld)", clvi_call_label(call),
                    call->node->op_type, clv_dtype_name(from), clv_dtype_name(target),
                    (long long)clvi_node_int(call->node, "to", 0));
    return clvi_call_same_shape(call, half ? CLV_FLOAT32 : target, err);
}

static void cast_elements(const clv_tensor *from, clv_tensor *to, int64_t n)
{
    const bool to_int = to->dtype != CLV_FLOAT32, from_int = from->dtype != CLV_FLOAT32;
    if (from->dtype == to->dtype)
        clvi_copy_bytes(to->data, from->data, (size_t)n * clv_dtype_size(to->dtype));
    else if (from_int && to_int)
        for (int64_t i = 0; i < n; i++)
            clvi_store_int(to->dtype, to->data, i, clvi_load_int(from->dtype, from->data, i));
    else if (from_int && from->dtype != CLV_UINT64)
        for (int64_t i = 0; i < n; i++) /* one rounding, not two by way of double */
            ((float *)to->data)[i] = (float)clvi_load_int(from->dtype, from->data, i);
    else if (from_int)
        for (int64_t i = 0; i < n; i++)
            ((float *)to->data)[i] = (float)((const uint64_t *)from->data)[i];
    else
        for (int64_t i = 0; i < n; i++)
            clvi_store_double(to->dtype, to->data, i, (double)((const float *)from->data)[i]);
}

static clv_status cast_run(clvi_op_call *call, clv_error *err)
{
    const clv_dtype target = cast_target(call);
    const int64_t n = clv_tensor_count(call->out[0]);
    float *y = call->out[0]->data;
    (void)err;
    cast_elements(call->in[0], call->out[0], n);
    if (target == CLV_FLOAT16)
        for (int64_t i = 0; i < n; i++)
            y[i] = clvi_half_to_float(clvi_float_to_half(y[i]));
    if (target == CLV_BFLOAT16)
        for (int64_t i = 0; i < n; i++)
            y[i] = clvi_bfloat_to_float(clvi_float_to_bfloat(y[i]));
    return CLV_OK;
}

const clvi_op clvi_op_cast = {.type = "Cast", .since = 6, .infer = cast_infer, .run = cast_run};
const clvi_op clvi_op_cast_like = {.type = "CastLike", .since = 15, .infer = cast_infer, .run = cast_run};
