/* SPDX-License-Identifier: Apache-2.0 */
#include "train/train.h"

#include "api/model.h"
#include "base/status.h"

clv_status clv_train(clv_model *model, clv_dataset *images, const clv_preprocess *preprocess,
                     const clv_train_opts *opts, clv_context *context, clv_report *report, clv_error *err)
{
    const clv_train_opts defaults = clv_train_opts_default();
    clvi_graph *graph = NULL;
    TRY(clvi_train(&graph, model->graph, images, preprocess, opts ? opts : &defaults, context, report, err));
    clvi_graph_free(model->graph);
    model->graph = graph;
    return CLV_OK;
}
