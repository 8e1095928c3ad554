/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles: a product of more than TILE_WORK multiply-adds is cut into pieces of the result, all of one size near
 * TILE x TILE, and an even number of them where they are few. The cut does not look at the pool, so that one
 * thread and sixty-four compute the same pieces. */
#include "linalg/matrix.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>

#include "base/size.h"
#include "base/work.h"
#include "linalg/blas.h"

#define TILE_WORK ((size_t)1 << 21)
#define TILE      ((size_t)256) /* rows and columns of a piece */
#define LARGE \
    ((size_t)512) /* and where so large ones are enough for many threads: BLAS packs both factors anew for each */
#define EDGE        ((size_t)128) /* of the tiles of a symmetric product, twice that from EDGES tiles on, and again */
#define EDGES       ((size_t)8)
#define SOLVED      ((size_t)64) /* right-hand sides solved by one task at least, and at most */
#define SOLVED_MOST ((size_t)256)
#define FEW         ((size_t)16) /* tiles: of so many or more the last one does not matter to two threads */

static blasint as_int(size_t n)
{
    assert(n <= INT_MAX);
    return (blasint)n;
}

static CBLAS_TRANSPOSE trans_of(clvi_view v)
{
    return v.transposed ? CblasTrans : CblasNoTrans;
}

static const double *at(clvi_view v, size_t row, size_t col)
{
    return v.transposed ? v.p + col * v.ld + row : v.p + row * v.ld + col;
}

typedef struct product {
    clvi_out c;
    double beta, alpha;
    clvi_view a, b;
    size_t tile_columns; /* tiles in a row of them */
    size_t tile_rows, tile_cols;
    bool square; /* b = a^T */
} product;

static void gemm_block(const product *p, size_t row, size_t rows, size_t col, size_t cols)
{
    const uint64_t start = clvi_work_start();
    cblas_dgemm(CblasRowMajor, trans_of(p->a), trans_of(p->b), as_int(rows), as_int(cols), as_int(p->a.cols), p->alpha,
                at(p->a, row, 0), as_int(p->a.ld), at(p->b, 0, col), as_int(p->b.ld), p->beta,
                p->c.p + row * p->c.ld + col, as_int(p->c.ld));
    clvi_work_add(CLVI_WORK_PRODUCTS, start, (double)rows * (double)cols * (double)p->a.cols);
}

static void syrk_block(const product *p, size_t row, size_t rows)
{
    const uint64_t start = clvi_work_start();
    cblas_dsyrk(CblasRowMajor, CblasLower, trans_of(p->a), as_int(rows), as_int(p->a.cols), p->alpha, at(p->a, row, 0),
                as_int(p->a.ld), p->beta, p->c.p + row * p->c.ld + row, as_int(p->c.ld));
    clvi_work_add(CLVI_WORK_PRODUCTS, start, 0.5 * (double)rows * (double)rows * (double)p->a.cols);
}

static void gemm_task(void *arg, size_t index, int worker)
{
    const product *p = arg;
    const size_t row = index / p->tile_columns * p->tile_rows, col = index % p->tile_columns * p->tile_cols;
    (void)worker;
    gemm_block(p, row, clvi_min_size(p->tile_rows, p->a.rows - row), col, clvi_min_size(p->tile_cols, p->b.cols - col));
}

/* How many pieces of about `size` n is best cut into. */
static size_t pieces(size_t n, size_t size)
{
    return clvi_max_size(1, (n + size / 2) / size);
}

/* Length of each of so many pieces but the last, which is no longer: a multiple of what a kernel computes at once. */
static size_t piece(size_t n, size_t count)
{
    return ((n + count - 1) / count + 7) / 8 * 8;
}

void clvi_gemm(clvi_pool *pool, clvi_out c, double beta, double alpha, clvi_view a, clvi_view b)
{
    assert(a.cols == b.rows);
    product p = {.c = c, .beta = beta, .alpha = alpha, .a = a, .b = b};
    if (a.rows == 0 || b.cols == 0)
        return;
    clvi_blas_prepare();
    if (a.cols == 0) { /* BLAS leaves leading dimensions of 0 to the caller */
        for (size_t i = 0; i < a.rows; i++)
            for (size_t j = 0; j < b.cols; j++)
                c.p[i * c.ld + j] = beta == 0 ? 0 : beta * c.p[i * c.ld + j];
        return;
    }
    if (a.rows * b.cols * a.cols <= TILE_WORK) {
        gemm_block(&p, 0, a.rows, 0, b.cols);
        return;
    }
    const size_t tile = a.rows * b.cols >= FEW / 2 * LARGE * LARGE ? LARGE : TILE;
    const size_t down = pieces(a.rows, tile), wide = pieces(b.cols, tile);
    const bool unfair = down * wide % 2 == 1 && down * wide < FEW;
    p.tile_rows = piece(a.rows, down + (unfair && a.rows > b.cols));
    p.tile_cols = piece(b.cols, wide + (unfair && a.rows <= b.cols));
    p.tile_columns = (b.cols + p.tile_cols - 1) / p.tile_cols;
    clvi_pool_run(pool, p.tile_columns * ((a.rows + p.tile_rows - 1) / p.tile_rows), gemm_task, &p);
}

size_t clvi_lower_place(size_t index, size_t *column)
{
    size_t row = 0;
    while ((row + 1) * (row + 2) / 2 <= index)
        row++;
    *column = index - row * (row + 1) / 2;
    return row;
}

