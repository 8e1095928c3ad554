/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleave/bench.h"
#include "cleave/compress.h"
#include "cleave/frontier.h"
#include "cleave/heal.h"
#include "figures.h"
#include "summary.h"
#include "verbs.h"

typedef struct arguments {
    const char *in, *out, *calibration, *eval;
    image_options images;
    clv_compress_opts opts;
    texts keep;
    double min_top1, max_drop;
    char budget[CLV_BUDGET_TEXT], stats[4096]; /* found by --max-drop, and what it keeps meanwhile */
    int64_t seed, rounds, memory;
    char journal[4096], recipe_out[4096]; /* beside the output */
    const char *heal, *heal_images, *summary;
    clv_heal_opts heal_opts; /* with heal or heal_opts.steps */
    bool bench;
    int argc;
    char **argv;
} arguments;

/* Copy the figure at `from` of one report to `to` of another, when it is there. */
static clv_status carry(app *a, const clv_report *source, const char *from, const char *to, int digits)
{
    double value;
    if (clv_report_number(source, from, &value, NULL) != CLV_OK)
        return CLV_OK;
    return digits < 0 ? clv_report_set_int(a->report, to, (int64_t)value, &a->err)
                      : clv_report_set_real(a->report, to, value, digits, &a->err);
}

typedef struct figure {
    const char *from, *to;
    int digits;
} figure;

/* Of the compressed model against its original, and of the healed one. */
static const figure compressed_figures[] = {
    {"against.top1", "before.top1", 2},
    {"against.top5", "before.top5", 2},
    {"against.confidence", "before.confidence", 2},
    {"against.images_per_second", "before.images_per_second", 1},
    {"accuracy.top1", "after.top1", 2},
    {"accuracy.top5", "after.top5", 2},
    {"accuracy.confidence", "after.confidence", 2},
    {"images.images_per_second", "after.images_per_second", 1},
    {"agreement.same_class", "agreement.same_class", 2},
    {"agreement.top1_change", "agreement.top1_change", 2},
    {"agreement.top1_change_standard_error", "agreement.top1_change_standard_error", 2},
    {"outputs.0.relative_error", "agreement.relative_error", 4},
    {"images.count", "agreement.images", -1},
};
static const figure healed_figures[] = {
    {"accuracy.top1", "healed.top1", 2},
    {"accuracy.top5", "healed.top5", 2},
    {"accuracy.confidence", "healed.confidence", 2},
    {"agreement.same_class", "healed.same_class", 2},
    {"agreement.top1_change", "healed.top1_change", 2},
    {"agreement.top1_change_standard_error", "healed.top1_change_standard_error", 2},
    {"outputs.0.relative_error", "healed.relative_error", 4},
};

static clv_status evaluate(app *a, const arguments *args, const clv_model *after, const clv_model *before,
                           const clv_preprocess *preprocess, bool healed)
{
    const figure *const figures = healed ? healed_figures : compressed_figures;
    const size_t n = healed ? sizeof healed_figures / sizeof *figures : sizeof compressed_figures / sizeof *figures;
    clv_dataset *dataset = NULL;
    clv_report *evaluation = NULL;
    clv_evaluate_opts opts = clv_evaluate_opts_default();
    image_options plain = NO_IMAGE_OPTIONS; /* --limit is for the calibration images */
    plain.labels = args->images.labels;
    opts.against = before;
    opts.preprocess = preprocess;
    opts.no_check = true; /* the calibration has been checked */
    clv_status st = open_dataset(a, &plain, args->eval, &dataset);
    if (st == CLV_OK)
        st = clv_report_create(&evaluation, &a->err);
    if (st == CLV_OK)
        st = clv_evaluate(after, dataset, &opts, a->context, evaluation, &a->err);
    for (size_t i = 0; i < n && st == CLV_OK; i++)
        st = carry(a, evaluation, figures[i].from, figures[i].to, figures[i].digits);
    clv_report_free(evaluation);
    clv_dataset_free(dataset);
    return st;
}

/* --- after the fits: healing, timing ----------------------------------------------------------------------------- */

static bool interrupted(const app *a)
{
    const char *const stopped = clv_report_string(a->report, "healing.stopped");
    return stopped && strcmp(stopped, "interrupted") == 0;
}

