/* SPDX-License-Identifier: Apache-2.0 */
/* Tucker-2 decomposition (Kim et al., ICLR 2016): pointwise to r1 channels, the whole kernel from those to r2,
 * pointwise to the outputs, with nothing between.
 *
 *   W^[:, :, t] = U C_t V:   P (I_k (x) V) with P = U [C_1 .. C_k] of rank r2. For a given V the best such P is known
 * in closed form (reduced-rank regression), so the descent is over V[r1, c] alone.
 *
 * The size is r2; r1 follows by r1 : r2 = c : min(n, c k), the proportions of the layer itself. The first link runs at
 * the input's resolution: sh sw c r1 + k r1 r2 + r2 n multiply-adds per output position. It has no bias, so the zeros
 * that pad the kernel are the images of the zeros that padded the original: borders stay exact. */
#include "base/mem.h"
#include "decompose/form.h"
#include "decompose/group.h"
#include "decompose/kronfit.h"
#include "linalg/factor.h"
#include "linalg/matrix.h"

extern const clvi_form clvi_form_tucker2;

/* r2 at which the form is exact, in each group. */
static int64_t most(const clvi_conv *v)
{
    const int64_t n = v->o / v->groups, q = v->c / v->groups * v->kh * v->kw;
    return n < q ? n : q;
}

/* In each group: rounded up, and no more than r2 kernels of k taps can read. Never falls as r2 grows. */
static int64_t reduced(const clvi_conv *v, int64_t r2)
{
    const int64_t c = v->c / v->groups, k = v->kh * v->kw, share = (c * r2 + most(v) - 1) / most(v);
    return share < r2 * k ? share : r2 * k;
}

/* Multiply-adds with r2 in each group. */
static int64_t cost(const clvi_conv *v, int64_t r2)
{
    const int64_t n = v->o / v->groups, c = v->c / v->groups, r1 = reduced(v, r2);
    return v->groups * (v->sh * v->sw * c * r1 + v->kh * v->kw * r1 * r2 + r2 * n);
}

static const char *refuses(const clvi_conv *v)
{
    if (v->kh * v->kw == 1)
        return "its kernel is 1x1: there is nothing to split";
    if (clvi_conv_macs_per_pixel(v) <= cost(v, 1))
        return "one inner channel would cost as much as the convolution itself";
    return NULL;
}

/* r2 in each group; 0: the options make no sense. */
static int64_t inner(const clvi_conv *v, const clvi_fit_opts *opts)
{
    if (opts->size != 0)
        return opts->size > 0 && opts->size % v->groups == 0 && opts->size / v->groups <= most(v)
                   ? opts->size / v->groups
                   : 0;
    const double limit = opts->multiplier * (double)((v->o / v->groups + v->kh * v->kw) * v->c);
    int64_t r2 = 0;
    while (r2 < most(v) && (double)cost(v, r2 + 1) <= limit)
        r2++;
    return r2;
}

static int64_t macs(const clvi_conv *v, const clvi_fit_opts *opts)
{
    const int64_t r2 = inner(v, opts);
    return r2 > 0 ? cost(v, r2) : 0;
}

/* Weights of the three links of one group. */
typedef struct product {
    size_t r1, r2;
    float *reduce; /* [r1, c] */
    float *kernel; /* [r2, r1, k] */
    float *expand; /* [n, r2] */
} product;

