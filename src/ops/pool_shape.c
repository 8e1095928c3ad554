// SPDX-License-Identifier: Apache-2.0
#include "ops/pool_shape.h"

#include <string.h>

/* One number an axis (or two for pads, begins first) from a list attribute, each in [low, 2^31). */
static clv_status read_axes(const clvi_op_call *call, const char *name, const clvi_pool_shape *s, int64_t low,
                            int64_t *a, int64_t *b, clv_error *err)
{
    size_t count;
    const int64_t *v = clvi_node_ints(call->node, name, &count);
    const size_t n = (size_t)s->spatial;
    if (!v || !count)
        return CLV_OK;
    if (count != (b ? 2 * n : n))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s has %zu numbers for %d spatial axes", clvi_call_label(call),
                    name, count, s->spatial);
    for (size_t i = 0; i < count; i++) {
        if (v[i] < low || v[i] > INT32_MAX)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s holds %lld, expected %lld to %d", clvi_call_label(call),
                        name, (long long)v[i], (long long)low, INT32_MAX);
        (i < n ? a : b)[3 - n + i % n] = v[i];
    }
    return CLV_OK;
}

/* Output extent of axis a; SAME_* sets the pads too. */
static clv_status resolve_axis(const clvi_op_call *call, clvi_pool_shape *s, int a, const char *auto_pad,
                               clv_error *err)
{
    const int64_t window = (s->kernel[a] - 1) * s->dilation[a] + 1, step = s->stride[a], in = s->in[a];
    const bool upper = !strcmp(auto_pad, "SAME_UPPER"), lower = !strcmp(auto_pad, "SAME_LOWER");
    if (upper || lower) {
        s->out[a] = in / step + (in % step != 0);
        const int64_t missing = (s->out[a] - 1) * step + window - in, total = missing > 0 ? missing : 0;
        s->begin[a] = upper ? total / 2 : total - total / 2;
        s->end[a] = total - s->begin[a];
    } else {
        if (!strcmp(auto_pad, "VALID"))
            s->begin[a] = s->end[a] = 0;
        const int64_t slack = in + s->begin[a] + s->end[a] - window;
        const bool up = clvi_node_int(call->node, "ceil_mode", 0) != 0 && slack % step > 0;
        s->out[a] = slack < 0 ? 0 : slack / step + 1 + up;
        if (up && (s->out[a] - 1) * step >= in + s->begin[a])
            s->out[a]--;
    }
    if (s->out[a] < 1 || s->begin[a] >= window || s->end[a] >= window)
        return FAIL(
            err, CLV_ERR_FORMAT,
            "node \"%s\": a window of %lld with pads %lld and %lld does not fit an extent of %lld (spatial axis %d)",
            clvi_call_label(call), (long long)window, (long long)s->begin[a], (long long)s->end[a], (long long)in,
            a - (3 - s->spatial));
    return CLV_OK;
}

clv_status clvi_pool_shape_of(const clvi_op_call *call, clvi_pool_shape *out, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    clvi_pool_shape s = {.spatial = x->rank - 2, .in_size = 1, .out_size = 1};
    size_t count;
    if (x->rank < 3 || x->rank > 5)
        return FAIL(err, x->rank < 3 ? CLV_ERR_FORMAT : CLV_ERR_UNSUP, "node \"%s\": %s of rank %d, expected 3 to 5",
                    clvi_call_label(call), call->node->op_type, x->rank);
    if (!clvi_node_ints(call->node, "kernel_shape", &count) || !count)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s has no kernel_shape", clvi_call_label(call),
                    call->node->op_type);
    for (int a = 0; a < 3; a++)
        s.in[a] = s.out[a] = s.kernel[a] = s.stride[a] = s.dilation[a] = 1;
    TRY(read_axes(call, "kernel_shape", &s, 1, s.kernel, NULL, err));
    TRY(read_axes(call, "strides", &s, 1, s.stride, NULL, err));
    TRY(read_axes(call, "dilations", &s, 1, s.dilation, NULL, err));
    TRY(read_axes(call, "pads", &s, 0, s.begin, s.end, err));
    s.planes = x->dims[0] * x->dims[1];
    const char *auto_pad = clvi_node_string(call->node, "auto_pad", "NOTSET");
    for (int i = 2; i < x->rank; i++) {
        const int a = 3 - s.spatial + i - 2;
        s.in[a] = x->dims[i];
        if (s.in[a] > INT32_MAX)
            return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": %s of an extent of %lld", clvi_call_label(call),
                        call->node->op_type, (long long)s.in[a]);
        TRY(resolve_axis(call, &s, a, auto_pad, err));
    }
    for (int a = 0; a < 3; a++) {
        s.in_size *= s.in[a];
        s.out_size *= s.out[a];
    }
    *out = s;
    return CLV_OK;
}

clv_status clvi_pool_set_output(const clvi_op_call *call, const clvi_pool_shape *shape, size_t k, clv_dtype dtype,
                                clv_error *err)
{
    const clv_tensor *x = call->in[0];
    int64_t dims[CLV_MAX_RANK] = {x->dims[0], x->dims[1]};
    for (int i = 2; i < x->rank; i++)
        dims[i] = shape->out[3 - shape->spatial + i - 2];
    return clvi_call_set_shape(call, call->out[k], dtype, x->rank, dims, err);
}
