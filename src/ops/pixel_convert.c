/* SPDX-License-Identifier: Apache-2.0 */
/* Data that only move. Between planes (NCHW) and pixels: a transpose of [c, h * w] an image, in blocks that stay in L1;
 * a part of an image; and the channel shuffle: a transpose of [groups, c / groups] a pixel, alone or with the
 * concatenation before and the split behind it. */
#include <string.h>

#include "base/size.h"
#include "ops/pixels.h"
#include "ops/walk.h"

#define BLOCK 32 /* pixels and channels of a block */

typedef struct transpose {
    const float *from;
    float *to;
    size_t rows, columns; /* to[j * to_ld + i] = from[i * from_ld + j], i < rows, j < columns */
    size_t from_ld, to_ld;
    size_t from_image, to_image; /* floats */
    size_t blocks;               /* of columns, for one image */
} transpose;

static void transpose_blocks(void *arg, int64_t begin, int64_t end)
{
    const transpose *t = arg;
    for (size_t index = (size_t)begin; index < (size_t)end; index++) {
        const size_t image = index / t->blocks, j0 = index % t->blocks * BLOCK;
        const size_t j1 = clvi_min_size(j0 + BLOCK, t->columns);
        const float *const from = t->from + image * t->from_image;
        float *const to = t->to + image * t->to_image;
        if (t->rows == 3) { /* a picture */
            const float *const a = from, *const b = from + t->from_ld, *const c = b + t->from_ld;
            for (size_t j = j0; j < j1; j++) {
                to[j * t->to_ld] = a[j];
                to[j * t->to_ld + 1] = b[j];
                to[j * t->to_ld + 2] = c[j];
            }
            continue;
        }
        for (size_t i0 = 0; i0 < t->rows; i0 += BLOCK) {
            const size_t i1 = clvi_min_size(i0 + BLOCK, t->rows);
            for (size_t j = j0; j < j1; j++)
                for (size_t i = i0; i < i1; i++)
                    to[j * t->to_ld + i] = from[i * t->from_ld + j];
        }
    }
}

static void run_transpose(const clvi_pixel_step *step, transpose *t, size_t images)
{
    t->blocks = (t->columns + BLOCK - 1) / BLOCK;
    clvi_split_range(step->pool, (int64_t)(images * t->blocks), 1 + (int64_t)(32768 / (BLOCK * t->rows + 1)),
                     transpose_blocks, t);
}

static void run_from_planes(const clvi_pixel_step *step)
{
    const clvi_pixels *y = &step->y;
    const size_t plane = y->h * y->w;
    transpose t = {.from = step->tensor->data,
                   .to = y->data,
                   .rows = y->c,
                   .columns = plane,
                   .from_ld = plane,
                   .to_ld = y->ld,
                   .from_image = y->c * plane,
                   .to_image = plane * y->ld};
    run_transpose(step, &t, y->n);
}

static void run_to_planes(const clvi_pixel_step *step)
{
    const clvi_pixels *x = &step->x;
    const size_t plane = x->h * x->w;
    transpose t = {.from = x->data,
                   .to = step->tensor->data,
                   .rows = plane,
                   .columns = x->c,
                   .from_ld = x->ld,
                   .to_ld = plane,
                   .from_image = plane * x->ld,
                   .to_image = x->c * plane};
    run_transpose(step, &t, x->n);
}

const clvi_pixel_kind clvi_pixel_from_planes = {"to channels last", NULL, run_from_planes};
const clvi_pixel_kind clvi_pixel_to_planes = {"from channels last", NULL, run_to_planes};

