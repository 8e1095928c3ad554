/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>

#include "data/npy.h"
#include "data/zip.h"

static char root[64];

int folder_make(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/cleave-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    if (dir) {
        for (const struct dirent *e; (e = readdir(dir));)
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
                char full[600];
                (void)snprintf(full, sizeof full, "%s/%s", path, e->d_name);
                remove_tree(full);
            }
        (void)closedir(dir);
    }
    (void)remove(path);
}

int folder_remove(void **state)
{
    (void)state;
    remove_tree(root);
    return 0;
}

const char *in_folder(const char *fmt, ...)
{
    static char paths[8][300];
    static int next;
    char *path = paths[next++ % 8], name[200];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    (void)snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0777), 0);
}

void write_file(const char *path, const void *bytes, size_t size)
{
    (void)remove(path); /* truncating an existing file makes some file systems flush it to disk */
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

uint8_t picture_value(int k, int y, int x, int c)
{
    return (uint8_t)(31 * k + 7 * y + 3 * x + 50 * c);
}

static void append(png_structp png, png_bytep bytes, png_size_t n)
{
    clvi_bytes *to = png_get_io_ptr(png);
    uint8_t *grown = clvi_grow(to->data, to->size, to->size + n);
    assert_non_null(grown);
    memcpy(grown + to->size, bytes, n);
    *to = (clvi_bytes){grown, to->size + n};
}

static void no_flush(png_structp png)
{
    (void)png;
}

clvi_bytes encode_png(int k, int height, int width, int bit_depth, int color_type, bool interlaced)
{
    clvi_bytes out = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    const int channels = color_type == PNG_COLOR_TYPE_RGB ? 3 : color_type == PNG_COLOR_TYPE_RGB_ALPHA ? 4 : 1;
    const size_t bytes = (size_t)bit_depth / 8, stride = (size_t)(width * channels) * bytes;
    uint8_t *pixels = clvi_alloc((size_t)height * stride), **rows = clvi_alloc_array((size_t)height, sizeof *rows);
    for (int y = 0; y < height; y++) {
        rows[y] = pixels + (size_t)y * stride;
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                for (size_t b = 0; b < bytes; b++) /* the low byte of 16 bits is another number */
                    rows[y][((size_t)(x * channels + c)) * bytes + b] = b        ? 0x9e
                                                                        : c == 3 ? (uint8_t)(5 * x)
                                                                                 : picture_value(k, y, x, c);
    }
    png_set_write_fn(png, &out, append, no_flush);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, bit_depth, color_type,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_rows(png, info, rows);
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&png, &info);
    clvi_free(rows);
    clvi_free(pixels);
    return out;
}

void write_png(const char *path, int k, int height, int width)
{
    const clvi_bytes png = encode_png(k, height, width, 8, PNG_COLOR_TYPE_RGB, false);
    write_file(path, png.data, png.size);
    clvi_free(png.data);
}

clvi_bytes encode_jpeg(int k, int height, int width)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr error;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    uint8_t row[3 * 256];
    JSAMPROW rows[1] = {row};
    info.err = jpeg_std_error(&error);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &size);
    info.image_width = (JDIMENSION)width;
    info.image_height = (JDIMENSION)height;
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_start_compress(&info, TRUE);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                row[3 * x + c] = picture_value(k, y, x, c);
        (void)jpeg_write_scanlines(&info, rows, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    clvi_bytes out = {clvi_alloc(size), size};
    memcpy(out.data, bytes, size);
    free(bytes);
    return out;
}

void tar_add(tar_bytes *tar, const char *name, char type, const void *data, size_t size)
{
    uint8_t *h = tar->bytes + tar->size;
    const size_t padded = (size + 511) / 512 * 512;
    assert_true(tar->size + 512 + padded <= sizeof tar->bytes);
    memset(h, 0, 512 + padded);
    memcpy(h, name, strlen(name) < 100 ? strlen(name) : 100);
    (void)snprintf((char *)h + 124, 12, "%011zo", size);
    h[156] = (uint8_t)type;
    memcpy(h + 257, "ustar\00000", 8);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++)
        sum += h[i];
    (void)snprintf((char *)h + 148, 8, "%06o", sum);
    if (size)
        memcpy(h + 512, data, size);
    tar->size += 512 + padded;
}

void tar_end(tar_bytes *tar)
{
    assert_true(tar->size + 1024 <= sizeof tar->bytes);
    memset(tar->bytes + tar->size, 0, 1024);
    tar->size += 1024;
}

clv_tensor stored(const char *npz, const char *name)
{
    clvi_zip zip;
    clvi_range range;
    clv_tensor out = {0};
    char member[100];
    (void)snprintf(member, sizeof member, "%s.npy", name);
    assert_ok(clvi_zip_open(&zip, npz, err));
    for (size_t i = 0; i < zip.count; i++)
        if (strcmp(zip.entries[i].name, member) == 0) {
            assert_ok(clvi_zip_member(&range, &zip, &zip.entries[i], err));
            assert_ok(clvi_npy_read_range(&out, &range, err));
            clvi_range_close(&range);
        }
    clvi_zip_close(&zip);
    if (!out.data)
        fail_msg("%s has no array %s", npz, name);
    return out;
}

static void keep_log(void *user, clv_log_level level, const char *message)
{
    logged *log = user;
    (void)level;
    log->count++;
    (void)snprintf(log->last, sizeof log->last, "%s", message);
}

clv_context *make_context(int threads, logged *log, const volatile sig_atomic_t *cancel)
{
    clv_context_opts opts = clv_context_opts_default();
    clv_context *context = NULL;
    opts.threads = threads;
    opts.log = log ? keep_log : NULL;
    opts.user = log;
    opts.cancel = cancel;
    assert_ok(clv_context_create(&context, &opts, err));
    return context;
}

clv_tensor read_all(clv_dataset *dataset, int64_t h, int64_t w, bool *bad, clv_context *context)
{
    clv_preprocess raw;
    const int64_t n = clv_dataset_count(dataset);
    clv_tensor out = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {n, 3, h, w}};
    out.data = clvi_alloc_array((size_t)(n * 3 * h * w), sizeof(float));
    assert_ok(clv_preprocess_preset(&raw, "raw", err));
    assert_ok(clv_dataset_read(dataset, 0, n, &raw, &out, bad, context, err));
    return out;
}
