/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf-c on arenas. */
#include "onnx/onnx_proto.h"

#include <string.h>

clv_status clvi_proto_no_memory(clv_error *err)
{
    return FAIL(err, CLV_ERR_NOMEM, "no memory for the model");
}

typedef struct arena_allocator {
    clvi_arena *arena;
    bool failed;
} arena_allocator;

static void *allocate(void *data, size_t size)
{
    arena_allocator *allocator = data;
    void *block = clvi_arena_alloc(allocator->arena, size);
    if (!block)
        allocator->failed = true;
    return block;
}

static void release(void *data, void *block)
{
    (void)data;
    (void)block; /* dies with the arena */
}

clv_status clvi_proto_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type, clvi_blob bytes,
                             clvi_arena *arena, clv_error *err)
{
    arena_allocator data = {arena, false};
    ProtobufCAllocator allocator = {allocate, release, &data};
    static const uint8_t nothing[1] = {0};
    *out = protobuf_c_message_unpack(type, &allocator, bytes.size, bytes.size ? bytes.data : nothing);
    if (*out)
        return CLV_OK;
    if (data.failed)
        return clvi_proto_no_memory(err);
    return FAIL(err, CLV_ERR_FORMAT, "malformed %s", type->short_name);
}

clv_status clvi_proto_pack(clvi_blob *out, const ProtobufCMessage *message, clvi_arena *arena, clv_error *err)
{
    *out = (clvi_blob){0};
    const size_t size = protobuf_c_message_get_packed_size(message);
    if (size == 0)
        return CLV_OK;
    uint8_t *data = clvi_arena_alloc(arena, size);
    if (!data)
        return clvi_proto_no_memory(err);
    *out = (clvi_blob){data, protobuf_c_message_pack(message, data)};
    return CLV_OK;
}

/* The member at `offset` of a message. */
static void *member(ProtobufCMessage *message, unsigned offset)
{
    return (char *)message + offset;
}

/* The field's messages, *n of them. */
static ProtobufCMessage **messages_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t *n)
{
    ProtobufCMessage **one = member(message, field->offset);
    *n = 0;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return NULL;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        *n = *(size_t *)member(message, field->quantifier_offset);
        return *(ProtobufCMessage ***)(void *)one;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *n = *(uint32_t *)member(message, field->quantifier_offset) == field->id && *one;
    else
        *n = *one != NULL;
    return one;
}

clv_status clvi_proto_each_tensor(ProtobufCMessage *message, clvi_tensor_visit visit, void *arg, clv_error *err)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type == &onnx__tensor_proto__descriptor)
        return visit(arg, (Onnx__TensorProto *)message, err);
    for (unsigned f = 0; f < type->n_fields; f++) {
        size_t n;
        ProtobufCMessage **messages = messages_of(message, &type->fields[f], &n);
        for (size_t i = 0; i < n; i++)
            TRY(clvi_proto_each_tensor(messages[i], visit, arg, err));
    }
    return CLV_OK;
}
