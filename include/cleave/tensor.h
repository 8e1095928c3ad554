/* SPDX-License-Identifier: Apache-2.0 */
/* A dense row-major tensor, the one array type of the library. */
#ifndef CLEAVE_TENSOR_H
#define CLEAVE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "cleave/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CLV_MAX_RANK 8

/* Element types, numbered as ONNX TensorProto.DataType. */
typedef enum clv_dtype {
    CLV_DTYPE_NONE = 0, /* unknown */
    CLV_FLOAT32 = 1,
    CLV_UINT8 = 2,
    CLV_INT8 = 3,
    CLV_UINT16 = 4,
    CLV_INT16 = 5,
    CLV_INT32 = 6,
    CLV_INT64 = 7,
    CLV_STRING = 8, /* never has data here */
    CLV_BOOL = 9,   /* one byte, 0 or 1 */
    CLV_FLOAT16 = 10,
    CLV_FLOAT64 = 11,
    CLV_UINT32 = 12,
    CLV_UINT64 = 13,
    CLV_COMPLEX64 = 14,
    CLV_COMPLEX128 = 15,
    CLV_BFLOAT16 = 16
} clv_dtype;

/* Shape [dims[0], ..., dims[rank-1]], last dimension contiguous, no padding.
 * rank 0 is a scalar with one element. Who owns `data` is said where a tensor is handed over. */
typedef struct clv_tensor {
    clv_dtype dtype;
    int rank;
    int64_t dims[CLV_MAX_RANK];
    void *data;
} clv_tensor;

/* Bytes of one element; 0 for CLV_DTYPE_NONE and CLV_STRING. Reentrant. */
CLV_API size_t clv_dtype_size(clv_dtype dtype);

/* "float32", "int64", ...; "unknown" otherwise. Reentrant. */
CLV_API const char *clv_dtype_name(clv_dtype dtype);

/* Number of elements, or -1 when a dimension is negative or the product overflows. Reentrant. */
CLV_API int64_t clv_tensor_count(const clv_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
