/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/averaged.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "linalg/matrix.h"

clv_status clvi_averaged_create(clvi_averaged *out, const clvi_conv *conv, clv_error *err)
{
    int64_t size[CLVI_AVERAGE_SIZES];
    *out = (clvi_averaged){0};
    if (clvi_form_average.refuses(conv))
        return CLV_OK;
    out->sizes = clvi_average_sizes(size, conv);
    out->o = (size_t)conv->o;
    out->mean = clvi_calloc(out->o, sizeof *out->mean);
    return out->mean ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "means of %lld channels", (long long)conv->o);
}

void clvi_averaged_free(clvi_averaged *sums)
{
    clvi_free(sums->mean);
    *sums = (clvi_averaged){0};
}

/* --- what averaging first gives ------------------------------------------------------------------------------------
 */

/* Share of a map's pixels that are no padding. */
static double inside(const clvi_conv *v)
{
    return (double)(v->map_h * v->map_w) / ((double)(v->map_h + v->pt + v->pb) * (double)(v->map_w + v->pl + v->pr));
}

static double activated(const clvi_piece *f, double z)
{
    return f->scale * clvi_piece_unit(f, z);
}

/* Means of k x k cells: to[c, cells] from x[c, h, w]. */
static void average_cells(double *to, const clvi_conv *v, int64_t k, const float *x)
{
    const size_t h = (size_t)v->map_h, w = (size_t)v->map_w, across = w / (size_t)k, cells = h / (size_t)k * across;
    memset(to, 0, (size_t)v->c * cells * sizeof *to);
    for (size_t c = 0; c < (size_t)v->c; c++)
        for (size_t i = 0; i < h; i++)
            for (size_t j = 0; j < w; j++)
                to[c * cells + i / (size_t)k * across + j / (size_t)k] += (double)x[(c * h + i) * w + j];
    for (size_t i = 0; i < (size_t)v->c * cells; i++)
        to[i] /= (double)(k * k);
}

/* Scratch of one site. */
typedef struct scratch {
    double *w;     /* [o, c] */
    double *cells; /* [c, most] */
    double *z;     /* [o, most] */
    size_t most;
} scratch;

static void scratch_free(scratch *s)
{
    clvi_free(s->w);
    clvi_free(s->cells);
    clvi_free(s->z);
}

static clv_status scratch_create(scratch *s, const clvi_conv *v, clv_error *err)
{
    const size_t o = (size_t)v->o, c = (size_t)v->c;
    *s = (scratch){.most = (size_t)(v->map_h * v->map_w)};
    s->w = clvi_alloc_array(o, c * sizeof *s->w);
    s->cells = clvi_alloc_array(s->most, c * sizeof *s->cells);
    s->z = clvi_alloc_array(s->most, o * sizeof *s->z);
    if (!s->w || !s->cells || !s->z) {
        scratch_free(s);
        return FAIL(err, CLV_ERR_NOMEM, "maps of %lld channels", (long long)v->o);
    }
    for (size_t i = 0; i < o * c; i++)
        s->w[i] = (double)v->w[i];
    return CLV_OK;
}

/* p of one image at size k, into the first column of s->z: [o]. */
static void predict(scratch *s, const clvi_conv *v, const clvi_activation *activation, int64_t k, const float *x)
{
    const size_t o = (size_t)v->o, c = (size_t)v->c, cells = s->most / (size_t)(k * k);
    average_cells(s->cells, v, k, x);
    clvi_gemm(NULL, (clvi_out){s->z, cells}, 0, 1, clvi_view_of(s->w, o, c, c),
              clvi_view_of(s->cells, c, cells, cells));
    for (size_t j = 0; j < o; j++) {
        const clvi_piece f = clvi_activation_piece(activation, j);
        const double bias = v->bias ? (double)v->bias[j] : 0;
        double sum = 0;
        for (size_t i = 0; i < cells; i++)
            sum += activated(&f, s->z[j * cells + i] + bias);
        s->z[j] = inside(v) * sum / (double)cells + (1 - inside(v)) * activated(&f, bias); /* j <= j cells */
    }
}

static void add_image(clvi_averaged *to, scratch *s, const clvi_conv *v, const clvi_activation *activation,
                      const float *x, const float *mean)
{
    int64_t size[CLVI_AVERAGE_SIZES];
    (void)clvi_average_sizes(size, v);
    for (size_t i = 0; i < to->sizes; i++) {
        predict(s, v, activation, size[i], x);
        for (size_t j = 0; j < to->o; j++) {
            to->cross[i] += (double)mean[j] * s->z[j];
            to->own[i] += s->z[j] * s->z[j];
        }
    }
    for (size_t j = 0; j < to->o; j++) {
        to->mean[j] += (double)mean[j];
        to->square += (double)mean[j] * (double)mean[j];
    }
    to->images += 1;
}