static void lower_task(void *arg, size_t index, int worker)
{
    const product *p = arg;
    size_t j;
    (void)worker;
    const size_t row = clvi_lower_place(index, &j) * p->tile_rows, col = j * p->tile_rows;
    const size_t rows = clvi_min_size(p->tile_rows, p->a.rows - row);
    if (row == col && p->square)
        syrk_block(p, row, rows);
    else
        gemm_block(p, row, rows, col, clvi_min_size(p->tile_rows, rows + row - col));
}

static void lower(clvi_pool *pool, product *p)
{
    const size_t n = p->a.rows;
    if (n == 0)
        return;
    clvi_blas_prepare();
    if (p->a.cols == 0) {
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++)
                p->c.p[i * p->c.ld + j] = p->beta == 0 ? 0 : p->beta * p->c.p[i * p->c.ld + j];
        return;
    }
    p->tile_rows = n * n * p->a.cols <= TILE_WORK ? n
                   : n >= 4 * EDGES * EDGE        ? 4 * EDGE
                   : n >= EDGES * EDGE            ? 2 * EDGE
                                                  : EDGE;
    const size_t tiles = (n + p->tile_rows - 1) / p->tile_rows;
    clvi_pool_run(tiles > 1 ? pool : NULL, tiles * (tiles + 1) / 2, lower_task, p);
}

void clvi_syrk_lower(clvi_pool *pool, clvi_out c, double beta, double alpha, clvi_view a)
{
    product p = {.c = c, .beta = beta, .alpha = alpha, .a = a, .b = clvi_transposed(a), .square = true};
    lower(pool, &p);
}

void clvi_gemm_lower(clvi_pool *pool, clvi_out c, double beta, double alpha, clvi_view a, clvi_view b)
{
    assert(a.cols == b.rows && a.rows == b.cols);
    product p = {.c = c, .beta = beta, .alpha = alpha, .a = a, .b = b};
    lower(pool, &p);
}

void clvi_mirror_lower(double *a, size_t n, size_t ld)
{
    const size_t b = 32;
    for (size_t i0 = 0; i0 < n; i0 += b)
        for (size_t j0 = 0; j0 <= i0; j0 += b)
            for (size_t i = i0; i < clvi_min_size(i0 + b, n); i++)
                for (size_t j = j0; j < clvi_min_size(j0 + b, i); j++)
                    a[j * ld + i] = a[i * ld + j];
}

void clvi_syrk(clvi_pool *pool, clvi_out c, double beta, double alpha, clvi_view a)
{
    clvi_syrk_lower(pool, c, beta, alpha, a);
    clvi_mirror_lower(c.p, a.rows, c.ld);
}

typedef struct triangle {
    clvi_view l;
    bool transposed, right; /* which side of b L is on */
    clvi_out b;
    size_t sides, each; /* right-hand sides: columns of b, or rows; of one task */
} triangle;

static void solve_task(void *arg, size_t index, int worker)
{
    const triangle *t = arg;
    const size_t first = index * t->each, sides = clvi_min_size(t->each, t->sides - first);
    const blasint n = as_int(t->l.rows), m = as_int(sides);
    const uint64_t start = clvi_work_start();
    (void)worker;
    cblas_dtrsm(CblasRowMajor, t->right ? CblasRight : CblasLeft, CblasLower, t->transposed ? CblasTrans : CblasNoTrans,
                CblasNonUnit, t->right ? m : n, t->right ? n : m, 1.0, t->l.p, as_int(t->l.ld),
                t->b.p + first * (t->right ? t->b.ld : 1), as_int(t->b.ld));
    clvi_work_add(CLVI_WORK_PRODUCTS, start, 0.5 * (double)t->l.rows * (double)t->l.rows * (double)sides);
}

static void solve(clvi_pool *pool, triangle *t)
{
    if (t->l.rows == 0 || t->sides == 0)
        return;
    clvi_blas_prepare();
    t->each = clvi_max_size(SOLVED, clvi_min_size(SOLVED_MOST, t->sides / FEW * 2 / SOLVED * SOLVED));
    clvi_pool_run(pool, (t->sides + t->each - 1) / t->each, solve_task, t);
}

void clvi_solve_lower(clvi_pool *pool, clvi_view l, bool transposed, clvi_out b, size_t cols)
{
    triangle t = {l, transposed, false, b, cols, 0};
    solve(pool, &t);
}

void clvi_solve_lower_right(clvi_pool *pool, clvi_view l, bool transposed, clvi_out b, size_t rows)
{
    triangle t = {l, transposed, true, b, rows, 0};
    solve(pool, &t);
}

double clvi_dot(clvi_view a, clvi_view b)
{
    double sum = 0;
    assert(a.rows == b.rows && a.cols == b.cols && !a.transposed && !b.transposed);
    clvi_blas_prepare();
    for (size_t i = 0; i < a.rows; i++)
        sum += cblas_ddot(as_int(a.cols), a.p + i * a.ld, 1, b.p + i * b.ld, 1);
    return sum;
}

void clvi_axpy(size_t n, double alpha, const double *x, double *y)
{
    clvi_blas_prepare();
    cblas_daxpy(as_int(n), alpha, x, 1, y, 1);
}

bool clvi_all_finite(const double *a, size_t rows, size_t cols, size_t ld)
{
    double sum = 0; /* 0 * NaN and 0 * Inf are NaN, and NaN stays */
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            sum += 0.0 * a[i * ld + j];
    return sum == 0;
}
