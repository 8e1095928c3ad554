/* SPDX-License-Identifier: Apache-2.0 */
/* The checker checked: each broken kernel differs from the reference in one thing and must be refused; the legal
 * variants round differently and must pass. Each runs in its own process, because some of them fault. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/check.h"
#include "kernels/kernel_decls.h"

#define MR 4
#define NR 16

#define GEMM_ARGS \
    size_t k, const float *a, const float *b, float *c, size_t ldc, size_t m, size_t n, const clvi_gemm_tile *tile

static void drops_last_k(GEMM_ARGS)
{
    clvk_gemm_f32_4x16__ref(k > 1 ? k - 1 : k, a, b, c, ldc, m, n, tile);
}

static void forgets_bias(GEMM_ARGS)
{
    clvi_gemm_tile t = *tile;
    t.bias = NULL;
    clvk_gemm_f32_4x16__ref(k, a, b, c, ldc, m, n, &t);
}

static void never_accumulates(GEMM_ARGS)
{
    clvi_gemm_tile t = *tile;
    t.accumulate = false;
    clvk_gemm_f32_4x16__ref(k, a, b, c, ldc, m, n, &t);
}

static void forgets_upper_clamp(GEMM_ARGS)
{
    clvi_gemm_tile t = *tile;
    t.hi = INFINITY;
    clvk_gemm_f32_4x16__ref(k, a, b, c, ldc, m, n, &t);
}

static void writes_one_too_many(GEMM_ARGS)
{
    clvk_gemm_f32_4x16__ref(k, a, b, c, ldc, m, n, tile);
    c[(m - 1) * ldc + n] = 0.0f;
}

static void writes_between_rows(GEMM_ARGS)
{
    clvk_gemm_f32_4x16__ref(k, a, b, c, ldc, m, n, tile);
    if (m > 1 && ldc > n)
        c[n] = 0.0f;
}

static void reads_past_b(GEMM_ARGS)
{
    volatile const float *past = b + k * NR;
    (void)*past;
    clvk_gemm_f32_4x16__ref(k, a, b, c, ldc, m, n, tile);
}

static void reads_before_a(GEMM_ARGS)
{
    volatile const float *past = a - 1;
    (void)*past;
    clvk_gemm_f32_4x16__ref(k, a, b, c, ldc, m, n, tile);
}

/* 12 of 24 weight bits are lost */
static void rounds_weights(GEMM_ARGS)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            float sum = tile->accumulate ? c[i * ldc + j] : 0.0f;
            for (size_t t = 0; t < k; t++) {
                uint32_t bits;
                float w = a[t * MR + i];
                memcpy(&bits, &w, sizeof bits);
                bits &= 0xfffff000u;
                memcpy(&w, &bits, sizeof bits);
                sum = fmaf(w, b[t * NR + j], sum);
            }
            sum += tile->bias ? tile->bias[i] : 0.0f;
            c[i * ldc + j] = sum < tile->lo ? tile->lo : sum > tile->hi ? tile->hi : sum;
        }
    }
}

/* fminf and fmaxf return the number when the other is NaN */
static void clamp_hides_nan(GEMM_ARGS)
{
    clvk_gemm_f32_4x16__ref(k, a, b, c, ldc, m, n, tile);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            c[i * ldc + j] = fminf(fmaxf(c[i * ldc + j], tile->lo), tile->hi);
}

/* Legal: float sums, multiply then add, backwards. */
static void sums_backwards(GEMM_ARGS)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            float sum = 0.0f;
            for (size_t t = k; t-- > 0;)
                sum += a[t * MR + i] * b[t * NR + j];
            sum += tile->bias ? tile->bias[i] : 0.0f;
            sum += tile->accumulate ? c[i * ldc + j] : 0.0f;
            c[i * ldc + j] = sum < tile->lo ? tile->lo : sum > tile->hi ? tile->hi : sum;
        }
    }
}

