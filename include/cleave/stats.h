/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics as files (.clvstats): what the fits know of the images. One pass serves every later budget, and passes
 * over shards of the images add up. */
#ifndef CLEAVE_STATS_H
#define CLEAVE_STATS_H

#include <stdint.h>

#include "cleave/compress.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Collect the statistics of every convolution of `model` that can be split, over images [N shard / shards, N (shard +
 * 1) / shards) of the set, into `path` (replaced whole or not at all). Of opts are read: samples, batch, max_memory,
 * seed, first; NULL: the defaults. clv_compress with opts.stats = path uses the file and adds to it what a search found
 * out. CLV_ERR_ARG: no such shard; other errors as clv_compress. Per object. */
CLV_API clv_status clv_stats_collect(const clv_model *model, clv_dataset *images, const clv_preprocess *preprocess,
                                     const clv_compress_opts *opts, int64_t shard, int64_t shards, const char *path,
                                     clv_context *context, clv_error *err);

/* Write the sum of n files to `out`. Shards of one set sum up to what one pass over the set gives (1e-12). CLV_ERR_ARG:
 * they belong to different models or were collected with different options, or an image would count twice. Reentrant.
 */
CLV_API clv_status clv_stats_merge(const char *out, const char *const *paths, int64_t n, clv_error *err);

/* What is in a file: model, images, samples, "layers". */
CLV_API clv_status clv_stats_show(const char *path, clv_report *report, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
