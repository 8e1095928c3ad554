/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/dwfit.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

clv_status clvi_dw_create(clvi_dw *out, const clvi_group *g, const size_t *filters, clv_error *err)
{
    *out = (clvi_dw){.c = g->c, .k = g->k, .n = g->n};
    out->first = clvi_calloc(g->c + 1, sizeof *out->first);
    for (size_t i = 0; out->first && i < g->c; i++)
        out->first[i + 1] = out->first[i] + filters[i];
    out->total = out->first ? out->first[g->c] : 0;
    out->d = clvi_calloc(out->total, g->k * sizeof *out->d);
    out->pt = clvi_calloc(out->total, g->n * sizeof *out->pt);
    if (out->first && out->d && out->pt)
        return CLV_OK;
    const size_t total = out->total;
    clvi_dw_free(out);
    return FAIL(err, CLV_ERR_NOMEM, "%zu filters of %zu taps for %zu outputs", total, g->k, g->n);
}

void clvi_dw_free(clvi_dw *dw)
{
    if (!dw)
        return;
    clvi_free(dw->first);
    clvi_free(dw->d);
    clvi_free(dw->pt);
    *dw = (clvi_dw){0};
}

void clvi_dw_normalise(clvi_dw *dw)
{
    for (size_t a = 0; a < dw->total; a++) {
        double *d = dw->d + a * dw->k, *p = dw->pt + a * dw->n, norm = 0, peak = 0, scale = 0;
        for (size_t t = 0; t < dw->k; t++)
            norm += d[t] * d[t];
        norm = sqrt(norm);
        for (size_t i = 0; i < dw->n; i++)
            if (fabs(p[i]) > fabs(peak))
                peak = p[i];
        if (norm > 0 && peak != 0)
            scale = peak > 0 ? norm : -norm;
        for (size_t t = 0; t < dw->k; t++)
            d[t] = scale != 0 ? (double)(float)(d[t] / scale) : 0;
        for (size_t i = 0; i < dw->n; i++)
            p[i] = (double)(float)(p[i] * scale);
    }
}

/* wt[k, n] of channel i = D_i P_i^T. */
static void expand_channel(const clvi_dw *dw, size_t i, double *wt)
{
    const size_t a = dw->first[i], m = dw->first[i + 1] - a;
    clvi_gemm(NULL, (clvi_out){wt, dw->n}, 0, 1, clvi_transposed(clvi_view_of(dw->d + a * dw->k, m, dw->k, dw->k)),
              clvi_view_of(dw->pt + a * dw->n, m, dw->n, dw->n));
}

void clvi_dw_expand(const clvi_dw *dw, double *what)
{
    const size_t q = dw->c * dw->k;
    for (size_t i = 0; i < dw->c; i++) {
        const size_t a = dw->first[i], m = dw->first[i + 1] - a;
        clvi_gemm(NULL, (clvi_out){what + i * dw->k, q}, 0, 1,
                  clvi_transposed(clvi_view_of(dw->pt + a * dw->n, m, dw->n, dw->n)),
                  clvi_view_of(dw->d + a * dw->k, m, dw->k, dw->k));
    }
}

clv_status clvi_dw_space_create(clvi_dw_space *out, const clvi_group *g, clv_error *err)
{
    const size_t q = g->q, n = g->n, k = g->k, width = q + n;
    clv_status st = CLV_OK;
    *out = (clvi_dw_space){.g = g};
    out->l = clvi_calloc(g->c, k * k * sizeof *out->l);
    out->sht = clvi_alloc_array(q, width * sizeof *out->sht);
    if (!out->l || !out->sht) {
        st = FAIL(err, CLV_ERR_NOMEM, "whitened statistics of %zu inputs", q);
        goto out;
    }
    for (size_t j = 0; j < q; j++) {
        memcpy(out->sht + j * width, g->s + j * q, q * sizeof(double));
        for (size_t i = 0; i < n; i++)
            out->sht[j * width + q + i] = g->h[i * q + j];
    }
    for (size_t i = 0; i < g->c; i++) {
        double *l = out->l + i * k * k;
        for (size_t t = 0; t < k; t++)
            memcpy(l + t * k, g->s + (i * k + t) * q + i * k, (t + 1) * sizeof(double));
        if ((st = clvi_cholesky(l, k, k, err)) != CLV_OK)
            goto out;
        const clvi_view lower = clvi_view_of(l, k, k, k);
        clvi_solve_lower(NULL, lower, false, (clvi_out){out->sht + i * k * width, width},
                         width);                                                           /* rows of S and H^T */
        clvi_solve_lower_right(NULL, lower, true, (clvi_out){out->sht + i * k, width}, q); /* columns of S */
    }
    return CLV_OK;
out:
    clvi_dw_space_free(out);
    return st;
}

