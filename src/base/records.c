/* SPDX-License-Identifier: Apache-2.0 */
#include "base/records.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define BYTE_ORDER_MARK UINT32_C(0x01020304)
#define FRAME           ((uint64_t)24) /* kind, size, hash */

static uint64_t hash_record(uint64_t kind, const void *payload, uint64_t size)
{
    const uint64_t words[2] = {kind, size};
    return clvi_hash(clvi_hash(CLVI_HASH_START, words, sizeof words), payload, (size_t)size);
}

void clvi_records_pack_head(clvi_packer *to, const clvi_records_format *format)
{
    const uint32_t mark = BYTE_ORDER_MARK;
    clvi_pack(to, format->magic, 8);
    clvi_pack(to, &format->version, sizeof format->version);
    clvi_pack(to, &mark, sizeof mark);
}

void clvi_records_pack(clvi_packer *to, uint64_t kind, const clvi_packer *payload)
{
    to->failed |= payload->failed;
    clvi_pack_u64(to, kind);
    clvi_pack_u64(to, payload->size);
    clvi_pack(to, payload->data, payload->size);
    clvi_pack_u64(to, hash_record(kind, payload->data, payload->size));
}

static clv_status check_head(const clvi_records *r, uint64_t bytes, const clvi_records_format *format, clv_error *err)
{
    uint8_t head[CLVI_RECORDS_HEAD];
    uint32_t version, mark;
    if (bytes < CLVI_RECORDS_HEAD)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" has %llu bytes: too short for a %.8s file", r->path,
                    (unsigned long long)bytes, format->magic);
    TRY(clvi_file_read_at(head, sizeof head, 0, r->path, err));
    memcpy(&version, head + 8, sizeof version);
    memcpy(&mark, head + 12, sizeof mark);
    if (memcmp(head, format->magic, 8) != 0)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" is not a %.8s file", r->path, format->magic);
    if (mark != BYTE_ORDER_MARK)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" was written on a machine of another byte order", r->path);
    if (version != format->version)
        return FAIL(err, CLV_ERR_FORMAT, "\"%s\" has version %u, this program reads version %u", r->path,
                    (unsigned)version, (unsigned)format->version);
    return CLV_OK;
}

static clv_status list_records(clvi_records *r, uint64_t bytes, clv_error *err)
{
    size_t capacity = 0;
    for (r->end = CLVI_RECORDS_HEAD; bytes - r->end >= FRAME;) {
        uint64_t frame[2];
        TRY(clvi_file_read_at(frame, sizeof frame, r->end, r->path, err));
        if (frame[1] > bytes - r->end - FRAME)
            break;
        if (r->n == capacity) {
            const size_t more = capacity ? 2 * capacity : 64;
            clvi_record *grown = clvi_grow(r->record, r->n * sizeof *grown, more * sizeof *grown);
            if (!grown)
                return FAIL(err, CLV_ERR_NOMEM, "%zu records of \"%s\"", more, r->path);
            r->record = grown;
            capacity = more;
        }
        r->record[r->n++] = (clvi_record){frame[0], r->end + 16, frame[1]};
        r->end += FRAME + frame[1];
    }
    r->cut_off = r->end != bytes;
    return CLV_OK;
}

clv_status clvi_records_open(clvi_records *out, const char *path, const clvi_records_format *format, clv_error *err)
{
    uint64_t bytes;
    *out = (clvi_records){.path = path};
    TRY(clvi_file_size(&bytes, path, err));
    TRY(check_head(out, bytes, format, err));
    const clv_status st = list_records(out, bytes, err);
    if (st != CLV_OK)
        clvi_records_close(out);
    return st;
}

void clvi_records_close(clvi_records *r)
{
    clvi_free(r->record);
    *r = (clvi_records){0};
}

clv_status clvi_records_read(clvi_bytes *out, const clvi_records *r, size_t i, clv_error *err)
{
    const clvi_record *record = &r->record[i];
    uint64_t hash;
    *out = (clvi_bytes){0};
    if (record->size > clvi_mem_physical() || !(out->data = clvi_alloc((size_t)record->size)))
        return FAIL(err, CLV_ERR_NOMEM, "a record of %llu bytes in \"%s\"", (unsigned long long)record->size, r->path);
    out->size = (size_t)record->size;
    clv_status st = clvi_file_read_at(out->data, out->size, record->offset, r->path, err);
    if (st == CLV_OK)
        st = clvi_file_read_at(&hash, sizeof hash, record->offset + record->size, r->path, err);
    if (st == CLV_OK && hash != hash_record(record->kind, out->data, record->size))
        st = FAIL(err, CLV_ERR_FORMAT, "\"%s\" is damaged: record %zu at byte %llu", r->path, i,
                  (unsigned long long)record->offset);
    if (st == CLV_OK)
        return CLV_OK;
    clvi_free(out->data);
    *out = (clvi_bytes){0};
    return st;
}
