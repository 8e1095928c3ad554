/* SPDX-License-Identifier: Apache-2.0 */
/* bench_fits layer [OUT IN KERNEL [MULTIPLIER [FORM]]]   every form (or one) once, from scratch, on a random layer
 * bench_fits curves [OUT IN KERNEL]                      curves of every form on a random layer
 * With --check before the rest of the arguments of `curves`, each point is fitted from scratch too (200 iterations). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "decompose/curve.h"
#include "decompose/synth.h"

#define JOBS   7 /* the forms, and uneven depthwise */
#define SHARES 10

static const double shares[SHARES] = {0.06, 0.09, 0.13, 0.18, 0.24, 0.31, 0.4, 0.55, 0.65, 0.8};

/* What one form did over everything that was asked for. */
typedef struct tally {
    char label[32];
    size_t points;
    double seconds, cold_seconds;
    double excess, worst; /* sum and largest of error / cold error - 1 */
    size_t above;         /* points more than 3 % above */
    int iterations;
} tally;

typedef struct bench {
    clv_context *context;
    bool check;
    tally tallies[JOBS];
} bench;

typedef struct curves {
    bench *b;
    const clvi_conv *conv;
    const clvi_covariance *cov;
    clvi_curve_job job[JOBS];
    double sizes[JOBS][SHARES];
    clvi_curve_point points[JOBS][SHARES];
    clvi_fit cold[JOBS][SHARES];
    double seconds[JOBS], cold_seconds[JOBS];
    clv_status status[JOBS];
    clv_error err[JOBS];
} curves;

static bool is_depthwise(const clvi_form *form)
{
    return strcmp(form->name, "depthwise") == 0;
}

static int64_t macs_of(const clvi_curve_job *job, double size)
{
    clvi_fit_opts opts = job->fit;
    opts.multiplier = size;
    opts.size = is_depthwise(job->form) ? 0 : (int64_t)size;
    return job->form->macs(job->conv, &opts);
}

/* The largest size within each share of the convolution's MACs. */
static void list_sizes(clvi_curve_job *job, double *sizes)
{
    const double whole = (double)clvi_conv_macs_per_pixel(job->conv);
    const bool even = is_depthwise(job->form) && !job->fit.uneven;
    const double step = job->fit.uneven ? 0.125 : even ? 1 : (double)job->conv->groups;
    double size = step;
    job->n = 0;
    job->sizes = sizes;
    if (job->form->refuses(job->conv))
        return;
    for (size_t i = 0; i < SHARES; i++) {
        double best = 0;
        while (size <= (double)(job->conv->o * job->conv->c)) {
            const int64_t macs = macs_of(job, size);
            if (macs == 0 || (double)macs > shares[i] * whole || (is_depthwise(job->form) && size > 9))
                break;
            best = size;
            size += step;
        }
        if (best > 0)
            sizes[job->n++] = best;
    }
}

/* Of the processor in this thread: wall time on a machine that others use measures the others. */
static double processor_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_job(void *arg, size_t i, int worker)
{
    curves *c = arg;
    (void)worker;
    clvi_curve_job *job = &c->job[i];
    if (job->n == 0)
        return;
    clvi_arena *arena = clvi_arena_create();
    double start = processor_now();
    c->status[i] = clvi_curve(c->points[i], job, arena, c->b->context, &c->err[i]);
    c->seconds[i] = processor_now() - start;
    start = processor_now();
    for (size_t p = 0; c->b->check && c->status[i] == CLV_OK && p < job->n; p++) {
        clvi_fit_opts opts = job->fit;
        opts.multiplier = is_depthwise(job->form) ? job->sizes[p] : 1;
        opts.size = is_depthwise(job->form) ? 0 : (int64_t)job->sizes[p];
        c->status[i] = job->form->fit(&c->cold[i][p], c->conv, c->cov, &opts, arena, c->b->context, &c->err[i]);
    }
    c->cold_seconds[i] = processor_now() - start;
    clvi_arena_free(arena);
}

static void add_up(bench *b, const curves *c, bool print)
{
    for (size_t i = 0; i < JOBS; i++) {
        tally *t = &b->tallies[i];
        if (c->job[i].form)
            (void)snprintf(t->label, sizeof t->label, "%s%s", c->job[i].form->name,
                           c->job[i].fit.uneven ? ", uneven" : "");
        t->seconds += c->seconds[i];
        t->cold_seconds += c->cold_seconds[i];
        for (size_t p = 0; p < c->job[i].n; p++) {
            const double error = c->points[i][p].error, cold = b->check ? c->cold[i][p].error : (double)NAN;
            t->points++;
            t->iterations += c->points[i][p].iterations;
            if (print)
                (void)printf("%-20s %8g %12lld %9.5f %9.5f %5d\n", t->label, c->job[i].sizes[p],
                             (long long)c->points[i][p].macs_per_pixel, error, cold, c->points[i][p].iterations);
            if (!b->check || !(cold > 1e-5))
                continue;
            t->excess += error / cold - 1;
            t->worst = fmax(t->worst, error / cold - 1);
            t->above += error > 1.03 * cold;
        }
    }
}

