/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256** (Blackman and Vigna 2018), seeded by splitmix64: same seed, same stream, everywhere. */
#ifndef CLVI_BASE_RNG_H
#define CLVI_BASE_RNG_H

#include <stdint.h>

typedef struct clvi_rng {
    uint64_t s[4];
} clvi_rng;

void clvi_rng_seed(clvi_rng *rng, uint64_t seed);

/* Independent stream for (seed, stream): use it to give each image or layer its own numbers, so that
 * results do not depend on the order of the work. */
void clvi_rng_seed_stream(clvi_rng *rng, uint64_t seed, uint64_t stream);

uint64_t clvi_rng_u64(clvi_rng *rng);
uint64_t clvi_rng_below(clvi_rng *rng, uint64_t n); /* uniform in [0, n), n >= 1, unbiased */
double clvi_rng_uniform(clvi_rng *rng);             /* [0, 1), 53 bits */
double clvi_rng_normal(clvi_rng *rng);              /* mean 0, variance 1 (Box-Muller) */

#endif
