/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/evaluate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "measure/baseline.h"
#include "measure/compare.h"
#include "measure/feed.h"
#include "measure/floats.h"
#include "measure/model_facts.h"
#include "measure/preprocess.h"
#include "measure/score.h"
#include "runtime/session.h"

/* One network at work. */
typedef struct player {
    const clvi_graph *graph;
    clvi_session *session;
    clv_tensor *outputs;
    clvi_floats room; /* one output as floats */
    int64_t classes;
    clvi_score score;
    int64_t *choice; /* [batch] class of each row, -1: none */
    double seconds;
    clvi_count size; /* at the first image */
} player;

typedef struct evaluation {
    const clvi_evaluate_job *job;
    player player[2]; /* the model, and the one it is compared with */
    size_t players;
    clvi_feed feed;
    clvi_compare *stats; /* [outputs of the model] */
    int64_t images, bad;
    int64_t both, same; /* images with a choice from both; where it is the same */
    int64_t won, lost;  /* labelled images that only the model, only the other names rightly */
    int64_t first_chw[3];
} evaluation;

clv_evaluate_opts clv_evaluate_opts_default(void)
{
    return (clv_evaluate_opts){.batch = 64};
}

static clv_status start_player(player *p, const clvi_graph *graph, int64_t batch, clv_context *context, clv_error *err)
{
    p->graph = graph;
    p->outputs = clvi_calloc(graph->n_outputs, sizeof *p->outputs);
    p->choice = clvi_calloc((size_t)batch, sizeof *p->choice);
    if (!p->outputs || !p->choice)
        return FAIL(err, CLV_ERR_NOMEM, "%zu outputs", graph->n_outputs);
    return clvi_session_create(&p->session, graph, NULL, context, err);
}

static void stop_player(player *p)
{
    clvi_session_free(p->session);
    clvi_free(p->outputs);
    clvi_free(p->choice);
    clvi_floats_free(&p->room);
}

/* Size of the network on the first batch, for one image. */
static clv_status count_player(player *p, const clv_tensor *input, clv_error *err)
{
    TRY(clvi_count_graph(&p->size, p->graph, input, 1, err));
    p->size.macs /= input->dims[0];
    return CLV_OK;
}

static clv_status check_labels(const player *p, const clv_dataset *dataset, clv_error *err)
{
    const int64_t labels = clv_dataset_classes(dataset);
    if (p->classes > 0 && labels > p->classes)
        return FAIL(err, CLV_ERR_DATA, "labels reach %" PRId64 ", but the model has %" PRId64 " classes, 0 to %" PRId64,
                    labels - 1, p->classes, p->classes - 1);
    return CLV_OK;
}

static clv_status run_player(player *p, const evaluation *e, clv_error *err)
{
    const clvi_feed *feed = &e->feed;
    const double start = clvi_now();
    TRY(clvi_session_run(p->session, &feed->input, 1, p->outputs, err));
    p->seconds += clvi_now() - start;
    if (p->graph->n_outputs == 0)
        return CLV_OK;
    const float *x;
    size_t n;
    TRY(clvi_floats_of(&x, &n, &p->room, &p->outputs[0], err));
    p->classes = clvi_score_classes(&p->outputs[0], feed->input.dims[0]);
    TRY(check_labels(p, feed->dataset, err));
    for (int64_t i = 0; i < feed->rows; i++) {
        p->choice[i] = -1;
        if (p->classes > 0 && !feed->bad[i])
            p->choice[i] = clvi_score_add(&p->score, x + i * p->classes, p->classes,
                                          clv_dataset_label(feed->dataset, feed->index[i]));
    }
    return CLV_OK;
}

static bool same_shape(const clv_tensor *a, const clv_tensor *b)
{
    bool same = a->rank == b->rank;
    for (int d = 0; same && d < a->rank; d++)
        same = a->dims[d] == b->dims[d];
    return same;
}

/* Statistics of output j, of the rows that hold good images. An output without a row for each image is taken whole. */
static clv_status add_output(evaluation *e, size_t j, clv_error *err)
{
    player *p = &e->player[0], *q = e->players > 1 ? &e->player[1] : NULL;
    const clv_tensor *t = &p->outputs[j];
    const float *b, *a = NULL;
    size_t n, m;
    TRY(clvi_floats_of(&b, &n, &p->room, t, err));
    if (q && j < q->graph->n_outputs && same_shape(t, &q->outputs[j]))
        TRY(clvi_floats_of(&a, &m, &q->room, &q->outputs[j], err));
    const bool by_row = t->rank > 0 && t->dims[0] == e->feed.input.dims[0];
    const size_t row = by_row ? n / (size_t)t->dims[0] : n;
    for (int64_t i = 0; i < (by_row ? e->feed.rows : 1); i++)
        if (!e->feed.bad[i])
            clvi_compare_add(&e->stats[j], a ? a + (size_t)i * row : NULL, b + (size_t)i * row, row);
    return CLV_OK;
}

