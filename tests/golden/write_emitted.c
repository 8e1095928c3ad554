/* SPDX-License-Identifier: Apache-2.0 */
/* write_emitted FOLDER: for each case of compress/emit_cases.h the network with the dense convolution,
 * <case>.dense.onnx, with the chain in every way of writing it, <case>.<emit>.onnx, and that after the passes which
 * take out what nobody reads, <case>.<emit>.pruned.onnx. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compress/emit_cases.h"
#include "onnx/onnx.h"
#include "runtime/passes.h"

static const char *folder;

static void write_graph(const clvi_graph *graph, size_t at, const char *emit, const char *what)
{
    char path[512];
    clv_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%02zu-%s.%s%s.onnx", folder, at, emit_cases[at].form, emit, what);
    if (clvi_onnx_write(graph, path, &err) != CLV_OK)
        fail_msg("%s: %s", path, err.msg);
}

static void write_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof emit_cases / sizeof *emit_cases; i++)
        for (int emit = CLVI_EMIT_PARALLEL; emit <= CLVI_EMIT_GATHER; emit++) {
            const char *name = clvi_emit_name((clvi_emit)emit);
            clvi_graph *dense, *written;
            emit_case_make(&dense, &written, &emit_cases[i], (clvi_emit)emit);
            write_graph(dense, i, "dense", "");
            write_graph(written, i, name, "");
            assert_int_equal(clvi_pass_absorb_constants(written, NULL), CLV_OK);
            assert_int_equal(clvi_pass_prune_channels(written, NULL), CLV_OK);
            write_graph(written, i, name, ".pruned");
            clvi_graph_free(dense);
            clvi_graph_free(written);
        }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(write_all)};
    if (argc != 2)
        return 2;
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
