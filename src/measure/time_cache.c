/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/time_cache.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/records.h"
#include "cleave/version.h"
#include "measure/machine.h"

#define PATH_SIZE 1024
#define WAY_SIZE  512
#define MOST      ((size_t)1 << 20) /* times of one way to run: more is no file of ours */

enum { KIND_TIMES = 1 };

static const clvi_records_format format = {"CLVTIMES", 1};

typedef struct entry {
    uint64_t key;
    double seconds;
} entry;

struct clvi_time_cache {
    clv_context *context;
    char path[PATH_SIZE]; /* "": nowhere to keep it */
    char way[WAY_SIZE];   /* how things run here */
    entry *entries;
    size_t n, capacity;
};

/* --- where and for whom ----------------------------------------------------------------------------------------- */

/* As the specification of base directories says, a relative $XDG_CACHE_HOME is not looked at. */
static void find_path(char *path)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;
    if (cache && cache[0] == '/')
        n = snprintf(path, PATH_SIZE, "%s/cleave/times.clvtimes", cache);
    else if (home && home[0] == '/')
        n = snprintf(path, PATH_SIZE, "%s/.cache/cleave/times.clvtimes", home);
    if (n < 0 || n >= PATH_SIZE)
        path[0] = '\0';
}

static void describe_way(char *way, const clv_context *context)
{
    char cpu[96];
    const char *fuse = getenv("CLEAVE_FUSE");
    clvi_machine_cpu(cpu, sizeof cpu);
    (void)snprintf(way, WAY_SIZE, "%s|%s|%d|%s|%s", cpu, clv_context_isa(context), clv_context_threads(context),
                   CLVI_VERSION, fuse ? fuse : "");
}

/* --- times ------------------------------------------------------------------------------------------------------ */

bool clvi_time_cache_find(const clvi_time_cache *cache, uint64_t key, double *seconds)
{
    for (size_t i = 0; i < cache->n; i++)
        if (cache->entries[i].key == key) {
            *seconds = cache->entries[i].seconds;
            return true;
        }
    return false;
}

clv_status clvi_time_cache_add(clvi_time_cache *cache, uint64_t key, double seconds, clv_error *err)
{
    size_t at = 0;
    while (at < cache->n && cache->entries[at].key != key)
        at++;
    if (at == cache->capacity) {
        const size_t more = cache->capacity ? 2 * cache->capacity : 256;
        entry *const grown = clvi_grow(cache->entries, cache->n * sizeof *grown, more * sizeof *grown);
        if (!grown || more > MOST)
            return FAIL(err, CLV_ERR_NOMEM, "%zu measured times", more);
        cache->entries = grown;
        cache->capacity = more;
    }
    cache->entries[at] = (entry){key, seconds};
    cache->n += at == cache->n;
    return CLV_OK;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* One record; those of another way to run are skipped, or with `others` packed into it as they are. */
static clv_status take_record(clvi_time_cache *cache, const clvi_records *file, size_t i, clvi_packer *others,
                              clv_error *err)
{
    char way[WAY_SIZE];
    clvi_bytes bytes;
    TRY(clvi_records_read(&bytes, file, i, err));
    clvi_unpacker u = {bytes.data, bytes.size, false};
    clvi_unpack_text(&u, way, sizeof way);
    const bool own = strcmp(way, cache->way) == 0;
    const uint64_t n = clvi_unpack_u64(&u);
    clv_status st = u.failed || n > MOST ? FAIL(err, CLV_ERR_FORMAT, "record %zu makes no sense", i) : CLV_OK;
    for (uint64_t k = 0; st == CLV_OK && own && k < n; k++) {
        const uint64_t key = clvi_unpack_u64(&u);
        const double seconds = clvi_unpack_double(&u);
        double known;
        if (u.failed || !(seconds >= 0) || !isfinite(seconds))
            st = FAIL(err, CLV_ERR_FORMAT, "time %llu of record %zu makes no sense", (unsigned long long)k, i);
        else if (!clvi_time_cache_find(cache, key, &known))
            st = clvi_time_cache_add(cache, key, seconds, err);
    }
    if (st == CLV_OK && !own && others) {
        clvi_packer payload = {0};
        clvi_pack(&payload, bytes.data, bytes.size);
        clvi_records_pack(others, KIND_TIMES, &payload);
        clvi_packer_free(&payload);
    }
    clvi_free(bytes.data);
    return st;
}

/* What the file holds and the cache does not. A missing file is an empty one. */
static clv_status load(clvi_time_cache *cache, clvi_packer *others, clv_error *err)
{
    clvi_records file;
    if (!cache->path[0] || access(cache->path, F_OK) != 0)
        return CLV_OK;
    TRY(clvi_records_open(&file, cache->path, &format, err));
    clv_status st = CLV_OK;
    for (size_t i = 0; st == CLV_OK && i < file.n; i++)
        if (file.record[i].kind == KIND_TIMES)
            st = take_record(cache, &file, i, others, err);
    clvi_records_close(&file);
    return st;
}

clv_status clvi_time_cache_open(clvi_time_cache **out, clv_context *context, clv_error *err)
{
    clv_error reason;
    clvi_time_cache *cache = clvi_calloc(1, sizeof *cache);
    *out = cache;
    if (!cache)
        return FAIL(err, CLV_ERR_NOMEM, "measured times");
    cache->context = context;
    find_path(cache->path);
    describe_way(cache->way, context);
    if (!cache->path[0])
        clvi_log(context, CLV_LOG_INFO, "measured times are not kept: neither XDG_CACHE_HOME nor HOME is set");
    if (load(cache, NULL, &reason) != CLV_OK) {
        clvi_log(context, CLV_LOG_WARNING, "times measured before are not used, they are measured again: \"%s\": %s",
                 cache->path, reason.msg);
        cache->n = 0;
    }
    return CLV_OK;
}

void clvi_time_cache_free(clvi_time_cache *cache)
{
    if (cache)
        clvi_free(cache->entries);
    clvi_free(cache);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* The folders above the file, those that are missing. */
static bool make_folders(const char *path)
{
    char folder[PATH_SIZE];
    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *at = folder + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return false;
        *at = '/';
    }
    return true;
}

void clvi_time_cache_save(clvi_time_cache *cache)
{
    clv_error reason = {0};
    clvi_packer file = {0}, own = {0};
    if (!cache->path[0])
        return;
    clvi_records_pack_head(&file, &format);
    if (load(cache, &file, NULL) != CLV_OK) { /* it was warned of: this file takes its place */
        clvi_packer_free(&file);
        clvi_records_pack_head(&file, &format);
    }
    clvi_pack_text(&own, cache->way);
    clvi_pack_u64(&own, cache->n);
    for (size_t i = 0; i < cache->n; i++) {
        clvi_pack_u64(&own, cache->entries[i].key);
        clvi_pack_double(&own, cache->entries[i].seconds);
    }
    clvi_records_pack(&file, KIND_TIMES, &own);
    clvi_packer_free(&own);
    clv_status st = file.failed ? FAIL(&reason, CLV_ERR_NOMEM, "%zu measured times", cache->n) : CLV_OK;
    if (st == CLV_OK && !make_folders(cache->path))
        st = FAIL(&reason, CLV_ERR_IO, "cannot create its folder: %s", strerror(errno));
    if (st == CLV_OK)
        st = clvi_file_replace(cache->path, file.data, file.size, &reason);
    if (st != CLV_OK)
        clvi_log(cache->context, CLV_LOG_WARNING, "measured times are not kept for the next run: \"%s\": %s",
                 cache->path, reason.msg);
    clvi_packer_free(&file);
}
