/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/recipe.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define VERSION    1
#define RUNNERS_UP 3

/* --- writing -------------------------------------------------------------------------------------------------------
 */

/* Takes `value`; false once memory is short. NaN has no JSON: it is left out. */
static bool set(json_t *object, const char *key, json_t *value)
{
    return value && json_object_set_new(object, key, value) == 0;
}

static bool set_real(json_t *object, const char *key, double value)
{
    return !isfinite(value) || set(object, key, json_real(value));
}

static bool set_candidate(json_t *to, const clvi_candidate *c)
{
    if (!c->form)
        return set(to, "form", json_string("kept"));
    const bool by_multiplier = c->size == 0;
    return set(to, "form", json_string(c->form->name)) &&
           (by_multiplier ? set_real(to, "multiplier", c->multiplier) : set(to, "size", json_integer(c->size))) &&
           (!c->uneven || set(to, "uneven", json_true()));
}

static json_t *options_of(const clv_compress_opts *o)
{
    json_t *to = json_object();
    const bool sound = to && set(to, "method", json_string(o->method ? o->method : "joint")) &&
                       set_real(to, "multiplier", o->multiplier) && set(to, "uneven", json_boolean(o->uneven)) &&
                       set(to, "symmetric", json_boolean(o->symmetric)) &&
                       set(to, "no_shortcut", json_boolean(o->no_shortcut)) &&
                       set(to, "reestimate", json_boolean(o->reestimate)) &&
                       set(to, "emit", json_string(o->emit ? o->emit : "parallel")) &&
                       set(to, "rounds", json_integer(o->rounds)) && set(to, "first", json_boolean(o->first)) &&
                       set(to, "samples", json_integer(o->samples)) && set(to, "batch", json_integer(o->batch)) &&
                       set_real(to, "ridge", o->ridge) && set(to, "seed", json_integer((json_int_t)o->seed));
    if (sound)
        return to;
    json_decref(to);
    return NULL;
}

/* Of those that cost no more than the next larger choice, the nearest in error: sorted by error, the chosen one left
 * out. */
static json_t *runners_up(const clvi_recipe_layer *l)
{
    json_t *to = json_array();
    bool used[CLVI_CANDIDATES_MAX] = {false};
    for (size_t k = 0; to && k < RUNNERS_UP; k++) {
        size_t best = CLVI_CANDIDATES_MAX;
        double least = HUGE_VAL;
        for (size_t i = 0; i < l->list->n; i++) {
            const clvi_candidate *c = &l->list->item[i];
            const bool self = c->form == l->chosen.form && c->size == l->chosen.size &&
                              c->multiplier == l->chosen.multiplier && c->uneven == l->chosen.uneven;
            /* distance along the curve: error and cost, both relative to the chosen one */
            const double d = fabs(log((c->error + 1e-6) / (l->chosen.error + 1e-6))) +
                             fabs(log(((double)c->macs_per_pixel + 1) / ((double)l->chosen.macs_per_pixel + 1)));
            if (!self && !used[i] && c->form && d < least) {
                least = d;
                best = i;
            }
        }
        if (best == CLVI_CANDIDATES_MAX)
            break;
        used[best] = true;
        const clvi_candidate *c = &l->list->item[best];
        json_t *row = json_object();
        if (!row || !set_candidate(row, c) || !set_real(row, "error", c->error) ||
            !set(row, "macs", json_integer(c->macs_per_pixel * l->pixels)) || json_array_append_new(to, row) != 0)
            return NULL;
    }
    return to;
}

static json_t *layer_of(const clvi_recipe_layer *l, bool brief)
{
    json_t *to = json_object();
    bool sound = to && set(to, "layer", json_string(l->layer)) && set_candidate(to, &l->chosen) &&
                 (l->chosen.form || !l->why || set(to, "why", json_string(l->why)));
    if (sound && !brief)
        sound = set_real(to, "predicted_error", l->chosen.form ? l->chosen.error : (double)NAN) &&
                set_real(to, "error", l->error) && set(to, "macs_before", json_integer(l->macs_before)) &&
                set(to, "macs_after", json_integer(l->macs_after)) &&
                set(to, "parameters_after", json_integer(l->parameters_after)) &&
                (!l->list || l->list->n < 2 || !l->chosen.form || set(to, "runners_up", runners_up(l)));
    if (sound)
        return to;
    json_decref(to);
    return NULL;
}

