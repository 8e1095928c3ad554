/* SPDX-License-Identifier: Apache-2.0 */
/* The wire format, checked against the message types before protobuf-c allocates anything. */
#include <string.h>

#include "base/size.h"
#include "onnx/onnx_proto.h"

#define MAX_DEPTH       100
#define MEMORY_FACTOR   64
#define MEMORY_BASE     ((size_t)16 << 20)
#define COST_OF_FIELD   48 /* protobuf-c's note about one field while it parses the message */
#define COST_OF_POINTER 32 /* an element of a list and the rounding of what it points to */

#define COST_OF_SCOPE 2048 /* the tables of names of a nested graph */

typedef struct scanner {
    const uint8_t *start;
    size_t memory, limit; /* bytes that unpacking needs, bytes it may need */
    clv_error *err;
} scanner;

typedef struct field {
    uint32_t id, wire;
    const uint8_t *data; /* of a length-prefixed field */
    size_t size;
    const ProtobufCFieldDescriptor *known; /* NULL: not in onnx.proto */
} field;

static clv_status fail_at(const scanner *s, const uint8_t *at, const ProtobufCMessageDescriptor *type, const char *name,
                          const char *why)
{
    return FAIL(s->err, CLV_ERR_FORMAT, "byte %zu: %s%s%s: %s", (size_t)(at - s->start), type->short_name,
                name ? "." : "", name ? name : "", why);
}

/* A varint of at most ten bytes; NULL when it runs past the end or is too long. */
static const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    for (int shift = 0; p < end && shift < 70; shift += 7) {
        value |= shift < 64 ? (uint64_t)(*p & 0x7f) << shift : 0;
        if (*p++ < 0x80) {
            *out = value;
            return p;
        }
    }
    return NULL;
}

/* Take one field apart; *next is where the following one starts. */
static clv_status read_field(const scanner *s, field *out, const uint8_t *p, const uint8_t *end,
                             const ProtobufCMessageDescriptor *type, const uint8_t **next)
{
    const uint8_t *const at = p;
    uint64_t tag, length;
    p = read_varint(p, end, &tag);
    if (!p || p - at > 5 || tag > UINT32_MAX || tag >> 3 == 0)
        return fail_at(s, at, type, NULL, "no field starts here");
    *out = (field){.id = (uint32_t)(tag >> 3), .wire = (uint32_t)(tag & 7)};
    out->known = protobuf_c_message_descriptor_get_field(type, out->id);
    const char *name = out->known ? out->known->name : NULL;
    size_t fixed = 0;
    switch (out->wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        if (!(p = read_varint(p, end, &length)))
            return fail_at(s, at, type, name, "broken number");
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!(p = read_varint(p, end, &length)) || length > (size_t)(end - p))
            return fail_at(s, at, type, name, "runs past the end: the file is cut short or damaged");
        out->data = p;
        fixed = out->size = (size_t)length;
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        fixed = out->wire == PROTOBUF_C_WIRE_TYPE_64BIT ? 8 : 4;
        if ((size_t)(end - p) < fixed)
            return fail_at(s, at, type, name, "runs past the end: the file is cut short or damaged");
        break;
    default:
        return fail_at(s, at, type, name, "a kind of field that protobuf does not have");
    }
    *next = p + fixed;
    return CLV_OK;
}

/* The wire type of a single value, and the bytes of it in memory. */
static uint32_t wire_of(ProtobufCType type, size_t *bytes)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        *bytes = 4;
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        *bytes = 8;
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        *bytes = COST_OF_POINTER;
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        *bytes = 8;
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* A packed list: whole elements only. */
static bool packed_is_whole(const field *f, uint32_t wire, size_t bytes)
{
    if (wire != PROTOBUF_C_WIRE_TYPE_VARINT)
        return f->size % bytes == 0;
    uint64_t ignored;
    const uint8_t *p = f->data, *end = f->data + f->size;
    while (p && p < end)
        p = read_varint(p, end, &ignored);
    return p != NULL;
}

/* Bytes of the graph that come on top of the message itself. */
static size_t graph_cost(const ProtobufCMessageDescriptor *type, const field *f)
{
    const bool makes_value = (type == &onnx__node_proto__descriptor && f->id == 2) ||
                             (type == &onnx__graph_proto__descriptor && f->id != 1 && f->id != 2);
    const bool makes_scope = type == &onnx__attribute_proto__descriptor && (f->id == 6 || f->id == 11);
    return (makes_value ? 2 * sizeof(clvi_value) : 0) + (makes_scope ? COST_OF_SCOPE : 0);
}

static clv_status check_field(scanner *s, const field *f, const uint8_t *at, const ProtobufCMessageDescriptor *type)
{
    size_t bytes, cost = COST_OF_FIELD + f->size + graph_cost(type, f);
    if (f->known) {
        const uint32_t wire = wire_of(f->known->type, &bytes);
        const bool packed = f->known->label == PROTOBUF_C_LABEL_REPEATED && f->wire != wire &&
                            f->wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        if (f->wire != wire && !packed)
            return fail_at(s, at, type, f->known->name, "holds another kind of value than it should");
        if (packed && !packed_is_whole(f, wire, bytes))
            return fail_at(s, at, type, f->known->name, "ends within an element");
        if (f->known->type == PROTOBUF_C_TYPE_STRING && f->size && memchr(f->data, '\0', f->size))
            return fail_at(s, at, type, f->known->name, "a text with a NUL byte in it");
        cost += packed && wire == PROTOBUF_C_WIRE_TYPE_VARINT ? f->size * bytes : bytes;
    }
    s->memory += cost; /* checked after every field, so it stays far from overflow */
    if (s->memory > s->limit)
        return fail_at(
            s, at, type, f->known ? f->known->name : NULL,
            "the file is made of so many tiny parts that it would need more than 64 times its size in memory");
    return CLV_OK;
}

static clv_status scan_message(scanner *s, const uint8_t *p, const uint8_t *end, const ProtobufCMessageDescriptor *type,
                               int depth)
{
    uint64_t seen = 0; /* fields of this message that hold one message, by index */
    if (depth > MAX_DEPTH)
        return fail_at(s, p, type, NULL, "messages are nested more than 100 deep");
    s->memory += type->sizeof_message;
    while (p < end) {
        const uint8_t *const at = p;
        field f = {0};
        TRY(read_field(s, &f, p, end, type, &p));
        TRY(check_field(s, &f, at, type));
        if (!f.known || f.known->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        const uint64_t bit = (uint64_t)1 << (unsigned)(f.known - type->fields);
        if (f.known->label != PROTOBUF_C_LABEL_REPEATED && seen & bit)
            return fail_at(s, at, type, f.known->name, "given twice");
        seen |= bit;
        TRY(scan_message(s, f.data, f.data + f.size, f.known->descriptor, depth + 1));
    }
    return CLV_OK;
}

clv_status clvi_onnx_scan(clvi_blob bytes, const ProtobufCMessageDescriptor *type, clv_error *err)
{
    scanner s = {.start = bytes.data, .err = err};
    if (!clvi_mul(bytes.size, MEMORY_FACTOR, &s.limit) || !clvi_add(s.limit, MEMORY_BASE, &s.limit))
        return FAIL(err, CLV_ERR_FORMAT, "a model of %zu bytes", bytes.size);
    if (bytes.size == 0)
        return FAIL(err, CLV_ERR_FORMAT, "the file is empty");
    return scan_message(&s, bytes.data, bytes.data + bytes.size, type, 1);
}
