/* SPDX-License-Identifier: Apache-2.0 */
/* What the original says: values of a network that nothing moves, made by the runtime, in the order in which a training
 * plan keeps its own. */
#ifndef CLVI_TRAIN_GUIDE_H
#define CLVI_TRAIN_GUIDE_H

#include "base/context.h"
#include "graph/graph.h"

typedef struct clvi_guide clvi_guide;

/* heads    n_heads value ids (at most CLVI_MAX_PAIRS), float32, whose first dimension is that of the images
 * input    of one lane, [images, ...]; its data are ignored
 * lanes    that a call of clvi_guide_run sees at most
 *
 * Graph and context are borrowed until the guide is freed; the graph must not change. CLV_ERR_UNSUP names the first
 * operator that the runtime lacks. */
clv_status clvi_guide_create(clvi_guide **out, const clvi_graph *graph, const int32_t *heads, size_t n_heads,
                             const clv_tensor *input, size_t lanes, clv_context *context, clv_error *err);
void clvi_guide_free(clvi_guide *guide); /* NULL-safe */

/* batch: [lanes][one lane], borrowed. Lane by lane on all threads of the context, so the bits depend neither on the
 * threads nor on the number of lanes. */
clv_status clvi_guide_run(clvi_guide *guide, const float *batch, clv_error *err);

/* The values of one lane, channels last where the rank is 4; valid until the next run. */
const float *clvi_guide_head(const clvi_guide *guide, size_t lane, size_t head);

#endif
