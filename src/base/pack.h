/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and texts to bytes and back, for the project's own files: little-endian, as they lie in memory. */
#ifndef CLVI_BASE_PACK_H
#define CLVI_BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing buffer. Once memory is short it stays `failed` and takes nothing more. */
typedef struct clvi_packer {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} clvi_packer;

void clvi_packer_free(clvi_packer *p); /* an empty one is fine */
void clvi_pack(clvi_packer *p, const void *bytes, size_t size);
void clvi_pack_u64(clvi_packer *p, uint64_t value);
void clvi_pack_i64(clvi_packer *p, int64_t value);
void clvi_pack_double(clvi_packer *p, double value);
void clvi_pack_text(clvi_packer *p, const char *text); /* not NULL */

/* Reads what was packed. A read past the end gives zeros and sets `failed`. Views the bytes. */
typedef struct clvi_unpacker {
    const uint8_t *data;
    size_t left;
    bool failed;
} clvi_unpacker;

void clvi_unpack(clvi_unpacker *u, void *bytes, size_t size);
uint64_t clvi_unpack_u64(clvi_unpacker *u);
int64_t clvi_unpack_i64(clvi_unpacker *u);
double clvi_unpack_double(clvi_unpacker *u);

/* NUL-terminated, cut to size - 1 bytes (then `failed`). */
void clvi_unpack_text(clvi_unpacker *u, char *text, size_t size);

#endif
