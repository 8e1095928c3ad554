/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/regress.h"

#include <string.h>

#include "base/mem.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

/* Rows of x solved by one task. */
#define ROWS ((size_t)64)

typedef struct rows_job {
    clvi_view l;
    double *x;
    size_t m;
} rows_job;

static void solve_rows(void *arg, size_t index, int worker)
{
    const rows_job *job = arg;
    const size_t n = job->l.rows, row = index * ROWS, rows = job->m - row < ROWS ? job->m - row : ROWS;
    const clvi_out x = {job->x + row * n, n};
    (void)worker;
    clvi_solve_lower_right(job->l, true, x, rows);
    clvi_solve_lower_right(job->l, false, x, rows);
}

clv_status clvi_solve_spd(clvi_pool *pool, double *a, size_t n, double *x, size_t m, clv_error *err)
{
    if (!clvi_all_finite(x, m, n, n))
        return FAIL(err, CLV_ERR_NUMERIC, "right-hand side of %zu x %zu holds a NaN or an infinity", m, n);
    TRY(clvi_cholesky(a, n, n, err));
    rows_job job = {clvi_view_of(a, n, n, n), x, m};
    clvi_pool_run(pool, (m + ROWS - 1) / ROWS, solve_rows, &job);
    return CLV_OK;
}

clv_status clvi_ridge_solve(clvi_pool *pool, const clvi_ridge *problem, double *out, clv_error *err)
{
    const size_t n = problem->n, m = problem->m;
    double *a = clvi_alloc_array(n * n, sizeof *a);
    if (!a)
        return FAIL(err, CLV_ERR_NOMEM, "regression on %zu variables", n);
    memcpy(a, problem->s, n * n * sizeof *a);
    for (size_t i = 0; i < n; i++)
        a[i * n + i] += problem->lambda;
    for (size_t i = 0; i < m * n; i++)
        out[i] = problem->h[i] + problem->lambda * problem->w[i];
    const clv_status st = clvi_solve_spd(pool, a, n, out, m, err);
    clvi_free(a);
    return st;
}
