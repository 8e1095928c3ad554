// SPDX-License-Identifier: Apache-2.0
/* Operators on random shapes, large enough to be split over threads, against their formulas as plain loops. The results
 * on one, two and five threads and in place must agree to the bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/rng.h"
#include "ops/op_case.h"

static clvi_rng rng;

static int64_t below(int64_t n)
{
    return (int64_t)clvi_rng_below(&rng, (uint64_t)n);
}

/* Random values; freed by free_inputs. */
static clv_tensor random_tensor(int rank, const int64_t *dims)
{
    clv_tensor t = tensor_of(CLV_FLOAT32, rank, dims, NULL);
    const int64_t n = clv_tensor_count(&t);
    t.data = malloc((size_t)n * sizeof(float) + 1);
    assert_non_null(t.data);
    for (int64_t i = 0; i < n; i++)
        ((float *)t.data)[i] = (float)clvi_rng_normal(&rng);
    return t;
}

/* Rank 1 to 5; a fifth of the shapes have a long last axis, a fifth a long first one. */
static int random_shape(int64_t dims[5])
{
    const int rank = 1 + (int)below(5), kind = (int)below(5);
    for (int i = 0; i < rank; i++)
        dims[i] = 1 + below(kind < 2 ? 2 : 6);
    if (kind < 2)
        dims[kind ? 0 : rank - 1] = 17000 + below(20000);
    return rank;
}

static float at(const clv_tensor *t, int64_t i)
{
    return ((const float *)t->data)[i];
}

/* Flat index -> one index an axis, and back, for an index that may be broadcast (extent 1). */
static void decode(const clv_tensor *t, int64_t flat, int64_t index[CLV_MAX_RANK])
{
    for (int i = t->rank - 1; i >= 0; i--) {
        index[i] = flat % t->dims[i];
        flat /= t->dims[i];
    }
}

static int64_t encode(const clv_tensor *t, const int64_t *index, int skip)
{
    int64_t flat = 0;
    for (int i = 0; i < t->rank; i++)
        flat = flat * t->dims[i] + (t->dims[i] == 1 ? 0 : index[skip + i]);
    return flat;
}

/* Runs on one thread and leaves the result in the case; runs on other pools and in place and compares bits. */
static void run_all_ways(op_case *c)
{
    static const int threads[] = {1, 2, 5};
    clv_tensor first = {0};
    void *kept = NULL;
    for (int way = 0; way < 4; way++) {
        clvi_pool *pool = NULL;
        assert_int_equal(clvi_pool_create(&pool, threads[way % 3], NULL), CLV_OK);
        if (case_run(c, pool, way == 3) != CLV_OK)
            fail_msg("%s: %s", c->node->op_type, c->err.msg);
        clvi_pool_free(pool);
        const clv_tensor *y = case_out(c, 0);
        const size_t bytes = (size_t)clv_tensor_count(y) * clv_dtype_size(y->dtype);
        if (way == 0) {
            first = *y;
            kept = malloc(bytes + 1);
            assert_non_null(kept);
            memcpy(kept, y->data, bytes);
        } else {
            assert_int_equal(y->dtype, first.dtype);
            assert_memory_equal(y->data, kept, bytes);
        }
        if (way < 3)
            case_rewind(c);
    }
    free(kept);
}

static void free_case(op_case *c)
{
    for (size_t i = 0; i < c->n_in; i++)
        if (c->in[i].dtype == CLV_FLOAT32)
            free(c->in[i].data);
    case_close(c);
}

static void demand_near(const op_case *c, int64_t i, double expected)
{
    const double y = (double)at(case_out(c, 0), i);
    if (!(fabs(y - expected) <= 1e-5 * (1 + fabs(expected))))
        fail_msg("%s: element %lld is %.9g, expected %.9g", c->node->op_type, (long long)i, y, expected);
}

static void test_broadcasting(void **state)
{
    static const char *const types[] = {"Add", "Sub", "Mul", "Max", "PRelu"};
    (void)state;
    for (int round = 0; round < 60; round++) {
        int64_t dims[2][5];
        const int rank = random_shape(dims[0]), type = round % 5;
        memcpy(dims[1], dims[0], sizeof dims[1]);
        for (int i = 0; i < rank; i++) /* axes of one operand, or of both in turn, are 1 */
            if (!below(3))
                dims[type == 4 ? 1 : below(2)][i] = 1;
        const int skip = (int)below(rank);
        op_case c;
        case_open(&c, types[type], 13);
        case_in(&c, random_tensor(rank, dims[0]));
        case_in(&c, random_tensor(rank - skip, dims[1] + skip));
        run_all_ways(&c);
        const clv_tensor *y = case_out(&c, 0);
        for (int64_t i = 0; i < clv_tensor_count(y); i++) {
            int64_t index[CLV_MAX_RANK];
            decode(y, i, index);
            const double a = (double)at(&c.in[0], encode(&c.in[0], index, 0));
            const double b = (double)at(&c.in[1], encode(&c.in[1], index, skip));
            const double expected[] = {a + b, a - b, a * b, a > b ? a : b, a < 0 ? a * b : a};
            demand_near(&c, i, expected[type]);
        }
        free_case(&c);
    }
}

