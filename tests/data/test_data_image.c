/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders and resizing against Pillow's and torch's bytes, and against pictures written here. */
#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <png.h>
#include <zlib.h>

#include "data/resize.h"

static clvi_image decode_file(const char *path)
{
    clvi_bytes bytes;
    clvi_image image;
    assert_ok(clvi_file_read(&bytes, path, err));
    assert_ok(clvi_image_decode(&image, bytes.data, bytes.size, err));
    clvi_free(bytes.data);
    return image;
}

static clvi_image as_image(const clv_tensor *t)
{
    assert_int_equal(t->rank, 3);
    assert_int_equal(t->dims[2], 3);
    return (clvi_image){t->data, (int)t->dims[1], (int)t->dims[0]};
}

static void assert_same(const clvi_image *a, const clvi_image *b, const char *what)
{
    if (a->width != b->width || a->height != b->height)
        fail_msg("%s: %dx%d, %dx%d expected", what, a->width, a->height, b->width, b->height);
    const size_t n = (size_t)a->width * (size_t)a->height * 3;
    for (size_t i = 0; i < n; i++)
        if (a->rgb[i] != b->rgb[i])
            fail_msg("%s: byte %zu of %zu is %d, %d expected", what, i, n, a->rgb[i], b->rgb[i]);
}

static void decoded_as_pillow_does(void **state)
{
    static const char *const files[] = {"grey.png", "bit.png",         "palette.png", "two_bits.png",
                                        "rgba.png", "la.png",          "grey16.png",  "grey.jpg",
                                        "cmyk.jpg", "progressive.jpg", "s420.jpg",    "s444.jpg"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[100], name[50];
        (void)snprintf(path, sizeof path, FIXTURES "%s", files[i]);
        (void)snprintf(name, sizeof name, "%s", files[i]);
        *strchr(name, '.') = '_';
        clv_tensor want = stored(FIXTURES "images.npz", name);
        const clvi_image expected = as_image(&want);
        clvi_image image = decode_file(path);
        assert_same(&image, &expected, files[i]);
        clvi_image_free(&image);
        clv_npy_free(&want);
    }
}

static void png_of_every_depth_and_interlacing(void **state)
{
    (void)state;
    for (int kind = 0; kind < 12; kind++) {
        const int types[] = {PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA, PNG_COLOR_TYPE_GRAY};
        const bool grey = types[kind % 3] == PNG_COLOR_TYPE_GRAY;
        const clvi_bytes png = encode_png(2, 13, 21, kind % 2 ? 16 : 8, types[kind % 3], kind >= 6);
        clvi_image image;
        assert_ok(clvi_image_decode(&image, png.data, png.size, err));
        assert_int_equal(image.width, 21);
        assert_int_equal(image.height, 13);
        for (int y = 0; y < 13; y++)
            for (int x = 0; x < 21; x++)
                for (int c = 0; c < 3; c++)
                    assert_int_equal(image.rgb[(y * 21 + x) * 3 + c], picture_value(2, y, x, grey ? 0 : c));
        clvi_image_free(&image);
        clvi_free(png.data);
    }
}

static void every_truncation_is_corrupt(void **state)
{
    const clvi_bytes files[2] = {encode_png(1, 9, 14, 8, PNG_COLOR_TYPE_RGB, false), encode_jpeg(1, 24, 40)};
    const long live = clvi_mem_live();
    (void)state;
    for (int f = 0; f < 2; f++)
        for (size_t n = 0; n < files[f].size; n++) {
            clvi_image image;
            clv_error err = {0};
            uint8_t *exact = clvi_alloc(n); /* so that a read beyond the end is seen */
            memcpy(exact, files[f].data, n);
            const clv_status st = clvi_image_decode(&image, exact, n, &err);
            if (st != CLV_ERR_FORMAT || image.rgb || !*err.msg)
                fail_msg("file %d cut to %zu of %zu bytes: status %d, \"%s\"", f, n, files[f].size, st, err.msg);
            clvi_free(exact);
        }
    assert_int_equal(clvi_mem_live(), live);
    clvi_free(files[0].data);
    clvi_free(files[1].data);
}

static void other_files_are_named(void **state)
{
    clvi_image image;
    (void)state;
    assert_refused(clvi_image_decode(&image, (const uint8_t *)"GIF89a..", 8, err), CLV_ERR_FORMAT,
                   "neither JPEG nor PNG");
    assert_refused(clvi_image_decode(&image, (const uint8_t *)"", 0, err), CLV_ERR_FORMAT, "empty");
    assert_refused(clvi_image_decode(&image, (const uint8_t *)"x", 1, err), CLV_ERR_FORMAT, "1 bytes");
}

