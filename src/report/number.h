/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text, the same in every locale. */
#ifndef CLVI_REPORT_NUMBER_H
#define CLVI_REPORT_NUMBER_H

#include <stdint.h>

#define CLVI_NUMBER_SIZE 48 /* bytes that every function here needs at most */

/* The shortest decimal that reads back as the same float64; "null" for NaN and infinities. */
void clvi_number_exact(char text[CLVI_NUMBER_SIZE], double value);

/* Six significant digits at most; "null" for NaN and infinities. */
void clvi_number_short(char text[CLVI_NUMBER_SIZE], double value);

/* `digits` (0 to 17) after the point; "-" for NaN and infinities; very large or small values in exponent form. */
void clvi_number_fixed(char text[CLVI_NUMBER_SIZE], double value, int digits);

/* With a comma between groups of three digits from 10,000 on. */
void clvi_number_grouped(char text[CLVI_NUMBER_SIZE], int64_t value);

#endif
