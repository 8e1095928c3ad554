/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/diff.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "measure/compare.h"
#include "measure/feed.h"
#include "measure/floats.h"
#include "measure/preprocess.h"
#include "runtime/session.h"

#define BATCH 8 /* small: every inner tensor is alive at once */

/* A tensor that both networks compute. */
typedef struct pair {
    int32_t a, b;       /* value ids */
    const char *op;     /* that makes it in a */
    clvi_compare error; /* of b against a */
    bool shapes_differ;
} pair;

typedef struct difference {
    const clvi_diff_job *job;
    pair *pairs; /* inner tensors in the order of a, then the outputs by position */
    size_t n, n_inner;
    int32_t *fetch[2];
    clvi_session *session[2];
    clv_tensor *values[2]; /* [n] */
    clvi_floats room[2];
    int64_t items, bad;
} difference;

clv_diff_opts clv_diff_opts_default(void)
{
    return (clv_diff_opts){.limit = 16, .tolerance = 1e-4};
}

/* A computed value and its name, for looking names up. */
typedef struct named {
    const char *name;
    int32_t id;
} named;

static int by_name(const void *x, const void *y)
{
    return strcmp(((const named *)x)->name, ((const named *)y)->name);
}

/* The values that nodes of the graph compute, sorted by name. */
static named *list_computed(const clvi_graph *graph, size_t *n)
{
    named *list = clvi_alloc_array(graph->n_values, sizeof *list);
    *n = 0;
    for (size_t i = 0; list && i < graph->n_nodes; i++)
        for (size_t j = 0; j < graph->nodes[i]->n_out; j++) {
            const int32_t id = graph->nodes[i]->out[j];
            if (id != CLVI_NONE && graph->values[id].name[0] && *n < graph->n_values)
                list[(*n)++] = (named){graph->values[id].name, id};
        }
    if (list)
        qsort(list, *n, sizeof *list, by_name);
    return list;
}

static clv_status match_tensors(difference *d, clv_error *err)
{
    const clvi_graph *a = d->job->a, *b = d->job->b;
    size_t n_names;
    named *names = list_computed(b, &n_names);
    d->pairs = clvi_calloc(a->n_values + a->n_outputs, sizeof *d->pairs);
    if (!names || !d->pairs) {
        clvi_free(names);
        return FAIL(err, CLV_ERR_NOMEM, "%zu tensors", a->n_values);
    }
    for (size_t i = 0; i < a->n_nodes; i++)
        for (size_t j = 0; j < a->nodes[i]->n_out; j++) {
            const int32_t id = a->nodes[i]->out[j];
            if (id == CLVI_NONE || a->values[id].is_output || d->n >= a->n_values)
                continue;
            const named key = {a->values[id].name, id};
            const named *found = bsearch(&key, names, n_names, sizeof *names, by_name);
            if (found && !b->values[found->id].is_output)
                d->pairs[d->n++] = (pair){.a = id, .b = found->id, .op = a->nodes[i]->op_type};
        }
    d->n_inner = d->n;
    for (size_t j = 0; j < a->n_outputs; j++)
        d->pairs[d->n++] = (pair){.a = a->outputs[j], .b = b->outputs[j], .op = "output"};
    clvi_free(names);
    return CLV_OK;
}

static clv_status start(difference *d, clv_error *err)
{
    const clvi_graph *const graphs[2] = {d->job->a, d->job->b};
    for (int k = 0; k < 2; k++) {
        d->fetch[k] = clvi_alloc_array(d->n, sizeof *d->fetch[k]);
        d->values[k] = clvi_calloc(d->n, sizeof *d->values[k]);
        if (!d->fetch[k] || !d->values[k])
            return FAIL(err, CLV_ERR_NOMEM, "%zu tensors", d->n);
        for (size_t i = 0; i < d->n; i++)
            d->fetch[k][i] = k ? d->pairs[i].b : d->pairs[i].a;
        const clvi_session_opts opts = {.fetch = d->fetch[k], .n_fetch = d->n};
        TRY(clvi_session_create(&d->session[k], graphs[k], &opts, d->job->context, err));
    }
    return CLV_OK;
}

