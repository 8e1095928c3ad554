/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_f32: every m and n of a tile, short and long k, gaps between the rows of C, each epilogue. */
#include <math.h>

#include "kernel/check.h"

typedef struct gemm_case {
    size_t mr, nr, m, n, k, ldc;
    bool bias, accumulate, clamp, at_end;
    int kind;
    bool nan; /* one element of A and one of B are NaN */
} gemm_case;

enum { A, B, C, BIAS };

static float before(size_t row, size_t column)
{
    return (float)row - 0.5f * (float)column;
}

/* C inside the tile starts as NaN, or as before() when it is added to; the gaps hold 77. */
static void fill_c(const gemm_case *g, float *c)
{
    for (size_t i = 0; i < g->m; i++)
        for (size_t j = 0; j < (i + 1 < g->m ? g->ldc : g->n); j++)
            c[i * g->ldc + j] = j >= g->n ? 77.0f : g->accumulate ? before(i, j) : NAN;
}

static void fill_inputs(check *c, const gemm_case *g, float *a, float *b)
{
    check_fill(c, a, g->k * g->mr, g->kind);
    check_fill(c, b, g->k * g->nr, g->kind);
    for (size_t t = 0; t < g->k; t++) {
        for (size_t i = g->m; i < g->mr; i++)
            a[t * g->mr + i] = 0.0f;
        for (size_t j = g->n; j < g->nr; j++)
            b[t * g->nr + j] = 0.0f;
    }
    if (g->nan && g->k > 0) {
        a[check_random(c, 0, g->k - 1) * g->mr + check_random(c, 0, g->m - 1)] = NAN;
        b[check_random(c, 0, g->k - 1) * g->nr + check_random(c, 0, g->n - 1)] = NAN;
    }
}

static bool compare(check *c, const gemm_case *g, const clvi_gemm_tile *tile, const float *a, const float *b,
                    const float *got)
{
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < g->n; j++) {
            double want = 0, size = 0;
            for (size_t t = 0; t < g->k; t++) {
                const double product = (double)a[t * g->mr + i] * (double)b[t * g->nr + j];
                want += product;
                size += fabs(product);
            }
            const double extra[2] = {g->bias ? (double)tile->bias[i] : 0.0, g->accumulate ? (double)before(i, j) : 0.0};
            want += extra[0] + extra[1];
            size += fabs(extra[0]) + fabs(extra[1]);
            want = want < (double)tile->lo ? (double)tile->lo : want > (double)tile->hi ? (double)tile->hi : want;
            if (!check_near(got[i * g->ldc + j], want, size, g->k + 2)) {
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

static bool run_case(check *c, clvi_gemm_f32_fn run, const gemm_case *g)
{
    float *a = check_buffer(A, g->k * g->mr, g->at_end), *b = check_buffer(B, g->k * g->nr, g->at_end);
    float *y = check_buffer(C, (g->m - 1) * g->ldc + g->n, g->at_end), *bias = check_buffer(BIAS, g->m, g->at_end);
    const clvi_gemm_tile tile = {.bias = g->bias ? bias : NULL,
                                 .accumulate = g->accumulate,
                                 .lo = g->clamp ? -0.25f : -INFINITY,
                                 .hi = g->clamp ? 0.5f : INFINITY};
    check_case(c, "m=%zu n=%zu k=%zu ldc=%zu bias=%d accumulate=%d clamp=%d at_end=%d data=%d nan=%d", g->m, g->n, g->k,
               g->ldc, g->bias, g->accumulate, g->clamp, g->at_end, g->kind, g->nan);
    fill_inputs(c, g, a, b);
    check_fill(c, bias, g->m, CHECK_UNIFORM);
    fill_c(g, y);
    run(g->k, a, b, y, g->ldc, g->m, g->n, &tile);
    return compare(c, g, &tile, a, b, y) && check_canary(c, A) && check_canary(c, B) && check_canary(c, C) &&
           check_canary(c, BIAS);
}

static void random_case(check *c, gemm_case *g)
{
    g->ldc = g->n + check_random(c, 0, 5);
    g->bias = check_random(c, 0, 1);
    g->accumulate = check_random(c, 0, 1);
    g->clamp = check_random(c, 0, 2) == 0;
    g->at_end = check_random(c, 0, 1);
    g->kind = (int)check_random(c, 0, CHECK_KINDS - 1);
    g->nan = check_random(c, 0, 7) == 0;
}

bool check_gemm(const char *name, uint64_t seed, clvi_gemm_f32_fn run, size_t mr, size_t nr)
{
    static const size_t depths[] = {0, 1, 2, 3, 7, 37};
    check c;
    check_start(&c, name, seed);
    for (size_t m = 1; m <= mr; m++) {
        for (size_t n = 1; n <= nr; n++) {
            for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
                gemm_case g = {.mr = mr, .nr = nr, .m = m, .n = n, .k = depths[d]};
                random_case(&c, &g);
                if (!run_case(&c, run, &g))
                    return false;
            }
        }
    }
    for (int i = 0; i < 200; i++) {
        gemm_case g = {.mr = mr, .nr = nr};
        g.m = check_random(&c, 1, mr);
        g.n = check_random(&c, 1, nr);
        g.k = check_random(&c, 0, 700);
        random_case(&c, &g);
        if (!run_case(&c, run, &g))
            return false;
    }
    return true;
}
