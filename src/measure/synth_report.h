/* SPDX-License-Identifier: Apache-2.0 */
/* The results of the synthetic experiment as tables and as a chart. */
#ifndef CLVI_MEASURE_SYNTH_REPORT_H
#define CLVI_MEASURE_SYNTH_REPORT_H

#include "cleave/synth.h"
#include "report/report.h"

void clvi_synth_report(const clv_synth_row *rows, size_t n, clvi_item *report);
clv_status clvi_synth_plot(const clv_synth_row *rows, size_t n, const char *path, clv_error *err);

#endif