static bool same_shape(const clv_tensor *a, const clv_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* One run of both; good[i] false: row i is to be left out. good may be NULL: all are good. */
static clv_status run_both(difference *d, const clv_tensor *inputs, size_t n_inputs, const clvi_feed *feed,
                           clv_error *err)
{
    for (int k = 0; k < 2; k++)
        TRY(clvi_session_run(d->session[k], inputs, n_inputs, d->values[k], err));
    for (size_t i = 0; i < d->n; i++) {
        const clv_tensor *a = &d->values[0][i], *b = &d->values[1][i];
        const float *x, *y;
        size_t n;
        if (!same_shape(a, b) || a->dtype == CLV_STRING) {
            d->pairs[i].shapes_differ = true;
            continue;
        }
        TRY(clvi_floats_of(&x, &n, &d->room[0], a, err));
        TRY(clvi_floats_of(&y, &n, &d->room[1], b, err));
        const bool by_row = feed && a->rank > 0 && a->dims[0] == feed->input.dims[0];
        const size_t row = by_row ? n / (size_t)a->dims[0] : n;
        for (int64_t r = 0; r < (by_row ? feed->rows : 1); r++)
            if (!feed || !feed->bad[r])
                clvi_compare_add(&d->pairs[i].error, x + (size_t)r * row, y + (size_t)r * row, row);
    }
    return CLV_OK;
}

/* Given, or stored in either model: the one that was compressed knows. */
static clv_status find_preprocess(clv_preprocess *out, const clvi_diff_job *job, clv_error *err)
{
    clv_error ignored;
    if (clvi_preprocess_resolve(out, job->a, job->opts->preprocess, &ignored) == CLV_OK)
        return CLV_OK;
    return clvi_preprocess_resolve(out, job->b, NULL, err);
}

static clv_status run_images(difference *d, clv_error *err)
{
    const clv_diff_opts *o = d->job->opts;
    clv_preprocess p;
    clvi_feed feed;
    const bool tensors = clv_dataset_is_tensor(o->dataset);
    if (!tensors)
        TRY(find_preprocess(&p, d->job, err));
    TRY(clvi_feed_create(&feed, d->job->a, o->dataset, tensors ? NULL : &p,
                         (clvi_feed_opts){.batch = BATCH, .limit = o->limit}, d->job->context, err));
    clv_status st;
    for (bool more;;) {
        if ((st = clvi_feed_next(&feed, &more, err)) != CLV_OK || !more)
            break;
        if ((st = run_both(d, &feed.input, 1, &feed, err)) != CLV_OK)
            break;
        for (int64_t i = 0; i < feed.rows; i++)
            d->bad += feed.bad[i];
        d->items += feed.rows;
        clvi_progress(d->job->context, "comparing", d->items, feed.used);
    }
    clvi_feed_free(&feed);
    if (st == CLV_OK && d->bad == d->items)
        st = FAIL(err, CLV_ERR_DATA, "all %" PRId64 " images are corrupt", d->bad);
    return st;
}

static double error_of(const pair *p)
{
    return p->shapes_differ ? (double)INFINITY : clvi_compare_error(&p->error);
}

static void report_pair(clvi_item *row, const difference *d, const pair *p)
{
    const clvi_graph *a = d->job->a, *b = d->job->b;
    clvi_report_text(row, "tensor", a->values[p->a].name);
    if (strcmp(a->values[p->a].name, b->values[p->b].name) != 0)
        clvi_report_text(row, "in_b", b->values[p->b].name);
    clvi_report_text(row, "made_by", p->op);
    clvi_report_real(row, "relative_error", error_of(p), 6);
    clvi_report_real(row, "max_difference", p->error.max_diff, 6);
    clvi_report_real(row, "rms", sqrt(p->error.base_square / fmax(1, p->error.count)), 4);
    if (p->shapes_differ)
        clvi_report_text(row, "note", "the shapes differ");
    else if (p->error.not_finite)
        clvi_report_text(row, "note", "holds a NaN or Inf");
}

static clv_status report_all(const difference *d, clv_error *err)
{
    clvi_item *root = d->job->report;
    const double tolerance = d->job->opts->tolerance;
    const pair *first = NULL, *worst = NULL;
    for (size_t i = 0; i < d->n; i++) {
        const pair *p = &d->pairs[i];
        if (!first && error_of(p) > tolerance)
            first = p;
        if (i >= d->n_inner && (!worst || error_of(p) > error_of(worst)))
            worst = p;
    }
    clvi_report_int(root, d->job->opts->dataset ? "images" : "runs", d->items - d->bad);
    clvi_report_real(root, "tolerance", tolerance, 8);
    clvi_report_int(root, "tensors_compared", (int64_t)d->n);
    clvi_report_text(root, "first_departure", first ? d->job->a->values[first->a].name : "none");
    if (worst)
        clvi_report_real(root, "worst_output_error", error_of(worst), 6);
    clvi_item *tensors = clvi_report_table(root, "tensors"), *outputs = clvi_report_table(root, "outputs");
    for (size_t i = 0; i < d->n; i++)
        report_pair(clvi_report_row(i < d->n_inner ? tensors : outputs), d, &d->pairs[i]);
    if (worst && error_of(worst) > tolerance)
        return FAIL(err, CLV_ERR_VERIFY,
                    "output \"%s\" differs by %.3g relative, more than %.3g; the first tensor to depart is \"%s\"",
                    d->job->a->values[worst->a].name, error_of(worst), tolerance, d->job->a->values[first->a].name);
    return CLV_OK;
}

static clv_status check(const clvi_diff_job *job, clv_error *err)
{
    const clvi_graph *a = job->a, *b = job->b;
    if (a->n_inputs != b->n_inputs || a->n_outputs != b->n_outputs)
        return FAIL(err, CLV_ERR_ARG,
                    "the models have %zu and %zu inputs, %zu and %zu outputs: they cannot be compared", a->n_inputs,
                    b->n_inputs, a->n_outputs, b->n_outputs);
    if (!job->opts->dataset && (!job->opts->inputs || job->opts->n_inputs != a->n_inputs))
        return FAIL(err, CLV_ERR_ARG, "%zu input tensors are given, the models take %zu", job->opts->n_inputs,
                    a->n_inputs);
    if (!(job->opts->tolerance >= 0))
        return FAIL(err, CLV_ERR_ARG, "tolerance %g is negative", job->opts->tolerance);
    return CLV_OK;
}

clv_status clvi_diff(const clvi_diff_job *job, clv_error *err)
{
    difference d = {.job = job};
    TRY(check(job, err));
    clv_status st = match_tensors(&d, err);
    if (st == CLV_OK)
        st = start(&d, err);
    if (st == CLV_OK && job->opts->dataset) {
        st = run_images(&d, err);
    } else if (st == CLV_OK) {
        st = run_both(&d, job->opts->inputs, job->opts->n_inputs, NULL, err);
        d.items = 1;
    }
    if (st == CLV_OK)
        st = report_all(&d, err);
    for (int k = 0; k < 2; k++) {
        clvi_session_free(d.session[k]);
        clvi_free(d.fetch[k]);
        clvi_free(d.values[k]);
        clvi_floats_free(&d.room[k]);
    }
    clvi_free(d.pairs);
    return st;
}
