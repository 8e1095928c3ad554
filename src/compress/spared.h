/* SPDX-License-Identifier: Apache-2.0 */
/* A choice under counted costs that knows what pruning spares elsewhere. A layer that reads r of its c input channels
 * lets what makes the others make them no longer (clvi_pass_prune_channels): a depthwise layer in between costs r / c
 * of what it did, and the convolution before has r outputs. That depends on what becomes of those, so no sum over
 * layers says it: the choice is repeated with the savings of the choice before, and the best one that holds is taken.
 */
#ifndef CLVI_COMPRESS_SPARED_H
#define CLVI_COMPRESS_SPARED_H

#include "compress/plan.h"

/* What the choice saves beyond its costs, in their unit. chosen as in clvi_plan_choose. */
double clvi_spared(clvi_cost kind, const size_t *chosen, const clvi_candidates *lists, const clvi_sites *sites);

/* clvi_plan_choose, with savings. costs: clvi_costs_count of the same kind. */
clv_status clvi_spared_choose(size_t *chosen, double amount, clvi_cost kind, const clvi_costs *costs,
                              const clvi_candidates *lists, const clvi_sites *sites, clv_error *err);

#endif
