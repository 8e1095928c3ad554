/* SPDX-License-Identifier: Apache-2.0 */
/* pixel_gemm_f32: every m and n of a tile, one tap and several, rows anywhere, gaps between the rows of C, each
 * epilogue. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/check.h"

#define MAX_TAPS 9
#define MAX_MR   16

typedef struct pixel_case {
    size_t mr, nr, m, n, taps, depth, ldc;
    bool bias, add, add_is_c, clamp, at_end, nan;
    int kind;
} pixel_case;

enum { A, B, C, EXTRA }; /* EXTRA: bias, then add; when it begins behind the bad page either the one or the other */

static float before(size_t row, size_t column)
{
    return (float)row - 0.5f * (float)column;
}

/* Pixels of A overlap and come in no order, as those of a convolution do. The last row ends where the buffer does. */
static void fill_rows(check *c, const pixel_case *g, const float *a, size_t span, const float **rows)
{
    for (size_t i = 0; i < MAX_TAPS * MAX_MR; i++)
        rows[i] = NULL; /* what is not to be read faults */
    for (size_t t = 0; t < g->taps; t++)
        for (size_t i = 0; i < g->m; i++)
            rows[t * g->mr + i] = a + check_random(c, 0, span - g->depth);
    rows[check_random(c, 0, g->taps - 1) * g->mr + check_random(c, 0, g->m - 1)] = a + span - g->depth;
    rows[check_random(c, 0, g->taps - 1) * g->mr + check_random(c, 0, g->m - 1)] = a;
}

static void fill_weights(check *c, const pixel_case *g, float *b)
{
    const size_t k = g->taps * g->depth;
    check_fill(c, b, k * g->nr, g->kind);
    for (size_t t = 0; t < k; t++)
        for (size_t j = g->n; j < g->nr; j++)
            b[t * g->nr + j] = 0.0f;
    if (g->nan && k > 0)
        b[check_random(c, 0, k - 1) * g->nr + check_random(c, 0, g->n - 1)] = NAN;
}

static bool compare(check *c, const pixel_case *g, const clvi_pixel_tile *tile, const float *const *rows,
                    const float *b, const float *got)
{
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < g->n; j++) {
            const double extra[2] = {g->bias ? (double)tile->bias[j] : 0.0, g->add ? (double)before(i, j) : 0.0};
            double want = extra[0] + extra[1], size = fabs(extra[0]) + fabs(extra[1]);
            for (size_t t = 0; t < g->taps; t++)
                for (size_t k = 0; k < g->depth; k++) {
                    const double product = (double)rows[t * g->mr + i][k] * (double)b[(t * g->depth + k) * g->nr + j];
                    want += product;
                    size += fabs(product);
                }
            want = want < (double)tile->lo ? (double)tile->lo : want > (double)tile->hi ? (double)tile->hi : want;
            if (!check_near(got[i * g->ldc + j], want, size, g->taps * g->depth + 2)) {
                check_fail(c, "C[%zu, %zu] is %.9g, must be %.9g (magnitude %.3g)", i, j, (double)got[i * g->ldc + j],
                           want, size);
                return false;
            }
        }
        for (size_t j = g->n; i + 1 < g->m && j < g->ldc; j++) {
            if (got[i * g->ldc + j] != 77.0f) {
                check_fail(c, "C[%zu, %zu], behind the row's end, was written", i, j);
                return false;
            }
        }
    }
    return true;
}

static bool run_case(check *c, clvi_pixel_gemm_f32_fn run, const pixel_case *g)
{
    const float *rows[MAX_TAPS * MAX_MR];
    const size_t span = g->depth + check_random(c, 0, 40), add_n = g->m * g->n, extra_n = g->nr + add_n;
    float *a = check_buffer(A, span, g->at_end), *b = check_buffer(B, g->taps * g->depth * g->nr, g->at_end);
    float *y = check_buffer(C, (g->m - 1) * g->ldc + g->n, g->at_end), *extra = check_buffer(EXTRA, extra_n, g->at_end);
    float *const bias = extra + g->nr - g->n, *const add = g->at_end ? extra + g->nr : extra;
    const clvi_pixel_tile tile = {.bias = g->bias ? bias : NULL,
                                  .add = g->add_is_c ? y
                                         : g->add    ? add
                                                     : NULL,
                                  .add_ld = g->add_is_c ? g->ldc : g->n,
                                  .lo = g->clamp ? -0.25f : -INFINITY,
                                  .hi = g->clamp ? 0.5f : INFINITY,
                                  .next = check_random(c, 0, 1) ? (const char *)b : NULL,
                                  .next_step = check_random(c, 0, 200)};
    check_case(c, "m=%zu n=%zu taps=%zu depth=%zu ldc=%zu bias=%d add=%d into=%d clamp=%d at_end=%d data=%d nan=%d",
               g->m, g->n, g->taps, g->depth, g->ldc, g->bias, g->add, g->add_is_c, g->clamp, g->at_end, g->kind,
               g->nan);
    check_fill(c, a, span, g->kind);
    fill_weights(c, g, b);
    fill_rows(c, g, a, span, rows);
    check_fill(c, extra, extra_n, CHECK_UNIFORM);
    for (size_t i = 0; i < g->m; i++)
        for (size_t j = 0; j < (i + 1 < g->m ? g->ldc : g->n); j++)
            y[i * g->ldc + j] = j >= g->n ? 77.0f : g->add_is_c ? before(i, j) : NAN;
    for (size_t i = 0; i < g->m && g->add && !g->add_is_c; i++)
        for (size_t j = 0; j < g->n; j++)
            add[i * g->n + j] = before(i, j);
    run(g->taps, g->depth, rows, b, y, g->ldc, g->m, g->n, &tile);
    return compare(c, g, &tile, rows, b, y) && check_canary(c, A) && check_canary(c, B) && check_canary(c, C) &&
           check_canary(c, EXTRA);
}

static void random_case(check *c, pixel_case *g)
{
    g->ldc = g->n + check_random(c, 0, 5);
    g->at_end = check_random(c, 0, 1);
    g->bias = check_random(c, 0, 1);
    g->add = check_random(c, 0, 1);
    g->add_is_c = g->add && check_random(c, 0, 1);
    if (!g->at_end && g->add && !g->add_is_c)
        g->bias = false;
    g->clamp = check_random(c, 0, 2) == 0;
    g->kind = (int)check_random(c, 0, CHECK_KINDS - 1);
    g->nan = check_random(c, 0, 7) == 0;
}

bool check_pixel_gemm(const char *name, uint64_t seed, clvi_pixel_gemm_f32_fn run, size_t mr, size_t nr)
{
    static const size_t depths[] = {0, 1, 2, 3, 7, 37};
    check c;
    check_start(&c, name, seed);
    for (size_t m = 1; m <= mr; m++) {
        for (size_t n = 1; n <= nr; n++) {
            for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
                pixel_case g = {.mr = mr, .nr = nr, .m = m, .n = n, .depth = depths[d]};
                g.taps = check_random(&c, 1, d % 2 ? MAX_TAPS : 1);
                random_case(&c, &g);
                if (!run_case(&c, run, &g))
                    return false;
            }
        }
    }
    return true;
}
