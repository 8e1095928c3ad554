/* SPDX-License-Identifier: Apache-2.0 */
/* bench_refit [OUT IN SAMPLES MULTIPLIER [THREADS]]: one synthetic 3x3 layer followed by a ReLU, each form fitted by
 * least squares and then through the ReLU by majorise-minimise (with and without rounds of the last link alone) and by
 * Zhang et al.'s alternating solver. Loss is the relative squared error behind the ReLU, on the patches of the fit and
 * on as many fresh ones. Patches are mixed over channels, blurred and rectified, as `cleave synth` has them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/context.h"
#include "base/mem.h"
#include "base/rng.h"
#include "decompose/refit.h"

enum { SIDE = 3, TAPS = SIDE * SIDE };

typedef struct bed {
    size_t o, c, rows;
    float *w, *bias;
    float *x[2], *y[2]; /* for the fit, fresh */
    clvi_conv conv;
    clvi_covariance cov;
} bed;

static void patch(float *x, const double *mix, double *scene, double *mixed, size_t c, clvi_rng *rng)
{
    const size_t row = SIDE + 1, area = row * row;
    for (size_t i = 0; i < area * c; i++)
        scene[i] = clvi_rng_normal(rng);
    for (size_t p = 0; p < area; p++)
        for (size_t i = 0; i < c; i++) {
            mixed[p * c + i] = 0;
            for (size_t j = 0; j < c; j++)
                mixed[p * c + i] += mix[i * c + j] * scene[p * c + j];
        }
    for (size_t i = 0; i < c; i++)
        for (size_t t = 0; t < TAPS; t++) {
            const double *m = mixed + (t / SIDE * row + t % SIDE) * c + i;
            x[i * TAPS + t] = (float)fmax(0.5 * (m[0] + m[c] + m[row * c] + m[(row + 1) * c]), 0);
        }
}

/* Random weights; a bias as after a BatchNorm: means of y are spread by half a standard deviation about 0. */
static bool bed_create(bed *b)
{
    const size_t c = b->c, q = c * TAPS, area = (SIDE + 1) * (SIDE + 1);
    double *mix = clvi_calloc(c * c, sizeof *mix), *scene = clvi_calloc(area * c, sizeof *scene);
    double *mixed = clvi_calloc(area * c, sizeof *mixed);
    clvi_moments m = {0};
    clvi_rng rng;
    bool ok = mix && scene && mixed;
    clvi_rng_seed(&rng, 13);
    b->w = clvi_calloc(b->o * q, sizeof *b->w);
    b->bias = clvi_calloc(b->o, sizeof *b->bias);
    for (int set = 0; set < 2; set++) {
        b->x[set] = clvi_calloc(b->rows * q, sizeof(float));
        b->y[set] = clvi_calloc(b->rows * b->o, sizeof(float));
        ok = ok && b->x[set] && b->y[set];
    }
    if (!ok || !b->w || !b->bias)
        return false;
    for (size_t i = 0; i < c * c; i++)
        mix[i] = clvi_rng_normal(&rng) / sqrt((double)c);
    for (size_t i = 0; i < b->o * q; i++)
        b->w[i] = (float)(clvi_rng_normal(&rng) / sqrt((double)q));
    for (int set = 0; set < 2; set++)
        for (size_t r = 0; r < b->rows; r++) {
            float *x = b->x[set] + r * q;
            patch(x, mix, scene, mixed, c, &rng);
            for (size_t i = 0; i < b->o; i++) {
                double sum = 0;
                for (size_t j = 0; j < q; j++)
                    sum += (double)b->w[i * q + j] * (double)x[j];
                b->y[set][r * b->o + i] = (float)sum;
            }
        }
    for (size_t i = 0; i < b->o; i++) {
        double mean = 0, square = 0;
        for (size_t r = 0; r < b->rows; r++) {
            const double y = (double)b->y[0][r * b->o + i];
            mean += y / (double)b->rows;
            square += y * y / (double)b->rows;
        }
        b->bias[i] = (float)(0.5 * sqrt(square - mean * mean) * clvi_rng_normal(&rng) - mean);
        for (int set = 0; set < 2; set++)
            for (size_t r = 0; r < b->rows; r++)
                b->y[set][r * b->o + i] += b->bias[i];
    }
    b->conv = (clvi_conv){.o = (int64_t)b->o,
                          .c = (int64_t)c,
                          .groups = 1,
                          .kh = SIDE,
                          .kw = SIDE,
                          .sh = 1,
                          .sw = 1,
                          .dh = 1,
                          .dw = 1,
                          .pt = 1,
                          .pl = 1,
                          .pb = 1,
                          .pr = 1,
                          .rank = 4,
                          .w = b->w,
                          .bias = b->bias};
    ok = clvi_moments_create(&m, q, b->o, NULL) == CLV_OK &&
         clvi_moments_add(&m, b->rows, b->x[0], b->y[0], NULL) == CLV_OK &&
         clvi_covariance_of(&b->cov, &m, NULL) == CLV_OK;
    clvi_moments_free(&m);
    clvi_free(mix);
    clvi_free(scene);
    clvi_free(mixed);
    return ok;
}

