/* SPDX-License-Identifier: Apache-2.0 */
/* The main job. Survey: one walk through the original gives the moments of every convolution, and from them the error
 * of every form and size (with a budget alone). Plan: one candidate for each. Fit: walk through the original and the
 * network in the making side by side; at each convolution fit what the latter gives to what the former makes of it, and
 * write the chain into the graph. */
#include "compress/compress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "compress/fit_site.h"
#include "compress/plan.h"
#include "compress/reestimate.h"
#include "compress/survey.h"
#include "graph/dead_code.h"
#include "measure/baseline.h"
#include "measure/model_facts.h"
#include "measure/preprocess.h"
#include "report/report.h"
#include "runtime/passes.h"

#define ROUND  4                 /* inner sizes are multiples of it */
#define MEMORY ((size_t)3 << 30) /* for what is kept of images and statistics */

typedef struct job {
    const clv_compress_opts *opts;
    const clvi_form *form; /* for all, or that the search is restricted to; NULL: any */
    clvi_fit_opts fit;
    clvi_budget budget;       /* when opts->budget is given */
    clvi_candidates *lists;   /* [sites] with a budget */
    clvi_candidate *chosen;   /* [sites] what becomes of each; form NULL: it is kept */
    const clvi_graph *source; /* as it was given */
    clvi_graph *original;     /* BatchNorm folded; what the targets come from */
    clvi_graph *graph;        /* the same, being rewritten */
    clvi_shapes shapes;       /* of the original at batch 1 */
    clvi_sites sites;
    clvi_calibration calibration;
    clvi_front original_front, front;
    clvi_arena *arena; /* fitted weights */
    clv_context *context;
    clvi_item *layers; /* table of the report, or NULL */
} job;

clv_compress_opts clv_compress_opts_default(void)
{
    return (clv_compress_opts){

        .method = "joint", .multiplier = 2, .rounds = 6, .samples = 32768, .batch = 64, .ridge = 1e-3, .seed = 1};
}

static clv_status check_options(job *j, clv_error *err)
{
    const clv_compress_opts *o = j->opts;
    const char *form = o->form ? o->form : o->budget ? NULL : "depthwise";
    j->form = form ? clvi_form_find(form) : NULL;
    if (form && !j->form)
        return FAIL(err, CLV_ERR_ARG, "unknown form \"%s\"", form);
    if (o->budget)
        TRY(clvi_budget_parse(&j->budget, o->budget, err));
    j->fit = clvi_fit_opts_default();
    if (o->method && !clvi_method_parse(o->method, &j->fit.method))
        return FAIL(err, CLV_ERR_ARG, "unknown method \"%s\"", o->method);
    if (!(o->multiplier > 0) || o->multiplier > 1e6)
        return FAIL(err, CLV_ERR_ARG, "multiplier is %g, a positive number was expected", o->multiplier);
    if (!o->uneven && o->multiplier != floor(o->multiplier))
        return FAIL(err, CLV_ERR_ARG, "multiplier is %g: a fraction needs uneven multipliers", o->multiplier);
    if (o->samples < 1 || o->samples > INT32_MAX || o->batch < 1 || !(o->ridge >= 0) || o->ridge > 1)
        return FAIL(err, CLV_ERR_ARG,
                    "samples %lld (1 to 2^31 - 1), batch %lld (at least 1) or ridge %g (0 to 1) is out of range",
                    (long long)o->samples, (long long)o->batch, o->ridge);
    if (o->rounds < 0 || o->rounds > 1000)
        return FAIL(err, CLV_ERR_ARG, "%d rounds through the activation, 0 to 1000 were expected", o->rounds);
    j->fit.multiplier = o->multiplier;
    j->fit.uneven = o->uneven;
    j->fit.ridge = o->ridge;
    j->fit.seed = o->seed;
    return CLV_OK;
}

static bool listed(const clv_compress_opts *opts, const char *name)
{
    for (size_t i = 0; i < opts->n_keep; i++)
        if (strcmp(opts->keep[i], name) == 0)
            return true;
    return false;
}

static clv_status check_keep_list(const job *j, clv_error *err)
{
    for (size_t i = 0; i < j->opts->n_keep; i++) {
        bool found = false;
        for (size_t k = 0; k < j->sites.n; k++)
            found = found || strcmp(j->sites.site[k].name, j->opts->keep[i]) == 0;
        if (!found)
            return FAIL(err, CLV_ERR_ARG, "no convolution is called \"%s\"", j->opts->keep[i]);
    }
    return CLV_OK;
}

