/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two files of the elementwise operators of two inputs: binary.c has float, binary_int.c the integers. */
#ifndef CLVI_OPS_BINARY_H
#define CLVI_OPS_BINARY_H

#include "ops/walk.h"

enum clvi_binary {
    BINARY_ADD,
    BINARY_SUB,
    BINARY_MUL,
    BINARY_DIV,
    BINARY_MOD,
    BINARY_FMOD,
    BINARY_MIN,
    BINARY_MAX,
    BINARY_EQUAL,
    BINARY_LESS,
    BINARY_LESS_EQUAL,
    BINARY_GREATER,
    BINARY_GREATER_EQUAL,
    BINARY_AND,
    BINARY_OR,
    BINARY_XOR
};

/* The row of an integer type or bool; NULL: not served. */
clvi_walk_row clvi_binary_int_row(enum clvi_binary op, clv_dtype dtype);

#endif
