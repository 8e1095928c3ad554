// SPDX-License-Identifier: Apache-2.0
/* Along one axis: ArgMax, ArgMin, TopK, CumSum. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "ops/element.h"
#include "ops/op.h"
#include "ops/walk.h"

static clv_status want_number(const clvi_op_call *call, clv_error *err)
{
    return clvi_is_integer(call->in[0]->dtype) ? CLV_OK : clvi_call_want(call, 0, CLV_FLOAT32, err);
}

/* Element i of a line, as an ordered key: integers exactly, floats by value. */
typedef struct key {
    double number;
    int64_t integer; /* decides among integers that double cannot tell apart */
} key;

static key load_key(const clv_tensor *x, int64_t i)
{
    key k = {clvi_load_double(x->dtype, x->data, i), 0};
    if (x->dtype != CLV_FLOAT32)
        k.integer = clvi_load_int(x->dtype, x->data, i);
    return k;
}

/* NaN counts as largest, so that it is not lost. */
static bool key_less(key a, key b)
{
    if (a.number != a.number || b.number != b.number)
        return b.number != b.number && a.number == a.number;
    return a.number < b.number || (!(a.number > b.number) && a.integer < b.integer);
}

/* --- ArgMax, ArgMin
 * ------------------------------------------------------------------------------------------------------ */

static clv_status arg_infer(clvi_op_call *call, clv_error *err)
{
    int axis = 0, rank = 0;
    int64_t dims[CLV_MAX_RANK];
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(want_number(call, err));
    const clv_tensor *x = call->in[0];
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 0), x->rank, &axis, err));
    const bool keep = clvi_node_int(call->node, "keepdims", 1) != 0;
    for (int i = 0; i < x->rank; i++)
        if (i != axis || keep)
            dims[rank++] = i == axis ? 1 : x->dims[i];
    if (!x->dims[axis])
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s over the empty axis %d", clvi_call_label(call),
                    call->node->op_type, axis);
    return clvi_call_set_shape(call, call->out[0], CLV_INT64, rank, dims, err);
}

typedef struct arg_job {
    const clv_tensor *x;
    int64_t *y;
    clvi_axis_view view;
    bool least, last;
} arg_job;

static void arg_lines(void *ctx, int64_t begin, int64_t end)
{
    const arg_job *job = ctx;
    const clvi_axis_view v = job->view;
    for (int64_t line = begin; line < end; line++) {
        const int64_t at = line / v.inner * v.n * v.inner + line % v.inner;
        key best = load_key(job->x, at);
        job->y[line] = 0;
        for (int64_t i = 1; i < v.n; i++) {
            const key k = load_key(job->x, at + i * v.inner);
            const bool better = job->least ? key_less(k, best) : key_less(best, k);
            const bool worse = job->least ? key_less(best, k) : key_less(k, best);
            if (better || (job->last && !worse)) {
                best = k;
                job->y[line] = i;
            }
        }
    }
}

static clv_status arg_run(clvi_op_call *call, clv_error *err)
{
    int axis = 0;
    arg_job job = {.x = call->in[0], .y = call->out[0]->data, .least = clvi_node_is(call->node, "ArgMin")};
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", 0), call->in[0]->rank, &axis, err));
    job.last = clvi_node_int(call->node, "select_last_index", 0) != 0;
    job.view = clvi_view_axis(call->in[0], axis);
    clvi_split_range(call->pool, job.view.outer * job.view.inner, 1 + 4096 / job.view.n, arg_lines, &job);
    return CLV_OK;
}

const clvi_op clvi_op_arg_max = {.type = "ArgMax", .since = 1, .infer = arg_infer, .run = arg_run};
const clvi_op clvi_op_arg_min = {.type = "ArgMin", .since = 1, .infer = arg_infer, .run = arg_run};

/* --- TopK: k is an attribute below opset 10, a constant input from there
 * ------------------------------------------------- */

static clv_status top_k_resolve(const clvi_op_call *call, int *axis, int64_t *k, clv_error *err)
{
    size_t count = 1;
    const clv_tensor *x = call->in[0];
    TRY(clvi_call_axis(call, clvi_node_int(call->node, "axis", -1), x->rank, axis, err));
    *k = clvi_node_int(call->node, "k", -1);
    if (call->opset >= 10)
        TRY(clvi_call_const_ints(call, 1, k, 1, &count, err));
    if (count != 1 || *k < 0 || *k > x->dims[*axis])
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": TopK of %lld of %lld elements", clvi_call_label(call),
                    (long long)*k, (long long)x->dims[*axis]);
    return CLV_OK;
}

static clv_status top_k_infer(clvi_op_call *call, clv_error *err)
{
    int axis = 0;
    int64_t k = 0, dims[CLV_MAX_RANK];
    const size_t arity = call->opset >= 10 ? 2 : 1;
    TRY(clvi_call_arity(call, arity, arity, err));
    TRY(want_number(call, err));
    TRY(top_k_resolve(call, &axis, &k, err));
    memcpy(dims, call->in[0]->dims, sizeof dims);
    dims[axis] = k;
    if (call->n_out > 1 && call->out[1])
        TRY(clvi_call_set_shape(call, call->out[1], CLV_INT64, call->in[0]->rank, dims, err));
    return clvi_call_set_shape(call, call->out[0], call->in[0]->dtype, call->in[0]->rank, dims, err);
}

