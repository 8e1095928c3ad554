/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/dwuneven.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "decompose/dwjoint.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

#define ROUNDS           6
#define SHRINK           0.9 /* of the filters stay in a round of removals without descent */
#define ROUND_ITERATIONS 40  /* of L-BFGS between removals; the last fit has them all */

typedef struct ranked {
    double value;
    size_t index;
} ranked;

/* Smallest first; equal values by index, so that the order is one. */
static int by_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* values[c, k]: squared singular values of each channel, descending. */
static clv_status spectrum(ranked *values, const clvi_group *g, const double *w, const clvi_dw_space *space,
                           clv_error *err)
{
    const size_t k = g->k, n = g->n;
    clv_status st = CLV_OK;
    double *wi = clvi_alloc_array(2 * n * k + k * k + k, sizeof *wi);
    if (!wi)
        return FAIL(err, CLV_ERR_NOMEM, "singular values of %zu x %zu", n, k);
    double *wl = wi + n * k, *gram = wl + n * k, *own = gram + k * k;
    for (size_t i = 0; i < g->c && st == CLV_OK; i++) {
        for (size_t r = 0; r < n; r++)
            memcpy(wi + r * k, w + r * g->q + i * k, k * sizeof(double));
        const double *used = wi;
        if (space) {
            clvi_gemm(NULL, (clvi_out){wl, k}, 0, 1, clvi_view_of(wi, n, k, k),
                      clvi_view_of(space->l + i * k * k, k, k, k));
            used = wl;
        }
        clvi_syrk(NULL, (clvi_out){gram, k}, 0, 1, clvi_transposed(clvi_view_of(used, n, k, k)));
        st = clvi_eigh(gram, own, k, err);
        for (size_t t = 0; t < k && st == CLV_OK; t++)
            values[i * k + t] = (ranked){own[t], i * k + t};
    }
    clvi_free(wi);
    return st;
}

clv_status clvi_dw_allocate(size_t *filters, const clvi_group *g, const double *w, const clvi_dw_space *space,
                            size_t total, clv_error *err)
{
    const size_t cap = clvi_min_size(g->k, g->n);
    ranked *values = clvi_alloc_array(g->q, sizeof *values);
    if (!values)
        return FAIL(err, CLV_ERR_NOMEM, "singular values of %zu inputs", g->q);
    const clv_status st = spectrum(values, g, w, space, err);
    if (st == CLV_OK) {
        qsort(values, g->q, sizeof *values, by_value);
        memset(filters, 0, g->c * sizeof *filters);
        for (size_t j = g->q; j-- > 0 && total > 0;) {
            size_t *m = &filters[values[j].index / g->k];
            if (*m < cap) {
                (*m)++;
                total--;
            }
        }
    }
    clvi_free(values);
    return st;
}

/* Keep the `total` filters of most loss, in their order. */
static clv_status keep(clvi_dw *dw, const clvi_group *g, const double *loss, size_t total, clv_error *err)
{
    clvi_dw next = {0};
    clv_status st = CLV_OK;
    ranked *order = clvi_alloc_array(dw->total, sizeof *order);
    size_t *filters = clvi_calloc(dw->c, sizeof *filters);
    bool *kept = clvi_calloc(dw->total, sizeof *kept);
    if (!order || !filters || !kept) {
        st = FAIL(err, CLV_ERR_NOMEM, "ranking of %zu filters", dw->total);
        goto out;
    }
    for (size_t a = 0; a < dw->total; a++)
        order[a] = (ranked){loss[a], a};
    qsort(order, dw->total, sizeof *order, by_value);
    for (size_t a = dw->total - total; a < dw->total; a++)
        kept[order[a].index] = true;
    for (size_t i = 0; i < dw->c; i++)
        for (size_t a = dw->first[i]; a < dw->first[i + 1]; a++)
            filters[i] += kept[a];
    if ((st = clvi_dw_create(&next, g, filters, err)) != CLV_OK)
        goto out;
    for (size_t a = 0, to = 0; a < dw->total; a++) {
        if (!kept[a])
            continue;
        memcpy(next.d + to * dw->k, dw->d + a * dw->k, dw->k * sizeof(double));
        memcpy(next.pt + to * dw->n, dw->pt + a * dw->n, dw->n * sizeof(double));
        to++;
    }
    clvi_dw_free(dw);
    *dw = next;
out:
    clvi_free(order);
    clvi_free(filters);
    clvi_free(kept);
    return st;
}

/* Whether dw has total / c filters on each channel. */
static bool is_even(const clvi_dw *dw, size_t total)
{
    for (size_t i = 0; i < dw->c; i++)
        if ((dw->first[i + 1] - dw->first[i]) * dw->c != total)
            return false;
    return true;
}

/* The losses of a channel's filters descend, so its first ones stay. */
static clv_status mark_even(double *loss, const clvi_dw *dw, size_t total, clv_error *err)
{
    const size_t each = total / dw->c;
    for (size_t i = 0; i < dw->c; i++) {
        const size_t a = dw->first[i], m = dw->first[i + 1] - a;
        if (m < each)
            return FAIL(err, CLV_ERR_ARG, "channel %zu of the chain to start from has %zu filters of %zu", i, m, each);
        for (size_t j = 0; j < m; j++)
            loss[a + j] = j < each ? HUGE_VAL : 0;
    }
    return CLV_OK;
}

/* Uneven: in rounds, since each removal changes what the next ones cost. */
clv_status clvi_dw_reduce(clvi_dw *dw, const clvi_dw_space *space, size_t total, bool even, clv_context *context,
                          clv_error *err)
{
    const clvi_lbfgs_opts none = {.max_iterations = 0, .memory = 1, .f_target = -HUGE_VAL};
    int iterations = 0;
    while (even ? !is_even(dw, total) : dw->total > total) {
        const size_t next = even ? total : clvi_max_size(total, (size_t)(SHRINK * (double)dw->total));
        double *loss = clvi_alloc_array(dw->total, sizeof *loss);
        if (!loss)
            return FAIL(err, CLV_ERR_NOMEM, "losses of %zu filters", dw->total);
        clv_status st = clvi_dw_joint(dw, space, &none, loss, &iterations, context, err);
        if (st == CLV_OK && even)
            st = mark_even(loss, dw, total, err);
        if (st == CLV_OK)
            st = keep(dw, space->g, loss, next, err);
        clvi_free(loss);
        TRY(st);
    }
    return CLV_OK;
}

clv_status clvi_dw_prune(clvi_dw *dw, const clvi_dw_space *space, size_t total, const clvi_lbfgs_opts *opts,
                         int *iterations, clv_context *context, clv_error *err)
{
    const double begin = (double)dw->total;
    clvi_lbfgs_opts some = *opts;
    if (some.max_iterations > ROUND_ITERATIONS)
        some.max_iterations = ROUND_ITERATIONS;
    for (int round = 1; round <= ROUNDS && dw->total > total; round++) {
        const size_t next = (size_t)lround(begin * pow((double)total / begin, (double)round / ROUNDS));
        double *loss = clvi_alloc_array(dw->total, sizeof *loss);
        clv_status st = loss ? clvi_dw_joint(dw, space, &some, loss, iterations, context, err)
                             : FAIL(err, CLV_ERR_NOMEM, "losses of %zu filters", dw->total);
        if (st == CLV_OK)
            st = keep(dw, space->g, loss, round == ROUNDS ? total : clvi_max_size(next, total), err);
        clvi_free(loss);
        TRY(st);
    }
    return clvi_dw_joint(dw, space, opts, NULL, iterations, context, err);
}
