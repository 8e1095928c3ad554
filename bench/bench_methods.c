/* SPDX-License-Identifier: Apache-2.0 */
/* bench_methods MODEL CALIBRATION TEST PREPROCESS [MULTIPLIER [CALIBRATION_IMAGES]]
 * Compresses one network with every method at the same MACs, without training, and prints accuracy before and after. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleave/compress.h"
#include "cleave/measure.h"

typedef struct variant {
    const char *label, *form, *method;
    bool symmetric, no_shortcut, reestimate, uneven;
    bool search; /* every form, sizes chosen, within the MACs that the multiplier made of the depthwise form */
} variant;

static const variant variants[] = {
    {"SVD of the weights + bias", "depthwise", "svd", true, true, false, false, false},
    {"SVD, mean and variance re-estimated", "depthwise", "svd", true, true, true, false, false},
    {"GSVD per channel", "depthwise", "gsvd", true, true, false, false, false},
    {"inter-channel GSVD (the paper)", "depthwise", "inter-channel", true, true, false, false, false},
    {"inter-channel, mean and variance re-estimated", "depthwise", "inter-channel", true, true, true, false, false},
    {"sweeps", "depthwise", "sweeps", true, true, false, false, false},
    {"joint", "depthwise", "joint", true, true, false, false, false},
    {"joint, asymmetric", "depthwise", "joint", false, true, false, false, false},
    {"joint, asymmetric, shortcut target", "depthwise", "joint", false, false, false, false, false},
    {"the same, uneven multipliers", "depthwise", "joint", false, false, false, true, false},
    {"channel (Zhang et al.)", "channel", "gsvd", true, true, false, false, false},
    {"channel, asymmetric, shortcut target", "channel", "gsvd", false, false, false, false, false},
    {"spatial, asymmetric, shortcut target", "spatial", "joint", false, false, false, false, false},
    {"Tucker-2, asymmetric, shortcut target", "tucker2", "joint", false, false, false, false, false},
    {"output-side depthwise, asymm., shortcut target", "output-depthwise", "joint", false, false, false, false, false},
    {"bottleneck, asymmetric, shortcut target", "bottleneck", "joint", false, false, false, false, false},
    {"form and size chosen for each layer", NULL, "joint", false, false, false, false, true},
};

typedef struct bench {
    const char *calibration, *test;
    double multiplier;
    int64_t images; /* for calibration, 0: all */
    clv_model *original;
    double before; /* top-1, percent */
    double macs;   /* of the network with depthwise layers, 0 before the first of them */
    clv_context *context;
} bench;

static clv_status top1(double *out, double *macs, const clv_model *model, const bench *b, clv_error *err)
{
    clv_dataset *data = NULL;
    clv_report *report = NULL;
    clv_evaluate_opts opts = clv_evaluate_opts_default();
    opts.no_check = true;
    clv_status st = clv_dataset_open(&data, b->test, NULL, err);
    if (st == CLV_OK)
        st = clv_report_create(&report, err);
    if (st == CLV_OK)
        st = clv_evaluate(model, data, &opts, b->context, report, err);
    if (st == CLV_OK)
        st = clv_report_number(report, "accuracy.top1", out, err);
    if (st == CLV_OK)
        st = clv_report_number(report, "model.macs", macs, err);
    clv_report_free(report);
    clv_dataset_free(data);
    return st;
}

static clv_status compress(clv_model *model, const variant *v, const bench *b, clv_report *report, clv_error *err)
{
    clv_dataset *calibration = NULL;
    clv_dataset_opts data = clv_dataset_opts_default();
    clv_compress_opts opts = clv_compress_opts_default();
    char budget[40];
    data.limit = b->images;
    opts.form = v->form;
    opts.method = v->method;
    opts.multiplier = b->multiplier;
    opts.symmetric = v->symmetric;
    opts.no_shortcut = v->no_shortcut;
    opts.reestimate = v->reestimate;
    opts.uneven = v->uneven;
    if (v->search) {
        (void)snprintf(budget, sizeof budget, "macs=%.6fM", b->macs / 1e6);
        opts.budget = budget;
    }
    clv_status st = clv_dataset_open(&calibration, b->calibration, &data, err);
    if (st == CLV_OK)
        st = clv_compress(model, calibration, NULL, &opts, b->context, report, err);
    clv_dataset_free(calibration);
    return st;
}

