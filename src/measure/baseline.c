/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/baseline.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "measure/feed.h"
#include "measure/score.h"
#include "runtime/count.h"
#include "runtime/session.h"

#define MAX_IMAGES 128
#define MIN_IMAGES 16
#define MAX_MACS   (INT64_C(30) * 1000 * 1000 * 1000) /* for one way of preprocessing: some seconds at the most */
#define MAX_WAYS   8

/* One way of preprocessing and how it did. */
typedef struct way {
    clv_preprocess preprocess;
    const char *name; /* "with BGR", "with scale 1, mean 0, std 1" */
    const char *wrong;
    clvi_score score;
    size_t seen;            /* images, corrupt ones too */
    int8_t hit[MAX_IMAGES]; /* each image: 1 named rightly, 0 wrongly, -1 without a label or corrupt */
    double entropy;         /* mean over images of the entropy of the prediction, nats */
    double spread;          /* entropy of the mean prediction, nats */
} way;

/* What the predictions say about the images: I = H(mean p) - mean H(p), nats. Confidence alone would not do, for a
 * network that is given far too large numbers is always sure; but then it sees the same class everywhere and I is
 * small. */
static double information(const way *w)
{
    return w->spread - w->entropy;
}

static double entropy(const double *p, int64_t classes)
{
    double h = 0;
    for (int64_t k = 0; k < classes; k++)
        h -= p[k] > 0 ? p[k] * log(p[k]) : 0;
    return h;
}

static bool same_scaling(const clv_preprocess *a, const clv_preprocess *b)
{
    bool same = true;
    for (int c = 0; c < 3; c++)
        same =
            same && fabsf(a->scale / a->std[c] - b->scale / b->std[c]) <= 0.2F * a->scale / a->std[c] &&
            fabsf(a->mean[c] / a->std[c] - b->mean[c] / b->std[c]) <= 0.2F * fmaxf(1.0F, fabsf(a->mean[c] / a->std[c]));
    return same;
}

/* The usual ways to scale pixels: torchvision's, plain [0, 1], [-1, 1], plain bytes. */
static size_t list_ways(way ways[MAX_WAYS], const clv_preprocess *given)
{
    static const struct {
        float scale, mean[3], std[3];
        const char *name;
    } usual[] = {
        {1.0F / 255,
         {0.485F, 0.456F, 0.406F},
         {0.229F, 0.224F, 0.225F},
         "with scale 1/255 and ImageNet's mean and std"},
        {1.0F / 255, {0, 0, 0}, {1, 1, 1}, "with scale 1/255, mean 0, std 1"},
        {1.0F / 127.5F, {1, 1, 1}, {1, 1, 1}, "with scale 1/127.5, mean 1, std 1"},
        {1.0F, {0, 0, 0}, {1, 1, 1}, "with scale 1, mean 0, std 1"},
    };
    size_t n = 0;
    memset(ways, 0, MAX_WAYS * sizeof *ways);
    ways[n].preprocess = *given;
    ways[n++].name = "as given";
    ways[n].preprocess = *given;
    ways[n].preprocess.order = given->order == CLV_RGB ? CLV_BGR : CLV_RGB;
    ways[n].wrong = "the channel order looks wrong";
    ways[n++].name = given->order == CLV_RGB ? "with BGR" : "with RGB";
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        clv_preprocess p = *given;
        p.scale = usual[i].scale;
        memcpy(p.mean, usual[i].mean, sizeof p.mean);
        memcpy(p.std, usual[i].std, sizeof p.std);
        if (same_scaling(given, &p))
            continue;
        ways[n].preprocess = p;
        ways[n].wrong = "scale, mean or std looks wrong";
        ways[n++].name = usual[i].name;
    }
    return n;
}

