/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors stored outside the model file. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/size.h"
#include "onnx/onnx_proto.h"

#define MAX_REUSE 8 /* a file may be read this many times over: tied weights, not a bomb */

typedef struct clvi_external_file {
    struct clvi_external_file *next;
    dev_t device;
    ino_t inode;
} clvi_external_file;

typedef struct reference {
    const char *name; /* of the tensor */
    const char *location;
    uint64_t offset, length;
    bool has_length;
} reference;

static bool parse_number(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

static clv_status read_reference(reference *out, const Onnx__TensorProto *proto, clv_error *err)
{
    *out = (reference){.name = proto->name ? proto->name : ""};
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const char *key = proto->external_data[i]->key ? proto->external_data[i]->key : "";
        const char *value = proto->external_data[i]->value ? proto->external_data[i]->value : "";
        bool good = true;
        if (strcmp(key, "location") == 0)
            out->location = value;
        else if (strcmp(key, "offset") == 0)
            good = parse_number(value, &out->offset);
        else if (strcmp(key, "length") == 0)
            good = out->has_length = parse_number(value, &out->length);
        if (!good)
            return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": external %s \"%s\" is not a number", out->name, key,
                        value);
    }
    return CLV_OK;
}

/* A relative path without "..". */
static bool stays_below(const char *location)
{
    if (!*location || *location == '/')
        return false;
    for (const char *part = location; part;) {
        const char *slash = strchr(part, '/');
        const size_t n = slash ? (size_t)(slash - part) : strlen(part);
        if (n == 2 && part[0] == '.' && part[1] == '.')
            return false;
        part = slash ? slash + 1 : NULL;
    }
    return true;
}

/* The file's true path, which must lie in the model's folder also after following links. */
static clv_status resolve(const char **out, const clvi_external *external, const reference *ref, clv_error *err)
{
    if (!ref->location || !stays_below(ref->location))
        return FAIL(err, CLV_ERR_FORMAT,
                    "tensor \"%s\": external location \"%s\" is not a path below the model's folder", ref->name,
                    ref->location ? ref->location : "");
    char *folder = clvi_arena_alloc(external->arena, PATH_MAX), *path = clvi_arena_alloc(external->arena, PATH_MAX);
    const char *joined = clvi_arena_printf(external->arena, "%s/%s", external->folder, ref->location);
    if (!folder || !path || !joined)
        return clvi_proto_no_memory(err);
    if (!realpath(external->folder, folder) || !realpath(joined, path))
        return FAIL(err, CLV_ERR_IO, "tensor \"%s\": external file \"%s\": %s", ref->name, joined, strerror(errno));
    const size_t n = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    if (strncmp(path, folder, n) != 0 || path[n] != '/')
        return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": external location \"%s\" leads out of the model's folder",
                    ref->name, ref->location);
    *out = path;
    return CLV_OK;
}

/* Bytes that the tensor must have; false when its type has no fixed size. */
static bool expected_bytes(const Onnx__TensorProto *proto, size_t *bytes)
{
    const size_t size =
        proto->data_type > 0 && proto->data_type <= CLV_BFLOAT16 ? clv_dtype_size((clv_dtype)proto->data_type) : 0;
    *bytes = size;
    for (size_t i = 0; i < proto->n_dims; i++)
        if (proto->dims[i] < 0 || !clvi_mul(*bytes, (size_t)proto->dims[i], bytes))
            return false;
    return size != 0;
}

/* Count the file if it is new, and refuse to read it over and over. */
static clv_status account(clvi_external *external, const struct stat *info, size_t length, const reference *ref,
                          clv_error *err)
{
    const clvi_external_file *f = external->files;
    while (f && (f->device != info->st_dev || f->inode != info->st_ino))
        f = f->next;
    if (!f) {
        clvi_external_file *fresh = clvi_arena_alloc(external->arena, sizeof *fresh);
        if (!fresh)
            return clvi_proto_no_memory(err);
        *fresh = (clvi_external_file){external->files, info->st_dev, info->st_ino};
        external->files = fresh;
        external->available += (uint64_t)info->st_size;
    }
    external->loaded += length; /* each addend is at most a file's size: no overflow within 2^63 / tensors */
    if (external->loaded / MAX_REUSE > external->available)
        return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": external file \"%s\" is used more than %d times over",
                    ref->name, ref->location, MAX_REUSE);
    return CLV_OK;
}

clv_status clvi_onnx_load_external(void *arg, Onnx__TensorProto *proto, clv_error *err)
{
    clvi_external *external = arg;
    if (!proto->has_data_location || proto->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return CLV_OK;
    reference ref;
    struct stat info;
    const char *path = NULL;
    size_t bytes;
    TRY(read_reference(&ref, proto, err));
    if (!external->folder)
        return FAIL(err, CLV_ERR_UNSUP, "tensor \"%s\" is stored outside the model, in \"%s\"", ref.name,
                    ref.location ? ref.location : "");
    TRY(resolve(&path, external, &ref, err));
    if (stat(path, &info) != 0)
        return FAIL(err, CLV_ERR_IO, "tensor \"%s\": external file \"%s\": %s", ref.name, path, strerror(errno));
    const uint64_t size = (uint64_t)info.st_size;
    if (ref.offset > size || (ref.has_length && ref.length > size - ref.offset))
        return FAIL(err, CLV_ERR_FORMAT,
                    "tensor \"%s\": external file \"%s\" has %llu bytes, offset %llu and length %llu "
                    "were expected",
                    ref.name, ref.location, (unsigned long long)size, (unsigned long long)ref.offset,
                    (unsigned long long)ref.length);
    if (expected_bytes(proto, &bytes)) {
        if (bytes > size - ref.offset || (ref.has_length && ref.length != bytes))
            return FAIL(err, CLV_ERR_FORMAT, "tensor \"%s\": its dimensions make %zu bytes, %llu are stored outside",
                        ref.name, bytes, (unsigned long long)(ref.has_length ? ref.length : size - ref.offset));
    } else {
        bytes = (size_t)(ref.has_length ? ref.length : size - ref.offset);
    }
    TRY(account(external, &info, bytes, &ref, err));
    uint8_t *data = clvi_arena_alloc(external->arena, bytes);
    if (!data)
        return clvi_proto_no_memory(err);
    TRY(clvi_file_read_at(data, bytes, ref.offset, path, err));
    proto->has_raw_data = 1;
    proto->raw_data = (ProtobufCBinaryData){bytes, data};
    proto->n_external_data = 0;
    proto->has_data_location = 0;
    return CLV_OK;
}
