// SPDX-License-Identifier: Apache-2.0
/* Nodes made at random, most of them nonsense: any operator with any inputs and attributes is run or refused with a
 * message that names the node. What must not happen (a read or write out of bounds, an overflow, a crash) is for the
 * sanitizers to see.
 *
 *   test_ops_hostile [CASES [SEED]] */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "ops/op_case.h"

static clvi_rng rng;

static int64_t below(int64_t n)
{
    return (int64_t)clvi_rng_below(&rng, (uint64_t)n);
}

/* Mostly small; one in eight as large as they come. */
static int64_t some_int(void)
{
    static const int64_t ends[] = {INT64_MAX, INT64_MIN,        INT32_MAX, INT64_C(1) << 31,
                                   -1000,     INT64_C(1) << 40, 1 << 16,   INT64_MIN + 1};
    return below(8) ? below(8) - 3 : ends[below(8)];
}

static float some_float(void)
{
    static const float ends[] = {0, -1, NAN, INFINITY, -INFINITY, 1e30f, 1e-30f, 0.3f};
    return below(3) ? (float)clvi_rng_normal(&rng) : ends[below(8)];
}

/* A tensor of exactly its bytes, NULL when they are none. */
static clv_tensor some_tensor(void)
{
    static const clv_dtype dtypes[] = {CLV_FLOAT32, CLV_FLOAT32, CLV_FLOAT32, CLV_INT64, CLV_INT64,
                                       CLV_INT32,   CLV_BOOL,    CLV_UINT8,   CLV_INT16, CLV_COMPLEX64};
    static const int64_t extents[] = {1, 1, 2, 2, 3, 4, 4, 7, 0};
    clv_tensor t = {.dtype = dtypes[below(10)], .rank = (int)below(6)};
    for (int i = 0; i < t.rank; i++)
        t.dims[i] = extents[below(below(4) ? 8 : 9)];
    if (t.dtype == CLV_INT64 && below(2)) { /* a list, such as shapes and axes */
        t.rank = (int)below(2);
        t.dims[0] = 1 + below(5);
    }
    const size_t n = (size_t)clv_tensor_count(&t), bytes = n * clv_dtype_size(t.dtype);
    t.data = bytes ? malloc(bytes) : NULL;
    assert_true(t.data || !bytes);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)t.data)[i] = (uint8_t)(t.dtype == CLV_BOOL ? below(2) : below(256));
    for (size_t i = 0; i < n && t.dtype == CLV_FLOAT32; i++)
        ((float *)t.data)[i] = some_float();
    for (size_t i = 0; i < n && t.dtype == CLV_INT64; i++)
        ((int64_t *)t.data)[i] = some_int();
    return t;
}

static void some_attributes(op_case *c)
{
    static const char *const ints[] = {"axis",
                                       "keepdims",
                                       "blocksize",
                                       "group",
                                       "ceil_mode",
                                       "to",
                                       "k",
                                       "p",
                                       "size",
                                       "batch_dims",
                                       "start",
                                       "end",
                                       "count_include_pad",
                                       "exclusive",
                                       "reverse",
                                       "largest",
                                       "allowzero",
                                       "noop_with_empty_axes",
                                       "num_outputs",
                                       "transA",
                                       "transB",
                                       "antialias",
                                       "exclude_outside",
                                       "fmod",
                                       "storage_order",
                                       "select_last_index",
                                       "value_int"};
    static const char *const lists[] = {"axes",      "kernel_shape", "strides",        "pads",
                                        "dilations", "perm",         "split",          "starts",
                                        "ends",      "repeats",      "output_padding", "output_shape"};
    static const char *const texts[] = {"mode",
                                        "linear",
                                        "mode",
                                        "cubic",
                                        "mode",
                                        "reflect",
                                        "mode",
                                        "edge",
                                        "mode",
                                        "wrap",
                                        "mode",
                                        "CRD",
                                        "auto_pad",
                                        "SAME_UPPER",
                                        "auto_pad",
                                        "SAME_LOWER",
                                        "auto_pad",
                                        "VALID",
                                        "coordinate_transformation_mode",
                                        "align_corners",
                                        "coordinate_transformation_mode",
                                        "tf_crop_and_resize",
                                        "keep_aspect_ratio_policy",
                                        "not_larger",
                                        "nearest_mode",
                                        "ceil"};
    int64_t values[8];
    for (int64_t n = below(4); n > 0; n--)
        case_int(c, ints[below(27)], some_int());
    for (int64_t n = below(4); n > 0; n--) {
        for (int i = 0; i < 8; i++)
            values[i] = below(3) ? below(4) : some_int();
        case_ints(c, lists[below(12)], (int)below(7), values);
    }
    for (int64_t n = below(3); n > 0; n--) {
        const int64_t i = 2 * below(13);
        case_string(c, texts[i], texts[i + 1]);
    }
    if (!below(4)) {
        const float scales[4] = {some_float(), some_float(), some_float(), some_float()};
        const clv_tensor value = tensor_of(CLV_FLOAT32, 1, (const int64_t[]){below(3)}, (void *)(uintptr_t)scales);
        assert_int_equal(clvi_node_set_tensor(c->graph, c->node, "value", &value, NULL), CLV_OK);
        assert_int_equal(clvi_node_set_float(c->graph, c->node, below(2) ? "alpha" : "epsilon", scales[3], NULL),
                         CLV_OK);
    }
}

/* The status, CLV_OK or a refusal in words. */
static clv_status one_case(const clvi_op *op)
{
    op_case c;
    case_open(&c, op->type, 7 + below(16));
    const bool known = below(5) != 0;
    for (int64_t n = below(below(2) ? 4 : case_inputs + 1); n > 0; n--) {
        if (!below(12)) {
            case_skip(&c);
        } else {
            case_in(&c, some_tensor());
        }
    }
    void *data[case_inputs];
    for (size_t i = 0; i < c.n_in; i++) {
        data[i] = c.in[i].data;
        if (!known && below(2))
            c.in[i].data = NULL;
    }
    c.node->n_out = (size_t)(1 + below(case_outputs));
    some_attributes(&c);

    assert_int_equal(node_runner_open(&c.runner, c.graph, NULL, NULL), CLV_OK);
    c.runner.limit = 1 << 20;
    c.runner.infer_only = !known;
    for (size_t i = 0; i < c.n_in; i++)
        if (c.node->in[i] != CLVI_NONE)
            c.runner.values[c.node->in[i]] = c.in[i];
    const clv_status st = node_runner_step(&c.runner, c.node, &c.err);
    if (st != CLV_OK && st != CLV_ERR_NOMEM)
        assert_non_null(strstr(c.err.msg, "node"));
    for (size_t i = 0; i < c.n_in; i++)
        free(data[i]);
    case_close(&c);
    return st;
}

static int64_t cases = 40000;

static void test_nonsense(void **state)
{
    size_t rows;
    const clvi_op *const *all = clvi_op_all(&rows);
    int64_t ran = 0;
    (void)state;
    for (int64_t i = 0; i < cases; i++) {
        const clvi_op *op = all[below((int64_t)rows)];
        ran += one_case(op) == CLV_OK;
    }
    print_message("%lld of %lld nodes made sense\n", (long long)ran, (long long)cases);
    assert_true(ran * 20 >= cases); /* else nothing but the checks at the door is tested */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nonsense)};
    if (argc > 1)
        cases = atoll(argv[1]);
    clvi_rng_seed(&rng, argc > 2 ? (uint64_t)atoll(argv[2]) : 7);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
