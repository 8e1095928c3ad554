/* SPDX-License-Identifier: Apache-2.0 */
/* Every block of patches, the mixing matrix and the weights have a random stream of their own, so that nothing depends
 * on the order of the work. Fits are independent tasks. */
#include "decompose/synth.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"
#include "decompose/form.h"
#include "linalg/matrix.h"

#define BLOCK CLVI_MOMENTS_BLOCK
enum { STREAM_WEIGHTS = 0, STREAM_MIXING = 1, STREAM_PATCHES = 2 };

clv_synth_opts clvi_synth_opts_default(void)
{
    return (clv_synth_opts){.out = 64,
                            .in = 64,
                            .kernel = 3,
                            .samples = 4096,
                            .test_samples = 16384,
                            .white = true,
                            .correlated = true,
                            .seed = 13};
}

/* How each curve of the experiment is fitted. */
typedef struct curve {
    const char *name, *form;
    clvi_method method;
    bool uneven;
} curve;

static const curve curves[] = {
    {"svd", "depthwise", CLVI_METHOD_SVD, false},
    {"gsvd", "depthwise", CLVI_METHOD_GSVD, false},
    {"inter-channel", "depthwise", CLVI_METHOD_INTER_CHANNEL, false},
    {"sweeps", "depthwise", CLVI_METHOD_SWEEPS, false},
    {"joint", "depthwise", CLVI_METHOD_JOINT, false},
    {"uneven", "depthwise", CLVI_METHOD_JOINT, true},
    {"channel", "channel", CLVI_METHOD_JOINT, false},
    {"bottleneck", "bottleneck", CLVI_METHOD_JOINT, false},
};
#define CURVES (sizeof curves / sizeof *curves)

static bool sensible(const clv_synth_opts *o)
{
    return o->out >= 1 && o->out <= 1024 && o->in >= 1 && o->in <= 1024 && o->kernel >= 1 && o->kernel <= 11 &&
           o->samples >= 2 && o->samples <= (int64_t)1 << 32 && o->test_samples >= 2 &&
           o->test_samples <= (int64_t)1 << 32 && o->max_multiplier >= 0 &&
           o->max_multiplier <= o->kernel * o->kernel && (o->white || o->correlated);
}

static size_t multipliers(const clv_synth_opts *o)
{
    return (size_t)(o->max_multiplier ? o->max_multiplier : o->kernel * o->kernel);
}

size_t clvi_synth_count(const clv_synth_opts *o)
{
    return sensible(o) ? (size_t)(o->white + o->correlated) * CURVES * multipliers(o) : 0;
}

static void normals(double *out, size_t n, double scale, uint64_t seed, uint64_t stream)
{
    clvi_rng rng;
    clvi_rng_seed_stream(&rng, seed, stream);
    for (size_t i = 0; i < n; i++)
        out[i] = scale * clvi_rng_normal(&rng);
}

void clvi_synth_weights(float *w, const clv_synth_opts *o)
{
    clvi_rng rng;
    const size_t n = (size_t)(o->out * o->in * o->kernel * o->kernel);
    clvi_rng_seed_stream(&rng, o->seed, STREAM_WEIGHTS);
    for (size_t i = 0; i < n; i++)
        w[i] = (float)clvi_rng_normal(&rng);
}

/* What makes blocks of patches. */
typedef struct source {
    size_t n, c, side, q, area; /* area: (side + 1)^2, a scene that a 2 x 2 blur makes side x side */
    bool correlated;
    uint64_t seed;
    double *mix;          /* [c, c] */
    double *noise, *maps; /* [BLOCK * area, c]: one row a pixel */
    double *w;            /* [n, q] */
    double *xd, *td;      /* [BLOCK, q], [BLOCK, n] */
    float *x, *t;
} source;

static void source_free(source *s)
{
    double *const owned[] = {s->mix, s->noise, s->maps, s->w, s->xd, s->td};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        clvi_free(owned[i]);
    clvi_free(s->x);
    clvi_free(s->t);
}

static clv_status source_create(source *s, const float *w, const clv_synth_opts *o, bool correlated, clv_error *err)
{
    const size_t n = (size_t)o->out, c = (size_t)o->in, side = (size_t)o->kernel;
    *s = (source){.n = n,
                  .c = c,
                  .side = side,
                  .q = c * side * side,
                  .area = (side + 1) * (side + 1),
                  .correlated = correlated,
                  .seed = o->seed};
    s->mix = clvi_alloc_array(c * c, sizeof(double));
    s->noise = clvi_alloc_array(BLOCK * s->area * c, sizeof(double));
    s->maps = clvi_alloc_array(BLOCK * s->area * c, sizeof(double));
    s->w = clvi_alloc_array(n * s->q, sizeof(double));
    s->xd = clvi_alloc_array(BLOCK * s->q, sizeof(double));
    s->td = clvi_alloc_array(BLOCK * n, sizeof(double));
    s->x = clvi_alloc_array(BLOCK * s->q, sizeof(float));
    s->t = clvi_alloc_array(BLOCK * n, sizeof(float));
    if (!s->mix || !s->noise || !s->maps || !s->w || !s->xd || !s->td || !s->x || !s->t) {
        source_free(s);
        return FAIL(err, CLV_ERR_NOMEM, "synthetic patches of %zu channels", c);
    }
    normals(s->mix, c * c, 1 / sqrt((double)c), o->seed, STREAM_MIXING);
    for (size_t i = 0; i < n * s->q; i++)
        s->w[i] = (double)w[i];
    return CLV_OK;
}

