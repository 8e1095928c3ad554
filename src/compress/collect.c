/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/collect.h"

#include "base/mem.h"
#include "compress/explore.h"
#include "compress/stats_file.h"
#include "measure/preprocess.h"
#include "report/report.h"
#include "runtime/passes.h"

static clv_status collect(const clvi_graph *folded, clvi_calibration *calibration, const clv_compress_opts *opts,
                          const char *path, clv_error *err)
{
    clvi_shapes shapes;
    clvi_sites sites = {0};
    TRY(clvi_shapes_infer(&shapes, folded, &calibration->input, 1, err));
    clv_status st = clvi_sites_find(&sites, folded, &shapes, err);
    const clvi_explore_task task = {.original = folded,
                                    .sites = &sites,
                                    .calibration = calibration,
                                    .stats = path,
                                    .memory = (size_t)opts->max_memory / 4,
                                    .context = calibration->context};
    if (st == CLV_OK)
        st = clvi_collect(&task, err);
    clvi_sites_free(&sites);
    clvi_shapes_free(&shapes);
    return st;
}

clv_status clvi_stats_collect(const clvi_graph *graph, clv_dataset *images, const clv_preprocess *preprocess,
                              const clv_compress_opts *opts, clvi_shard shard, const char *path, clv_context *context,
                              clv_error *err)
{
    clv_preprocess resolved;
    clvi_calibration calibration = {0};
    clvi_graph *folded = NULL;
    if (opts->samples < 1 || opts->samples > INT32_MAX || opts->batch < 1 || opts->max_memory < (int64_t)64 << 20)
        return FAIL(err, CLV_ERR_ARG, "samples %lld, batch %lld or memory %lld is out of range",
                    (long long)opts->samples, (long long)opts->batch, (long long)opts->max_memory);
    if (!clv_dataset_is_tensor(images)) {
        TRY(clvi_preprocess_resolve(&resolved, graph, preprocess, err));
        preprocess = &resolved;
    }
    TRY(clvi_graph_clone(&folded, graph, err));
    clv_status st = clvi_pass_fold_constants(folded, err);
    if (st == CLV_OK)
        st = clvi_pass_fold_batchnorm(folded, err);
    if (st == CLV_OK)
        st = clvi_calibration_create(&calibration, folded, images, preprocess, (size_t)opts->max_memory / 2,
                                     shard.number, shard.of, context, err);
    calibration.samples = opts->samples;
    calibration.batch = opts->batch;
    calibration.seed = opts->seed;
    if (st == CLV_OK)
        st = collect(folded, &calibration, opts, path, err);
    clvi_calibration_free(&calibration);
    clvi_graph_free(folded);
    return st;
}

clv_status clvi_stats_show(const char *path, clv_report *report, clv_error *err)
{
    clvi_stats stats;
    TRY(clvi_stats_open(&stats, path, err));
    const clvi_stats_head *h = stats.head;
    clvi_item *root = clvi_report_root(report), *pieces = clvi_report_table(root, "images");
    clvi_report_int(root, "samples", h->samples);
    clvi_report_int(root, "convolutions", h->sites);
    clvi_report_text(root, "preprocess", h->preprocess);
    for (size_t i = 0; i < h->n_pieces; i++) {
        clvi_item *row = clvi_report_row(pieces);
        clvi_report_int(row, "first", h->piece[i].first);
        clvi_report_int(row, "end", h->piece[i].end);
        clvi_report_int(row, "of", h->piece[i].images);
    }
    clvi_item *layers = clvi_report_table(root, "layers");
    clv_status st = CLV_OK;
    for (size_t i = 0; st == CLV_OK && i < stats.records.n; i++)
        st = clvi_stats_describe(layers, &stats, i, err);
    clvi_stats_close(&stats);
    return st == CLV_OK ? clvi_report_check(report, err) : st;
}
