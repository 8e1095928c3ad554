/* SPDX-License-Identifier: Apache-2.0 */
/* A growable text or byte buffer. A failed append is remembered, so callers check once at the end. */
#ifndef CLVI_BASE_STR_H
#define CLVI_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct clvi_str {
    char *text; /* always NUL-terminated once non-NULL */
    size_t size;
    size_t capacity;
    bool failed; /* memory was short; text is what fitted */
} clvi_str;

void clvi_str_append(clvi_str *s, const void *bytes, size_t n);
void clvi_str_puts(clvi_str *s, const char *text);
void clvi_str_printf(clvi_str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void clvi_str_vprintf(clvi_str *s, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
void clvi_str_free(clvi_str *s); /* and resets to empty */

#endif
