// SPDX-License-Identifier: Apache-2.0
#include "ops/walk.h"

#include <string.h>

enum { row_grain = 16384 }; /* elements a task handles at least: about ten microseconds of an addition */

clvi_walk clvi_walk_over(int rank, const int64_t *dims)
{
    clvi_walk w = {.rank = rank};
    if (rank)
        memcpy(w.dims, dims, (size_t)rank * sizeof dims[0]);
    return w;
}

void clvi_walk_add(clvi_walk *walk, const void *base, const int64_t *stride)
{
    const int k = walk->operands++;
    walk->base[k] = (char *)base;
    if (walk->rank)
        memcpy(walk->stride[k], stride, (size_t)walk->rank * sizeof stride[0]);
}

void clvi_walk_add_tensor(clvi_walk *walk, const clv_tensor *tensor)
{
    int64_t stride[CLVI_WALK_RANK] = {0};
    int64_t step = (int64_t)clv_dtype_size(tensor->dtype);
    for (int i = tensor->rank - 1, j = walk->rank - 1; i >= 0 && j >= 0; i--, j--) {
        stride[j] = tensor->dims[i] == 1 ? 0 : step;
        step *= tensor->dims[i];
    }
    clvi_walk_add(walk, tensor->data, stride);
}

void clvi_dense_strides(int rank, const int64_t *dims, size_t element, int64_t *stride)
{
    int64_t step = (int64_t)element;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= dims[i];
    }
}

/* Drop axes of extent 1 and join axis i to i+1 where every operand's stride runs on: s[i] = s[i+1] * dims[i+1]. */
static void merge_axes(clvi_walk *w)
{
    int last = -1; /* the innermost merged axis so far; built from the left */
    for (int i = 0; i < w->rank; i++) {
        if (w->dims[i] == 1)
            continue;
        bool joins = last >= 0;
        for (int k = 0; k < w->operands && joins; k++)
            joins = w->stride[k][last] == w->stride[k][i] * w->dims[i];
        const int to = joins ? last : ++last;
        w->dims[to] = joins ? w->dims[to] * w->dims[i] : w->dims[i];
        for (int k = 0; k < w->operands; k++)
            w->stride[k][to] = w->stride[k][i];
    }
    w->rank = last + 1;
    if (!w->rank) {
        w->rank = 1;
        w->dims[0] = 1;
        for (int k = 0; k < w->operands; k++)
            w->stride[k][0] = 0;
    }
}

typedef struct walk_job {
    const clvi_walk *walk;
    clvi_walk_row row;
    void *ctx;
    int64_t piece, pieces; /* a row is cut into `pieces` of `piece` elements */
} walk_job;

/* Units are row pieces in row-major order; an odometer follows the rows. */
static void run_units(void *arg, int64_t begin, int64_t end)
{
    const walk_job *job = arg;
    const clvi_walk *w = job->walk;
    const int inner = w->rank - 1;
    int64_t index[CLVI_WALK_RANK] = {0};
    int64_t stride[CLVI_WALK_OPERANDS];
    char *p[CLVI_WALK_OPERANDS], *q[CLVI_WALK_OPERANDS];

    for (int k = 0; k < w->operands; k++) {
        p[k] = w->base[k];
        stride[k] = w->stride[k][inner];
    }
    int64_t rest = begin / job->pieces, piece = begin % job->pieces;
    for (int i = inner - 1; i >= 0; i--) {
        index[i] = rest % w->dims[i];
        rest /= w->dims[i];
        for (int k = 0; k < w->operands; k++)
            p[k] += index[i] * w->stride[k][i];
    }
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t first = piece * job->piece, left = w->dims[inner] - first;
        for (int k = 0; k < w->operands; k++)
            q[k] = p[k] + first * stride[k];
        job->row(job->ctx, q, stride, left < job->piece ? left : job->piece);
        if (++piece < job->pieces)
            continue;
        piece = 0;
        for (int i = inner - 1; i >= 0; i--) {
            const int64_t back = ++index[i] < w->dims[i] ? 0 : w->dims[i];
            for (int k = 0; k < w->operands; k++)
                p[k] += (1 - back) * w->stride[k][i];
            if (!back)
                break;
            index[i] = 0;
        }
    }
}

void clvi_walk_run(clvi_walk *walk, clvi_pool *pool, clvi_walk_row row, void *ctx)
{
    for (int i = 0; i < walk->rank; i++)
        if (walk->dims[i] == 0)
            return;
    merge_axes(walk);

    const int64_t n = walk->dims[walk->rank - 1];
    walk_job job = {walk, row, ctx, n < row_grain ? n : row_grain, 0};
    job.pieces = (n + job.piece - 1) / job.piece;
    int64_t units = job.pieces;
    for (int i = 0; i < walk->rank - 1; i++)
        units *= walk->dims[i];
    clvi_split_range(pool, units, (row_grain + job.piece - 1) / job.piece, run_units, &job);
}

