/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of a network computed channels last: an image is an array of pixels, a pixel a row of channels. The planner
 * (runtime/pixel_plan.c) decides which nodes run so and binds the data; a step packs its weights once and allocates
 * nothing when it runs. Same bits for any number of threads: work is split by output alone. */
#ifndef CLVI_OPS_PIXELS_H
#define CLVI_OPS_PIXELS_H

#include "base/mem.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/conv_shape.h"
#include "ops/pool_shape.h"

#define CLVI_PIXEL_WINDOW 32 /* the highest and widest window of a step */
#define CLVI_PIXEL_MANY   96 /* pixels from which threads share them; of fewer they share the channels */

/* Element (n, r, q, ch) at data[((n * h + r) * w + q) * ld + ch], ld >= c. */
typedef struct clvi_pixels {
    float *data;
    size_t n, h, w, c, ld;
} clvi_pixels;

/* A convolution with what is done to its result: + bias, + add, clamp, act. */
typedef struct clvi_pixel_conv {
    clvi_conv_shape shape;
    float *weights;  /* packed */
    float *bias;     /* [o], or NULL */
    size_t winograd; /* m of clvi_pixel_winograd, which has its own packed weights; else 0 */
    float lo, hi;
    clvi_act_f32 act; /* after the clamp */
} clvi_pixel_conv;

/* Some rows, columns and channels of x, between channels of zeros: y(r, q, front + j) = x(row + r * row_step, column +
 * q * column_step, first + j), j < channels. */
typedef struct clvi_pixel_region {
    size_t row, row_step, column, column_step, first, channels, front;
} clvi_pixel_region;

typedef struct clvi_pixel_step clvi_pixel_step;

/* A way to compute a step. */
typedef struct clvi_pixel_kind {
    const char *name;
    size_t (*work)(const clvi_pixel_step *step); /* bytes of scratch; NULL: none */
    void (*run)(const clvi_pixel_step *step);
} clvi_pixel_kind;

struct clvi_pixel_step {
    const clvi_pixel_kind *kind;
    const clvi_kernels *kernels;
    clvi_pool *pool;
    clvi_pixels x, y;
    clvi_pixels add;             /* same shape as y; data NULL: none */
    clvi_pixels scale;           /* [n, 1, 1, c]: a pointwise convolution multiplies its input by it; data NULL: none */
    clvi_pixels other, rest;     /* of an exchange: the second half of what it reads and of what it writes */
    const clv_tensor *tensor;    /* the NCHW side of a conversion */
    clvi_pixel_conv conv;        /* the convolution; of depthwise -> pointwise the pointwise one */
    clvi_pixel_conv depthwise;   /* of depthwise -> pointwise */
    clvi_pixel_conv expand;      /* of pointwise -> depthwise [-> pointwise] the first */
    clvi_pool_shape window;      /* pooling */
    bool maximum, count_pads;    /* pooling: else the mean; of the padded window */
    size_t groups;               /* of a shuffle */
    clvi_pixel_region region;    /* of a part */
    void *work;                  /* kind->work() bytes, CLV_ALIGN-aligned */
    const clvi_pixel_step *next; /* the step that multiplies after this one, views; its weights are fetched; or NULL */
};

extern const clvi_pixel_kind clvi_pixel_convolution; /* pixels times packed weights, pointwise or any window */
extern const clvi_pixel_kind clvi_pixel_winograd;    /* 3x3, stride 1, with fewer products: kernels/winograd.h */
extern const clvi_pixel_kind clvi_pixel_depthwise;   /* one filter a channel */
extern const clvi_pixel_kind clvi_pixel_separable; /* depthwise, any multiplier, then pointwise: never stored between */
extern const clvi_pixel_kind
    clvi_pixel_inverted; /* pointwise, depthwise, pointwise: the wide tensor never exists whole */
extern const clvi_pixel_kind clvi_pixel_expanded;    /* pointwise, depthwise: the same where something stands behind */
extern const clvi_pixel_kind clvi_pixel_first;       /* convolution of a picture, depthwise, pointwise: the same */
extern const clvi_pixel_kind clvi_pixel_first_two;   /* convolution of a picture, depthwise */
extern const clvi_pixel_kind clvi_pixel_pool;        /* maximum or mean of windows */
extern const clvi_pixel_kind clvi_pixel_global_mean; /* of an image, a number a channel */
extern const clvi_pixel_kind clvi_pixel_shuffle;     /* y[j * groups + g] = x[g * (c / groups) + j] */
extern const clvi_pixel_kind clvi_pixel_exchange;    /* x and other put together, shuffled in two groups: y, rest */
extern const clvi_pixel_kind clvi_pixel_part;        /* a region of x */
extern const clvi_pixel_kind clvi_pixel_from_planes; /* NCHW tensor -> y */
extern const clvi_pixel_kind clvi_pixel_to_planes;   /* x -> NCHW tensor */

/* Can `clvi_pixel_convolution` or `clvi_pixel_depthwise` compute this; is it faster than the NCHW way? */
bool clvi_pixel_conv_fits(const clvi_conv_shape *s);
bool clvi_pixel_is_depthwise(const clvi_conv_shape *s); /* one input channel a group */
bool clvi_pixel_is_pointwise(const clvi_conv_shape *s); /* 1x1, stride 1, no pads, one group */