static clv_status heal(app *a, const arguments *args, clv_model *after, const clv_model *before,
                       const clv_preprocess *preprocess)
{
    clv_dataset *images = NULL;
    image_options all = args->images; /* --limit is for the fits: learning gains from every image */
    all.limit = 0;
    all.labels = NULL;
    clv_status st = open_dataset(a, &all, args->heal_images ? args->heal_images : args->calibration, &images);
    if (st == CLV_OK)
        st = clv_heal(after, before, images, preprocess, &args->heal_opts, a->context, a->report, &a->err);
    clv_dataset_free(images);
    if (st == CLV_OK && args->eval && !interrupted(a))
        st = evaluate(a, args, after, before, preprocess, true);
    return st;
}

/* The original against the result, which is in its file by now; with ONNX Runtime where there is one: single images on
 * one thread, then batches on all. */
static clv_status bench(app *a, const arguments *args, const clv_model *before, const clv_model *after)
{
    static const int64_t batches[2] = {1, 32};
    char script[SCRIPT_PATH];
    const clv_contestant pair[2] = {{before, args->in}, {after, args->out}};
    const int threads[2] = {1, clv_context_threads(a->context)};
    clv_against_opts o = clv_against_opts_default();
    clv_bench_opts b = clv_bench_opts_default();
    o.engines = "onnxruntime";
    o.script = find_rivals(script);
    o.python = getenv("CLEAVE_PYTHON");
    o.n_threads = 1;
    clv_status st = CLV_OK;
    for (int i = 0; i < 2 && st == CLV_OK; i++) {
        b.batch = batches[i];
        o.threads = &threads[i];
        st = clv_bench_pair(pair, &b, &o, a->context, a->report, &a->err);
        if (st == CLV_ERR_IO && o.engines) {
            app_say(a, "%s: timed in cleave alone\n", a->err.msg);
            o.engines = NULL;
            st = clv_bench_pair(pair, &b, &o, a->context, a->report, &a->err);
        }
    }
    return st;
}

static clv_status file_bytes(app *a, const char *path, const char *key)
{
    struct stat info;
    return stat(path, &info) == 0 ? clv_report_set_int(a->report, key, (int64_t)info.st_size, &a->err) : CLV_OK;
}

static clv_status check_floor(app *a, double floor)
{
    double top1;
    if (floor < 0)
        return CLV_OK;
    if (clv_report_number(a->report, "healed.top1", &top1, NULL) != CLV_OK &&
        clv_report_number(a->report, "after.top1", &top1, NULL) != CLV_OK)
        return app_fail(a, CLV_ERR_VERIFY,
                        "there is no accuracy to hold against --min-top1: the images of --eval have "
                        "no labels, or the model is no classifier");
    if (top1 < floor)
        return app_fail(a, CLV_ERR_VERIFY,
                        "top-1 accuracy is %.2f %% after compression, at least %.2f %% was asked for: nothing "
                        "is written",
                        top1, floor);
    return CLV_OK;
}

/* The two names may lead to the same file: then the input would be overwritten. */
static clv_status check_output(app *a, const arguments *args)
{
    if (same_file(args->in, args->out))
        return app_fail(a, CLV_ERR_ARG, "\"%s\" is the input itself; the output needs a file of its own", args->out);
    return CLV_OK;
}

/* Files that stand beside the output: the journal until the output is safe, the recipe for good. */
static clv_status name_files(app *a, arguments *args)
{
    struct stat info;
    const bool device = args->out && stat(args->out, &info) == 0 && !S_ISREG(info.st_mode);
    if (!args->out || args->opts.dry_run || device)
        return CLV_OK;
    if (strlen(args->out) > sizeof args->journal - 32)
        return app_fail(a, CLV_ERR_ARG, "the name of the output has %zu characters", strlen(args->out));
    (void)snprintf(args->journal, sizeof args->journal, "%s.journal", args->out);
    (void)snprintf(args->recipe_out, sizeof args->recipe_out, "%s.recipe.json", args->out);
    args->opts.journal = args->journal;
    if (!args->opts.recipe_out)
        args->opts.recipe_out = args->recipe_out;
    return CLV_OK;
}

/* "cleave compress ...", words with other than plain characters in quotes. */
static void join_command(char *text, size_t size, int argc, char **argv)
{
    size_t used = (size_t)snprintf(text, size, "cleave");
    for (int i = 0; i < argc && used < size; i++) {
        const bool plain = strcspn(argv[i], " ?&*;|<>()$\\\"'`") == strlen(argv[i]);
        used += (size_t)snprintf(text + used, size - used, plain ? " %s" : " \"%s\"", argv[i]);
    }
}

