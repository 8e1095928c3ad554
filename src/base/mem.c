/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* madvise */
#include "base/mem.h"

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/size.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_FROM ((size_t)128 << 10) /* bytes from which a huge page is not mostly wasted */

static atomic_long live_blocks;
static atomic_long calls;
static atomic_long permits = LONG_MIN; /* LONG_MIN: no limit is set */

static bool permitted(void)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    if (atomic_load_explicit(&permits, memory_order_relaxed) == LONG_MIN)
        return true;
    return atomic_fetch_sub_explicit(&permits, 1, memory_order_relaxed) > 0;
}

static void *alloc_aligned(size_t bytes, size_t align)
{
    size_t rounded;
    if (bytes == 0)
        bytes = 1;
    if (!clvi_add(bytes, align - 1, &rounded) || rounded > PTRDIFF_MAX || !permitted())
        return NULL;
    void *block = aligned_alloc(align, rounded / align * align);
    if (block)
        atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return block;
}

void *clvi_alloc(size_t bytes)
{
    return alloc_aligned(bytes, CLV_ALIGN);
}

void *clvi_alloc_hot(size_t bytes)
{
    if (bytes < HUGE_FROM)
        return clvi_alloc(bytes);
    void *block = alloc_aligned(bytes, HUGE_PAGE);
#ifdef MADV_HUGEPAGE
    if (block)
        (void)madvise(block, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a wish */
#endif
    return block;
}

void *clvi_alloc_array(size_t n, size_t size)
{
    size_t bytes;
    return clvi_mul(n, size, &bytes) ? clvi_alloc(bytes) : NULL;
}

void *clvi_calloc(size_t n, size_t size)
{
    size_t bytes;
    void *block = clvi_mul(n, size, &bytes) ? clvi_alloc(bytes) : NULL;
    if (block && bytes)
        memset(block, 0, bytes);
    return block;
}

void *clvi_grow(void *block, size_t old_bytes, size_t new_bytes)
{
    void *grown = clvi_alloc(new_bytes);
    if (!grown)
        return NULL;
    if (block && old_bytes)
        memcpy(grown, block, clvi_min_size(old_bytes, new_bytes));
    clvi_free(block);
    return grown;
}

void clvi_free(void *block)
{
    if (!block)
        return;
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    free(block);
}

char *clvi_strdup(const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = clvi_alloc(n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

size_t clvi_mem_physical(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t bytes = SIZE_MAX;
    unsigned long long limit; /* cgroup v2: a number or "max" */
    if (pages > 0 && page > 0 && !clvi_mul((size_t)pages, (size_t)page, &bytes))
        bytes = SIZE_MAX;
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "r");
    if (f && fscanf(f, "%llu", &limit) == 1 && limit < bytes)
        bytes = (size_t)limit;
    if (f)
        (void)fclose(f);
    return bytes;
}

long clvi_mem_live(void)
{
    return atomic_load(&live_blocks);
}

long clvi_mem_calls(void)
{
    return atomic_load(&calls);
}

void clvi_mem_fail_after(long n)
{
    atomic_store(&permits, n < 0 ? LONG_MIN : n);
}

size_t clvi_mem_peak(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

/* A chunk is a header followed by its bytes. Objects larger than half a chunk get one of their own. */
#define CHUNK_BYTES     ((size_t)64 * 1024)
#define HOT_CHUNK_BYTES ((size_t)32 << 20) /* of address space; what is not used is never touched */

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define RED_ZONE       16
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define RED_ZONE       0
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

typedef struct chunk {
    struct chunk *next;
    size_t used, size; /* bytes after the header */
    char pad[CLV_ALIGN - sizeof(struct chunk *) - 2 * sizeof(size_t)];
} chunk;

struct clvi_arena {
    chunk *first;
    size_t bytes, chunk_bytes;
    void *(*alloc)(size_t bytes);
};

clvi_arena *clvi_arena_create(void)
{
    clvi_arena *const arena = clvi_calloc(1, sizeof *arena);
    if (arena) {
        arena->chunk_bytes = CHUNK_BYTES;
        arena->alloc = clvi_alloc;
    }
    return arena;
}

clvi_arena *clvi_arena_create_hot(void)
{
    clvi_arena *const arena = clvi_arena_create();
    if (arena) {
        arena->chunk_bytes = HOT_CHUNK_BYTES - sizeof(chunk);
        arena->alloc = clvi_alloc_hot;
    }
    return arena;
}

void clvi_arena_free(clvi_arena *arena)
{
    if (!arena)
        return;
    for (chunk *c = arena->first; c;) {
        chunk *next = c->next;
        UNPOISON(c + 1, c->size);
        clvi_free(c);
        c = next;
    }
    clvi_free(arena);
}

void *clvi_arena_alloc(clvi_arena *arena, size_t bytes)
{
    const size_t align = bytes >= CLV_ALIGN ? CLV_ALIGN : 16;
    size_t want;
    if (bytes == 0)
        bytes = 1;
    if (!clvi_add(bytes, CLV_ALIGN + RED_ZONE, &want))
        return NULL;
    chunk *c = arena->first;
    size_t at = c ? clvi_round_up(c->used, align) : 0;
    if (!c || at > c->size || c->size - at < bytes + RED_ZONE) {
        const size_t size = want > arena->chunk_bytes / 2 ? clvi_round_up(want, CLV_ALIGN) : arena->chunk_bytes;
        size_t total;
        if (!clvi_add(size, sizeof(chunk), &total))
            return NULL;
        chunk *fresh = arena->alloc(total);
        if (!fresh)
            return NULL;
        fresh->used = 0;
        fresh->size = size;
        POISON(fresh + 1, size);
        if (c && size != arena->chunk_bytes) { /* keep the open chunk first */
            fresh->next = c->next;
            c->next = fresh;
        } else {
            fresh->next = c;
            arena->first = fresh;
        }
        c = fresh;
        at = 0;
    }
    c->used = at + bytes + RED_ZONE;
    arena->bytes += bytes;
    char *object = (char *)(c + 1) + at;
    UNPOISON(object, bytes);
    return object;
}

void *clvi_arena_calloc(clvi_arena *arena, size_t n, size_t size)
{
    size_t bytes;
    if (!clvi_mul(n, size, &bytes))
        return NULL;
    void *object = clvi_arena_alloc(arena, bytes);
    if (object && bytes)
        memset(object, 0, bytes);
    return object;
}

char *clvi_arena_strndup(clvi_arena *arena, const char *text, size_t n)
{
    size_t bytes;
    char *copy = clvi_add(n, 1, &bytes) ? clvi_arena_alloc(arena, bytes) : NULL;
    if (copy) {
        if (n)
            memcpy(copy, text, n);
        copy[n] = '\0';
    }
    return copy;
}

char *clvi_arena_strdup(clvi_arena *arena, const char *text)
{
    return clvi_arena_strndup(arena, text, strlen(text));
}

char *clvi_arena_printf(clvi_arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return NULL;
    char *text = clvi_arena_alloc(arena, (size_t)n + 1);
    if (text) {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    return text;
}

size_t clvi_arena_bytes(const clvi_arena *arena)
{
    return arena->bytes;
}
