/* SPDX-License-Identifier: Apache-2.0 */
#include "train/pairs.h"

#include <string.h>

#include "runtime/session.h"

static bool same_shape(const clv_tensor *a, const clv_tensor *b)
{
    return a->rank > 0 && a->rank == b->rank && a->dtype == CLV_FLOAT32 && b->dtype == CLV_FLOAT32 && !a->data &&
           !b->data && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

static const clvi_node *producer(const clvi_graph *graph, const clvi_uses *uses, int32_t v)
{
    return v == CLVI_NONE || uses->producer[v] == CLVI_NONE ? NULL : graph->nodes[uses->producer[v]];
}

/* What a Softmax reads, when v is what it gives. */
static int32_t logits(const clvi_graph *graph, const clvi_uses *uses, int32_t v)
{
    const clvi_node *const node = producer(graph, uses, v);
    return node && clvi_node_is(node, "Softmax") ? node->in[0] : v;
}

static bool is_activation(const clvi_node *node)
{
    static const char *const names[] = {"Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish", "Sigmoid", "Mul"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (clvi_node_is(node, names[i]))
            return true;
    return false;
}

typedef struct finder {
    const clvi_graph *student, *teacher;
    clvi_shapes s_shapes, t_shapes;
    clvi_uses s_uses, t_uses;
    clvi_pairs *out;
} finder;

/* Pair value t of the teacher with the student's of the same name. */
static void add_block(const finder *f, int32_t t)
{
    clvi_pairs *const p = f->out;
    const int32_t s = clvi_graph_find_value(f->student, f->teacher->values[t].name);
    if (s == CLVI_NONE || f->s_uses.producer[s] == CLVI_NONE || p->n == CLVI_MAX_PAIRS ||
        !same_shape(&f->s_shapes.values[s], &f->t_shapes.values[t]) || f->t_shapes.values[t].rank != 4)
        return;
    for (size_t i = 0; i < p->n; i++)
        if (p->student[i] == s)
            return;
    p->student[p->n] = s;
    p->teacher[p->n] = t;
    p->n++;
}

/* The activation that alone reads v, or v. */
static int32_t behind(const finder *f, int32_t v)
{
    const clvi_uses *const u = &f->t_uses;
    if (u->first[v + 1] - u->first[v] != 1)
        return v;
    const clvi_node *const node = f->teacher->nodes[u->consumer[u->first[v]]];
    return is_activation(node) && node->n_out == 1 ? node->out[0] : v;
}

static void find_blocks(const finder *f)
{
    const clvi_graph *const g = f->teacher;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (clvi_node_is(g->nodes[i], "Add") && !f->t_shapes.values[g->nodes[i]->out[0]].data)
            add_block(f, behind(f, g->nodes[i]->out[0]));
    if (f->out->n > f->out->n_outputs)
        return;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (is_activation(g->nodes[i]))
            add_block(f, g->nodes[i]->out[0]);
}

static clv_status find_outputs(const finder *f, clv_error *err)
{
    clvi_pairs *const p = f->out;
    if (f->student->n_outputs != f->teacher->n_outputs || f->student->n_outputs > CLVI_MAX_PAIRS / 2)
        return FAIL(err, CLV_ERR_ARG, "the model has %zu outputs, its teacher %zu", f->student->n_outputs,
                    f->teacher->n_outputs);
    for (size_t j = 0; j < f->student->n_outputs; j++) {
        p->student[j] = logits(f->student, &f->s_uses, f->student->outputs[j]);
        p->teacher[j] = logits(f->teacher, &f->t_uses, f->teacher->outputs[j]);
        const clv_tensor *const t = &f->t_shapes.values[p->teacher[j]];
        if (!same_shape(&f->s_shapes.values[p->student[j]], t))
            return FAIL(err, CLV_ERR_ARG, "output \"%s\" of the model has another shape than \"%s\" of its teacher",
                        f->student->values[f->student->outputs[j]].name,
                        f->teacher->values[f->teacher->outputs[j]].name);
        p->classes[j] = t->rank == 2 && t->dims[1] > 1;
    }
    p->n = p->n_outputs = f->student->n_outputs;
    return CLV_OK;
}

clv_status clvi_pairs_find(clvi_pairs *out, const clvi_graph *student, const clvi_graph *teacher,
                           const clv_tensor *input, clv_error *err)
{
    finder f = {.student = student, .teacher = teacher, .out = out};
    *out = (clvi_pairs){0};
    if (student->n_inputs != 1 || teacher->n_inputs != 1)
        return FAIL(err, CLV_ERR_UNSUP, "healing needs networks with one input");
    clv_status st = clvi_shapes_infer(&f.s_shapes, student, input, 1, err);
    if (st == CLV_OK)
        st = clvi_shapes_infer(&f.t_shapes, teacher, input, 1, err);
    if (st == CLV_OK)
        st = clvi_uses_create(&f.s_uses, student, err);
    if (st == CLV_OK)
        st = clvi_uses_create(&f.t_uses, teacher, err);
    if (st == CLV_OK)
        st = find_outputs(&f, err);
    if (st == CLV_OK)
        find_blocks(&f);
    clvi_uses_free(&f.s_uses);
    clvi_uses_free(&f.t_uses);
    clvi_shapes_free(&f.s_shapes);
    clvi_shapes_free(&f.t_shapes);
    return st;
}
