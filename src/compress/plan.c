/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "search/choice.h"

#define SIZE_STEP         4   /* sizes of forms are multiples of it */
#define SEARCH_ITERATIONS 40  /* of L-BFGS: errors are compared, not kept */
#define MAX_CANDIDATES    128 /* more than forms times shares */

/* Shares of the original MACs at which a form is tried. */
static const double shares[] = {0.06, 0.09, 0.13, 0.18, 0.24, 0.31, 0.4, 0.55, 0.65, 0.8};
#define SHARES (sizeof shares / sizeof *shares)

typedef struct candidates {
    clvi_site_plan plan[MAX_CANDIDATES]; /* the first one keeps the convolution: form NULL */
    clvi_option option[MAX_CANDIDATES];
    size_t n;
} candidates;

clv_status clvi_budget_parse(clvi_budget *out, const char *text, clv_error *err)
{
    static const struct {
        const char *name;
        clvi_cost kind;
    } kinds[] = {{"macs=", CLVI_COST_MACS}, {"params=", CLVI_COST_PARAMETERS}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t n = strlen(kinds[i].name);
        if (strncmp(text, kinds[i].name, n) != 0)
            continue;
        char *end;
        double amount = strtod(text + n, &end);
        const bool relative = strcmp(end, "%") == 0;
        const double unit = strcmp(end, "k") == 0 ? 1e3 : strcmp(end, "M") == 0 ? 1e6 : strcmp(end, "G") == 0 ? 1e9 : 1;
        if (end == text + n || !(amount > 0) || !isfinite(amount) || (*end && !relative && unit == 1) ||
            (relative && amount > 100))
            break;
        *out = (clvi_budget){kinds[i].kind, relative ? amount / 100 : amount * unit, relative};
        return CLV_OK;
    }
    return FAIL(err, CLV_ERR_ARG,
                "budget \"%s\": expected macs= or params= with a share such as 30%% or a number such as 12.5M", text);
}

static void add_candidate(candidates *c, const clvi_site_plan *plan)
{
    if (c->n < MAX_CANDIDATES)
        c->plan[c->n++] = *plan;
}

/* The number that makes a form larger: filters per channel for depthwise, `size` for the others. */
static void set_size(clvi_site_plan *p, int64_t size)
{
    if (strcmp(p->form->name, "depthwise") == 0)
        p->fit.multiplier = (double)size;
    else
        p->fit.size = size;
}

/* For each share of the original MACs the largest size within it. Sizes go in steps of SIZE_STEP for each group, or of
 * one where one is already a good part of the original. */
static void list_sizes(candidates *c, const clvi_form *form, const clvi_conv *conv, const clvi_fit_opts *base)
{
    const double original = (double)clvi_conv_macs_per_pixel(conv);
    clvi_site_plan p = {.form = form, .fit = *base};
    if (form->refuses(conv))
        return;
    p.fit.max_iterations = SEARCH_ITERATIONS;
    set_size(&p, 1);
    const bool coarse = (double)form->macs(conv, &p.fit) * (double)SHARES > original;
    const int64_t step = coarse ? 1 : SIZE_STEP * conv->groups;
    const int64_t most = conv->o * conv->c; /* no form gets that far; a bound all the same */
    int64_t last = 0;
    for (size_t i = 0; i < SHARES; i++) {
        int64_t size = last;
        for (int64_t next = last + step; next <= most; next += step) {
            set_size(&p, next);
            const int64_t macs = form->macs(conv, &p.fit);
            if (macs == 0 || (double)macs > shares[i] * original)
                break;
            size = next;
        }
        set_size(&p, size);
        if (size > last)
            add_candidate(c, &p);
        last = size;
    }
}

/* One site's candidates at work, one task each. */
typedef struct trials {
    candidates *c;
    const clvi_budget *budget;
    const clvi_site *site;
    const clvi_covariance *cov;
    clv_context *context;
    clv_status status[MAX_CANDIDATES];
    clv_error reason[MAX_CANDIDATES];
} trials;

static void try_candidate(void *arg, size_t index, int worker)
{
    (void)worker;
    trials *t = arg;
    const size_t i = index + 1;
    clvi_site_plan *plan = &t->c->plan[i];
    clvi_fit fit;
    clvi_arena *arena = clvi_arena_create();
    t->status[i] = arena ? plan->form->fit(&fit, &t->site->conv, t->cov, &plan->fit, arena, t->context, &t->reason[i])
                         : FAIL(&t->reason[i], CLV_ERR_NOMEM, "candidate");
    if (t->status[i] == CLV_OK) {
        plan->error = fit.error;
        t->c->option[i] = (clvi_option){clvi_cost_of_fit(t->budget->kind, &fit, t->site->shape.oh, t->site->shape.ow),
                                        clvi_loss_of_error(fit.error)};
    }
    clvi_arena_free(arena);
}

