/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX files to graphs and back: the only room that knows protobuf.
 *
 * Read: IR 3 to 13, operator set 7 to 22 of the default domain, any other domain. What the graph has no place for rides
 * along and is written back: unknown operators, attributes, subgraphs, functions, sparse initializers, unknown fields.
 * Written: the same IR and operator set versions, dense initializers as raw data, nothing else changed.
 * All functions are reentrant. */
#ifndef CLVI_ONNX_ONNX_H
#define CLVI_ONNX_ONNX_H

#include "base/file.h"
#include "graph/graph.h"

/* Gives *out (clvi_graph_free), which passes clvi_graph_verify. Tensors stored outside are looked for in the model's
 * folder and may not lie outside of it. CLV_ERR_FORMAT names the byte, node or value at fault; CLV_ERR_UNSUP: a version
 * out of range; CLV_ERR_IO: a file cannot be read. */
clv_status clvi_onnx_read(clvi_graph **out, const char *path, clv_error *err);

/* The same from memory, which is borrowed. folder NULL: tensors stored outside are CLV_ERR_UNSUP. */
clv_status clvi_onnx_read_bytes(clvi_graph **out, const void *bytes, size_t size, const char *folder, clv_error *err);

/* Write the graph; the file at path is replaced whole or not at all. When an initializer came from outside, or the
 * model is larger than 2 GB, initializers of 1 KB and more go to a second file beside it, <name of the model>.<hash of
 * the data>.data. That one is written first and its name follows from its content, so an older model at `path` keeps
 * its own data until the very moment it is replaced. An older data file is left behind: other models may use it. */
clv_status clvi_onnx_write(const clvi_graph *graph, const char *path, clv_error *err);

/* The same into memory, all tensors inside. Gives out->data (clvi_free). CLV_ERR_UNSUP: larger than 2 GB. */
clv_status clvi_onnx_write_bytes(const clvi_graph *graph, clvi_bytes *out, clv_error *err);

#endif
