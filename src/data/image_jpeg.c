/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG through libjpeg-turbo: errors come back by longjmp and become statuses; warnings about damaged data count as
 * errors, because half a grey picture would otherwise enter the statistics unseen. */
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#include "data/image.h"

#define MAX_MEMORY (768L << 20) /* coefficient buffers of a progressive picture */
#define MAX_SCANS  500          /* a progressive file can ask for any number of passes over all coefficients */

typedef struct handler {
    struct jpeg_error_mgr base; /* first: libjpeg hands back a pointer to it */
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    bool no_memory;
    char message[JMSG_LENGTH_MAX];
} handler;

static void on_error(j_common_ptr info)
{
    handler *h = (handler *)(void *)info->err;
    h->no_memory = info->err->msg_code == JERR_OUT_OF_MEMORY;
    info->err->format_message(info, h->message);
    longjmp(h->jump, 1);
}

/* level < 0 is a warning. Two are about metadata and leave the pixels whole. */
static void on_message(j_common_ptr info, int level)
{
    if (level < 0 && info->err->msg_code != JWRN_ADOBE_XFORM && info->err->msg_code != JWRN_JFIF_MAJOR)
        on_error(info);
}

static void on_progress(j_common_ptr info)
{
    handler *h = (handler *)(void *)info->err;
    if (info->is_decompressor && ((j_decompress_ptr)(void *)info)->input_scan_number > MAX_SCANS) {
        (void)snprintf(h->message, sizeof h->message, "more than %d scans", MAX_SCANS);
        longjmp(h->jump, 1);
    }
}

/* round(a * b / 255) for a, b in 0..255 */
static unsigned scale_255(unsigned a, unsigned b)
{
    const unsigned t = a * b + 128;
    return (t + (t >> 8)) >> 8;
}

/* One row of CMYK as Adobe stores it (inverted, so a sample is 255 - ink): channel = K' - ink * K' / 255, K' = 255 -
 * black, which is Pillow's conversion. */
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *cmyk, int width)
{
    for (int x = 0; x < width; x++, rgb += 3, cmyk += 4)
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(cmyk[3] - scale_255(255U - cmyk[c], cmyk[3]));
}

/* Everything between create and destroy; leaves by longjmp on any error. `image` is filled by reference so that the
 * caller, on whose frame the jump lands, can free what was allocated. */
static clv_status decode(struct jpeg_decompress_struct *info, clvi_image *image, const uint8_t *bytes, size_t size,
                         clv_error *err)
{
    jpeg_mem_src(info, bytes, (unsigned long)size);
    (void)jpeg_read_header(info, TRUE);
    const bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    info->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    info->dct_method = JDCT_ISLOW;
    TRY(clvi_image_alloc(image, info->image_width, info->image_height, err));
    (void)jpeg_start_decompress(info);
    const size_t stride = (size_t)image->width * 3;
    JSAMPARRAY row = NULL;
    if (cmyk)
        row = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE, (JDIMENSION)image->width * 4, 1);
    while (info->output_scanline < info->output_height) {
        uint8_t *rgb = image->rgb + info->output_scanline * stride;
        JSAMPROW direct = rgb;
        (void)jpeg_read_scanlines(info, cmyk ? row : &direct, 1);
        if (cmyk)
            cmyk_to_rgb(rgb, row[0], image->width);
    }
    (void)jpeg_finish_decompress(info);
    return CLV_OK;
}

/* Where errors land. It has no variables of its own that a jump could leave undefined. */
static clv_status decode_guarded(struct jpeg_decompress_struct *info, handler *h, clvi_image *image,
                                 const uint8_t *bytes, size_t size, clv_error *err)
{
    if (setjmp(h->jump) != 0)
        return FAIL(err, h->no_memory ? CLV_ERR_NOMEM : CLV_ERR_FORMAT, "JPEG: %s", h->message);
    jpeg_create_decompress(info);
    info->mem->max_memory_to_use = MAX_MEMORY;
    info->progress = &h->progress;
    return decode(info, image, bytes, size, err);
}

clv_status clvi_image_decode_jpeg(clvi_image *image, const uint8_t *bytes, size_t size, clv_error *err)
{
    struct jpeg_decompress_struct info = {0};
    handler h = {0};

    *image = (clvi_image){0};
    info.err = jpeg_std_error(&h.base);
    h.base.error_exit = on_error;
    h.base.emit_message = on_message;
    h.progress.progress_monitor = on_progress;
    const clv_status st = decode_guarded(&info, &h, image, bytes, size, err);
    jpeg_destroy_decompress(&info);
    if (st != CLV_OK)
        clvi_image_free(image);
    return st;
}
