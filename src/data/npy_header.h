/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a NumPy array file, versions 1 to 3 (NumPy enhancement proposal 1). */
#ifndef CLVI_DATA_NPY_HEADER_H
#define CLVI_DATA_NPY_HEADER_H

#include <stdbool.h>

#include "cleave/tensor.h"
#include "data/range.h"

typedef struct clvi_npy_header {
    clv_dtype dtype;
    bool fortran; /* the first index runs fastest */
    int rank;
    int64_t dims[CLV_MAX_RANK];
    int64_t count;        /* elements */
    uint64_t data_offset; /* from the start of the array's file */
} clvi_npy_header;

/* Read and check the header against the size of its range: data that is too short or too long is refused.
 * CLV_ERR_FORMAT: malformed; CLV_ERR_UNSUP: well-formed, but big-endian, structured, complex, ... */
clv_status clvi_npy_header_read(clvi_npy_header *header, const clvi_range *range, clv_error *err);

/* "<f4" and so on; NULL for a type that has none. */
const char *clvi_npy_descr(clv_dtype dtype);

#endif
