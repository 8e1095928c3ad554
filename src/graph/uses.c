/* SPDX-License-Identifier: Apache-2.0 */
/* Producers and consumers of every value, by counting sort. */
#include <limits.h>
#include <string.h>

#include "base/size.h"
#include "graph/graph.h"

/* Call count(v) or place node index for every read of node i: inputs, then captures. */
static void count_reads(int32_t *counts, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] != CLVI_NONE)
            counts[ids[i]]++;
}

static void place_reads(clvi_uses *uses, int32_t *next, const int32_t *ids, size_t n, int32_t node)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] != CLVI_NONE)
            uses->consumer[next[ids[i]]++] = node;
}

clv_status clvi_uses_create(clvi_uses *out, const clvi_graph *graph, clv_error *err)
{
    *out = (clvi_uses){0};
    size_t reads = 0;
    for (size_t i = 0; i < graph->n_nodes; i++)
        reads += graph->nodes[i]->n_in + graph->nodes[i]->n_capture;
    clvi_uses uses = {clvi_alloc_array(graph->n_values, sizeof(int32_t)),
                      clvi_calloc(graph->n_values + 1, sizeof(int32_t)), clvi_alloc_array(reads, sizeof(int32_t))};
    int32_t *next = clvi_calloc(graph->n_values, sizeof(int32_t));
    clv_status st = CLV_OK;
    if (reads > INT32_MAX || graph->n_nodes > INT32_MAX)
        st = FAIL(err, CLV_ERR_UNSUP, "graph: %zu nodes with %zu inputs are too many", graph->n_nodes, reads);
    else if (!uses.producer || !uses.first || !uses.consumer || !next)
        st = FAIL(err, CLV_ERR_NOMEM, "graph: uses of %zu values", graph->n_values);
    if (st != CLV_OK)
        goto out;

    for (size_t v = 0; v < graph->n_values; v++)
        uses.producer[v] = CLVI_NONE;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *node = graph->nodes[i];
        for (size_t j = 0; j < node->n_out; j++)
            if (node->out[j] != CLVI_NONE)
                uses.producer[node->out[j]] = (int32_t)i;
        count_reads(next, node->in, node->n_in);
        count_reads(next, node->capture, node->n_capture);
    }
    for (size_t v = 0; v < graph->n_values; v++) {
        uses.first[v + 1] = uses.first[v] + next[v];
        next[v] = uses.first[v];
    }
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const clvi_node *node = graph->nodes[i];
        place_reads(&uses, next, node->in, node->n_in, (int32_t)i);
        place_reads(&uses, next, node->capture, node->n_capture, (int32_t)i);
    }
    *out = uses;
    uses = (clvi_uses){0};
out:
    clvi_free(next);
    clvi_uses_free(&uses);
    return st;
}

void clvi_uses_free(clvi_uses *uses)
{
    clvi_free(uses->producer);
    clvi_free(uses->first);
    clvi_free(uses->consumer);
    *uses = (clvi_uses){0};
}
