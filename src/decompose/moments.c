/* SPDX-License-Identifier: Apache-2.0 */
/* With d = x - shift:  cov = (sum d d^T) / N - (sum d / N)(sum d / N)^T.  The shift is near the mean, so the two terms
 * do not cancel. Blocks are added in the order of the samples. */
#include "decompose/moments.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "linalg/matrix.h"

#define BLOCK CLVI_MOMENTS_BLOCK

/* Where sums go: the moments themselves, or a covariance in the making. */
typedef struct sums {
    size_t q, n;
    const double *shift_x, *shift_t;
    double *sum_x, *sum_t, *xx, *tx, *tt_full;
    double *work; /* [BLOCK, q + n] */
    clvi_pool *pool;
} sums;

clv_status clvi_moments_create(clvi_moments *out, size_t q, size_t n, clv_error *err)
{
    size_t qq, qn, rows;
    *out = (clvi_moments){0};
    if (q == 0 || n == 0 || !clvi_mul(q, q, &qq) || !clvi_mul(q, n, &qn) ||
        !clvi_mul(BLOCK * sizeof(double), q + n, &rows))
        return FAIL(err, CLV_ERR_ARG, "moments of %zu inputs and %zu targets", q, n);
    *out = (clvi_moments){
        .q = q,
        .n = n,
        .shift_x = clvi_calloc(q, sizeof(double)),
        .shift_t = clvi_calloc(n, sizeof(double)),
        .sum_x = clvi_calloc(q, sizeof(double)),
        .sum_t = clvi_calloc(n, sizeof(double)),
        .xx = clvi_calloc(qq, sizeof(double)),
        .tx = clvi_calloc(qn, sizeof(double)),
        .tt = clvi_calloc(n, sizeof(double)),
        .tt_full = clvi_calloc(n, n * sizeof(double)),
        .wait_x = clvi_alloc_array(q, BLOCK * sizeof(float)),
        .wait_t = clvi_alloc_array(n, BLOCK * sizeof(float)),
        .work = clvi_alloc(rows),
    };
    if (out->shift_x && out->shift_t && out->sum_x && out->sum_t && out->xx && out->tx && out->tt && out->tt_full &&
        out->wait_x && out->wait_t && out->work)
        return CLV_OK;
    clvi_moments_free(out);
    return FAIL(err, CLV_ERR_NOMEM, "moments of %zu inputs and %zu targets", q, n);
}

void clvi_moments_free(clvi_moments *m)
{
    if (!m)
        return;
    double *const owned[] = {m->shift_x, m->shift_t, m->sum_x, m->sum_t, m->xx, m->tx, m->tt, m->tt_full, m->work};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        clvi_free(owned[i]);
    clvi_free(m->wait_x);
    clvi_free(m->wait_t);
    *m = (clvi_moments){0};
}

static sums sums_of(clvi_moments *m)
{
    return (sums){m->q, m->n, m->shift_x, m->shift_t, m->sum_x, m->sum_t, m->xx, m->tx, m->tt_full, m->work, m->pool};
}

static void column_means(double *mean, const float *rows, size_t count, size_t cols)
{
    memset(mean, 0, cols * sizeof *mean);
    for (size_t r = 0; r < count; r++)
        for (size_t j = 0; j < cols; j++)
            mean[j] += (double)rows[r * cols + j];
    for (size_t j = 0; j < cols; j++)
        mean[j] /= (double)count;
}

static void centre(double *out, double *sum, const float *rows, const double *shift, size_t count, size_t cols)
{
    for (size_t r = 0; r < count; r++)
        for (size_t j = 0; j < cols; j++) {
            out[r * cols + j] = (double)rows[r * cols + j] - shift[j];
            sum[j] += out[r * cols + j];
        }
}

/* Add `count` rows; xx and tt_full: lower triangles. */
static void accumulate(const sums *s, const float *x, const float *t, size_t count)
{
    double *dx = s->work, *dt = s->work + BLOCK * s->q;
    centre(dx, s->sum_x, x, s->shift_x, count, s->q);
    centre(dt, s->sum_t, t, s->shift_t, count, s->n);
    const clvi_view vx = clvi_view_of(dx, count, s->q, s->q), vt = clvi_view_of(dt, count, s->n, s->n);
    clvi_syrk_lower(s->pool, (clvi_out){s->xx, s->q}, 1, 1, clvi_transposed(vx));
    clvi_gemm(s->pool, (clvi_out){s->tx, s->q}, 1, 1, clvi_transposed(vt), vx);
    clvi_syrk_lower(s->pool, (clvi_out){s->tt_full, s->n}, 1, 1, clvi_transposed(vt));
}

