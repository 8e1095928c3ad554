// SPDX-License-Identifier: Apache-2.0
/* Resize (10 to 19) and Upsample (7, 9): nearest is one gather, linear and cubic one pass an axis. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "ops/op.h"
#include "ops/resize_axis.h"
#include "ops/walk.h"

typedef struct resize_plan {
    bool nearest;
    clvi_resize_axis axis[CLV_MAX_RANK];
} resize_plan;

static clv_status bad_value(const clvi_op_call *call, const char *name, const char *value, clv_error *err)
{
    return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": %s of %s is \"%s\"", clvi_call_label(call), name, call->node->op_type,
                value);
}

static int find_name(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], name))
            return i;
    return -1;
}

static clv_status read_modes(const clvi_op_call *call, resize_plan *plan, clvi_resize_axis *axis, clv_error *err)
{
    static const char *const coordinates[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
        "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL};
    static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    const bool modern = call->opset >= 11;
    const char *mode = clvi_node_string(call->node, "mode", "nearest");
    const char *coordinate =
        modern ? clvi_node_string(call->node, "coordinate_transformation_mode", "half_pixel") : "asymmetric";
    const char *nearest = clvi_node_string(call->node, "nearest_mode", "round_prefer_floor");

    plan->nearest = !strcmp(mode, "nearest");
    axis->cubic = modern && !strcmp(mode, "cubic");
    if (!plan->nearest && !axis->cubic && strcmp(mode, "linear") != 0 && strcmp(mode, "bilinear") != 0)
        return bad_value(call, "mode", mode, err);
    if (find_name(coordinates, coordinate) < 0)
        return bad_value(call, "coordinate_transformation_mode", coordinate, err);
    if (find_name(nearests, nearest) < 0)
        return bad_value(call, "nearest_mode", nearest, err);
    axis->coordinate = (clvi_resize_coordinate)find_name(coordinates, coordinate);
    axis->nearest = modern ? (clvi_resize_nearest)find_name(nearests, nearest) : CLVI_NEAREST_SIMPLE;
    axis->antialias = clvi_node_int(call->node, "antialias", 0) != 0;
    axis->exclude_outside = clvi_node_int(call->node, "exclude_outside", 0) != 0;
    axis->cubic_a = (double)clvi_node_float(call->node, "cubic_coeff_a", -0.75f);
    return CLV_OK;
}

/* Scales, of constant input i or (i = SIZE_MAX) the attribute; *count 0 when there are none. */
static clv_status read_floats(const clvi_op_call *call, size_t i, float *out, size_t max, size_t *count, clv_error *err)
{
    const clv_tensor *t = clvi_call_in(call, i);
    const clvi_attr *attr = i == SIZE_MAX ? clvi_node_attr(call->node, "scales") : NULL;
    const int64_t n = t ? clv_tensor_count(t) : attr ? (int64_t)attr->count : 0;
    *count = 0;
    if (n == 0)
        return CLV_OK;
    if ((t && t->dtype != CLV_FLOAT32) || (attr && !attr->floats) || n < 0 || (uint64_t)n > max)
        return FAIL(err, CLV_ERR_FORMAT,
                    "node \"%s\": the scales or region of %s must be at most %zu floats, found %lld",
                    clvi_call_label(call), call->node->op_type, max, (long long)n);
    if (t && !t->data)
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": input %zu of %s is not known before the network runs",
                    clvi_call_label(call), i, call->node->op_type);
    memcpy(out, t ? t->data : attr->floats, (size_t)n * sizeof out[0]);
    *count = (size_t)n;
    return CLV_OK;
}

static clv_status set_scale(const clvi_op_call *call, clvi_resize_axis *a, double scale, bool round, clv_error *err)
{
    /* The extent is floored from the float product, as other engines do: 10 * 0.7f is 7. */
    const double wide = round ? floor((double)a->in * scale + 0.5) : floor((double)((float)a->in * (float)scale));
    if (!(scale > 0) || !(wide < 0x1p53))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s of an extent of %lld by %g", clvi_call_label(call),
                    call->node->op_type, (long long)a->in, scale);
    a->num = 1;
    a->den = scale;
    a->out = (int64_t)wide;
    return CLV_OK;
}

