/* SPDX-License-Identifier: Apache-2.0 */
/* The memory plan: nothing that is alive at the same time overlaps, and nothing is wasted where that can be known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/size.h"
#include "runtime/memory_plan.h"

static bool alive_together(const clvi_interval *a, const clvi_interval *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Returns whether any two live buffers overlap or leave the block. */
static bool is_broken(const clvi_interval *items, size_t n, size_t total)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].offset % CLV_ALIGN != 0 || items[i].offset + items[i].bytes > total)
            return true;
        for (size_t j = 0; j < i; j++)
            if (alive_together(&items[i], &items[j]) && items[i].offset < items[j].offset + items[j].bytes &&
                items[j].offset < items[i].offset + items[i].bytes)
                return true;
    }
    return false;
}

/* The most bytes that are alive at one time: no plan can be smaller. */
static size_t peak(const clvi_interval *items, size_t n, size_t steps)
{
    size_t most = 0;
    for (size_t t = 0; t <= steps; t++) {
        size_t now = 0;
        for (size_t i = 0; i < n; i++)
            if (items[i].first <= t && t <= items[i].last)
                now += clvi_round_up(items[i].bytes, CLV_ALIGN);
        most = clvi_max_size(most, now);
    }
    return most;
}

static void random_lifetimes_never_overlap(void **state)
{
    (void)state;
    clvi_rng rng;
    clvi_rng_seed(&rng, 1);
    for (int round = 0; round < 2000; round++) {
        clvi_interval items[40];
        const size_t n = (size_t)clvi_rng_below(&rng, 41), steps = 1 + (size_t)clvi_rng_below(&rng, 30);
        size_t total, sum = 0;
        for (size_t i = 0; i < n; i++) {
            items[i].bytes = (size_t)clvi_rng_below(&rng, 3) ? (size_t)clvi_rng_below(&rng, 5000) : 256;
            items[i].first = (size_t)clvi_rng_below(&rng, steps);
            items[i].last = items[i].first + (size_t)clvi_rng_below(&rng, steps - items[i].first);
            sum += clvi_round_up(items[i].bytes, CLV_ALIGN);
        }
        assert_int_equal(clvi_memory_plan(items, n, &total, NULL), CLV_OK);
        assert_false(is_broken(items, n, total));
        assert_true(total <= sum);
        assert_true(total >= peak(items, n, steps));
    }
}

/* The judge above must be able to say no. */
static void the_check_sees_an_overlap(void **state)
{
    (void)state;
    clvi_interval items[2] = {{.bytes = 128, .first = 0, .last = 2},
                              {.bytes = 64, .first = 2, .last = 3, .offset = 64}};
    assert_true(is_broken(items, 2, 128));
    items[1].first = 3;
    assert_false(is_broken(items, 2, 128));
    assert_true(is_broken(items, 2, 64));
}

/* A chain keeps two neighbours alive at a time; two buffers' worth is enough. */
static void a_chain_needs_two_buffers(void **state)
{
    (void)state;
    clvi_interval items[100];
    size_t total;
    for (size_t i = 0; i < 100; i++)
        items[i] = (clvi_interval){.bytes = 1024, .first = i, .last = i + 1};
    assert_int_equal(clvi_memory_plan(items, 100, &total, NULL), CLV_OK);
    assert_int_equal(total, 2048);
}

static void sizes_beyond_memory_are_refused(void **state)
{
    (void)state;
    clvi_interval items[2] = {{.bytes = SIZE_MAX - 8}, {.bytes = 64}};
    size_t total;
    assert_int_equal(clvi_memory_plan(items, 2, &total, NULL), CLV_ERR_NOMEM);
    items[0].bytes = items[1].bytes = (size_t)PTRDIFF_MAX / 2 + 64;
    assert_int_equal(clvi_memory_plan(items, 2, &total, NULL), CLV_ERR_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lifetimes_never_overlap),
        cmocka_unit_test(the_check_sees_an_overlap),
        cmocka_unit_test(a_chain_needs_two_buffers),
        cmocka_unit_test(sizes_beyond_memory_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
