/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "graph/dead_code.h"
#include "onnx/onnx.h"
#include "unit/onnx_wire.h"

static clvi_graph *reads(const void *bytes, size_t size)
{
    clvi_graph *graph = NULL;
    clv_error err = {0};
    if (clvi_onnx_read_bytes(&graph, bytes, size, NULL, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    return graph;
}

static clvi_graph *reads_wire(clvi_str *model)
{
    clvi_graph *graph = reads(model->text, model->size);
    clvi_str_free(model);
    return graph;
}

static clvi_bytes writes(const clvi_graph *graph)
{
    clvi_bytes bytes = {0};
    clv_error err = {0};
    if (clvi_onnx_write_bytes(graph, &bytes, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    return bytes;
}

/* Write, free and read again. */
static clvi_graph *passes_through(clvi_graph *graph)
{
    clvi_bytes bytes = writes(graph);
    clvi_graph_free(graph);
    graph = reads(bytes.data, bytes.size);
    clvi_free(bytes.data);
    return graph;
}

static clvi_value *value_of(const clvi_graph *graph, const char *name)
{
    const int32_t id = clvi_graph_find_value(graph, name);
    if (id == CLVI_NONE)
        fail_msg("no value \"%s\"", name);
    return &graph->values[id];
}

/* How often a text stands in the bytes. */
static size_t occurrences(clvi_bytes bytes, const char *text)
{
    size_t found = 0;
    const size_t n = strlen(text);
    for (size_t i = 0; i + n <= bytes.size; i++)
        found += memcmp(bytes.data + i, text, n) == 0;
    return found;
}

static int compare_bytes(const void *a, const void *b)
{
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

/* The written form has the same bytes, but fields may stand in another order: none is lost, added or changed. */
static void nothing_is_lost(void **state)
{
    (void)state;
    clvi_str models[] = {wire_small_model(), wire_strange_model(), wire_old_model()};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        clvi_graph *g = reads(models[m].text, models[m].size);
        clvi_bytes bytes = writes(g);
        assert_int_equal(bytes.size, models[m].size);
        qsort(bytes.data, bytes.size, 1, compare_bytes);
        qsort(models[m].text, models[m].size, 1, compare_bytes);
        assert_memory_equal(bytes.data, models[m].text, bytes.size);
        clvi_free(bytes.data);
        clvi_graph_free(g);
        clvi_str_free(&models[m]);
    }
}

static void strange_parts_survive(void **state)
{
    (void)state;
    const char *parts[] = {
        "Frobnicate",  "org.example", "overload", "documented", "inside",        "SCALE_TENSOR",
        "Twice",       "newer",       "sparse",   "words",      "a tensor with", "a model with",
        "a node with", "step",        "yes_t2",   "no_o0",      "yes_t0",        "a field of the future"};
    clvi_str model = wire_strange_model();
    const clvi_bytes before = {(uint8_t *)model.text, model.size};
    clvi_graph *g = reads(model.text, model.size), *copy;
    clvi_bytes after = writes(g);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        assert_true(occurrences(before, parts[i]) > 0);
        assert_int_equal(occurrences(after, parts[i]), occurrences(before, parts[i]));
    }
    assert_int_equal(clvi_graph_clone(&copy, g, NULL), CLV_OK);
    clvi_graph_free(g);
    clvi_bytes cloned = writes(copy);
    assert_int_equal(cloned.size, after.size);
    assert_memory_equal(cloned.data, after.data, after.size);
    clvi_graph_free(copy);
    clvi_free(after.data);
    clvi_free(cloned.data);
    clvi_str_free(&model);
}

static void typed_data_come_back_the_same(void **state)
{
    (void)state;
    clvi_str model = wire_typed_model();
    clvi_graph *before = reads(model.text, model.size), *copy;
    assert_int_equal(clvi_graph_clone(&copy, before, NULL), CLV_OK);
    clvi_graph *after = passes_through(copy);
    assert_int_equal(after->n_values, before->n_values);
    size_t compared = 0;
    for (size_t v = 0; v < before->n_values; v++) {
        const clv_tensor *a = before->values[v].constant, *b = value_of(after, before->values[v].name)->constant;
        if (!a)
            continue;
        assert_int_equal(a->dtype, b->dtype);
        assert_memory_equal(a->dims, b->dims, sizeof a->dims);
        assert_memory_equal(a->data, b->data, (size_t)clv_tensor_count(a) * clv_dtype_size(a->dtype));
        compared++;
    }
    assert_int_equal(compared, 30);
    clvi_graph_free(before);
    clvi_graph_free(after);
    clvi_str_free(&model);
}

/* Conv -> BatchNormalization -> Relu becomes Conv -> Conv -> Relu with new weights. */
static void edited_graphs_are_written(void **state)
{
    (void)state;
    clvi_str model = wire_small_model();
    clvi_graph *g = reads_wire(&model);
    static float ones[4] = {1, 1, 1, 1};
    const clv_tensor weights = {CLV_FLOAT32, 4, {2, 2, 1, 1}, ones};
    int32_t w2, mid;
    assert_int_equal(clvi_graph_add_constant(g, "w", &weights, &w2, NULL), CLV_OK);
    assert_int_equal(clvi_graph_add_value(g, "c", &mid, NULL), CLV_OK);
    const int32_t old = g->nodes[1]->out[0];
    clvi_node *node = clvi_node_new(g, "Conv", "point", (int32_t[]){g->nodes[0]->out[0], w2}, 2, &mid, 1);
    const int64_t kernel[] = {1, 1};
    assert_int_equal(clvi_node_set_ints(g, node, "kernel_shape", kernel, 2, NULL), CLV_OK);
    assert_int_equal(clvi_node_set_string(g, node, "auto_pad", "NOTSET", NULL), CLV_OK);
    assert_int_equal(clvi_graph_replace(g, 1, &node, 1, NULL), CLV_OK);
    assert_true(clvi_graph_redirect(g, old, mid));
    assert_int_equal(clvi_node_set_ints(g, g->nodes[0], "pads", (const int64_t[]){2, 2, 2, 2}, 4, NULL), CLV_OK);
    value_of(g, "y")->dims[2] = value_of(g, "y")->dims[3] = 10;
    assert_int_equal(clvi_graph_set_metadata(g, "cleave", "yes", NULL), CLV_OK);
    assert_int_equal(clvi_pass_dead_code(g, NULL, NULL), CLV_OK);
    g = passes_through(g);

    size_t n;
    assert_int_equal(g->n_nodes, 3);
    assert_string_equal(g->nodes[1]->op_type, "Conv");
    assert_string_equal(g->values[g->nodes[1]->in[1]].name, "w_1");
    assert_string_equal(g->values[g->nodes[2]->in[0]].name, "c_1");
    assert_string_equal(clvi_node_string(g->nodes[1], "auto_pad", ""), "NOTSET");
    assert_int_equal(clvi_node_ints(g->nodes[0], "pads", &n)[0], 2);
    assert_int_equal(clvi_node_ints(g->nodes[0], "kernel_shape", &n)[0], 3);
    assert_string_equal(clvi_graph_metadata(g, "cleave"), "yes");
    assert_string_equal(clvi_graph_metadata(g, "key"), "value");
    assert_int_equal(value_of(g, "y")->dims[2], 10);
    assert_string_equal(value_of(g, "y")->dim_names[0], "n");
    assert_int_equal(clvi_graph_find_value(g, "n"), CLVI_NONE); /* its value info went with it */
    assert_int_equal(value_of(g, "c")->rank, 4);
    assert_int_equal(value_of(g, "b")->constant->dims[0], 2); /* Conv still reads it */
    assert_int_equal(clvi_graph_opset(g, ""), 13);
    assert_int_equal(g->ir_version, 7);
    clvi_graph_free(g);
}

static void subgraphs_follow_renamed_values(void **state)
{
    (void)state;
    clvi_str model = wire_strange_model();
    clvi_graph *g = reads_wire(&model);
    const int32_t s = clvi_graph_find_value(g, "s"), x = clvi_graph_find_value(g, "x");
    int32_t mid;
    assert_int_equal(clvi_graph_add_value(g, "mid", &mid, NULL), CLV_OK);
    clvi_node *nodes[2] = {g->nodes[0], clvi_node_new(g, "Abs", "", &x, 1, &mid, 1)};
    assert_int_equal(clvi_graph_replace(g, 0, nodes, 2, NULL), CLV_OK);
    assert_true(clvi_graph_redirect(g, s, mid));
    g = passes_through(g);
    const clvi_node *choice = g->nodes[2];
    assert_string_equal(choice->name, "choice");
    assert_int_equal(choice->n_capture, 3);
    bool found = false;
    for (size_t i = 0; i < 3; i++) {
        found |= strcmp(choice->capture_name[i], "mid") == 0;
        assert_string_not_equal(choice->capture_name[i], "s");
    }
    assert_true(found);
    clvi_graph_free(g);
}

static void old_models_list_new_initializers_as_inputs(void **state)
{
    (void)state;
    clvi_str model = wire_old_model();
    clvi_graph *g = reads_wire(&model);
    static float ones[4] = {1, 1, 1, 1};
    const clv_tensor weights = {CLV_FLOAT32, 2, {1, 4}, ones};
    int32_t fresh;
    assert_int_equal(clvi_graph_add_constant(g, "fresh", &weights, &fresh, NULL), CLV_OK);
    g->nodes[0]->in[1] = fresh;
    assert_int_equal(clvi_pass_dead_code(g, NULL, NULL), CLV_OK);
    g = passes_through(g);
    assert_int_equal(g->ir_version, 3);
    assert_int_equal(clvi_graph_find_value(g, "w"), CLVI_NONE);                      /* used until the edit */
    assert_true(value_of(g, "unused")->constant && value_of(g, "unused")->is_input); /* never used: stays */
    assert_true(value_of(g, "fresh")->is_input);
    assert_int_equal(value_of(g, "fresh")->dims[1], 4);
    assert_int_equal(g->n_inputs, 1);
    clvi_graph_free(g);
}

/* Found by fuzzing: the declaration of such an initializer was written twice. */
static void an_old_initializer_is_declared_once(void **state)
{
    (void)state;
    static const float numbers[2] = {1, 2};
    const int64_t dims[] = {1, 2};
    clvi_str graph = wire_graph("x", "y"), node = wire_node("Add", "", "x w", "y");
    clvi_str tensor = wire_tensor("w", CLV_FLOAT32, 2, dims, numbers, 8),
             info = wire_value_info("w", CLV_FLOAT32, 2, dims);
    put_message(&graph, 1, &node);
    put_message(&graph, 5, &tensor);
    put_message(&graph, 13, &info);
    clvi_str model = wire_model(3, 7, &graph);
    clvi_graph *g = reads_wire(&model);
    clvi_bytes bytes = writes(g);
    assert_int_equal(occurrences(bytes, "\1w"), 3); /* the node, the tensor, the input */
    clvi_free(bytes.data);
    clvi_graph_free(g);
}

static void broken_graphs_are_not_written(void **state)
{
    (void)state;
    clvi_str model = wire_small_model();
    clvi_graph *g = reads_wire(&model);
    clvi_bytes bytes;
    clv_error err = {0};
    g->n_nodes--;
    assert_int_equal(clvi_onnx_write_bytes(g, &bytes, &err), CLV_ERR_FORMAT);
    assert_null(bytes.data);
    assert_int_equal(clvi_onnx_write(g, "/tmp/cleave_never_written.onnx", &err), CLV_ERR_FORMAT);
    assert_int_equal(access("/tmp/cleave_never_written.onnx", F_OK), -1);
    g->n_nodes++;
    assert_int_equal(clvi_onnx_write(g, "/nowhere/model.onnx", &err), CLV_ERR_IO);
    clvi_graph_free(g);
}

/* --- a second file -------------------------------------------------------------------------------------------------
 */

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/cleave_onnx_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

/* The names in the folder that end so; each goes to `last` (may be NULL), and is removed on request. */
static int files(const char *ending, char last[256], bool removing)
{
    int n = 0;
    char path[512];
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        const size_t size = strlen(e->d_name), tail = strlen(ending);
        if (e->d_name[0] == '.' || size < tail || strcmp(e->d_name + size - tail, ending) != 0)
            continue;
        n++;
        if (last)
            (void)snprintf(last, 256, "%s", e->d_name);
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (removing)
            (void)remove(path);
    }
    if (dir)
        (void)closedir(dir);
    return n;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)files("", NULL, true);
    return rmdir(folder);
}

static clvi_graph *graph_with_large_weights(float first)
{
    clvi_str model = wire_small_model();
    clvi_graph *g = reads_wire(&model);
    float *numbers = clvi_calloc(2000, sizeof *numbers);
    assert_non_null(numbers);
    numbers[0] = first;
    numbers[1999] = 7;
    const clv_tensor large = {CLV_FLOAT32, 1, {2000}, numbers};
    int32_t id;
    assert_int_equal(clvi_graph_add_constant(g, "large", &large, &id, NULL), CLV_OK);
    assert_int_equal(clvi_graph_add_constant(g, "larger", &large, &id, NULL), CLV_OK);
    clvi_free(numbers);
    value_of(g, "w")->external = true;
    return g;
}

static void large_tensors_go_outside(void **state)
{
    (void)state;
    char path[256], data[256], again[256];
    clv_error err = {0};
    (void)snprintf(path, sizeof path, "%s/big.onnx", folder);
    clvi_graph *g = graph_with_large_weights(1), *back;
    assert_int_equal(clvi_onnx_write(g, path, &err), CLV_OK);
    assert_int_equal(files(".data", data, false), 1);
    assert_int_equal(strncmp(data, "big.onnx.", 9), 0);
    assert_int_equal(clvi_onnx_write(g, path, &err), CLV_OK); /* the same content has the same name */
    assert_int_equal(files(".data", again, false), 1);
    assert_string_equal(data, again);
    clvi_bytes file;
    assert_int_equal(clvi_file_read(&file, path, &err), CLV_OK);
    assert_true(file.size < 4096);
    if (clvi_onnx_read(&back, path, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_true(value_of(back, "larger")->external && !value_of(back, "b")->external);
    assert_true(((const float *)value_of(back, "larger")->constant->data)[1999] == 7);
    assert_true(((const float *)value_of(back, "large")->constant->data)[0] == 1);
    clvi_graph_free(back);
    clvi_graph_free(g);

    g = graph_with_large_weights(2); /* other content: the old pair's data stay where they are */
    assert_int_equal(clvi_onnx_write(g, path, &err), CLV_OK);
    assert_int_equal(files(".data", NULL, false), 2);
    clvi_graph_free(g);
    assert_int_equal(clvi_onnx_read_bytes(&back, file.data, file.size, folder, &err), CLV_OK);
    assert_true(((const float *)value_of(back, "large")->constant->data)[0] == 1);
    assert_int_equal(clvi_onnx_read_bytes(&g, file.data, file.size, NULL, &err), CLV_ERR_UNSUP);
    clvi_bytes inside = writes(back); /* into memory all tensors are inside */
    assert_true(inside.size > 16000);
    clvi_free(inside.data);
    clvi_graph_free(back);
    clvi_free(file.data);
    assert_int_equal(files("", NULL, true), 3); /* nothing temporary is left */
}

static void a_file_read_over_and_over_is_refused(void **state)
{
    (void)state;
    char path[256];
    clv_error err = {0};
    static uint8_t zeros[1 << 16];
    const int64_t dims[] = {1 << 14};
    (void)snprintf(path, sizeof path, "%s/shared.bin", folder);
    assert_int_equal(clvi_file_replace(path, zeros, sizeof zeros, NULL), CLV_OK);
    for (int times = 7; times <= 11; times += 4) {
        clvi_str graph = wire_graph("x", "y"), node = wire_node("Relu", "", "x", "y");
        put_message(&graph, 1, &node);
        for (int i = 0; i < times; i++) {
            clvi_str name = {0}, entry = {0};
            clvi_str_printf(&name, "w%d", i);
            clvi_str tensor = wire_tensor(name.text, CLV_FLOAT32, 1, dims, NULL, 0);
            put_text(&entry, 1, "location");
            put_text(&entry, 2, "shared.bin");
            put_message(&tensor, 13, &entry);
            put_int(&tensor, 14, 1);
            put_message(&graph, 5, &tensor);
            clvi_str_free(&name);
        }
        clvi_str model = wire_model(8, 13, &graph);
        clvi_graph *g = NULL;
        const clv_status st = clvi_onnx_read_bytes(&g, model.text, model.size, folder, &err);
        assert_int_equal(st, times == 7 ? CLV_OK : CLV_ERR_FORMAT);
        clvi_graph_free(g);
        clvi_str_free(&model);
    }
    assert_non_null(strstr(err.msg, "times over"));
}

/* What the model at path holds as the first weight; it must be whole. */
static float first_weight(const char *path)
{
    clvi_graph *g;
    clv_error err = {0};
    if (clvi_onnx_read(&g, path, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    const float first = ((const float *)value_of(g, "large")->constant->data)[0];
    assert_true(((const float *)value_of(g, "larger")->constant->data)[1999] == 7);
    assert_true(((const float *)value_of(g, "larger")->constant->data)[0] == first);
    clvi_graph_free(g);
    return first;
}

static void a_killed_writer_leaves_a_whole_pair(void **state)
{
    (void)state;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/killed.onnx", folder);
    clvi_graph *graphs[2] = {graph_with_large_weights(1), graph_with_large_weights(2)};
    assert_int_equal(clvi_onnx_write(graphs[0], path, NULL), CLV_OK);
    for (long i = 0; i < 25; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            for (size_t n = 0;; n++)
                if (clvi_onnx_write(graphs[n % 2], path, NULL) != CLV_OK)
                    _exit(1);
        const struct timespec pause = {0, 300000 * (1 + i)}; /* 0.3 to 7.5 ms: at any point of a write */
        int how;
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how));
        const float first = first_weight(path);
        assert_true(first == 1 || first == 2);
    }
    clvi_graph_free(graphs[0]);
    clvi_graph_free(graphs[1]);
    (void)files("", NULL, true);
}

/* A file may not grow beyond `limit` bytes, as on a full disk. */
static clv_status write_within(rlim_t limit, const clvi_graph *graph, const char *path, clv_error *err)
{
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    const struct rlimit small = {limit, old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const clv_status st = clvi_onnx_write(graph, path, err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    return st;
}

static void a_full_disk_leaves_a_whole_pair(void **state)
{
    (void)state;
    char path[256];
    clv_error err = {0};
    (void)snprintf(path, sizeof path, "%s/full.onnx", folder);
    clvi_graph *before = graph_with_large_weights(1), *after = graph_with_large_weights(2);
    assert_int_equal(clvi_onnx_write(before, path, NULL), CLV_OK);
    for (rlim_t limit = 0; limit < 16384; limit += 1000) { /* the data file has more bytes */
        assert_int_equal(write_within(limit, after, path, &err), CLV_ERR_IO);
        assert_non_null(strstr(err.msg, "full.onnx"));
        assert_true(first_weight(path) == 1);
        assert_int_equal(files("", NULL, false), 2);
    }
    value_of(after, "w")->external = false; /* and now in one file */
    assert_int_equal(write_within(9000, after, path, &err), CLV_ERR_IO);
    assert_true(first_weight(path) == 1);
    assert_int_equal(files("", NULL, false), 2);
    assert_int_equal(clvi_onnx_write(after, path, &err), CLV_OK);
    assert_true(first_weight(path) == 2);
    clvi_graph_free(before);
    clvi_graph_free(after);
    (void)files("", NULL, true);
}

static clv_status round_trip(const clvi_str *model, const char *path, clv_error *err)
{
    clvi_graph *g = NULL, *copy = NULL;
    clvi_bytes bytes = {0};
    clv_status st = clvi_onnx_read_bytes(&g, model->text, model->size, NULL, err);
    if (st == CLV_OK)
        st = clvi_graph_clone(&copy, g, err);
    if (st == CLV_OK)
        st = clvi_onnx_write_bytes(copy, &bytes, err);
    if (st == CLV_OK) {
        value_of(copy, "x")->external = value_of(copy, "flag")->external = true;
        st = clvi_onnx_write(copy, path, err);
    }
    clvi_free(bytes.data);
    clvi_graph_free(copy);
    clvi_graph_free(g);
    return st;
}

static void short_memory_is_a_status(void **state)
{
    (void)state;
    clvi_str model = wire_strange_model();
    const long live = clvi_mem_live();
    const int before = files("", NULL, false);
    clv_status st = CLV_ERR_NOMEM;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/short.onnx", folder);
    long permits = 0;
    for (; st != CLV_OK && permits < 10000; permits++) {
        clv_error err = {0};
        clvi_mem_fail_after(permits);
        st = round_trip(&model, path, &err);
        clvi_mem_fail_after(-1);
        if (st != CLV_OK) {
            assert_int_equal(st, CLV_ERR_NOMEM);
            assert_int_equal(access(path, F_OK), -1);
            assert_true(files("", NULL, false) <= before + 1); /* at most the finished data file */
        }
        assert_int_equal(clvi_mem_live(), live);
    }
    assert_int_equal(st, CLV_OK);
    assert_true(permits > 20);
    clvi_str_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(strange_parts_survive),
        cmocka_unit_test(typed_data_come_back_the_same),
        cmocka_unit_test(edited_graphs_are_written),
        cmocka_unit_test(subgraphs_follow_renamed_values),
        cmocka_unit_test(old_models_list_new_initializers_as_inputs),
        cmocka_unit_test(an_old_initializer_is_declared_once),
        cmocka_unit_test(broken_graphs_are_not_written),
        cmocka_unit_test(large_tensors_go_outside),
        cmocka_unit_test(a_killed_writer_leaves_a_whole_pair),
        cmocka_unit_test(a_full_disk_leaves_a_whole_pair),
        cmocka_unit_test(a_file_read_over_and_over_is_refused),
        cmocka_unit_test(short_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
