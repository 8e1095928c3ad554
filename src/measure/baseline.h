/* SPDX-License-Identifier: Apache-2.0 */
/* Does the preprocessing suit the network? A look at the first results, before any long work is built on them. */
#ifndef CLVI_MEASURE_BASELINE_H
#define CLVI_MEASURE_BASELINE_H

#include "base/context.h"
#include "cleave/data.h"
#include "graph/graph.h"
#include "report/report.h"

/* Run up to 128 images, spread evenly over the set, as `preprocess` says, and again with the other channel order and
 * with other usual scales. When one of those is clearly better (by more than 4 points of accuracy and by more than
 * chance allows; without labels by the information that the predictions hold), a warning is logged.
 *
 * A network that is no classifier, or is given arrays of floats, is not checked. preprocess may be NULL for arrays.
 * report may be NULL; gets "images", "accuracy" (percent, with labels), "confidence" (mean, percent) and, when
 * something looks wrong, "warning". CLV_ERR_UNSUP and CLV_ERR_DATA as from the feed. */
clv_status clvi_baseline_check(const clvi_graph *graph, clv_dataset *dataset, const clv_preprocess *preprocess,
                               clv_context *context, clvi_item *report, clv_error *err);

#endif
