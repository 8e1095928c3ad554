/* SPDX-License-Identifier: Apache-2.0 */
#include "train/heal.h"

#include "api/model.h"
#include "base/status.h"

clv_status clv_heal(clv_model *model, const clv_model *teacher, clv_dataset *images, const clv_preprocess *preprocess,
                    const clv_heal_opts *opts, clv_context *context, clv_report *report, clv_error *err)
{
    const clv_heal_opts defaults = clv_heal_opts_default();
    clvi_graph *graph = NULL;
    TRY(clvi_heal(&graph, model->graph, teacher->graph, images, preprocess, opts ? opts : &defaults, context, report,
                  err));
    clvi_graph_free(model->graph);
    model->graph = graph;
    return CLV_OK;
}
