/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics alone; clv_stats_collect and clv_stats_show (include/cleave/stats.h) are the public face. */
#ifndef CLVI_COMPRESS_COLLECT_H
#define CLVI_COMPRESS_COLLECT_H

#include "cleave/stats.h"
#include "graph/graph.h"

typedef struct clvi_shard {
    int64_t number, of; /* 0 <= number < of */
} clvi_shard;

clv_status clvi_stats_collect(const clvi_graph *graph, clv_dataset *images, const clv_preprocess *preprocess,
                              const clv_compress_opts *opts, clvi_shard shard, const char *path, clv_context *context,
                              clv_error *err);

clv_status clvi_stats_show(const char *path, clv_report *report, clv_error *err);

#endif
