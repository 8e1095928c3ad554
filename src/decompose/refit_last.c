/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/refit_last.h"

#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "decompose/refit_pass.h"
#include "linalg/matrix.h"
#include "linalg/regress.h"

#define ROWS ((size_t)256)

bool clvi_last_fits(const clvi_chain *chain, const clvi_conv *conv)
{
    if (chain->n < 2)
        return false;
    const clvi_conv *last = &chain->link[chain->n - 1];
    return last->kh == 1 && last->kw == 1 && last->sh == 1 && last->sw == 1 && last->pt == 0 && last->pl == 0 &&
           last->pb == 0 && last->pr == 0 && last->groups == conv->groups && !chain->gather[chain->n - 1];
}

/* One group, all float64 but s. */
typedef struct inner {
    size_t rows, q, m, n;
    const float *x;
    const double *b;          /* [m, q] = B^T */
    size_t *from, *to;        /* [m] the range of a row of b that is not zero */
    float *s;                 /* [rows, m] */
    double *mean_s;           /* [m] */
    double *gram;             /* [m, m] cov(s) + lambda B^T B */
    double *prior;            /* [n, m] lambda W B */
    double *factor;           /* [m, m] */
    double *p, *bias;         /* [n, m], [n] */
    double *old_p, *old_bias; /* of the round before; the last one's result in the end */
    double *h, *mean_t, *var_t;
    double *scratch; /* [threads, ROWS, q + m] for dense B, or NULL */
    double damping;  /* delta of solve() */
} inner;

static void inner_free(inner *v)
{
    double *const owned[] = {v->mean_s, v->gram,   v->prior, v->factor, v->p,        v->bias,
                             v->h,      v->mean_t, v->var_t, v->old_p,  v->old_bias, v->scratch};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        clvi_free(owned[i]);
    clvi_free(v->from);
    clvi_free(v->to);
    clvi_free(v->s);
}

static clv_status inner_create(inner *v, clv_error *err)
{
    const size_t m = v->m, n = v->n;
    v->from = clvi_alloc_array(m, sizeof *v->from);
    v->to = clvi_alloc_array(m, sizeof *v->to);
    v->s = clvi_alloc_array(v->rows, m * sizeof *v->s);
    v->mean_s = clvi_alloc_array(m, sizeof(double));
    v->gram = clvi_alloc_array(m, m * sizeof(double));
    v->prior = clvi_alloc_array(n, m * sizeof(double));
    v->factor = clvi_alloc_array(m, m * sizeof(double));
    v->p = clvi_alloc_array(n, m * sizeof(double));
    v->bias = clvi_alloc_array(n, sizeof(double));
    v->old_p = clvi_alloc_array(n, m * sizeof(double));
    v->old_bias = clvi_alloc_array(n, sizeof(double));
    v->h = clvi_alloc_array(n, m * sizeof(double));
    v->mean_t = clvi_alloc_array(n, sizeof(double));
    v->var_t = clvi_alloc_array(n, sizeof(double));
    if (v->from && v->to && v->s && v->mean_s && v->gram && v->prior && v->factor && v->p && v->bias && v->old_p &&
        v->old_bias && v->h && v->mean_t && v->var_t)
        return CLV_OK;
    inner_free(v);
    return FAIL(err, CLV_ERR_NOMEM, "%zu inner channels of %zu patches", m, v->rows);
}

static void ranges(inner *v)
{
    for (size_t j = 0; j < v->m; j++) {
        const double *b = v->b + j * v->q;
        size_t from = 0, to = v->q;
        while (from < to && b[from] == 0)
            from++;
        while (to > from && b[to - 1] == 0)
            to--;
        v->from[j] = from;
        v->to[j] = to;
    }
}

/* s = x B. */
static void sparse_block(const inner *v, size_t first, size_t rows)
{
    for (size_t r = first; r < first + rows; r++)
        for (size_t j = 0; j < v->m; j++) {
            const float *x = v->x + r * v->q;
            const double *b = v->b + j * v->q;
            double sum = 0;
            for (size_t i = v->from[j]; i < v->to[j]; i++)
                sum += b[i] * (double)x[i];
            v->s[r * v->m + j] = (float)sum;
        }
}

static void dense_block(const inner *v, size_t first, size_t rows, double *scratch)
{
    double *x = scratch, *s = x + ROWS * v->q;
    for (size_t i = 0; i < rows * v->q; i++)
        x[i] = (double)v->x[first * v->q + i];
    clvi_gemm(NULL, (clvi_out){s, v->m}, 0, 1, clvi_view_of(x, rows, v->q, v->q),
              clvi_transposed(clvi_view_of(v->b, v->m, v->q, v->q)));
    for (size_t i = 0; i < rows * v->m; i++)
        v->s[first * v->m + i] = (float)s[i];
}

