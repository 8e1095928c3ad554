/* SPDX-License-Identifier: Apache-2.0 */
/* A 64-bit hash that tells contents apart and finds damage; not against an adversary. */
#ifndef CLVI_BASE_HASH_H
#define CLVI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CLVI_HASH_START UINT64_C(0x9e3779b97f4a7c15)

/* The hash of what gave `hash` (CLVI_HASH_START: nothing) followed by these bytes. Depends on how the bytes were cut
 * into calls, so both sides must cut alike. Same value on every little-endian machine. Reentrant. */
uint64_t clvi_hash(uint64_t hash, const void *bytes, size_t size);

/* The same for a text with its end, NULL is told apart from "". */
uint64_t clvi_hash_text(uint64_t hash, const char *text);

#endif
