/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto to and from dense arrays. */
#include <string.h>

#include "base/size.h"
#include "onnx/onnx_proto.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw tensor data are used in place");

static clv_status fail_count(const char *what, size_t want, size_t have, clv_error *err)
{
    return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": its dimensions make %zu values, %zu are there", what, want, have);
}

/* Narrow int32 values to an integer type of `size` bytes; the low bits of each are the element. */
static clv_status from_int32(void *to, size_t size, int64_t low, int64_t high, const Onnx__TensorProto *proto,
                             const char *what, clv_error *err)
{
    for (size_t i = 0; i < proto->n_int32_data; i++) {
        const int32_t x = proto->int32_data[i];
        if (x < low || x > high)
            return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": element %zu is %d, %lld to %lld were expected", what, i,
                        (int)x, (long long)low, (long long)high);
        memcpy((char *)to + i * size, &x, size);
    }
    return CLV_OK;
}

static clv_status from_uint64(uint32_t *to, const Onnx__TensorProto *proto, const char *what, clv_error *err)
{
    for (size_t i = 0; i < proto->n_uint64_data; i++) {
        if (proto->uint64_data[i] > UINT32_MAX)
            return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": element %zu does not fit in 32 bits", what, i);
        to[i] = (uint32_t)proto->uint64_data[i];
    }
    return CLV_OK;
}

/* Where the typed values of a dtype are kept, how many numbers make one element, and the range of the narrow ones. */
typedef struct typed {
    const void *data;
    size_t have, per_element;
    int64_t low, high; /* low < high: int32 numbers to be narrowed */
} typed;

static typed typed_data(const Onnx__TensorProto *p, clv_dtype dtype)
{
    switch ((int)dtype) {
    case CLV_FLOAT32:
        return (typed){p->float_data, p->n_float_data, 1, 0, 0};
    case CLV_COMPLEX64:
        return (typed){p->float_data, p->n_float_data, 2, 0, 0};
    case CLV_FLOAT64:
        return (typed){p->double_data, p->n_double_data, 1, 0, 0};
    case CLV_COMPLEX128:
        return (typed){p->double_data, p->n_double_data, 2, 0, 0};
    case CLV_INT64:
        return (typed){p->int64_data, p->n_int64_data, 1, 0, 0};
    case CLV_UINT64:
    case CLV_UINT32:
        return (typed){p->uint64_data, p->n_uint64_data, 1, 0, 0};
    case CLV_INT32:
        return (typed){p->int32_data, p->n_int32_data, 1, 0, 0};
    case CLV_INT16:
        return (typed){p->int32_data, p->n_int32_data, 1, INT16_MIN, INT16_MAX};
    case CLV_INT8:
        return (typed){p->int32_data, p->n_int32_data, 1, INT8_MIN, INT8_MAX};
    case CLV_UINT8:
        return (typed){p->int32_data, p->n_int32_data, 1, 0, UINT8_MAX};
    case CLV_BOOL:
        return (typed){p->int32_data, p->n_int32_data, 1, 0, 1};
    default: /* uint16, float16, bfloat16 */
        return (typed){p->int32_data, p->n_int32_data, 1, 0, UINT16_MAX};
    }
}

static clv_status read_typed(clv_tensor *out, size_t count, const Onnx__TensorProto *proto, const char *what,
                             clvi_arena *arena, clv_error *err)
{
    const size_t size = clv_dtype_size(out->dtype);
    const typed from = typed_data(proto, out->dtype);
    if (from.have % from.per_element || from.have / from.per_element != count)
        return fail_count(what, count, from.have / from.per_element, err);
    out->data = clvi_arena_alloc(arena, count * size); /* count is what the file holds */
    if (!out->data)
        return clvi_proto_no_memory(err);
    if (out->dtype == CLV_UINT32)
        return from_uint64(out->data, proto, what, err);
    if (from.low < from.high)
        return from_int32(out->data, size, from.low, from.high, proto, what, err);
    if (count)
        memcpy(out->data, from.data, count * size);
    return CLV_OK;
}

clv_status clvi_onnx_tensor(clv_tensor **out, const Onnx__TensorProto *proto, const char *what, clvi_arena *arena,
                            clv_error *err)
{
    *out = NULL;
    if (!proto->has_data_type || proto->data_type <= 0)
        return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\" has no element type", what);
    for (size_t i = 0; i < proto->n_dims; i++)
        if (proto->dims[i] < 0)
            return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": dimension %zu is %lld", what, i,
                        (long long)proto->dims[i]);
    if (proto->n_dims > CLV_MAX_RANK || proto->data_type > CLV_BFLOAT16 || proto->data_type == CLV_STRING ||
        proto->segment)
        return CLV_OK;

    clv_tensor *tensor = clvi_arena_calloc(arena, 1, sizeof *tensor);
    if (!tensor)
        return clvi_proto_no_memory(err);
    tensor->dtype = (clv_dtype)proto->data_type;
    tensor->rank = (int)proto->n_dims;
    for (int i = 0; i < tensor->rank; i++)
        tensor->dims[i] = proto->dims[i];
    const int64_t count = clv_tensor_count(tensor);
    size_t bytes;
    if (count < 0 || !clvi_mul((size_t)count, clv_dtype_size(tensor->dtype), &bytes))
        return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": the product of its dimensions overflows", what);

    if (proto->has_raw_data && (proto->raw_data.len || count == 0)) {
        if (proto->raw_data.len != bytes)
            return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": its dimensions make %zu bytes of %s, %zu are there", what,
                        bytes, clv_dtype_name(tensor->dtype), proto->raw_data.len);
        tensor->data = bytes ? proto->raw_data.data : clvi_arena_alloc(arena, 1);
        if (!tensor->data)
            return clvi_proto_no_memory(err);
        if (tensor->dtype == CLV_BOOL)
            for (size_t i = 0; i < bytes; i++)
                proto->raw_data.data[i] = proto->raw_data.data[i] != 0;
    } else {
        TRY(read_typed(tensor, (size_t)count, proto, what, arena, err));
    }
    *out = tensor;
    return CLV_OK;
}

void clvi_onnx_tensor_to(Onnx__TensorProto *proto, const clv_tensor *tensor)
{
    const size_t bytes = (size_t)clv_tensor_count(tensor) * clv_dtype_size(tensor->dtype);
    proto->n_dims = (size_t)tensor->rank;
    proto->dims = (int64_t *)tensor->dims; /* protobuf-c has no const; packing only reads */
    proto->has_data_type = 1;
    proto->data_type = (int32_t)tensor->dtype;
    proto->has_raw_data = 1;
    proto->raw_data = (ProtobufCBinaryData){bytes, tensor->data};
}

void clvi_onnx_tensor_strip(Onnx__TensorProto *proto)
{
    proto->name = NULL;
    proto->n_dims = 0;
    proto->has_data_type = 0;
    proto->has_raw_data = 0;
    proto->n_float_data = proto->n_int32_data = proto->n_string_data = proto->n_int64_data = 0;
    proto->n_double_data = proto->n_uint64_data = 0;
    proto->n_external_data = 0;
    proto->has_data_location = 0;
}