/* Rows of all images of y. */
static void part_rows(void *arg, int64_t begin, int64_t end)
{
    const clvi_pixel_step *const step = arg;
    const clvi_pixels *const x = &step->x, *const y = &step->y;
    const clvi_pixel_region *const p = &step->region;
    const size_t behind = y->c - p->front - p->channels;
    for (size_t line = (size_t)begin; line < (size_t)end; line++) {
        const size_t row = p->row + line % y->h * p->row_step;
        const float *from = x->data + ((line / y->h * x->h + row) * x->w + p->column) * x->ld + p->first;
        float *to = y->data + line * y->w * y->ld;
        for (size_t q = 0; q < y->w; q++, from += p->column_step * x->ld, to += y->ld) {
            memset(to, 0, p->front * sizeof *to);
            memcpy(to + p->front, from, p->channels * sizeof *to);
            memset(to + p->front + p->channels, 0, behind * sizeof *to);
        }
    }
}

static void run_part(const clvi_pixel_step *step)
{
    const clvi_pixels *const y = &step->y;
    clvi_split_range(step->pool, (int64_t)(y->n * y->h), 1 + (int64_t)(32768 / (y->w * y->c + 1)), part_rows,
                     (void *)(uintptr_t)step);
}

const clvi_pixel_kind clvi_pixel_part = {"part, channels last", NULL, run_part};

static void shuffle_pixels(void *arg, int64_t begin, int64_t end)
{
    const clvi_pixel_step *step = arg;
    const size_t groups = step->groups, n = step->x.c / groups;
    for (size_t p = (size_t)begin; p < (size_t)end; p++) {
        const float *const x = step->x.data + p * step->x.ld;
        float *const y = step->y.data + p * step->y.ld;
        if (groups == 2) {
            for (size_t j = 0; j < n; j++) {
                y[2 * j] = x[j];
                y[2 * j + 1] = x[n + j];
            }
        } else {
            for (size_t g = 0; g < groups; g++)
                for (size_t j = 0; j < n; j++)
                    y[j * groups + g] = x[g * n + j];
        }
    }
}

static void run_shuffle(const clvi_pixel_step *step)
{
    const clvi_pixels *x = &step->x;
    clvi_split_range(step->pool, (int64_t)(x->n * x->h * x->w), 1 + (int64_t)(32768 / (x->c + 1)), shuffle_pixels,
                     (void *)(uintptr_t)step);
}

const clvi_pixel_kind clvi_pixel_shuffle = {"channel shuffle", NULL, run_shuffle};

/* to[2 j] = a[j], to[2 j + 1] = b[j], n of them. */
static void interleave(const float *a, const float *b, float *to, size_t n)
{
    for (size_t j = 0; j < n / 2; j++) {
        to[2 * j] = a[j];
        to[2 * j + 1] = b[j];
    }
    if (n % 2)
        to[n - 1] = a[n / 2];
}

static void exchange_pixels(void *arg, int64_t begin, int64_t end)
{
    const clvi_pixel_step *step = arg;
    const size_t n = step->x.c, half = step->y.c;
    for (size_t p = (size_t)begin; p < (size_t)end; p++) {
        const float *const a = step->x.data + p * step->x.ld, *const b = step->other.data + p * step->other.ld;
        float *const y = step->y.data + p * step->y.ld;
        interleave(a, b, y, half);
        if (half == 2 * n)
            continue;
        float *const rest = step->rest.data + p * step->rest.ld;
        if (half % 2 == 0) {
            interleave(a + half / 2, b + half / 2, rest, n);
        } else { /* begins with the second of a pair */
            rest[0] = b[half / 2];
            interleave(a + half / 2 + 1, b + half / 2 + 1, rest + 1, n - 1);
        }
    }
}

static void run_exchange(const clvi_pixel_step *step)
{
    const clvi_pixels *x = &step->x;
    clvi_split_range(step->pool, (int64_t)(x->n * x->h * x->w), 1 + (int64_t)(8192 / (x->c + 1)), exchange_pixels,
                     (void *)(uintptr_t)step);
}

const clvi_pixel_kind clvi_pixel_exchange = {"concat + channel shuffle + split", NULL, run_exchange};
