/* SPDX-License-Identifier: Apache-2.0 */
/* Products of row-major float64 matrices: the project's one door to BLAS.
 *
 * Every function gives the same bits for any number of threads: BLAS itself runs on one thread (it is told so
 * for the whole process, at each call), and large products are cut into tiles whose shape depends on sizes alone.
 * Reentrant. */
#ifndef CLVI_LINALG_MATRIX_H
#define CLVI_LINALG_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/pool.h"
#include "base/status.h"

/* A matrix as a product sees it: [rows, cols], stored row-major with leading dimension ld, or transposed. */
typedef struct clvi_view {
    const double *p;
    size_t rows, cols, ld;
    bool transposed; /* stored as [cols, rows] */
} clvi_view;

static inline clvi_view clvi_view_of(const double *p, size_t rows, size_t cols, size_t ld)
{
    return (clvi_view){p, rows, cols, ld, false};
}

static inline clvi_view clvi_transposed(clvi_view v)
{
    return (clvi_view){v.p, v.cols, v.rows, v.ld, !v.transposed};
}

/* Where a product goes; its shape follows from the factors. */
typedef struct clvi_out {
    double *p;
    size_t ld;
} clvi_out;

/* c[a.rows, b.cols] = beta c + alpha a b.  a.cols == b.rows.  beta == 0 overwrites, even NaN. pool may be NULL. */
void clvi_gemm(clvi_pool *pool, clvi_out c, double beta, double alpha, clvi_view a, clvi_view b);

/* c[a.rows, a.rows] = beta c + alpha a a^T, both triangles (of c the lower one is read). */
void clvi_syrk(clvi_pool *pool, clvi_out c, double beta, double alpha, clvi_view a);

/* The same, the lower triangle alone is written. */
void clvi_syrk_lower(clvi_pool *pool, clvi_out c, double beta, double alpha, clvi_view a);

/* c[a.rows, a.rows] = beta c + alpha a b where a b is known to be symmetric: the lower triangle alone is right. */
void clvi_gemm_lower(clvi_pool *pool, clvi_out c, double beta, double alpha, clvi_view a, clvi_view b);

/* Row and column of tile number `index` of a lower triangle, counted row by row: (0,0) (1,0) (1,1) (2,0) ... */
size_t clvi_lower_place(size_t index, size_t *column);

/* Copy the strict lower triangle of a[n, n] onto the upper one. */
void clvi_mirror_lower(double *a, size_t n, size_t ld);

/* b[n, cols] = L^-1 b, or L^-T b when transposed; L[n, n] lower triangular in l. */
void clvi_solve_lower(clvi_pool *pool, clvi_view l, bool transposed, clvi_out b, size_t cols);

/* b[rows, n] = b L^-1, or b L^-T when transposed. */
void clvi_solve_lower_right(clvi_pool *pool, clvi_view l, bool transposed, clvi_out b, size_t rows);

/* sum_ij a_ij b_ij over [rows, cols]. */
double clvi_dot(clvi_view a, clvi_view b);

/* y += alpha x over n contiguous elements. */
void clvi_axpy(size_t n, double alpha, const double *x, double *y);

/* False when any element of a[rows, cols] is NaN or infinite. */
bool clvi_all_finite(const double *a, size_t rows, size_t cols, size_t ld);

#endif