clv_status clvi_averaged_add(clvi_averaged *sums, const clvi_conv *v, const clvi_activation *activation, int64_t n,
                             const float *x, const float *mean, const bool *skip, clv_error *err)
{
    scratch s;
    if (sums->o == 0)
        return CLV_OK;
    TRY(scratch_create(&s, v, err));
    for (int64_t i = 0; i < n; i++)
        if (!skip[i])
            add_image(sums, &s, v, activation, x + i * v->c * v->map_h * v->map_w, mean + i * v->o);
    scratch_free(&s);
    return CLV_OK;
}

void clvi_averaged_merge(clvi_averaged *sums, const clvi_averaged *other)
{
    sums->images += other->images;
    sums->square += other->square;
    for (size_t j = 0; j < sums->o; j++)
        sums->mean[j] += other->mean[j];
    for (size_t i = 0; i < sums->sizes; i++) {
        sums->cross[i] += other->cross[i];
        sums->own[i] += other->own[i];
    }
}

double clvi_averaged_error(double *gain, const clvi_averaged *s, size_t i)
{
    double variance = s->square;
    for (size_t j = 0; j < s->o && s->images > 0; j++)
        variance -= s->mean[j] * s->mean[j] / s->images;
    *gain = s->own[i] > 0 && s->cross[i] > 0 ? s->cross[i] / s->own[i] : 1;
    const double lost = s->square - 2 * *gain * s->cross[i] + *gain * *gain * s->own[i];
    return lost <= 0 ? 0 : variance > 0 ? lost / variance : 1;
}

clv_status clvi_averaged_finish(clvi_fit *fit, const clvi_averaged *sums, const clvi_conv *conv, clv_error *err)
{
    int64_t size[CLVI_AVERAGE_SIZES];
    const size_t n = clvi_average_sizes(size, conv);
    for (size_t i = 0; i < n && i < sums->sizes; i++)
        if (size[i] == fit->chain.average) {
            fit->error = clvi_averaged_error(&fit->chain.gain, sums, i);
            return CLV_OK;
        }
    return FAIL(err, CLV_ERR_ARG, "no statistics for cells of %lld pixels", (long long)fit->chain.average);
}

/* --- as bytes ------------------------------------------------------------------------------------------------------
 */

void clvi_averaged_pack(clvi_packer *p, const clvi_averaged *s)
{
    clvi_pack_u64(p, s->o);
    clvi_pack_u64(p, s->sizes);
    clvi_pack_double(p, s->images);
    clvi_pack_double(p, s->square);
    clvi_pack(p, s->cross, s->sizes * sizeof *s->cross);
    clvi_pack(p, s->own, s->sizes * sizeof *s->own);
    if (s->o)
        clvi_pack(p, s->mean, s->o * sizeof *s->mean);
}

bool clvi_averaged_unpack(clvi_unpacker *u, clvi_averaged *s)
{
    *s = (clvi_averaged){0};
    const uint64_t o = clvi_unpack_u64(u), sizes = clvi_unpack_u64(u);
    if (u->failed || sizes > CLVI_AVERAGE_SIZES || (o == 0) != (sizes == 0) || o > u->left / sizeof(double))
        return false;
    s->images = clvi_unpack_double(u);
    s->square = clvi_unpack_double(u);
    s->sizes = (size_t)sizes;
    clvi_unpack(u, s->cross, s->sizes * sizeof *s->cross);
    clvi_unpack(u, s->own, s->sizes * sizeof *s->own);
    s->o = (size_t)o;
    s->mean = o ? clvi_calloc(s->o, sizeof *s->mean) : NULL;
    if (s->mean)
        clvi_unpack(u, s->mean, s->o * sizeof *s->mean);
    if (!u->failed && (s->mean || !o))
        return true;
    clvi_averaged_free(s);
    return false;
}

/* --- in the network ------------------------------------------------------------------------------------------------
 */

double clvi_averaged_gain(const clvi_chain *chain, const clvi_conv *conv)
{
    return chain->gain * inside(conv);
}

const float *clvi_averaged_shift(const clvi_chain *chain, const clvi_conv *v, const clvi_activation *activation,
                                 clvi_arena *arena)
{
    float *shift = clvi_arena_calloc(arena, (size_t)v->o, sizeof *shift);
    for (size_t j = 0; shift && j < (size_t)v->o; j++) {
        const clvi_piece f = clvi_activation_piece(activation, j);
        shift[j] = (float)(chain->gain * (1 - inside(v)) * activated(&f, v->bias ? (double)v->bias[j] : 0));
    }
    return shift;
}