static clv_status measure(candidates *c, const clvi_budget *budget, const clvi_site *site, const clvi_covariance *cov,
                          clv_context *context, clv_error *err)
{
    trials *t = clvi_calloc(1, sizeof *t);
    clv_status st = CLV_OK;
    if (!t)
        return FAIL(err, CLV_ERR_NOMEM, "candidates of convolution \"%s\"", site->name);
    *t = (trials){.c = c, .budget = budget, .site = site, .cov = cov, .context = context};
    c->option[0] = (clvi_option){clvi_cost_of_conv(budget->kind, &site->conv, site->shape.oh, site->shape.ow), 0};
    clvi_pool_run(context->pool, c->n - 1, try_candidate, t);
    for (size_t i = 1; i < c->n && st == CLV_OK; i++) {
        st = t->status[i];
        if (st != CLV_OK && err) {
            *err = t->reason[i];
            (void)clvi_fail_prefix(err, st, site->name);
        }
    }
    clvi_free(t);
    return st;
}

/* Every form and size at one site, with its cost and loss. */
static clv_status explore(candidates *c, const clvi_budget *budget, const clvi_form *form, const clvi_fit_opts *base,
                          const clvi_graph *original, const clvi_sites *sites, size_t index,
                          const clvi_targets *targets, clvi_calibration *calibration, clv_error *err)
{
    const clvi_site *site = &sites->site[index];
    clvi_covariance *cov = NULL;
    size_t n;
    const clvi_form *const *all = clvi_form_all(&n);
    c->n = 1;
    c->plan[0] = (clvi_site_plan){.form = NULL};
    for (size_t i = 0; i < n; i++)
        if (!form || form == all[i])
            list_sizes(c, all[i], &site->conv, base);
    TRY(clvi_site_covariances(&cov, original, sites, index, targets, calibration, err));
    const clv_status st = measure(c, budget, site, cov, calibration->context, err);
    clvi_covariances_free(cov, (size_t)site->conv.groups);
    return st;
}

static clv_status choose(clvi_site_plan *plans, const candidates *c, const size_t *index, size_t open,
                         const clvi_budget *budget, double whole, clvi_sites *sites, clv_error *err)
{
    const double amount = budget->relative ? budget->amount * whole : budget->amount;
    clvi_menu *menus = clvi_alloc_array(open, sizeof *menus);
    size_t *chosen = clvi_alloc_array(open, sizeof *chosen);
    double cost, fixed = whole;
    clv_error reason;
    clv_status st;
    if (!menus || !chosen) {
        st = FAIL(err, CLV_ERR_NOMEM, "choice among %zu convolutions", open);
        goto out;
    }
    for (size_t k = 0; k < open; k++) {
        menus[k] = (clvi_menu){c[k].option, c[k].n};
        fixed -= c[k].option[0].cost;
    }
    st = clvi_choose(chosen, &cost, menus, open, amount - fixed, &reason);
    if (st == CLV_ERR_BUDGET)
        st = FAIL(err, st,
                  "the budget is %.4g of %.4g; the nearest point that can be reached is %.4g (%.1f %%), of which %.4g "
                  "are not in convolutions that can be split",
                  amount, whole, fixed + cost, 100 * (fixed + cost) / whole, fixed);
    else if (st != CLV_OK && err)
        *err = reason;
    for (size_t k = 0; st == CLV_OK && k < open; k++) {
        plans[index[k]] = c[k].plan[chosen[k]];
        if (!plans[index[k]].form)
            sites->site[index[k]].kept = "worth its cost";
    }
out:
    clvi_free(menus);
    clvi_free(chosen);
    return st;
}

clv_status clvi_plan_search(clvi_site_plan *plans, const clvi_budget *budget, double whole, const clvi_form *form,
                            const clvi_fit_opts *base, const clvi_graph *original, clvi_sites *sites,
                            const clvi_targets *targets, clvi_calibration *calibration, clv_error *err)
{
    size_t open = 0;
    clv_status st = CLV_OK;
    candidates *c = clvi_alloc_array(sites->n, sizeof *c);
    size_t *index = clvi_alloc_array(sites->n, sizeof *index);
    if (!c || !index)
        st = FAIL(err, CLV_ERR_NOMEM, "search over %zu convolutions", sites->n);
    for (size_t i = 0; st == CLV_OK && i < sites->n; i++) {
        if (sites->site[i].kept)
            continue;
        index[open] = i;
        st = explore(&c[open++], budget, form, base, original, sites, i, targets, calibration, err);
    }
    if (st == CLV_OK)
        st = choose(plans, c, index, open, budget, whole, sites, err);
    for (size_t k = 0; st == CLV_OK && k < open; k++)
        plans[index[k]].fit.max_iterations = base->max_iterations;
    clvi_free(c);
    clvi_free(index);
    return st;
}