/* m of Winograd's F(m x m, 3 x 3) that computes this layer fastest, 4 or 2; 0: `clvi_pixel_convolution` is faster, or
 * it does not fit. The same for any batch and number of threads. any: the better m wherever it fits, pay or not. */
size_t clvi_pixel_winograd_pays(const clvi_conv_shape *s, bool any);

/* Does the depthwise layer gain from being computed inside the pointwise one behind it, with so many threads? */
bool clvi_pixel_separable_pays(const clvi_conv_shape *depthwise, const clvi_conv_shape *pointwise, int threads);

/* Can the layer in front of a depthwise one run a few rows at a time: a pointwise one, or one that reads a picture? */
bool clvi_pixel_expands(const clvi_conv_shape *expand);

/* Does the layer that makes the wide tensor gain from being computed a few rows at a time? */
bool clvi_pixel_inverted_pays(const clvi_conv_shape *expand);

/* Pack weights [o, c / groups, kh, kw] and copy the bias ([o] or NULL) of one convolution of a step, whose shape and
 * act are set; act.slope is views and becomes a copy. All live in the arena. multiplier: of the depthwise layer whose
 * result is multiplied without being stored; else 1. */
clv_status clvi_pixel_pack(const clvi_kernels *kernels, clvi_arena *arena, clvi_pixel_conv *conv, size_t multiplier,
                           const float *w, const float *bias, const char *label, clv_error *err);
float *clvi_pixel_pack_winograd(clvi_arena *arena, const clvi_conv_shape *s, size_t nr, size_t m,
                                const float *w); /* NULL: no memory */

bool clvi_pixel_multiplies(const clvi_pixel_step *step); /* is step->next used? */
bool clvi_pixel_by_panels(const clvi_pixel_step *step);  /* do threads share the filters, not the pixels? */

/* --- shared by the kinds ----------------------------------------------------------------------------------------- */

/* What a worker fetches into L2 while a step runs: what is left of the step's own weights, then the next step's, once
 * in its part of the `all` outputs. */
typedef struct clvi_pixel_source {
    const char *from[2];
    size_t own, bytes; /* own: those at from[0] */
    double each;       /* bytes for each output */
} clvi_pixel_source;
clvi_pixel_source clvi_pixel_source_of(const clvi_pixel_step *step, size_t worker, size_t all);

/* Its share for outputs [first, first + count), in `parts` equal parts of `steps` steps of pixel_gemm_f32. */
typedef struct clvi_pixel_ahead {
    const clvi_pixel_source *source;
    size_t at, part, step; /* bytes; step 0: nothing is fetched */
} clvi_pixel_ahead;
clvi_pixel_ahead clvi_pixel_ahead_of(const clvi_pixel_source *source, size_t first, size_t count, size_t parts,
                                     size_t steps);
void clvi_pixel_fetch(const clvi_pixel_ahead *ahead, size_t part, clvi_pixel_tile *tile);

/* Multiply `pixels` rows, ld apart, by packed pointwise weights [panel][k][nr], + bias, + add, clamp, act, into y. */
typedef struct clvi_pixel_product {
    const clvi_kernels *kernels;
    const float *x, *weights, *bias, *add;
    float *y;
    size_t k, n, x_ld, y_ld, add_ld;
    float lo, hi;
    const clvi_act_f32 *act;
    const clvi_pixel_source *source; /* fetched meanwhile, for outputs [first, first + count); or NULL */
    size_t first, count;
} clvi_pixel_product;
void clvi_pixel_product_run(const clvi_pixel_product *p, size_t pixels);

/* Output pixels [first, first + count) of all images of a regular convolution with windows of at most CLVI_PIXEL_TAPS,
 * one after the other in y, conv->shape.o apart. The step lends its input and kernels. */
#define CLVI_PIXEL_TAPS 25
void clvi_pixel_conv_run(const clvi_pixel_step *step, const clvi_pixel_conv *conv, size_t first, size_t count,
                         float *y);

/* The pointwise layer step->conv with all that follows it on `count` pixels x, x_ld apart, into those of step->y from
 * `pixel` on; source: the worker's, of all the step's pixels. */
void clvi_pixel_finish(const clvi_pixel_step *step, const clvi_pixel_source *source, size_t pixel, size_t count,
                       const float *x, size_t x_ld);

/* A depthwise layer on an image whose rows are kept modulo `ring`: row r at x + r % ring * row_floats. */
typedef struct clvi_pixel_filter {
    const clvi_kernels *kernels;
    const clvi_pixel_conv *conv;
    clvi_dwrow row; /* clvi_pixel_row */
    const float *x;
    size_t ring, row_floats;
} clvi_pixel_filter;
clvi_dwrow clvi_pixel_row(const clvi_conv_shape *s, size_t x_ld, size_t y_ld, float lo, float hi);

/* Output pixels [first, first + count) of the image, every filter and the activation; y: the first of them. */
void clvi_pixel_filter_run(const clvi_pixel_filter *p, size_t first, size_t count, float *y);

/* The activation, in place on channels [first, first + n) of `pixels` pixels; y: the first of these channels. */
void clvi_pixel_activate(const clvi_kernels *kernels, const clvi_act_f32 *act, float *y, size_t pixels, size_t first,
                         size_t n, size_t ld);

#endif
