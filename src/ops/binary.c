// SPDX-License-Identifier: Apache-2.0
/* Elementwise operators of two broadcast inputs (Add ... Mod, comparisons, logic), and Sum, Mean, Min, Max of any
 * number. */
#include <math.h>
#include <string.h>

#include "ops/binary.h"
#include "ops/element.h"
#include "ops/op.h"
#include "ops/walk.h"

#define T               float
#define U               float
#define USUAL_STRIDES   1
#define QUOTIENT(x, y)  ((x) / (y))
#define MODULO(x, y)    fmodf(x, y) /* not reached: Mod of floats demands fmod = 1 */
#define REMAINDER(x, y) fmodf(x, y)
#define ARITH_ROW       arith_f32
#define COMPARE_ROW     compare_f32
#include "ops/binary_rows.inc"

static clvi_walk_row binary_rows(enum clvi_binary op, clv_dtype dtype)
{
    if (dtype != CLV_FLOAT32)
        return clvi_binary_int_row(op, dtype);
    return op >= BINARY_EQUAL ? compare_f32 : arith_f32;
}

static void logic_row(void *ctx, char *const *p, const int64_t *stride, int64_t n)
{
    const enum clvi_binary op = *(const enum clvi_binary *)ctx;
    for (int64_t i = 0; i < n; i++) {
        const bool x = p[1][i * stride[1]] != 0, z = p[2][i * stride[2]] != 0;
        p[0][i] = op == BINARY_AND ? x && z : op == BINARY_OR ? x || z : x != z;
    }
}

static const struct binary_def {
    const char *type;
    enum clvi_binary op;
} binary_defs[] = {
    {"Add", BINARY_ADD},         {"Sub", BINARY_SUB},
    {"Mul", BINARY_MUL},         {"Div", BINARY_DIV},
    {"Mod", BINARY_MOD},         {"Equal", BINARY_EQUAL},
    {"Less", BINARY_LESS},       {"LessOrEqual", BINARY_LESS_EQUAL},
    {"Greater", BINARY_GREATER}, {"GreaterOrEqual", BINARY_GREATER_EQUAL},
    {"And", BINARY_AND},         {"Or", BINARY_OR},
    {"Xor", BINARY_XOR},         {"Sum", BINARY_ADD},
    {"Mean", BINARY_ADD},        {"Min", BINARY_MIN},
    {"Max", BINARY_MAX},
};

static enum clvi_binary binary_of(const clvi_op_call *call)
{
    size_t i = 0;
    while (i + 1 < sizeof binary_defs / sizeof binary_defs[0] && strcmp(binary_defs[i].type, call->node->op_type) != 0)
        i++;
    const bool fmod = binary_defs[i].op == BINARY_MOD && clvi_node_int(call->node, "fmod", 0) != 0;
    return fmod ? BINARY_FMOD : binary_defs[i].op;
}

static clvi_walk_row binary_row(enum clvi_binary op, clv_dtype dtype)
{
    if (op >= BINARY_AND)
        return dtype == CLV_BOOL ? logic_row : NULL;
    return binary_rows(op, dtype);
}

/* The types of all inputs agree and are served; the output's shape is all inputs broadcast. */
static clv_status broadcast_inputs(clvi_op_call *call, enum clvi_binary op, clv_error *err)
{
    const clv_dtype dtype = call->in[0]->dtype;
    clv_tensor shape = *call->in[0];
    for (size_t i = 1; i < call->n_in; i++) {
        if (call->in[i]->dtype != dtype)
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": the inputs of %s differ in type: %s and %s",
                        clvi_call_label(call), call->node->op_type, clv_dtype_name(dtype),
                        clv_dtype_name(call->in[i]->dtype));
        TRY(clvi_call_broadcast(call, &shape, call->in[i], &shape, err));
    }
    if (dtype > CLV_BFLOAT16 || !binary_row(op, dtype) || (op == BINARY_MOD && dtype == CLV_FLOAT32))
        return FAIL(err, CLV_ERR_UNSUP, "node \"%s\": %s of %s is not supported", clvi_call_label(call),
                    call->node->op_type, clv_dtype_name(dtype));
    return clvi_call_set_shape(call, call->out[0], op >= BINARY_EQUAL ? CLV_BOOL : dtype, shape.rank, shape.dims, err);
}

static void binary_walk(clvi_op_call *call, enum clvi_binary op, const clv_tensor *a, const clv_tensor *b)
{
    clvi_walk w = clvi_walk_over(call->out[0]->rank, call->out[0]->dims);
    clvi_walk_add_tensor(&w, call->out[0]);
    clvi_walk_add_tensor(&w, a);
    clvi_walk_add_tensor(&w, b);
    clvi_walk_run(&w, call->pool, binary_row(op, a->dtype), &op);
}

