/* SPDX-License-Identifier: Apache-2.0 */
/* Random layers and data, the work behind cleave/synth.h. */
#ifndef CLVI_DECOMPOSE_SYNTH_H
#define CLVI_DECOMPOSE_SYNTH_H

#include "cleave/synth.h"
#include "decompose/moments.h"

/* As clv_synth_opts_default, clv_synth_count and clv_synth_run. */
clv_synth_opts clvi_synth_opts_default(void);
size_t clvi_synth_count(const clv_synth_opts *opts);
clv_status clvi_synth_run(clv_synth_row *rows, const clv_synth_opts *opts, clv_context *context, clv_error *err);

/* A random layer's weights w[out, in, kernel, kernel], and the covariances of `samples` of its patches and outputs.
 * `set` numbers independent sets: 0 the fit's, 1 the test's. Gives *out (clvi_covariance_free). */
void clvi_synth_weights(float *w, const clv_synth_opts *opts);
clv_status clvi_synth_data(clvi_covariance *out, const float *w, const clv_synth_opts *opts, bool correlated, int set,
                           clv_context *context, clv_error *err);

#endif
