/* SPDX-License-Identifier: Apache-2.0 */
/* clv_stats_collect by several ranks. */
#ifndef CLVI_API_STATS_RANKS_H
#define CLVI_API_STATS_RANKS_H

#include "compress/collect.h"

/* Rank r of R collects shard r of R; rank 0 adds them up in order and writes `path`: the bytes that `cleave stats
 * --shard` and `merge` give. CLV_ERR_ARG: of one shard alone nothing can be shared. */
clv_status clvi_stats_collect_ranks(const clvi_graph *graph, clv_dataset *images, const clv_preprocess *preprocess,
                                    const clv_compress_opts *opts, clvi_shard shard, const char *path,
                                    clv_context *context, clv_error *err);

#endif
