/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/lbfgs.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

#define ARMIJO     1e-4
#define CURVATURE  0.9
#define MAX_TRIALS 20 /* evaluations of one line search */
#define WINDOW     5  /* iterations over which progress is judged */

clvi_lbfgs_opts clvi_lbfgs_opts_default(void)
{
    return (clvi_lbfgs_opts){
        .max_iterations = 200, .memory = 12, .f_tolerance = 1e-6, .f_target = -HUGE_VAL, .g_tolerance = 1e-12};
}

static double dot(const double *a, const double *b, size_t n)
{
    double part[4] = {0}; /* four independent sums, always in the same order */
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t j = 0; j < 4; j++)
            part[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        part[0] += a[i] * b[i];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

static double largest(const double *a, size_t n)
{
    double best = 0;
    for (size_t i = 0; i < n; i++)
        best = fmax(best, fabs(a[i]));
    return best;
}

/* The search along x + t p. `next` and `grad` hold the last trial. */
typedef struct line {
    size_t n;
    const double *x, *p;
    double *next, *grad;
    double f0, slope0; /* at t = 0 */
    clvi_objective objective;
    void *arg;
    int evaluations;
} line;

typedef struct trial {
    double t, f, slope;
} trial;

static trial try_step(line *l, double t)
{
    for (size_t i = 0; i < l->n; i++)
        l->next[i] = l->x[i] + t * l->p[i];
    l->evaluations++;
    trial r = {t, l->objective(l->arg, l->next, l->grad), 0};
    r.slope = isfinite(r.f) ? dot(l->grad, l->p, l->n) : 0;
    if (!isfinite(r.f) || !isfinite(r.slope))
        r.f = HUGE_VAL;
    return r;
}

/* Minimiser of the cubic through two points with slopes, kept within the inner 80 % of the interval. */
static double interpolate(trial a, trial b)
{
    const double lo = fmin(a.t, b.t), width = fabs(b.t - a.t);
    double t = 0.5 * (a.t + b.t);
    if (isfinite(a.f) && isfinite(b.f)) {
        const double d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t);
        const double square = d1 * d1 - a.slope * b.slope;
        if (square >= 0) {
            const double d2 = copysign(sqrt(square), b.t - a.t);
            const double c = b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
            if (isfinite(c))
                t = c;
        }
    }
    return fmin(fmax(t, lo + 0.1 * width), lo + 0.9 * width);
}

static bool low_enough(const line *l, trial r)
{
    return r.f <= l->f0 + ARMIJO * r.t * l->slope0;
}

/* Gives a step that satisfies the strong Wolfe conditions, or the best that lowers f; t == 0 when none does. The trial
 * made last is the one returned (or t == 0). */
static trial search(line *l, double t)
{
    const trial none = {0, l->f0, l->slope0};
    trial low = none, high = {0, HUGE_VAL, 0};
    bool bracketed = false;
    for (int i = 0; i < MAX_TRIALS; i++) {
        const trial r = try_step(l, t);
        if (!low_enough(l, r) || (low.t > 0 && r.f >= low.f)) {
            high = r;
            bracketed = true;
        } else if (fabs(r.slope) <= -CURVATURE * l->slope0) {
            return r;
        } else {
            if (r.slope * (bracketed ? high.t - low.t : 1) >= 0) {
                high = low;
                bracketed = true;
            }
            low = r;
        }
        if (bracketed && fabs(high.t - low.t) <= 1e-14 * fmax(high.t, low.t))
            break;
        t = bracketed ? interpolate(low, high) : 4 * t;
    }
    return low.t > 0 ? try_step(l, low.t) : none;
}

typedef struct memory {
    size_t n;
    int size, used, newest;
    double *s, *y; /* [size, n] */
    double *rho, *alpha;
    const clvi_curvature *curvature;
    double *divided; /* [n] M^-1 y of the newest pair */
} memory;

/* p = -H g by the two-loop recursion; H0 = (s.y / y.y) I of the newest pair. */
static void direction(memory *m, const double *g, double *p)
{
    memcpy(p, g, m->n * sizeof *p);
    for (int k = 0; k < m->used; k++) {
        const int i = (m->newest - k + m->size) % m->size;
        const double *s = m->s + (size_t)i * m->n, *y = m->y + (size_t)i * m->n;
        m->alpha[i] = m->rho[i] * dot(s, p, m->n);
        for (size_t j = 0; j < m->n; j++)
            p[j] -= m->alpha[i] * y[j];
    }
    double scale = 1;
    const clvi_curvature *const curvature = m->curvature;
    if (m->used) {
        const double *y = m->y + (size_t)m->newest * m->n, *my = y;
        if (curvature) {
            memcpy(m->divided, y, m->n * sizeof *y);
            curvature->divide(curvature->arg, m->divided);
            my = m->divided;
        }
        scale = 1 / (m->rho[m->newest] * dot(y, my, m->n));
    }
    if (curvature)
        curvature->divide(curvature->arg, p);
    for (size_t j = 0; j < m->n; j++)
        p[j] *= -scale;
    for (int k = m->used - 1; k >= 0; k--) {
        const int i = (m->newest - k + m->size) % m->size;
        const double *s = m->s + (size_t)i * m->n, *y = m->y + (size_t)i * m->n;
        const double b = -m->alpha[i] - m->rho[i] * dot(y, p, m->n);
        for (size_t j = 0; j < m->n; j++)
            p[j] += b * s[j];
    }
}

