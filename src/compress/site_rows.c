/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/site_rows.h"

#include <string.h>

#include "base/mem.h"
#include "compress/sample.h"
#include "compress/survey.h"

void clvi_site_rows_free(clvi_site_rows *r)
{
    for (size_t g = 0; r->x && g < r->groups; g++)
        clvi_free(r->x[g]);
    clvi_free(r->x);
    clvi_free(r->y);
    clvi_free(r->shortcut);
    *r = (clvi_site_rows){0};
}

static clv_status create(clvi_site_rows *r, const clvi_site *site, size_t rows, bool shortcut, clv_error *err)
{
    const clvi_conv_shape *s = &site->shape;
    *r = (clvi_site_rows){
        .rows = rows, .groups = (size_t)s->groups, .q = (size_t)(s->c / s->groups * s->kh * s->kw), .o = (size_t)s->o};
    r->x = clvi_calloc(r->groups, sizeof *r->x);
    r->y = clvi_alloc_array(rows, r->o * sizeof(float));
    r->shortcut = shortcut ? clvi_alloc_array(rows, r->o * sizeof(float)) : NULL;
    bool complete = r->x && r->y && (r->shortcut || !shortcut);
    for (size_t g = 0; complete && g < r->groups; g++)
        complete = (r->x[g] = clvi_alloc_array(rows, r->q * sizeof(float))) != NULL;
    if (complete)
        return CLV_OK;
    clvi_site_rows_free(r);
    return FAIL(err, CLV_ERR_NOMEM, "%zu patches of convolution \"%s\"", rows, site->name);
}

/* One visit: which of its fetched values go where. */
typedef struct intake {
    clvi_site_rows *r;
    const clvi_site *site;
    const clvi_calibration *calibration;
    clvi_places places;
    int at_x, at_y, at_shortcut; /* index among the fetched values, -1: not in this visit */
    /* the batch at work */
    const clv_tensor *values;
    int64_t first;
} intake;

static const float *row_of(const intake *in, int value, int64_t i, int64_t count)
{
    return (const float *)in->values[value].data + i * count;
}

static void take_image(void *arg, size_t index, int worker)
{
    (void)worker;
    const intake *in = arg;
    const clvi_conv_shape *s = &in->site->shape;
    const int64_t i = (int64_t)index, image = in->first + i, map = s->o * in->places.pixels;
    const size_t row = (size_t)(clvi_places_first_row(&in->places, image) -
                                clvi_places_first_row(&in->places, in->calibration->first));
    if (in->at_y >= 0)
        clvi_sample_outputs(in->r->y + row * in->r->o, &in->places, s->o, image, row_of(in, in->at_y, i, map));
    if (in->at_shortcut >= 0)
        clvi_sample_outputs(in->r->shortcut + row * in->r->o, &in->places, s->o, image,
                            row_of(in, in->at_shortcut, i, map));
    for (size_t g = 0; in->at_x >= 0 && g < in->r->groups; g++)
        clvi_sample_patches(in->r->x[g] + row * in->r->q, &in->places, in->site, (int64_t)g, image,
                            row_of(in, in->at_x, i, s->c * s->h * s->w));
}

static clv_status take_batch(void *user, int64_t first, int64_t n, const clv_tensor *values, clv_error *err)
{
    intake *in = user;
    (void)err;
    in->values = values;
    in->first = first;
    clvi_pool_run(in->calibration->context->pool, (size_t)n, take_image, in);
    return CLV_OK;
}

/* Rows of corrupt images are closed up. */
static void drop_bad(clvi_site_rows *r, const clvi_places *places, const clvi_calibration *c)
{
    size_t kept = 0, from = 0;
    for (int64_t image = c->first; image < c->end; image++) {
        const size_t n = (size_t)clvi_sample_count(places, image);
        if (!c->bad[image]) {
            for (size_t g = 0; g < r->groups && kept != from; g++)
                memmove(r->x[g] + kept * r->q, r->x[g] + from * r->q, n * r->q * sizeof(float));
            if (kept != from)
                memmove(r->y + kept * r->o, r->y + from * r->o, n * r->o * sizeof(float));
            if (kept != from && r->shortcut)
                memmove(r->shortcut + kept * r->o, r->shortcut + from * r->o, n * r->o * sizeof(float));
            kept += n;
        }
        from += n;
    }
    r->rows = kept;
}

/* What the sites from `index` on ask of the original network, or of the one in the making: wanted[2 n]. */
static size_t look_ahead(int32_t *wanted, const clvi_rows_source *source, size_t index, bool original)
{
    size_t n = 0;
    for (size_t i = index; i < source->sites->n; i++) {
        const clvi_site *site = &source->sites->site[i];
        if (site->kept)
            continue;
        const bool x = !original || source->symmetric;
        if (x)
            wanted[n++] = site->x;
        if (original)
            wanted[n++] = site->sum != CLVI_NONE && !source->symmetric ? site->sum : site->y;
        else if (site->shortcut != CLVI_NONE)
            wanted[n++] = site->shortcut;
    }
    return n;
}

