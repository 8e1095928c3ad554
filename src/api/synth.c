/* SPDX-License-Identifier: Apache-2.0 */
#include "decompose/synth.h"

#include "base/status.h"
#include "measure/synth_report.h"
#include "report/report.h"

clv_synth_opts clv_synth_opts_default(void)
{
    return clvi_synth_opts_default();
}

size_t clv_synth_count(const clv_synth_opts *opts)
{
    return clvi_synth_count(opts);
}

clv_status clv_synth_run(clv_synth_row *rows, const clv_synth_opts *opts, clv_context *context, clv_error *err)
{
    return clvi_synth_run(rows, opts, context, err);
}

clv_status clv_synth_report(const clv_synth_row *rows, size_t n, clv_report *report, clv_error *err)
{
    clvi_synth_report(rows, n, clvi_report_root(report));
    return clvi_report_check(report, err);
}

clv_status clv_synth_plot(const clv_synth_row *rows, size_t n, const char *path, clv_error *err)
{
    return clvi_synth_plot(rows, n, path, err);
}
