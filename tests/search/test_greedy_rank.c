/* SPDX-License-Identifier: Apache-2.0 */
/* The greedy ranks of Zhang et al. by hand, against the rule as a plain loop, and against brute force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/rng.h"
#include "search/greedy_rank.h"

/* Two layers of 3 ranks, costs 1 and 2. Shares lost for their cost, layer by layer: 1/10, 3/9; (2/10)/2, (3/8)/2.
 * Dropped in turn: layer 0 (0.1, the earlier of a tie), layer 1 (0.1), layer 1 (0.1875), layer 0 (0.333). */
static void by_hand(void **state)
{
    const double a[] = {6, 3, 1}, b[] = {5, 3, 2};
    const clvi_rank_layer layers[] = {{a, 3, 1}, {b, 3, 2}};
    const struct {
        double budget;
        size_t rank[2];
        double cost;
    } want[] = {{9, {3, 3}, 9}, {100, {3, 3}, 9}, {8.5, {2, 3}, 8}, {7, {2, 2}, 6},
                {6, {2, 2}, 6}, {5, {2, 1}, 4},   {3.5, {1, 1}, 3}};
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        size_t rank[2];
        double cost;
        assert_int_equal(clvi_greedy_rank(rank, &cost, layers, 2, want[i].budget, NULL), CLV_OK);
        assert_int_equal(rank[0], want[i].rank[0]);
        assert_int_equal(rank[1], want[i].rank[1]);
        assert_true(cost == want[i].cost);
    }
}

enum { LAYERS = 4, RANKS = 6 };

typedef struct problem {
    double energy[LAYERS][RANKS];
    clvi_rank_layer layer[LAYERS];
    double full;
} problem;

static void make(problem *p, clvi_rng *rng)
{
    p->full = 0;
    for (size_t l = 0; l < LAYERS; l++) {
        double e = 100;
        for (size_t a = 0; a < RANKS; a++)
            p->energy[l][a] = e *= 0.2 + 0.75 * clvi_rng_uniform(rng);
        p->layer[l] = (clvi_rank_layer){p->energy[l], RANKS, 1 + 3 * clvi_rng_uniform(rng)};
        p->full += RANKS * p->layer[l].cost;
    }
}

static double log_kept(const problem *p, const size_t *rank)
{
    double sum = 0;
    for (size_t l = 0; l < LAYERS; l++) {
        double kept = 0, all = 0;
        for (size_t a = 0; a < RANKS; a++) {
            kept += a < rank[l] ? p->energy[l][a] : 0;
            all += p->energy[l][a];
        }
        sum += log(kept / all);
    }
    return sum;
}

static double cost_of(const problem *p, const size_t *rank)
{
    double sum = 0;
    for (size_t l = 0; l < LAYERS; l++)
        sum += (double)rank[l] * p->layer[l].cost;
    return sum;
}

/* The rule of the paper, without heap or sums kept. */
static void plain(size_t *rank, const problem *p, double budget)
{
    for (size_t l = 0; l < LAYERS; l++)
        rank[l] = RANKS;
    while (cost_of(p, rank) > budget) {
        double least = HUGE_VAL;
        size_t at = LAYERS;
        for (size_t l = 0; l < LAYERS; l++) {
            double kept = 0;
            for (size_t a = 0; a < rank[l]; a++)
                kept += p->energy[l][a];
            const double score = p->energy[l][rank[l] - 1] / kept / p->layer[l].cost;
            if (rank[l] > 1 && score < least) {
                least = score;
                at = l;
            }
        }
        assert_true(at < LAYERS);
        rank[at]--;
    }
}

static double brute_force(const problem *p, double budget)
{
    double best = -HUGE_VAL;
    for (size_t code = 0; code < 6 * 6 * 6 * 6; code++) {
        size_t rank[LAYERS], rest = code;
        for (size_t l = 0; l < LAYERS; l++, rest /= RANKS)
            rank[l] = 1 + rest % RANKS;
        if (cost_of(p, rank) <= budget)
            best = fmax(best, log_kept(p, rank));
    }
    return best;
}

/* Greedy is the rule, holds the budget, and loses little against the optimum on average. */
static void against_the_rule_and_brute_force(void **state)
{
    clvi_rng rng;
    double greedy = 0, optimum = 0;
    (void)state;
    clvi_rng_seed(&rng, 17);
    for (size_t trial = 0; trial < 300; trial++) {
        problem p;
        size_t rank[LAYERS], want[LAYERS];
        double cost;
        make(&p, &rng);
        const double budget = p.full * (0.2 + 0.8 * clvi_rng_uniform(&rng));
        assert_int_equal(clvi_greedy_rank(rank, &cost, p.layer, LAYERS, budget, NULL), CLV_OK);
        plain(want, &p, budget);
        assert_memory_equal(rank, want, sizeof rank);
        assert_true(cost == cost_of(&p, rank) && cost <= budget);
        const double found = log_kept(&p, rank), best = brute_force(&p, budget);
        assert_true(found <= best + 1e-12);
        greedy -= found;
        optimum -= best;
    }
    print_message("mean -log of the kept energy: greedy %.4f, optimum %.4f\n", greedy / 300, optimum / 300);
    assert_true(greedy < 1.25 * optimum);
}

static void edges(void **state)
{
    const double a[] = {1, 0, 0}, none[] = {0, 0}, rising[] = {1, 2}, bad[] = {(double)NAN, 0};
    size_t rank[2];
    double cost;
    clv_error err = {0};
    (void)state;
    const clvi_rank_layer dead[] = {{a, 3, 1}, {none, 2, 1}};
    assert_int_equal(clvi_greedy_rank(rank, &cost, dead, 2, 2, &err), CLV_OK);
    assert_true(rank[0] == 1 && rank[1] == 1 && cost == 2);
    assert_int_equal(clvi_greedy_rank(rank, &cost, dead, 2, 1.5, &err), CLV_ERR_BUDGET);
    assert_true(rank[0] == 1 && rank[1] == 1 && cost == 2);
    assert_int_equal(clvi_greedy_rank(rank, &cost, dead, 2, (double)NAN, &err), CLV_ERR_BUDGET);
    assert_int_equal(clvi_greedy_rank(rank, &cost, dead, 0, 0, &err), CLV_OK);
    const clvi_rank_layer wrong[] = {{rising, 2, 1}, {bad, 2, 1}, {a, 0, 1}, {a, 3, 0}, {a, 3, (double)NAN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(clvi_greedy_rank(rank, &cost, &wrong[i], 1, 5, &err), CLV_ERR_ARG);
    for (long allowed = 0; allowed < 5; allowed++) {
        clvi_mem_fail_after(allowed);
        assert_int_equal(clvi_greedy_rank(rank, &cost, dead, 2, 2, &err), CLV_ERR_NOMEM);
        clvi_mem_fail_after(-1);
    }
    assert_int_equal(clvi_mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(against_the_rule_and_brute_force),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
