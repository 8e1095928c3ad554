/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep composes the public calls: compress under each budget with shared statistics, evaluate, draw. */
#include "cleave/frontier.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"
#include "base/mem.h"
#include "cleave/measure.h"
#include "report/plot.h"
#include "report/report.h"

#define LATENCY "latency_ms"

typedef struct sweep {
    const clv_model *model;
    clv_compress_opts opts;
    clv_dataset *calibration, *test;
    const clv_preprocess *preprocess;
    clv_context *context;
    const char *cost;    /* name of the budgets' cost in reports */
    char temporary[512]; /* statistics that go with the sweep; "": the caller's are used */
} sweep;

/* Where clv_compress reports what the budgets speak of. */
static const char *cost_name(const char *budget)
{
    return strncmp(budget, "params", 6) == 0    ? "parameters"
           : strncmp(budget, "bytes", 5) == 0   ? "weight_bytes"
           : strncmp(budget, "latency", 7) == 0 ? LATENCY
                                                : "macs";
}

static double figure(const clv_report *report, const char *object, const char *key)
{
    char path[64];
    double value;
    (void)snprintf(path, sizeof path, "%s.%s", object, key);
    return clv_report_number(report, path, &value, NULL) == CLV_OK ? value : (double)NAN;
}

static clv_status measure(clv_frontier_point *p, const sweep *s, const clv_model *small, double *original_top1,
                          clv_error *err)
{
    clv_report *report;
    clv_evaluate_opts opts = clv_evaluate_opts_default();
    opts.against = s->model;
    opts.preprocess = s->preprocess;
    opts.no_check = true;
    TRY(clv_report_create(&report, err));
    const clv_status st = clv_evaluate(small, s->test, &opts, s->context, report, err);
    p->top1 = figure(report, "accuracy", "top1");
    p->agreement = figure(report, "agreement", "same_class");
    p->error = figure(report, "outputs.0", "relative_error");
    *original_top1 = figure(report, "against", "top1");
    clv_report_free(report);
    return st;
}

static clv_status one_point(clv_frontier_point *p, sweep *s, const char *budget, double *original_top1, clv_error *err)
{
    clv_model *small = NULL;
    clv_report *report = NULL;
    const double start = clvi_now();
    *p = (clv_frontier_point){.top1 = (double)NAN, .agreement = (double)NAN, .error = (double)NAN};
    s->opts.budget = budget;
    clv_status st = clv_report_create(&report, err);
    if (st == CLV_OK)
        st = clv_model_clone(&small, s->model, err);
    if (st == CLV_OK)
        st = clv_compress(small, s->calibration, s->preprocess, &s->opts, s->context, report, err);
    p->reached = st == CLV_OK;
    if (p->reached) {
        p->seconds = clvi_now() - start;
        p->cost = figure(report, "after", s->cost);
        p->whole = figure(report, "before", s->cost);
        st = measure(p, s, small, original_top1, err);
    } else if (st == CLV_ERR_BUDGET) {
        st = CLV_OK;
    }
    clv_model_free(small);
    clv_report_free(report);
    return st;
}

static void report_points(clv_report *report, const clv_frontier_point *points, const char *const *budgets, int64_t n,
                          const char *cost, double original_top1)
{
    clvi_item *root = clvi_report_root(report), *table = clvi_report_table(root, "frontier");
    clvi_report_real(clvi_report_object(root, "original"), "top1", original_top1, 2);
    for (int64_t i = 0; i < n; i++) {
        const clv_frontier_point *p = &points[i];
        clvi_item *row = clvi_report_row(table);
        clvi_report_text(row, "budget", budgets[i]);
        if (!p->reached) {
            clvi_report_text(row, "note", "cannot be reached");
            continue;
        }
        if (strcmp(cost, LATENCY) == 0)
            clvi_report_real(row, LATENCY, p->cost, 4);
        else
            clvi_report_int(row, "cost", (int64_t)p->cost);
        clvi_report_real(row, "times_fewer", p->whole / p->cost, 2);
        clvi_report_real(row, "top1", p->top1, 2);
        clvi_report_real(row, "points", p->top1 - original_top1, 2);
        clvi_report_real(row, "same_class", p->agreement, 2);
        clvi_report_real(row, "relative_error", p->error, 4);
        clvi_report_real(row, "seconds", p->seconds, 1);
    }
}

/* Options that make no sense for a sweep are put aside, statistics put somewhere. */
static void start(sweep *s)
{
    s->opts.recipe = s->opts.recipe_out = s->opts.journal = NULL;
    s->opts.resume = s->opts.dry_run = false;
    if (s->opts.stats)
        return;
    const char *folder = getenv("TMPDIR");
    (void)snprintf(s->temporary, sizeof s->temporary, "%s/cleave-%ld.clvstats", folder && *folder ? folder : "/tmp",
                   (long)getpid());
    (void)unlink(s->temporary);
    s->opts.stats = s->temporary;
}

static clv_status finish(const sweep *s, clv_status st, clv_report *report, const clv_frontier_point *points,
                         const char *const *budgets, int64_t n, double original_top1, clv_error *err)
{
    if (*s->temporary)
        (void)unlink(s->temporary);
    if (st != CLV_OK || !report)
        return st;
    report_points(report, points, budgets, n, s->cost, original_top1);
    return clvi_report_check(report, err);
}

