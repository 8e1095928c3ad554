/* SPDX-License-Identifier: Apache-2.0 */
/* The file of measured times: kept from run to run, apart for each way to run, and never in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "measure/time_cache.h"

static char folder[] = "/tmp/cleave-test-XXXXXX";
static char path[256], last[512];
static int warnings;
static clv_error err;

#define OK(call) assert_int_equal((call), CLV_OK)

static void note(void *user, clv_log_level level, const char *message)
{
    (void)user;
    warnings += level == CLV_LOG_WARNING;
    (void)snprintf(last, sizeof last, "%s", message);
}

static clv_context *make_context(int threads)
{
    clv_context *context = NULL;
    clv_context_opts opts = clv_context_opts_default();
    opts.threads = threads;
    opts.log = note;
    OK(clv_context_create(&context, &opts, &err));
    return context;
}

/* The seconds kept under a key, -1 when there are none, and the number of warnings on the way. */
static double look_up(uint64_t key, int threads)
{
    clv_context *context = make_context(threads);
    clvi_time_cache *cache = NULL;
    double seconds = -1;
    warnings = 0;
    OK(clvi_time_cache_open(&cache, context, &err));
    (void)clvi_time_cache_find(cache, key, &seconds);
    clvi_time_cache_free(cache);
    clv_context_free(context);
    return seconds;
}

static void keep(uint64_t key, double seconds, int threads)
{
    clv_context *context = make_context(threads);
    clvi_time_cache *cache = NULL;
    OK(clvi_time_cache_open(&cache, context, &err));
    OK(clvi_time_cache_add(cache, key, seconds, &err));
    clvi_time_cache_save(cache);
    clvi_time_cache_free(cache);
    clv_context_free(context);
}

static int fresh(void **state)
{
    (void)state;
    (void)unlink(path);
    warnings = 0;
    return setenv("XDG_CACHE_HOME", folder, 1);
}

static void times_are_kept_for_each_way_to_run(void **state)
{
    (void)state;
    assert_true(look_up(1, 1) == -1);
    assert_int_equal(warnings, 0); /* no file yet: nothing to warn of */
    keep(1, 0.25, 1);
    keep(2, 0.5, 1);
    keep(1, 0.75, 2);
    keep(1, 0.125, 1); /* measured again */
    assert_true(look_up(1, 1) == 0.125 && look_up(2, 1) == 0.5 && look_up(1, 2) == 0.75 && look_up(2, 2) == -1);
    assert_int_equal(setenv("CLEAVE_FUSE", "layout", 1), 0);
    assert_true(look_up(1, 1) == -1);
    assert_int_equal(unsetenv("CLEAVE_FUSE"), 0);
}

static void many_times_fit(void **state)
{
    (void)state;
    clv_context *context = make_context(1);
    clvi_time_cache *cache = NULL;
    OK(clvi_time_cache_open(&cache, context, &err));
    for (uint64_t i = 0; i < 1000; i++)
        OK(clvi_time_cache_add(cache, i, (double)i, &err));
    clvi_time_cache_save(cache);
    clvi_time_cache_free(cache);
    clv_context_free(context);
    assert_true(look_up(999, 1) == 999 && look_up(0, 1) == 0);
}

/* Any byte flipped, or the end cut off: a warning or what is left, never a wrong number; then it is written anew. */
static void damage_costs_a_warning(void **state)
{
    (void)state;
    clvi_bytes good;
    keep(1, 0.25, 1);
    OK(clvi_file_read(&good, path, &err));
    for (size_t i = 0; i < good.size; i++) {
        good.data[i] ^= 0x10;
        OK(clvi_file_replace(path, good.data, good.size, &err));
        good.data[i] ^= 0x10;
        const double seconds = look_up(1, 1);
        assert_true(seconds == -1);
    }
    for (size_t size = 0; size < good.size; size += 7) {
        OK(clvi_file_replace(path, good.data, size, &err));
        assert_true(look_up(1, 1) == -1);
    }
    OK(clvi_file_replace(path, "not a file of times at all", 26, &err));
    assert_true(look_up(1, 1) == -1);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(last, path));
    keep(1, 0.5, 1);
    assert_true(look_up(1, 1) == 0.5);
    assert_int_equal(warnings, 0);
    clvi_free(good.data);
}

/* A file stands where the folder should be. */
static void a_place_that_cannot_be_written_costs_a_warning(void **state)
{
    (void)state;
    char place[256];
    (void)snprintf(place, sizeof place, "%s/file", folder);
    OK(clvi_file_replace(place, "x", 1, &err));
    assert_int_equal(setenv("XDG_CACHE_HOME", place, 1), 0);
    keep(1, 0.25, 1);
    assert_true(warnings > 0);
    assert_non_null(strstr(last, place));
    assert_int_equal(unlink(place), 0);
}

static void without_a_home_nothing_is_kept(void **state)
{
    (void)state;
    char home[256] = "";
    if (getenv("HOME"))
        (void)snprintf(home, sizeof home, "%s", getenv("HOME"));
    assert_int_equal(setenv("XDG_CACHE_HOME", "not/absolute", 1), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    keep(1, 0.25, 1);
    assert_true(look_up(1, 1) == -1);
    assert_int_equal(warnings, 0);
    assert_int_equal(setenv("HOME", home, 1), 0);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(path, sizeof path, "%s/cleave/times.clvtimes", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(times_are_kept_for_each_way_to_run, fresh),
        cmocka_unit_test_setup(many_times_fit, fresh),
        cmocka_unit_test_setup(damage_costs_a_warning, fresh),
        cmocka_unit_test_setup(a_place_that_cannot_be_written_costs_a_warning, fresh),
        cmocka_unit_test_setup(without_a_home_nothing_is_kept, fresh),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
