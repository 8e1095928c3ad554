/* SPDX-License-Identifier: Apache-2.0 */
/* Add, Sub, Mul, Div and PRelu with broadcasting. Where an operand was repeated its gradient is the sum over what it
 * was repeated over, in the order of the output. */
#include <string.h>

#include "base/mem.h"
#include "train/node.h"

typedef enum binary_kind { ADD, SUB, MUL, DIV, PRELU } binary_kind;

typedef struct binary_state {
    binary_kind kind;
    size_t dims[CLV_MAX_RANK];    /* of the output, in the order of its memory */
    size_t step[2][CLV_MAX_RANK]; /* of the operands, 0 where repeated */
    int rank;
    bool same[2]; /* operand has the output's shape and layout */
} binary_state;

static void release(void *state)
{
    clvi_free(state);
}

/* The axes of a channels-last output in the order of its memory. */
static int axis_at(int rank, int place)
{
    static const int last[4] = {0, 2, 3, 1};
    return rank == 4 ? last[place] : place;
}

/* Steps of operand t, whose own memory is channels last when it is an activation of rank 4. */
static void set_steps(binary_state *s, int k, const clv_tensor *t, const clv_tensor *y)
{
    size_t own[CLV_MAX_RANK] = {0}, step = 1;
    const bool last = t->rank == 4 && !t->data;
    for (int p = t->rank; p-- > 0;) {
        const int axis = last ? axis_at(4, p) : p;
        own[axis] = t->dims[axis] == 1 ? 0 : step;
        step *= (size_t)t->dims[axis];
    }
    for (int p = 0; p < y->rank; p++) {
        const int axis = axis_at(y->rank, p) - (y->rank - t->rank);
        s->step[k][p] = axis < 0 ? 0 : own[axis];
    }
    s->same[k] = t->rank == y->rank && memcmp(t->dims, y->dims, (size_t)t->rank * sizeof *t->dims) == 0 &&
                 (t->rank != 4 || last);
}

static clv_status prepare(clvi_tnode *node, clv_error *err)
{
    const clv_tensor *const y = node->y[0];
    binary_state *const s = clvi_calloc(1, sizeof *s);
    if (!s)
        return FAIL(err, CLV_ERR_NOMEM, "operands");
    node->state = s;
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "PRelu"};
    while (!clvi_node_is(node->node, names[s->kind]))
        s->kind++;
    s->rank = y->rank;
    for (int p = 0; p < y->rank; p++)
        s->dims[p] = (size_t)y->dims[axis_at(y->rank, p)];
    for (int k = 0; k < 2; k++) {
        /* Activations of rank 4 meet those of lower rank only with their layouts apart. */
        if (!node->x[k]->data && node->x[k]->rank != y->rank)
            return FAIL(err, CLV_ERR_UNSUP, "operands of rank %d and %d cannot be trained through", node->x[0]->rank,
                        node->x[1]->rank);
        set_steps(s, k, node->x[k], y);
    }
    return CLV_OK;
}

/* Calls body(i, a, b) for every element i of the output, with the offsets of its operands. */
typedef struct walk {
    size_t at[CLV_MAX_RANK], a, b;
} walk;

static void next(walk *w, const binary_state *s)
{
    for (int p = s->rank; p-- > 0;) {
        w->a += s->step[0][p];
        w->b += s->step[1][p];
        if (++w->at[p] < s->dims[p])
            return;
        w->a -= s->step[0][p] * s->dims[p];
        w->b -= s->step[1][p] * s->dims[p];
        w->at[p] = 0;
    }
}

static inline float apply(binary_kind kind, float a, float b)
{
    switch (kind) {
    case ADD:
        return a + b;
    case SUB:
        return a - b;
    case MUL:
        return a * b;
    case DIV:
        return a / b;
    case PRELU:
        return a > 0 ? a : a * b;
    }
    return 0;
}

/* The derivative with respect to operand k. */
static inline float slope(binary_kind kind, int k, float a, float b)
{
    switch (kind) {
    case ADD:
        return 1;
    case SUB:
        return k ? -1 : 1;
    case MUL:
        return k ? a : b;
    case DIV:
        return k ? -a / (b * b) : 1 / b;
    case PRELU:
        return a > 0 ? (k ? 0 : 1) : (k ? a : b);
    }
    return 0;
}

static clv_status forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const binary_state *const s = node->state;
    const float *const a = clvi_tin(node, run, 0), *const b = clvi_tin(node, run, 1);
    float *const y = clvi_tout(node, run, 0);
    const size_t n = (size_t)clv_tensor_count(node->y[0]);
    (void)err;
    if (s->kind == ADD && s->same[0] && s->same[1]) {
        clvi_tloops(node->plan)->add(y, a, b, n);
        return CLV_OK;
    }
    walk w = {{0}, 0, 0};
    for (size_t i = 0; i < n; i++, next(&w, s))
        y[i] = apply(s->kind, a[w.a], b[w.b]);
    return CLV_OK;
}

/* Operand k's gradient into `to`, which is added to where the operand is repeated. */
static void backward_one(const clvi_tnode *node, clvi_trun *run, int k, float *to)
{
    const binary_state *const s = node->state;
    const float *const a = clvi_tin(node, run, 0), *const b = clvi_tin(node, run, 1);
    const float *const dy = clvi_tgrad_out(node, run, 0);
    const size_t n = (size_t)clv_tensor_count(node->y[0]);
    walk w = {{0}, 0, 0};
    for (size_t i = 0; i < n; i++, next(&w, s))
        to[k ? w.b : w.a] += dy[i] * (s->kind == ADD ? 1 : slope(s->kind, k, a[w.a], b[w.b]));
}

static clv_status backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    (void)err;
    const binary_state *const s = node->state;
    const float *const dy = clvi_tgrad_out(node, run, 0);
    const bool twice = node->node->in[0] == node->node->in[1];
    /* Operand 1 first: the gradient of operand 0 may take the place of dy. */
    for (int k = 2; k-- > 0;) {
        const bool add = twice ? k == 0 || node->add[0] : node->add[k];
        float *const dp = clvi_tparam_grad(node, run, (size_t)k), *const dx = clvi_tgrad_in(node, run, (size_t)k);
        const size_t n = (size_t)clv_tensor_count(node->x[k]);
        if (dp)
            backward_one(node, run, k, dp);
        if (!dx)
            continue;
        if (s->kind == ADD && s->same[k]) {
            if (add)
                clvi_tloops(node->plan)->accumulate(dx, dy, n);
            else if (dx != dy)
                memcpy(dx, dy, n * sizeof *dx);
            continue;
        }
        if (!add)
            memset(dx, 0, n * sizeof *dx);
        backward_one(node, run, k, dx);
    }
    return CLV_OK;
}

const clvi_gradient clvi_gradient_add = {
    .type = "Add", .prepare = prepare, .release = release, .forward = forward, .backward = backward, .in_place = 1};
const clvi_gradient clvi_gradient_sub = {
    .type = "Sub", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_mul = {
    .type = "Mul", .saves = 3u, .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_div = {
    .type = "Div", .saves = 3u, .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_prelu = {.type = "PRelu",
                                           .saves = 3u,
                                           .params = 2u,
                                           .prepare = prepare,
                                           .release = release,
                                           .forward = forward,
                                           .backward = backward};
