// SPDX-License-Identifier: Apache-2.0
/* MaxPool, AveragePool, LpPool over one to three spatial axes, and their global forms. */
#include <math.h>
#include <string.h>

#include "ops/element.h"
#include "ops/op.h"
#include "ops/pool_shape.h"
#include "ops/walk.h"

/* --- one output row at a time
 * ------------------------------------------------------------------------------------------- * For a kernel tap (i, j,
 * k) the outputs of a row whose input exists are one range, over which the input is a strided line: the inner loop has
 * no test. Rows are cut into blocks whose sums fit the stack. */

enum { pool_block = 256 };

/* acc[q] takes x[q * step] for q in [0, n). */
typedef void (*pool_visit)(void *acc, const float *x, int64_t step, int64_t n, int64_t p);

/* NaN wins and stays. One | instead of ||, so that the loop below vectorises. */
static float larger(float v, float top)
{
    return ((v > top) | (v != v)) ? v : top;
}

static void visit_max(void *acc, const float *x, int64_t step, int64_t n, int64_t p)
{
    float *y = acc;
    (void)p;
    if (step == 1)
        for (int64_t q = 0; q < n; q++)
            y[q] = larger(x[q], y[q]);
    else
        for (int64_t q = 0; q < n; q++)
            y[q] = larger(x[q * step], y[q]);
}

static void visit_sum(void *acc, const float *x, int64_t step, int64_t n, int64_t p)
{
    double *y = acc;
    (void)p;
    for (int64_t q = 0; q < n; q++)
        y[q] += (double)x[q * step];
}

static void visit_power(void *acc, const float *x, int64_t step, int64_t n, int64_t p)
{
    double *y = acc;
    for (int64_t q = 0; q < n; q++) {
        const double v = fabs((double)x[q * step]);
        y[q] += p == 1 ? v : p == 2 ? v * v : pow(v, (double)p);
    }
}

/* Outputs [*lo, *hi) within [first, first + n) of axis a whose tap k lies inside the input. */
static void tap_range(const clvi_pool_shape *s, int a, int64_t k, int64_t first, int64_t n, int64_t *lo, int64_t *hi)
{
    const int64_t shift = s->begin[a] - k * s->dilation[a]; /* input index = o * stride - shift */
    const int64_t low = shift > 0 ? (shift + s->stride[a] - 1) / s->stride[a] : 0;
    const int64_t top = s->in[a] - 1 + shift;
    const int64_t high = top < 0 ? 0 : top / s->stride[a] + 1;
    *lo = low > first ? low : first;
    *hi = high < first + n ? high : first + n;
}

static void visit_row(const clvi_pool_shape *s, const float *plane, const int64_t at[2], int64_t first, int64_t n,
                      size_t element, pool_visit visit, void *acc, int64_t p)
{
    for (int64_t i = 0; i < s->kernel[0]; i++) {
        const int64_t d = at[0] * s->stride[0] + i * s->dilation[0] - s->begin[0];
        if (d < 0 || d >= s->in[0])
            continue;
        for (int64_t j = 0; j < s->kernel[1]; j++) {
            const int64_t h = at[1] * s->stride[1] + j * s->dilation[1] - s->begin[1];
            if (h < 0 || h >= s->in[1])
                continue;
            const float *row = plane + (d * s->in[1] + h) * s->in[2];
            for (int64_t k = 0; k < s->kernel[2]; k++) {
                int64_t lo, hi;
                tap_range(s, 2, k, first, n, &lo, &hi);
                if (lo < hi)
                    visit((char *)acc + (size_t)(lo - first) * element,
                          row + lo * s->stride[2] + k * s->dilation[2] - s->begin[2], s->stride[2], hi - lo, p);
            }
        }
    }
}

typedef struct pool_job {
    const clvi_op_call *call;
    clvi_pool_shape shape;
    bool include_pad;
    int64_t p; /* LpPool */
} pool_job;

static void max_planes(void *ctx, int64_t begin, int64_t end)
{
    const pool_job *job = ctx;
    const clvi_pool_shape *s = &job->shape;
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)job->call->in[0]->data + i * s->in_size;
        float *y = (float *)job->call->out[0]->data + i * s->out_size;
        for (int64_t r = 0; r < s->out[0] * s->out[1]; r++, y += s->out[2]) {
            for (int64_t q = 0; q < s->out[2]; q++)
                y[q] = -INFINITY;
            visit_row(s, x, (const int64_t[]){r / s->out[1], r % s->out[1]}, 0, s->out[2], sizeof *y, visit_max, y, 0);
        }
    }
}

