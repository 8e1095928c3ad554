/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onnx/onnx.h"
#include "unit/onnx_wire.h"

/* Read and free the bytes; the graph must come out. */
static clvi_graph *reads(clvi_str *model)
{
    clvi_graph *graph = NULL;
    clv_error err = {0};
    assert_false(model->failed);
    const clv_status st = clvi_onnx_read_bytes(&graph, model->text, model->size, NULL, &err);
    clvi_str_free(model);
    if (st != CLV_OK)
        fail_msg("%s", err.msg);
    return graph;
}

/* Read and free the bytes; it must fail with this status and these words. */
static void refuses(clvi_str *model, clv_status want, const char *words)
{
    clvi_graph *graph = NULL;
    clv_error err = {0};
    const long live = clvi_mem_live();
    const clv_status st = clvi_onnx_read_bytes(&graph, model->text ? model->text : "", model->size, NULL, &err);
    assert_int_equal(clvi_mem_live(), live);
    clvi_str_free(model);
    assert_null(graph);
    if (st != want || !strstr(err.msg, words))
        fail_msg("status %d \"%s\", %d \"%s\" was expected", (int)st, err.msg, (int)want, words);
}

static clvi_value *value_of(const clvi_graph *graph, const char *name)
{
    const int32_t id = clvi_graph_find_value(graph, name);
    if (id == CLVI_NONE)
        fail_msg("no value \"%s\"", name);
    return &graph->values[id];
}

static void a_plain_model_comes_out_whole(void **state)
{
    (void)state;
    clvi_str model = wire_small_model();
    clvi_graph *g = reads(&model);
    size_t n;
    assert_string_equal(g->name, "small");
    assert_int_equal(g->ir_version, 7);
    assert_int_equal(clvi_graph_opset(g, ""), 13);
    assert_string_equal(clvi_graph_metadata(g, "key"), "value");
    assert_int_equal(g->n_nodes, 3);
    assert_int_equal(g->n_inputs, 1);
    assert_int_equal(g->n_outputs, 1);
    const clvi_value *x = &g->values[g->inputs[0]], *y = &g->values[g->outputs[0]], *w = value_of(g, "w");
    assert_string_equal(x->name, "x");
    assert_true(x->is_input && y->is_output && !w->is_input);
    assert_int_equal(x->rank, 4);
    assert_int_equal(x->dims[0], -1);
    assert_string_equal(x->dim_names[0], "n");
    assert_int_equal(x->dims[1], 3);
    assert_null(x->dim_names[1]);
    assert_int_equal(w->constant->rank, 4);
    assert_true(((const float *)w->constant->data)[2] == 3);
    assert_int_equal(clvi_node_ints(g->nodes[0], "pads", &n)[3], 1);
    assert_int_equal(n, 4);
    assert_true(clvi_node_float(g->nodes[1], "epsilon", 0) == 1e-5F);
    assert_int_equal(g->nodes[1]->n_in, 5);
    assert_string_equal(clvi_node_label(g, g->nodes[2]), "y");
    clvi_graph_free(g);
}

static void versions_out_of_range_are_named(void **state)
{
    (void)state;
    const int64_t bad_ir[] = {0, 1, 2, 14, INT64_MAX, -1}, bad_opset[] = {1, 6, 23, 1000, INT64_MAX};
    for (size_t i = 0; i < sizeof bad_ir / sizeof *bad_ir; i++) {
        clvi_str graph = wire_graph("x", "y"), model = wire_model(bad_ir[i], 13, &graph);
        refuses(&model, CLV_ERR_UNSUP, "IR version");
    }
    for (size_t i = 0; i < sizeof bad_opset / sizeof *bad_opset; i++) {
        clvi_str graph = wire_graph("x", "y"), model = wire_model(8, bad_opset[i], &graph);
        refuses(&model, CLV_ERR_UNSUP, "operator set");
    }
    for (int64_t ir = 3; ir <= 13; ir++)
        for (int64_t opset = 7; opset <= 22; opset++) {
            clvi_str graph = wire_graph("x", "y"), node = wire_node("Relu", "", "x", "y");
            put_message(&graph, 1, &node);
            clvi_str model = wire_model(ir, opset, &graph);
            clvi_graph *g = reads(&model);
            assert_int_equal(g->ir_version, ir);
            assert_int_equal(clvi_graph_opset(g, ""), opset);
            clvi_graph_free(g);
        }
    clvi_str empty = {0}, other = {0};
    refuses(&empty, CLV_ERR_FORMAT, "empty");
    put_text(&other, 2, "not a model");
    refuses(&other, CLV_ERR_FORMAT, "no graph");
    clvi_str graph = wire_graph("x", "y"), node = wire_node("Relu", "", "x", "y"), model = {0};
    put_message(&graph, 1, &node);
    put_int(&model, 1, 8);
    put_message(&model, 7, &graph);
    refuses(&model, CLV_ERR_FORMAT, "imports no operator set");
}

