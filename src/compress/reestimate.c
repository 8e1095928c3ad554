/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/reestimate.h"

#include <math.h>
#include <string.h>

/* w^ S w^T of one row */
static double row_variance(const double *w, const clvi_covariance *cov)
{
    double variance = 0;
    for (size_t i = 0; i < cov->q; i++) {
        double dot = 0;
        for (size_t j = 0; j < cov->q; j++)
            dot += cov->s[i * cov->q + j] * w[j];
        variance += w[i] * dot;
    }
    return variance;
}

clv_status clvi_reestimate(clvi_chain *chain, const clvi_conv *original, const clvi_covariance *cov, clvi_arena *arena,
                           clv_error *err)
{
    clvi_conv *last = &chain->link[chain->n - 1];
    const size_t o = (size_t)original->o, n = o / (size_t)original->groups, q = cov->q;
    const size_t row = (size_t)(last->c / last->groups * last->kh * last->kw);
    double *what = clvi_alloc_array(o * q, sizeof *what);
    float *w = clvi_arena_calloc(arena, o * row, sizeof *w);
    float *bias = clvi_arena_calloc(arena, o, sizeof *bias);
    clv_status st = CLV_OK;
    if (!what || !w || !bias) {
        st = FAIL(err, CLV_ERR_NOMEM, "re-estimation of %zu channels", o);
        goto out;
    }
    if ((st = clvi_chain_expand(chain, original, what, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < o; i++) {
        const clvi_covariance *c = &cov[i / n];
        const double wanted = c->t[(i % n) * n + i % n], got = row_variance(what + i * q, c);
        const double a = wanted > 0 && got > 1e-12 * wanted ? sqrt(wanted / got) : 1.0;
        double mean = 0;
        for (size_t j = 0; j < q; j++)
            mean += what[i * q + j] * c->mean_x[j];
        for (size_t j = 0; j < row; j++)
            w[i * row + j] = (float)(a * (double)last->w[i * row + j]);
        bias[i] = (float)(c->mean_t[i % n] - a * mean);
    }
    last->w = w;
    last->bias = bias;
out:
    clvi_free(what);
    return st;
}