static void compare_choices(evaluation *e)
{
    for (int64_t i = 0; i < e->feed.rows; i++) {
        const int64_t a = e->player[0].choice[i], b = e->player[1].choice[i];
        const int64_t label = clv_dataset_label(e->feed.dataset, e->feed.index[i]);
        if (a < 0 || b < 0)
            continue;
        e->both++;
        e->same += a == b;
        e->won += label >= 0 && a == label && b != label;
        e->lost += label >= 0 && a != label && b == label;
    }
}

static clv_status run_batches(evaluation *e, clv_error *err)
{
    const int64_t total = clv_dataset_count(e->feed.dataset);
    int64_t done = 0;
    for (;;) {
        bool more;
        TRY(clvi_feed_next(&e->feed, &more, err));
        if (!more)
            break;
        for (size_t i = 0; i < e->players; i++) {
            if (done == 0)
                TRY(count_player(&e->player[i], &e->feed.input, err));
            TRY(run_player(&e->player[i], e, err));
        }
        if (done == 0)
            for (int d = 0; d < 3; d++)
                e->first_chw[d] = e->feed.input.dims[d + 1];
        for (size_t j = 0; j < e->player[0].graph->n_outputs; j++)
            TRY(add_output(e, j, err));
        if (e->players > 1)
            compare_choices(e);
        for (int64_t i = 0; i < e->feed.rows; i++)
            e->bad += e->feed.bad[i];
        done += e->feed.rows;
        e->images = done - e->bad;
        clvi_progress(e->job->context, "evaluating", done, total);
    }
    return CLV_OK;
}

static void report_images(const evaluation *e, const clv_preprocess *preprocess)
{
    clvi_item *item = clvi_report_object(e->job->report, "images");
    char text[512];
    clvi_report_int(item, "count", e->images);
    clvi_report_int(item, "corrupt", e->bad);
    (void)snprintf(text, sizeof text, "%" PRId64 "x%" PRId64 "x%" PRId64 "%s", e->first_chw[0], e->first_chw[1],
                   e->first_chw[2], e->feed.varying ? " (the first one)" : "");
    clvi_report_text(item, "size", text);
    if (preprocess && clv_preprocess_format(preprocess, text, sizeof text, NULL) == CLV_OK)
        clvi_report_text(item, "preprocess", text);
    clvi_report_int(item, "batch", e->feed.batch);
    clvi_report_int(item, "threads", clv_context_threads(e->job->context));
    clvi_report_text(item, "isa", clv_context_isa(e->job->context));
    clvi_report_real(item, "images_per_second", (double)(e->images + e->bad) / e->player[0].seconds, 1);
}

static void report_score(const player *p, clvi_item *item)
{
    const clvi_score *s = &p->score;
    if (p->classes == 0)
        return;
    const double n = (double)(s->rows - s->non_finite), mean = s->confidence / n;
    clvi_report_int(item, "classes", p->classes);
    clvi_report_int(item, "labelled", s->labelled);
    if (s->labelled > 0) {
        clvi_report_real(item, "top1", clvi_percent(s->top1, s->labelled), 2);
        clvi_report_real(item, "top1_standard_error", clvi_percent_error(s->top1, s->labelled), 2);
        if (p->classes > 5) {
            clvi_report_real(item, "top5", clvi_percent(s->top5, s->labelled), 2);
            clvi_report_real(item, "top5_standard_error", clvi_percent_error(s->top5, s->labelled), 2);
        }
    }
    clvi_report_real(item, "confidence", 100 * mean, 2);
    clvi_report_real(item, "confidence_standard_error", 100 * sqrt(fmax(0, s->square / n - mean * mean) / n), 2);
    if (s->non_finite)
        clvi_report_int(item, "images_with_nan_or_inf", s->non_finite);
}

/* The change in accuracy on the same images has a smaller error than either accuracy: only images where the two differ
 * count. With w won and l lost of n, variance n^-2 (w + l - (w - l)^2 / n). */
