/* SPDX-License-Identifier: Apache-2.0 */
/* Topological order by depth-first search from the nodes in the order of the file. */
#include <string.h>

#include "onnx/onnx_proto.h"

enum { NEW, OPEN, DONE };

typedef struct sorter {
    const clvi_graph *graph;
    clvi_uses uses;
    uint8_t *state;
    int32_t *stack; /* open nodes, each waiting for the one above it */
    size_t *next;   /* [n_nodes] which of its reads a node looks at next */
    clvi_node **sorted;
    size_t n_sorted;
} sorter;

/* A node that must come before `node` and has not; CLVI_NONE when there is none. */
static int32_t next_pending(sorter *s, int32_t index)
{
    const clvi_node *node = s->graph->nodes[index];
    for (size_t i = s->next[index]++; i < node->n_in + node->n_capture; i = s->next[index]++) {
        const int32_t value = i < node->n_in ? node->in[i] : node->capture[i - node->n_in];
        const int32_t producer = value == CLVI_NONE ? CLVI_NONE : s->uses.producer[value];
        if (producer != CLVI_NONE && s->state[producer] != DONE)
            return producer;
    }
    return CLVI_NONE;
}

static clv_status visit(sorter *s, int32_t root, clv_error *err)
{
    size_t depth = 0;
    s->stack[depth++] = root;
    s->state[root] = OPEN;
    while (depth) {
        const int32_t top = s->stack[depth - 1], pending = next_pending(s, top);
        if (pending == CLVI_NONE) {
            s->state[top] = DONE;
            s->sorted[s->n_sorted++] = s->graph->nodes[top];
            depth--;
        } else if (s->state[pending] == OPEN) {
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\" depends on its own output",
                        clvi_node_label(s->graph, s->graph->nodes[pending]));
        } else {
            s->state[pending] = OPEN;
            s->stack[depth++] = pending;
        }
    }
    return CLV_OK;
}

clv_status clvi_onnx_sort(clvi_graph *graph, clv_error *err)
{
    const size_t n = graph->n_nodes;
    sorter s = {.graph = graph};
    TRY(clvi_uses_create(&s.uses, graph, err));
    s.state = clvi_calloc(n, sizeof *s.state);
    s.stack = clvi_alloc_array(n, sizeof *s.stack);
    s.next = clvi_calloc(n, sizeof *s.next);
    s.sorted = clvi_alloc_array(n, sizeof *s.sorted);
    clv_status st = s.state && s.stack && s.next && s.sorted ? CLV_OK : clvi_proto_no_memory(err);
    for (size_t i = 0; st == CLV_OK && i < n; i++)
        if (s.state[i] == NEW)
            st = visit(&s, (int32_t)i, err);
    if (st == CLV_OK && n)
        memcpy(graph->nodes, s.sorted, n * sizeof *s.sorted);
    clvi_free(s.state);
    clvi_free(s.stack);
    clvi_free(s.next);
    clvi_free(s.sorted);
    clvi_uses_free(&s.uses);
    return st;
}