/* Why a site is left alone whatever a search would say; NULL: it may be split. */
static const char *reason_to_keep(const job *j, const clvi_site *site)
{
    if (listed(j->opts, site->name))
        return "asked to be kept";
    if (!j->opts->first && j->original->values[site->x].is_input)
        return "it reads the network's input";
    if (j->opts->budget && !j->form)
        return clvi_form_find("depthwise")->refuses(&site->conv); /* what has one channel or one tap */
    const char *refused = j->form->refuses(&site->conv);
    const int64_t macs = refused || j->opts->budget ? 1 : j->form->macs(&site->conv, &j->fit);
    return refused                                                      ? refused
           : macs == 0 || macs >= clvi_conv_macs_per_pixel(&site->conv) ? "splitting it would not save MACs"
                                                                        : NULL;
}

static clv_status choose_sites(job *j, clv_error *err)
{
    size_t split = 0;
    TRY(check_keep_list(j, err));
    j->chosen = clvi_arena_calloc(j->arena, j->sites.n, sizeof *j->chosen);
    if (!j->chosen)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu convolutions", j->sites.n);
    for (size_t i = 0; i < j->sites.n; i++) {
        clvi_site *site = &j->sites.site[i];
        if (j->opts->no_shortcut)
            site->sum = site->shortcut = CLVI_NONE;
        if (!site->kept)
            site->kept = reason_to_keep(j, site);
        j->chosen[i] = (clvi_candidate){
            .form = j->form, .multiplier = j->fit.multiplier, .uneven = j->fit.uneven, .error = (double)NAN};
        split += !site->kept;
    }
    if (split == 0)
        return FAIL(err, CLV_ERR_UNSUP, "none of the %zu convolutions can be split with a gain; `inspect` says why",
                    j->sites.n);
    return CLV_OK;
}

/* --- survey and plan ---------------------------------------------------------------------------------------------- */

static clv_status explore(void *user, const clvi_survey_part *part, clv_error *err)
{
    job *j = user;
    const clvi_explore_opts opts = {.form = j->form, .round = ROUND, .fit = j->fit};
    clvi_covariance **cov = clvi_calloc(part->n, sizeof *cov);
    clvi_candidates **lists = clvi_calloc(part->n, sizeof *lists);
    clv_status st = cov && lists ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%zu convolutions", part->n);
    for (size_t k = 0; st == CLV_OK && k < part->n; k++) {
        lists[k] = &j->lists[part->site[k]];
        st = clvi_covariances_of(&cov[k], part->moments[k], (size_t)j->sites.site[part->site[k]].conv.groups, err);
    }
    if (st == CLV_OK)
        st = clvi_candidates_explore(lists, &j->sites, part->site, cov, part->n, &opts, j->context, err);
    for (size_t k = 0; cov && k < part->n; k++)
        clvi_covariances_free(cov[k], (size_t)j->sites.site[part->site[k]].conv.groups);
    clvi_free(cov);
    clvi_free(lists);
    return st;
}

static clv_status search(job *j, const clvi_count *whole, clv_error *err)
{
    size_t *picked = clvi_arena_calloc(j->arena, j->sites.n, sizeof *picked);
    j->lists = clvi_arena_calloc(j->arena, j->sites.n, sizeof *j->lists);
    if (!picked || !j->lists)
        return FAIL(err, CLV_ERR_NOMEM, "candidates of %zu convolutions", j->sites.n);
    TRY(clvi_survey(j->original, &j->sites, &j->calibration, MEMORY / 4, explore, j, err));
    TRY(clvi_plan_choose(picked, &j->budget, whole, j->lists, &j->sites, err));
    for (size_t i = 0; i < j->sites.n; i++) {
        if (j->sites.site[i].kept)
            continue;
        j->chosen[i] = j->lists[i].item[picked[i]];
        if (!j->chosen[i].form)
            j->sites.site[i].kept = "worth its cost";
    }
    return CLV_OK;
}

/* --- fit ---------------------------------------------------------------------------------------------------------- */

static void report_layer(job *j, size_t i, const clvi_fit *fit, double seconds)
{
    const clvi_site *site = &j->sites.site[i];
    if (!j->layers)
        return;
    clvi_item *row = clvi_report_row(j->layers);
    const int64_t pixels = site->shape.oh * site->shape.ow;
    const int64_t before = site->conv.w ? clvi_conv_macs_per_pixel(&site->conv) * pixels : 0;
    clvi_report_text(row, "layer", site->name);
    clvi_report_text(row, "form", fit ? j->chosen[i].form->name : "kept");
    clvi_report_int(row, "macs_before", before);
    clvi_report_int(row, "macs_after", fit ? fit->macs_per_pixel * pixels : before);
    clvi_report_real(row, "error", fit ? fit->error : (double)NAN, 4);
    clvi_report_int(row, "iterations", fit ? fit->iterations : 0);
    clvi_report_real(row, "seconds", seconds, 2);
    clvi_report_text(row, "note", fit ? (site->sum != CLVI_NONE ? "repairs its block's sum" : "") : site->kept);
}

