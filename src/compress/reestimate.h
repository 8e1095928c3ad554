/* SPDX-License-Identifier: Apache-2.0 */
/* Least squares shrinks variance, and over many layers that compounds: restore each output channel's mean and variance.
 */
#ifndef CLVI_COMPRESS_REESTIMATE_H
#define CLVI_COMPRESS_REESTIMATE_H

#include "decompose/form.h"

/* Scale row o of the chain's last link by a_o = sqrt(var(t_o) / var(w^_o x)) and set its bias to mean(t_o) - a_o w^_o
 * mean(x), where w^ is the convolution that the chain equals and cov[groups] holds the moments of what it really sees.
 * A channel without variance keeps its scale. Weights are replaced by copies in arena. Reentrant. */
clv_status clvi_reestimate(clvi_chain *chain, const clvi_conv *original, const clvi_covariance *cov, clvi_arena *arena,
                           clv_error *err);

#endif
