/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/names.h"

#include <string.h>

#include "base/size.h"

/* FNV-1a, 64 bits, folded so that the low bits depend on all. */
static size_t hash_of(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds the name, or the free one where it belongs. */
static clvi_name *slot_of(clvi_name *slots, size_t capacity, const char *name)
{
    size_t i = hash_of(name) & (capacity - 1);
    while (slots[i].name && strcmp(slots[i].name, name) != 0)
        i = (i + 1) & (capacity - 1);
    return slots + i;
}

bool clvi_names_reserve(clvi_names *names, clvi_arena *arena, size_t n)
{
    size_t capacity = names->capacity ? names->capacity : 64, want;
    if (!clvi_mul(n, 2, &want))
        return false;
    while (capacity < want)
        if (!clvi_mul(capacity, 2, &capacity))
            return false;
    if (capacity == names->capacity)
        return true;
    clvi_name *slots = clvi_arena_calloc(arena, capacity, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i].name)
            *slot_of(slots, capacity, names->slots[i].name) = names->slots[i];
    names->slots = slots;
    names->capacity = capacity;
    return true;
}

bool clvi_names_put(clvi_names *names, clvi_arena *arena, const char *name, int32_t id)
{
    if (!clvi_names_reserve(names, arena, names->count + 1))
        return false;
    *slot_of(names->slots, names->capacity, name) = (clvi_name){name, id};
    names->count++;
    return true;
}

clvi_name *clvi_names_find(const clvi_names *names, const char *name)
{
    if (!names->capacity)
        return NULL;
    clvi_name *slot = slot_of(names->slots, names->capacity, name);
    return slot->name ? slot : NULL;
}
