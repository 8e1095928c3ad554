/* SPDX-License-Identifier: Apache-2.0 */
/* ConvTranspose, ONNX 1, 11 and 22: 1-D and 2-D.
 *
 *   y[n, o, r*sh + i*dh - pt, q*sw + j*dw - pl] += x[n, c, r, q] * w[c, o, i, j],   y starts as the bias
 *
 * A task owns some output channels of one image. It goes through the input pixels in blocks, in order: T[kh*kw, pixels]
 * = W[o]^T X by the gemm kernel, then T is added into y. Scratch of a worker: X packed [panel][k block][nr], then T. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "ops/conv_product.h"
#include "ops/conv_shape.h"
#include "ops/op.h"

#define BLOCK_PIXELS 128
#define CHANNELS     8 /* of one task: they share the packing of X */

typedef struct plan {
    clvi_conv_shape s;
    size_t k, og, window, pixels; /* input channels and outputs of a group; kh * kw; h * w */
    size_t width;                 /* pixels of a block, a multiple of nr */
    size_t w_floats;              /* packed weights of one output channel */
    size_t x_floats, t_floats;    /* scratch */
    size_t bundles;               /* tasks of a group */
} plan;

static clv_status make_plan(const clvi_op_call *call, plan *p, clv_error *err)
{
    *p = (plan){0};
    TRY(clvi_conv_transpose_shape_of(call->graph, call->node, call->in[0], call->in[1], &p->s, err));
    const size_t mr = call->kernels ? call->kernels->gemm_f32.mr : 1,
                 nr = call->kernels ? call->kernels->gemm_f32.nr : 1;
    p->k = (size_t)(p->s.c / p->s.groups);
    p->og = (size_t)(p->s.o / p->s.groups);
    p->window = (size_t)(p->s.kh * p->s.kw);
    p->pixels = (size_t)(p->s.h * p->s.w);
    p->width = clvi_round_up(clvi_min_size(p->pixels, BLOCK_PIXELS), nr);
    p->w_floats = clvi_panels_of(p->window, mr).count * mr * p->k;
    p->x_floats = p->width * clvi_k_largest(p->k);
    p->t_floats = clvi_round_up(p->window * p->width, CLV_ALIGN / sizeof(float));
    p->bundles = (p->og + CHANNELS - 1) / CHANNELS;
    return CLV_OK;
}

static clv_status infer(clvi_op_call *call, clv_error *err)
{
    plan p;
    TRY(clvi_call_arity(call, 2, 3, err));
    TRY(make_plan(call, &p, err));
    const clv_tensor *bias = clvi_call_in(call, 2);
    for (size_t i = 0; i < call->n_in; i++)
        if (call->in[i] && call->in[i]->dtype != CLV_FLOAT32)
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": input %zu is %s, ConvTranspose computes float32",
                        clvi_call_label(call), i, clv_dtype_name(call->in[i]->dtype));
    if (bias && (bias->rank != 1 || bias->dims[0] != p.s.o))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": bias of rank %d with %lld values for %lld filters",
                    clvi_call_label(call), bias->rank, (long long)(bias->rank > 0 ? bias->dims[0] : 1),
                    (long long)p.s.o);
    const int64_t dims[4] = {p.s.n, p.s.o, p.s.rank == 4 ? p.s.oh : p.s.ow, p.s.ow};
    return clvi_call_set_shape(call, call->out[0], CLV_FLOAT32, p.s.rank, dims, err);
}

/* Every input pixel meets every window element: n * h * w * c * (o / groups) * kh * kw. */
static int64_t macs(const clvi_op_call *call)
{
    plan p;
    if (make_plan(call, &p, NULL) != CLV_OK)
        return 0;
    return p.s.n * p.s.h * p.s.w * p.s.c * (p.s.o / p.s.groups) * p.s.kh * p.s.kw;
}

static size_t weight_bytes(const plan *p)
{
    return clvi_round_up((size_t)p->s.o * p->w_floats * sizeof(float), CLV_ALIGN);
}

static size_t work(const clvi_op_call *call)
{
    plan p;
    if (make_plan(call, &p, NULL) != CLV_OK)
        return 0;
    return (p.x_floats + p.t_floats) * sizeof(float) * (size_t)clvi_pool_threads(call->pool) +
           (call->state ? 0 : weight_bytes(&p));
}

/* w[c, o, kh*kw] -> for each output channel the panels of its transposed slice [kh*kw, c]. */
static void pack(const plan *p, const clvi_kernels *kernels, const float *w, float *packed)
{
    for (size_t g = 0; g < (size_t)p->s.groups; g++) {
        for (size_t o = 0; o < p->og; o++, packed += p->w_floats) {
            const clvi_matrix rows = {w + (g * p->k * p->og + o) * p->window, p->window, p->k, 1, p->og * p->window};
            clvi_pack_rows(&rows, 1.0f, kernels->gemm_f32.mr, packed);
        }
    }
}

static clv_status prepare(clvi_op_call *call, clv_error *err)
{
    plan p;
    TRY(make_plan(call, &p, err));
    if (!call->in[1]->data)
        return CLV_OK;
    call->state = clvi_alloc(weight_bytes(&p));
    if (!call->state)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\": %zu bytes of packed weights", clvi_call_label(call),
                    weight_bytes(&p));
    pack(&p, call->kernels, call->in[1]->data, call->state);
    return CLV_OK;
}

