/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleave/bench.h"
#include "figures.h"
#include "verbs.h"

#define MAX_SHAPES 16
#define NAME_SIZE  256

typedef struct arguments {
    texts shapes;
    const char *engines, *python;
    clv_bench_opts opts;
    int64_t rounds;
} arguments;

static clv_status against(app *a, const arguments *args, const clv_model *model, const char *path)
{
    char script[SCRIPT_PATH];
    clv_against_opts o = clv_against_opts_default();
    const int both[] = {1, clv_context_threads(a->context)};
    o.path = path;
    o.engines = args->engines;
    o.script = find_rivals(script);
    o.python = args->python ? args->python : getenv("CLEAVE_PYTHON");
    o.rounds = args->rounds ? args->rounds : o.rounds;
    if (a->threads == 0 && both[1] > 1) {
        o.threads = both;
        o.n_threads = 2;
    }
    if (access(o.script, R_OK) != 0)
        return app_fail(a, CLV_ERR_IO, "the script %s is not there: set CLEAVE_SHARE to the folder of rivals.py",
                        o.script);
    return clv_bench_against(model, &args->opts, &o, a->context, a->report, &a->err);
}

/* An engine that was asked for and is not there is said once more, where it is seen. */
static void say_missing(app *a)
{
    char path[64];
    for (size_t i = 0;; i++) {
        (void)snprintf(path, sizeof path, "against.%zu.engine", i);
        const char *const name = clv_report_string(a->report, path);
        (void)snprintf(path, sizeof path, "against.%zu.note", i);
        const char *const note = clv_report_string(a->report, path);
        if (!name)
            return;
        if (note && *note)
            app_say(a, "%s: %s\n", name, note);
    }
}

static clv_status bench(app *a, arguments *args, const char *path)
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
        st = args->engines ? against(a, args, model, path)
                           : clv_bench(model, &args->opts, a->context, a->report, &a->err);
    if (st == CLV_OK)
        st = app_print(a);
    if (st == CLV_OK)
        say_missing(a);
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
        {0, "per-layer", NULL, "also a table of the steps, slowest first, with the floor of each", OPTION_FLAG,
         &args.opts.layers},
        {0, "against", "ENGINES",
         "compare with onnxruntime, openvino, ncnn, mnn (a list with commas),\n"
         "with 1 thread and with all unless --threads says how many",
         OPTION_TEXT, &args.engines},
        {0, "trace", "FILE.json", "write an average run as Chrome trace (chrome://tracing, Perfetto)", OPTION_TEXT,
         &args.opts.trace},
        {0, "batch", "N", "images at once, where the model leaves it open (default 1)", OPTION_INT, &args.opts.batch},
        {0, "input-shape", "NAME=1,3,H,W",
         "shape of an input whose sizes the model leaves open;\nNAME= may be left out when there is one input",
         OPTION_TEXTS, &args.shapes},
        {0, "runs", "N", "at least so many runs (default 100)", OPTION_INT, &args.opts.runs},
        {0, "seconds", "S", "and at least so long (default 1)", OPTION_REAL, &args.opts.seconds},
        {0, "rounds", "N", "with --against: turns that every engine takes (default 9)", OPTION_INT, &args.rounds},
        {0, "python", "PROGRAM",
         "with --against: the Python that has the other engines\n"
         "(default: $CLEAVE_PYTHON, else python3)",
         OPTION_TEXT, &args.python},
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &path, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1)
        return usage_error(v, "which model?");
    if (args.engines && (args.opts.layers || args.opts.trace))
        return usage_error(v, "--per-layer and --trace are about cleave alone: leave --against out");
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = bench(&a, &args, path);
    return app_finish(&a, st);
}

const verb verb_bench = {
    .name = "bench",
    .summary = "how long a model takes: percentiles, layer by layer, against other engines",
    .synopsis = "MODEL.onnx [options]",
    .about =
        "Times a model on made-up inputs: least time and percentiles, and the share of the multiply-add peak that\n"
        "was measured in the same run. --per-layer compares each step with its floor: its multiply-adds at that\n"
        "peak, or the bytes that it must move at the measured bandwidth. --against takes turns with other engines\n"
        "and prints how many times longer they take, with the spread over the turns, and whether they agree.\n",
    .examples = "  cleave bench mobilenet_v2.onnx\n"
                "  cleave bench mobilenet_v2.onnx --threads 1 --per-layer --trace trace.json\n"
                "  cleave bench mobilenet_v2.onnx --against onnxruntime,openvino --json bench.json\n",
    .run = run,
};
