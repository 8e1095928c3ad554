/* SPDX-License-Identifier: Apache-2.0 */
/* Whitened steps: moments and their inverse against a closed form, sizes of outputs against a plain convolution, and a
 * regression on inputs that lie nearly in one direction, which Adam does not solve. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "train/white.h"

#define LANES 2

static clvi_white *make(const clvi_conv_shape *s, size_t bias)
{
    clvi_white *w = NULL;
    assert_int_equal(clvi_white_create(&w, s, LANES, NULL), CLV_OK);
    assert_non_null(w);
    w->weight = 0;
    w->bias = bias;
    w->has_bias = true;
    clvi_white_bind(w, clvi_calloc(clvi_white_state(w), sizeof(double)));
    return w;
}

static void drop(clvi_white *w)
{
    clvi_free(w->moments); /* where the state begins */
    clvi_white_free(w);
}

static void gather(clvi_white *w, const float *x)
{
    const clvi_conv_shape *const s = &w->shape;
    for (size_t l = 0; l < LANES; l++)
        clvi_white_gather(w, l, x + l * (size_t)(s->n * s->h * s->w * s->c));
}

/* Patches p(t) of two kinds, so that A = q0 q0' / 2 + q1 q1' / 2 when both are met as often; here one kind for each
 * lane. P solves (A + D) P = g, which is checked by multiplying back. */
static void test_inverse(void **state)
{
    const clvi_conv_shape s = {.n = 1,
                               .c = 3,
                               .h = 2,
                               .w = 2,
                               .o = 1,
                               .oh = 2,
                               .ow = 2,
                               .groups = 1,
                               .kh = 1,
                               .kw = 1,
                               .sh = 1,
                               .sw = 1,
                               .dh = 1,
                               .dw = 1};
    const double q[2][4] = {{1, 2, -1, 1}, {3, 0, 0.5, 1}};
    const double variance = (1 + 1 + 0.5625) / 4; /* of three coordinates, over n = 4 */
    float x[LANES * 4 * 3], theta[4] = {1, 0, 0, 0}, m[4] = {0}, v[4] = {0};
    const float g[4] = {0.5F, -1, 2, 3};
    double length = 0;
    (void)state;
    for (int i = 0; i < LANES * 4 * 3; i++)
        x[i] = (float)q[i / 12][i % 3];
    clvi_white *const w = make(&s, 3);
    gather(w, x);
    clvi_white_move(w, &(clvi_white_step){theta, m, v, g, 0, 0, 0, 1}); /* beta 0: m is P, v is <P, G> */
    for (int i = 0; i < 4; i++) {
        double back = (i < 3 ? 1e-2 * variance + 1e-9 : 1e-6) * (double)m[i];
        for (int j = 0; j < 4; j++)
            back += (q[0][i] * q[0][j] + q[1][i] * q[1][j]) / 2 * (double)m[j];
        assert_true(fabs(back - (double)g[i]) < 1e-3);
        length += (double)m[i] * (double)g[i];
    }
    assert_true(fabs((double)v[0] - length) < 1e-4 * length);
    drop(w);
}

/* Standard deviations of the outputs of a convolution, plainly. */
static void plain_sizes(double *out, const clvi_conv_shape *s, const float *x, const float *weights, int64_t images)
{
    const int64_t depth = s->c / s->groups, per = s->o / s->groups;
    for (int64_t o = 0; o < s->o; o++) {
        double sum = 0, square = 0;
        for (int64_t n = 0; n < images; n++)
            for (int64_t oy = 0; oy < s->oh; oy++)
                for (int64_t ox = 0; ox < s->ow; ox++) {
                    double y = 0;
                    for (int64_t c = 0; c < depth; c++)
                        for (int64_t ky = 0; ky < s->kh; ky++)
                            for (int64_t kx = 0; kx < s->kw; kx++) {
                                const int64_t iy = oy * s->sh + ky * s->dh - s->pt,
                                              ix = ox * s->sw + kx * s->dw - s->pl;
                                if (iy >= 0 && iy < s->h && ix >= 0 && ix < s->w)
                                    y += (double)weights[((o * depth + c) * s->kh + ky) * s->kw + kx] *
                                         (double)x[((n * s->h + iy) * s->w + ix) * s->c + o / per * depth + c];
                            }
                    sum += y;
                    square += y * y;
                }
        const double count = (double)(images * s->oh * s->ow);
        out[o] = sqrt(square / count - sum / count * sum / count);
    }
}

