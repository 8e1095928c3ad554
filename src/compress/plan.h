/* SPDX-License-Identifier: Apache-2.0 */
/* A budget, and which candidate each site gets under it. */
#ifndef CLVI_COMPRESS_PLAN_H
#define CLVI_COMPRESS_PLAN_H

#include "compress/candidates.h"
#include "runtime/count.h"
#include "search/cost.h"

/* "macs=30%", "params=25%", "bytes=25%": of what the whole network has; "macs=12.5M", "params=100k": absolute. */
typedef struct clvi_budget {
    clvi_cost kind;
    double amount;
    bool relative; /* amount is a share in (0, 1] */
} clvi_budget;

/* CLV_ERR_ARG quotes the text and shows the syntax. Reentrant. */
clv_status clvi_budget_parse(clvi_budget *out, const char *text, clv_error *err);

/* chosen[sites->n]: indices into lists[sites->n] (n = 0: the site is kept and its entry is not touched) that lose least
 * under the budget. whole: the original network. CLV_ERR_BUDGET: the message has the nearest reachable point. */
clv_status clvi_plan_choose(size_t *chosen, const clvi_budget *budget, const clvi_count *whole,
                            const clvi_candidates *lists, const clvi_sites *sites, clv_error *err);

#endif
