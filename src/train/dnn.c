/* SPDX-License-Identifier: Apache-2.0 */
#include "train/dnn.h"

#include "base/mem.h"

/* libgomp, which Debian's oneDNN runs on. Declared here: omp.h comes with the compiler, and clang's is another one. */
extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);

static clv_status check(dnnl_status_t status, const char *what, clv_error *err)
{
    if (status == dnnl_success)
        return CLV_OK;
    if (status == dnnl_out_of_memory)
        return FAIL(err, CLV_ERR_NOMEM, "oneDNN: %s", what);
    return FAIL(err, CLV_ERR_UNSUP, "oneDNN refuses to %s (status %d)", what, (int)status);
}

int clvi_dnn_enter(void)
{
    const int threads = omp_get_max_threads();
    if (threads != 1)
        omp_set_num_threads(1);
    return threads;
}

void clvi_dnn_leave(int threads)
{
    if (threads != 1)
        omp_set_num_threads(threads);
}

clv_status clvi_dnn_create(clvi_dnn *dnn, int workers, clv_error *err)
{
    *dnn = (clvi_dnn){.workers = workers};
    dnn->streams = clvi_calloc((size_t)workers, sizeof *dnn->streams);
    dnn->scratch = clvi_calloc((size_t)workers, sizeof *dnn->scratch);
    if (!dnn->streams || !dnn->scratch)
        return FAIL(err, CLV_ERR_NOMEM, "%d workers", workers);
    TRY(check(dnnl_engine_create(&dnn->engine, dnnl_cpu, 0), "make an engine", err));
    for (int i = 0; i < workers; i++)
        TRY(check(dnnl_stream_create(&dnn->streams[i], dnn->engine, dnnl_stream_default_flags), "make a stream", err));
    return CLV_OK;
}

void clvi_dnn_free(clvi_dnn *dnn)
{
    for (int i = 0; i < dnn->workers; i++) {
        if (dnn->streams && dnn->streams[i])
            (void)dnnl_stream_destroy(dnn->streams[i]);
        if (dnn->scratch)
            clvi_free(dnn->scratch[i]);
    }
    if (dnn->engine)
        (void)dnnl_engine_destroy(dnn->engine);
    clvi_free(dnn->streams);
    clvi_free(dnn->scratch);
    *dnn = (clvi_dnn){0};
}

clv_status clvi_dnn_ready(clvi_dnn *dnn, clv_error *err)
{
    for (int i = 0; i < dnn->workers; i++)
        if (!(dnn->scratch[i] = clvi_alloc(dnn->scratch_bytes)))
            return FAIL(err, CLV_ERR_NOMEM, "%zu bytes of scratch", dnn->scratch_bytes);
    return CLV_OK;
}

const dnnl_memory_desc_t *clvi_dnn_prim_md(const clvi_dnn_prim *prim, int arg)
{
    return dnnl_primitive_desc_query_md(prim->desc, dnnl_query_exec_arg_md, arg);
}

size_t clvi_dnn_prim_bytes(const clvi_dnn_prim *prim, int arg)
{
    const dnnl_memory_desc_t *md = clvi_dnn_prim_md(prim, arg);
    return md ? dnnl_memory_desc_get_size(md) : 0;
}

/* Memory objects without data for every worker. */
static clv_status make_memory(clvi_dnn_prim *prim, clvi_dnn *dnn, clv_error *err)
{
    const size_t width = (size_t)prim->n_args + 1;
    prim->workers = dnn->workers;
    prim->memory = clvi_calloc((size_t)dnn->workers * width, sizeof(dnnl_memory_t));
    prim->handle = clvi_calloc((size_t)dnn->workers * width, sizeof *prim->handle);
    if (!prim->memory || !prim->handle)
        return FAIL(err, CLV_ERR_NOMEM, "primitive");
    for (int w = 0; w < dnn->workers; w++)
        for (size_t i = 0; i < width; i++) {
            const int arg = i < width - 1 ? prim->arg[i] : DNNL_ARG_SCRATCHPAD;
            TRY(check(dnnl_memory_create(&prim->memory[(size_t)w * width + i], clvi_dnn_prim_md(prim, arg), dnn->engine,
                                         DNNL_MEMORY_NONE),
                      "describe memory", err));
        }
    const size_t scratch = clvi_dnn_prim_bytes(prim, DNNL_ARG_SCRATCHPAD);
    if (scratch > dnn->scratch_bytes)
        dnn->scratch_bytes = scratch;
    return CLV_OK;
}

