/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/onnx_wire.h"

#include <string.h>

void put_varint(clvi_str *s, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        const uint8_t byte = (uint8_t)(value | 0x80);
        clvi_str_append(s, &byte, 1);
    }
    const uint8_t last = (uint8_t)value;
    clvi_str_append(s, &last, 1);
}

void put_int(clvi_str *s, uint32_t field, int64_t value)
{
    put_varint(s, (uint64_t)field << 3);
    put_varint(s, (uint64_t)value);
}

void put_float(clvi_str *s, uint32_t field, float value)
{
    put_varint(s, (uint64_t)field << 3 | 5);
    clvi_str_append(s, &value, sizeof value);
}

void put_bytes(clvi_str *s, uint32_t field, const void *bytes, size_t size)
{
    put_varint(s, (uint64_t)field << 3 | 2);
    put_varint(s, size);
    clvi_str_append(s, bytes, size);
}

void put_text(clvi_str *s, uint32_t field, const char *text)
{
    put_bytes(s, field, text, strlen(text));
}

void put_message(clvi_str *s, uint32_t field, clvi_str *message)
{
    put_bytes(s, field, message->text, message->size);
    clvi_str_free(message);
}

void put_packed_ints(clvi_str *s, uint32_t field, const int64_t *values, size_t n)
{
    clvi_str packed = {0};
    for (size_t i = 0; i < n; i++)
        put_varint(&packed, (uint64_t)values[i]);
    put_message(s, field, &packed);
}

clvi_str wire_value_info(const char *name, clv_dtype dtype, int rank, const int64_t *dims)
{
    clvi_str info = {0}, type = {0}, tensor = {0}, shape = {0};
    for (int i = 0; i < rank; i++) {
        clvi_str dim = {0};
        if (dims[i] < 0)
            put_text(&dim, 2, "n");
        else
            put_int(&dim, 1, dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, dtype);
    if (rank >= 0)
        put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    clvi_str_free(&shape);
    return info;
}

clvi_str wire_tensor(const char *name, clv_dtype dtype, int rank, const int64_t *dims, const void *data, size_t bytes)
{
    clvi_str tensor = {0};
    for (int i = 0; i < rank; i++)
        put_int(&tensor, 1, dims[i]);
    put_int(&tensor, 2, dtype);
    put_text(&tensor, 8, name);
    if (data)
        put_bytes(&tensor, 9, data, bytes);
    return tensor;
}

static void put_names(clvi_str *node, uint32_t field, const char *names)
{
    while (*names) {
        const size_t n = strcspn(names, " ");
        put_bytes(node, field, names, n == 1 && *names == '-' ? 0 : n);
        names += n + (names[n] == ' ');
    }
}

clvi_str wire_node(const char *op_type, const char *name, const char *in, const char *out)
{
    clvi_str node = {0};
    put_names(&node, 1, in);
    put_names(&node, 2, out);
    if (*name)
        put_text(&node, 3, name);
    put_text(&node, 4, op_type);
    return node;
}

static void put_opset(clvi_str *model, const char *domain, int64_t version)
{
    clvi_str opset = {0};
    put_text(&opset, 1, domain);
    put_int(&opset, 2, version);
    put_message(model, 8, &opset);
}

static void put_entry(clvi_str *s, uint32_t field, const char *key, const char *value)
{
    clvi_str entry = {0};
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(s, field, &entry);
}

clvi_str wire_model(int64_t ir, int64_t opset, clvi_str *graph)
{
    clvi_str model = {0};
    put_int(&model, 1, ir);
    put_message(&model, 7, graph);
    put_opset(&model, "", opset);
    return model;
}

static void put_info(clvi_str *graph, uint32_t field, const char *name, clv_dtype dtype, int rank, const int64_t *dims)
{
    clvi_str info = wire_value_info(name, dtype, rank, dims);
    put_message(graph, field, &info);
}

clvi_str wire_graph(const char *input, const char *output)
{
    const int64_t dims[] = {1, -1};
    clvi_str graph = {0};
    put_text(&graph, 2, "g");
    put_info(&graph, 11, input, CLV_FLOAT32, 2, dims);
    put_info(&graph, 12, output, CLV_FLOAT32, 2, dims);
    return graph;
}

static void put_tensor(clvi_str *s, uint32_t field, const char *name, int rank, const int64_t *dims, const float *data)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    clvi_str tensor = wire_tensor(name, CLV_FLOAT32, rank, dims, data, count * sizeof *data);
    put_message(s, field, &tensor);
}

