/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "runtime/infer.h"
#include "runtime/session.h"

/* What the file says about the outputs of a node that cannot be inferred, where it says all. */
static void use_declared(clvi_shapes *shapes, const clvi_graph *graph, const clvi_node *node)
{
    for (size_t i = 0; i < node->n_out; i++) {
        size_t bytes;
        if (node->out[i] == CLVI_NONE)
            continue;
        const clvi_value *const value = &graph->values[node->out[i]];
        clv_tensor t = {.dtype = clvi_compute_dtype(value->dtype), .rank = value->rank};
        for (int j = 0; j < value->rank; j++)
            t.dims[j] = value->dims[j];
        if (t.rank >= 0 && clv_dtype_size(t.dtype) > 0 && clvi_tensor_bytes(&t, &bytes))
            shapes->values[node->out[i]] = t;
    }
}

/* Folding uses the reference kernels, so that what is folded into a model does not depend on the machine. */
clv_status clvi_shapes_infer(clvi_shapes *out, const clvi_graph *graph, const clv_tensor *inputs, size_t n_inputs,
                             clv_error *err)
{
    const clvi_kernels kernels = clvi_kernels_for(CLVI_CPU_REF);
    clvi_infer infer = {.graph = graph, .kernels = &kernels};
    *out = (clvi_shapes){0};
    TRY(clvi_infer_begin(&infer, NULL, inputs, n_inputs, err));
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clv_status st = clvi_infer_node(&infer, i, err);
        if (st == CLV_ERR_UNSUP) {
            use_declared(&infer.shapes, graph, graph->nodes[i]);
        } else if (st != CLV_OK) {
            clvi_shapes_free(&infer.shapes);
            return st;
        }
    }
    *out = infer.shapes;
    return CLV_OK;
}

void clvi_shapes_free(clvi_shapes *shapes)
{
    if (!shapes)
        return;
    clvi_arena_free(shapes->arena);
    *shapes = (clvi_shapes){0};
}

void clvi_default_inputs(const clvi_graph *graph, int64_t batch, int64_t extent, clv_tensor *tensors)
{
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const clvi_value *const value = &graph->values[graph->inputs[i]];
        tensors[i] =
            (clv_tensor){.dtype = value->dtype == CLV_DTYPE_NONE ? CLV_FLOAT32 : value->dtype, .rank = value->rank};
        for (int j = 0; j < value->rank; j++)
            tensors[i].dims[j] = value->dims[j] >= 0 ? value->dims[j] : j == 0 ? batch : extent;
    }
}
