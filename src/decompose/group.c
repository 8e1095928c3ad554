/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/group.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "linalg/matrix.h"
#include "linalg/regress.h"

clv_status clvi_conv_check(const clvi_conv *v, clv_error *err)
{
    int64_t count;
    if (!v->w || v->o < 1 || v->c < 1 || v->groups < 1 || v->kh < 1 || v->kw < 1 || v->c % v->groups ||
        v->o % v->groups)
        return FAIL(err, CLV_ERR_ARG,
                    "convolution of %lld outputs, %lld inputs, %lld groups, kernel %lld x %lld cannot be split",
                    (long long)v->o, (long long)v->c, (long long)v->groups, (long long)v->kh, (long long)v->kw);
    if (v->sh < 1 || v->sw < 1 || v->dh < 1 || v->dw < 1 || v->pt < 0 || v->pl < 0 || v->pb < 0 || v->pr < 0)
        return FAIL(err, CLV_ERR_ARG,
                    "convolution with strides %lld, %lld, dilations %lld, %lld and pads %lld, %lld, %lld, %lld",
                    (long long)v->sh, (long long)v->sw, (long long)v->dh, (long long)v->dw, (long long)v->pt,
                    (long long)v->pl, (long long)v->pb, (long long)v->pr);
    if (!clvi_mul_i64(v->o, v->c / v->groups, &count) || !clvi_mul_i64(count, v->kh, &count) ||
        !clvi_mul_i64(count, v->kw, &count) || count > INT64_MAX / 64)
        return FAIL(err, CLV_ERR_ARG, "convolution of %lld x %lld x %lld x %lld weights is too large", (long long)v->o,
                    (long long)(v->c / v->groups), (long long)v->kh, (long long)v->kw);
    return CLV_OK;
}

static clv_status check_covariance(const clvi_group *g, clv_error *err)
{
    const clvi_covariance *cov = g->cov;
    if (cov->q != g->q || cov->n != g->n)
        return FAIL(err, CLV_ERR_ARG, "statistics of %zu inputs and %zu targets for a convolution of %zu and %zu",
                    cov->q, cov->n, g->q, g->n);
    if (!clvi_all_finite(cov->s, g->q, g->q, g->q) || !clvi_all_finite(cov->h, g->n, g->q, g->q) ||
        !clvi_all_finite(cov->t, g->n, g->n, g->n) || !clvi_all_finite(cov->mean_x, 1, g->q, g->q) ||
        !clvi_all_finite(cov->mean_t, 1, g->n, g->n))
        return FAIL(err, CLV_ERR_NUMERIC, "statistics of %zu inputs and %zu targets hold a NaN or an infinity", g->q,
                    g->n);
    return CLV_OK;
}

/* A channel is dead when its variance is at the rounding level of the whole: q eps max_j S_jj. */
static void silence_dead(clvi_group *g, double lambda)
{
    const size_t q = g->q, k = g->k;
    double peak = 0;
    for (size_t j = 0; j < q; j++)
        peak = fmax(peak, g->cov->s[j * q + j]);
    for (size_t i = 0; i < g->c; i++) {
        double own = 0;
        for (size_t j = i * k; j < (i + 1) * k; j++)
            own = fmax(own, g->cov->s[j * q + j]);
        if (own > (double)q * DBL_EPSILON * peak)
            continue;
        for (size_t j = i * k; j < (i + 1) * k; j++) {
            for (size_t l = 0; l < q; l++)
                g->s[j * q + l] = g->s[l * q + j] = 0;
            g->s[j * q + j] = lambda;
            for (size_t r = 0; r < g->n; r++)
                g->h[r * q + j] = 0;
        }
    }
}

static void regularise(clvi_group *g, double ridge)
{
    const size_t q = g->q;
    double trace = 0;
    for (size_t j = 0; j < q; j++)
        trace += g->cov->s[j * q + j];
    /* never below rounding, so that S stays positive definite for any statistics */
    const double lambda = trace > 0 ? fmax(ridge, 1e-12 * (double)q) * trace / (double)q : 1;
    memcpy(g->s, g->cov->s, q * q * sizeof *g->s);
    for (size_t j = 0; j < q; j++)
        g->s[j * q + j] += lambda;
    for (size_t i = 0; i < g->n * q; i++)
        g->h[i] = g->cov->h[i] + lambda * g->w[i];
    g->total *= lambda;
    for (size_t i = 0; i < g->n; i++)
        g->total += g->cov->t[i * g->n + i];
    silence_dead(g, lambda);
}

