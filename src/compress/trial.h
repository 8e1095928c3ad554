/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that are made to be timed alone: convolutions written as a form and size would be, with factors of their
 * weights that no image was looked at for. What a network takes does not depend on its values. */
#ifndef CLVI_COMPRESS_TRIAL_H
#define CLVI_COMPRESS_TRIAL_H

#include "compress/candidates.h"
#include "compress/sites.h"

/* Chains made so far: equal convolutions of equal form and size share one. */
typedef struct clvi_trial_chains {
    clvi_arena *arena;
    struct clvi_trial_chain *first;
} clvi_trial_chains;

void clvi_trial_chains_free(clvi_trial_chains *chains); /* an empty one is fine */

/* The chain of a candidate of this convolution: its links and gathers are those that a fit would give. */
clv_status clvi_trial_chain_of(const clvi_chain **out, clvi_trial_chains *chains, const clvi_conv *conv,
                               const clvi_candidate *candidate, clv_context *context, clv_error *err);

typedef struct clvi_trial {
    clvi_graph *graph;
    int32_t *owner; /* [n_owner] of each value: the site whose time the node counts for that makes it, or CLVI_NONE */
    size_t n_owner;
} clvi_trial;

/* `original` with site i as chosen[i]; NULL, or a candidate without a form: as it is. As the main job writes it, with
 * what its last passes do. A site owns the nodes in its place, the Add that its sum is, the mean it goes into, and what
 * follows element by element. Gives *out (clvi_trial_free). */
clv_status clvi_trial_create(clvi_trial *out, const clvi_graph *original, const clvi_sites *sites,
                             const clvi_candidate *const *chosen, clvi_trial_chains *chains, clv_context *context,
                             clv_error *err);
void clvi_trial_free(clvi_trial *trial); /* an empty one is fine */

#endif
