/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/survey.h"

#include "base/mem.h"
#include "compress/front.h"
#include "compress/sample.h"

/* --- moments of one site ----------------------------------------------------------------------------------------- */

static size_t patch_size(const clvi_site *site)
{
    const clvi_conv_shape *s = &site->shape;
    return (size_t)(s->c / s->groups * s->kh * s->kw);
}

clv_status clvi_site_moments_create(clvi_moments **out, const clvi_site *site, clv_error *err)
{
    const size_t groups = (size_t)site->shape.groups;
    clv_status st = CLV_OK;
    *out = NULL;
    clvi_moments *m = clvi_calloc(groups, sizeof *m);
    if (!m)
        return FAIL(err, CLV_ERR_NOMEM, "statistics of convolution \"%s\"", site->name);
    for (size_t g = 0; st == CLV_OK && g < groups; g++)
        st = clvi_moments_create(&m[g], patch_size(site), (size_t)(site->shape.o / site->shape.groups), err);
    if (st == CLV_OK)
        *out = m;
    else
        clvi_site_moments_free(m, site);
    return st;
}

void clvi_site_moments_free(clvi_moments *moments, const clvi_site *site)
{
    for (size_t g = 0; moments && g < (size_t)site->shape.groups; g++)
        clvi_moments_free(&moments[g]);
    clvi_free(moments);
}

size_t clvi_site_moments_bytes(const clvi_site *site)
{
    const double q = (double)patch_size(site), n = (double)(site->shape.o / site->shape.groups);
    const double bytes =
        (double)site->shape.groups * 8 * (q * q + n * q + n * n + 2 * (double)CLVI_MOMENTS_BLOCK * (q + n));
    return bytes < (double)(SIZE_MAX / 2) ? (size_t)bytes : SIZE_MAX / 2;
}

clv_status clvi_covariances_of(clvi_covariance **out, const clvi_moments *moments, size_t groups, clv_error *err)
{
    clv_status st = CLV_OK;
    clvi_covariance *cov = clvi_calloc(groups, sizeof *cov);
    *out = NULL;
    if (!cov)
        return FAIL(err, CLV_ERR_NOMEM, "covariances of %zu groups", groups);
    for (size_t g = 0; g < groups && st == CLV_OK; g++)
        st = clvi_covariance_of(&cov[g], &moments[g], err);
    if (st == CLV_OK)
        *out = cov;
    else
        clvi_covariances_free(cov, groups);
    return st;
}

void clvi_covariances_free(clvi_covariance *cov, size_t groups)
{
    for (size_t g = 0; cov && g < groups; g++)
        clvi_covariance_free(&cov[g]);
    clvi_free(cov);
}

/* --- one part of the walk ----------------------------------------------------------------------------------------- */

#define FETCHED ((size_t)4) /* values of each site */

/* Sums over all samples and channels, about the mean of each channel only at the end. */
typedef struct spread {
    double *sums; /* [4, o] of y, y^2, s, s^2 */
    double count;
} spread;

typedef struct part {
    const clvi_sites *sites;
    clvi_calibration *calibration;
    size_t *site; /* [n] */
    clvi_moments **moments;
    clvi_averaged *averaged; /* [n] */
    spread *spread;          /* [n] of the outputs, and of the sums that they go into */
    double *share;           /* [n] */
    size_t n;
    int32_t *fetch;     /* [FETCHED n] x, y, the block's sum and the mean (y where there is none) of each */
    clv_status *status; /* [n] of the batch at work, with reason */
    clv_error *reason;
    /* the batch at work */
    const clv_tensor *values;
    int64_t first, images;
} part;

static void add_spread(spread *to, const float *y, const float *sum, size_t rows, size_t o)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < o; j++) {
            const double a = (double)y[r * o + j], b = (double)sum[r * o + j];
            to->sums[j] += a;
            to->sums[o + j] += a * a;
            to->sums[2 * o + j] += b;
            to->sums[3 * o + j] += b * b;
        }
    to->count += (double)rows;
}

static double share_of(const spread *s, size_t o)
{
    double own = 0, whole = 0;
    if (!s->sums || s->count < 1)
        return 1;
    for (size_t j = 0; j < o; j++) {
        const double my = s->sums[j] / s->count, ms = s->sums[2 * o + j] / s->count;
        own += s->sums[o + j] / s->count - my * my;
        whole += s->sums[3 * o + j] / s->count - ms * ms;
    }
    return own > 0 && whole > own ? own / whole : 1;
}

