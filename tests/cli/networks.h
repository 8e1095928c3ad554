/* SPDX-License-Identifier: Apache-2.0 */
/* Small networks and image sets for the tests of the command and of src/measure/. */
#ifndef CLEAVE_TESTS_CLI_NETWORKS_H
#define CLEAVE_TESTS_CLI_NETWORKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/graph.h"

/* A residual network of random weights: input [batch, 3, 32, 32] -> logits [batch, 10]. The convolutions are "c1" (3x3,
 * 3 to 8), "c2" (3x3, 8 to 8, feeds the residual sum) and "c3" (1x1). */
clvi_graph *network_residual(uint64_t seed);

/* Names the strongest colour: input [batch, 3, 32, 32] -> scores [batch, 3], class c when channel c is brightest. */
clvi_graph *network_colour(void);

/* left [2, 3] + right [2, 3] -> "out/sum" and, twice that, "out:sum": names that fall together as files. */
clvi_graph *network_two_inputs(void);

/* input [1, 3, 4, 4] -> Conv "c1" -> Invent (an unknown operator of domain "tests.cleave") -> output. */
clvi_graph *network_unknown_operator(void);

/* input [1, n] -> Identity -> output [1, n]: a large file when its output is written. */
clvi_graph *network_identity(int64_t n);

/* CIFAR-10 binary of n images of noise, image i dominated by channel i % 3 and labelled so. */
void write_colour_images(const char *path, int n);

#endif
