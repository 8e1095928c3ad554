// SPDX-License-Identifier: Apache-2.0
#include "ops/tensor_file.h"

#include "base/file.h"
#include "base/half.h"
#include "base/status.h"
#include "onnx/onnx_proto.h"

clv_status tensor_file_read(clv_tensor *out, const char *path, clvi_arena *arena, clv_error *err)
{
    clvi_bytes file = {0};
    ProtobufCMessage *message = NULL;
    clv_tensor *tensor = NULL;
    clv_status st;

    if ((st = clvi_file_read(&file, path, err)) != CLV_OK)
        goto out;
    uint8_t *copy = clvi_arena_alloc(arena, file.size + 1); /* raw data are used where they are */
    if (!copy) {
        st = FAIL(err, CLV_ERR_NOMEM, "%s", path);
        goto out;
    }
    for (size_t i = 0; i < file.size; i++)
        copy[i] = file.data[i];
    const clvi_blob bytes = {copy, file.size};
    if ((st = clvi_onnx_scan(bytes, &onnx__tensor_proto__descriptor, err)) != CLV_OK)
        goto out;
    if ((st = clvi_proto_unpack(&message, &onnx__tensor_proto__descriptor, bytes, arena, err)) != CLV_OK)
        goto out;
    if ((st = clvi_onnx_tensor(&tensor, (Onnx__TensorProto *)(void *)message, path, arena, err)) != CLV_OK)
        goto out;
    if (!tensor)
        st = FAIL(err, CLV_ERR_UNSUP, "%s: not a tensor of numbers", path);
    else
        *out = *tensor;
out:
    clvi_free(file.data);
    return st;
}

clv_status tensor_to_runtime(clv_tensor *tensor, clvi_arena *arena, clv_error *err)
{
    const bool narrow = tensor->dtype == CLV_FLOAT16 || tensor->dtype == CLV_BFLOAT16;
    if (!narrow && tensor->dtype != CLV_FLOAT64)
        return CLV_OK;
    const int64_t n = clv_tensor_count(tensor);
    float *data = clvi_arena_calloc(arena, (size_t)n + 1, sizeof *data);
    if (!data)
        return FAIL(err, CLV_ERR_NOMEM, "%lld elements", (long long)n);
    clvi_floats_from(data, tensor->dtype, tensor->data, (size_t)n);
    tensor->dtype = CLV_FLOAT32;
    tensor->data = data;
    return CLV_OK;
}
