/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void clvi_rng_seed(clvi_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix64(&seed);
}

void clvi_rng_seed_stream(clvi_rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t mix = stream;
    clvi_rng_seed(rng, seed ^ splitmix64(&mix));
}

uint64_t clvi_rng_u64(clvi_rng *rng)
{
    uint64_t *s = rng->s;
    const uint64_t result = rotl(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t clvi_rng_below(clvi_rng *rng, uint64_t n)
{
    const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t x;
    do
        x = clvi_rng_u64(rng);
    while (x >= limit);
    return x % n;
}

double clvi_rng_uniform(clvi_rng *rng)
{
    return (double)(clvi_rng_u64(rng) >> 11) * 0x1p-53;
}

double clvi_rng_normal(clvi_rng *rng)
{
    const double u = 1.0 - clvi_rng_uniform(rng);
    const double v = clvi_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}
