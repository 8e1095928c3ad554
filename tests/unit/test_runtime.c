/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and shapes on small networks built in code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "base/context.h"
#include "base/half.h"
#include "ops/op.h"
#include "runtime/count.h"
#include "runtime_graphs.h"

/* --- unplanned execution, the judge ---------------------------------------------------------------------------- */

/* Every node by itself, every value in memory of its own, nothing folded. Gives tensors[n_values] with data. */
static clv_tensor *run_unplanned(const clvi_graph *graph, const clv_tensor *inputs)
{
    const clvi_kernels kernels = clvi_kernels_for(clvi_cpu_detect());
    clv_tensor *const t = clvi_calloc(graph->n_values, sizeof *t);
    for (size_t v = 0; v < graph->n_values; v++)
        if (graph->values[v].constant)
            t[v] = *graph->values[v].constant;
    for (size_t i = 0; i < graph->n_inputs; i++)
        t[graph->inputs[i]] = inputs[i];
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *const node = graph->nodes[i];
        const clv_tensor *in[8];
        clv_tensor *out = &t[node->out[0]];
        clvi_op_call call = {.graph = graph,
                             .node = node,
                             .opset = clvi_graph_opset(graph, ""),
                             .n_in = node->n_in,
                             .n_out = 1,
                             .in = in,
                             .out = &out,
                             .kernels = &kernels};
        for (size_t j = 0; j < node->n_in; j++)
            in[j] = &t[node->in[j]];
        const clvi_op *const op = clvi_op_find(graph, node);
        assert_non_null(op);
        assert_int_equal(op->infer(&call, NULL), CLV_OK);
        out->data = clvi_calloc((size_t)clv_tensor_count(out), 8);
        if (op->prepare)
            assert_int_equal(op->prepare(&call, NULL), CLV_OK);
        call.work = clvi_alloc(op->work ? op->work(&call) : 0);
        assert_int_equal(op->run(&call, NULL), CLV_OK);
        if (op->release)
            op->release(call.state);
        clvi_free(call.work);
    }
    return t;
}

static void free_unplanned(const clvi_graph *graph, clv_tensor *t)
{
    for (size_t i = 0; i < graph->n_nodes; i++)
        clvi_free(t[graph->nodes[i]->out[0]].data);
    clvi_free(t);
}

/* A random network over tensors of one shape, with constants that the other operand may be. */
static clvi_graph *random_graph(clvi_rng *rng, size_t n_nodes)
{
    static const char *const unary[] = {"Relu", "Neg", "Sigmoid", "Abs", "Identity", "Tanh"};
    static const char *const binary[] = {"Add", "Sub", "Mul"};
    clvi_graph *const graph = new_graph(13);
    int32_t made[64];
    size_t n = 0;
    made[n++] = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 3, 4, 5));
    made[n++] = add_random(graph, "c", 4, DIMS(1, 3, 1, 5), 3, 1.0F, 0.0F);
    made[n++] = NODE(graph, "Relu", IDS(made[0]), "first"); /* so that later picks are mostly activations */
    for (size_t i = 0; i < n_nodes; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "v%zu", i);
        const int32_t a = made[clvi_rng_below(rng, n)], b = made[clvi_rng_below(rng, n)];
        made[n++] = clvi_rng_below(rng, 2) ? NODE(graph, unary[clvi_rng_below(rng, COUNT(unary))], IDS(a), name)
                                           : NODE(graph, binary[clvi_rng_below(rng, COUNT(binary))], IDS(a, b), name);
    }
    add_output(graph, made[n - 1]);
    return graph;
}

static void fill(float *x, size_t n, uint64_t seed)
{
    clvi_rng rng;
    clvi_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)clvi_rng_normal(&rng);
}

static void check_same(const clv_tensor *got, const clv_tensor *want)
{
    assert_int_equal(got->rank, want->rank);
    assert_memory_equal(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims);
    assert_memory_equal(got->data, want->data, (size_t)clv_tensor_count(got) * sizeof(float));
}

