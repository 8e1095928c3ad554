/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes and shapes -> geometry. All extents are held below 2^31, so that sums and products of two cannot overflow.
 */
#include "ops/conv_shape.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

#define EXTENT_MAX INT32_MAX

/* Index 0 is the row direction, 1 the column direction. */
typedef struct axes {
    int64_t in[2], kernel[2], stride[2], dilation[2], begin[2], end[2], out[2];
} axes;

typedef struct source {
    const clvi_graph *graph;
    const clvi_node *node;
    const char *label;
    int first; /* spatial rank 2: 0; spatial rank 1: 1, the row direction is absent */
} source;

/* An attribute of one number per spatial axis into v; absent: `absent`. */
static clv_status read_axes(const source *src, const char *name, int64_t low, int64_t absent, int64_t v[2],
                            clv_error *err)
{
    size_t count = 0;
    const int64_t *list = clvi_node_ints(src->node, name, &count);
    const size_t want = (size_t)(2 - src->first);
    v[0] = v[1] = absent;
    if (src->first == 1)
        v[0] = low > 0 ? 1 : 0;
    if (!list || count == 0)
        return CLV_OK;
    if (count != want)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s has %zu numbers, %zu are needed", src->label, name, count,
                    want);
    for (size_t i = 0; i < want; i++) {
        if (list[i] < low || list[i] > EXTENT_MAX)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s[%zu] is %" PRId64 ", must be %" PRId64 " to %d",
                        src->label, name, i, list[i], low, EXTENT_MAX);
        v[(size_t)src->first + i] = list[i];
    }
    return CLV_OK;
}

static clv_status read_pads(const source *src, axes *a, clv_error *err)
{
    size_t count = 0;
    const int64_t *list = clvi_node_ints(src->node, "pads", &count);
    const size_t spatial = (size_t)(2 - src->first);
    if (!list || count == 0)
        return CLV_OK;
    if (count != 2 * spatial)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": pads has %zu numbers, %zu are needed", src->label, count,
                    2 * spatial);
    for (size_t i = 0; i < count; i++) {
        int64_t *side = i < spatial ? a->begin : a->end;
        if (list[i] < 0 || list[i] > EXTENT_MAX)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": pads[%zu] is %" PRId64 ", must be 0 to %d", src->label, i,
                        list[i], EXTENT_MAX);
        side[(size_t)src->first + i % spatial] = list[i];
    }
    return CLV_OK;
}

typedef enum auto_pad { PAD_NOTSET, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER } auto_pad;

static clv_status read_auto_pad(const source *src, auto_pad *out, clv_error *err)
{
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *name = clvi_node_string(src->node, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (auto_pad)i;
            return CLV_OK;
        }
    }
    return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": auto_pad is \"%.40s\"", src->label, name);
}

static clv_status check_tensors(source *src, const clv_tensor *x, const clv_tensor *w, axes *a, clv_error *err)
{
    const clv_tensor *both[2] = {x, w};
    src->label = clvi_node_label(src->graph, src->node);
    if (x->rank != w->rank || x->rank < 3)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": input has rank %d and weights have rank %d", src->label, x->rank,
                    w->rank);
    if (x->rank > 4)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": %d-D convolution; 1-D and 2-D are supported", src->label,
                    x->rank - 2);
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < x->rank; i++)
            if (both[t]->dims[i] < (t == 0 && i != 1 ? 0 : 1) || both[t]->dims[i] > EXTENT_MAX)
                return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s dimension %d is %" PRId64, src->label,
                            t == 0 ? "input" : "weight", i, both[t]->dims[i]);
    src->first = 4 - x->rank;
    *a = (axes){.in = {1, 1}, .kernel = {1, 1}};
    for (int i = src->first; i < 2; i++) {
        a->in[i] = x->dims[i + x->rank - 2];
        a->kernel[i] = w->dims[i + x->rank - 2];
    }
    return CLV_OK;
}

