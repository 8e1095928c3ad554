/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <float.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/context.h"
#include "base/file.h"
#include "base/float_mode.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"
#include "base/status.h"
#include "base/str.h"

static void status_text_is_total(void **state)
{
    (void)state;
    assert_string_equal(clv_status_text(CLV_OK), "success");
    assert_string_equal(clv_status_text((clv_status)999), "unknown status");
}

static void fail_keeps_one_printable_line(void **state)
{
    (void)state;
    clv_error err = {0};
    assert_int_equal(FAIL(&err, CLV_ERR_FORMAT, "node \"%s\"", "a\nb\x01"), CLV_ERR_FORMAT);
    assert_string_equal(err.msg, "node \"a?b?\"");
    assert_non_null(strstr(err.site, "test_base.c:"));
    clvi_fail_prefix(&err, err.code, "net.onnx");
    assert_string_equal(err.msg, "net.onnx: node \"a?b?\"");
    assert_int_equal(FAIL(NULL, CLV_ERR_IO, "x"), CLV_ERR_IO);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    size_t n;
    assert_false(clvi_mul(SIZE_MAX / 2, 3, &n));
    assert_false(clvi_add(SIZE_MAX, 1, &n));
    assert_true(clvi_mul(6, 7, &n));
    assert_int_equal(n, 42);
    assert_null(clvi_calloc(SIZE_MAX / 2, 3));
    assert_null(clvi_alloc(SIZE_MAX - 3));
}

/* Takes the arena. big: larger than half a chunk. */
static void check_arena(clvi_arena *arena, size_t big_bytes)
{
    char *objects[300];
    assert_non_null(arena);
    for (size_t i = 0; i < 300; i++) {
        const size_t n = i * 37 % 5000 + 1;
        objects[i] = clvi_arena_alloc(arena, n);
        assert_int_equal((uintptr_t)objects[i] % (n >= 64 ? 64 : 16), 0);
        memset(objects[i], (int)i, n);
    }
    char *big = clvi_arena_alloc(arena, big_bytes);
    memset(big, 7, big_bytes);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal((unsigned char)objects[i][i * 37 % 5000], i & 255);
    assert_string_equal(clvi_arena_printf(arena, "%s_%d", "conv", 3), "conv_3");
    clvi_arena_free(arena);
}

static void arena_objects_are_apart(void **state)
{
    (void)state;
    const long live = clvi_mem_live();
    check_arena(clvi_arena_create(), 1 << 20);
    check_arena(clvi_arena_create_hot(), 1 << 20);
    check_arena(clvi_arena_create_hot(), 17 << 20);
    assert_int_equal(clvi_mem_live(), live);
}

static void hot_blocks_are_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1000, 131072, 131073, (2 << 20) - 1, 2 << 20, (2 << 20) + 1};
    const long live = clvi_mem_live();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *const block = clvi_alloc_hot(sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % CLV_ALIGN, 0);
        memset(block, 1, sizes[i]);
        clvi_free(block);
    }
    assert_null(clvi_alloc_hot(SIZE_MAX));
    assert_int_equal(clvi_mem_live(), live);
}

static void memory_of_the_machine_is_known(void **state)
{
    (void)state;
    const size_t bytes = clvi_mem_physical();
    assert_true(bytes > 16u << 20);
    assert_true(bytes < (size_t)1 << 50);
}

static void allocation_can_be_made_to_fail(void **state)
{
    (void)state;
    clvi_mem_fail_after(1);
    void *first = clvi_alloc(8), *second = clvi_alloc(8);
    clvi_mem_fail_after(-1);
    assert_non_null(first);
    assert_null(second);
    clvi_free(first);
}

static void peak_memory_grows_with_use(void **state)
{
    (void)state;
    const size_t before = clvi_mem_peak(), size = (size_t)64 << 20;
    char *block = clvi_alloc(before + size);
    memset(block, 1, before + size);
    assert_true(clvi_mem_peak() >= before + size / 2);
    clvi_free(block);
}

typedef struct sums {
    atomic_long total;
    atomic_int visits[1000];
    clvi_pool *pool;
} sums;

static void add_index(void *arg, size_t index, int worker)
{
    sums *s = arg;
    (void)worker;
    atomic_fetch_add(&s->total, (long)index);
    atomic_fetch_add(&s->visits[index], 1);
}

