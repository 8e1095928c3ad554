/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "graph/dead_code.h"
#include "graph/graph.h"

static void dtypes_have_sizes_and_names(void **state)
{
    (void)state;
    const clv_tensor fine = {CLV_FLOAT32, 3, {2, 3, 4}, NULL}, scalar = {CLV_FLOAT32, 0, {0}, NULL};
    const clv_tensor negative = {CLV_FLOAT32, 2, {0, -1}, NULL}, huge = {CLV_FLOAT32, 2, {INT64_MAX, 2}, NULL};
    const clv_tensor none = {CLV_FLOAT32, 3, {INT64_MAX, 2, 0}, NULL};
    assert_int_equal(clv_dtype_size(CLV_COMPLEX128), 16);
    assert_int_equal(clv_dtype_size(CLV_BFLOAT16), 2);
    assert_int_equal(clv_dtype_size(CLV_STRING), 0);
    assert_int_equal(clv_dtype_size((clv_dtype)77), 0);
    assert_string_equal(clv_dtype_name(CLV_INT64), "int64");
    assert_string_equal(clv_dtype_name(CLV_DTYPE_NONE), "unknown");
    assert_int_equal(clv_tensor_count(&fine), 24);
    assert_int_equal(clv_tensor_count(&scalar), 1);
    assert_int_equal(clv_tensor_count(&negative), -1);
    assert_int_equal(clv_tensor_count(&huge), -1);
    assert_int_equal(clv_tensor_count(&none), 0);
}

/* x -> a (Relu) -> b (Add w) -> y (Neg); d = Abs(a) feeds nothing; v is read by d's node alone. */
typedef struct net {
    clvi_graph *graph;
    int32_t x, w, v, a, b, d, y;
} net;

static clv_status add_node(clvi_graph *graph, const char *op, const char *name, const int32_t *in, size_t n_in,
                           int32_t out, clv_error *err)
{
    clvi_node *node = clvi_node_new(graph, op, name, in, n_in, &out, 1);
    if (!node)
        return FAIL(err, CLV_ERR_NOMEM, "node %s", name);
    TRY(clvi_node_set_int(graph, node, "axis", 3, err));
    return clvi_graph_append(graph, node, err);
}

static clv_status fill(net *n, clv_error *err)
{
    static float numbers[4] = {1, 2, 3, 4};
    const clv_tensor type = {CLV_FLOAT32, 2, {-1, 4}, NULL}, weights = {CLV_FLOAT32, 1, {4}, numbers};
    clvi_graph *g = n->graph;
    TRY(clvi_graph_set_opset(g, "", 13, err));
    TRY(clvi_graph_set_metadata(g, "key", "value", err));
    TRY(clvi_graph_add_input(g, "x", &type, &n->x, err));
    TRY(clvi_graph_add_constant(g, "w", &weights, &n->w, err));
    TRY(clvi_graph_add_constant(g, "v", &weights, &n->v, err));
    TRY(clvi_graph_add_value(g, "a", &n->a, err));
    TRY(clvi_graph_add_value(g, "b", &n->b, err));
    TRY(clvi_graph_add_value(g, "d", &n->d, err));
    TRY(clvi_graph_add_value(g, "y", &n->y, err));
    TRY(add_node(g, "Relu", "relu", &n->x, 1, n->a, err));
    TRY(add_node(g, "Add", "add", (int32_t[]){n->a, n->w}, 2, n->b, err));
    TRY(add_node(g, "Mul", "dead", (int32_t[]){n->a, n->v}, 2, n->d, err));
    TRY(add_node(g, "Neg", "neg", &n->b, 1, n->y, err));
    TRY(clvi_graph_add_output(g, n->y, err));
    return clvi_graph_verify(g, err);
}

