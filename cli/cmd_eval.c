/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"
#include "verbs.h"

typedef struct arguments {
    const char *data, *against;
    image_options images;
    int64_t batch;
    double min_top1;
    bool no_check;
} arguments;

static clv_status check_floor(app *a, double floor)
{
    double top1;
    if (floor < 0)
        return CLV_OK;
    if (clv_report_number(a->report, "accuracy.top1", &top1, NULL) != CLV_OK)
        return app_fail(a, CLV_ERR_VERIFY,
                        "there is no accuracy to hold against --min-top1: the images have no labels, "
                        "or the model is no classifier");
    if (top1 < floor)
        return app_fail(a, CLV_ERR_VERIFY, "top-1 accuracy is %.2f %%, at least %.2f %% was asked for", top1, floor);
    return CLV_OK;
}

static clv_status evaluate(app *a, const char *path, const arguments *args)
{
    clv_model *model = NULL, *against = NULL;
    clv_dataset *dataset = NULL;
    clv_preprocess room;
    clv_evaluate_opts opts = clv_evaluate_opts_default();
    clv_status st = clv_model_load(&model, path, &a->err);
    if (st == CLV_OK && args->against)
        st = clv_model_load(&against, args->against, &a->err);
    if (st == CLV_OK)
        st = choose_preprocess(a, &args->images, model, &room, &opts.preprocess);
    if (st == CLV_OK)
        st = open_dataset(a, &args->images, args->data, &dataset);
    opts.against = against;
    opts.batch = args->batch ? args->batch : opts.batch;
    opts.no_check = args->no_check;
    if (st == CLV_OK)
        st = clv_report_set_text(a->report, "file", path, &a->err);
    if (st == CLV_OK)
        st = clv_report_set_text(a->report, "data", args->data, &a->err);
    if (st == CLV_OK)
        st = clv_evaluate(model, dataset, &opts, a->context, a->report, &a->err);
    if (st == CLV_OK)
        st = app_print(a);
    if (st == CLV_OK)
        st = check_floor(a, args->min_top1);
    clv_dataset_free(dataset);
    clv_model_free(against);
    clv_model_free(model);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.images = NO_IMAGE_OPTIONS, .min_top1 = -1};
    const char *path;
    size_t n;
    const option options[] = {
        {0, "data", "PATH", "images: a folder (of classes), a list file, .tar, .npy, .npz or CIFAR .bin", OPTION_TEXT,
         &args.data},
        {0, "against", "OTHER.onnx", "compare with this model on the same images", OPTION_TEXT, &args.against},
        {0, "labels", "FILE", "\"name label\" lines, or one label a line (default: the folders)", OPTION_TEXT,
         &args.images.labels},
        {0, "batch", "N", "images at once (default 64)", OPTION_INT, &args.batch},
        {0, "min-top1", "PERCENT", "exit with status 5 when top-1 accuracy is lower", OPTION_REAL, &args.min_top1},
        {0, "no-check", NULL, "do not look for wrong preprocessing first", OPTION_FLAG, &args.no_check},
        IMAGE_OPTIONS(&args.images),
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &path, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1 || !args.data)
        return usage_error(v, n != 1 ? "which model?" : "which images? --data PATH");
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = evaluate(&a, path, &args);
    return app_finish(&a, st);
}

const verb verb_eval = {
    .name = "eval",
    .summary = "how well a model does on images, alone or against another",
    .synopsis = "MODEL.onnx --data PATH [options]",
    .about = "Runs a model over images. A classifier gets its top-1 and top-5 accuracy with standard errors when the\n"
             "images have labels, and its mean confidence when they have none; any model gets the statistics of its\n"
             "outputs and, with --against, the agreement with another model. Preprocessing comes from the options,\n"
             "else from the model's metadata (cleave compress stores it there); it is never guessed. When other\n"
             "preprocessing does clearly better on the first images, a warning says so.\n",
    .examples = "  cleave eval resnet20-sep.onnx --data test/ --against resnet20.onnx\n"
                "  cleave eval net.onnx --data val.txt --preprocess imagenet --min-top1 70\n"
                "  cleave eval caffe.onnx --data val/ --scale 1 --mean 104,117,123 --channel-order bgr "
                "--resize 256 --crop 227\n",
    .run = run,
};
