/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cleave/stats.h"
#include "inputs.h"
#include "verbs.h"

typedef struct arguments {
    const char *words[MAX_REPEATED];
    size_t n;
    const char *out, *calibration, *shard;
    image_options images;
    clv_compress_opts opts;
    int64_t seed, memory;
} arguments;

/* "2/4", counted from 1. */
static clv_status read_shard(app *a, const char *text, int64_t *number, int64_t *of)
{
    char rest;
    *number = 0;
    *of = 1;
    if (!text)
        return CLV_OK;
    if (sscanf(text, "%" SCNd64 "/%" SCNd64 "%c", number, of, &rest) != 2 || *number < 1 || *of < *number)
        return app_fail(a, CLV_ERR_ARG, "--shard is \"%s\", a number and how many there are, such as 2/4, was expected",
                        text);
    *number -= 1;
    return CLV_OK;
}

static clv_status collect(app *a, arguments *args)
{
    clv_model *model = NULL;
    clv_dataset *images = NULL;
    const clv_preprocess *preprocess;
    clv_preprocess room;
    int64_t shard, shards;
    clv_status st = read_shard(a, args->shard, &shard, &shards);
    if (st == CLV_OK)
        st = clv_model_load(&model, args->words[0], &a->err);
    if (st == CLV_OK)
        st = choose_preprocess(a, &args->images, model, &room, &preprocess);
    if (st == CLV_OK)
        st = open_dataset(a, &args->images, args->calibration, &images);
    if (st == CLV_OK)
        st = clv_stats_collect(model, images, preprocess, &args->opts, shard, shards, args->out, a->context, &a->err);
    clv_dataset_free(images);
    clv_model_free(model);
    return st;
}

static clv_status stats(app *a, arguments *args)
{
    const bool show = strcmp(args->words[0], "show") == 0, merge = strcmp(args->words[0], "merge") == 0;
    const char *path = show ? args->words[1] : args->out;
    if ((show || merge) && !a->leads)
        return CLV_OK; /* work for one */
    clv_status st = show    ? CLV_OK
                    : merge ? clv_stats_merge(args->out, args->words + 1, (int64_t)args->n - 1, &a->err)
                            : collect(a, args);
    if (st == CLV_OK && a->leads)
        st = clv_stats_show(path, a->report, &a->err);
    return st == CLV_OK ? app_print(a) : st;
}

static const char *missing(const arguments *args)
{
    const bool show = args->n > 0 && strcmp(args->words[0], "show") == 0;
    const bool merge = args->n > 0 && strcmp(args->words[0], "merge") == 0;
    return args->n == 0           ? "which model?"
           : show && args->n != 2 ? "show: one file was expected"
           : show                 ? NULL
           : !args->out           ? "where to? -o OUT.clvstats"
           : merge && args->n < 2 ? "merge: which files?"
           : merge                ? NULL
           : args->n != 1         ? "one model was expected; `merge` and `show` come first"
           : !args->calibration   ? "which images? --calibration PATH"
                                  : NULL;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.images = NO_IMAGE_OPTIONS, .opts = clv_compress_opts_default(), .seed = 1};
    const option options[] = {
        {'o', "output", "FILE.clvstats", "where the statistics go; replaced whole or not at all", OPTION_TEXT,
         &args.out},
        {0, "calibration", "PATH", "unlabelled images", OPTION_TEXT, &args.calibration},
        {0, "shard", "K/N", "only the K-th of N parts of the images; merge them afterwards", OPTION_TEXT, &args.shard},
        {0, "samples", "N", "image patches for each convolution, over all shards (default 32768)", OPTION_INT,
         &args.opts.samples},
        {0, "batch", "N", "images at once (default 64)", OPTION_INT, &args.opts.batch},
        {0, "max-memory", "MIB", "for what is kept (default 3072)", OPTION_INT, &args.memory},
        {0, "seed", "N", "of the sampled places (default 1)", OPTION_INT, &args.seed},
        IMAGE_OPTIONS(&args.images),
        APP_OPTIONS(&a)};
    const int parsed =
        parse_options(v, options, sizeof options / sizeof *options, argc, argv, args.words, MAX_REPEATED, &args.n);
    if (parsed != PARSED)
        return parsed;
    if (missing(&args))
        return usage_error(v, "%s", missing(&args));
    args.opts.seed = (uint64_t)args.seed;
    if (args.memory > 0)
        args.opts.max_memory = args.memory > INT32_MAX ? INT64_MAX / 2 : args.memory << 20;
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = stats(&a, &args);
    return app_finish(&a, st);
}

const verb verb_stats = {
    .name = "stats",
    .summary = "collect what the fits need of the images, in shards, and add them up",
    .synopsis = "IN.onnx -o OUT.clvstats --calibration PATH [options]\n"
                "       cleave stats merge A.clvstats B.clvstats ... -o OUT.clvstats\n"
                "       cleave stats show A.clvstats",
    .about =
        "Statistics are sums: shards of the images, collected on different machines, merge into what one pass\n"
        "over all of them gives. `compress --stats FILE` takes them in the place of a pass of its own. Under mpirun\n"
        "each rank takes a shard, and the first one adds them up.\n",
    .examples = "  cleave stats net.onnx -o part1.clvstats --calibration photos/ --preprocess imagenet --shard 1/2\n"
                "  cleave stats net.onnx -o part2.clvstats --calibration photos/ --preprocess imagenet --shard 2/2\n"
                "  cleave stats merge part1.clvstats part2.clvstats -o all.clvstats\n"
                "  mpirun -n 4 cleave stats net.onnx -o all.clvstats --calibration photos/ --preprocess imagenet\n",
    .shared = true,
    .run = run,
};
