/* SPDX-License-Identifier: Apache-2.0 */
/* Conv, ONNX 1, 11 and 22: 1-D and 2-D, groups, dilation, any pads. Y = X * W + B, NCHW. */
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "ops/conv_algo.h"
#include "ops/op.h"

static const clvi_conv_algo *const algorithms[] = {&clvi_conv_depthwise, &clvi_conv_whole, &clvi_conv_pointwise,
                                                   &clvi_conv_im2col};

const clvi_conv_algo *clvi_conv_choose(const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    const clvi_conv_algo *best = NULL;
    double least = 0.0;
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        if (!algorithms[i]->fits(s))
            continue;
        const double cost = algorithms[i]->cost(s, kernels);
        if (!best || cost < least) {
            best = algorithms[i];
            least = cost;
        }
    }
    return best;
}

static clv_status shape_of(const clvi_op_call *call, clvi_conv_shape *s, clv_error *err)
{
    return clvi_conv_shape_of(call->graph, call->node, call->in[0], call->in[1], s, err);
}

static clv_status infer(clvi_op_call *call, clv_error *err)
{
    clvi_conv_shape s;
    TRY(clvi_call_arity(call, 2, 3, err));
    TRY(shape_of(call, &s, err));
    const clv_tensor *bias = clvi_call_in(call, 2);
    for (size_t i = 0; i < call->n_in; i++)
        if (call->in[i] && call->in[i]->dtype != CLV_FLOAT32)
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": input %zu is %s, Conv computes float32",
                        clvi_call_label(call), i, clv_dtype_name(call->in[i]->dtype));
    if (bias && (bias->rank != 1 || bias->dims[0] != s.o))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": bias of rank %d with %lld values for %lld filters",
                    clvi_call_label(call), bias->rank, (long long)(bias->rank > 0 ? bias->dims[0] : 1), (long long)s.o);
    const int64_t dims[4] = {s.n, s.o, s.rank == 4 ? s.oh : s.ow, s.ow};
    return clvi_call_set_shape(call, call->out[0], CLV_FLOAT32, s.rank, dims, err);
}

static int64_t macs(const clvi_op_call *call)
{
    clvi_conv_shape s;
    return shape_of(call, &s, NULL) == CLV_OK ? clvi_conv_macs(&s) : 0;
}

/* Bytes of the packed weights, a multiple of CLV_ALIGN: they stand before the workers' scratch when W is not constant.
 */
static size_t weight_bytes(const clvi_conv_algo *algo, const clvi_conv_shape *s, const clvi_kernels *kernels)
{
    return clvi_round_up(algo->packed_bytes(s, kernels), CLV_ALIGN);
}

static size_t work(const clvi_op_call *call)
{
    clvi_conv_shape s;
    if (shape_of(call, &s, NULL) != CLV_OK)
        return 0;
    const clvi_conv_algo *algo = clvi_conv_choose(&s, call->kernels);
    return algo->work_bytes(&s, call->kernels, clvi_pool_threads(call->pool)) +
           (call->state ? 0 : weight_bytes(algo, &s, call->kernels));
}

static clv_status prepare(clvi_op_call *call, clv_error *err)
{
    clvi_conv_shape s;
    TRY(shape_of(call, &s, err));
    const clvi_conv_algo *algo = clvi_conv_choose(&s, call->kernels);
    const size_t bytes = weight_bytes(algo, &s, call->kernels);
    if (!call->in[1]->data || bytes == 0)
        return CLV_OK;
    call->state = clvi_alloc(bytes);
    if (!call->state)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\": %zu bytes of packed weights", clvi_call_label(call), bytes);
    algo->pack(&s, call->kernels, call->in[1]->data, call->state);
    return CLV_OK;
}

static clv_status run(clvi_op_call *call, clv_error *err)
{
    clvi_conv_shape s;
    TRY(shape_of(call, &s, err));
    const clvi_conv_algo *algo = clvi_conv_choose(&s, call->kernels);
    const clv_tensor *bias = clvi_call_in(call, 2);
    const size_t bytes = call->state ? 0 : weight_bytes(algo, &s, call->kernels);
    clvi_conv_job job = {.shape = &s,
                         .kernels = call->kernels,
                         .pool = call->pool,
                         .x = call->in[0]->data,
                         .bias = bias ? bias->data : NULL,
                         .weights = call->state ? call->state : call->in[1]->data,
                         .y = call->out[0]->data,
                         .work = call->work};
    if (s.n == 0)
        return CLV_OK;
    if (bytes > 0) {
        algo->pack(&s, call->kernels, call->in[1]->data, call->work);
        job.weights = call->work;
        job.work = (char *)call->work + bytes;
    }
    algo->run(&job);
    return CLV_OK;
}

const clvi_op clvi_op_conv = {.type = "Conv",
                              .since = 1,
                              .infer = infer,
                              .run = run,
                              .macs = macs,
                              .work = work,
                              .prepare = prepare,
                              .release = clvi_free};
