/* SPDX-License-Identifier: Apache-2.0 */
#include "search/choice.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

double clvi_loss_of_error(double error)
{
    const double kept = 1 - error;
    return error <= 0 ? 0 : -log(kept > 1e-6 ? kept : 1e-6);
}

static size_t cheapest(const clvi_menu *m)
{
    size_t best = 0;
    for (size_t i = 1; i < m->n; i++)
        if (m->option[i].cost < m->option[best].cost ||
            (m->option[i].cost == m->option[best].cost && m->option[i].loss < m->option[best].loss))
            best = i;
    return best;
}

/* The best single change that the slack allows. */
static bool upgrade_one(size_t *chosen, double *total, const clvi_menu *menus, size_t layers, double budget)
{
    double gain = 1e-12;
    size_t layer = layers, option = 0;
    for (size_t l = 0; l < layers; l++) {
        const clvi_option *now = &menus[l].option[chosen[l]];
        for (size_t i = 0; i < menus[l].n; i++) {
            const clvi_option *o = &menus[l].option[i];
            if (*total - now->cost + o->cost <= budget && now->loss - o->loss > gain) {
                gain = now->loss - o->loss;
                layer = l;
                option = i;
            }
        }
    }
    if (layer == layers)
        return false;
    *total += menus[layer].option[option].cost - menus[layer].option[chosen[layer]].cost;
    chosen[layer] = option;
    return true;
}

/* best[g]: least loss of the layers so far with at most g steps spent; take[l, g]: what layer l takes there. Backwards
 * over g, so that one row is enough. Returns false when the rounded costs do not fit. */
static bool solve(size_t *chosen, const clvi_menu *menus, size_t layers, double step, double *best, double *next,
                  uint8_t *take)
{
    const size_t grid = CLVI_CHOICE_GRID;
    for (size_t g = 0; g <= grid; g++)
        best[g] = 0;
    for (size_t l = 0; l < layers; l++) {
        for (size_t g = 0; g <= grid; g++)
            next[g] = HUGE_VAL;
        for (size_t i = 0; i < menus[l].n; i++) {
            const double steps = ceil(menus[l].option[i].cost / step);
            if (steps > (double)grid)
                continue;
            for (size_t g = (size_t)steps; g <= grid; g++) {
                const double loss = best[g - (size_t)steps] + menus[l].option[i].loss;
                if (loss < next[g]) {
                    next[g] = loss;
                    take[l * (grid + 1) + g] = (uint8_t)i;
                }
            }
        }
        for (size_t g = 0; g <= grid; g++)
            best[g] = next[g];
    }
    if (isinf(best[grid]))
        return false;
    for (size_t l = layers, g = grid; l-- > 0;) {
        chosen[l] = take[l * (grid + 1) + g];
        g -= (size_t)ceil(menus[l].option[chosen[l]].cost / step);
    }
    return true;
}

static double take_cheapest(size_t *chosen, const clvi_menu *menus, size_t layers)
{
    double cost = 0;
    for (size_t l = 0; l < layers; l++) {
        chosen[l] = cheapest(&menus[l]);
        cost += menus[l].option[chosen[l]].cost;
    }
    return cost;
}

clv_status clvi_choose(size_t *chosen, double *cost, const clvi_menu *menus, size_t layers, double budget,
                       clv_error *err)
{
    const size_t row = CLVI_CHOICE_GRID + 1;
    *cost = take_cheapest(chosen, menus, layers);
    if (*cost > budget)
        return FAIL(err, CLV_ERR_BUDGET, "the budget is %.6g, the cheapest choice for every layer costs %.6g", budget,
                    *cost);
    double *best = clvi_alloc_array(2 * row, sizeof *best);
    uint8_t *take = clvi_alloc_array(layers ? layers : 1, row);
    if (best && take && budget > 0) {
        if (!solve(chosen, menus, layers, budget / (double)CLVI_CHOICE_GRID, best, best + row, take))
            (void)take_cheapest(chosen, menus, layers);
        *cost = 0;
        for (size_t l = 0; l < layers; l++)
            *cost += menus[l].option[chosen[l]].cost;
        while (upgrade_one(chosen, cost, menus, layers, budget))
            continue;
    }
    const bool short_of_memory = !best || !take;
    clvi_free(best);
    clvi_free(take);
    return short_of_memory ? FAIL(err, CLV_ERR_NOMEM, "choice among %zu layers", layers) : CLV_OK;
}
