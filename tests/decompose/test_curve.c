/* SPDX-License-Identifier: Apache-2.0 */
/* Fits that start from a chain, and curves of error against size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decompose/curve.h"
#include "decompose/fixture.h"

static bool is_depthwise(const clvi_form *form)
{
    return strcmp(form->name, "depthwise") == 0;
}

static void set_size(clvi_fit_opts *opts, const clvi_form *form, int64_t size)
{
    opts->size = is_depthwise(form) ? 0 : size;
    opts->multiplier = is_depthwise(form) ? (double)size : 1;
}

/* Sizes that the form has for the layer, ascending; at most `most`. */
static size_t sizes_of(double *sizes, const clvi_form *form, const layer *l, size_t most)
{
    size_t n = 0;
    if (form->refuses(&l->conv))
        return 0;
    const int64_t cap =
        is_depthwise(form)
            ? (int64_t)full_multiplier(&(shape){l->conv.o, l->conv.c, l->conv.groups, l->conv.kh, l->conv.kw, 0, 0})
            : 40;
    for (int64_t size = 1; size <= cap && n < most; size++) {
        clvi_fit_opts opts = clvi_fit_opts_default();
        set_size(&opts, form, size);
        if (form->macs(&l->conv, &opts) > 0)
            sizes[n++] = (double)size;
    }
    return n;
}

static clvi_fit fit_from(const clvi_form *form, const layer *l, int64_t size, bool uneven, const clvi_chain *start,
                         clvi_arena *arena)
{
    clvi_fit_opts opts = clvi_fit_opts_default();
    set_size(&opts, form, size);
    opts.uneven = uneven;
    opts.start = start;
    if (!start) {
        opts.max_iterations = 3000;
        opts.tolerance = 1e-10;
    }
    return checked_fit(form->name, l, &opts, arena, NULL);
}

static void a_converged_chain_is_where_it_ends(void **state)
{
    (void)state;
    size_t forms;
    const clvi_form *const *all = clvi_form_all(&forms);
    for (size_t f = 0; f < forms; f++)
        for (size_t s = 0; s < SHAPES; s++)
            for (int uneven = 0; uneven <= is_depthwise(all[f]); uneven++) {
                layer l = layer_create(shapes[s], 300 + s);
                clvi_arena *arena = clvi_arena_create();
                double sizes[3];
                const size_t n = sizes_of(sizes, all[f], &l, 3);
                for (size_t i = 0; i < n; i++) {
                    const clvi_fit cold = fit_from(all[f], &l, (int64_t)sizes[i], uneven, NULL, arena);
                    const clvi_fit warm = fit_from(all[f], &l, (int64_t)sizes[i], uneven, &cold.chain, arena);
                    if ((warm.iterations > 12 * (int)l.groups && cold.error > 1e-12) ||
                        warm.error > cold.error * (1 + 1e-4) + 1e-7)
                        fail_msg("%s, shape %zu, size %g: %d iterations, error %.9g after %.9g", all[f]->name, s,
                                 sizes[i], warm.iterations, warm.error, cold.error);
                }
                clvi_arena_free(arena);
                layer_free(&l);
            }
}

/* From a larger chain: not much worse than a fit from scratch, even where few filters leave the descent few ways. */
static void a_larger_chain_is_cut_down(void **state)
{
    (void)state;
    size_t forms;
    const clvi_form *const *all = clvi_form_all(&forms);
    for (size_t f = 0; f < forms; f++)
        for (size_t s = 0; s < SHAPES; s++) {
            layer l = layer_create(shapes[s], 400 + s);
            clvi_arena *arena = clvi_arena_create();
            double sizes[4];
            const size_t n = sizes_of(sizes, all[f], &l, 4);
            for (size_t i = 0; i + 1 < n; i++) {
                const clvi_fit large = fit_from(all[f], &l, (int64_t)sizes[n - 1], false, NULL, arena);
                const clvi_fit cold = fit_from(all[f], &l, (int64_t)sizes[i], false, NULL, arena);
                const clvi_fit warm = fit_from(all[f], &l, (int64_t)sizes[i], false, &large.chain, arena);
                assert_true(warm.macs_per_pixel == cold.macs_per_pixel);
                if (warm.error > cold.error * 1.25 + 1e-6)
                    fail_msg("%s, shape %zu, size %g from %g: error %.6f, from scratch %.6f", all[f]->name, s, sizes[i],
                             sizes[n - 1], warm.error, cold.error);
            }
            clvi_arena_free(arena);
            layer_free(&l);
        }
}