static void planned_equals_unplanned(void **state)
{
    (void)state;
    clvi_rng rng;
    clvi_rng_seed(&rng, 7);
    for (int round = 0; round < 200; round++) {
        clvi_graph *const graph = random_graph(&rng, 1 + (size_t)clvi_rng_below(&rng, 40));
        float x[2 * 60];
        int32_t fetch[3] = {graph->outputs[0]};
        for (size_t i = 1; i < 3; i++)
            fetch[i] = (int32_t)clvi_rng_below(&rng, graph->n_values);
        clvi_session *session = NULL;
        const clvi_session_opts opts = {.fetch = fetch, .n_fetch = 3};
        assert_int_equal(clvi_session_create(&session, graph, &opts, NULL, NULL), CLV_OK);
        for (int64_t batch = 2; batch > 0; batch--) {
            clv_tensor out[3];
            const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(batch, 3, 4, 5), x);
            fill(x, COUNT(x), (uint64_t)round);
            clv_tensor *const want = run_unplanned(graph, &in);
            assert_int_equal(clvi_session_run(session, &in, 1, out, NULL), CLV_OK);
            for (size_t i = 0; i < 3; i++)
                check_same(&out[i], &want[fetch[i]]);
            free_unplanned(graph, want);
        }
        clvi_session_free(session);
        clvi_graph_free(graph);
    }
}

/* --- the contract of a session --------------------------------------------------------------------------------- */

/* x [n, 3, 4, 5] -> relu -> neg -> y, with a stray branch that cannot be run */
static clvi_graph *chain(int32_t *stray)
{
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 3, 4, 5));
    const int32_t r = NODE(graph, "Relu", IDS(x), "relu");
    const int32_t s = NODE(graph, "NoSuchOperator", IDS(r), "stray");
    add_output(graph, NODE(graph, "Neg", IDS(r), "y"));
    if (stray)
        *stray = s;
    return graph;
}

static void running_does_not_allocate(void **state)
{
    (void)state;
    clvi_graph *const graph = chain(NULL);
    clvi_session *session = NULL;
    float x[4 * 60];
    clv_tensor out;
    fill(x, COUNT(x), 1);
    assert_int_equal(clvi_session_create(&session, graph, NULL, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_session_peak_bytes(session), 0);
    for (int64_t batch = 1; batch <= 4; batch++) { /* as many shapes as are kept */
        const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(batch, 3, 4, 5), x);
        assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
        /* relu and neg work in place: one buffer */
        assert_int_equal(clvi_session_peak_bytes(session), (size_t)(batch * 60 * 4 + 63) / 64 * 64);
    }
    const long calls = clvi_mem_calls();
    for (int round = 0; round < 3; round++)
        for (int64_t batch = 1; batch <= 4; batch++) {
            const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(batch, 3, 4, 5), x);
            assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
            for (size_t i = 0; i < (size_t)batch * 60; i++)
                assert_true(((float *)out.data)[i] == -(x[i] > 0 ? x[i] : 0));
        }
    assert_int_equal(clvi_mem_calls(), calls);
    clvi_session_free(session);
    clvi_graph_free(graph);
}

static void least_recent_plan_makes_room(void **state)
{
    (void)state;
    clvi_graph *const graph = chain(NULL);
    clvi_session *session = NULL;
    float x[6 * 60];
    clv_tensor out;
    fill(x, COUNT(x), 1);
    assert_int_equal(clvi_session_create(&session, graph, NULL, NULL, NULL), CLV_OK);
    static const struct {
        int64_t batch;
        bool planned;
    } runs[] = {{1, false}, {2, false}, {3, false}, {4, false}, {1, true},
                {5, false}, {1, true},  {2, false}, {5, true}};
    for (size_t i = 0; i < COUNT(runs); i++) {
        const long calls = clvi_mem_calls();
        const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(runs[i].batch, 3, 4, 5), x);
        assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
        assert_int_equal(clvi_mem_calls() == calls, runs[i].planned);
    }
    clvi_session_free(session);
    clvi_graph_free(graph);
}

static void unsupported_operator_is_named_where_needed(void **state)
{
    (void)state;
    int32_t stray;
    clv_error err = {0};
    clvi_session *session = NULL;
    clvi_graph *const graph = chain(&stray);
    const clvi_session_opts opts = {.fetch = &stray, .n_fetch = 1};
    assert_int_equal(clvi_session_create(&session, graph, &opts, NULL, &err), CLV_ERR_UNSUP);
    assert_null(session);
    assert_non_null(strstr(err.msg, "NoSuchOperator"));
    assert_non_null(strstr(err.msg, "stray"));
    const clvi_session_opts beyond = {.fetch = IDS(1000), .n_fetch = 1};
    assert_int_equal(clvi_session_create(&session, graph, &beyond, NULL, &err), CLV_ERR_ARG);
    clvi_graph_free(graph);
}

