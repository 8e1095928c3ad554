/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/candidates.h"

#include <string.h>

#include "base/mem.h"
#include "search/cost.h"

#define SEARCH_ITERATIONS 40 /* of L-BFGS: errors are compared, not kept */

/* Shares of the original MACs at which a form is tried. */
static const double shares[] = {0.06, 0.09, 0.13, 0.18, 0.24, 0.31, 0.4, 0.55, 0.65, 0.8};
#define SHARES (sizeof shares / sizeof *shares)

clvi_fit_opts clvi_candidate_fit_opts(const clvi_candidate *candidate, const clvi_fit_opts *base)
{
    clvi_fit_opts opts = *base;
    opts.multiplier = candidate->multiplier;
    opts.size = candidate->size;
    opts.uneven = candidate->uneven;
    return opts;
}

/* The number that makes a form larger: filters per channel for depthwise, `size` for the others. */
static void set_size(clvi_candidate *d, int64_t size)
{
    if (strcmp(d->form->name, "depthwise") == 0)
        d->multiplier = (double)size;
    else
        d->size = size;
}

/* For each share of the original MACs the largest size within it. Sizes go in steps of `round` for each group, or of
 * one where one is already a good part of the original. */
static void list_sizes(clvi_candidates *list, const clvi_form *form, const clvi_conv *conv,
                       const clvi_explore_opts *opts)
{
    const double original = (double)clvi_conv_macs_per_pixel(conv);
    clvi_candidate d = {.form = form, .multiplier = 1};
    if (form->refuses(conv))
        return;
    set_size(&d, 1);
    clvi_fit_opts fit = clvi_candidate_fit_opts(&d, &opts->fit);
    const bool coarse = (double)form->macs(conv, &fit) * (double)SHARES > original;
    const int64_t step = coarse ? 1 : opts->round * conv->groups;
    const int64_t most = conv->o * conv->c; /* no form gets that far; a bound all the same */
    int64_t last = 0;
    for (size_t i = 0; i < SHARES && list->n < CLVI_CANDIDATES_MAX; i++) {
        int64_t size = last;
        for (int64_t next = last + step; next <= most; next += step) {
            set_size(&d, next);
            fit = clvi_candidate_fit_opts(&d, &opts->fit);
            const int64_t macs = form->macs(conv, &fit);
            if (macs == 0 || (double)macs > shares[i] * original)
                break;
            size = next;
        }
        set_size(&d, size);
        if (size > last)
            list->item[list->n++] = d;
        last = size;
    }
}

/* --- fitting them --------------------------------------------------------------------------------------------------
 */

typedef struct trial {
    const clvi_site *site;
    const clvi_covariance *cov;
    clvi_candidate *candidate;
    clv_status status;
    clv_error reason;
} trial;

typedef struct trials {
    trial *t;
    const clvi_explore_opts *opts;
    clv_context *context;
} trials;

static void try_candidate(void *arg, size_t index, int worker)
{
    (void)worker;
    const trials *all = arg;
    trial *t = &all->t[index];
    clvi_fit fit;
    clvi_fit_opts opts = clvi_candidate_fit_opts(t->candidate, &all->opts->fit);
    opts.max_iterations = SEARCH_ITERATIONS;
    clvi_arena *arena = clvi_arena_create();
    t->status = arena ? t->candidate->form->fit(&fit, &t->site->conv, t->cov, &opts, arena, all->context, &t->reason)
                      : FAIL(&t->reason, CLV_ERR_NOMEM, "candidate");
    if (t->status == CLV_OK) {
        t->candidate->error = fit.error;
        t->candidate->macs_per_pixel = fit.macs_per_pixel;
        t->candidate->parameters = clvi_chain_parameters(&fit.chain);
    }
    clvi_arena_free(arena);
}

static void list_candidates(clvi_candidates *list, const clvi_site *site, const clvi_explore_opts *opts)
{
    size_t n;
    const clvi_form *const *forms = clvi_form_all(&n);
    list->n = 1;
    list->item[0] = (clvi_candidate){.macs_per_pixel = clvi_conv_macs_per_pixel(&site->conv),
                                     .parameters = clvi_conv_parameters(&site->conv)};
    for (size_t i = 0; i < n; i++)
        if (!opts->form || opts->form == forms[i])
            list_sizes(list, forms[i], &site->conv, opts);
}

clv_status clvi_candidates_explore(clvi_candidates *const *lists, const clvi_sites *sites, const size_t *site,
                                   clvi_covariance *const *cov, size_t n, const clvi_explore_opts *opts,
                                   clv_context *context, clv_error *err)
{
    size_t count = 0;
    clv_status st = CLV_OK;
    for (size_t k = 0; k < n; k++) {
        list_candidates(lists[k], &sites->site[site[k]], opts);
        count += lists[k]->n - 1;
    }
    trial *t = clvi_calloc(count, sizeof *t);
    if (!t)
        return FAIL(err, CLV_ERR_NOMEM, "candidates of %zu convolutions", n);
    size_t at = 0;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 1; i < lists[k]->n; i++)
            t[at++] = (trial){.site = &sites->site[site[k]], .cov = cov[k], .candidate = &lists[k]->item[i]};
    /* in strips, so that progress shows and an interrupt is heard */
    const size_t strip = 16 * (size_t)clvi_pool_threads(context->pool);
    for (at = 0; st == CLV_OK && at < count; at += strip) {
        clvi_progress(context, "error of every form and size", (int64_t)at, (int64_t)count);
        if ((st = clvi_check_cancel(context, err)) != CLV_OK)
            break;
        trials all = {t + at, opts, context};
        clvi_pool_run(context->pool, count - at < strip ? count - at : strip, try_candidate, &all);
    }
    for (size_t i = 0; st == CLV_OK && i < count; i++)
        if ((st = t[i].status) != CLV_OK && err) {
            *err = t[i].reason;
            (void)clvi_fail_prefix(err, st, t[i].site->name);
        }
    clvi_progress(context, "error of every form and size", (int64_t)count, (int64_t)count);
    clvi_free(t);
    return st;
}
