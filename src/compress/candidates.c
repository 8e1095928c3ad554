/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/candidates.h"

#include <string.h>

#include "base/mem.h"
#include "decompose/curve.h"
#include "search/cost.h"

/* Shares of the original MACs at which a form is tried. */
static const double usual_shares[] = {0.06, 0.09, 0.13, 0.18, 0.24, 0.31, 0.4, 0.55, 0.65, 0.8};
static const double few_shares[] = {0.09, 0.18, 0.4};
#define SHARES          (sizeof usual_shares / sizeof *usual_shares)
#define FEW_SHARES      (sizeof few_shares / sizeof *few_shares)
#define HUGE_ITERATIONS 8 /* a third of the usual, at few points of the curve, of fewer forms */

clvi_fit_opts clvi_candidate_fit_opts(const clvi_candidate *candidate, const clvi_fit_opts *base)
{
    clvi_fit_opts opts = *base;
    opts.multiplier = candidate->multiplier;
    opts.size = candidate->size;
    opts.uneven = candidate->uneven;
    return opts;
}

static bool by_multiplier(const clvi_form *form)
{
    return strcmp(form->name, "depthwise") == 0;
}

static int64_t macs_at(const clvi_form *form, const clvi_conv *conv, double size, const clvi_fit_opts *base)
{
    clvi_fit_opts fit = *base;
    fit.multiplier = by_multiplier(form) ? size : 1;
    fit.size = by_multiplier(form) ? 0 : (int64_t)size;
    return form->macs(conv, &fit);
}

static bool is_huge(const clvi_conv *conv)
{
    return clvi_conv_extent_of(conv) == CLVI_CONV_HUGE;
}

static bool is_large(const clvi_conv *conv)
{
    return clvi_conv_extent_of(conv) >= CLVI_CONV_LARGE;
}

/* Is the form not worth its time there? Those whose descent is long, and that the search has not preferred to a
 * bottleneck (docs/perf.md); depthwise filters it prefers where the map shrinks, since a bottleneck's first link runs
 * before that. */
static bool is_too_long(const clvi_form *form, const clvi_conv *conv)
{
    if (by_multiplier(form))
        return is_huge(conv) && conv->sh == 1 && conv->sw == 1;
    return is_large(conv) && (strcmp(form->name, "tucker2") == 0 || strcmp(form->name, "spatial") == 0 ||
                              strcmp(form->name, "output-depthwise") == 0);
}

static bool is_tried(const clvi_form *form, const clvi_conv *conv, const clvi_explore_opts *opts)
{
    if (opts->form ? opts->form != form : is_too_long(form, conv))
        return false;
    return form != &clvi_form_average && !form->refuses(conv);
}

/* For each share of the original MACs the largest size within it: sizes[SHARES]. Sizes go in steps of `round` for each
 * group, or of one where one is already a good part of the original. */
static size_t list_sizes(double *sizes, const clvi_form *form, const clvi_conv *conv, const clvi_explore_opts *opts)
{
    const double original = (double)clvi_conv_macs_per_pixel(conv);
    const bool coarse = (double)macs_at(form, conv, 1, &opts->fit) * (double)SHARES > original;
    const bool fixed = macs_at(form, conv, 2, &opts->fit) <= macs_at(form, conv, 1, &opts->fit); /* sizes are kinds */
    const int64_t step = coarse || fixed || by_multiplier(form) ? 1 : opts->round * conv->groups;
    const int64_t most = conv->o * conv->c; /* no form gets that far; a bound all the same */
    int64_t last = 0;
    size_t n = 0;
    const double *const shares = is_huge(conv) ? few_shares : usual_shares;
    const size_t tried = is_huge(conv) ? FEW_SHARES : SHARES;
    for (size_t i = 0; i < tried; i++) {
        int64_t size = last;
        for (int64_t next = last + step; next <= most; next += step) {
            const int64_t macs = macs_at(form, conv, (double)next, &opts->fit);
            if (macs == 0 || (double)macs > shares[i] * original)
                break;
            size = next;
        }
        if (size > last)
            sizes[n++] = (double)size;
        last = size;
    }
    return n;
}