/* An attribute with its value already in: name and type are added. */
static void put_attr(clvi_str *node, clvi_str *attr, const char *name, int64_t type)
{
    put_text(attr, 1, name);
    put_int(attr, 20, type);
    put_message(node, 5, attr);
}

static void put_ints_attr(clvi_str *node, const char *name, const int64_t *ints, size_t n)
{
    clvi_str attr = {0};
    for (size_t i = 0; i < n; i++)
        put_int(&attr, 8, ints[i]);
    put_attr(node, &attr, name, 7);
}

clvi_str wire_small_model(void)
{
    static const float weights[2 * 3 * 3 * 3] = {1, 2, 3, -1};
    static const float ones[4] = {1, 1, 1, 1};
    const int64_t shape[] = {-1, 3, 8, 8}, out[] = {-1, 2, 8, 8}, w[] = {2, 3, 3, 3}, two[] = {2};
    const int64_t pads[] = {1, 1, 1, 1}, kernel[] = {3, 3};
    clvi_str graph = {0};
    clvi_str conv = wire_node("Conv", "conv", "x w b", "c"), relu = wire_node("Relu", "", "n", "y");
    clvi_str norm = wire_node("BatchNormalization", "norm", "c b b b b", "n"), eps = {0};
    put_ints_attr(&conv, "pads", pads, 4);
    put_ints_attr(&conv, "kernel_shape", kernel, 2);
    put_float(&eps, 2, 1e-5F);
    put_attr(&norm, &eps, "epsilon", 1);
    put_message(&graph, 1, &conv);
    put_message(&graph, 1, &norm);
    put_message(&graph, 1, &relu);
    put_text(&graph, 2, "small");
    put_tensor(&graph, 5, "w", 4, w, weights);
    put_tensor(&graph, 5, "b", 1, two, ones);
    put_text(&graph, 10, "what it is for");
    put_info(&graph, 11, "x", CLV_FLOAT32, 4, shape);
    put_info(&graph, 12, "y", CLV_FLOAT32, 4, out);
    put_info(&graph, 13, "c", CLV_FLOAT32, 4, out);
    put_info(&graph, 13, "n", CLV_FLOAT32, 4, out);
    clvi_str model = {0};
    put_int(&model, 1, 7);
    put_text(&model, 2, "test");
    put_message(&model, 7, &graph);
    put_opset(&model, "", 13);
    put_entry(&model, 14, "key", "value");
    return model;
}

/* A branch of If: t = Mul(captured, captured); out = Neg(t); holds another If when depth > 0. */
static clvi_str wire_branch(const char *captured, const char *prefix, int depth)
{
    clvi_str graph = {0}, t = {0}, out = {0};
    clvi_str_printf(&t, "%s_t%d", prefix, depth);
    clvi_str_printf(&out, "%s_o%d", prefix, depth);
    clvi_str in = {0};
    clvi_str_printf(&in, "%s %s", captured, captured);
    clvi_str mul = wire_node("Mul", "", in.text, t.text);
    put_message(&graph, 1, &mul);
    if (depth) {
        clvi_str inner = wire_node("If", "", "flag", out.text), yes = {0}, no = {0};
        clvi_str a = wire_branch(t.text, prefix, depth - 1), b = wire_branch(captured, prefix, depth - 1);
        put_message(&yes, 6, &a);
        put_message(&no, 6, &b);
        put_attr(&inner, &yes, "then_branch", 5);
        put_attr(&inner, &no, "else_branch", 5);
        put_message(&graph, 1, &inner);
    } else {
        clvi_str neg = wire_node("Neg", "", t.text, out.text);
        put_message(&graph, 1, &neg);
    }
    put_text(&graph, 2, prefix);
    put_info(&graph, 12, out.text, CLV_FLOAT32, -1, NULL);
    clvi_str_free(&t);
    clvi_str_free(&out);
    clvi_str_free(&in);
    return graph;
}

