/* SPDX-License-Identifier: Apache-2.0 */
/* Folding looks at one BatchNormalization at a time, in order, so that of two in a row the second finds the folded
 * node. */
#include "runtime/passes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "runtime/infer.h"
#include "runtime/pass_edit.h"

typedef struct folding {
    clvi_graph *graph;
    size_t n_values;      /* at the start; what the pass adds has larger ids and one reader */
    clvi_node **producer; /* [n_values] */
    size_t *uses;         /* [n_values] */
    bool *gone;           /* [n_nodes] */
    clvi_arena *scratch;
} folding;

/* One fold: where the weights' output channels lie. Element i of W belongs to channel (i / inner) % mod + i / group *
 * mod, see channel_of(). */
typedef struct site {
    clvi_node *node, *bn;
    const clv_tensor *w, *b; /* b NULL: no bias */
    size_t channels;         /* outputs */
    size_t inner, mod, group;
    double alpha_beta;     /* Gemm's beta: the bias counts times this */
    double *scale, *shift; /* per channel: y = x scale + shift */
} site;

static const clv_tensor *constant_input(const clvi_graph *graph, const clvi_node *node, size_t i)
{
    if (i >= node->n_in || node->in[i] == CLVI_NONE)
        return NULL;
    const clv_tensor *const t = graph->values[node->in[i]].constant;
    return t && t->data && clvi_compute_dtype(t->dtype) == CLV_FLOAT32 ? t : NULL;
}

/* All elements in double precision. */
static double *read_doubles(clvi_arena *scratch, const clv_tensor *t)
{
    const int64_t count = clv_tensor_count(t);
    const size_t n = count < 0 ? 0 : (size_t)count;
    double *const out = clvi_arena_calloc(scratch, n, sizeof *out);
    float *const floats = clvi_arena_calloc(scratch, n, sizeof *floats);
    if (!out || !floats)
        return NULL;
    if (t->dtype == CLV_FLOAT64) {
        memcpy(out, t->data, n * sizeof *out);
        return out;
    }
    (void)clvi_floats_from(floats, t->dtype, t->data, n);
    for (size_t i = 0; i < n; i++)
        out[i] = (double)floats[i];
    return out;
}

/* A tensor like `like` in the graph's arena with these elements rounded to its type; *finite is cleared when one is
 * not. */
static clv_tensor *write_doubles(folding *f, const clv_tensor *like, const double *from, bool *finite)
{
    size_t bytes;
    const size_t n = (size_t)clv_tensor_count(like);
    clv_tensor *const t = clvi_arena_calloc(f->graph->arena, 1, sizeof *t);
    float *const floats = clvi_arena_calloc(f->scratch, n, sizeof *floats);
    if (!t || !floats || !clvi_tensor_bytes(like, &bytes))
        return NULL;
    *t = *like;
    if (!(t->data = clvi_arena_alloc(f->graph->arena, bytes)))
        return NULL;
    for (size_t i = 0; i < n; i++)
        floats[i] = (float)from[i];
    if (t->dtype == CLV_FLOAT64)
        memcpy(t->data, from, bytes);
    else
        (void)clvi_floats_to(t->data, t->dtype, floats, n);
    (void)clvi_floats_from(floats, t->dtype, t->data, n);
    for (size_t i = 0; i < n; i++)
        *finite &= isfinite(floats[i]) != 0;
    return t;
}

static size_t channel_of(const site *s, size_t i)
{
    return i / s->inner % s->mod + i / s->group * s->mod;
}

/* Conv:          W[O, I/g, kh, kw]   channel = i / (I/g kh kw)
 * ConvTranspose: W[I, O/g, kh, kw]   channel = i / (kh kw) % (O/g) + (O/g) (group of the input channel)
 * Gemm:          B[N, K] or B[K, N]  channel = i / K, or i % N */
static bool locate_channels(site *s)
{
    const clv_tensor *const w = s->w;
    const int64_t count = clv_tensor_count(w);
    const bool gemm = clvi_node_is(s->node, "Gemm");
    if (count <= 0 || w->rank < 2 || (gemm && w->rank != 2))
        return false;
    const size_t n = (size_t)count, d0 = (size_t)w->dims[0], d1 = (size_t)w->dims[1];
    s->alpha_beta = 1;
    s->group = n;
    if (clvi_node_is(s->node, "ConvTranspose")) {
        const int64_t groups = clvi_node_int(s->node, "group", 1);
        if (groups < 1 || d0 % (size_t)groups != 0)
            return false;
        s->mod = d1;
        s->inner = n / d0 / d1;
        s->group = n / (size_t)groups;
        s->channels = d1 * (size_t)groups;
    } else if (gemm && clvi_node_int(s->node, "transB", 0) == 0) {
        s->mod = s->channels = d1;
        s->inner = 1;
    } else {
        s->mod = s->channels = d0;
        s->inner = n / d0;
    }
    if (gemm)
        s->alpha_beta = (double)clvi_node_float(s->node, "beta", 1.0F);
    return true;
}

