/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/probe.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define LEAST_IMAGES 32 /* with 8 a detector lost a fifth of what it finds, with 40 nothing more than before */
#define MOST_IMAGES  64
#define LEAST_HARM   1e-9 /* below is rounding */

/* One output: what the original makes of the images. */
typedef struct reference {
    float *row; /* [images, count] */
    size_t count;
    double spread; /* sum of (original - mean over images)^2; 0: this output is not looked at */
    double changed;
} reference;

typedef struct task {
    const clvi_graph *original;
    clvi_calibration few;
    clvi_front front;
    reference *output; /* [n] */
    size_t n;
} task;

/* Some images of the set, evenly spread. Half of all probes' work is one pass over all images, at most. */
static clv_status choose_images(clvi_calibration *few, const clvi_calibration *all, size_t probes, clv_error *err)
{
    const int64_t here = all->end - all->first;
    int64_t n = here * 2 / (int64_t)(probes + 1);
    n = n < LEAST_IMAGES ? LEAST_IMAGES : n > MOST_IMAGES ? MOST_IMAGES : n;
    n = n > here ? here : n;
    *few = *all;
    few->pixels = NULL;
    few->offset = all->first;
    few->spread = here;
    few->first = 0;
    few->end = few->images = n;
    few->bad = clvi_calloc((size_t)n, sizeof *few->bad);
    return few->bad ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%lld images", (long long)n);
}

/* --- outputs -------------------------------------------------------------------------------------------------------
 */

static bool comparable(const clv_tensor *value, int64_t n)
{
    return value->dtype == CLV_FLOAT32 && value->rank > 0 && value->dims[0] >= n && clv_tensor_count(value) > 0;
}

static clv_status take_reference(void *user, int64_t first, int64_t n, const clv_tensor *values, clv_error *err)
{
    task *t = user;
    for (size_t k = 0; k < t->n; k++) {
        reference *r = &t->output[k];
        if (!comparable(&values[k], n))
            continue;
        const size_t count = (size_t)(clv_tensor_count(&values[k]) / values[k].dims[0]);
        if (!r->row) {
            r->count = count;
            r->row = clvi_alloc_array((size_t)t->few.images, count * sizeof *r->row);
        }
        if (!r->row)
            return FAIL(err, CLV_ERR_NOMEM, "outputs of %lld images", (long long)t->few.images);
        if (r->count == count)
            memcpy(r->row + (size_t)first * count, values[k].data, (size_t)n * count * sizeof *r->row);
    }
    return CLV_OK;
}

static void measure_spread(reference *r, const bool *bad, int64_t images)
{
    for (size_t j = 0; r->row && j < r->count; j++) {
        double sum = 0, square = 0, n = 0;
        for (int64_t i = 0; i < images; i++)
            if (!bad[i]) {
                const double v = (double)r->row[(size_t)i * r->count + j];
                sum += v;
                square += v * v;
                n += 1;
            }
        r->spread += n > 0 ? square - sum * sum / n : 0;
    }
    if (!(r->spread > 0) || !isfinite(r->spread))
        r->spread = 0;
}

static clv_status take_changed(void *user, int64_t first, int64_t n, const clv_tensor *values, clv_error *err)
{
    task *t = user;
    (void)err;
    for (size_t k = 0; k < t->n; k++) {
        reference *r = &t->output[k];
        if (r->spread == 0 || !comparable(&values[k], n))
            continue;
        for (int64_t i = 0; i < n; i++) {
            const float *a = r->row + (size_t)(first + i) * r->count;
            const float *b = (const float *)values[k].data + (size_t)i * r->count;
            for (size_t j = 0; !t->few.bad[first + i] && j < r->count; j++) {
                const double d = (double)b[j] - (double)a[j];
                r->changed += d * d;
            }
        }
    }
    return CLV_OK;
}

/* --- one probe -----------------------------------------------------------------------------------------------------
 */

static clv_status visit_outputs(task *t, const clvi_graph *graph, clvi_visitor visitor, clv_error *err)
{
    const clvi_visit v = {
        .fetch = graph->outputs, .n_fetch = graph->n_outputs, .visitor = visitor, .user = t, .at = SIZE_MAX};
    return clvi_front_visit(&t->front, graph, &v, err);
}

static clv_status advance(task *t, const clvi_site *site, clv_error *err)
{
    const clvi_visit v = {.wanted = t->original->outputs,
                          .n_wanted = t->original->n_outputs,
                          .at = (size_t)clvi_site_node(t->original, site)};
    return clvi_front_visit(&t->front, t->original, &v, err);
}

