/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "search/choice.h"

/* "@p90" behind an amount of time. */
static bool parse_percentile(clvi_budget *out, const char *text)
{
    char *end;
    out->percent = 50;
    if (!*text)
        return true;
    if (out->kind != CLVI_COST_LATENCY || strncmp(text, "@p", 2) != 0 || text[2] < '0' || text[2] > '9')
        return false;
    out->percent = strtod(text + 2, &end);
    return !*end && out->percent >= 1 && out->percent <= 99;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The number behind "name=": a share, or with a unit. */
static bool parse_amount(clvi_budget *out, const char *text)
{
    static const struct {
        const char *name;
        bool latency;
        double factor;
    } units[] = {{"", false, 1},     {"k", false, 1e3},  {"M", false, 1e6}, {"G", false, 1e9},
                 {"us", true, 1e-6}, {"ms", true, 1e-3}, {"s", true, 1}};
    char *end;
    const double amount = strtod(text, &end);
    if (end == text || !(amount > 0) || !isfinite(amount))
        return false;
    if (*end == '%' || *end == 'x') {
        out->relative = true;
        out->amount = *end == '%' ? amount / 100 : amount;
        return out->amount <= 1 && parse_percentile(out, end + 1);
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].latency == (out->kind == CLVI_COST_LATENCY) && starts_with(end, units[i].name) &&
            parse_percentile(out, end + strlen(units[i].name))) {
            out->relative = false;
            out->amount = amount * units[i].factor;
            return true;
        }
    return false;
}

clv_status clvi_budget_parse(clvi_budget *out, const char *text, clv_error *err)
{
    static const clvi_cost kinds[] = {CLVI_COST_MACS, CLVI_COST_PARAMETERS, CLVI_COST_BYTES, CLVI_COST_LATENCY};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *name = clvi_cost_name(kinds[i]);
        const size_t n = strlen(name);
        out->kind = kinds[i];
        if (strncmp(text, name, n) == 0 && text[n] == '=' && parse_amount(out, text + n + 1))
            return CLV_OK;
    }
    return FAIL(err, CLV_ERR_ARG,
                "budget \"%s\": expected macs=, params=, bytes= or latency= with a share such as 30%% or 0.3x, or a "
                "number such as 12.5M, for latency a time such as 12ms, or 12ms@p90",
                text);
}

static double whole_cost(clvi_cost kind, const clvi_count *whole)
{
    return (double)(kind == CLVI_COST_MACS         ? whole->macs
                    : kind == CLVI_COST_PARAMETERS ? whole->parameters
                                                   : whole->bytes);
}

/* An error inside a residual branch is small beside the sum that it ends in: it counts by the ratio of the two standard
 * deviations. Measured: docs/perf.md, "The loss of the search". */
static double weight_of(const clvi_candidates *lists, const clvi_sites *sites, size_t index)
{
    while (sites->site[index].sum == CLVI_NONE && sites->site[index].next != CLVI_NONE)
        index = (size_t)sites->site[index].next; /* rises */
    return lists[index].n > 0 && sites->site[index].sum != CLVI_NONE ? sqrt(lists[index].share) : 1;
}

/* The geometric mean of what the rule says and of the harm to the outputs, where that was measured: the rule knows no
 * layer but its own block, the measurement not that a layer repairs what those before it have lost. */
static double loss_of(const clvi_candidate *c, const clvi_candidates *list, double weight)
{
    if (!c->form)
        return 0;
    const double e = fmax(c->error, 0);
    if (!(list->power > 0))
        return clvi_loss_of_error(weight * e);
    if (c->harm > 0) /* not an error of the convolution's output: as bad as one that does as much harm */
        return clvi_loss_of_error(sqrt(c->harm * weight * pow(c->harm / list->scale, 1 / list->power)));
    return clvi_loss_of_error(sqrt(list->scale * pow(e, list->power) * weight * e));
}

