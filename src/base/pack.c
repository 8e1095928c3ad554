/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pack.h"

#include <string.h>

#include "base/mem.h"
#include "base/size.h"

void clvi_packer_free(clvi_packer *p)
{
    clvi_free(p->data);
    *p = (clvi_packer){0};
}

static bool reserve(clvi_packer *p, size_t more)
{
    size_t wanted, doubled;
    if (p->failed || !clvi_add(p->size, more, &wanted))
        return !(p->failed = true);
    if (wanted <= p->capacity)
        return true;
    if (!clvi_mul(p->capacity, 2, &doubled))
        doubled = wanted;
    const size_t capacity = clvi_max_size(clvi_max_size(wanted, doubled), 256);
    uint8_t *grown = clvi_grow(p->data, p->size, capacity);
    if (!grown)
        return !(p->failed = true);
    p->data = grown;
    p->capacity = capacity;
    return true;
}

void clvi_pack(clvi_packer *p, const void *bytes, size_t size)
{
    if (size == 0 || !reserve(p, size))
        return;
    memcpy(p->data + p->size, bytes, size);
    p->size += size;
}

void clvi_pack_u64(clvi_packer *p, uint64_t value)
{
    clvi_pack(p, &value, sizeof value);
}

void clvi_pack_i64(clvi_packer *p, int64_t value)
{
    clvi_pack(p, &value, sizeof value);
}

void clvi_pack_double(clvi_packer *p, double value)
{
    clvi_pack(p, &value, sizeof value);
}

void clvi_pack_text(clvi_packer *p, const char *text)
{
    const size_t n = strlen(text);
    clvi_pack_u64(p, n);
    clvi_pack(p, text, n);
}

void clvi_unpack(clvi_unpacker *u, void *bytes, size_t size)
{
    if (size == 0)
        return;
    if (u->failed || size > u->left) {
        u->failed = true;
        memset(bytes, 0, size);
        return;
    }
    memcpy(bytes, u->data, size);
    u->data += size;
    u->left -= size;
}

uint64_t clvi_unpack_u64(clvi_unpacker *u)
{
    uint64_t value;
    clvi_unpack(u, &value, sizeof value);
    return value;
}

int64_t clvi_unpack_i64(clvi_unpacker *u)
{
    int64_t value;
    clvi_unpack(u, &value, sizeof value);
    return value;
}

double clvi_unpack_double(clvi_unpacker *u)
{
    double value;
    clvi_unpack(u, &value, sizeof value);
    return value;
}

void clvi_unpack_text(clvi_unpacker *u, char *text, size_t size)
{
    const uint64_t n = clvi_unpack_u64(u);
    text[0] = 0;
    if (n >= size || n > u->left) {
        u->failed = true;
        return;
    }
    clvi_unpack(u, text, (size_t)n);
    text[n] = 0;
}
