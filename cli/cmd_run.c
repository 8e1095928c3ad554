/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleave/run.h"
#include "inputs.h"
#include "verbs.h"

#define TOP       5
#define PATH_SIZE 4096
#define NAME_SIZE 200

typedef struct arguments {
    texts inputs, fetch;
    const char *images, *out_dir;
    image_options options;
} arguments;

/* The images of one job on their way to the outputs. */
typedef struct job {
    app *app;
    const clv_model *model;
    const clv_dataset *dataset;
    const char *out_dir;
    int64_t visited;
} job;

/* A name with everything but letters, digits, ".", "-" and "_" replaced, that does not begin with a dot. */
static void safe_name(char to[NAME_SIZE], const char *name)
{
    size_t n = 0;
    for (; name[n] && n + 1 < NAME_SIZE; n++)
        to[n] = isalnum((unsigned char)name[n]) || strchr(".-_", name[n]) ? name[n] : '_';
    to[n] = '\0';
    if (to[0] == '.')
        to[0] = '_';
    if (n == 0)
        (void)snprintf(to, NAME_SIZE, "output");
}

static clv_status make_folder(app *a, const char *path)
{
    struct stat info;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)))
        return CLV_OK;
    return app_fail(a, CLV_ERR_IO, "cannot make the folder \"%s\": %s", path, strerror(errno));
}

/* DIR/stem.npy, or DIR/stem-2.npy, ... when this run has written that name already. */
static clv_status write_output(app *a, const char *dir, const char *name, size_t index, const char *const *earlier,
                               const clv_tensor *tensor)
{
    char stem[NAME_SIZE], other[NAME_SIZE], path[PATH_SIZE];
    int same = 1;
    safe_name(stem, name);
    for (size_t i = 0; i < index; i++) {
        safe_name(other, earlier[i]);
        same += strcmp(other, stem) == 0;
    }
    const int n = same == 1 ? snprintf(path, sizeof path, "%s/%s.npy", dir, stem)
                            : snprintf(path, sizeof path, "%s/%s-%d.npy", dir, stem, same);
    if (n < 0 || (size_t)n >= sizeof path)
        return app_fail(a, CLV_ERR_ARG, "the name of the output folder is too long");
    return clv_npy_write(tensor, path, &a->err);
}

static void shape_text(char *text, size_t size, const clv_tensor *t)
{
    size_t used = (size_t)snprintf(text, size, "%s", t->rank == 0 ? "scalar" : "");
    for (int d = 0; d < t->rank && used < size; d++)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId64, d ? "x" : "", t->dims[d]);
}

/* Name, type, shape and, for float32, range and mean of one output into row `index` of "outputs". */
static clv_status describe(app *a, size_t index, const char *name, const clv_tensor *t)
{
    char path[64], shape[256];
    const int64_t n = clv_tensor_count(t);
    shape_text(shape, sizeof shape, t);
    const char *const keys[] = {"name", "type", "shape"};
    const char *const values[] = {name, clv_dtype_name(t->dtype), shape};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "outputs.%zu.%s", index, keys[i]);
        if (clv_report_set_text(a->report, path, values[i], &a->err) != CLV_OK)
            return a->err.code;
    }
    if (t->dtype != CLV_FLOAT32 || n < 1)
        return CLV_OK;
    const float *x = t->data;
    double figure[3] = {(double)x[0], (double)x[0], 0};
    for (int64_t i = 0; i < n; i++) {
        figure[0] = fmin(figure[0], (double)x[i]);
        figure[1] = fmax(figure[1], (double)x[i]);
        figure[2] += (double)x[i] / (double)n;
    }
    static const char *const names[] = {"min", "max", "mean"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "outputs.%zu.%s", index, names[i]);
        if (clv_report_set_real(a->report, path, figure[i], 6, &a->err) != CLV_OK)
            return a->err.code;
    }
    return CLV_OK;
}

