/* SPDX-License-Identifier: Apache-2.0 */
/* A budget, and which candidate each site gets under it. */
#ifndef CLVI_COMPRESS_PLAN_H
#define CLVI_COMPRESS_PLAN_H

#include "compress/candidates.h"
#include "runtime/count.h"
#include "search/cost.h"

/* "macs=30%", "params=25%", "bytes=0.25x", "latency=50%": of what the whole network has; "macs=12.5M", "params=100k",
 * "latency=12ms", "latency=12ms@p90": absolute. */
typedef struct clvi_budget {
    clvi_cost kind;
    double amount;  /* latency: seconds */
    bool relative;  /* amount is a share in (0, 1] */
    double percent; /* latency: the percentile of runs, 50 unless "@p" says another */
} clvi_budget;

/* What everything costs. */
typedef struct clvi_costs {
    double whole; /* the original network */
    double *item; /* [sites, CLVI_CANDIDATES_MAX] every candidate; HUGE_VAL: not to be taken */
} clvi_costs;

/* CLV_ERR_ARG quotes the text and shows the syntax. Reentrant. */
clv_status clvi_budget_parse(clvi_budget *out, const char *text, clv_error *err);

/* Costs that are counted. Gives out->item (clvi_costs_free). */
clv_status clvi_costs_count(clvi_costs *out, clvi_cost kind, const clvi_count *whole, const clvi_candidates *lists,
                            const clvi_sites *sites, clv_error *err);
void clvi_costs_free(clvi_costs *costs); /* an empty one is fine */

/* chosen[sites->n]: indices into lists[sites->n] (n = 0: the site is kept and its entry is not touched) that lose least
 * while the whole network costs at most `amount`. CLV_ERR_BUDGET: the message has the nearest reachable point, and
 * chosen is that. */
clv_status clvi_plan_choose(size_t *chosen, double amount, const clvi_costs *costs, const clvi_candidates *lists,
                            const clvi_sites *sites, clv_error *err);

/* The sum that is least. */
double clvi_plan_loss(const size_t *chosen, const clvi_candidates *lists, const clvi_sites *sites);

#endif
