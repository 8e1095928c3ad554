/* SPDX-License-Identifier: Apache-2.0 */
/* One node with given inputs, run and compared. Every helper asserts that it succeeds. Include after cmocka.h. */
#ifndef CLVI_TESTS_OP_CASE_H
#define CLVI_TESTS_OP_CASE_H

#include <math.h>
#include <string.h>

#include "ops/node_runner.h"

enum { case_inputs = 6, case_outputs = 3 };

typedef struct op_case {
    clvi_graph *graph;
    clvi_node *node;
    clv_tensor in[case_inputs];
    size_t n_in;
    node_runner runner;
    clv_error err;
} op_case;

/* DIMS(2, 3): rank and dims as two arguments. */
#define DIMS(...)                                                                      \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) \
    {                                                                                  \
        __VA_ARGS__                                                                    \
    }
#define SCALAR   0, NULL
#define F32(...) ((float[]){__VA_ARGS__})
#define I64(...) ((int64_t[]){__VA_ARGS__})

static inline clv_tensor tensor_of(clv_dtype dtype, int rank, const int64_t *dims, void *data)
{
    clv_tensor t = {.dtype = dtype, .rank = rank, .data = data};
    for (int i = 0; i < rank; i++)
        t.dims[i] = dims[i];
    return t;
}

/* A list of int64, as shapes and axes come. */
#define LIST(...) \
    tensor_of(CLV_INT64, 1, (const int64_t[]){sizeof(I64(__VA_ARGS__)) / sizeof(int64_t)}, I64(__VA_ARGS__))

static inline void case_open(op_case *c, const char *type, int64_t opset)
{
    int32_t in[case_inputs], out[case_outputs];
    *c = (op_case){0};
    assert_int_equal(clvi_graph_create(&c->graph, NULL), CLV_OK);
    assert_int_equal(clvi_graph_set_opset(c->graph, "", opset, NULL), CLV_OK);
    for (int i = 0; i < case_inputs; i++)
        assert_int_equal(clvi_graph_add_value(c->graph, "in", &in[i], NULL), CLV_OK);
    for (int i = 0; i < case_outputs; i++)
        assert_int_equal(clvi_graph_add_value(c->graph, "out", &out[i], NULL), CLV_OK);
    c->node = clvi_node_new(c->graph, type, "node", in, case_inputs, out, case_outputs);
    assert_non_null(c->node);
    c->node->n_in = 0;
    c->node->n_out = 1;
    assert_int_equal(clvi_graph_append(c->graph, c->node, NULL), CLV_OK);
}

static inline void case_in(op_case *c, clv_tensor tensor)
{
    c->in[c->n_in] = tensor;
    c->node->n_in = ++c->n_in;
}

static inline void case_skip(op_case *c) /* an optional input that is left out */
{
    c->node->in[c->n_in] = CLVI_NONE;
    c->node->n_in = ++c->n_in;
}

static inline void case_int(op_case *c, const char *name, int64_t value)
{
    assert_int_equal(clvi_node_set_int(c->graph, c->node, name, value, NULL), CLV_OK);
}

static inline void case_ints(op_case *c, const char *name, int count, const int64_t *values)
{
    assert_int_equal(clvi_node_set_ints(c->graph, c->node, name, values, (size_t)count, NULL), CLV_OK);
}

static inline void case_string(op_case *c, const char *name, const char *value)
{
    assert_int_equal(clvi_node_set_string(c->graph, c->node, name, value, NULL), CLV_OK);
}

static inline clv_status case_run(op_case *c, clvi_pool *pool, bool in_place)
{
    assert_int_equal(node_runner_open(&c->runner, c->graph, pool, NULL), CLV_OK);
    c->runner.in_place = in_place;
    for (size_t i = 0; i < c->n_in; i++)
        if (c->node->in[i] != CLVI_NONE)
            c->runner.values[c->node->in[i]] = c->in[i];
    return node_runner_step(&c->runner, c->node, &c->err);
}

static inline const clv_tensor *case_out(const op_case *c, size_t k)
{
    return &c->runner.values[c->node->out[k]];
}

static inline void case_rewind(op_case *c) /* to run it again */
{
    node_runner_close(&c->runner);
}

static inline void case_close(op_case *c)
{
    if (c->runner.values)
        node_runner_close(&c->runner);
    clvi_graph_free(c->graph);
}

/* Run, compare output 0 (shape, and values to 1e-6 relative), close. */
static inline void case_expect(op_case *c, clv_tensor expected)
{
    if (case_run(c, NULL, false) != CLV_OK)
        fail_msg("%s: %s", c->node->op_type, c->err.msg);
    const clv_tensor *y = case_out(c, 0);
    assert_int_equal(y->dtype, expected.dtype);
    assert_int_equal(y->rank, expected.rank);
    for (int i = 0; i < y->rank; i++)
        assert_int_equal(y->dims[i], expected.dims[i]);
    const int64_t n = clv_tensor_count(y);
    if (y->dtype == CLV_FLOAT32) {
        for (int64_t i = 0; i < n; i++) {
            const double a = (double)((const float *)y->data)[i], b = (double)((const float *)expected.data)[i];
            if (!(a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-6 * fabs(b)))
                fail_msg("%s: element %lld is %.9g, expected %.9g", c->node->op_type, (long long)i, a, b);
        }
    } else if (n) {
        assert_memory_equal(y->data, expected.data, (size_t)n * clv_dtype_size(y->dtype));
    }
    case_close(c);
}

/* Run, demand this refusal with a message that names the node, close. */
static inline void case_refused(op_case *c, clv_status status)
{
    const clv_status st = case_run(c, NULL, false);
    if (st != status)
        fail_msg("%s: status %d (%s), expected %d", c->node->op_type, (int)st, c->err.msg, (int)status);
    assert_non_null(strstr(c->err.msg, "node \"node\""));
    case_close(c);
}

#endif
