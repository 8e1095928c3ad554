/* SPDX-License-Identifier: Apache-2.0 */
/* A budget of milliseconds: search over measured times, then the whole network measured and the search corrected. */
#ifndef CLVI_COMPRESS_LATENCY_H
#define CLVI_COMPRESS_LATENCY_H

#include "compress/latency_model.h"
#include "compress/plan.h"
#include "report/report.h"

/* Seconds for one image; NAN: not known. */
typedef struct clvi_latency_figures {
    double before;            /* the original */
    double target;            /* the budget */
    double planned;           /* what was chosen in the end, measured whole, with made-up weights */
    double predicted;         /* of that, the sum of its steps as they were measured in other networks */
    double after;             /* the result */
    double percent;           /* which percentile of runs all these are */
    int64_t rounds;           /* networks measured whole until the search met the budget */
    int64_t measured, cached; /* steps (kind of convolution, form, size) timed in this run, and known before */
} clvi_latency_figures;

clvi_latency_figures clvi_latency_unknown(void);

/* chosen[sites->n] as clvi_plan_choose, such that the network takes the budget's time in this runtime with the
 * context's threads; a form whose step is not faster than the convolution is not taken. CLV_ERR_BUDGET: the message has
 * the nearest point that can be reached, as measured. */
clv_status clvi_latency_choose(size_t *chosen, clvi_latency_figures *figures, const clvi_latency_task *task,
                               const clvi_budget *budget, clv_error *err);

/* For budgets of another kind: a candidate that is not faster than its convolution costs HUGE_VAL from now on. */
clv_status clvi_latency_forbid_slower(clvi_costs *costs, clvi_latency_figures *figures, const clvi_latency_task *task,
                                      clv_error *err);

/* Sets before and after: both networks in turns. */
clv_status clvi_latency_measure(clvi_latency_figures *figures, const clvi_graph *original, const clvi_graph *result,
                                const clv_tensor *input, clv_context *context, clv_error *err);

/* "before_ms", "target_ms", ... of those that are known. */
void clvi_report_latency(const clvi_latency_figures *figures, const clv_context *context, clvi_item *item);

#endif