/* --- their errors --------------------------------------------------------------------------------------------------
 */

/* The curve of one form at one site. */
typedef struct trial {
    const clvi_site *site;
    const clvi_form *form;
    const clvi_covariance *cov;
    clvi_curve_point point[SHARES];
    double size[SHARES];
    size_t n;
    clv_status status;
    clv_error reason;
} trial;

typedef struct trials {
    trial *t;
    const clvi_explore_opts *opts;
    clv_context *context;
} trials;

static void try_form(void *arg, size_t index, int worker)
{
    (void)worker;
    const trials *all = arg;
    trial *t = &all->t[index];
    clvi_curve_job job = clvi_curve_job_default();
    clvi_arena *arena = clvi_arena_create();
    job.form = t->form;
    job.conv = &t->site->conv;
    job.cov = t->cov;
    job.fit = all->opts->fit;
    job.fit.uneven = false;
    if (is_huge(job.conv) && t->form->curve_iterations > HUGE_ITERATIONS)
        job.iterations = HUGE_ITERATIONS;
    job.sizes = t->size;
    job.n = t->n;
    t->status = arena ? clvi_curve(t->point, &job, arena, all->context, &t->reason)
                      : FAIL(&t->reason, CLV_ERR_NOMEM, "candidates");
    clvi_arena_free(arena); /* and the chains with it: they fit another network than the one in the making */
}

/* Trials of all sites: to[n * forms]; the number that have a size. */
static size_t list_trials(trial *to, const clvi_sites *sites, const size_t *site, clvi_covariance *const *cov, size_t n,
                          const clvi_explore_opts *opts)
{
    size_t forms, count = 0;
    const clvi_form *const *all = clvi_form_all(&forms);
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < forms; i++) {
            const clvi_site *s = &sites->site[site[k]];
            trial *t = &to[count];
            if (!is_tried(all[i], &s->conv, opts))
                continue;
            *t = (trial){.site = s, .form = all[i], .cov = cov[k]};
            t->n = list_sizes(t->size, t->form, &s->conv, opts);
            count += t->n > 0;
        }
    return count;
}

static void take_curve(clvi_candidates *list, const trial *t)
{
    for (size_t i = 0; i < t->n && list->n < CLVI_CANDIDATES_MAX; i++) {
        const clvi_curve_point *p = &t->point[i];
        const bool again = i > 0 && p->macs_per_pixel == t->point[i - 1].macs_per_pixel; /* was no better */
        if (!again)
            list->item[list->n++] = (clvi_candidate){.form = t->form,
                                                     .multiplier = p->fit.multiplier,
                                                     .size = p->fit.size,
                                                     .uneven = p->fit.uneven,
                                                     .error = p->error,
                                                     .macs_per_pixel = p->macs_per_pixel,
                                                     .parameters = p->parameters};
    }
}

/* In strips, so that progress shows and an interrupt is heard; a large trial alone, its products shared by the threads:
 * those that wait for the last of a strip would wait long, and every trial in the making has matrices of its own. */
