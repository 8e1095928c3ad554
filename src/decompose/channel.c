/* SPDX-License-Identifier: Apache-2.0 */
/* Channel decomposition (Zhang, Zou, He and Sun, TPAMI 2016, the linear solution), the rival the paper compares with:
 * the same kernel with fewer outputs, then a pointwise convolution.
 *
 *   W^ = U U^T W*,  U[n, r] the leading eigenvectors of cov(W* x): principal components of the responses.
 *
 * With another target than the layer's own output (asymmetric statistics) W* is the regression of that target on x,
 * which makes this the optimum over all W^ of rank r (reduced-rank regression). Without data cov(x) is taken as the
 * identity. (kernel c r + r n) multiply-adds per output position. */
#include <string.h>

#include "base/mem.h"
#include "decompose/form.h"
#include "decompose/group.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

extern const clvi_form clvi_form_channel;

static const char *refuses(const clvi_conv *v)
{
    const int64_t n = v->o / v->groups, q = v->c / v->groups * v->kh * v->kw;
    if (n * q <= n + q)
        return "one inner channel would cost as much as the convolution itself";
    return NULL;
}

static int64_t inner(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const int64_t n = v->o / v->groups, q = v->c / v->groups * v->kh * v->kw;
    const int64_t r = clvi_fit_size(v, opts, n + q), most = (n < q ? n : q) * v->groups;
    return opts->size == 0 && r > most ? most : r > most ? 0 : r;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    return inner(v, opts) * (v->o / v->groups + v->c / v->groups * v->kh * v->kw);
}

/* Of one group, whatever the size. */
typedef struct principal {
    double *u;      /* [n, n] rows are the eigenvectors of the responses' covariance, leading first */
    double *target; /* [n, q] W* */
} principal;

static void release_principal(void *item)
{
    principal *p = item;
    clvi_free(p->u);
    clvi_free(p->target);
    *p = (principal){0};
}

static clv_status analyse(const principal *p, const clvi_group *g, bool data, clv_error *err)
{
    double *values = clvi_alloc_array(g->n, sizeof *values);
    clv_status st =
        p->u && p->target && values ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "principal components of %zu outputs", g->n);
    if (st == CLV_OK && data)
        st = clvi_group_target(g, p->target, err);
    if (st == CLV_OK) {
        const clvi_view w = clvi_view_of(p->target, g->n, g->q, g->q);
        const clvi_out u = {p->u, g->n};
        if (data) /* W* S W*^T = H W*^T */
            clvi_gemm(g->pool, u, 0, 1, clvi_view_of(g->h, g->n, g->q, g->q), clvi_transposed(w));
        else {
            memcpy(p->target, g->w, g->n * g->q * sizeof *p->target);
            clvi_syrk(g->pool, u, 0, 1, w);
        }
        clvi_mirror_lower(p->u, g->n, g->n); /* symmetric up to rounding: made so */
        st = clvi_eigh(p->u, values, g->n, err);
    }
    clvi_free(values);
    return st;
}

static clv_status make_principal(void *item, clvi_group *g, bool data, clv_error *err)
{
    principal *p = item;
    *p = (principal){clvi_alloc_array(g->n, g->n * sizeof *p->u), clvi_alloc_array(g->n, g->q * sizeof *p->target)};
    const clv_status st = analyse(p, g, data, err);
    if (st != CLV_OK)
        release_principal(p);
    return st;
}

static const clvi_memo_kind principals = {sizeof(principal), make_principal, release_principal};

/* kernels[r, q] = U_r^T W*,  pointwise[n, r] = U_r: of one group. */
static clv_status cut(float *kernels, float *pointwise, const principal *p, size_t n, size_t q, size_t r,
                      clvi_pool *pool, clv_error *err)
{
    double *reduced = clvi_alloc_array(r, q * sizeof *reduced);
    if (!reduced)
        return FAIL(err, CLV_ERR_NOMEM, "channel decomposition of %zu x %zu weights", n, q);
    clvi_gemm(pool, (clvi_out){reduced, q}, 0, 1, clvi_view_of(p->u, r, n, n), clvi_view_of(p->target, n, q, q));
    for (size_t j = 0; j < r * q; j++)
        kernels[j] = (float)reduced[j];
    for (size_t i = 0; i < n; i++)
        for (size_t a = 0; a < r; a++)
            pointwise[i * r + a] = (float)p->u[a * n + i];
    clvi_free(reduced);
    return CLV_OK;
}

static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    *out = (clvi_fit){0};
    TRY(clvi_conv_check(conv, err));
    const int64_t all = inner(conv, opts);
    const size_t q = (size_t)(conv->c / conv->groups * conv->kh * conv->kw), n = (size_t)(conv->o / conv->groups);
    const bool data = opts->method != CLVI_METHOD_SVD;
    if (all == 0)
        return FAIL(err, CLV_ERR_ARG, "%lld inner channels for %zu outputs in each of %lld groups",
                    (long long)opts->size, n, (long long)conv->groups);
    if (data && !cov)
        return FAIL(err, CLV_ERR_ARG, "method %s needs statistics", clvi_method_name(opts->method));
    const size_t r = (size_t)(all / conv->groups);
    float *kernels = clvi_arena_calloc(arena, (size_t)all, q * sizeof(float));
    float *pointwise = clvi_arena_calloc(arena, (size_t)conv->o, r * sizeof(float));
    if (!kernels || !pointwise)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %lld inner channels", (long long)all);
    clvi_memo own = {0}, *memo = opts->memo ? opts->memo : &own;
    clvi_pool *const pool = context ? context->pool : NULL;
    clv_status st = CLV_OK;
    for (size_t g = 0; st == CLV_OK && g < (size_t)conv->groups; g++) {
        void *item;
        st = clvi_memo_item(&item, memo, &principals, conv, g, cov, opts, pool, err);
        if (st == CLV_OK)
            st = cut(kernels + g * r * q, pointwise + g * n * r, item, n, q, r, pool, err);
    }
    clvi_memo_free(&own);
    TRY(st);
    out->chain.n = 2;
    out->chain.link[0] = *conv;
    out->chain.link[0].o = all;
    out->chain.link[0].w = kernels;
    out->chain.link[0].bias = NULL;
    out->chain.link[1] = clvi_link_pointwise(conv, conv->o, all, pointwise);
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, context, err);
}

const clvi_form clvi_form_channel = {"channel", false, 0, refuses, macs, fit};