/* All images one way; *classes 0 when the network is no classifier. */
static clv_status try_way(way *w, clvi_session *session, const clvi_graph *graph, clvi_feed *feed, clv_tensor *outputs,
                          int64_t *classes, clv_error *err)
{
    clv_status st = CLV_OK;
    double *sum = NULL, *p = NULL;
    int64_t finite = 0;
    for (bool more;;) {
        if ((st = clvi_feed_next(feed, &more, err)) != CLV_OK || !more)
            break;
        if ((st = clvi_session_run(session, &feed->input, 1, outputs, err)) != CLV_OK)
            break;
        *classes = graph->n_outputs ? clvi_score_classes(&outputs[0], feed->input.dims[0]) : 0;
        if (*classes == 0)
            break;
        if (!sum) {
            sum = clvi_calloc((size_t)*classes, sizeof *sum);
            p = clvi_calloc((size_t)*classes, sizeof *p);
            if (!sum || !p) {
                st = FAIL(err, CLV_ERR_NOMEM, "%" PRId64 " classes", *classes);
                break;
            }
        }
        for (int64_t i = 0; i < feed->rows; i++) {
            const float *row = (const float *)outputs[0].data + i * *classes;
            const int64_t label = clv_dataset_label(feed->dataset, feed->index[i]);
            int8_t *hit = &w->hit[w->seen++];
            *hit = -1;
            if (feed->bad[i])
                continue;
            const int64_t choice = clvi_score_add(&w->score, row, *classes, label);
            *hit = (int8_t)(label < 0 ? -1 : choice == label);
            if (choice < 0)
                continue;
            clvi_score_probabilities(p, row, *classes);
            for (int64_t k = 0; k < *classes; k++)
                sum[k] += p[k];
            w->entropy += entropy(p, *classes);
            finite++;
        }
    }
    if (finite) {
        for (int64_t k = 0; k < *classes; k++)
            sum[k] /= (double)finite;
        w->spread = entropy(sum, *classes);
        w->entropy /= (double)finite;
    }
    clvi_free(sum);
    clvi_free(p);
    return st;
}

/* By how much `b` beats `a`; 0 unless it is clear.
 *
 * With labels, on the same n images: w of them only b names rightly, l only a. Change (w - l) / n, variance
 * (w + l - (w - l)^2 / n) / n^2. */
static double advantage(const way *a, const way *b)
{
    double n = 0, won = 0, lost = 0;
    for (size_t i = 0; i < a->seen && i < b->seen; i++)
        if (a->hit[i] >= 0 && b->hit[i] >= 0) {
            n++;
            won += b->hit[i] > a->hit[i];
            lost += b->hit[i] < a->hit[i];
        }
    const double change = won - lost;
    if (n >= MIN_IMAGES)
        return change > 0.04 * n && change > 2.5 * sqrt(won + lost - change * change / n) ? change / n : 0;
    if (n > 0 || b->score.rows < MIN_IMAGES)
        return 0;
    const double gain = information(b) - information(a);
    return gain > 0.2 && gain > 0.05 * information(b) ? gain : 0;
}

static double mean_confidence(const clvi_score *s)
{
    return s->rows > s->non_finite ? 100 * s->confidence / (double)(s->rows - s->non_finite) : (double)NAN;
}

static void tell(const way *given, const way *best, clv_context *context, clvi_item *report)
{
    const bool labels = given->score.labelled > 0;
    clvi_report_int(report, "images", given->score.rows);
    if (labels)
        clvi_report_real(report, "accuracy", clvi_percent(given->score.top1, given->score.labelled), 1);
    clvi_report_real(report, "confidence", mean_confidence(&given->score), 1);
    if (labels)
        clvi_log(context, CLV_LOG_INFO, "on %" PRId64 " images: accuracy %.1f %%, mean confidence %.1f %%",
                 given->score.rows, clvi_percent(given->score.top1, given->score.labelled),
                 mean_confidence(&given->score));
    else
        clvi_log(context, CLV_LOG_INFO, "on %" PRId64 " images: mean confidence %.1f %%", given->score.rows,
                 mean_confidence(&given->score));
    if (!best)
        return;
    char text[256];
    if (labels)
        (void)snprintf(text, sizeof text, "accuracy %.0f %% as given, %.0f %% %s: %s",
                       clvi_percent(given->score.top1, given->score.labelled),
                       clvi_percent(best->score.top1, best->score.labelled), best->name, best->wrong);
    else
        (void)snprintf(
            text, sizeof text,
            "predictions hold %.2f nats about the images as given, %.2f %s (mean confidence %.0f and %.0f %%): "
            "%s",
            information(given), information(best), best->name, mean_confidence(&given->score),
            mean_confidence(&best->score), best->wrong);
    clvi_report_text(report, "warning", text);
    clvi_log(context, CLV_LOG_WARNING, "%s", text);
}