/* The attributes that Conv and ConvTranspose share. */
static clv_status read_window(const source *src, axes *a, auto_pad *pad, clv_error *err)
{
    int64_t declared[2];
    TRY(read_axes(src, "strides", 1, 1, a->stride, err));
    TRY(read_axes(src, "dilations", 1, 1, a->dilation, err));
    TRY(read_axes(src, "kernel_shape", 1, 0, declared, err));
    for (int i = src->first; i < 2; i++)
        if (declared[i] != 0 && declared[i] != a->kernel[i])
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": kernel_shape says %" PRId64 ", weights have %" PRId64,
                        src->label, declared[i], a->kernel[i]);
    TRY(read_auto_pad(src, pad, err));
    if (*pad == PAD_NOTSET)
        TRY(read_pads(src, a, err));
    return CLV_OK;
}

static int64_t reach(const axes *a, int i)
{
    return (a->kernel[i] - 1) * a->dilation[i] + 1;
}

/* Every size that later code computes from the shape: elements of x, w, y, and packed weights (at most 64 times w). */
static clv_status fill(const source *src, const axes *a, clvi_conv_shape *s, clv_error *err)
{
    int64_t macs = 1, packed = 64 * 4;
    s->h = a->in[0], s->w = a->in[1];
    s->oh = a->out[0], s->ow = a->out[1];
    s->kh = a->kernel[0], s->kw = a->kernel[1];
    s->sh = a->stride[0], s->sw = a->stride[1];
    s->dh = a->dilation[0], s->dw = a->dilation[1];
    s->pt = a->begin[0], s->pl = a->begin[1];
    s->pb = a->end[0], s->pr = a->end[1];
    s->rank = 4 - src->first;
    const int64_t work[] = {s->n > 0 ? s->n : 1, s->o, s->oh, s->ow, s->c / s->groups, s->kh, s->kw};
    const int64_t weights[] = {s->o, s->c, s->kh, s->kw};
    const int64_t spread[] = {
        s->n > 0 ? s->n : 1, s->o / s->groups, s->h, s->w, s->c, s->kh, s->kw}; /* ConvTranspose */
    int64_t spread_macs = 1;
    bool fits = true;
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        fits = fits && clvi_mul_i64(macs, work[i], &macs) && clvi_mul_i64(spread_macs, spread[i], &spread_macs);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        fits = fits && clvi_mul_i64(packed, weights[i], &packed);
    if (!fits)
        return FAIL(err, CLV_ERR_FORMAT,
                    "node \"%s\": %" PRId64 "x%" PRId64 "x%" PRId64 " outputs of %" PRId64 "x%" PRId64 "x%" PRId64
                    " windows overflow",
                    src->label, s->o, s->oh, s->ow, s->c, s->kh, s->kw);
    return CLV_OK;
}

static clv_status read_groups(const source *src, clvi_conv_shape *s, clv_error *err)
{
    s->groups = clvi_node_int(src->node, "group", 1);
    if (s->groups < 1 || s->groups > s->c || s->c % s->groups != 0)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": group is %" PRId64 ", input has %" PRId64 " channels",
                    src->label, s->groups, s->c);
    return CLV_OK;
}

/* out = floor((in + begin + end - reach) / stride) + 1; SAME: out = ceil(in / stride), the odd pad goes to the named
 * end. */
static clv_status resolve_conv(const source *src, auto_pad pad, axes *a, clv_error *err)
{
    for (int i = src->first; i < 2; i++) {
        if (pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER) {
            const int64_t out = (a->in[i] + a->stride[i] - 1) / a->stride[i];
            const int64_t total = (out - 1) * a->stride[i] + reach(a, i) - a->in[i];
            const int64_t small = total > 0 ? total / 2 : 0, large = total > 0 ? total - small : 0;
            if (large > EXTENT_MAX)
                return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": SAME padding of %" PRId64, src->label, total);
            a->begin[i] = pad == PAD_SAME_UPPER ? small : large;
            a->end[i] = pad == PAD_SAME_UPPER ? large : small;
        }
        const int64_t span = a->in[i] + a->begin[i] + a->end[i];
        if (span < reach(a, i))
            return FAIL(err, CLV_ERR_FORMAT,
                        "node \"%s\": window of %" PRId64 " (kernel %" PRId64 ", dilation %" PRId64
                        ") is larger than input %" PRId64 " with pads %" PRId64 " + %" PRId64,
                        src->label, reach(a, i), a->kernel[i], a->dilation[i], a->in[i], a->begin[i], a->end[i]);
        a->out[i] = (span - reach(a, i)) / a->stride[i] + 1;
        if (a->out[i] > EXTENT_MAX)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": output extent %" PRId64, src->label, a->out[i]);
    }
    if (src->first == 1)
        a->out[0] = 1;
    return CLV_OK;
}

