/* SPDX-License-Identifier: Apache-2.0 */
/* Time as a cost: seconds of a layer as each form, measured at some sizes, for all sizes. */
#ifndef CLVI_SEARCH_TIME_CURVE_H
#define CLVI_SEARCH_TIME_CURVE_H

#include <stddef.h>
#include <stdint.h>

#include "decompose/form.h"

typedef struct clvi_time_point {
    const clvi_form *form;
    int64_t macs; /* multiply-adds an output position: the size */
    double seconds;
} clvi_time_point;

/* Seconds of `form` at `macs`: on the straight line between the measured neighbours (time grows in steps as wide as a
 * vector, and between two of them not at all), below the least one as much as that, above the largest in proportion.
 * NAN: the form was measured at no size. The points may stand in any order; of two at the same size the least counts.
 * O(n). Reentrant. */
double clvi_time_at(const clvi_time_point *points, size_t n, const clvi_form *form, int64_t macs);

#endif
