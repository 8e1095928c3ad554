/* SPDX-License-Identifier: Apache-2.0 */
#include "data/shapes.h"

#include <math.h>
#include <stdbool.h>

#include "base/rng.h"

#define SIDE    CLVI_SHAPES_SIDE
#define SAMPLES 3 /* a side, of each pixel */
#define LATTICE 7 /* points a side of the mottling */

enum { DISC, SQUARE, TRIANGLE, STAR, CROSS, RING, CRESCENT, STRIPES, CHECKS, SPOTS };

typedef struct vec {
    double x, y;
} vec;

typedef struct colour {
    double c[3]; /* 0 to 255 */
} colour;

typedef struct scene {
    int outline, pattern;        /* pattern: STRIPES, CHECKS, SPOTS or -1 */
    vec centre, axis;            /* of the object, pixels; axis is a unit vector */
    double size, aspect;         /* half extent along the axis, pixels; across it, times aspect */
    double period;               /* of the pattern, pixels */
    colour ground[2], object[2]; /* ends of the gradient; object and second colour of its pattern or mottling */
    vec slope;                   /* of the gradient */
    double mottle[LATTICE][LATTICE];
    double mottling;           /* its strength on the ground */
    vec line;                  /* unit normal of the line across */
    double line_at, line_half; /* its place and half width; < 0: none */
    bool line_in_front;
    colour line_colour;
    double noise; /* standard deviation */
} scene;

const char *clvi_shapes_name(int kind)
{
    static const char *const names[] = {"disc", "square",   "triangle", "star",   "cross",
                                        "ring", "crescent", "stripes",  "checks", "spots"};
    return names[kind];
}

/* --- random things --------------------------------------------------------------------------------------------- */

static double between(clvi_rng *rng, double lo, double hi)
{
    return lo + (hi - lo) * clvi_rng_uniform(rng);
}

static vec direction(clvi_rng *rng)
{
    for (;;) {
        const vec v = {between(rng, -1, 1), between(rng, -1, 1)};
        const double square = v.x * v.x + v.y * v.y;
        if (square > 0.01 && square <= 1)
            return (vec){v.x / sqrt(square), v.y / sqrt(square)};
    }
}

static double distance(const colour *a, const colour *b)
{
    double sum = 0;
    for (int k = 0; k < 3; k++)
        sum += (a->c[k] - b->c[k]) * (a->c[k] - b->c[k]);
    return sqrt(sum);
}

static colour any_colour(clvi_rng *rng)
{
    return (colour){{between(rng, 10, 245), between(rng, 10, 245), between(rng, 10, 245)}};
}

static colour mix(const colour *a, const colour *b, double t)
{
    colour m;
    for (int k = 0; k < 3; k++)
        m.c[k] = a->c[k] + t * (b->c[k] - a->c[k]);
    return m;
}

/* A colour that lies at least `far` from another. Every colour has one: the cube's diagonal halves are 203 long. */
static colour colour_far_from(clvi_rng *rng, const colour *other, double far)
{
    colour c;
    do
        c = any_colour(rng);
    while (distance(&c, other) < far);
    return c;
}

static void draw_scene(scene *s, int kind, clvi_rng *rng)
{
    const int plain[] = {DISC, SQUARE, TRIANGLE};
    s->pattern = kind >= STRIPES ? kind : -1;
    s->outline = kind >= STRIPES ? plain[clvi_rng_below(rng, 3)] : kind;
    s->size = between(rng, 5.0, 12.0);
    s->aspect = between(rng, 0.7, 1.0);
    s->axis = direction(rng);
    s->centre.x = between(rng, 0.8 * s->size, SIDE - 0.8 * s->size);
    s->centre.y = between(rng, 0.8 * s->size, SIDE - 0.8 * s->size);
    s->period = between(rng, 3.5, 6.5);
    if (s->pattern >= 0 && s->size < 1.5 * s->period)
        s->size = 1.5 * s->period;

    s->ground[0] = any_colour(rng);
    const colour other_end = any_colour(rng);
    s->ground[1] = mix(&s->ground[0], &other_end, between(rng, 0, 0.6));
    const colour middle = mix(&s->ground[0], &s->ground[1], 0.5);
    s->object[0] = colour_far_from(rng, &middle, between(rng, 40, 120));
    s->object[1] = colour_far_from(rng, &s->object[0], between(rng, 60, 120));
    s->slope = direction(rng);
    for (int y = 0; y < LATTICE; y++)
        for (int x = 0; x < LATTICE; x++)
            s->mottle[y][x] = between(rng, -1, 1);
    s->mottling = between(rng, 0, 45);

    s->line = direction(rng);
    s->line_at = between(rng, 6, SIDE - 6) - SIDE / 2.0;
    s->line_half = clvi_rng_below(rng, 2) ? between(rng, 0.5, 1.5) : -1;
    s->line_in_front = clvi_rng_below(rng, 2) == 1;
    s->line_colour = any_colour(rng);
    s->noise = between(rng, 4, 34);
}

/* --- geometry -------------------------------------------------------------------------------------------------- */

/* How many of the n half-planes that a regular n-gon of inradius `inner` is made of hold p. */
static int half_planes(const vec *normals, int n, double inner, vec p)
{
    int inside = 0;
    for (int i = 0; i < n; i++)
        inside += normals[i].x * p.x + normals[i].y * p.y <= inner;
    return inside;
}