static clv_status run_arrays(app *a, const clv_model *model, const arguments *args)
{
    arrays inputs;
    clv_session *session = NULL;
    clv_tensor *outputs = NULL;
    const char **names = NULL;
    clv_status st = read_arrays(a, &args->inputs, model, &inputs);
    if (st == CLV_OK)
        st = clv_session_create(&session, model, args->fetch.n ? args->fetch.item : NULL, args->fetch.n, a->context,
                                &a->err);
    const size_t n = session ? clv_session_outputs(session) : 0;
    if (st == CLV_OK) {
        outputs = calloc(n + 1, sizeof *outputs);
        names = calloc(n + 1, sizeof *names);
        st = outputs && names ? CLV_OK : app_fail(a, CLV_ERR_NOMEM, "%zu outputs", n);
    }
    if (st == CLV_OK)
        st = clv_session_run_named(session, inputs.name, inputs.tensor, inputs.n, outputs, n, &a->err);
    if (st == CLV_OK && args->out_dir)
        st = make_folder(a, args->out_dir);
    for (size_t i = 0; st == CLV_OK && i < n; i++) {
        names[i] = clv_session_output_name(session, i);
        st = describe(a, i, names[i], &outputs[i]);
        if (st == CLV_OK && args->out_dir)
            st = write_output(a, args->out_dir, names[i], i, names, &outputs[i]);
    }
    if (st == CLV_OK)
        st = app_print(a);
    free(names);
    free(outputs);
    clv_session_free(session);
    free_arrays(&inputs);
    return st;
}

static bool is_classifier(const clv_tensor *t)
{
    bool one = t->dtype == CLV_FLOAT32 && t->rank >= 2 && t->dims[0] == 1 && t->dims[1] >= 2;
    for (int d = 2; one && d < t->rank; d++)
        one = t->dims[d] == 1;
    return one;
}

/* "classes": "285 (93.1 %), 281 (4.0 %), ..." of one image. */
static clv_status report_classes(job *j, const char *path, const clv_tensor *t)
{
    app *a = j->app;
    const int64_t n = t->dims[1];
    double *p = calloc((size_t)n, sizeof *p);
    if (!p)
        return app_fail(a, CLV_ERR_NOMEM, "%" PRId64 " classes", n);
    char text[256] = "";
    clv_status st = clv_probabilities(t->data, n, p, &a->err);
    for (int k = 0; st == CLV_OK && k < TOP && k < n; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if (p[i] > p[best])
                best = i;
        const size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%s%" PRId64 " (%.1f %%)", k ? ", " : "", best, 100 * p[best]);
        p[best] = -1;
    }
    free(p);
    return st == CLV_OK ? clv_report_set_text(a->report, path, text, &a->err) : st;
}

/* Row j->visited of "images". */
static clv_status report_image(job *j, int64_t index, const clv_tensor *outputs, size_t n)
{
    app *a = j->app;
    char path[64];
    (void)snprintf(path, sizeof path, "images.%" PRId64 ".image", j->visited);
    clv_status st = clv_report_set_text(a->report, path, clv_dataset_name(j->dataset, index), &a->err);
    if (st == CLV_OK && n > 0 && is_classifier(&outputs[0])) {
        (void)snprintf(path, sizeof path, "images.%" PRId64 ".classes", j->visited);
        st = report_classes(j, path, &outputs[0]);
    } else if (st == CLV_OK && n > 0) {
        char shape[256];
        shape_text(shape, sizeof shape, &outputs[0]);
        (void)snprintf(path, sizeof path, "images.%" PRId64 ".output", j->visited);
        st = clv_report_set_text(a->report, path, shape, &a->err);
    }
    return st;
}

/* DIR/<image>.<output>.npy */
static clv_status write_image(job *j, int64_t index, const clv_tensor *outputs, size_t n)
{
    app *a = j->app;
    for (size_t i = 0; i < n; i++) {
        char image[NAME_SIZE], output[NAME_SIZE], path[PATH_SIZE];
        clv_port port;
        if (clv_model_output(j->model, i, &port, &a->err) != CLV_OK)
            return a->err.code;
        safe_name(image, clv_dataset_name(j->dataset, index));
        safe_name(output, port.name);
        const int length = snprintf(path, sizeof path, "%s/%s.%s.npy", j->out_dir, image, output);
        if (length < 0 || (size_t)length >= sizeof path)
            return app_fail(a, CLV_ERR_ARG, "the name of the output folder is too long");
        if (clv_npy_write(&outputs[i], path, &a->err) != CLV_OK)
            return a->err.code;
    }
    return CLV_OK;
}

