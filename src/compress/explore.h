/* SPDX-License-Identifier: Apache-2.0 */
/* The candidates of every site: from statistics on disk, or from a survey of the images. */
#ifndef CLVI_COMPRESS_EXPLORE_H
#define CLVI_COMPRESS_EXPLORE_H

#include "compress/calibration.h"
#include "compress/candidates.h"

typedef struct clvi_explore_task {
    const clvi_graph *original; /* folded */
    clvi_sites *sites;
    clvi_calibration *calibration; /* NULL: the statistics must be there */
    /* NULL, or a .clvstats file: read when it is there, else written by the survey. New candidates are added to it. */
    const char *stats;
    const clvi_explore_opts *opts;
    size_t memory; /* bytes for moments at a time */
    clv_context *context;
} clvi_explore_task;

/* lists[sites->n]; those of kept sites are left empty. *seconds: spent on fits. CLV_ERR_ARG: the file belongs to
 * another model. */
clv_status clvi_explore(clvi_candidates *lists, const clvi_explore_task *task, double *seconds, clv_error *err);

/* Collect statistics alone: the file of `stats` is written anew. */
clv_status clvi_collect(const clvi_explore_task *task, clv_error *err);

#endif
