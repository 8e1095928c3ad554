/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "search/time_curve.h"

static void between_and_beyond_measured_sizes(void **state)
{
    (void)state;
    const clvi_form *a = clvi_form_find("depthwise"), *b = clvi_form_find("channel");
    const clvi_time_point points[] = {{a, 400, 5}, {b, 100, 7}, {a, 100, 2}, {a, 200, 3}, {a, 200, 4}};
    const struct {
        int64_t macs;
        double seconds;
    } wanted[] = {{100, 2}, {150, 2.5}, {200, 3}, {300, 4}, {400, 5}, {800, 10}, {50, 2}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_true(fabs(clvi_time_at(points, 5, a, wanted[i].macs) - wanted[i].seconds) < 1e-12);
    assert_true(clvi_time_at(points, 5, b, 100) == 7);
    assert_true(isnan(clvi_time_at(points, 5, clvi_form_find("tucker2"), 100)));
    assert_true(isnan(clvi_time_at(NULL, 0, a, 100)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(between_and_beyond_measured_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
