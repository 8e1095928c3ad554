/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share: protobuf-c on arenas, and the parts of reading and writing. */
#ifndef CLVI_ONNX_PROTO_H
#define CLVI_ONNX_PROTO_H

#include "graph/graph.h"
#include "graph/names.h"
#include "onnx/onnx.pb-c.h"

/* --- messages (onnx_proto.c) ---------------------------------------------------------------------------------- */

/* Unpack into an arena; nothing needs to be freed. The bytes must have passed clvi_onnx_scan, or come from
 * clvi_proto_pack. */
clv_status clvi_proto_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type, clvi_blob bytes,
                             clvi_arena *arena, clv_error *err);

/* The message as bytes; an empty message is an empty blob. */
clv_status clvi_proto_pack(clvi_blob *out, const ProtobufCMessage *message, clvi_arena *arena, clv_error *err);

/* Call visit for every TensorProto in message, at any depth. */
typedef clv_status (*clvi_tensor_visit)(void *arg, Onnx__TensorProto *tensor, clv_error *err);
clv_status clvi_proto_each_tensor(ProtobufCMessage *message, clvi_tensor_visit visit, void *arg, clv_error *err);

clv_status clvi_proto_no_memory(clv_error *err);

/* --- the wire format (onnx_scan.c) ------------------------------------------------------------------------------ */

/* Check the bytes of a message before protobuf-c sees them: well-formed, nested at most 100 deep, no message where one
 * is expected given twice, strings without NUL, and at most 64 times its size (plus 16 MB) in memory. */
clv_status clvi_onnx_scan(clvi_blob bytes, const ProtobufCMessageDescriptor *type, clv_error *err);

/* --- tensors (onnx_tensor.c, onnx_external.c) ------------------------------------------------------------------- */

/* The array that a TensorProto holds, in the arena; its raw data are used where they are. *out is NULL for what a
 * clv_tensor cannot hold: strings, segments, newer element types, rank above CLV_MAX_RANK. `what` names it in messages.
 */
clv_status clvi_onnx_tensor(clv_tensor **out, const Onnx__TensorProto *proto, const char *what, clvi_arena *arena,
                            clv_error *err);

/* dims, type and data of a tensor, which must outlive the proto. */
void clvi_onnx_tensor_to(Onnx__TensorProto *proto, const clv_tensor *tensor);

/* Forget name, dims, type and data. */
void clvi_onnx_tensor_strip(Onnx__TensorProto *proto);

typedef struct clvi_external {
    const char *folder; /* NULL: nothing may lie outside */
    clvi_arena *arena;
    uint64_t available, loaded; /* bytes of all distinct files met, bytes read from them */
    struct clvi_external_file *files;
} clvi_external;

/* If the tensor is stored outside, bring it in as raw data. Fits clvi_tensor_visit; arg is a clvi_external. */
clv_status clvi_onnx_load_external(void *arg, Onnx__TensorProto *proto, clv_error *err);

/* --- value types (onnx_value.c) --------------------------------------------------------------------------------- */

/* dtype, rank, dims and dim_names as declared; the names are views. Unknown (NONE, -1) for what is no tensor. */
void clvi_onnx_value_type(clvi_value *value, const Onnx__ValueInfoProto *info);

/* The declaration of a value under its present name: the one it was read with if that is still true, else a new one. */
clv_status clvi_onnx_value_info(Onnx__ValueInfoProto **out, const clvi_value *value, clvi_arena *arena, clv_error *err);

/* --- nodes (onnx_attr.c, onnx_node.c, onnx_scope.c, onnx_sort.c) ------------------------------------------------- */

clv_status clvi_onnx_attr(clvi_attr *attr, const Onnx__AttributeProto *proto, const char *node, clvi_arena *arena,
                          clv_error *err);
clv_status clvi_onnx_attr_to(Onnx__AttributeProto **out, const clvi_attr *attr, clvi_arena *arena, clv_error *err);

/* Read a node whose values are all known to the graph; its proto is stripped. work: scratch arena. */
clv_status clvi_onnx_node(clvi_node **out, clvi_graph *graph, Onnx__NodeProto *proto, clvi_arena *work, clv_error *err);

clv_status clvi_onnx_node_to(Onnx__NodeProto **out, const clvi_graph *graph, const clvi_node *node, clvi_arena *arena,
                             clv_error *err);

/* The names known inside a nested graph. */
typedef struct clvi_scope {
    clvi_names names;
    const struct clvi_scope *outer; /* NULL: the main graph is next */
} clvi_scope;

bool clvi_scope_has(const clvi_scope *scope, const char *name);

typedef struct clvi_scope_visitor {
    /* A place inside a nested graph that names a value of the main graph; may be pointed elsewhere. */
    clv_status (*free_name)(void *arg, char **name, const clvi_scope *scope, clv_error *err);
    /* A name that a nested graph defines; may be NULL. */
    clv_status (*local_name)(void *arg, const char *name, clv_error *err);
    void *arg;
} clvi_scope_visitor;

/* Visit the graphs nested in an attribute. */
clv_status clvi_scope_walk(Onnx__AttributeProto *attr, const clvi_scope_visitor *visitor, clvi_arena *work,
                           clv_error *err);

/* Put the nodes into topological order, keeping the order of the file where it is one. CLV_ERR_FORMAT: a cycle. */
clv_status clvi_onnx_sort(clvi_graph *graph, clv_error *err);

/* --- writing (onnx_write_value.c) --------------------------------------------------------------------------------- */

/* Fill inputs, outputs, initializers and value infos of a GraphProto. */
clv_status clvi_onnx_values_to(Onnx__GraphProto *proto, const clvi_graph *graph, clvi_arena *arena, clv_error *err);

#endif