static void nested(void *arg, size_t index, int worker)
{
    sums *s = arg;
    (void)index;
    (void)worker;
    clvi_pool_run(s->pool, 10, add_index, arg);
}

static void pool_runs_every_task_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads += 2) {
        clvi_pool *pool = NULL;
        assert_int_equal(clvi_pool_create(&pool, threads, NULL), CLV_OK);
        for (int round = 0; round < 200; round++) {
            sums s = {.pool = pool};
            clvi_pool_run(pool, 1000, add_index, &s);
            assert_int_equal(s.total, 499500);
            for (int i = 0; i < 1000; i++)
                assert_int_equal(s.visits[i], 1);
        }
        sums s = {.pool = pool};
        clvi_pool_run(pool, 7, nested, &s);
        assert_int_equal(s.total, 7 * 45);
        clvi_pool_free(pool);
    }
    assert_int_equal(clvi_pool_create(&(clvi_pool *){NULL}, 0, NULL), CLV_ERR_ARG);
}

/* least / 4 is a denormal, or zero where those are flushed. */
static void divide_least(void *arg, size_t index, int worker)
{
    volatile float v = FLT_MIN;
    (void)worker;
    v /= 4;
    ((float *)arg)[index] = v;
}

static void workers_compute_in_the_callers_float_mode(void **state)
{
    (void)state;
    const clvi_float_mode mode = clvi_float_mode_get(), flushing = clvi_float_mode_flushing(mode);
    clvi_pool *pool = NULL;
    float got[64];
    if (flushing == mode)
        skip();
    assert_int_equal(clvi_pool_create(&pool, 3, NULL), CLV_OK);
    for (int round = 0; round < 100; round++) {
        clvi_float_mode_set(round % 2 ? flushing : mode);
        clvi_pool_run(pool, 64, divide_least, got);
        clvi_float_mode_set(mode);
        for (size_t i = 0; i < 64; i++)
            assert_true(round % 2 ? got[i] == 0.0F : got[i] == FLT_MIN / 4);
    }
    assert_true(clvi_float_mode_get() == mode);
    clvi_pool_free(pool);
}

/* A worker that sleeps when a job comes must not be waited for, nor forgotten in the next. */
static void sleeping_workers_come_back(void **state)
{
    (void)state;
    clvi_pool *pool = NULL;
    assert_int_equal(clvi_pool_create(&pool, 4, NULL), CLV_OK);
    for (int round = 0; round < 40; round++) {
        const struct timespec pause = {.tv_nsec = round % 4 == 0 ? 3000000 : 0};
        sums s = {.pool = pool};
        (void)nanosleep(&pause, NULL);
        clvi_pool_run(pool, 1000, add_index, &s);
        assert_int_equal(s.total, 499500);
    }
    clvi_pool_free(pool);
}

static void random_numbers_are_reproducible(void **state)
{
    (void)state;
    clvi_rng a, b;
    clvi_rng_seed_stream(&a, 5, 1);
    clvi_rng_seed_stream(&b, 5, 1);
    double mean = 0, square = 0;
    for (int i = 0; i < 100000; i++) {
        const double x = clvi_rng_normal(&a);
        assert_true(x == clvi_rng_normal(&b));
        mean += x;
        square += x * x;
    }
    assert_true(mean / 1e5 < 0.02 && mean / 1e5 > -0.02);
    assert_true(square / 1e5 < 1.02 && square / 1e5 > 0.98);
    for (int i = 0; i < 1000; i++)
        assert_true(clvi_rng_below(&a, 7) < 7);
}

