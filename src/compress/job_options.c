/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "compress/job.h"
#include "compress/stats_file.h"

clv_compress_opts clv_compress_opts_default(void)
{
    return (clv_compress_opts){.method = "joint",
                               .multiplier = 2,
                               .rounds = 6,
                               .round = 4,
                               .samples = 32768,
                               .batch = 64,
                               .max_memory = CLVI_JOB_MEMORY,
                               .ridge = 1e-3,
                               .seed = 1};
}

/* Of L-BFGS in one fit. 200 move the top-1 of ResNet-20 by less than its standard error: docs/perf.md. */
#define FIT_ITERATIONS 60

static clv_status check_ranges(const clv_compress_opts *o, clv_error *err)
{
    if (!(o->multiplier > 0) || o->multiplier > 1e6)
        return FAIL(err, CLV_ERR_ARG, "multiplier is %g, a positive number was expected", o->multiplier);
    if (o->samples < 1 || o->samples > INT32_MAX || o->batch < 1 || !(o->ridge >= 0) || o->ridge > 1)
        return FAIL(err, CLV_ERR_ARG,
                    "samples %lld (1 to 2^31 - 1), batch %lld (at least 1) or ridge %g (0 to 1) is out of range",
                    (long long)o->samples, (long long)o->batch, o->ridge);
    if (o->rounds < 0 || o->rounds > 1000)
        return FAIL(err, CLV_ERR_ARG, "%d rounds through the activation, 0 to 1000 were expected", o->rounds);
    if (o->round < 1 || o->round > 4096)
        return FAIL(err, CLV_ERR_ARG, "sizes are to be multiples of %lld, 1 to 4096 were expected",
                    (long long)o->round);
    if (o->max_memory < (int64_t)64 << 20)
        return FAIL(err, CLV_ERR_ARG, "%lld bytes of memory, at least 64 MiB were expected", (long long)o->max_memory);
    if (o->resume && !o->journal)
        return FAIL(err, CLV_ERR_ARG, "resuming needs the journal of the run that was killed");
    return CLV_OK;
}

static clv_status read_recipe(clvi_job *j, clv_error *err)
{
    clvi_bytes text;
    TRY(clvi_file_read(&text, j->opts.recipe, err));
    const clv_status st = clvi_recipe_read(&j->recipe, (const char *)text.data, text.size, &j->opts, err);
    clvi_free(text.data);
    if (st != CLV_OK)
        return err ? clvi_fail_prefix(err, st, j->opts.recipe) : st;
    j->opts = j->recipe.opts;
    return CLV_OK;
}

clv_status clvi_job_options(clvi_job *j, clv_error *err)
{
    if (j->opts.recipe)
        TRY(read_recipe(j, err));
    const clv_compress_opts *o = &j->opts;
    const char *form = o->form ? o->form : o->budget || o->recipe ? NULL : "depthwise";
    j->form = form ? clvi_form_find(form) : NULL;
    if (form && !j->form)
        return FAIL(err, CLV_ERR_ARG, "unknown form \"%s\"", form);
    if (o->budget)
        TRY(clvi_budget_parse(&j->budget, o->budget, err));
    j->fit = clvi_fit_opts_default();
    if (o->method && !clvi_method_parse(o->method, &j->fit.method))
        return FAIL(err, CLV_ERR_ARG, "unknown method \"%s\"", o->method);
    if (!clvi_emit_parse(o->emit, &j->emit))
        return FAIL(err, CLV_ERR_ARG, "emit is \"%s\": parallel, grouped or gather was expected", o->emit);
    TRY(check_ranges(o, err));
    if (form && strcmp(form, "depthwise") == 0 && !o->uneven && o->multiplier != floor(o->multiplier))
        return FAIL(err, CLV_ERR_ARG, "multiplier is %g: a fraction needs uneven multipliers", o->multiplier);
    j->fit.max_iterations = FIT_ITERATIONS;
    j->fit.multiplier = o->multiplier;
    j->fit.uneven = o->uneven;
    j->fit.ridge = o->ridge;
    j->fit.seed = o->seed;
    return CLV_OK;
}

