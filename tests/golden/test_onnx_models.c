/* SPDX-License-Identifier: Apache-2.0 */
/* Every real model: read, copy and write give the file back, byte by byte where it is written as cleave writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"

#define MODELS "../shared/data/models"

static bool lists_initializers_as_inputs(const clvi_graph *graph)
{
    for (size_t v = 0; v < graph->n_values; v++)
        if (graph->values[v].is_input && graph->values[v].constant)
            return true;
    return false;
}

/* Both graphs hold the same constants under the same names. */
static void same_constants(const clvi_graph *a, const clvi_graph *b)
{
    for (size_t v = 0; v < a->n_values; v++) {
        const clv_tensor *tensor = a->values[v].constant;
        const int32_t id = clvi_graph_find_value(b, a->values[v].name);
        assert_true(id != CLVI_NONE);
        const clv_tensor *other = b->values[id].constant;
        assert_int_equal(!tensor, !other);
        if (!tensor)
            continue;
        assert_int_equal(tensor->dtype, other->dtype);
        assert_int_equal(tensor->rank, other->rank);
        assert_memory_equal(tensor->dims, other->dims, sizeof tensor->dims);
        assert_memory_equal(tensor->data, other->data,
                            (size_t)clv_tensor_count(tensor) * clv_dtype_size(tensor->dtype));
    }
}

static void check_model(const char *path)
{
    clv_error err = {0};
    clvi_bytes file, written;
    clvi_graph *graph, *copy, *again;
    assert_int_equal(clvi_file_read(&file, path, &err), CLV_OK);
    if (clvi_onnx_read(&graph, path, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(clvi_graph_clone(&copy, graph, &err), CLV_OK);
    if (clvi_onnx_write_bytes(copy, &written, &err) != CLV_OK)
        fail_msg("%s: %s", path, err.msg);
    assert_int_equal(clvi_onnx_read_bytes(&again, written.data, written.size, NULL, &err), CLV_OK);
    same_constants(graph, again);
    /* Initializers that are inputs come in the order of the inputs, and upstream's own files hold typed data. */
    if (!lists_initializers_as_inputs(graph)) {
        assert_int_equal(written.size, file.size);
        if (memcmp(file.data, written.data, file.size) != 0)
            fail_msg("%s: written otherwise than read", path);
    }
    clvi_graph_free(graph);
    clvi_graph_free(copy);
    clvi_graph_free(again);
    clvi_free(file.data);
    clvi_free(written.data);
}

static void models_come_out_as_they_went_in(void **state)
{
    (void)state;
    size_t checked = 0;
    DIR *dir = opendir(MODELS);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[512];
        const size_t n = strlen(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 5, ".onnx") != 0)
            continue;
        (void)snprintf(path, sizeof path, MODELS "/%s", e->d_name);
        check_model(path);
        checked++;
    }
    (void)closedir(dir);
    print_message("%zu models\n", checked);
    assert_true(checked > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(models_come_out_as_they_went_in)};
    DIR *dir = opendir(MODELS);
    if (!dir) {
        print_message("skipped: %s is not there\n", MODELS);
        return 77;
    }
    (void)closedir(dir);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
