/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/compress.h"

#include "api/model.h"
#include "measure/baseline.h"
#include "measure/preprocess.h"
#include "report/report.h"

clv_status clv_compress(clv_model *model, clv_dataset *calibration, const clv_preprocess *preprocess,
                        const clv_compress_opts *opts, clv_context *context, clv_report *report, clv_error *err)
{
    const clv_compress_opts defaults = clv_compress_opts_default();
    clv_preprocess resolved;
    clvi_graph *graph = NULL;
    TRY(clvi_preprocess_resolve(&resolved, model->graph, preprocess, err));
    TRY(clvi_baseline_check(model->graph, calibration, &resolved, context,
                            clvi_report_object(clvi_report_root(report), "baseline"), err));
    TRY(clvi_compress(&graph, model->graph, calibration, &resolved, opts ? opts : &defaults, context, report, err));
    clvi_graph_free(model->graph);
    model->graph = graph;
    return CLV_OK;
}
