/* SPDX-License-Identifier: Apache-2.0 */
/* Small networks for the tests of the runtime, built in code. Every helper asserts that it succeeds. */
#ifndef CLEAVE_TESTS_RUNTIME_GRAPHS_H
#define CLEAVE_TESTS_RUNTIME_GRAPHS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/rng.h"
#include "graph/graph.h"
#include "runtime/session.h"

static inline clv_tensor tensor_of(clv_dtype dtype, int rank, const int64_t *dims, void *data)
{
    clv_tensor t = {.dtype = dtype, .rank = rank, .data = data};
    for (int i = 0; i < rank; i++)
        t.dims[i] = dims[i];
    return t;
}

#define DIMS(...)   ((const int64_t[]){__VA_ARGS__})
#define IDS(...)    ((const int32_t[]){__VA_ARGS__})
#define COUNT(list) (sizeof(list) / sizeof *(list))
/* node(g, "Add", IDS(a, b), "sum") */
#define NODE(graph, op, ins, out) add_node(graph, op, ins, COUNT(ins), out)

static inline clvi_graph *new_graph(int64_t opset)
{
    clvi_graph *graph = NULL;
    assert_int_equal(clvi_graph_create(&graph, NULL), CLV_OK);
    assert_int_equal(clvi_graph_set_opset(graph, "", opset, NULL), CLV_OK);
    return graph;
}

/* dims -1: symbolic */
static inline int32_t add_input(clvi_graph *graph, const char *name, clv_dtype dtype, int rank, const int64_t *dims)
{
    int32_t id;
    const clv_tensor t = tensor_of(dtype, rank, dims, NULL);
    assert_int_equal(clvi_graph_add_input(graph, name, &t, &id, NULL), CLV_OK);
    return id;
}

static inline int32_t add_constant(clvi_graph *graph, const char *name, clv_tensor t)
{
    int32_t id;
    assert_int_equal(clvi_graph_add_constant(graph, name, &t, &id, NULL), CLV_OK);
    return id;
}

static inline int32_t add_ints(clvi_graph *graph, const char *name, int64_t n, const int64_t *values)
{
    return add_constant(graph, name, tensor_of(CLV_INT64, 1, &n, (void *)(uintptr_t)values));
}

/* Normal numbers times scale plus offset. */
static inline int32_t add_random(clvi_graph *graph, const char *name, int rank, const int64_t *dims, uint64_t seed,
                                 float scale, float offset)
{
    clvi_rng rng;
    clv_tensor t = tensor_of(CLV_FLOAT32, rank, dims, NULL);
    const size_t n = (size_t)clv_tensor_count(&t);
    float *const data = clvi_calloc(n, sizeof *data);
    assert_non_null(data);
    clvi_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        data[i] = scale * (float)clvi_rng_normal(&rng) + offset;
    t.data = data;
    const int32_t id = add_constant(graph, name, t);
    clvi_free(data);
    return id;
}

static inline clvi_node *last_node(const clvi_graph *graph)
{
    return graph->nodes[graph->n_nodes - 1];
}

/* Returns the id of its one output; attributes are set on last_node(). */
static inline int32_t add_node(clvi_graph *graph, const char *op, const int32_t *in, size_t n_in, const char *out)
{
    int32_t id;
    assert_int_equal(clvi_graph_add_value(graph, out, &id, NULL), CLV_OK);
    clvi_node *const node = clvi_node_new(graph, op, out, in, n_in, &id, 1);
    assert_non_null(node);
    assert_int_equal(clvi_graph_append(graph, node, NULL), CLV_OK);
    return id;
}

static inline void add_output(clvi_graph *graph, int32_t id)
{
    assert_int_equal(clvi_graph_add_output(graph, id, NULL), CLV_OK);
}

static inline size_t count_nodes(const clvi_graph *graph, const char *op)
{
    size_t n = 0;
    for (size_t i = 0; i < graph->n_nodes; i++)
        n += strcmp(graph->nodes[i]->op_type, op) == 0;
    return n;
}

/* Run a graph of one input and copy its one float32 output, n numbers. */
static inline void run_once(const clvi_graph *graph, const clv_tensor *input, float *out, size_t n)
{
    clvi_session *session = NULL;
    clv_tensor output;
    clv_error err = {0};
    if (clvi_session_create(&session, graph, NULL, NULL, &err) != CLV_OK ||
        clvi_session_run(session, input, 1, &output, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(output.dtype, CLV_FLOAT32);
    assert_int_equal(clv_tensor_count(&output), n);
    memcpy(out, output.data, n * sizeof *out);
    clvi_session_free(session);
}

#endif
