/* SPDX-License-Identifier: Apache-2.0 */
#include "cleave/stats.h"

#include "api/model.h"
#include "api/stats_ranks.h"
#include "base/context.h"
#include "compress/collect.h"
#include "compress/stats_file.h"

clv_status clv_stats_collect(const clv_model *model, clv_dataset *images, const clv_preprocess *preprocess,
                             const clv_compress_opts *opts, int64_t shard, int64_t shards, const char *path,
                             clv_context *context, clv_error *err)
{
    const clv_compress_opts defaults = clv_compress_opts_default();
    if (context && context->opts.ranks)
        return clvi_stats_collect_ranks(model->graph, images, preprocess, opts ? opts : &defaults,
                                        (clvi_shard){shard, shards}, path, context, err);
    return clvi_stats_collect(model->graph, images, preprocess, opts ? opts : &defaults, (clvi_shard){shard, shards},
                              path, context, err);
}

clv_status clv_stats_merge(const char *out, const char *const *paths, int64_t n, clv_error *err)
{
    if (n < 1)
        return FAIL(err, CLV_ERR_ARG, "%lld files to merge, one or more were expected", (long long)n);
    return clvi_stats_merge(out, paths, (size_t)n, err);
}

clv_status clv_stats_show(const char *path, clv_report *report, clv_error *err)
{
    return clvi_stats_show(path, report, err);
}
