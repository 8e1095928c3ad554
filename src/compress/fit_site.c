/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/fit_site.h"

#include "compress/survey.h"

clv_status clvi_fit_site(clvi_fit *out, const clvi_site *site, const clvi_site_rows *rows,
                         const clvi_fit_site_opts *opts, clvi_arena *arena, clv_context *context, clv_error *err)
{
    clvi_covariance *cov = NULL;
    clv_status st = clvi_site_rows_covariances(&cov, rows, context->pool, err);
    if (st == CLV_OK)
        st = opts->form->fit(out, &site->conv, cov, &opts->fit, arena, context, err);
    clvi_covariances_free(cov, rows->groups);
    return st == CLV_OK || !err ? st : clvi_fail_prefix(err, st, site->name);
}
