/* SPDX-License-Identifier: Apache-2.0 */
/* The main job. Explore: one walk through the original gives the moments of every convolution, and from them the error
 * of every form and size (with a budget alone). Plan: one candidate for each. Fit: walk through the original and the
 * network in the making side by side; at each convolution fit what the latter gives to what the former makes of it, and
 * write the chain into the graph. */
#include "compress/compress.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "compress/explore.h"
#include "compress/fit_average.h"
#include "compress/fit_site.h"
#include "compress/job.h"
#include "compress/reestimate.h"
#include "compress/spared.h"
#include "compress/stats_file.h"
#include "compress/survey.h"
#include "measure/baseline.h"
#include "measure/preprocess.h"
#include "runtime/passes.h"

/* --- plan ----------------------------------------------------------------------------------------------------------
 */

/* Leave alone what is not to be split. */
static clv_status choose_sites(clvi_job *j, clv_error *err)
{
    size_t split = 0;
    for (size_t i = 0; i < j->sites.n; i++) {
        clvi_site *site = &j->sites.site[i];
        if (j->opts.no_shortcut)
            site->sum = site->shortcut = CLVI_NONE;
        site->emit = j->emit;
        if (!site->kept)
            site->kept = clvi_job_reason_to_keep(j, site);
        j->layer[i].chosen = (clvi_candidate){.form = site->kept ? NULL : j->form,
                                              .multiplier = j->fit.multiplier,
                                              .uneven = j->fit.uneven,
                                              .error = (double)NAN};
        split += !site->kept;
    }
    if (split == 0)
        return FAIL(err, CLV_ERR_UNSUP, "none of the %zu convolutions can be split with a gain; `inspect` says why",
                    j->sites.n);
    return CLV_OK;
}

/* What the recipe says of each layer. */
static clv_status follow_recipe(clvi_job *j, clv_error *err)
{
    const clvi_recipe_plan *r = &j->recipe;
    if (r->model != clvi_graph_hash(j->original))
        return FAIL(err, CLV_ERR_ARG, "the recipe \"%s\" belongs to another model", j->opts.recipe);
    for (size_t i = 0, k = 0; i < j->sites.n; i++, k++) {
        clvi_site *site = &j->sites.site[i];
        if (k >= r->n || strcmp(r->layer[k].layer, site->name) != 0)
            return FAIL(err, CLV_ERR_FORMAT, "the recipe \"%s\" has no layer \"%s\" in place %zu", j->opts.recipe,
                        site->name, k);
        j->layer[i].chosen = r->layer[k].chosen;
        if (r->layer[k].chosen.form && site->kept)
            return FAIL(err, CLV_ERR_ARG, "the recipe splits \"%s\", but: %s", site->name, site->kept);
        if (!r->layer[k].chosen.form)
            site->kept = r->layer[k].why ? r->layer[k].why : "the recipe keeps it";
    }
    return CLV_OK;
}

/* With statistics in a file everything that can be split is explored, so that the next run may keep other layers. */
static clv_status explore(clvi_job *j, clv_error *err)
{
    const clvi_explore_opts opts = {.form = j->form, .round = j->opts.round, .fit = j->fit};
    const clvi_explore_task task = {.original = j->original,
                                    .sites = &j->sites,
                                    .calibration = j->images ? &j->calibration : NULL,
                                    .stats = j->opts.stats,
                                    .opts = &opts,
                                    .memory = (size_t)j->opts.max_memory / 3,
                                    .context = j->context};
    bool found = false;
    TRY(clvi_journal_candidates(&found, j->lists, j->sites.n, &j->journal, err));
    if (found)
        return CLV_OK;
    TRY(clvi_explore(j->lists, &task, &j->explore_seconds, err));
    return clvi_journal_add_candidates(&j->journal, j->lists, j->sites.n, err);
}

/* Which candidate each site gets, by counted costs or by measured times. */
static clv_status choose_counted(size_t *picked, clvi_job *j, const clvi_latency_task *task, const clvi_count *whole,
                                 clv_error *err)
{
    clvi_costs costs;
    clv_status st = clvi_costs_count(&costs, j->budget.kind, whole, j->lists, &j->sites, err);
    if (st == CLV_OK && j->opts.never_slower)
        st = clvi_latency_forbid_slower(&costs, &j->latency, task, err);
    if (st == CLV_OK)
        st = clvi_spared_choose(picked, j->budget.relative ? j->budget.amount * costs.whole : j->budget.amount,
                                j->budget.kind, &costs, j->lists, &j->sites, err);
    clvi_costs_free(&costs);
    return st;
}

