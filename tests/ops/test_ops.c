// SPDX-License-Identifier: Apache-2.0
/* Operators at their edges: empty tensors, scalars, negative axes, and attributes that no exporter would write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/op_case.h"

#define UNKNOWN(dtype, ...) tensor_of(dtype, DIMS(__VA_ARGS__), NULL)
#define FLOATS(dims, ...)   tensor_of(CLV_FLOAT32, dims, F32(__VA_ARGS__))
#define IMAGE               tensor_of(CLV_FLOAT32, DIMS(1, 1, 2, 3), F32(1, 2, 3, 4, 5, 6))
#define EMPTY(...)          tensor_of(CLV_FLOAT32, DIMS(__VA_ARGS__), NULL)
#define INT(value)          tensor_of(CLV_INT64, SCALAR, I64(value))
#define FLOAT(value)        tensor_of(CLV_FLOAT32, SCALAR, F32(value))

/* A case of up to three inputs; attributes are set on it before it is run. */
static op_case open1(const char *type, int64_t opset, clv_tensor a)
{
    op_case c;
    case_open(&c, type, opset);
    case_in(&c, a);
    return c;
}

static op_case open2(const char *type, int64_t opset, clv_tensor a, clv_tensor b)
{
    op_case c = open1(type, opset, a);
    case_in(&c, b);
    return c;
}

static op_case open3(const char *type, int64_t opset, clv_tensor a, clv_tensor b, clv_tensor d)
{
    op_case c = open2(type, opset, a, b);
    case_in(&c, d);
    return c;
}

/* --- integers: what shape arithmetic is made of
 * ------------------------------------------------------------------------- */

