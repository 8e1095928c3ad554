/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/probe_chains.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define ITERATIONS 10 /* of a form without a closed solution: its own error is known whatever it is */

/* The form with the cheapest fit that the list has. */
static const clvi_form *form_of(const clvi_candidates *list)
{
    static const char *const order[] = {"channel", "prune", "depthwise", "spatial", "bottleneck", "tucker2"};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (size_t i = 0; i < list->n; i++)
            if (list->item[i].form && strcmp(list->item[i].form->name, order[k]) == 0)
                return list->item[i].form;
    return list->n > 1 && list->item[1].form != &clvi_form_average ? list->item[1].form : NULL;
}

/* Its candidate with the error nearest to `error`; 0: none. */
static size_t nearest(const clvi_candidates *list, const clvi_form *form, double error)
{
    size_t best = 0;
    double least = HUGE_VAL;
    for (size_t i = 1; i < list->n; i++) {
        const double off = list->item[i].error > 0 ? fabs(log(list->item[i].error / error)) : HUGE_VAL;
        if (list->item[i].form == form && off < least) {
            least = off;
            best = i;
        }
    }
    return best;
}

/* A candidate whose chain is still to be fitted. */
typedef struct fit_job {
    clvi_probe *probe;
    const clvi_candidate *candidate;
    const clvi_site *site;
    const clvi_covariance *cov;
    clvi_arena *arena; /* its own: tasks run side by side */
    clv_status status;
    clv_error reason;
} fit_job;

typedef struct fit_jobs {
    fit_job *job;
    const clvi_explore_opts *opts;
    clv_context *context;
} fit_jobs;

static void fit_chain(void *arg, size_t index, int worker)
{
    (void)worker;
    const fit_jobs *all = arg;
    fit_job *j = &all->job[index];
    clvi_fit fit;
    clvi_fit_opts opts = clvi_candidate_fit_opts(j->candidate, &all->opts->fit);
    opts.starts = 1;
    opts.max_iterations = ITERATIONS;
    j->arena = clvi_arena_create();
    j->status = j->arena
                    ? j->candidate->form->fit(&fit, &j->site->conv, j->cov, &opts, j->arena, all->context, &j->reason)
                    : FAIL(&j->reason, CLV_ERR_NOMEM, "probes");
    if (j->status == CLV_OK) {
        j->probe->chain = fit.chain;
        j->probe->error = fit.error;
    }
}

static clv_status run_jobs(fit_job *job, size_t n, const clvi_explore_opts *opts, clvi_arena *arena,
                           clv_context *context, clv_error *err)
{
    fit_jobs all = {job, opts, context};
    clv_status st = CLV_OK;
    clvi_pool_run(context->pool, n, fit_chain, &all);
    for (size_t i = 0; i < n; i++) {
        if (st == CLV_OK && job[i].status != CLV_OK) {
            st = job[i].status;
            if (err)
                *err = job[i].reason;
        }
        if (st == CLV_OK)
            st = clvi_chain_copy(&job[i].probe->chain, &job[i].probe->chain, arena, err);
        clvi_arena_free(job[i].arena);
    }
    return st;
}

/* Two points of the site's law, to be fitted. */
static void plan_law(clvi_probe *probes, size_t *count, fit_job *job, size_t *jobs, const clvi_candidates *list,
                     const clvi_site *site, size_t index, const clvi_covariance *cov)
{
    static const double errors[2] = {0.03, 0.15};
    const clvi_form *form = form_of(list);
    size_t last = 0;
    for (size_t e = 0; form && e < 2; e++) {
        const size_t at = nearest(list, form, errors[e]);
        if (at == 0 || at == last)
            continue;
        last = at;
        probes[*count] = (clvi_probe){.site = index, .item = SIZE_MAX};
        job[(*jobs)++] =
            (fit_job){.probe = &probes[(*count)++], .candidate = &list->item[at], .site = site, .cov = cov};
    }
}

static clv_status add_averages(clvi_probe *probes, size_t *count, const clvi_candidates *list, const clvi_site *site,
                               size_t index, const clvi_averaged *averaged, clv_error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        const clvi_fit_opts opts = {.size = list->item[i].size};
        clvi_fit fit;
        if (list->item[i].form != &clvi_form_average)
            continue;
        TRY(clvi_form_average.fit(&fit, &site->conv, NULL, &opts, NULL, NULL, err));
        TRY(clvi_averaged_finish(&fit, averaged, &site->conv, err));
        probes[(*count)++] = (clvi_probe){.site = index, .item = i, .error = fit.error, .chain = fit.chain};
    }
    return CLV_OK;
}

clv_status clvi_probe_chains(clvi_probe *probes, size_t *count, clvi_candidates *const *lists, const clvi_sites *sites,
                             const size_t *site, clvi_covariance *const *cov, const clvi_averaged *averaged, size_t n,
                             const clvi_explore_opts *opts, clvi_arena *arena, clv_context *context, clv_error *err)
{
    fit_job *job = clvi_calloc(2 * n, sizeof *job);
    size_t jobs = 0;
    clv_status st = job ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "probes of %zu convolutions", n);
    for (size_t k = 0; st == CLV_OK && k < n; k++) {
        const clvi_site *s = &sites->site[site[k]];
        plan_law(probes, count, job, &jobs, lists[k], s, site[k], cov[k]);
        st = add_averages(probes, count, lists[k], s, site[k], &averaged[k], err);
    }
    if (st == CLV_OK)
        st = run_jobs(job, jobs, opts, arena, context, err);
    clvi_free(job);
    return st;
}