static void copy_row(void *ctx, char *const *p, const int64_t *stride, int64_t n)
{
    const size_t element = *(const size_t *)ctx;
    char *to = p[0];
    const char *from = p[1];
    const int64_t st = stride[0], sf = stride[1];

    if (st == (int64_t)element && sf == (int64_t)element) {
        memcpy(to, from, (size_t)n * element);
        return;
    }
    switch (element) { /* a memcpy of constant size is one move */
    case 1:
        for (int64_t i = 0; i < n; i++)
            to[i * st] = from[i * sf];
        break;
    case 4:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * st, from + i * sf, 4);
        break;
    case 8:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * st, from + i * sf, 8);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * st, from + i * sf, element);
    }
}

void clvi_copy_strided(clvi_pool *pool, size_t element, int rank, const int64_t *dims, void *to,
                       const int64_t *to_stride, const void *from, const int64_t *from_stride)
{
    clvi_walk w = clvi_walk_over(rank, dims);
    clvi_walk_add(&w, to, to_stride);
    clvi_walk_add(&w, from, from_stride);
    clvi_walk_run(&w, pool, copy_row, &element);
}

static void chosen_rows(void *ctx, int64_t begin, int64_t end)
{
    const clvi_choice *c = ctx;
    const int inner = c->rank - 1;
    const int64_t n = c->dims[inner], *last = c->offset[inner];
    for (int64_t row = begin; row < end; row++) {
        char *to = (char *)c->to + row * n * (int64_t)c->element;
        int64_t rest = row, base = 0;
        bool outside = false;
        for (int i = inner - 1; i >= 0; i--) {
            const int64_t offset = c->offset[i][rest % c->dims[i]];
            outside = outside || offset < 0;
            base += offset;
            rest /= c->dims[i];
        }
        const char *from = (const char *)c->from + (outside ? 0 : base);
        for (int64_t i = 0; i < n; i++, to += c->element) {
            const void *source = outside || last[i] < 0 ? c->outside : from + last[i];
            if (c->element == 4)
                memcpy(to, source, 4);
            else
                memcpy(to, source, c->element);
        }
    }
}

void clvi_copy_chosen(clvi_pool *pool, clvi_choice *choice)
{
    const int64_t n = choice->dims[choice->rank - 1];
    int64_t rows = 1;
    for (int i = 0; i < choice->rank - 1; i++)
        rows *= choice->dims[i];
    clvi_split_range(pool, rows, 1 + row_grain / n, chosen_rows, choice);
}

void clvi_fill(void *to, size_t element, const void *value, int64_t n)
{
    static const char zero[16] = {0};
    char *p = to;
    if (n && element <= sizeof zero && !memcmp(value, zero, element))
        memset(to, 0, (size_t)n * element);
    else if (element == 4)
        for (int64_t i = 0; i < n; i++)
            memcpy(p + i * 4, value, 4);
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(p + i * (int64_t)element, value, element);
}

void clvi_copy_bytes(void *to, const void *from, size_t n)
{
    if (n && to != from)
        memcpy(to, from, n);
}

typedef struct range_job {
    clvi_range fn;
    void *ctx;
    int64_t n, grain;
} range_job;

static void run_range(void *arg, size_t index, int worker)
{
    const range_job *job = arg;
    const int64_t begin = (int64_t)index * job->grain, left = job->n - begin;
    (void)worker;
    job->fn(job->ctx, begin, begin + (left < job->grain ? left : job->grain));
}

void clvi_split_range(clvi_pool *pool, int64_t n, int64_t grain, clvi_range fn, void *ctx)
{
    range_job job = {fn, ctx, n, grain < 1 ? 1 : grain};
    if (n <= 0)
        return;
    if (n <= job.grain)
        fn(ctx, 0, n);
    else
        clvi_pool_run(pool, (size_t)((n + job.grain - 1) / job.grain), run_range, &job);
}

clvi_axis_view clvi_view_axis(const clv_tensor *tensor, int axis)
{
    clvi_axis_view v = {1, tensor->dims[axis], 1};
    for (int i = 0; i < axis; i++)
        v.outer *= tensor->dims[i];
    for (int i = axis + 1; i < tensor->rank; i++)
        v.inner *= tensor->dims[i];
    return v;
}
