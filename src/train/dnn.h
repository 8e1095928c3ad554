/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN (2.6 or newer of major version 2), wrapped: primitives whose memory objects are made once, at planning.
 *
 * Every primitive runs on the thread that calls it: a step is split over lanes of the batch, not inside operators, so
 * results do not depend on the number of threads. All float32. */
#ifndef CLVI_TRAIN_DNN_H
#define CLVI_TRAIN_DNN_H

#include <oneapi/dnnl/dnnl.h>

#include "base/status.h"

#define CLVI_DNN_MAX_ARGS 5

typedef struct clvi_dnn {
    dnnl_engine_t engine;
    dnnl_stream_t *streams; /* [workers] */
    void **scratch;         /* [workers] of scratch_bytes, allocated by clvi_dnn_ready */
    size_t scratch_bytes;   /* the largest that any primitive asked for */
    int workers;
} clvi_dnn;

clv_status clvi_dnn_create(clvi_dnn *dnn, int workers, clv_error *err);
void clvi_dnn_free(clvi_dnn *dnn); /* all zero is fine */

/* After the last primitive was made: scratch memory. */
clv_status clvi_dnn_ready(clvi_dnn *dnn, clv_error *err);

/* oneDNN's own threads off for the calling thread; the number to give back to clvi_dnn_leave. */
int clvi_dnn_enter(void);
void clvi_dnn_leave(int threads);

typedef struct clvi_dnn_prim {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    int n_args;
    int arg[CLVI_DNN_MAX_ARGS]; /* DNNL_ARG_... */
    dnnl_memory_t *memory;      /* [workers][n_args + 1], the last one is scratch */
    void **handle;              /* the same shape: what each memory points to now */
    int workers;
} clvi_dnn_prim;

/* op_desc: one of oneDNN's operation descriptors; hint: of the forward primitive, for backward ones, or NULL. Arguments
 * (n <= CLVI_DNN_MAX_ARGS) are described by the primitive itself. */
clv_status clvi_dnn_prim_create(clvi_dnn_prim *out, clvi_dnn *dnn, const_dnnl_op_desc_t op_desc,
                                const_dnnl_primitive_desc_t hint, const int *args, int n, clv_error *err);

/* A reorder between two layouts; arguments DNNL_ARG_FROM, DNNL_ARG_TO. */
clv_status clvi_dnn_reorder_create(clvi_dnn_prim *out, clvi_dnn *dnn, const dnnl_memory_desc_t *from,
                                   const dnnl_memory_desc_t *to, clv_error *err);

void clvi_dnn_prim_free(clvi_dnn_prim *prim); /* all zero is fine */

const dnnl_memory_desc_t *clvi_dnn_prim_md(const clvi_dnn_prim *prim, int arg);
size_t clvi_dnn_prim_bytes(const clvi_dnn_prim *prim, int arg);

/* pointers[i] belongs to args[i]. Allocates nothing. */
clv_status clvi_dnn_run(const clvi_dnn_prim *prim, const clvi_dnn *dnn, int worker, void *const *pointers,
                        clv_error *err);

/* Row-major C[m, n] = alpha op(A) op(B) + beta C; op: 'N' or 'T'. */
clv_status clvi_dnn_gemm(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                         const float *b, int64_t ldb, float beta, float *c, int64_t ldc, clv_error *err);

#endif
