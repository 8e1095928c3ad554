/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "decompose/form.h"
#include "measure/conv_facts.h"
#include "measure/input_shapes.h"
#include "measure/model_facts.h"
#include "ops/op.h"
#include "runtime/session.h"

#define SHAPE_TEXT 256

static void report_model(const clvi_graph *graph, const clvi_count *count, clvi_item *item)
{
    clvi_str opsets = {0};
    for (size_t i = 0; i < graph->n_opsets; i++)
        clvi_str_printf(&opsets, "%s%s %" PRId64, i ? ", " : "",
                        graph->opsets[i].domain[0] ? graph->opsets[i].domain : "ai.onnx", graph->opsets[i].version);
    clvi_report_text(item, "graph", graph->name ? graph->name : "");
    clvi_report_int(item, "ir_version", graph->ir_version);
    clvi_report_text(item, "opsets", opsets.text ? opsets.text : "");
    clvi_str_free(&opsets);
    clvi_report_int(item, "nodes", (int64_t)graph->n_nodes);
    clvi_report_count(item, count);
}

static void report_inputs(const clvi_graph *graph, const clv_tensor *inputs, const bool *assumed, clvi_item *table)
{
    char text[SHAPE_TEXT];
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const clvi_value *v = &graph->values[graph->inputs[i]];
        clvi_item *row = clvi_report_row(table);
        clvi_report_text(row, "name", v->name);
        clvi_report_text(row, "type", clv_dtype_name(v->dtype));
        clvi_shape_text(text, sizeof text, v->rank, v->dims, v->dim_names);
        clvi_report_text(row, "declared", text);
        clvi_shape_text(text, sizeof text, inputs[i].rank, inputs[i].dims, NULL);
        clvi_report_text(row, "counted_with", text);
        if (assumed[i])
            clvi_report_text(row, "note", "size assumed");
    }
}

static void report_outputs(const clvi_graph *graph, const clvi_shapes *shapes, clvi_item *table)
{
    char text[SHAPE_TEXT];
    for (size_t i = 0; i < graph->n_outputs; i++) {
        const clvi_value *v = &graph->values[graph->outputs[i]];
        const clv_tensor *t = &shapes->values[graph->outputs[i]];
        clvi_item *row = clvi_report_row(table);
        clvi_report_text(row, "name", v->name);
        clvi_report_text(row, "type", clv_dtype_name(v->dtype));
        clvi_shape_text(text, sizeof text, v->rank, v->dims, v->dim_names);
        clvi_report_text(row, "declared", text);
        clvi_shape_text(text, sizeof text, t->rank, t->dims, NULL);
        clvi_report_text(row, "shape", text);
    }
}

static void report_layers(const clvi_graph *graph, const clvi_shapes *shapes, clvi_item *table)
{
    char text[SHAPE_TEXT];
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *node = graph->nodes[i];
        const clv_tensor *t = node->n_out && node->out[0] != CLVI_NONE ? &shapes->values[node->out[0]] : NULL;
        clvi_item *row = clvi_report_row(table);
        clvi_report_text(row, "layer", clvi_node_label(graph, node));
        clvi_report_text(row, "operator", node->op_type);
        clvi_shape_text(text, sizeof text, t ? t->rank : -1, t ? t->dims : NULL, NULL);
        clvi_report_text(row, "output", text);
        clvi_report_int(row, "macs", shapes->macs[i]);
        clvi_report_int(row, "parameters", clvi_node_parameters(graph, node));
    }
}

/* Which forms take the convolution ("depthwise, channel"), and why the first of the others does not. */
static bool report_forms(const clvi_conv_facts *facts, clvi_item *row)
{
    size_t n;
    const clvi_form *const *forms = clvi_form_all(&n);
    clvi_str names = {0}, reason = {0};
    for (size_t i = 0; !facts->kept && i < n; i++) {
        const char *refusal = forms[i]->refuses(&facts->conv);
        if (!refusal)
            clvi_str_printf(&names, "%s%s", names.size ? ", " : "", forms[i]->name);
        else if (!reason.size)
            clvi_str_printf(&reason, "not %s: %s", forms[i]->name, refusal);
    }
    const bool split = names.size > 0;
    clvi_report_text(row, "can_be_split", split ? names.text : "no");
    clvi_report_text(row, "reason", facts->kept ? facts->kept : reason.text);
    clvi_str_free(&names);
    clvi_str_free(&reason);
    return split;
}

