/* SPDX-License-Identifier: Apache-2.0 */
/* The chains that a probe tries: at two errors in the closed form where there is one, and every size of averaging. */
#ifndef CLVI_COMPRESS_PROBE_CHAINS_H
#define CLVI_COMPRESS_PROBE_CHAINS_H

#include "compress/probe.h"

#define CLVI_PROBES_MAX (2 + CLVI_AVERAGE_SIZES) /* of one site */

/* Chains of the sites with indices site[n], whose candidates are lists[n] and statistics cov[n] and averaged[n], behind
 * probes[*count]: room for CLVI_PROBES_MAX n more. Weights live in arena. Runs on the context's threads. */
clv_status clvi_probe_chains(clvi_probe *probes, size_t *count, clvi_candidates *const *lists, const clvi_sites *sites,
                             const size_t *site, clvi_covariance *const *cov, const clvi_averaged *averaged, size_t n,
                             const clvi_explore_opts *opts, clvi_arena *arena, clv_context *context, clv_error *err);

#endif