/* Fewer images for a costly network. */
static clv_status choose_images(int64_t *images, const clvi_graph *graph, clv_dataset *dataset,
                                const clv_preprocess *preprocess, clv_error *err)
{
    clvi_count size;
    clvi_feed feed;
    TRY(clvi_feed_create(&feed, graph, dataset, preprocess, (clvi_feed_opts){.batch = 1}, NULL, err));
    const int64_t chw[3] = {feed.chw[0], feed.varying ? 224 : feed.chw[1], feed.varying ? 224 : feed.chw[2]};
    clvi_feed_free(&feed);
    const clv_tensor input = {CLV_FLOAT32, 4, {1, chw[0], chw[1], chw[2]}, NULL};
    TRY(clvi_count_graph(&size, graph, &input, 1, err));
    *images = size.macs > 0 ? MAX_MACS / size.macs : MAX_IMAGES;
    *images = *images > MAX_IMAGES ? MAX_IMAGES : *images < MIN_IMAGES ? MIN_IMAGES : *images;
    return CLV_OK;
}

clv_status clvi_baseline_check(const clvi_graph *graph, clv_dataset *dataset, const clv_preprocess *preprocess,
                               clv_context *context, clvi_item *report, clv_error *err)
{
    way ways[MAX_WAYS];
    int64_t images, classes = 0;
    if (clv_dataset_is_tensor(dataset) || !preprocess)
        return CLV_OK;
    TRY(choose_images(&images, graph, dataset, preprocess, err));
    const size_t n = list_ways(ways, preprocess);
    size_t best = 0;
    clvi_session *session = NULL;
    clvi_feed feed = {0};
    clv_tensor *outputs = clvi_calloc(graph->n_outputs, sizeof *outputs);
    clv_status st = outputs ? clvi_session_create(&session, graph, NULL, context, err)
                            : FAIL(err, CLV_ERR_NOMEM, "%zu outputs", graph->n_outputs);
    for (size_t i = 0; st == CLV_OK && i < n; i++) {
        clvi_progress(context, "checking the preprocessing", (int64_t)i, (int64_t)n);
        st = clvi_feed_create(&feed, graph, dataset, &ways[i].preprocess,
                              (clvi_feed_opts){.batch = 64, .limit = images}, context, err);
        if (st != CLV_OK)
            break;
        st = try_way(&ways[i], session, graph, &feed, outputs, &classes, err);
        clvi_feed_free(&feed);
        if (classes == 0)
            break;
        if (st == CLV_OK)
            clvi_log(context, CLV_LOG_DEBUG, "%s: accuracy %.1f %%, confidence %.1f %%, %.3f nats", ways[i].name,
                     clvi_percent(ways[i].score.top1, ways[i].score.labelled), mean_confidence(&ways[i].score),
                     information(&ways[i]));
        if (i > 0 && advantage(&ways[0], &ways[i]) > advantage(&ways[0], &ways[best]))
            best = i;
    }
    clvi_session_free(session);
    clvi_free(outputs);
    if (st != CLV_OK || classes == 0)
        return st;
    clvi_progress(context, "checking the preprocessing", (int64_t)n, (int64_t)n);
    tell(&ways[0], best ? &ways[best] : NULL, context, report);
    return CLV_OK;
}