static void test_functions(void **state)
{
    static const char *const types[] = {"Relu", "Sigmoid", "Exp", "Abs", "HardSwish", "Clip"};
    (void)state;
    for (int round = 0; round < 24; round++) {
        int64_t dims[5];
        const int rank = random_shape(dims), type = round % 6;
        op_case c;
        case_open(&c, types[type], type == 4 ? 14 : 6);
        case_in(&c, random_tensor(rank, dims));
        if (type == 5)
            assert_int_equal(clvi_node_set_float(c.graph, c.node, "max", 0.5f, NULL), CLV_OK);
        run_all_ways(&c);
        for (int64_t i = 0; i < clv_tensor_count(&c.in[0]); i++) {
            const double x = (double)at(&c.in[0], i), hard = x / 6 + 0.5;
            const double expected[] = {
                x > 0 ? x : 0,    1 / (1 + exp(-x)), exp(x), fabs(x), x * (hard < 0 ? 0 : hard > 1 ? 1 : hard),
                x < 0.5 ? x : 0.5};
            demand_near(&c, i, expected[type]);
        }
        free_case(&c);
    }
}

/* y[index] = x[where each axis came from]: Transpose, Slice, Pad in its modes, Expand, Tile. */
static void test_movement(void **state)
{
    static const char *const types[] = {"Transpose", "Slice", "Pad", "Pad", "Pad", "Tile"};
    static const char *const modes[] = {"", "", "constant", "reflect", "edge", ""};
    (void)state;
    for (int round = 0; round < 60; round++) {
        int64_t dims[5], list[4][10], perm[5];
        const int rank = random_shape(dims), type = round % 6;
        op_case c;
        case_open(&c, types[type], 13);
        case_in(&c, random_tensor(rank, dims));
        for (int i = 0; i < rank; i++) {
            const int64_t n = dims[i];
            perm[i] = (i + round) % rank;
            list[0][i] = type == 1   ? below(n)
                         : type == 5 ? 1 + below(n > 99 ? 2 : 4)
                         : type == 3 ? below(n)
                                     : below(5) - (n > 4);
            list[0][rank + i] = type == 3 ? below(n < 9 ? n : 9) : below(4);
            list[3][i] = below(2) ? 1 + below(3) : -1 - below(3);
            list[1][i] = list[3][i] > 0 ? n - below(2) : -n - 1 + below(2);
            list[2][i] = i;
        }
        if (type == 0)
            case_ints(&c, "perm", rank, perm);
        for (int k = 0; k < (type == 0 ? 0 : type == 1 ? 4 : 1); k++)
            case_in(&c, tensor_of(CLV_INT64, 1, (const int64_t[]){type >= 2 && type <= 4 ? 2 * rank : rank}, list[k]));
        if (type >= 2 && type <= 4)
            case_string(&c, "mode", modes[type]);
        run_all_ways(&c);
        const clv_tensor *y = case_out(&c, 0);
        for (int64_t i = 0; i < clv_tensor_count(y); i++) {
            int64_t to[CLV_MAX_RANK], from[CLV_MAX_RANK];
            bool inside = true;
            decode(y, i, to);
            for (int a = 0; a < rank; a++) {
                const int64_t n = dims[a], p = to[a] - list[0][a];
                if (type == 0)
                    from[perm[a]] = to[a];
                else if (type == 1)
                    from[a] = list[0][a] + to[a] * list[3][a];
                else if (type == 5)
                    from[a] = to[a] % n;
                else
                    from[a] = p >= 0 && p < n ? p : type == 4 ? (p < 0 ? 0 : n - 1) : p < 0 ? -p : 2 * (n - 1) - p;
                inside = inside && (type != 2 || (p >= 0 && p < n));
            }
            demand_near(&c, i, inside ? (double)at(&c.in[0], encode(&c.in[0], from, 0)) : 0);
        }
        free_case(&c);
    }
}

static void test_concat_and_reductions(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        int64_t dims[5], other[5];
        const int rank = random_shape(dims), axis = (int)below(rank);
        memcpy(other, dims, sizeof other);
        op_case c;
        case_open(&c, round % 2 ? "Concat" : "ReduceMean", 13);
        case_in(&c, random_tensor(rank, dims));
        if (round % 2) {
            other[axis] = 1 + below(4);
            case_in(&c, random_tensor(rank, other));
            case_int(&c, "axis", axis - rank);
        } else {
            case_ints(&c, "axes", 1, (const int64_t[]){axis});
        }
        run_all_ways(&c);
        const clv_tensor *y = case_out(&c, 0);
        for (int64_t i = 0; i < clv_tensor_count(y); i++) {
            int64_t index[CLV_MAX_RANK];
            double sum = 0;
            decode(y, i, index);
            const int part = round % 2 && index[axis] >= dims[axis];
            index[axis] -= part ? dims[axis] : 0;
            if (round % 2)
                sum = (double)at(&c.in[part], encode(&c.in[part], index, 0));
            for (index[axis] = round % 2 ? dims[axis] : 0; index[axis] < dims[axis]; index[axis]++)
                sum += (double)at(&c.in[0], encode(&c.in[0], index, 0)) / (double)dims[axis];
            demand_near(&c, i, sum);
        }
        free_case(&c);
    }
}