static void wrong_inputs_are_refused_with_both_shapes(void **state)
{
    (void)state;
    clv_error err = {0};
    clvi_session *session = NULL;
    clvi_graph *const graph = chain(NULL);
    float x[60] = {0};
    clv_tensor out, in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 3, 4, 6), x);
    assert_int_equal(clvi_session_create(&session, graph, NULL, NULL, &err), CLV_OK);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "\"x\": shape [1,3,4,6] given, the model wants [?,3,4,5]"));
    assert_int_equal(clvi_session_run(session, &in, 2, &out, &err), CLV_ERR_ARG);
    in = tensor_of(CLV_INT64, 4, DIMS(1, 3, 4, 5), x);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "int64"));
    in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 3, 4, 5), NULL);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, &err), CLV_ERR_ARG);
    in = tensor_of(CLV_FLOAT32, 4, DIMS(INT64_MAX, 3, 4, 5), x);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, &err), CLV_ERR_ARG);
    in = tensor_of(CLV_FLOAT32, 4, DIMS(-7, 3, 4, 5), x);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, &err), CLV_ERR_ARG);
    in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 3, 4, 5), (char *)x + 1);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, &err), CLV_ERR_ARG);
    in.data = x;
    assert_int_equal(clvi_session_run(session, &in, 1, &out, &err), CLV_OK);
    clvi_session_free(session);
    clvi_graph_free(graph);
}

static void inputs_and_constants_can_be_fetched(void **state)
{
    (void)state;
    clvi_session *session = NULL;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 1, DIMS(4));
    const int32_t unused = add_input(graph, "unused", CLV_FLOAT32, 1, DIMS(-1));
    const int32_t c = add_random(graph, "c", 1, DIMS(3), 5, 1.0F, 0.0F);
    const int32_t d = NODE(graph, "Neg", IDS(c), "d"); /* a constant by folding */
    add_output(graph, NODE(graph, "Relu", IDS(x), "y"));
    (void)unused;
    float data[4] = {1, -2, 3, -4};
    clv_tensor out[4];
    const clv_tensor in[2] = {tensor_of(CLV_FLOAT32, 1, DIMS(4), data), {.rank = -1}};
    const clvi_session_opts opts = {.fetch = IDS(x, c, d, x), .n_fetch = 4};
    assert_int_equal(clvi_session_create(&session, graph, &opts, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_session_run(session, in, 2, out, NULL), CLV_OK);
    memset(data, 0, sizeof data); /* the fetch is not the caller's array */
    const float want[4] = {1, -2, 3, -4};
    assert_memory_equal(out[0].data, want, sizeof want);
    assert_memory_equal(out[3].data, want, sizeof want);
    assert_memory_equal(out[1].data, graph->values[c].constant->data, 3 * sizeof(float));
    for (size_t i = 0; i < 3; i++)
        assert_true(((float *)out[2].data)[i] == -((float *)out[1].data)[i]);
    clvi_session_free(session);
    clvi_graph_free(graph);
}

/* float16 in, bfloat16 weights, float64 out: computed in float32, returned as declared. */
static void floating_types_are_converted_at_the_doors(void **state)
{
    (void)state;
    clvi_session *session = NULL;
    clvi_graph *const graph = new_graph(13);
    uint16_t half[3], w[3];
    for (int i = 0; i < 3; i++) {
        half[i] = clvi_float_to_half(0.5F + (float)i);
        w[i] = clvi_float_to_bfloat(2.0F * (float)i - 1.0F);
    }
    const int32_t x = add_input(graph, "x", CLV_FLOAT16, 1, DIMS(3));
    const int32_t c = add_constant(graph, "c", tensor_of(CLV_BFLOAT16, 1, DIMS(3), w));
    const int32_t y = NODE(graph, "Mul", IDS(x, c), "y");
    graph->values[y].dtype = CLV_FLOAT64;
    add_output(graph, y);
    clv_tensor out;
    const clv_tensor in = tensor_of(CLV_FLOAT16, 1, DIMS(3), half);
    assert_int_equal(clvi_session_create(&session, graph, NULL, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
    assert_int_equal(out.dtype, CLV_FLOAT64);
    for (int i = 0; i < 3; i++)
        assert_true(((double *)out.data)[i] == (0.5 + i) * (2.0 * i - 1.0));
    clvi_session_free(session);
    clvi_graph_free(graph);
}

static void cancelling_stops_between_nodes(void **state)
{
    (void)state;
    volatile sig_atomic_t cancel = 1;
    clvi_session *session = NULL;
    clv_context *context = NULL;
    clv_context_opts opts = clv_context_opts_default();
    opts.threads = 1;
    opts.cancel = &cancel;
    clvi_graph *const graph = chain(NULL);
    float x[60] = {0};
    clv_tensor out;
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 3, 4, 5), x);
    assert_int_equal(clv_context_create(&context, &opts, NULL), CLV_OK);
    assert_int_equal(clvi_session_create(&session, graph, NULL, context, NULL), CLV_OK);
    assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_ERR_INTERRUPTED);
    cancel = 0;
    assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
    cancel = 1;
    assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_ERR_INTERRUPTED);
    clvi_session_free(session);
    clv_context_free(context);
    clvi_graph_free(graph);
}

