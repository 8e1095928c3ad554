/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold for any bytes whatever: the reader refuses them or gives a graph that verifies, can be copied and
 * pruned, and whose written form is stable. Aborts otherwise. */
#ifndef TEST_ONNX_CYCLE_H
#define TEST_ONNX_CYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* true: the bytes were a model. */
bool onnx_cycle(const uint8_t *bytes, size_t size);

#endif
