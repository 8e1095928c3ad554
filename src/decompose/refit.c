/* SPDX-License-Identifier: Apache-2.0 */
/* A chain is judged by the pass that also makes the next target, so a round is: solve the last link a few times, judge,
 * fit, judge. Chains in the making live in arenas of their own; the best is copied out at the end. */
#include "decompose/refit.h"

#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "decompose/group.h"
#include "decompose/refit_last.h"
#include "decompose/refit_pass.h"

#define LAMBDAS ((size_t)2)
static const double lambdas[LAMBDAS] = {0.01, 1};

clvi_refit_opts clvi_refit_opts_default(void)
{
    return (clvi_refit_opts){.method = CLVI_REFIT_MAJORISE, .rounds = 6, .last_rounds = 0, .stop = 0.005};
}

/* A chain with its memory. */
typedef struct kept {
    clvi_fit fit;
    clvi_arena *arena;
    double loss; /* relative */
} kept;

typedef struct refit {
    const clvi_refit_task *task;
    const clvi_refit_opts *opts;
    size_t groups, n, q, o;
    clvi_piece *piece;          /* [o] */
    const clvi_covariance *cov; /* [groups] the task's, or collected */
    clvi_covariance *collected;
    clvi_covariance *aim; /* [groups]: s and mean_x are cov's, the rest is owned */
    double *w, *bias;     /* [o, q], [o]: the chain multiplied out */
    double energy;        /* sum (f(y) - mean f(y))^2 */
    clv_context *context;
    clvi_pool *pool;
    kept now, best;
} refit;

static void kept_free(kept *k)
{
    clvi_arena_free(k->arena);
    *k = (kept){0};
}

static void refit_free(refit *r)
{
    for (size_t g = 0; g < r->groups; g++) {
        if (r->collected)
            clvi_covariance_free(&r->collected[g]);
        if (r->aim) {
            clvi_free(r->aim[g].h);
            clvi_free(r->aim[g].t);
            clvi_free(r->aim[g].mean_t);
        }
    }
    clvi_free(r->collected);
    clvi_free(r->aim);
    clvi_free(r->piece);
    clvi_free(r->w);
    clvi_free(r->bias);
    kept_free(&r->now);
    kept_free(&r->best);
}

static const void *copied(clvi_arena *arena, const void *from, size_t bytes)
{
    void *to = clvi_arena_alloc(arena, bytes);
    if (to)
        memcpy(to, from, bytes);
    return to;
}

/* to = from, with weights, biases and gathers in arena. */
static clv_status copy_fit(clvi_fit *to, const clvi_fit *from, clvi_arena *arena, clv_error *err)
{
    *to = *from;
    for (size_t i = 0; i < from->chain.n; i++) {
        const clvi_conv *a = &from->chain.link[i];
        clvi_conv *b = &to->chain.link[i];
        const size_t o = (size_t)a->o, weights = o * (size_t)(a->c / a->groups * a->kh * a->kw);
        const int32_t *gather = from->chain.gather[i];
        b->w = copied(arena, a->w, weights * sizeof *a->w);
        b->bias = a->bias ? copied(arena, a->bias, o * sizeof *a->bias) : NULL;
        to->chain.gather[i] = gather ? copied(arena, gather, (size_t)a->c * sizeof *gather) : NULL;
        if (!b->w || (a->bias && !b->bias) || (gather && !to->chain.gather[i]))
            return FAIL(err, CLV_ERR_NOMEM, "a copy of %zu weights", weights);
    }
    return CLV_OK;
}

static clv_status copy_kept(kept *to, const kept *from, clv_error *err)
{
    clv_status st;
    *to = (kept){.arena = clvi_arena_create(), .loss = from->loss};
    if (!to->arena)
        return FAIL(err, CLV_ERR_NOMEM, "a copy of a chain");
    if ((st = copy_fit(&to->fit, &from->fit, to->arena, err)) != CLV_OK)
        kept_free(to);
    return st;
}

static clv_status check(const clvi_refit_task *task, const clvi_refit_opts *opts, clv_error *err)
{
    const clvi_reservoir *r = task->reservoir;
    TRY(clvi_conv_check(task->conv, err));
    TRY(clvi_activation_check(task->activation, (size_t)task->conv->o, err));
    if (opts->rounds < 0 || opts->last_rounds < 0 || !(opts->stop >= 0) ||
        (opts->method != CLVI_REFIT_MAJORISE && opts->method != CLVI_REFIT_ALTERNATE))
        return FAIL(err, CLV_ERR_ARG, "refit by method %d with %d and %d rounds, to end below a gain of %g",
                    (int)opts->method, opts->rounds, opts->last_rounds, opts->stop);
    if (r->rows < 2 || !r->x || !r->y)
        return FAIL(err, CLV_ERR_ARG, "a reservoir of %zu patches", r->rows);
    if (task->start->chain.n < 1 || task->start->chain.n > CLVI_MAX_LINKS)
        return FAIL(err, CLV_ERR_ARG, "a chain of %zu links", task->start->chain.n);
    return CLV_OK;
}

