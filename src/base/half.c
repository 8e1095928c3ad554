/* SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"

#include <string.h>

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float clvi_half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 0x1fu, mantissa = half & 0x3ffu;
    if (exponent == 0) /* zero or subnormal: mantissa * 2^-24 */
        return from_bits(to_bits((float)mantissa * 0x1p-24f) | sign);
    if (exponent == 0x1f)
        return from_bits(sign | 0x7f800000u | mantissa << 13);
    return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t clvi_float_to_half(float x)
{
    const uint32_t bits = to_bits(x);
    const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: subnormal; adding 0.5 makes the FPU round at 2^-24 */
        const float shifted = from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (to_bits(shifted) - to_bits(0.5f)));
    }
    const uint32_t odd = magnitude >> 13 & 1u;
    return (uint16_t)(sign | (magnitude - (112u << 23) + 0xfffu + odd) >> 13);
}

float clvi_bfloat_to_float(uint16_t bfloat)
{
    return from_bits((uint32_t)bfloat << 16);
}

uint16_t clvi_float_to_bfloat(float x)
{
    const uint32_t bits = to_bits(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

bool clvi_floats_from(float *to, clv_dtype dtype, const void *from, size_t n)
{
    if (dtype == CLV_FLOAT32) {
        if (n)
            memcpy(to, from, n * sizeof *to);
    } else if (dtype == CLV_FLOAT64) {
        for (size_t i = 0; i < n; i++)
            to[i] = (float)((const double *)from)[i];
    } else if (dtype == CLV_FLOAT16) {
        for (size_t i = 0; i < n; i++)
            to[i] = clvi_half_to_float(((const uint16_t *)from)[i]);
    } else if (dtype == CLV_BFLOAT16) {
        for (size_t i = 0; i < n; i++)
            to[i] = clvi_bfloat_to_float(((const uint16_t *)from)[i]);
    } else {
        return false;
    }
    return true;
}

bool clvi_floats_to(void *to, clv_dtype dtype, const float *from, size_t n)
{
    if (dtype == CLV_FLOAT32) {
        if (n)
            memcpy(to, from, n * sizeof *from);
    } else if (dtype == CLV_FLOAT64) {
        for (size_t i = 0; i < n; i++)
            ((double *)to)[i] = (double)from[i];
    } else if (dtype == CLV_FLOAT16) {
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = clvi_float_to_half(from[i]);
    } else if (dtype == CLV_BFLOAT16) {
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = clvi_float_to_bfloat(from[i]);
    } else {
        return false;
    }
    return true;
}
