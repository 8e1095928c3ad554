/* SPDX-License-Identifier: Apache-2.0 */
/* What a compressed form is: how a convolution y = W x + b is replaced by a short chain of cheaper ones.
 *
 * A form is one file and one line of form_list.h. Fits see matrices alone: no graph, no images. */
#ifndef CLVI_DECOMPOSE_FORM_H
#define CLVI_DECOMPOSE_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/context.h"
#include "base/mem.h"
#include "base/status.h"
#include "decompose/moments.h"

/* A convolution's weights and geometry; all sizes as in ONNX. 1-D convolutions have kh = 1 and rank 3. */
typedef struct clvi_conv {
    int64_t o, c, groups;
    int64_t kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
    int rank;             /* 4, or 3 for 1-D */
    int64_t map_h, map_w; /* the input's map, where the output goes into its own mean alone (average.h); else 0 */
    const float *w;       /* [o, c/groups, kh, kw], borrowed */
    const float *bias;    /* [o] or NULL, borrowed */
} clvi_conv;

/* One link of the chain that replaces it: again a convolution, with arena-owned weights and an optional bias. */
#define CLVI_MAX_LINKS 4
typedef struct clvi_chain {
    size_t n;
    clvi_conv link[CLVI_MAX_LINKS];
    /* NULL, or [link[i].c] indices (arena-owned): before link i its input's channels are gathered, new channel j = old
     * channel gather[i][j] (ONNX Gather on axis 1). Uneven multipliers need it: ONNX wants the same number of filters
     * in each group, so an input channel with m filters is repeated m times and the depthwise link has one filter each.
     * A channel with no filter does not occur in the list. An empty list (link[i].c = 0) makes a link that reads
     * nothing: its bias, for every pixel (w and gather are then pointers to nothing). */
    const int32_t *gather[CLVI_MAX_LINKS];
    int64_t average; /* cells of so many pixels squared are averaged before the only link, and gain behind it; 0: no */
    double gain;
} clvi_chain;

/* How the factors of a form are found; not every form has every method. */
typedef enum clvi_method {
    CLVI_METHOD_SVD = 0,           /* weights alone */
    CLVI_METHOD_GSVD = 1,          /* per channel, in the metric of the data */
    CLVI_METHOD_INTER_CHANNEL = 2, /* the paper's sequential compensation */
    CLVI_METHOD_SWEEPS = 3,        /* repeated block minimisation, from the better of the above */
    CLVI_METHOD_JOINT = 4          /* variable projection + L-BFGS, from the sweeps */
} clvi_method;

const char *clvi_method_name(clvi_method method); /* "svd", "gsvd", "inter-channel", "sweeps", "joint" */
bool clvi_method_parse(const char *name, clvi_method *out);

typedef struct clvi_fit_opts {
    clvi_method method;
    double multiplier;  /* depthwise: mean number of filters per input channel, > 0; other forms: see `size` */
    int64_t size;       /* channel: inner channels r; bottleneck: R; prune: kept channels; 0: not given */
    bool uneven;        /* depthwise: filters shared out unevenly over the channels, at the same total */
    double ridge;       /* lambda relative to tr(S)/q, default 1e-3 */
    int max_iterations; /* L-BFGS, default 100 */
    uint64_t seed;      /* of what is random in a start */
    int starts;         /* default 3; 1: the one start that is cheapest to make. The bottleneck never tries more */
    /* A chain that an earlier fit of the same form and convolution gave, where descent starts instead of at random
     * (borrowed; NULL: none). It has this size or a larger one: then what loses least is removed from it first, by the
     * exact loss of each removal. The regularised objective never rises above the start's (that of what is left of it).
     * CLV_ERR_ARG: of another form or convolution, or smaller. A form or method whose solution is closed ignores it. */
    const clvi_chain *start;
    /* What fits of one form, convolution, statistics, method and ridge have in common, kept from one to the next
     * (borrowed; NULL: nothing is kept). A form that has no use for it leaves it alone. */
    struct clvi_memo *memo;
    double tolerance; /* L-BFGS stops when five iterations together lower the error by less than this share, 1e-6 */
} clvi_fit_opts;

/* One thing for each group of the convolution, filled in by clvi_memo_item (group.h). Zero at first; clvi_memo_free.
 * The form alone knows what is kept. One fit at a time. */
typedef struct clvi_memo {
    size_t groups, bytes;
    void *items; /* [groups, bytes] */
    bool *made;  /* [groups] */
    void (*release)(void *item);
} clvi_memo;
void clvi_memo_free(clvi_memo *memo); /* and resets to empty */

clvi_fit_opts clvi_fit_opts_default(void);

/* Filters per input channel as fitted, and the error. */
typedef struct clvi_fit {
    clvi_chain chain;
    double error; /* e(W^) / tr T in [0, 1+): relative output error of the whole convolution on these statistics;
                     without statistics: ||W - W^||^2 / ||W||^2 */
    int64_t macs_per_pixel; /* of output position, the chain */
    int iterations;
} clvi_fit;

typedef struct clvi_form {
    const char *name; /* "depthwise", "channel", ... */
    /* On a curve a size starts from what is left of the next larger one; else afresh, with this many iterations. */
    bool nested;
    int curve_iterations;
    /* NULL: can be split; else the reason why not, a sentence for `inspect`. */
    const char *(*refuses)(const clvi_conv *conv);
    /* MACs per output position of the chain for these options; 0 when the options make no sense for the conv. */
    int64_t (*macs)(const clvi_conv *conv, const clvi_fit_opts *opts);
    /* cov: [groups] covariances, or NULL for METHOD_SVD without bias correction. Weights of the chain live in arena.
     * The bias of the last link is mean(t) - W^ mean(x) when cov is given, else conv->bias.
     * Same bits for any number of threads. */
    clv_status (*fit)(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err);
} clvi_form;

const clvi_form *clvi_form_find(const char *name);
const clvi_form *const *clvi_form_all(size_t *n);

int64_t clvi_conv_macs_per_pixel(const clvi_conv *conv); /* o * c/groups * kh * kw */

/* How long fits take, by the inputs of a group, taps counted, whose cube is what they cost: seconds for a large
 * convolution (1,024 and more), tens of seconds for a huge one (2,048 and more), for which shorter ways are taken. */
typedef enum clvi_conv_extent { CLVI_CONV_USUAL, CLVI_CONV_LARGE, CLVI_CONV_HUGE } clvi_conv_extent;
clvi_conv_extent clvi_conv_extent_of(const clvi_conv *conv);

/* The single convolution that a chain equals (links multiplied out, float64): w[o, c/groups, kh, kw] of the original's
 * shape. For tests and error figures. */
clv_status clvi_chain_expand(const clvi_chain *chain, const clvi_conv *original, double *w, clv_error *err);

/* A copy whose weights live in arena. Gives. */
clv_status clvi_chain_copy(clvi_chain *out, const clvi_chain *chain, clvi_arena *arena, clv_error *err);

int64_t clvi_chain_parameters(const clvi_chain *chain); /* weights and biases of all links */

/* The exact error of any replacement: e(W^) = tr T - 2 tr(W^ H^T) + tr(W^ S W^T), relative to tr T; what[n, q] of one
 * group. */
double clvi_error_of(const clvi_covariance *cov, const double *what);

#endif