static clv_status finish(clvi_dnn_prim *prim, clvi_dnn *dnn, const int *args, int n, clv_error *err)
{
    prim->n_args = n;
    for (int i = 0; i < n; i++)
        prim->arg[i] = args[i];
    TRY(check(dnnl_primitive_create(&prim->primitive, prim->desc), "build a primitive", err));
    return make_memory(prim, dnn, err);
}

clv_status clvi_dnn_prim_create(clvi_dnn_prim *out, clvi_dnn *dnn, const_dnnl_op_desc_t op_desc,
                                const_dnnl_primitive_desc_t hint, const int *args, int n, clv_error *err)
{
    dnnl_primitive_attr_t attr = NULL;
    *out = (clvi_dnn_prim){0};
    clv_status st = check(dnnl_primitive_attr_create(&attr), "make attributes", err);
    if (st == CLV_OK)
        st = check(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user), "use our scratch", err);
    if (st == CLV_OK)
        st = check(dnnl_primitive_desc_create(&out->desc, op_desc, attr, dnn->engine, hint), "plan a primitive", err);
    if (st == CLV_OK)
        st = finish(out, dnn, args, n, err);
    if (attr)
        (void)dnnl_primitive_attr_destroy(attr);
    return st;
}

clv_status clvi_dnn_reorder_create(clvi_dnn_prim *out, clvi_dnn *dnn, const dnnl_memory_desc_t *from,
                                   const dnnl_memory_desc_t *to, clv_error *err)
{
    static const int args[] = {DNNL_ARG_FROM, DNNL_ARG_TO};
    dnnl_primitive_attr_t attr = NULL;
    *out = (clvi_dnn_prim){0};
    clv_status st = check(dnnl_primitive_attr_create(&attr), "make attributes", err);
    if (st == CLV_OK)
        st = check(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user), "use our scratch", err);
    if (st == CLV_OK)
        st = check(dnnl_reorder_primitive_desc_create(&out->desc, from, dnn->engine, to, dnn->engine, attr),
                   "plan a reorder", err);
    if (st == CLV_OK)
        st = finish(out, dnn, args, 2, err);
    if (attr)
        (void)dnnl_primitive_attr_destroy(attr);
    return st;
}

void clvi_dnn_prim_free(clvi_dnn_prim *prim)
{
    const size_t n = prim->memory ? (size_t)prim->workers * ((size_t)prim->n_args + 1) : 0;
    for (size_t i = 0; i < n; i++)
        if (prim->memory[i])
            (void)dnnl_memory_destroy(prim->memory[i]);
    if (prim->primitive)
        (void)dnnl_primitive_destroy(prim->primitive);
    if (prim->desc)
        (void)dnnl_primitive_desc_destroy(prim->desc);
    clvi_free(prim->memory);
    clvi_free(prim->handle);
    *prim = (clvi_dnn_prim){0};
}

/* A handle is set only when it changes: setting one clears the padding of blocked weights, which other workers read. */
clv_status clvi_dnn_run(const clvi_dnn_prim *prim, const clvi_dnn *dnn, int worker, void *const *pointers,
                        clv_error *err)
{
    dnnl_exec_arg_t args[CLVI_DNN_MAX_ARGS + 1];
    const size_t width = (size_t)prim->n_args + 1, base = (size_t)worker * width;
    for (size_t i = 0; i < width; i++) {
        void *const to = i < width - 1 ? pointers[i] : dnn->scratch[worker];
        if (prim->handle[base + i] != to) {
            TRY(check(dnnl_memory_set_data_handle_v2(prim->memory[base + i], to, dnn->streams[worker]), "set a pointer",
                      err));
            prim->handle[base + i] = to;
        }
        args[i].arg = i < width - 1 ? prim->arg[i] : DNNL_ARG_SCRATCHPAD;
        args[i].memory = prim->memory[base + i];
    }
    return check(dnnl_primitive_execute(prim->primitive, dnn->streams[worker], (int)width, args), "run a primitive",
                 err);
}

clv_status clvi_dnn_gemm(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                         const float *b, int64_t ldb, float beta, float *c, int64_t ldc, clv_error *err)
{
    return check(dnnl_sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc), "multiply matrices", err);
}