static clv_status visit(void *user, int64_t index, const clv_tensor *outputs, size_t n, clv_error *err)
{
    job *j = user;
    clv_status st = report_image(j, index, outputs, n);
    if (st == CLV_OK && j->out_dir)
        st = write_image(j, index, outputs, n);
    j->visited++;
    if (st != CLV_OK && err != &j->app->err)
        *err = j->app->err;
    return st;
}

static clv_status run_images(app *a, const clv_model *model, const arguments *args)
{
    job j = {.app = a, .model = model, .out_dir = args->out_dir};
    const clv_visitor visitor = {visit, &j};
    const clv_preprocess *preprocess;
    clv_preprocess room;
    clv_dataset *dataset = NULL;
    clv_status st = choose_preprocess(a, &args->options, model, &room, &preprocess);
    if (st == CLV_OK)
        st = open_dataset(a, &args->options, args->images, &dataset);
    j.dataset = dataset;
    if (st == CLV_OK && args->out_dir)
        st = make_folder(a, args->out_dir);
    if (st == CLV_OK)
        st = clv_predict(model, dataset, preprocess, &visitor, a->context, &a->err);
    if (st == CLV_OK)
        st = app_print(a);
    clv_dataset_free(dataset);
    return st;
}

static int run(const verb *v, int argc, char **argv)
{
    app a = {0};
    arguments args = {.options = NO_IMAGE_OPTIONS};
    const char *path;
    size_t n;
    const option options[] = {
        {0, "input", "NAME=FILE.npy",
         "the array for an input; once for each input, NAME= may be\nleft out when there is "
         "one",
         OPTION_TEXTS, &args.inputs},
        {0, "images", "PATH", "run on images instead", OPTION_TEXT, &args.images},
        {'o', "out-dir", "DIR", "write every output: DIR/OUTPUT.npy, with images\nDIR/IMAGE.OUTPUT.npy", OPTION_TEXT,
         &args.out_dir},
        {0, "fetch", "NAME", "an inner tensor to write in place of the outputs; may be\nrepeated (arrays only)",
         OPTION_TEXTS, &args.fetch},
        IMAGE_OPTIONS(&args.options),
        APP_OPTIONS(&a)};
    const int parsed = parse_options(v, options, sizeof options / sizeof *options, argc, argv, &path, 1, &n);
    if (parsed != PARSED)
        return parsed;
    if (n != 1)
        return usage_error(v, "which model?");
    if (!args.images == !args.inputs.n)
        return usage_error(v, "either --input NAME=FILE.npy or --images PATH");
    if (args.images && args.fetch.n)
        return usage_error(v, "--fetch works with --input only");
    clv_model *model = NULL;
    clv_status st = app_start(&a, v);
    if (st == CLV_OK)
        st = clv_model_load(&model, path, &a.err);
    if (st == CLV_OK)
        st = args.images ? run_images(&a, model, &args) : run_arrays(&a, model, &args);
    clv_model_free(model);
    return app_finish(&a, st);
}

const verb verb_run = {
    .name = "run",
    .summary = "run a model on arrays or images, write its outputs",
    .synopsis = "MODEL.onnx --input NAME=FILE.npy ... | --images PATH [--out-dir DIR] [options]",
    .about =
        "Runs a model once on arrays, or on every image of a set. Outputs go to --out-dir as .npy files; in their\n"
        "names everything but letters, digits, \".\", \"-\" and \"_\" becomes \"_\". For images, the five most "
        "probable\n"
        "classes of a classifier are printed.\n",
    .examples = "  cleave run net.onnx --input x.npy --out-dir out/\n"
                "  cleave run two-inputs.onnx --input left=l.npy --input right=r.npy --out-dir out/\n"
                "  cleave run net.onnx --images photos/ --preprocess imagenet\n",
    .run = run,
};
