/* SPDX-License-Identifier: Apache-2.0 */
/* The main job: replace convolutions by cheaper ones, fitted to unlabelled images. */
#ifndef CLEAVE_COMPRESS_H
#define CLEAVE_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleave/context.h"
#include "cleave/data.h"
#include "cleave/model.h"
#include "cleave/report.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_compress_opts {
    /* "depthwise", "bottleneck", "channel", "output-depthwise", "spatial", "tucker2", "prune", "remove"; NULL:
     * depthwise, or with a budget whatever loses least */
    const char *form;
    const char *budget; /* NULL: `multiplier` everywhere. "macs=30%", "params=25%", "bytes=0.25x" of the whole network,
                           or "macs=12.5M", "params=100k": form and size are searched for each convolution.
                           "latency=50%", "latency=12ms", "latency=12ms@p90": of the median (or that percentile of the)
                           time for one image in this runtime, on this machine, with the context's threads, which are
                           measured; the network is measured whole too */
    bool never_slower;  /* with a budget that is no latency: take a form only where it is measured to be faster; with
                           latency that is always so */
    const char *method; /* depthwise: "svd", "gsvd", "inter-channel" (the paper), "sweeps", "joint" (default; NULL) */
    double multiplier;  /* depthwise filters per input channel, default 2. The other forms are sized to the same MACs */
    bool uneven;        /* share the filters out unevenly over the channels, at the same total */
    bool symmetric;     /* fit on what the original network sees; default: on what the compressed one really sees */
    bool no_shortcut;   /* do not let the last convolution of a residual block repair the block's sum */
    bool reestimate;    /* afterwards restore each channel's mean and variance, in order (for weak or data-free fits) */
    int rounds;       /* refits through the activation behind a layer (ReLU, Clip, LeakyReLU, PReLU), default 6; 0: fit
                         the pre-activation alone */
    bool first;       /* also split convolutions that read a network input; default: they are kept */
    const char *emit; /* how several depthwise filters a channel are written: "parallel" (default; NULL), "grouped",
                         "gather". All compute the same; engines differ in speed */
    const char *const *keep; /* names of nodes to leave alone */
    size_t n_keep;
    int64_t samples; /* patches per convolution, default 32768; memory grows with it, not with the number of images */
    int64_t batch;   /* images run at once, default 64 */
    int64_t round;   /* inner sizes are multiples of this in each group, default 4; with a budget */
    int64_t max_memory; /* bytes for what is kept of images and statistics, default 3 GiB; more goes to a temporary
                           file, and layers too large for it are sampled at fewer places. Decides the result there */
    double ridge;       /* pull towards the original weights, relative to the mean variance; default 1e-3 */
    uint64_t seed;      /* default 1 */
    bool dry_run;       /* plan and report, change nothing */

    /* Files; NULL: none. */
    const char *stats;      /* .clvstats: read when it is there, else written, with a budget. With it later budgets need
                               no statistics pass and no search; without images fits are made on it alone */
    const char *recipe;     /* follow what an earlier run decided and its options; no search */
    const char *recipe_out; /* write what was decided and why */
    const char *journal;    /* written as the run goes; the caller deletes it once the result is safe */
    bool resume;            /* go on with the journal of a run that was killed: the same bytes come out */
} clv_compress_opts;

CLV_API clv_compress_opts clv_compress_opts_default(void);

/* Rewrite `model` in place: fold BatchNorm, then split every convolution that gains, in topological order. The
 * preprocessing and what was done are stored in the model's metadata. On failure the model is unchanged.
 *
 * calibration  borrowed; unlabelled images (labels are not read); read several times. NULL: opts->stats alone
 * preprocess   borrowed; how the images become the input; NULL: from the model's metadata
 * opts         borrowed, may be NULL: the defaults
 * report       borrowed, may be NULL; gets "layers" (one row a convolution), "before" and "after"
 *
 * CLV_ERR_ARG      unknown form or method, option out of range; statistics, recipe or journal of something else
 * CLV_ERR_FORMAT   a damaged file of statistics, recipe or journal
 * CLV_ERR_IO       a file cannot be written; the disk is full
 * CLV_ERR_BUDGET   the budget cannot be reached; the message has the nearest point
 * CLV_ERR_UNSUP    an operator before a convolution cannot be run, more than one input, no convolution gains
 * CLV_ERR_DATA     images do not fit the input, too many corrupt ones
 * CLV_ERR_NUMERIC  NaN or Inf in weights or activations
 *
 * The same model, images and options give the same result for any number of threads. Per object. Source: He et al.,
 * Depth-wise Decomposition, arXiv 1910.09455; docs/method.md. */
CLV_API clv_status clv_compress(clv_model *model, clv_dataset *calibration, const clv_preprocess *preprocess,
                                const clv_compress_opts *opts, clv_context *context, clv_report *report,
                                clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
