// SPDX-License-Identifier: Apache-2.0
/* ReduceSum, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp, SumSquare over any axes. Floats are accumulated in
 * double. */
#include <math.h>
#include <string.h>

#include "ops/element.h"
#include "ops/op.h"
#include "ops/walk.h"

typedef enum reduction { SUM, MEAN, MAX, MIN, PROD, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE } reduction;

static reduction reduction_of(const clvi_op_call *call)
{
    static const char *const names[] = {"ReduceSum",       "ReduceMean",     "ReduceMax", "ReduceMin",
                                        "ReduceProd",      "ReduceL1",       "ReduceL2",  "ReduceLogSum",
                                        "ReduceLogSumExp", "ReduceSumSquare"};
    int i = 0;
    while (i < SUM_SQUARE && strcmp(names[i], call->node->op_type) != 0)
        i++;
    return (reduction)i;
}

typedef struct reduce_plan {
    reduction kind;
    clv_dtype dtype;
    bool nothing; /* noop_with_empty_axes: no axis is reduced */
    int kept, reduced;
    int64_t kept_dims[CLV_MAX_RANK], kept_stride[CLV_MAX_RANK];       /* in elements, outermost first */
    int64_t reduced_dims[CLV_MAX_RANK], reduced_stride[CLV_MAX_RANK]; /* neighbours joined */
    int64_t count;                                                    /* elements that make one output */
} reduce_plan;

/* Axes are an attribute, or input 1 (ReduceSum from 13, the others from 18). */
static clv_status reduce_resolve(const clvi_op_call *call, reduce_plan *plan, bool reduced[CLV_MAX_RANK],
                                 clv_error *err)
{
    const clv_tensor *x = call->in[0];
    int64_t axes[CLV_MAX_RANK], stride[CLV_MAX_RANK];
    size_t count;
    bool found;
    TRY(clvi_call_ints(call, "axes", 1, axes, CLV_MAX_RANK, &count, &found, err));
    TRY(clvi_call_axes(call, axes, count, x->rank, reduced, err));
    *plan = (reduce_plan){.kind = reduction_of(call), .dtype = x->dtype, .count = 1};
    plan->nothing = !count && clvi_node_int(call->node, "noop_with_empty_axes", 0) != 0;
    clvi_dense_strides(x->rank, x->dims, 1, stride);
    for (int i = 0; i < x->rank; i++) {
        if (!count && !plan->nothing)
            reduced[i] = true;
        if (!reduced[i]) {
            plan->kept_dims[plan->kept] = x->dims[i];
            plan->kept_stride[plan->kept++] = stride[i];
            continue;
        }
        plan->count *= x->dims[i];
        if (plan->reduced && plan->reduced_stride[plan->reduced - 1] == stride[i] * x->dims[i]) {
            plan->reduced_dims[plan->reduced - 1] *= x->dims[i];
            plan->reduced_stride[plan->reduced - 1] = stride[i];
        } else {
            plan->reduced_dims[plan->reduced] = x->dims[i];
            plan->reduced_stride[plan->reduced++] = stride[i];
        }
    }
    return CLV_OK;
}

static clv_status reduce_infer(clvi_op_call *call, clv_error *err)
{
    bool reduced[CLV_MAX_RANK];
    int64_t dims[CLV_MAX_RANK];
    reduce_plan plan;
    int rank = 0;
    TRY(clvi_call_arity(call, 1, 2, err));
    const clv_tensor *x = call->in[0];
    TRY(reduce_resolve(call, &plan, reduced, err));
    const bool whole = plan.kind == SUM || plan.kind == MAX || plan.kind == MIN || plan.kind == PROD ||
                       plan.kind == MEAN || plan.kind == L1 || plan.kind == SUM_SQUARE;
    const bool flags = x->dtype == CLV_BOOL && (plan.kind == MAX || plan.kind == MIN);
    if (!flags && !(whole && clvi_is_integer(x->dtype)))
        TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    const bool keep = clvi_node_int(call->node, "keepdims", 1) != 0;
    for (int i = 0; i < x->rank; i++)
        if (!reduced[i] || keep)
            dims[rank++] = reduced[i] ? 1 : x->dims[i];
    return clvi_call_set_shape(call, call->out[0], x->dtype, rank, dims, err);
}

/* A line of n elements enters the accumulator; `max` is that of LogSumExp. */
static double line_f32(reduction kind, double acc, double max, const float *x, int64_t n, int64_t step)
{
    if ((kind == SUM || kind == MEAN || kind == LOG_SUM) && step == 1)
        return acc + clvi_sum(x, n);
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i * step];
        switch (kind) {
        case MAX:
            acc = v > acc || v != v ? v : acc;
            break;
        case MIN:
            acc = v < acc || v != v ? v : acc;
            break;
        case PROD:
            acc *= v;
            break;
        case L1:
            acc += fabs(v);
            break;
        case L2:
        case SUM_SQUARE:
            acc += v * v;
            break;
        case LOG_SUM_EXP:
            acc += exp(v - max);
            break;
        default:
            acc += v;
        }
    }
    return acc;
}

/* All lines that make the output whose first input is x[base]; there may be none, and no x. */
static double fold_f32(const reduce_plan *p, reduction kind, double acc, double max, const float *x, int64_t base)
{
    const int inner = p->reduced - 1;
    const int64_t n = p->reduced_dims[inner], lines = n ? p->count / n : 0;
    for (int64_t line = 0; line < lines; line++) {
        int64_t rest = line, offset = base;
        for (int i = inner - 1; i >= 0; i--) {
            offset += rest % p->reduced_dims[i] * p->reduced_stride[i];
            rest /= p->reduced_dims[i];
        }
        acc = line_f32(kind, acc, max, x + offset, n, p->reduced_stride[inner]);
    }
    return acc;
}

