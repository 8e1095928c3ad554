/* SPDX-License-Identifier: Apache-2.0 */
/* Building a network layer by layer: shapes, names and seeded random weights. What the families of src/arch/ are
 * written with.
 *
 * The first failure is remembered and everything after it does nothing, so a family is a plain list of calls and
 * clvi_net_finish reports. A layer called `path` writes the node `path` and the value `path`; its weights are
 * `path.weight`, `path.bias`.
 *
 * Weights are drawn so that a fresh network can be trained and can be run: He's initialisation for convolutions
 * (variance 2 / fan-in), scale 1 and shift 0 for BatchNorm. A map carries the mean square that its elements are
 * expected to have, from which running variances follow (times a factor of 0.8 to 1.25; means of 0 +- 0.1 standard
 * deviations), so that activations keep a natural size through any depth. Each tensor has a random stream of its own.
 */
#ifndef CLVI_ARCH_NET_H
#define CLVI_ARCH_NET_H

#include <stdbool.h>

#include "base/rng.h"
#include "graph/graph.h"

/* A value [batch, channels, side, side], or [batch, channels] where side is 0. */
typedef struct clvi_map {
    int32_t id;
    int64_t channels, side;
    double mean, power; /* expected mean and mean square of its elements, as if they were normal */
} clvi_map;

typedef struct clvi_net {
    clvi_graph *graph;
    clv_error *err;
    clv_status st;
    uint64_t seed, streams; /* of the weights; streams used so far */
    int64_t classes;
    double width;
    int32_t zero, six; /* bounds of ReLU6, made when first needed; CLVI_NONE before */
} clvi_net;

typedef enum clvi_net_activation { CLVI_LINEAR, CLVI_RELU, CLVI_RELU6, CLVI_SWISH } clvi_net_activation;

typedef struct clvi_conv_spec {
    int64_t out, kernel; /* required */
    int64_t stride;      /* 0: 1 */
    int64_t groups;      /* 0: 1 */
    bool unpadded;       /* else padded by kernel / 2 */
    bool bias;
} clvi_conv_spec;

/* An empty graph of opset 13 in net->graph, which the caller takes from it, and its input "input". */
clvi_map clvi_net_begin(clvi_net *net, const char *name, int64_t side);

/* Declare x to be the output and check the graph. On failure it is freed. */
clv_status clvi_net_finish(clvi_net *net, clvi_map x);

/* A path in the graph's arena; "" after a failure. */
const char *clvi_net_path(clvi_net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* net->width * channels rounded to a multiple of 8, not less than 8 nor than 90 % of it (the rule of the MobileNets).
 */
int64_t clvi_net_scaled(const clvi_net *net, int64_t channels);

clvi_map clvi_net_conv(clvi_net *net, clvi_map x, const char *path, clvi_conv_spec spec);
clvi_map clvi_net_batchnorm(clvi_net *net, clvi_map x, const char *path);
clvi_map clvi_net_activate(clvi_net *net, clvi_map x, const char *path, clvi_net_activation kind);

/* path.conv, path.bn, path.relu (or relu6, swish; none when linear). */
clvi_map clvi_net_unit(clvi_net *net, clvi_map x, const char *path, clvi_conv_spec spec, clvi_net_activation kind);

clvi_map clvi_net_add(clvi_net *net, clvi_map a, clvi_map b, const char *path);
clvi_map clvi_net_concat(clvi_net *net, clvi_map a, clvi_map b, const char *path);

typedef struct clvi_pool_spec {
    int64_t kernel, stride, pad;
    bool ceil; /* a last window that is cut off counts */
} clvi_pool_spec;

clvi_map clvi_net_maxpool(clvi_net *net, clvi_map x, const char *path, clvi_pool_spec spec);
clvi_map clvi_net_global_average(clvi_net *net, clvi_map x, const char *path);
clvi_map clvi_net_flatten(clvi_net *net, clvi_map x, const char *path);

/* x [batch, channels] times a matrix of variance 1 / channels, plus a bias of zeros. */
clvi_map clvi_net_linear(clvi_net *net, clvi_map x, const char *path, int64_t out);

/* The last one: net->classes values called "logits". */
clvi_map clvi_net_logits(clvi_net *net, clvi_map x, const char *path);

/* Global average, flatten, logits: the end of most networks. */
clvi_map clvi_net_classify(clvi_net *net, clvi_map x);

/* What a family needs beside: a node `path` of operator `op` with one output, called like it; shape and power are the
 * caller's. NULL after a failure. */
clvi_node *clvi_net_node(clvi_net *net, const char *op, const char *path, const int32_t *in, size_t n_in, int32_t *out);

/* Split along the channels in two: in[0] by the sizes in[1]; sets the ids of half[2], called path.0 and path.1. */
void clvi_net_split(clvi_net *net, const char *path, const int32_t in[2], clvi_map half[2]);

int32_t clvi_net_ints_constant(clvi_net *net, const char *name, const int64_t *ints, int64_t n);
void clvi_net_int(clvi_net *net, clvi_node *node, const char *name, int64_t value);
void clvi_net_ints(clvi_net *net, clvi_node *node, const char *name, const int64_t *ints, size_t n);

#endif