static void report_geometry(const clvi_conv *c, clvi_item *row)
{
    char text[SHAPE_TEXT];
    (void)snprintf(text, sizeof text, "%" PRId64 "x%" PRId64, c->kh, c->kw);
    clvi_report_text(row, "kernel", text);
    (void)snprintf(text, sizeof text, "%" PRId64 " to %" PRId64, c->c, c->o);
    clvi_report_text(row, "channels", text);
    clvi_report_int(row, "groups", c->groups);
    (void)snprintf(text, sizeof text, "%" PRId64 "x%" PRId64, c->sh, c->sw);
    clvi_report_text(row, "stride", text);
}

static clv_status report_convolutions(const clvi_graph *graph, const clvi_shapes *shapes, clvi_item *report,
                                      clv_error *err)
{
    clvi_item *table = clvi_report_table(report, "convolutions");
    int64_t convolutions = 0, splittable = 0, macs = 0;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *node = graph->nodes[i];
        clvi_conv_facts facts;
        if (!clvi_node_is(node, "Conv"))
            continue;
        TRY(clvi_conv_facts_of(&facts, graph, node, shapes, err));
        clvi_item *row = clvi_report_row(table);
        clvi_report_text(row, "layer", clvi_node_label(graph, node));
        if (facts.conv.o > 0)
            report_geometry(&facts.conv, row);
        clvi_report_int(row, "macs", shapes->macs[i]);
        const bool split = report_forms(&facts, row);
        convolutions++;
        splittable += split;
        macs += split ? shapes->macs[i] : 0;
    }
    clvi_item *model = clvi_report_object(report, "model");
    clvi_report_int(model, "convolutions", convolutions);
    clvi_report_int(model, "convolutions_that_can_be_split", splittable);
    clvi_report_int(model, "macs_that_can_be_split", macs);
    return CLV_OK;
}

static void report_not_runnable(const clvi_graph *graph, clvi_item *report)
{
    clvi_item *table = clvi_report_table(report, "not_runnable");
    int64_t n = 0;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *node = graph->nodes[i];
        if (clvi_op_find(graph, node))
            continue;
        clvi_item *row = clvi_report_row(table);
        clvi_report_text(row, "layer", clvi_node_label(graph, node));
        clvi_report_text(row, "operator", node->op_type);
        clvi_report_text(row, "domain", node->domain[0] ? node->domain : "ai.onnx");
        clvi_report_int(row, "opset", clvi_graph_opset(graph, node->domain));
        n++;
    }
    clvi_report_int(clvi_report_object(report, "model"), "nodes_cleave_cannot_run", n);
}

static void report_metadata(const clvi_graph *graph, clvi_item *table)
{
    for (size_t i = 0; i < graph->n_metadata; i++) {
        clvi_item *row = clvi_report_row(table);
        clvi_report_text(row, "key", graph->metadata[i].key);
        clvi_report_text(row, "value", graph->metadata[i].value);
    }
}

clv_status clvi_inspect(const clvi_graph *graph, const clv_input_shape *shapes, size_t n_shapes, clvi_item *report,
                        clv_error *err)
{
    clv_status st;
    clvi_count count;
    clvi_shapes inferred = {0};
    clv_tensor *inputs = clvi_calloc(graph->n_inputs, sizeof *inputs);
    bool *assumed = clvi_calloc(graph->n_inputs, sizeof *assumed);
    if (!inputs || !assumed) {
        st = FAIL(err, CLV_ERR_NOMEM, "%zu inputs", graph->n_inputs);
        goto out;
    }
    if ((st = clvi_input_shapes(inputs, assumed, graph, shapes, n_shapes, err)) != CLV_OK ||
        (st = clvi_count_graph(&count, graph, inputs, graph->n_inputs, err)) != CLV_OK ||
        (st = clvi_shapes_infer(&inferred, graph, inputs, graph->n_inputs, err)) != CLV_OK)
        goto out;
    report_model(graph, &count, clvi_report_object(report, "model"));
    report_inputs(graph, inputs, assumed, clvi_report_table(report, "inputs"));
    report_outputs(graph, &inferred, clvi_report_table(report, "outputs"));
    report_layers(graph, &inferred, clvi_report_table(report, "layers"));
    if ((st = report_convolutions(graph, &inferred, report, err)) != CLV_OK)
        goto out;
    report_not_runnable(graph, report);
    report_metadata(graph, clvi_report_table(report, "metadata"));
out:
    clvi_shapes_free(&inferred);
    clvi_free(inputs);
    clvi_free(assumed);
    return st;
}
