/* SPDX-License-Identifier: Apache-2.0 */
/* Adam: Kingma and Ba, arXiv 1412.6980; decoupled decay: Loshchilov and Hutter, arXiv 1711.05101. Nesterov as torch
 * writes it. One cycle: Smith and Topin, arXiv 1708.07120, with a cosine instead of a line. */
#include "train/optimiser.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "train/white.h"

#define CHUNK 16384
#define PI    3.14159265358979323846

clvi_optimiser_opts clvi_optimiser_opts_default(clvi_optimiser_kind kind)
{
    return (clvi_optimiser_opts){.kind = kind, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .momentum = 0.9};
}

/* A parameter that starts at zero moves as if it were 0.01 large. */
static void set_units(clvi_optimiser *o)
{
    const clvi_tparam *params;
    const size_t n = clvi_tplan_params(o->plan, &params);
    for (size_t p = 0; p < n; p++) {
        const float *const w = clvi_tplan_theta(o->plan) + params[p].offset;
        double sum = 0;
        for (size_t i = 0; i < params[p].count; i++)
            sum += (double)w[i] * (double)w[i];
        o->unit[p] = o->opts.relative ? fmax(0.01, sqrt(sum / (double)params[p].count)) : 1;
    }
}

clv_status clvi_optimiser_create(clvi_optimiser *out, clvi_tplan *plan, const clvi_optimiser_opts *opts,
                                 clv_context *context, clv_error *err)
{
    const clvi_tparam *params;
    const size_t n = clvi_tplan_size(plan);
    *out = (clvi_optimiser){.opts = *opts,
                            .plan = plan,
                            .pool = context ? context->pool : NULL,
                            .loops = clvi_loops_for(context ? context->cpu : clvi_cpu_detect()),
                            .size = n};
    out->m = clvi_calloc(n + 1, sizeof(float));
    out->v = clvi_calloc(n + 1, sizeof(float));
    out->average = clvi_calloc(n + 1, sizeof(float));
    out->partial = clvi_calloc(n / CHUNK + 1, sizeof *out->partial);
    out->unit = clvi_calloc(clvi_tplan_params(plan, &params) + 1, sizeof *out->unit);
    if (!out->m || !out->v || !out->average || !out->partial || !out->unit) {
        clvi_optimiser_free(out);
        return FAIL(err, CLV_ERR_NOMEM, "optimiser of %zu parameters", n);
    }
    memcpy(out->average, clvi_tplan_theta(plan), n * sizeof(float));
    set_units(out);
    return CLV_OK;
}

void clvi_optimiser_free(clvi_optimiser *o)
{
    clvi_free(o->m);
    clvi_free(o->v);
    clvi_free(o->average);
    clvi_free(o->partial);
    clvi_free(o->unit);
    *o = (clvi_optimiser){0};
}

static void square_task(void *arg, size_t index, int worker)
{
    clvi_optimiser *const o = arg;
    const float *const g = clvi_tplan_gradient(o->plan);
    double sum = 0;
    (void)worker;
    for (size_t i = index * CHUNK; i < clvi_min_size((index + 1) * CHUNK, o->size); i++)
        sum += (double)g[i] * (double)g[i];
    o->partial[index] = sum;
}

typedef struct step_job {
    clvi_optimiser *o;
    double rate, scale;
} step_job;

/* Early on the mean follows the weights, so that it does not remember the start for long. */
double clvi_optimiser_keep(const clvi_optimiser *o)
{
    return fmin(o->opts.mean, (1 + (double)o->steps) / (10 + (double)o->steps));
}

static void follow(clvi_optimiser *o, size_t at, size_t count)
{
    const float *const w = clvi_tplan_theta(o->plan);
    const double keep = clvi_optimiser_keep(o);
    for (size_t i = at; i < at + count && o->opts.mean > 0; i++)
        o->average[i] += (float)(1 - keep) * (w[i] - o->average[i]);
}

