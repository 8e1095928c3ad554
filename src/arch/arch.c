/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/arch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_SIDE    4096
#define MAX_CLASSES 1000000

static const clvi_arch archs[] = {
#define A(name, build, variant, side, classes, scales, preprocess, summary) \
    {{name, summary, preprocess, side, classes}, variant, scales, clvi_arch_##build},
#include "arch/arch_list.h"
#undef A
};
#define ARCHS (sizeof archs / sizeof *archs)

clv_arch_opts clvi_arch_opts_default(void)
{
    return (clv_arch_opts){.width = 1, .seed = 1};
}

const clvi_arch *clvi_arch_all(size_t *n)
{
    *n = ARCHS;
    return archs;
}

static clv_status find(const clvi_arch **out, const char *name, clv_error *err)
{
    char names[300] = "";
    for (size_t i = 0; i < ARCHS; i++) {
        if (strcmp(archs[i].info.name, name) == 0) {
            *out = &archs[i];
            return CLV_OK;
        }
        const size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, "%s%.30s", i ? ", " : "", archs[i].info.name);
    }
    return FAIL(err, CLV_ERR_ARG, "network \"%s\" is unknown, there are: %s", name, names);
}

static clv_status check(const clvi_arch *row, const clv_arch_opts *o, clv_error *err)
{
    if (o->classes < 0 || o->classes > MAX_CLASSES)
        return FAIL(err, CLV_ERR_ARG, "%s: %" PRId64 " classes, 1 to %d are possible", row->info.name, o->classes,
                    MAX_CLASSES);
    if (o->side < 0 || o->side > MAX_SIDE)
        return FAIL(err, CLV_ERR_ARG, "%s: images of side %" PRId64 ", 1 to %d are possible", row->info.name, o->side,
                    MAX_SIDE);
    if (!(o->width >= 0.05 && o->width <= 16))
        return FAIL(err, CLV_ERR_ARG, "%s: width %g, 0.05 to 16 are possible", row->info.name, o->width);
    if (!row->scales && fabs(o->width - 1) > 0)
        return FAIL(err, CLV_ERR_ARG, "%s has one width, %g was asked for", row->info.name, o->width);
    return CLV_OK;
}

clv_status clvi_arch_build(clvi_graph **out, const char *name, const clv_arch_opts *opts, const clvi_arch **row,
                           clv_error *err)
{
    const clv_arch_opts o = opts ? *opts : clvi_arch_opts_default();
    const clvi_arch *arch = NULL;
    *out = NULL;
    TRY(find(&arch, name, err));
    TRY(check(arch, &o, err));
    clvi_net net = {
        .err = err, .seed = o.seed, .width = o.width, .classes = o.classes ? o.classes : arch->info.classes};
    const clvi_map x = clvi_net_begin(&net, name, o.side ? o.side : arch->info.side);
    TRY(clvi_net_finish(&net, arch->build(&net, x, arch->variant)));
    *out = net.graph;
    if (row)
        *row = arch;
    return CLV_OK;
}
