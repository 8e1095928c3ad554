/* SPDX-License-Identifier: Apache-2.0 */
/* A preprocessing as one line of text: "key=value" pairs in a fixed order, each exactly once, in the C locale whatever
 * the program's locale is. %.9g gives every float back exactly. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cleave/data.h"
#include "data/image.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

static bool name_is_plain(const char *name)
{
    return name[strspn(name, NAME_CHARACTERS)] == '\0';
}

static int print(char *buffer, size_t size, const clv_preprocess *p)
{
    return snprintf(buffer, size,
                    "name=%s scale=%.9g mean=%.9g,%.9g,%.9g std=%.9g,%.9g,%.9g order=%s resize=%d resize_to=%dx%d "
                    "letterbox=%d crop=%dx%d crop_floor=%d antialias=%d",
                    p->name, (double)p->scale, (double)p->mean[0], (double)p->mean[1], (double)p->mean[2],
                    (double)p->std[0], (double)p->std[1], (double)p->std[2], p->order == CLV_BGR ? "BGR" : "RGB",
                    p->resize, p->resize_h, p->resize_w, p->letterbox, p->crop_h, p->crop_w, p->crop_floor,
                    p->antialias);
}

clv_status clv_preprocess_format(const clv_preprocess *p, char *buffer, size_t size, clv_error *err)
{
    TRY(clv_preprocess_check(p, err));
    if (!name_is_plain(p->name))
        return FAIL(err, CLV_ERR_ARG, "preprocessing name \"%s\" has other characters than " NAME_CHARACTERS, p->name);
    const locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!c_locale)
        return FAIL(err, CLV_ERR_NOMEM, "preprocessing text");
    const locale_t before = uselocale(c_locale);
    const int n = print(buffer, size, p);
    (void)uselocale(before);
    freelocale(c_locale);
    if (n < 0 || (size_t)n >= size)
        return FAIL(err, CLV_ERR_ARG, "preprocessing text needs %d bytes, the buffer has %zu", n + 1, size);
    return CLV_OK;
}

/* Read text[at] on: "expect", moving at; false when it is not there. */
static bool take(const char **at, const char *expect)
{
    const size_t n = strlen(expect);
    if (strncmp(*at, expect, n) != 0)
        return false;
    *at += n;
    return true;
}

static bool take_float(const char **at, float *out)
{
    char *end;
    if (!strchr("+-.0123456789", **at) || !**at)
        return false;
    *out = strtof(*at, &end);
    const bool found = end != *at;
    *at = end;
    return found;
}

static bool take_floats(const char **at, float out[3])
{
    return take_float(at, &out[0]) && take(at, ",") && take_float(at, &out[1]) && take(at, ",") &&
           take_float(at, &out[2]);
}

static bool take_int(const char **at, int *out)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    const long v = strtol(*at, &end, 10);
    if (errno || v > CLVI_IMAGE_MAX_SIDE)
        return false;
    *out = (int)v;
    *at = end;
    return true;
}

static bool take_flag(const char **at, bool *out)
{
    *out = **at == '1';
    return take(at, "0") || take(at, "1");
}

static bool take_order(const char **at, clv_channel_order *out)
{
    *out = **at == 'B' ? CLV_BGR : CLV_RGB;
    return take(at, "RGB") || take(at, "BGR");
}

static bool take_name(const char **at, char name[32])
{
    const size_t n = strspn(*at, NAME_CHARACTERS);
    if (n >= 32)
        return false;
    memcpy(name, *at, n);
    *at += n;
    return true;
}

static bool take_all(const char **at, clv_preprocess *p)
{
    return take(at, "name=") && take_name(at, p->name) && take(at, " scale=") && take_float(at, &p->scale) &&
           take(at, " mean=") && take_floats(at, p->mean) && take(at, " std=") && take_floats(at, p->std) &&
           take(at, " order=") && take_order(at, &p->order) && take(at, " resize=") && take_int(at, &p->resize) &&
           take(at, " resize_to=") && take_int(at, &p->resize_h) && take(at, "x") && take_int(at, &p->resize_w) &&
           take(at, " letterbox=") && take_int(at, &p->letterbox) && take(at, " crop=") && take_int(at, &p->crop_h) &&
           take(at, "x") && take_int(at, &p->crop_w) && take(at, " crop_floor=") && take_flag(at, &p->crop_floor) &&
           take(at, " antialias=") && take_flag(at, &p->antialias) && **at == '\0';
}

clv_status clv_preprocess_parse(clv_preprocess *out, const char *text, clv_error *err)
{
    clv_preprocess p = {0};
    const char *at = text;
    const locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!c_locale)
        return FAIL(err, CLV_ERR_NOMEM, "preprocessing text");
    const locale_t before = uselocale(c_locale);
    const bool whole = take_all(&at, &p);
    (void)uselocale(before);
    freelocale(c_locale);
    if (!whole)
        return FAIL(err, CLV_ERR_ARG, "preprocessing text is malformed at character %zu: \"%.40s\"",
                    (size_t)(at - text) + 1, at);
    TRY(clv_preprocess_check(&p, err));
    *out = p;
    return CLV_OK;
}
