/* SPDX-License-Identifier: Apache-2.0 */
/* MobileNetV1. Source: Howard et al., arXiv 1704.04861, table 1; ReLU6 and symmetric padding. A width multiplies every
 * number of channels and rounds down, as the paper's 0.25, 0.5 and 0.75 do. */
#include "arch/arch.h"

static int64_t scaled(const clvi_net *net, int64_t channels)
{
    const int64_t n = (int64_t)(net->width * (double)channels);
    return n < 1 ? 1 : n;
}

clvi_map clvi_arch_mobilenet_v1(clvi_net *net, clvi_map x, int variant)
{
    static const struct {
        int64_t out, stride;
    } blocks[] = {{64, 1},  {128, 2}, {128, 1}, {256, 2}, {256, 1},  {512, 2}, {512, 1},
                  {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
    (void)variant;
    x = clvi_net_unit(net, x, "stem", (clvi_conv_spec){.out = scaled(net, 32), .kernel = 3, .stride = 2}, CLVI_RELU6);
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
        const clvi_conv_spec depthwise = {
            .out = x.channels, .kernel = 3, .stride = blocks[b].stride, .groups = x.channels};
        x = clvi_net_unit(net, x, clvi_net_path(net, "block%zu.depthwise", b + 1), depthwise, CLVI_RELU6);
        x = clvi_net_unit(net, x, clvi_net_path(net, "block%zu.pointwise", b + 1),
                          (clvi_conv_spec){.out = scaled(net, blocks[b].out), .kernel = 1}, CLVI_RELU6);
    }
    return clvi_net_classify(net, x);
}