clv_status clvi_group_create(clvi_group *out, const clvi_conv *conv, size_t group, const clvi_covariance *cov,
                             double ridge, clvi_pool *pool, clv_error *err)
{
    *out = (clvi_group){0};
    TRY(clvi_conv_check(conv, err));
    clv_status st = CLV_OK;
    clvi_group g = {.n = (size_t)(conv->o / conv->groups),
                    .c = (size_t)(conv->c / conv->groups),
                    .k = (size_t)(conv->kh * conv->kw),
                    .cov = cov,
                    .pool = pool};
    g.q = g.c * g.k;
    if (!(ridge >= 0) || !isfinite(ridge))
        return FAIL(err, CLV_ERR_ARG, "ridge is %g, a number that is not negative was expected", ridge);
    if (cov)
        TRY(check_covariance(&g, err));
    g.w = clvi_alloc_array(g.n, g.q * sizeof(double));
    if (cov) {
        g.s = clvi_alloc_array(g.q, g.q * sizeof(double));
        g.h = clvi_alloc_array(g.n, g.q * sizeof(double));
    }
    if (!g.w || (cov && (!g.s || !g.h))) {
        st = FAIL(err, CLV_ERR_NOMEM, "matrices of a convolution of %zu x %zu weights", g.n, g.q);
        goto out;
    }
    const float *w = conv->w + group * g.n * g.q;
    for (size_t i = 0; i < g.n * g.q; i++) {
        g.w[i] = (double)w[i];
        g.total += g.w[i] * g.w[i];
    }
    if (!isfinite(g.total)) {
        st = FAIL(err, CLV_ERR_NUMERIC, "weights [%zu, %zu] of group %zu hold a NaN or an infinity", g.n, g.q, group);
        goto out;
    }
    if (cov)
        regularise(&g, ridge);
    *out = g;
    return CLV_OK;
out:
    clvi_group_free(&g);
    return st;
}

void clvi_group_free(clvi_group *g)
{
    if (!g)
        return;
    clvi_free(g->w);
    clvi_free(g->s);
    clvi_free(g->h);
    *g = (clvi_group){0};
}

clv_status clvi_memo_item(void **item, clvi_memo *memo, const clvi_memo_kind *kind, const clvi_conv *conv, size_t group,
                          const clvi_covariance *cov, const clvi_fit_opts *opts, clvi_pool *pool, clv_error *err)
{
    const size_t groups = (size_t)conv->groups;
    if (!memo->items) {
        *memo = (clvi_memo){groups, kind->bytes, clvi_calloc(groups, kind->bytes),
                            clvi_calloc(groups, sizeof *memo->made), kind->release};
        if (!memo->items || !memo->made) {
            memo->groups = 0; /* none to release */
            clvi_memo_free(memo);
            return FAIL(err, CLV_ERR_NOMEM, "a list of %zu groups", groups);
        }
    }
    *item = (char *)memo->items + group * memo->bytes;
    if (memo->made[group])
        return CLV_OK;
    clvi_group g;
    TRY(clvi_group_create(&g, conv, group, cov ? &cov[group] : NULL, opts->ridge, pool, err));
    const clv_status st = kind->make(*item, &g, opts->method != CLVI_METHOD_SVD, err);
    clvi_group_free(&g);
    memo->made[group] = st == CLV_OK;
    return st;
}

clv_status clvi_group_target(const clvi_group *g, double *out, clv_error *err)
{
    double *a = clvi_alloc_array(g->q, g->q * sizeof *a);
    if (!a)
        return FAIL(err, CLV_ERR_NOMEM, "regression on %zu inputs", g->q);
    memcpy(a, g->s, g->q * g->q * sizeof *a);
    memcpy(out, g->h, g->n * g->q * sizeof *out);
    const clv_status st = clvi_solve_spd(g->pool, a, g->q, out, g->n, err);
    clvi_free(a);
    return st;
}

/* tr(W^ (S W^T - 2 H^T)) tile by tile, on the stacks of the threads; S from its diagonal down, since it is symmetric.
 */
#define TILE_ROWS ((size_t)128)
#define TILE_COLS ((size_t)192)
#define STRIPS    ((size_t)16) /* of TILE_ROWS outputs, one task each */

typedef struct excess_job {
    const clvi_covariance *cov;
    const double *what;
    size_t first;
    double sum[STRIPS];
} excess_job;

static void add_strip(void *arg, size_t index, int worker)
{
    excess_job *const job = arg;
    const clvi_covariance *const cov = job->cov;
    const size_t q = cov->q, i0 = job->first + index * TILE_ROWS, rows = clvi_min_size(TILE_ROWS, cov->n - i0);
    double tile[TILE_ROWS * TILE_COLS], sum = 0;
    (void)worker;
    for (size_t j0 = 0; j0 < q; j0 += TILE_COLS) {
        const size_t cols = clvi_min_size(TILE_COLS, q - j0);
        const size_t below = q - j0 - cols;
        const double *const what = job->what + i0 * q + j0, *const s = cov->s + j0 * q + j0;
        clvi_gemm(NULL, (clvi_out){tile, TILE_COLS}, 0, 2, clvi_view_of(what + cols, rows, below, q),
                  clvi_view_of(s + cols * q, below, cols, q));
        clvi_gemm(NULL, (clvi_out){tile, TILE_COLS}, 1, 1, clvi_view_of(what, rows, cols, q),
                  clvi_view_of(s, cols, cols, q));
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < cols; j++) {
                const size_t at = (i0 + i) * q + j0 + j;
                sum += job->what[at] * (tile[i * TILE_COLS + j] - 2 * cov->h[at]);
            }
    }
    job->sum[index] = sum;
}

