/* SPDX-License-Identifier: Apache-2.0 */
#include "report/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* printf writes the decimal point of the program's locale, which may be several bytes: make it one ".". */
static void mend_point(char *text)
{
    char *to = text;
    const char *from = text;
    while (*from) {
        if (strchr("0123456789+-e", *from)) {
            *to++ = *from++;
            continue;
        }
        *to++ = '.';
        while (*from && !strchr("0123456789+-e", *from))
            from++;
    }
    *to = '\0';
}

void clvi_number_exact(char text[CLVI_NUMBER_SIZE], double value)
{
    if (!isfinite(value)) {
        (void)snprintf(text, CLVI_NUMBER_SIZE, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, CLVI_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    mend_point(text);
}

void clvi_number_short(char text[CLVI_NUMBER_SIZE], double value)
{
    (void)snprintf(text, CLVI_NUMBER_SIZE, isfinite(value) ? "%.6g" : "null", value);
    if (isfinite(value))
        mend_point(text);
}

void clvi_number_fixed(char text[CLVI_NUMBER_SIZE], double value, int digits)
{
    if (digits < 0)
        digits = 0;
    if (digits > 17)
        digits = 17;
    if (!isfinite(value)) {
        (void)snprintf(text, CLVI_NUMBER_SIZE, "-");
        return;
    }
    const double size = fabs(value);
    if (value != 0.0 && (size >= 1e15 || size < 0.5 * pow(10.0, -digits)))
        (void)snprintf(text, CLVI_NUMBER_SIZE, "%.1e", value);
    else
        (void)snprintf(text, CLVI_NUMBER_SIZE, "%.*f", digits, value);
    mend_point(text);
}

void clvi_number_grouped(char text[CLVI_NUMBER_SIZE], int64_t value)
{
    char plain[CLVI_NUMBER_SIZE];
    (void)snprintf(plain, sizeof plain, "%" PRId64, value);
    const char *digits = plain + (plain[0] == '-');
    const size_t n = strlen(digits);
    char *to = text;
    if (plain[0] == '-')
        *to++ = '-';
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && n > 4 && (n - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
}
