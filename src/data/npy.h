/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the array in a range, whatever holds it. */
#ifndef CLVI_DATA_NPY_H
#define CLVI_DATA_NPY_H

#include "cleave/data.h"
#include "data/range.h"

/* Gives out->data (clv_npy_free). */
clv_status clvi_npy_read_range(clv_tensor *out, const clvi_range *range, clv_error *err);

#endif