void clvi_moments_flush(clvi_moments *m)
{
    if (m->waiting == 0)
        return;
    if (m->count == 0) {
        column_means(m->shift_x, m->wait_x, m->waiting, m->q);
        column_means(m->shift_t, m->wait_t, m->waiting, m->n);
    }
    const sums s = sums_of(m);
    accumulate(&s, m->wait_x, m->wait_t, m->waiting);
    for (size_t i = 0; i < m->n; i++)
        m->tt[i] = m->tt_full[i * m->n + i];
    m->count += (double)m->waiting;
    m->waiting = 0;
}

static clv_status scan(const float *rows, size_t count, size_t cols, const char *what, clv_error *err)
{
    float sum = 0; /* 0 * NaN and 0 * Inf are NaN, and NaN stays */
    for (size_t i = 0; i < count * cols; i++)
        sum += 0.0F * rows[i];
    if (sum == 0.0F)
        return CLV_OK;
    size_t i = 0;
    while (isfinite(rows[i]))
        i++;
    return FAIL(err, CLV_ERR_NUMERIC, "%s %zu of sample %zu is %g", what, i % cols, i / cols, (double)rows[i]);
}

clv_status clvi_moments_add(clvi_moments *m, size_t samples, const float *x, const float *t, clv_error *err)
{
    size_t bytes;
    if (!clvi_mul(samples, sizeof(float) * (m->q > m->n ? m->q : m->n), &bytes))
        return FAIL(err, CLV_ERR_ARG, "%zu samples of %zu inputs", samples, m->q);
    TRY(scan(x, samples, m->q, "input", err));
    TRY(scan(t, samples, m->n, "target", err));
    while (samples) {
        const size_t take = clvi_min_size(BLOCK - m->waiting, samples);
        memcpy(m->wait_x + m->waiting * m->q, x, take * m->q * sizeof *x);
        memcpy(m->wait_t + m->waiting * m->n, t, take * m->n * sizeof *t);
        m->waiting += take;
        samples -= take;
        x += take * m->q;
        t += take * m->n;
        if (m->waiting == BLOCK)
            clvi_moments_flush(m);
    }
    return CLV_OK;
}

/* sum (d + u)(e + v)^T = sum d e^T + (sum d) v^T + u (sum e)^T + N u v^T, element [i, j] less the first term. */
static double rebase(double sum_d, double v, double u, double sum_e, double count)
{
    return sum_d * v + u * sum_e + count * u * v;
}

clv_status clvi_moments_merge(clvi_moments *a, const clvi_moments *b, clv_error *err)
{
    const size_t q = a->q, n = a->n;
    if (b->q != q || b->n != n)
        return FAIL(err, CLV_ERR_ARG, "moments of [%zu, %zu] cannot be added to moments of [%zu, %zu]", b->q, b->n, q,
                    n);
    if (b->count > 0) {
        clvi_moments_flush(a); /* so that a has a shift, if it has samples */
        if (a->count == 0) {
            memcpy(a->shift_x, b->shift_x, q * sizeof(double));
            memcpy(a->shift_t, b->shift_t, n * sizeof(double));
        }
        double *ux = a->work, *ut = a->work + q; /* b's shift seen from a's */
        for (size_t j = 0; j < q; j++)
            ux[j] = b->shift_x[j] - a->shift_x[j];
        for (size_t i = 0; i < n; i++)
            ut[i] = b->shift_t[i] - a->shift_t[i];
        for (size_t i = 0; i < q; i++)
            for (size_t j = 0; j <= i; j++)
                a->xx[i * q + j] += b->xx[i * q + j] + rebase(b->sum_x[i], ux[j], ux[i], b->sum_x[j], b->count);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < q; j++)
                a->tx[i * q + j] += b->tx[i * q + j] + rebase(b->sum_t[i], ux[j], ut[i], b->sum_x[j], b->count);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++)
                a->tt_full[i * n + j] +=
                    b->tt_full[i * n + j] + rebase(b->sum_t[i], ut[j], ut[i], b->sum_t[j], b->count);
        for (size_t j = 0; j < q; j++)
            a->sum_x[j] += b->sum_x[j] + b->count * ux[j];
        for (size_t i = 0; i < n; i++) {
            a->sum_t[i] += b->sum_t[i] + b->count * ut[i];
            a->tt[i] = a->tt_full[i * n + i];
        }
        a->count += b->count;
    }
    return clvi_moments_add(a, b->waiting, b->wait_x, b->wait_t, err);
}

