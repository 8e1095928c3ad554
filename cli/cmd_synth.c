/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "cleave/synth.h"
#include "verbs.h"

typedef struct arguments {
    clv_synth_opts opts;
    const char *data, *svg;
    int64_t seed;
} arguments;

static clv_status synth(app *a, arguments *args)
{
    clv_synth_opts *o = &args->opts;
    if (args->data) {
        o->white = strcmp(args->data, "white") == 0;
        o->correlated = strcmp(args->data, "correlated") == 0;
        if (!o->white && !o->correlated)
            return app_fail(a, CLV_ERR_ARG, "--data is \"%s\", white or correlated was expected", args->data);
    }
    o->seed = (uint64_t)args->seed;
    const size_t n = clv_synth_count(o);
    if (n == 0)
        return app_fail(a, CLV_ERR_ARG,
                        "a layer of %" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64
                        " with multipliers up to %" PRId64 " cannot be made",
                        o->out, o->in, o->kernel, o->kernel, o->max_multiplier);
    clv_synth_row *rows = calloc(n, sizeof *rows);
    clv_status st = rows ? clv_synth_run(rows, o, a->context, &a->err) : app_fail(a, CLV_ERR_NOMEM, "%zu rows", n);
    if (st == CLV_OK)
        st = clv_synth_report(rows, n, a->report, &a->err);
    if (st == CLV_OK)
        st = app_print(a);
    if (st == CLV_OK && args->svg)
        st = clv_synth_plot(rows, n, args->svg, &a->err);
    if (st == CLV_OK && args->svg)
        app_say(a, "wrote %s\n", args->svg);
    free(rows);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.opts = clv_synth_opts_default()};
    clv_synth_opts *o = &args.opts;
    size_t n;
    args.seed = (int64_t)o->seed;
    const option options[] = {
        {'o', "output", "FILE.svg", "also draw error against MACs", OPTION_TEXT, &args.svg},
        {0, "data", "KIND", "white or correlated (default: both)", OPTION_TEXT, &args.data},
        {0, "out", "N", "output channels of the layer (default 64)", OPTION_INT, &o->out},
        {0, "in", "N", "input channels (default 64)", OPTION_INT, &o->in},
        {0, "kernel", "N", "kernel size (default 3)", OPTION_INT, &o->kernel},
        {0, "max-multiplier", "N", "try 1 to N filters for each input channel (default kernel x kernel)", OPTION_INT,
         &o->max_multiplier},
        {0, "samples", "N", "patches that the fits are made from (default 4096)", OPTION_INT, &o->samples},
        {0, "seed", "N", "of layer and data (default 13)", OPTION_INT, &args.seed},
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, NULL, 0, &n);
    if (parsed != PARSED)
        return parsed;
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = synth(&a, &args);
    return app_finish(&a, st);
}

const verb verb_synth = {
    .name = "synth",
    .summary = "every method on a random layer: error against MACs, as table and chart",
    .synopsis = "[options]",
    .about = "Makes a layer of random weights and random input patches, white and correlated, splits the layer with\n"
             "every method at every size, and prints the relative error, on the patches that the fit saw and on\n"
             "fresh ones. Needs no model and no images.\n",
    .examples = "  cleave synth -o synth.svg\n"
                "  cleave synth --data correlated --max-multiplier 3 --json synth.json\n",
    .run = run,
};
