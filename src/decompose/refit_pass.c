/* SPDX-License-Identifier: Apache-2.0 */
/* A part is a range of blocks with sums of its own. Parts run at once; where H is so large that few of them fit
 * PART_BYTES there is one part, and its products are shared out instead. */
#include "decompose/refit_pass.h"

#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "linalg/matrix.h"

#define BLOCK      ((size_t)256)
#define PARTS      ((size_t)16)
#define PART_BYTES ((size_t)64 << 20)

typedef struct job {
    const clvi_pass *p;
    size_t parts, blocks;
    double *sums; /* [parts, width]: loss, bound, sum t [n], sum t^2 [n], H [n, q], all t less shift */
    size_t width;
    double *scratch; /* [threads, BLOCK, q + n] */
    double *shift;   /* [n] near the mean of t */
    double *offset;  /* [n] bias + w mean_x */
    clvi_pool *pool; /* for products, NULL when parts run at once */
} job;

/* dx = x - mean_x,  z = w dx + offset. */
static void map_block(const job *j, size_t first, size_t rows, double *dx, double *z)
{
    const clvi_pass *p = j->p;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < p->q; i++)
            dx[r * p->q + i] = (double)p->x[(first + r) * p->q + i] - p->mean_x[i];
    for (size_t r = 0; r < rows; r++)
        memcpy(z + r * p->n, j->offset, p->n * sizeof *z);
    clvi_gemm(j->pool, (clvi_out){z, p->n}, 1, 1, clvi_view_of(dx, rows, p->q, p->q),
              clvi_transposed(clvi_view_of(p->w, p->n, p->q, p->q)));
}

/* z becomes the centred target, and the scalars are summed. */
static void target_block(const job *j, size_t first, size_t rows, double *z, double *sums)
{
    const clvi_pass *p = j->p;
    double *sum_t = sums + 2, *sum_tt = sum_t + p->n;
    for (size_t r = 0; r < rows; r++) {
        const float *y = p->y + (first + r) * p->ld, *more = p->shortcut ? p->shortcut + (first + r) * p->ld : NULL;
        for (size_t i = 0; i < p->n; i++) {
            const double extra = more ? (double)more[i] : 0, wanted = (double)y[i], now = z[r * p->n + i] + extra;
            const clvi_piece *f = &p->piece[i];
            sums[0] += clvi_piece_loss(f, wanted, now);
            sums[1] += clvi_piece_bound(f, wanted, now);
            const double t =
                p->lambda > 0 ? clvi_piece_relaxed(f, wanted, now, p->lambda) : clvi_piece_target(f, wanted, now);
            const double d = t - extra - j->shift[i];
            sum_t[i] += d;
            sum_tt[i] += d * d;
            z[r * p->n + i] = d;
        }
    }
}

static void part_task(void *arg, size_t part, int worker)
{
    const job *j = arg;
    const clvi_pass *p = j->p;
    double *sums = j->sums + part * j->width, *h = sums + 2 + 2 * p->n;
    double *dx = j->scratch + (size_t)worker * BLOCK * (p->q + p->n), *z = dx + BLOCK * p->q;
    memset(sums, 0, j->width * sizeof *sums);
    for (size_t b = part * j->blocks / j->parts; b < (part + 1) * j->blocks / j->parts; b++) {
        const size_t first = b * BLOCK, rows = clvi_min_size(BLOCK, p->rows - first);
        map_block(j, first, rows, dx, z);
        target_block(j, first, rows, z, sums);
        clvi_gemm(j->pool, (clvi_out){h, p->q}, 1, 1, clvi_transposed(clvi_view_of(z, rows, p->n, p->n)),
                  clvi_view_of(dx, rows, p->q, p->q));
    }
}

/* Parts in order; x is centred about its own mean, so sum (t - shift)(x - mean)^T needs no correction for shift. */
static void gather_sums(clvi_pass_sums *out, const job *j)
{
    const clvi_pass *p = j->p;
    const double count = (double)p->rows;
    double *total = j->sums;
    for (size_t part = 1; part < j->parts; part++)
        clvi_axpy(j->width, 1, j->sums + part * j->width, total);
    out->loss = total[0];
    out->bound = total[1];
    for (size_t i = 0; i < p->n; i++) {
        const double mean = total[2 + i] / count;
        out->mean_t[i] = j->shift[i] + mean;
        out->var_t[i] = fmax(0, total[2 + p->n + i] / count - mean * mean);
    }
    for (size_t i = 0; i < p->n * p->q; i++)
        out->h[i] = total[2 + 2 * p->n + i] / count;
}

static void prepare(job *j)
{
    const clvi_pass *p = j->p;
    for (size_t i = 0; i < p->n; i++) {
        j->offset[i] =
            p->bias[i] + clvi_dot(clvi_view_of(p->w + i * p->q, 1, p->q, p->q), clvi_view_of(p->mean_x, 1, p->q, p->q));
        j->shift[i] = j->offset[i];
    }
}

clv_status clvi_pass_run(clvi_pass_sums *sums, const clvi_pass *p, clvi_pool *pool, clv_error *err)
{
    job j = {.p = p, .blocks = (p->rows + BLOCK - 1) / BLOCK};
    clv_status st = CLV_OK;
    size_t area, bytes;
    if (!clvi_mul(p->n, p->q, &area) || !clvi_add(area, 2 + 2 * p->n, &j.width) ||
        !clvi_mul(j.width, sizeof(double), &bytes))
        return FAIL(err, CLV_ERR_ARG, "moments of %zu inputs and %zu targets", p->q, p->n);
    j.parts = clvi_max_size(1, clvi_min_size(clvi_min_size(PARTS, j.blocks), PART_BYTES / bytes));
    j.pool = j.parts == 1 ? pool : NULL;
    const size_t workers = j.parts == 1 ? 1 : (size_t)clvi_pool_threads(pool);
    j.sums = clvi_alloc_array(j.parts, bytes);
    j.scratch = clvi_alloc_array(workers * BLOCK, (p->q + p->n) * sizeof(double));
    j.shift = clvi_alloc_array(p->n, sizeof(double));
    j.offset = clvi_alloc_array(p->n, sizeof(double));
    if (!j.sums || !j.scratch || !j.shift || !j.offset) {
        st = FAIL(err, CLV_ERR_NOMEM, "a pass over %zu patches of %zu inputs", p->rows, p->q);
        goto out;
    }
    prepare(&j);
    if (j.parts == 1)
        part_task(&j, 0, 0);
    else
        clvi_pool_run(pool, j.parts, part_task, &j);
    gather_sums(sums, &j);
    if (!isfinite(sums->loss) || !isfinite(sums->bound) || !clvi_all_finite(sums->h, p->n, p->q, p->q))
        st = FAIL(err, CLV_ERR_NUMERIC, "a reservoir of %zu patches holds a NaN or an infinity", p->rows);
out:
    clvi_free(j.sums);
    clvi_free(j.scratch);
    clvi_free(j.shift);
    clvi_free(j.offset);
    return st;
}
