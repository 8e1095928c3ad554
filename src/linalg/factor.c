/* SPDX-License-Identifier: Apache-2.0 */
/* LAPACK is column-major. A symmetric matrix is its own transpose, so only "lower" becomes "upper"; for the SVD the
 * row-major a[m, n] is the column-major a^T, whose left vectors are our right ones, so the two buffers are swapped. */
#include "linalg/factor.h"

#include <assert.h>
#include <cblas.h>
#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "base/work.h"
#include "linalg/blas.h"
#include "linalg/matrix.h"

#define SMALL 32 /* eigenproblems up to this order (one kernel's taps) need no allocation */

static clv_status check(const double *a, size_t rows, size_t cols, size_t ld, clv_error *err)
{
    if (rows > INT_MAX || cols > INT_MAX || ld > INT_MAX)
        return FAIL(err, CLV_ERR_ARG, "matrix of %zu x %zu is larger than LAPACK can index", rows, cols);
    clvi_blas_prepare();
    if (!clvi_all_finite(a, rows, cols, ld))
        return FAIL(err, CLV_ERR_NUMERIC, "matrix of %zu x %zu holds a NaN or an infinity", rows, cols);
    return CLV_OK;
}

clv_status clvi_cholesky(double *a, size_t n, size_t ld, clv_error *err)
{
    if (n == 0)
        return CLV_OK;
    TRY(check(a, n, n, ld, err));
    const uint64_t start = clvi_work_start();
    const lapack_int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, a, (lapack_int)ld);
    clvi_work_add(CLVI_WORK_FACTORS, start, 0);
    assert(info >= 0);
    if (info > 0)
        return FAIL(err, CLV_ERR_NUMERIC, "matrix of order %zu is not positive definite (minor %d)", n, (int)info);
    return CLV_OK;
}

#define BLOCK ((size_t)256) /* columns that are factored at once */

clv_status clvi_cholesky_shared(clvi_pool *pool, double *a, size_t n, size_t ld, clv_error *err)
{
    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t size = clvi_min_size(BLOCK, n - at), below = n - at - size;
        double *const diagonal = a + at * ld + at, *const panel = diagonal + size * ld;
        clv_status st = clvi_cholesky(diagonal, size, ld, err);
        if (st != CLV_OK)
            return st == CLV_ERR_NUMERIC && err ? clvi_fail_prefix(err, st, "in a larger matrix") : st;
        clvi_solve_lower_right(pool, clvi_view_of(diagonal, size, size, ld), true, (clvi_out){panel, ld}, below);
        clvi_syrk_lower(pool, (clvi_out){panel + size, ld}, 1, -1, clvi_view_of(panel, below, size, ld));
    }
    return CLV_OK;
}

typedef struct inverse {
    double *a, *x; /* L, then the result; L^-1, whose blocks above the diagonal are zero */
    size_t n;
} inverse;

/* Block column `index` of L^-1: zero above the diagonal, so that only what is below is solved for. */
static void invert_column(void *arg, size_t index, int worker)
{
    const inverse *v = arg;
    const size_t n = v->n, at = index * BLOCK, size = clvi_min_size(BLOCK, n - at);
    (void)worker;
    for (size_t j = at; j < at + size; j++)
        v->x[j * n + j] = 1;
    clvi_solve_lower(NULL, clvi_view_of(v->a + at * n + at, n - at, n - at, n), false,
                     (clvi_out){v->x + at * n + at, n}, size);
}

/* A block of the lower triangle of L^-T L^-1: rows of L^-1 above it have nothing in its columns. */
static void multiply_inverse(void *arg, size_t index, int worker)
{
    const inverse *v = arg;
    const size_t n = v->n;
    size_t j;
    (void)worker;
    const size_t row = clvi_lower_place(index, &j) * BLOCK, col = j * BLOCK;
    const size_t rows = clvi_min_size(BLOCK, n - row), cols = clvi_min_size(BLOCK, n - col);
    clvi_gemm(NULL, (clvi_out){v->a + row * n + col, n}, 0, 1,
              clvi_transposed(clvi_view_of(v->x + row * n + row, n - row, rows, n)),
              clvi_view_of(v->x + row * n + col, n - row, cols, n));
}

clv_status clvi_inverse_spd(clvi_pool *pool, double *a, size_t n, clv_error *err)
{
    const size_t blocks = (n + BLOCK - 1) / BLOCK;
    inverse v = {.a = a, .n = n};
    TRY(clvi_cholesky_shared(pool, a, n, n, err));
    v.x = clvi_calloc(n, n * sizeof *v.x);
    if (!v.x)
        return FAIL(err, CLV_ERR_NOMEM, "inverse of a matrix of order %zu", n);
    clvi_pool_run(pool, blocks, invert_column, &v);
    clvi_pool_run(pool, blocks * (blocks + 1) / 2, multiply_inverse, &v);
    clvi_free(v.x);
    return CLV_OK;
}

