/* SPDX-License-Identifier: Apache-2.0 */
/* im2col_f32, NEON: some panels are cut once into pieces, each the pixels of one output row; then every window row is
 * one copy a piece: zeros where the window is left of the image, pixels, zeros right of it. Several panels are filled
 * together, so that x is read along its rows and not panel by panel down its planes. Column stride 1 copies vectors,
 * 2 the even lanes of two; others go pixel by pixel.
 *
 * Reference: ref/im2col_f32_ref.c.   Checked under qemu, not measured: docs/perf.md */
#include "kernels/kernel_decls.h"
#include "kernels/neon/lanes_neon.h"

#define MAX_PIECES 96

typedef struct piece {
    ptrdiff_t row, column; /* of window element (0, 0) of the first pixel */
    size_t at;             /* offset in b of window row 0 */
    size_t n;              /* pixels of the piece */
    bool live;             /* false: zeros behind the last pixel */
} piece;

/* One panel, n <= nr pixels, whose rows begin at b[at]. Returns the number of pieces, at most nr. */
static size_t cut(const clvi_im2col *p, size_t first, size_t n, size_t at, piece *pieces)
{
    size_t count = 0, r = first / p->ow, q = first % p->ow, step;
    for (size_t u = 0; u < p->nr; u += step, q = 0, r++) {
        const bool live = u < n;
        step = live ? n - u : p->nr - u;
        if (live && step > p->ow - q)
            step = p->ow - q;
        pieces[count++] = (piece){.row = (ptrdiff_t)(r * p->sh) - p->pt,
                                  .column = (ptrdiff_t)(q * p->sw) - p->pl,
                                  .at = at + u,
                                  .n = step,
                                  .live = live};
    }
    return count;
}

INLINE void zero(float *b, size_t n)
{
    size_t u = 0;
    for (; u + LANES <= n; u += LANES)
        vst1q_f32(b + u, vdupq_n_f32(0.0f));
    for (; u < n; u++)
        b[u] = 0.0f;
}

/* b[u] = x[u * stride] for u < n; nothing behind the last of them is read. */
INLINE void copy(float *b, const float *x, size_t n, const size_t stride)
{
    size_t u = 0;
    if (stride == 1) {
        for (; u + LANES <= n; u += LANES)
            vst1q_f32(b + u, vld1q_f32(x + u));
    } else if (stride == 2) {
        for (; u + LANES < n; u += LANES)
            vst1q_f32(b + u, vuzp1q_f32(vld1q_f32(x + 2 * u), vld1q_f32(x + 2 * u + LANES)));
    }
    for (; u < n; u++)
        b[u] = x[u * stride];
}

/* b[u] = x[column + u * stride], zero outside [0, w), for u < n. */
INLINE void window(float *b, const float *x, size_t w, ptrdiff_t column, size_t n, const size_t stride)
{
    const ptrdiff_t right = (ptrdiff_t)w - column;
    size_t begin = column < 0 ? ((size_t)-column + stride - 1) / stride : 0;
    size_t end = right > 0 ? ((size_t)right + stride - 1) / stride : 0;
    end = end < n ? end : n;
    begin = begin < end ? begin : end;
    zero(b, begin);
    if (begin < end)
        copy(b + begin, x + column + (ptrdiff_t)(begin * stride), end - begin, stride);
    zero(b + end, n - end);
}

INLINE void fill(const clvi_im2col *p, const float *x, size_t k0, size_t k, const piece *pieces, size_t count, float *b,
                 const size_t stride)
{
    const size_t h = p->h, w = p->w, dh = p->dh, dw = p->dw, nr = p->nr;
    size_t j = k0 % p->kw, i = k0 / p->kw % p->kh;
    x += k0 / p->kw / p->kh * h * w;
    for (size_t t = 0; t < k; t++, b += nr) {
        for (size_t u = 0; u < count; u++) {
            const size_t row = (size_t)pieces[u].row + i * dh; /* above h when negative */
            if (pieces[u].live && row < h)
                window(b + pieces[u].at, x + row * w, w, pieces[u].column + (ptrdiff_t)(j * dw), pieces[u].n, stride);
            else
                zero(b + pieces[u].at, pieces[u].n);
        }
        if (++j == p->kw) {
            j = 0;
            if (++i == p->kh) {
                i = 0;
                x += h * w;
            }
        }
    }
}

void clvk_im2col_f32__neon(const clvi_im2col *p, const float *x, size_t k0, size_t k, size_t first, size_t n, float *b)
{
    piece pieces[MAX_PIECES];
    if (p->nr > MAX_PIECES / 2) {
        clvk_im2col_f32__ref(p, x, k0, k, first, n, b);
        return;
    }
    for (size_t done = 0; done < n;) {
        size_t count = 0, at = 0;
        const size_t begin = done;
        for (; done < n && count + p->nr <= MAX_PIECES; done += p->nr, at += k * p->nr)
            count += cut(p, first + done, n - done < p->nr ? n - done : p->nr, at, pieces + count);
        if (p->sw == 1)
            fill(p, x, k0, k, pieces, count, b + begin * k, 1);
        else if (p->sw == 2)
            fill(p, x, k0, k, pieces, count, b + begin * k, 2);
        else
            fill(p, x, k0, k, pieces, count, b + begin * k, p->sw);
    }
}
