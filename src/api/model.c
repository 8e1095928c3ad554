/* SPDX-License-Identifier: Apache-2.0 */
#include "api/model.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "onnx/onnx.h"

clv_status clvi_model_wrap(clv_model **out, clvi_graph *graph, clv_error *err)
{
    *out = clvi_calloc(1, sizeof **out);
    if (!*out) {
        clvi_graph_free(graph);
        return FAIL(err, CLV_ERR_NOMEM, "model");
    }
    (*out)->graph = graph;
    return CLV_OK;
}

clv_status clv_model_load(clv_model **out, const char *path, clv_error *err)
{
    clvi_graph *graph = NULL;
    *out = NULL;
    TRY(clvi_onnx_read(&graph, path, err));
    return clvi_model_wrap(out, graph, err);
}

clv_status clv_model_load_bytes(clv_model **out, const void *bytes, size_t size, clv_error *err)
{
    clvi_graph *graph = NULL;
    *out = NULL;
    TRY(clvi_onnx_read_bytes(&graph, bytes, size, NULL, err));
    return clvi_model_wrap(out, graph, err);
}

clv_status clv_model_save(const clv_model *model, const char *path, clv_error *err)
{
    return clvi_onnx_write(model->graph, path, err);
}

void clv_model_free(clv_model *model)
{
    if (!model)
        return;
    clvi_graph_free(model->graph);
    clvi_free(model);
}

clv_status clv_model_clone(clv_model **out, const clv_model *model, clv_error *err)
{
    clvi_graph *graph = NULL;
    *out = NULL;
    TRY(clvi_graph_clone(&graph, model->graph, err));
    return clvi_model_wrap(out, graph, err);
}

size_t clv_model_inputs(const clv_model *model)
{
    return model->graph->n_inputs;
}

size_t clv_model_outputs(const clv_model *model)
{
    return model->graph->n_outputs;
}

static void describe(clv_port *out, const clvi_value *v)
{
    *out = (clv_port){.name = v->name, .dtype = v->dtype, .rank = v->rank};
    memcpy(out->dims, v->dims, sizeof out->dims);
    memcpy(out->dim_names, v->dim_names, sizeof out->dim_names);
}

clv_status clv_model_input(const clv_model *model, size_t index, clv_port *out, clv_error *err)
{
    const clvi_graph *g = model->graph;
    if (index >= g->n_inputs)
        return FAIL(err, CLV_ERR_ARG, "input %zu was asked for, the model has %zu", index, g->n_inputs);
    describe(out, &g->values[g->inputs[index]]);
    return CLV_OK;
}

clv_status clv_model_output(const clv_model *model, size_t index, clv_port *out, clv_error *err)
{
    const clvi_graph *g = model->graph;
    if (index >= g->n_outputs)
        return FAIL(err, CLV_ERR_ARG, "output %zu was asked for, the model has %zu", index, g->n_outputs);
    describe(out, &g->values[g->outputs[index]]);
    return CLV_OK;
}

const char *clv_model_metadata(const clv_model *model, const char *key)
{
    return clvi_graph_metadata(model->graph, key);
}

clv_status clv_model_set_metadata(clv_model *model, const char *key, const char *value, clv_error *err)
{
    return clvi_graph_set_metadata(model->graph, key, value, err);
}
