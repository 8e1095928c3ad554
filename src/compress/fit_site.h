/* SPDX-License-Identifier: Apache-2.0 */
/* One convolution: from its sampled rows to the chain that takes its place. */
#ifndef CLVI_COMPRESS_FIT_SITE_H
#define CLVI_COMPRESS_FIT_SITE_H

#include "compress/site_rows.h"
#include "decompose/form.h"

typedef struct clvi_fit_site_opts {
    const clvi_form *form;
    clvi_fit_opts fit;
    int rounds; /* through the activation, at most; 0: none */
} clvi_fit_site_opts;

/* Weights of the chain live in arena. rows as filled for this site. */
clv_status clvi_fit_site(clvi_fit *out, const clvi_site *site, const clvi_site_rows *rows,
                         const clvi_fit_site_opts *opts, clvi_arena *arena, clv_context *context, clv_error *err);

#endif
