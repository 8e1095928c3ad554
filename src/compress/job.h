/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of the main job share. Private to compress.c, job_options.c and job_report.c. */
#ifndef CLVI_COMPRESS_JOB_H
#define CLVI_COMPRESS_JOB_H

#include "base/work.h"
#include "cleave/compress.h"
#include "compress/candidates.h"
#include "compress/front.h"
#include "compress/journal.h"
#include "compress/latency.h"
#include "compress/plan.h"
#include "compress/recipe.h"
#include "report/report.h"

#define CLVI_JOB_MEMORY ((int64_t)3 << 30) /* default of max_memory */

typedef struct clvi_job {
    clv_compress_opts opts; /* as given, with what a recipe says put in */
    const clvi_form *form;  /* for all, or that the search is restricted to; NULL: any */
    clvi_emit emit;
    clvi_fit_opts fit;        /* what all fits have in common */
    clvi_budget budget;       /* when opts.budget is given */
    clvi_recipe_plan recipe;  /* that is replayed, or empty */
    const clvi_graph *source; /* as it was given */
    clvi_graph *original;     /* BatchNorm folded; what the targets come from */
    clvi_graph *graph;        /* the same, being rewritten */
    clvi_shapes shapes;       /* of the original at batch 1 */
    clvi_sites sites;
    clvi_calibration calibration; /* without images: only `input` and `context` are set */
    bool images;
    clvi_candidates *lists;   /* [sites] with a budget, or NULL */
    clvi_recipe_layer *layer; /* [sites] what becomes of each */
    clvi_front original_front, front;
    clvi_journal journal;
    clvi_arena *arena; /* fitted weights, and the lists above */
    clv_context *context;
    clvi_item *layers;        /* table of the report, or NULL */
    clvi_trial_chains chains; /* of networks that are timed */
    clvi_latency_figures latency;
    double work[CLVI_WORK_KINDS], flops, cpu; /* of the process when the job began */
    double survey_seconds, explore_seconds, choice_seconds, rows_seconds, fit_seconds, timing_seconds;
} clvi_job;

/* Check the options, read the recipe, fill form, fit and budget. */
clv_status clvi_job_options(clvi_job *j, clv_error *err);

/* Why a site is left alone whatever a search would say; NULL: it may be split. */
const char *clvi_job_reason_to_keep(const clvi_job *j, const clvi_site *site);
clv_status clvi_job_check_keep_list(const clvi_job *j, clv_error *err);

/* Hash of everything that decides the result. */
clv_status clvi_job_hash(uint64_t *out, const clvi_job *j, clv_error *err);

/* One row of the report; fit NULL: the site is kept. Fills the recipe's layer too. */
void clvi_job_report_layer(clvi_job *j, size_t i, const clvi_fit *fit, double seconds);

/* The recipe into the file that was asked for, the metadata of the compressed model, sizes and times into the report.
 */
clv_status clvi_job_finish(clvi_job *j, clv_report *report, const clvi_count *before, double seconds, clv_error *err);

#endif
