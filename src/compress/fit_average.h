/* SPDX-License-Identifier: Apache-2.0 */
/* The form "average" on the calibration images (decompose/average.h). */
#ifndef CLVI_COMPRESS_FIT_AVERAGE_H
#define CLVI_COMPRESS_FIT_AVERAGE_H

#include "compress/site_rows.h"
#include "decompose/averaged.h"

/* Set gain and error of a fit: the original's means against what the network in the making gives. */
clv_status clvi_fit_average(clvi_fit *fit, const clvi_rows_source *source, size_t index, clv_error *err);

#endif
