/* SPDX-License-Identifier: Apache-2.0 */
/* Channel pruning with regression onto the survivors: the same convolution over fewer of its input channels.
 *
 *   W^ = H_:R (S_RR)^-1 on the kept columns R, zero elsewhere: the optimum for these channels.
 *
 * size: kept channels, the same number in each group; K o / groups multiply-adds each and output position. Which ones
 * is found by backward elimination (prune.h); He, Zhang and Sun (ICCV 2017) choose them by a lasso instead. The chain
 * gathers the kept channels; what made the others need not compute them (clvi_pass_prune_channels). */
#include "decompose/prune.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"
#include "linalg/regress.h"

extern const clvi_form clvi_form_prune;

#define PENDING 16 /* removals that are taken from the inverse at once: one pass over it for so many */

/* The elimination at work. Kept channels stand at slots 0 .. n-1; matrices hold slots in order, with full strides. */
typedef struct elimination {
    const clvi_group *g;
    bool data;
    size_t n;        /* channels left */
    size_t *channel; /* [c] of each slot */
    double *a; /* [q, q], lower triangle: A = a - P P^T is the inverse of S over the slots; NULL without data: 1 */
    double *p; /* [q, PENDING K] P, the first n_p columns */
    size_t n_p;
    double *diagonal; /* [c, K, K] blocks of A on its diagonal */
    double *w;        /* [q, n] the regression, transposed */
    double *loss;     /* [c] of removing each slot; NaN: its block is not positive definite */
    double *z;        /* [q, K] A_:B L^-T of the slot B that went last, with A_BB = L L^T */
    double *scaled;   /* [K, n] its L^-1 W_B^T, then L[K, K] */
    bool behind;      /* diagonal and w do not know yet that it went */
    double *scratch;  /* [threads] of the same */
} elimination;

static void elimination_free(elimination *e)
{
    clvi_free(e->channel);
    clvi_free(e->a);
    clvi_free(e->p);
    clvi_free(e->diagonal);
    clvi_free(e->w);
    clvi_free(e->loss);
    clvi_free(e->z);
    clvi_free(e->scaled);
    clvi_free(e->scratch);
    *e = (elimination){0};
}

/* A = S^-1 and W = H A. */
static clv_status invert(elimination *e, clv_error *err)
{
    const clvi_group *g = e->g;
    const size_t q = g->q, c = g->c, k = g->k;
    memcpy(e->a, g->s, q * q * sizeof *e->a);
    TRY(clvi_inverse_spd(g->pool, e->a, q, err));
    clvi_mirror_lower(e->a, q, q);
    clvi_gemm(g->pool, (clvi_out){e->w, g->n}, 0, 1, clvi_view_of(e->a, q, q, q),
              clvi_transposed(clvi_view_of(g->h, g->n, q, q)));
    for (size_t i = 0; i < c; i++)
        for (size_t r = 0; r < k; r++)
            memcpy(e->diagonal + (i * k + r) * k, e->a + (i * k + r) * q + i * k, k * sizeof *e->diagonal);
    return CLV_OK;
}

static clv_status elimination_create(elimination *e, const clvi_group *g, bool data, clv_error *err)
{
    const size_t q = g->q, c = g->c, k = g->k;
    clv_status st = CLV_OK;
    *e = (elimination){.g = g, .data = data, .n = c};
    e->channel = clvi_alloc_array(c, sizeof *e->channel);
    e->w = clvi_alloc_array(q, g->n * sizeof *e->w);
    e->loss = clvi_alloc_array(c, sizeof *e->loss);
    if (data) {
        e->a = clvi_alloc_array(q, q * sizeof *e->a);
        e->p = clvi_alloc_array(q, PENDING * k * sizeof *e->p);
        e->diagonal = clvi_alloc_array(c, k * k * sizeof *e->diagonal);
        e->z = clvi_alloc_array(q, k * sizeof *e->z);
        e->scaled = clvi_alloc_array(g->n + k, k * sizeof *e->scaled);
        e->scratch = clvi_alloc_array((size_t)clvi_pool_threads(g->pool) * (g->n + k), k * sizeof *e->scratch);
    }
    if (!e->channel || !e->w || !e->loss ||
        (data && (!e->a || !e->p || !e->diagonal || !e->z || !e->scaled || !e->scratch)))
        st = FAIL(err, CLV_ERR_NOMEM, "elimination of %zu channels", c);
    for (size_t i = 0; i < c && st == CLV_OK; i++)
        e->channel[i] = i;
    if (st == CLV_OK && data)
        st = invert(e, err);
    for (size_t j = 0; j < q && st == CLV_OK && !data; j++)
        for (size_t i = 0; i < g->n; i++)
            e->w[j * g->n + i] = g->w[i * q + j];
    if (st != CLV_OK)
        elimination_free(e);
    return st;
}