/* How a row of the table is made. */
typedef struct way {
    const char *label;
    clvi_refit_opts opts;
} way;

static const way ways[] = {
    {"majorise, 6 fits", {CLVI_REFIT_MAJORISE, 6, 0, 0.01}},
    {"majorise, last link alone", {CLVI_REFIT_MAJORISE, 0, 12, 0.001}},
    {"majorise, 2 fits + last link", {CLVI_REFIT_MAJORISE, 2, 4, 0.01}},
    {"majorise, 6 fits + last link", {CLVI_REFIT_MAJORISE, 6, 4, 0.01}},
    {"majorise, 25 fits + last link", {CLVI_REFIT_MAJORISE, 25, 4, 0.0005}},
    {"Zhang et al., 25 + 25 fits", {CLVI_REFIT_ALTERNATE, 25, 0, 0}},
};
#define WAYS (sizeof ways / sizeof *ways)

static clv_status compare(const bed *b, const char *name, double multiplier, clv_context *context, clv_error *err)
{
    const clvi_form *form = clvi_form_find(name);
    const clvi_activation relu = {.kind = CLVI_ACTIVATION_RELU};
    const float *const x[2] = {b->x[0], b->x[1]};
    const clvi_reservoir train = {b->rows, &x[0], b->y[0], NULL}, test = {b->rows, &x[1], b->y[1], NULL};
    const clvi_refit_opts none = {.rounds = 0, .last_rounds = 0};
    clvi_fit_opts fit_opts = clvi_fit_opts_default();
    clvi_fit start;
    clvi_refit_result result, fresh;
    clv_status st;
    clvi_arena *arena = clvi_arena_create();
    fit_opts.multiplier = multiplier;
    const double begin = clvi_now();
    if ((st = form->fit(&start, &b->conv, &b->cov, &fit_opts, arena, context, err)) != CLV_OK)
        goto out;
    const double first = clvi_now() - begin;
    const clvi_refit_task on_test = {&b->conv, form, &fit_opts, &start, &test, &relu, &b->cov};
    if ((st = clvi_refit(&fresh, &on_test, &none, arena, context, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < WAYS; i++) {
        clvi_refit_task task = {&b->conv, form, &fit_opts, &start, &train, &relu, &b->cov};
        const double from = clvi_now();
        if ((st = clvi_refit(&result, &task, &ways[i].opts, arena, context, err)) != CLV_OK)
            goto out;
        const double seconds = clvi_now() - from;
        if (i == 0)
            printf("%-11s %-30s %8.4f %8.4f %5d %8.3f\n", name, "least squares", result.before, fresh.before, 1, first);
        task.start = &result.fit;
        task.reservoir = &test;
        if ((st = clvi_refit(&fresh, &task, &none, arena, context, err)) != CLV_OK)
            goto out;
        printf("%-11s %-30s %8.4f %8.4f %5d %8.3f\n", "", ways[i].label, result.after, fresh.before, result.rounds,
               seconds);
    }
out:
    clvi_arena_free(arena);
    return st;
}

int main(int argc, char **argv)
{
    static const char *const forms[] = {"depthwise", "bottleneck", "channel"};
    bed b = {.o = argc > 1 ? strtoul(argv[1], NULL, 10) : 64,
             .c = argc > 2 ? strtoul(argv[2], NULL, 10) : 64,
             .rows = argc > 3 ? strtoul(argv[3], NULL, 10) : 32768};
    const double multiplier = argc > 4 ? strtod(argv[4], NULL) : 2;
    clv_context_opts opts = clv_context_opts_default();
    clv_context *context = NULL;
    clv_error err = {0};
    opts.threads = argc > 5 ? atoi(argv[5]) : 2;
    if (b.o < 1 || b.o > 4096 || b.c < 1 || b.c > 4096 || b.rows < 2 || b.rows > 10000000) {
        fputs("usage: bench_refit [OUT IN SAMPLES MULTIPLIER [THREADS]]\n", stderr);
        return 2;
    }
    if (clv_context_create(&context, &opts, &err) != CLV_OK || !bed_create(&b))
        return 1;
    printf("%zux%zux3x3, multiplier %g, %zu patches, %d threads\n", b.o, b.c, multiplier, b.rows, opts.threads);
    printf("%-11s %-30s %8s %8s %5s %8s\n", "form", "fit", "loss", "fresh", "fits", "seconds");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (compare(&b, forms[i], multiplier, context, &err) != CLV_OK) {
            fprintf(stderr, "bench_refit: %s: %s\n", forms[i], err.msg);
            return 1;
        }
    clv_context_free(context);
    return 0;
}
