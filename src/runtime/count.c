/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/count.h"

#include "base/size.h"
#include "runtime/infer.h"
#include "runtime/pass_edit.h"
#include "runtime/session.h"

#define EXTENT 224

static clv_status count_weights(clvi_count *out, const clvi_graph *graph, clv_error *err)
{
    size_t *const uses = clvi_calloc(graph->n_values, sizeof *uses);
    if (!uses)
        return FAIL(err, CLV_ERR_NOMEM, "count of %zu values", graph->n_values);
    clvi_count_uses(graph, uses);
    for (size_t v = 0; v < graph->n_values; v++) {
        const clv_tensor *const t = graph->values[v].constant;
        size_t bytes;
        if (!t || uses[v] == 0 || !clvi_tensor_bytes(t, &bytes))
            continue;
        out->bytes += (int64_t)bytes;
        if (clvi_compute_dtype(t->dtype) == CLV_FLOAT32)
            out->parameters += clv_tensor_count(t);
    }
    clvi_free(uses);
    return CLV_OK;
}

static clv_status count_macs(clvi_count *out, const clvi_graph *graph, const clv_tensor *inputs, size_t n_inputs,
                             clv_error *err)
{
    clv_status st = CLV_OK;
    clvi_shapes shapes;
    TRY(clvi_shapes_infer(&shapes, graph, inputs, n_inputs, err));
    for (size_t i = 0; i < shapes.n_nodes && st == CLV_OK; i++)
        if (!clvi_add_i64(out->macs, shapes.macs[i], &out->macs))
            st = FAIL(err, CLV_ERR_FORMAT, "more multiply-adds than 64 bits can count");
    clvi_shapes_free(&shapes);
    return st;
}

clv_status clvi_count_graph(clvi_count *out, const clvi_graph *graph, const clv_tensor *inputs, size_t n_inputs,
                            clv_error *err)
{
    *out = (clvi_count){0};
    TRY(count_weights(out, graph, err));
    if (inputs)
        return count_macs(out, graph, inputs, n_inputs, err);
    clv_tensor *const defaults = clvi_calloc(graph->n_inputs, sizeof *defaults);
    if (!defaults)
        return FAIL(err, CLV_ERR_NOMEM, "count of %zu inputs", graph->n_inputs);
    clvi_default_inputs(graph, 1, EXTENT, defaults);
    const clv_status st = count_macs(out, graph, defaults, graph->n_inputs, err);
    clvi_free(defaults);
    return st;
}
