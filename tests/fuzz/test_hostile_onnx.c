/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded mutations of small models: every one is refused with a reason or survives a read and a write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "fuzz/onnx_cycle.h"
#include "unit/onnx_wire.h"

#define N_MODELS 4
#define N_CASES  40000

typedef struct seeds {
    clvi_str models[N_MODELS];
    uint8_t *bytes; /* the case at work */
    size_t size, capacity;
} seeds;

static int make_seeds(void **state)
{
    static seeds s;
    s = (seeds){.models = {wire_small_model(), wire_strange_model(), wire_typed_model(), wire_old_model()}};
    for (size_t i = 0; i < N_MODELS; i++)
        s.capacity = s.models[i].size > s.capacity ? s.models[i].size : s.capacity;
    s.capacity = 4 * s.capacity + 64;
    s.bytes = clvi_alloc(s.capacity);
    *state = &s;
    return s.bytes ? 0 : -1;
}

static int free_seeds(void **state)
{
    seeds *s = *state;
    for (size_t i = 0; i < N_MODELS; i++)
        clvi_str_free(&s->models[i]);
    clvi_free(s->bytes);
    return 0;
}

static size_t below(clvi_rng *rng, size_t n)
{
    return n ? (size_t)clvi_rng_below(rng, n) : 0;
}

/* Put n bytes in the place of `gone` bytes at `at`. */
static void splice(seeds *s, size_t at, size_t gone, const void *bytes, size_t n)
{
    if (at + gone > s->size || s->size - gone + n > s->capacity)
        return;
    memmove(s->bytes + at + n, s->bytes + at + gone, s->size - at - gone);
    if (n)
        memcpy(s->bytes + at, bytes, n);
    s->size = s->size - gone + n;
}

static void mutate(seeds *s, clvi_rng *rng)
{
    static const uint8_t huge[][10] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
                                       {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
                                       {0xff, 0xff, 0xff, 0xff, 0x07},
                                       {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}};
    static const size_t huge_size[] = {10, 9, 5, 10};
    const size_t at = below(rng, s->size);
    const clvi_str *other = &s->models[below(rng, N_MODELS)];
    const size_t from = below(rng, other->size), kind = below(rng, 4);
    const size_t gone = below(rng, 8), copied = below(rng, other->size - from);
    switch (below(rng, 7)) {
    case 0: /* cut short */
        s->size = at;
        break;
    case 1: /* flip a bit */
        if (s->size)
            s->bytes[at] ^= (uint8_t)(1u << below(rng, 8));
        break;
    case 2: /* another byte */
        if (s->size)
            s->bytes[at] = (uint8_t)below(rng, 256);
        break;
    case 3: /* a huge number in the place of a byte */
        splice(s, at, s->size > 0, huge[kind], huge_size[kind]);
        break;
    case 4: /* a piece of another model */
        splice(s, at, gone, other->text + from, copied);
        break;
    case 5: /* a piece removed */
        splice(s, at, below(rng, s->size - at), NULL, 0);
        break;
    default: /* fields doubled: a model behind a model is one message to protobuf */
        splice(s, s->size, 0, other->text, other->size);
        break;
    }
}

static void mutations_never_hurt(void **state)
{
    seeds *s = *state;
    size_t models = 0;
    for (uint64_t i = 0; i < N_CASES; i++) {
        clvi_rng rng;
        clvi_rng_seed_stream(&rng, 2026, i);
        const clvi_str *model = &s->models[i % N_MODELS];
        s->size = model->size;
        memcpy(s->bytes, model->text, model->size);
        for (size_t n = 1 + below(&rng, 3); n > 0; n--)
            mutate(s, &rng);
        models += onnx_cycle(s->bytes, s->size);
    }
    print_message("%d cases, %zu still models\n", N_CASES, models);
    assert_true(models > N_CASES / 100); /* else the mutations are too wild to reach what lies deep */
    assert_true(models < N_CASES);
}

/* Every way to cut the models short, and every single bit of the smallest one. */
static void cuts_and_flips_never_hurt(void **state)
{
    seeds *s = *state;
    for (size_t m = 0; m < N_MODELS; m++) {
        const clvi_str *model = &s->models[m];
        assert_true(onnx_cycle((const uint8_t *)model->text, model->size));
        for (size_t size = 0; size < model->size; size++) {
            memcpy(s->bytes, model->text, size); /* moved to the front of a block: reads past the end are seen */
            (void)onnx_cycle(s->bytes, size);
        }
    }
    const clvi_str *old = &s->models[3];
    for (size_t bit = 0; bit < 8 * old->size; bit++) {
        memcpy(s->bytes, old->text, old->size);
        s->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)onnx_cycle(s->bytes, old->size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_and_flips_never_hurt),
        cmocka_unit_test(mutations_never_hurt),
    };
    return cmocka_run_group_tests(tests, make_seeds, free_seeds);
}