/* s = gamma / sqrt(var + eps), shift = beta - mean s. *fits false: not constant, or of another length. */
static clv_status read_batchnorm(folding *f, site *s, bool *fits, clv_error *err)
{
    double *p[4];
    for (size_t i = 0; i < 4; i++) {
        const clv_tensor *const t = constant_input(f->graph, s->bn, i + 1);
        if (!t || t->rank != 1 || t->dims[0] != (int64_t)s->channels) {
            *fits = false;
            return CLV_OK;
        }
        if (!(p[i] = read_doubles(f->scratch, t)))
            return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(f->graph, s->bn));
    }
    const double eps = (double)clvi_node_float(s->bn, "epsilon", 1e-5F);
    s->scale = p[0];
    s->shift = p[1];
    for (size_t c = 0; c < s->channels; c++) {
        s->scale[c] = p[0][c] / sqrt(p[3][c] + eps);
        s->shift[c] = p[1][c] - p[2][c] * s->scale[c];
        *fits = *fits && isfinite(s->scale[c]) && isfinite(s->shift[c]);
    }
    return CLV_OK;
}

/* In inference mode, normalising per channel, with no other output in use. */
static bool batchnorm_is_plain(const folding *f, const clvi_node *bn)
{
    for (size_t i = 1; i < bn->n_out; i++)
        if (bn->out[i] != CLVI_NONE && f->uses[bn->out[i]] > 0)
            return false;
    return clvi_node_is(bn, "BatchNormalization") && bn->n_in == 5 && bn->n_out >= 1 && bn->in[0] != CLVI_NONE &&
           bn->out[0] != CLVI_NONE && clvi_node_int(bn, "training_mode", 0) == 0 &&
           clvi_node_int(bn, "spatial", 1) == 1;
}

/* Fill s->node, w, b when the producer of the BatchNorm's input can take it in. */
static bool find_site(const folding *f, clvi_node *bn, site *s)
{
    const clvi_graph *const graph = f->graph;
    if (!batchnorm_is_plain(f, bn))
        return false;
    clvi_node *const node = f->producer[bn->in[0]];
    if (!node || f->uses[bn->in[0]] != 1 || node->n_out != 1 ||
        !(clvi_node_is(node, "Conv") || clvi_node_is(node, "ConvTranspose") || clvi_node_is(node, "Gemm")))
        return false;
    *s = (site){.node = node, .bn = bn, .w = constant_input(graph, node, 1), .b = constant_input(graph, node, 2)};
    const bool has_bias = node->n_in > 2 && node->in[2] != CLVI_NONE;
    if (!s->w || (has_bias && !s->b) || !locate_channels(s))
        return false;
    if (!s->b)
        return true;
    const int64_t n = clv_tensor_count(s->b); /* Gemm's C may be [N], [1, N] or one number */
    return n == (int64_t)s->channels ? s->b->rank >= 1 && s->b->dims[s->b->rank - 1] == n
                                     : n == 1 && clvi_node_is(node, "Gemm");
}

/* layer.weight -> layer.bias, else w_bias */
static void bias_name(char *to, size_t size, const char *w)
{
    const size_t n = strlen(w), suffix = strlen("weight");
    if (n >= suffix && strcmp(w + n - suffix, "weight") == 0)
        (void)snprintf(to, size, "%.*sbias", (int)clvi_min_size(n - suffix, 400), w);
    else
        (void)snprintf(to, size, "%.400s_bias", w);
}

/* Input i of the node becomes the initializer `t`: in place when nobody else reads the old one, else under a new name.
 */
static clv_status set_weight(folding *f, clvi_node *node, size_t i, clv_tensor *t, const char *name, clv_error *err)
{
    const int32_t old = node->in[i];
    int32_t id;
    const bool mine = old != CLVI_NONE && ((size_t)old >= f->n_values || f->uses[old] == 1);
    if (mine) {
        clvi_value *const value = &f->graph->values[old];
        if (value->rank != t->rank)
            value->raw_info = (clvi_blob){0};
        value->constant = t;
        value->rank = t->rank;
        memcpy(value->dims, t->dims, sizeof value->dims);
        return CLV_OK;
    }
    if (old != CLVI_NONE)
        f->uses[old]--;
    TRY(clvi_graph_add_constant(f->graph, name, t, &id, err));
    node->in[i] = id;
    return CLV_OK;
}

