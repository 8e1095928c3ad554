/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products in blocks: packing, and C = A B over the tiles of the gemm kernel. */
#ifndef CLVI_OPS_CONV_PRODUCT_H
#define CLVI_OPS_CONV_PRODUCT_H

#include "base/pool.h"
#include "base/status.h"
#include "kernels/kernels.h"

/* Rows cut into the fewest panels of at most mr rows, as equal as possible: 16 rows with mr 14 are 8 + 8. To be made
 * once for a loop, since it divides: docs/perf.md, "Small layers". */
typedef struct clvi_panels {
    size_t count, each, extra; /* the first `extra` have one row more than `each` */
} clvi_panels;

static inline clvi_panels clvi_panels_of(size_t rows, size_t mr)
{
    const size_t count = rows / mr + (rows % mr != 0), each = count ? rows / count : 0;
    return (clvi_panels){count, each, rows - each * count};
}

static inline size_t clvi_panel_begin(const clvi_panels *p, size_t panel)
{
    return p->each * panel + (panel < p->extra ? panel : p->extra);
}

/* The sum over k is cut into equal blocks that fit L1 and L2; fixed by k alone, so the order of a sum is too. */
size_t clvi_k_count(size_t k); /* at least 1 */
size_t clvi_k_begin(size_t k, size_t block);
size_t clvi_k_largest(size_t k); /* the longest block */

/* A matrix view: element (i, j) at data[i * rs + j * cs]. */
typedef struct clvi_matrix {
    const float *data;
    size_t rows, columns, rs, cs;
} clvi_matrix;

/* A [m, k] times scale -> [panel][k][mr], zero-padded. Floats needed: panel_count * k * mr. */
void clvi_pack_rows(const clvi_matrix *a, float scale, size_t mr, float *packed);

/* B [k, n] -> [panel of nr columns][k][nr], zero-padded; and the floats this takes. */
size_t clvi_packed_columns(const clvi_matrix *b, size_t nr);
void clvi_pack_columns(const clvi_matrix *b, size_t nr, float *packed);

/* C[m, n] (+)= scale * A[m, k] B[k, n], row stride of C is n. work: clvi_product_work() bytes, CLV_ALIGN-aligned. */
typedef struct clvi_product {
    clvi_matrix a, b;
    const float *packed_b; /* B as clvi_pack_columns leaves it, then b.data is not read; or NULL */
    float scale;
    float *c;
    bool accumulate;
    const clvi_kernels *kernels;
    clvi_pool *pool;
    void *work;
} clvi_product;

/* packed_b for a constant B. Gives *packed (clvi_free); NULL for an empty B. CLV_ERR_NOMEM names the node. */
clv_status clvi_product_pack(const clvi_matrix *b, const clvi_kernels *kernels, const char *label, void **packed,
                             clv_error *err);

size_t clvi_product_work(size_t m, size_t n, size_t k, const clvi_kernels *kernels, int threads);
void clvi_product_run(const clvi_product *p);

#endif