#define DW_ARGS const clvi_dwconv_plane *p, const float *x, const float *k, float *y

static void shifts_left_pad(DW_ARGS)
{
    clvi_dwconv_plane other = *p;
    other.pl = p->pl > 0 ? p->pl - 1 : 0;
    clvk_dwconv_f32__ref(&other, x, k, y);
}

/* Takes the next row's pixels for the right pad. */
static void wraps_rows(DW_ARGS)
{
    clvk_dwconv_f32__ref(p, x, k, y);
    const ptrdiff_t row = -p->pt, column = (ptrdiff_t)((p->ow - 1) * p->sw + (p->kw - 1) * p->dw) - p->pl;
    if (row >= 0 && row + 1 < (ptrdiff_t)p->h && column == (ptrdiff_t)p->w)
        y[p->ow - 1] += k[p->kw - 1] * x[p->w * (size_t)(row + 1)];
}

static void forgets_last_row(DW_ARGS)
{
    clvi_dwconv_plane other = *p;
    other.oh = p->oh > 4 ? p->oh - 1 : p->oh;
    clvk_dwconv_f32__ref(&other, x, k, y);
}

static void reads_past_plane(DW_ARGS)
{
    volatile const float *past = x + p->h * p->w;
    (void)*past;
    clvk_dwconv_f32__ref(p, x, k, y);
}

static void transposes_window(DW_ARGS)
{
    float turned[256];
    for (size_t i = 0; i < p->kh; i++)
        for (size_t j = 0; j < p->kw; j++)
            turned[i * p->kw + j] = p->kh == p->kw ? k[j * p->kw + i] : k[i * p->kw + j];
    clvk_dwconv_f32__ref(p, x, turned, y);
}

#define COL_ARGS const clvi_im2col *p, const float *x, size_t k0, size_t k, size_t first, size_t n, float *b

static size_t panels(const clvi_im2col *p, size_t n)
{
    return (n + p->nr - 1) / p->nr;
}

static void leaves_tail(COL_ARGS)
{
    clvk_im2col_f32__ref(p, x, k0, k, first, n, b);
    float *last = b + (panels(p, n) - 1) * k * p->nr;
    if (k > 0 && n % p->nr != 0)
        last[n % p->nr] = NAN;
}

static void repeats_first_panel(COL_ARGS)
{
    clvk_im2col_f32__ref(p, x, k0, k, first, n, b);
    if (panels(p, n) > 2)
        memcpy(b + k * p->nr, b, k * p->nr * sizeof *b);
}

static void ignores_k0(COL_ARGS)
{
    clvk_im2col_f32__ref(p, x, k0 % (p->kh * p->kw), k, first, n, b);
}

static void writes_past_panel(COL_ARGS)
{
    clvk_im2col_f32__ref(p, x, k0, k, first, n, b);
    b[panels(p, n) * k * p->nr] = 0.0f;
}

#define PIXEL_ARGS                                                                                                 \
    size_t taps, size_t depth, const float *const *rows, const float *b, float *c, size_t ldc, size_t m, size_t n, \
        const clvi_pixel_tile *tile

static void adds_after_clamp(PIXEL_ARGS)
{
    clvi_pixel_tile t = *tile;
    t.add = NULL;
    clvk_pixel_gemm_f32_4x16__ref(taps, depth, rows, b, c, ldc, m, n, &t);
    for (size_t i = 0; i < m && tile->add && tile->add != c; i++)
        for (size_t j = 0; j < n; j++)
            c[i * ldc + j] += tile->add[i * tile->add_ld + j];
}

static void drops_last_tap(PIXEL_ARGS)
{
    clvk_pixel_gemm_f32_4x16__ref(taps > 1 ? taps - 1 : taps, depth, rows, b, c, ldc, m, n, tile);
}

