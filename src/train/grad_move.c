/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only move numbers: Concat, Split, Slice, Pad, Gather, Transpose, Reshape, DepthToSpace, ...
 *
 *   y[i] = x[map(i)], or 0 where nothing moves there;   dx[map(i)] += dy[i]
 *
 * The map is not written down a second time here: the operator itself (src/ops) is run once at planning on integers
 * that name their own place, and what comes out says where each number came from. It is kept as runs of consecutive
 * numbers for one image; a second image proves that the operator treats all images alike. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "kernels/kernels.h"
#include "train/node.h"

typedef struct stretch {
    uint32_t to, from, n; /* within one image, channels last where the rank is 4 */
    uint32_t in;          /* input */
} stretch;

typedef struct output_map {
    stretch *runs;
    size_t n;
    bool whole; /* every number of the output is moved there */
} output_map;

typedef struct move_state {
    output_map *out; /* [n_out] */
    size_t n_out, n_in;
    size_t *image_in, *image_out; /* numbers of one image */
    size_t images;
    clvi_arena *arena;
} move_state;

static void release(void *state)
{
    move_state *const s = state;
    clvi_arena_free(s->arena);
    clvi_free(s);
}

/* --- running the operator on places ------------------------------------------------------------------------------ */

/* Input i for `images` images: place + 1 of every number, counted on over the inputs; 0 stays for "nothing". */
static clv_status places(clvi_arena *arena, clv_tensor *t, const clv_tensor *shape, int64_t images, int32_t *next,
                         clv_error *err)
{
    *t = *shape;
    t->dtype = CLV_INT32;
    t->dims[0] = images;
    const int64_t n = clv_tensor_count(t);
    if (n < 0 || n > INT32_MAX - *next)
        return FAIL(err, CLV_ERR_UNSUP, "more than 2^31 numbers for each image");
    int32_t *const p = clvi_arena_alloc(arena, (size_t)n * sizeof *p + 1);
    if (!p)
        return FAIL(err, CLV_ERR_NOMEM, "%" PRId64 " places", n);
    for (int64_t i = 0; i < n; i++)
        p[i] = (*next)++;
    t->data = p;
    return CLV_OK;
}

typedef struct trial {
    clv_tensor *in, *out;          /* [n_in], [n_out] */
    const clv_tensor **in_pointer; /* of the call */
    clv_tensor **out_pointer;
    int32_t *first; /* [n_in] place + 1 of input i's first number; 0: constant */
} trial;

static clv_status make_trial(trial *t, const clvi_tnode *node, clvi_arena *arena, int64_t images, clv_error *err)
{
    const size_t n_in = node->node->n_in, n_out = node->node->n_out;
    int32_t next = 1;
    t->in = clvi_arena_calloc(arena, n_in + 1, sizeof *t->in);
    t->out = clvi_arena_calloc(arena, n_out + 1, sizeof *t->out);
    t->in_pointer = clvi_arena_calloc(arena, n_in + 1, sizeof(void *));
    t->out_pointer = clvi_arena_calloc(arena, n_out + 1, sizeof(void *));
    t->first = clvi_arena_calloc(arena, n_in + 1, sizeof *t->first);
    if (!t->in || !t->out || !t->in_pointer || !t->out_pointer || !t->first)
        return FAIL(err, CLV_ERR_NOMEM, "map");
    for (size_t i = 0; i < n_in; i++) {
        if (!node->x[i])
            continue;
        t->in_pointer[i] = node->x[i];
        if (node->x[i]->data && node->x[i]->dtype != CLV_FLOAT32)
            continue;
        if (node->x[i]->data) { /* Pad's value: only zero, which is what the trial writes when it is left out */
            if (clv_tensor_count(node->x[i]) != 1 || *(const float *)node->x[i]->data != 0)
                return FAIL(err, CLV_ERR_UNSUP, "%s with a constant float operand cannot be trained through",
                            node->node->op_type);
            t->in_pointer[i] = NULL;
            continue;
        }
        t->first[i] = next;
        TRY(places(arena, &t->in[i], node->x[i], images, &next, err));
        t->in_pointer[i] = &t->in[i];
    }
    for (size_t j = 0; j < n_out; j++)
        t->out_pointer[j] = node->y[j] ? &t->out[j] : NULL;
    return CLV_OK;
}

