/* SPDX-License-Identifier: Apache-2.0 */
/* A TensorProto in a file of its own, as the ONNX backend tests keep their inputs and outputs. */
#ifndef CLVI_TESTS_TENSOR_FILE_H
#define CLVI_TESTS_TENSOR_FILE_H

#include "base/mem.h"
#include "cleave/tensor.h"

/* The tensor lives in the arena. CLV_ERR_UNSUP: no clv_tensor can hold it (strings, sequences, newer types). */
clv_status tensor_file_read(clv_tensor *out, const char *path, clvi_arena *arena, clv_error *err);

/* The tensor as the runtime sees it: floating types become float32, in the arena. */
clv_status tensor_to_runtime(clv_tensor *tensor, clvi_arena *arena, clv_error *err);

#endif
