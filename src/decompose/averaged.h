/* SPDX-License-Identifier: Apache-2.0 */
/* Whole maps for the form "average" (decompose/average.h): how far the mean of a convolution's output is from what
 * averaging first makes of it, as sums over images, which add up over shards. */
#ifndef CLVI_DECOMPOSE_AVERAGED_H
#define CLVI_DECOMPOSE_AVERAGED_H

#include "base/pack.h"
#include "decompose/activation.h"
#include "decompose/average.h"

/* m: the mean wanted, p: the one made with gain 1, both [o] for each image. */
typedef struct clvi_averaged {
    size_t o, sizes; /* o = 0: the form does not apply */
    double images;
    double square;                    /* sum of m^2 */
    double *mean;                     /* [o] sum of m */
    double cross[CLVI_AVERAGE_SIZES]; /* of m p, for each size */
    double own[CLVI_AVERAGE_SIZES];   /* of p^2 */
} clvi_averaged;

/* Empty sums; none where the form refuses the convolution. Gives out->mean (clvi_averaged_free). */
clv_status clvi_averaged_create(clvi_averaged *out, const clvi_conv *conv, clv_error *err);
void clvi_averaged_free(clvi_averaged *sums); /* an empty one is fine */

/* Images of a batch: x[n, c, h, w] of the convolution, mean[n, o] wanted; skip[n] leaves some out. Reentrant. */
clv_status clvi_averaged_add(clvi_averaged *sums, const clvi_conv *conv, const clvi_activation *activation, int64_t n,
                             const float *x, const float *mean, const bool *skip, clv_error *err);
void clvi_averaged_merge(clvi_averaged *sums, const clvi_averaged *other); /* of the same site */

/* The least squared error, relative to the variance of m over the images, of size number i, and the gain that has it.
 */
double clvi_averaged_error(double *gain, const clvi_averaged *sums, size_t i);

/* Set gain and error of a fit of this form. */
clv_status clvi_averaged_finish(clvi_fit *fit, const clvi_averaged *sums, const clvi_conv *conv, clv_error *err);

void clvi_averaged_pack(clvi_packer *p, const clvi_averaged *sums);
bool clvi_averaged_unpack(clvi_unpacker *u, clvi_averaged *sums); /* false: malformed, or no memory */

/* What stands behind the mean: gain and shift[o] (arena-owned; NULL: nothing to add) of the chain. */
double clvi_averaged_gain(const clvi_chain *chain, const clvi_conv *conv);
const float *clvi_averaged_shift(const clvi_chain *chain, const clvi_conv *conv, const clvi_activation *activation,
                                 clvi_arena *arena);

#endif
