// SPDX-License-Identifier: Apache-2.0
#include "ops/element.h"

bool clvi_is_integer(clv_dtype dtype)
{
    return (dtype >= CLV_UINT8 && dtype <= CLV_INT64) || dtype == CLV_UINT32 || dtype == CLV_UINT64;
}

int64_t clvi_load_int(clv_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case CLV_BOOL:
    case CLV_UINT8:
        return ((const uint8_t *)data)[i];
    case CLV_INT8:
        return ((const int8_t *)data)[i];
    case CLV_UINT16:
        return ((const uint16_t *)data)[i];
    case CLV_INT16:
        return ((const int16_t *)data)[i];
    case CLV_UINT32:
        return ((const uint32_t *)data)[i];
    case CLV_INT32:
        return ((const int32_t *)data)[i];
    default:
        return ((const int64_t *)data)[i];
    }
}

void clvi_store_int(clv_dtype dtype, void *data, int64_t i, int64_t value)
{
    switch (dtype) {
    case CLV_BOOL:
        ((uint8_t *)data)[i] = value != 0;
        break;
    case CLV_UINT8:
    case CLV_INT8:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    case CLV_UINT16:
    case CLV_INT16:
        ((uint16_t *)data)[i] = (uint16_t)value;
        break;
    case CLV_UINT32:
    case CLV_INT32:
        ((uint32_t *)data)[i] = (uint32_t)value;
        break;
    default:
        ((int64_t *)data)[i] = value;
    }
}

double clvi_load_double(clv_dtype dtype, const void *data, int64_t i)
{
    if (dtype == CLV_FLOAT32)
        return (double)((const float *)data)[i];
    const int64_t v = clvi_load_int(dtype, data, i);
    return dtype == CLV_UINT64 ? (double)(uint64_t)v : (double)v;
}

void clvi_store_double(clv_dtype dtype, void *data, int64_t i, double value)
{
    if (dtype == CLV_FLOAT32) {
        ((float *)data)[i] = (float)value;
    } else if (dtype == CLV_BOOL) {
        ((uint8_t *)data)[i] = value != 0;
    } else {
        int64_t v = INT64_MIN;
        if (value >= -0x1p63 && value < 0x1p63)
            v = (int64_t)value;
        else if (dtype == CLV_UINT64 && value >= 0x1p63 && value < 0x1p64)
            v = (int64_t)(uint64_t)value;
        clvi_store_int(dtype, data, i, v);
    }
}

double clvi_sum(const float *x, int64_t n)
{
    double part[8] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            part[k] += (double)x[i + k];
    for (; i < n; i++)
        rest += (double)x[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7])) + rest;
}
