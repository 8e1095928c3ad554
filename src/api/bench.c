/* SPDX-License-Identifier: Apache-2.0 */
#include "cleave/bench.h"

#include "api/model.h"
#include "measure/bench.h"
#include "measure/plan_report.h"
#include "report/report.h"

clv_bench_opts clv_bench_opts_default(void)
{
    return (clv_bench_opts){.batch = 1, .runs = 100, .seconds = 1};
}

clv_against_opts clv_against_opts_default(void)
{
    return (clv_against_opts){.rounds = 9, .block = 0.1};
}

clv_status clv_bench(const clv_model *model, const clv_bench_opts *opts, clv_context *context, clv_report *report,
                     clv_error *err)
{
    const clv_bench_opts defaults = clv_bench_opts_default();
    TRY(clvi_bench(model->graph, opts ? opts : &defaults, context, clvi_report_root(report), err));
    return clvi_report_check(report, err);
}

clv_status clv_plan(const clv_model *model, const clv_bench_opts *opts, clv_context *context, clv_report *report,
                    clv_error *err)
{
    const clv_bench_opts defaults = clv_bench_opts_default();
    TRY(clvi_plan_report(model->graph, opts ? opts : &defaults, context, clvi_report_root(report), err));
    return clvi_report_check(report, err);
}

clv_status clv_bench_against(const clv_model *model, const clv_bench_opts *opts, const clv_against_opts *against,
                             clv_context *context, clv_report *report, clv_error *err)
{
    const clv_bench_opts defaults = clv_bench_opts_default();
    TRY(clvi_bench_against(model->graph, opts ? opts : &defaults, against, context, clvi_report_root(report), err));
    return clvi_report_check(report, err);
}

clv_status clv_bench_pair(const clv_contestant pair[2], const clv_bench_opts *opts, const clv_against_opts *against,
                          clv_context *context, clv_report *report, clv_error *err)
{
    const clv_bench_opts defaults = clv_bench_opts_default();
    const clvi_contestant both[2] = {{pair[0].model->graph, pair[0].path}, {pair[1].model->graph, pair[1].path}};
    TRY(clvi_bench_pair(both, opts ? opts : &defaults, against, context, clvi_report_root(report), err));
    return clvi_report_check(report, err);
}
