/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/spared.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define ROUNDS 12

/* The candidate that the site is given; what is kept whatever a search says is its own first one. */
static clvi_candidate given(const size_t *chosen, const clvi_candidates *lists, const clvi_sites *sites, size_t i)
{
    const clvi_conv *v = &sites->site[i].conv;
    return lists[i].n > 0
               ? lists[i].item[chosen[i]]
               : (clvi_candidate){.macs_per_pixel = clvi_conv_macs_per_pixel(v), .parameters = clvi_conv_parameters(v)};
}

static double cost_of(clvi_cost kind, const clvi_candidate *c, const clvi_site *site)
{
    return clvi_cost_of(kind, c->macs_per_pixel, site->shape.oh * site->shape.ow, c->parameters, site->weight_bytes);
}

/* The cost of a candidate that makes `share` of its outputs. */
static double cost_of_some(clvi_cost kind, const clvi_candidate *c, const clvi_site *site, double share)
{
    static const clvi_fit_opts plain = {0};
    const double whole = cost_of(kind, c, site);
    clvi_conv some = site->conv;
    some.o = (int64_t)(share * (double)some.o + 0.5);
    if (some.groups > 1 || (c->form && strcmp(c->form->name, "output-depthwise") == 0))
        return whole; /* a link with groups keeps its outputs */
    if (!c->form)
        return whole * share;
    const clvi_fit_opts opts = clvi_candidate_fit_opts(c, &plain);
    const int64_t macs = some.o > 0 ? c->form->macs(&some, &opts) : 0;
    return macs > 0 && macs < c->macs_per_pixel ? whole * (double)macs / (double)c->macs_per_pixel : whole;
}

static bool is_depthwise(const clvi_conv *v)
{
    return v->groups == v->c && v->o == v->c && v->c > 1;
}

/* The site whose output site i alone reads, behind an activation at most. */
static int32_t before(const clvi_sites *sites, size_t i)
{
    for (size_t p = 0; p < i; p++)
        if (sites->site[p].next == (int32_t)i)
            return (int32_t)p;
    return CLVI_NONE;
}

/* What site i spares the layers before it as this candidate. */
static double spared_by(clvi_cost kind, const clvi_candidate *c, size_t i, const size_t *chosen,
                        const clvi_candidates *lists, const clvi_sites *sites)
{
    double saved = 0;
    if (!c->form || strcmp(c->form->name, "prune") != 0)
        return 0;
    const double share = (double)c->size / (double)sites->site[i].conv.c;
    for (int32_t p = before(sites, i); p != CLVI_NONE; p = before(sites, (size_t)p)) {
        const clvi_site *site = &sites->site[p];
        const clvi_candidate own = given(chosen, lists, sites, (size_t)p);
        if (!site->conv.w) /* its weights are computed */
            break;
        if (!is_depthwise(&site->conv))
            return saved + cost_of(kind, &own, site) - cost_of_some(kind, &own, site, share);
        saved += cost_of(kind, &own, site) * (1 - share);
    }
    return saved;
}

double clvi_spared(clvi_cost kind, const size_t *chosen, const clvi_candidates *lists, const clvi_sites *sites)
{
    double saved = 0;
    for (size_t i = 0; i < sites->n; i++)
        if (lists[i].n > 0)
            saved += spared_by(kind, &lists[i].item[chosen[i]], i, chosen, lists, sites);
    return saved;
}

/* Costs less the savings that each candidate would bring, were all else as chosen. */
static void take_off(clvi_costs *to, const clvi_costs *from, clvi_cost kind, const size_t *chosen,
                     const clvi_candidates *lists, const clvi_sites *sites)
{
    for (size_t i = 0; i < sites->n; i++)
        for (size_t a = 0; a < lists[i].n; a++) {
            const size_t at = i * CLVI_CANDIDATES_MAX + a;
            to->item[at] = from->item[at] - spared_by(kind, &lists[i].item[a], i, chosen, lists, sites);
        }
}

static double true_cost(clvi_cost kind, const clvi_costs *costs, const size_t *chosen, const clvi_candidates *lists,
                        const clvi_sites *sites)
{
    double cost = costs->whole - clvi_spared(kind, chosen, lists, sites);
    for (size_t i = 0; i < sites->n; i++)
        if (lists[i].n > 0)
            cost += costs->item[i * CLVI_CANDIDATES_MAX + chosen[i]] - costs->item[i * CLVI_CANDIDATES_MAX];
    return cost;
}

clv_status clvi_spared_choose(size_t *chosen, double amount, clvi_cost kind, const clvi_costs *costs,
                              const clvi_candidates *lists, const clvi_sites *sites, clv_error *err)
{
    size_t *now = clvi_calloc(sites->n, sizeof *now);
    clvi_costs less = {costs->whole, clvi_alloc_array(sites->n, CLVI_CANDIDATES_MAX * sizeof *less.item)};
    double target = amount, best = HUGE_VAL;
    clv_status st = now && less.item ? clvi_plan_choose(chosen, amount, costs, lists, sites, err)
                                     : FAIL(err, CLV_ERR_NOMEM, "costs of %zu convolutions", sites->n);
    if (st == CLV_OK)
        best = clvi_plan_loss(chosen, lists, sites);
    if (st == CLV_OK || st == CLV_ERR_BUDGET)
        memcpy(now, chosen, sites->n * sizeof *now);
    for (int round = 0; (st == CLV_OK || st == CLV_ERR_BUDGET) && round < ROUNDS; round++) {
        take_off(&less, costs, kind, now, lists, sites);
        const clv_status found = clvi_plan_choose(now, target, &less, lists, sites, NULL);
        if (found != CLV_OK)
            break;
        const double cost = true_cost(kind, costs, now, lists, sites), loss = clvi_plan_loss(now, lists, sites);
        if (cost <= amount && (loss < best || st == CLV_ERR_BUDGET)) {
            best = loss;
            st = CLV_OK;
            memcpy(chosen, now, sites->n * sizeof *now);
        }
        target += (cost <= amount ? 0.5 : 1) * (amount - cost);
    }
    clvi_free(now);
    clvi_costs_free(&less);
    return st;
}