clv_status clvi_conv_shape_of(const clvi_graph *graph, const clvi_node *node, const clv_tensor *x, const clv_tensor *w,
                              clvi_conv_shape *out, clv_error *err)
{
    source src = {.graph = graph, .node = node};
    auto_pad pad;
    axes a;
    TRY(check_tensors(&src, x, w, &a, err));
    *out = (clvi_conv_shape){.n = x->dims[0], .c = x->dims[1], .o = w->dims[0]};
    TRY(read_window(&src, &a, &pad, err));
    TRY(read_groups(&src, out, err));
    if (w->dims[1] != out->c / out->groups)
        return FAIL(err, CLV_ERR_FORMAT,
                    "node \"%s\": weights read %" PRId64 " channels a group, input has %" PRId64 " in %" PRId64
                    " group(s)",
                    src.label, w->dims[1], out->c, out->groups);
    if (out->o % out->groups != 0)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %" PRId64 " filters do not divide into %" PRId64 " groups",
                    src.label, out->o, out->groups);
    TRY(resolve_conv(&src, pad, &a, err));
    return fill(&src, &a, out, err);
}

/* out = stride (in - 1) + output_padding + reach - begin - end. With output_shape (or SAME: out = stride in) the pads
 * follow, and the odd one goes to the end for SAME_UPPER and to the begin otherwise (ONNX ConvTranspose-11). */
static clv_status resolve_transpose(const source *src, auto_pad pad, axes *a, clv_error *err)
{
    int64_t extra[2], wanted[2];
    TRY(read_axes(src, "output_padding", 0, 0, extra, err));
    TRY(read_axes(src, "output_shape", 1, 0, wanted, err));
    for (int i = src->first; i < 2; i++) {
        const int64_t full = a->stride[i] * (a->in[i] - 1) + extra[i] + reach(a, i);
        if (wanted[i] == 0 && (pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER))
            wanted[i] = a->stride[i] * a->in[i];
        if (wanted[i] > 0) {
            const int64_t total = full > wanted[i] ? full - wanted[i] : 0;
            a->begin[i] = pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
            a->end[i] = total - a->begin[i];
        }
        a->out[i] = wanted[i] > 0 ? wanted[i] : full - a->begin[i] - a->end[i];
        if (a->in[i] < 1 || a->out[i] < 1 || a->out[i] > EXTENT_MAX || a->begin[i] > EXTENT_MAX ||
            a->end[i] > EXTENT_MAX)
            return FAIL(err, CLV_ERR_FORMAT,
                        "node \"%s\": input %" PRId64 ", kernel %" PRId64 ", stride %" PRId64 ", pads %" PRId64
                        " + %" PRId64 " give output %" PRId64,
                        src->label, a->in[i], a->kernel[i], a->stride[i], a->begin[i], a->end[i], a->out[i]);
    }
    if (src->first == 1)
        a->out[0] = 1;
    return CLV_OK;
}

clv_status clvi_conv_transpose_shape_of(const clvi_graph *graph, const clvi_node *node, const clv_tensor *x,
                                        const clv_tensor *w, clvi_conv_shape *out, clv_error *err)
{
    source src = {.graph = graph, .node = node};
    auto_pad pad;
    axes a;
    TRY(check_tensors(&src, x, w, &a, err));
    *out = (clvi_conv_shape){.n = x->dims[0], .c = x->dims[1]};
    TRY(read_window(&src, &a, &pad, err));
    TRY(read_groups(&src, out, err));
    if (w->dims[0] != out->c)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": weights read %" PRId64 " channels, input has %" PRId64,
                    src.label, w->dims[0], out->c);
    if (w->dims[1] > EXTENT_MAX / out->groups)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %" PRId64 " filters in each of %" PRId64 " groups", src.label,
                    w->dims[1], out->groups);
    out->o = w->dims[1] * out->groups;
    TRY(resolve_transpose(&src, pad, &a, err));
    return fill(&src, &a, out, err);
}

int64_t clvi_conv_macs(const clvi_conv_shape *s)
{
    return s->n * s->o * s->oh * s->ow * (s->c / s->groups) * s->kh * s->kw;
}
