/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"
#include "verbs.h"

#define MAX_SHAPES 16
#define NAME_SIZE  256

static clv_status inspect(app *a, const char *path, const texts *shape_texts)
{
    clv_input_shape shapes[MAX_SHAPES];
    char names[MAX_SHAPES][NAME_SIZE];
    clv_model *model = NULL;
    clv_status st = CLV_OK;
    if (shape_texts->n > MAX_SHAPES)
        return app_fail(a, CLV_ERR_ARG, "at most %d inputs can be given a shape", MAX_SHAPES);
    for (size_t i = 0; st == CLV_OK && i < shape_texts->n; i++)
        st = parse_input_shape(a, shape_texts->item[i], names[i], sizeof names[i], &shapes[i]);
    if (st == CLV_OK)
        st = clv_model_load(&model, path, &a->err);
    if (st == CLV_OK)
        st = clv_report_set_text(a->report, "file", path, &a->err);
    if (st == CLV_OK)
        st = clv_inspect(model, shapes, shape_texts->n, a->report, &a->err);
    if (st == CLV_OK)
        st = app_print(a);
    clv_model_free(model);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    texts shapes = {0};
    const char *path;
    size_t n;
    const option options[] = {{0, "input-shape", "NAME=1,3,H,W",
                               "shape of an input whose sizes the model leaves open;\nNAME= may be left out "
                               "when there is one input",
                               OPTION_TEXTS, &shapes},
                              APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &path, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1)
        return usage_error(v, "which model?");
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = inspect(&a, path, &shapes);
    return app_finish(&a, st);
}

const verb verb_inspect = {
    .name = "inspect",
    .summary = "what a model is: layers, shapes, MACs, parameters, what can be split",
    .synopsis = "MODEL.onnx [options]",
    .about = "Lists every layer with its output shape, multiply-adds (1 MAC = one multiply-add) and parameters at\n"
             "batch 1, says for each convolution which forms can replace it or why none can, and names the\n"
             "operators that cleave cannot run.\n",
    .examples = "  cleave inspect resnet20.onnx\n"
                "  cleave inspect detector.onnx --input-shape images=1,3,640,640 --json detector.json\n",
    .run = run,
};
