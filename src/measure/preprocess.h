/* SPDX-License-Identifier: Apache-2.0 */
/* Which preprocessing a model wants: never guessed, only looked up. */
#ifndef CLVI_MEASURE_PREPROCESS_H
#define CLVI_MEASURE_PREPROCESS_H

#include "cleave/data.h"
#include "graph/graph.h"

#define CLVI_PREPROCESS_KEY "cleave.preprocess" /* in the metadata of a model */

/* `given` when it is not NULL, else what the model's metadata say. CLV_ERR_ARG when neither is there: the message lists
 * the presets and names the one that suits the size of the input. */
clv_status clvi_preprocess_resolve(clv_preprocess *out, const clvi_graph *graph, const clv_preprocess *given,
                                   clv_error *err);

#endif
