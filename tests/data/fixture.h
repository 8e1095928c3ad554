/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of data share: a temporary folder, pictures written through the libraries, a context that keeps its
 * log. */
#ifndef TESTS_DATA_FIXTURE_H
#define TESTS_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/context.h"
#include "base/file.h"
#include "base/mem.h"
#include "cleave/data.h"
#include "data/image.h"

#define FIXTURES "tests/data/fixtures/"
#define SHARED   "../shared/data/"

#define assert_ok(call)                                                            \
    do {                                                                           \
        clv_error err_ = {0};                                                      \
        clv_error *const err = &err_;                                              \
        if ((call) != CLV_OK)                                                      \
            fail_msg("%s: %s (%s)", #call, err_.msg, err_.site ? err_.site : "-"); \
    } while (0)

/* The call, which uses `err`, fails with this status and a message that contains the text. */
#define assert_refused(call, status, text)                                                        \
    do {                                                                                          \
        clv_error err_ = {0};                                                                     \
        clv_error *const err = &err_;                                                             \
        const clv_status st_ = (call);                                                            \
        if (st_ != (status) || err_.code != st_ || !strstr(err_.msg, (text)))                     \
            fail_msg("%s: status %d, \"%s\"; \"%s\" was expected", #call, st_, err_.msg, (text)); \
    } while (0)

/* A fresh folder and its removal with everything in it; usable as cmocka group set-up and tear-down. */
int folder_make(void **state);
int folder_remove(void **state);

/* A path in it, in one of 8 rotating buffers. */
const char *in_folder(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void make_folder(const char *path);
void write_file(const char *path, const void *bytes, size_t size);
void write_text(const char *path, const char *text);

/* Pictures: pixel (y, x, c) of picture k is picture_value(k, y, x, c). */
uint8_t picture_value(int k, int y, int x, int c);
void write_png(const char *path, int k, int height, int width);
clvi_bytes encode_png(int k, int height, int width, int bit_depth, int color_type, bool interlaced); /* clvi_free */
clvi_bytes encode_jpeg(int k, int height, int width);                                                /* clvi_free */

/* A member appended to a tar in memory. */
typedef struct tar_bytes {
    uint8_t bytes[1 << 16];
    size_t size;
} tar_bytes;
void tar_add(tar_bytes *tar, const char *name, char type, const void *data, size_t size);
void tar_end(tar_bytes *tar);

/* Array `name` of a stored .npz (clv_npy_free). */
clv_tensor stored(const char *npz, const char *name);

typedef struct logged {
    int count;
    char last[512];
} logged;

clv_context *make_context(int threads, logged *log, const volatile sig_atomic_t *cancel);

/* Read all items with "raw" into a new [n, 3, h, w] tensor (clv_npy_free). */
clv_tensor read_all(clv_dataset *dataset, int64_t h, int64_t w, bool *bad, clv_context *context);

#endif