static double energy(const double *v, size_t n)
{
    return clvi_dot(clvi_view_of(v, 1, n, n), clvi_view_of(v, 1, n, n));
}

/* to = L^-1 W_B^T [K, n] and L [K, K], where A_BB = L L^T; false: that is not positive definite. */
static bool scale_slot(double *to, const elimination *e, size_t slot)
{
    const size_t k = e->g->k, n = e->g->n;
    double *const l = to + k * n;
    memcpy(l, e->diagonal + slot * k * k, k * k * sizeof *l);
    if (clvi_cholesky(l, k, k, NULL) != CLV_OK)
        return false;
    memcpy(to, e->w + slot * k * n, k * n * sizeof *to);
    clvi_solve_lower(NULL, clvi_view_of(l, k, k, k), false, (clvi_out){to, n}, n);
    return true;
}

/* The slot's part of A and W without what the slot that went last explained, then loss = |L^-1 W_B^T|^2. */
static void price_slot(void *arg, size_t i, int worker)
{
    const elimination *e = arg;
    const size_t k = e->g->k, n = e->g->n;
    double *const w = e->w + i * k * n;
    if (!e->data) {
        e->loss[i] = energy(w, k * n);
        return;
    }
    if (e->behind) {
        double *d = e->diagonal + i * k * k;
        const clvi_view z = clvi_view_of(e->z + i * k * k, k, k, k);
        clvi_gemm(NULL, (clvi_out){w, n}, 1, -1, z, clvi_view_of(e->scaled, k, n, n));
        clvi_gemm(NULL, (clvi_out){d, k}, 1, -1, z, clvi_transposed(z));
    }
    double *const scratch = e->scratch + (size_t)worker * k * (n + k);
    e->loss[i] = scale_slot(scratch, e, i) ? energy(scratch, k * n) : (double)NAN;
}

/* The slot of least loss, of equals the one with the lowest channel; n: none is a number. */
static size_t cheapest(const elimination *e)
{
    size_t best = e->n;
    for (size_t i = 0; i < e->n; i++)
        if (!isnan(e->loss[i]) && (best == e->n || e->loss[i] < e->loss[best] ||
                                   (e->loss[i] == e->loss[best] && e->channel[i] < e->channel[best])))
            best = i;
    return best;
}

/* z[n K, K] = the slot's columns of A. */
static void columns_of(elimination *e, size_t slot)
{
    const size_t k = e->g->k, q = e->g->q, left = e->n * k, at = slot * k, stride = PENDING * k;
    for (size_t j = 0; j < at; j++)
        for (size_t r = 0; r < k; r++)
            e->z[j * k + r] = e->a[(at + r) * q + j];
    for (size_t j = at; j < left; j++)
        for (size_t r = 0; r < k; r++)
            e->z[j * k + r] = j >= at + r ? e->a[j * q + at + r] : e->a[(at + r) * q + j];
    if (e->n_p)
        clvi_gemm(e->g->pool, (clvi_out){e->z, k}, 1, -1, clvi_view_of(e->p, left, e->n_p, stride),
                  clvi_transposed(clvi_view_of(e->p + at * stride, k, e->n_p, stride)));
}

/* The last slot takes the place of `slot` in A and what belongs to it. */
static void move_last(elimination *e, size_t slot)
{
    const size_t k = e->g->k, q = e->g->q, last = (e->n - 1) * k, at = slot * k, stride = PENDING * k;
    if (at == last)
        return;
    for (size_t r = 0; r < k; r++) {
        memcpy(e->a + (at + r) * q, e->a + (last + r) * q, at * sizeof *e->a);
        memcpy(e->a + (at + r) * q + at, e->a + (last + r) * q + last, (r + 1) * sizeof *e->a);
    }
    for (size_t j = at + k; j < last; j++)
        for (size_t r = 0; r < k; r++)
            e->a[j * q + at + r] = e->a[(last + r) * q + j];
    memcpy(e->p + at * stride, e->p + last * stride, k * stride * sizeof *e->p);
    memcpy(e->diagonal + at * k, e->diagonal + last * k, k * k * sizeof *e->diagonal);
    memcpy(e->z + at * k, e->z + last * k, k * k * sizeof *e->z);
}