void clvi_dw_space_free(clvi_dw_space *space)
{
    clvi_free(space->l);
    clvi_free(space->sht);
    *space = (clvi_dw_space){0};
}

void clvi_dw_enter(const clvi_dw_space *space, clvi_dw *dw)
{
    const size_t k = dw->k;
    for (size_t a = 0, i = 0; a < dw->total; a++) {
        while (a >= dw->first[i + 1])
            i++;
        const double *l = space->l + i * k * k;
        double *d = dw->d + a * k;
        for (size_t t = 0; t < k; t++) { /* column t of L starts at row t, so d[t] may be overwritten */
            double sum = 0;
            for (size_t r = t; r < k; r++)
                sum += d[r] * l[r * k + t];
            d[t] = sum;
        }
    }
}

void clvi_dw_leave(const clvi_dw_space *space, clvi_dw *dw)
{
    const size_t k = dw->k;
    for (size_t i = 0; i < dw->c; i++)
        clvi_solve_lower_right(NULL, clvi_view_of(space->l + i * k * k, k, k, k), false,
                               (clvi_out){dw->d + dw->first[i] * k, k}, dw->first[i + 1] - dw->first[i]);
}

/* Scratch of one channel's fit. */
typedef struct scratch {
    double *memory;
    double *nt;      /* [k, n] what the channel is to explain */
    double *wt;      /* [k, n] */
    double *gram;    /* [k, k] */
    double *values;  /* [k] */
    double *filters; /* [2 k, k] those of a channel after and before its fit */
    double *columns; /* [2 k, n] and their columns of P */
    double *pushed;  /* [q, 2 k] what the filters see of all inputs */
} scratch;

static clv_status scratch_create(scratch *s, const clvi_group *g, clv_error *err)
{
    const size_t kn = g->k * g->n;
    s->memory = clvi_alloc_array(4 * kn + 3 * g->k * g->k + g->k + 2 * g->q * g->k, sizeof(double));
    if (!s->memory)
        return FAIL(err, CLV_ERR_NOMEM, "fit of %zu taps to %zu outputs", g->k, g->n);
    s->nt = s->memory;
    s->wt = s->nt + kn;
    s->gram = s->wt + kn;
    s->values = s->gram + g->k * g->k;
    s->filters = s->values + g->k;
    s->columns = s->filters + 2 * g->k * g->k;
    s->pushed = s->columns + 2 * kn;
    return CLV_OK;
}

/* Filters of channel i = the leading left singular vectors of nt[k, n] (eigenvectors of nt nt^T: a k x k problem), P^T
 * = D nt: the best rank-m approximation of nt. */
static clv_status fit_channel(clvi_dw *dw, size_t i, scratch *s, clv_error *err)
{
    const size_t k = dw->k, n = dw->n, a = dw->first[i], m = dw->first[i + 1] - a;
    const clvi_view nt = clvi_view_of(s->nt, k, n, n);
    if (m == 0)
        return CLV_OK;
    clvi_syrk(NULL, (clvi_out){s->gram, k}, 0, 1, nt);
    TRY(clvi_eigh(s->gram, s->values, k, err));
    memcpy(dw->d + a * k, s->gram, m * k * sizeof(double));
    clvi_gemm(NULL, (clvi_out){dw->pt + a * n, n}, 0, 1, clvi_view_of(s->gram, m, k, k), nt);
    return CLV_OK;
}