/* One patch [c, side, side] out of its mixed scene [side + 1, side + 1, c]. */
static void cut_patch(const source *s, const double *scene, double *x)
{
    const size_t c = s->c, side = s->side, row = (side + 1) * c;
    for (size_t i = 0; i < c; i++)
        for (size_t y = 0; y < side; y++)
            for (size_t z = 0; z < side; z++) {
                const double *p = scene + y * row + z * c + i;
                const double blurred = 0.5 * (p[0] + p[c] + p[row] + p[row + c]); /* unit variance is kept */
                x[(i * side + y) * side + z] = fmax(blurred, 0);
            }
}

static void make_block(source *s, uint64_t stream, clvi_pool *pool)
{
    if (!s->correlated) {
        normals(s->xd, BLOCK * s->q, 1, s->seed, stream);
    } else {
        const size_t pixels = BLOCK * s->area;
        normals(s->noise, pixels * s->c, 1, s->seed, stream);
        clvi_gemm(pool, (clvi_out){s->maps, s->c}, 0, 1, clvi_view_of(s->noise, pixels, s->c, s->c),
                  clvi_transposed(clvi_view_of(s->mix, s->c, s->c, s->c)));
        for (size_t b = 0; b < BLOCK; b++)
            cut_patch(s, s->maps + b * s->area * s->c, s->xd + b * s->q);
    }
    for (size_t i = 0; i < BLOCK * s->q; i++) {
        s->x[i] = (float)s->xd[i];
        s->xd[i] = (double)s->x[i];
    }
    clvi_gemm(pool, (clvi_out){s->td, s->n}, 0, 1, clvi_view_of(s->xd, BLOCK, s->q, s->q),
              clvi_transposed(clvi_view_of(s->w, s->n, s->q, s->q)));
    for (size_t i = 0; i < BLOCK * s->n; i++)
        s->t[i] = (float)s->td[i];
}

clv_status clvi_synth_data(clvi_covariance *out, const float *w, const clv_synth_opts *o, bool correlated, int set,
                           clv_context *context, clv_error *err)
{
    source s;
    clvi_moments m = {0};
    clv_status st;
    const size_t samples = (size_t)(set == 0 ? o->samples : o->test_samples);
    *out = (clvi_covariance){0};
    TRY(source_create(&s, w, o, correlated, err));
    if ((st = clvi_moments_create(&m, s.q, s.n, err)) != CLV_OK)
        goto out;
    m.pool = context ? context->pool : NULL;
    for (size_t done = 0; done < samples; done += BLOCK) {
        if (context && (st = clvi_check_cancel(context, err)) != CLV_OK)
            goto out;
        make_block(&s, STREAM_PATCHES + ((uint64_t)(correlated * 2 + set) << 32) + done / BLOCK, m.pool);
        if ((st = clvi_moments_add(&m, clvi_min_size(BLOCK, samples - done), s.x, s.t, err)) != CLV_OK)
            goto out;
    }
    st = clvi_covariance_of(out, &m, err);
out:
    clvi_moments_free(&m);
    source_free(&s);
    return st;
}

/* One layer with one kind of data, and the fits to make of it. */
typedef struct experiment {
    const clv_synth_opts *opts;
    clvi_conv conv;
    clvi_covariance train, test;
    clv_synth_row *rows;
    const char *data;
    size_t each; /* multipliers of a curve */
    clv_context *context;
    atomic_size_t done, before; /* fits made; rows of the experiments before this */
    atomic_int status;
    clv_error first; /* written by the task that sets status */
} experiment;

/* The error on statistics other than the fit's: its bias is wrong there by the difference of the means. */
static double error_with_bias(const clvi_covariance *cov, const double *what, const float *bias)
{
    double trace = 0, offset = 0;
    for (size_t i = 0; i < cov->n; i++) {
        double d = cov->mean_t[i] - (double)bias[i];
        for (size_t j = 0; j < cov->q; j++)
            d -= what[i * cov->q + j] * cov->mean_x[j];
        offset += d * d;
        trace += cov->t[i * cov->n + i];
    }
    return fmax(clvi_error_of(cov, what), 0) + (trace > 0 ? offset / trace : 0);
}

