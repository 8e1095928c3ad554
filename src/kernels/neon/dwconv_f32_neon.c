/* SPDX-License-Identifier: Apache-2.0 */
/* dwconv_f32, NEON: blocks of 4 columns x up to 4 output rows of one plane.
 *
 * An input row is loaded once for each window column and used by every output row of the block that it reaches, so a
 * 3x3 window of stride 1 makes 18 loads for 36 multiply-adds. Blocks inside the plane load plainly. At its edges a load
 * is moved to where it lies inside the row, and tbl puts its elements into their lanes and zero into the others; rows
 * outside are skipped. 3x3 and 5x5 with stride 1 or 2 are compiled with their sizes known; other windows of column
 * stride 1 or 2 use the same body; the rest and planes under 4 columns are left to the reference. Each sum runs over
 * (i, j) in order.
 *
 * Reference: ref/dwconv_f32_ref.c.   Checked under qemu, not measured: docs/perf.md */
#include "kernels/kernel_decls.h"
#include "kernels/neon/lanes_neon.h"

#define MAX_KW     16
#define BLOCK_ROWS 4
#define NOTHING    0xffu /* an index for which tbl gives zero */

/* Where one window column's elements come from: two loads and, for each byte of the 4 lanes, the
 * byte of both that goes there. */
typedef struct pick {
    size_t low, high;
    uint8x16_t bytes;
} pick;

/* The part of a plane that one column block reads. */
typedef struct columns {
    ptrdiff_t from; /* input column of lane 0, window column 0 */
    bool inner;     /* every load is whole and so is the store */
    size_t store;   /* columns left to write */
    pick edge[MAX_KW];
} columns;

/* Lane l is x[at + l * sw], sw 1 or 2, zero outside [0, w), w >= 4. */
static pick plan_pick(ptrdiff_t at, size_t w, size_t sw)
{
    const ptrdiff_t last = (ptrdiff_t)(w - LANES), second = at + (ptrdiff_t)(2 * sw); /* of lanes 0 and 2 */
    const ptrdiff_t low = at < 0 ? 0 : at < last ? at : last, high = second < 0 ? 0 : second < last ? second : last;
    uint8_t bytes[16];
    for (size_t l = 0; l < LANES; l++) {
        const ptrdiff_t column = at + (ptrdiff_t)(l * sw);
        const size_t element = (size_t)(l < 2 ? column - low : column - high + LANES);
        for (size_t i = 0; i < sizeof(float); i++)
            bytes[l * sizeof(float) + i] =
                (uint8_t)(column < 0 || column >= (ptrdiff_t)w ? NOTHING : element * sizeof(float) + i);
    }
    return (pick){.low = (size_t)low, .high = (size_t)high, .bytes = vld1q_u8(bytes)};
}

static void plan_columns(columns *out, const clvi_dwconv_plane *p, size_t q)
{
    const size_t span = (p->kw - 1) * p->dw + LANES * p->sw;
    out->from = (ptrdiff_t)(q * p->sw) - p->pl;
    out->inner = out->from >= 0 && (size_t)out->from + span <= p->w && q + LANES <= p->ow;
    out->store = p->ow - q;
    for (size_t j = 0; j < p->kw && !out->inner; j++)
        out->edge[j] = plan_pick(out->from + (ptrdiff_t)(j * p->dw), p->w, p->sw);
}

/* `row` is the first element of an input row. */
INLINE float32x4_t window(const float *row, const columns *c, size_t j, size_t dw, const size_t sw, const bool inner)
{
    if (inner) {
        const float *const at = row + c->from + (ptrdiff_t)(j * dw);
        const float32x4_t low = vld1q_f32(at);
        return sw == 1 ? low : vuzp1q_f32(low, vld1q_f32(at + LANES));
    }
    const pick *const e = &c->edge[j];
    const uint8x16x2_t both = {
        {vreinterpretq_u8_f32(vld1q_f32(row + e->low)), vreinterpretq_u8_f32(vld1q_f32(row + e->high))}};
    return vreinterpretq_f32_u8(vqtbl2q_u8(both, e->bytes));
}

/* `rows` output rows from r on, for one column block. Dilation of rows is 1 when rows > 1. */
INLINE void block(const clvi_dwconv_plane *p, const float *x, const float *k, float *y, size_t r, const columns *c,
                  const bool inner, const size_t kh, const size_t kw, const size_t sh, const size_t sw,
                  const size_t rows)
{
    const size_t dh = rows > 1 ? 1 : p->dh;
    float32x4_t sum[BLOCK_ROWS];
#pragma GCC unroll 4
    for (size_t s = 0; s < rows; s++)
        sum[s] = vdupq_n_f32(p->bias);
#pragma GCC unroll 12
    for (size_t t = 0; t < (rows - 1) * sh + kh; t++) {
        const ptrdiff_t row = (ptrdiff_t)(r * sh + t * dh) - p->pt;
        if (row < 0 || row >= (ptrdiff_t)p->h)
            continue;
#pragma GCC unroll 5
        for (size_t j = 0; j < kw; j++) {
            const float32x4_t v = window(x + (size_t)row * p->w, c, j, p->dw, sw, inner);
#pragma GCC unroll 4
            for (size_t s = 0; s < rows; s++)
                if (t >= s * sh && t - s * sh < kh)
                    sum[s] = vfmaq_n_f32(sum[s], v, k[(t - s * sh) * kw + j]);
        }
    }
#pragma GCC unroll 4
    for (size_t s = 0; s < rows; s++)
        store_part(y + (r + s) * p->ow, clamp(sum[s], p->lo, p->hi), inner ? LANES : c->store);
}

INLINE void column_block(const clvi_dwconv_plane *p, const float *x, const float *k, float *y, const columns *c,
                         const bool inner, const size_t kh, const size_t kw, const size_t sh, const size_t sw,
                         const size_t rows)
{
    size_t r = 0;
    for (; r + rows <= p->oh; r += rows)
        block(p, x, k, y, r, c, inner, kh, kw, sh, sw, rows);
    for (; r < p->oh; r++)
        block(p, x, k, y, r, c, inner, kh, kw, sh, sw, 1);
}

INLINE void plane(const clvi_dwconv_plane *p, const float *x, const float *k, float *y, const size_t kh,
                  const size_t kw, const size_t sh, const size_t sw, const size_t rows)
{
    columns c;
    for (size_t q = 0; q < p->ow; q += LANES) {
        plan_columns(&c, p, q);
        if (c.inner)
            column_block(p, x, k, y + q, &c, true, kh, kw, sh, sw, rows);
        else
            column_block(p, x, k, y + q, &c, false, kh, kw, sh, sw, rows);
    }
}

void clvk_dwconv_f32__neon(const clvi_dwconv_plane *p, const float *x, const float *k, float *y)
{
    const bool square = p->kh == p->kw && p->sh == p->sw && p->dh == 1;
    if (p->sw > 2 || p->kw > MAX_KW || p->w < LANES)
        clvk_dwconv_f32__ref(p, x, k, y);
    else if (square && p->kh == 3 && p->sh == 1)
        plane(p, x, k, y, 3, 3, 1, 1, 4);
    else if (square && p->kh == 3)
        plane(p, x, k, y, 3, 3, 2, 2, 4);
    else if (square && p->kh == 5 && p->sh == 1)
        plane(p, x, k, y, 5, 5, 1, 1, 4);
    else if (square && p->kh == 5)
        plane(p, x, k, y, 5, 5, 2, 2, 4);
    else
        plane(p, x, k, y, p->kh, p->kw, p->sh, p->sw, 1);
}
