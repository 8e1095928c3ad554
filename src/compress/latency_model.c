/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/latency_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "measure/bench_job.h"
#include "measure/time_cache.h"
#include "runtime/profile.h"
#include "search/time_curve.h"

#define RUNS    8    /* of a network at least, ... */
#define SECONDS 0.04 /* ... and so long */
#define STALE   1.25 /* times from a file are not used when the machine is by now this much faster or slower */

/* A size of a form at which equal convolutions are timed. */
typedef struct wish {
    clvi_candidate candidate;
    double sum, seconds; /* NAN: not known yet */
    size_t sampled;
} wish;

/* Convolutions of the same time. */
typedef struct layer_class {
    uint64_t key;
    const clvi_site *site; /* the first of them that may change, or NULL */
    double dense;
    wish *wish; /* by form in the order of all forms, then by multiply-adds */
    size_t n;
    clvi_time_point *point; /* [n] those known */
    size_t n_points;
} layer_class;

typedef struct builder {
    const clvi_latency_task *task;
    clvi_arena *arena;
    layer_class *classes;
    size_t n_classes, *class_of; /* [sites] */
    clvi_time_cache *cache;
    double *site_seconds;          /* [sites] of the network profiled last */
    double *room;                  /* [sites] */
    const clvi_candidate **chosen; /* [sites] */
    double network;                /* median seconds of the original */
    clvi_latency_model *model;
} builder;

/* --- classes ---------------------------------------------------------------------------------------------------- */

static uint64_t class_key(const clvi_site *s)
{
    const clvi_conv *v = &s->conv;
    const int64_t numbers[] = {v->o,  v->c,  v->groups, v->kh, v->kw, v->sh, v->sw,
                               v->dh, v->dw, v->pt,     v->pl, v->pb, v->pr, v->rank};
    const int64_t context[] = {
        s->shape.n, s->shape.h, s->shape.w,      v->bias != NULL, s->sum != CLVI_NONE, (int64_t)s->activation.kind,
        v->map_h,   v->map_w,   (int64_t)s->emit};
    return clvi_hash(clvi_hash(CLVI_HASH_START, numbers, sizeof numbers), context, sizeof context);
}

static uint64_t wish_key(const layer_class *c, const clvi_candidate *w)
{
    const int64_t numbers[] = {w->size, w->uneven};
    uint64_t h = clvi_hash_text(c->key, w->form ? w->form->name : "kept");
    h = clvi_hash(h, numbers, sizeof numbers);
    return clvi_hash(h, &w->multiplier, sizeof w->multiplier);
}

static clv_status find_classes(builder *b, clv_error *err)
{
    const clvi_sites *sites = b->task->sites;
    b->class_of = clvi_arena_calloc(b->arena, sites->n, sizeof *b->class_of);
    b->classes = clvi_arena_calloc(b->arena, sites->n, sizeof *b->classes);
    b->site_seconds = clvi_arena_calloc(b->arena, sites->n, sizeof *b->site_seconds);
    b->room = clvi_arena_calloc(b->arena, sites->n, sizeof *b->room);
    b->chosen = clvi_arena_calloc(b->arena, sites->n, sizeof *b->chosen);
    if (!b->class_of || !b->classes || !b->site_seconds || !b->room || !b->chosen)
        return FAIL(err, CLV_ERR_NOMEM, "times of %zu convolutions", sites->n);
    for (size_t i = 0; i < sites->n; i++) {
        const uint64_t key = class_key(&sites->site[i]);
        size_t k = 0;
        while (k < b->n_classes && b->classes[k].key != key)
            k++;
        if (k == b->n_classes)
            b->classes[b->n_classes++] = (layer_class){.key = key};
        if (!b->classes[k].site && b->task->lists[i].n > 0)
            b->classes[k].site = &sites->site[i];
        b->class_of[i] = k;
    }
    return CLV_OK;
}

/* --- what is to be timed ---------------------------------------------------------------------------------------- */

static size_t form_place(const clvi_form *form)
{
    size_t n, i = 0;
    const clvi_form *const *all = clvi_form_all(&n);
    while (i < n && all[i] != form)
        i++;
    return i;
}

static int by_form_and_size(const void *a, const void *b)
{
    const clvi_candidate *x = &((const wish *)a)->candidate, *y = &((const wish *)b)->candidate;
    const size_t fx = form_place(x->form), fy = form_place(y->form);
    if (fx != fy)
        return fx < fy ? -1 : 1;
    if (x->macs_per_pixel != y->macs_per_pixel)
        return x->macs_per_pixel < y->macs_per_pixel ? -1 : 1;
    return x->size != y->size ? (x->size < y->size ? -1 : 1)
                              : (x->multiplier > y->multiplier) - (x->multiplier < y->multiplier);
}

