/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *clv_status_text(clv_status status)
{
    switch (status) {
#define CLVI_STATUS_CASE(name, number, text) \
    case name:                               \
        return text;
        CLV_STATUS_LIST(CLVI_STATUS_CASE)
#undef CLVI_STATUS_CASE
    }
    return "unknown status";
}

clv_status clvi_fail(clv_error *err, clv_status code, const char *site, const char *fmt, ...)
{
    if (err) {
        va_list args;
        err->code = code;
        err->site = site;
        va_start(args, fmt);
        (void)vsnprintf(err->msg, sizeof err->msg, fmt, args);
        va_end(args);
        /* Names come from files: keep the message one printable line. */
        for (char *p = err->msg; *p; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                *p = '?';
    }
    return code;
}

clv_status clvi_fail_prefix(clv_error *err, clv_status code, const char *prefix)
{
    if (err) {
        char old[sizeof err->msg];
        const char *site = err->site;
        memcpy(old, err->msg, sizeof old);
        old[sizeof old - 1] = '\0';
        (void)clvi_fail(err, code, site, "%s: %s", prefix, old);
    }
    return code;
}