/* Closed solutions ignore a start. */
static bool takes_start(const clvi_form *form)
{
    return strcmp(form->name, "channel") != 0 && strcmp(form->name, "prune") != 0 && strcmp(form->name, "remove") != 0;
}

static void chains_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    size_t forms;
    const clvi_form *const *all = clvi_form_all(&forms);
    layer l = layer_create(shapes[0], 1), other = layer_create((shape){10, 6, 1, 3, 3, 0, 0}, 2);
    for (size_t f = 0; f < forms; f++) {
        if (!takes_start(all[f]) || all[f]->refuses(&l.conv))
            continue;
        for (size_t g = 0; g < forms; g++) {
            if (strcmp(all[g]->name, "remove") == 0 || all[g]->refuses(&l.conv)) /* has no size 2 here */
                continue;
            clvi_arena *arena = clvi_arena_create();
            clvi_fit_opts opts = clvi_fit_opts_default();
            clvi_fit fit;
            clv_error err = {0};
            const clvi_fit small = fit_from(all[g], g == f ? &other : &l, 2, false, NULL, arena);
            set_size(&opts, all[f], 1);
            opts.start = &small.chain;
            const clv_status st = all[f]->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err);
            if (st != CLV_ERR_ARG)
                fail_msg("%s from %s: status %d", all[f]->name, all[g]->name, (int)st);
            assert_non_null(strstr(err.msg, "start from"));
            const clvi_fit own = fit_from(all[f], &l, 1, false, NULL, arena);
            opts.start = &own.chain;
            set_size(&opts, all[f], 2); /* more than it has */
            assert_int_equal(all[f]->fit(&fit, &l.conv, l.cov, &opts, arena, NULL, &err), CLV_ERR_ARG);
            clvi_arena_free(arena);
        }
    }
    layer_free(&l);
    layer_free(&other);
}

static void curves_descend_and_can_be_asked_for_again(void **state)
{
    (void)state;
    size_t forms;
    const clvi_form *const *all = clvi_form_all(&forms);
    for (size_t f = 0; f < forms; f++)
        for (size_t s = 0; s < SHAPES; s++)
            for (int uneven = 0; uneven <= is_depthwise(all[f]); uneven++) {
                layer l = layer_create(shapes[s], 500 + s);
                clvi_arena *arena = clvi_arena_create();
                clvi_curve_job job = clvi_curve_job_default();
                clvi_curve_point points[8];
                double sizes[8];
                clv_error err = {0};
                job.form = all[f];
                job.conv = &l.conv;
                job.cov = l.cov;
                job.fit.uneven = uneven;
                job.sizes = sizes;
                job.n = sizes_of(sizes, all[f], &l, 8);
                if (job.n > 0 && clvi_curve(points, &job, arena, NULL, &err) != CLV_OK)
                    fail_msg("%s, shape %zu: %s", all[f]->name, s, err.msg);
                for (size_t i = 0; i < job.n; i++) {
                    assert_true(i == 0 || points[i].error <= points[i - 1].error);
                    const clvi_fit again = checked_fit(all[f]->name, &l, &points[i].fit, arena, NULL);
                    assert_true(again.error <= points[i].error * (1 + 1e-4) + 1e-7);
                    assert_int_equal(again.macs_per_pixel, points[i].macs_per_pixel);
                    assert_int_equal(clvi_chain_parameters(&again.chain), points[i].parameters);
                }
                clvi_arena_free(arena);
                layer_free(&l);
            }
}