/* +1 or -1: what makes the largest-magnitude of n entries positive. */
static double sign_of(const double *v, size_t n, size_t stride)
{
    double best = 0, sign = 1;
    for (size_t i = 0; i < n; i++) {
        const double x = v[i * stride];
        if (fabs(x) > best) {
            best = fabs(x);
            sign = x < 0 ? -1 : 1;
        }
    }
    return sign;
}

static void reverse_rows(double *a, double *values, size_t n)
{
    for (size_t i = 0, k = n - 1; i < k; i++, k--) {
        const double t = values[i];
        values[i] = values[k];
        values[k] = t;
        for (size_t j = 0; j < n; j++) {
            const double x = a[i * n + j];
            a[i * n + j] = a[k * n + j];
            a[k * n + j] = x;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (sign_of(a + i * n, n, 1) < 0)
            for (size_t j = 0; j < n; j++)
                a[i * n + j] = -a[i * n + j];
}

clv_status clvi_eigh(double *a, double *values, size_t n, clv_error *err)
{
    double stack[3 * SMALL], *work = stack, query = 0;
    lapack_int lwork = 3 * SMALL, info;
    if (n == 0)
        return CLV_OK;
    TRY(check(a, n, n, n, err));
    if (n > SMALL) {
        info = LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)n, a, (lapack_int)n, values, &query, -1);
        assert(info == 0);
        lwork = (lapack_int)query;
        work = clvi_alloc_array((size_t)lwork, sizeof *work);
        if (!work)
            return FAIL(err, CLV_ERR_NOMEM, "eigenvectors of a matrix of order %zu", n);
    }
    const uint64_t start = clvi_work_start();
    info = LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)n, a, (lapack_int)n, values, work, lwork);
    clvi_work_add(CLVI_WORK_FACTORS, start, 0);
    if (work != stack)
        clvi_free(work);
    assert(info >= 0);
    if (info > 0)
        return FAIL(err, CLV_ERR_NUMERIC, "eigenvalues of a matrix of order %zu did not converge (dsyev %d)", n,
                    (int)info);
    reverse_rows(a, values, n);
    return CLV_OK;
}

clv_status clvi_svd(double *a, size_t m, size_t n, double *u, double *s, double *vt, clv_error *err)
{
    const size_t r = clvi_min_size(m, n);
    double query = 0;
    if (r == 0)
        return CLV_OK;
    TRY(check(a, m, n, n, err));
    const lapack_int im = (lapack_int)m, in = (lapack_int)n, ir = (lapack_int)r;
    lapack_int *iwork = clvi_alloc_array(8 * r, sizeof *iwork);
    lapack_int info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', in, im, a, in, s, vt, in, u, ir, &query, -1, iwork);
    assert(info == 0);
    const lapack_int lwork = (lapack_int)query;
    double *work = clvi_alloc_array((size_t)lwork, sizeof *work);
    if (!iwork || !work) {
        clvi_free(iwork);
        clvi_free(work);
        return FAIL(err, CLV_ERR_NOMEM, "singular values of a %zu x %zu matrix", m, n);
    }
    const uint64_t start = clvi_work_start();
    info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', in, im, a, in, s, vt, in, u, ir, work, lwork, iwork);
    clvi_work_add(CLVI_WORK_FACTORS, start, 0);
    clvi_free(iwork);
    clvi_free(work);
    assert(info >= 0);
    if (info > 0)
        return FAIL(err, CLV_ERR_NUMERIC, "singular values of a %zu x %zu matrix did not converge (dgesdd %d)", m, n,
                    (int)info);
    for (size_t k = 0; k < r; k++) {
        if (sign_of(u + k, m, r) > 0)
            continue;
        for (size_t i = 0; i < m; i++)
            u[i * r + k] = -u[i * r + k];
        for (size_t j = 0; j < n; j++)
            vt[k * n + j] = -vt[k * n + j];
    }
    return CLV_OK;
}

clv_status clvi_gsvd(const double *w, const double *g, size_t m, size_t n, double *u, double *s, double *v,
                     clv_error *err)
{
    clv_status st = CLV_OK;
    double *l = clvi_alloc_array(n * n, sizeof *l), *wl = clvi_alloc_array(m * n, sizeof *wl);
    if (!l || !wl) {
        st = FAIL(err, CLV_ERR_NOMEM, "generalised SVD of a %zu x %zu matrix", m, n);
        goto out;
    }
    if (m == 0 || n == 0)
        goto out;
    memcpy(l, g, n * n * sizeof *l);
    if ((st = clvi_cholesky(l, n, n, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            l[i * n + j] = 0;
    clvi_gemm(NULL, (clvi_out){wl, n}, 0, 1, clvi_view_of(w, m, n, n), clvi_view_of(l, n, n, n));
    if ((st = clvi_svd(wl, m, n, u, s, v, err)) != CLV_OK)
        goto out;
    clvi_solve_lower_right(NULL, clvi_view_of(l, n, n, n), false, (clvi_out){v, n}, clvi_min_size(m, n));
out:
    clvi_free(l);
    clvi_free(wl);
    return st;
}
