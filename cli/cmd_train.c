/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cleave/arch.h"
#include "cleave/train.h"
#include "figures.h"
#include "verbs.h"

typedef struct arguments {
    const char *in, *arch, *out, *data, *eval, *eval_labels, *shift;
    image_options image;
    clv_train_opts opts;
    double width;
    int64_t seed;
} arguments;

/* The side of the square that the preprocessing makes of the images. */
static clv_status square_side(app *a, clv_dataset *images, const clv_preprocess *p, int64_t *side)
{
    int64_t chw[3];
    clv_status st = clv_dataset_shape(images, 0, p, chw, &a->err);
    if (st == CLV_OK && (chw[0] != 3 || chw[1] != chw[2]))
        st = app_fail(a, CLV_ERR_DATA,
                      "images come out at %lld x %lld x %lld, the networks that can be made take 3 x N x N: see "
                      "--resize, --crop",
                      (long long)chw[0], (long long)chw[1], (long long)chw[2]);
    *side = chw[1];
    return st;
}

/* A new network for these images: as many classes and as large an input as they have. */
static clv_status make_network(app *a, const arguments *args, clv_dataset *images, clv_model **out)
{
    clv_arch_opts opts = clv_arch_opts_default();
    clv_preprocess room, own;
    const clv_preprocess *preprocess = NULL;
    clv_model *plain = NULL;
    clv_status st = CLV_OK;
    opts.width = args->width;
    opts.seed = (uint64_t)args->seed;
    opts.classes = clv_dataset_classes(images);
    if (opts.classes < 2)
        return app_fail(a, CLV_ERR_DATA, "\"%s\" has %lld classes, at least two were expected: see --labels",
                        args->data, (long long)opts.classes);
    if (clv_dataset_is_tensor(images)) {
        st = square_side(a, images, NULL, &opts.side);
        return st == CLV_OK ? clv_arch_build(out, args->arch, &opts, &a->err) : st;
    }
    /* the network's own preprocessing unless the options say another */
    st = clv_arch_build(&plain, args->arch, &opts, &a->err);
    if (st == CLV_OK)
        st = choose_preprocess(a, &args->image, plain, &room, &preprocess);
    if (st == CLV_OK && !preprocess) {
        st = clv_model_preprocess(plain, &own, &a->err);
        preprocess = &own;
    }
    if (st == CLV_OK)
        st = square_side(a, images, preprocess, &opts.side);
    if (st == CLV_OK)
        st = clv_arch_build(out, args->arch, &opts, &a->err);
    if (st == CLV_OK)
        st = clv_model_set_preprocess(*out, preprocess, &a->err);
    clv_model_free(plain);
    return st;
}

/* A model that is trained further keeps its preprocessing, or gets that of the options. */
static clv_status load_network(app *a, const arguments *args, clv_model **out)
{
    clv_preprocess room;
    const clv_preprocess *preprocess = NULL;
    if (same_file(args->out, args->in))
        return app_fail(a, CLV_ERR_ARG, "\"%s\" is the model that is read; the output needs a file of its own",
                        args->out);
    clv_status st = clv_model_load(out, args->in, &a->err);
    if (st == CLV_OK)
        st = choose_preprocess(a, &args->image, *out, &room, &preprocess);
    if (st == CLV_OK && preprocess)
        st = clv_model_set_preprocess(*out, preprocess, &a->err);
    return st;
}

static clv_status train(app *a, arguments *args)
{
    clv_model *model = NULL;
    clv_dataset *images = NULL;
    clv_status st = open_dataset(a, &args->image, args->data, &images);
    if (st == CLV_OK)
        st = args->in ? load_network(a, args, &model) : make_network(a, args, images, &model);
    if (st == CLV_OK)
        st = clv_train(model, images, NULL, &args->opts, a->context, a->report, &a->err);
    if (st == CLV_OK && a->leads)
        st = clv_model_save(model, args->out, &a->err);
    const char *const stopped = st == CLV_OK ? clv_report_string(a->report, "training.stopped") : NULL;
    const bool interrupted = stopped && strcmp(stopped, "interrupted") == 0;
    if (st == CLV_OK && args->eval && !interrupted && a->leads)
        st = measure(a, &(measured){.images = args->eval, .labels = args->eval_labels}, model, "eval");
    if (st == CLV_OK)
        st = app_print(a);
    if (st == CLV_OK && interrupted)
        st = app_fail(a, CLV_ERR_INTERRUPTED, "interrupted; \"%s\" holds the best so far", args->out);
    clv_model_free(model);
    clv_dataset_free(images);
    return st;
}