typedef struct candidate {
    key key;
    int64_t index;
} candidate;

/* a comes before b in the output; equal keys keep their order. */
static bool before(const candidate *a, const candidate *b, bool largest)
{
    if (key_less(a->key, b->key))
        return !largest;
    if (key_less(b->key, a->key))
        return largest;
    return a->index < b->index;
}

static void sift_down(candidate *heap, int64_t at, int64_t n, bool largest)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && before(&heap[child], &heap[child + 1], largest))
            child++;
        if (!before(&heap[at], &heap[child], largest))
            return;
        const candidate t = heap[at];
        heap[at] = heap[child];
        heap[child] = t;
        at = child;
    }
}

/* Heap sort, because qsort may allocate. */
static void sort_candidates(candidate *c, int64_t n, bool largest)
{
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift_down(c, i, n, largest);
    for (int64_t end = n - 1; end > 0; end--) {
        const candidate t = c[0];
        c[0] = c[end];
        c[end] = t;
        sift_down(c, 0, end, largest);
    }
}

static size_t top_k_work(const clvi_op_call *call)
{
    int axis = 0;
    int64_t k = 0;
    size_t bytes = 0;
    if (top_k_resolve(call, &axis, &k, NULL) != CLV_OK ||
        !clvi_mul((size_t)call->in[0]->dims[axis], sizeof(candidate), &bytes))
        return 0;
    return bytes;
}

static clv_status top_k_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    const size_t element = clv_dtype_size(x->dtype);
    int64_t *index = call->n_out > 1 && call->out[1] ? call->out[1]->data : NULL;
    const bool largest = clvi_node_int(call->node, "largest", 1) != 0;
    candidate *c = call->work;
    int axis = 0;
    int64_t k = 0;
    TRY(top_k_resolve(call, &axis, &k, err));
    const clvi_axis_view v = clvi_view_axis(x, axis);
    for (int64_t line = 0; line < v.outer * v.inner; line++) {
        const int64_t at = line / v.inner * v.n * v.inner + line % v.inner;
        const int64_t to = line / v.inner * k * v.inner + line % v.inner;
        for (int64_t i = 0; i < v.n; i++)
            c[i] = (candidate){load_key(x, at + i * v.inner), i};
        sort_candidates(c, v.n, largest);
        for (int64_t i = 0; i < k; i++) {
            memcpy((char *)call->out[0]->data + (size_t)(to + i * v.inner) * element,
                   (const char *)x->data + (size_t)(at + c[i].index * v.inner) * element, element);
            if (index)
                index[to + i * v.inner] = c[i].index;
        }
    }
    return CLV_OK;
}

const clvi_op clvi_op_top_k = {.type = "TopK", .since = 1, .infer = top_k_infer, .run = top_k_run, .work = top_k_work};

/* --- CumSum
 * ---------------------------------------------------------------------------------------------------------------- */

static clv_status cum_sum_axis(const clvi_op_call *call, int *axis, clv_error *err)
{
    int64_t wanted = 0;
    size_t count;
    TRY(clvi_call_const_ints(call, 1, &wanted, 1, &count, err));
    if (count != 1)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": CumSum needs one axis", clvi_call_label(call));
    return clvi_call_axis(call, wanted, call->in[0]->rank, axis, err);
}

static clv_status cum_sum_infer(clvi_op_call *call, clv_error *err)
{
    int axis;
    TRY(clvi_call_arity(call, 2, 2, err));
    TRY(want_number(call, err));
    TRY(cum_sum_axis(call, &axis, err));
    return clvi_call_same_shape(call, call->in[0]->dtype, err);
}

static clv_status cum_sum_run(clvi_op_call *call, clv_error *err)
{
    const clv_tensor *x = call->in[0];
    const bool exclusive = clvi_node_int(call->node, "exclusive", 0) != 0;
    const bool reverse = clvi_node_int(call->node, "reverse", 0) != 0;
    int axis = 0;
    TRY(cum_sum_axis(call, &axis, err));
    const clvi_axis_view v = clvi_view_axis(x, axis);
    for (int64_t line = 0; line < v.outer * v.inner; line++) {
        const int64_t at = line / v.inner * v.n * v.inner + line % v.inner;
        double sum = 0;
        uint64_t whole = 0;
        for (int64_t i = 0; i < v.n; i++) {
            const int64_t k = at + (reverse ? v.n - 1 - i : i) * v.inner;
            const double before_sum = sum;
            const uint64_t before_whole = whole;
            if (x->dtype == CLV_FLOAT32) {
                sum += (double)((const float *)x->data)[k];
                ((float *)call->out[0]->data)[k] = (float)(exclusive ? before_sum : sum);
            } else {
                whole += (uint64_t)clvi_load_int(x->dtype, x->data, k);
                clvi_store_int(x->dtype, call->out[0]->data, k, (int64_t)(exclusive ? before_whole : whole));
            }
        }
    }
    return CLV_OK;
}

const clvi_op clvi_op_cum_sum = {.type = "CumSum", .since = 11, .infer = cum_sum_infer, .run = cum_sum_run};