static void profile_keeps_time_of_what_ran(void **state)
{
    (void)state;
    clvi_session *session = NULL;
    clvi_graph *const graph = chain(NULL);
    float x[60] = {0};
    clv_tensor out;
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 3, 4, 5), x);
    const clvi_session_opts opts = {.profile = true};
    assert_int_equal(clvi_session_create(&session, graph, &opts, NULL, NULL), CLV_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(clvi_session_run(session, &in, 1, &out, NULL), CLV_OK);
    assert_true(clvi_session_node_seconds(session, 0) > 0);
    assert_true(clvi_session_node_seconds(session, 1) == 0); /* stray */
    assert_true(clvi_session_node_seconds(session, 2) > 0);
    assert_true(clvi_session_node_seconds(session, 99) == 0);
    clvi_session_free(session);
    clvi_graph_free(graph);
}

/* Create and run with 0, 1, 2, ... allocations permitted until it succeeds. */
static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    clvi_rng rng;
    clvi_rng_seed(&rng, 11);
    clvi_graph *const graph = random_graph(&rng, 20);
    float x[60];
    fill(x, COUNT(x), 2);
    clv_tensor out;
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(1, 3, 4, 5), x);
    const long live = clvi_mem_live();
    clv_status st = CLV_ERR_NOMEM;
    long permitted = 0;
    for (; st != CLV_OK && permitted < 1000; permitted++) {
        clvi_session *session = NULL;
        clvi_mem_fail_after(permitted);
        st = clvi_session_create(&session, graph, NULL, NULL, NULL);
        if (st == CLV_OK)
            st = clvi_session_run(session, &in, 1, &out, NULL);
        clvi_mem_fail_after(-1);
        clvi_session_free(session);
        assert_true(st == CLV_OK || st == CLV_ERR_NOMEM);
        assert_int_equal(clvi_mem_live(), live);
    }
    assert_int_equal(st, CLV_OK);
    assert_true(permitted > 5);
    clvi_graph_free(graph);
}

/* --- shapes ---------------------------------------------------------------------------------------------------- */

/* Reshape(x, Concat(Gather(Shape(x), 0), [-1])): known once x's shape is */
static void shape_arithmetic_folds(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 3, 4, 5));
    const int32_t shape = NODE(graph, "Shape", IDS(x), "shape");
    const int32_t first = NODE(graph, "Gather", IDS(shape, add_ints(graph, "zero", 1, DIMS(0))), "first");
    const int32_t target = NODE(graph, "Concat", IDS(first, add_ints(graph, "rest", 1, DIMS(-1))), "target");
    assert_int_equal(clvi_node_set_int(graph, last_node(graph), "axis", 0, NULL), CLV_OK);
    const int32_t y = NODE(graph, "Reshape", IDS(x, target), "y");
    const int32_t odd = NODE(graph, "NoSuchOperator", IDS(y), "odd");
    const int32_t behind = NODE(graph, "Relu", IDS(odd), "behind");
    add_output(graph, y);
    clv_tensor in;
    clvi_shapes shapes;
    clvi_default_inputs(graph, 7, 99, &in);
    assert_int_equal(in.dims[0], 7);
    assert_int_equal(in.dims[3], 5);
    assert_int_equal(clvi_shapes_infer(&shapes, graph, &in, 1, NULL), CLV_OK);
    assert_int_equal(shapes.values[y].rank, 2);
    assert_int_equal(shapes.values[y].dims[0], 7);
    assert_int_equal(shapes.values[y].dims[1], 60);
    assert_null(shapes.values[y].data);
    assert_int_equal(((int64_t *)shapes.values[target].data)[0], 7);
    assert_int_equal(shapes.values[odd].rank, -1);
    assert_int_equal(shapes.values[behind].rank, -1);
    clvi_shapes_free(&shapes);
    /* the declared shape serves where it is whole */
    graph->values[odd].dtype = CLV_FLOAT16;
    graph->values[odd].rank = 1;
    graph->values[odd].dims[0] = 9;
    assert_int_equal(clvi_shapes_infer(&shapes, graph, &in, 1, NULL), CLV_OK);
    assert_int_equal(shapes.values[behind].rank, 1);
    assert_int_equal(shapes.values[behind].dims[0], 9);
    assert_int_equal(shapes.values[behind].dtype, CLV_FLOAT32);
    clvi_shapes_free(&shapes);
    assert_int_equal(clvi_shapes_infer(&shapes, graph, &in, 0, NULL), CLV_ERR_ARG);
    in.dims[0] = INT64_MAX;
    assert_int_equal(clvi_shapes_infer(&shapes, graph, &in, 1, NULL), CLV_ERR_ARG);
    clvi_graph_free(graph);
}