static clv_status measure(clvi_probe *p, task *t, const clvi_site *site, clv_error *err)
{
    clvi_graph *changed;
    double harm = 0, n = 0;
    TRY(clvi_graph_clone(&changed, t->original, err));
    for (size_t k = 0; k < t->n; k++)
        t->output[k].changed = 0;
    clv_status st = clvi_site_rewrite(changed, site, &p->chain, err);
    if (st == CLV_OK)
        st = visit_outputs(t, changed, take_changed, err);
    for (size_t k = 0; k < t->n; k++)
        if (t->output[k].spread > 0) {
            harm += t->output[k].changed / t->output[k].spread;
            n += 1;
        }
    p->harm = n > 0 ? harm / n : (double)NAN;
    clvi_graph_free(changed);
    return st;
}

/* --- laws ----------------------------------------------------------------------------------------------------------
 */

/* Through one point with the usual power, or through two. */
static void set_law(clvi_candidates *list, const clvi_probe *const point[2], size_t n)
{
    static const double usual = 1.4, most = 2, least = 1;
    if (n == 0 || !(point[0]->error > 0) || isnan(point[0]->harm))
        return;
    const double harm = fmax(point[0]->harm, LEAST_HARM);
    double power = usual;
    if (n == 2 && point[1]->error > 0 && point[1]->error != point[0]->error)
        power = log(fmax(point[1]->harm, LEAST_HARM) / harm) / log(point[1]->error / point[0]->error);
    list->power = power < least ? least : power > most ? most : power;
    list->scale = harm / pow(point[0]->error, list->power);
}

static void set_harms(clvi_candidates *lists, const clvi_probe *probes, size_t n)
{
    for (size_t i = 0; i < n;) {
        const clvi_probe *point[2];
        const size_t site = probes[i].site;
        size_t points = 0;
        for (; i < n && probes[i].site == site; i++) {
            if (probes[i].item != SIZE_MAX)
                lists[site].item[probes[i].item].harm = fmax(probes[i].harm, LEAST_HARM);
            else if (points < 2)
                point[points++] = &probes[i];
        }
        set_law(&lists[site], point, points);
    }
}

clv_status clvi_probe_run(clvi_probe *probes, size_t n, clvi_candidates *lists, const clvi_graph *original,
                          const clvi_sites *sites, clvi_calibration *calibration, clv_error *err)
{
    task t = {.original = original, .n = original->n_outputs};
    clv_error reason = {0};
    clv_status st = choose_images(&t.few, calibration, n, err);
    t.output = clvi_calloc(t.n, sizeof *t.output);
    if (st == CLV_OK && !t.output)
        st = FAIL(err, CLV_ERR_NOMEM, "%zu outputs", t.n);
    if (st == CLV_OK)
        st = clvi_front_create(&t.front, original, &t.few, err);
    if (st == CLV_OK)
        st = visit_outputs(&t, original, take_reference, &reason);
    if (st == CLV_ERR_UNSUP) { /* the outputs cannot be looked at: errors are weighed by rule */
        clvi_log(calibration->context, CLV_LOG_INFO, "harm to the outputs is not measured: %s", reason.msg);
        st = CLV_OK;
        n = 0;
    } else if (st != CLV_OK && err) {
        *err = reason;
    }
    for (size_t k = 0; st == CLV_OK && k < t.n; k++)
        measure_spread(&t.output[k], t.few.bad, t.few.images);
    for (size_t i = 0; st == CLV_OK && i < n; i++) {
        const clvi_site *site = &sites->site[probes[i].site];
        clvi_progress(calibration->context, "harm of an error in each layer", (int64_t)i, (int64_t)n);
        if (i == 0 || probes[i].site != probes[i - 1].site)
            st = advance(&t, site, err);
        if (st == CLV_OK)
            st = measure(&probes[i], &t, site, err);
    }
    if (n > 0)
        clvi_progress(calibration->context, "harm of an error in each layer", (int64_t)n, (int64_t)n);
    if (st == CLV_OK)
        set_harms(lists, probes, n);
    calibration->inference = t.few.inference; /* it began with that */
    clvi_front_free(&t.front);
    for (size_t k = 0; t.output && k < t.n; k++)
        clvi_free(t.output[k].row);
    clvi_free(t.output);
    clvi_free(t.few.bad);
    return st;
}
