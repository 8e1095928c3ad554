// SPDX-License-Identifier: Apache-2.0
/* The rows of binary.c for integers. They compute shapes and indices, a few numbers each: this file is compiled for
 * size, since eight types times thirteen operators take a fifth of the library otherwise. */
#include <stdbool.h>

#include "ops/binary.h"

/* least / -1 overflows in C; here it wraps, as sums do */
#define SIGNED_QUOTIENT(x, y)  ((y) == -1 ? 0 - (uint64_t)(x) : (uint64_t)((x) / (y)))
#define SIGNED_REMAINDER(x, y) ((y) == -1 ? 0 : (x) % (y))
#define SIGNED_MODULO(x, y)                                                                     \
    (SIGNED_REMAINDER(x, y) != 0 && (SIGNED_REMAINDER(x, y) < 0) != ((y) < 0) ? (x) % (y) + (y) \
                                                                              : SIGNED_REMAINDER(x, y))
#define UNSIGNED_QUOTIENT(x, y)  ((x) / (y))
#define UNSIGNED_REMAINDER(x, y) ((x) % (y))

#define T               int8_t
#define U               uint64_t
#define QUOTIENT(x, y)  SIGNED_QUOTIENT(x, y)
#define MODULO(x, y)    SIGNED_MODULO(x, y)
#define REMAINDER(x, y) SIGNED_REMAINDER(x, y)
#define ARITH_ROW       arith_i8
#define COMPARE_ROW     compare_i8
#include "ops/binary_rows.inc"

#define T               int16_t
#define U               uint64_t
#define QUOTIENT(x, y)  SIGNED_QUOTIENT(x, y)
#define MODULO(x, y)    SIGNED_MODULO(x, y)
#define REMAINDER(x, y) SIGNED_REMAINDER(x, y)
#define ARITH_ROW       arith_i16
#define COMPARE_ROW     compare_i16
#include "ops/binary_rows.inc"

#define T               int32_t
#define U               uint64_t
#define QUOTIENT(x, y)  SIGNED_QUOTIENT(x, y)
#define MODULO(x, y)    SIGNED_MODULO(x, y)
#define REMAINDER(x, y) SIGNED_REMAINDER(x, y)
#define ARITH_ROW       arith_i32
#define COMPARE_ROW     compare_i32
#include "ops/binary_rows.inc"

#define T               int64_t
#define U               uint64_t
#define QUOTIENT(x, y)  SIGNED_QUOTIENT(x, y)
#define MODULO(x, y)    SIGNED_MODULO(x, y)
#define REMAINDER(x, y) SIGNED_REMAINDER(x, y)
#define ARITH_ROW       arith_i64
#define COMPARE_ROW     compare_i64
#include "ops/binary_rows.inc"

#define T               uint8_t
#define U               uint64_t
#define QUOTIENT(x, y)  UNSIGNED_QUOTIENT(x, y)
#define MODULO(x, y)    UNSIGNED_REMAINDER(x, y)
#define REMAINDER(x, y) UNSIGNED_REMAINDER(x, y)
#define ARITH_ROW       arith_u8
#define COMPARE_ROW     compare_u8
#include "ops/binary_rows.inc"

#define T               uint16_t
#define U               uint64_t
#define QUOTIENT(x, y)  UNSIGNED_QUOTIENT(x, y)
#define MODULO(x, y)    UNSIGNED_REMAINDER(x, y)
#define REMAINDER(x, y) UNSIGNED_REMAINDER(x, y)
#define ARITH_ROW       arith_u16
#define COMPARE_ROW     compare_u16
#include "ops/binary_rows.inc"

#define T               uint32_t
#define U               uint64_t
#define QUOTIENT(x, y)  UNSIGNED_QUOTIENT(x, y)
#define MODULO(x, y)    UNSIGNED_REMAINDER(x, y)
#define REMAINDER(x, y) UNSIGNED_REMAINDER(x, y)
#define ARITH_ROW       arith_u32
#define COMPARE_ROW     compare_u32
#include "ops/binary_rows.inc"

#define T               uint64_t
#define U               uint64_t
#define QUOTIENT(x, y)  UNSIGNED_QUOTIENT(x, y)
#define MODULO(x, y)    UNSIGNED_REMAINDER(x, y)
#define REMAINDER(x, y) UNSIGNED_REMAINDER(x, y)
#define ARITH_ROW       arith_u64
#define COMPARE_ROW     compare_u64
#include "ops/binary_rows.inc"

static const struct int_rows {
    clvi_walk_row arith, compare;
} int_rows[CLV_BFLOAT16 + 1] = {
    [CLV_INT8] = {arith_i8, compare_i8},     [CLV_INT16] = {arith_i16, compare_i16},
    [CLV_INT32] = {arith_i32, compare_i32},  [CLV_INT64] = {arith_i64, compare_i64},
    [CLV_UINT8] = {arith_u8, compare_u8},    [CLV_UINT16] = {arith_u16, compare_u16},
    [CLV_UINT32] = {arith_u32, compare_u32}, [CLV_UINT64] = {arith_u64, compare_u64},
    [CLV_BOOL] = {NULL, compare_u8}, /* Equal alone */
};

clvi_walk_row clvi_binary_int_row(enum clvi_binary op, clv_dtype dtype)
{
    return op >= BINARY_EQUAL ? int_rows[dtype].compare : int_rows[dtype].arith;
}