/* sizes[i] for axes[i]; keep_aspect_ratio_policy (18) makes one scale of them all. */
static clv_status apply_sizes(const clvi_op_call *call, resize_plan *plan, const int *axes, const int64_t *sizes,
                              size_t count, clv_error *err)
{
    const char *policy = clvi_node_string(call->node, "keep_aspect_ratio_policy", "stretch");
    const bool larger = !strcmp(policy, "not_smaller"), smaller = !strcmp(policy, "not_larger");
    double common = 0;
    if (!larger && !smaller && strcmp(policy, "stretch") != 0)
        return bad_value(call, "keep_aspect_ratio_policy", policy, err);
    for (size_t i = 0; i < count; i++) {
        clvi_resize_axis *a = &plan->axis[axes[i]];
        if (sizes[i] < 0 || sizes[i] > INT64_C(1) << 52)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": Resize of axis %d to %lld", clvi_call_label(call), axes[i],
                        (long long)sizes[i]);
        a->num = (double)a->in;
        a->den = (double)sizes[i];
        a->out = sizes[i];
        const double scale = a->in ? a->den / a->num : 0;
        if (i == 0 || (larger ? scale > common : scale < common))
            common = scale;
    }
    if (larger || smaller)
        for (size_t i = 0; i < count; i++)
            TRY(set_scale(call, &plan->axis[axes[i]], common, true, err));
    return CLV_OK;
}

/* Every axis: input and output extent, scale, region. Only data of constant inputs are read. */
static clv_status resize_resolve(const clvi_op_call *call, resize_plan *plan, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    const bool modern = call->opset >= 11;
    clvi_resize_axis axis = {.num = 1, .den = 1, .roi_end = 1};
    float scales[CLV_MAX_RANK], roi[2 * CLV_MAX_RANK];
    int64_t sizes[CLV_MAX_RANK], listed[CLV_MAX_RANK];
    size_t n_scales, n_sizes = 0, n_roi = 0, count = 0;
    int axes[CLV_MAX_RANK];
    bool chosen[CLV_MAX_RANK], found;

    TRY(read_modes(call, plan, &axis, err));
    TRY(read_floats(call, modern ? 2 : call->opset < 9 ? SIZE_MAX : 1, scales, CLV_MAX_RANK, &n_scales, err));
    if (modern && clvi_call_in(call, 3))
        TRY(clvi_call_const_ints(call, 3, sizes, CLV_MAX_RANK, &n_sizes, err));
    if (axis.coordinate == CLVI_TF_CROP_AND_RESIZE)
        TRY(read_floats(call, 1, roi, 2 * CLV_MAX_RANK, &n_roi, err));
    TRY(clvi_call_ints(call, "axes", SIZE_MAX, listed, CLV_MAX_RANK, &count, &found, err));
    TRY(clvi_call_axes(call, listed, count, x->rank, chosen, err));
    if (!found)
        count = (size_t)x->rank;
    for (size_t i = 0; i < count; i++) {
        axes[i] = (int)i;
        if (found)
            TRY(clvi_call_axis(call, listed[i], x->rank, &axes[i], err));
    }
    const bool fits = n_sizes ? n_sizes == count : n_scales == count;
    if (!fits || (axis.coordinate == CLVI_TF_CROP_AND_RESIZE && n_roi != 2 * count))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s of %zu axes has %zu scales, %zu sizes and a region of %zu",
                    clvi_call_label(call), call->node->op_type, count, n_scales, n_sizes, n_roi);

    for (int i = 0; i < x->rank; i++) {
        plan->axis[i] = axis;
        plan->axis[i].in = plan->axis[i].out = x->dims[i];
    }
    if (n_sizes)
        TRY(apply_sizes(call, plan, axes, sizes, count, err));
    for (size_t i = 0; i < count; i++) {
        clvi_resize_axis *a = &plan->axis[axes[i]];
        if (!n_sizes)
            TRY(set_scale(call, a, (double)scales[i], false, err));
        if (n_roi) {
            a->roi_begin = (double)roi[i];
            a->roi_end = (double)roi[count + i];
        }
        if (a->out && !a->in)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s of the empty axis %d to %lld", clvi_call_label(call),
                        call->node->op_type, axes[i], (long long)a->out);
    }
    return CLV_OK;
}

