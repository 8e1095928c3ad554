/* SPDX-License-Identifier: Apache-2.0 */
/* B^T d B of a tile's input and A^T M A of its products, from the matrices, in double; the specification of
 * winograd_f32. */
#include "kernels/kernel_decls.h"
#include "kernels/winograd.h"

#define MOST CLVI_WINOGRAD_MOST

/* y[r, q] = sum_{i, j} left[r, i] x[i, j] left[q, j], r, q < rows, i, j < n */
static void both_sides(const double (*left)[MOST], size_t rows, size_t n, const double (*x)[MOST], double (*y)[MOST])
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t q = 0; q < rows; q++) {
            y[r][q] = 0;
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < n; j++)
                    y[r][q] += left[r][i] * x[i][j] * left[q][j];
        }
    }
}

void clvk_winograd_in_f32__ref(size_t m, const float *const *rows, float *v, size_t v_ld, size_t channels)
{
    const clvi_winograd *const w = clvi_winograd_of(m);
    double x[MOST][MOST], y[MOST][MOST];
    for (size_t ch = 0; ch < channels; ch++) {
        for (size_t i = 0; i < w->n * w->n; i++)
            x[i / w->n][i % w->n] = (double)rows[i][ch];
        both_sides(w->bt, w->n, w->n, (const double(*)[MOST])x, y);
        for (size_t i = 0; i < w->n * w->n; i++)
            v[i * v_ld + ch] = (float)y[i / w->n][i % w->n];
    }
}

void clvk_winograd_out_f32__ref(const clvi_winograd_tile *tile, const float *products, float *y, size_t channels)
{
    const clvi_winograd *const w = clvi_winograd_of(tile->m);
    double x[MOST][MOST], sum[MOST][MOST];
    for (size_t ch = 0; ch < channels; ch++) {
        for (size_t i = 0; i < w->n * w->n; i++)
            x[i / w->n][i % w->n] = (double)products[i * tile->products_ld + ch];
        both_sides(w->at, w->m, w->n, (const double(*)[MOST])x, sum);
        for (size_t r = 0; r < tile->rows; r++) {
            for (size_t q = 0; q < tile->columns; q++) {
                double s = sum[r][q] + (tile->bias ? (double)tile->bias[ch] : 0.0);
                if (tile->add)
                    s += (double)tile->add[r * tile->add_row + q * tile->add_ld + ch];
                float z = (float)s;
                z = z < tile->lo ? tile->lo : z;
                y[r * tile->y_row + q * tile->y_ld + ch] = z > tile->hi ? tile->hi : z;
            }
        }
    }
}