static bool listed(const clv_compress_opts *opts, const char *name)
{
    for (size_t i = 0; i < opts->n_keep; i++)
        if (strcmp(opts->keep[i], name) == 0)
            return true;
    return false;
}

clv_status clvi_job_check_keep_list(const clvi_job *j, clv_error *err)
{
    for (size_t i = 0; i < j->opts.n_keep; i++) {
        bool found = false;
        for (size_t k = 0; k < j->sites.n; k++)
            found = found || strcmp(j->sites.site[k].name, j->opts.keep[i]) == 0;
        if (!found)
            return FAIL(err, CLV_ERR_ARG, "no convolution is called \"%s\"", j->opts.keep[i]);
    }
    return CLV_OK;
}

/* NULL when a form can take the convolution; removal can take any, and does not count. */
static const char *refused_by_all(const clvi_conv *conv)
{
    size_t n;
    const clvi_form *const *forms = clvi_form_all(&n);
    for (size_t i = 0; i < n; i++)
        if (forms[i] != clvi_form_find("remove") && !forms[i]->refuses(conv))
            return NULL;
    return forms[0]->refuses(conv);
}

const char *clvi_job_reason_to_keep(const clvi_job *j, const clvi_site *site)
{
    if (listed(&j->opts, site->name))
        return "asked to be kept";
    if (!j->opts.first && j->original->values[site->x].is_input)
        return "it reads the network's input";
    if (j->opts.budget && !j->form)
        return refused_by_all(&site->conv);
    if (!j->form)
        return NULL; /* a recipe decides */
    const char *refused = j->form->refuses(&site->conv);
    const int64_t macs = refused || j->opts.budget ? 1 : j->form->macs(&site->conv, &j->fit);
    return refused                                                      ? refused
           : macs == 0 || macs >= clvi_conv_macs_per_pixel(&site->conv) ? "splitting it would not save MACs"
                                                                        : NULL;
}

clv_status clvi_job_hash(uint64_t *out, const clvi_job *j, clv_error *err)
{
    const clv_compress_opts *o = &j->opts;
    const int64_t numbers[] = {o->uneven, o->symmetric, o->no_shortcut, o->reestimate, o->first,       o->rounds,
                               o->round,  o->samples,   o->batch,       o->max_memory, o->never_slower};
    const double reals[] = {o->multiplier, o->ridge};
    clvi_stats_head *head = clvi_calloc(1, sizeof *head);
    clv_status st = CLV_OK;
    if (!head)
        return FAIL(err, CLV_ERR_NOMEM, "journal");
    uint64_t h = clvi_hash(clvi_graph_hash(j->original), numbers, sizeof numbers);
    h = clvi_hash(clvi_hash(h, reals, sizeof reals), &o->seed, sizeof o->seed);
    h = clvi_hash_text(clvi_hash_text(clvi_hash_text(h, o->form), o->budget), o->emit);
    h = clvi_hash_text(clvi_hash_text(clvi_hash_text(h, o->method), o->stats), o->recipe);
    for (size_t i = 0; i < o->n_keep; i++)
        h = clvi_hash_text(h, o->keep[i]);
    for (size_t i = 0; i < j->recipe.n; i++) {
        const clvi_candidate *c = &j->recipe.layer[i].chosen;
        h = clvi_hash_text(clvi_hash_text(h, j->recipe.layer[i].layer), c->form ? c->form->name : NULL);
        h = clvi_hash(clvi_hash(h, &c->size, sizeof c->size), &c->multiplier, sizeof c->multiplier);
    }
    if (j->images)
        st = clvi_stats_head_of(head, j->original, &j->sites, &j->calibration, err);
    *out = clvi_hash(h, &head->piece[0], sizeof head->piece[0]);
    clvi_free(head);
    return st;
}