static clv_status run_trial(trial *t, const clvi_tnode *node, clvi_arena *arena, int64_t images, clv_error *err)
{
    const clvi_op *const op = clvi_op_find(node->graph, node->node);
    const clvi_kernels kernels = clvi_kernels_for(CLVI_CPU_REF);
    TRY(make_trial(t, node, arena, images, err));
    clvi_op_call call = {.graph = node->graph,
                         .node = node->node,
                         .opset = clvi_graph_opset(node->graph, node->node->domain),
                         .n_in = node->node->n_in,
                         .n_out = node->node->n_out,
                         .in = t->in_pointer,
                         .out = t->out_pointer,
                         .kernels = &kernels};
    if (!op)
        return clvi_op_unsupported(node->graph, node->node, err);
    TRY(op->infer(&call, err));
    for (size_t j = 0; j < call.n_out; j++) {
        if (!t->out_pointer[j])
            continue;
        const int64_t n = clv_tensor_count(&t->out[j]);
        if (n < 0 || t->out[j].rank < 1 || t->out[j].dims[0] != images || t->out[j].dtype != CLV_INT32)
            return FAIL(err, CLV_ERR_UNSUP, "%s mixes the images of a batch", node->node->op_type);
        t->out[j].data = clvi_arena_calloc(arena, (size_t)n + 1, sizeof(int32_t));
        if (!t->out[j].data)
            return FAIL(err, CLV_ERR_NOMEM, "map of %" PRId64 " numbers", n);
    }
    const size_t work = op->work ? op->work(&call) : 0;
    call.work = work ? clvi_arena_alloc(arena, work + CLV_ALIGN) : NULL;
    if (op->prepare)
        TRY(op->prepare(&call, err));
    const clv_status st = op->run(&call, err);
    if (op->release && call.state)
        op->release(call.state);
    return st;
}

/* --- from places to runs ----------------------------------------------------------------------------------------- */

/* The place in memory, within its image, of number i in ONNX order. */
static size_t memory_place(const clv_tensor *t, size_t i)
{
    if (t->rank != 4)
        return i;
    const size_t hw = (size_t)(t->dims[2] * t->dims[3]), c = (size_t)t->dims[1];
    return i % hw * c + i / hw;
}

/* source[k]: for number k of the output's memory, 1 + its place among all inputs' memories of one image, or 0. */
static clv_status sources(int32_t *source, const trial *t, const clvi_tnode *node, size_t j, clv_error *err)
{
    const clv_tensor *const y = &t->out[j];
    const size_t image = (size_t)clv_tensor_count(y) / 2;
    const int32_t *const p = y->data;
    for (size_t i = 0; i < image; i++) {
        size_t in = 0, base = 1;
        int32_t from = p[i];
        const int32_t twin = p[image + i];
        if (from == 0 && twin == 0) {
            source[memory_place(y, i)] = 0;
            continue;
        }
        for (size_t k = 0; k < node->node->n_in; k++)
            if (t->first[k] && from >= t->first[k])
                in = k;
        const size_t size = (size_t)clv_tensor_count(&t->in[in]) / 2;
        from -= t->first[in];
        if (from < 0 || (size_t)from >= size || (size_t)twin != (size_t)t->first[in] + size + (size_t)from)
            return FAIL(err, CLV_ERR_UNSUP, "%s does not treat all images alike", node->node->op_type);
        for (size_t k = 0; k < in; k++)
            if (t->first[k])
                base += (size_t)clv_tensor_count(&t->in[k]) / 2;
        source[memory_place(y, i)] = (int32_t)(base + memory_place(&t->in[in], (size_t)from));
    }
    return CLV_OK;
}

static stretch make_run(const trial *t, const clvi_tnode *node, size_t to, int32_t source)
{
    stretch r = {.to = (uint32_t)to, .n = 1};
    size_t from = (size_t)source - 1;
    for (size_t k = 0; k < node->node->n_in; k++) {
        const size_t size = t->first[k] ? (size_t)clv_tensor_count(&t->in[k]) / 2 : 0;
        if (t->first[k] && from < size) {
            r.in = (uint32_t)k;
            r.from = (uint32_t)from;
            return r;
        }
        from -= size;
    }
    return r;
}

/* How many runs there are; they are written unless runs is NULL. */
static size_t join_runs(stretch *runs, const int32_t *source, size_t image, const trial *t, const clvi_tnode *node)
{
    stretch last = {0};
    size_t n = 0;
    for (size_t i = 0; i < image; i++) {
        if (!source[i])
            continue;
        const stretch r = make_run(t, node, i, source[i]);
        if (n > 0 && last.in == r.in && last.to + last.n == r.to && last.from + last.n == r.from) {
            last.n++;
        } else {
            last = r;
            n++;
        }
        if (runs)
            runs[n - 1] = last;
    }
    return n;
}

static clv_status make_runs(move_state *s, const trial *t, const clvi_tnode *node, size_t j, clvi_arena *scratch,
                            clv_error *err)
{
    const size_t image = (size_t)clv_tensor_count(&t->out[j]) / 2;
    output_map *const map = &s->out[j];
    int32_t *const source = clvi_arena_calloc(scratch, image + 1, sizeof *source);
    if (!source)
        return FAIL(err, CLV_ERR_NOMEM, "map of %zu numbers", image);
    TRY(sources(source, t, node, j, err));
    const size_t n = join_runs(NULL, source, image, t, node);
    map->runs = clvi_arena_calloc(s->arena, n + 1, sizeof *map->runs);
    if (!map->runs)
        return FAIL(err, CLV_ERR_NOMEM, "map of %zu runs", n);
    map->n = join_runs(map->runs, source, image, t, node);
    map->whole = true;
    for (size_t i = 0; i < image; i++)
        map->whole &= source[i] != 0;
    return CLV_OK;
}