static float reduce_f32(const reduce_plan *p, const float *x, int64_t base)
{
    double max = 0;
    if (p->kind == LOG_SUM_EXP) {
        max = fold_f32(p, MAX, -HUGE_VAL, 0, x, base);
        max = isfinite(max) ? max : 0;
    }
    const double start = p->kind == MAX ? -HUGE_VAL : p->kind == MIN ? HUGE_VAL : p->kind == PROD ? 1 : 0;
    const double acc = fold_f32(p, p->kind, start, max, x, base);
    switch (p->kind) {
    case MEAN:
        return (float)(acc / (double)p->count);
    case L2:
        return (float)sqrt(acc);
    case LOG_SUM:
        return (float)log(acc);
    case LOG_SUM_EXP:
        return (float)(log(acc) + max);
    default:
        return (float)acc;
    }
}

/* Integers and bools one by one; sums and products wrap, an empty minimum or maximum is the type's end. */
static int64_t reduce_integers(const reduce_plan *p, const void *x, int64_t base)
{
    int64_t acc = p->kind == PROD ? 1 : 0;
    for (int64_t k = 0; k < p->count; k++) {
        int64_t rest = k, offset = base;
        for (int i = p->reduced - 1; i >= 0; i--) {
            offset += rest % p->reduced_dims[i] * p->reduced_stride[i];
            rest /= p->reduced_dims[i];
        }
        const int64_t v = clvi_load_int(p->dtype, x, offset);
        const bool less = p->dtype == CLV_UINT64 ? (uint64_t)v < (uint64_t)acc : v < acc;
        if (p->kind == MAX || p->kind == MIN)
            acc = k == 0 || (p->kind == MIN ? less : !less) ? v : acc;
        else if (p->kind == PROD)
            acc = (int64_t)((uint64_t)acc * (uint64_t)v);
        else
            acc = (int64_t)((uint64_t)acc + (p->kind == SUM_SQUARE    ? (uint64_t)v * (uint64_t)v
                                             : p->kind == L1 && v < 0 ? 0 - (uint64_t)v
                                                                      : (uint64_t)v));
    }
    return p->kind == MEAN && p->count ? acc / p->count : acc;
}

typedef struct reduce_job {
    const clvi_op_call *call;
    reduce_plan plan;
} reduce_job;

static void reduce_outputs(void *ctx, int64_t begin, int64_t end)
{
    const reduce_job *job = ctx;
    const reduce_plan *p = &job->plan;
    const void *x = job->call->in[0]->data;
    void *y = job->call->out[0]->data;
    for (int64_t o = begin; o < end; o++) {
        int64_t rest = o, base = 0;
        for (int i = p->kept - 1; i >= 0; i--) {
            base += rest % p->kept_dims[i] * p->kept_stride[i];
            rest /= p->kept_dims[i];
        }
        if (p->dtype == CLV_FLOAT32)
            ((float *)y)[o] = reduce_f32(p, x, base);
        else
            clvi_store_int(p->dtype, y, o, reduce_integers(p, x, base));
    }
}

static clv_status reduce_run(clvi_op_call *call, clv_error *err)
{
    bool reduced[CLV_MAX_RANK];
    reduce_job job = {.call = call};
    TRY(reduce_resolve(call, &job.plan, reduced, err));
    if (!job.plan.reduced) { /* one element an output: still |x|, x^2, log x, ... */
        job.plan.reduced = 1;
        job.plan.reduced_dims[0] = 1;
        job.plan.reduced_stride[0] = 1;
    }
    if (!job.plan.count && job.plan.dtype != CLV_FLOAT32 && (job.plan.kind == MAX || job.plan.kind == MIN))
        return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s of no integers", clvi_call_label(call), call->node->op_type);
    if (job.plan.nothing && job.plan.dtype == CLV_FLOAT32 && job.plan.kind <= PROD) {
        clvi_copy_bytes(call->out[0]->data, call->in[0]->data, (size_t)clv_tensor_count(call->in[0]) * sizeof(float));
        return CLV_OK;
    }
    clvi_split_range(call->pool, clv_tensor_count(call->out[0]), 1 + 8192 / (job.plan.count + 1), reduce_outputs, &job);
    return CLV_OK;
}

#define REDUCE(name)                                                       \
    {                                                                      \
        .type = name, .since = 1, .infer = reduce_infer, .run = reduce_run \
    }

const clvi_op clvi_op_reduce_sum = REDUCE("ReduceSum");
const clvi_op clvi_op_reduce_mean = REDUCE("ReduceMean");
const clvi_op clvi_op_reduce_max = REDUCE("ReduceMax");
const clvi_op clvi_op_reduce_min = REDUCE("ReduceMin");
const clvi_op clvi_op_reduce_prod = REDUCE("ReduceProd");
const clvi_op clvi_op_reduce_l1 = REDUCE("ReduceL1");
const clvi_op clvi_op_reduce_l2 = REDUCE("ReduceL2");
const clvi_op clvi_op_reduce_log_sum = REDUCE("ReduceLogSum");
const clvi_op clvi_op_reduce_log_sum_exp = REDUCE("ReduceLogSumExp");
const clvi_op clvi_op_reduce_sum_square = REDUCE("ReduceSumSquare");
