/* SPDX-License-Identifier: Apache-2.0 */
/* What a convolution may become: every form at some sizes, with the error that each would make and its cost. */
#ifndef CLVI_COMPRESS_CANDIDATES_H
#define CLVI_COMPRESS_CANDIDATES_H

#include "base/pack.h"
#include "compress/sites.h"
#include "decompose/averaged.h"
#include "decompose/form.h"

typedef struct clvi_candidate {
    const clvi_form *form; /* NULL: the convolution as it is */
    double multiplier;     /* of depthwise */
    int64_t size;          /* of the other forms */
    bool uneven;
    double error;           /* on the original network's statistics, see clvi_fit */
    double harm;            /* to the outputs, measured (probe.h); 0: the list's law says it */
    int64_t macs_per_pixel; /* of output position */
    int64_t parameters;     /* weights and biases */
} clvi_candidate;

#define CLVI_CANDIDATES_MAX 250 /* candidates of one site: clvi_choose counts them in a byte */

typedef struct clvi_candidates {
    clvi_candidate item[CLVI_CANDIDATES_MAX]; /* the first one keeps the convolution */
    size_t n;                                 /* 0: not explored */
    double scale, power;                      /* harm = scale error^power (probe.h); power 0: not measured */
    double share; /* of the variance of its block's sum, what the convolution's output has; 1: no sum */
} clvi_candidates;

typedef struct clvi_explore_opts {
    const clvi_form *form; /* only this one; NULL: all */
    int64_t round;         /* inner sizes are multiples of it where that is less than a good part of the original */
    clvi_fit_opts fit;     /* ridge and seed */
} clvi_explore_opts;

/* Fill lists[k] for the sites with indices site[n], whose statistics are cov[k][groups]. Runs on the context's
 * threads; same bits for any number of them. */
clv_status clvi_candidates_explore(clvi_candidates *const *lists, const clvi_sites *sites, const size_t *site,
                                   clvi_covariance *const *cov, size_t n, const clvi_explore_opts *opts,
                                   clv_context *context, clv_error *err);

/* The sizes of the form "average", behind an exploration. */
void clvi_candidates_add_averaged(clvi_candidates *list, const clvi_site *site, const clvi_averaged *averaged,
                                  const clvi_explore_opts *opts);

/* The options of a fit of this candidate. */
clvi_fit_opts clvi_candidate_fit_opts(const clvi_candidate *candidate, const clvi_fit_opts *base);

/* Candidates as bytes, for the statistics and for the journal of a run. */
void clvi_candidates_pack(clvi_packer *p, const clvi_candidates *list);
bool clvi_candidates_unpack(clvi_unpacker *u, clvi_candidates *list); /* false: malformed */

#endif
