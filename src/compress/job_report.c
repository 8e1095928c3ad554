/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/work.h"
#include "compress/job.h"
#include "compress/stats_file.h"
#include "measure/model_facts.h"
#include "measure/preprocess.h"

void clvi_job_report_layer(clvi_job *j, size_t i, const clvi_fit *fit, double seconds)
{
    const clvi_site *site = &j->sites.site[i];
    clvi_recipe_layer *l = &j->layer[i];
    const int64_t pixels = site->shape.oh * site->shape.ow;
    const int64_t before = site->conv.w ? clvi_conv_macs_per_pixel(&site->conv) * pixels : 0;
    l->layer = site->name;
    l->why = site->kept;
    l->error = fit ? fit->error : (double)NAN;
    l->macs_before = before;
    l->macs_after = fit ? fit->macs_per_pixel * pixels : before;
    l->parameters_after = fit            ? (fit->chain.n ? clvi_chain_parameters(&fit->chain) : l->chosen.parameters)
                          : site->conv.w ? clvi_conv_parameters(&site->conv)
                                         : 0;
    l->pixels = pixels;
    l->list = j->lists ? &j->lists[i] : NULL;
    if (!j->layers)
        return;
    clvi_item *row = clvi_report_row(j->layers);
    clvi_report_text(row, "layer", site->name);
    clvi_report_text(row, "form", fit ? l->chosen.form->name : "kept");
    clvi_report_int(row, "macs_before", before);
    clvi_report_int(row, "macs_after", l->macs_after);
    if (j->lists)
        clvi_report_real(row, "predicted", fit ? l->chosen.error : (double)NAN, 4);
    clvi_report_real(row, "error", l->error, 4);
    clvi_report_int(row, "iterations", fit ? fit->iterations : 0);
    clvi_report_real(row, "seconds", seconds, 2);
    clvi_report_text(row, "note", fit ? (site->sum != CLVI_NONE ? "repairs its block's sum" : "") : site->kept);
}

/* What the next job should know, in the metadata of the compressed model. */
static clv_status record(clvi_job *j, const clvi_count *before, const clvi_recipe *recipe, clv_error *err)
{
    char preprocess[512], size[CLVI_COUNT_TEXT];
    char *text;
    if (j->calibration.preprocess) {
        TRY(clv_preprocess_format(j->calibration.preprocess, preprocess, sizeof preprocess, err));
        TRY(clvi_graph_set_metadata(j->graph, CLVI_PREPROCESS_KEY, preprocess, err));
    }
    clvi_count_format(before, size);
    TRY(clvi_graph_set_metadata(j->graph, CLVI_ORIGINAL_KEY, size, err));
    TRY(clvi_recipe_write(&text, recipe, true, err));
    const clv_status st = clvi_graph_set_metadata(j->graph, "cleave.recipe", text, err);
    clvi_free(text);
    return st;
}

static clv_status write_recipe(const clvi_recipe *recipe, const char *path, clv_error *err)
{
    char *text;
    TRY(clvi_recipe_write(&text, recipe, false, err));
    size_t n = 0;
    while (text[n])
        n++;
    text[n] = '\n'; /* in the place of the NUL */
    const clv_status st = clvi_file_replace(path, text, n + 1, err);
    clvi_free(text);
    return st;
}

static bool timed(const clvi_job *j)
{
    return j->opts.budget && (j->budget.kind == CLVI_COST_LATENCY || j->opts.never_slower);
}

/* Both networks beside each other, once the result stands. */
static clv_status time_result(clvi_job *j, clv_error *err)
{
    const double start = clvi_now();
    if (!timed(j) || j->opts.dry_run)
        return CLV_OK;
    j->latency.percent = j->budget.percent;
    TRY(clvi_latency_measure(&j->latency, j->original, j->graph, &j->calibration.input, j->context, err));
    j->timing_seconds = clvi_now() - start;
    return CLV_OK;
}

/* Seconds of threads, by what they worked at; the rest is descents, activations and moving data about. */
static void report_work(const clvi_job *j, clvi_item *root)
{
    clvi_item *work = clvi_report_object(root, "work");
    const double products = clvi_work_seconds(CLVI_WORK_PRODUCTS) - j->work[CLVI_WORK_PRODUCTS];
    const double flops = clvi_work_flops(CLVI_WORK_PRODUCTS) - j->flops;
    clvi_report_real(work, "matrix_products", products, 1);
    clvi_report_real(work, "gflop_per_second", products > 0 ? 1e-9 * flops / products : 0, 1);
    clvi_report_real(work, "factorisations", clvi_work_seconds(CLVI_WORK_FACTORS) - j->work[CLVI_WORK_FACTORS], 1);
    clvi_report_real(work, "networks", j->calibration.inference * clvi_pool_threads(j->context->pool), 1);
    clvi_report_real(work, "processor", clvi_cpu_seconds() - j->cpu, 1);
}

static void report_time(const clvi_job *j, clvi_item *root, double seconds)
{
    clvi_item *time = clvi_report_object(root, "seconds");
    clvi_report_real(time, "statistics", j->survey_seconds + j->rows_seconds, 1);
    clvi_report_real(time, "search", j->explore_seconds, 1);
    if (timed(j))
        clvi_report_real(time, "timing", j->choice_seconds + j->timing_seconds, 1);
    clvi_report_real(time, "fit", j->fit_seconds, 1);
    clvi_report_real(time, "other",
                     seconds - j->survey_seconds - j->rows_seconds - j->explore_seconds - j->fit_seconds -
                         j->choice_seconds - j->timing_seconds,
                     1);
    report_work(j, root);
    clvi_report_real(root, "peak_memory_mib", (double)clvi_mem_peak() / 1048576, 0);
}

clv_status clvi_job_finish(clvi_job *j, clv_report *report, const clvi_count *before, double seconds, clv_error *err)
{
    clvi_count after;
    TRY(time_result(j, err));
    const clvi_recipe recipe = {&j->opts, clvi_graph_hash(j->original), j->layer, j->sites.n,
                                timed(j) ? &j->latency : NULL};
    seconds += j->timing_seconds;
    TRY(clvi_count_graph(&after, j->opts.dry_run ? j->original : j->graph, &j->calibration.input, 1, err));
    for (size_t i = 0; j->opts.dry_run && i < j->sites.n; i++)
        after.macs += j->layer[i].macs_after - j->layer[i].macs_before;
    TRY(record(j, before, &recipe, err));
    if (j->opts.recipe_out)
        TRY(write_recipe(&recipe, j->opts.recipe_out, err));
    if (!report)
        return CLV_OK;
    clvi_item *root = clvi_report_root(report);
    clvi_report_count(clvi_report_object(root, "before"), before);
    clvi_report_count(clvi_report_object(root, "after"), &after);
    if (timed(j)) {
        clvi_report_latency(&j->latency, j->context, clvi_report_object(root, "latency"));
        clvi_report_real(clvi_report_object(root, "before"), "latency_ms", 1e3 * j->latency.before, 4);
        clvi_report_real(clvi_report_object(root, "after"), "latency_ms",
                         1e3 * (j->opts.dry_run ? j->latency.planned : j->latency.after), 4);
    }
    report_time(j, root, seconds);
    return clvi_report_check(report, err);
}
