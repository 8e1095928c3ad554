/* SPDX-License-Identifier: Apache-2.0 */
/* A line chart as SVG that reads well on light and on dark pages. */
#ifndef CLVI_REPORT_PLOT_H
#define CLVI_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define CLVI_PLOT_MAX_SERIES 12

typedef struct clvi_series {
    const char *label;   /* in the legend; NULL: not listed */
    const double *x, *y; /* [n]; points with a NaN, an Inf or, on a logarithmic axis, a value <= 0 are left out */
    size_t n;
} clvi_series;

typedef struct clvi_plot {
    const char *title, *x_label, *y_label; /* may be NULL */
    bool log_x, log_y;
    const clvi_series *series;
    size_t n_series; /* at most CLVI_PLOT_MAX_SERIES */
} clvi_plot;

/* Write the charts, one below the other; the file is replaced whole or not at all. Same bytes for the same plots in
 * every locale. CLV_ERR_ARG: too many series, or no point to draw. */
clv_status clvi_plot_write(const clvi_plot *plots, size_t n, const char *path, clv_error *err);

#endif