static void bias_of_first_column(PIXEL_ARGS)
{
    clvk_pixel_gemm_f32_4x16__ref(taps, depth, rows, b, c, ldc, m, n, tile);
    for (size_t i = 0; i < m && tile->bias && n > 1; i++)
        c[i * ldc + 1] += tile->bias[0] - tile->bias[1];
}

static void reads_past_pixel(PIXEL_ARGS)
{
    for (size_t i = 0; i < m; i++) {
        volatile const float *past = rows[i] + depth;
        (void)*past;
    }
    clvk_pixel_gemm_f32_4x16__ref(taps, depth, rows, b, c, ldc, m, n, tile);
}

#define ROW_ARGS \
    const clvi_dwrow *p, const float *const *x, const float *k, const float *bias, float *y, size_t first, size_t count

static void wraps_columns(ROW_ARGS)
{
    clvi_dwrow q = *p;
    q.pl = p->pl > 0 ? p->pl - 1 : p->pl;
    clvk_dwrow_f32__ref(&q, x, k, bias, y, first, count);
}

static void starts_at_zero(ROW_ARGS)
{
    (void)first;
    clvk_dwrow_f32__ref(p, x, k, bias, y, 0, count);
}

static void writes_between_pixels(ROW_ARGS)
{
    clvk_dwrow_f32__ref(p, x, k, bias, y, first, count);
    if (count > 1 && p->y_ld > p->channels)
        y[p->channels] = 0.0f;
}

static void inexact_logistic(const clvi_act_f32 *act, float *y, size_t rows, size_t n, size_t ld)
{
    clvk_act_f32__ref(act, y, rows, n, ld);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            y[i * ld + j] *= 1.000004f;
}

static void one_slope(const clvi_act_f32 *act, float *y, size_t rows, size_t n, size_t ld)
{
    clvi_act_f32 wrong = *act;
    if (act->kind == CLVI_ACT_PRELU)
        wrong = (clvi_act_f32){CLVI_ACT_LEAKY, act->slope[0], 0, NULL};
    clvk_act_f32__ref(&wrong, y, rows, n, ld);
}

static void loses_nan(size_t taps, const float *const *rows, float *y, size_t channels)
{
    for (size_t ch = 0; ch < channels; ch++) {
        float top = -INFINITY;
        for (size_t t = 0; t < taps; t++)
            top = rows[t][ch] > top ? rows[t][ch] : top;
        y[ch] = top;
    }
}

static void loses_last_line(size_t m, const float *const *rows, float *v, size_t v_ld, size_t channels)
{
    const float *other[36];
    for (size_t t = 0; t < (m + 2) * (m + 2); t++)
        other[t] = rows[t < (m + 2) * (m + 1) ? t : t - 1];
    clvk_winograd_in_f32__ref(m, other, v, v_ld, channels);
}

static void fills_vectors(size_t m, const float *const *rows, float *v, size_t v_ld, size_t channels)
{
    clvk_winograd_in_f32__ref(m, rows, v, v_ld, channels);
    for (size_t ch = channels; ch < v_ld && ch % 4 != 0; ch++)
        v[ch] = 0.0f;
}

static void writes_whole_tiles(const clvi_winograd_tile *tile, const float *products, float *y, size_t channels)
{
    clvi_winograd_tile whole = *tile;
    whole.columns = tile->m;
    clvk_winograd_out_f32__ref(&whole, products, y, channels);
}

static void adds_bias_once(const clvi_winograd_tile *tile, const float *products, float *y, size_t channels)
{
    clvi_winograd_tile other = *tile;
    clvk_winograd_out_f32__ref(&other, products, y, channels);
    other.bias = NULL;
    other.rows = tile->rows - 1;
    if (!tile->add)
        clvk_winograd_out_f32__ref(&other, products, y, channels);
}

