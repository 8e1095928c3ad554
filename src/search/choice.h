/* SPDX-License-Identifier: Apache-2.0 */
/* Which option of each layer, under one budget: minimise the sum of losses subject to the sum of costs.
 *
 * Exact dynamic programming over the layers on a grid of CLVI_CHOICE_GRID steps of the budget, costs rounded up, so the
 * budget always holds; what the rounding left over is then spent on single upgrades. A Lagrangian with bisection and
 * exchanges of pairs was tried first: it misses the best choice in more than a tenth of small random problems. */
#ifndef CLVI_SEARCH_CHOICE_H
#define CLVI_SEARCH_CHOICE_H

#include <stddef.h>

#include "base/status.h"

#define CLVI_CHOICE_GRID ((size_t)1 << 15)

typedef struct clvi_option {
    double cost; /* >= 0, any unit */
    double loss; /* >= 0; additive over layers, e.g. clvi_loss_of_error */
} clvi_option;

typedef struct clvi_menu {
    const clvi_option *option; /* [n], n >= 1 */
    size_t n;
} clvi_menu;

/* -log(1 - e), the loss whose sum is the log of the product of what the layers keep; e is clamped below 1. */
double clvi_loss_of_error(double error);

/* chosen[layers] indexes each menu. Deterministic: ties go to the cheaper, then to the earlier option.
 * CLV_ERR_BUDGET when even the cheapest options cost more: chosen then holds those, and *cost their sum. A menu has at
 * most 255 options. Reentrant. */
clv_status clvi_choose(size_t *chosen, double *cost, const clvi_menu *menus, size_t layers, double budget,
                       clv_error *err);

#endif
