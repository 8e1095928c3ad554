/* SPDX-License-Identifier: Apache-2.0 */
/* ShuffleNetV2 1.0x. Source: Ma et al., arXiv 1807.11164, table 5 and figure 3 (c), (d). */
#include "arch/arch.h"

/* y[:, i * 2 + g] = x[:, g * C/2 + i]: the two halves of the channels interleave. */
static clvi_map shuffle(clvi_net *net, clvi_map x, const char *path)
{
    clvi_map y = x;
    const int64_t split[] = {0, 2, x.channels / 2, x.side, x.side}, joined[] = {0, x.channels, x.side, x.side},
                  order[] = {0, 2, 1, 3, 4};
    const char *const a = clvi_net_path(net, "%s.split", path), *const b = clvi_net_path(net, "%s.swap", path);
    const int32_t in[] = {x.id, clvi_net_ints_constant(net, clvi_net_path(net, "%s.shape", a), split, 5)};
    int32_t groups, swapped;
    (void)clvi_net_node(net, "Reshape", a, in, 2, &groups);
    clvi_net_ints(net, clvi_net_node(net, "Transpose", b, &groups, 1, &swapped), "perm", order, 5);
    const int32_t back[] = {swapped, clvi_net_ints_constant(net, clvi_net_path(net, "%s.shape", path), joined, 4)};
    (void)clvi_net_node(net, "Reshape", path, back, 2, &y.id);
    return y;
}

/* The two halves of the channels. */
static void halve(clvi_net *net, clvi_map x, const char *path, clvi_map half[2])
{
    const int64_t sizes[] = {x.channels / 2, x.channels / 2};
    half[0] = half[1] = x;
    half[0].channels = half[1].channels = x.channels / 2;
    const int32_t in[] = {x.id, clvi_net_ints_constant(net, clvi_net_path(net, "%s.sizes", path), sizes, 2)};
    clvi_net_split(net, path, in, half);
}

/* pointwise, depthwise, pointwise */
static clvi_map branch(clvi_net *net, clvi_map x, const char *path, int64_t out, int64_t stride)
{
    const clvi_conv_spec pointwise = {.out = out, .kernel = 1},
                         depthwise = {.out = out, .kernel = 3, .stride = stride, .groups = out};
    x = clvi_net_unit(net, x, clvi_net_path(net, "%s.pointwise1", path), pointwise, CLVI_RELU);
    x = clvi_net_unit(net, x, clvi_net_path(net, "%s.depthwise", path), depthwise, CLVI_LINEAR);
    return clvi_net_unit(net, x, clvi_net_path(net, "%s.pointwise2", path), pointwise, CLVI_RELU);
}

static clvi_map block(clvi_net *net, clvi_map x, const char *path, int64_t out, int64_t stride)
{
    clvi_map half[2] = {x, x};
    const clvi_conv_spec depthwise = {.out = x.channels, .kernel = 3, .stride = stride, .groups = x.channels},
                         pointwise = {.out = out / 2, .kernel = 1};
    if (stride == 1) {
        halve(net, x, clvi_net_path(net, "%s.halves", path), half);
    } else {
        const char *const left = clvi_net_path(net, "%s.left", path);
        half[0] = clvi_net_unit(net, x, clvi_net_path(net, "%s.depthwise", left), depthwise, CLVI_LINEAR);
        half[0] = clvi_net_unit(net, half[0], clvi_net_path(net, "%s.pointwise", left), pointwise, CLVI_RELU);
    }
    half[1] = branch(net, half[1], clvi_net_path(net, "%s.right", path), out / 2, stride);
    x = clvi_net_concat(net, half[0], half[1], clvi_net_path(net, "%s.concat", path));
    return shuffle(net, x, clvi_net_path(net, "%s.shuffle", path));
}

clvi_map clvi_arch_shufflenet_v2(clvi_net *net, clvi_map x, int variant)
{
    static const int64_t channels[] = {116, 232, 464};
    static const int blocks[] = {4, 8, 4};
    (void)variant;
    x = clvi_net_unit(net, x, "stem", (clvi_conv_spec){.out = 24, .kernel = 3, .stride = 2}, CLVI_RELU);
    x = clvi_net_maxpool(net, x, "stem.pool", (clvi_pool_spec){.kernel = 3, .stride = 2, .pad = 1});
    for (int s = 0; s < 3; s++)
        for (int b = 0; b < blocks[s]; b++)
            x = block(net, x, clvi_net_path(net, "stage%d.block%d", s + 1, b + 1), channels[s], b == 0 ? 2 : 1);
    x = clvi_net_unit(net, x, "head", (clvi_conv_spec){.out = 1024, .kernel = 1}, CLVI_RELU);
    return clvi_net_classify(net, x);
}