typedef struct mutant {
    const char *name;
    bool legal;
    clvi_gemm_f32_fn gemm;
    clvi_dwconv_f32_fn dwconv;
    clvi_im2col_f32_fn im2col;
    clvi_pixel_gemm_f32_fn pixel_gemm;
    clvi_dwrow_f32_fn dwrow;
    clvi_act_f32_fn act;
    clvi_maxrows_f32_fn maxrows;
    clvi_winograd_f32 winograd;
} mutant;

#define GEMM(function)                      \
    {                                       \
        .name = #function, .gemm = function \
    }
#define DW(function)                          \
    {                                         \
        .name = #function, .dwconv = function \
    }
#define COL(function)                         \
    {                                         \
        .name = #function, .im2col = function \
    }

#define PIXEL(function)                           \
    {                                             \
        .name = #function, .pixel_gemm = function \
    }
#define ROW(function)                        \
    {                                        \
        .name = #function, .dwrow = function \
    }

static const mutant mutants[] = {
    GEMM(drops_last_k),
    GEMM(forgets_bias),
    GEMM(never_accumulates),
    GEMM(forgets_upper_clamp),
    GEMM(writes_one_too_many),
    GEMM(writes_between_rows),
    GEMM(reads_past_b),
    GEMM(reads_before_a),
    GEMM(rounds_weights),
    GEMM(clamp_hides_nan),
    {.name = "sums_backwards", .legal = true, .gemm = sums_backwards},
    DW(shifts_left_pad),
    DW(wraps_rows),
    DW(forgets_last_row),
    DW(reads_past_plane),
    DW(transposes_window),
    COL(leaves_tail),
    COL(repeats_first_panel),
    COL(ignores_k0),
    COL(writes_past_panel),
    PIXEL(adds_after_clamp),
    PIXEL(drops_last_tap),
    PIXEL(bias_of_first_column),
    PIXEL(reads_past_pixel),
    ROW(wraps_columns),
    ROW(starts_at_zero),
    ROW(writes_between_pixels),
    {.name = "inexact_logistic", .act = inexact_logistic},
    {.name = "one_slope", .act = one_slope},
    {.name = "loses_nan", .maxrows = loses_nan},
    {.name = "loses_last_line", .winograd = {loses_last_line, clvk_winograd_out_f32__ref}},
    {.name = "fills_vectors", .winograd = {fills_vectors, clvk_winograd_out_f32__ref}},
    {.name = "writes_whole_tiles", .winograd = {clvk_winograd_in_f32__ref, writes_whole_tiles}},
    {.name = "adds_bias_once", .winograd = {clvk_winograd_in_f32__ref, adds_bias_once}},
};

static bool passes(const mutant *m, uint64_t seed)
{
    if (m->gemm)
        return check_gemm(m->name, seed, m->gemm, MR, NR);
    if (m->pixel_gemm)
        return check_pixel_gemm(m->name, seed, m->pixel_gemm, MR, NR);
    if (m->dwrow)
        return check_dwrow(m->name, seed, m->dwrow);
    if (m->maxrows)
        return check_maxrows(m->name, seed, m->maxrows);
    if (m->winograd.in)
        return check_winograd(m->name, seed, m->winograd.in, m->winograd.out);
    if (m->act)
        return check_act(m->name, seed, m->act);
    return m->dwconv ? check_dwconv(m->name, seed, m->dwconv) : check_im2col(m->name, seed, m->im2col);
}

/* In a process of its own; what it prints goes nowhere. */
static bool passes_apart(const mutant *m, uint64_t seed)
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(3);
        _exit(passes(m, seed) ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool check_mutants(uint64_t seed)
{
    bool good = true;
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        const bool passed = passes_apart(&mutants[i], seed);
        if (passed != mutants[i].legal) {
            (void)fprintf(stderr, "FAILED mutant %s %s\n", mutants[i].name,
                          passed ? "was not noticed" : "is legal but refused");
            good = false;
        }
    }
    printf("%zu mutants\n", sizeof mutants / sizeof *mutants);
    return good;
}
