/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"
#include "verbs.h"

typedef struct arguments {
    const char *data;
    texts inputs;
    image_options images;
    double tolerance;
} arguments;

static clv_status compare(app *a, const char *const paths[2], const arguments *args)
{
    clv_model *first = NULL, *second = NULL;
    clv_dataset *dataset = NULL;
    clv_preprocess room;
    arrays inputs = {.n = 0};
    clv_diff_opts opts = clv_diff_opts_default();
    clv_status st = clv_model_load(&first, paths[0], &a->err);
    if (st == CLV_OK)
        st = clv_model_load(&second, paths[1], &a->err);
    if (st == CLV_OK && args->data)
        st = choose_preprocess(a, &args->images, first, &room, &opts.preprocess);
    if (st == CLV_OK && args->data)
        st = open_dataset(a, &args->images, args->data, &dataset);
    if (st == CLV_OK)
        st = read_arrays(a, &args->inputs, first, &inputs);
    opts.dataset = dataset;
    if (args->images.limit)
        opts.limit = args->images.limit;
    opts.names = inputs.name;
    opts.inputs = inputs.tensor;
    opts.n_inputs = inputs.n;
    opts.tolerance = args->tolerance >= 0 ? args->tolerance : opts.tolerance;
    if (st == CLV_OK)
        st = clv_report_set_text(a->report, "a", paths[0], &a->err);
    if (st == CLV_OK)
        st = clv_report_set_text(a->report, "b", paths[1], &a->err);
    if (st == CLV_OK)
        st = clv_diff(first, second, &opts, a->context, a->report, &a->err);
    if (st == CLV_OK || st == CLV_ERR_VERIFY) { /* the table is what was asked for, whatever it says */
        const clv_error verdict = a->err;
        const clv_status printed = app_print(a);
        if (printed == CLV_OK)
            a->err = verdict;
        else
            st = printed;
    }
    free_arrays(&inputs);
    clv_dataset_free(dataset);
    clv_model_free(second);
    clv_model_free(first);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.images = NO_IMAGE_OPTIONS, .tolerance = -1};
    const char *paths[2];
    size_t n;
    const option options[] = {{0, "images", "PATH", "images to compare on (16 of them unless --limit says otherwise)",
                               OPTION_TEXT, &args.data},
                              {0, "input", "NAME=FILE.npy",
                               "compare on this array instead; once for each input,\nNAME= may be left out when "
                               "there is one",
                               OPTION_TEXTS, &args.inputs},
                              {0, "tolerance", "X", "relative error from which a tensor departs (default 1e-4)",
                               OPTION_REAL, &args.tolerance},
                              IMAGE_OPTIONS(&args.images),
                              APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, paths, 2, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 2)
        return usage_error(v, "two models are needed");
    if (!args.data == !args.inputs.n)
        return usage_error(v, "either --images PATH or --input NAME=FILE.npy");
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = compare(&a, paths, &args);
    return app_finish(&a, st);
}

const verb verb_diff = {
    .name = "diff",
    .summary = "where two models part, tensor by tensor",
    .synopsis = "A.onnx B.onnx --images PATH | --input NAME=FILE.npy [options]",
    .about = "Runs both models on the same inputs and compares every inner tensor that has the same name in both, and\n"
             "the outputs by position. The error of a tensor is rms(b - a) / rms(a). The first tensor above the\n"
             "tolerance, in the order in which A computes them, is where the models part. Exit status 5 when an\n"
             "output is above it.\n",
    .examples = "  cleave diff resnet20.onnx resnet20-sep.onnx --images test/ --tolerance 0.1\n"
                "  cleave diff a.onnx b.onnx --input x.npy --json diff.json\n",
    .run = run,
};
