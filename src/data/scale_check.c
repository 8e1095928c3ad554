/* SPDX-License-Identifier: Apache-2.0 */
#include "data/scale_check.h"

#include <math.h>
#include <stdio.h>

#define SPREAD_LEAST 0.01
#define OFFSET_MOST  8.0  /* mean in units of the spread; natural pictures divided by 255 have about 2 */
#define REACH_MOST   50.0 /* |mean| + 2 std */

int clvi_data_channel_stats(clvi_channel_stats *stats, int channels, const clv_tensor *batch, const bool *bad)
{
    const int filled = (int64_t)channels < batch->dims[1] ? channels : (int)batch->dims[1];
    const int64_t plane = batch->dims[2] * batch->dims[3];
    for (int c = 0; c < filled; c++) {
        double sum = 0, squares = 0;
        int64_t count = 0;
        for (int64_t n = 0; n < batch->dims[0]; n++) {
            const float *x = (const float *)batch->data + (n * batch->dims[1] + c) * plane;
            for (int64_t i = 0; !(bad && bad[n]) && i < plane; i++) {
                sum += (double)x[i];
                squares += (double)x[i] * (double)x[i];
            }
            count += bad && bad[n] ? 0 : plane;
        }
        const double mean = count ? sum / (double)count : 0;
        const double variance = count ? squares / (double)count - mean * mean : 0;
        stats[c] = (clvi_channel_stats){mean, variance < 0 ? 0 : sqrt(variance)}; /* a NaN stays one */
    }
    return filled;
}

static const char *judge(const clvi_channel_stats *s, const clv_preprocess *p)
{
    const bool centred = p && (p->mean[0] != 0 || p->mean[1] != 0 || p->mean[2] != 0);
    if (!isfinite(s->mean) || !isfinite(s->std))
        return "they are not all finite";
    if (s->std < SPREAD_LEAST)
        return "they hardly vary, as if scaled down twice";
    if (fabs(s->mean) > OFFSET_MOST * s->std)
        return "they lie far from 0 for their spread, as if mean and scale were in different units";
    if (fabs(s->mean) + 2 * s->std > REACH_MOST && !centred && (p || fabs(s->mean) > s->std))
        return "they look like pixels 0 to 255, neither scaled nor centred";
    return NULL;
}

const char *clvi_data_check_scale(char *sentence, size_t size, const clvi_channel_stats *stats, int channels,
                                  const clv_preprocess *preprocess)
{
    for (int c = 0; c < channels; c++) {
        const char *why = judge(&stats[c], preprocess);
        if (!why)
            continue;
        (void)snprintf(
            sentence, size,
            "the preprocessing%s%s may be wrong: channel %d of the network's input has mean %.4g and spread %.4g; %s",
            preprocess && *preprocess->name ? " " : "", preprocess ? preprocess->name : "", c, stats[c].mean,
            stats[c].std, why);
        return sentence;
    }
    return NULL;
}
