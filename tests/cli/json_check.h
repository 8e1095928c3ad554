/* SPDX-License-Identifier: Apache-2.0 */
/* Is a text JSON as RFC 8259 has it? */
#ifndef CLEAVE_TESTS_CLI_JSON_CHECK_H
#define CLEAVE_TESTS_CLI_JSON_CHECK_H

#include <stdbool.h>

bool is_json(const char *text);

#endif
