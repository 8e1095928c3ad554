/* SPDX-License-Identifier: Apache-2.0 */
/* cli_fixture DIR         writes the models, images and arrays that test_cli.sh works on
 * cli_fixture json FILE   exit status 0 when the file is JSON
 * cli_fixture float FILE.npy N X   exit status 0 when element N is X */
#include "cli/networks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cleave/data.h"
#include "cli/json_check.h"
#include "onnx/onnx.h"

static const char *in(const char *folder, const char *name)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void save(const char *folder, const char *name, clvi_graph *graph)
{
    clv_error err = {0};
    if (clvi_onnx_write(graph, in(folder, name), &err) != CLV_OK)
        fail_msg("%s", err.msg);
    clvi_graph_free(graph);
}

static void save_floats(const char *folder, const char *name, int64_t rows, int64_t columns, float first)
{
    clv_tensor t = {CLV_FLOAT32, 2, {rows, columns}, clvi_calloc((size_t)(rows * columns), sizeof(float))};
    assert_non_null(t.data);
    for (int64_t i = 0; i < rows * columns; i++)
        ((float *)t.data)[i] = first + (float)(i % 1000);
    assert_int_equal(clv_npy_write(&t, in(folder, name), NULL), CLV_OK);
    clvi_free(t.data);
}

static int make(const char *folder)
{
    enum { LARGE = 8 << 20 }; /* floats: 32 MB, long enough in writing to be killed at it */
    save(folder, "net.onnx", network_residual(1));
    save(folder, "other.onnx", network_residual(2));
    save(folder, "colour.onnx", network_colour());
    save(folder, "two.onnx", network_two_inputs());
    save(folder, "unknown.onnx", network_unknown_operator());
    save(folder, "large.onnx", network_identity(LARGE));
    save_floats(folder, "left.npy", 2, 3, 1);
    save_floats(folder, "right.npy", 2, 3, 10);
    save_floats(folder, "large.npy", 1, LARGE, 0);
    write_colour_images(in(folder, "images.bin"), 96);
    clvi_bytes whole;
    assert_int_equal(clvi_file_read(&whole, in(folder, "net.onnx"), NULL), CLV_OK);
    assert_int_equal(clvi_file_replace(in(folder, "cut.onnx"), whole.data, whole.size / 2, NULL), CLV_OK);
    clvi_free(whole.data);
    assert_int_equal(clvi_file_replace(in(folder, "noise.onnx"), "this is no model", 16, NULL), CLV_OK);
    assert_int_equal(clvi_file_replace(in(folder, "empty.onnx"), "", 0, NULL), CLV_OK);
    return 0;
}

static int check_json(const char *path)
{
    clvi_bytes text;
    if (clvi_file_read(&text, path, NULL) != CLV_OK)
        return 1;
    char *ended = clvi_grow(text.data, text.size, text.size + 1);
    if (!ended) {
        clvi_free(text.data);
        return 1;
    }
    ended[text.size] = '\0';
    const bool ok = strlen(ended) == text.size && is_json(ended);
    clvi_free(ended);
    return ok ? 0 : 1;
}

static int check_floats(const char *path, long index, double expected)
{
    clv_tensor t;
    clv_error err = {0};
    if (clv_npy_read(&t, path, &err) != CLV_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    const bool ok = t.dtype == CLV_FLOAT32 && index < clv_tensor_count(&t) &&
                    fabs((double)((float *)t.data)[index] - expected) < 1e-5;
    clv_npy_free(&t);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "json") == 0)
        return check_json(argv[2]);
    if (argc == 5 && strcmp(argv[1], "float") == 0)
        return check_floats(argv[2], atol(argv[3]), atof(argv[4]));
    return argc == 2 ? make(argv[1]) : 2;
}
