/* SPDX-License-Identifier: Apache-2.0 */
/* The few names of cmocka that the tests of CLV_BARE use, for a processor that has no cmocka: what fails says where and
 * ends the program. */
#ifndef CLV_TESTS_KERNEL_BARE_CMOCKA_H
#define CLV_TESTS_KERNEL_BARE_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(function) \
    {                              \
#function, function        \
    }
#define cmocka_run_group_tests(tests, setup, teardown) \
    bare_run((tests), sizeof(tests) / sizeof *(tests), (setup), (teardown))

#define fail_msg(...)                                                \
    do {                                                             \
        (void)fprintf(stderr, "FAILED %s:%d: ", __FILE__, __LINE__); \
        (void)fprintf(stderr, __VA_ARGS__);                          \
        (void)fputc('\n', stderr);                                   \
        exit(1);                                                     \
    } while (0)
#define assert_true(condition)                   \
    do {                                         \
        if (!(condition))                        \
            fail_msg("%s is false", #condition); \
    } while (0)
#define assert_null(pointer)            assert_true((pointer) == NULL)
#define assert_non_null(pointer)        assert_true((pointer) != NULL)
#define assert_ptr_equal(a, b)          assert_true((const void *)(a) == (const void *)(b))
#define assert_memory_equal(a, b, size) assert_true(memcmp((a), (b), (size)) == 0)
#define assert_string_equal(a, b)       assert_true(strcmp((a), (b)) == 0)
#define assert_false(condition)         assert_true(!(condition))
#define assert_int_equal(a, b)                                                \
    do {                                                                      \
        const long long bare_a = (long long)(a), bare_b = (long long)(b);     \
        if (bare_a != bare_b)                                                 \
            fail_msg("%s is %lld, must be %s, %lld", #a, bare_a, #b, bare_b); \
    } while (0)

static inline int bare_run(const struct CMUnitTest *tests, size_t n, int (*setup)(void **), int (*teardown)(void **))
{
    void *state = NULL;
    if (setup && setup(&state) != 0)
        return 1;
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", tests[i].name);
        (void)fflush(stdout);
        tests[i].run(&state);
    }
    return teardown && teardown(&state) != 0 ? 1 : 0;
}

#endif