double clvi_plan_loss(const size_t *chosen, const clvi_candidates *lists, const clvi_sites *sites)
{
    double loss = 0;
    for (size_t i = 0; i < sites->n; i++)
        if (lists[i].n > 0)
            loss += loss_of(&lists[i].item[chosen[i]], &lists[i], weight_of(lists, sites, i));
    return loss;
}

/* Returns what all costs were lowered by: a choice takes none below zero, savings elsewhere may be larger than a cost.
 */
static double fill_options(clvi_option *options, const clvi_candidates *list, const double *cost, double weight)
{
    double least = 0;
    for (size_t i = 0; i < list->n; i++)
        least = fmin(least, cost[i]);
    for (size_t i = 0; i < list->n; i++)
        options[i] = (clvi_option){cost[i] - least, loss_of(&list->item[i], list, weight)};
    return least;
}

clv_status clvi_costs_count(clvi_costs *out, clvi_cost kind, const clvi_count *whole, const clvi_candidates *lists,
                            const clvi_sites *sites, clv_error *err)
{
    *out = (clvi_costs){whole_cost(kind, whole), clvi_alloc_array(sites->n, CLVI_CANDIDATES_MAX * sizeof *out->item)};
    if (!out->item)
        return FAIL(err, CLV_ERR_NOMEM, "costs of %zu convolutions", sites->n);
    for (size_t i = 0; i < sites->n; i++)
        for (size_t a = 0; a < lists[i].n; a++) {
            const clvi_candidate *c = &lists[i].item[a];
            const clvi_site *site = &sites->site[i];
            out->item[i * CLVI_CANDIDATES_MAX + a] = clvi_cost_of(
                kind, c->macs_per_pixel, site->shape.oh * site->shape.ow, c->parameters, site->weight_bytes);
        }
    return CLV_OK;
}

void clvi_costs_free(clvi_costs *costs)
{
    clvi_free(costs->item);
    *costs = (clvi_costs){0};
}

clv_status clvi_plan_choose(size_t *chosen, double amount, const clvi_costs *costs, const clvi_candidates *lists,
                            const clvi_sites *sites, clv_error *err)
{
    clvi_option *options = clvi_alloc_array(sites->n, CLVI_CANDIDATES_MAX * sizeof *options);
    clvi_menu *menus = clvi_alloc_array(sites->n, sizeof *menus);
    size_t *picked = clvi_alloc_array(sites->n, sizeof *picked), open = 0;
    double cost = 0, fixed = costs->whole;
    clv_error reason;
    clv_status st = CLV_OK;
    if (!options || !menus || !picked) {
        st = FAIL(err, CLV_ERR_NOMEM, "choice among %zu convolutions", sites->n);
        goto out;
    }
    for (size_t i = 0; i < sites->n; i++) {
        clvi_option *own = options + open * CLVI_CANDIDATES_MAX;
        if (lists[i].n == 0)
            continue;
        fixed += fill_options(own, &lists[i], costs->item + i * CLVI_CANDIDATES_MAX, weight_of(lists, sites, i));
        fixed -= costs->item[i * CLVI_CANDIDATES_MAX];
        menus[open++] = (clvi_menu){own, lists[i].n};
    }
    st = clvi_choose(picked, &cost, menus, open, amount - fixed, &reason);
    if (st == CLV_ERR_BUDGET)
        st = FAIL(err, st,
                  "the budget is %.4g of %.4g; the nearest point that can be reached is %.4g (%.1f %%), of which %.4g "
                  "are not in convolutions that can be split",
                  amount, costs->whole, fixed + cost, 100 * (fixed + cost) / costs->whole, fixed);
    else if (st != CLV_OK && err)
        *err = reason;
    for (size_t i = 0, k = 0; (st == CLV_OK || st == CLV_ERR_BUDGET) && i < sites->n; i++)
        if (lists[i].n)
            chosen[i] = picked[k++];
out:
    clvi_free(options);
    clvi_free(menus);
    clvi_free(picked);
    return st;
}