/* A header that claims 60000 x 60000 pixels allocates nothing. */
static void huge_sizes_are_refused_before_allocating(void **state)
{
    clvi_image image;
    clvi_bytes png = encode_png(0, 8, 8, 8, PNG_COLOR_TYPE_RGB, false), jpeg = encode_jpeg(0, 8, 8);
    (void)state;
    const uint8_t side[4] = {0, 0, 0xea, 0x60};
    memcpy(png.data + 16, side, 4);
    memcpy(png.data + 20, side, 4);
    const uLong crc = crc32(0, png.data + 12, 17);
    for (int i = 0; i < 4; i++)
        png.data[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
    assert_refused(clvi_image_decode(&image, png.data, png.size, err), CLV_ERR_FORMAT, "60000x60000");
    for (size_t i = 0; i + 8 < jpeg.size; i++)
        if (jpeg.data[i] == 0xff && jpeg.data[i + 1] == 0xc0) {
            memcpy(jpeg.data + i + 5, side + 2, 2);
            memcpy(jpeg.data + i + 7, side + 2, 2);
        }
    assert_refused(clvi_image_decode(&image, jpeg.data, jpeg.size, err), CLV_ERR_FORMAT, "60000x60000");
    assert_refused(clvi_image_alloc(&image, 65536, 1, err), CLV_ERR_FORMAT, "65536x1");
    assert_refused(clvi_image_alloc(&image, 0, 1, err), CLV_ERR_FORMAT, "0x1");
    clvi_free(png.data);
    clvi_free(jpeg.data);
}

static void resized_as_pillow_does(void **state)
{
    static const int sizes[][2] = {{15, 11}, {34, 40}, {7, 31}, {23, 6}, {1, 1}, {2, 60}, {22, 32}};
    clv_tensor t = stored(FIXTURES "resize.npz", "input");
    const clvi_image in = as_image(&t);
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[50];
        clvi_image out;
        (void)snprintf(name, sizeof name, "pil_%dx%d", sizes[i][0], sizes[i][1]);
        clv_tensor want = stored(FIXTURES "resize.npz", name);
        const clvi_image expected = as_image(&want);
        assert_ok(clvi_resize(&out, &in, sizes[i][1], sizes[i][0], true, err));
        assert_same(&out, &expected, name);
        clvi_image_free(&out);
        clv_npy_free(&want);
    }
    clv_npy_free(&t);
}

/* torch's interpolate in double, not rounded: rounding to bytes is at most 1/2 away. */
static void plain_resize_is_half_pixel_bilinear(void **state)
{
    static const int sizes[][2] = {{15, 11}, {7, 31}, {23, 6}, {1, 1}, {2, 60}};
    clv_tensor t = stored(FIXTURES "resize.npz", "input");
    const clvi_image in = as_image(&t);
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[50];
        clvi_image out;
        (void)snprintf(name, sizeof name, "plain_%dx%d", sizes[i][0], sizes[i][1]);
        clv_tensor want = stored(FIXTURES "resize.npz", name);
        assert_ok(clvi_resize(&out, &in, sizes[i][1], sizes[i][0], false, err));
        for (int64_t k = 0; k < clv_tensor_count(&want); k++)
            if (!(fabs((double)out.rgb[k] - (double)((float *)want.data)[k]) <= 0.5001))
                fail_msg("%s: value %lld is %d, torch has %g", name, (long long)k, out.rgb[k],
                         (double)((float *)want.data)[k]);
        clvi_image_free(&out);
        clv_npy_free(&want);
    }
    clv_npy_free(&t);
}

static void resize_keeps_constants_and_identity(void **state)
{
    uint8_t rgb[7 * 5 * 3];
    const clvi_image in = {rgb, 7, 5};
    (void)state;
    for (int antialias = 0; antialias < 2; antialias++) {
        clvi_image out;
        memset(rgb, 201, sizeof rgb);
        for (int w = 1; w < 40; w += 4)
            for (int h = 1; h < 40; h += 3) {
                assert_ok(clvi_resize(&out, &in, w, h, antialias, err));
                for (int i = 0; i < w * h * 3; i++)
                    assert_int_equal(out.rgb[i], 201);
                clvi_image_free(&out);
            }
        for (size_t i = 0; i < sizeof rgb; i++)
            rgb[i] = (uint8_t)(i * 37);
        assert_ok(clvi_resize(&out, &in, 7, 5, antialias, err));
        assert_same(&out, &in, "identity");
        clvi_image_free(&out);
        assert_refused(clvi_resize(&out, &in, 0, 5, antialias, err), CLV_ERR_FORMAT, "0x5");
        assert_refused(clvi_resize(&out, &in, 60000, 60000, antialias, err), CLV_ERR_FORMAT, "60000x60000");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoded_as_pillow_does),
        cmocka_unit_test(png_of_every_depth_and_interlacing),
        cmocka_unit_test(every_truncation_is_corrupt),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(huge_sizes_are_refused_before_allocating),
        cmocka_unit_test(resized_as_pillow_does),
        cmocka_unit_test(plain_resize_is_half_pixel_bilinear),
        cmocka_unit_test(resize_keeps_constants_and_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
