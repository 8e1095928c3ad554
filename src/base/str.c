/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

static bool reserve(clvi_str *s, size_t more)
{
    size_t need;
    if (s->failed || !clvi_add(s->size, more, &need) || !clvi_add(need, 1, &need)) {
        s->failed = true;
        return false;
    }
    if (need <= s->capacity)
        return true;
    size_t capacity = s->capacity ? s->capacity : 256;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *text = clvi_grow(s->text, s->size, capacity);
    if (!text) {
        s->failed = true;
        return false;
    }
    s->text = text;
    s->capacity = capacity;
    return true;
}

void clvi_str_append(clvi_str *s, const void *bytes, size_t n)
{
    if (!reserve(s, n))
        return;
    if (n)
        memcpy(s->text + s->size, bytes, n);
    s->size += n;
    s->text[s->size] = '\0';
}

void clvi_str_puts(clvi_str *s, const char *text)
{
    clvi_str_append(s, text, strlen(text));
}

void clvi_str_vprintf(clvi_str *s, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0 || !reserve(s, (size_t)n)) {
        s->failed = true;
        return;
    }
    (void)vsnprintf(s->text + s->size, (size_t)n + 1, fmt, args);
    s->size += (size_t)n;
}

void clvi_str_printf(clvi_str *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    clvi_str_vprintf(s, fmt, args);
    va_end(args);
}

void clvi_str_free(clvi_str *s)
{
    clvi_free(s->text);
    *s = (clvi_str){0};
}
