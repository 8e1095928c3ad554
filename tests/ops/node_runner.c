// SPDX-License-Identifier: Apache-2.0
#include "ops/node_runner.h"

#include <stdlib.h>
#include <string.h>

clv_status node_runner_open(node_runner *runner, const clvi_graph *graph, clvi_pool *pool, clv_error *err)
{
    *runner = (node_runner){.graph = graph,
                            .pool = pool,
                            .kernels = clvi_kernels_for(clvi_cpu_detect()),
                            .limit = (size_t)1 << 28}; /* a hostile shape is not to eat the machine */
    runner->values = calloc(graph->n_values + 1, sizeof runner->values[0]);
    if (!runner->values)
        return FAIL(err, CLV_ERR_NOMEM, "%zu values", graph->n_values);
    for (size_t i = 0; i < graph->n_values; i++)
        if (graph->values[i].constant)
            runner->values[i] = *graph->values[i].constant;
    return CLV_OK;
}

void node_runner_close(node_runner *runner)
{
    for (size_t i = 0; runner->values && i < runner->graph->n_nodes; i++) {
        const clvi_node *node = runner->graph->nodes[i];
        for (size_t k = 0; k < node->n_out; k++)
            if (node->out[k] != CLVI_NONE)
                free(runner->values[node->out[k]].data);
    }
    free(runner->values);
    runner->values = NULL;
}

static size_t bytes_of(const clv_tensor *t)
{
    return (size_t)clv_tensor_count(t) * clv_dtype_size(t->dtype);
}

/* Space for the outputs, filled with a pattern that no operator would write. */
static clv_status give_outputs(const clvi_op_call *call, size_t limit, clv_error *err)
{
    for (size_t k = 0; k < call->n_out; k++) {
        clv_tensor *t = call->out[k];
        if (!t)
            continue;
        const size_t bytes = bytes_of(t);
        t->data = bytes <= limit ? malloc(bytes ? bytes : 1) : NULL;
        if (!t->data)
            return FAIL(err, CLV_ERR_NOMEM, "output %zu of %zu bytes", k, bytes);
        memset(t->data, 0xA5, bytes);
    }
    return CLV_OK;
}

/* Input 0 moves into output 0 when the operator allows it; a value that comes twice is nobody's to overwrite. */
static void share_memory(const clvi_op *op, const clvi_op_call *call, const clv_tensor **in, clv_tensor *first)
{
    if (!op->in_place || !call->n_in || !in[0] || !call->out[0] || !op->in_place(call))
        return;
    for (size_t i = 1; i < call->n_in; i++)
        if (in[i] == in[0])
            return;
    if (bytes_of(in[0]))
        memcpy(call->out[0]->data, in[0]->data, bytes_of(in[0]));
    *first = *in[0];
    first->data = call->out[0]->data;
    in[0] = first;
}

clv_status node_runner_step(node_runner *r, const clvi_node *node, clv_error *err)
{
    const clvi_op *op = clvi_op_find(r->graph, node);
    const clv_tensor **in = calloc(node->n_in + 1, sizeof(clv_tensor *));
    clv_tensor **out = calloc(node->n_out + 1, sizeof(clv_tensor *));
    clv_tensor first;
    void *work = NULL;
    clv_status st = CLV_OK;

    if (!op)
        st = clvi_op_unsupported(r->graph, node, err);
    else if (!in || !out)
        st = FAIL(err, CLV_ERR_NOMEM, "node of %zu inputs", node->n_in);
    if (st != CLV_OK)
        goto out;
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = node->in[i] == CLVI_NONE ? NULL : &r->values[node->in[i]];
    for (size_t k = 0; k < node->n_out; k++)
        out[k] = node->out[k] == CLVI_NONE ? NULL : &r->values[node->out[k]];
    clvi_op_call call = {.graph = r->graph,
                         .node = node,
                         .opset = clvi_graph_opset(r->graph, ""),
                         .n_in = node->n_in,
                         .n_out = node->n_out,
                         .in = in,
                         .out = out,
                         .pool = r->pool,
                         .kernels = &r->kernels};
    if (r->infer_only)
        st = op->infer(&call, err);
    if (r->infer_only || (st = op->infer(&call, err)) != CLV_OK || (st = give_outputs(&call, r->limit, err)) != CLV_OK)
        goto out;
    const size_t bytes = op->work ? op->work(&call) : 0;
    if (bytes && !(work = aligned_alloc(CLV_ALIGN, (bytes + CLV_ALIGN - 1) / CLV_ALIGN * CLV_ALIGN))) {
        st = FAIL(err, CLV_ERR_NOMEM, "%zu bytes of scratch", bytes);
        goto out;
    }
    call.work = work;
    if (r->in_place)
        share_memory(op, &call, in, &first);
    if (op->prepare)
        st = op->prepare(&call, err);
    if (st == CLV_OK)
        st = op->run(&call, err);
    if (op->release && call.state)
        op->release(call.state);
out:
    free(work);
    free(in);
    free(out);
    return st;
}