/* Moments of what the network compressed so far really gives, for weak fits that were made on something else. */
static clv_status reestimate(job *j, const clvi_rows_source *source, size_t i, clvi_fit *fit,
                             const clvi_site_rows *rows, clv_error *err)
{
    const clvi_site *site = &j->sites.site[i];
    clvi_site_rows seen = {0};
    clvi_covariance *cov = NULL;
    clvi_rows_source asymmetric = *source;
    clv_status st = CLV_OK;
    asymmetric.symmetric = false;
    if (source->symmetric)
        st = clvi_site_rows_fill(&seen, &asymmetric, i, err);
    if (st == CLV_OK)
        st = clvi_site_rows_covariances(&cov, source->symmetric ? &seen : rows, j->context->pool, err);
    if (st == CLV_OK)
        st = clvi_reestimate(&fit->chain, &site->conv, cov, j->arena, err);
    clvi_covariances_free(cov, (size_t)site->conv.groups);
    clvi_site_rows_free(&seen);
    return st;
}

static clv_status split_site(job *j, size_t i, double *fit_seconds, clv_error *err)
{
    const clvi_site *site = &j->sites.site[i];
    const clvi_rows_source source = {.original = j->original,
                                     .graph = j->graph,
                                     .original_front = &j->original_front,
                                     .front = &j->front,
                                     .sites = &j->sites,
                                     .calibration = &j->calibration,
                                     .memory = MEMORY / 4,
                                     .symmetric = j->opts->symmetric};
    const clvi_fit_site_opts opts = {.form = j->chosen[i].form,
                                     .fit = clvi_candidate_fit_opts(&j->chosen[i], &j->fit),
                                     .rounds = j->opts->symmetric ? 0 : j->opts->rounds};
    clvi_site_rows rows = {0};
    clvi_fit fit;
    clv_status st = clvi_site_rows_fill(&rows, &source, i, err);
    const double start = clvi_now();
    if (st == CLV_OK)
        st = clvi_fit_site(&fit, site, &rows, &opts, j->arena, j->context, err);
    const double seconds = clvi_now() - start;
    if (st == CLV_OK && j->opts->reestimate)
        st = reestimate(j, &source, i, &fit, &rows, err);
    clvi_site_rows_free(&rows);
    if (st != CLV_OK)
        return st;
    TRY(clvi_site_rewrite(j->graph, site, &fit.chain, err));
    *fit_seconds += seconds;
    report_layer(j, i, &fit, seconds);
    return CLV_OK;
}

/* What the next job should know, in the metadata of the compressed model. */
static clv_status record(job *j, const clvi_count *before, clv_error *err)
{
    char preprocess[512], recipe[512], size[CLVI_COUNT_TEXT];
    const clv_compress_opts *o = j->opts;
    (void)snprintf(recipe, sizeof recipe,
                   "form=%s budget=%s method=%s multiplier=%.9g uneven=%d symmetric=%d shortcut=%d reestimate=%d "
                   "rounds=%d first=%d samples=%lld "
                   "batch=%lld ridge=%.9g seed=%llu",
                   j->form ? j->form->name : "any", o->budget ? o->budget : "none", clvi_method_name(j->fit.method),
                   o->multiplier, o->uneven, o->symmetric, !o->no_shortcut, o->reestimate, o->rounds, o->first,
                   (long long)o->samples, (long long)o->batch, o->ridge, (unsigned long long)o->seed);
    if (j->calibration.preprocess) {
        TRY(clv_preprocess_format(j->calibration.preprocess, preprocess, sizeof preprocess, err));
        TRY(clvi_graph_set_metadata(j->graph, CLVI_PREPROCESS_KEY, preprocess, err));
    }
    clvi_count_format(before, size);
    TRY(clvi_graph_set_metadata(j->graph, CLVI_ORIGINAL_KEY, size, err));
    return clvi_graph_set_metadata(j->graph, "cleave.compress", recipe, err);
}

