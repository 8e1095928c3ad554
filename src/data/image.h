/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded picture: 8-bit RGB, and the decoders that make one. */
#ifndef CLVI_DATA_IMAGE_H
#define CLVI_DATA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A header may claim any size; above this many pixels (402 MB as RGB) a picture is refused before it is allocated. */
#define CLVI_IMAGE_MAX_PIXELS ((size_t)1 << 27)
#define CLVI_IMAGE_MAX_SIDE   65535

/* rgb[height, width, 3], no padding. */
typedef struct clvi_image {
    uint8_t *rgb;
    int width, height;
} clvi_image;

/* Allocate pixels (indeterminate) after checking the size. Gives image->rgb (clvi_image_free).
 * CLV_ERR_FORMAT: a side below 1, or above the limits. */
clv_status clvi_image_alloc(clvi_image *image, int64_t width, int64_t height, clv_error *err);
void clvi_image_free(clvi_image *image); /* and resets to empty */

/* True for the file names that are taken for pictures: .jpg .jpeg .png in any case. */
bool clvi_image_is_name(const char *name);

/* Decode JPEG or PNG bytes, told apart by their first bytes, not by a name. Grey becomes RGB, alpha and transparency
 * are dropped, 16 bits keep their high byte, CMYK is converted as Pillow does, EXIF rotation is not applied. Gives
 * image->rgb. CLV_ERR_FORMAT: corrupt, truncated or neither format; CLV_ERR_NOMEM. Reentrant. */
clv_status clvi_image_decode(clvi_image *image, const uint8_t *bytes, size_t size, clv_error *err);

clv_status clvi_image_decode_jpeg(clvi_image *image, const uint8_t *bytes, size_t size, clv_error *err);
clv_status clvi_image_decode_png(clvi_image *image, const uint8_t *bytes, size_t size, clv_error *err);

#endif