/* The sampled places of a batch's good images: to[rows, o]; value: index among the fetched. */
static size_t take_outputs(float *to, const part *p, const clvi_places *places, int64_t o, size_t value)
{
    size_t used = 0;
    for (int64_t i = 0; i < p->images; i++)
        if (!p->calibration->bad[p->first + i]) {
            clvi_sample_outputs(to + used * (size_t)o, places, o, p->first + i,
                                (const float *)p->values[value].data + i * o * places->pixels);
            used += (size_t)clvi_sample_count(places, p->first + i);
        }
    return used;
}

/* All groups of one site for the images of a batch. The rows of a corrupt image are left out. */
static clv_status add_site(const part *p, size_t k, clv_error *err)
{
    const clvi_site *site = &p->sites->site[p->site[k]];
    const clvi_conv_shape *s = &site->shape;
    const clvi_places places = clvi_places_of(p->calibration, site, p->site[k], INT64_MAX);
    const size_t q = patch_size(site), o = (size_t)s->o, n = o / (size_t)s->groups;
    const int64_t end = p->first + p->images;
    const size_t rows = (size_t)(clvi_places_first_row(&places, end) - clvi_places_first_row(&places, p->first));
    float *x = clvi_alloc_array(rows, q * sizeof *x), *y = clvi_alloc_array(rows, o * sizeof *y);
    float *own = clvi_alloc_array(rows, n * sizeof *own), *sum = clvi_alloc_array(rows, o * sizeof *sum);
    clv_status st = x && y && own && sum ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "%zu patches", rows);
    const size_t used = st == CLV_OK ? take_outputs(y, p, &places, s->o, FETCHED * k + 1) : 0;
    if (st == CLV_OK && p->spread[k].sums) {
        (void)take_outputs(sum, p, &places, s->o, FETCHED * k + 2);
        add_spread(&p->spread[k], y, sum, used, o);
    }
    for (size_t g = 0; st == CLV_OK && g < (size_t)s->groups; g++) {
        float *to = x;
        for (int64_t i = 0; i < p->images; i++)
            if (!p->calibration->bad[p->first + i]) {
                clvi_sample_patches(to, &places, site, (int64_t)g, p->first + i,
                                    (const float *)p->values[FETCHED * k].data + i * s->c * s->h * s->w);
                to += (size_t)clvi_sample_count(&places, p->first + i) * q;
            }
        for (size_t r = 0; r < used; r++)
            for (size_t j = 0; j < n; j++)
                own[r * n + j] = y[r * o + g * n + j];
        st = clvi_moments_add(&p->moments[k][g], used, x, own, err);
    }
    if (st == CLV_OK)
        st = clvi_averaged_add(&p->averaged[k], &site->conv, &site->activation, p->images, p->values[FETCHED * k].data,
                               p->values[FETCHED * k + 3].data, p->calibration->bad + p->first, err);
    clvi_free(x);
    clvi_free(y);
    clvi_free(own);
    clvi_free(sum);
    return st == CLV_OK || !err ? st : clvi_fail_prefix(err, st, site->name);
}

static void add_task(void *arg, size_t index, int worker)
{
    (void)worker;
    const part *p = arg;
    p->status[index] = add_site(p, index, &p->reason[index]);
}

static clv_status add_batch(void *user, int64_t first, int64_t n, const clv_tensor *values, clv_error *err)
{
    part *p = user;
    p->values = values;
    p->first = first;
    p->images = n;
    clvi_pool_run(p->calibration->context->pool, p->n, add_task, p);
    for (size_t k = 0; k < p->n; k++)
        if (p->status[k] != CLV_OK) {
            if (err)
                *err = p->reason[k];
            return p->status[k];
        }
    return CLV_OK;
}

static clv_status part_create(part *p, const clvi_sites *sites, clvi_calibration *calibration, clv_error *err)
{
    *p = (part){.sites = sites,
                .calibration = calibration,
                .site = clvi_calloc(sites->n, sizeof(size_t)),
                .moments = clvi_calloc(sites->n, sizeof(clvi_moments *)),
                .averaged = clvi_calloc(sites->n, sizeof(clvi_averaged)),
                .spread = clvi_calloc(sites->n, sizeof(spread)),
                .share = clvi_calloc(sites->n, sizeof(double)),
                .fetch = clvi_calloc(FETCHED * sites->n, sizeof(int32_t)),
                .status = clvi_calloc(sites->n, sizeof(clv_status)),
                .reason = clvi_calloc(sites->n, sizeof(clv_error))};
    return p->site && p->moments && p->averaged && p->spread && p->share && p->fetch && p->status && p->reason
               ? CLV_OK
               : FAIL(err, CLV_ERR_NOMEM, "statistics of %zu convolutions", sites->n);
}

