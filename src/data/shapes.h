/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures drawn from a seed, for examples, tests and first steps without a download.
 *
 * One object of ten kinds on a background: seven outlines (disc, square, triangle, star, cross, ring, crescent) and
 * three patterns (stripes, checks, spots) inside a disc, square or triangle. Place, size, direction, aspect, all
 * colours, a gradient and mottling of the background, a line across, and the amount of pixel noise are random and do
 * not depend on the kind, so colours tell nothing. Small, faint and noisy objects cannot all be told apart: that is
 * meant.
 *
 * Only + - * / and sqrt in float64 make the pixels: the same bytes on every machine. */
#ifndef CLVI_DATA_SHAPES_H
#define CLVI_DATA_SHAPES_H

#include <stdint.h>

#define CLVI_SHAPES_SIDE    32
#define CLVI_SHAPES_CLASSES 10

/* "disc", ...; kind in [0, CLVI_SHAPES_CLASSES). */
const char *clvi_shapes_name(int kind);

/* rgb[32, 32, 3]: picture `number` of its kind in the set `seed`. Reentrant. */
void clvi_shapes_draw(uint8_t *rgb, int kind, uint64_t seed, uint64_t number);

#endif
