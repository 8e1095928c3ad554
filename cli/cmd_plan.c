/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "cleave/bench.h"
#include "inputs.h"
#include "verbs.h"

#define MAX_SHAPES 16
#define NAME_SIZE  256
#define ROWS       16
#define COLUMNS    96

typedef struct arguments {
    texts shapes;
    clv_bench_opts opts;
} arguments;

/* A piece of the block of activations, and its life. */
typedef struct piece {
    double offset, bytes, first, last;
} piece;

static bool read_piece(const app *a, size_t i, piece *to)
{
    const struct {
        const char *key;
        double *value;
    } fields[] = {{"offset", &to->offset}, {"bytes", &to->bytes}, {"first", &to->first}, {"last", &to->last}};
    char path[64];
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
        (void)snprintf(path, sizeof path, "buffers.%zu.%s", i, fields[k].key);
        if (clv_report_number(a->report, path, fields[k].value, NULL) != CLV_OK)
            return false;
    }
    return true;
}

/* Which piece is at this address at this time, as a letter; '.': none. */
static char letter_at(const piece *pieces, size_t n, double address, double time)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (size_t i = 0; i < n; i++)
        if (pieces[i].first <= time && time <= pieces[i].last && pieces[i].offset <= address &&
            address < pieces[i].offset + pieces[i].bytes)
            return letters[i % (sizeof letters - 1)];
    return '.';
}

/* Addresses downwards, steps to the right: a letter is a row of the table of buffers, in its order. */
static void draw(const piece *pieces, size_t n, double block, size_t times)
{
    const size_t columns = times < COLUMNS ? times : COLUMNS;
    (void)printf(
        "\nblock of activations: addresses downwards, steps 0 to %zu to the right, a letter for each buffer in the "
        "order above\n",
        times - 1);
    for (size_t r = 0; r < ROWS; r++) {
        const double address = block * ((double)r + 0.5) / ROWS;
        (void)printf("%9.1f KiB |", block * (double)r / ROWS / 1024);
        for (size_t c = 0; c < columns; c++)
            (void)putchar(letter_at(pieces, n, address, (double)(c * times / columns)));
        (void)puts("|");
    }
}

static clv_status print_picture(app *a)
{
    double block, steps;
    size_t n = 0;
    piece one, *pieces = NULL;
    if (clv_report_number(a->report, "memory.block_bytes", &block, NULL) != CLV_OK || block <= 0 ||
        clv_report_number(a->report, "model.steps", &steps, NULL) != CLV_OK)
        return CLV_OK;
    while (read_piece(a, n, &one)) {
        piece *const more = realloc(pieces, (n + 1) * sizeof *pieces);
        if (!more) {
            free(pieces);
            return app_fail(a, CLV_ERR_NOMEM, "picture of %zu buffers", n + 1);
        }
        pieces = more;
        pieces[n++] = one;
    }
    draw(pieces, n, block, (size_t)steps + 2);
    free(pieces);
    return CLV_OK;
}

static clv_status plan(app *a, arguments *args, const char *path)
{
    clv_input_shape shapes[MAX_SHAPES];
    char names[MAX_SHAPES][NAME_SIZE];
    clv_model *model = NULL;
    clv_status st = CLV_OK;
    if (args->shapes.n > MAX_SHAPES)
        return app_fail(a, CLV_ERR_ARG, "at most %d inputs can be given a shape", MAX_SHAPES);
    for (size_t i = 0; st == CLV_OK && i < args->shapes.n; i++)
        st = parse_input_shape(a, args->shapes.item[i], names[i], sizeof names[i], &shapes[i]);
    args->opts.shapes = shapes;
    args->opts.n_shapes = args->shapes.n;
    if (st == CLV_OK)
        st = clv_model_load(&model, path, &a->err);
    if (st == CLV_OK)
        st = clv_report_set_text(a->report, "file", path, &a->err);
    if (st == CLV_OK)
        st = clv_plan(model, &args->opts, a->context, a->report, &a->err);
    if (st == CLV_OK)
        st = app_print(a);
    if (st == CLV_OK)
        st = print_picture(a);
    clv_model_free(model);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.opts = clv_bench_opts_default()};
    const char *path;
    size_t n;
    const option options[] = {
        {0, "batch", "N", "images at once, where the model leaves it open (default 1)", OPTION_INT, &args.opts.batch},
        {0, "input-shape", "NAME=1,3,H,W",
         "shape of an input whose sizes the model leaves open;\nNAME= may be left out when there is one input",
         OPTION_TEXTS, &args.shapes},
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &path, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1)
        return usage_error(v, "which model?");
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = plan(&a, &args, path);
    return app_finish(&a, st);
}

const verb verb_plan = {
    .name = "plan",
    .summary = "how a model would be run: fused steps, kernels, memory",
    .synopsis = "MODEL.onnx [options]",
    .about =
        "Prints the steps that the runtime makes of a model, in order: the kernel of each, the ONNX nodes that run in\n"
        "it as one, the shapes that go in and out as they lie in memory (channels last: [n, h, w, c]), multiply-adds,\n"
        "and the bytes of activations alive meanwhile. Then the block that all activations share: where each\n"
        "lies, and from which step to which it is alive; and a picture of that.\n",
    .examples = "  cleave plan mobilenet_v2.onnx\n"
                "  cleave plan detector.onnx --input-shape 1,3,480,640 --json plan.json\n"
                "  CLEAVE_FUSE=none cleave plan mobilenet_v2.onnx\n",
    .run = run,
};