static void test_softmax_lines(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int64_t dims[5];
        const int rank = random_shape(dims), axis = (int)below(rank);
        op_case c;
        case_open(&c, "Softmax", 13);
        case_in(&c, random_tensor(rank, dims));
        case_int(&c, "axis", axis);
        run_all_ways(&c);
        for (int64_t i = 0; i < clv_tensor_count(&c.in[0]); i += 1 + below(7)) {
            int64_t index[CLV_MAX_RANK];
            double sum = 0;
            decode(&c.in[0], i, index);
            for (index[axis] = 0; index[axis] < dims[axis]; index[axis]++)
                sum += exp((double)at(&c.in[0], encode(&c.in[0], index, 0)));
            demand_near(&c, i, exp((double)at(&c.in[0], i)) / sum);
            if (dims[axis] > 1000)
                i += 1000;
        }
        free_case(&c);
    }
}

/* Pooling of any geometry: the sum, maximum and count of a window by its definition. */
static void test_pooling(void **state)
{
    (void)state;
    for (int round = 0; round < 80; round++) {
        int64_t k[2], s[2], d[2], pads[4], dims[4] = {1 + below(2), 1 + below(20), 8 + below(30), 8 + below(300)};
        const bool average = round % 2, include = below(2);
        for (int a = 0; a < 2; a++) {
            k[a] = 1 + below(3);
            s[a] = 1 + below(3);
            d[a] = 1 + below(2);
            pads[a] = below((k[a] - 1) * d[a] + 1);
            pads[2 + a] = below((k[a] - 1) * d[a] + 1);
        }
        op_case c;
        case_open(&c, average ? "AveragePool" : "MaxPool", 19);
        case_in(&c, random_tensor(4, dims));
        case_ints(&c, "kernel_shape", 2, k);
        case_ints(&c, "strides", 2, s);
        case_ints(&c, "dilations", 2, d);
        case_ints(&c, "pads", 4, pads);
        case_int(&c, "ceil_mode", below(2));
        case_int(&c, "count_include_pad", include);
        run_all_ways(&c);
        const clv_tensor *y = case_out(&c, 0);
        for (int64_t i = 0; i < clv_tensor_count(y); i += 1 + below(5)) {
            int64_t o[CLV_MAX_RANK];
            double sum = 0, max = -HUGE_VAL;
            int inside = 0, counted = 0;
            decode(y, i, o);
            for (int64_t t = 0; t < k[0] * k[1]; t++) {
                const int64_t h = o[2] * s[0] + t / k[1] * d[0] - pads[0], w = o[3] * s[1] + t % k[1] * d[1] - pads[1];
                counted += h < dims[2] + pads[2] && w < dims[3] + pads[3];
                if (h < 0 || h >= dims[2] || w < 0 || w >= dims[3])
                    continue;
                const double v = (double)at(&c.in[0], ((o[0] * dims[1] + o[1]) * dims[2] + h) * dims[3] + w);
                inside++;
                sum += v;
                max = v > max ? v : max;
            }
            if (inside)
                demand_near(&c, i, average ? sum / (include ? counted : inside) : max);
        }
        free_case(&c);
    }
}

/* No formula here (the backend tests hold those), only sizes that are split: all ways agree. */
static void test_split_work_agrees(void **state)
{
    static const char *const types[] = {
        "Resize", "Resize",         "BatchNormalization", "InstanceNormalization", "LRN", "GlobalAveragePool",
        "ArgMax", "ReduceLogSumExp"};
    static const char *const modes[] = {"nearest", "linear"};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        op_case c;
        case_open(&c, types[i], 11);
        case_in(&c, random_tensor(DIMS(2, 13, 67, 71)));
        if (i < 2) {
            case_skip(&c);
            case_in(&c, random_tensor(DIMS(4)));
            memcpy(c.in[2].data, F32(1, 1, 1.7f, 0.6f), 4 * sizeof(float));
            case_string(&c, "mode", modes[i]);
        }
        for (size_t k = 0; k < (i == 2 ? 4u : i == 3 ? 2u : 0u); k++) {
            case_in(&c, random_tensor(DIMS(13)));
            for (int64_t v = 0; v < 13; v++) /* variances are positive */
                ((float *)c.in[c.n_in - 1].data)[v] = 0.5f + fabsf(at(&c.in[c.n_in - 1], v));
        }
        if (i == 4)
            case_int(&c, "size", 5);
        if (i == 7)
            case_ints(&c, "axes", DIMS(1, 3));
        run_all_ways(&c);
        free_case(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broadcasting),      cmocka_unit_test(test_functions),
        cmocka_unit_test(test_movement),          cmocka_unit_test(test_concat_and_reductions),
        cmocka_unit_test(test_softmax_lines),     cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_split_work_agrees),
    };
    clvi_rng_seed(&rng, 7);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