/* The curves of all forms at one convolution, one task each. */
static clv_status run_layer(bench *b, const clvi_conv *conv, const clvi_covariance *cov, bool print, clv_error *err)
{
    static const char *const order[] = {"output-depthwise", "bottleneck", "tucker2", "spatial", "depthwise", "channel"};
    curves *c = clvi_calloc(1, sizeof *c);
    clv_status st = CLV_OK;
    if (!c)
        return FAIL(err, CLV_ERR_NOMEM, "curves");
    c->b = b;
    c->conv = conv;
    c->cov = cov;
    for (size_t i = 0; i < JOBS; i++) {
        c->job[i] = clvi_curve_job_default();
        c->job[i].form = clvi_form_find(i < JOBS - 1 ? order[i] : "depthwise");
        c->job[i].fit.uneven = i == JOBS - 1;
        c->job[i].conv = conv;
        c->job[i].cov = cov;
        list_sizes(&c->job[i], c->sizes[i]);
    }
    clvi_pool_run(b->context->pool, JOBS, run_job, c);
    for (size_t i = 0; i < JOBS && st == CLV_OK; i++)
        if ((st = c->status[i]) != CLV_OK)
            *err = c->err[i];
    if (st == CLV_OK)
        add_up(b, c, print);
    clvi_free(c);
    return st;
}

static void print_tallies(const bench *b)
{
    (void)printf("%-20s %6s %8s %8s %9s %9s %9s %7s\n", "form", "points", "seconds", "its", "cold s", "mean", "worst",
                 "> 3 %");
    double sum = 0;
    for (size_t i = 0; i < JOBS; i++) {
        const tally *t = &b->tallies[i];
        (void)printf("%-20s %6zu %8.2f %8d %9.2f %+8.2f%% %+8.2f%% %7zu\n", t->label, t->points, t->seconds,
                     t->iterations, t->cold_seconds, t->points ? 100 * t->excess / (double)t->points : 0,
                     100 * t->worst, t->above);
        sum += t->seconds;
    }
    (void)printf("all: %.2f processor seconds\n", sum);
}

/* Every form, or the one named, from scratch, all threads on one fit. */
static clv_status run_once(const bench *b, const clvi_conv *conv, const clvi_covariance *cov, double multiplier,
                           const char *form, clv_error *err)
{
    size_t n;
    const clvi_form *const *all = clvi_form_all(&n);
    (void)printf("%-20s %12s %9s %6s %8s\n", "form", "MACs", "error", "its", "seconds");
    for (size_t i = 0; i < n; i++) {
        if ((form && strcmp(form, all[i]->name) != 0) || all[i]->refuses(conv))
            continue;
        clvi_arena *arena = clvi_arena_create();
        clvi_fit_opts opts = clvi_fit_opts_default();
        clvi_fit fit;
        opts.multiplier = multiplier;
        const double start = clvi_now();
        const clv_status st = all[i]->fit(&fit, conv, cov, &opts, arena, b->context, err);
        clvi_arena_free(arena);
        if (st != CLV_OK)
            return st;
        (void)printf("%-20s %12lld %9.6f %6d %8.2f\n", all[i]->name, (long long)fit.macs_per_pixel, fit.error,
                     fit.iterations, clvi_now() - start);
        (void)fflush(stdout);
    }
    return CLV_OK;
}

static clv_status run_random(bench *b, bool curve, int argc, char **argv, clv_error *err)
{
    clv_synth_opts opts = clv_synth_opts_default();
    clvi_covariance cov = {0};
    opts.out = argc > 0 ? strtol(argv[0], NULL, 10) : 64;
    opts.in = argc > 1 ? strtol(argv[1], NULL, 10) : opts.out;
    opts.kernel = argc > 2 ? strtol(argv[2], NULL, 10) : 3;
    opts.samples = 4 * opts.in * opts.kernel * opts.kernel;
    float *w = clvi_calloc((size_t)(opts.out * opts.in * opts.kernel * opts.kernel), sizeof *w);
    if (!w)
        return FAIL(err, CLV_ERR_NOMEM, "weights");
    clvi_synth_weights(w, &opts);
    clv_status st = clvi_synth_data(&cov, w, &opts, true, 0, b->context, err);
    const clvi_conv conv = {.o = opts.out,
                            .c = opts.in,
                            .groups = 1,
                            .kh = opts.kernel,
                            .kw = opts.kernel,
                            .sh = 1,
                            .sw = 1,
                            .dh = 1,
                            .dw = 1,
                            .pt = opts.kernel / 2,
                            .pl = opts.kernel / 2,
                            .pb = opts.kernel / 2,
                            .pr = opts.kernel / 2,
                            .rank = 4,
                            .w = w};
    if (st == CLV_OK && curve) {
        st = run_layer(b, &conv, &cov, true, err);
        print_tallies(b);
    } else if (st == CLV_OK) {
        st = run_once(b, &conv, &cov, argc > 3 ? strtod(argv[3], NULL) : 2, argc > 4 ? argv[4] : NULL, err);
    }
    (void)printf("peak memory %.0f MiB\n", (double)clvi_mem_peak() / 1048576);
    clvi_covariance_free(&cov);
    clvi_free(w);
    return st;
}

int main(int argc, char **argv)
{
    clv_error err;
    bench b = {0};
    const bool curve = argc > 1 && strcmp(argv[1], "curves") == 0;
    if (argc < 2 || (!curve && strcmp(argv[1], "layer") != 0)) {
        (void)fprintf(stderr, "usage: bench_fits layer [OUT IN KERNEL [MULTIPLIER [FORM]]]\n"
                              "       bench_fits curves [--check] [OUT IN KERNEL]\n");
        return 2;
    }
    b.check = argc > 2 && strcmp(argv[2], "--check") == 0;
    argv += 2 + b.check;
    argc -= 2 + b.check;
    clv_status st = clv_context_create(&b.context, NULL, &err);
    if (st == CLV_OK) {
        (void)printf("%d threads, %s\n", clv_context_threads(b.context), clv_context_isa(b.context));
        st = run_random(&b, curve, argc, argv, &err);
    }
    if (st != CLV_OK)
        (void)fprintf(stderr, "bench_fits: %s: %s\n", clv_status_text(st), err.msg);
    clv_context_free(b.context);
    return st != CLV_OK;
}