static void move_param(const step_job *j, const clvi_tparam *p, double unit)
{
    clvi_optimiser *const o = j->o;
    const double rate = j->rate * unit;
    const size_t at = p->offset;
    float *const w = clvi_tplan_theta(o->plan) + at;
    const float *const g = clvi_tplan_gradient(o->plan) + at;
    const double decay = p->decay ? o->opts.decay : 0;
    if (o->opts.kind == CLVI_NESTEROV) {
        o->loops->nesterov(w, o->m + at, g, p->count, (float)rate, (float)o->opts.momentum, (float)decay,
                           (float)j->scale);
    } else {
        const double t = (double)o->steps;
        const clvi_adam_step step = {.rate = (float)rate,
                                     .beta1 = (float)o->opts.beta1,
                                     .beta2 = (float)o->opts.beta2,
                                     .eps = (float)o->opts.eps,
                                     .decay = (float)(rate * decay),
                                     .fix1 = (float)(1 / (1 - pow(o->opts.beta1, t))),
                                     .fix2 = (float)(1 / (1 - pow(o->opts.beta2, t))),
                                     .scale = (float)j->scale};
        o->loops->adam(w, o->m + at, o->v + at, g, p->count, &step);
    }
    follow(o, at, p->count);
}

static void move_white(const step_job *j, clvi_white *w)
{
    clvi_optimiser *const o = j->o;
    const clvi_white_step step = {.theta = clvi_tplan_theta(o->plan),
                                  .m = o->m,
                                  .v = o->v,
                                  .gradient = clvi_tplan_gradient(o->plan),
                                  .rate = j->rate,
                                  .beta1 = o->opts.beta1,
                                  .beta2 = o->opts.beta2,
                                  .scale = j->scale};
    clvi_white_move(w, &step);
    follow(o, w->weight, w->blocks * w->rows * w->taps);
    if (w->has_bias)
        follow(o, w->bias, w->blocks * w->rows);
}

static void step_task(void *arg, size_t index, int worker)
{
    const step_job *const j = arg;
    const clvi_tparam *params;
    struct clvi_white *const *whites;
    const size_t n = clvi_tplan_params(j->o->plan, &params);
    (void)worker;
    (void)clvi_tplan_whites(j->o->plan, &whites);
    if (index >= n)
        move_white(j, whites[index - n]);
    else if (!params[index].white)
        move_param(j, &params[index], j->o->unit[index]);
}

double clvi_optimiser_step(clvi_optimiser *o, double rate)
{
    const clvi_tparam *params;
    const size_t chunks = (o->size + CHUNK - 1) / CHUNK;
    double sum = 0;
    clvi_pool_run(o->pool, chunks, square_task, o);
    for (size_t i = 0; i < chunks; i++)
        sum += o->partial[i];
    const double norm = sqrt(sum);
    if (!isfinite(norm))
        return norm;
    step_job j = {.o = o, .rate = rate, .scale = o->opts.clip > 0 && norm > o->opts.clip ? o->opts.clip / norm : 1};
    o->steps++;
    struct clvi_white *const *whites;
    const size_t tasks = clvi_tplan_params(o->plan, &params) + clvi_tplan_whites(o->plan, &whites);
    clvi_pool_run(o->pool, tasks, step_task, &j);
    return norm;
}

void clvi_optimiser_restart(clvi_optimiser *o)
{
    memset(o->m, 0, o->size * sizeof *o->m);
    memcpy(o->average, clvi_tplan_theta(o->plan), o->size * sizeof *o->average);
}

double clvi_schedule_factor(clvi_schedule schedule, double progress)
{
    const double p = fmin(fmax(progress, 0), 1), up = 0.1;
    switch (schedule) {
    case CLVI_ONE_CYCLE:
        return p < up ? 0.1 + 0.9 * p / up : 0.5 + 0.5 * cos(PI * (p - up) / (1 - up));
    case CLVI_COSINE:
        return 0.5 + 0.5 * cos(PI * p);
    case CLVI_MULTI_STEP:
        return p < 0.5 ? 1 : p < 0.75 ? 0.1 : 0.01;
    }
    return 0;
}
