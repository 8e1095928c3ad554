/* SPDX-License-Identifier: Apache-2.0 */
/* Declared types of values. */
#include <string.h>

#include "onnx/onnx_proto.h"

static void read_dim(clvi_value *value, int i, const Onnx__TensorShapeProto__Dimension *dim)
{
    value->dims[i] = -1;
    value->dim_names[i] = NULL;
    if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0)
        value->dims[i] = dim->dim_value;
    else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param[0])
        value->dim_names[i] = dim->dim_param;
}

void clvi_onnx_value_type(clvi_value *value, const Onnx__ValueInfoProto *info)
{
    const Onnx__TypeProto *type = info->type;
    value->dtype = CLV_DTYPE_NONE;
    value->rank = -1;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type)
        return;
    const Onnx__TypeProto__Tensor *tensor = type->tensor_type;
    if (tensor->has_elem_type && tensor->elem_type > 0 && tensor->elem_type <= CLV_BFLOAT16)
        value->dtype = (clv_dtype)tensor->elem_type;
    if (!tensor->shape || tensor->shape->n_dim > CLV_MAX_RANK)
        return;
    value->rank = (int)tensor->shape->n_dim;
    for (int i = 0; i < value->rank; i++)
        read_dim(value, i, tensor->shape->dim[i]);
}

/* What the value is now: a constant is what it holds. */
static clvi_value type_of(const clvi_value *value)
{
    clvi_value type = *value;
    if (value->constant) {
        type.dtype = value->constant->dtype;
        type.rank = value->constant->rank;
        for (int i = 0; i < type.rank; i++) {
            type.dims[i] = value->constant->dims[i];
            type.dim_names[i] = NULL;
        }
    }
    return type;
}

static bool same_type(const clvi_value *a, const clvi_value *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        const char *na = a->dim_names[i] ? a->dim_names[i] : "", *nb = b->dim_names[i] ? b->dim_names[i] : "";
        if (a->dims[i] != b->dims[i] || strcmp(na, nb) != 0)
            return false;
    }
    return true;
}

/* Messages of one declared type, in one block. */
typedef struct type_block {
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[CLV_MAX_RANK];
    Onnx__TensorShapeProto__Dimension *list[CLV_MAX_RANK];
} type_block;

static Onnx__TypeProto *new_type(const clvi_value *value, clvi_arena *arena)
{
    type_block *b = clvi_arena_alloc(arena, sizeof *b);
    if (!b)
        return NULL;
    onnx__type_proto__init(&b->type);
    onnx__type_proto__tensor__init(&b->tensor);
    onnx__tensor_shape_proto__init(&b->shape);
    b->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    b->type.tensor_type = &b->tensor;
    b->tensor.has_elem_type = value->dtype != CLV_DTYPE_NONE;
    b->tensor.elem_type = (int32_t)value->dtype;
    if (value->rank < 0)
        return &b->type;
    b->tensor.shape = &b->shape;
    b->shape.n_dim = (size_t)value->rank;
    b->shape.dim = b->list;
    for (int i = 0; i < value->rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = b->list[i] = &b->dims[i];
        onnx__tensor_shape_proto__dimension__init(dim);
        if (value->dims[i] >= 0) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = value->dims[i];
        } else if (value->dim_names[i]) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = (char *)value->dim_names[i];
        }
    }
    return &b->type;
}

clv_status clvi_onnx_value_info(Onnx__ValueInfoProto **out, const clvi_value *value, clvi_arena *arena, clv_error *err)
{
    ProtobufCMessage *message;
    TRY(clvi_proto_unpack(&message, &onnx__value_info_proto__descriptor, value->raw_info, arena, err));
    Onnx__ValueInfoProto *info = (Onnx__ValueInfoProto *)message;
    const clvi_value now = type_of(value);
    clvi_value before = {.rank = -1};
    clvi_onnx_value_type(&before, info);
    if (!same_type(&before, &now) && !(info->type = new_type(&now, arena)))
        return clvi_proto_no_memory(err);
    info->name = (char *)value->name;
    *out = info;
    return CLV_OK;
}
