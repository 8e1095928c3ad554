/* SPDX-License-Identifier: Apache-2.0 */
/* PNG through libpng, whose own allocations go through base/. Errors come back by longjmp and become statuses; libpng's
 * warnings are about metadata that is not used here and are dropped. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "base/mem.h"
#include "data/image.h"

#define MAX_CHUNK_BYTES (8 << 20) /* of what a compressed ancillary chunk may grow to */
#define MAX_DEFLATE     1032      /* deflate never does better than 1032 bytes out of one */

typedef struct reader {
    const uint8_t *bytes;
    size_t size, at;
    char message[128];
} reader;

static void on_error(png_structp png, png_const_charp message)
{
    reader *r = png_get_error_ptr(png);
    (void)snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep to, png_size_t n)
{
    reader *r = png_get_io_ptr(png);
    if (n > r->size - r->at)
        png_error(png, "premature end of the file");
    memcpy(to, r->bytes + r->at, n);
    r->at += n;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t size)
{
    (void)png;
    return clvi_alloc(size);
}

static void on_free(png_structp png, png_voidp block)
{
    (void)png;
    clvi_free(block);
}

/* Metadata is neither parsed nor kept: fewer ways in for a hostile file. */
static void ignore_metadata(png_structp png)
{
    static const png_byte names[] =
        "iCCP\0zTXt\0iTXt\0tEXt\0eXIf\0sPLT\0hIST\0pCAL\0sCAL\0tIME\0cHRM\0gAMA\0sRGB\0bKGD";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, (int)(sizeof names / 5));
    png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
    png_set_chunk_cache_max(png, 16);
    png_set_user_limits(png, CLVI_IMAGE_MAX_SIDE, CLVI_IMAGE_MAX_SIDE);
}

/* Whatever the file holds, rows of 8-bit RGB come out. */
static void ask_for_rgb8(png_structp png, png_infop info)
{
    const int type = png_get_color_type(png, info);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (!(type & PNG_COLOR_MASK_COLOR)) {
        if (png_get_bit_depth(png, info) < 8)
            png_set_expand_gray_1_2_4_to_8(png);
        png_set_gray_to_rgb(png);
    }
    if (png_get_bit_depth(png, info) == 16)
        png_set_strip_16(png);
    if ((type & PNG_COLOR_MASK_ALPHA) || png_get_valid(png, info, PNG_INFO_tRNS))
        png_set_strip_alpha(png);
}

/* Everything after create; leaves by longjmp on any error. */
static clv_status decode(png_structp png, png_infop info, clvi_image *image, reader *r, clv_error *err)
{
    ignore_metadata(png);
    png_set_read_fn(png, r, on_read);
    png_read_info(png, info);
    const size_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    if (height * ((width * png_get_bit_depth(png, info) + 7) / 8) / MAX_DEFLATE > r->size)
        return FAIL(err, CLV_ERR_FORMAT, "PNG: %zux%zu pixels cannot be in %zu bytes", width, height, r->size);
    ask_for_rgb8(png, info);
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != width * 3)
        return FAIL(err, CLV_ERR_FORMAT, "PNG: rows of %zu bytes for %zu RGB pixels", png_get_rowbytes(png, info),
                    width);
    TRY(clvi_image_alloc(image, (int64_t)width, (int64_t)height, err));
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++)
            png_read_row(png, image->rgb + y * width * 3, NULL);
    png_read_end(png, NULL);
    return CLV_OK;
}

/* Where errors land. It has no variables of its own that a jump could leave undefined. */
static clv_status decode_guarded(png_structp png, png_infop info, clvi_image *image, reader *r, clv_error *err)
{
    if (setjmp(png_jmpbuf(png)) != 0)
        return FAIL(err, strstr(r->message, "emory") ? CLV_ERR_NOMEM : CLV_ERR_FORMAT, "PNG: %s", r->message);
    return decode(png, info, image, r, err);
}

clv_status clvi_image_decode_png(clvi_image *image, const uint8_t *bytes, size_t size, clv_error *err)
{
    reader r = {.bytes = bytes, .size = size};

    *image = (clvi_image){0};
    png_structp png =
        png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning, NULL, on_alloc, on_free);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return FAIL(err, CLV_ERR_NOMEM, "PNG decoder");
    }
    const clv_status st = decode_guarded(png, info, image, &r, err);
    png_destroy_read_struct(&png, &info, NULL);
    if (st != CLV_OK)
        clvi_image_free(image);
    return st;
}
