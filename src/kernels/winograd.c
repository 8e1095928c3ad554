/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/winograd.h"

#define A 0.70710678118654752440 /* sqrt(1/2); A^2 = 1/2, A^3 = A/2 */
#define B 1.41421356237309504880 /* sqrt(2); B^2 = 2, B^3 = 2B */

static const clvi_winograd four = {
    .m = 4,
    .n = 6,
    .bt = {{1, 0, -2.5, 0, 1, 0},
           {0, -2 * A, -2, A, 1, 0},
           {0, 2 * A, -2, -A, 1, 0},
           {0, -B / 2, -0.5, B, 1, 0},
           {0, B / 2, -0.5, -B, 1, 0},
           {0, 1, 0, -2.5, 0, 1}},
    .g = {{1, 0, 0},
          {-2.0 / 3, -2 * A / 3, -1.0 / 3},
          {-2.0 / 3, 2 * A / 3, -1.0 / 3},
          {1.0 / 6, B / 6, 1.0 / 3},
          {1.0 / 6, -B / 6, 1.0 / 3},
          {0, 0, 1}},
    .at = {{1, 1, 1, 1, 1, 0}, {0, A, -A, B, -B, 0}, {0, 0.5, 0.5, 2, 2, 0}, {0, A / 2, -A / 2, 2 * B, -2 * B, 1}},
    .amplification = 12.54,
};

static const clvi_winograd two = {
    .m = 2,
    .n = 4,
    .bt = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
    .g = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
    .at = {{1, 1, 1, 0}, {0, 1, -1, -1}},
    .amplification = 4,
};

const clvi_winograd *clvi_winograd_of(size_t m)
{
    return m == 4 ? &four : &two;
}
