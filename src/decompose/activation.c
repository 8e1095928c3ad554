/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/activation.h"

clv_status clvi_activation_check(const clvi_activation *a, size_t o, clv_error *err)
{
    switch (a->kind) {
    case CLVI_ACTIVATION_NONE:
    case CLVI_ACTIVATION_RELU:
        return CLV_OK;
    case CLVI_ACTIVATION_CLIP:
        if (!(a->lo <= a->hi))
            return FAIL(err, CLV_ERR_ARG, "clip between %g and %g", a->lo, a->hi);
        return CLV_OK;
    case CLVI_ACTIVATION_LEAKY:
        if (!isfinite(a->slope))
            return FAIL(err, CLV_ERR_ARG, "LeakyReLU of slope %g", a->slope);
        return CLV_OK;
    case CLVI_ACTIVATION_PRELU:
        if (!a->slopes)
            return FAIL(err, CLV_ERR_ARG, "PReLU of %zu channels without slopes", o);
        for (size_t i = 0; i < o; i++)
            if (!isfinite(a->slopes[i]))
                return FAIL(err, CLV_ERR_ARG, "PReLU's slope of channel %zu is %g", i, (double)a->slopes[i]);
        return CLV_OK;
    }
    return FAIL(err, CLV_ERR_ARG, "activation number %d is unknown", (int)a->kind);
}

/* max(z, 0) + slope min(z, 0) over its steepest slope. */
static clvi_piece leaky(double slope)
{
    const double steep = fabs(slope);
    if (steep <= 1)
        return (clvi_piece){0, HUGE_VAL, slope, 1, 1};
    if (slope > 1) /* z / slope above zero */
        return (clvi_piece){-HUGE_VAL, 0, 1, 1 / slope, slope};
    /* a fold: -z below zero. Written about the knee 0 from the right: -z / slope there */
    return (clvi_piece){0, 0, -1, 1 / steep, steep};
}

clvi_piece clvi_activation_piece(const clvi_activation *a, size_t channel)
{
    switch (a->kind) {
    case CLVI_ACTIVATION_NONE:
        break;
    case CLVI_ACTIVATION_RELU:
        return leaky(0);
    case CLVI_ACTIVATION_CLIP:
        return (clvi_piece){a->lo, a->hi, 0, 0, 1};
    case CLVI_ACTIVATION_LEAKY:
        return leaky(a->slope);
    case CLVI_ACTIVATION_PRELU:
        return leaky((double)a->slopes[channel]);
    }
    return (clvi_piece){-HUGE_VAL, HUGE_VAL, 1, 1, 1};
}

/* The best z in [from, to], where f(z) = unit + slope (z - knee), all over scale. */
typedef struct line {
    double from, to, knee, slope;
} line;

double clvi_piece_relaxed(const clvi_piece *p, double y, double z0, double lambda)
{
    const line lines[] = {
        {p->lo, p->hi, 0, 1}, {-HUGE_VAL, p->lo, p->lo, p->below}, {p->hi, HUGE_VAL, p->hi, p->above}};
    const double unit = clvi_piece_unit(p, y), weight = p->scale * p->scale;
    double best = HUGE_VAL, at = z0;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const line *l = &lines[i];
        if (l->from > l->to || !isfinite(l->knee)) /* an open side has no piece beyond it */
            continue;
        /* weight (unit - knee - slope (z - knee))^2 + lambda (z - z0)^2 */
        const double a = l->slope, d = unit - l->knee;
        const double free = l->knee + (weight * a * d + lambda * (z0 - l->knee)) / (weight * a * a + lambda);
        const double z = fmin(fmax(free, l->from), l->to);
        const double cost = clvi_piece_loss(p, y, z) + lambda * (z - z0) * (z - z0);
        if (cost < best) {
            best = cost;
            at = z;
        }
    }
    return at;
}