/* Keep the pair (s, y) = (next - x, grad_next - grad) when its curvature is safely positive. */
static void remember(memory *m, const line *l, const double *grad)
{
    const int i = (m->newest + 1) % m->size;
    double *s = m->s + (size_t)i * m->n, *y = m->y + (size_t)i * m->n;
    for (size_t j = 0; j < m->n; j++) {
        s[j] = l->next[j] - l->x[j];
        y[j] = l->grad[j] - grad[j];
    }
    const double sy = dot(s, y, m->n);
    if (!(sy > 1e-14 * sqrt(dot(s, s, m->n) * dot(y, y, m->n))))
        return;
    m->rho[i] = 1 / sy;
    m->newest = i;
    if (m->used < m->size)
        m->used++;
}

static clv_status minimise(double *x, double *grad, double *p, line *l, memory *m, const clvi_lbfgs_opts *opts,
                           clvi_lbfgs_result *result, clv_context *context, clv_error *err)
{
    double past[WINDOW];
    const size_t n = l->n;
    for (int i = 0; i < WINDOW; i++)
        past[i] = HUGE_VAL;
    while (result->iterations < opts->max_iterations && result->f > opts->f_target &&
           largest(grad, n) > opts->g_tolerance) {
        if (context)
            TRY(clvi_check_cancel(context, err));
        if (opts->curvature)
            opts->curvature->update(opts->curvature->arg, x);
        direction(m, grad, p);
        l->slope0 = dot(grad, p, n);
        if (!(l->slope0 < 0)) { /* rounding has spoilt the pairs: begin again from the gradient */
            m->used = 0;
            direction(m, grad, p);
            l->slope0 = dot(grad, p, n);
        }
        l->f0 = result->f;
        const trial step = search(l, m->used || opts->curvature ? 1.0 : fmin(1.0, 1.0 / sqrt(dot(grad, grad, n))));
        if (step.t == 0) {
            if (m->used == 0)
                break;
            m->used = 0;
            continue;
        }
        remember(m, l, grad);
        memcpy(x, l->next, n * sizeof *x);
        memcpy(grad, l->grad, n * sizeof *grad);
        result->f = step.f;
        double *const slot = &past[result->iterations++ % WINDOW];
        if (*slot - step.f <= opts->f_tolerance * fabs(step.f))
            break;
        *slot = step.f;
    }
    return CLV_OK;
}

clv_status clvi_lbfgs(double *x, size_t n, clvi_objective objective, void *arg, const clvi_lbfgs_opts *opts,
                      clvi_lbfgs_result *result, clv_context *context, clv_error *err)
{
    clv_status st;
    const size_t size = opts->memory < 1 ? 1 : (size_t)opts->memory;
    double *vectors = clvi_alloc_array(5 + 2 * size, (n ? n : 1) * sizeof *vectors);
    double *scalars = clvi_alloc_array(2 * size, sizeof *scalars);
    *result = (clvi_lbfgs_result){0};
    if (!vectors || !scalars) {
        st = FAIL(err, CLV_ERR_NOMEM, "L-BFGS over %zu variables", n);
        goto out;
    }
    double *grad = vectors, *p = vectors + n;
    line l = {
        .n = n, .x = x, .p = p, .next = vectors + 2 * n, .grad = vectors + 3 * n, .objective = objective, .arg = arg};
    memory m = {.n = n,
                .size = (int)size,
                .newest = -1,
                .s = vectors + 4 * n,
                .y = vectors + (4 + size) * n,
                .rho = scalars,
                .alpha = scalars + size,
                .curvature = opts->curvature,
                .divided = vectors + (4 + 2 * size) * n};
    result->f = objective(arg, x, grad);
    if (!isfinite(result->f) || !isfinite(largest(grad, n))) {
        st = FAIL(err, CLV_ERR_NUMERIC, "the objective over %zu variables is %g at its start", n, result->f);
        goto out;
    }
    st = minimise(x, grad, p, &l, &m, opts, result, context, err);
    result->evaluations = l.evaluations + 1;
out:
    clvi_free(vectors);
    clvi_free(scalars);
    return st;
}