static int check(const verb *v, arguments *args, size_t n)
{
    if ((n == 1) == (args->arch != NULL))
        return usage_error(v, "what is to be trained: --arch NAME, or a model");
    if (!args->out || !args->data)
        return usage_error(v, "%s", !args->out ? "where to? -o OUT.onnx" : "which images? --data PATH");
    args->opts.shift = parse_shift(args->shift);
    if (args->opts.shift < -1)
        return usage_error(v, "--shift \"%s\": a number of pixels was expected", args->shift);
    return PARSED;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    size_t n = 0;
    arguments args = {.opts = clv_train_opts_default(), .image = NO_IMAGE_OPTIONS, .seed = 1, .width = 1};
    clv_train_opts *const o = &args.opts;
    const option options[] = {
        {'o', "output", "OUT.onnx", "where to write the trained model (required)", OPTION_TEXT, &args.out},
        {0, "arch", "NAME", "a new network, as `cleave new --list` shows them, instead of a model", OPTION_TEXT,
         &args.arch},
        {0, "width", "X", "with --arch: times as many channels (default 1)", OPTION_REAL, &args.width},
        {0, "data", "PATH",
         "labelled images: class folders, tar, list, CIFAR binaries, array or\nbuiltin:shapes (required)", OPTION_TEXT,
         &args.data},
        {0, "labels", "FILE", "labels of the images (default: their folders)", OPTION_TEXT, &args.image.labels},
        {0, "epochs", "N", "passes over the images (default 20)", OPTION_INT, &o->epochs},
        {0, "batch", "N", "images a step, a multiple of 4 (default 128)", OPTION_INT, &o->batch},
        {0, "optimiser", "NAME", "sgd (Nesterov momentum 0.9; default) or adamw", OPTION_TEXT, &o->optimiser},
        {0, "schedule", "NAME", "one-cycle (default), cosine or multi-step", OPTION_TEXT, &o->schedule},
        {0, "rate", "X", "largest learning rate (default 0.1 for sgd, 2e-3 for adamw)", OPTION_REAL, &o->rate},
        {0, "decay", "X", "weight decay (default 5e-4 for sgd, 0.05 for adamw)", OPTION_REAL, &o->decay},
        {0, "smoothing", "X", "of the labels (default 0.05)", OPTION_REAL, &o->smoothing},
        {0, "clip", "X", "largest norm of the gradient (default: any)", OPTION_REAL, &o->clip},
        {0, "shift", "N", "move images by up to N pixels (default 1/8 of their height)", OPTION_TEXT, &args.shift},
        {0, "no-flip", NULL, "do not mirror images (for text, digits, signs)", OPTION_FLAG, &o->no_flip},
        {0, "cutout", "N", "make a square of N x N pixels black (default: none)", OPTION_INT, &o->cutout},
        {0, "crop", "X",
         "crop a part of each image, at least X of its area, and enlarge it\n(default: none; then --shift is 0)",
         OPTION_REAL, &o->crop},
        {0, "jitter", "X", "change brightness, contrast and saturation by up to X, such as 0.4", OPTION_REAL,
         &o->jitter},
        {0, "mixup", "X", "mix images and labels in pairs, by shares from Beta(X, X), such as 0.2", OPTION_REAL,
         &o->mixup},
        {0, "average", "X",
         "judge and keep the running mean of the weights, of which each step\nkeeps X, such as 0.998", OPTION_REAL,
         &o->average},
        {0, "held-out", "N", "images kept aside to decide (default a tenth, at most 2000)", OPTION_INT, &o->held_out},
        {0, "seed", "N", "of the weights and all random choices (default 1)", OPTION_INT, &args.seed},
        {0, "checkpoint", "FILE", "keep the state here, to go on later", OPTION_TEXT, &o->checkpoint},
        {0, "resume", NULL, "go on from --checkpoint", OPTION_FLAG, &o->resume},
        {0, "log", "FILE", "write one JSON object every ten steps and every epoch", OPTION_TEXT, &o->log},
        {0, "plot", "FILE.svg", "draw losses and accuracies", OPTION_TEXT, &o->plot},
        {0, "eval", "PATH", "in the end measure accuracy on these labelled images", OPTION_TEXT, &args.eval},
        {0, "eval-labels", "FILE", "labels of the --eval images (default: their folders)", OPTION_TEXT,
         &args.eval_labels},
        IMAGE_OPTIONS(&args.image),
        APP_OPTIONS(&a)};
    int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &args.in, 1, &n);
    if (parsed == PARSED)
        parsed = check(v, &args, n);
    if (parsed != PARSED)
        return parsed;
    o->seed = (uint64_t)args.seed;
    o->save = args.out;
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = train(&a, &args);
    return app_finish(&a, st);
}

const verb verb_train = {
    .name = "train",
    .summary = "train a classifier on labelled images, from nothing or further",
    .synopsis = "(--arch NAME | MODEL.onnx) --data PATH -o OUT.onnx [options]",
    .about =
        "Trains all weights by cross-entropy on images that are moved and mirrored. A part of the images is held\n"
        "out and classified after each epoch; the best epoch is in OUT.onnx at any time. Ctrl-C ends the work and\n"
        "leaves it there. The same options give the same bytes on any number of threads.\n"
        "Under mpirun the ranks share each batch; with 1, 2 or 4 of them the bytes are the same, too.\n",
    .examples =
        "  cleave train --arch resnet20 --data train/ --epochs 20 -o resnet20.onnx --eval test/\n"
        "  cleave train --arch resnet14 --data \"builtin:shapes?n=12000&seed=1\" --epochs 12 -o shapes.onnx \\\n"
        "      --plot training.svg --checkpoint state --resume\n"
        "  mpirun -n 4 cleave train --arch resnet56 --data train/ -o resnet56.onnx --checkpoint state --resume\n",
    .shared = true,
    .run = run,
};