/* --- scratch: offsets for nearest; else the weights of the widest axis and two images that passes go between
 * ------------ */

typedef struct resize_layout {
    size_t weight, image[2]; /* offsets from work; the indices come first */
    size_t bytes;
} resize_layout;

/* false: does not fit the address space (a large axis first, although input and output are small). */
static bool lay_out(const resize_plan *plan, int rank, resize_layout *l)
{
    size_t entries = 0, image = 1, largest = 0;
    for (int i = 0; i < rank; i++)
        image *= plan->axis[i].in ? (size_t)plan->axis[i].in : 1;
    for (int i = 0; i < rank; i++) {
        const clvi_resize_axis *a = &plan->axis[i];
        size_t needed = (size_t)a->out;
        if (plan->nearest) {
            if (!clvi_add(entries, needed, &entries))
                return false;
            continue;
        }
        if (clvi_resize_is_identity(a) || !a->out)
            continue;
        if (!clvi_mul(needed, (size_t)clvi_resize_taps(a), &needed) ||
            !clvi_mul(image / (size_t)a->in, (size_t)a->out, &image))
            return false;
        entries = clvi_max_size(entries, needed);
        largest = clvi_max_size(largest, image);
    }
    if (entries > SIZE_MAX / 64 || largest > SIZE_MAX / 64)
        return false;
    l->weight = clvi_round_up(entries * sizeof(int64_t), CLV_ALIGN);
    l->image[0] = l->weight + (plan->nearest ? 0 : clvi_round_up(entries * sizeof(float), CLV_ALIGN));
    l->image[1] = l->image[0] + clvi_round_up(largest * sizeof(float), CLV_ALIGN);
    l->bytes = l->image[1] + clvi_round_up(largest * sizeof(float), CLV_ALIGN);
    return true;
}

static clv_status resize_infer(clvi_op_call *call, clv_error *err)
{
    const size_t max_in = call->opset >= 11 ? 4 : call->opset < 9 ? 1 : 2;
    int64_t dims[CLV_MAX_RANK];
    resize_layout layout;
    resize_plan plan;
    TRY(clvi_call_arity(call, max_in == 2 ? 2 : 1, max_in, err));
    TRY(resize_resolve(call, &plan, err));
    if (!plan.nearest)
        TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    if (!lay_out(&plan, call->in[0]->rank, &layout))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the steps of %s are too large", clvi_call_label(call),
                    call->node->op_type);
    for (int i = 0; i < call->in[0]->rank; i++)
        dims[i] = plan.axis[i].out;
    return clvi_call_set_shape(call, call->out[0], call->in[0]->dtype, call->in[0]->rank, dims, err);
}

static size_t resize_work(const clvi_op_call *call)
{
    resize_layout layout = {0};
    resize_plan plan;
    if (resize_resolve(call, &plan, NULL) != CLV_OK || !lay_out(&plan, call->in[0]->rank, &layout))
        return 0; /* infer refused it */
    return layout.bytes;
}

static void run_nearest(clvi_op_call *call, const resize_plan *plan)
{
    const clv_tensor *x = call->in[0], *y = call->out[0];
    const float extrapolation = clvi_node_float(call->node, "extrapolation_value", 0);
    static const char zero[16] = {0};
    clvi_choice choice = {
        .element = clv_dtype_size(x->dtype), .rank = x->rank, .dims = y->dims, .to = y->data, .from = x->data};
    choice.outside = x->dtype == CLV_FLOAT32 ? (const void *)&extrapolation : zero;
    int64_t stride[CLV_MAX_RANK], *next = call->work;
    clvi_dense_strides(x->rank, x->dims, choice.element, stride);
    for (int i = 0; i < x->rank; i++) {
        choice.offset[i] = next;
        for (int64_t k = 0; k < y->dims[i]; k++) {
            const int64_t index =
                clvi_resize_is_identity(&plan->axis[i]) ? k : clvi_resize_nearest_index(&plan->axis[i], k);
            *next++ = index < 0 ? -1 : index * stride[i];
        }
    }
    clvi_copy_chosen(call->pool, &choice);
}