/* Find what the slot explains, then let the last slot take its place. The slot's block is positive definite. */
static void take_out(elimination *e, size_t slot)
{
    const clvi_group *g = e->g;
    const size_t k = g->k, q = g->q, left = e->n * k, last = (e->n - 1) * k, at = slot * k, stride = PENDING * k;
    if (e->data) {
        (void)scale_slot(e->scaled, e, slot);
        columns_of(e, slot);
        clvi_solve_lower_right(g->pool, clvi_view_of(e->scaled + k * g->n, k, k, k), true, (clvi_out){e->z, k}, left);
        for (size_t j = 0; j < left; j++)
            memcpy(e->p + j * stride + e->n_p, e->z + j * k, k * sizeof *e->p);
        e->n_p += k;
        e->behind = true;
        move_last(e, slot);
    }
    memmove(e->w + at * g->n, e->w + last * g->n, k * g->n * sizeof *e->w);
    e->channel[slot] = e->channel[--e->n];
    if (e->n_p == stride) {
        clvi_syrk_lower(g->pool, (clvi_out){e->a, q}, 1, -1, clvi_view_of(e->p, last, e->n_p, e->n_p));
        e->n_p = 0;
    }
}

/* The objective at W^ = W*: total - tr W* H^T; without data the weights themselves, which lose nothing. */
static double least_objective(const elimination *e)
{
    const clvi_group *g = e->g;
    double now = e->data ? g->total : 0;
    for (size_t i = 0; i < g->n && e->data; i++)
        for (size_t j = 0; j < g->q; j++)
            now -= e->w[j * g->n + i] * g->h[i * g->q + j];
    return now;
}

/* clvi_prune_order; *done: the removals made, all of them unless it fails. */
static clv_status eliminate(const clvi_group *g, bool data, size_t keep, size_t *removed, double *objective,
                            size_t *done, clv_error *err)
{
    elimination e;
    clv_status st = CLV_OK;
    *done = 0;
    TRY(elimination_create(&e, g, data, err));
    double now = least_objective(&e);
    for (; e.n > keep; ++*done) {
        clvi_pool_run(g->pool, e.n, price_slot, &e);
        const size_t slot = cheapest(&e);
        if (slot == e.n) {
            st = FAIL(err, CLV_ERR_NUMERIC,
                      "none of %zu channels can be taken out: their moments are too close to singular", e.n);
            break;
        }
        now += e.loss[slot];
        removed[*done] = e.channel[slot];
        objective[*done] = now;
        take_out(&e, slot);
    }
    elimination_free(&e);
    return st;
}

clv_status clvi_prune_order(const clvi_group *g, bool data, size_t keep, size_t *removed, double *objective,
                            clv_error *err)
{
    size_t done;
    return eliminate(g, data, keep, removed, objective, &done, err);
}

static const char *refuses(const clvi_conv *v)
{
    if (v->c / v->groups < 2)
        return "each output reads one input channel alone";
    return NULL;
}

static int64_t kept(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const int64_t size = clvi_fit_size(v, opts, v->o / v->groups * v->kh * v->kw);
    return opts->size == 0 && size > v->c ? v->c : size > v->c ? 0 : size;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    return kept(v, opts) * (v->o / v->groups) * v->kh * v->kw;
}

/* The group over some of its channels: matrices of its own. */
static clv_status restrict_to(clvi_group *out, const clvi_group *g, const int32_t *list, size_t n, clv_error *err)
{
    const size_t k = g->k, q = n * k;
    *out = *g;
    out->c = n;
    out->q = q;
    out->w = out->s = NULL;
    out->h = clvi_alloc_array(g->n, q * sizeof *out->h);
    out->s = clvi_alloc_array(q, q * sizeof *out->s);
    if (!out->h || !out->s) {
        clvi_group_free(out);
        return FAIL(err, CLV_ERR_NOMEM, "moments of %zu channels", n);
    }
    for (size_t i = 0; i < n; i++) {
        const size_t at = (size_t)list[i] * k;
        for (size_t r = 0; r < g->n; r++)
            memcpy(out->h + r * q + i * k, g->h + r * g->q + at, k * sizeof *out->h);
        for (size_t j = 0; j < n; j++)
            for (size_t r = 0; r < k; r++)
                memcpy(out->s + (i * k + r) * q + j * k, g->s + (at + r) * g->q + (size_t)list[j] * k,
                       k * sizeof *out->s);
    }
    return CLV_OK;
}