static clv_status prepare(clvi_tnode *node, clv_error *err)
{
    trial t = {0};
    move_state *const s = clvi_calloc(1, sizeof *s);
    clvi_arena *const scratch = clvi_arena_create();
    clv_status st = CLV_OK;
    node->state = s;
    if (!s || !scratch || !(s->arena = clvi_arena_create()))
        st = FAIL(err, CLV_ERR_NOMEM, "map");
    if (st == CLV_OK) {
        s->n_out = node->node->n_out;
        s->n_in = node->node->n_in;
        s->out = clvi_arena_calloc(s->arena, s->n_out + 1, sizeof *s->out);
        s->image_in = clvi_arena_calloc(s->arena, s->n_in + 1, sizeof *s->image_in);
        s->image_out = clvi_arena_calloc(s->arena, s->n_out + 1, sizeof *s->image_out);
        if (!s->out || !s->image_in || !s->image_out)
            st = FAIL(err, CLV_ERR_NOMEM, "map");
    }
    if (st == CLV_OK)
        st = run_trial(&t, node, scratch, 2, err);
    for (size_t i = 0; st == CLV_OK && i < s->n_in; i++)
        s->image_in[i] = t.first[i] ? (size_t)clv_tensor_count(&t.in[i]) / 2 : 0;
    for (size_t j = 0; st == CLV_OK && j < s->n_out; j++) {
        if (!node->y[j])
            continue;
        s->images = (size_t)node->y[j]->dims[0];
        s->image_out[j] = (size_t)clv_tensor_count(&t.out[j]) / 2;
        if (s->image_out[j] * s->images != (size_t)clv_tensor_count(node->y[j]))
            st = FAIL(err, CLV_ERR_UNSUP, "%s has a shape that is not the batch's", node->node->op_type);
        else
            st = make_runs(s, &t, node, j, scratch, err);
    }
    clvi_arena_free(scratch);
    return st;
}

/* --- moving ------------------------------------------------------------------------------------------------------ */

static clv_status forward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const move_state *const s = node->state;
    (void)err;
    for (size_t j = 0; j < s->n_out; j++) {
        float *const y = clvi_tout(node, run, j);
        const output_map *const map = &s->out[j];
        if (!y)
            continue;
        if (!map->whole)
            memset(y, 0, s->images * s->image_out[j] * sizeof *y);
        for (size_t b = 0; b < s->images; b++)
            for (size_t k = 0; k < map->n; k++) {
                const stretch r = map->runs[k];
                memcpy(y + b * s->image_out[j] + r.to, clvi_tin(node, run, r.in) + b * s->image_in[r.in] + r.from,
                       r.n * sizeof *y);
            }
    }
    return CLV_OK;
}

static clv_status backward(const clvi_tnode *node, clvi_trun *run, clv_error *err)
{
    const move_state *const s = node->state;
    (void)err;
    for (size_t i = 0; i < s->n_in; i++) {
        float *const dx = clvi_tgrad_in(node, run, i);
        if (dx && !node->add[i])
            memset(dx, 0, s->images * s->image_in[i] * sizeof *dx);
    }
    for (size_t j = 0; j < s->n_out; j++) {
        const float *const dy = clvi_tgrad_out(node, run, j);
        const output_map *const map = &s->out[j];
        for (size_t b = 0; b < s->images && dy; b++)
            for (size_t k = 0; k < map->n; k++) {
                const stretch r = map->runs[k];
                float *const dx = clvi_tgrad_in(node, run, r.in);
                if (!dx)
                    continue;
                float *const to = dx + b * s->image_in[r.in] + r.from;
                const float *const from = dy + b * s->image_out[j] + r.to;
                for (size_t q = 0; q < r.n; q++)
                    to[q] += from[q];
            }
    }
    return CLV_OK;
}

const clvi_gradient clvi_gradient_concat = {
    .type = "Concat", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_split = {
    .type = "Split", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_slice = {
    .type = "Slice", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_pad = {
    .type = "Pad", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_gather = {
    .type = "Gather", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_transpose = {
    .type = "Transpose", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_reshape = {
    .type = "Reshape", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_flatten = {
    .type = "Flatten", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_squeeze = {
    .type = "Squeeze", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_unsqueeze = {
    .type = "Unsqueeze", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_identity = {
    .type = "Identity", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_dropout = {
    .type = "Dropout", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_depth_to_space = {
    .type = "DepthToSpace", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
const clvi_gradient clvi_gradient_space_to_depth = {
    .type = "SpaceToDepth", .prepare = prepare, .release = release, .forward = forward, .backward = backward};
