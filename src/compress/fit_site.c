/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/fit_site.h"

#include "compress/candidates.h"
#include "compress/survey.h"
#include "decompose/refit.h"

#define WARM_SHARE  6 /* a refit starts where the one before ended: a sixth of the iterations */
#define HUGE_ROUNDS 2 /* at most, where a pass over the patches and a fit take seconds each */

/* Fit again, towards targets that let go of what the activation hides. */
static clv_status refit(clvi_fit *fit, const clvi_site *site, const clvi_site_rows *rows, const clvi_covariance *cov,
                        const clvi_fit_site_opts *opts, clvi_arena *arena, clv_context *context, clv_error *err)
{
    clvi_refit_result result;
    const clvi_reservoir reservoir = {rows->rows, (const float *const *)rows->x, rows->y, rows->shortcut};
    clvi_refit_opts refit = clvi_refit_opts_default();
    clvi_fit_opts warm = opts->fit;
    warm.max_iterations = (warm.max_iterations + WARM_SHARE - 1) / WARM_SHARE;
    const clvi_refit_task task = {.conv = &site->conv,
                                  .form = opts->form,
                                  .fit_opts = &warm,
                                  .start = fit,
                                  .reservoir = &reservoir,
                                  .activation = &site->activation,
                                  .cov = cov};
    refit.rounds =
        clvi_conv_extent_of(&site->conv) == CLVI_CONV_HUGE && opts->rounds > HUGE_ROUNDS ? HUGE_ROUNDS : opts->rounds;
    TRY(clvi_refit(&result, &task, &refit, arena, context, err));
    *fit = result.fit;
    return CLV_OK;
}

clv_status clvi_fit_site(clvi_fit *out, const clvi_site *site, const clvi_site_rows *rows,
                         const clvi_fit_site_opts *opts, clvi_arena *arena, clv_context *context, clv_error *err)
{
    clvi_covariance *cov = NULL;
    clv_status st = clvi_site_rows_covariances(&cov, rows, context->pool, err);
    if (st == CLV_OK)
        st = opts->form->fit(out, &site->conv, cov, &opts->fit, arena, context, err);
    if (st == CLV_OK && opts->rounds > 0 && site->activation.kind != CLVI_ACTIVATION_NONE && rows->rows > 1)
        st = refit(out, site, rows, cov, opts, arena, context, err);
    clvi_covariances_free(cov, rows->groups);
    return st == CLV_OK || !err ? st : clvi_fail_prefix(err, st, site->name);
}