/* P^T[k r1, n] = [C^T] U^T by its singular vectors. pt is destroyed. */
static clv_status split(const product *p, double *pt, size_t n, size_t k, clv_error *err)
{
    const size_t m = k * p->r1, rank = m < n ? m : n;
    double *core = clvi_alloc_array(m, rank * sizeof *core), *sizes = clvi_alloc_array(rank, sizeof *sizes);
    double *ut = clvi_alloc_array(rank, n * sizeof *ut);
    clv_status st = CLV_OK;
    if (!core || !sizes || !ut)
        st = FAIL(err, CLV_ERR_NOMEM, "Tucker decomposition into %zu and %zu channels", p->r1, p->r2);
    if (st == CLV_OK)
        st = clvi_svd(pt, m, n, core, sizes, ut, err);
    for (size_t b = 0; st == CLV_OK && b < p->r2; b++) {
        for (size_t a = 0; a < p->r1; a++)
            for (size_t t = 0; t < k; t++)
                p->kernel[(b * p->r1 + a) * k + t] = (float)(sizes[b] * core[(t * p->r1 + a) * rank + b]);
        for (size_t i = 0; i < n; i++)
            p->expand[i * p->r2 + b] = (float)ut[b * n + i];
    }
    clvi_free(core);
    clvi_free(sizes);
    clvi_free(ut);
    return st;
}

/* Whether a chain to start from is one for this convolution with at least r1 and r2 channels in each group. */
static bool can_start(const clvi_conv *v, const clvi_chain *chain, int64_t r1, int64_t r2)
{
    const clvi_conv *reduce = &chain->link[0], *kernel = &chain->link[1], *expand = &chain->link[2];
    const int64_t g = v->groups;
    return chain->n == 3 && reduce->c == v->c && reduce->groups == g && reduce->kh * reduce->kw == 1 &&
           kernel->c == reduce->o && kernel->groups == g && kernel->kh == v->kh && kernel->kw == v->kw &&
           expand->c == kernel->o && expand->o == v->o && expand->groups == g && expand->kh * expand->kw == 1 &&
           reduce->o % g == 0 && kernel->o % g == 0 && reduce->o / g >= r1 && kernel->o / g >= r2;
}

/* From group number `group` of opts->start: V is its first link, P^T[(t, a), n] = the others multiplied out. */
static clv_status resume(const product *p, const clvi_kron *k, size_t group, const clvi_fit_opts *opts, double *v,
                         double *pt, int *iterations, clv_context *context, clv_error *err)
{
    const clvi_conv *link = opts->start->link;
    const size_t g = (size_t)link[0].groups, a1 = (size_t)link[0].o / g, a2 = (size_t)link[1].o / g;
    const size_t m = k->p * a1, n = k->n;
    double *v0 = clvi_alloc_array(a1, k->d * sizeof *v0), *pt0 = clvi_alloc_array(m, n * sizeof *pt0);
    double *core = clvi_alloc_array(m, a2 * sizeof *core), *u = clvi_alloc_array(n, a2 * sizeof *u);
    const clvi_kron_warm warm = {a1, v0, pt0};
    clv_status st;
    if (!v0 || !pt0 || !core || !u) {
        st = FAIL(err, CLV_ERR_NOMEM, "Tucker decomposition of %zu and %zu channels", a1, a2);
        goto out;
    }
    for (size_t j = 0; j < a1 * k->d; j++)
        v0[j] = (double)link[0].w[group * a1 * k->d + j];
    for (size_t b = 0; b < a2; b++)
        for (size_t j = 0; j < m; j++)
            core[j % k->p * a1 * a2 + j / k->p * a2 + b] = (double)link[1].w[(group * a2 + b) * m + j];
    for (size_t j = 0; j < n * a2; j++)
        u[j] = (double)link[2].w[group * n * a2 + j];
    clvi_gemm(k->pool, (clvi_out){pt0, n}, 0, 1, clvi_view_of(core, m, a2, a2),
              clvi_transposed(clvi_view_of(u, n, a2, a2)));
    st = clvi_kron_solve(k, p->r2, opts, &warm, v, pt, iterations, context, err);
out:
    clvi_free(v0);
    clvi_free(pt0);
    clvi_free(core);
    clvi_free(u);
    return st;
}