static clv_status visit_original(intake *in, const clvi_rows_source *s, size_t index, int32_t *wanted, clv_error *err)
{
    in->at_x = s->symmetric ? 0 : -1;
    in->at_y = s->symmetric ? 1 : 0;
    in->at_shortcut = -1;
    clvi_visit visit = {.stage = in->site->name, .visitor = take_batch, .user = in, .fetch = wanted, .wanted = wanted};
    visit.n_fetch = s->symmetric ? 2 : 1;
    visit.n_wanted = look_ahead(wanted, s, index, true);
    visit.at = (size_t)clvi_site_node(s->original, in->site);
    return clvi_front_visit(s->original_front, s->original, &visit, err);
}

static clv_status visit_graph(intake *in, const clvi_rows_source *s, size_t index, int32_t *wanted, clv_error *err)
{
    const bool shortcut = in->site->shortcut != CLVI_NONE;
    in->at_x = 0;
    in->at_y = -1;
    in->at_shortcut = shortcut ? 1 : -1;
    clvi_visit visit = {.stage = in->site->name, .visitor = take_batch, .user = in, .fetch = wanted, .wanted = wanted};
    visit.n_fetch = shortcut ? 2 : 1;
    visit.n_wanted = look_ahead(wanted, s, index, false);
    visit.at = (size_t)clvi_site_node(s->graph, in->site);
    return clvi_front_visit(s->front, s->graph, &visit, err);
}

clv_status clvi_site_rows_fill(clvi_site_rows *out, const clvi_rows_source *s, size_t index, clv_error *err)
{
    const clvi_site *site = &s->sites->site[index];
    const bool shortcut = site->shortcut != CLVI_NONE && !s->symmetric;
    const clvi_conv_shape *shape = &site->shape;
    const size_t row_bytes = sizeof(float) * (size_t)(shape->c * shape->kh * shape->kw + 2 * shape->o);
    const size_t most = s->memory / row_bytes;
    intake in = {.r = out, .site = site, .calibration = s->calibration};
    *out = (clvi_site_rows){0};
    in.places = clvi_places_of(s->calibration, site, index,
                               most < 1           ? 1
                               : most > INT32_MAX ? INT32_MAX
                                                  : (int64_t)most);
    int32_t *wanted = clvi_calloc(2 * s->sites->n, sizeof *wanted);
    clv_status st = wanted ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%zu convolutions", s->sites->n);
    if (st == CLV_OK)
        st = create(out, site, (size_t)clvi_places_rows_here(&in.places, s->calibration), shortcut, err);
    if (st == CLV_OK)
        st = visit_original(&in, s, index, wanted, err);
    if (st == CLV_OK && !s->symmetric)
        st = visit_graph(&in, s, index, wanted, err);
    if (st == CLV_OK)
        drop_bad(out, &in.places, s->calibration);
    else
        clvi_site_rows_free(out);
    clvi_free(wanted);
    return st;
}

#define ROWS ((size_t)1024) /* handed to the moments at once */

/* Targets of one group: y - shortcut, [n, o / groups]. */
static void take_targets(float *to, const clvi_site_rows *r, size_t group, size_t first, size_t n)
{
    const size_t own = r->o / r->groups;
    for (size_t i = 0; i < n; i++) {
        const size_t at = (first + i) * r->o + group * own;
        for (size_t j = 0; j < own; j++)
            to[i * own + j] = r->y[at + j] - (r->shortcut ? r->shortcut[at + j] : 0.0F);
    }
}

static clv_status group_covariance(clvi_covariance *out, const clvi_site_rows *r, size_t group, clvi_pool *pool,
                                   clv_error *err)
{
    clvi_moments m = {0};
    const size_t own = r->o / r->groups;
    float *targets = clvi_alloc_array(ROWS, own * sizeof *targets);
    clv_status st = targets ? clvi_moments_create(&m, r->q, own, err) : FAIL(err, CLV_ERR_NOMEM, "%zu targets", own);
    m.pool = pool;
    for (size_t first = 0; st == CLV_OK && first < r->rows; first += ROWS) {
        const size_t n = r->rows - first < ROWS ? r->rows - first : ROWS;
        take_targets(targets, r, group, first, n);
        st = clvi_moments_add(&m, n, r->x[group] + first * r->q, targets, err);
    }
    if (st == CLV_OK)
        st = clvi_covariance_of(out, &m, err);
    clvi_moments_free(&m);
    clvi_free(targets);
    return st;
}

clv_status clvi_site_rows_covariances(clvi_covariance **out, const clvi_site_rows *r, clvi_pool *pool, clv_error *err)
{
    clv_status st = CLV_OK;
    clvi_covariance *cov = clvi_calloc(r->groups, sizeof *cov);
    *out = NULL;
    if (!cov)
        return FAIL(err, CLV_ERR_NOMEM, "covariances of %zu groups", r->groups);
    for (size_t g = 0; st == CLV_OK && g < r->groups; g++)
        st = group_covariance(&cov[g], r, g, pool, err);
    if (st == CLV_OK)
        *out = cov;
    else
        clvi_covariances_free(cov, r->groups);
    return st;
}