static net make_net(void)
{
    net n;
    clv_error err = {0};
    assert_int_equal(clvi_graph_create(&n.graph, &err), CLV_OK);
    if (fill(&n, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    return n;
}

static void refuses(const clvi_graph *graph, const char *words)
{
    clv_error err = {0};
    assert_int_equal(clvi_graph_verify(graph, &err), CLV_ERR_FORMAT);
    assert_int_equal(err.code, CLV_ERR_FORMAT);
    if (!strstr(err.msg, words))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    assert_int_equal(clvi_graph_verify(graph, NULL), CLV_ERR_FORMAT);
}

static void names_are_unique(void **state)
{
    (void)state;
    net n = make_net();
    clv_error err = {0};
    int32_t id;
    assert_int_equal(clvi_graph_find_value(n.graph, "b"), n.b);
    assert_int_equal(clvi_graph_find_value(n.graph, "nobody"), CLVI_NONE);
    assert_int_equal(clvi_graph_reserve_name(n.graph, "w_1", &err), CLV_OK);
    assert_int_equal(clvi_graph_find_value(n.graph, "w_1"), CLVI_NONE);
    assert_int_equal(clvi_graph_add_value(n.graph, "w", &id, &err), CLV_OK);
    assert_string_equal(n.graph->values[id].name, "w_2");
    assert_int_equal(clvi_graph_add_value(n.graph, "", &id, &err), CLV_OK);
    assert_string_equal(n.graph->values[id].name, "value");
    n.graph->values[id].name = "w";
    refuses(n.graph, "both called \"w\"");
    clvi_graph_free(n.graph);
}

/* Quadratic look-up would take minutes here. */
static void many_names_are_quick(void **state)
{
    (void)state;
    net n = make_net();
    char name[32];
    int32_t id;
    for (int i = 0; i < 300000; i++) {
        (void)snprintf(name, sizeof name, "value%d", i);
        assert_int_equal(clvi_graph_add_value(n.graph, name, &id, NULL), CLV_OK);
    }
    assert_int_equal(clvi_graph_find_value(n.graph, "value299999"), id);
    clvi_graph_free(n.graph);
}

static void constants_are_checked_and_copied(void **state)
{
    (void)state;
    net n = make_net();
    clv_error err = {0};
    int32_t id;
    int64_t shape[2] = {3, 4};
    clv_tensor tensor = {CLV_INT64, 1, {2}, shape};
    assert_int_equal(clvi_graph_add_constant(n.graph, "shape", &tensor, &id, &err), CLV_OK);
    shape[0] = 0;
    assert_int_equal(((const int64_t *)n.graph->values[id].constant->data)[0], 3);
    tensor.dims[0] = INT64_MAX;
    assert_int_equal(clvi_graph_add_constant(n.graph, "shape", &tensor, &id, &err), CLV_ERR_ARG);
    assert_int_equal(id, CLVI_NONE);
    tensor = (clv_tensor){CLV_STRING, 1, {2}, shape};
    assert_int_equal(clvi_graph_add_constant(n.graph, "shape", &tensor, &id, &err), CLV_ERR_ARG);
    tensor = (clv_tensor){CLV_INT64, 9, {2}, shape};
    assert_int_equal(clvi_graph_add_constant(n.graph, "shape", &tensor, &id, &err), CLV_ERR_ARG);
    tensor = (clv_tensor){CLV_INT64, 1, {2}, NULL};
    assert_int_equal(clvi_graph_add_constant(n.graph, "shape", &tensor, &id, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "shape"));
    clvi_graph_free(n.graph);
}

static void attributes_are_typed(void **state)
{
    (void)state;
    net n = make_net();
    clvi_node *node = n.graph->nodes[0];
    const int64_t pads[] = {1, 2};
    float number = 5;
    const clv_tensor tensor = {CLV_FLOAT32, 0, {0}, &number};
    size_t count;
    assert_int_equal(clvi_node_set_ints(n.graph, node, "pads", pads, 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_float(n.graph, node, "alpha", 0.5F, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_string(n.graph, node, "mode", "edge", NULL), CLV_OK);
    assert_int_equal(clvi_node_set_tensor(n.graph, node, "value", &tensor, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_int(n.graph, node, "axis", -1, NULL), CLV_OK);
    assert_int_equal(node->n_attr, 5);
    assert_int_equal(clvi_node_int(node, "axis", 7), -1);
    assert_int_equal(clvi_node_int(node, "pads", 7), 7); /* there, but of another kind */
    assert_true(clvi_node_float(node, "alpha", 0) == 0.5F);
    assert_string_equal(clvi_node_string(node, "mode", "none"), "edge");
    assert_string_equal(clvi_node_string(node, "modes", "none"), "none");
    assert_int_equal(clvi_node_ints(node, "pads", &count)[1], 2);
    assert_int_equal(count, 2);
    assert_null(clvi_node_ints(node, "axes", &count));
    assert_int_equal(count, 0);
    assert_true(*(const float *)clvi_node_attr(node, "value")->tensor->data == 5);
    assert_true(clvi_node_is(node, "Relu"));
    node->domain = "org.example";
    assert_false(clvi_node_is(node, "Relu"));
    node->name = "";
    assert_string_equal(clvi_node_label(n.graph, node), "a");
    clvi_graph_free(n.graph);
}

static void uses_name_producers_and_readers(void **state)
{
    (void)state;
    net n = make_net();
    clvi_uses uses;
    n.graph->nodes[3]->capture = &n.a;
    n.graph->nodes[3]->n_capture = 1;
    assert_int_equal(clvi_uses_create(&uses, n.graph, NULL), CLV_OK);
    assert_int_equal(uses.producer[n.x], CLVI_NONE);
    assert_int_equal(uses.producer[n.y], 3);
    assert_int_equal(uses.first[n.a + 1] - uses.first[n.a], 3);
    assert_int_equal(uses.consumer[uses.first[n.a]], 1);
    assert_int_equal(uses.consumer[uses.first[n.a] + 1], 2);
    assert_int_equal(uses.consumer[uses.first[n.a] + 2], 3);
    assert_int_equal(uses.first[n.y + 1], uses.first[n.y]);
    clvi_uses_free(&uses);
    clvi_graph_free(n.graph);
}

static void nodes_are_replaced(void **state)
{
    (void)state;
    net n = make_net();
    clv_error err = {0};
    int32_t mid;
    assert_int_equal(clvi_graph_add_value(n.graph, "mid", &mid, NULL), CLV_OK);
    clvi_node *two[40];
    two[0] = clvi_node_new(n.graph, "Abs", "first", &n.a, 1, &mid, 1);
    two[1] = clvi_node_new(n.graph, "Add", "second", (int32_t[]){mid, n.w}, 2, &n.b, 1);
    assert_int_equal(clvi_graph_replace(n.graph, 1, two, 2, &err), CLV_OK);
    assert_int_equal(n.graph->n_nodes, 5);
    assert_string_equal(n.graph->nodes[2]->name, "second");
    assert_string_equal(n.graph->nodes[4]->name, "neg");
    assert_int_equal(clvi_graph_verify(n.graph, &err), CLV_OK);
    assert_int_equal(clvi_graph_replace(n.graph, 3, NULL, 0, &err), CLV_OK); /* the dead one */
    assert_int_equal(clvi_graph_verify(n.graph, &err), CLV_OK);
    assert_int_equal(clvi_graph_replace(n.graph, 0, NULL, 0, &err), CLV_OK);
    refuses(n.graph, "reads \"a\"");
    assert_int_equal(clvi_graph_replace(n.graph, 3, NULL, 0, &err), CLV_ERR_ARG);
    for (int i = 0; i < 40; i++) { /* more than there is room for */
        assert_int_equal(clvi_graph_add_value(n.graph, "v", &mid, NULL), CLV_OK);
        two[i] = clvi_node_new(n.graph, "Abs", "many", &n.x, 1, i ? &mid : &n.a, 1);
    }
    assert_int_equal(clvi_graph_replace(n.graph, 0, two, 40, &err), CLV_OK);
    assert_int_equal(n.graph->n_nodes, 42);
    two[0] = clvi_node_new(n.graph, "Abs", "wild", (int32_t[]){9999}, 1, &mid, 1);
    assert_int_equal(clvi_graph_replace(n.graph, 0, two, 1, &err), CLV_ERR_ARG);
    assert_int_equal(clvi_graph_append(n.graph, two[0], &err), CLV_ERR_ARG);
    clvi_graph_free(n.graph);
}

static void redirect_keeps_the_interface(void **state)
{
    (void)state;
    net n = make_net();
    n.graph->nodes[3]->capture = clvi_arena_alloc(n.graph->arena, sizeof n.b);
    n.graph->nodes[3]->capture[0] = n.b;
    n.graph->nodes[3]->n_capture = 1;
    assert_true(clvi_graph_redirect(n.graph, n.b, n.a)); /* Neg reads Relu */
    assert_int_equal(n.graph->nodes[3]->in[0], n.a);
    assert_int_equal(n.graph->nodes[3]->capture[0], n.a);
    n.graph->values[n.y].dtype = CLV_FLOAT32;
    assert_true(clvi_graph_redirect(n.graph, n.y, n.b)); /* the output is Add's */
    assert_int_equal(n.graph->outputs[0], n.b);
    assert_string_equal(n.graph->values[n.b].name, "y");
    assert_string_equal(n.graph->values[n.y].name, "b");
    assert_int_equal(n.graph->values[n.b].dtype, CLV_FLOAT32);
    assert_true(n.graph->values[n.b].is_output && !n.graph->values[n.y].is_output);
    assert_int_equal(clvi_graph_find_value(n.graph, "y"), n.b);
    assert_int_equal(clvi_graph_find_value(n.graph, "b"), n.y);
    assert_int_equal(clvi_graph_verify(n.graph, NULL), CLV_OK);

    assert_false(clvi_graph_redirect(n.graph, n.b, n.x)); /* input and output both have names to keep */
    assert_int_equal(n.graph->outputs[0], n.b);
    assert_string_equal(n.graph->values[n.x].name, "x");
    assert_int_equal(clvi_graph_verify(n.graph, NULL), CLV_OK);
    assert_false(clvi_graph_redirect(n.graph, n.b, n.b));
    clvi_graph_free(n.graph);
}

static void verify_names_what_is_wrong(void **state)
{
    (void)state;
    net n = make_net();
    clvi_graph *g = n.graph;
    g->nodes[1]->in[1] = 1000;
    refuses(g, "node \"add\": input 1 is value 1000");
    g->nodes[1]->in[1] = n.w;
    g->nodes[1]->out[0] = n.a;
    refuses(g, "node \"add\" (Add) makes \"a\"");
    g->nodes[1]->out[0] = n.w;
    refuses(g, "makes \"w\"");
    g->nodes[1]->out[0] = n.x;
    refuses(g, "makes \"x\"");
    g->nodes[1]->out[0] = n.b;
    clvi_node *first = g->nodes[0];
    g->nodes[0] = g->nodes[1];
    g->nodes[1] = first;
    refuses(g, "node \"add\" (Add) reads \"a\"");
    g->nodes[1] = g->nodes[0];
    g->nodes[0] = first;
    g->n_nodes--;
    refuses(g, "output \"y\" is made by no node");
    g->n_nodes++;
    g->values[n.b].is_input = true;
    refuses(g, "\"b\" is marked as a graph input");
    g->values[n.b].is_input = false;
    g->values[n.y].is_output = false;
    refuses(g, "graph output 0");
    g->values[n.y].is_output = true;
    g->inputs[0] = -1;
    refuses(g, "graph input 0");
    g->inputs[0] = n.x;
    clv_tensor bad = *g->values[n.w].constant;
    bad.dims[0] = -4;
    g->values[n.w].constant = &bad;
    refuses(g, "\"w\"");
    bad.dims[0] = 4;
    assert_int_equal(clvi_graph_verify(g, NULL), CLV_OK);
    g->nodes[2]->attr[0].kind = CLVI_ATTR_TENSOR;
    refuses(g, "node \"dead\": attribute \"axis\"");
    clvi_graph_free(g);
}

static void a_clone_shares_nothing(void **state)
{
    (void)state;
    net n = make_net();
    clvi_graph *copy;
    int32_t id;
    n.graph->values[n.x].dim_names[0] = "batch";
    assert_int_equal(clvi_graph_reserve_name(n.graph, "inner", NULL), CLV_OK);
    assert_int_equal(clvi_graph_clone(&copy, n.graph, NULL), CLV_OK);
    memset((void *)n.graph->values[n.w].constant->data, 0, 16);
    clvi_graph_free(n.graph);
    assert_int_equal(clvi_graph_verify(copy, NULL), CLV_OK);
    assert_string_equal(copy->values[n.x].dim_names[0], "batch");
    assert_true(((const float *)copy->values[n.w].constant->data)[3] == 4);
    assert_int_equal(clvi_graph_find_value(copy, "d"), n.d);
    assert_string_equal(clvi_graph_metadata(copy, "key"), "value");
    assert_int_equal(clvi_graph_opset(copy, "ai.onnx"), 13);
    assert_int_equal(clvi_node_int(copy->nodes[2], "axis", 0), 3);
    assert_int_equal(clvi_graph_add_value(copy, "inner", &id, NULL), CLV_OK);
    assert_string_equal(copy->values[id].name, "inner_1");
    clvi_graph_free(copy);
}

static void dead_code_goes_and_kept_constants_stay(void **state)
{
    (void)state;
    net n = make_net();
    float number = 1;
    const clv_tensor scalar = {CLV_FLOAT32, 0, {0}, &number};
    int32_t spare, captured;
    size_t removed;
    assert_int_equal(clvi_graph_add_constant(n.graph, "spare", &scalar, &spare, NULL), CLV_OK);
    assert_int_equal(clvi_graph_add_constant(n.graph, "captured", &scalar, &captured, NULL), CLV_OK);
    n.graph->values[spare].keep = true;
    n.graph->nodes[3]->capture = &captured;
    n.graph->nodes[3]->n_capture = 1;
    assert_int_equal(clvi_pass_dead_code(n.graph, &removed, NULL), CLV_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(n.graph->n_nodes, 3);
    assert_string_equal(n.graph->nodes[1]->name, "add");
    assert_string_equal(n.graph->nodes[2]->name, "neg");
    assert_null(n.graph->values[n.v].constant);
    assert_non_null(n.graph->values[n.w].constant);
    assert_non_null(n.graph->values[spare].constant);
    assert_non_null(n.graph->values[captured].constant);
    assert_int_equal(clvi_graph_verify(n.graph, NULL), CLV_OK);
    assert_int_equal(clvi_pass_dead_code(n.graph, &removed, NULL), CLV_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(n.graph->n_nodes, 3);
    clvi_graph_free(n.graph);
}

static void metadata_and_opsets_are_set(void **state)
{
    (void)state;
    net n = make_net();
    assert_null(clvi_graph_metadata(n.graph, "other"));
    assert_int_equal(clvi_graph_set_metadata(n.graph, "other", "1", NULL), CLV_OK);
    assert_int_equal(clvi_graph_set_metadata(n.graph, "key", "2", NULL), CLV_OK);
    assert_string_equal(clvi_graph_metadata(n.graph, "key"), "2");
    assert_int_equal(n.graph->n_metadata, 2);
    assert_int_equal(clvi_graph_opset(n.graph, ""), 13);
    assert_int_equal(clvi_graph_opset(n.graph, "org.example"), 0);
    assert_int_equal(clvi_graph_set_opset(n.graph, "org.example", 2, NULL), CLV_OK);
    assert_int_equal(clvi_graph_set_opset(n.graph, "ai.onnx", 14, NULL), CLV_OK);
    assert_int_equal(clvi_graph_opset(n.graph, ""), 14);
    assert_int_equal(n.graph->n_opsets, 2);
    clvi_graph_free(n.graph);
}

static clv_status work_hard(clv_error *err)
{
    net n;
    clvi_graph *copy = NULL;
    TRY(clvi_graph_create(&n.graph, err));
    clv_status st = fill(&n, err);
    if (st == CLV_OK)
        st = clvi_graph_clone(&copy, n.graph, err);
    if (st == CLV_OK)
        st = clvi_pass_dead_code(copy, NULL, err);
    clvi_graph_free(copy);
    clvi_graph_free(n.graph);
    return st;
}

static void short_memory_is_a_status(void **state)
{
    (void)state;
    const long live = clvi_mem_live();
    clv_status st = CLV_ERR_NOMEM;
    long permits = 0;
    for (; st != CLV_OK && permits < 1000; permits++) {
        clv_error err = {0};
        clvi_mem_fail_after(permits);
        st = work_hard(&err);
        clvi_mem_fail_after(-1);
        assert_int_equal(clvi_mem_live(), live);
        if (st != CLV_OK)
            assert_int_equal(st, CLV_ERR_NOMEM);
    }
    assert_int_equal(st, CLV_OK);
    assert_true(permits > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_have_sizes_and_names),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(many_names_are_quick),
        cmocka_unit_test(constants_are_checked_and_copied),
        cmocka_unit_test(attributes_are_typed),
        cmocka_unit_test(uses_name_producers_and_readers),
        cmocka_unit_test(nodes_are_replaced),
        cmocka_unit_test(redirect_keeps_the_interface),
        cmocka_unit_test(verify_names_what_is_wrong),
        cmocka_unit_test(a_clone_shares_nothing),
        cmocka_unit_test(dead_code_goes_and_kept_constants_stay),
        cmocka_unit_test(metadata_and_opsets_are_set),
        cmocka_unit_test(short_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