static void inner_task(void *arg, size_t block, int worker)
{
    const inner *v = arg;
    const size_t first = block * ROWS, rows = clvi_min_size(ROWS, v->rows - first);
    if (v->scratch)
        dense_block(v, first, rows, v->scratch + (size_t)worker * ROWS * (v->q + v->m));
    else
        sparse_block(v, first, rows);
}

/* A depthwise filter reads few columns of x: rows of B^T are cut to what is not zero. Products are for full ones. */
static clv_status fill_inner(inner *v, clvi_pool *pool, clv_error *err)
{
    size_t taps = 0;
    ranges(v);
    for (size_t j = 0; j < v->m; j++)
        taps += v->to[j] - v->from[j];
    if (taps > v->m * v->q / 8) {
        v->scratch = clvi_alloc_array((size_t)clvi_pool_threads(pool) * ROWS, (v->q + v->m) * sizeof(double));
        if (!v->scratch)
            return FAIL(err, CLV_ERR_NOMEM, "blocks of %zu inputs", v->q);
    }
    clvi_pool_run(pool, (v->rows + ROWS - 1) / ROWS, inner_task, v);
    return CLV_OK;
}

/* lambda as group.h has it. */
static double lambda_of(const clvi_covariance *cov, double ridge)
{
    double trace = 0;
    for (size_t j = 0; j < cov->q; j++)
        trace += cov->s[j * cov->q + j];
    return trace > 0 ? fmax(ridge, 1e-12 * (double)cov->q) * trace / (double)cov->q : 1;
}

static clv_status moments_of_inner(inner *v, const clvi_covariance *cov, const float *w, double ridge, clvi_pool *pool,
                                   clv_error *err)
{
    const size_t q = v->q, m = v->m;
    const double lambda = lambda_of(cov, ridge);
    const clvi_view b = clvi_view_of(v->b, m, q, q);
    double *bs = clvi_alloc_array(m, q * sizeof *bs), *wd = clvi_alloc_array(v->n, q * sizeof *wd), trace = 0;
    if (!bs || !wd) {
        clvi_free(bs);
        clvi_free(wd);
        return FAIL(err, CLV_ERR_NOMEM, "moments of %zu inner channels", m);
    }
    for (size_t i = 0; i < v->n * q; i++)
        wd[i] = (double)w[i];
    memcpy(bs, v->b, m * q * sizeof *bs);
    clvi_gemm(pool, (clvi_out){bs, q}, lambda, 1, b, clvi_view_of(cov->s, q, q, q));
    clvi_gemm(pool, (clvi_out){v->gram, m}, 0, 1, clvi_view_of(bs, m, q, q), clvi_transposed(b));
    clvi_gemm(pool, (clvi_out){v->prior, m}, 0, lambda, clvi_view_of(wd, v->n, q, q), clvi_transposed(b));
    clvi_gemm(NULL, (clvi_out){v->mean_s, 1}, 0, 1, b, clvi_view_of(cov->mean_x, q, 1, 1));
    for (size_t j = 0; j < m; j++)
        trace += v->gram[j * m + j];
    v->damping = trace > 0 ? 1e-9 * trace / (double)m : 1;
    clvi_free(bs);
    clvi_free(wd);
    return CLV_OK;
}

/* P = (cov(t, s) + prior + delta P) (gram + delta I)^-1: a step of the proximal point method, still monotone, that
 * stands dead and dependent inner channels. */
static clv_status solve(inner *v, clvi_pool *pool, clv_error *err)
{
    const size_t m = v->m, n = v->n;
    memcpy(v->factor, v->gram, m * m * sizeof *v->factor);
    for (size_t j = 0; j < m; j++)
        v->factor[j * m + j] += v->damping;
    for (size_t i = 0; i < n * m; i++)
        v->p[i] = v->h[i] + v->prior[i] + v->damping * v->p[i];
    TRY(clvi_solve_spd(pool, v->factor, m, v->p, n, err));
    for (size_t i = 0; i < n; i++)
        v->bias[i] = v->mean_t[i] - clvi_dot(clvi_view_of(v->p + i * m, 1, m, m), clvi_view_of(v->mean_s, 1, m, m));
    return CLV_OK;
}

/* v = new + momentum (new - old), and old = new. */
static void extrapolate(double *v, double *old, size_t count, double momentum)
{
    for (size_t i = 0; i < count; i++) {
        const double now = v[i];
        v[i] += momentum * (now - old[i]);
        old[i] = now;
    }
}

