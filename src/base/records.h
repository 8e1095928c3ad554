/* SPDX-License-Identifier: Apache-2.0 */
/* The form of the project's own files: a head with a magic word and a version, then records, each with its kind, its
 * size and a hash, so that damage is found where it is and a file that was cut off is good up to there.
 *
 *   head      char magic[8], u32 version, u32 0x01020304
 *   record    u64 kind, u64 size, size bytes, u64 hash of all these */
#ifndef CLVI_BASE_RECORDS_H
#define CLVI_BASE_RECORDS_H

#include "base/file.h"
#include "base/pack.h"
#include "base/status.h"

#define CLVI_RECORDS_HEAD ((size_t)16)

typedef struct clvi_records_format {
    char magic[9]; /* 8 characters */
    uint32_t version;
} clvi_records_format;

/* The head, and a record (p's content, which is cleared), appended to `to`. */
void clvi_records_pack_head(clvi_packer *to, const clvi_records_format *format);
void clvi_records_pack(clvi_packer *to, uint64_t kind, const clvi_packer *payload);

/* Where a record of an open file lies. */
typedef struct clvi_record {
    uint64_t kind, offset, size; /* of the payload */
} clvi_record;

typedef struct clvi_records {
    const char *path; /* borrowed */
    clvi_record *record;
    size_t n;
    uint64_t end; /* where the last whole record ends */
    bool cut_off; /* there is something behind it that is no whole record */
} clvi_records;

/* Look through a file without reading the payloads. CLV_ERR_FORMAT: another kind of file, another version, another byte
 * order. Gives *out (clvi_records_close). */
clv_status clvi_records_open(clvi_records *out, const char *path, const clvi_records_format *format, clv_error *err);
void clvi_records_close(clvi_records *r); /* an empty one is fine */

/* The payload of record i, its hash checked: CLV_ERR_FORMAT when damaged. Gives out->data (clvi_free). */
clv_status clvi_records_read(clvi_bytes *out, const clvi_records *r, size_t i, clv_error *err);

#endif