static void test_integer_arithmetic(void **state)
{
    (void)state;
    op_case c = open2("Add", 13, INT(INT64_MAX), INT(1));
    case_expect(&c, INT(INT64_MIN));
    c = open2("Mul", 13, INT(3), LIST(2, -4));
    case_expect(&c, LIST(6, -12));
    c = open2("Div", 13, LIST(7, -7, INT64_MIN), LIST(2, 2, -1));
    case_expect(&c, LIST(3, -3, INT64_MIN));
    c = open2("Mod", 13, LIST(7, -7, 7, -7, INT64_MIN), LIST(3, 3, -3, -3, -1));
    case_expect(&c, LIST(1, 2, -2, -1, 0));
    c = open2("Mod", 13, LIST(7, -7, 7), LIST(3, 3, -3));
    case_int(&c, "fmod", 1);
    case_expect(&c, LIST(1, -1, 1));
    c = open2("Pow", 13, LIST(3, -2, 2), LIST(4, 3, -1));
    case_expect(&c, LIST(81, -8, 0));
    c = open2("Div", 13, LIST(1, 2), LIST(1, 0));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open2("Mod", 13, LIST(1), LIST(0));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open2("Add", 13, LIST(1), FLOAT(1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open2("Add", 13, LIST(1, 2), LIST(1, 2, 3));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("Neg", 13, LIST(5, INT64_MIN));
    case_expect(&c, LIST(-5, INT64_MIN));
    c = open1("Abs", 13, LIST(-5, INT64_MIN));
    case_expect(&c, LIST(5, INT64_MIN));
    c = open2("Less", 13, LIST(1, 2), LIST(2, 1));
    case_expect(&c, tensor_of(CLV_BOOL, DIMS(2), (uint8_t[]){1, 0}));
}

static void test_shape_of_unknown_data(void **state)
{
    (void)state;
    op_case c = open1("Shape", 15, UNKNOWN(CLV_FLOAT32, 2, 3, 4));
    case_int(&c, "start", -2);
    case_expect(&c, LIST(3, 4));
    c = open1("Shape", 15, UNKNOWN(CLV_FLOAT32, 2, 3, 4));
    case_int(&c, "start", 2);
    case_int(&c, "end", 1);
    case_expect(&c, tensor_of(CLV_INT64, DIMS(0), NULL));
    c = open1("Size", 13, UNKNOWN(CLV_FLOAT32, 2, 0, 4));
    case_expect(&c, INT(0));
    c = open2("Reshape", 13, IMAGE, UNKNOWN(CLV_INT64, 2));
    case_refused(&c, CLV_ERR_UNSUP);
    c = open2("Expand", 13, IMAGE, UNKNOWN(CLV_INT64, 2));
    case_refused(&c, CLV_ERR_UNSUP);
    c = open3("Range", 13, INT(0), tensor_of(CLV_INT64, SCALAR, NULL), INT(1));
    case_refused(&c, CLV_ERR_UNSUP);
    c = open2("Split", 13, IMAGE, UNKNOWN(CLV_INT64, 1));
    case_refused(&c, CLV_ERR_UNSUP);
}

/* --- nothing in, nothing (or something) out
 * ------------------------------------------------------------------------------ */

static void test_empty_tensors(void **state)
{
    (void)state;
    op_case c = open2("Add", 13, EMPTY(0, 3), FLOATS(DIMS(3), 1, 2, 3));
    case_expect(&c, EMPTY(0, 3));
    c = open2("Add", 13, EMPTY(0), FLOAT(1));
    case_expect(&c, EMPTY(0));
    c = open3("Concat", 13, EMPTY(2, 0), FLOATS(DIMS(2, 1), 1, 2), EMPTY(2, 0));
    case_int(&c, "axis", -1);
    case_expect(&c, FLOATS(DIMS(2, 1), 1, 2));
    c = open3("Slice", 13, FLOATS(DIMS(3), 1, 2, 3), LIST(2), LIST(1));
    case_expect(&c, EMPTY(0));
    c = open2("Reshape", 13, EMPTY(0, 3), LIST(3, -1));
    case_expect(&c, EMPTY(3, 0));
    c = open2("Reshape", 14, EMPTY(0, 3), LIST(5, 0));
    case_int(&c, "allowzero", 1);
    case_expect(&c, EMPTY(5, 0));
    c = open2("Reshape", 13, FLOATS(DIMS(1), 7), tensor_of(CLV_INT64, DIMS(0), NULL));
    case_expect(&c, FLOAT(7));
    c = open1("ReduceSum", 11, EMPTY(0, 2));
    case_expect(&c, FLOATS(DIMS(1, 1), 0));
    c = open1("ReduceMax", 11, EMPTY(0, 2));
    case_ints(&c, "axes", DIMS(0));
    case_expect(&c, FLOATS(DIMS(1, 2), -INFINITY, -INFINITY));
    c = open1("ReduceMax", 11, tensor_of(CLV_INT64, DIMS(0), NULL));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("Softmax", 13, EMPTY(2, 0));
    case_expect(&c, EMPTY(2, 0));
    c = open1("Transpose", 13, EMPTY(2, 0, 3));
    case_expect(&c, EMPTY(3, 0, 2));
    c = open2("Gather", 13, FLOATS(DIMS(2), 1, 2), tensor_of(CLV_INT64, DIMS(0), NULL));
    case_expect(&c, EMPTY(0));
    c = open2("Tile", 13, FLOATS(DIMS(2), 1, 2), LIST(0));
    case_expect(&c, EMPTY(0));
    c = open2("Expand", 13, FLOATS(DIMS(1), 1), LIST(0));
    case_expect(&c, EMPTY(0));
    c = open1("ConstantOfShape", 9, LIST(2, 0));
    case_expect(&c, EMPTY(2, 0));
    c = open3("Range", 13, INT(3), INT(3), INT(1));
    case_expect(&c, tensor_of(CLV_INT64, DIMS(0), NULL));
    c = open2("Pad", 13, EMPTY(0), LIST(1, 2));
    case_expect(&c, FLOATS(DIMS(3), 0, 0, 0));
    c = open1("MaxPool", 12, EMPTY(0, 2, 3));
    case_ints(&c, "kernel_shape", DIMS(2));
    case_expect(&c, EMPTY(0, 2, 2));
    c = open1("GlobalAveragePool", 12, EMPTY(0, 2, 3));
    case_expect(&c, EMPTY(0, 2, 1));
    c = open3("Resize", 13, EMPTY(0, 2, 3), EMPTY(0), FLOATS(DIMS(3), 1, 1, 2));
    case_string(&c, "mode", "linear");
    case_expect(&c, EMPTY(0, 2, 6));
    c = open1("Relu", 13, EMPTY(0));
    case_expect(&c, EMPTY(0));
    c = open1("ArgMax", 13, EMPTY(2, 0));
    case_int(&c, "axis", 1);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("GlobalMaxPool", 12, EMPTY(1, 2, 0));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open2("Pad", 13, EMPTY(0), LIST(1, 2));
    case_string(&c, "mode", "edge");
    case_refused(&c, CLV_ERR_FORMAT);
}

static void test_scalars_and_negative_axes(void **state)
{
    (void)state;
    op_case c = open2("Mul", 13, FLOAT(3), FLOAT(4));
    case_expect(&c, FLOAT(12));
    c = open1("Transpose", 13, FLOAT(3));
    case_expect(&c, FLOAT(3));
    c = open1("Flatten", 13, FLOAT(3));
    case_int(&c, "axis", 0);
    case_expect(&c, FLOATS(DIMS(1, 1), 3));
    c = open1("ReduceMean", 13, FLOAT(3));
    case_expect(&c, FLOAT(3));
    c = open1("ReduceL2", 13, FLOAT(-3));
    case_expect(&c, FLOAT(3));
    c = open1("Flatten", 13, IMAGE);
    case_int(&c, "axis", -1);
    case_expect(&c, FLOATS(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    c = open1("Flatten", 13, IMAGE);
    case_int(&c, "axis", 4);
    case_expect(&c, FLOATS(DIMS(6, 1), 1, 2, 3, 4, 5, 6));
    c = open1("Unsqueeze", 11, FLOATS(DIMS(2), 1, 2));
    case_ints(&c, "axes", DIMS(-1, 0));
    case_expect(&c, FLOATS(DIMS(1, 2, 1), 1, 2));
    c = open2("Squeeze", 13, FLOATS(DIMS(1, 2, 1), 1, 2), LIST(-1));
    case_expect(&c, FLOATS(DIMS(1, 2), 1, 2));
    c = open2("Gather", 13, FLOATS(DIMS(3), 1, 2, 3), INT(-1));
    case_expect(&c, FLOAT(3));
    c = open1("GlobalLpPool", 13, FLOATS(DIMS(1, 1, 2), 3, -4));
    case_expect(&c, FLOATS(DIMS(1, 1, 1), 5));
    c = open1("Softmax", 11, FLOATS(DIMS(1, 2, 2), 0, 0, 0, 0)); /* flattened at axis 1 below 13 */
    case_expect(&c, FLOATS(DIMS(1, 2, 2), 0.25f, 0.25f, 0.25f, 0.25f));
    c = open1("Softmax", 13, FLOATS(DIMS(1, 2, 2), 0, 0, 0, 0));
    case_expect(&c, FLOATS(DIMS(1, 2, 2), 0.5f, 0.5f, 0.5f, 0.5f));
}

static void test_nan_survives(void **state)
{
    (void)state;
    op_case c = open1("Relu", 13, FLOATS(DIMS(2), NAN, -1));
    case_expect(&c, FLOATS(DIMS(2), NAN, 0));
    c = open3("Clip", 13, FLOATS(DIMS(2), NAN, 9), FLOAT(0), FLOAT(6));
    case_expect(&c, FLOATS(DIMS(2), NAN, 6));
    c = open2("Max", 13, FLOATS(DIMS(2), NAN, 1), FLOATS(DIMS(2), 1, NAN));
    case_expect(&c, FLOATS(DIMS(2), NAN, NAN));
    c = open1("MaxPool", 12, FLOATS(DIMS(1, 1, 3), NAN, 1, 2));
    case_ints(&c, "kernel_shape", DIMS(2));
    case_expect(&c, FLOATS(DIMS(1, 1, 2), NAN, 2));
    c = open1("ReduceMax", 13, FLOATS(DIMS(3), 1, NAN, 2));
    case_expect(&c, FLOATS(DIMS(1), NAN));
    c = open1("Cast", 13, FLOATS(DIMS(4), NAN, 3.9f, -3.9f, 1e30f));
    case_int(&c, "to", CLV_INT64);
    case_expect(&c, LIST(INT64_MIN, 3, -3, INT64_MIN));
}

/* --- movement
 * -------------------------------------------------------------------------------------------------------------- */

static void test_slice_ends(void **state)
{
    (void)state;
    const int64_t far = INT64_MAX, near = INT64_MIN;
    float x[] = {0, 1, 2, 3, 4};
    const clv_tensor five = tensor_of(CLV_FLOAT32, DIMS(5), x);
    const struct {
        int64_t start, end, step;
        int n;
        float y[5];
    } cases[] = {
        {0, far, 1, 5, {0, 1, 2, 3, 4}},
        {far, near, -1, 5, {4, 3, 2, 1, 0}},
        {-1, -6, -2, 3, {4, 2, 0}},
        {1, far, far, 1, {1}},
        {3, near, near, 1, {3}},
        {-3, -1, 1, 2, {2, 3}},
        {4, 1, 1, 0, {0}},
        {1, 4, -1, 0, {0}},
        {near, 2, 1, 2, {0, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        op_case c = open3("Slice", 13, five, LIST(cases[i].start), LIST(cases[i].end));
        case_in(&c, LIST(0));
        case_in(&c, LIST(cases[i].step));
        case_expect(&c, tensor_of(CLV_FLOAT32, DIMS(cases[i].n), (void *)(uintptr_t)cases[i].y));
    }
}

static void test_every_element_size_moves(void **state)
{
    static const clv_dtype dtypes[] = {CLV_BOOL, CLV_INT8, CLV_INT16, CLV_FLOAT32, CLV_INT64, CLV_COMPLEX128};
    (void)state;
    for (size_t k = 0; k < sizeof dtypes / sizeof dtypes[0]; k++) {
        const size_t element = clv_dtype_size(dtypes[k]);
        char x[6 * 16], y[6 * 16];
        for (size_t i = 0; i < sizeof x; i++)
            x[i] = (char)(i * 7 + 1);
        for (size_t i = 0; i < 6; i++) /* [2, 3] -> [3, 2] */
            memcpy(y + (i % 3 * 2 + i / 3) * element, x + i * element, element);
        op_case c = open1("Transpose", 13, tensor_of(dtypes[k], DIMS(2, 3), x));
        case_expect(&c, tensor_of(dtypes[k], DIMS(3, 2), y));
        c = open2("Pad", 13, tensor_of(dtypes[k], DIMS(6), x), LIST(-1, -2)); /* a crop */
        case_expect(&c, tensor_of(dtypes[k], DIMS(3), x + element));
    }
}

/* --- refusals
 * -------------------------------------------------------------------------------------------------------------- */

static void test_hostile_windows(void **state)
{
    static const struct {
        const char *name;
        int count;
        int64_t values[6];
    } bad[] = {
        {"kernel_shape", 2, {0, 1}},
        {"kernel_shape", 2, {-1, 1}},
        {"kernel_shape", 1, {2}},
        {"kernel_shape", 2, {3, 3}},
        {"kernel_shape", 2, {INT64_MAX, 1}},
        {"kernel_shape", 0, {0}},
        {"strides", 2, {0, 1}},
        {"strides", 2, {-1, 1}},
        {"strides", 3, {1, 1, 1}},
        {"dilations", 2, {0, 1}},
        {"dilations", 2, {INT64_MAX, 1}},
        {"pads", 4, {-1, 0, 0, 0}},
        {"pads", 4, {INT64_MAX, 0, 0, 1}},
        {"pads", 4, {2, 0, 0, 0}},
        {"pads", 2, {0, 0}},
        {"pads", 4, {1 << 30, 0, 1 << 30, 0}},
    };
    static const char *const types[] = {"MaxPool", "AveragePool", "LpPool"};
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            op_case c = open1(types[t], 19, IMAGE);
            if (strcmp(bad[i].name, "kernel_shape") != 0)
                case_ints(&c, "kernel_shape", DIMS(2, 2));
            case_ints(&c, bad[i].name, bad[i].count, bad[i].values);
            case_refused(&c, CLV_ERR_FORMAT);
        }
        op_case c = open1(types[t], 19, FLOATS(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
        case_ints(&c, "kernel_shape", DIMS(1));
        case_refused(&c, CLV_ERR_FORMAT);
    }
}

static void test_hostile_shapes(void **state)
{
    const int64_t huge = INT64_C(1) << 40;
    (void)state;
    struct {
        const char *type;
        clv_tensor x, list;
    } bad[] = {
        {"Reshape", IMAGE, LIST(huge, huge)},
        {"Reshape", IMAGE, LIST(-1, -1)},
        {"Reshape", IMAGE, LIST(-2, 3)},
        {"Reshape", IMAGE, LIST(5)},
        {"Reshape", IMAGE, LIST(-1, 5)},
        {"Reshape", IMAGE, LIST(1, 1, 1, 1, 0)},
        {"Reshape", IMAGE, LIST(1, 1, 1, 1, 1, 1, 1, 2, 3)},
        {"Reshape", IMAGE, FLOATS(DIMS(1), 6)},
        {"Expand", FLOAT(1), LIST(huge, huge)},
        {"Expand", FLOAT(1), LIST(-1)},
        {"Expand", IMAGE, LIST(5)},
        {"Tile", FLOATS(DIMS(2, 1), 1, 2), LIST(huge, huge)},
        {"Tile", FLOATS(DIMS(2), 1, 2), LIST(INT64_MAX)},
        {"Tile", FLOATS(DIMS(2), 1, 2), LIST(-1)},
        {"Tile", FLOATS(DIMS(2), 1, 2), LIST(1, 1)},
        {"Squeeze", IMAGE, LIST(2)},
        {"Squeeze", IMAGE, LIST(0, 0)},
        {"Squeeze", IMAGE, LIST(4)},
        {"Unsqueeze", IMAGE, LIST(0, 0)},
        {"Unsqueeze", IMAGE, LIST(-6)},
        {"Pad", IMAGE, LIST(INT64_MAX, 0, 0, 0, 1, 0, 0, 0)},
        {"Pad", IMAGE, LIST(0, 0, -2, 0, 0, 0, -1, 0)},
        {"Pad", IMAGE, LIST(0, 0)},
        {"Gather", FLOATS(DIMS(2), 1, 2), INT(2)},
        {"Gather", FLOATS(DIMS(2), 1, 2), INT(-3)},
        {"GatherElements", FLOATS(DIMS(2), 1, 2), LIST(2)},
        {"GatherND", FLOATS(DIMS(2), 1, 2), LIST(-3)},
        {"CumSum", IMAGE, INT(4)},
        {"TopK", IMAGE, LIST(4)},
        {"TopK", IMAGE, LIST(-1)},
        {"ReduceSum", IMAGE, LIST(4)},
        {"ReduceSum", IMAGE, LIST(1, -3)},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        op_case c = open2(bad[i].type, 13, bad[i].x, bad[i].list);
        case_refused(&c, CLV_ERR_FORMAT);
    }
    op_case c = open1("ConstantOfShape", 9, LIST(huge, huge));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("ConstantOfShape", 9, LIST(huge, 0, huge));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("ConstantOfShape", 9, LIST(-1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open2("Unsqueeze", 13, IMAGE, LIST(0, 1, 2, 3, 4));
    case_refused(&c, CLV_ERR_UNSUP); /* rank 9 */
}

static void test_hostile_ranges(void **state)
{
    (void)state;
    op_case c = open3("Range", 11, INT(0), INT(5), INT(0));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open3("Range", 11, FLOAT(0), FLOAT(NAN), FLOAT(1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open3("Range", 11, FLOAT(0), FLOAT(1), FLOAT(NAN));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open3("Range", 11, FLOAT(0), FLOAT(INFINITY), FLOAT(1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open3("Range", 11, INT(INT64_MIN), INT(INT64_MAX), INT(1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open3("Slice", 13, IMAGE, LIST(0), LIST(1));
    case_in(&c, LIST(0));
    case_in(&c, LIST(0));
    case_refused(&c, CLV_ERR_FORMAT); /* step 0 */
    c = open3("Slice", 13, IMAGE, LIST(0, 0), LIST(1, 1));
    case_in(&c, LIST(2, -2));
    case_refused(&c, CLV_ERR_FORMAT); /* the same axis twice */
    c = open3("Slice", 13, IMAGE, LIST(0, 0), LIST(1));
    case_refused(&c, CLV_ERR_FORMAT);
}

static void test_hostile_splits(void **state)
{
    const clv_tensor sizes[] = {LIST(1, 1), LIST(4, -1), LIST(3, 1), LIST(INT64_MAX, 3), LIST(1, 1, 1)};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        op_case c = open2("Split", 13, IMAGE, sizes[i]);
        c.node->n_out = 2;
        case_int(&c, "axis", -1);
        case_refused(&c, CLV_ERR_FORMAT);
    }
    op_case c = open1("Split", 13, IMAGE);
    c.node->n_out = 2;
    case_int(&c, "axis", 3);
    case_refused(&c, CLV_ERR_FORMAT); /* 3 into 2 equal parts */
    c = open1("Split", 18, IMAGE);
    c.node->n_out = 2;
    case_int(&c, "axis", 3);
    case_int(&c, "num_outputs", 2);
    case_expect(&c, FLOATS(DIMS(1, 1, 2, 2), 1, 2, 4, 5));
    c = open1("Split", 18, IMAGE);
    c.node->n_out = 2;
    case_int(&c, "num_outputs", 3);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open2("Concat", 13, IMAGE, FLOATS(DIMS(1, 1, 2, 1), 1, 2));
    case_int(&c, "axis", 2);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open2("Concat", 13, IMAGE, IMAGE);
    case_refused(&c, CLV_ERR_FORMAT); /* no axis */
}

static void test_hostile_scales(void **state)
{
    static const float bad[] = {0, -1, NAN, INFINITY, 1e30f};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        op_case c = open2("Resize", 10, IMAGE, FLOATS(DIMS(4), 1, 1, 1, bad[i]));
        case_refused(&c, CLV_ERR_FORMAT);
    }
    op_case c = open2("Resize", 10, IMAGE, FLOATS(DIMS(2), 1, 1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open3("Resize", 13, IMAGE, EMPTY(0), EMPTY(0));
    case_in(&c, LIST(1, 1, -2, 3));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open3("Resize", 13, IMAGE, EMPTY(0), EMPTY(0));
    case_in(&c, LIST(1, INT64_C(1) << 30, INT64_C(1) << 30, 3));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open3("Resize", 13, EMPTY(1, 1, 0, 3), EMPTY(0), EMPTY(0));
    case_in(&c, LIST(1, 1, 2, 3));
    case_refused(&c, CLV_ERR_FORMAT);                                            /* something of nothing */
    c = open2("Resize", 13, IMAGE, FLOATS(DIMS(8), 0, 0, NAN, 0, 1, 1, 1, NAN)); /* a region that is no number */
    case_in(&c, FLOATS(DIMS(4), 1, 1, 1, 1));
    case_string(&c, "coordinate_transformation_mode", "tf_crop_and_resize");
    case_string(&c, "mode", "linear");
    case_expect(&c, FLOATS(DIMS(1, 1, 2, 3), 0, 0, 0, 0, 0, 0));
    c = open2("Resize", 10, IMAGE, FLOATS(DIMS(4), 1, 1, 1, 1));
    case_string(&c, "mode", "lanczos");
    case_refused(&c, CLV_ERR_UNSUP);
}

static void test_hostile_attributes(void **state)
{
    (void)state;
    op_case c = open1("Transpose", 13, IMAGE);
    case_ints(&c, "perm", DIMS(0, 1, 1, 3));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("Transpose", 13, IMAGE);
    case_ints(&c, "perm", DIMS(0, 1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("DepthToSpace", 13, IMAGE);
    case_int(&c, "blocksize", 0);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("DepthToSpace", 13, IMAGE);
    case_int(&c, "blocksize", INT64_C(1) << 32);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("SpaceToDepth", 13, EMPTY(1, INT64_C(1) << 20, 0, 0));
    case_int(&c, "blocksize", INT32_MAX);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("ArgMax", 13, IMAGE);
    case_int(&c, "axis", -5);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("LRN", 13, IMAGE);
    case_int(&c, "size", INT64_MAX);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("Cast", 13, IMAGE);
    case_int(&c, "to", 99);
    case_refused(&c, CLV_ERR_UNSUP);
    c = open1("Softmax", 13, IMAGE);
    case_int(&c, "axis", 4);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("Relu", 13, LIST(1));
    case_refused(&c, CLV_ERR_UNSUP);
    c = open2("Clip", 11, IMAGE, LIST(1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open2("PRelu", 13, FLOATS(DIMS(2), 1, 2), IMAGE);
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("Constant", 13, IMAGE);
    case_refused(&c, CLV_ERR_FORMAT);
    case_open(&c, "Constant", 13);
    case_refused(&c, CLV_ERR_UNSUP); /* no value */
    case_open(&c, "Relu", 13);
    case_skip(&c);
    case_refused(&c, CLV_ERR_FORMAT);
    case_open(&c, "Sum", 13);
    case_refused(&c, CLV_ERR_FORMAT);
    case_open(&c, "BatchNormalization", 13);
    case_in(&c, IMAGE);
    for (int i = 0; i < 4; i++)
        case_in(&c, FLOATS(DIMS(2), 1, 1));
    case_refused(&c, CLV_ERR_FORMAT);
    c = open1("Einsum", 13, IMAGE);
    case_refused(&c, CLV_ERR_UNSUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_arithmetic),
        cmocka_unit_test(test_shape_of_unknown_data),
        cmocka_unit_test(test_empty_tensors),
        cmocka_unit_test(test_scalars_and_negative_axes),
        cmocka_unit_test(test_nan_survives),
        cmocka_unit_test(test_slice_ends),
        cmocka_unit_test(test_every_element_size_moves),
        cmocka_unit_test(test_hostile_windows),
        cmocka_unit_test(test_hostile_shapes),
        cmocka_unit_test(test_hostile_ranges),
        cmocka_unit_test(test_hostile_splits),
        cmocka_unit_test(test_hostile_scales),
        cmocka_unit_test(test_hostile_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
