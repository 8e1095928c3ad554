/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics on disk (.clvstats): the moments of every convolution of one model over one set of images, so that later
 * budgets need no pass over the images; and the candidates that were explored on them.
 *
 * Sums add up: files of several shards, or of several sets, of the same model merge into one (clvi_stats_merge). */
#ifndef CLVI_COMPRESS_STATS_FILE_H
#define CLVI_COMPRESS_STATS_FILE_H

#include "base/records.h"
#include "compress/calibration.h"
#include "compress/candidates.h"
#include "decompose/averaged.h"
#include "decompose/moments.h"
#include "report/report.h"

/* Which images went in: [first, end) of a set of `images`. */
typedef struct clvi_stats_piece {
    uint64_t set; /* hash of the names and of the preprocessing */
    int64_t first, end, images;
} clvi_stats_piece;

#define CLVI_STATS_PIECES 1024

typedef struct clvi_stats_head {
    uint64_t model; /* clvi_graph_hash of the folded network */
    uint64_t seed;
    int64_t samples, sites;
    int64_t input[4]; /* [1, c, h, w] */
    char preprocess[512];
    clvi_stats_piece piece[CLVI_STATS_PIECES];
    size_t n_pieces;
} clvi_stats_head;

/* Nodes, wiring and constants: two networks of the same hash compute the same. Reentrant. */
uint64_t clvi_graph_hash(const clvi_graph *graph);

/* The head of what is about to be collected. Reads the names of the data set. */
clv_status clvi_stats_head_of(clvi_stats_head *out, const clvi_graph *folded, const clvi_sites *sites,
                              const clvi_calibration *calibration, clv_error *err);

/* What is kept of one site. */
typedef struct clvi_site_stats {
    clvi_moments *moments; /* [groups] */
    size_t groups;
    clvi_averaged averaged;
    double share; /* as clvi_candidates */
} clvi_site_stats;

/* --- writing ------------------------------------------------------------------------------------------------------ */

typedef struct clvi_stats_writer clvi_stats_writer;

/* The file appears whole at the commit, or not at all. Gives *out (clvi_stats_writer_free). */
clv_status clvi_stats_create(clvi_stats_writer **out, const char *path, const clvi_stats_head *head, clv_error *err);
clv_status clvi_stats_add(clvi_stats_writer *w, size_t site, const char *name, const clvi_site_stats *stats,
                          clv_error *err);

/* explored: hash of what the candidates depend on beside the moments. lists[n]. */
clv_status clvi_stats_add_candidates(clvi_stats_writer *w, uint64_t explored, const clvi_candidates *lists, size_t n,
                                     clv_error *err);
clv_status clvi_stats_commit(clvi_stats_writer *w, clv_error *err);
void clvi_stats_writer_free(clvi_stats_writer *w); /* NULL-safe */

/* --- reading ------------------------------------------------------------------------------------------------------ */

typedef struct clvi_stats {
    clvi_records records;
    clvi_stats_head *head;
} clvi_stats;

/* path is borrowed. Gives *out (clvi_stats_close). CLV_ERR_FORMAT: no such file of this version, or damaged. */
clv_status clvi_stats_open(clvi_stats *out, const char *path, clv_error *err);
void clvi_stats_close(clvi_stats *s); /* an empty one is fine */

/* Gives out->moments (clvi_site_moments_free, survey.h) and out->averaged (clvi_averaged_free). CLV_ERR_FORMAT: not
 * there, or of another shape. */
clv_status clvi_stats_read(clvi_site_stats *out, const clvi_stats *s, size_t site, const clvi_site *shape,
                           clv_error *err);

/* *found: lists[n] were explored under this hash and have been read. */
clv_status clvi_stats_read_candidates(bool *found, clvi_candidates *lists, size_t n, const clvi_stats *s,
                                      uint64_t explored, clv_error *err);

/* A row of `table` when record i is a site's; CLV_ERR_FORMAT: damaged. */
clv_status clvi_stats_describe(clvi_item *table, const clvi_stats *s, size_t i, clv_error *err);

/* out = the sum of n >= 1 files. CLV_ERR_ARG: they belong to different models or were sampled differently, or the same
 * images are in two of them. Candidates are not carried over. */
clv_status clvi_stats_merge(const char *out, const char *const *paths, size_t n, clv_error *err);

#endif