/* The covariance of group g's patches; targets do not matter, y's are taken. */
static clv_status collect(clvi_covariance *out, const refit *r, size_t g, clv_error *err)
{
    const clvi_reservoir *from = r->task->reservoir;
    clvi_moments m;
    float *t = clvi_alloc_array(CLVI_MOMENTS_BLOCK, r->n * sizeof *t);
    clv_status st = CLV_OK;
    if (!t)
        return FAIL(err, CLV_ERR_NOMEM, "a block of %zu targets", r->n);
    if ((st = clvi_moments_create(&m, r->q, r->n, err)) != CLV_OK)
        goto out;
    m.pool = r->pool;
    for (size_t first = 0; first < from->rows && st == CLV_OK; first += CLVI_MOMENTS_BLOCK) {
        const size_t rows = clvi_min_size(CLVI_MOMENTS_BLOCK, from->rows - first);
        for (size_t i = 0; i < rows; i++)
            memcpy(t + i * r->n, from->y + (first + i) * r->o + g * r->n, r->n * sizeof *t);
        st = clvi_moments_add(&m, rows, from->x[g] + first * r->q, t, err);
    }
    if (st == CLV_OK)
        st = clvi_covariance_of(out, &m, err);
    clvi_moments_free(&m);
out:
    clvi_free(t);
    return st;
}

/* sum over rows and channels of (f(y) - mean f(y))^2, in two passes. */
static double energy_of(const refit *r)
{
    const clvi_reservoir *from = r->task->reservoir;
    double *mean = r->bias, sum = 0; /* bias is free until the first chain is judged */
    memset(mean, 0, r->o * sizeof *mean);
    for (size_t s = 0; s < from->rows; s++)
        for (size_t i = 0; i < r->o; i++)
            mean[i] += clvi_piece_unit(&r->piece[i], (double)from->y[s * r->o + i]) / (double)from->rows;
    for (size_t s = 0; s < from->rows; s++)
        for (size_t i = 0; i < r->o; i++) {
            const clvi_piece *f = &r->piece[i];
            const double d = f->scale * (clvi_piece_unit(f, (double)from->y[s * r->o + i]) - mean[i]);
            sum += d * d;
        }
    return sum;
}

static clv_status refit_create(refit *r, clv_error *err)
{
    const clvi_refit_task *task = r->task;
    r->piece = clvi_alloc_array(r->o, sizeof *r->piece);
    r->aim = clvi_calloc(r->groups, sizeof *r->aim);
    r->w = clvi_alloc_array(r->o, r->q * sizeof *r->w);
    r->bias = clvi_alloc_array(r->o, sizeof *r->bias);
    r->collected = task->cov ? NULL : clvi_calloc(r->groups, sizeof *r->collected);
    if (!r->piece || !r->aim || !r->w || !r->bias || (!task->cov && !r->collected))
        return FAIL(err, CLV_ERR_NOMEM, "refit of %zu x %zu weights", r->o, r->q);
    for (size_t i = 0; i < r->o; i++)
        r->piece[i] = clvi_activation_piece(task->activation, i);
    for (size_t g = 0; g < r->groups; g++) {
        if (!task->cov)
            TRY(collect(&r->collected[g], r, g, err));
        const clvi_covariance *cov = task->cov ? &task->cov[g] : &r->collected[g];
        if (cov->q != r->q)
            return FAIL(err, CLV_ERR_ARG, "statistics of %zu inputs for a convolution of %zu", cov->q, r->q);
        r->aim[g] = (clvi_covariance){.q = r->q, .n = r->n, .s = cov->s, .mean_x = cov->mean_x};
        r->aim[g].h = clvi_alloc_array(r->n, r->q * sizeof(double));
        r->aim[g].t = clvi_calloc(r->n, r->n * sizeof(double)); /* fits read the diagonal alone */
        r->aim[g].mean_t = clvi_calloc(r->n, sizeof(double));
        if (!r->aim[g].h || !r->aim[g].t || !r->aim[g].mean_t)
            return FAIL(err, CLV_ERR_NOMEM, "moments of %zu inputs and %zu targets", r->q, r->n);
    }
    r->cov = task->cov ? task->cov : r->collected;
    r->energy = energy_of(r);
    return CLV_OK;
}

