/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/input_shapes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/session.h"

#define DEFAULT_EXTENT 224

void clvi_shape_text(char *text, size_t size, int rank, const int64_t *dims, const char *const *symbols)
{
    size_t used = 0;
    if (rank < 1) {
        (void)snprintf(text, size, "%s", rank == 0 ? "scalar" : "unknown");
        return;
    }
    text[0] = '\0';
    for (int d = 0; d < rank && used < size; d++) {
        const char *separator = d ? "x" : "";
        int n;
        if (dims[d] >= 0)
            n = snprintf(text + used, size - used, "%s%" PRId64, separator, dims[d]);
        else
            n = snprintf(text + used, size - used, "%s%s", separator, symbols && symbols[d] ? symbols[d] : "?");
        used += n > 0 ? (size_t)n : 0;
    }
}

/* Which input a given shape is for; n_inputs when none. */
static size_t find_input(const clvi_graph *graph, const char *name)
{
    if (!name)
        return graph->n_inputs == 1 ? 0 : graph->n_inputs;
    size_t i = 0;
    while (i < graph->n_inputs && strcmp(graph->values[graph->inputs[i]].name, name) != 0)
        i++;
    return i;
}

static clv_status check_shape(const clvi_value *v, const clv_input_shape *s, clv_error *err)
{
    bool fits = s->rank >= 0 && s->rank <= CLV_MAX_RANK && (v->rank < 0 || v->rank == s->rank);
    for (int d = 0; fits && d < s->rank; d++)
        fits = s->dims[d] > 0 && (v->rank < 0 || v->dims[d] < 0 || v->dims[d] == s->dims[d]);
    if (fits)
        return CLV_OK;
    char declared[128], given[128];
    clvi_shape_text(declared, sizeof declared, v->rank, v->dims, v->dim_names);
    clvi_shape_text(given, sizeof given, s->rank <= CLV_MAX_RANK ? s->rank : -1, s->dims, NULL);
    return FAIL(err, CLV_ERR_ARG, "input \"%s\" is declared as %s, the shape given is %s", v->name, declared, given);
}

clv_status clvi_input_shapes(clv_tensor *inputs, bool *assumed, const clvi_graph *graph, const clv_input_shape *shapes,
                             size_t n_shapes, clv_error *err)
{
    clvi_default_inputs(graph, 1, DEFAULT_EXTENT, inputs);
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const clvi_value *v = &graph->values[graph->inputs[i]];
        assumed[i] = v->rank < 0;
        for (int d = 0; d < v->rank; d++)
            assumed[i] = assumed[i] || v->dims[d] < 0;
    }
    for (size_t k = 0; k < n_shapes; k++) {
        const size_t i = find_input(graph, shapes[k].name);
        if (i == graph->n_inputs)
            return FAIL(err, CLV_ERR_ARG, "the model has no input \"%s\"; it has %zu, the first called \"%s\"",
                        shapes[k].name ? shapes[k].name : "(the only one)", graph->n_inputs,
                        graph->n_inputs ? graph->values[graph->inputs[0]].name : "");
        TRY(check_shape(&graph->values[graph->inputs[i]], &shapes[k], err));
        inputs[i].rank = shapes[k].rank;
        memcpy(inputs[i].dims, shapes[k].dims, sizeof inputs[i].dims);
        assumed[i] = false;
    }
    return CLV_OK;
}
