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
#define ROUND_ITERATIONS 40 /* of L-BFGS between removals; the last fit has them all */

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