/* nt = (columns of channel i of w[n, q])^T */
static void take_channel(double *nt, const double *w, const clvi_group *g, size_t i)
{
    for (size_t t = 0; t < g->k; t++)
        for (size_t r = 0; r < g->n; r++)
            nt[t * g->n + r] = w[r * g->q + i * g->k + t];
}

/* at[k, n] = L_i^T at */
static void whiten_rows(double *at, const double *l, size_t k, size_t n)
{
    for (size_t t = 0; t < k; t++)
        for (size_t r = 0; r < n; r++) {
            double sum = 0;
            for (size_t u = t; u < k; u++)
                sum += l[u * k + t] * at[u * n + r];
            at[t * n + r] = sum;
        }
}

static clv_status fit_each(clvi_dw *dw, const clvi_group *g, const double *w, const double *l, clv_error *err)
{
    scratch s;
    clv_status st;
    TRY(scratch_create(&s, g, err));
    st = CLV_OK;
    for (size_t i = 0; i < g->c && st == CLV_OK; i++) {
        take_channel(s.nt, w, g, i);
        if (l)
            whiten_rows(s.nt, l + i * g->k * g->k, g->k, g->n);
        st = fit_channel(dw, i, &s, err);
    }
    clvi_free(s.memory);
    return st;
}

clv_status clvi_dw_svd(clvi_dw *dw, const clvi_group *g, clv_error *err)
{
    return fit_each(dw, g, g->w, NULL, err);
}

clv_status clvi_dw_gsvd(clvi_dw *dw, const clvi_dw_space *space, const double *target, clv_error *err)
{
    return fit_each(dw, space->g, target, space->l, err);
}

/* What a sweep carries from channel to channel, transposed: W^ and the residual R = H - W^ S, both [q, n]. */
typedef struct residual {
    double *wt, *rt;
} residual;

static void residual_free(residual *r)
{
    clvi_free(r->wt);
    clvi_free(r->rt);
}

static clv_status residual_create(residual *r, const clvi_group *g, clv_error *err)
{
    r->wt = clvi_alloc_array(g->q, g->n * sizeof(double));
    r->rt = clvi_alloc_array(g->q, g->n * sizeof(double));
    if (r->wt && r->rt)
        return CLV_OK;
    residual_free(r);
    return FAIL(err, CLV_ERR_NOMEM, "residual of %zu x %zu", g->q, g->n);
}

/* rt = H^T - S wt, for wt given. */
static void residual_refresh(residual *r, const clvi_dw_space *space)
{
    const size_t q = space->g->q, n = space->g->n, width = q + n;
    for (size_t j = 0; j < q; j++)
        memcpy(r->rt + j * n, space->sht + j * width + q, n * sizeof(double));
    clvi_gemm(space->g->pool, (clvi_out){r->rt, n}, 1, -1, clvi_view_of(space->sht, q, q, width),
              clvi_view_of(r->wt, q, n, n));
}

/* The regularised error: total - tr W^ (H + R)^T. */
static double residual_error(const residual *r, const clvi_dw_space *space)
{
    const size_t q = space->g->q, n = space->g->n, width = q + n;
    const clvi_view w = clvi_view_of(r->wt, q, n, n);
    return space->g->total - clvi_dot(w, clvi_view_of(space->sht + q, q, n, width)) -
           clvi_dot(w, clvi_view_of(r->rt, q, n, n));
}

/* S_{:,i}[q, k], read as the transpose of the rows of channel i, which lie together. */
static clvi_view s_columns(const clvi_dw_space *space, size_t i)
{
    const size_t k = space->g->k, q = space->g->q, width = q + space->g->n;
    return clvi_transposed(clvi_view_of(space->sht + i * k * width, k, q, width));
}

/* rt -= S_{:,i} (new - old)^T, where old is in r->wt and new in s->wt. */
static void update_dense(residual *r, const clvi_dw_space *space, size_t i, scratch *s)
{
    const size_t k = space->g->k, n = space->g->n;
    double *change = s->nt; /* used up by now */
    for (size_t j = 0; j < k * n; j++)
        change[j] = s->wt[j] - r->wt[i * k * n + j];
    clvi_gemm(space->g->pool, (clvi_out){r->rt, n}, 1, -1, s_columns(space, i), clvi_view_of(change, k, n, n));
}