static void file_is_replaced_whole_or_not_at_all(void **state)
{
    (void)state;
    char folder[] = "/tmp/cleave-test-XXXXXX", path[64];
    clv_error err;
    clvi_bytes bytes;
    clvi_file_writer *w = NULL;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/a", folder);
    assert_int_equal(clvi_file_replace(path, "old", 3, &err), CLV_OK);
    assert_int_equal(clvi_file_create(&w, path, &err), CLV_OK);
    assert_int_equal(clvi_file_write(w, "newer", 5, &err), CLV_OK);
    clvi_file_free(w); /* never committed */
    assert_int_equal(clvi_file_read(&bytes, path, &err), CLV_OK);
    assert_int_equal(bytes.size, 3);
    assert_memory_equal(bytes.data, "old", 3);
    clvi_free(bytes.data);
    char two[2];
    assert_int_equal(clvi_file_read_at(two, 2, 1, path, &err), CLV_OK);
    assert_memory_equal(two, "ld", 2);
    assert_int_equal(clvi_file_read_at(two, 2, 2, path, &err), CLV_ERR_FORMAT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* no temporary file is left */
    assert_int_equal(clvi_file_read(&bytes, path, &err), CLV_ERR_IO);
    assert_int_equal(clvi_file_replace("/dev/full", "x", 1, &err), CLV_ERR_IO);
}

static void strings_grow(void **state)
{
    (void)state;
    clvi_str s = {0};
    const long calls = clvi_mem_calls();
    for (int i = 0; i < 1000; i++)
        clvi_str_printf(&s, "%d,", i);
    assert_false(s.failed);
    assert_int_equal(s.size, 10 * 2 + 90 * 3 + 900 * 4);
    assert_true(clvi_mem_calls() - calls < 10); /* doubles: long texts are not quadratic */
    clvi_str_free(&s);
}

static void context_refuses_what_is_not_there(void **state)
{
    (void)state;
    clv_context *context = NULL;
    clv_error err;
    clv_context_opts opts = clv_context_opts_default();
    opts.isa = "sse9";
    assert_int_equal(clv_context_create(&context, &opts, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "sse9"));
    opts.isa = "ref";
    opts.threads = 2;
    assert_int_equal(clv_context_create(&context, &opts, &err), CLV_OK);
    assert_int_equal(clv_context_threads(context), 2);
    assert_string_equal(clv_context_isa(context), "ref");
    clv_context_free(context);
}

/* Every half survives the way to float and back; floats between two halves round to the nearest, ties to even. */
static void halves_convert_exactly(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float x = clvi_half_to_float((uint16_t)h);
        const bool nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff);
        if (nan)
            assert_true(x != x && (clvi_float_to_half(x) & 0x7c00) == 0x7c00 && (clvi_float_to_half(x) & 0x3ff));
        else
            assert_int_equal(clvi_float_to_half(x), h);
        if (!nan && (h & 0x7fff) < 0x7bff) {
            const float next = clvi_half_to_float((uint16_t)(h + 1)), middle = (x + next) / 2;
            assert_int_equal(clvi_float_to_half(middle), h & 1 ? h + 1 : h);
        }
    }
    assert_int_equal(clvi_float_to_half(65520.0f), 0x7c00);
    assert_int_equal(clvi_float_to_half(65519.0f), 0x7bff);
    assert_int_equal(clvi_float_to_bfloat(1.00390625f), 0x3f80); /* tie to even */
    assert_int_equal(clvi_float_to_bfloat(1.01171875f), 0x3f82);
    assert_true(clvi_bfloat_to_float(0xc049) == -3.140625f);
    const double wide[2] = {0.5, -3};
    float narrow[2];
    assert_true(clvi_floats_from(narrow, CLV_FLOAT64, wide, 2));
    assert_true(narrow[0] == 0.5f && narrow[1] == -3.0f);
    assert_false(clvi_floats_from(narrow, CLV_INT32, wide, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_text_is_total),
        cmocka_unit_test(fail_keeps_one_printable_line),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(arena_objects_are_apart),
        cmocka_unit_test(hot_blocks_are_whole),
        cmocka_unit_test(memory_of_the_machine_is_known),
        cmocka_unit_test(allocation_can_be_made_to_fail),
        cmocka_unit_test(peak_memory_grows_with_use),
        cmocka_unit_test(pool_runs_every_task_once),
        cmocka_unit_test(workers_compute_in_the_callers_float_mode),
        cmocka_unit_test(sleeping_workers_come_back),
        cmocka_unit_test(random_numbers_are_reproducible),
        cmocka_unit_test(file_is_replaced_whole_or_not_at_all),
        cmocka_unit_test(strings_grow),
        cmocka_unit_test(halves_convert_exactly),
        cmocka_unit_test(context_refuses_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
