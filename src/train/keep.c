/* SPDX-License-Identifier: Apache-2.0 */
#include "train/keep.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ranks/ranks.h"

static size_t whole_size(const clvi_keep *k)
{
    size_t bytes = k->header_size;
    for (int i = 0; i < k->n; i++)
        bytes += k->bytes[i];
    return bytes;
}

clv_status clvi_keep_save(const clvi_keep *k, const void *header, clv_error *err)
{
    clvi_file_writer *file = NULL;
    clv_status st = clvi_file_create(&file, k->path, err);
    if (st == CLV_OK)
        st = clvi_file_write(file, header, k->header_size, err);
    for (int i = 0; i < k->n && st == CLV_OK; i++)
        st = clvi_file_write(file, k->vector[i], k->bytes[i], err);
    if (st == CLV_OK)
        st = clvi_file_commit(file, err);
    clvi_file_free(file);
    return st;
}

static clv_status read_file(const clvi_keep *k, clvi_bytes *bytes, bool *found, clv_error *err)
{
    *found = access(k->path, F_OK) == 0;
    if (!*found)
        return CLV_OK;
    TRY(clvi_file_read(bytes, k->path, err));
    if (bytes->size == whole_size(k))
        return CLV_OK;
    return FAIL(err, CLV_ERR_DATA, "%s: %zu bytes, a state of this network has %zu", k->path, bytes->size,
                whole_size(k));
}

clv_status clvi_keep_read(const clvi_keep *k, void *header, clvi_bytes *bytes, bool *found, struct clv_ranks *ranks,
                          clv_error *err)
{
    const bool reads = clv_ranks_number(ranks) == 0;
    int news[2] = {CLV_OK, 0};
    *bytes = (clvi_bytes){0};
    clv_status st = reads ? read_file(k, bytes, found, err) : CLV_OK;
    news[0] = (int)st;
    news[1] = reads && *found;
    if (clvi_ranks_share(ranks, news, sizeof news, 0, err) != CLV_OK)
        st = CLV_ERR_IO;
    else if (!reads && news[0] != CLV_OK)
        st = FAIL(err, (clv_status)news[0], "rank 0 cannot read \"%s\"", k->path);
    *found = news[1];
    if (st == CLV_OK && *found && !reads) {
        bytes->size = whole_size(k);
        bytes->data = clvi_alloc(bytes->size);
        st = bytes->data ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "state of %zu bytes", bytes->size);
    }
    if (st == CLV_OK && *found)
        st = clvi_ranks_share(ranks, bytes->data, bytes->size, 0, err);
    if (st == CLV_OK && *found) {
        memcpy(header, bytes->data, k->header_size);
        return CLV_OK;
    }
    clvi_free(bytes->data);
    *bytes = (clvi_bytes){0};
    return st;
}

void clvi_keep_take(const clvi_keep *k, const clvi_bytes *bytes)
{
    const uint8_t *from = bytes->data + k->header_size;
    for (int i = 0; i < k->n; i++) {
        memcpy(k->vector[i], from, k->bytes[i]);
        from += k->bytes[i];
    }
}

/* FNV-1a. */
uint64_t clvi_keep_fingerprint(const clvi_tplan *plan, int64_t also)
{
    const clvi_tparam *params;
    const size_t n = clvi_tplan_params(plan, &params);
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) {
        for (const char *c = params[i].name; *c; c++)
            h = (h ^ (uint8_t)*c) * 0x100000001b3u;
        h = (h ^ params[i].count) * 0x100000001b3u;
    }
    return (h ^ (uint64_t)also) * 0x100000001b3u;
}
