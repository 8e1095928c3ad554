/* SPDX-License-Identifier: Apache-2.0 */
/* What follows a convolution, and how a least-squares fit can aim through it.
 *
 * Wanted is a small sum of (f(y) - f(z))^2, y the wanted and z the fitted pre-activation. Every f here is, per channel,
 * linear between its knees and, divided by its Lipschitz constant L, of slope at most 1:
 *
 *   f(z) / L = z                       lo <= z <= hi
 *            = lo + below (z - lo)     z < lo                 ReLU: lo 0, below 0          clip: lo, hi, 0, 0
 *            = hi + above (z - hi)     z > hi                 LeakyReLU: lo 0, below slope; hi = +inf for both
 *
 * (f / L, not f, is what the rounds see: L is 1 but for slopes outside [-1, 1].)
 *
 * Bound. With s the slope of f / L at y (1 between the knees, and everywhere for an f that falls somewhere):
 *
 *   phi(y, z) = (y - z)^2                                      y between the knees
 *             = s (y - z)^2 + (1 - s) max(z - lo, 0)^2         y < lo
 *             = s (y - z)^2 + (1 - s) max(hi - z, 0)^2         y > hi
 *
 *   phi >= (f(y) - f(z))^2 / L^2, and phi(y, y) = 0. Between the knees because |f(y) - f(z)| <= L |y - z|. Beyond, say
 * y < lo, because f / L = s id + (1 - s) g with g(y) = lo and |g(z) - lo| <= max(z - lo, 0), and the square is convex.
 *
 * Majoriser. phi is convex in z and its second derivative is at most 2, so at the current z0
 *
 *   phi(y, z) <= (z - t)^2 + const,   equal at z = z0,   t = y                               y between the knees
 *                                                          = s y + (1 - s) min(z0, lo)       y < lo
 *                                                          = s y + (1 - s) max(z0, hi)       y > hi
 *
 *   because max(z - lo, 0) <= |z - min(z0, lo)|. Unweighted least squares towards t therefore never raises the sum of
 * phi: that is one round. ReLU: t = y where y > 0, else min(z, 0). A kink upward has no quadratic above it, so (f(y) -
 * f(z))^2 itself cannot take phi's place for 0 < s < 1. */
#ifndef CLVI_DECOMPOSE_ACTIVATION_H
#define CLVI_DECOMPOSE_ACTIVATION_H

#include <math.h>
#include <stddef.h>

#include "base/status.h"

typedef enum clvi_activation_kind {
    CLVI_ACTIVATION_NONE = 0,
    CLVI_ACTIVATION_RELU = 1,
    CLVI_ACTIVATION_CLIP = 2,  /* lo, hi; ReLU6: 0, 6 */
    CLVI_ACTIVATION_LEAKY = 3, /* slope below zero */
    CLVI_ACTIVATION_PRELU = 4  /* slopes[o] below zero, one for each channel */
} clvi_activation_kind;

typedef struct clvi_activation {
    clvi_activation_kind kind;
    double lo, hi;       /* CLIP, lo <= hi; infinities leave a side open */
    double slope;        /* LEAKY, any finite number */
    const float *slopes; /* PRELU, borrowed */
} clvi_activation;

/* f of one channel, as above. */
typedef struct clvi_piece {
    double lo, hi, below, above;
    double scale; /* L */
} clvi_piece;

/* CLV_ERR_ARG: unknown kind, lo > hi, a slope that is not finite. o channels. */
clv_status clvi_activation_check(const clvi_activation *a, size_t o, clv_error *err);

/* a must have passed the check for more than `channel` channels. Reentrant. */
clvi_piece clvi_activation_piece(const clvi_activation *a, size_t channel);

/* f(z) / L */
static inline double clvi_piece_unit(const clvi_piece *p, double z)
{
    return z < p->lo ? p->lo + p->below * (z - p->lo) : z > p->hi ? p->hi + p->above * (z - p->hi) : z;
}

/* (f(y) - f(z))^2 */
static inline double clvi_piece_loss(const clvi_piece *p, double y, double z)
{
    const double d = p->scale * (clvi_piece_unit(p, y) - clvi_piece_unit(p, z));
    return d * d;
}

/* s of the bound: the slope of f / L at y; 1 (plain least squares) for an f that falls somewhere. */
static inline double clvi_piece_slope(const clvi_piece *p, double y)
{
    return p->below < 0 ? 1 : y < p->lo ? p->below : y > p->hi ? p->above : 1;
}

/* phi(y, z) */
static inline double clvi_piece_bound(const clvi_piece *p, double y, double z)
{
    const double far = (y - z) * (y - z), s = clvi_piece_slope(p, y);
    const double over = y < p->lo ? z - p->lo : p->hi - z;
    return s == 1 ? far : s * far + (over > 0 ? (1 - s) * over * over : 0);
}

/* t(y, z0) */
static inline double clvi_piece_target(const clvi_piece *p, double y, double z0)
{
    const double s = clvi_piece_slope(p, y);
    if (s == 1)
        return y;
    const double near = y < p->lo ? (z0 < p->lo ? z0 : p->lo) : (z0 > p->hi ? z0 : p->hi);
    return s * y + (1 - s) * near;
}

/* The alternating solver's step (Zhang et al., TPAMI 2016, solved here for any f of this kind):
 *   argmin over z of (f(y) - f(z))^2 + lambda (z - z0)^2,   lambda > 0.
 * On each of the three pieces f is a line, the minimum over it is a projection, the least of the three wins; ties go to
 * the piece of z0's side first: between the knees, below, above. */
double clvi_piece_relaxed(const clvi_piece *p, double y, double z0, double lambda);

#endif
