/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: AttributeProto to and from clvi_attr. */
#include <string.h>

#include "onnx/onnx_proto.h"

/* Every blob gets a NUL behind it. */
static bool read_bytes(clvi_blob *out, const ProtobufCBinaryData *from, clvi_arena *arena)
{
    const char *copy = clvi_arena_strndup(arena, (const char *)from->data, from->len);
    *out = (clvi_blob){(const uint8_t *)copy, from->len};
    return copy != NULL;
}

static clv_status read_strings(clvi_attr *attr, const Onnx__AttributeProto *proto, clvi_arena *arena, clv_error *err)
{
    clvi_blob *strings = clvi_arena_calloc(arena, proto->n_strings, sizeof *strings);
    if (!strings)
        return clvi_proto_no_memory(err);
    for (size_t i = 0; i < proto->n_strings; i++)
        if (!read_bytes(&strings[i], &proto->strings[i], arena))
            return clvi_proto_no_memory(err);
    attr->strings = strings;
    attr->count = proto->n_strings;
    return CLV_OK;
}

/* The declared type; files of the first IR versions do not declare it. */
static int type_of(const Onnx__AttributeProto *p)
{
    if (p->has_type && p->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED)
        return (int)p->type;
    if (p->has_f)
        return CLVI_ATTR_FLOAT;
    if (p->has_i)
        return CLVI_ATTR_INT;
    if (p->has_s)
        return CLVI_ATTR_STRING;
    if (p->t)
        return CLVI_ATTR_TENSOR;
    if (p->n_floats)
        return CLVI_ATTR_FLOATS;
    if (p->n_ints)
        return CLVI_ATTR_INTS;
    return p->n_strings ? CLVI_ATTR_STRINGS : CLVI_ATTR_OTHER;
}

clv_status clvi_onnx_attr(clvi_attr *attr, const Onnx__AttributeProto *proto, const char *node, clvi_arena *arena,
                          clv_error *err)
{
    if (!proto->name || !proto->name[0])
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": an attribute has no name", node);
    *attr = (clvi_attr){.name = proto->name};
    TRY(clvi_proto_pack(&attr->raw, &proto->base, arena, err));
    if (proto->ref_attr_name && proto->ref_attr_name[0])
        return CLV_OK;
    clv_tensor *tensor = NULL;
    switch (type_of(proto)) {
    case CLVI_ATTR_FLOAT: /* a missing number is zero: proto3 writers leave zeros out */
        attr->kind = CLVI_ATTR_FLOAT;
        attr->f = proto->has_f ? proto->f : 0.0F;
        break;
    case CLVI_ATTR_INT:
        attr->kind = CLVI_ATTR_INT;
        attr->i = proto->has_i ? proto->i : 0;
        break;
    case CLVI_ATTR_STRING:
        attr->kind = CLVI_ATTR_STRING;
        if (!read_bytes(&attr->s, &proto->s, arena))
            return clvi_proto_no_memory(err);
        break;
    case CLVI_ATTR_TENSOR:
        if (!proto->t)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": attribute \"%s\" holds no tensor", node, proto->name);
        TRY(clvi_onnx_tensor(&tensor, proto->t, proto->name, arena, err));
        attr->kind = tensor ? CLVI_ATTR_TENSOR : CLVI_ATTR_OTHER;
        attr->tensor = tensor;
        break;
    case CLVI_ATTR_FLOATS:
        attr->kind = CLVI_ATTR_FLOATS;
        attr->count = proto->n_floats;
        attr->floats = proto->floats;
        break;
    case CLVI_ATTR_INTS:
        attr->kind = CLVI_ATTR_INTS;
        attr->count = proto->n_ints;
        attr->ints = proto->ints;
        break;
    case CLVI_ATTR_STRINGS:
        attr->kind = CLVI_ATTR_STRINGS;
        TRY(read_strings(attr, proto, arena, err));
        break;
    default:
        break;
    }
    return CLV_OK;
}

static clv_status strings_to(Onnx__AttributeProto *proto, const clvi_attr *attr, clvi_arena *arena, clv_error *err)
{
    proto->strings = clvi_arena_calloc(arena, attr->count, sizeof *proto->strings);
    if (!proto->strings)
        return clvi_proto_no_memory(err);
    proto->n_strings = attr->count;
    for (size_t i = 0; i < attr->count; i++)
        proto->strings[i] = (ProtobufCBinaryData){attr->strings[i].size, (uint8_t *)attr->strings[i].data};
    return CLV_OK;
}

/* protobuf-c has no const; packing only reads, so the proto may point to the attribute's arrays. */
clv_status clvi_onnx_attr_to(Onnx__AttributeProto **out, const clvi_attr *attr, clvi_arena *arena, clv_error *err)
{
    ProtobufCMessage *message;
    TRY(clvi_proto_unpack(&message, &onnx__attribute_proto__descriptor, attr->raw, arena, err));
    Onnx__AttributeProto *proto = *out = (Onnx__AttributeProto *)message;
    if (attr->raw.size)
        return CLV_OK;
    proto->name = (char *)attr->name;
    proto->has_type = 1;
    proto->type = (Onnx__AttributeProto__AttributeType)attr->kind;
    switch (attr->kind) {
    case CLVI_ATTR_FLOAT:
        proto->has_f = 1;
        proto->f = attr->f;
        return CLV_OK;
    case CLVI_ATTR_INT:
        proto->has_i = 1;
        proto->i = attr->i;
        return CLV_OK;
    case CLVI_ATTR_STRING:
        proto->has_s = 1;
        proto->s = (ProtobufCBinaryData){attr->s.size, (uint8_t *)attr->s.data};
        return CLV_OK;
    case CLVI_ATTR_TENSOR:
        proto->t = clvi_arena_alloc(arena, sizeof *proto->t);
        if (!proto->t)
            return clvi_proto_no_memory(err);
        onnx__tensor_proto__init(proto->t);
        clvi_onnx_tensor_to(proto->t, attr->tensor);
        return CLV_OK;
    case CLVI_ATTR_FLOATS:
        proto->n_floats = attr->count;
        proto->floats = (float *)attr->floats;
        return CLV_OK;
    case CLVI_ATTR_INTS:
        proto->n_ints = attr->count;
        proto->ints = (int64_t *)attr->ints;
        return CLV_OK;
    case CLVI_ATTR_STRINGS:
        return strings_to(proto, attr, arena, err);
    default:
        return FAIL(err, CLV_ERR_ARG, "attribute \"%s\" of kind %d has no content", attr->name, (int)attr->kind);
    }
}
