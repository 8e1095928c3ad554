/* SPDX-License-Identifier: Apache-2.0 */
/* bench_train_step MODEL.onnx BATCH STEPS [THREADS]: images per second of whole training steps (forward, cross-entropy,
 * backward, SGD with Nesterov momentum), BatchNorm with the batch's statistics, random images and labels. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "onnx/onnx.h"
#include "train/loss.h"
#include "train/optimiser.h"

#define LANES 4

typedef struct job {
    int64_t *labels;
    size_t rows;
    double sum[LANES];
} job;

static clv_status loss(void *user, clvi_tplan *plan, size_t lane, int worker, clv_error *err)
{
    job *const j = user;
    const clv_tensor *const t = clvi_tplan_head_shape(plan, 0);
    (void)worker;
    (void)err;
    j->sum[lane] = clvi_loss_cross_entropy(clvi_tplan_head_gradient(plan, lane, 0), clvi_tplan_head(plan, lane, 0),
                                           j->labels + lane * j->rows, j->rows, (size_t)t->dims[1], 0,
                                           1.0 / (double)(LANES * j->rows), NULL);
    return CLV_OK;
}

static clv_status measure(const char *path, int64_t batch, int steps, int threads, clv_error *err)
{
    clvi_graph *graph = NULL;
    clvi_tplan *plan = NULL;
    clv_context *context = NULL;
    clvi_optimiser optimiser = {0};
    clv_context_opts how = clv_context_opts_default();
    clv_tensor input = {CLV_FLOAT32, 4, {batch, 3, 32, 32}, NULL};
    const size_t n = (size_t)batch * 3 * 32 * 32;
    float *const x = clvi_alloc_array(n, sizeof *x);
    job j = {.labels = clvi_calloc((size_t)batch, sizeof *j.labels), .rows = (size_t)batch / LANES};
    clvi_rng rng;
    const clvi_tplan_opts opts = {.batch = batch, .lanes = LANES, .backward = true, .batch_norm = true};
    const clvi_optimiser_opts sgd = clvi_optimiser_opts_default(CLVI_NESTEROV);
    clvi_rng_seed(&rng, 1);
    how.threads = threads;
    clv_status st = x && j.labels ? clv_context_create(&context, &how, err) : CLV_ERR_NOMEM;
    for (size_t i = 0; i < n && st == CLV_OK; i++)
        x[i] = (float)clvi_rng_normal(&rng);
    for (int64_t i = 0; i < batch && st == CLV_OK; i++)
        j.labels[i] = (int64_t)clvi_rng_below(&rng, 10);
    if (st == CLV_OK)
        st = clvi_onnx_read(&graph, path, err);
    if (st == CLV_OK)
        st = clvi_tplan_create(&plan, graph, &input, &opts, context, err);
    if (st == CLV_OK)
        st = clvi_optimiser_create(&optimiser, plan, &sgd, context, err);
    double began = 0;
    for (int s = -3; s < steps && st == CLV_OK; s++) { /* three to warm up */
        if (s == 0)
            began = clvi_now();
        st = clvi_tplan_run(plan, x, loss, &j, err);
        if (st == CLV_OK)
            (void)clvi_optimiser_step(&optimiser, 1e-3);
    }
    if (st == CLV_OK)
        (void)printf("%.1f images/s, loss %.4f, activations %.1f MB, peak %.1f MB\n",
                     (double)(batch * steps) / (clvi_now() - began),
                     (j.sum[0] + j.sum[1] + j.sum[2] + j.sum[3]) / (double)batch, (double)clvi_tplan_bytes(plan) * 1e-6,
                     (double)clvi_mem_peak() * 1e-6);
    clvi_optimiser_free(&optimiser);
    clvi_tplan_free(plan);
    clvi_graph_free(graph);
    clv_context_free(context);
    clvi_free(x);
    clvi_free(j.labels);
    return st;
}

int main(int argc, char **argv)
{
    clv_error err = {0};
    if (argc < 4) {
        (void)fprintf(stderr, "usage: %s MODEL.onnx BATCH STEPS [THREADS]\n", argv[0]);
        return 2;
    }
    if (measure(argv[1], atoll(argv[2]), atoi(argv[3]), argc > 4 ? atoi(argv[4]) : 0, &err) == CLV_OK)
        return 0;
    (void)fprintf(stderr, "%s\n", err.msg);
    return 1;
}
