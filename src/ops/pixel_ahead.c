/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching weights ahead. Between two inferences a network's weights leave L2, and in bursts a core waits for them. So
 * a step fetches, evenly over all of its time, what is left of its own weights and then the head of the next step's.
 * Threads that share a step's panels each look after their own. */
#include <math.h>

#include "base/size.h"
#include "ops/pixels.h"

/* Bytes of weights that are in L2 when a step begins: one that goes through them once has at least the first panel, one
 * that goes through them again and again would wait for all that it lacks. */
#define HEAD_ONCE  (256u << 10)
#define HEAD_OFTEN (768u << 10)

typedef struct span {
    const char *from;
    size_t bytes;
} span;

bool clvi_pixel_multiplies(const clvi_pixel_step *step)
{
    return step->conv.weights && step->kind != &clvi_pixel_depthwise;
}

bool clvi_pixel_by_panels(const clvi_pixel_step *step)
{
    const clvi_conv_shape *const s = &step->conv.shape;
    return step->kind == &clvi_pixel_convolution && s->n * s->oh * s->ow < CLVI_PIXEL_MANY;
}

/* The weights that `worker` needs, and how many of them when the step begins. */
static span weights_of(const clvi_pixel_step *step, size_t worker, size_t *head)
{
    const bool expanded = step->expand.weights && !step->depthwise.weights;
    const clvi_pixel_conv *const conv = expanded ? &step->expand : &step->conv;
    const size_t nr = step->kernels->pixel_gemm_f32.nr, threads = (size_t)clvi_pool_threads(step->pool);
    const size_t taps =
        conv->winograd ? (conv->winograd + 2) * (conv->winograd + 2) : (size_t)(conv->shape.kh * conv->shape.kw);
    const size_t panel = (size_t)conv->shape.c * taps * nr * sizeof(float);
    const size_t panels = ((size_t)conv->shape.o + nr - 1) / nr;
    const bool part = clvi_pixel_by_panels(step);
    const size_t first = part ? panels * worker / threads : 0, end = part ? panels * (worker + 1) / threads : panels;
    const size_t bytes = (end - first) * panel;
    const size_t most = step->kind == &clvi_pixel_convolution ? clvi_max_size(HEAD_ONCE, panel / 4 * 5) : HEAD_OFTEN;
    *head = clvi_min_size(bytes, most);
    return (span){(const char *)conv->weights + first * panel, bytes};
}

clvi_pixel_source clvi_pixel_source_of(const clvi_pixel_step *step, size_t worker, size_t all)
{
    const size_t threads = clvi_pixel_by_panels(step) ? 1 : (size_t)clvi_pool_threads(step->pool);
    size_t head, next_head = 0;
    const span own = weights_of(step, worker, &head);
    const span next = step->next ? weights_of(step->next, worker, &next_head) : (span){NULL, 0};
    clvi_pixel_source s = {.from = {own.from + head, next.from}, .own = own.bytes - head};
    s.bytes = s.own + next_head;
    s.each = (double)(s.bytes * threads) / (double)all;
    return s;
}

clvi_pixel_ahead clvi_pixel_ahead_of(const clvi_pixel_source *s, size_t first, size_t count, size_t parts, size_t steps)
{
    clvi_pixel_ahead ahead = {.source = s};
    if (s->bytes == 0)
        return ahead;
    ahead.at = (size_t)((double)first * s->each);
    while (ahead.at >= s->bytes) /* another thread's part of the outputs is as long */
        ahead.at -= s->bytes;
    const double bytes = fmin((double)count * s->each, (double)s->bytes), part = bytes / (double)parts;
    ahead.part = (size_t)part;
    ahead.step = (size_t)(part / (double)steps) + 1;
    return ahead;
}

void clvi_pixel_fetch(const clvi_pixel_ahead *ahead, size_t i, clvi_pixel_tile *tile)
{
    const clvi_pixel_source *const s = ahead->source;
    if (ahead->step == 0)
        return;
    const size_t at = ahead->at + ahead->part * i;
    tile->next = at < s->own ? s->from[0] + at : s->from[1] ? s->from[1] + (at - s->own) : NULL;
    tile->next_step = ahead->step;
}