clv_status clv_frontier(clv_frontier_point *points, const clv_model *model, const char *const *budgets, int64_t n,
                        const clv_compress_opts *opts, clv_dataset *calibration, const clv_preprocess *preprocess,
                        clv_dataset *test, clv_context *context, clv_report *report, clv_error *err)
{
    sweep s = {.model = model,
               .opts = opts ? *opts : clv_compress_opts_default(),
               .calibration = calibration,
               .test = test,
               .preprocess = preprocess,
               .context = context};
    double original_top1 = (double)NAN;
    if (n < 1)
        return FAIL(err, CLV_ERR_ARG, "no budget was given");
    s.cost = cost_name(budgets[0]);
    for (int64_t i = 1; i < n; i++)
        if (strcmp(cost_name(budgets[i]), s.cost) != 0)
            return FAIL(err, CLV_ERR_ARG, "\"%s\" and \"%s\" are budgets of different kinds", budgets[0], budgets[i]);
    start(&s);
    clv_status st = CLV_OK;
    for (int64_t i = 0; st == CLV_OK && i < n; i++)
        st = one_point(&points[i], &s, budgets[i], &original_top1, err);
    return finish(&s, st, report, points, budgets, n, original_top1, err);
}

/* Points of top-1, or of agreement, or percent of error: what there is. */
static double drop_of(const clv_frontier_point *p, double original_top1)
{
    return !p->reached            ? HUGE_VAL
           : !isnan(p->top1)      ? original_top1 - p->top1
           : !isnan(p->agreement) ? 100 - p->agreement
                                  : 100 * p->error;
}

#define STEPS 6

clv_status clv_frontier_search(char budget[CLV_BUDGET_TEXT], clv_frontier_point *best, const clv_model *model,
                               double max_drop, const clv_compress_opts *opts, clv_dataset *calibration,
                               const clv_preprocess *preprocess, clv_dataset *test, clv_context *context,
                               clv_report *report, clv_error *err)
{
    sweep s = {.model = model,
               .opts = opts ? *opts : clv_compress_opts_default(),
               .calibration = calibration,
               .test = test,
               .preprocess = preprocess,
               .context = context,
               .cost = cost_name("macs")};
    clv_frontier_point points[STEPS];
    char texts[STEPS][CLV_BUDGET_TEXT];
    const char *budgets[STEPS];
    double original_top1 = (double)NAN, low = 0, high = 1;
    int64_t n = 0, found = -1;
    if (!(max_drop >= 0) || !isfinite(max_drop))
        return FAIL(err, CLV_ERR_ARG, "a drop of at most %g points: a number from 0 on was expected", max_drop);
    start(&s);
    clv_status st = CLV_OK;
    for (; st == CLV_OK && n < STEPS; n++) {
        const double share = (low + high) / 2;
        (void)snprintf(texts[n], sizeof texts[n], "macs=%.4g%%", 100 * share);
        budgets[n] = texts[n];
        st = one_point(&points[n], &s, texts[n], &original_top1, err);
        if (st != CLV_OK)
            break;
        const double drop = drop_of(&points[n], original_top1);
        const bool within = drop <= max_drop;
        if (points[n].reached)
            clvi_log(context, CLV_LOG_INFO, "%s: a drop of %.2f, %s the %.2f asked for", texts[n], drop,
                     within ? "within" : "beyond", max_drop);
        else
            clvi_log(context, CLV_LOG_INFO, "%s cannot be reached", texts[n]);
        *(within ? &high : &low) = share;
        found = within ? n : found;
    }
    if (st == CLV_OK && found < 0)
        st = FAIL(err, CLV_ERR_BUDGET, "even %s drops by %.2f, more than %.2f: nothing can be saved", texts[n - 1],
                  drop_of(&points[n - 1], original_top1), max_drop);
    if (st == CLV_OK) {
        (void)snprintf(budget, CLV_BUDGET_TEXT, "%s", texts[found]);
        if (best)
            *best = points[found];
    }
    return finish(&s, st, report, points, budgets, n, original_top1, err);
}

clv_status clv_frontier_plot(const clv_frontier_point *points, int64_t n, const char *path, clv_error *err)
{
    double *x = clvi_alloc_array(n > 0 ? (size_t)n : 1, 2 * sizeof *x);
    size_t used = 0;
    bool labels = false;
    if (!x)
        return FAIL(err, CLV_ERR_NOMEM, "chart of %lld points", (long long)n);
    double *y = x + n;
    for (int64_t i = 0; i < n; i++)
        labels = labels || !isnan(points[i].top1);
    for (int64_t i = 0; i < n; i++)
        if (points[i].reached) {
            x[used] = points[i].cost / points[i].whole;
            y[used++] = labels ? points[i].top1 : isnan(points[i].agreement) ? points[i].error : points[i].agreement;
        }
    const bool classifier = labels || (n > 0 && !isnan(points[0].agreement));
    const clvi_series series = {.label = "cleave, no training", .x = x, .y = y, .n = used};
    const clvi_plot plot = {.x_label = "share of the cost that is left",
                            .y_label = labels       ? "top-1 %"
                                       : classifier ? "same class as the original, %"
                                                    : "relative error of the output",
                            .series = &series,
                            .n_series = 1};
    const clv_status st = clvi_plot_write(&plot, 1, path, err);
    clvi_free(x);
    return st;
}
