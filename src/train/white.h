/* SPDX-License-Identifier: Apache-2.0 */
/* Steps in the space of what a convolution's outputs do: its gradient is multiplied by the inverse of the second
 * moments of the patches that it sees, and each output moves by the same share of its size.
 *
 *   A = E p p',  P = G (A + lambda I)^-1,  q_o = <P_o, G_o>  (the squared length of P_o, measured by A)
 *   W_o -= rate size_o mean(P_o) / sqrt(mean(q_o))
 *
 * p: a patch, with a one behind it when there is a bias; size_o: the standard deviation of output o. Adam on the
 * weights themselves moves all of them alike: most of that goes into the few directions in which activations behind a
 * ReLU are large, which limits the rate, and little into all others. Source of P: Benzing, Gradient descent on neurons,
 * arXiv 2201.12250; the input's half of Martens and Grosse, arXiv 1503.05671. */
#ifndef CLVI_TRAIN_WHITE_H
#define CLVI_TRAIN_WHITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "ops/conv_shape.h"

/* One convolution: `blocks` groups of `rows` outputs that see the same patches of `taps` numbers. */
typedef struct clvi_white {
    size_t weight, bias; /* offsets in the parameter vector; bias only with has_bias */
    bool has_bias;
    size_t blocks, rows, taps, n; /* n = taps + 1 */
    size_t lanes;
    clvi_conv_shape shape; /* of a lane */
    double *sums;          /* [lanes][blocks][n][n] of this step, lower triangles */
    float *patch;          /* [lanes][n] */
    double *room;          /* [2][n] and [n][n] */
    /* what a checkpoint keeps; the caller's memory, zero at first */
    double *moments; /* [blocks][n][n] running means, lower triangles */
    double *inverse; /* [blocks][n][n] */
    double *size;    /* [blocks * rows] when the first steps were measured */
    double *steps;   /* [1] */
} clvi_white;

/* Gives *out (clvi_white_free); NULL when patches are too long to be worth it. */
clv_status clvi_white_create(clvi_white **out, const clvi_conv_shape *lane, size_t lanes, clv_error *err);
void clvi_white_free(clvi_white *w); /* NULL-safe */

/* Doubles of the state, and where it lies: zero before the first step. */
size_t clvi_white_state(const clvi_white *w);
void clvi_white_bind(clvi_white *w, double *state);

/* Sample patches of a lane, once a step (it knows which steps it needs): x [n, h, w, c]. */
void clvi_white_gather(clvi_white *w, size_t lane, const float *x);

/* m, v: of the parameter vector's layout; v holds one number for each output, where its weights begin. */
typedef struct clvi_white_step {
    float *theta, *m, *v;
    const float *gradient;
    double rate, beta1, beta2;
    double scale; /* of the gradient: clipping */
} clvi_white_step;

/* One step, after all lanes have gathered. */
void clvi_white_move(clvi_white *w, const clvi_white_step *step);

#endif
