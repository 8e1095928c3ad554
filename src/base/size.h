/* SPDX-License-Identifier: Apache-2.0 */
/* Checked size arithmetic for values that come from a file. Each returns false on overflow. */
#ifndef CLVI_BASE_SIZE_H
#define CLVI_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool clvi_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool clvi_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool clvi_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool clvi_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline size_t clvi_round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

static inline size_t clvi_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t clvi_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
