/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cleave/heal.h"
#include "figures.h"
#include "verbs.h"

typedef struct arguments {
    const char *in, *out, *teacher, *images, *eval, *time;
    image_options image;
    clv_heal_opts opts;
    int64_t seed;
    const char *shift;
} arguments;

static clv_status heal(app *a, arguments *args)
{
    if (same_file(args->out, args->in) || same_file(args->out, args->teacher))
        return app_fail(a, CLV_ERR_ARG, "\"%s\" is a model that is read; the output needs a file of its own",
                        args->out);
    clv_model *model = NULL, *teacher = NULL;
    clv_dataset *images = NULL;
    clv_preprocess room;
    const clv_preprocess *preprocess = NULL;
    clv_status st = clv_model_load(&model, args->in, &a->err);
    if (st == CLV_OK)
        st = clv_model_load(&teacher, args->teacher, &a->err);
    if (st == CLV_OK)
        st = choose_preprocess(a, &args->image, model, &room, &preprocess);
    if (st == CLV_OK)
        st = open_dataset(a, &args->image, args->images, &images);
    if (st == CLV_OK && args->eval && a->leads)
        st = measure(a, &(measured){args->eval, args->image.labels, preprocess, teacher}, model, "before");
    if (st == CLV_OK)
        st = clv_heal(model, teacher, images, preprocess, &args->opts, a->context, a->report, &a->err);
    if (st == CLV_OK && a->leads)
        st = clv_model_save(model, args->out, &a->err);
    const char *const stopped = st == CLV_OK ? clv_report_string(a->report, "healing.stopped") : NULL;
    const bool interrupted = stopped && strcmp(stopped, "interrupted") == 0;
    if (st == CLV_OK && args->eval && !interrupted && a->leads)
        st = measure(a, &(measured){args->eval, args->image.labels, preprocess, teacher}, model, "after");
    if (st == CLV_OK)
        st = app_print(a);
    if (st == CLV_OK && interrupted)
        st = app_fail(a, CLV_ERR_INTERRUPTED, "interrupted; \"%s\" holds the best so far", args->out);
    clv_model_free(model);
    clv_model_free(teacher);
    clv_dataset_free(images);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    size_t n = 0;
    arguments args = {.opts = clv_heal_opts_default(), .image = NO_IMAGE_OPTIONS, .seed = 1};
    clv_heal_opts *const o = &args.opts;
    const option options[] = {
        {'o', "output", "OUT.onnx", "where to write the healed model (required)", OPTION_TEXT, &args.out},
        {0, "teacher", "MODEL.onnx", "the original that the model was made of (required)", OPTION_TEXT, &args.teacher},
        {0, "images", "PATH", "images to learn from, without labels: folder, tar, list or\narray (required)",
         OPTION_TEXT, &args.images},
        {0, "time", "T", "how long it may take: 90s, 3m (default), 1h", OPTION_TEXT, &args.time},
        {0, "steps", "N", "so many steps instead; then the result is the same anywhere", OPTION_INT, &o->steps},
        {0, "batch", "N", "images a step, a multiple of 4 (default 64)", OPTION_INT, &o->batch},
        {0, "rate", "X", "largest learning rate: share of its size that an output moves (default 8e-3)", OPTION_REAL,
         &o->rate},
        {0, "temperature", "T", "of the distillation (default 1)", OPTION_REAL, &o->temperature},
        {0, "features", "X", "weight of the blocks' error at first (default 200)", OPTION_REAL, &o->features},
        {0, "shift", "N", "move images by up to N pixels (default 1/8 of their height)", OPTION_TEXT, &args.shift},
        {0, "no-flip", NULL, "do not mirror images (for text, digits, signs)", OPTION_FLAG, &o->no_flip},
        {0, "held-out", "N", "images kept aside to decide (default a tenth, at most 2000)", OPTION_INT, &o->held_out},
        {0, "seed", "N", "of the random choices (default 1)", OPTION_INT, &args.seed},
        {0, "checkpoint", "FILE", "keep the state here, to go on later", OPTION_TEXT, &o->checkpoint},
        {0, "resume", NULL, "go on from --checkpoint", OPTION_FLAG, &o->resume},
        {0, "log", "FILE", "write one JSON object every ten steps", OPTION_TEXT, &o->log},
        {0, "plot", "FILE.svg", "draw the losses", OPTION_TEXT, &o->plot},
        {0, "eval", "PATH", "measure accuracy before and after on these labelled images", OPTION_TEXT, &args.eval},
        {0, "labels", "FILE", "labels of the --eval images (default: their folders)", OPTION_TEXT, &args.image.labels},
        IMAGE_OPTIONS(&args.image),
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &args.in, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1)
        return usage_error(v, "which model?");
    if (!args.out || !args.teacher || !args.images)
        return usage_error(v, "%s",
                           !args.out       ? "where to? -o OUT.onnx"
                           : !args.teacher ? "which original? --teacher MODEL.onnx"
                                           : "which images? --images PATH");
    if (args.time && (o->seconds = parse_time(args.time)) < 0)
        return usage_error(v, "--time \"%s\": a time such as 90s, 3m or 1h was expected", args.time);
    o->shift = parse_shift(args.shift);
    if (o->shift < -1)
        return usage_error(v, "--shift \"%s\": a number of pixels was expected", args.shift);
    o->seed = (uint64_t)args.seed;
    o->save = args.out;
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = heal(&a, &args);
    return app_finish(&a, st);
}

const verb verb_heal = {
    .name = "heal",
    .summary = "give back what compression lost, by learning from the original",
    .synopsis = "SMALL.onnx --teacher ORIGINAL.onnx --images PATH -o OUT.onnx [options]",
    .about =
        "Trains the weights of a compressed model so that it answers as its original does, without labels. A part of\n"
        "the images is held out and decides: the result is never worse on it than the start. The best so far is in\n"
        "OUT.onnx at any time; Ctrl-C ends the work and leaves it there. Under mpirun the ranks share each batch.\n",
    .examples = "  cleave heal small.onnx --teacher resnet20.onnx --images train/ --time 3m -o healed.onnx\n"
                "  cleave heal small.onnx --teacher net.onnx --images train.tar --steps 2000 -o healed.onnx \\\n"
                "      --eval test/ --plot healing.svg\n",
    .shared = true,
    .run = run,
};