static void every_element_type_is_decoded(void **state)
{
    (void)state;
    clvi_str model = wire_typed_model();
    clvi_graph *g = reads(&model);
    char name[64];
    for (int t = CLV_FLOAT32; t <= CLV_BFLOAT16; t++) {
        if (t == CLV_STRING)
            continue;
        (void)snprintf(name, sizeof name, "raw_%s", clv_dtype_name((clv_dtype)t));
        const clv_tensor *raw = value_of(g, name)->constant;
        assert_int_equal(raw->dtype, t);
        assert_int_equal(((const uint8_t *)raw->data)[0], 1);
        (void)snprintf(name, sizeof name, "typed_%s", clv_dtype_name((clv_dtype)t));
        const clv_tensor *typed = value_of(g, name)->constant;
        assert_int_equal(typed->dtype, t);
        assert_int_equal(clv_tensor_count(typed), 2);
        const size_t size = clv_dtype_size((clv_dtype)t);
        const uint8_t *bytes = typed->data;
        if (t == CLV_FLOAT32 || t == CLV_COMPLEX64)
            assert_true(((const float *)typed->data)[1] == 2);
        else if (t == CLV_FLOAT64 || t == CLV_COMPLEX128)
            assert_true(((const double *)typed->data)[1] == 2);
        else
            for (size_t b = 0; b < 2 * size; b++)
                assert_int_equal(bytes[b], b == 0); /* the integers 1, 0, little-endian */
        assert_true(value_of(g, name)->keep);       /* nothing reads it */
    }
    clvi_graph_free(g);
}

/* A model with one initializer made of these bytes, read by a node. */
static clvi_str with_tensor(clvi_str *tensor)
{
    clvi_str graph = wire_graph("x", "y"), node = wire_node("Add", "add", "x w", "y");
    put_message(&graph, 1, &node);
    put_message(&graph, 5, tensor);
    return wire_model(8, 13, &graph);
}

