/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "app.h"
#include "cleave/arch.h"
#include "cleave/measure.h"
#include "verbs.h"

typedef struct arguments {
    const char *name, *out;
    int64_t classes, side, seed;
    double width;
    bool list;
} arguments;

static clv_status list(app *a)
{
    clv_arch_info info;
    char path[64];
    clv_status st = CLV_OK;
    for (size_t i = 0; i < clv_arch_count() && st == CLV_OK; i++) {
        st = clv_arch_describe(i, &info, &a->err);
        const struct {
            const char *key, *text;
        } words[] = {{"name", info.name}, {"what", info.summary}};
        for (size_t k = 0; k < 2 && st == CLV_OK; k++) {
            (void)snprintf(path, sizeof path, "networks.%zu.%s", i, words[k].key);
            st = clv_report_set_text(a->report, path, words[k].text, &a->err);
        }
        (void)snprintf(path, sizeof path, "networks.%zu.side", i);
        if (st == CLV_OK)
            st = clv_report_set_int(a->report, path, info.side, &a->err);
        (void)snprintf(path, sizeof path, "networks.%zu.classes", i);
        if (st == CLV_OK)
            st = clv_report_set_int(a->report, path, info.classes, &a->err);
    }
    return st == CLV_OK ? app_print(a) : st;
}

/* The size of the new network, from what inspect finds. */
static clv_status say_size(app *a, const clv_model *model)
{
    static const char *const keys[] = {"macs", "parameters"};
    char path[64];
    clv_report *all = NULL;
    clv_status st = clv_report_create(&all, &a->err);
    if (st == CLV_OK)
        st = clv_inspect(model, NULL, 0, all, &a->err);
    for (size_t i = 0; i < 2 && st == CLV_OK; i++) {
        double number = 0;
        (void)snprintf(path, sizeof path, "model.%s", keys[i]);
        st = clv_report_number(all, path, &number, &a->err);
        if (st == CLV_OK)
            st = clv_report_set_int(a->report, keys[i], (int64_t)number, &a->err);
    }
    clv_report_free(all);
    return st;
}

static clv_status make(app *a, const arguments *args)
{
    const clv_arch_opts opts = {
        .classes = args->classes, .side = args->side, .width = args->width, .seed = (uint64_t)args->seed};
    clv_model *model = NULL;
    clv_status st = clv_arch_build(&model, args->name, &opts, &a->err);
    if (st == CLV_OK)
        st = clv_model_save(model, args->out, &a->err);
    if (st == CLV_OK)
        st = clv_report_set_text(a->report, "file", args->out, &a->err);
    if (st == CLV_OK)
        st = say_size(a, model);
    if (st == CLV_OK)
        st = app_print(a);
    clv_model_free(model);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.width = 1, .seed = 1};
    size_t n;
    const option options[] = {
        {'o', "output", "FILE.onnx", "where the network goes", OPTION_TEXT, &args.out},
        {0, "classes", "N", "outputs (default: 10 for CIFAR's networks, 1000 for ImageNet's)", OPTION_INT,
         &args.classes},
        {0, "size", "N", "side of the square input (default: 32 or 224)", OPTION_INT, &args.side},
        {0, "width", "X", "times as many channels, where the family defines it (default 1)", OPTION_REAL, &args.width},
        {0, "seed", "N", "of the weights (default 1)", OPTION_INT, &args.seed},
        {0, "list", NULL, "the names that there are", OPTION_FLAG, &args.list},
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &args.name, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1 && !args.list)
        return usage_error(v, "which network? --list shows the names");
    if (!args.list && !args.out)
        return usage_error(v, "where to? -o FILE.onnx is missing");
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = args.list ? list(&a) : make(&a, &args);
    return app_finish(&a, st);
}

const verb verb_new = {
    .name = "new",
    .summary = "make a known network with random weights: to train, to measure with",
    .synopsis = "NAME -o NET.onnx [options]",
    .about = "Writes a network of the literature as ONNX (opset 13, symbolic batch): He's initialisation, BatchNorm\n"
             "nodes whose statistics keep activations at a natural size. The same name, options and seed give the\n"
             "same bytes. Prints multiply-adds (1 MAC = one multiply-add) and numbers stored.\n",
    .examples = "  cleave new --list\n"
                "  cleave new resnet20 -o resnet20.onnx --classes 10 --seed 7\n"
                "  cleave new mobilenet_v1 -o small.onnx --width 0.25\n",
    .run = run,
};
