/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/bench_job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "measure/input_shapes.h"
#include "measure/model_facts.h"
#include "runtime/passes.h"

#define MAX_RUNS   ((size_t)10000000)
#define SHAPE_TEXT 128

/* Normal numbers in floats; zeros and ones, which are indices that always exist and masks, in the other types. */
static clv_status fill(clv_tensor *t, clvi_rng *rng, const char *name, clv_error *err)
{
    const int64_t n = clv_tensor_count(t);
    if (t->dtype != CLV_FLOAT32 && t->dtype != CLV_INT32 && t->dtype != CLV_INT64 && t->dtype != CLV_BOOL)
        return FAIL(err, CLV_ERR_UNSUP, "input \"%s\" is %s: no values can be made up for it", name,
                    clv_dtype_name(t->dtype));
    if (n < 0 || t->rank < 0)
        return FAIL(err, CLV_ERR_ARG, "input \"%s\" has no known shape: give one", name);
    t->data = clvi_calloc((size_t)n, clv_dtype_size(t->dtype));
    if (!t->data)
        return FAIL(err, CLV_ERR_NOMEM, "input \"%s\" of %lld elements", name, (long long)n);
    for (int64_t i = 0; i < n && t->dtype == CLV_FLOAT32; i++)
        ((float *)t->data)[i] = (float)clvi_rng_normal(rng);
    return CLV_OK;
}

static bool was_given(const clvi_value *v, const clv_bench_opts *opts)
{
    for (size_t k = 0; k < opts->n_shapes; k++)
        if (!opts->shapes[k].name || strcmp(opts->shapes[k].name, v->name) == 0)
            return true;
    return false;
}

static clv_status make_inputs(clvi_bench_job *job, const clv_bench_opts *opts, clv_error *err)
{
    clvi_graph *const g = job->graph;
    clvi_rng rng;
    bool *const assumed = clvi_calloc(g->n_inputs, sizeof *assumed);
    if (!assumed)
        return FAIL(err, CLV_ERR_NOMEM, "%zu inputs", g->n_inputs);
    clv_status st = clvi_input_shapes(job->inputs, assumed, g, opts->shapes, opts->n_shapes, err);
    clvi_free(assumed);
    clvi_rng_seed(&rng, 1);
    for (size_t i = 0; i < g->n_inputs && st == CLV_OK; i++) {
        const clvi_value *const v = &g->values[g->inputs[i]];
        job->inputs[i].data = NULL;
        if (v->rank > 0 && v->dims[0] < 0 && !was_given(v, opts))
            job->inputs[i].dims[0] = opts->batch;
        st = fill(&job->inputs[i], &rng, v->name, err);
    }
    return st;
}

clv_status clvi_bench_job_start(clvi_bench_job *job, bool profile, clv_error *err)
{
    const clvi_session_opts opts = {.profile = profile};
    const double start = clvi_now();
    clvi_session_free(job->session);
    job->session = NULL;
    TRY(clvi_session_create(&job->session, job->graph, &opts, job->context, err));
    TRY(clvi_session_run(job->session, job->inputs, job->graph->n_inputs, job->outputs, err));
    job->first_seconds = clvi_now() - start;
    return CLV_OK;
}

clv_status clvi_bench_job_create(clvi_bench_job *job, const clvi_graph *graph, const clv_bench_opts *opts,
                                 clv_context *context, clv_error *err)
{
    *job = (clvi_bench_job){.context = context};
    if (opts->batch < 1 || opts->runs < 1 || !(opts->seconds >= 0 && opts->seconds <= 3600))
        return FAIL(err, CLV_ERR_ARG, "batch %lld, %lld runs, %g seconds: at least 1, 1 and 0 are possible",
                    (long long)opts->batch, (long long)opts->runs, opts->seconds);
    TRY(clvi_graph_clone(&job->graph, graph, err));
    TRY(clvi_pass_fold_constants(job->graph, err));
    TRY(clvi_pass_fold_batchnorm(job->graph, err));
    job->inputs = clvi_calloc(job->graph->n_inputs, sizeof *job->inputs);
    job->outputs = clvi_calloc(job->graph->n_outputs, sizeof *job->outputs);
    if (!job->inputs || !job->outputs)
        return FAIL(err, CLV_ERR_NOMEM, "%zu inputs", job->graph->n_inputs);
    TRY(make_inputs(job, opts, err));
    return clvi_bench_job_start(job, false, err);
}

void clvi_bench_job_free(clvi_bench_job *job)
{
    clvi_session_free(job->session);
    for (size_t i = 0; job->inputs && i < job->graph->n_inputs; i++)
        clvi_free(job->inputs[i].data);
    clvi_free(job->inputs);
    clvi_free(job->outputs);
    clvi_graph_free(job->graph);
    *job = (clvi_bench_job){0};
}

clv_status clvi_bench_job_time(clvi_bench_job *job, int64_t runs, double seconds, clvi_times *times, clv_error *err)
{
    double sum = 0;
    for (int64_t i = 0; i < runs || sum < seconds; i++) {
        TRY(clvi_check_cancel(job->context, err));
        const double start = clvi_now();
        TRY(clvi_session_run(job->session, job->inputs, job->graph->n_inputs, job->outputs, err));
        const double took = clvi_now() - start;
        TRY(clvi_times_add(times, took, err));
        sum += took;
    }
    return CLV_OK;
}

clv_status clvi_bench_job_report(const clvi_bench_job *job, clvi_count *count, clvi_item *item, clv_error *err)
{
    char text[SHAPE_TEXT];
    clvi_str all = {0};
    TRY(clvi_count_graph(count, job->graph, job->inputs, job->graph->n_inputs, err));
    for (size_t i = 0; i < job->graph->n_inputs; i++) {
        clvi_shape_text(text, sizeof text, job->inputs[i].rank, job->inputs[i].dims, NULL);
        clvi_str_printf(&all, "%s%s %s", i ? ", " : "", job->graph->values[job->graph->inputs[i]].name, text);
    }
    clvi_report_text(item, "inputs", all.text ? all.text : "");
    clvi_str_free(&all);
    clvi_report_count(item, count);
    return CLV_OK;
}

/* --- times ----------------------------------------------------------------------------------------------------- */

clv_status clvi_times_add(clvi_times *times, double seconds, clv_error *err)
{
    if (times->n == times->capacity) {
        const size_t more = times->capacity ? 2 * times->capacity : 1024;
        double *const grown =
            more <= MAX_RUNS ? clvi_grow(times->seconds, times->n * sizeof *grown, more * sizeof *grown) : NULL;
        if (!grown)
            return FAIL(err, CLV_ERR_NOMEM, "times of %zu runs", more);
        times->seconds = grown;
        times->capacity = more;
    }
    times->seconds[times->n++] = seconds;
    return CLV_OK;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void clvi_times_sort(clvi_times *times)
{
    if (times->n > 1)
        qsort(times->seconds, times->n, sizeof *times->seconds, ascending);
}

double clvi_times_percentile(const clvi_times *times, double percent)
{
    const double rank = ceil(percent / 100 * (double)times->n);
    const size_t at = rank < 1 ? 0 : (size_t)rank - 1;
    return times->seconds[at < times->n ? at : times->n - 1];
}

void clvi_times_free(clvi_times *times)
{
    clvi_free(times->seconds);
    *times = (clvi_times){0};
}