/* A third input, where the node has two. */
static bool make_room_for_bias(folding *f, clvi_node *node)
{
    if (node->n_in > 2)
        return true;
    int32_t *const in = clvi_arena_calloc(f->graph->arena, 3, sizeof *in);
    if (!in)
        return false;
    memcpy(in, node->in, 2 * sizeof *in);
    in[2] = CLVI_NONE;
    node->in = in;
    node->n_in = 3;
    return true;
}

/* w' = w s;  b' = beta b s + shift, which is stored so that the node's own factor is 1. *fits false: not finite. */
static clv_status fold_site(folding *f, const site *s, bool *fits, clv_error *err)
{
    const size_t n = (size_t)clv_tensor_count(s->w);
    const clv_tensor like = {.dtype = s->w->dtype, .rank = 1, .dims = {(int64_t)s->channels}};
    const bool bias_fits = s->b && clv_tensor_count(s->b) == (int64_t)s->channels;
    double *const w = read_doubles(f->scratch, s->w);
    double *const b = clvi_arena_calloc(f->scratch, s->channels, sizeof *b);
    const double *const b0 = s->b ? read_doubles(f->scratch, s->b) : NULL;
    if (!w || !b || (s->b && !b0))
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(f->graph, s->bn));
    for (size_t i = 0; i < n; i++)
        w[i] *= s->scale[channel_of(s, i)];
    for (size_t c = 0; c < s->channels; c++)
        b[c] = (b0 ? s->alpha_beta * b0[bias_fits ? c : 0] * s->scale[c] : 0) + s->shift[c];
    clv_tensor *const new_w = write_doubles(f, s->w, w, fits);
    clv_tensor *const new_b = write_doubles(f, bias_fits ? s->b : &like, b, fits);
    if (!new_w || !new_b || !make_room_for_bias(f, s->node))
        return FAIL(err, CLV_ERR_NOMEM, "node \"%s\"", clvi_node_label(f->graph, s->bn));
    if (!*fits)
        return CLV_OK;
    char name[512];
    const char *const w_name = f->graph->values[s->node->in[1]].name;
    bias_name(name, sizeof name, w_name);
    TRY(set_weight(f, s->node, 1, new_w, w_name, err));
    TRY(set_weight(f, s->node, 2, new_b, name, err));
    return s->alpha_beta == 1 ? CLV_OK : clvi_node_set_float(f->graph, s->node, "beta", 1.0F, err);
}

static clv_status fold_one(folding *f, size_t index, clv_error *err)
{
    site s;
    bool fits = true;
    clvi_node *const bn = f->graph->nodes[index];
    if (!find_site(f, bn, &s))
        return CLV_OK;
    TRY(read_batchnorm(f, &s, &fits, err));
    if (fits)
        TRY(fold_site(f, &s, &fits, err));
    if (fits) {
        s.node->out[0] = bn->out[0];
        f->producer[bn->out[0]] = s.node;
        f->gone[index] = true;
    }
    return CLV_OK;
}

static clv_status apply(clvi_graph *graph, clv_error *err)
{
    clv_status st = CLV_OK;
    const size_t n_nodes = graph->n_nodes;
    folding f = {.graph = graph, .n_values = graph->n_values};
    f.producer = clvi_calloc(graph->n_values, sizeof *f.producer);
    f.uses = clvi_calloc(graph->n_values, sizeof *f.uses);
    f.gone = clvi_calloc(n_nodes, sizeof *f.gone);
    if (!f.producer || !f.uses || !f.gone) {
        st = FAIL(err, CLV_ERR_NOMEM, "pass over %zu nodes", n_nodes);
        goto out;
    }
    clvi_count_uses(graph, f.uses);
    for (size_t i = 0; i < n_nodes && st == CLV_OK; i++) {
        clvi_node *const node = graph->nodes[i];
        for (size_t j = 0; j < node->n_out; j++)
            if (node->out[j] != CLVI_NONE)
                f.producer[node->out[j]] = node;
        if (!clvi_node_is(node, "BatchNormalization"))
            continue;
        if (!(f.scratch = clvi_arena_create()))
            st = FAIL(err, CLV_ERR_NOMEM, "pass over %zu nodes", n_nodes);
        else
            st = fold_one(&f, i, err);
        clvi_arena_free(f.scratch);
    }
    if (st == CLV_OK)
        clvi_remove_nodes(graph, f.gone);
out:
    clvi_free(f.gone);
    clvi_free(f.uses);
    clvi_free(f.producer);
    return st;
}

clv_status clvi_pass_fold_batchnorm(clvi_graph *graph, clv_error *err)
{
    return clvi_pass_apply(graph, apply, err);
}
