/* SPDX-License-Identifier: Apache-2.0 */
/* Bilinear resizing of 8-bit RGB, with and without antialiasing. */
#ifndef CLVI_DATA_RESIZE_H
#define CLVI_DATA_RESIZE_H

#include "data/image.h"

/* out = in at width x height.
 *
 * antialias: a triangle of half-width max(scale, 1) input pixels around each output pixel's centre, rows first and then
 * columns, 22-bit fixed-point weights, rounded to 8 bits after each: the bytes that Pillow's Image.resize(BILINEAR),
 * and so torchvision's Resize of a PIL image, gives.
 *
 * otherwise: the four neighbours of ((x + 1/2) * scale - 1/2, ...) clamped to the image, exact, rounded half up: ONNX
 * Resize linear half_pixel, and OpenCV's INTER_LINEAR but for its 11-bit weights.
 *
 * Gives out->rgb (clvi_image_free), also when the size does not change. CLV_ERR_FORMAT: size out of limits. Reentrant.
 */
clv_status clvi_resize(clvi_image *out, const clvi_image *in, int64_t width, int64_t height, bool antialias,
                       clv_error *err);

#endif
