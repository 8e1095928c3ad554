/* SPDX-License-Identifier: Apache-2.0 */
/* The paper's first experiment: random layers and random data, every way to split them, error against multiply-adds. */
#ifndef CLEAVE_SYNTH_H
#define CLEAVE_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleave/context.h"
#include "cleave/report.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A layer of Gaussian weights, `out` x `in` x kernel x kernel, and patches x of its input:
 *   white       every entry of x is N(0, 1)
 *   correlated  x = ReLU(blur(A z)): `in` maps z of Gaussian noise, mixed by one Gaussian matrix A / sqrt(in),
 *               blurred by a 2 x 2 box, rectified; every patch from a scene of its own
 * Draws differ: over seeds 7 to 24 the data-free svd has error 0.813 (sd 0.007) on correlated data at multiplier 1
 * and 0.657 (sd 0.009) at 2. Seed 13 is the draw on which that comes nearest to the figures of the project's first
 * prototype (0.813, 0.632), so that what the fitted methods add can be compared with what they added there. */
typedef struct clv_synth_opts {
    int64_t out, in, kernel; /* 64, 64, 3; each at least 1, out and in at most 1024, kernel at most 11 */
    int64_t samples;         /* patches that fits are made from, 4096 */
    int64_t test_samples;    /* fresh patches that errors are also measured on, 16384 */
    int64_t max_multiplier;  /* multipliers 1 .. this; 0: kernel * kernel */
    bool white, correlated;  /* both true */
    uint64_t seed;           /* 13 */
} clv_synth_opts;

/* One method at one size. Errors are relative: E|y - y^|^2 / E|y - E y|^2. */
typedef struct clv_synth_row {
    /* static storage: "white" or "correlated" */
    const char *data;
    /* static storage: "svd", "gsvd", "inter-channel", "sweeps", "joint", "uneven", "channel", "bottleneck" */
    const char *method;
    int64_t multiplier; /* depthwise filters per input channel; channel and bottleneck: what fits into the same MACs */
    int64_t macs;       /* multiply-adds per output position */
    int64_t original_macs; /* of the layer itself */
    double train_error;    /* on the patches of the fit */
    double test_error;     /* on fresh patches: lower train_error alone is overfitting */
    double seconds;        /* of the fit, one thread */
} clv_synth_row;

/* Reentrant. */
CLV_API clv_synth_opts clv_synth_opts_default(void);

/* Rows that these options give, for the caller to allocate; 0 when they make no sense. Reentrant. */
CLV_API size_t clv_synth_count(const clv_synth_opts *opts);

/* Run it: rows[clv_synth_count(opts)] written on CLV_OK, by data, then method, then multiplier. Fits run on the
 * context's threads; the same errors for any number of them. CLV_ERR_ARG: options out of range; CLV_ERR_NOMEM;
 * CLV_ERR_INTERRUPTED. Per object (the context). */
CLV_API clv_status clv_synth_run(clv_synth_row *rows, const clv_synth_opts *opts, clv_context *context, clv_error *err);

/* Add rows[n] of clv_synth_run to a report: for each kind of data a table with one row a multiplier and one column a
 * method, of the errors on the patches of the fit ("white", "correlated") and on fresh ones ("white_fresh_patches",
 * ...), and all rows as they are under "rows". Per object (the report). */
CLV_API clv_status clv_synth_report(const clv_synth_row *rows, size_t n, clv_report *report, clv_error *err);

/* Draw rows[n] of clv_synth_run as SVG, error on fresh patches against multiply-adds, one panel for each kind
 * of data. The file at `path` is replaced whole or not at all. Reentrant. */
CLV_API clv_status clv_synth_plot(const clv_synth_row *rows, size_t n, const char *path, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