static double excess(const clvi_covariance *cov, const double *what, clvi_pool *pool)
{
    double sum = 0;
    excess_job job = {cov, what, 0, {0}};
    for (; job.first < cov->n; job.first += STRIPS * TILE_ROWS) {
        const size_t strips = clvi_min_size(STRIPS, (cov->n - job.first + TILE_ROWS - 1) / TILE_ROWS);
        clvi_pool_run(pool, strips, add_strip, &job);
        for (size_t i = 0; i < strips; i++)
            sum += job.sum[i];
    }
    return sum;
}

static double trace_of(const clvi_covariance *cov)
{
    double trace = 0;
    for (size_t i = 0; i < cov->n; i++)
        trace += cov->t[i * cov->n + i];
    return trace;
}

double clvi_error_of(const clvi_covariance *cov, const double *what)
{
    const double trace = trace_of(cov);
    return trace > 0 ? (trace + excess(cov, what, NULL)) / trace : 0;
}

double clvi_group_error(const clvi_group *g, const double *what)
{
    double sum = 0;
    if (g->cov)
        return trace_of(g->cov) + excess(g->cov, what, g->pool);
    for (size_t i = 0; i < g->n * g->q; i++)
        sum += (what[i] - g->w[i]) * (what[i] - g->w[i]);
    return sum;
}

clvi_conv clvi_link_pointwise(const clvi_conv *original, int64_t o, int64_t c, const float *w)
{
    return (clvi_conv){.o = o,
                       .c = c,
                       .groups = original->groups,
                       .kh = 1,
                       .kw = 1,
                       .sh = 1,
                       .sw = 1,
                       .dh = 1,
                       .dw = 1,
                       .rank = original->rank,
                       .w = w};
}

int64_t clvi_fit_size(const clvi_conv *v, const clvi_fit_opts *opts, int64_t per_channel)
{
    const int64_t g = v->groups;
    if (opts->size != 0)
        return opts->size > 0 && opts->size % g == 0 ? opts->size : 0;
    const double size = opts->multiplier * (double)((v->o / g + v->kh * v->kw) * (v->c / g)) / (double)per_channel;
    return size >= 1 && size < (double)(INT32_MAX / g) ? (int64_t)size * g : 0;
}

/* bias = mean(t) - W^ mean(x) of one group. */
static void centre_bias(float *bias, const clvi_covariance *cov, const double *what)
{
    for (size_t i = 0; i < cov->n; i++) {
        double sum = cov->mean_t[i];
        for (size_t j = 0; j < cov->q; j++)
            sum -= what[i * cov->q + j] * cov->mean_x[j];
        bias[i] = (float)sum;
    }
}

clv_status clvi_fit_finish(clvi_fit *fit, const clvi_conv *conv, const clvi_covariance *cov, int64_t macs,
                           clvi_arena *arena, clv_context *context, clv_error *err)
{
    clvi_conv *last = &fit->chain.link[fit->chain.n - 1];
    const size_t groups = (size_t)conv->groups, n = (size_t)conv->o / groups;
    const size_t each = n * (size_t)(conv->c / conv->groups * conv->kh * conv->kw);
    double *what = clvi_alloc_array(groups, each * sizeof *what), error = 0, total = 0;
    clvi_pool *const pool = context ? context->pool : NULL;
    float *bias = NULL;
    clv_status st;
    if (!what) {
        st = FAIL(err, CLV_ERR_NOMEM, "%zu weights of a compressed convolution", groups * each);
        goto out;
    }
    if ((st = clvi_chain_expand(&fit->chain, conv, what, err)) != CLV_OK)
        goto out;
    if (cov || conv->bias) {
        bias = clvi_arena_calloc(arena, (size_t)conv->o, sizeof *bias);
        if (!bias) {
            st = FAIL(err, CLV_ERR_NOMEM, "%zu biases", (size_t)conv->o);
            goto out;
        }
    }
    if (conv->bias && bias)
        memcpy(bias, conv->bias, (size_t)conv->o * sizeof *bias);
    for (size_t g = 0; g < groups; g++) {
        const double *const part = what + g * each;
        if (cov) {
            total += trace_of(&cov[g]);
            error += trace_of(&cov[g]) + excess(&cov[g], part, pool);
            centre_bias(bias + g * n, &cov[g], part);
            continue;
        }
        for (size_t i = 0; i < each; i++) {
            const double w = (double)conv->w[g * each + i];
            total += w * w;
            error += (w - part[i]) * (w - part[i]);
        }
    }
    last->bias = bias;
    fit->error = total > 0 ? fmax(0, error / total) : 0;
    fit->macs_per_pixel = macs;
out:
    clvi_free(what);
    return st;
}