static clv_status fit_group(const product *p, const clvi_group *g, size_t group, const clvi_fit_opts *opts,
                            int *iterations, clv_context *context, clv_error *err)
{
    clvi_kron k = {0};
    clv_status st = CLV_OK;
    double *v = clvi_alloc_array(p->r1, g->c * sizeof *v);
    double *pt = clvi_alloc_array(g->k * p->r1, g->n * sizeof *pt);
    if (!v || !pt)
        st = FAIL(err, CLV_ERR_NOMEM, "Tucker decomposition into %zu and %zu channels", p->r1, p->r2);
    if (st == CLV_OK)
        st = clvi_kron_create(&k, g, opts->method != CLVI_METHOD_SVD, g->k, p->r1, err);
    if (st == CLV_OK)
        st = opts->start ? resume(p, &k, group, opts, v, pt, iterations, context, err)
                         : clvi_kron_solve(&k, p->r2, opts, NULL, v, pt, iterations, context, err);
    for (size_t j = 0; st == CLV_OK && j < p->r1 * g->c; j++)
        p->reduce[j] = (float)v[j];
    if (st == CLV_OK)
        st = split(p, pt, g->n, g->k, err);
    clvi_kron_free(&k);
    clvi_free(v);
    clvi_free(pt);
    return st;
}

static clv_status fit(clvi_fit *out, const clvi_conv *conv, const clvi_covariance *cov, const clvi_fit_opts *opts,
                      clvi_arena *arena, clv_context *context, clv_error *err)
{
    *out = (clvi_fit){0};
    TRY(clvi_conv_check(conv, err));
    const int64_t r2 = inner(conv, opts), r1 = reduced(conv, r2);
    const size_t groups = (size_t)conv->groups, n = (size_t)conv->o / groups, c = (size_t)conv->c / groups;
    const size_t k = (size_t)(conv->kh * conv->kw);
    if (r2 == 0)
        return FAIL(err, CLV_ERR_ARG,
                    "%lld inner channels for %zu inputs of %zu taps and %zu outputs in each of %zu groups",
                    (long long)opts->size, c, k, n, groups);
    if (!cov && opts->method != CLVI_METHOD_SVD)
        return FAIL(err, CLV_ERR_ARG, "method %s needs statistics", clvi_method_name(opts->method));
    if (opts->start && !can_start(conv, opts->start, r1, r2))
        return FAIL(err, CLV_ERR_ARG, "the chain to start from is not a Tucker-2 one of %lld and %lld channels or more",
                    (long long)r1, (long long)r2);
    const product all = {(size_t)r1, (size_t)r2, clvi_arena_calloc(arena, groups * (size_t)r1, c * sizeof(float)),
                         clvi_arena_calloc(arena, groups * (size_t)r2, (size_t)r1 * k * sizeof(float)),
                         clvi_arena_calloc(arena, (size_t)conv->o, (size_t)r2 * sizeof(float))};
    if (!all.reduce || !all.kernel || !all.expand)
        return FAIL(err, CLV_ERR_NOMEM, "weights of %lld and %lld inner channels", (long long)r1, (long long)r2);
    for (size_t i = 0; i < groups; i++) {
        clvi_group g;
        const product own = {all.r1, all.r2, all.reduce + i * all.r1 * c, all.kernel + i * all.r2 * all.r1 * k,
                             all.expand + i * n * all.r2};
        TRY(clvi_group_create(&g, conv, i, cov ? &cov[i] : NULL, opts->ridge, context ? context->pool : NULL, err));
        const clv_status st = fit_group(&own, &g, i, opts, &out->iterations, context, err);
        clvi_group_free(&g);
        TRY(st);
    }
    clvi_conv *link = out->chain.link;
    out->chain.n = 3;
    link[0] = clvi_link_pointwise(conv, r1 * conv->groups, conv->c, all.reduce);
    link[1] = *conv;
    link[1].c = r1 * conv->groups;
    link[1].o = r2 * conv->groups;
    link[1].w = all.kernel;
    link[1].bias = NULL;
    link[2] = clvi_link_pointwise(conv, conv->o, r2 * conv->groups, all.expand);
    return clvi_fit_finish(out, conv, cov, macs(conv, opts), arena, context, err);
}

const clvi_form clvi_form_tucker2 = {"tucker2", true, 8, refuses, macs, fit};
