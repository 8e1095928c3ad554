/* SPDX-License-Identifier: Apache-2.0 */
/* Packing and the blocked product. A task computes one block of C; it packs the part of A and B that it needs, one
 * block of k at a time, into its worker's scratch: B [panel][k][nr] stays in L2, a panel of A in L1. */
#include "ops/conv_product.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

#define K_BLOCK   384 /* 14 rows of A are then 21 KB: two thirds of L1 */
#define ROW_BLOCK 112 /* of C, for one task */
#define COL_BLOCK 128

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

size_t clvi_k_count(size_t k)
{
    return k ? ceil_div(k, K_BLOCK) : 1;
}

size_t clvi_k_begin(size_t k, size_t block)
{
    const size_t count = clvi_k_count(k), extra = k % count;
    return k / count * block + (block < extra ? block : extra);
}

size_t clvi_k_largest(size_t k)
{
    return ceil_div(k, clvi_k_count(k));
}

void clvi_pack_rows(const clvi_matrix *a, float scale, size_t mr, float *packed)
{
    const clvi_panels panels = clvi_panels_of(a->rows, mr);
    for (size_t p = 0; p < panels.count; p++) {
        const size_t first = clvi_panel_begin(&panels, p), m = clvi_panel_begin(&panels, p + 1) - first;
        for (size_t t = 0; t < a->columns; t++, packed += mr) {
            const float *from = a->data + first * a->rs + t * a->cs;
            for (size_t i = 0; i < mr; i++)
                packed[i] = i < m ? scale * from[i * a->rs] : 0.0f;
        }
    }
}

size_t clvi_packed_columns(const clvi_matrix *b, size_t nr)
{
    return clvi_round_up(b->columns, nr) * b->rows;
}

void clvi_pack_columns(const clvi_matrix *b, size_t nr, float *packed)
{
    for (size_t first = 0; first < b->columns; first += nr) {
        const size_t n = clvi_min_size(nr, b->columns - first);
        for (size_t t = 0; t < b->rows; t++, packed += nr) {
            const float *from = b->data + t * b->rs + first * b->cs;
            for (size_t j = 0; j < nr; j++)
                packed[j] = j < n ? from[j * b->cs] : 0.0f;
        }
    }
}

clv_status clvi_product_pack(const clvi_matrix *b, const clvi_kernels *kernels, const char *label, void **packed,
                             clv_error *err)
{
    const size_t nr = kernels->gemm_f32.nr;
    size_t floats;
    if (b->rows == 0 || b->columns == 0)
        return CLV_OK;
    *packed =
        clvi_mul(clvi_round_up(b->columns, nr), b->rows, &floats) ? clvi_alloc_array(floats, sizeof(float)) : NULL;
    if (!*packed)
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\": packed matrix of %zu x %zu", label, b->rows, b->columns);
    clvi_pack_columns(b, nr, *packed);
    return CLV_OK;
}

typedef struct blocks {
    size_t rows, columns;      /* of a block of C */
    size_t down, across;       /* blocks */
    size_t a_floats, b_floats; /* scratch of one worker */
} blocks;

static blocks cut(size_t m, size_t n, size_t k, const clvi_kernels *kernels)
{
    const size_t nr = kernels->gemm_f32.nr, mr = kernels->gemm_f32.mr;
    blocks b = {.rows = clvi_min_size(ROW_BLOCK, m), .columns = clvi_min_size(COL_BLOCK, n)};
    b.columns = clvi_round_up(b.columns, nr);
    b.down = ceil_div(m, b.rows);
    b.across = ceil_div(n, b.columns);
    b.a_floats = clvi_round_up(clvi_panels_of(b.rows, mr).count * mr * clvi_k_largest(k), CLV_ALIGN / sizeof(float));
    b.b_floats = clvi_round_up(b.columns * clvi_k_largest(k), CLV_ALIGN / sizeof(float));
    return b;
}

size_t clvi_product_work(size_t m, size_t n, size_t k, const clvi_kernels *kernels, int threads)
{
    if (m == 0 || n == 0)
        return 0;
    const blocks b = cut(m, n, k, kernels);
    return (b.a_floats + b.b_floats) * sizeof(float) * (size_t)threads;
}

typedef struct product_run {
    const clvi_product *p;
    blocks cut;
} product_run;

/* One block of k: C block (+)= A block * B block. a and b are the worker's scratch. */
static void k_step(const product_run *run, size_t row, size_t column, size_t k0, size_t k1, bool accumulate, float *a,
                   float *b)
{
    const clvi_product *p = run->p;
    const clvi_gemm_f32 *gemm = &p->kernels->gemm_f32;
    const size_t mr = gemm->mr, nr = gemm->nr, k = k1 - k0;
    const size_t m = clvi_min_size(run->cut.rows, p->a.rows - row);
    const size_t n = clvi_min_size(run->cut.columns, p->b.columns - column);
    const clvi_gemm_tile tile = {.accumulate = accumulate, .lo = -INFINITY, .hi = INFINITY};
    const clvi_matrix rows = {p->a.data + row * p->a.rs + k0 * p->a.cs, m, k, p->a.rs, p->a.cs};
    const float *panels = b;
    size_t panel_floats = k * nr;

    clvi_pack_rows(&rows, p->scale, mr, a);
    if (p->packed_b) {
        panels = p->packed_b + column * p->a.columns + k0 * nr; /* column is a multiple of nr */
        panel_floats = p->a.columns * nr;
    } else {
        const clvi_matrix columns = {p->b.data + k0 * p->b.rs + column * p->b.cs, k, n, p->b.rs, p->b.cs};
        clvi_pack_columns(&columns, nr, b);
    }
    const clvi_panels cut = clvi_panels_of(m, mr);
    for (size_t i = 0; i < cut.count; i++) {
        const size_t first = clvi_panel_begin(&cut, i), count = clvi_panel_begin(&cut, i + 1) - first;
        for (size_t j = 0; j * nr < n; j++)
            gemm->run(k, a + i * k * mr, panels + j * panel_floats,
                      p->c + (row + first) * p->b.columns + column + j * nr, p->b.columns, count,
                      clvi_min_size(nr, n - j * nr), &tile);
    }
}

static void product_block(void *arg, size_t index, int worker)
{
    const product_run *run = arg;
    const size_t row = index / run->cut.across * run->cut.rows, column = index % run->cut.across * run->cut.columns;
    const size_t k = run->p->a.columns;
    float *a = (float *)run->p->work + (size_t)worker * (run->cut.a_floats + run->cut.b_floats);
    for (size_t i = 0; i < clvi_k_count(k); i++)
        k_step(run, row, column, clvi_k_begin(k, i), clvi_k_begin(k, i + 1), run->p->accumulate || i > 0, a,
               a + run->cut.a_floats);
}

void clvi_product_run(const clvi_product *p)
{
    if (p->a.rows == 0 || p->b.columns == 0)
        return;
    product_run run = {.p = p, .cut = cut(p->a.rows, p->b.columns, p->a.columns, p->kernels)};
    clvi_pool_run(p->pool, run.cut.down * run.cut.across, product_block, &run);
}