static clv_status fit_row(const experiment *e, const curve *c, clv_synth_row *row, clv_error *err)
{
    clvi_fit fit;
    clvi_fit_opts opts = clvi_fit_opts_default();
    clv_status st;
    clvi_arena *arena = clvi_arena_create();
    double *what = clvi_alloc_array(e->train.n, e->train.q * sizeof *what);
    if (!arena || !what) {
        st = FAIL(err, CLV_ERR_NOMEM, "a synthetic fit");
        goto out;
    }
    opts.method = c->method;
    opts.multiplier = (double)row->multiplier;
    opts.uneven = c->uneven;
    opts.seed = e->opts->seed;
    const double begin = clvi_now();
    if ((st = clvi_form_find(c->form)->fit(&fit, &e->conv, &e->train, &opts, arena, e->context, err)) != CLV_OK)
        goto out;
    row->seconds = clvi_now() - begin;
    if ((st = clvi_chain_expand(&fit.chain, &e->conv, what, err)) != CLV_OK)
        goto out;
    row->macs = fit.macs_per_pixel;
    row->original_macs = clvi_conv_macs_per_pixel(&e->conv);
    row->train_error = fit.error;
    row->test_error = error_with_bias(&e->test, what, fit.chain.link[fit.chain.n - 1].bias);
out:
    clvi_free(what);
    clvi_arena_free(arena);
    return st;
}

/* The large sizes come first: they take longest. */
static void fit_task(void *arg, size_t index, int worker)
{
    experiment *e = arg;
    const size_t at = index % CURVES * e->each + (e->each - 1 - index / CURVES), total = clvi_synth_count(e->opts);
    clv_synth_row *row = &e->rows[at];
    clv_error err = {0};
    if (atomic_load(&e->status) != CLV_OK)
        return;
    *row = (clv_synth_row){
        .data = e->data, .method = curves[at / e->each].name, .multiplier = (int64_t)(at % e->each) + 1};
    const clv_status st = fit_row(e, &curves[at / e->each], row, &err);
    int none = CLV_OK;
    if (st != CLV_OK && atomic_compare_exchange_strong(&e->status, &none, (int)st))
        e->first = err;
    const size_t done = atomic_fetch_add(&e->done, 1) + 1;
    if (worker == 0) /* the caller's thread */
        clvi_progress(e->context, "synth", (int64_t)(atomic_load(&e->before) + done), (int64_t)total);
}

static clv_status run_one(experiment *e, const float *w, bool correlated, clv_error *err)
{
    clv_status st;
    e->data = correlated ? "correlated" : "white";
    if ((st = clvi_synth_data(&e->train, w, e->opts, correlated, 0, e->context, err)) != CLV_OK ||
        (st = clvi_synth_data(&e->test, w, e->opts, correlated, 1, e->context, err)) != CLV_OK)
        goto out;
    clvi_pool_run(e->context ? e->context->pool : NULL, CURVES * e->each, fit_task, e);
    st = (clv_status)atomic_load(&e->status);
    if (st != CLV_OK && err)
        *err = e->first;
out:
    clvi_covariance_free(&e->train);
    clvi_covariance_free(&e->test);
    return st;
}

clv_status clvi_synth_run(clv_synth_row *rows, const clv_synth_opts *o, clv_context *context, clv_error *err)
{
    clv_status st = CLV_OK;
    if (!sensible(o))
        return FAIL(err, CLV_ERR_ARG,
                    "synthetic layer of %lld x %lld x %lld x %lld with %lld + %lld samples and multipliers up to %lld",
                    (long long)o->out, (long long)o->in, (long long)o->kernel, (long long)o->kernel,
                    (long long)o->samples, (long long)o->test_samples, (long long)o->max_multiplier);
    float *w = clvi_alloc_array((size_t)(o->out * o->in * o->kernel * o->kernel), sizeof *w);
    if (!w)
        return FAIL(err, CLV_ERR_NOMEM, "weights of a synthetic layer");
    clvi_synth_weights(w, o);
    for (int correlated = 0, made = 0; correlated < 2 && st == CLV_OK; correlated++) {
        if (!(correlated ? o->correlated : o->white))
            continue;
        const size_t each = multipliers(o), before = (size_t)made * CURVES * each;
        experiment e = {.opts = o, .rows = rows + before, .each = each, .context = context, .before = before};
        e.conv = (clvi_conv){.o = o->out,
                             .c = o->in,
                             .groups = 1,
                             .kh = o->kernel,
                             .kw = o->kernel,
                             .sh = 1,
                             .sw = 1,
                             .dh = 1,
                             .dw = 1,
                             .rank = 4,
                             .w = w};
        st = run_one(&e, w, correlated, err);
        made++;
    }
    if (st == CLV_OK)
        clvi_progress(context, "synth", (int64_t)clvi_synth_count(o), (int64_t)clvi_synth_count(o));
    clvi_free(w);
    return st;
}