/* The same when old was a product of m filters as well: 2 m (k + n) multiply-adds a row instead of k n. */
static void update_factored(residual *r, const clvi_dw_space *space, const clvi_dw *dw, size_t i, scratch *s)
{
    const size_t k = dw->k, n = dw->n, q = space->g->q, a = dw->first[i], m = dw->first[i + 1] - a;
    memcpy(s->filters, dw->d + a * k, m * k * sizeof(double));
    memcpy(s->columns, dw->pt + a * n, m * n * sizeof(double));
    clvi_gemm(space->g->pool, (clvi_out){s->pushed, 2 * m}, 0, 1, s_columns(space, i),
              clvi_transposed(clvi_view_of(s->filters, 2 * m, k, k)));
    clvi_gemm(space->g->pool, (clvi_out){r->rt, n}, 1, -1, clvi_view_of(s->pushed, q, 2 * m, 2 * m),
              clvi_view_of(s->columns, 2 * m, n, n));
}

/* Each channel in turn takes the best rank-m approximation of N_i = R_i + W^_i (S_ii = I), and the residual follows.
 * factored: W^ is what dw says; else it is anything. */
static clv_status sweep(clvi_dw *dw, const clvi_dw_space *space, residual *r, bool factored, scratch *s, clv_error *err)
{
    const size_t k = dw->k, n = dw->n;
    for (size_t i = 0; i < dw->c; i++) {
        const size_t a = dw->first[i], m = dw->first[i + 1] - a;
        const bool cheap = factored && 2 * m * (k + n) < k * n;
        double *wt = r->wt + i * k * n;
        for (size_t j = 0; j < k * n; j++)
            s->nt[j] = r->rt[i * k * n + j] + wt[j];
        for (size_t j = 0; cheap && j < m * k; j++) /* minus the old filters, below the new ones to come */
            s->filters[m * k + j] = -dw->d[a * k + j];
        if (cheap)
            memcpy(s->columns + m * n, dw->pt + a * n, m * n * sizeof(double));
        TRY(fit_channel(dw, i, s, err));
        expand_channel(dw, i, s->wt);
        if (cheap)
            update_factored(r, space, dw, i, s);
        else
            update_dense(r, space, i, s);
        memcpy(wt, s->wt, k * n * sizeof(double));
    }
    return CLV_OK;
}

clv_status clvi_dw_inter_channel(clvi_dw *dw, const clvi_dw_space *space, clv_error *err)
{
    const clvi_group *g = space->g;
    residual r;
    scratch s = {0};
    clv_status st;
    TRY(residual_create(&r, g, err));
    if ((st = scratch_create(&s, g, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < g->c; i++) {
        take_channel(r.wt + i * g->k * g->n, g->w, g, i);
        whiten_rows(r.wt + i * g->k * g->n, space->l + i * g->k * g->k, g->k, g->n);
    }
    residual_refresh(&r, space);
    st = sweep(dw, space, &r, false, &s, err);
out:
    residual_free(&r);
    clvi_free(s.memory);
    return st;
}

clv_status clvi_dw_sweeps(clvi_dw *dw, const clvi_dw_space *space, int max_sweeps, double tolerance,
                          clv_context *context, clv_error *err)
{
    const clvi_group *g = space->g;
    residual r;
    scratch s = {0};
    clv_status st;
    TRY(residual_create(&r, g, err));
    if ((st = scratch_create(&s, g, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < g->c; i++)
        expand_channel(dw, i, r.wt + i * g->k * g->n);
    residual_refresh(&r, space);
    double error = residual_error(&r, space);
    for (int i = 0; i < max_sweeps; i++) {
        if (context && (st = clvi_check_cancel(context, err)) != CLV_OK)
            break;
        if ((st = sweep(dw, space, &r, true, &s, err)) != CLV_OK)
            break;
        const double fresh = residual_error(&r, space);
        if (error - fresh <= tolerance * fabs(fresh))
            break;
        error = fresh;
    }
out:
    residual_free(&r);
    clvi_free(s.memory);
    return st;
}
