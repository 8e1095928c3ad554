/* SPDX-License-Identifier: Apache-2.0 */
/* How a failure is recorded and forwarded inside the library. */
#ifndef CLVI_BASE_STATUS_H
#define CLVI_BASE_STATUS_H

#include "cleave/status.h"

#define CLVI_STR_(x) #x
#define CLVI_STR(x)  CLVI_STR_(x)

/* Record a failure and return its code: `st = FAIL(err, CLV_ERR_FORMAT, "node \"%s\": ...", name);`
 * The function that first sees the failure calls it; those above forward the status untouched.
 * err may be NULL. */
#ifdef __clang_analyzer__ /* which does not see into clvi_fail and would take it for a success */
#define FAIL(err, code, ...) (clvi_fail((err), (code), "", __VA_ARGS__), (code))
#else
#define FAIL(err, code, ...) clvi_fail((err), (code), __FILE__ ":" CLVI_STR(__LINE__), __VA_ARGS__)
#endif

/* Return at once on failure. Only where nothing is owned yet. */
#define TRY(call)                              \
    do {                                       \
        const clv_status try_status_ = (call); \
        if (try_status_ != CLV_OK)             \
            return try_status_;                \
    } while (0)

#if defined(__GNUC__)
#define CLVI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define CLVI_PRINTF(f, a)
#endif

clv_status clvi_fail(clv_error *err, clv_status code, const char *site, const char *fmt, ...) CLVI_PRINTF(4, 5);

/* Put "prefix: " before the message of a recorded error, e.g. the file's name. Returns err's code. */
clv_status clvi_fail_prefix(clv_error *err, clv_status code, const char *prefix);

#endif
