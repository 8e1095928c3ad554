/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/curve.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define FIRST     3    /* times as many iterations at the largest size of a nested form, which starts afresh */
#define TOLERANCE 1e-4 /* of the error, over five iterations: less is not seen on a curve */

clvi_curve_job clvi_curve_job_default(void)
{
    return (clvi_curve_job){.fit = clvi_fit_opts_default()};
}

static void set_size(clvi_fit_opts *opts, const clvi_form *form, double size)
{
    if (strcmp(form->name, "depthwise") == 0)
        opts->multiplier = size;
    else
        opts->size = size > 0 && size < (double)INT32_MAX ? (int64_t)size : -1;
}

static clv_status check(const clvi_curve_job *job, clv_error *err)
{
    if (job->n == 0)
        return FAIL(err, CLV_ERR_ARG, "a curve of form %s needs sizes", job->form->name);
    for (size_t i = 0; i < job->n; i++) {
        clvi_fit_opts opts = job->fit;
        set_size(&opts, job->form, job->sizes[i]);
        if (!isfinite(job->sizes[i]) || (i > 0 && !(job->sizes[i] > job->sizes[i - 1])) ||
            job->form->macs(job->conv, &opts) <= 0)
            return FAIL(err, CLV_ERR_ARG,
                        "size %g, number %zu of the curve of form %s, is not possible or not ascending", job->sizes[i],
                        i, job->form->name);
    }
    return CLV_OK;
}

/* One size, from *start, which becomes the chain found. */
static clv_status trace(clvi_curve_point *point, const clvi_curve_job *job, const clvi_fit_opts *opts,
                        clvi_arena *arena, clv_context *context, clv_error *err)
{
    clvi_fit fit;
    TRY(job->form->fit(&fit, job->conv, job->cov, opts, arena, context, err));
    clvi_chain *chain = clvi_arena_alloc(arena, sizeof *chain);
    if (!chain)
        return FAIL(err, CLV_ERR_NOMEM, "a point of a curve of form %s", job->form->name);
    *chain = fit.chain;
    *point = (clvi_curve_point){.fit = *opts,
                                .error = fit.error,
                                .macs_per_pixel = fit.macs_per_pixel,
                                .parameters = clvi_chain_parameters(chain),
                                .iterations = fit.iterations};
    point->fit.start = chain;
    point->fit.memo = job->fit.memo;
    point->fit.starts = job->fit.starts;
    point->fit.max_iterations = job->fit.max_iterations;
    point->fit.tolerance = job->fit.tolerance;
    return CLV_OK;
}

clv_status clvi_curve(clvi_curve_point *points, const clvi_curve_job *job, clvi_arena *arena, clv_context *context,
                      clv_error *err)
{
    TRY(check(job, err));
    clvi_fit_opts opts = job->fit;
    const int iterations = job->iterations > 0 ? job->iterations : job->form->curve_iterations;
    clv_status st = CLV_OK;
    clvi_memo memo = {0};
    opts.start = NULL;
    opts.memo = &memo;
    opts.starts = 1;
    opts.max_iterations = job->form->nested ? FIRST * iterations : iterations;
    opts.tolerance = TOLERANCE;
    for (size_t i = job->n; i-- > 0 && st == CLV_OK;) {
        set_size(&opts, job->form, job->sizes[i]);
        st = trace(&points[i], job, &opts, arena, context, err);
        if (job->form->nested)
            opts.start = points[i].fit.start;
        opts.max_iterations = iterations;
    }
    clvi_memo_free(&memo);
    TRY(st);
    for (size_t i = 1; i < job->n; i++)
        if (points[i].error > points[i - 1].error)
            points[i] = points[i - 1];
    return CLV_OK;
}
