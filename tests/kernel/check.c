/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#include "kernel/check.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOT_BYTES (1u << 20)
#define CANARY     64 /* floats */

static char case_text[512]; /* read by the signal handler */

static struct {
    char *map; /* page | SLOT_BYTES | page */
    float *data;
    size_t n;
    bool at_end;
} slots[CHECK_SLOTS];

static void on_fault(int number)
{
    static const char head[] = "fault in ";
    (void)number;
    (void)!write(STDERR_FILENO, head, sizeof head - 1);
    (void)!write(STDERR_FILENO, case_text, strlen(case_text));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(2);
}

void check_start(check *c, const char *kernel, uint64_t seed)
{
    *c = (check){.kernel = kernel, .seed = seed};
    clvi_rng_seed(&c->rng, seed);
    (void)signal(SIGSEGV, on_fault);
    (void)signal(SIGBUS, on_fault);
    (void)signal(SIGILL, on_fault);
}

void check_case(check *c, const char *fmt, ...)
{
    va_list args;
    const int n = snprintf(case_text, sizeof case_text, "%s --seed=%llu: ", c->kernel, (unsigned long long)c->seed);
    c->cases++;
    va_start(args, fmt);
    (void)vsnprintf(case_text + n, sizeof case_text - (size_t)n, fmt, args);
    va_end(args);
}

void check_fail(check *c, const char *fmt, ...)
{
    va_list args;
    c->failed = true;
    (void)fprintf(stderr, "FAILED %s\n  ", case_text);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\n");
}

static uint32_t canary_word(const float *at)
{
    return 0x5ca1ab1eu ^ (uint32_t)((uintptr_t)at >> 2);
}

/* The canary stands on the side that has no inaccessible page. */
static float *canary_of(int slot)
{
    return slots[slot].at_end ? slots[slot].data - CANARY : slots[slot].data + slots[slot].n;
}

float *check_buffer(int slot, size_t n, bool at_end)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!slots[slot].map) {
        slots[slot].map = mmap(NULL, SLOT_BYTES + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (slots[slot].map == MAP_FAILED ||
            mprotect(slots[slot].map + page, SLOT_BYTES, PROT_READ | PROT_WRITE) != 0) {
            perror("guarded buffer");
            exit(1);
        }
    }
    if ((n + CANARY) * sizeof(float) > SLOT_BYTES) {
        (void)fprintf(stderr, "case too large: %zu floats\n", n);
        exit(1);
    }
    float *base = (float *)(void *)(slots[slot].map + page);
    slots[slot].n = n;
    slots[slot].at_end = at_end;
    slots[slot].data = at_end ? base + SLOT_BYTES / sizeof(float) - n : base;
    float *canary = canary_of(slot);
    for (size_t i = 0; i < CANARY; i++) {
        const uint32_t word = canary_word(canary + i);
        memcpy(canary + i, &word, sizeof word);
    }
    return slots[slot].data;
}

bool check_canary(check *c, int slot)
{
    const float *canary = canary_of(slot);
    for (size_t i = 0; i < CANARY; i++) {
        const uint32_t word = canary_word(canary + i);
        if (memcmp(canary + i, &word, sizeof word) != 0) {
            check_fail(c, "buffer %d: written %zu floats %s", slot, slots[slot].at_end ? CANARY - i : i + 1,
                       slots[slot].at_end ? "before its begin" : "behind its end");
            return false;
        }
    }
    return true;
}

void check_fill(check *c, float *data, size_t n, int kind)
{
    const float equal = (float)clvi_rng_uniform(&c->rng) - 0.5f;
    for (size_t i = 0; i < n; i++) {
        const float u = (float)(2.0 * clvi_rng_uniform(&c->rng) - 1.0);
        switch (kind) {
        case CHECK_EQUAL:
            data[i] = equal;
            break;
        case CHECK_MIXED:
            data[i] = clvi_rng_below(&c->rng, 2) ? u * 1e12f : u * 1e-12f;
            break;
        case CHECK_ZEROS:
            data[i] = (const float[]){0.0f, -0.0f, 1.0f, -1.0f}[clvi_rng_below(&c->rng, 4)];
            break;
        case CHECK_INTEGERS:
            data[i] = (float)clvi_rng_below(&c->rng, 17) - 8.0f;
            break;
        default:
            data[i] = u;
            break;
        }
    }
}

size_t check_random(check *c, size_t low, size_t high)
{
    return low + (size_t)clvi_rng_below(&c->rng, high - low + 1);
}

bool check_near(float got, double want, double magnitude, size_t steps)
{
    const double u = 0x1p-24, k = (double)(steps + 2) * u;
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    return fabs((double)got - want) <= k / (1.0 - k) * magnitude + (double)FLT_TRUE_MIN * (double)(steps + 2);
}
