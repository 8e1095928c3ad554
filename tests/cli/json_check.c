/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json_check.h"

#include <string.h>

#define MAX_DEPTH 64

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static bool is_hex(char c)
{
    return c && strchr("0123456789abcdefABCDEF", c);
}

/* Each returns what follows, or NULL. */
static const char *string_end(const char *p)
{
    if (*p++ != '"')
        return NULL;
    for (; *p != '"'; p++) {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p != '\\')
            continue;
        p++;
        if (*p == 'u') {
            for (int i = 0; i < 4; i++)
                if (!is_hex(*++p))
                    return NULL;
        } else if (!*p || !strchr("\"\\/bfnrt", *p)) {
            return NULL;
        }
    }
    return p + 1;
}

static const char *digits_end(const char *p)
{
    const size_t n = strspn(p, "0123456789");
    return n ? p + n : NULL;
}

static const char *number_end(const char *p)
{
    p += *p == '-';
    if (p[0] == '0' && p[1] >= '0' && p[1] <= '9')
        return NULL;
    p = digits_end(p);
    if (p && *p == '.')
        p = digits_end(p + 1);
    if (p && (*p == 'e' || *p == 'E')) {
        p++;
        p = digits_end(p + (*p == '+' || *p == '-'));
    }
    return p;
}

static const char *value_end(const char *p, int depth);

static const char *members_end(const char *p, char close, int depth)
{
    p = skip_space(p + 1);
    if (*p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            p = string_end(p);
            p = p ? skip_space(p) : NULL;
            if (!p || *p != ':')
                return NULL;
            p = skip_space(p + 1);
        }
        p = value_end(p, depth + 1);
        p = p ? skip_space(p) : NULL;
        if (!p || (*p != ',' && *p != close))
            return NULL;
        if (*p == close)
            return p + 1;
        p = skip_space(p + 1);
    }
}

static const char *value_end(const char *p, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    if (depth > MAX_DEPTH)
        return NULL;
    for (int i = 0; i < 3; i++)
        if (strncmp(p, words[i], strlen(words[i])) == 0)
            return p + strlen(words[i]);
    switch (*p) {
    case '{':
        return members_end(p, '}', depth);
    case '[':
        return members_end(p, ']', depth);
    case '"':
        return string_end(p);
    default:
        return number_end(p);
    }
}

bool is_json(const char *text)
{
    const char *end = value_end(skip_space(text), 0);
    return end && *skip_space(end) == '\0';
}
