/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/inverted_residual.h"

/* x * sigmoid(W2 act(W1 mean(x))): Hu et al., arXiv 1709.01507 */
static clvi_map excite(clvi_net *net, clvi_map x, const char *path, const clvi_inverted *b)
{
    clvi_map gate = clvi_net_global_average(net, x, clvi_net_path(net, "%s.pool", path)), y = x;
    const clvi_conv_spec reduce = {.out = b->squeeze, .kernel = 1, .bias = true},
                         expand = {.out = x.channels, .kernel = 1, .bias = true};
    gate = clvi_net_conv(net, gate, clvi_net_path(net, "%s.reduce", path), reduce);
    gate = clvi_net_activate(net, gate, clvi_net_path(net, "%s.act", path), b->activation);
    gate = clvi_net_conv(net, gate, clvi_net_path(net, "%s.expand", path), expand);
    int32_t in[2] = {x.id, CLVI_NONE};
    (void)clvi_net_node(net, "Sigmoid", clvi_net_path(net, "%s.sigmoid", path), &gate.id, 1, &in[1]);
    (void)clvi_net_node(net, "Mul", clvi_net_path(net, "%s.scale", path), in, 2, &y.id);
    y.mean = x.mean / 2;
    y.power = x.power / 4;
    return y;
}

clvi_map clvi_net_inverted_residual(clvi_net *net, clvi_map x, const char *path, clvi_inverted b)
{
    const int64_t wide = x.channels * b.expansion;
    const clvi_conv_spec expand = {.out = wide, .kernel = 1},
                         depthwise = {.out = wide, .kernel = b.kernel, .stride = b.stride, .groups = wide},
                         project = {.out = b.out, .kernel = 1};
    clvi_map y = x;
    if (b.expansion > 1)
        y = clvi_net_unit(net, y, clvi_net_path(net, "%s.expand", path), expand, b.activation);
    y = clvi_net_unit(net, y, clvi_net_path(net, "%s.depthwise", path), depthwise, b.activation);
    if (b.squeeze)
        y = excite(net, y, clvi_net_path(net, "%s.se", path), &b);
    y = clvi_net_unit(net, y, clvi_net_path(net, "%s.project", path), project, CLVI_LINEAR);
    if (b.stride == 1 && x.channels == b.out)
        y = clvi_net_add(net, y, x, clvi_net_path(net, "%s.add", path));
    return y;
}

clvi_map clvi_net_inverted_stage(clvi_net *net, clvi_map x, int number, const clvi_inverted_stage *s,
                                 clvi_net_activation activation)
{
    for (int i = 0; i < s->count; i++) {
        const clvi_inverted block = {.expansion = s->expansion,
                                     .kernel = s->kernel,
                                     .stride = i ? 1 : s->stride,
                                     .out = clvi_net_scaled(net, s->out),
                                     .squeeze = s->squeeze ? x.channels / s->squeeze : 0,
                                     .activation = activation};
        x = clvi_net_inverted_residual(net, x, clvi_net_path(net, "stage%d.block%d", number, i + 1), block);
    }
    return x;
}