static void sizes_that_make_no_curve(void **state)
{
    (void)state;
    static const double lists[][2] = {{2, 2}, {2, 1}, {0, 1}, {-1, 1}, {1, 1e9}, {1, HUGE_VAL}, {1.5, (double)NAN}};
    layer l = layer_create(shapes[0], 1);
    clvi_arena *arena = clvi_arena_create();
    clvi_curve_job job = clvi_curve_job_default();
    clvi_curve_point points[2];
    job.form = clvi_form_find("bottleneck");
    job.conv = &l.conv;
    job.cov = l.cov;
    assert_int_equal(clvi_curve(points, &job, arena, NULL, NULL), CLV_ERR_ARG);
    job.n = 2;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        job.sizes = lists[i];
        assert_int_equal(clvi_curve(points, &job, arena, NULL, NULL), CLV_ERR_ARG);
    }
    clvi_arena_free(arena);
    layer_free(&l);
}

/* Same bits with and without threads, and nothing leaks when memory runs out anywhere. */
static void curves_with_threads_and_without_memory(void **state)
{
    (void)state;
    size_t forms;
    const clvi_form *const *all = clvi_form_all(&forms);
    clv_context_opts threads = clv_context_opts_default();
    clv_context *context = NULL;
    threads.threads = 3;
    assert_int_equal(clv_context_create(&context, &threads, NULL), CLV_OK);
    layer l = layer_create((shape){6, 4, 2, 3, 3, 0, 0.2}, 9);
    for (size_t f = 0; f < forms; f++) {
        if (all[f]->refuses(&l.conv))
            continue;
        clvi_arena *arena = clvi_arena_create();
        clvi_curve_job job = clvi_curve_job_default();
        clvi_curve_point one[2], many[2];
        double sizes[2];
        job.form = all[f];
        job.conv = &l.conv;
        job.cov = l.cov;
        job.fit.uneven = is_depthwise(all[f]);
        job.sizes = sizes;
        job.iterations = 2;
        if (strcmp(all[f]->name, "remove") == 0)
            sizes[0] = 1;
        job.n = strcmp(all[f]->name, "remove") == 0 ? 1 : sizes_of(sizes, all[f], &l, 2);
        assert_int_equal(job.n, strcmp(all[f]->name, "remove") == 0 ? 1 : 2);
        assert_int_equal(clvi_curve(one, &job, arena, NULL, NULL), CLV_OK);
        assert_int_equal(clvi_curve(many, &job, arena, context, NULL), CLV_OK);
        for (size_t i = 0; i < job.n; i++)
            assert_memory_equal(&one[i].error, &many[i].error, sizeof one[i].error);
        clvi_arena_free(arena);
        const long live = clvi_mem_live();
        for (long permitted = 0;; permitted++) {
            clvi_mem_fail_after(permitted);
            arena = clvi_arena_create();
            const clv_status st = arena ? clvi_curve(one, &job, arena, NULL, NULL) : CLV_ERR_NOMEM;
            clvi_mem_fail_after(-1);
            clvi_arena_free(arena);
            assert_int_equal(clvi_mem_live(), live);
            if (st == CLV_OK)
                break;
            assert_int_equal(st, CLV_ERR_NOMEM);
            assert_true(permitted < 5000);
        }
    }
    layer_free(&l);
    clv_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_converged_chain_is_where_it_ends),
        cmocka_unit_test(a_larger_chain_is_cut_down),
        cmocka_unit_test(chains_that_do_not_fit_are_refused),
        cmocka_unit_test(curves_descend_and_can_be_asked_for_again),
        cmocka_unit_test(sizes_that_make_no_curve),
        cmocka_unit_test(curves_with_threads_and_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
