/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/preprocess.h"

#include <inttypes.h>
#include <stdio.h>

/* A sentence that names the preset usual for the size of the input, or "". */
static void suggest(char *text, size_t size, const clvi_graph *graph)
{
    const clvi_value *v = graph->n_inputs == 1 ? &graph->values[graph->inputs[0]] : NULL;
    const int64_t h = v && v->rank == 4 ? v->dims[2] : -1, w = v && v->rank == 4 ? v->dims[3] : -1;
    const char *preset = h == 32 && w == 32 ? "cifar10" : h == 224 && w == 224 ? "imagenet" : NULL;
    text[0] = '\0';
    if (preset)
        (void)snprintf(text, size, "; the input is %" PRId64 " x %" PRId64 ", for which \"%s\" is usual", h, w, preset);
}

clv_status clvi_preprocess_resolve(clv_preprocess *out, const clvi_graph *graph, const clv_preprocess *given,
                                   clv_error *err)
{
    if (given) {
        *out = *given;
        return CLV_OK;
    }
    const char *stored = clvi_graph_metadata(graph, CLVI_PREPROCESS_KEY);
    if (stored)
        return clv_preprocess_parse(out, stored, err);
    char hint[96];
    suggest(hint, sizeof hint, graph);
    return FAIL(
        err, CLV_ERR_ARG,
        "the model does not say how its images are prepared: choose a preset (imagenet, cifar10, tf, caffe, unit, "
        "raw, ...) or give "
        "mean, std, scale and channel order%s",
        hint);
}