static clv_status finish_files(app *a, const arguments *args)
{
    char command[4096];
    if (!args->summary)
        return CLV_OK;
    join_command(command, sizeof command, args->argc, args->argv);
    return summary_write(a, args->summary, command);
}

/* Save, time and print; a model below the accuracy floor is reported, not saved. */
static clv_status finish(app *a, const arguments *args, const clv_model *before, const clv_model *after)
{
    const clv_status verdict = check_floor(a, args->min_top1);
    const clv_error why = a->err;
    clv_status st = file_bytes(a, args->in, "before.file_bytes");
    if (st == CLV_OK && verdict == CLV_OK)
        st = clv_model_save(after, args->out, &a->err);
    if (st == CLV_OK && args->opts.journal)
        (void)remove(args->opts.journal);
    if (st == CLV_OK && verdict == CLV_OK)
        st = file_bytes(a, args->out, "after.file_bytes");
    if (st == CLV_OK && verdict == CLV_OK && args->bench && !interrupted(a))
        st = bench(a, args, before, after);
    if (st == CLV_OK)
        st = app_print(a);
    if (st == CLV_OK)
        st = finish_files(a, args);
    if (st != CLV_OK)
        return st;
    summary_print(a);
    a->err = why;
    if (verdict == CLV_OK && interrupted(a))
        return app_fail(a, CLV_ERR_INTERRUPTED, "interrupted while healing; \"%s\" holds the best so far", args->out);
    return verdict;
}

/* The budget that keeps the drop within --max-drop. Statistics and search are kept for the run that follows. */
static clv_status search_budget(app *a, arguments *args, const clv_model *model, clv_dataset *calibration,
                                const clv_preprocess *preprocess)
{
    clv_dataset *test = NULL;
    image_options plain = NO_IMAGE_OPTIONS;
    plain.labels = args->images.labels;
    if (!args->opts.stats) {
        (void)snprintf(args->stats, sizeof args->stats, "%s.max-drop.clvstats", args->out);
        (void)remove(args->stats);
        args->opts.stats = args->stats;
    }
    clv_status st = open_dataset(a, &plain, args->eval, &test);
    if (st == CLV_OK)
        st = clv_frontier_search(args->budget, NULL, model, args->max_drop, &args->opts, calibration, preprocess, test,
                                 a->context, a->report, &a->err);
    args->opts.budget = args->budget;
    clv_dataset_free(test);
    return st;
}

static clv_status compress(app *a, arguments *args)
{
    clv_model *before = NULL, *after = NULL;
    clv_dataset *dataset = NULL;
    const clv_preprocess *preprocess;
    clv_preprocess room;
    const bool plan_only = args->opts.dry_run;
    clv_status st = args->out ? check_output(a, args) : CLV_OK;
    if (st == CLV_OK)
        st = name_files(a, args);
    if (st == CLV_OK)
        st = clv_model_load(&before, args->in, &a->err);
    if (st == CLV_OK)
        st = choose_preprocess(a, &args->images, before, &room, &preprocess);
    if (st == CLV_OK && args->calibration)
        st = open_dataset(a, &args->images, args->calibration, &dataset);
    if (st == CLV_OK && args->max_drop >= 0)
        st = search_budget(a, args, before, dataset, preprocess);
    if (st == CLV_OK)
        st = clv_model_clone(&after, before, &a->err);
    if (st == CLV_OK)
        st = clv_compress(after, dataset, preprocess, &args->opts, a->context, a->report, &a->err);
    if (st == CLV_OK && args->eval && !plan_only)
        st = evaluate(a, args, after, before, preprocess, false);
    if (st == CLV_OK && !plan_only && (args->heal || args->heal_opts.steps > 0))
        st = heal(a, args, after, before, preprocess);
    if (st == CLV_OK)
        st = plan_only ? app_print(a) : finish(a, args, before, after);
    if (st == CLV_OK && plan_only)
        summary_print(a);
    if (*args->stats)
        (void)remove(args->stats);
    clv_dataset_free(dataset);
    clv_model_free(after);
    clv_model_free(before);
    return st;
}