typedef struct transpose_run {
    plan plan;
    const clvi_kernels *kernels;
    const float *x, *w, *bias;
    float *y, *work;
} transpose_run;

/* y[., .] += t[kh*kw, n] for input pixels [first, first + n). */
static void scatter(const plan *p, const float *t, size_t first, size_t n, float *y)
{
    const clvi_conv_shape *s = &p->s;
    for (size_t v = 0; v < p->window; v++, t += p->width) {
        const int64_t i = (int64_t)v / s->kw * s->dh - s->pt, j = (int64_t)v % s->kw * s->dw - s->pl;
        int64_t r = (int64_t)first / s->w, q = (int64_t)first % s->w;
        for (size_t u = 0; u < n; u++) {
            const int64_t row = r * s->sh + i, column = q * s->sw + j;
            if (row >= 0 && row < s->oh && column >= 0 && column < s->ow)
                y[row * s->ow + column] += t[u];
            if (++q == s->w) {
                q = 0;
                r++;
            }
        }
    }
}

/* t[kh*kw, n] = W^T X for one output channel, one block of k at a time. */
static void multiply(const transpose_run *run, const float *w, const float *x, size_t block, size_t n, float *t)
{
    const clvi_gemm_f32 *gemm = &run->kernels->gemm_f32;
    const plan *p = &run->plan;
    const clvi_gemm_tile tile = {.accumulate = block > 0, .lo = -INFINITY, .hi = INFINITY};
    const size_t k0 = clvi_k_begin(p->k, block), k = clvi_k_begin(p->k, block + 1) - k0;
    const clvi_panels panels = clvi_panels_of(p->window, gemm->mr);
    for (size_t i = 0; i < panels.count; i++) {
        const size_t row = clvi_panel_begin(&panels, i), m = clvi_panel_begin(&panels, i + 1) - row;
        for (size_t j = 0; j < n; j += gemm->nr)
            gemm->run(k, w + (i * p->k + k0) * gemm->mr, x + j * k, t + row * p->width + j, p->width, m,
                      clvi_min_size(gemm->nr, n - j), &tile);
    }
}

/* Pixels [first, first + n) of the group's k channels, into outputs [o, end) of the whole network layer. X is packed
 * again for each output channel only when it takes more than one block of k. */
static void pixel_block(const transpose_run *run, const float *x, size_t o, size_t end, size_t first, size_t n,
                        float *y, float *scratch)
{
    const plan *p = &run->plan;
    float *t = scratch + p->x_floats;
    const size_t blocks = clvi_k_count(p->k);
    for (size_t at = o; at < end; at++) {
        for (size_t block = 0; block < blocks; block++) {
            const size_t k0 = clvi_k_begin(p->k, block), k = clvi_k_begin(p->k, block + 1) - k0;
            const clvi_matrix columns = {x + k0 * p->pixels + first, k, n, p->pixels, 1};
            if (blocks > 1 || at == o)
                clvi_pack_columns(&columns, run->kernels->gemm_f32.nr, scratch);
            multiply(run, run->w + at * p->w_floats, scratch, block, n, t);
        }
        scatter(p, t, first, n, y + (at - o) * (size_t)(p->s.oh * p->s.ow));
    }
}

static void transpose_task(void *arg, size_t index, int worker)
{
    const transpose_run *run = arg;
    const plan *p = &run->plan;
    const size_t groups = (size_t)p->s.groups, out = (size_t)(p->s.oh * p->s.ow);
    const size_t bundle = index % p->bundles, plane = index / p->bundles,
                 g = plane % groups; /* plane: image * groups + g */
    const size_t first_o = bundle * CHANNELS, end_o = clvi_min_size(first_o + CHANNELS, p->og);
    float *y = run->y + (plane * p->og + first_o) * out;
    for (size_t o = first_o; o < end_o; o++)
        for (size_t u = 0; u < out; u++)
            y[(o - first_o) * out + u] = run->bias ? run->bias[g * p->og + o] : 0.0f;
    for (size_t first = 0; first < p->pixels; first += p->width)
        pixel_block(run, run->x + plane * p->k * p->pixels, g * p->og + first_o, g * p->og + end_o, first,
                    clvi_min_size(p->width, p->pixels - first), y,
                    run->work + (size_t)worker * (p->x_floats + p->t_floats));
}

static clv_status run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *bias = clvi_call_in(call, 2);
    transpose_run r = {.kernels = call->kernels,
                       .x = call->in[0]->data,
                       .w = call->state,
                       .bias = bias ? bias->data : NULL,
                       .y = call->out[0]->data,
                       .work = call->work};
    TRY(make_plan(call, &r.plan, err));
    if (r.plan.s.n == 0)
        return CLV_OK;
    if (!r.w) {
        pack(&r.plan, call->kernels, call->in[1]->data, call->work);
        r.w = call->work;
        r.work = (float *)((char *)call->work + weight_bytes(&r.plan));
    }
    clvi_pool_run(call->pool, (size_t)(r.plan.s.n * r.plan.s.groups) * r.plan.bundles, transpose_task, &r);
    return CLV_OK;
}

const clvi_op clvi_op_conv_transpose = {.type = "ConvTranspose",
                                        .since = 1,
                                        .infer = infer,
                                        .run = run,
                                        .macs = macs,
                                        .work = work,
                                        .prepare = prepare,
                                        .release = clvi_free};