/* Taps of output o along axis a that count: inside the input, or inside the padded input. */
static int64_t taps_counted(const pool_job *job, int a, int64_t o)
{
    const clvi_pool_shape *s = &job->shape;
    const int64_t start = o * s->stride[a] - s->begin[a], stop = s->in[a] + (job->include_pad ? s->end[a] : 0);
    const int64_t below = job->include_pad || start >= 0 ? 0 : (-start + s->dilation[a] - 1) / s->dilation[a];
    const int64_t upto = stop > start ? (stop - start + s->dilation[a] - 1) / s->dilation[a] : 0;
    return (upto < s->kernel[a] ? upto : s->kernel[a]) - below;
}

static void sum_planes(void *ctx, int64_t begin, int64_t end)
{
    const pool_job *job = ctx;
    const clvi_pool_shape *s = &job->shape;
    double acc[pool_block];
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)job->call->in[0]->data + i * s->in_size;
        float *y = (float *)job->call->out[0]->data + i * s->out_size;
        for (int64_t r = 0; r < s->out[0] * s->out[1]; r++, y += s->out[2]) {
            const int64_t at[2] = {r / s->out[1], r % s->out[1]};
            const int64_t count = job->p ? 1 : taps_counted(job, 0, at[0]) * taps_counted(job, 1, at[1]);
            for (int64_t first = 0; first < s->out[2]; first += pool_block) {
                const int64_t left = s->out[2] - first, n = left < pool_block ? left : pool_block;
                memset(acc, 0, sizeof acc);
                visit_row(s, x, at, first, n, sizeof acc[0], job->p ? visit_power : visit_sum, acc, job->p);
                for (int64_t q = 0; q < n; q++) {
                    const int64_t taps = job->p ? 1 : count * taps_counted(job, 2, first + q);
                    const double mean = taps > 0 ? acc[q] / (double)taps : 0;
                    y[first + q] = (float)(job->p ? pow(mean, 1.0 / (double)job->p) : mean);
                }
            }
        }
    }
}

/* Any type, and the index of the maximum: one output element at a time. */
static void max_planes_general(void *ctx, int64_t begin, int64_t end)
{
    const pool_job *job = ctx;
    const clvi_pool_shape *s = &job->shape;
    const clv_dtype dtype = job->call->in[0]->dtype;
    const bool columns_first = clvi_node_int(job->call->node, "storage_order", 0) != 0;
    int64_t *index = job->call->n_out > 1 && job->call->out[1] ? job->call->out[1]->data : NULL;
    for (int64_t i = begin; i < end; i++) {
        for (int64_t o = 0; o < s->out_size; o++) {
            const int64_t at[3] = {o / (s->out[1] * s->out[2]), o / s->out[2] % s->out[1], o % s->out[2]};
            double best = -HUGE_VAL;
            int64_t best_at = -1;
            for (int64_t k = 0; k < s->kernel[0] * s->kernel[1] * s->kernel[2]; k++) {
                const int64_t tap[3] = {k / (s->kernel[1] * s->kernel[2]), k / s->kernel[2] % s->kernel[1],
                                        k % s->kernel[2]};
                int64_t from[3];
                bool inside = true;
                for (int a = 0; a < 3; a++) {
                    from[a] = at[a] * s->stride[a] + tap[a] * s->dilation[a] - s->begin[a];
                    inside = inside && from[a] >= 0 && from[a] < s->in[a];
                }
                if (!inside)
                    continue;
                const int64_t flat = (from[0] * s->in[1] + from[1]) * s->in[2] + from[2];
                const double v = clvi_load_double(dtype, job->call->in[0]->data, i * s->in_size + flat);
                if (best_at < 0 || v > best) {
                    best = v;
                    best_at = columns_first ? from[0] + s->in[0] * (from[1] + s->in[1] * from[2]) : flat;
                }
            }
            clvi_store_double(dtype, job->call->out[0]->data, i * s->out_size + o, best);
            if (index)
                index[i * s->out_size + o] = best_at < 0 ? -1 : i * s->in_size + best_at;
        }
    }
}

static clv_status max_pool_infer(clvi_op_call *call, clv_error *err)
{
    clvi_pool_shape s;
    TRY(clvi_call_arity(call, 1, 1, err));
    const clv_dtype dtype = call->in[0]->dtype;
    if (dtype != CLV_UINT8 && dtype != CLV_INT8)
        TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    TRY(clvi_pool_shape_of(call, &s, err));
    TRY(clvi_pool_set_output(call, &s, 0, dtype, err));
    return call->n_out > 1 && call->out[1] ? clvi_pool_set_output(call, &s, 1, CLV_INT64, err) : CLV_OK;
}

