/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/emit.h"

#include <string.h>

static const char *const names[] = {"parallel", "grouped", "gather"};
#define NAMES (sizeof names / sizeof *names)

const char *clvi_emit_name(clvi_emit emit)
{
    return (size_t)emit < NAMES ? names[emit] : "unknown";
}

bool clvi_emit_parse(const char *name, clvi_emit *out)
{
    *out = (clvi_emit)0;
    for (size_t i = 0; name && i < NAMES; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (clvi_emit)i;
            return true;
        }
    return !name;
}

int64_t clvi_emit_multiplier(const clvi_conv *link)
{
    return link->c > 1 && link->groups == link->c && link->kh * link->kw > 1 ? link->o / link->c : 1;
}

bool clvi_emit_splits(const clvi_chain *chain, size_t i)
{
    if (i + 1 >= chain->n || chain->gather[i + 1])
        return false;
    const clvi_conv *next = &chain->link[i + 1];
    return next->kh == 1 && next->kw == 1 && next->sh == 1 && next->sw == 1 && next->pt == 0 && next->pl == 0 &&
           next->pb == 0 && next->pr == 0;
}

bool clvi_emit_pair(clvi_conv pair[2], const clvi_chain *chain, size_t i, size_t j, clvi_arena *arena)
{
    const clvi_conv *dw = &chain->link[i], *pw = &chain->link[i + 1];
    const size_t c = (size_t)dw->c, m = (size_t)clvi_emit_multiplier(dw), k = (size_t)(dw->kh * dw->kw);
    const size_t o = (size_t)pw->o, columns = c / (size_t)pw->groups;
    float *filters = clvi_arena_calloc(arena, c, k * sizeof *filters);
    float *bias = dw->bias ? clvi_arena_calloc(arena, c, sizeof *bias) : NULL;
    float *mix = clvi_arena_calloc(arena, o, columns * sizeof *mix);
    if (!filters || !mix || (dw->bias && !bias))
        return false;
    for (size_t a = 0; a < c; a++) {
        memcpy(filters + a * k, dw->w + (a * m + j) * k, k * sizeof *filters);
        if (bias)
            bias[a] = dw->bias[a * m + j];
    }
    for (size_t r = 0; r < o; r++)
        for (size_t a = 0; a < columns; a++)
            mix[r * columns + a] = pw->w[r * columns * m + a * m + j];
    pair[0] = *dw;
    pair[0].o = dw->c;
    pair[0].w = filters;
    pair[0].bias = bias;
    pair[1] = *pw;
    pair[1].c = dw->c;
    pair[1].w = mix;
    pair[1].bias = j == 0 ? pw->bias : NULL;
    return true;
}

const int32_t *clvi_emit_repeated(clvi_conv *link, const clvi_chain *chain, size_t i, clvi_arena *arena)
{
    const int32_t *before = chain->gather[i];
    const size_t m = (size_t)clvi_emit_multiplier(&chain->link[i]);
    *link = chain->link[i];
    link->c = link->groups = link->o;
    int32_t *list = clvi_arena_calloc(arena, (size_t)link->c, sizeof *list);
    for (size_t a = 0; list && a < (size_t)link->c; a++)
        list[a] = before ? before[a / m] : (int32_t)(a / m);
    return list;
}

/* One axis: pads that keep the output's length with the shortest kernel. */
static void shorten(int64_t *taps, int64_t *dilation, int64_t *before, int64_t *after)
{
    const int64_t grown = *before + *after - *dilation * (*taps - 1);
    *taps = grown < 0 ? 2 : 1;
    *dilation = grown < 0 ? -grown : 1;
    *before = 0;
    *after = grown < 0 ? 0 : grown;
}

bool clvi_emit_constant(clvi_conv *link, const clvi_conv *with, clvi_arena *arena)
{
    *link = *with;
    link->c = link->groups = 1;
    shorten(&link->kh, &link->dh, &link->pt, &link->pb);
    shorten(&link->kw, &link->dw, &link->pl, &link->pr);
    link->w = clvi_arena_calloc(arena, (size_t)link->o, (size_t)(link->kh * link->kw) * sizeof *link->w);
    link->bias = with->bias ? with->bias : clvi_arena_calloc(arena, (size_t)link->o, sizeof *link->bias);
    return link->w && link->bias;
}