/* A file of a hundred bytes that asks for 16 TB of zeros gets a shape and no data. */
static void huge_constants_are_not_folded(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t size = add_ints(graph, "size", 2, DIMS(1 << 21, 1 << 21));
    const int32_t y = NODE(graph, "ConstantOfShape", IDS(size), "y");
    add_output(graph, y);
    clvi_shapes shapes;
    const long live = clvi_mem_live();
    assert_int_equal(clvi_shapes_infer(&shapes, graph, NULL, 0, NULL), CLV_OK);
    assert_int_equal(shapes.values[y].dims[1], 1 << 21);
    assert_null(shapes.values[y].data);
    clvi_shapes_free(&shapes);
    clvi_session *session = NULL;
    clv_tensor out;
    clv_error err = {0};
    assert_int_equal(clvi_session_create(&session, graph, NULL, NULL, &err), CLV_OK);
    assert_int_equal(clvi_session_run(session, NULL, 0, &out, &err), CLV_ERR_NOMEM);
    assert_non_null(strstr(err.msg, "activations"));
    clvi_session_free(session);
    assert_int_equal(clvi_mem_live(), live);
    clvi_graph_free(graph);
}

static void malformed_node_is_named(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 2, DIMS(2, 3));
    add_output(graph, NODE(graph, "Add", IDS(x, add_random(graph, "c", 1, DIMS(4), 1, 1.0F, 0.0F)), "bad_sum"));
    clv_tensor in;
    clvi_shapes shapes;
    clv_error err = {0};
    clvi_default_inputs(graph, 1, 1, &in);
    assert_int_equal(clvi_shapes_infer(&shapes, graph, &in, 1, &err), CLV_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "bad_sum"));
    assert_null(shapes.arena);
    clvi_graph_free(graph);
}

static void counting_knows_macs_and_parameters(void **state)
{
    (void)state;
    clvi_graph *const graph = new_graph(13);
    const int32_t x = add_input(graph, "x", CLV_FLOAT32, 4, DIMS(-1, 3, -1, -1));
    const int32_t w = add_random(graph, "w", 4, DIMS(8, 3, 3, 3), 1, 1.0F, 0.0F);
    const int32_t b = add_random(graph, "b", 1, DIMS(8), 1, 1.0F, 0.0F);
    (void)add_random(graph, "unread", 1, DIMS(1000), 1, 1.0F, 0.0F);
    const int32_t y = NODE(graph, "Conv", IDS(x, w, b), "conv");
    add_output(graph, NODE(graph, "Conv", IDS(y, add_random(graph, "p", 4, DIMS(4, 8, 1, 1), 1, 1.0F, 0.0F)), "y"));
    const clv_tensor in = tensor_of(CLV_FLOAT32, 4, DIMS(2, 3, 12, 10), NULL);
    clvi_count count;
    assert_int_equal(clvi_count_graph(&count, graph, &in, 1, NULL), CLV_OK);
    assert_int_equal(count.macs, 2 * (10 * 8) * (8 * 3 * 9 + 4 * 8));
    assert_int_equal(count.parameters, 8 * 27 + 8 + 32);
    assert_int_equal(count.bytes, 4 * (8 * 27 + 8 + 32));
    assert_int_equal(clvi_count_graph(&count, graph, NULL, 0, NULL), CLV_OK);
    assert_int_equal(count.macs, 222 * 222 * (8 * 3 * 9 + 4 * 8));
    clvi_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planned_equals_unplanned),
        cmocka_unit_test(running_does_not_allocate),
        cmocka_unit_test(least_recent_plan_makes_room),
        cmocka_unit_test(unsupported_operator_is_named_where_needed),
        cmocka_unit_test(wrong_inputs_are_refused_with_both_shapes),
        cmocka_unit_test(inputs_and_constants_can_be_fetched),
        cmocka_unit_test(floating_types_are_converted_at_the_doors),
        cmocka_unit_test(cancelling_stops_between_nodes),
        cmocka_unit_test(profile_keeps_time_of_what_ran),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(shape_arithmetic_folds),
        cmocka_unit_test(huge_constants_are_not_folded),
        cmocka_unit_test(malformed_node_is_named),
        cmocka_unit_test(counting_knows_macs_and_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