static clv_status run_trials(const trials *all, size_t count, clv_error *err)
{
    const size_t strip = 4 * (size_t)clvi_pool_threads(all->context->pool);
    for (size_t at = 0, n; at < count; at += n) {
        trials some = *all;
        some.t += at;
        clvi_progress(all->context, "error of every form and size", (int64_t)at, (int64_t)count);
        TRY(clvi_check_cancel(all->context, err));
        for (n = 0; n < strip && at + n < count && !is_large(&some.t[n].site->conv); n++)
            continue;
        if (n > 0) {
            clvi_pool_run(all->context->pool, n, try_form, &some);
        } else {
            try_form(&some, 0, 0);
            n = 1;
        }
    }
    clvi_progress(all->context, "error of every form and size", (int64_t)count, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        if (all->t[i].status != CLV_OK) {
            if (err)
                *err = all->t[i].reason;
            return err ? clvi_fail_prefix(err, all->t[i].status, all->t[i].site->name) : all->t[i].status;
        }
    return CLV_OK;
}

clv_status clvi_candidates_explore(clvi_candidates *const *lists, const clvi_sites *sites, const size_t *site,
                                   clvi_covariance *const *cov, size_t n, const clvi_explore_opts *opts,
                                   clv_context *context, clv_error *err)
{
    size_t forms;
    (void)clvi_form_all(&forms);
    trial *t = clvi_calloc(n * forms, sizeof *t);
    if (!t)
        return FAIL(err, CLV_ERR_NOMEM, "candidates of %zu convolutions", n);
    const size_t count = list_trials(t, sites, site, cov, n, opts);
    const trials all = {t, opts, context};
    const clv_status st = run_trials(&all, count, err);
    for (size_t k = 0, i = 0; st == CLV_OK && k < n; k++) {
        const clvi_site *s = &sites->site[site[k]];
        lists[k]->n = 1;
        lists[k]->item[0] = (clvi_candidate){.macs_per_pixel = clvi_conv_macs_per_pixel(&s->conv),
                                             .parameters = clvi_conv_parameters(&s->conv)};
        for (; i < count && t[i].site == s; i++)
            take_curve(lists[k], &t[i]);
    }
    clvi_free(t);
    return st;
}

void clvi_candidates_add_averaged(clvi_candidates *list, const clvi_site *site, const clvi_averaged *averaged,
                                  const clvi_explore_opts *opts)
{
    int64_t size[CLVI_AVERAGE_SIZES];
    const size_t n = averaged->o ? clvi_average_sizes(size, &site->conv) : 0;
    if (opts->form && opts->form != &clvi_form_average)
        return;
    for (size_t i = 0; i < n && list->n < CLVI_CANDIDATES_MAX; i++) {
        double gain;
        const clvi_fit_opts fit = {.size = size[i]};
        list->item[list->n++] = (clvi_candidate){.form = &clvi_form_average,
                                                 .size = size[i],
                                                 .error = clvi_averaged_error(&gain, averaged, i),
                                                 .macs_per_pixel = clvi_form_average.macs(&site->conv, &fit),
                                                 .parameters = clvi_conv_parameters(&site->conv) + 1 + site->conv.o};
    }
}

/* --- as bytes ------------------------------------------------------------------------------------------------------
 */

void clvi_candidates_pack(clvi_packer *p, const clvi_candidates *list)
{
    clvi_pack_u64(p, list->n);
    clvi_pack_double(p, list->share);
    clvi_pack_double(p, list->scale);
    clvi_pack_double(p, list->power);
    for (size_t i = 0; i < list->n; i++) {
        const clvi_candidate *c = &list->item[i];
        clvi_pack_text(p, c->form ? c->form->name : "");
        clvi_pack_double(p, c->multiplier);
        clvi_pack_i64(p, c->size);
        clvi_pack_u64(p, c->uneven);
        clvi_pack_double(p, c->error);
        clvi_pack_double(p, c->harm);
        clvi_pack_i64(p, c->macs_per_pixel);
        clvi_pack_i64(p, c->parameters);
    }
}

bool clvi_candidates_unpack(clvi_unpacker *u, clvi_candidates *list)
{
    list->n = (size_t)clvi_unpack_u64(u);
    list->share = clvi_unpack_double(u);
    list->scale = clvi_unpack_double(u);
    list->power = clvi_unpack_double(u);
    if (u->failed || list->n > CLVI_CANDIDATES_MAX)
        return false;
    for (size_t i = 0; i < list->n; i++) {
        clvi_candidate *c = &list->item[i];
        char name[64];
        clvi_unpack_text(u, name, sizeof name);
        c->form = *name ? clvi_form_find(name) : NULL;
        c->multiplier = clvi_unpack_double(u);
        c->size = clvi_unpack_i64(u);
        c->uneven = clvi_unpack_u64(u) != 0;
        c->error = clvi_unpack_double(u);
        c->harm = clvi_unpack_double(u);
        c->macs_per_pixel = clvi_unpack_i64(u);
        c->parameters = clvi_unpack_i64(u);
        if (u->failed || (*name && !c->form))
            return false;
    }
    return true;
}
