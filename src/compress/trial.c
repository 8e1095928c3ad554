/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/trial.h"

#include <string.h>

#include "runtime/passes.h"

/* --- chains ----------------------------------------------------------------------------------------------------- */

struct clvi_trial_chain {
    struct clvi_trial_chain *next;
    clvi_conv conv; /* without weights */
    clvi_candidate candidate;
    clvi_chain chain;
};

static bool same_conv(const clvi_conv *a, const clvi_conv *b)
{
    return a->o == b->o && a->c == b->c && a->groups == b->groups && a->kh == b->kh && a->kw == b->kw &&
           a->sh == b->sh && a->sw == b->sw && a->dh == b->dh && a->dw == b->dw && a->pt == b->pt && a->pl == b->pl &&
           a->pb == b->pb && a->pr == b->pr && a->rank == b->rank && a->map_h == b->map_h && a->map_w == b->map_w &&
           !a->bias == !b->bias;
}

static bool same_candidate(const clvi_candidate *a, const clvi_candidate *b)
{
    return a->form == b->form && a->size == b->size && a->multiplier == b->multiplier && a->uneven == b->uneven;
}

clv_status clvi_trial_chain_of(const clvi_chain **out, clvi_trial_chains *chains, const clvi_conv *conv,
                               const clvi_candidate *candidate, clv_context *context, clv_error *err)
{
    clvi_fit fit;
    clvi_fit_opts opts = clvi_fit_opts_default();
    for (struct clvi_trial_chain *c = chains->first; c; c = c->next)
        if (same_conv(&c->conv, conv) && same_candidate(&c->candidate, candidate)) {
            *out = &c->chain;
            return CLV_OK;
        }
    if (!chains->arena)
        chains->arena = clvi_arena_create();
    struct clvi_trial_chain *made = chains->arena ? clvi_arena_calloc(chains->arena, 1, sizeof *made) : NULL;
    if (!made)
        return FAIL(err, CLV_ERR_NOMEM, "networks to be timed");
    opts = clvi_candidate_fit_opts(candidate, &opts);
    opts.method = CLVI_METHOD_SVD; /* of the weights alone, the quickest */
    opts.max_iterations = opts.starts = 1;
    TRY(candidate->form->fit(&fit, conv, NULL, &opts, chains->arena, context, err));
    *made = (struct clvi_trial_chain){chains->first, *conv, *candidate, fit.chain};
    chains->first = made;
    *out = &made->chain;
    return CLV_OK;
}

void clvi_trial_chains_free(clvi_trial_chains *chains)
{
    clvi_arena_free(chains->arena);
    *chains = (clvi_trial_chains){0};
}

/* --- who owns what ---------------------------------------------------------------------------------------------- */

/* The one site that all computed inputs of a node belong to, or CLVI_NONE. */
static int32_t owner_of_inputs(const clvi_graph *graph, const clvi_node *node, const int32_t *owner)
{
    int32_t site = CLVI_NONE;
    for (size_t i = 0; i < node->n_in; i++) {
        const int32_t v = node->in[i];
        if (v == CLVI_NONE || graph->values[v].constant)
            continue;
        if (owner[v] == CLVI_NONE || (site != CLVI_NONE && owner[v] != site))
            return CLVI_NONE;
        site = owner[v];
    }
    return site;
}

static bool is_elementwise(const clvi_node *node)
{
    static const char *const types[] = {"Relu", "Clip",      "LeakyRelu",   "PRelu", "Sigmoid", "Tanh",
                                        "Elu",  "HardSwish", "HardSigmoid", "Mul",   "Add",     "Softplus"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (clvi_node_is(node, types[i]))
            return true;
    return false;
}

/* Owners of the original's values, in topological order: convolutions, their sums, what follows them. */
static void own_values(int32_t *owner, const clvi_graph *original, const clvi_sites *sites)
{
    for (size_t v = 0; v < original->n_values; v++)
        owner[v] = CLVI_NONE;
    for (size_t i = 0; i < sites->n; i++) {
        owner[sites->site[i].y] = (int32_t)i;
        if (sites->site[i].sum != CLVI_NONE)
            owner[sites->site[i].sum] = (int32_t)i;
        if (sites->site[i].mean != CLVI_NONE)
            owner[sites->site[i].mean] = (int32_t)i;
    }
    for (size_t n = 0; n < original->n_nodes; n++) {
        const clvi_node *node = original->nodes[n];
        if (node->n_out == 1 && node->out[0] != CLVI_NONE && owner[node->out[0]] == CLVI_NONE && is_elementwise(node))
            owner[node->out[0]] = owner_of_inputs(original, node, owner);
    }
}

/* --- the network ------------------------------------------------------------------------------------------------ */

static clv_status rewrite_all(clvi_trial *t, const clvi_sites *sites, const clvi_candidate *const *chosen,
                              clvi_trial_chains *chains, size_t *first, clv_context *context, clv_error *err)
{
    for (size_t i = 0; i < sites->n; i++) {
        const clvi_site *site = &sites->site[i];
        const clvi_chain *chain;
        first[i] = t->graph->n_values;
        if (!chosen[i] || !chosen[i]->form)
            continue;
        TRY(clvi_check_cancel(context, err));
        TRY(clvi_trial_chain_of(&chain, chains, &site->conv, chosen[i], context, err));
        TRY(clvi_site_rewrite(t->graph, site, chain, err));
    }
    first[sites->n] = t->graph->n_values;
    return CLV_OK;
}

/* Values that a rewrite added belong to its site. */
static clv_status own_all(clvi_trial *t, const clvi_graph *original, const clvi_sites *sites, const size_t *first,
                          clv_error *err)
{
    t->n_owner = first[sites->n];
    t->owner = clvi_alloc_array(t->n_owner, sizeof *t->owner);
    if (!t->owner)
        return FAIL(err, CLV_ERR_NOMEM, "a network to be timed");
    own_values(t->owner, original, sites);
    for (size_t i = 0; i < sites->n; i++)
        for (size_t v = first[i]; v < first[i + 1]; v++)
            t->owner[v] = (int32_t)i;
    return CLV_OK;
}

clv_status clvi_trial_create(clvi_trial *out, const clvi_graph *original, const clvi_sites *sites,
                             const clvi_candidate *const *chosen, clvi_trial_chains *chains, clv_context *context,
                             clv_error *err)
{
    *out = (clvi_trial){0};
    size_t *first = clvi_alloc_array(sites->n + 1, sizeof *first); /* values when site i was rewritten */
    clv_status st = first ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "a network to be timed");
    if (st == CLV_OK)
        st = clvi_graph_clone(&out->graph, original, err);
    if (st == CLV_OK)
        st = rewrite_all(out, sites, chosen, chains, first, context, err);
    if (st == CLV_OK)
        st = own_all(out, original, sites, first, err);
    if (st == CLV_OK)
        st = clvi_pass_absorb_constants(out->graph, err);
    if (st == CLV_OK)
        st = clvi_pass_prune_channels(out->graph, err);
    clvi_free(first);
    if (st != CLV_OK)
        clvi_trial_free(out);
    return st;
}

void clvi_trial_free(clvi_trial *trial)
{
    clvi_graph_free(trial->graph);
    clvi_free(trial->owner);
    *trial = (clvi_trial){0};
}