static void report_agreement(const evaluation *e)
{
    const player *a = &e->player[0], *b = &e->player[1];
    clvi_item *item = clvi_report_object(e->job->report, "agreement");
    clvi_report_real(item, "same_class", clvi_percent(e->same, e->both), 2);
    clvi_report_real(item, "same_class_standard_error", clvi_percent_error(e->same, e->both), 2);
    const double n = (double)a->score.labelled, change = (double)(e->won - e->lost);
    if (a->score.labelled > 0 && b->score.labelled > 0) {
        clvi_report_real(item, "top1_change", 100 * change / n, 2);
        clvi_report_real(item, "top1_change_standard_error",
                         100 * sqrt(fmax(0, (double)(e->won + e->lost) - change * change / n)) / n, 2);
    }
}

static void report_outputs(const evaluation *e)
{
    clvi_item *table = clvi_report_table(e->job->report, "outputs");
    const clvi_graph *graph = e->player[0].graph;
    for (size_t j = 0; j < graph->n_outputs; j++) {
        const clvi_compare *c = &e->stats[j];
        clvi_item *row = clvi_report_row(table);
        clvi_report_text(row, "output", graph->values[graph->outputs[j]].name);
        clvi_report_real(row, "mean", clvi_compare_mean(c), 4);
        clvi_report_real(row, "std", clvi_compare_std(c), 4);
        clvi_report_real(row, "min", c->low, 4);
        clvi_report_real(row, "max", c->high, 4);
        if (c->not_finite)
            clvi_report_bool(row, "nan_or_inf", true);
        if (e->players > 1) {
            clvi_report_real(row, "relative_error", clvi_compare_error(c), 6);
            clvi_report_real(row, "max_difference", c->compared ? c->max_diff : (double)NAN, 6);
        }
    }
}

/* What a compressed model was made from. */
static void report_original(clvi_item *root, const clvi_graph *graph)
{
    const char *text = clvi_graph_metadata(graph, CLVI_ORIGINAL_KEY);
    clvi_count before;
    if (text && clvi_count_parse(&before, text))
        clvi_report_count(clvi_report_object(root, "before_compression"), &before);
}

static void report_all(const evaluation *e, const clv_preprocess *preprocess)
{
    clvi_item *root = e->job->report;
    clvi_report_count(clvi_report_object(root, "model"), &e->player[0].size);
    report_original(root, e->player[0].graph);
    report_images(e, preprocess);
    if (e->player[0].classes > 0)
        report_score(&e->player[0], clvi_report_object(root, "accuracy"));
    if (e->players > 1) {
        const player *other = &e->player[1];
        clvi_item *item = clvi_report_object(root, "against");
        clvi_report_count(item, &other->size);
        report_score(other, item);
        clvi_report_real(item, "images_per_second", (double)(e->images + e->bad) / other->seconds, 1);
        if (e->both > 0)
            report_agreement(e);
    }
    report_outputs(e);
}

/* What the first images say is kept for machines: the accuracy on all of them follows. */
static clv_status check_baseline(const clvi_evaluate_job *job, const clv_preprocess *preprocess, clv_error *err)
{
    clvi_item *item = clvi_report_object(job->report, "baseline");
    clvi_report_hide(item);
    return clvi_baseline_check(job->graph, job->dataset, preprocess, job->context, item, err);
}

clv_status clvi_evaluate(const clvi_evaluate_job *job, clv_error *err)
{
    evaluation e = {.job = job, .players = job->against ? 2 : 1};
    clv_preprocess preprocess;
    const bool tensors = clv_dataset_is_tensor(job->dataset);
    const clv_preprocess *p = tensors ? NULL : &preprocess;
    if (!tensors)
        TRY(clvi_preprocess_resolve(&preprocess, job->graph, job->opts->preprocess, err));
    if (p && !job->opts->no_check)
        TRY(check_baseline(job, p, err));
    TRY(clvi_feed_create(&e.feed, job->graph, job->dataset, p, (clvi_feed_opts){.batch = job->opts->batch},
                         job->context, err));
    clv_status st = CLV_OK;
    e.stats = clvi_calloc(job->graph->n_outputs, sizeof *e.stats);
    if (!e.stats)
        st = FAIL(err, CLV_ERR_NOMEM, "%zu outputs", job->graph->n_outputs);
    for (size_t i = 0; st == CLV_OK && i < e.players; i++)
        st = start_player(&e.player[i], i ? job->against : job->graph, e.feed.batch, job->context, err);
    if (st == CLV_OK)
        st = run_batches(&e, err);
    if (st == CLV_OK)
        report_all(&e, p);
    for (size_t i = 0; i < e.players; i++)
        stop_player(&e.player[i]);
    clvi_free(e.stats);
    clvi_feed_free(&e.feed);
    return st;
}
