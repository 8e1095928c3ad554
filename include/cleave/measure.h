/* SPDX-License-Identifier: Apache-2.0 */
/* What a network is, how well it does, and where two of them part. */
#ifndef CLEAVE_MEASURE_H
#define CLEAVE_MEASURE_H

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

/* A concrete shape for one input of a model. */
typedef struct clv_input_shape {
    const char *name; /* NULL: the only input */
    int rank;
    int64_t dims[CLV_MAX_RANK];
} clv_input_shape;

/* Describe a model without running it, at batch 1: versions, inputs, outputs, metadata, one row a node with its output
 * shape, multiply-adds and parameters, which convolutions can be split into which forms and why the others cannot, and
 * the operators that the library cannot run. One MAC is one multiply-add of a convolution, Gemm or MatMul.
 *
 * shapes  borrowed, n_shapes of them; inputs without one take their declared shape, unknown sizes being 1 (batch) or
 *         224; the report says which sizes were assumed
 * report  borrowed; gets "model", "inputs", "outputs", "layers", "convolutions", "not_runnable", "metadata"
 *
 * CLV_ERR_ARG     a shape for an input that does not exist, or that contradicts the declared one
 * CLV_ERR_FORMAT  the network contradicts itself at these shapes; the message names the node
 *
 * Per object. */
CLV_API clv_status clv_inspect(const clv_model *model, const clv_input_shape *shapes, size_t n_shapes,
                               clv_report *report, clv_error *err);

/* The preprocessing stored in the model's metadata under "cleave.preprocess". CLV_ERR_ARG when there is none: the
 * message lists the presets and names the one that suits the input's size. Per object. */
CLV_API clv_status clv_model_preprocess(const clv_model *model, clv_preprocess *out, clv_error *err);

/* Store a preprocessing in the model's metadata, where every later job finds it. Per object. */
CLV_API clv_status clv_model_set_preprocess(clv_model *model, const clv_preprocess *preprocess, clv_error *err);

typedef struct clv_evaluate_opts {
    const clv_preprocess *preprocess; /* borrowed; NULL: from the model's metadata */
    const clv_model *against;         /* borrowed; another model to compare with on the same images; NULL: none */
    int64_t batch;                    /* images run at once, default 64 */
    bool no_check;                    /* do not look for wrong preprocessing on the first images */
} clv_evaluate_opts;

CLV_API clv_evaluate_opts clv_evaluate_opts_default(void);

/* Run a model over a data set.
 *
 * A model whose first output is [n, classes] is a classifier, of probabilities or of logits: its mean confidence and,
 * when the images have labels, its top-1 and top-5 accuracy in percent with standard errors are reported; with
 * `against` also how often both choose the same class. Every output of every model gets its mean, standard deviation
 * and range, and its relative error against the other model. Corrupt images are counted and left out. Memory does not
 * grow with the number of images.
 *
 * When swapping the colour channels or changing the scale makes a classifier clearly better on the first images, a
 * warning is logged and reported.
 *
 * model    borrowed; one input [n, c, h, w]
 * dataset  borrowed
 * opts     borrowed, may be NULL
 * report   borrowed; gets "baseline" (the first images), "model", for a compressed model "before_compression",
 * "images", "outputs", for a classifier "accuracy", and with `against` "against" and "agreement"
 *
 * CLV_ERR_ARG    no preprocessing given and none stored; batch < 1
 * CLV_ERR_UNSUP  an operator cannot be run, or the model has not exactly one image input
 * CLV_ERR_DATA   images do not fit the input, labels exceed the classes, too many corrupt images
 *
 * Per object. Same figures for any number of threads, times excepted. */
CLV_API clv_status clv_evaluate(const clv_model *model, clv_dataset *dataset, const clv_evaluate_opts *opts,
                                clv_context *context, clv_report *report, clv_error *err);

/* Called for each image in turn with the outputs for it alone: outputs[j] is [1, ...], viewed during the call, dtype as
 * declared. A status other than CLV_OK ends the job with that status; fill err then. */
typedef clv_status (*clv_visit_outputs)(void *user, int64_t index, const clv_tensor *outputs, size_t n_outputs,
                                        clv_error *err);

typedef struct clv_visitor {
    clv_visit_outputs visit;
    void *user; /* passed on */
} clv_visitor;

/* Run a model over a data set and hand over the outputs of every image that is not corrupt, in order.
 *
 * preprocess  borrowed; NULL: from the model's metadata
 *
 * Errors as clv_evaluate; CLV_ERR_UNSUP also when an output has no row for each image. Per object. */
CLV_API clv_status clv_predict(const clv_model *model, clv_dataset *dataset, const clv_preprocess *preprocess,
                               const clv_visitor *visitor, clv_context *context, clv_error *err);

/* The probabilities p[n] that a classifier's row of n outputs means: the row itself when it holds probabilities, else
 * its softmax. CLV_ERR_NUMERIC: a NaN or Inf in the row; CLV_ERR_ARG: n < 1. Reentrant. */
CLV_API clv_status clv_probabilities(const float *row, int64_t n, double *p, clv_error *err);

typedef struct clv_diff_opts {
    clv_dataset *dataset;             /* borrowed; images, or NULL: tensors below */
    const clv_preprocess *preprocess; /* borrowed; NULL: from the metadata of `a`, else of `b` */
    int64_t limit;                    /* use at most this many images, default 16 */
    const char *const *names;         /* without a data set: n_inputs tensors by input name, borrowed; */
    const clv_tensor *inputs;         /* names NULL: in the order of the model's inputs */
    size_t n_inputs;
    double tolerance; /* relative error from which a tensor departs, default 1e-4 */
} clv_diff_opts;

CLV_API clv_diff_opts clv_diff_opts_default(void);

/* Compare two models tensor by tensor on the same inputs: every inner tensor that has the same name in both, and the
 * outputs by position. The error of a tensor is rms(b - a) / rms(a) over all images; its largest absolute difference
 * stands beside it.
 *
 * a, b    borrowed; the same inputs
 * report  borrowed; gets "tensors" in the order in which `a` computes them, "outputs" and "first_departure"
 *
 * CLV_ERR_VERIFY  an output differs by more than the tolerance; the report is complete then too
 * CLV_ERR_ARG     inputs of the models differ, or neither images nor tensors are given
 * CLV_ERR_UNSUP   an operator cannot be run
 *
 * Per object. */
CLV_API clv_status clv_diff(const clv_model *a, const clv_model *b, const clv_diff_opts *opts, clv_context *context,
                            clv_report *report, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