static int check(const verb *v, arguments *args)
{
    const clv_compress_opts *const o = &args->opts;
    clv_heal_opts *const h = &args->heal_opts;
    if (!args->out && !args->opts.dry_run)
        return usage_error(v, "where to? -o OUT.onnx");
    if (!args->calibration && !args->opts.stats)
        return usage_error(v, "which images? --calibration PATH");
    if (args->opts.resume && args->opts.dry_run)
        return usage_error(v, "--dry-run has nothing to resume");
    if (args->max_drop >= 0 && (!args->eval || o->budget || o->recipe || o->resume || o->dry_run || !args->out))
        return usage_error(v, "--max-drop finds a budget on the images of --eval PATH, and takes neither --budget,\n"
                              "--recipe, --resume nor --dry-run");
    if (args->min_top1 >= 0 && !args->eval)
        return usage_error(v, "--min-top1 needs --eval PATH");
    if (args->heal && (h->seconds = parse_time(args->heal)) < 0)
        return usage_error(v, "--heal \"%s\": a time such as 90s, 3m or 1h was expected", args->heal);
    if ((args->heal || h->steps > 0) && !args->calibration && !args->heal_images)
        return usage_error(v, "which images to learn from? --heal-images PATH");
    return PARSED;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.images = NO_IMAGE_OPTIONS,
                      .opts = clv_compress_opts_default(),
                      .heal_opts = clv_heal_opts_default(),
                      .min_top1 = -1,
                      .max_drop = -1,
                      .seed = 1,
                      .rounds = -1,
                      .argc = argc,
                      .argv = argv};
    clv_compress_opts *o = &args.opts;
    size_t n;
    const option options[] = {
        {'o', "output", "OUT.onnx", "where the result goes; replaced whole or not at all", OPTION_TEXT, &args.out},
        {0, "calibration", "PATH",
         "unlabelled images that the fits are made on: a folder, a list file,\n.tar, .npy, "
         ".npz or CIFAR .bin; some hundred are enough",
         OPTION_TEXT, &args.calibration},
        {0, "budget", "WHAT=AMOUNT",
         "search form and size of each convolution: macs=30%, params=25% or bytes=0.25x\nof the whole network, or "
         "macs=12.5M, params=100k; latency=50% or latency=12ms: median time\n(p50; 12ms@p90 for another percentile) of "
         "one image in this runtime, as measured\nhere, with --threads",
         OPTION_TEXT, &o->budget},
        {0, "max-drop", "POINTS",
         "in the place of --budget: the fewest MACs at which top-1 on --eval drops by\nno more than this; without "
         "labels "
         "the percentage of changed classes,\nor for other networks the relative error in percent",
         OPTION_REAL, &args.max_drop},
        {0, "never-slower", NULL, "with other budgets: take a form only where it is measured to be faster", OPTION_FLAG,
         &o->never_slower},
        {0, "form", "NAME",
         "depthwise (default), bottleneck, channel, output-depthwise, spatial,\ntucker2, prune, remove or average",
         OPTION_TEXT, &o->form},
        {0, "method", "NAME", "of depthwise: svd, gsvd, inter-channel, sweeps, joint (default)", OPTION_TEXT,
         &o->method},
        {0, "multiplier", "X",
         "depthwise filters for each input channel (default 2); the other\nforms are sized to the "
         "same MACs",
         OPTION_REAL, &o->multiplier},
        {0, "uneven", NULL, "share the filters out unevenly over the channels", OPTION_FLAG, &o->uneven},
        {0, "symmetric", NULL, "fit on what the original network sees, not the compressed one", OPTION_FLAG,
         &o->symmetric},
        {0, "no-shortcut", NULL, "do not repair the sum of a residual block in its last convolution", OPTION_FLAG,
         &o->no_shortcut},
        {0, "reestimate", NULL, "restore each channel's mean and variance afterwards", OPTION_FLAG, &o->reestimate},
        {0, "rounds", "N", "refits through the activation behind a layer (default 6; 0: none)", OPTION_INT,
         &args.rounds},
        {0, "round", "N", "inner sizes are multiples of N, with a budget (default 4)", OPTION_INT, &o->round},
        {0, "first", NULL, "also split convolutions that read the input of the network", OPTION_FLAG, &o->first},
        {0, "emit", "HOW",
         "write several depthwise filters a channel as sums of plain depthwise\nlayers (parallel, default), as one "
         "convolution (grouped) or over\nrepeated channels (gather)",
         OPTION_TEXT, &o->emit},
        {0, "keep", "LAYER", "leave this layer alone; may be repeated", OPTION_TEXTS, &args.keep},
        {0, "samples", "N", "image patches for each convolution (default 32768)", OPTION_INT, &o->samples},
        {0, "batch", "N", "images at once (default 64)", OPTION_INT, &o->batch},
        {0, "max-memory", "MIB",
         "for what is kept of images and statistics (default 3072); more goes to\na temporary file in $TMPDIR",
         OPTION_INT, &args.memory},
        {0, "stats", "FILE",
         "with --budget: keep statistics and search in this .clvstats file, or use\nwhat is there; without "
         "--calibration the fits are made on it alone",
         OPTION_TEXT, &o->stats},
        {0, "recipe", "FILE", "do again what the recipe of an earlier run says", OPTION_TEXT, &o->recipe},
        {0, "recipe-out", "FILE", "what was decided and why (default OUT.onnx.recipe.json)", OPTION_TEXT,
         &o->recipe_out},
        {0, "dry-run", NULL, "print the plan, write nothing", OPTION_FLAG, &o->dry_run},
        {0, "resume", NULL, "go on with a run that was killed", OPTION_FLAG, &o->resume},
        {0, "ridge", "X", "pull towards the original weights (default 1e-3)", OPTION_REAL, &o->ridge},
        {0, "seed", "N", "of the random choices (default 1)", OPTION_INT, &args.seed},
        {0, "eval", "PATH", "measure the model before and after on these images", OPTION_TEXT, &args.eval},
        {0, "labels", "FILE", "labels of the --eval images (default: their folders)", OPTION_TEXT, &args.images.labels},
        {0, "heal", "T", "then learn from the original for so long: 90s, 3m, 1h; see cleave help heal", OPTION_TEXT,
         &args.heal},
        {0, "heal-steps", "N", "the same for so many steps", OPTION_INT, &args.heal_opts.steps},
        {0, "heal-images", "PATH", "on these images (default: all of --calibration, whatever --limit says)",
         OPTION_TEXT, &args.heal_images},
        {0, "heal-rate", "X", "with this largest learning rate (default 8e-3)", OPTION_REAL, &args.heal_opts.rate},
        {0, "heal-plot", "FILE.svg", "draw the losses of healing", OPTION_TEXT, &args.heal_opts.plot},
        {0, "bench", NULL,
         "time the result and its original in turns, in ONNX Runtime, too, when\n$CLEAVE_PYTHON (python3) has it",
         OPTION_FLAG, &args.bench},
        {0, "report", "FILE.md", "write the table at the end as Markdown", OPTION_TEXT, &args.summary},
        {0, "min-top1", "PERCENT", "exit with status 5 when top-1 accuracy on --eval falls below", OPTION_REAL,
         &args.min_top1},
        IMAGE_OPTIONS(&args.images),
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &args.in, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1)
        return usage_error(v, "which model?");
    const int checked = check(v, &args);
    if (checked != PARSED)
        return checked;
    if (args.memory > 0)
        o->max_memory = args.memory > INT32_MAX ? INT64_MAX / 2 : args.memory << 20;
    o->keep = args.keep.item;
    o->n_keep = args.keep.n;
    o->seed = args.heal_opts.seed = (uint64_t)args.seed;
    if (args.rounds >= 0)
        o->rounds = args.rounds > INT32_MAX ? INT32_MAX : (int)args.rounds;
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = compress(&a, &args);
    return app_finish(&a, st);
}

const verb verb_compress = {
    .name = "compress",
    .summary = "split a model's convolutions into cheaper ones, fitted to images",
    .synopsis = "IN.onnx -o OUT.onnx --calibration PATH [options]",
    .about =
        "Folds BatchNorm, then replaces each convolution by a chain of cheaper ones, in order, so that the network\n"
        "computes nearly the same on the calibration images. No labels and no training are needed. The result is\n"
        "plain ONNX with the same inputs and outputs; the preprocessing is stored in it for the other verbs.\n",
    .examples =
        "  cleave compress resnet20.onnx -o resnet20-sep.onnx --calibration train/ --preprocess cifar10\n"
        "  cleave compress resnet20.onnx -o small.onnx --calibration train/ --limit 1000 --preprocess cifar10 \\\n"
        "      --budget macs=30% --heal 2m --eval test/ --bench --report small.md\n"
        "  cleave compress net.onnx -o net-sep.onnx --calibration photos/ --preprocess imagenet \\\n"
        "      --multiplier 3 --keep conv1 --eval val/ --min-top1 70\n"
        "  cleave compress net.onnx -o net-fast.onnx --calibration photos/ --preprocess imagenet \\\n"
        "      --budget latency=0.5x --threads 1\n",
    .run = run,
};