/* Judge `now`, and aim at what it leads to. */
static clv_status judge(refit *r, double lambda, clv_error *err)
{
    const clvi_reservoir *from = r->task->reservoir;
    const clvi_chain *chain = &r->now.fit.chain;
    const float *bias = chain->link[chain->n - 1].bias;
    double loss = 0;
    TRY(clvi_chain_expand(chain, r->task->conv, r->w, err));
    for (size_t i = 0; i < r->o; i++)
        r->bias[i] = bias ? (double)bias[i] : 0;
    for (size_t g = 0; g < r->groups; g++) {
        clvi_covariance *aim = &r->aim[g];
        const size_t at = g * r->n;
        const clvi_pass pass = {.rows = from->rows,
                                .q = r->q,
                                .n = r->n,
                                .ld = r->o,
                                .x = from->x[g],
                                .y = from->y + at,
                                .shortcut = from->shortcut ? from->shortcut + at : NULL,
                                .mean_x = aim->mean_x,
                                .w = r->w + at * r->q,
                                .bias = r->bias + at,
                                .piece = r->piece + at,
                                .lambda = lambda};
        double *variance = clvi_alloc_array(r->n, sizeof *variance);
        if (!variance)
            return FAIL(err, CLV_ERR_NOMEM, "%zu variances", r->n);
        clvi_pass_sums sums = {.h = aim->h, .mean_t = aim->mean_t, .var_t = variance};
        const clv_status st = clvi_pass_run(&sums, &pass, r->pool, err);
        for (size_t i = 0; i < r->n && st == CLV_OK; i++)
            aim->t[i * r->n + i] = variance[i];
        clvi_free(variance);
        TRY(st);
        loss += sums.loss;
    }
    r->now.loss = r->energy > 0 ? loss / r->energy : loss;
    return r->context ? clvi_check_cancel(r->context, err) : CLV_OK;
}

/* Remember `now` where it is the best so far. */
static clv_status keep(refit *r, clv_error *err)
{
    if (r->best.arena && !(r->now.loss < r->best.loss))
        return CLV_OK;
    kept_free(&r->best);
    return copy_kept(&r->best, &r->now, err);
}

/* now = a fit to the aim, started from now. */
static clv_status fit_aim(refit *r, clv_error *err)
{
    kept next = {.arena = clvi_arena_create()};
    clvi_fit_opts opts = *r->task->fit_opts;
    clv_status st;
    if (!next.arena)
        return FAIL(err, CLV_ERR_NOMEM, "a fit");
    opts.start = &r->now.fit.chain;
    st = r->task->form->fit(&next.fit, r->task->conv, r->aim, &opts, next.arena, r->context, err);
    if (st != CLV_OK) {
        kept_free(&next);
        return st;
    }
    kept_free(&r->now);
    r->now = next;
    return CLV_OK;
}

static clv_status improve_last(refit *r, clv_error *err)
{
    const clvi_last_task task = {.conv = r->task->conv,
                                 .reservoir = r->task->reservoir,
                                 .cov = r->cov,
                                 .piece = r->piece,
                                 .ridge = r->task->fit_opts->ridge,
                                 .rounds = r->opts->last_rounds,
                                 .stop = r->opts->stop / 10};
    if (r->opts->last_rounds == 0 || !clvi_last_fits(&r->now.fit.chain, r->task->conv))
        return CLV_OK;
    TRY(clvi_last_improve(&r->now.fit.chain, &task, r->now.arena, r->pool, err));
    TRY(judge(r, 0, err));
    return keep(r, err);
}

static clv_status majorise(refit *r, int *rounds, clv_error *err)
{
    for (*rounds = 0;; ++*rounds) {
        const double before = *rounds ? r->best.loss : HUGE_VAL;
        TRY(improve_last(r, err));
        if (*rounds == r->opts->rounds)
            return CLV_OK;
        TRY(fit_aim(r, err));
        TRY(judge(r, 0, err));
        TRY(keep(r, err));
        if (before - r->best.loss < r->opts->stop * r->best.loss) {
            ++*rounds;
            return improve_last(r, err);
        }
    }
}

static clv_status alternate(refit *r, int *rounds, clv_error *err)
{
    for (size_t l = 0; l < LAMBDAS; l++)
        for (int i = 0; i < r->opts->rounds; i++) {
            if (i == 0)
                TRY(judge(r, lambdas[l], err));
            TRY(fit_aim(r, err));
            TRY(judge(r, lambdas[l], err));
            TRY(keep(r, err));
            ++*rounds;
        }
    return CLV_OK;
}

clv_status clvi_refit(clvi_refit_result *out, const clvi_refit_task *task, const clvi_refit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    const clvi_conv *v = task->conv;
    clv_status st;
    int rounds = 0;
    *out = (clvi_refit_result){0};
    TRY(check(task, opts, err));
    refit r = {.task = task,
               .opts = opts,
               .groups = (size_t)v->groups,
               .n = (size_t)(v->o / v->groups),
               .q = (size_t)(v->c / v->groups * v->kh * v->kw),
               .o = (size_t)v->o,
               .context = context,
               .pool = context ? context->pool : NULL};
    const kept start = {.fit = *task->start};
    if ((st = refit_create(&r, err)) != CLV_OK || (st = copy_kept(&r.now, &start, err)) != CLV_OK ||
        (st = judge(&r, 0, err)) != CLV_OK || (st = keep(&r, err)) != CLV_OK)
        goto out;
    out->before = r.best.loss;
    st = opts->method == CLVI_REFIT_MAJORISE ? majorise(&r, &rounds, err) : alternate(&r, &rounds, err);
    if (st != CLV_OK || (st = copy_fit(&out->fit, &r.best.fit, arena, err)) != CLV_OK)
        goto out;
    out->after = out->fit.error = r.best.loss;
    out->rounds = rounds;
out:
    refit_free(&r);
    if (st != CLV_OK)
        *out = (clvi_refit_result){0};
    return st;
}
