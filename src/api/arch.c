/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/arch.h"

#include "api/model.h"
#include "base/status.h"
#include "cleave/data.h"
#include "cleave/measure.h"

clv_arch_opts clv_arch_opts_default(void)
{
    return clvi_arch_opts_default();
}

size_t clv_arch_count(void)
{
    size_t n;
    (void)clvi_arch_all(&n);
    return n;
}

clv_status clv_arch_describe(size_t index, clv_arch_info *out, clv_error *err)
{
    size_t n;
    const clvi_arch *const archs = clvi_arch_all(&n);
    if (index >= n)
        return FAIL(err, CLV_ERR_ARG, "network %zu was asked for, there are %zu", index, n);
    *out = archs[index].info;
    return CLV_OK;
}

clv_status clv_arch_build(clv_model **out, const char *name, const clv_arch_opts *opts, clv_error *err)
{
    clvi_graph *graph = NULL;
    const clvi_arch *arch = NULL;
    clv_preprocess preprocess;
    clv_status st;
    *out = NULL;
    TRY(clvi_arch_build(&graph, name, opts, &arch, err));
    TRY(clvi_model_wrap(out, graph, err));
    st = clv_preprocess_preset(&preprocess, arch->info.preprocess, err);
    if (st == CLV_OK)
        st = clv_model_set_preprocess(*out, &preprocess, err);
    if (st != CLV_OK) {
        clv_model_free(*out);
        *out = NULL;
    }
    return st;
}
