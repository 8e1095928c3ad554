/* SPDX-License-Identifier: Apache-2.0 */
/* The only callers of malloc: aligned blocks and arenas. */
#ifndef CLVI_BASE_MEM_H
#define CLVI_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define CLV_ALIGN 64

/* A block of at least one byte, CLV_ALIGN-aligned, indeterminate content; NULL when memory is short. */
void *clvi_alloc(size_t bytes);

/* The same for what is read again and again: where it is large it lies on huge pages if the system grants them, so that
 * reading it does not wait for addresses. Takes up to 2 MB more. */
void *clvi_alloc_hot(size_t bytes);

/* The same as clvi_alloc for n elements of `size` bytes, zeroed; NULL on overflow too. */
void *clvi_calloc(size_t n, size_t size);

/* n elements of `size` bytes, not zeroed; NULL on overflow too. */
void *clvi_alloc_array(size_t n, size_t size);

/* Grow a block to new_bytes keeping the first old_bytes; the old block stays valid on NULL. */
void *clvi_grow(void *block, size_t old_bytes, size_t new_bytes);

/* NULL-safe. */
void clvi_free(void *block);

char *clvi_strdup(const char *text);

/* Bytes of memory of this machine, or of this process's cgroup where that is less. A block larger than this may well be
 * granted by the system and then get the process killed when it is written. SIZE_MAX when unknown. */
size_t clvi_mem_physical(void);

/* Test hooks. Blocks alive now; allocations made so far; and let only the next n allocations succeed
 * (negative: all). Process-wide, for tests only. */
long clvi_mem_live(void);
long clvi_mem_calls(void);
void clvi_mem_fail_after(long n);

/* The largest resident size that this process has had, in bytes; 0 when the system does not say. */
size_t clvi_mem_peak(void);

/* An arena: many small objects with one lifetime, freed whole. Not thread-safe. */
typedef struct clvi_arena clvi_arena;

clvi_arena *clvi_arena_create(void);     /* NULL when memory is short */
clvi_arena *clvi_arena_create_hot(void); /* the same; its objects lie together on huge pages */
void clvi_arena_free(clvi_arena *arena);
void *clvi_arena_alloc(clvi_arena *arena, size_t bytes);           /* 16-aligned; CLV_ALIGN when >= 64 bytes */
void *clvi_arena_calloc(clvi_arena *arena, size_t n, size_t size); /* zeroed, overflow-checked */
char *clvi_arena_strdup(clvi_arena *arena, const char *text);
char *clvi_arena_strndup(clvi_arena *arena, const char *text, size_t n);
char *clvi_arena_printf(clvi_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t clvi_arena_bytes(const clvi_arena *arena); /* high-water figure: bytes handed out */

#endif