static clv_status refuse_zero(const clvi_op_call *call, const clv_tensor *divisor, clv_error *err)
{
    const int64_t n = clv_tensor_count(divisor);
    for (int64_t i = 0; i < n; i++)
        if (!clvi_load_int(divisor->dtype, divisor->data, i))
            return FAIL(err, CLV_ERR_FORMAT, "node \"%s\": %s of integers by zero (element %lld)",
                        clvi_call_label(call), call->node->op_type, (long long)i);
    return CLV_OK;
}

static clv_status binary_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, 2, 2, err));
    return broadcast_inputs(call, binary_of(call), err);
}

static clv_status binary_run(clvi_op_call *call, clv_error *err)
{
    const enum clvi_binary op = binary_of(call);
    if ((op == BINARY_DIV || op == BINARY_MOD || op == BINARY_FMOD) && call->in[1]->dtype != CLV_FLOAT32)
        TRY(refuse_zero(call, call->in[1], err));
    binary_walk(call, op, call->in[0], call->in[1]);
    return CLV_OK;
}

/* The output may overwrite input 0 when that is not broadcast; a comparison's output is narrower, so the row that is
 * written is behind the row that is read only for one thread: not legal. */
static bool same_as_first(const clvi_op_call *call)
{
    const clv_tensor *x = call->in[0], *y = call->out[0];
    return x->dtype == y->dtype && x->rank == y->rank &&
           (!x->rank || !memcmp(x->dims, y->dims, (size_t)x->rank * sizeof x->dims[0]));
}

/* --- any number of inputs ------------------------------------------------------------------------------------------
 */

static clv_status variadic_infer(clvi_op_call *call, clv_error *err)
{
    TRY(clvi_call_arity(call, call->n_in ? call->n_in : 1, SIZE_MAX, err));
    if (clvi_node_is(call->node, "Mean"))
        TRY(clvi_call_want(call, 0, CLV_FLOAT32, err));
    return broadcast_inputs(call, binary_of(call), err);
}

static void scale_range(void *ctx, int64_t begin, int64_t end)
{
    const clvi_op_call *call = ctx;
    float *y = call->out[0]->data;
    const float n = (float)call->n_in;
    for (int64_t i = begin; i < end; i++)
        y[i] /= n;
}

/* ((x0 op x1) op x2) ...; one input is copied. */
static clv_status variadic_run(clvi_op_call *call, clv_error *err)
{
    const enum clvi_binary op = binary_of(call);
    clv_tensor *y = call->out[0];
    (void)err;
    if (call->n_in == 1)
        clvi_copy_bytes(y->data, call->in[0]->data, (size_t)clv_tensor_count(y) * clv_dtype_size(y->dtype));
    for (size_t i = 1; i < call->n_in; i++)
        binary_walk(call, op, i == 1 ? call->in[0] : y, call->in[i]);
    if (clvi_node_is(call->node, "Mean"))
        clvi_split_range(call->pool, clv_tensor_count(y), 65536, scale_range, call);
    return CLV_OK;
}

/* With three inputs the first may come again as the third, after it was overwritten. */
static bool variadic_in_place(const clvi_op_call *call)
{
    return call->n_in <= 2 && same_as_first(call);
}

#define BINARY(name, opset)                                                                               \
    {                                                                                                     \
        .type = name, .since = opset, .infer = binary_infer, .run = binary_run, .in_place = same_as_first \
    }
#define VARIADIC(name, opset)                                                                                     \
    {                                                                                                             \
        .type = name, .since = opset, .infer = variadic_infer, .run = variadic_run, .in_place = variadic_in_place \
    }

const clvi_op clvi_op_add = BINARY("Add", 7);
const clvi_op clvi_op_sub = BINARY("Sub", 7);
const clvi_op clvi_op_mul = BINARY("Mul", 7);
const clvi_op clvi_op_div = BINARY("Div", 7);
const clvi_op clvi_op_mod = BINARY("Mod", 10);
const clvi_op clvi_op_equal = BINARY("Equal", 7);
const clvi_op clvi_op_less = BINARY("Less", 7);
const clvi_op clvi_op_less_or_equal = BINARY("LessOrEqual", 12);
const clvi_op clvi_op_greater = BINARY("Greater", 7);
const clvi_op clvi_op_greater_or_equal = BINARY("GreaterOrEqual", 12);
const clvi_op clvi_op_and = BINARY("And", 7);
const clvi_op clvi_op_or = BINARY("Or", 7);
const clvi_op clvi_op_xor = BINARY("Xor", 7);
const clvi_op clvi_op_sum = VARIADIC("Sum", 6);
const clvi_op clvi_op_mean = VARIADIC("Mean", 6);
const clvi_op clvi_op_min = VARIADIC("Min", 6);
const clvi_op clvi_op_max = VARIADIC("Max", 6);
