/* SPDX-License-Identifier: Apache-2.0 */
/* Equal scales for the factors of a chain, before they are trained. */
#ifndef CLVI_TRAIN_BALANCE_H
#define CLVI_TRAIN_BALANCE_H

#include "graph/graph.h"

/* Where one Conv alone reads another, nothing between, the scale of each channel between them is free. It is set so
 * that the weights that write the channel and those that read it have the same root mean square; the network computes
 * the same but for rounding. Fitted factors come with all of it on one side, where a step that suits one factor wrecks
 * or does not move the other. */
clv_status clvi_balance(clvi_graph *graph, clv_error *err);

#endif