static clv_status covariance_create(clvi_covariance *out, size_t q, size_t n, clv_error *err)
{
    *out = (clvi_covariance){
        .q = q,
        .n = n,
        .s = clvi_alloc_array(q, q * sizeof(double)),
        .h = clvi_alloc_array(n, q * sizeof(double)),
        .t = clvi_alloc_array(n, n * sizeof(double)),
        .mean_x = clvi_alloc_array(q, sizeof(double)),
        .mean_t = clvi_alloc_array(n, sizeof(double)),
    };
    if (out->s && out->h && out->t && out->mean_x && out->mean_t)
        return CLV_OK;
    clvi_covariance_free(out);
    return FAIL(err, CLV_ERR_NOMEM, "covariance of %zu inputs and %zu targets", q, n);
}

/* Sums about the shift -> covariances and means, in place. */
static void finish(clvi_covariance *c, const double *shift_x, const double *shift_t, double count)
{
    const size_t q = c->q, n = c->n;
    for (size_t j = 0; j < q; j++)
        c->mean_x[j] /= count;
    for (size_t i = 0; i < n; i++)
        c->mean_t[i] /= count;
    for (size_t i = 0; i < q; i++)
        for (size_t j = 0; j <= i; j++)
            c->s[i * q + j] = c->s[i * q + j] / count - c->mean_x[i] * c->mean_x[j];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < q; j++)
            c->h[i * q + j] = c->h[i * q + j] / count - c->mean_t[i] * c->mean_x[j];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            c->t[i * n + j] = c->t[i * n + j] / count - c->mean_t[i] * c->mean_t[j];
    for (size_t j = 0; j < q; j++)
        c->mean_x[j] += shift_x[j];
    for (size_t i = 0; i < n; i++)
        c->mean_t[i] += shift_t[i];
    clvi_mirror_lower(c->s, q, q);
    clvi_mirror_lower(c->t, n, n);
}

clv_status clvi_covariance_of(clvi_covariance *out, const clvi_moments *m, clv_error *err)
{
    const size_t q = m->q, n = m->n;
    clv_status st;
    *out = (clvi_covariance){0};
    if (m->count + (double)m->waiting < 1)
        return FAIL(err, CLV_ERR_ARG, "covariance of %zu inputs over no sample", q);
    double *shift = clvi_alloc_array(q + n, sizeof(double)), *work = clvi_alloc_array(BLOCK, (q + n) * sizeof(double));
    if (!shift || !work) {
        st = FAIL(err, CLV_ERR_NOMEM, "covariance of %zu inputs and %zu targets", q, n);
        goto out;
    }
    if ((st = covariance_create(out, q, n, err)) != CLV_OK)
        goto out;
    memcpy(shift, m->shift_x, q * sizeof(double));
    memcpy(shift + q, m->shift_t, n * sizeof(double));
    if (m->count == 0) {
        column_means(shift, m->wait_x, m->waiting, q);
        column_means(shift + q, m->wait_t, m->waiting, n);
    }
    memcpy(out->s, m->xx, q * q * sizeof(double));
    memcpy(out->h, m->tx, n * q * sizeof(double));
    memcpy(out->t, m->tt_full, n * n * sizeof(double));
    memcpy(out->mean_x, m->sum_x, q * sizeof(double));
    memcpy(out->mean_t, m->sum_t, n * sizeof(double));
    const sums s = {q, n, shift, shift + q, out->mean_x, out->mean_t, out->s, out->h, out->t, work, m->pool};
    if (m->waiting)
        accumulate(&s, m->wait_x, m->wait_t, m->waiting);
    finish(out, shift, shift + q, m->count + (double)m->waiting);
out:
    clvi_free(shift);
    clvi_free(work);
    return st;
}

void clvi_covariance_free(clvi_covariance *c)
{
    if (!c)
        return;
    clvi_free(c->s);
    clvi_free(c->h);
    clvi_free(c->t);
    clvi_free(c->mean_x);
    clvi_free(c->mean_t);
    *c = (clvi_covariance){0};
}