static bool is_depthwise(const variant *v)
{
    return v->form && strcmp(v->form, "depthwise") == 0;
}

static clv_status measure(const variant *v, bench *b, clv_error *err)
{
    clv_model *model = NULL;
    clv_report *report = NULL;
    double after = 0, macs = 0, statistics = 0, fit = 0;
    clv_status st = clv_model_clone(&model, b->original, err);
    if (st == CLV_OK)
        st = clv_report_create(&report, err);
    if (st == CLV_OK)
        st = compress(model, v, b, report, err);
    if (st == CLV_OK)
        st = top1(&after, &macs, model, b, err);
    if (st == CLV_OK)
        st = clv_report_number(report, "seconds.statistics", &statistics, err);
    if (st == CLV_OK)
        st = clv_report_number(report, "seconds.fit", &fit, err);
    if (st == CLV_OK)
        (void)printf("%-46s %7.2f %7.2f %9.2f %8.1f %7.1f\n", v->label, after, after - b->before, macs / 1e6,
                     statistics, fit);
    if (st == CLV_OK && is_depthwise(v))
        b->macs = macs;
    (void)fflush(stdout);
    clv_report_free(report);
    clv_model_free(model);
    return st;
}

/* Shares of a filter are for uneven multipliers alone. */
static bool is_possible(const variant *v, const bench *b)
{
    return b->multiplier == floor(b->multiplier) || v->uneven || !is_depthwise(v);
}

static int failed(const char *what, const clv_error *err)
{
    (void)fprintf(stderr, "bench_methods: %s: %s: %s\n", what, clv_status_text(err->code), err->msg);
    return 1;
}

int main(int argc, char **argv)
{
    clv_error err;
    clv_preprocess preprocess;
    double macs;
    int status = 0;
    if (argc < 5) {
        (void)fprintf(stderr,
                      "usage: bench_methods MODEL CALIBRATION TEST PREPROCESS [MULTIPLIER [CALIBRATION_IMAGES]]\n");
        return 2;
    }
    bench b = {.calibration = argv[2],
               .test = argv[3],
               .multiplier = argc > 5 ? strtod(argv[5], NULL) : 2,
               .images = argc > 6 ? strtol(argv[6], NULL, 10) : 0};
    if (clv_context_create(&b.context, NULL, &err) != CLV_OK || clv_model_load(&b.original, argv[1], &err) != CLV_OK ||
        clv_preprocess_preset(&preprocess, argv[4], &err) != CLV_OK ||
        clv_model_set_preprocess(b.original, &preprocess, &err) != CLV_OK ||
        top1(&b.before, &macs, b.original, &b, &err) != CLV_OK) {
        status = failed(argv[1], &err);
        goto out;
    }
    (void)printf("%d threads, %s; multiplier %g; no training, no labels in calibration\n",
                 clv_context_threads(b.context), clv_context_isa(b.context), b.multiplier);
    (void)printf("%-46s %7s %7s %9s %8s %7s\n", "method", "top-1 %", "points", "MMACs", "stat. s", "fit s");
    (void)printf("%-46s %7.2f %7s %9.2f\n", "original", b.before, "", macs / 1e6);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (is_possible(&variants[i], &b) && measure(&variants[i], &b, &err) != CLV_OK)
            status = failed(variants[i].label, &err);
out:
    clv_model_free(b.original);
    clv_context_free(b.context);
    return status;
}
