/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleave/frontier.h"
#include "inputs.h"
#include "verbs.h"

#define MAX_BUDGETS 64

typedef struct arguments {
    const char *in, *svg, *calibration, *eval, *budgets;
    image_options images;
    clv_compress_opts opts;
    texts keep;
    int64_t seed;
} arguments;

/* "macs=70%,50%,30%" -> "macs=70%", "macs=50%", ... */
typedef struct budget_list {
    char text[MAX_BUDGETS][48];
    const char *item[MAX_BUDGETS];
    int64_t n;
} budget_list;

static clv_status read_budgets(app *a, budget_list *to, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return app_fail(a, CLV_ERR_ARG, "--budgets \"%s\": macs=70%%,50%%,30%% was expected", text);
    const int name = (int)(equals - text);
    for (const char *at = equals + 1; at; at = strchr(at, ',')) {
        at += *at == ',';
        const int length = (int)strcspn(at, ",");
        if (to->n == MAX_BUDGETS || name + length + 2 > (int)sizeof to->text[0] || length == 0)
            return app_fail(a, CLV_ERR_ARG, "--budgets \"%s\": 1 to %d amounts with a comma between were expected",
                            text, MAX_BUDGETS);
        (void)snprintf(to->text[to->n], sizeof to->text[0], "%.*s=%.*s", name, text, length, at);
        to->item[to->n] = to->text[to->n];
        to->n++;
    }
    return CLV_OK;
}

static clv_status frontier(app *a, arguments *args)
{
    clv_model *model = NULL;
    clv_dataset *calibration = NULL, *test = NULL;
    const clv_preprocess *preprocess;
    clv_preprocess room;
    clv_frontier_point points[MAX_BUDGETS];
    budget_list budgets = {.n = 0};
    image_options plain = NO_IMAGE_OPTIONS; /* --limit is for the calibration images */
    plain.labels = args->images.labels;
    args->images.labels = NULL;
    clv_status st = read_budgets(a, &budgets, args->budgets);
    if (st == CLV_OK)
        st = clv_model_load(&model, args->in, &a->err);
    if (st == CLV_OK)
        st = choose_preprocess(a, &args->images, model, &room, &preprocess);
    if (st == CLV_OK)
        st = open_dataset(a, &args->images, args->calibration, &calibration);
    if (st == CLV_OK)
        st = open_dataset(a, &plain, args->eval ? args->eval : args->calibration, &test);
    if (st == CLV_OK)
        st = clv_frontier(points, model, budgets.item, budgets.n, &args->opts, calibration, preprocess, test,
                          a->context, a->report, &a->err);
    if (st == CLV_OK)
        st = app_print(a);
    if (st == CLV_OK && args->svg)
        st = clv_frontier_plot(points, budgets.n, args->svg, &a->err);
    if (st == CLV_OK && args->svg)
        app_say(a, "wrote %s\n", args->svg);
    clv_dataset_free(calibration);
    clv_dataset_free(test);
    clv_model_free(model);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.images = NO_IMAGE_OPTIONS,
                      .opts = clv_compress_opts_default(),
                      .seed = 1,
                      .budgets = "macs=70%,50%,40%,30%,20%,15%"};
    size_t n;
    const option options[] = {
        {'o', "output", "FILE.svg", "also draw accuracy against cost", OPTION_TEXT, &args.svg},
        {0, "calibration", "PATH", "unlabelled images that the fits are made on", OPTION_TEXT, &args.calibration},
        {0, "budgets", "LIST", "macs=, params=, bytes= or latency= and amounts\n(default macs=70%,50%,40%,30%,20%,15%)",
         OPTION_TEXT, &args.budgets},
        {0, "eval", "PATH", "images that the networks are judged on (default: the calibration images,\nwhich flatters)",
         OPTION_TEXT, &args.eval},
        {0, "labels", "FILE", "labels of the --eval images (default: their folders)", OPTION_TEXT, &args.images.labels},
        {0, "stats", "FILE", "keep statistics and search in this .clvstats file, or use what is there", OPTION_TEXT,
         &args.opts.stats},
        {0, "form", "NAME", "restrict the search to this form", OPTION_TEXT, &args.opts.form},
        {0, "first", NULL, "also split convolutions that read the input of the network", OPTION_FLAG, &args.opts.first},
        {0, "keep", "LAYER", "leave this layer alone; may be repeated", OPTION_TEXTS, &args.keep},
        {0, "samples", "N", "image patches for each convolution (default 32768)", OPTION_INT, &args.opts.samples},
        {0, "seed", "N", "of the random choices (default 1)", OPTION_INT, &args.seed},
        IMAGE_OPTIONS(&args.images),
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &args.in, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1 || !args.calibration)
        return usage_error(v, "%s", n != 1 ? "which model?" : "which images? --calibration PATH");
    args.opts.keep = args.keep.item;
    args.opts.n_keep = args.keep.n;
    args.opts.seed = (uint64_t)args.seed;
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = frontier(&a, &args);
    return app_finish(&a, st);
}

const verb verb_frontier = {
    .name = "frontier",
    .summary = "what each budget leaves of the accuracy, as table and chart",
    .synopsis = "IN.onnx --calibration PATH [--eval PATH] [options]",
    .about = "Compresses the model under each of several budgets, from one pass over the calibration images and one\n"
             "search, and measures every result: accuracy where the --eval images have labels, else how often both\n"
             "networks choose the same class, or the error of the output. Writes no models: `compress --stats` does,\n"
             "for the budget that you like.\n",
    .examples = "  cleave frontier net.onnx --calibration photos/ --preprocess imagenet --eval val/ -o frontier.svg\n"
                "  cleave frontier net.onnx --calibration photos/ --budgets params=60%,40%,25% --stats net.clvstats\n"
                "  cleave frontier net.onnx --calibration photos/ --budgets latency=80%,60%,40% --threads 1\n",
    .run = run,
};
