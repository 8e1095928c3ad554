/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

/* Multiply and fold, eight bytes at a time; each call ends with the number of bytes. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ (hash >> 32);
}

uint64_t clvi_hash(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    size_t left = size;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = mix(hash, word);
    }
    uint64_t tail = 0;
    if (left)
        memcpy(&tail, at, left);
    return mix(mix(hash, tail), (uint64_t)size);
}

uint64_t clvi_hash_text(uint64_t hash, const char *text)
{
    return text ? clvi_hash(hash, text, strlen(text)) : mix(hash, ~UINT64_C(0));
}
