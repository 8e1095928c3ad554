/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/infer.h"

#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"

/* Limits of folding: no tensor that a chain of constants makes is larger, nor all of them together, nor the work of one
 * node. What is beyond stays a node and is run. */
#define FOLD_BYTES ((size_t)64 << 20)
#define FOLD_TOTAL ((size_t)256 << 20)
#define FOLD_MACS  ((int64_t)1 << 28)

bool clvi_tensor_bytes(const clv_tensor *tensor, size_t *bytes)
{
    const int64_t n = tensor->rank < 0 ? -1 : clv_tensor_count(tensor);
    return n >= 0 && clvi_mul((size_t)n, clv_dtype_size(tensor->dtype), bytes);
}

clv_dtype clvi_compute_dtype(clv_dtype dtype)
{
    return dtype == CLV_FLOAT16 || dtype == CLV_BFLOAT16 || dtype == CLV_FLOAT64 ? CLV_FLOAT32 : dtype;
}

clv_status clvi_fail_at_node(clv_error *err, clv_status status, const clvi_graph *graph, const clvi_node *node)
{
    const char *const label = clvi_node_label(graph, node);
    if (err && (!*label || !strstr(err->msg, label))) {
        char prefix[160];
        (void)snprintf(prefix, sizeof prefix, "node \"%.100s\" (%.30s)", label, node->op_type);
        return clvi_fail_prefix(err, status, prefix);
    }
    return status;
}

/* One initializer as the operators see it. Text and what else has no array here stays unknown. */
static clv_status constant_view(const clvi_value *value, clvi_arena *arena, clv_tensor *out, clv_error *err)
{
    size_t bytes;
    if (value->opaque || clv_dtype_size(value->constant->dtype) == 0)
        return CLV_OK;
    *out = *value->constant;
    out->dtype = clvi_compute_dtype(out->dtype);
    if (!clvi_tensor_bytes(out, &bytes))
        return FAIL(err, CLV_ERR_FORMAT, "initializer \"%s\" is too large", value->name);
    const bool same = out->dtype == value->constant->dtype;
    if (bytes > 0 && !out->data)
        return FAIL(err, CLV_ERR_FORMAT, "initializer \"%s\" has no data", value->name);
    if (same && out->data)
        return CLV_OK;
    if (!(out->data = clvi_arena_alloc(arena, bytes)))
        return FAIL(err, CLV_ERR_NOMEM, "initializer \"%s\" as float32, %zu bytes", value->name, bytes);
    if (!same)
        (void)clvi_floats_from(out->data, value->constant->dtype, value->constant->data, bytes / sizeof(float));
    return CLV_OK;
}

clv_status clvi_infer_constants(const clvi_graph *graph, clvi_arena *arena, clv_tensor *values, clv_error *err)
{
    for (size_t v = 0; v < graph->n_values; v++) {
        values[v] = (clv_tensor){.rank = -1};
        if (graph->values[v].constant)
            TRY(constant_view(&graph->values[v], arena, &values[v], err));
    }
    return CLV_OK;
}

static clv_status set_input(const clvi_graph *graph, size_t i, const clv_tensor *given, clv_tensor *out, clv_error *err)
{
    size_t bytes;
    if (given->rank < 0)
        return CLV_OK;
    *out = *given;
    out->dtype = clvi_compute_dtype(out->dtype);
    out->data = NULL;
    if (out->rank > CLV_MAX_RANK || !clvi_tensor_bytes(out, &bytes))
        return FAIL(err, CLV_ERR_ARG, "input \"%s\": its shape has a negative dimension or too many elements",
                    graph->values[graph->inputs[i]].name);
    return CLV_OK;
}

clv_status clvi_infer_begin(clvi_infer *infer, const clv_tensor *constants, const clv_tensor *inputs, size_t n_inputs,
                            clv_error *err)
{
    const clvi_graph *const graph = infer->graph;
    clvi_shapes *const shapes = &infer->shapes;
    clv_status st = CLV_OK;
    *shapes = (clvi_shapes){.n_values = graph->n_values, .n_nodes = graph->n_nodes};
    if (n_inputs != graph->n_inputs)
        return FAIL(err, CLV_ERR_ARG, "%zu inputs given, the graph has %zu", n_inputs, graph->n_inputs);
    shapes->arena = clvi_arena_create();
    if (!shapes->arena || !(shapes->values = clvi_arena_calloc(shapes->arena, graph->n_values, sizeof(clv_tensor))) ||
        !(shapes->macs = clvi_arena_calloc(shapes->arena, graph->n_nodes, sizeof(int64_t)))) {
        st = FAIL(err, CLV_ERR_NOMEM, "shapes of %zu values", graph->n_values);
        goto out;
    }
    if (constants)
        memcpy(shapes->values, constants, graph->n_values * sizeof(clv_tensor));
    else if ((st = clvi_infer_constants(graph, shapes->arena, shapes->values, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < n_inputs && st == CLV_OK; i++)
        st = set_input(graph, i, &inputs[i], &shapes->values[graph->inputs[i]], err);
out:
    if (st != CLV_OK)
        clvi_shapes_free(shapes);
    return st;
}

clv_status clvi_call_bind(clvi_op_call *call, const clvi_graph *graph, size_t index, clvi_shapes *shapes,
                          clv_error *err)
{
    const clvi_node *const node = graph->nodes[index];
    const clv_tensor **const in = clvi_arena_calloc(shapes->arena, node->n_in, sizeof *in);
    clv_tensor **const out = clvi_arena_calloc(shapes->arena, node->n_out, sizeof *out);
    if (!in || !out)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(graph, node));
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = node->in[i] == CLVI_NONE ? NULL : &shapes->values[node->in[i]];
    for (size_t i = 0; i < node->n_out; i++)
        out[i] = node->out[i] == CLVI_NONE ? NULL : &shapes->values[node->out[i]];
    *call = (clvi_op_call){.graph = graph,
                           .node = node,
                           .opset = clvi_graph_opset(graph, node->domain),
                           .n_in = node->n_in,
                           .n_out = node->n_out,
                           .in = in,
                           .out = out};
    return CLV_OK;
}

/* Every output has a type and a size that fits. */
static clv_status check_outputs(const clvi_op_call *call, clv_error *err)
{
    for (size_t i = 0; i < call->n_out; i++) {
        size_t bytes;
        const clv_tensor *const out = call->out[i];
        if (out && (out->rank < 0 || out->rank > CLV_MAX_RANK || clv_dtype_size(out->dtype) == 0 ||
                    !clvi_tensor_bytes(out, &bytes)))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": output %zu has no usable shape or type",
                        clvi_node_label(call->graph, call->node), i);
    }
    return CLV_OK;
}

