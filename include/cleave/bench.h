/* SPDX-License-Identifier: Apache-2.0 */
/* How long a network takes: by itself, layer by layer against what the machine could do, and against other engines. */
#ifndef CLEAVE_BENCH_H
#define CLEAVE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleave/context.h"
#include "cleave/measure.h"
#include "cleave/model.h"
#include "cleave/report.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_bench_opts {
    const clv_input_shape *shapes; /* borrowed, n_shapes of them; the rest as declared, unknown sizes 1 and 224 */
    size_t n_shapes;
    int64_t batch;     /* for first dimensions that are declared symbolic and given no shape; 1 */
    int64_t runs;      /* at least so many timed runs, 100 */
    double seconds;    /* and at least so long, 1 */
    bool layers;       /* also time every step */
    const char *trace; /* borrowed; a file for one average run as Chrome trace events; NULL: none */
} clv_bench_opts;

CLV_API clv_bench_opts clv_bench_opts_default(void);

/* Time a network on normally distributed inputs, as it would be run: constants and BatchNorm folded, everything planned
 * and warm. Percentiles are of whole runs by nearest rank.
 *
 * model   borrowed
 * opts    borrowed, may be NULL
 * report  borrowed; gets "machine" with the FMA peak and copy bandwidth measured just now, "model", "time"; with layers
 *         "layers", slowest first: share of the time, multiply-adds, rate, `floor_ms` (the longer of multiply-adds at
 *         the peak and compulsory bytes at the bandwidth of the cache that holds them) and time over floor
 *
 * CLV_ERR_ARG    shapes or options that make no sense
 * CLV_ERR_UNSUP  an operator cannot be run, or an input is not float32, int32, int64 or bool
 *
 * Per object. */
CLV_API clv_status clv_bench(const clv_model *model, const clv_bench_opts *opts, clv_context *context,
                             clv_report *report, clv_error *err);

/* How a network would be run, without timing it: the steps in order with their kernels, the nodes that run in each,
 * shapes and multiply-adds, and where every activation lives from when to when.
 *
 * opts    borrowed, may be NULL; its shapes and batch alone are looked at
 * report  borrowed; gets "model", "memory", the table "steps" and the table "buffers": one row for each piece of the
 * block of activations with its offset, size, values, and the first and last step of its life (0: before the first)
 *
 * Errors of clv_bench. Per object. */
CLV_API clv_status clv_plan(const clv_model *model, const clv_bench_opts *opts, clv_context *context,
                            clv_report *report, clv_error *err);

typedef struct clv_against_opts {
    const char *path;    /* required, borrowed: the file that `model` was read from; the others read it themselves */
    const char *engines; /* required, borrowed: "onnxruntime,openvino,ncnn,mnn", any of them */
    const char *script;  /* required, borrowed: rivals.py, installed as share/cleave/rivals.py */
    const char *python;  /* borrowed; NULL: python3 */
    int64_t rounds;      /* alternations, 9 */
    double block;        /* seconds that each engine runs in a round, at least 3 runs; 0.1 */
    const int *threads;  /* borrowed, n_threads numbers of threads to compare with; NULL: the context's */
    size_t n_threads;
} clv_against_opts;

CLV_API clv_against_opts clv_against_opts_default(void);

/* Compare with other inference engines, which a Python script runs in a process of its own for each number of threads,
 * on the same inputs: in each round every engine runs for a block of time, cleave first. While one runs the others
 * sleep.
 *
 * report  borrowed; gets "machine", "model" and the table "against", one row for each engine and number of threads:
 * best and median time, and how many times longer than cleave's in the same round its median took, as median, least and
 *         most over the rounds (above 1: cleave is faster); the largest difference of its outputs from cleave's over
 * the largest output. An engine that differs by more than 1e-4 is marked not counted. One that cannot be run has a note
 * that says why, and what to install.
 *
 * CLV_ERR_ARG    options that make no sense
 * CLV_ERR_UNSUP  as clv_bench
 * CLV_ERR_IO     Python or the script cannot be run
 *
 * Per object. POSIX; starts processes. */
CLV_API clv_status clv_bench_against(const clv_model *model, const clv_bench_opts *opts,
                                     const clv_against_opts *against, clv_context *context, clv_report *report,
                                     clv_error *err);

typedef struct clv_contestant {
    const clv_model *model; /* borrowed */
    const char *path;       /* borrowed; the file that holds it, for other engines; may be NULL without them */
} clv_contestant;

/* Time a model and what was made of it in turns, in cleave and in other engines (against->engines NULL or "": cleave
 * alone; against->path is not used).
 *
 * pair    the original, the result: the same inputs
 * opts    borrowed, may be NULL; runs and seconds are not used
 * report  borrowed; gets the table "speed": where each of the two ran, the median of their times, and how many times
 *         faster the result was in the same round, as median, least and most over the rounds; "engines_left_out" says
 *         why an engine has no row
 *
 * Errors as clv_bench_against. Per object. POSIX; starts processes. */
CLV_API clv_status clv_bench_pair(const clv_contestant pair[2], const clv_bench_opts *opts,
                                  const clv_against_opts *against, clv_context *context, clv_report *report,
                                  clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
