/* SPDX-License-Identifier: Apache-2.0 */
/* How much accuracy each budget leaves: a whole sweep from one calibration. */
#ifndef CLEAVE_FRONTIER_H
#define CLEAVE_FRONTIER_H

#include <stdint.h>

#include "cleave/compress.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_frontier_point {
    double cost;  /* of the compressed network, in the unit of the budgets: MACs, parameters, bytes of weights or ms */
    double whole; /* of the original */
    double top1;  /* percent; NAN: the images have no labels, or the model is no classifier */
    double agreement; /* percent of images on which both choose the same class; NAN: no classifier */
    double error;     /* relative, of the first output, against the original's */
    bool reached;     /* false: the budget cannot be reached, nothing else is set */
    double seconds;   /* of compressing */
} clv_frontier_point;

/* Compress a copy of `model` under each of budgets[n] ("macs=50%", ...; all of one kind) and measure it on `test`. The
 * statistics and the search are shared: opts->stats names their file, NULL: a temporary one. opts->budget, recipe,
 * journal and dry_run are not looked at.
 *
 * points  [n], written; report  borrowed, may be NULL: gets "original" and the table "frontier"
 *
 * Errors of clv_compress and clv_evaluate; a budget that cannot be reached is no error. Per object. */
CLV_API clv_status clv_frontier(clv_frontier_point *points, const clv_model *model, const char *const *budgets,
                                int64_t n, const clv_compress_opts *opts, clv_dataset *calibration,
                                const clv_preprocess *preprocess, clv_dataset *test, clv_context *context,
                                clv_report *report, clv_error *err);

/* The smallest "macs=" budget whose drop stays within max_drop, by bisection of the share that is left (to 1.6 %): six
 * points of a frontier. The drop is in points of top-1 on `test`; where that has no labels, the percentage of images
 * whose class changes; for networks that do not classify, the relative error of the first output in percent.
 *
 * budget  [CLV_BUDGET_TEXT], written; best  borrowed, may be NULL; report  borrowed, may be NULL: "original",
 * "frontier"
 *
 * CLV_ERR_ARG: max_drop is negative or not finite. CLV_ERR_BUDGET: even the mildest budget tried drops more; the
 * message says how much. Errors of clv_frontier. Per object. */
#define CLV_BUDGET_TEXT 32
CLV_API clv_status clv_frontier_search(char budget[CLV_BUDGET_TEXT], clv_frontier_point *best, const clv_model *model,
                                       double max_drop, const clv_compress_opts *opts, clv_dataset *calibration,
                                       const clv_preprocess *preprocess, clv_dataset *test, clv_context *context,
                                       clv_report *report, clv_error *err);

/* Draw them as SVG: accuracy (or agreement, without labels) against the share of the cost that is left. */
CLV_API clv_status clv_frontier_plot(const clv_frontier_point *points, int64_t n, const char *path, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