/* All sizes that some convolution of the class could take. */
static void gather_wishes(const builder *b, size_t k, wish *to, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < b->task->sites->n; i++) {
        const clvi_candidates *list = &b->task->lists[i];
        for (size_t a = 0; b->class_of[i] == k && a < list->n; a++) {
            const clvi_candidate *c = &list->item[a];
            size_t at = 0;
            while (at < *n && (to[at].candidate.form != c->form || to[at].candidate.size != c->size ||
                               to[at].candidate.multiplier != c->multiplier || to[at].candidate.uneven != c->uneven))
                at++;
            if (at == *n && c->form && *n < CLVI_CANDIDATES_MAX)
                to[(*n)++] = (wish){.candidate = *c, .seconds = (double)NAN};
        }
    }
    qsort(to, *n, sizeof *to, by_form_and_size);
}

/* At most `most` sizes of each form, spread evenly, the least and the largest among them. */
static size_t thin(wish *w, size_t n, size_t most)
{
    size_t kept = 0;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first; end < n && w[end].candidate.form == w[first].candidate.form;)
            end++;
        const size_t all = end - first, some = all < most ? all : most;
        for (size_t j = 0; j < some; j++)
            w[kept++] = w[first + (some > 1 ? (j * (all - 1) + (some - 1) / 2) / (some - 1) : 0)];
    }
    return kept;
}

static clv_status list_wishes(builder *b, clv_error *err)
{
    const size_t most = b->network < 0.01 ? 10 : b->network < 0.05 ? 5 : 4;
    for (size_t k = 0; k < b->n_classes; k++) {
        layer_class *c = &b->classes[k];
        c->wish = clvi_arena_calloc(b->arena, CLVI_CANDIDATES_MAX, sizeof *c->wish);
        if (!c->wish)
            return FAIL(err, CLV_ERR_NOMEM, "times of %zu kinds of convolutions", b->n_classes);
        gather_wishes(b, k, c->wish, &c->n);
        c->n = thin(c->wish, c->n, most);
        c->point = clvi_arena_calloc(b->arena, c->n, sizeof *c->point);
        if (!c->point)
            return FAIL(err, CLV_ERR_NOMEM, "times of %zu kinds of convolutions", b->n_classes);
    }
    return CLV_OK;
}

/* --- profiles --------------------------------------------------------------------------------------------------- */

/* A step counts for the convolutions in it, in equal parts; one without any, for whoever owns it. */
static void count_row(const builder *b, const clvi_profile_row *row, const clvi_graph *graph, const clvi_trial *t,
                      double *rest)
{
    int32_t site = CLVI_NONE;
    size_t convs = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < row->n_nodes; i++) {
            const clvi_node *node = graph->nodes[row->node[i]];
            const int32_t v = node->n_out > 0 ? node->out[0] : CLVI_NONE;
            const int32_t owner = v != CLVI_NONE && (size_t)v < t->n_owner ? t->owner[v] : CLVI_NONE;
            site = owner == CLVI_NONE ? site : owner;
            if (owner == CLVI_NONE || !clvi_node_is(node, "Conv"))
                continue;
            convs += pass == 0;
            if (pass == 1)
                b->site_seconds[owner] += row->least / (double)convs;
        }
    if (convs == 0 && site != CLVI_NONE)
        b->site_seconds[site] += row->least;
    else if (convs == 0)
        *rest += row->least;
}

/* site_seconds of a network; *rest and *median: of what no site owns, and of the whole. */
static clv_status profile(const builder *b, const clvi_trial *t, double *rest, double *median, clv_error *err)
{
    clv_input_shape shape = {.rank = b->task->input->rank};
    const clv_bench_opts opts = {.shapes = &shape, .n_shapes = 1, .batch = 1, .runs = RUNS, .seconds = SECONDS};
    clvi_bench_job job;
    clvi_times times = {0};
    clvi_profile_row *rows = NULL;
    size_t n = 0;
    memcpy(shape.dims, b->task->input->dims, sizeof shape.dims);
    clv_status st = clvi_bench_job_create(&job, t->graph, &opts, b->task->context, err);
    if (st == CLV_OK)
        st = clvi_bench_job_start(&job, true, err);
    if (st == CLV_OK)
        st = clvi_bench_job_time(&job, RUNS, SECONDS, &times, err);
    if (st == CLV_OK) {
        n = clvi_session_profile(job.session, NULL, 0);
        rows = clvi_calloc(n, sizeof *rows);
        st = rows ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "profile of %zu steps", n);
    }
    *rest = 0;
    if (st == CLV_OK) {
        (void)clvi_session_profile(job.session, rows, n);
        memset(b->site_seconds, 0, b->task->sites->n * sizeof *b->site_seconds);
        for (size_t i = 0; i < n; i++)
            count_row(b, &rows[i], job.graph, t, rest);
        clvi_times_sort(&times);
        *median = clvi_times_percentile(&times, 50);
    }
    clvi_free(rows);
    clvi_times_free(&times);
    clvi_bench_job_free(&job);
    return st;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median over the convolutions of class k, of those that `changed` says; NAN: none. */
