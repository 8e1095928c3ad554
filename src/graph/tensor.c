/* SPDX-License-Identifier: Apache-2.0 */
/* Element types and element counts. */
#include "cleave/tensor.h"

#include <stdint.h>

/* X(type, bytes of one element, name) */
#define DTYPE_LIST(X)                   \
    X(CLV_FLOAT32, 4, "float32")        \
    X(CLV_UINT8, 1, "uint8")            \
    X(CLV_INT8, 1, "int8")              \
    X(CLV_UINT16, 2, "uint16")          \
    X(CLV_INT16, 2, "int16")            \
    X(CLV_INT32, 4, "int32")            \
    X(CLV_INT64, 8, "int64")            \
    X(CLV_STRING, 0, "string")          \
    X(CLV_BOOL, 1, "bool")              \
    X(CLV_FLOAT16, 2, "float16")        \
    X(CLV_FLOAT64, 8, "float64")        \
    X(CLV_UINT32, 4, "uint32")          \
    X(CLV_UINT64, 8, "uint64")          \
    X(CLV_COMPLEX64, 8, "complex64")    \
    X(CLV_COMPLEX128, 16, "complex128") \
    X(CLV_BFLOAT16, 2, "bfloat16")

size_t clv_dtype_size(clv_dtype dtype)
{
    switch ((int)dtype) {
#define SIZE_CASE(type, bytes, name) \
    case type:                       \
        return bytes;
        DTYPE_LIST(SIZE_CASE)
#undef SIZE_CASE
    default:
        return 0;
    }
}

const char *clv_dtype_name(clv_dtype dtype)
{
    switch ((int)dtype) {
#define NAME_CASE(type, bytes, name) \
    case type:                       \
        return name;
        DTYPE_LIST(NAME_CASE)
#undef NAME_CASE
    default:
        return "unknown";
    }
}

int64_t clv_tensor_count(const clv_tensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] < 0)
            return -1;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] == 0)
            return 0;
    for (int i = 0; i < tensor->rank; i++)
        if (__builtin_mul_overflow(count, tensor->dims[i], &count))
            return -1;
    return count;
}
