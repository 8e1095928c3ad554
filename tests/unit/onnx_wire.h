/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX models written field by field, for tests: also those that no proper writer would make.
 * A message is a growing buffer; put_message appends one and frees it. Field numbers are those of onnx.proto. */
#ifndef TEST_ONNX_WIRE_H
#define TEST_ONNX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cleave/tensor.h"

void put_varint(clvi_str *s, uint64_t value);
void put_int(clvi_str *s, uint32_t field, int64_t value);
void put_float(clvi_str *s, uint32_t field, float value);
void put_bytes(clvi_str *s, uint32_t field, const void *bytes, size_t size);
void put_text(clvi_str *s, uint32_t field, const char *text);
void put_message(clvi_str *s, uint32_t field, clvi_str *message);
void put_packed_ints(clvi_str *s, uint32_t field, const int64_t *values, size_t n);

/* A ValueInfoProto of a tensor [dims...]: -1 is the symbol "n". rank -1: no shape. */
clvi_str wire_value_info(const char *name, clv_dtype dtype, int rank, const int64_t *dims);

/* A TensorProto with raw data. */
clvi_str wire_tensor(const char *name, clv_dtype dtype, int rank, const int64_t *dims, const void *data, size_t bytes);

/* A NodeProto; in and out are names separated by single spaces, "-" is an empty name. */
clvi_str wire_node(const char *op_type, const char *name, const char *in, const char *out);

/* Around a GraphProto (taken): IR version, operator set, graph. */
clvi_str wire_model(int64_t ir, int64_t opset, clvi_str *graph);

/* A float graph input and output [1, n] around nodes that the caller puts in. */
clvi_str wire_graph(const char *input, const char *output);

/* Models that together use everything the reader knows. */
clvi_str wire_small_model(void);   /* Conv, BatchNormalization, Relu with metadata, value infos, symbols */
clvi_str wire_strange_model(void); /* custom domain, subgraphs with captures, functions, sparse, unknown fields */
clvi_str wire_typed_model(void);   /* an initializer of every element type, typed and raw */
clvi_str wire_old_model(void);     /* IR 3: initializers among the inputs */

#endif
