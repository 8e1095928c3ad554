/* SPDX-License-Identifier: Apache-2.0 */
/* Each rank writes its shard to a file of its own, so that a machine needs no more memory than for one shard; the files
 * come to rank 0 in pieces. Machines need not share a disk. */
#include "api/stats_ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"
#include "base/file.h"
#include "base/mem.h"
#include "compress/stats_file.h"
#include "ranks/ranks.h"

#define PIECE ((size_t)16 << 20)

/* The shard of rank k: beside `path` on rank 0, in $TMPDIR or /tmp elsewhere. Gives *out (clvi_free). */
static clv_status name_shard(char **out, const char *path, int k, bool here, clv_error *err)
{
    const char *const folder = getenv("TMPDIR");
    const size_t size = strlen(path) + (folder ? strlen(folder) : 0) + 64;
    *out = clvi_alloc(size);
    if (!*out)
        return FAIL(err, CLV_ERR_NOMEM, "name of a file");
    if (here)
        (void)snprintf(*out, size, "%s.rank%d", path, k);
    else
        (void)snprintf(*out, size, "%s/cleave-%ld.rank%d", folder && *folder ? folder : "/tmp", (long)getpid(), k);
    return CLV_OK;
}

static clv_status send_file(clv_ranks *ranks, const char *path, clv_error *err)
{
    uint64_t size = 0;
    char *const piece = clvi_alloc(PIECE);
    clv_status st = piece ? clvi_file_size(&size, path, err) : FAIL(err, CLV_ERR_NOMEM, "a piece of a file");
    if (st == CLV_OK)
        st = clvi_ranks_send(ranks, &size, sizeof size, 0, err);
    for (uint64_t at = 0; st == CLV_OK && at < size; at += PIECE) {
        const size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        st = clvi_file_read_at(piece, n, at, path, err);
        if (st == CLV_OK)
            st = clvi_ranks_send(ranks, piece, n, 0, err);
    }
    clvi_free(piece);
    return st;
}

static clv_status receive_file(clv_ranks *ranks, int from, const char *path, clv_error *err)
{
    uint64_t size = 0;
    clvi_file_writer *file = NULL;
    char *const piece = clvi_alloc(PIECE);
    clv_status st = piece ? clvi_file_create(&file, path, err) : FAIL(err, CLV_ERR_NOMEM, "a piece of a file");
    if (st == CLV_OK)
        st = clvi_ranks_receive(ranks, &size, sizeof size, from, err);
    for (uint64_t at = 0; st == CLV_OK && at < size; at += PIECE) {
        const size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        st = clvi_ranks_receive(ranks, piece, n, from, err);
        if (st == CLV_OK)
            st = clvi_file_write(file, piece, n, err);
    }
    if (st == CLV_OK)
        st = clvi_file_commit(file, err);
    clvi_file_free(file);
    clvi_free(piece);
    return st;
}

/* names[count]: the own one is there; the others are received, and all are added up. */
static clv_status add_up(clv_ranks *ranks, char **names, const char *path, clv_error *err)
{
    const int count = clv_ranks_count(ranks);
    clv_status st = CLV_OK;
    for (int k = 1; k < count && st == CLV_OK; k++) {
        st = name_shard(&names[k], path, k, true, err);
        if (st == CLV_OK)
            st = receive_file(ranks, k, names[k], err);
    }
    return st == CLV_OK ? clvi_stats_merge(path, (const char *const *)names, (size_t)count, err) : st;
}

clv_status clvi_stats_collect_ranks(const clvi_graph *graph, clv_dataset *images, const clv_preprocess *preprocess,
                                    const clv_compress_opts *opts, clvi_shard shard, const char *path,
                                    clv_context *context, clv_error *err)
{
    clv_ranks *const ranks = context->opts.ranks;
    const int number = clv_ranks_number(ranks), count = clv_ranks_count(ranks);
    if (shard.of != 1)
        return FAIL(err, CLV_ERR_ARG, "one shard of %lld cannot be shared between %d ranks", (long long)shard.of,
                    count);
    char **const names = clvi_calloc((size_t)count, sizeof *names);
    if (!names)
        return FAIL(err, CLV_ERR_NOMEM, "%d ranks", count);
    clv_status st = name_shard(&names[number], path, number, number == 0, err);
    if (st == CLV_OK)
        st = clvi_stats_collect(graph, images, preprocess, opts, (clvi_shard){number, count}, names[number], context,
                                err);
    if (st == CLV_OK)
        st = number == 0 ? add_up(ranks, names, path, err) : send_file(ranks, names[number], err);
    for (int k = 0; k < count; k++) {
        if (names[k])
            (void)unlink(names[k]);
        clvi_free(names[k]);
    }
    clvi_free(names);
    return st;
}