/* from[*n]: where elimination begins: the channels of an earlier fit with more of them, else all. Each step depends on
 * what is left alone, so the way to fewer channels goes over those of any larger size. A start of the same size, which
 * may have been chosen on other statistics, keeps its channels where choosing anew takes long. */
static void begin_at(int32_t *from, size_t *n, const clvi_conv *conv, const clvi_chain *start, size_t group,
                     size_t keep)
{
    const size_t c = (size_t)(conv->c / conv->groups), groups = (size_t)conv->groups;
    const bool large = clvi_conv_extent_of(conv) >= CLVI_CONV_LARGE;
    const size_t had = start && start->n == 1 && start->gather[0] ? (size_t)start->link[0].c / groups : 0;
    bool sound = (had > keep || (had == keep && large)) && had < c;
    for (size_t i = 0; sound && i < had; i++) {
        const int64_t channel = start->gather[0][group * had + i] - (int64_t)(group * c);
        sound = channel >= 0 && channel < (int64_t)c && (i == 0 || channel > from[i - 1]);
        from[i] = (int32_t)channel;
    }
    *n = sound ? had : c;
    for (size_t i = 0; !sound && i < c; i++)
        from[i] = (int32_t)i;
}

/* list[keep]: the channels that stay of from[n], ascending as they are. */
static clv_status choose(int32_t *list, const clvi_group *g, bool data, const int32_t *from, size_t n, size_t keep,
                         clv_error *err)
{
    const size_t gone = n - keep;
    size_t *removed = clvi_alloc_array(gone ? gone : 1, sizeof *removed), kept_so_far = 0;
    double *objective = clvi_alloc_array(gone ? gone : 1, sizeof *objective);
    bool *out = clvi_calloc(n, sizeof *out);
    clvi_group part = {0};
    const bool some = data && n < g->c && gone;
    clv_status st = removed && objective && out ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "choice among %zu channels", n);
    if (st == CLV_OK && some)
        st = restrict_to(&part, g, from, n, err);
    if (st == CLV_OK && gone)
        st = clvi_prune_order(some ? &part : g, data, keep, removed, objective, err);
    if (st == CLV_OK) {
        for (size_t i = 0; i < gone; i++)
            out[removed[i]] = true;
        for (size_t i = 0; i < n; i++)
            if (!out[i])
                list[kept_so_far++] = from[i];
    }
    clvi_group_free(&part);
    clvi_free(removed);
    clvi_free(objective);
    clvi_free(out);
    return st;
}

/* w[n, keep K]: the regression onto these channels, from the moments anew, so that no downdate's rounding is in it. */
static clv_status regress(float *w, const clvi_group *g, bool data, const int32_t *list, size_t keep, clv_error *err)
{
    const size_t k = g->k, p = keep * k, q = g->q;
    double *s = data ? clvi_alloc_array(p, p * sizeof *s) : NULL, *x = clvi_alloc_array(g->n, p * sizeof *x);
    const double *from = data ? g->h : g->w;
    clv_status st = x && (!data || s) ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "regression on %zu inputs", p);
    if (st != CLV_OK)
        goto out;
    for (size_t i = 0; i < keep; i++) {
        const size_t at = (size_t)list[i] * k;
        for (size_t r = 0; r < g->n; r++)
            memcpy(x + r * p + i * k, from + r * q + at, k * sizeof *x);
        for (size_t j = 0; data && j < keep; j++)
            for (size_t r = 0; r < k; r++)
                memcpy(s + (i * k + r) * p + j * k, g->s + (at + r) * q + (size_t)list[j] * k, k * sizeof *s);
    }
    if (data && (st = clvi_solve_spd(g->pool, s, p, x, g->n, err)) != CLV_OK)
        goto out;
    for (size_t j = 0; j < g->n * p; j++)
        w[j] = (float)x[j];
out:
    clvi_free(s);
    clvi_free(x);
    return st;
}

/* One group and the whole order in which its channels go: removed[n], less than all where the last could not be told
 * apart. */
typedef struct ordered {
    clvi_group group;
    size_t *removed;
    size_t n;
} ordered;

static void release_order(void *item)
{
    ordered *o = item;
    clvi_group_free(&o->group);
    clvi_free(o->removed);
    o->removed = NULL;
}

