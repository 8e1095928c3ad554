/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/onnx_cycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/dead_code.h"
#include "onnx/onnx.h"

static void must(bool holds, const char *what, const clv_error *err)
{
    if (holds)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, err->msg);
    abort();
}

/* A copy of the graph without its dead nodes is still a model. */
static void prune(const clvi_graph *graph)
{
    clvi_graph *copy = NULL;
    clvi_bytes bytes;
    clv_error err = {0};
    must(clvi_graph_clone(&copy, graph, &err) == CLV_OK, "clone", &err);
    must(clvi_pass_dead_code(copy, NULL, &err) == CLV_OK, "dead code", &err);
    must(clvi_graph_verify(copy, &err) == CLV_OK, "verify after dead code", &err);
    must(clvi_onnx_write_bytes(copy, &bytes, &err) == CLV_OK, "write after dead code", &err);
    clvi_graph_free(copy);
    must(clvi_onnx_read_bytes(&copy, bytes.data, bytes.size, NULL, &err) == CLV_OK, "read after dead code", &err);
    clvi_graph_free(copy);
    clvi_free(bytes.data);
}

bool onnx_cycle(const uint8_t *bytes, size_t size)
{
    const long live = clvi_mem_live();
    clvi_graph *graph = NULL, *again = NULL;
    clv_error err = {0};
    clvi_bytes first, second;
    const clv_status st = clvi_onnx_read_bytes(&graph, bytes, size, NULL, &err);
    if (st != CLV_OK) {
        must(!graph && err.code == st && err.msg[0] && (st == CLV_ERR_FORMAT || st == CLV_ERR_UNSUP),
             "refusal without a reason", &err);
        must(clvi_mem_live() == live, "leak after a refusal", &err);
        return false;
    }
    must(clvi_graph_verify(graph, &err) == CLV_OK, "verify", &err);
    must(clvi_onnx_write_bytes(graph, &first, &err) == CLV_OK, "write", &err);
    must(clvi_onnx_read_bytes(&again, first.data, first.size, NULL, &err) == CLV_OK, "read again", &err);
    must(again->n_values == graph->n_values && again->n_nodes == graph->n_nodes, "sizes after reading again", &err);
    must(clvi_onnx_write_bytes(again, &second, &err) == CLV_OK, "write again", &err);
    must(first.size == second.size && memcmp(first.data, second.data, first.size) == 0, "written twice", &err);
    prune(graph);
    clvi_graph_free(graph);
    clvi_graph_free(again);
    clvi_free(first.data);
    clvi_free(second.data);
    must(clvi_mem_live() == live, "leak", &err);
    return true;
}
