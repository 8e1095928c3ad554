/* SPDX-License-Identifier: Apache-2.0 */
/* A network: read from an ONNX file, looked at, written back. */
#ifndef CLEAVE_MODEL_H
#define CLEAVE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "cleave/status.h"
#include "cleave/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_model clv_model;

/* Read an ONNX model: opsets 7 to 22, IR versions 3 to 10, weights inside the file or beside it. What the library does
 * not understand is kept and written back unchanged.
 *
 * out   gives (clv_model_free); NULL on failure
 * path  borrowed; external data are looked for in its folder and nowhere else
 *
 * CLV_ERR_IO      the file cannot be read
 * CLV_ERR_FORMAT  not an ONNX model, or one that contradicts itself; the message names the place
 * CLV_ERR_UNSUP   a version outside those above
 *
 * Reentrant. */
CLV_API clv_status clv_model_load(clv_model **out, const char *path, clv_error *err);

/* The same from `size` bytes at `bytes`, borrowed. Weights outside of them are CLV_ERR_UNSUP. Reentrant. */
CLV_API clv_status clv_model_load_bytes(clv_model **out, const void *bytes, size_t size, clv_error *err);

/* Write an ONNX model. The file at `path` is replaced whole or stays as it was, even after a crash or on a full disk.
 * Opset and IR version are those of the file that was read, unless a node written since needs a higher one.
 * CLV_ERR_IO names the file and the reason. Per object. */
CLV_API clv_status clv_model_save(const clv_model *model, const char *path, clv_error *err);

/* NULL-safe. No session, report or pointer made from the model may be in use. */
CLV_API void clv_model_free(clv_model *model);

/* A deep copy that shares nothing with the original. Gives *out (clv_model_free). Per object. */
CLV_API clv_status clv_model_clone(clv_model **out, const clv_model *model, clv_error *err);

/* What a network takes or gives. All pointers view the model. */
typedef struct clv_port {
    const char *name;
    clv_dtype dtype;                     /* CLV_DTYPE_NONE: not declared */
    int rank;                            /* -1: not declared */
    int64_t dims[CLV_MAX_RANK];          /* -1: symbolic or not declared */
    const char *dim_names[CLV_MAX_RANK]; /* the symbol, e.g. "batch", or NULL */
} clv_port;

/* Inputs without those that have a default value in the file; outputs; in the order of the file. Per object. */
CLV_API size_t clv_model_inputs(const clv_model *model);
CLV_API size_t clv_model_outputs(const clv_model *model);

/* Input or output number `index`. CLV_ERR_ARG: index out of range. Per object. */
CLV_API clv_status clv_model_input(const clv_model *model, size_t index, clv_port *out, clv_error *err);
CLV_API clv_status clv_model_output(const clv_model *model, size_t index, clv_port *out, clv_error *err);

/* The value stored under `key` in the model's metadata, NULL when there is none; views the model until the key is set
 * again. Per object. */
CLV_API const char *clv_model_metadata(const clv_model *model, const char *key);

/* Store or replace a metadata entry; both texts are copied. Per object. */
CLV_API clv_status clv_model_set_metadata(clv_model *model, const char *key, const char *value, clv_error *err);

#ifdef __cplusplus
}
#endif
#endif