/* An operator that cannot be run behind the convolutions does not stand in the way of splitting them. */
static clv_status look_at_baseline(job *j, clv_report *report, clv_error *err)
{
    clv_error reason;
    clvi_item *item = report ? clvi_report_object(clvi_report_root(report), "baseline") : NULL;
    const clv_status st =
        clvi_baseline_check(j->original, j->calibration.data, j->calibration.preprocess, j->context, item, &reason);
    if (st == CLV_ERR_UNSUP) {
        clvi_log(j->context, CLV_LOG_WARNING, "the network cannot be run to its end, so its baseline is unknown: %s",
                 reason.msg);
        return CLV_OK;
    }
    if (st != CLV_OK && err)
        *err = reason;
    return st;
}

static clv_status run(job *j, clv_report *report, clv_error *err)
{
    const double start = clvi_now();
    double fit_seconds = 0;
    clvi_count before, after;
    TRY(clvi_shapes_infer(&j->shapes, j->original, &j->calibration.input, 1, err));
    TRY(clvi_sites_find(&j->sites, j->original, &j->shapes, err));
    TRY(choose_sites(j, err));
    TRY(look_at_baseline(j, report, err));
    TRY(clvi_count_graph(&before, j->source, &j->calibration.input, 1, err));
    if (j->opts->budget)
        TRY(search(j, &before, err));
    if (report)
        j->layers = clvi_report_table(clvi_report_root(report), "layers");
    TRY(clvi_front_create(&j->original_front, j->original, &j->calibration, err));
    TRY(clvi_front_create(&j->front, j->graph, &j->calibration, err));
    for (size_t i = 0; i < j->sites.n; i++) {
        if (j->sites.site[i].kept)
            report_layer(j, i, NULL, 0);
        else
            TRY(split_site(j, i, &fit_seconds, err));
    }
    TRY(clvi_pass_dead_code(j->graph, NULL, err));
    TRY(clvi_count_graph(&after, j->graph, &j->calibration.input, 1, err));
    TRY(record(j, &before, err));
    if (report) {
        clvi_item *root = clvi_report_root(report);
        clvi_report_count(clvi_report_object(root, "before"), &before);
        clvi_report_count(clvi_report_object(root, "after"), &after);
        clvi_item *time = clvi_report_object(root, "seconds");
        const double total = clvi_now() - start;
        clvi_report_real(time, "statistics", total - fit_seconds, 1);
        clvi_report_real(time, "fit", fit_seconds, 1);
        clvi_report_real(root, "peak_memory_mib", (double)clvi_mem_peak() / 1048576, 0);
        TRY(clvi_report_check(report, err));
    }
    return CLV_OK;
}

clv_status clvi_compress(clvi_graph **out, const clvi_graph *graph, clv_dataset *calibration,
                         const clv_preprocess *preprocess, const clv_compress_opts *opts, clv_context *context,
                         clv_report *report, clv_error *err)
{
    clv_preprocess resolved;
    clv_status st;
    job j = {.opts = opts, .source = graph, .context = context};
    *out = NULL;
    if (!clv_dataset_is_tensor(calibration)) {
        TRY(clvi_preprocess_resolve(&resolved, graph, preprocess, err));
        preprocess = &resolved;
    }
    if ((st = check_options(&j, err)) != CLV_OK || (st = clvi_graph_clone(&j.original, graph, err)) != CLV_OK ||
        (st = clvi_pass_fold_constants(j.original, err)) != CLV_OK ||
        (st = clvi_pass_fold_batchnorm(j.original, err)) != CLV_OK ||
        (st = clvi_graph_clone(&j.graph, j.original, err)) != CLV_OK ||
        (st = clvi_calibration_create(&j.calibration, j.original, calibration, preprocess, MEMORY / 2, 0, 1, context,
                                      err)) != CLV_OK)
        goto out;
    j.calibration.samples = opts->samples;
    j.calibration.batch = opts->batch;
    j.calibration.seed = opts->seed;
    j.arena = clvi_arena_create();
    if (!j.arena) {
        st = FAIL(err, CLV_ERR_NOMEM, "fitted weights");
        goto out;
    }
    if ((st = run(&j, report, err)) != CLV_OK)
        goto out;
    *out = j.graph;
    j.graph = NULL;
out:
    clvi_front_free(&j.original_front);
    clvi_front_free(&j.front);
    clvi_calibration_free(&j.calibration);
    clvi_sites_free(&j.sites);
    clvi_shapes_free(&j.shapes);
    clvi_arena_free(j.arena);
    clvi_graph_free(j.graph);
    clvi_graph_free(j.original);
    return st;
}