/* Can the outputs be computed now, and is it cheap enough? */
static bool foldable(const clvi_infer *infer, const clvi_op_call *call, int64_t macs)
{
    size_t total = infer->folded_bytes;
    const bool shape_alone = clvi_node_is(call->node, "Shape") || clvi_node_is(call->node, "Size");
    for (size_t i = 0; i < call->n_in && !shape_alone; i++)
        if (call->in[i] && !call->in[i]->data)
            return false;
    for (size_t i = 0; i < call->n_out; i++) {
        size_t bytes = 0;
        if (call->out[i] && (!clvi_tensor_bytes(call->out[i], &bytes) || bytes > FOLD_BYTES ||
                             !clvi_add(total, bytes, &total) || total > FOLD_TOTAL))
            return false;
    }
    return macs <= FOLD_MACS && call->node->n_capture == 0;
}

static clv_status fold(clvi_infer *infer, const clvi_op *op, clvi_op_call *call, clv_error *err)
{
    clv_status st = CLV_OK;
    for (size_t i = 0; i < call->n_out; i++) {
        size_t bytes;
        if (!call->out[i] || !clvi_tensor_bytes(call->out[i], &bytes))
            continue;
        infer->folded_bytes += bytes;
        if (!(call->out[i]->data = clvi_arena_alloc(infer->shapes.arena, bytes)))
            return FAIL(err, CLV_ERR_NOMEM, "node \"%s\": %zu bytes", clvi_node_label(call->graph, call->node), bytes);
    }
    call->pool = infer->pool;
    call->kernels = infer->kernels;
    if (op->prepare && (st = op->prepare(call, err)) != CLV_OK)
        goto out;
    const size_t work = op->work ? op->work(call) : 0;
    if (work > 0 && !(call->work = clvi_alloc(work))) {
        st = FAIL(err, CLV_ERR_NOMEM, "node \"%s\": %zu bytes of scratch", clvi_node_label(call->graph, call->node),
                  work);
        goto out;
    }
    st = op->run(call, err);
out:
    clvi_free(call->work);
    if (op->release && call->state)
        op->release(call->state);
    return st;
}

static clv_status infer_known_inputs(clvi_infer *infer, size_t index, const clvi_op *op, clv_error *err)
{
    clvi_op_call call;
    TRY(clvi_call_bind(&call, infer->graph, index, &infer->shapes, err));
    call.kernels = infer->kernels;
    TRY(op->infer(&call, err));
    TRY(check_outputs(&call, err));
    const int64_t macs = op->macs ? op->macs(&call) : 0;
    infer->shapes.macs[index] = macs;
    return foldable(infer, &call, macs) ? fold(infer, op, &call, err) : CLV_OK;
}

clv_status clvi_infer_node(clvi_infer *infer, size_t index, clv_error *err)
{
    const clvi_graph *const graph = infer->graph;
    const clvi_node *const node = graph->nodes[index];
    clv_tensor *const values = infer->shapes.values;
    clv_status st = CLV_OK;
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i] != CLVI_NONE)
            values[node->out[i]] = (clv_tensor){.rank = -1};
    const clvi_op *const op = clvi_op_find(graph, node);
    if (!op)
        return clvi_op_unsupported(graph, node, err);
    for (size_t i = 0; i < node->n_in; i++)
        if (node->in[i] != CLVI_NONE && values[node->in[i]].rank < 0)
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": the shape of its input \"%s\" is not known",
                        clvi_node_label(graph, node), graph->values[node->in[i]].name);
    if ((st = infer_known_inputs(infer, index, op, err)) == CLV_OK)
        return CLV_OK;
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i] != CLVI_NONE)
            values[node->out[i]] = (clv_tensor){.rank = -1};
    return clvi_fail_at_node(err, st, graph, node);
}
