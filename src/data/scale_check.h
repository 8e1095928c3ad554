/* SPDX-License-Identifier: Apache-2.0 */
/* Noticing a preprocessing that does not suit what a trained network usually takes. */
#ifndef CLVI_DATA_SCALE_CHECK_H
#define CLVI_DATA_SCALE_CHECK_H

#include "cleave/data.h"

/* Of one channel over a batch, taken in double. */
typedef struct clvi_channel_stats {
    double mean, std;
} clvi_channel_stats;

/* Of the first min(c, channels) channels of batch [n, c, h, w], float32; items flagged in bad (may be NULL) are left
 * out, and with nothing left all is 0. Returns the channels filled. Reentrant. */
int clvi_data_channel_stats(clvi_channel_stats *stats, int channels, const clv_tensor *batch, const bool *bad);

/* One sentence when the values look wrong, written to sentence[size] and returned; NULL when nothing is to be said. The
 * rules, for any channel: not finite; spread below 0.01 (scaled twice); mean above 8 times the spread (scale and mean
 * in different units); |mean| + 2 std above 50 though nothing centres it (pixels 0..255 neither scaled nor centred:
 * mean above the spread, or a preprocessing without mean). Values of some 60 around 0, as Caffe networks take, pass.
 * `preprocess` may be NULL (float arrays). Reentrant. */
const char *clvi_data_check_scale(char *sentence, size_t size, const clvi_channel_stats *stats, int channels,
                                  const clv_preprocess *preprocess);

#endif