/* A round is a gradient step of length 1 in the metric of the majoriser, so Nesterov's momentum applies (FISTA; Beck
 * and Teboulle 2009); it starts afresh when the bound rises (O'Donoghue and Candes 2015). */
static clv_status rounds_of(inner *v, const clvi_pass *pass, const clvi_last_task *task, clvi_pool *pool,
                            clv_error *err)
{
    clvi_pass_sums sums = {.h = v->h, .mean_t = v->mean_t, .var_t = v->var_t};
    const size_t weights = v->n * v->m;
    double before = HUGE_VAL, age = 1;
    memcpy(v->old_p, v->p, weights * sizeof *v->p);
    memcpy(v->old_bias, v->bias, v->n * sizeof *v->bias);
    for (int i = 0; i < task->rounds; i++) {
        TRY(clvi_pass_run(&sums, pass, pool, err));
        const double value = sums.bound;
        if (value <= before && before - value < task->stop * value)
            break;
        const double next = value > before ? 1 : (1 + sqrt(1 + 4 * age * age)) / 2;
        const double momentum = value > before ? 0 : (age - 1) / next;
        before = value;
        age = next;
        TRY(solve(v, pool, err));
        extrapolate(v->p, v->old_p, weights, momentum);
        extrapolate(v->bias, v->old_bias, v->n, momentum);
    }
    return CLV_OK;
}

/* head[m, q]: B^T of this group; w[n, m] and bias[n] are read and overwritten. */
static clv_status improve_group(float *w, float *bias, const double *head, size_t m, const clvi_last_task *task,
                                size_t g, clvi_pool *pool, clv_error *err)
{
    const size_t n = (size_t)(task->conv->o / task->conv->groups);
    const clvi_covariance *cov = &task->cov[g];
    inner v = {.rows = task->reservoir->rows, .q = cov->q, .m = m, .n = n, .x = task->reservoir->x[g], .b = head};
    clv_status st;
    TRY(inner_create(&v, err));
    for (size_t i = 0; i < n * m; i++)
        v.p[i] = (double)w[i];
    for (size_t i = 0; i < n; i++)
        v.bias[i] = (double)bias[i];
    if ((st = moments_of_inner(&v, cov, task->conv->w + g * n * cov->q, task->ridge, pool, err)) != CLV_OK)
        goto out;
    if ((st = fill_inner(&v, pool, err)) != CLV_OK)
        goto out;
    const clvi_reservoir *r = task->reservoir;
    const clvi_pass pass = {.rows = v.rows,
                            .q = m,
                            .n = n,
                            .ld = (size_t)task->conv->o,
                            .x = v.s,
                            .y = r->y + g * n,
                            .shortcut = r->shortcut ? r->shortcut + g * n : NULL,
                            .mean_x = v.mean_s,
                            .w = v.p,
                            .bias = v.bias,
                            .piece = task->piece + g * n};
    if ((st = rounds_of(&v, &pass, task, pool, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < n * m; i++)
        w[i] = (float)v.old_p[i];
    for (size_t i = 0; i < n; i++)
        bias[i] = (float)v.old_bias[i];
out:
    inner_free(&v);
    return st;
}

clv_status clvi_last_improve(clvi_chain *chain, const clvi_last_task *task, clvi_arena *arena, clvi_pool *pool,
                             clv_error *err)
{
    clvi_conv *last = &chain->link[chain->n - 1];
    clvi_conv original = *task->conv;
    clvi_chain head = *chain;
    const size_t groups = (size_t)last->groups, o = (size_t)last->o, m = (size_t)last->c / groups, q = task->cov[0].q;
    double *b = clvi_alloc_array((size_t)last->c, q * sizeof *b);
    float *w = clvi_arena_calloc(arena, o * m, sizeof *w), *bias = clvi_arena_calloc(arena, o, sizeof *bias);
    clv_status st;
    if (!b || !w || !bias) {
        st = FAIL(err, CLV_ERR_NOMEM, "last link of %zu outputs and %lld inner channels", o, (long long)last->c);
        goto out;
    }
    original.o = last->c;
    head.n--;
    if ((st = clvi_chain_expand(&head, &original, b, err)) != CLV_OK)
        goto out;
    memcpy(w, last->w, o * m * sizeof *w);
    if (last->bias)
        memcpy(bias, last->bias, o * sizeof *bias);
    for (size_t g = 0; g < groups; g++) {
        const size_t n = o / groups;
        if ((st = improve_group(w + g * n * m, bias + g * n, b + g * m * q, m, task, g, pool, err)) != CLV_OK)
            goto out;
    }
    last->w = w;
    last->bias = bias;
out:
    clvi_free(b);
    return st;
}