static double class_median(const builder *b, size_t k, bool changed)
{
    size_t n = 0;
    for (size_t i = 0; i < b->task->sites->n; i++)
        if (b->class_of[i] == k && (!changed || b->chosen[i]))
            b->room[n++] = b->site_seconds[i];
    qsort(b->room, n, sizeof *b->room, ascending);
    return n ? b->room[n / 2] : (double)NAN;
}

static clv_status time_original(builder *b, clv_error *err)
{
    clvi_trial t;
    memset(b->chosen, 0, b->task->sites->n * sizeof(const clvi_candidate *));
    TRY(clvi_trial_create(&t, b->task->original, b->task->sites, b->chosen, b->task->chains, b->task->context, err));
    const clv_status st = profile(b, &t, &b->model->rest, &b->network, err);
    clvi_trial_free(&t);
    for (size_t k = 0; st == CLV_OK && k < b->n_classes; k++)
        b->classes[k].dense = class_median(b, k, false);
    for (size_t i = 0; st == CLV_OK && i < b->task->sites->n; i++)
        b->model->dense[i] = b->classes[b->class_of[i]].dense;
    return st;
}

/* --- times from the file ---------------------------------------------------------------------------------------- */

/* The convolutions as they are have been timed just now: how much faster were they when the file was written? */
static bool file_is_stale(const builder *b)
{
    double sum = 0, known;
    size_t n = 0;
    for (size_t k = 0; k < b->n_classes; k++)
        if (clvi_time_cache_find(b->cache, wish_key(&b->classes[k], &(clvi_candidate){0}), &known) && known > 0 &&
            b->classes[k].dense > 0) {
            sum += log(b->classes[k].dense / known);
            n++;
        }
    if (n == 0 || fabs(sum / (double)n) < log(STALE))
        return false;
    clvi_log(b->task->context, CLV_LOG_WARNING,
             "times measured before are not used: convolutions take %.2f times as long as then", exp(sum / (double)n));
    return true;
}

static clv_status use_file(builder *b, clv_error *err)
{
    const bool stale = file_is_stale(b);
    for (size_t k = 0; k < b->n_classes; k++) {
        layer_class *c = &b->classes[k];
        for (size_t i = 0; i < c->n && !stale; i++)
            if (clvi_time_cache_find(b->cache, wish_key(c, &c->wish[i].candidate), &c->wish[i].seconds))
                b->model->cached++;
        TRY(clvi_time_cache_add(b->cache, wish_key(c, &(clvi_candidate){0}), c->dense, err));
    }
    return CLV_OK;
}

/* --- trials ----------------------------------------------------------------------------------------------------- */

/* The next size of this form that class k wants and nobody knows. */
static wish *next_wish(const builder *b, size_t k, const clvi_form *form)
{
    layer_class *c = &b->classes[k];
    for (size_t i = 0; i < c->n; i++)
        if (c->wish[i].candidate.form == form && isnan(c->wish[i].seconds))
            return &c->wish[i];
    return NULL;
}

/* Does a form at one of these sizes read fewer channels than its layer had? */
static clv_status reaches_out(bool *yes, const builder *b, wish *const *wishes, clv_error *err)
{
    *yes = false;
    for (size_t k = 0; k < b->n_classes; k++) {
        const clvi_chain *chain;
        if (!wishes[k])
            continue;
        TRY(clvi_trial_chain_of(&chain, b->task->chains, &b->classes[k].site->conv, &wishes[k]->candidate,
                                b->task->context, err));
        *yes = *yes || chain->gather[0];
    }
    return CLV_OK;
}

/* One network: every convolution, or every other one from `phase` on, as its class wishes. */
static clv_status try_one(builder *b, wish *const *wishes, size_t phase, size_t phases, clv_error *err)
{
    clvi_trial t;
    double rest, median;
    size_t changed = 0;
    for (size_t i = 0; i < b->task->sites->n; i++) {
        wish *w = i % phases == phase && b->task->lists[i].n > 0 ? wishes[b->class_of[i]] : NULL;
        b->chosen[i] = w ? &w->candidate : NULL;
        changed += w != NULL;
    }
    if (changed == 0)
        return CLV_OK;
    TRY(clvi_trial_create(&t, b->task->original, b->task->sites, b->chosen, b->task->chains, b->task->context, err));
    const clv_status st = profile(b, &t, &rest, &median, err);
    clvi_trial_free(&t);
    for (size_t k = 0; st == CLV_OK && k < b->n_classes; k++) {
        const double seconds = wishes[k] ? class_median(b, k, true) : (double)NAN;
        if (isnan(seconds))
            continue;
        wishes[k]->sum += seconds;
        wishes[k]->sampled++;
    }
    return st;
}

