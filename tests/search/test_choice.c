/* SPDX-License-Identifier: Apache-2.0 */
/* The budgeted choice against brute force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "search/choice.h"

#define LAYERS  5
#define OPTIONS 5

typedef struct problem {
    clvi_option option[LAYERS][OPTIONS];
    clvi_menu menu[LAYERS];
} problem;

/* Curves as real layers have them: more cost, less loss, not always convex. */
static void make(problem *p, clvi_rng *rng)
{
    for (size_t l = 0; l < LAYERS; l++) {
        double cost = 0, loss = 5;
        for (size_t i = 0; i < OPTIONS; i++) {
            cost += 1e6 * (0.1 + clvi_rng_uniform(rng));
            loss *= clvi_rng_uniform(rng);
            p->option[l][i] = (clvi_option){cost, loss};
        }
        p->menu[l] = (clvi_menu){p->option[l], OPTIONS};
    }
}

static void totals(const problem *p, const size_t *chosen, double *cost, double *loss)
{
    *cost = *loss = 0;
    for (size_t l = 0; l < LAYERS; l++) {
        *cost += p->option[l][chosen[l]].cost;
        *loss += p->option[l][chosen[l]].loss;
    }
}

static double brute_force(const problem *p, double budget)
{
    double best = HUGE_VAL;
    for (size_t code = 0; code < 3125; code++) {
        size_t chosen[LAYERS], rest = code;
        double cost, loss;
        for (size_t l = 0; l < LAYERS; l++, rest /= OPTIONS)
            chosen[l] = rest % OPTIONS;
        totals(p, chosen, &cost, &loss);
        if (cost <= budget && loss < best)
            best = loss;
    }
    return best;
}

static void close_to_the_best_choice(void **state)
{
    (void)state;
    clvi_rng rng;
    clvi_rng_seed(&rng, 1);
    int exact = 0, solved = 0;
    for (int round = 0; round < 300; round++) {
        problem p;
        size_t chosen[LAYERS];
        double cost, loss, sum;
        clv_error err;
        make(&p, &rng);
        const double budget = 1e6 * (1 + 14 * clvi_rng_uniform(&rng)), best = brute_force(&p, budget);
        const clv_status st = clvi_choose(chosen, &sum, p.menu, LAYERS, budget, &err);
        if (isinf(best)) {
            assert_int_equal(st, CLV_ERR_BUDGET);
            assert_true(sum > budget);
            continue;
        }
        assert_int_equal(st, CLV_OK);
        totals(&p, chosen, &cost, &loss);
        assert_true(cost <= budget);
        assert_true(fabs(cost - sum) <= 1e-9 * budget);
        exact += loss <= best + 1e-9; /* all but those that the rounding of costs touches */
        solved++;
    }
    assert_true(solved > 200);
    assert_true(exact >= solved * 99 / 100);
}

static void a_budget_that_allows_all_takes_the_best(void **state)
{
    (void)state;
    clvi_rng rng;
    problem p;
    size_t chosen[LAYERS];
    double cost;
    clvi_rng_seed(&rng, 2);
    make(&p, &rng);
    assert_int_equal(clvi_choose(chosen, &cost, p.menu, LAYERS, 1e12, NULL), CLV_OK);
    for (size_t l = 0; l < LAYERS; l++)
        assert_int_equal(chosen[l], OPTIONS - 1);
}

static void losses_add_up_to_what_is_kept(void **state)
{
    (void)state;
    assert_true(clvi_loss_of_error(0) == 0 && clvi_loss_of_error(-1e-9) == 0);
    assert_true(fabs(clvi_loss_of_error(0.5) - log(2)) < 1e-15);
    assert_true(isfinite(clvi_loss_of_error(3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_to_the_best_choice),
        cmocka_unit_test(a_budget_that_allows_all_takes_the_best),
        cmocka_unit_test(losses_add_up_to_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