/* Whether p, in units of the object's size, belongs to it. All outlines have about the same area. */
static bool holds(int outline, vec p)
{
    static const vec three[] = {{1, 0}, {-0.5, 0.8660254037844386}, {-0.5, -0.8660254037844386}};
    static const vec five[] = {{1, 0},
                               {0.30901699437494745, 0.9510565162951535},
                               {-0.8090169943749475, 0.5877852522924731},
                               {-0.8090169943749475, -0.5877852522924731},
                               {0.30901699437494745, -0.9510565162951535}};
    const double square = p.x * p.x + p.y * p.y, x = fabs(p.x), y = fabs(p.y);
    switch (outline) {
    case DISC:
        return square <= 0.9 * 0.9;
    case SQUARE:
        return x <= 0.8 && y <= 0.8;
    case TRIANGLE:
        return half_planes(three, 3, 0.62, p) == 3;
    case STAR: /* a pentagram is where at most one of a pentagon's sides is crossed */
        return half_planes(five, 5, 0.37, p) >= 4;
    case CROSS:
        return (x <= 0.34 && y <= 1) || (y <= 0.34 && x <= 1);
    case RING:
        return square <= 1 && square >= 0.58 * 0.58;
    default: /* CRESCENT */
        return square <= 1 && (p.x - 0.55) * (p.x - 0.55) + p.y * p.y >= 0.8 * 0.8;
    }
}

/* The distance of t to the nearest multiple of `period`, in periods: 0 to 0.5. */
static double off_grid(double t, double period)
{
    const double u = t / period;
    return fabs(u - floor(u + 0.5));
}

/* Whether p, in pixels along and across the object's axis, has the pattern's second colour. */
static bool second_colour(const scene *s, vec p)
{
    const double x = off_grid(p.x, s->period), y = off_grid(p.y, s->period);
    switch (s->pattern) {
    case STRIPES:
        return x < 0.25;
    case CHECKS:
        return (x < 0.25) != (y < 0.25);
    default: /* SPOTS */
        return x * x + y * y < 0.3 * 0.3;
    }
}

/* The mottling at a pixel, between -1 and 1: bilinear between lattice points. */
static double mottle_at(const scene *s, double x, double y)
{
    const double step = (double)SIDE / (LATTICE - 1);
    const int i = (int)(x / step), j = (int)(y / step);
    const double u = x / step - i, v = y / step - j;
    const double top = s->mottle[j][i] + u * (s->mottle[j][i + 1] - s->mottle[j][i]);
    const double bottom = s->mottle[j + 1][i] + u * (s->mottle[j + 1][i + 1] - s->mottle[j + 1][i]);
    return top + v * (bottom - top);
}

/* --- pixels ---------------------------------------------------------------------------------------------------- */

static colour ground_at(const scene *s, double x, double y, double mottle)
{
    const double along = (s->slope.x * (x - SIDE / 2.0) + s->slope.y * (y - SIDE / 2.0)) / SIDE + 0.5;
    colour c = mix(&s->ground[0], &s->ground[1], along);
    for (int k = 0; k < 3; k++)
        c.c[k] += s->mottling * mottle;
    return c;
}

/* The colour of one point over this ground. */
static colour point(const scene *s, double x, double y, double mottle, const colour *ground)
{
    const double dx = x - s->centre.x, dy = y - s->centre.y;
    const vec p = {s->axis.x * dx + s->axis.y * dy, s->axis.x * dy - s->axis.y * dx};
    const vec unit = {p.x / s->size, p.y / (s->size * s->aspect)};
    const double across = s->line.x * (x - SIDE / 2.0) + s->line.y * (y - SIDE / 2.0) - s->line_at;
    const bool on_line = fabs(across) <= s->line_half;
    if (on_line && s->line_in_front)
        return s->line_colour;
    if (fabs(unit.x) < 1.5 && fabs(unit.y) < 1.5 && holds(s->outline, unit)) {
        if (s->pattern >= 0)
            return s->object[second_colour(s, p)];
        return mix(&s->object[0], &s->object[1], 0.15 + 0.15 * mottle);
    }
    return on_line ? s->line_colour : *ground;
}

/* Nearly normal with mean 0 and variance 1: the sum of four uniform numbers of 16 bits. */
static double bell(clvi_rng *rng)
{
    const uint64_t r = clvi_rng_u64(rng);
    const double sum =
        (double)(r & 0xffff) + (double)(r >> 16 & 0xffff) + (double)(r >> 32 & 0xffff) + (double)(r >> 48);
    return (sum - 2 * 65535.0) / 65536.0 * sqrt(3.0);
}

static uint8_t to_byte(double v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5);
}

void clvi_shapes_draw(uint8_t *rgb, int kind, uint64_t seed, uint64_t number)
{
    scene s;
    clvi_rng rng;
    clvi_rng_seed_stream(&rng, seed, number * CLVI_SHAPES_CLASSES + (uint64_t)kind);
    draw_scene(&s, kind, &rng);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            double sum[3] = {0};
            const double mottle = mottle_at(&s, x + 0.5, y + 0.5);
            const colour ground = ground_at(&s, x + 0.5, y + 0.5, mottle);
            for (int i = 0; i < SAMPLES * SAMPLES; i++) {
                const double fx = (i % SAMPLES + 0.5) / SAMPLES, fy = (i / SAMPLES + 0.5) / SAMPLES;
                const colour c = point(&s, x + fx, y + fy, mottle, &ground);
                for (int k = 0; k < 3; k++)
                    sum[k] += c.c[k];
            }
            for (int k = 0; k < 3; k++)
                *rgb++ = to_byte(sum[k] / (SAMPLES * SAMPLES) + s.noise * bell(&rng));
        }
}
