/* SPDX-License-Identifier: Apache-2.0 */
/* A window that covers its image gives one pixel: the batch is then a matrix, Y[n, o] = X[n, c*h*w] W[o, c*h*w]^T +
 * bias. These are the 1x1 layers of channel attention and fully connected layers written as convolutions. */
#include <string.h>

#include "ops/conv_algo.h"
#include "ops/conv_product.h"

static bool fits_whole(const clvi_conv_shape *s)
{
    return s->groups == 1 && s->kh == s->h && s->kw == s->w && s->oh == 1 && s->ow == 1 &&
           s->pt + s->pl + s->pb + s->pr == 0 && (s->dh == 1 || s->kh == 1) && (s->dw == 1 || s->kw == 1);
}

/* W transposed: [k, o]. */
static clvi_matrix weights(const clvi_conv_shape *s, const float *w)
{
    const size_t k = (size_t)(s->c * s->h * s->w);
    return (clvi_matrix){w, k, (size_t)s->o, 1, k};
}

/* A row of C at a time: two sums wait for each other, so a step takes as long as four. */
static double cost_whole(const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    (void)kernels;
    return 4.0 * (double)s->c * (double)s->h * (double)s->w * (double)s->o;
}

static size_t packed_bytes(const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    const clvi_matrix w = weights(s, NULL);
    return clvi_packed_columns(&w, kernels->gemm_f32.nr) * sizeof(float);
}

static void pack(const clvi_conv_shape *s, const clvi_kernels *kernels, const float *w, float *packed)
{
    const clvi_matrix matrix = weights(s, w);
    clvi_pack_columns(&matrix, kernels->gemm_f32.nr, packed);
}

static size_t work_bytes(const clvi_conv_shape *s, const clvi_kernels *kernels, int threads)
{
    return clvi_product_work((size_t)s->n, (size_t)s->o, (size_t)(s->c * s->h * s->w), kernels, threads);
}

static void run_whole(const clvi_conv_job *job)
{
    const size_t n = (size_t)job->shape->n, o = (size_t)job->shape->o;
    const clvi_matrix w = weights(job->shape, NULL);
    const clvi_product product = {.a = {job->x, n, w.rows, w.rows, 1},
                                  .b = w,
                                  .packed_b = job->weights,
                                  .scale = 1.0f,
                                  .c = job->y,
                                  .accumulate = job->bias != NULL,
                                  .kernels = job->kernels,
                                  .pool = job->pool,
                                  .work = job->work};
    for (size_t i = 0; job->bias && i < n; i++)
        memcpy(job->y + i * o, job->bias, o * sizeof(float));
    clvi_product_run(&product);
}

const clvi_conv_algo clvi_conv_whole = {"whole", fits_whole, cost_whole, packed_bytes, pack, work_bytes, run_whole};
