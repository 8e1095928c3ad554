/* SPDX-License-Identifier: Apache-2.0 */
/* How a depthwise link with m > 1 filters for each input channel is written as ONNX. All are the same function. */
#ifndef CLVI_COMPRESS_EMIT_H
#define CLVI_COMPRESS_EMIT_H

#include <stdbool.h>

#include "decompose/form.h"

/* The first is the default, by measurement: docs/perf.md, "Emitted forms". Where `parallel` is not possible (no 1x1
 * link follows) it is `gather`. */
typedef enum clvi_emit {
    CLVI_EMIT_PARALLEL = 0, /* m times depthwise -> pointwise with one filter a channel, summed */
    CLVI_EMIT_GROUPED = 1,  /* one Conv with group = c and c m outputs */
    CLVI_EMIT_GATHER = 2,   /* Gather repeats each channel m times, then a Conv with group = c m */
} clvi_emit;

const char *clvi_emit_name(clvi_emit emit);             /* "parallel", "grouped", "gather" */
bool clvi_emit_parse(const char *name, clvi_emit *out); /* NULL is the default */

/* Filters for each input channel of a depthwise link of several taps and channels; 1 for any other link. */
int64_t clvi_emit_multiplier(const clvi_conv *link);

/* Can links i and i + 1 be written as parallel pairs? */
bool clvi_emit_splits(const clvi_chain *chain, size_t i);

/* Pair j of link i and the pointwise link after it: filter j of each channel, and the columns that read it. The bias of
 * the pointwise link goes to pair 0. Weights are in arena; false: no memory. */
bool clvi_emit_pair(clvi_conv pair[2], const clvi_chain *chain, size_t i, size_t j, clvi_arena *arena);

/* Link i with one filter a channel and the list of channels [link->c] that it then reads, in arena; NULL: no memory. */
const int32_t *clvi_emit_repeated(clvi_conv *link, const clvi_chain *chain, size_t i, clvi_arena *arena);

/* The cheapest Conv with the output shape of a link that reads nothing: zeros over one channel. `with` has that link's
 * geometry. false: no memory. */
bool clvi_emit_constant(clvi_conv *link, const clvi_conv *with, clvi_arena *arena);

#endif