static void part_clear(part *p)
{
    for (size_t k = 0; k < p->n; k++) {
        clvi_site_moments_free(p->moments[k], &p->sites->site[p->site[k]]);
        p->moments[k] = NULL;
        clvi_averaged_free(&p->averaged[k]);
        clvi_free(p->spread[k].sums);
        p->spread[k] = (spread){0};
    }
    p->n = 0;
}

static void part_free(part *p)
{
    part_clear(p);
    clvi_free(p->site);
    clvi_free(p->moments);
    clvi_free(p->averaged);
    clvi_free(p->spread);
    clvi_free(p->share);
    clvi_free(p->fetch);
    clvi_free(p->status);
    clvi_free(p->reason);
}

/* Sites from *next on that fit into the memory together; *next becomes the first one that is left. */
static clv_status part_fill(part *p, size_t *next, size_t memory, clv_error *err)
{
    size_t bytes = 0;
    for (; *next < p->sites->n; (*next)++) {
        const clvi_site *site = &p->sites->site[*next];
        if (site->kept)
            continue;
        const size_t more = clvi_site_moments_bytes(site);
        if (p->n > 0 && (more > memory || bytes > memory - more))
            break;
        bytes += more;
        TRY(clvi_site_moments_create(&p->moments[p->n], site, err));
        p->site[p->n] = *next;
        p->fetch[FETCHED * p->n] = site->x;
        p->fetch[FETCHED * p->n + 1] = site->y;
        p->fetch[FETCHED * p->n + 2] = site->sum != CLVI_NONE ? site->sum : site->y;
        p->fetch[FETCHED * p->n + 3] = site->mean != CLVI_NONE ? site->mean : site->y;
        TRY(clvi_averaged_create(&p->averaged[p->n], &site->conv, err));
        if (site->sum != CLVI_NONE)
            p->spread[p->n].sums = clvi_calloc(4 * (size_t)site->shape.o, sizeof(double));
        if (site->sum != CLVI_NONE && !p->spread[p->n++].sums)
            return FAIL(err, CLV_ERR_NOMEM, "statistics of convolution \"%s\"", site->name);
        p->n += site->sum == CLVI_NONE;
    }
    return CLV_OK;
}

/* What the sites from `next` on will ask for: wanted[FETCHED (n - next)], and where the first of them stands. */
static size_t plan_ahead(int32_t *wanted, size_t *at, const clvi_graph *graph, const clvi_sites *sites, size_t next)
{
    size_t n = 0;
    *at = SIZE_MAX;
    for (size_t i = next; i < sites->n; i++) {
        if (sites->site[i].kept)
            continue;
        if (n == 0)
            *at = (size_t)clvi_site_node(graph, &sites->site[i]);
        wanted[n++] = sites->site[i].x;
        wanted[n++] = sites->site[i].y;
        if (sites->site[i].sum != CLVI_NONE)
            wanted[n++] = sites->site[i].sum;
        if (sites->site[i].mean != CLVI_NONE)
            wanted[n++] = sites->site[i].mean;
    }
    return n;
}

clv_status clvi_survey(const clvi_graph *original, const clvi_sites *sites, clvi_calibration *calibration,
                       size_t memory, clvi_survey_take take, void *user, clv_error *err)
{
    clvi_front front = {0};
    part p = {0};
    int32_t *wanted = clvi_calloc(FETCHED * sites->n, sizeof *wanted);
    clv_status st = wanted ? part_create(&p, sites, calibration, err)
                           : FAIL(err, CLV_ERR_NOMEM, "statistics of %zu convolutions", sites->n);
    if (st == CLV_OK)
        st = clvi_front_create(&front, original, calibration, err);
    for (size_t next = 0; st == CLV_OK && next < sites->n;) {
        st = part_fill(&p, &next, memory, err);
        if (st != CLV_OK || p.n == 0)
            break;
        clvi_visit visit = {
            .stage = "statistics", .fetch = p.fetch, .n_fetch = FETCHED * p.n, .visitor = add_batch, .user = &p};
        visit.wanted = wanted;
        visit.n_wanted = plan_ahead(wanted, &visit.at, original, sites, next);
        st = clvi_front_visit(&front, original, &visit, err);
        for (size_t k = 0; st == CLV_OK && k < p.n; k++)
            for (size_t g = 0; g < (size_t)sites->site[p.site[k]].shape.groups; g++)
                clvi_moments_flush(&p.moments[k][g]);
        for (size_t k = 0; k < p.n; k++)
            p.share[k] = share_of(&p.spread[k], (size_t)sites->site[p.site[k]].shape.o);
        if (st == CLV_OK)
            st = take(user, &(clvi_survey_part){p.site, p.moments, p.averaged, p.share, p.n}, err);
        part_clear(&p);
    }
    part_free(&p);
    clvi_front_free(&front);
    clvi_free(wanted);
    return st;
}
