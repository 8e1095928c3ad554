/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/floats.h"

#include "base/half.h"
#include "base/mem.h"

static bool convert(float *to, const clv_tensor *t, size_t n)
{
#define CONVERT(kind, type)                            \
    case kind:                                         \
        for (size_t i = 0; i < n; i++)                 \
            to[i] = (float)((const type *)t->data)[i]; \
        return true
    switch (t->dtype) {
        CONVERT(CLV_UINT8, uint8_t);
        CONVERT(CLV_BOOL, uint8_t);
        CONVERT(CLV_INT8, int8_t);
        CONVERT(CLV_UINT16, uint16_t);
        CONVERT(CLV_INT16, int16_t);
        CONVERT(CLV_UINT32, uint32_t);
        CONVERT(CLV_INT32, int32_t);
        CONVERT(CLV_UINT64, uint64_t);
        CONVERT(CLV_INT64, int64_t);
    default:
        return clvi_floats_from(to, t->dtype, t->data, n);
    }
#undef CONVERT
}

clv_status clvi_floats_of(const float **out, size_t *n, clvi_floats *room, const clv_tensor *tensor, clv_error *err)
{
    const int64_t count = clv_tensor_count(tensor);
    *out = NULL;
    *n = 0;
    if (count < 0 || (count > 0 && !tensor->data))
        return FAIL(err, CLV_ERR_ARG, "a tensor without data or with a bad shape");
    *n = (size_t)count;
    if (tensor->dtype == CLV_FLOAT32) {
        *out = tensor->data;
        return CLV_OK;
    }
    if (*n > room->capacity || !room->data) {
        clvi_floats_free(room);
        room->data = clvi_alloc_array(*n, sizeof *room->data);
        if (!room->data)
            return FAIL(err, CLV_ERR_NOMEM, "%zu elements", *n);
        room->capacity = *n;
    }
    *out = room->data;
    if (!convert(room->data, tensor, *n))
        return FAIL(err, CLV_ERR_UNSUP, "a tensor of %s cannot be measured", clv_dtype_name(tensor->dtype));
    return CLV_OK;
}

void clvi_floats_free(clvi_floats *room)
{
    clvi_free(room->data);
    *room = (clvi_floats){0};
}
