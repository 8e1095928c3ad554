/* SPDX-License-Identifier: Apache-2.0 */
/* A map from names to ids: open addressing in an arena, nothing is ever removed. */
#ifndef CLVI_GRAPH_NAMES_H
#define CLVI_GRAPH_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

typedef struct clvi_name {
    const char *name; /* NULL: free slot */
    int32_t id;
} clvi_name;

typedef struct clvi_names {
    clvi_name *slots;
    size_t count, capacity; /* capacity is 0 or a power of two, at least twice count */
} clvi_names;

/* Room for n names in all. False when memory is short. */
bool clvi_names_reserve(clvi_names *names, clvi_arena *arena, size_t n);

/* Map a name, which must outlive the map and not be in it yet. False when memory is short. */
bool clvi_names_put(clvi_names *names, clvi_arena *arena, const char *name, int32_t id);

/* NULL: not in the map. The id of a found entry may be changed. */
clvi_name *clvi_names_find(const clvi_names *names, const char *name);

#endif