/* Milliseconds, with the digits that a clock has. */
static bool set_ms(json_t *object, const char *key, double seconds)
{
    return set_real(object, key, round(1e7 * seconds) / 1e4);
}

static json_t *latency_of(const clvi_latency_figures *f)
{
    json_t *to = json_object();
    if (to && set_ms(to, "before_ms", f->before) && set_ms(to, "target_ms", f->target) &&
        set_ms(to, "predicted_ms", f->predicted) && set_ms(to, "planned_ms", f->planned) &&
        set_ms(to, "after_ms", f->after))
        return to;
    json_decref(to);
    return NULL;
}

clv_status clvi_recipe_write(char **text, const clvi_recipe *recipe, bool brief, clv_error *err)
{
    char hash[24];
    json_t *root = json_object(), *layers = json_array();
    (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)recipe->model);
    bool sound = root && layers && set(root, "cleave_recipe", json_integer(VERSION)) &&
                 set(root, "model", json_string(hash)) && set(root, "options", options_of(recipe->opts)) &&
                 (!recipe->opts->budget || set(root, "budget", json_string(recipe->opts->budget))) &&
                 (brief || !recipe->latency || set(root, "latency", latency_of(recipe->latency)));
    for (size_t i = 0; sound && i < recipe->n; i++) {
        json_t *row = layer_of(&recipe->layer[i], brief);
        sound = row && json_array_append_new(layers, row) == 0;
    }
    sound = sound && json_object_set(root, "layers", layers) == 0;
    char *dumped = sound ? json_dumps(root, JSON_REAL_PRECISION(17) | (brief ? JSON_COMPACT : JSON_INDENT(1))) : NULL;
    *text = dumped ? clvi_strdup(dumped) : NULL;
    free(dumped); /* jansson's, from malloc */
    json_decref(layers);
    json_decref(root);
    return *text ? CLV_OK : FAIL(err, CLV_ERR_NOMEM, "recipe of %zu layers", recipe->n);
}

/* --- reading -------------------------------------------------------------------------------------------------------
 */

static void take_int(int64_t *to, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value))
        *to = json_integer_value(value);
}

static void take_bool(bool *to, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_boolean(value))
        *to = json_is_true(value);
}

static void take_real(double *to, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_number(value))
        *to = json_number_value(value);
}

static bool take_text(const char **to, const json_t *object, const char *key, clvi_arena *arena)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value))
        *to = clvi_arena_strdup(arena, json_string_value(value));
    return !json_is_string(value) || *to;
}

static bool read_options(clv_compress_opts *o, const json_t *root, clvi_arena *arena)
{
    const json_t *from = json_object_get(root, "options");
    int64_t rounds = o->rounds, seed = (int64_t)o->seed;
    take_real(&o->multiplier, from, "multiplier");
    take_real(&o->ridge, from, "ridge");
    take_bool(&o->uneven, from, "uneven");
    take_bool(&o->symmetric, from, "symmetric");
    take_bool(&o->no_shortcut, from, "no_shortcut");
    take_bool(&o->reestimate, from, "reestimate");
    take_bool(&o->first, from, "first");
    take_int(&rounds, from, "rounds");
    take_int(&o->samples, from, "samples");
    take_int(&o->batch, from, "batch");
    take_int(&seed, from, "seed");
    o->rounds = rounds >= 0 && rounds <= 1000 ? (int)rounds : -1; /* refused with the other options */
    o->seed = (uint64_t)seed;
    o->budget = NULL;
    return take_text(&o->method, from, "method", arena) && take_text(&o->emit, from, "emit", arena) &&
           take_text(&o->budget, root, "budget", arena);
}