static clv_status choose(size_t *picked, clvi_job *j, const clvi_count *whole, clv_error *err)
{
    const clvi_latency_task task = {.original = j->original,
                                    .sites = &j->sites,
                                    .lists = j->lists,
                                    .input = &j->calibration.input,
                                    .chains = &j->chains,
                                    .context = j->context};
    bool found;
    TRY(clvi_journal_choice(&found, picked, &j->latency, j->lists, j->sites.n, &j->journal, err));
    if (found)
        return CLV_OK;
    TRY(j->budget.kind == CLVI_COST_LATENCY ? clvi_latency_choose(picked, &j->latency, &task, &j->budget, err)
                                            : choose_counted(picked, j, &task, whole, err));
    return clvi_journal_add_choice(&j->journal, picked, &j->latency, j->sites.n, err);
}

static clv_status search(clvi_job *j, const clvi_count *whole, clv_error *err)
{
    const double start = clvi_now();
    size_t *picked = clvi_arena_calloc(j->arena, j->sites.n, sizeof *picked);
    j->lists = clvi_arena_calloc(j->arena, j->sites.n, sizeof *j->lists);
    if (!picked || !j->lists)
        return FAIL(err, CLV_ERR_NOMEM, "candidates of %zu convolutions", j->sites.n);
    if (j->opts.stats) {
        TRY(explore(j, err));
        TRY(choose_sites(j, err));
    } else {
        TRY(choose_sites(j, err));
        TRY(explore(j, err));
    }
    for (size_t i = 0; i < j->sites.n; i++)
        if (j->sites.site[i].kept)
            j->lists[i].n = 0;
    const double chosen = clvi_now();
    TRY(choose(picked, j, whole, err));
    j->choice_seconds = clvi_now() - chosen;
    for (size_t i = 0; i < j->sites.n; i++) {
        if (j->sites.site[i].kept)
            continue;
        j->layer[i].chosen = j->lists[i].item[picked[i]];
        if (!j->layer[i].chosen.form)
            j->sites.site[i].kept = "worth its cost";
    }
    j->survey_seconds = clvi_now() - start - j->explore_seconds - j->choice_seconds;
    return CLV_OK;
}

static clv_status plan(clvi_job *j, const clvi_count *whole, clv_error *err)
{
    if (j->opts.recipe) {
        for (size_t i = 0; i < j->sites.n; i++) {
            j->sites.site[i].emit = j->emit;
            if (j->opts.no_shortcut)
                j->sites.site[i].sum = j->sites.site[i].shortcut = CLVI_NONE;
        }
        return follow_recipe(j, err);
    }
    TRY(clvi_job_check_keep_list(j, err));
    return j->opts.budget ? search(j, whole, err) : choose_sites(j, err);
}

/* --- fit -----------------------------------------------------------------------------------------------------------
 */