/* One pass: y[o, j, :] = sum_k weight[j, k] * x[o, index[j, k], :] */
typedef struct resize_pass {
    int64_t in, out, inner, taps;
    const int64_t *index;
    const float *weight;
    const float *x;
    float *y, extrapolation;
} resize_pass;

static void pass_rows(void *ctx, int64_t begin, int64_t end)
{
    const resize_pass *p = ctx;
    for (int64_t row = begin; row < end; row++) {
        const int64_t j = row % p->out, *index = p->index + j * p->taps;
        const float *weight = p->weight + j * p->taps, *x = p->x + row / p->out * p->in * p->inner;
        float *y = p->y + row * p->inner;
        if (index[0] < 0) {
            for (int64_t i = 0; i < p->inner; i++)
                y[i] = p->extrapolation;
            continue;
        }
        for (int64_t i = 0; i < p->inner; i++)
            y[i] = weight[0] * x[index[0] * p->inner + i];
        for (int64_t k = 1; k < p->taps; k++)
            for (int64_t i = 0; i < p->inner; i++)
                y[i] += weight[k] * x[index[k] * p->inner + i];
    }
}

static void run_passes(clvi_op_call *call, const resize_plan *plan)
{
    const int rank = call->in[0]->rank;
    int last = -1;
    for (int i = 0; i < rank; i++)
        last = clvi_resize_is_identity(&plan->axis[i]) ? last : i;
    if (last < 0) {
        clvi_copy_bytes(call->out[0]->data, call->in[0]->data, (size_t)clv_tensor_count(call->out[0]) * sizeof(float));
        return;
    }
    resize_layout l = {0};
    lay_out(plan, rank, &l);
    char *work = call->work;
    int64_t *index = call->work;
    float *weight = (float *)(void *)(work + l.weight);
    const float *from = call->in[0]->data;
    for (int i = 0, side = 0; i <= last; i++) {
        const clvi_resize_axis *a = &plan->axis[i];
        if (clvi_resize_is_identity(a))
            continue;
        resize_pass p = {
            .in = a->in, .out = a->out, .inner = 1, .taps = clvi_resize_taps(a), .index = index, .weight = weight};
        int64_t outer = 1;
        for (int k = 0; k < i; k++)
            outer *= plan->axis[k].out;
        for (int k = i + 1; k < rank; k++)
            p.inner *= plan->axis[k].in;
        for (int64_t j = 0; j < a->out; j++)
            clvi_resize_weights(a, j, index + j * p.taps, weight + j * p.taps);
        p.x = from;
        p.y = i == last ? call->out[0]->data : (float *)(void *)(work + l.image[side]);
        p.extrapolation = clvi_node_float(call->node, "extrapolation_value", 0);
        clvi_split_range(call->pool, outer * a->out, 1 + 8192 / (p.inner * p.taps), pass_rows, &p);
        from = p.y;
        side = !side;
    }
}

static clv_status resize_run(clvi_op_call *call, clv_error *err)
{
    resize_plan plan;
    TRY(resize_resolve(call, &plan, err));
    if (!clv_tensor_count(call->out[0]))
        return CLV_OK;
    if (!call->in[0]->rank)
        clvi_copy_bytes(call->out[0]->data, call->in[0]->data, clv_dtype_size(call->in[0]->dtype));
    else if (plan.nearest)
        run_nearest(call, &plan);
    else
        run_passes(call, &plan);
    return CLV_OK;
}

const clvi_op clvi_op_resize = {
    .type = "Resize", .since = 10, .infer = resize_infer, .run = resize_run, .work = resize_work};
const clvi_op clvi_op_upsample = {
    .type = "Upsample", .since = 7, .until = 9, .infer = resize_infer, .run = resize_run, .work = resize_work};