static clv_status read_layer(clvi_recipe_layer *to, const json_t *from, size_t index, clvi_arena *arena, clv_error *err)
{
    const char *form = NULL;
    *to = (clvi_recipe_layer){.error = (double)NAN, .chosen = {.error = (double)NAN}};
    if (!take_text(&to->layer, from, "layer", arena) || !take_text(&form, from, "form", arena) ||
        !take_text(&to->why, from, "why", arena))
        return FAIL(err, CLV_ERR_NOMEM, "layer %zu of a recipe", index);
    if (!to->layer || !form)
        return FAIL(err, CLV_ERR_FORMAT, "layer %zu of the recipe has no \"%s\"", index, to->layer ? "form" : "layer");
    if (strcmp(form, "kept") == 0)
        return CLV_OK;
    to->chosen.form = clvi_form_find(form);
    take_real(&to->chosen.multiplier, from, "multiplier");
    take_int(&to->chosen.size, from, "size");
    take_bool(&to->chosen.uneven, from, "uneven");
    take_real(&to->chosen.error, from, "predicted_error");
    if (!to->chosen.form)
        return FAIL(err, CLV_ERR_FORMAT, "layer \"%s\" of the recipe: unknown form \"%s\"", to->layer, form);
    if (to->chosen.size > 0)
        to->chosen.multiplier = 1;
    if (to->chosen.size < 0 || !(to->chosen.multiplier >= 0) || to->chosen.multiplier > 1e6 ||
        !(to->chosen.multiplier > 0))
        return FAIL(err, CLV_ERR_FORMAT, "layer \"%s\" of the recipe: size %lld, multiplier %g", to->layer,
                    (long long)to->chosen.size, to->chosen.multiplier);
    return CLV_OK;
}

static clv_status read_root(clvi_recipe_plan *out, const json_t *root, clv_error *err)
{
    int64_t version = 0;
    const char *model = NULL;
    char *end;
    const json_t *layers = json_object_get(root, "layers");
    take_int(&version, root, "cleave_recipe");
    if (version != VERSION || !json_is_array(layers))
        return FAIL(err, CLV_ERR_FORMAT, "not a recipe of version %d: \"cleave_recipe\" is %lld, \"layers\" %s",
                    VERSION, (long long)version, json_is_array(layers) ? "is a list" : "is missing");
    if (!take_text(&model, root, "model", out->arena) || !read_options(&out->opts, root, out->arena))
        return FAIL(err, CLV_ERR_NOMEM, "recipe");
    out->model = model ? strtoull(model, &end, 16) : 0;
    out->n = json_array_size(layers);
    out->layer = clvi_arena_calloc(out->arena, out->n, sizeof *out->layer);
    if (!out->layer)
        return FAIL(err, CLV_ERR_NOMEM, "recipe of %zu layers", out->n);
    for (size_t i = 0; i < out->n; i++)
        TRY(read_layer(&out->layer[i], json_array_get(layers, i), i, out->arena, err));
    return CLV_OK;
}

clv_status clvi_recipe_read(clvi_recipe_plan *out, const char *text, size_t size, const clv_compress_opts *opts,
                            clv_error *err)
{
    json_error_t where;
    *out = (clvi_recipe_plan){.arena = clvi_arena_create(), .opts = *opts};
    if (!out->arena)
        return FAIL(err, CLV_ERR_NOMEM, "recipe");
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    const clv_status st =
        root ? read_root(out, root, err)
             : FAIL(err, CLV_ERR_FORMAT, "recipe, line %d, column %d: %s", where.line, where.column, where.text);
    json_decref(root);
    if (st != CLV_OK)
        clvi_recipe_plan_free(out);
    return st;
}

void clvi_recipe_plan_free(clvi_recipe_plan *plan)
{
    clvi_arena_free(plan->arena);
    *plan = (clvi_recipe_plan){0};
}
