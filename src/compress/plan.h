/* SPDX-License-Identifier: Apache-2.0 */
/* Which form and size each site gets: the same for all, or what loses least under a budget. */
#ifndef CLVI_COMPRESS_PLAN_H
#define CLVI_COMPRESS_PLAN_H

#include "cleave/compress.h"
#include "compress/collect.h"
#include "compress/sites.h"
#include "search/cost.h"

typedef struct clvi_site_plan {
    const clvi_form *form;
    clvi_fit_opts fit;
    double error; /* as measured on the original network; NAN without a search */
} clvi_site_plan;

/* "macs=30%" and "params=25%": of what the whole network has; "macs=12.5M", "params=100k": absolute. */
typedef struct clvi_budget {
    clvi_cost kind;
    double amount;
    bool relative; /* amount is a share in (0, 1] */
} clvi_budget;

/* CLV_ERR_ARG quotes the text and shows the syntax. Reentrant. */
clv_status clvi_budget_parse(clvi_budget *out, const char *text, clv_error *err);

/* Fill plans[sites->n] by a search: fit every form at some sizes to the original network's statistics at each site that
 * is not kept, then choose under the budget what keeps most. A site that is better left alone gets `kept`. `form`
 * restricts the search (NULL: every form); base holds ridge and seed. whole: cost of the original network, all nodes.
 * CLV_ERR_BUDGET: the message has the nearest reachable point. */
clv_status clvi_plan_search(clvi_site_plan *plans, const clvi_budget *budget, double whole, const clvi_form *form,
                            const clvi_fit_opts *base, const clvi_graph *original, clvi_sites *sites,
                            const clvi_targets *targets, clvi_calibration *calibration, clv_error *err);

#endif