static clv_status try_form(builder *b, const clvi_form *form, wish **wishes, clv_error *err)
{
    for (;;) {
        bool some = false, far;
        for (size_t k = 0; k < b->n_classes; k++) {
            wishes[k] = next_wish(b, k, form);
            some = some || wishes[k];
        }
        if (!some)
            return CLV_OK;
        TRY(reaches_out(&far, b, wishes, err));
        const size_t phases = far && b->task->sites->n > 1 ? 2 : 1;
        for (size_t phase = 0; phase < phases; phase++)
            TRY(try_one(b, wishes, phase, phases, err));
        for (size_t k = 0; k < b->n_classes; k++) {
            wish *w = wishes[k];
            if (!w)
                continue;
            w->seconds = w->sampled ? w->sum / (double)w->sampled : HUGE_VAL;
            b->model->measured++;
            if (w->sampled)
                TRY(clvi_time_cache_add(b->cache, wish_key(&b->classes[k], &w->candidate), w->seconds, err));
        }
    }
}

static clv_status try_all(builder *b, clv_error *err)
{
    size_t n;
    const clvi_form *const *forms = clvi_form_all(&n);
    wish **wishes = clvi_arena_calloc(b->arena, b->n_classes, sizeof *wishes);
    if (!wishes)
        return FAIL(err, CLV_ERR_NOMEM, "times of %zu kinds of convolutions", b->n_classes);
    for (size_t i = 0; i < n; i++) {
        clvi_progress(b->task->context, "time of every form and size", (int64_t)i, (int64_t)n);
        TRY(try_form(b, forms[i], wishes, err));
    }
    clvi_progress(b->task->context, "time of every form and size", (int64_t)n, (int64_t)n);
    if (b->model->measured)
        clvi_time_cache_save(b->cache);
    return CLV_OK;
}

/* --- the model -------------------------------------------------------------------------------------------------- */

static void fill_model(const builder *b)
{
    for (size_t k = 0; k < b->n_classes; k++) {
        layer_class *c = &b->classes[k];
        for (size_t i = 0; i < c->n; i++)
            c->point[c->n_points++] =
                (clvi_time_point){c->wish[i].candidate.form, c->wish[i].candidate.macs_per_pixel, c->wish[i].seconds};
    }
    for (size_t i = 0; i < b->task->sites->n; i++) {
        const layer_class *c = &b->classes[b->class_of[i]];
        const clvi_candidates *list = &b->task->lists[i];
        for (size_t a = 0; a < list->n; a++)
            b->model->seconds[i * CLVI_CANDIDATES_MAX + a] =
                list->item[a].form
                    ? clvi_time_at(c->point, c->n_points, list->item[a].form, list->item[a].macs_per_pixel)
                    : c->dense;
    }
}

static clv_status build(builder *b, clv_error *err)
{
    TRY(find_classes(b, err));
    TRY(time_original(b, err));
    TRY(list_wishes(b, err));
    TRY(clvi_time_cache_open(&b->cache, b->task->context, err));
    TRY(use_file(b, err));
    TRY(try_all(b, err));
    fill_model(b);
    return CLV_OK;
}

clv_status clvi_latency_model_create(clvi_latency_model *out, const clvi_latency_task *task, clv_error *err)
{
    builder b = {.task = task, .arena = clvi_arena_create(), .model = out};
    *out = (clvi_latency_model){.seconds = clvi_calloc(task->sites->n, CLVI_CANDIDATES_MAX * sizeof(double)),
                                .dense = clvi_calloc(task->sites->n, sizeof(double))};
    clv_status st = b.arena && out->seconds && out->dense
                        ? CLV_OK
                        : FAIL(err, CLV_ERR_NOMEM, "times of %zu convolutions", task->sites->n);
    if (st == CLV_OK)
        st = build(&b, err);
    clvi_time_cache_free(b.cache);
    clvi_arena_free(b.arena);
    if (st != CLV_OK)
        clvi_latency_model_free(out);
    return st;
}

void clvi_latency_model_free(clvi_latency_model *model)
{
    clvi_free(model->seconds);
    clvi_free(model->dense);
    *model = (clvi_latency_model){0};
}