/* Moments of what the network compressed so far really gives, for weak fits that were made on something else. */
static clv_status reestimate(clvi_job *j, const clvi_rows_source *source, size_t i, clvi_fit *fit,
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

/* On what the network compressed so far gives, at sampled places of the images. */
static clv_status fit_on_images(clvi_fit *fit, clvi_job *j, size_t i, const clvi_fit_site_opts *opts, clv_error *err)
{
    const clvi_rows_source source = {.original = j->original,
                                     .graph = j->graph,
                                     .original_front = &j->original_front,
                                     .front = &j->front,
                                     .sites = &j->sites,
                                     .calibration = &j->calibration,
                                     .memory = (size_t)j->opts.max_memory / 4,
                                     .symmetric = j->opts.symmetric};
    clvi_site_rows rows = {0};
    const double start = clvi_now();
    if (opts->form == &clvi_form_average) {
        TRY(opts->form->fit(fit, &j->sites.site[i].conv, NULL, &opts->fit, j->arena, j->context, err));
        return clvi_fit_average(fit, &source, i, err);
    }
    clv_status st = clvi_site_rows_fill(&rows, &source, i, err);
    j->rows_seconds += clvi_now() - start;
    if (st == CLV_OK)
        st = clvi_fit_site(fit, &j->sites.site[i], &rows, opts, j->arena, j->context, err);
    if (st == CLV_OK && j->opts.reestimate)
        st = reestimate(j, &source, i, fit, &rows, err);
    clvi_site_rows_free(&rows);
    return st;
}

/* On the original network's moments alone. */
static clv_status fit_on_statistics(clvi_fit *fit, clvi_job *j, size_t i, const clvi_fit_site_opts *opts,
                                    clv_error *err)
{
    const clvi_site *site = &j->sites.site[i];
    const size_t groups = (size_t)site->conv.groups;
    clvi_stats stats;
    clvi_site_stats own = {0};
    clvi_covariance *cov = NULL;
    TRY(clvi_stats_open(&stats, j->opts.stats, err));
    clv_status st = clvi_stats_read(&own, &stats, i, site, err);
    if (st == CLV_OK)
        st = clvi_covariances_of(&cov, own.moments, groups, err);
    if (st == CLV_OK)
        st = opts->form->fit(fit, &site->conv, cov, &opts->fit, j->arena, j->context, err);
    if (st == CLV_OK && opts->form == &clvi_form_average)
        st = clvi_averaged_finish(fit, &own.averaged, &site->conv, err);
    clvi_covariances_free(cov, groups);
    clvi_averaged_free(&own.averaged);
    clvi_site_moments_free(own.moments, site);
    clvi_stats_close(&stats);
    return st == CLV_OK || !err ? st : clvi_fail_prefix(err, st, site->name);
}

static clv_status split_site(clvi_job *j, size_t i, clv_error *err)
{
    const clvi_candidate *chosen = &j->layer[i].chosen;
    const clvi_fit_site_opts opts = {.form = chosen->form,
                                     .fit = clvi_candidate_fit_opts(chosen, &j->fit),
                                     .rounds = j->opts.symmetric ? 0 : j->opts.rounds};
    clvi_fit fit;
    bool found = false;
    TRY(clvi_check_cancel(j->context, err));
    TRY(clvi_journal_fit(&found, &fit, &j->journal, i, j->arena, err));
    const double start = clvi_now(), rows = j->rows_seconds;
    if (!found) {
        TRY(j->images ? fit_on_images(&fit, j, i, &opts, err) : fit_on_statistics(&fit, j, i, &opts, err));
        TRY(clvi_journal_add_fit(&j->journal, i, &fit, err));
    }
    const double seconds = clvi_now() - start - (j->rows_seconds - rows);
    TRY(clvi_site_rewrite(j->graph, &j->sites.site[i], &fit.chain, err));
    j->fit_seconds += seconds;
    clvi_job_report_layer(j, i, &fit, seconds);
    return CLV_OK;
}

static clv_status fit_all(clvi_job *j, clv_error *err)
{
    int64_t open = 0, done = 0;
    for (size_t i = 0; i < j->sites.n; i++)
        open += !j->sites.site[i].kept;
    if (j->images) {
        TRY(clvi_front_create(&j->original_front, j->original, &j->calibration, err));
        TRY(clvi_front_create(&j->front, j->graph, &j->calibration, err));
    }
    for (size_t i = 0; i < j->sites.n; i++) {
        if (j->sites.site[i].kept) {
            clvi_job_report_layer(j, i, NULL, 0);
            continue;
        }
        clvi_progress(j->context, "layers fitted", done++, open);
        TRY(split_site(j, i, err));
    }
    clvi_progress(j->context, "layers fitted", open, open);
    TRY(clvi_pass_absorb_constants(j->graph, err));
    return clvi_pass_prune_channels(j->graph, err); /* dead code goes with it */
}

/* The plan alone: what each layer would become. */
static void report_plan(clvi_job *j)
{
    for (size_t i = 0; i < j->sites.n; i++) {
        const clvi_candidate *c = &j->layer[i].chosen;
        const clvi_fit_opts opts = clvi_candidate_fit_opts(c, &j->fit);
        clvi_fit planned = {.error = c->error};
        if (!j->sites.site[i].kept)
            planned.macs_per_pixel = c->form->macs(&j->sites.site[i].conv, &opts);
        clvi_job_report_layer(j, i, j->sites.site[i].kept ? NULL : &planned, 0);
    }
}

/* --- the job -------------------------------------------------------------------------------------------------------
 */

/* An operator that cannot be run behind the convolutions does not stand in the way of splitting them. */
static clv_status look_at_baseline(clvi_job *j, clv_report *report, clv_error *err)
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

/* Without images the statistics know how the input looks. */
static clv_status input_of_statistics(clvi_job *j, clv_error *err)
{
    clvi_stats stats;
    if (!j->opts.stats)
        return FAIL(err, CLV_ERR_ARG, "neither calibration images nor statistics were given");
    TRY(clvi_stats_open(&stats, j->opts.stats, err));
    j->calibration.input = (clv_tensor){.dtype = CLV_FLOAT32, .rank = 4};
    memcpy(j->calibration.input.dims, stats.head->input, sizeof stats.head->input);
    clvi_stats_close(&stats);
    j->calibration.context = j->context;
    return CLV_OK;
}

static clv_status run(clvi_job *j, clv_report *report, clv_error *err)
{
    const double start = clvi_now();
    clvi_count before;
    uint64_t hash;
    TRY(clvi_shapes_infer(&j->shapes, j->original, &j->calibration.input, 1, err));
    TRY(clvi_sites_find(&j->sites, j->original, &j->shapes, err));
    j->layer = clvi_arena_calloc(j->arena, j->sites.n, sizeof *j->layer);
    if (!j->layer)
        return FAIL(err, CLV_ERR_NOMEM, "plan of %zu convolutions", j->sites.n);
    TRY(clvi_job_hash(&hash, j, err));
    TRY(clvi_journal_open(&j->journal, j->opts.journal, hash, j->opts.resume, err));
    if (j->images)
        TRY(look_at_baseline(j, report, err));
    TRY(clvi_count_graph(&before, j->source, &j->calibration.input, 1, err));
    TRY(plan(j, &before, err));
    if (report)
        j->layers = clvi_report_table(clvi_report_root(report), "layers");
    if (j->opts.dry_run)
        report_plan(j);
    else
        TRY(fit_all(j, err));
    return clvi_job_finish(j, report, &before, clvi_now() - start, err);
}

static clv_status prepare(clvi_job *j, clv_dataset *calibration, const clv_preprocess *preprocess, clv_error *err)
{
    for (int k = 0; k < CLVI_WORK_KINDS; k++)
        j->work[k] = clvi_work_seconds((clvi_work)k);
    j->flops = clvi_work_flops(CLVI_WORK_PRODUCTS);
    j->cpu = clvi_cpu_seconds();
    TRY(clvi_job_options(j, err));
    j->arena = clvi_arena_create();
    if (!j->arena)
        return FAIL(err, CLV_ERR_NOMEM, "fitted weights");
    TRY(clvi_graph_clone(&j->original, j->source, err));
    TRY(clvi_pass_fold_constants(j->original, err));
    TRY(clvi_pass_fold_batchnorm(j->original, err));
    TRY(clvi_graph_clone(&j->graph, j->original, err));
    j->images = calibration != NULL;
    if (!j->images)
        return input_of_statistics(j, err);
    TRY(clvi_calibration_create(&j->calibration, j->original, calibration, preprocess, (size_t)j->opts.max_memory / 2,
                                0, 1, j->context, err));
    j->calibration.samples = j->opts.samples;
    j->calibration.batch = j->opts.batch;
    j->calibration.seed = j->opts.seed;
    return CLV_OK;
}

clv_status clvi_compress(clvi_graph **out, const clvi_graph *graph, clv_dataset *calibration,
                         const clv_preprocess *preprocess, const clv_compress_opts *opts, clv_context *context,
                         clv_report *report, clv_error *err)
{
    clv_preprocess resolved;
    clvi_job j = {
        .opts = *opts, .source = graph, .context = context, .journal = {.fd = -1}, .latency = clvi_latency_unknown()};
    *out = NULL;
    if (calibration && !clv_dataset_is_tensor(calibration)) {
        TRY(clvi_preprocess_resolve(&resolved, graph, preprocess, err));
        preprocess = &resolved;
    }
    clv_status st = prepare(&j, calibration, preprocess, err);
    if (st == CLV_OK)
        st = run(&j, report, err);
    if (st == CLV_OK) {
        *out = j.opts.dry_run ? NULL : j.graph;
        j.graph = j.opts.dry_run ? j.graph : NULL;
    }
    clvi_journal_close(&j.journal);
    clvi_front_free(&j.original_front);
    clvi_front_free(&j.front);
    clvi_calibration_free(&j.calibration);
    clvi_sites_free(&j.sites);
    clvi_shapes_free(&j.shapes);
    clvi_recipe_plan_free(&j.recipe);
    clvi_trial_chains_free(&j.chains);
    clvi_arena_free(j.arena);
    clvi_graph_free(j.graph);
    clvi_graph_free(j.original);
    return st;
}
