/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/regress.h"

#include <string.h>

#include "base/mem.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

clv_status clvi_solve_spd(clvi_pool *pool, double *a, size_t n, double *x, size_t m, clv_error *err)
{
    if (!clvi_all_finite(x, m, n, n))
        return FAIL(err, CLV_ERR_NUMERIC, "right-hand side of %zu x %zu holds a NaN or an infinity", m, n);
    TRY(clvi_cholesky_shared(pool, a, n, n, err));
    clvi_solve_lower_right(pool, clvi_view_of(a, n, n, n), true, (clvi_out){x, n}, m);
    clvi_solve_lower_right(pool, clvi_view_of(a, n, n, n), false, (clvi_out){x, n}, m);
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
