/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "search/choice.h"

/* The number behind "name=": a share, or with a unit. */
static bool parse_amount(clvi_budget *out, const char *text)
{
    char *end;
    const double amount = strtod(text, &end);
    const bool relative = strcmp(end, "%") == 0;
    const double unit = strcmp(end, "k") == 0 ? 1e3 : strcmp(end, "M") == 0 ? 1e6 : strcmp(end, "G") == 0 ? 1e9 : 1;
    if (end == text || !(amount > 0) || !isfinite(amount) || (*end && !relative && unit == 1) ||
        (relative && amount > 100))
        return false;
    out->amount = relative ? amount / 100 : amount * unit;
    out->relative = relative;
    return true;
}

clv_status clvi_budget_parse(clvi_budget *out, const char *text, clv_error *err)
{
    static const clvi_cost kinds[] = {CLVI_COST_MACS, CLVI_COST_PARAMETERS, CLVI_COST_BYTES};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *name = clvi_cost_name(kinds[i]);
        const size_t n = strlen(name);
        if (strncmp(text, name, n) != 0 || text[n] != '=' || !parse_amount(out, text + n + 1))
            continue;
        out->kind = kinds[i];
        return CLV_OK;
    }
    return FAIL(err, CLV_ERR_ARG,
                "budget \"%s\": expected macs=, params= or bytes= with a share such as 30%% or a number such as 12.5M",
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

static void fill_options(clvi_option *options, const clvi_candidates *list, clvi_cost kind, const clvi_site *site,
                         double weight)
{
    for (size_t i = 0; i < list->n; i++) {
        const clvi_candidate *c = &list->item[i];
        options[i] = (clvi_option){
            clvi_cost_of(kind, c->macs_per_pixel, site->shape.oh * site->shape.ow, c->parameters, site->weight_bytes),
            c->form ? clvi_loss_of_error(weight * c->error) : 0};
    }
}

clv_status clvi_plan_choose(size_t *chosen, const clvi_budget *budget, const clvi_count *whole,
                            const clvi_candidates *lists, const clvi_sites *sites, clv_error *err)
{
    const double all = whole_cost(budget->kind, whole),
                 amount = budget->relative ? budget->amount * all : budget->amount;
    clvi_option *options = clvi_alloc_array(sites->n, CLVI_CANDIDATES_MAX * sizeof *options);
    clvi_menu *menus = clvi_alloc_array(sites->n, sizeof *menus);
    size_t *picked = clvi_alloc_array(sites->n, sizeof *picked), open = 0;
    double cost = 0, fixed = all;
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
        fill_options(own, &lists[i], budget->kind, &sites->site[i], weight_of(lists, sites, i));
        fixed -= own[0].cost;
        menus[open++] = (clvi_menu){own, lists[i].n};
    }
    st = clvi_choose(picked, &cost, menus, open, amount - fixed, &reason);
    if (st == CLV_ERR_BUDGET)
        st = FAIL(err, st,
                  "the budget is %.4g of %.4g; the nearest point that can be reached is %.4g (%.1f %%), of which %.4g "
                  "are not in convolutions that can be split",
                  amount, all, fixed + cost, 100 * (fixed + cost) / all, fixed);
    else if (st != CLV_OK && err)
        *err = reason;
    for (size_t i = 0, k = 0; st == CLV_OK && i < sites->n; i++)
        if (lists[i].n)
            chosen[i] = picked[k++];
out:
    clvi_free(options);
    clvi_free(menus);
    clvi_free(picked);
    return st;
}
