/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_roundtrip IN.onnx OUT.onnx: read a model and write it, nothing else. For roundtrip.py. */
#include <stdio.h>

#include "onnx/onnx.h"

int main(int argc, char **argv)
{
    clvi_graph *graph = NULL;
    clv_error err = {0};
    if (argc != 3) {
        (void)fprintf(stderr, "usage: onnx_roundtrip IN.onnx OUT.onnx\n");
        return 2;
    }
    clv_status st = clvi_onnx_read(&graph, argv[1], &err);
    if (st == CLV_OK)
        st = clvi_onnx_write(graph, argv[2], &err);
    clvi_graph_free(graph);
    if (st != CLV_OK)
        (void)fprintf(stderr, "%s: %s\n", clv_status_text(st), err.msg);
    return st == CLV_OK ? 0 : 1;
}