static void tensors_that_lie_are_refused(void **state)
{
    (void)state;
    static const float data[4] = {1, 2, 3, 4};
    const struct {
        int rank;
        int64_t dims[3];
        size_t bytes;
        const char *words;
    } cases[] = {{1, {4}, 12, "make 16 bytes of float32, 12 are there"},
                 {1, {3}, 16, "16 are there"},
                 {1, {-4}, 16, "dimension 0 is -4"},
                 {2, {INT64_MAX, INT64_MAX}, 16, "overflows"},
                 {2, {(int64_t)1 << 31, (int64_t)1 << 31}, 16, "overflows"},
                 {3, {(int64_t)1 << 40, 1, 1}, 16, "16 are there"},
                 {2, {0, 7}, 16, "make 0 bytes"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clvi_str tensor = wire_tensor("w", CLV_FLOAT32, cases[i].rank, cases[i].dims, data, cases[i].bytes);
        clvi_str model = with_tensor(&tensor);
        refuses(&model, CLV_ERR_FORMAT, cases[i].words);
    }
    const int64_t two[] = {2}, wide[] = {1, 300};
    clvi_str tensor = wire_tensor("w", CLV_UINT8, 1, two, NULL, 0);
    put_packed_ints(&tensor, 5, wide, 2);
    clvi_str model = with_tensor(&tensor);
    refuses(&model, CLV_ERR_FORMAT, "element 1 is 300, 0 to 255");
    tensor = wire_tensor("w", CLV_INT32, 1, two, NULL, 0);
    put_packed_ints(&tensor, 5, wide, 1);
    model = with_tensor(&tensor);
    refuses(&model, CLV_ERR_FORMAT, "make 2 values, 1 are there");
    tensor = wire_tensor("w", CLV_DTYPE_NONE, 1, two, NULL, 0);
    model = with_tensor(&tensor);
    refuses(&model, CLV_ERR_FORMAT, "no element type");
    tensor = wire_tensor("", CLV_FLOAT32, 1, two, data, 8);
    model = with_tensor(&tensor);
    refuses(&model, CLV_ERR_FORMAT, "initializer 0 has no name");
    tensor = wire_tensor("w", CLV_UINT32, 1, two, NULL, 0);
    put_packed_ints(&tensor, 11, (const int64_t[]){1, (int64_t)1 << 40}, 2);
    model = with_tensor(&tensor);
    refuses(&model, CLV_ERR_FORMAT, "does not fit in 32 bits");
}

static void tensors_without_an_array_ride_along(void **state)
{
    (void)state;
    const int64_t many[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, two[] = {2};
    static const float one[1] = {1};
    clvi_str tensor = wire_tensor("w", CLV_FLOAT32, 9, many, one, 4), model = with_tensor(&tensor);
    clvi_graph *g = reads(&model);
    assert_true(value_of(g, "w")->opaque);
    assert_null(value_of(g, "w")->constant);
    clvi_graph_free(g);
    tensor = wire_tensor("w", (clv_dtype)17, 1, two, "ab", 2); /* float8 */
    model = with_tensor(&tensor);
    g = reads(&model);
    assert_true(value_of(g, "w")->opaque);
    clvi_graph_free(g);
}

static void bools_are_zero_or_one(void **state)
{
    (void)state;
    const int64_t three[] = {3};
    clvi_str tensor = wire_tensor("w", CLV_BOOL, 0, three, "\0\1\377", 3);
    put_packed_ints(&tensor, 1, three, 1); /* dims are not declared packed, but readers must take both forms */
    clvi_str model = with_tensor(&tensor);
    clvi_graph *g = reads(&model);
    assert_memory_equal(value_of(g, "w")->constant->data, "\0\1\1", 3);
    clvi_graph_free(g);
}

/* A graph x -> y with these nodes. */
static clvi_str with_nodes(clvi_str *nodes, size_t n)
{
    clvi_str graph = wire_graph("x", "y");
    for (size_t i = 0; i < n; i++)
        put_message(&graph, 1, &nodes[i]);
    return wire_model(8, 13, &graph);
}

static void wrong_wiring_is_named(void **state)
{
    (void)state;
    clvi_str missing[] = {wire_node("Add", "add", "x ghost", "y")};
    clvi_str model = with_nodes(missing, 1);
    refuses(&model, CLV_ERR_FORMAT, "node \"add\" reads \"ghost\"");
    clvi_str twice[] = {wire_node("Relu", "a", "x", "y"), wire_node("Neg", "b", "x", "y")};
    model = with_nodes(twice, 2);
    refuses(&model, CLV_ERR_FORMAT, "node \"b\" (Neg) makes \"y\"");
    clvi_str over[] = {wire_node("Relu", "a", "x", "x"), wire_node("Neg", "b", "x", "y")};
    model = with_nodes(over, 2);
    refuses(&model, CLV_ERR_FORMAT, "node \"a\" depends on its own output");
    clvi_str input[] = {wire_node("Constant", "a", "", "x"), wire_node("Neg", "b", "x", "y")};
    model = with_nodes(input, 2);
    refuses(&model, CLV_ERR_FORMAT, "makes \"x\", which was made before");
    clvi_str cycle[] = {wire_node("Add", "a", "x q", "p"), wire_node("Neg", "b", "p", "q"),
                        wire_node("Neg", "c", "p", "y")};
    model = with_nodes(cycle, 3);
    refuses(&model, CLV_ERR_FORMAT, "depends on its own output");
    clvi_str none[] = {wire_node("Relu", "a", "x", "z")};
    model = with_nodes(none, 1);
    refuses(&model, CLV_ERR_FORMAT, "output \"y\" is made by no node");
    clvi_str nameless[] = {wire_node("", "a", "x", "y")};
    model = with_nodes(nameless, 1);
    refuses(&model, CLV_ERR_FORMAT, "node \"a\" has no operator");

    clvi_str attrs[] = {wire_node("Relu", "a", "x", "y")}, attr = {0};
    put_text(&attr, 1, "alpha");
    put_bytes(&attrs[0], 5, attr.text, attr.size);
    put_message(&attrs[0], 5, &attr);
    model = with_nodes(attrs, 1);
    refuses(&model, CLV_ERR_FORMAT, "attribute \"alpha\" is given twice");
}

static void duplicates_are_refused(void **state)
{
    (void)state;
    static const float one[1] = {1};
    const int64_t scalar[] = {1}, dims[] = {1, -1};
    clvi_str graph = wire_graph("x", "y"), node = wire_node("Relu", "", "x", "y");
    put_message(&graph, 1, &node);
    for (int i = 0; i < 2; i++) {
        clvi_str tensor = wire_tensor("w", CLV_FLOAT32, 1, scalar, one, 4);
        put_message(&graph, 5, &tensor);
    }
    clvi_str model = wire_model(8, 13, &graph);
    refuses(&model, CLV_ERR_FORMAT, "initializer \"w\" is given twice");
    graph = wire_graph("x", "y");
    clvi_str info = wire_value_info("x", CLV_FLOAT32, 2, dims);
    node = wire_node("Relu", "", "x", "y");
    put_message(&graph, 1, &node);
    put_message(&graph, 11, &info);
    model = wire_model(8, 13, &graph);
    refuses(&model, CLV_ERR_FORMAT, "input \"x\" is listed twice");
}

static void nodes_are_put_in_order(void **state)
{
    (void)state;
    clvi_str nodes[] = {wire_node("Neg", "last", "q", "y"), wire_node("Add", "mid", "p x", "q"),
                        wire_node("Relu", "first", "x", "p"), wire_node("Abs", "free", "x", "r")};
    clvi_str model = with_nodes(nodes, 4);
    clvi_graph *g = reads(&model);
    assert_string_equal(g->nodes[0]->name, "first");
    assert_string_equal(g->nodes[1]->name, "mid");
    assert_string_equal(g->nodes[2]->name, "last");
    assert_string_equal(g->nodes[3]->name, "free");
    clvi_graph_free(g);
}

static void captures_are_found_at_any_depth(void **state)
{
    (void)state;
    clvi_str model = wire_strange_model();
    clvi_graph *g = reads(&model);
    assert_int_equal(g->n_nodes, 3);
    const clvi_node *strange = g->nodes[0], *choice = g->nodes[1];
    assert_string_equal(choice->name, "choice");
    assert_int_equal(choice->n_capture, 3); /* x of one branch, s of the other, flag of an If inside it */
    bool found_s = false, found_x = false, found_flag = false;
    for (size_t i = 0; i < 3; i++) {
        const char *name = g->values[choice->capture[i]].name;
        assert_string_equal(name, choice->capture_name[i]);
        found_s |= strcmp(name, "s") == 0;
        found_x |= strcmp(name, "x") == 0;
        found_flag |= strcmp(name, "flag") == 0;
    }
    assert_true(found_s && found_x && found_flag);
    int32_t id; /* names inside are taken */
    assert_int_equal(clvi_graph_find_value(g, "no_t0"), CLVI_NONE);
    assert_int_equal(clvi_graph_add_value(g, "no_t0", &id, NULL), CLV_OK);
    assert_string_equal(g->values[id].name, "no_t0_1");

    assert_string_equal(strange->domain, "org.example");
    assert_int_equal(strange->in[2], CLVI_NONE);
    assert_int_equal(strange->out[1], CLVI_NONE);
    assert_int_equal(clvi_node_int(strange, "i", 0), -7);
    assert_int_equal(clvi_node_attr(strange, "s")->s.size, 3);
    assert_memory_equal(clvi_node_attr(strange, "s")->s.data, "a\0b", 4);
    assert_int_equal(clvi_node_attr(strange, "floats")->count, 2);
    assert_int_equal(clvi_node_attr(strange, "strings")->count, 2);
    assert_int_equal(clvi_node_attr(strange, "tp")->kind, CLVI_ATTR_OTHER);
    assert_int_equal(clvi_node_attr(strange, "odd")->kind, CLVI_ATTR_OTHER);
    assert_true(((const float *)clvi_node_attr(strange, "t")->tensor->data)[1] == -2);
    assert_true(value_of(g, "sparse")->opaque && value_of(g, "words")->opaque);
    clvi_graph_free(g);
}

static void a_ghost_in_a_subgraph_is_named(void **state)
{
    (void)state;
    clvi_str inner = {0}, neg = wire_node("Neg", "", "ghost", "o"), attr = {0}, node = wire_node("If", "if", "x", "y");
    clvi_str out = wire_value_info("o", CLV_FLOAT32, -1, NULL);
    put_message(&inner, 1, &neg);
    put_message(&inner, 12, &out);
    put_text(&attr, 1, "then_branch");
    put_message(&attr, 6, &inner);
    put_int(&attr, 20, 5);
    put_message(&node, 5, &attr);
    clvi_str model = with_nodes(&node, 1);
    refuses(&model, CLV_ERR_FORMAT, "node \"if\": a graph inside it reads \"ghost\"");
}

static void initializers_may_be_inputs(void **state)
{
    (void)state;
    clvi_str model = wire_old_model();
    clvi_graph *g = reads(&model);
    assert_int_equal(g->ir_version, 3);
    assert_int_equal(g->n_inputs, 1);
    assert_string_equal(g->values[g->inputs[0]].name, "x");
    assert_true(value_of(g, "w")->is_input && value_of(g, "w")->constant);
    assert_true(value_of(g, "unused")->keep && !value_of(g, "w")->keep);
    clvi_graph_free(g);
}

static void the_wire_is_checked(void **state)
{
    (void)state;
    clvi_str model = wire_small_model();
    model.size -= 7; /* in the middle of the last field */
    refuses(&model, CLV_ERR_FORMAT, "cut short or damaged");
    model = wire_small_model();
    put_varint(&model, 15 << 3 | 3);
    refuses(&model, CLV_ERR_FORMAT, "a kind of field that protobuf does not have");
    model = wire_small_model();
    put_varint(&model, 0);
    refuses(&model, CLV_ERR_FORMAT, "no field starts here");
    model = wire_small_model();
    put_int(&model, 2, 5); /* producer_name is a text */
    refuses(&model, CLV_ERR_FORMAT, "ModelProto.producer_name: holds another kind");
    model = wire_small_model();
    put_bytes(&model, 2, "a\0b", 3);
    refuses(&model, CLV_ERR_FORMAT, "NUL");
    model = wire_small_model();
    put_bytes(&model, 7, "", 0);
    refuses(&model, CLV_ERR_FORMAT, "ModelProto.graph: given twice");
    model = wire_small_model();
    put_varint(&model, 5 << 3);
    for (int i = 0; i < 11; i++)
        clvi_str_append(&model, "\377", 1);
    refuses(&model, CLV_ERR_FORMAT, "broken number");
    clvi_str tensor = {0};
    put_bytes(&tensor, 4, "abcde", 5);
    model = with_tensor(&tensor);
    refuses(&model, CLV_ERR_FORMAT, "TensorProto.float_data: ends within an element");
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    for (int depth = 20; depth <= 2000; depth *= 10) {
        clvi_str type = {0};
        for (int i = 0; i < depth; i++) { /* a sequence of sequences of ... */
            clvi_str sequence = {0}, outer = {0};
            put_message(&sequence, 1, &type);
            put_message(&outer, 4, &sequence);
            type = outer;
        }
        clvi_str graph = wire_graph("x", "y"), info = {0}, node = wire_node("Relu", "", "x", "y");
        put_text(&info, 1, "deep");
        put_message(&info, 2, &type);
        put_message(&graph, 13, &info);
        put_message(&graph, 1, &node);
        clvi_str model = wire_model(8, 13, &graph);
        if (depth == 20)
            clvi_graph_free(reads(&model));
        else
            refuses(&model, CLV_ERR_FORMAT, "nested more than 100 deep");
    }
}

static void memory_bombs_are_refused(void **state)
{
    (void)state;
    static uint8_t tensors[400000]; /* empty ones: two bytes here, hundreds in memory */
    for (size_t i = 0; i < sizeof tensors; i += 2)
        tensors[i] = 5 << 3 | 2;
    clvi_str graph = {0};
    clvi_str_append(&graph, tensors, sizeof tensors);
    clvi_str model = wire_model(8, 13, &graph);
    refuses(&model, CLV_ERR_FORMAT, "64 times its size");
}

/* --- tensors outside the file --------------------------------------------------------------------------------------
 */

static char folder[64];

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(clvi_file_replace(path, bytes, size, NULL), CLV_OK);
}

static int make_folder(void **state)
{
    (void)state;
    static const float numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    char sub[128], link[128];
    (void)snprintf(folder, sizeof folder, "/tmp/cleave_onnx_XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(sub, sizeof sub, "%s/sub", folder);
    if (mkdir(sub, 0700) != 0)
        return -1;
    write_file("outside.bin", numbers, sizeof numbers);
    write_file("sub/weights.bin", numbers, sizeof numbers);
    (void)snprintf(link, sizeof link, "%s/sub/escape.bin", folder);
    if (symlink("../outside.bin", link) != 0)
        return -1;
    (void)snprintf(link, sizeof link, "%s/sub/inside.bin", folder);
    return symlink("weights.bin", link);
}

static int remove_folder(void **state)
{
    (void)state;
    const char *names[] = {"sub/model.onnx",  "sub/escape.bin", "sub/inside.bin",
                           "sub/weights.bin", "outside.bin",    "sub"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)remove(path);
    }
    return rmdir(folder);
}

/* sub/model.onnx with w [4] stored at these keys. */
static clv_status read_external(const char *location, const char *offset, const char *length, clvi_graph **graph,
                                clv_error *err)
{
    const int64_t four[] = {4};
    const char *keys[] = {"location", "offset", "length"}, *values[] = {location, offset, length};
    clvi_str tensor = wire_tensor("w", CLV_FLOAT32, 1, four, NULL, 0);
    for (int i = 0; i < 3; i++) {
        clvi_str entry = {0};
        if (!values[i])
            continue;
        put_text(&entry, 1, keys[i]);
        put_text(&entry, 2, values[i]);
        put_message(&tensor, 13, &entry);
    }
    put_int(&tensor, 14, 1);
    clvi_str model = with_tensor(&tensor);
    char path[256];
    write_file("sub/model.onnx", model.text, model.size);
    clvi_str_free(&model);
    (void)snprintf(path, sizeof path, "%s/sub/model.onnx", folder);
    return clvi_onnx_read(graph, path, err);
}

static void external_tensors_are_loaded(void **state)
{
    (void)state;
    const char *locations[] = {"weights.bin", "./weights.bin", "inside.bin"};
    for (size_t i = 0; i < 3; i++) {
        clvi_graph *g;
        clv_error err = {0};
        if (read_external(locations[i], "8", "16", &g, &err) != CLV_OK)
            fail_msg("%s", err.msg);
        assert_true(value_of(g, "w")->external);
        assert_true(((const float *)value_of(g, "w")->constant->data)[3] == 5);
        clvi_graph_free(g);
        assert_int_equal(read_external(locations[i], NULL, NULL, &g, &err), CLV_OK);
        assert_true(((const float *)value_of(g, "w")->constant->data)[3] == 3);
        clvi_graph_free(g);
    }
}

static void external_escapes_are_refused(void **state)
{
    (void)state;
    char absolute[256];
    (void)snprintf(absolute, sizeof absolute, "%s/sub/weights.bin", folder);
    const struct {
        const char *location, *offset, *length;
        clv_status status;
        const char *words;
    } cases[] = {{"../outside.bin", NULL, NULL, CLV_ERR_FORMAT, "not a path below"},
                 {"../sub/weights.bin", NULL, NULL, CLV_ERR_FORMAT, "not a path below"},
                 {"x/../../outside.bin", NULL, NULL, CLV_ERR_FORMAT, "not a path below"},
                 {absolute, NULL, NULL, CLV_ERR_FORMAT, "not a path below"},
                 {"", NULL, NULL, CLV_ERR_FORMAT, "not a path below"},
                 {NULL, NULL, NULL, CLV_ERR_FORMAT, "not a path below"},
                 {"escape.bin", NULL, NULL, CLV_ERR_FORMAT, "leads out of the model's folder"},
                 {"absent.bin", NULL, NULL, CLV_ERR_IO, "absent.bin"},
                 {".", NULL, NULL, CLV_ERR_FORMAT, "leads out of"},
                 {"weights.bin", "20", "16", CLV_ERR_FORMAT, "has 32 bytes, offset 20 and length 16"},
                 {"weights.bin", "40", NULL, CLV_ERR_FORMAT, "offset 40"},
                 {"weights.bin", "0", "12", CLV_ERR_FORMAT, "make 16 bytes, 12"},
                 {"weights.bin", "20", NULL, CLV_ERR_FORMAT, "make 16 bytes, 12"},
                 {"weights.bin", "-1", NULL, CLV_ERR_FORMAT, "is not a number"},
                 {"weights.bin", "99999999999999999999", NULL, CLV_ERR_FORMAT, "is not a number"},
                 {"weights.bin", "0", "18446744073709551615", CLV_ERR_FORMAT, "length 18446744073709551615"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clvi_graph *g = NULL;
        clv_error err = {0};
        const clv_status st = read_external(cases[i].location, cases[i].offset, cases[i].length, &g, &err);
        assert_null(g);
        if (st != cases[i].status || !strstr(err.msg, cases[i].words) || !strstr(err.msg, "\"w\""))
            fail_msg("case %zu: %d \"%s\"", i, (int)st, err.msg);
    }
}

static void files_are_named(void **state)
{
    (void)state;
    clvi_graph *g = NULL;
    clv_error err = {0};
    char path[256];
    assert_int_equal(clvi_onnx_read(&g, "/nowhere/model.onnx", &err), CLV_ERR_IO);
    assert_non_null(strstr(err.msg, "/nowhere/model.onnx"));
    (void)snprintf(path, sizeof path, "%s/outside.bin", folder);
    assert_int_equal(clvi_onnx_read(&g, path, &err), CLV_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "outside.bin: byte 0"));
    assert_int_equal(clvi_onnx_read(&g, folder, &err), CLV_ERR_IO);
    assert_null(g);
}

static void short_memory_is_a_status(void **state)
{
    (void)state;
    clvi_str models[] = {wire_small_model(), wire_strange_model(), wire_typed_model(), wire_old_model()};
    for (size_t m = 0; m < 4; m++) {
        const long live = clvi_mem_live();
        clv_status st = CLV_ERR_NOMEM;
        long permits = 0;
        for (; st != CLV_OK && permits < 10000; permits++) {
            clvi_graph *g = NULL;
            clv_error err = {0};
            clvi_mem_fail_after(permits);
            st = clvi_onnx_read_bytes(&g, models[m].text, models[m].size, NULL, &err);
            clvi_mem_fail_after(-1);
            if (st != CLV_OK)
                assert_int_equal(st, CLV_ERR_NOMEM);
            clvi_graph_free(g);
            assert_int_equal(clvi_mem_live(), live);
        }
        assert_int_equal(st, CLV_OK);
        assert_true(permits > 3);
        clvi_str_free(&models[m]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_model_comes_out_whole),
        cmocka_unit_test(versions_out_of_range_are_named),
        cmocka_unit_test(every_element_type_is_decoded),
        cmocka_unit_test(tensors_that_lie_are_refused),
        cmocka_unit_test(tensors_without_an_array_ride_along),
        cmocka_unit_test(bools_are_zero_or_one),
        cmocka_unit_test(wrong_wiring_is_named),
        cmocka_unit_test(duplicates_are_refused),
        cmocka_unit_test(nodes_are_put_in_order),
        cmocka_unit_test(captures_are_found_at_any_depth),
        cmocka_unit_test(a_ghost_in_a_subgraph_is_named),
        cmocka_unit_test(initializers_may_be_inputs),
        cmocka_unit_test(the_wire_is_checked),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(memory_bombs_are_refused),
        cmocka_unit_test(external_tensors_are_loaded),
        cmocka_unit_test(external_escapes_are_refused),
        cmocka_unit_test(files_are_named),
        cmocka_unit_test(short_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
