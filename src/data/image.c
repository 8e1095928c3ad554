/* SPDX-License-Identifier: Apache-2.0 */
#include "data/image.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/size.h"

clv_status clvi_image_alloc(clvi_image *image, int64_t width, int64_t height, clv_error *err)
{
    *image = (clvi_image){0};
    if (width < 1 || height < 1 || width > CLVI_IMAGE_MAX_SIDE || height > CLVI_IMAGE_MAX_SIDE ||
        (size_t)width * (size_t)height > CLVI_IMAGE_MAX_PIXELS)
        return FAIL(err, CLV_ERR_FORMAT,
                    "a picture of %lldx%lld pixels (width x height) is not in 1..%d and %zu in all", (long long)width,
                    (long long)height, CLVI_IMAGE_MAX_SIDE, CLVI_IMAGE_MAX_PIXELS);
    image->rgb = clvi_alloc((size_t)width * (size_t)height * 3);
    if (!image->rgb)
        return FAIL(err, CLV_ERR_NOMEM, "picture of %lldx%lld pixels", (long long)width, (long long)height);
    image->width = (int)width;
    image->height = (int)height;
    return CLV_OK;
}

void clvi_image_free(clvi_image *image)
{
    clvi_free(image->rgb);
    *image = (clvi_image){0};
}

bool clvi_image_is_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

clv_status clvi_image_decode(clvi_image *image, const uint8_t *bytes, size_t size, clv_error *err)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    *image = (clvi_image){0};
    if (size >= 8 && memcmp(bytes, png, 8) == 0)
        return clvi_image_decode_png(image, bytes, size, err);
    if (size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff)
        return clvi_image_decode_jpeg(image, bytes, size, err);
    if (size == 0)
        return FAIL(err, CLV_ERR_FORMAT, "the picture is empty");
    return FAIL(err, CLV_ERR_FORMAT, "neither JPEG nor PNG: %zu bytes that begin with %02x %02x %02x", size, bytes[0],
                size > 1 ? bytes[1] : 0, size > 2 ? bytes[2] : 0);
}