static void put_function(clvi_str *model)
{
    clvi_str function = {0}, node = wire_node("Add", "", "a b", "c"), opset = {0};
    put_text(&function, 1, "Twice");
    put_text(&function, 4, "a");
    put_text(&function, 4, "b");
    put_text(&function, 5, "c");
    put_message(&function, 7, &node);
    put_int(&opset, 2, 13);
    put_message(&function, 9, &opset);
    put_text(&function, 10, "org.example");
    put_entry(&function, 14, "newer", "field");
    put_message(model, 25, &function);
}

static void put_sparse(clvi_str *graph)
{
    static const float value[1] = {5};
    static const int64_t index[1] = {2}, one[1] = {1};
    clvi_str sparse = {0};
    put_tensor(&sparse, 1, "sparse", 1, one, value);
    clvi_str indices = wire_tensor("", CLV_INT64, 1, one, index, sizeof index);
    put_message(&sparse, 2, &indices);
    put_int(&sparse, 3, 4);
    put_message(graph, 15, &sparse);
}

/* A node of an operator that nobody knows, with every kind of attribute and newer fields. */
static clvi_str wire_strange_node(void)
{
    static const float numbers[2] = {1.5F, -2};
    static const int64_t two[1] = {2};
    clvi_str node = wire_node("Frobnicate", "strange", "x sparse - words", "s -");
    clvi_str f = {0}, i = {0}, s = {0}, t = {0}, floats = {0}, strings = {0}, odd = {0}, tp = {0}, type = {0};
    put_float(&f, 2, 0.25F);
    put_text(&f, 13, "documented");
    put_attr(&node, &f, "f", 1);
    put_int(&i, 3, -7);
    put_attr(&node, &i, "i", 2);
    put_bytes(&s, 4, "a\0b", 3);
    put_attr(&node, &s, "s", 3);
    put_tensor(&t, 5, "inside", 1, two, numbers);
    put_attr(&node, &t, "t", 4);
    put_float(&floats, 7, 1);
    put_float(&floats, 7, 2);
    put_attr(&node, &floats, "floats", 6);
    put_text(&strings, 9, "p");
    put_text(&strings, 9, "q");
    put_attr(&node, &strings, "strings", 8);
    put_message(&tp, 14, &type);
    put_attr(&node, &tp, "tp", 13);
    put_text(&odd, 77, "a field of the future");
    put_attr(&node, &odd, "odd", 99);
    put_text(&node, 6, "a node with documentation");
    put_text(&node, 7, "org.example");
    put_text(&node, 8, "overload");
    put_entry(&node, 9, "node", "metadata");
    clvi_str_free(&type);
    return node;
}

clvi_str wire_strange_model(void)
{
    const int64_t four[] = {4}, one[] = {1}, out[] = {-1};
    static const uint8_t yes[1] = {1};
    clvi_str graph = {0}, node = wire_strange_node(), words = {0};
    clvi_str choice = wire_node("If", "choice", "flag", "y"), then_attr = {0}, else_attr = {0};
    clvi_str then_graph = wire_branch("s", "yes", 2), else_graph = wire_branch("x", "no", 0);
    clvi_str call = wire_node("Twice", "call", "y y", "z");
    put_text(&call, 7, "org.example");
    put_message(&then_attr, 6, &then_graph);
    put_message(&else_attr, 6, &else_graph);
    put_attr(&choice, &then_attr, "then_branch", 5);
    put_attr(&choice, &else_attr, "else_branch", 5);
    put_message(&graph, 1, &node);
    put_message(&graph, 1, &choice);
    put_message(&graph, 1, &call);
    put_text(&graph, 2, "strange");
    clvi_str flag = wire_tensor("flag", CLV_BOOL, 0, one, yes, 1);
    put_message(&graph, 5, &flag);
    put_int(&words, 1, 1);
    put_int(&words, 2, CLV_STRING);
    put_text(&words, 6, "word");
    put_text(&words, 8, "words");
    put_text(&words, 12, "a tensor with documentation");
    put_entry(&words, 16, "tensor", "metadata");
    put_message(&graph, 5, &words);
    put_info(&graph, 11, "x", CLV_FLOAT32, 1, four);
    put_info(&graph, 12, "z", CLV_FLOAT32, 1, out);
    put_info(&graph, 13, "yes_t0", CLV_FLOAT32, 1, four); /* of a value inside a subgraph */
    clvi_str annotation = {0};
    put_text(&annotation, 1, "y");
    put_entry(&annotation, 2, "SCALE_TENSOR", "flag");
    put_message(&graph, 14, &annotation);
    put_sparse(&graph);
    put_entry(&graph, 16, "graph", "metadata");

    clvi_str model = {0}, training = {0}, update = {0}, step = wire_node("Abs", "", "x", "g2");
    put_int(&model, 1, 8);
    put_text(&model, 2, "test");
    put_text(&model, 3, "1.0");
    put_text(&model, 4, "org.example");
    put_int(&model, 5, 42);
    put_text(&model, 6, "a model with documentation");
    put_message(&model, 7, &graph);
    put_opset(&model, "", 13);
    put_opset(&model, "org.example", 3);
    put_entry(&model, 14, "key", "value");
    put_message(&update, 1, &step);
    put_text(&update, 2, "step");
    put_message(&training, 2, &update);
    put_message(&model, 20, &training);
    put_function(&model);
    put_text(&model, 1000, "a field of the future");
    return model;
}

