/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes and the error record that every fallible function fills. */
#ifndef CLEAVE_STATUS_H
#define CLEAVE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CLV_API __attribute__((visibility("default")))
#else
#define CLV_API
#endif

/* X(enumerator, number, text). Numbers are never reused. */
#define CLV_STATUS_LIST(X)                                          \
    X(CLV_OK, 0, "success")                                         \
    X(CLV_ERR_NOMEM, 1, "out of memory")                            \
    X(CLV_ERR_ARG, 2, "caller broke a documented precondition")     \
    X(CLV_ERR_FORMAT, 3, "malformed model file")                    \
    X(CLV_ERR_UNSUP, 4, "valid model, not supported here")          \
    X(CLV_ERR_NUMERIC, 5, "no convergence, or non-finite data")     \
    X(CLV_ERR_IO, 6, "operating system refused an I/O request")     \
    X(CLV_ERR_BUDGET, 7, "the budget cannot be reached")            \
    X(CLV_ERR_VERIFY, 8, "a verification or accuracy floor failed") \
    X(CLV_ERR_INTERRUPTED, 9, "interrupted")                        \
    X(CLV_ERR_DATA, 10, "unusable images, arrays or labels")

typedef enum clv_status {
#define CLV_STATUS_ENUM(name, number, text) name = number,
    CLV_STATUS_LIST(CLV_STATUS_ENUM)
#undef CLV_STATUS_ENUM
} clv_status;

/* Caller-owned, may be passed as NULL. Written only on failure. */
typedef struct clv_error {
    clv_status code;
    const char *site; /* "file:line" of the first failure, static storage */
    char msg[400];    /* one sentence with the offending values, no newline */
} clv_error;

/* The text of a status; "unknown status" for a number not in the list. Reentrant. */
CLV_API const char *clv_status_text(clv_status status);

#ifdef __cplusplus
}
#endif
#endif