static void test_sizes(void **state)
{
    static const clvi_conv_shape shapes[] = {
        {.n = 4,
         .c = 4,
         .h = 9,
         .w = 8,
         .o = 6,
         .oh = 5,
         .ow = 4,
         .groups = 1,
         .kh = 3,
         .kw = 3,
         .sh = 2,
         .sw = 2,
         .dh = 1,
         .dw = 1,
         .pt = 1,
         .pl = 1,
         .pb = 1,
         .pr = 1},
        {.n = 4,
         .c = 6,
         .h = 8,
         .w = 7,
         .o = 4,
         .oh = 6,
         .ow = 7,
         .groups = 2,
         .kh = 2,
         .kw = 3,
         .sh = 1,
         .sw = 1,
         .dh = 2,
         .dw = 1,
         .pt = 0,
         .pl = 1,
         .pb = 0,
         .pr = 1},
        {.n = 4,
         .c = 5,
         .h = 8,
         .w = 8,
         .o = 10,
         .oh = 8,
         .ow = 8,
         .groups = 5,
         .kh = 3,
         .kw = 3,
         .sh = 1,
         .sw = 1,
         .dh = 1,
         .dw = 1,
         .pt = 1,
         .pl = 1,
         .pb = 1,
         .pr = 1},
    };
    static float x[LANES * 4 * 9 * 8 * 6], theta[400], m[400], v[400], g[400];
    double want[16];
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 4);
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const clvi_conv_shape *const s = &shapes[k];
        const size_t weights = (size_t)(s->o * s->c / s->groups * s->kh * s->kw);
        for (size_t i = 0; i < sizeof x / sizeof *x; i++)
            x[i] = (float)clvi_rng_normal(&rng) + (float)(i % (size_t)s->c);
        for (size_t i = 0; i < weights + (size_t)s->o; i++)
            theta[i] = (float)clvi_rng_normal(&rng);
        clvi_white *const w = make(s, weights);
        for (int step = 0; step < 11; step++) { /* the last one measures */
            gather(w, x);
            clvi_white_move(w, &(clvi_white_step){theta, m, v, g, 0, 0.9, 0.999, 1});
        }
        plain_sizes(want, s, x, theta, LANES * s->n);
        for (int64_t o = 0; o < s->o; o++)
            if (fabs(w->size[o] - want[o]) > 0.1 * want[o])
                fail_msg("shape %zu, output %d: %g, plainly %g", k, (int)o, w->size[o], want[o]);
        drop(w);
    }
}

/* y = w'x + b for x = 3 (1, ..., 1) + noise of 0.1: the direction of the ones has 8,000 times the variance of the
 * others. The gradient of the squared error over a fixed batch, 200 steps of one cycle's length. */
enum { POINTS = 64, DIMS = 8 };

static double regress(bool whiten, double rate)
{
    const clvi_conv_shape s = {.n = POINTS / LANES,
                               .c = DIMS,
                               .h = 1,
                               .w = 1,
                               .o = 1,
                               .oh = 1,
                               .ow = 1,
                               .groups = 1,
                               .kh = 1,
                               .kw = 1,
                               .sh = 1,
                               .sw = 1,
                               .dh = 1,
                               .dw = 1};
    float x[POINTS][DIMS], y[POINTS], theta[DIMS + 1], m[DIMS + 1] = {0}, v[DIMS + 1] = {0}, g[DIMS + 1];
    double error = 0;
    clvi_rng rng;
    clvi_rng_seed(&rng, 6);
    for (int i = 0; i < POINTS; i++) {
        y[i] = 0;
        for (int k = 0; k < DIMS; k++) {
            x[i][k] = 3 + 0.1F * (float)clvi_rng_normal(&rng);
            y[i] += (k % 2 ? -1.0F : 1.0F) * x[i][k] * 3;
        }
    }
    for (int k = 0; k <= DIMS; k++)
        theta[k] = k < DIMS ? 0.3F * (float)clvi_rng_normal(&rng) : 0;
    clvi_white *const w = make(&s, DIMS);
    for (int step = 0; step < 400; step++) {
        const double now = step < 11 ? 0 : rate * (1 - step / 400.0);
        memset(g, 0, sizeof g);
        error = 0;
        for (int i = 0; i < POINTS; i++) {
            float e = theta[DIMS] - y[i];
            for (int k = 0; k < DIMS; k++)
                e += theta[k] * x[i][k];
            for (int k = 0; k <= DIMS; k++)
                g[k] += e * (k < DIMS ? x[i][k] : 1) / POINTS;
            error += (double)(e * e) / POINTS;
        }
        gather(w, &x[0][0]);
        if (whiten) {
            clvi_white_move(w, &(clvi_white_step){theta, m, v, g, now, 0.9, 0.999, 1});
            continue;
        }
        for (int k = 0; k <= DIMS; k++) { /* Adam */
            m[k] = 0.9F * m[k] + 0.1F * g[k];
            v[k] = 0.999F * v[k] + 0.001F * g[k] * g[k];
            theta[k] -= (float)(now / (1 - pow(0.9, step + 1)) * (double)m[k] /
                                (sqrt((double)v[k] / (1 - pow(0.999, step + 1))) + 1e-8));
        }
    }
    drop(w);
    return error;
}

static void test_solves(void **state)
{
    double adam = 1e9, white = 1e9;
    (void)state;
    for (double rate = 1e-3; rate < 2; rate *= 2) {
        adam = fmin(adam, regress(false, rate));
        white = fmin(white, regress(true, rate));
    }
    if (!(white < 0.25 * adam))
        fail_msg("error %g, Adam's best %g", white, adam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_inverse), cmocka_unit_test(test_sizes),
                                       cmocka_unit_test(test_solves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
