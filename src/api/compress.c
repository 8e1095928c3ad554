/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/compress.h"

#include "api/model.h"

clv_status clv_compress(clv_model *model, clv_dataset *calibration, const clv_preprocess *preprocess,
                        const clv_compress_opts *opts, clv_context *context, clv_report *report, clv_error *err)
{
    const clv_compress_opts defaults = clv_compress_opts_default();
    clvi_graph *graph = NULL;
    TRY(clvi_compress(&graph, model->graph, calibration, preprocess, opts ? opts : &defaults, context, report, err));
    if (!graph)
        return CLV_OK; /* a dry run */
    clvi_graph_free(model->graph);
    model->graph = graph;
    return CLV_OK;
}