static clv_status max_pool_run(clvi_op_call *call, clv_error *err)
{
    pool_job job = {.call = call};
    TRY(clvi_pool_shape_of(call, &job.shape, err));
    const bool plain = call->in[0]->dtype == CLV_FLOAT32 && !(call->n_out > 1 && call->out[1]);
    clvi_split_range(call->pool, job.shape.planes, 1 + 4096 / (job.shape.out_size + 1),
                     plain ? max_planes : max_planes_general, &job);
    return CLV_OK;
}

const clvi_op clvi_op_max_pool = {.type = "MaxPool", .since = 1, .infer = max_pool_infer, .run = max_pool_run};

static clv_status sum_pool_infer(clvi_op_call *call, clv_error *err)
{
    clvi_pool_shape s;
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    TRY(clvi_pool_shape_of(call, &s, err));
    if (clvi_node_is(call->node, "LpPool") && clvi_node_int(call->node, "p", 2) < 1)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": LpPool with p = %lld", clvi_call_label(call),
                    (long long)clvi_node_int(call->node, "p", 2));
    return clvi_pool_set_output(call, &s, 0, CLV_FLOAT32, err);
}

static clv_status sum_pool_run(clvi_op_call *call, clv_error *err)
{
    pool_job job = {.call = call, .include_pad = clvi_node_int(call->node, "count_include_pad", 0) != 0};
    job.p = clvi_node_is(call->node, "LpPool") ? clvi_node_int(call->node, "p", 2) : 0;
    TRY(clvi_pool_shape_of(call, &job.shape, err));
    clvi_split_range(call->pool, job.shape.planes, 1 + 4096 / (job.shape.out_size + 1), sum_planes, &job);
    return CLV_OK;
}

const clvi_op clvi_op_average_pool = {.type = "AveragePool", .since = 1, .infer = sum_pool_infer, .run = sum_pool_run};
const clvi_op clvi_op_lp_pool = {.type = "LpPool", .since = 2, .infer = sum_pool_infer, .run = sum_pool_run};

/* --- global: one number a plane
 * ------------------------------------------------------------------------------------------ */

static clv_status global_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 1, 1, err));
    TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    const clv_tensor *x = call->in[0];
    int64_t dims[CLV_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        dims[i] = i < 2 ? x->dims[i] : 1;
        if (x->dims[i] == 0 && i >= 2)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s over the empty axis %d", clvi_call_label(call),
                        call->node->op_type, i);
    }
    if (x->rank < 3)
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s of rank %d, expected 3 or more", clvi_call_label(call),
                    call->node->op_type, x->rank);
    return clvi_call_set_shape(call, call->out[0], CLV_FLOAT32, x->rank, dims, err);
}

static void global_planes(void *ctx, int64_t begin, int64_t end)
{
    const clvi_op_call *call = ctx;
    const bool average = clvi_node_is(call->node, "GlobalAveragePool"), max = clvi_node_is(call->node, "GlobalMaxPool");
    const int64_t p = clvi_node_int(call->node, "p", 2);
    int64_t size = 1;
    for (int i = 2; i < call->in[0]->rank; i++)
        size *= call->in[0]->dims[i];
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)call->in[0]->data + i * size;
        float *y = (float *)call->out[0]->data + i;
        if (average) {
            *y = (float)(clvi_sum(x, size) / (double)size);
        } else if (max) {
            *y = x[0];
            for (int64_t k = 1; k < size; k++)
                visit_max(y, x + k, 1, 1, 0);
        } else {
            double sum = 0;
            for (int64_t k = 0; k < size; k++)
                visit_power(&sum, x + k, 1, 1, p);
            *y = (float)pow(sum, 1.0 / (double)p);
        }
    }
}

static clv_status global_run(clvi_op_call *call, clv_error *err)
{
    const int64_t planes = clv_tensor_count(call->out[0]);
    (void)err;
    if (planes)
        clvi_split_range(call->pool, planes, 1 + 16384 * planes / (clv_tensor_count(call->in[0]) + 1), global_planes,
                         call);
    return CLV_OK;
}

#define GLOBAL(name)                                                       \
    {                                                                      \
        .type = name, .since = 1, .infer = global_infer, .run = global_run \
    }

const clvi_op clvi_op_global_average_pool = GLOBAL("GlobalAveragePool");
const clvi_op clvi_op_global_max_pool = GLOBAL("GlobalMaxPool");
const clvi_op clvi_op_global_lp_pool = GLOBAL("GlobalLpPool");
