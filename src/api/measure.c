/* SPDX-License-Identifier: Apache-2.0 */
#include "cleave/measure.h"

#include <inttypes.h>
#include <string.h>

#include "api/model.h"
#include "base/mem.h"
#include "base/status.h"
#include "measure/diff.h"
#include "measure/evaluate.h"
#include "measure/inspect.h"
#include "measure/predict.h"
#include "measure/preprocess.h"
#include "measure/score.h"
#include "onnx/onnx.h"
#include "report/report.h"

clv_status clv_inspect(const clv_model *model, const clv_input_shape *shapes, size_t n_shapes, clv_report *report,
                       clv_error *err)
{
    TRY(clvi_inspect(model->graph, shapes, n_shapes, clvi_report_root(report), err));
    return clvi_report_check(report, err);
}

clv_status clv_model_preprocess(const clv_model *model, clv_preprocess *out, clv_error *err)
{
    return clvi_preprocess_resolve(out, model->graph, NULL, err);
}

clv_status clv_model_set_preprocess(clv_model *model, const clv_preprocess *preprocess, clv_error *err)
{
    char text[512];
    TRY(clv_preprocess_format(preprocess, text, sizeof text, err));
    return clvi_graph_set_metadata(model->graph, CLVI_PREPROCESS_KEY, text, err);
}

/* The bytes that a model takes as a file. */
static clv_status report_bytes(const clvi_graph *graph, clvi_item *item, clv_error *err)
{
    clvi_bytes bytes = {0};
    TRY(clvi_onnx_write_bytes(graph, &bytes, err));
    clvi_report_int(item, "file_bytes", (int64_t)bytes.size);
    clvi_free(bytes.data);
    return CLV_OK;
}

clv_status clv_evaluate(const clv_model *model, clv_dataset *dataset, const clv_evaluate_opts *opts,
                        clv_context *context, clv_report *report, clv_error *err)
{
    const clv_evaluate_opts defaults = clv_evaluate_opts_default();
    clvi_item *root = clvi_report_root(report);
    const clvi_evaluate_job job = {.graph = model->graph,
                                   .against = opts && opts->against ? opts->against->graph : NULL,
                                   .dataset = dataset,
                                   .opts = opts ? opts : &defaults,
                                   .context = context,
                                   .report = root};
    TRY(clvi_evaluate(&job, err));
    TRY(report_bytes(model->graph, clvi_report_object(root, "model"), err));
    if (job.against)
        TRY(report_bytes(job.against, clvi_report_object(root, "against"), err));
    return clvi_report_check(report, err);
}

clv_status clv_predict(const clv_model *model, clv_dataset *dataset, const clv_preprocess *preprocess,
                       const clv_visitor *visitor, clv_context *context, clv_error *err)
{
    return clvi_predict(model->graph, dataset, preprocess, visitor, context, err);
}

clv_status clv_probabilities(const float *row, int64_t n, double *p, clv_error *err)
{
    if (n < 1)
        return FAIL(err, CLV_ERR_ARG, "%" PRId64 " classes", n);
    for (int64_t k = 0; k < n; k++)
        if (!(row[k] - row[k] == 0))
            return FAIL(err, CLV_ERR_NUMERIC, "output of class %" PRId64 " is not a finite number", k);
    clvi_score_probabilities(p, row, n);
    return CLV_OK;
}

/* opts->inputs in the order of the model's inputs. */
static clv_status order_inputs(clv_tensor *inputs, const clvi_graph *g, const clv_diff_opts *opts, clv_error *err)
{
    for (size_t i = 0; i < g->n_inputs; i++) {
        const char *name = g->values[g->inputs[i]].name;
        size_t k = 0;
        while (k < opts->n_inputs && strcmp(opts->names[k], name) != 0)
            k++;
        if (k == opts->n_inputs)
            return FAIL(err, CLV_ERR_ARG, "no tensor is given for input \"%s\"", name);
        inputs[i] = opts->inputs[k];
    }
    return CLV_OK;
}

clv_status clv_diff(const clv_model *a, const clv_model *b, const clv_diff_opts *opts, clv_context *context,
                    clv_report *report, clv_error *err)
{
    clv_diff_opts ordered = *opts;
    const clvi_diff_job job = {a->graph, b->graph, &ordered, context, clvi_report_root(report)};
    clv_tensor *inputs = NULL;
    clv_status st = CLV_OK;
    if (!opts->dataset && opts->names) {
        inputs = clvi_calloc(a->graph->n_inputs, sizeof *inputs);
        st = inputs ? order_inputs(inputs, a->graph, opts, err)
                    : FAIL(err, CLV_ERR_NOMEM, "%zu inputs", a->graph->n_inputs);
        ordered.inputs = inputs;
    }
    if (st == CLV_OK)
        st = clvi_diff(&job, err);
    clvi_free(inputs);
    const clv_status kept = clvi_report_check(report, st == CLV_OK ? err : NULL);
    return st == CLV_OK ? kept : st;
}