clvi_str wire_typed_model(void)
{
    static const clv_dtype dtypes[] = {CLV_FLOAT32, CLV_UINT8,  CLV_INT8,      CLV_UINT16,     CLV_INT16,
                                       CLV_INT32,   CLV_INT64,  CLV_BOOL,      CLV_FLOAT16,    CLV_FLOAT64,
                                       CLV_UINT32,  CLV_UINT64, CLV_COMPLEX64, CLV_COMPLEX128, CLV_BFLOAT16};
    static const uint8_t raw[32] = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0};
    static const double doubles[4] = {1, 2, 3, 4};
    static const float floats[4] = {1, 2, 3, 4};
    const int64_t two[] = {2}, ones[] = {1, 0};
    clvi_str graph = wire_graph("x", "y"), node = wire_node("Relu", "", "x", "y");
    put_message(&graph, 1, &node);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        const clv_dtype dtype = dtypes[i];
        clvi_str name = {0};
        clvi_str_printf(&name, "raw_%s", clv_dtype_name(dtype));
        clvi_str tensor = wire_tensor(name.text, dtype, 1, two, raw, 2 * clv_dtype_size(dtype));
        put_message(&graph, 5, &tensor);
        clvi_str_free(&name);
        clvi_str_printf(&name, "typed_%s", clv_dtype_name(dtype));
        tensor = wire_tensor(name.text, dtype, 1, two, NULL, 0);
        if (dtype == CLV_FLOAT32 || dtype == CLV_COMPLEX64)
            put_bytes(&tensor, 4, floats, dtype == CLV_FLOAT32 ? 8 : 16);
        else if (dtype == CLV_FLOAT64 || dtype == CLV_COMPLEX128)
            put_bytes(&tensor, 10, doubles, dtype == CLV_FLOAT64 ? 16 : 32);
        else
            put_packed_ints(&tensor,
                            dtype == CLV_INT64                           ? 7
                            : dtype == CLV_UINT32 || dtype == CLV_UINT64 ? 11
                                                                         : 5,
                            ones, 2);
        put_message(&graph, 5, &tensor);
        clvi_str_free(&name);
    }
    return wire_model(8, 13, &graph);
}

clvi_str wire_old_model(void)
{
    static const float numbers[4] = {1, 2, 3, 4};
    const int64_t four[] = {1, 4};
    clvi_str graph = {0}, add = wire_node("Add", "", "x w", "y");
    put_message(&graph, 1, &add);
    put_text(&graph, 2, "old");
    put_tensor(&graph, 5, "w", 2, four, numbers);
    put_tensor(&graph, 5, "unused", 2, four, numbers);
    put_info(&graph, 11, "w", CLV_FLOAT32, 2, four);
    put_info(&graph, 11, "x", CLV_FLOAT32, 2, four);
    put_info(&graph, 11, "unused", CLV_FLOAT32, 2, four);
    put_info(&graph, 12, "y", CLV_FLOAT32, 2, four);
    return wire_model(3, 7, &graph);
}