static clv_status make_order(void *item, clvi_group *g, bool data, clv_error *err)
{
    ordered *o = item;
    double *objective = clvi_alloc_array(g->c, sizeof *objective);
    o->removed = clvi_alloc_array(g->c, sizeof *o->removed);
    clv_status st = objective && o->removed ? eliminate(g, data, 0, o->removed, objective, &o->n, err)
                                            : FAIL(err, CLV_ERR_NOMEM, "choice among %zu channels", g->c);
    clvi_free(objective);
    o->group = *g;
    *g = (clvi_group){0};
    if (st == CLV_ERR_NUMERIC && o->n > 0)
        st = CLV_OK;
    if (st != CLV_OK)
        release_order(o);
    return st;
}

static const clvi_memo_kind whole_orders = {sizeof(ordered), make_order, release_order};

/* list[keep]: what an order leaves, ascending. */
static clv_status read_order(int32_t *list, const ordered *o, size_t keep, clv_error *err)
{
    const size_t c = o->group.c, gone = c - keep;
    if (gone > o->n)
        return FAIL(err, CLV_ERR_NUMERIC,
                    "of %zu channels %zu can be taken out, not %zu: their moments are too close to singular", c, o->n,
                    gone);
    bool *out = clvi_calloc(c, sizeof *out);
    if (!out)
        return FAIL(err, CLV_ERR_NOMEM, "choice among %zu channels", c);
    for (size_t i = 0; i < gone; i++)
        out[o->removed[i]] = true;
    for (size_t i = 0, n = 0; i < c; i++)
        if (!out[i])
            list[n++] = (int32_t)i;
    clvi_free(out);
    return CLV_OK;
}

/* list[keep] and w[n, keep K] of one group by itself; from[c] is scratch. */
static clv_status fit_group(int32_t *list, float *w, int32_t *from, const clvi_conv *conv, size_t group,
                            const clvi_covariance *cov, size_t keep, const clvi_fit_opts *opts, clvi_pool *pool,
                            clv_error *err)
{
    const bool data = opts->method != CLVI_METHOD_SVD;
    clvi_group g;
    size_t channels;
    TRY(clvi_group_create(&g, conv, group, cov ? &cov[group] : NULL, opts->ridge, pool, err));
    begin_at(from, &channels, conv, data ? opts->start : NULL, group, keep);
    clv_status st = choose(list, &g, data, from, channels, keep, err);
    if (st == CLV_OK)
        st = regress(w, &g, data, list, keep, err);
    clvi_group_free(&g);
    return st;
}

static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    *out = (clvi_fit){0};
    TRY(clvi_conv_check(conv, err));
    const int64_t all = kept(conv, opts);
    const size_t c = (size_t)(conv->c / conv->groups), n = (size_t)(conv->o / conv->groups);
    const bool data = opts->method != CLVI_METHOD_SVD;
    if (all == 0)
        return FAIL(err, CLV_ERR_ARG, "%lld of %zu input channels in each of %lld groups", (long long)opts->size, c,
                    (long long)conv->groups);
    if (data && !cov)
        return FAIL(err, CLV_ERR_ARG, "method %s needs statistics", clvi_method_name(opts->method));
    const size_t keep = (size_t)(all / conv->groups), row = keep * (size_t)(conv->kh * conv->kw);
    clvi_pool *const pool = context ? context->pool : NULL;
    float *w = clvi_arena_calloc(arena, (size_t)conv->o, row * sizeof *w);
    int32_t *list = clvi_arena_calloc(arena, (size_t)all, sizeof *list);
    int32_t *from = clvi_arena_calloc(arena, c, sizeof *from);
    if (!w || !list || !from)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %lld kept channels", (long long)all);
    for (size_t g = 0; g < (size_t)conv->groups; g++) {
        int32_t *const own = list + g * keep;
        if (opts->memo) {
            void *item;
            TRY(clvi_memo_item(&item, opts->memo, &whole_orders, conv, g, cov, opts, pool, err));
            const ordered *order = item;
            TRY(read_order(own, order, keep, err));
            TRY(regress(w + g * n * row, &order->group, data, own, keep, err));
        } else {
            TRY(fit_group(own, w + g * n * row, from, conv, g, cov, keep, opts, pool, err));
        }
        for (size_t i = 0; i < keep; i++)
            own[i] += (int32_t)(g * c);
    }
    out->chain.n = 1;
    out->chain.link[0] = *conv;
    out->chain.link[0].c = all;
    out->chain.link[0].w = w;
    out->chain.link[0].bias = NULL;
    out->chain.gather[0] = list;
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, context, err);
}

const clvi_form clvi_form_prune = {"prune", true, 0, refuses, macs, fit};
