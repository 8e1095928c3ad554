/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: read, verify, write, read, compare. Seeds: make_onnx_seeds FOLDER. */
#include "fuzz/onnx_cycle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)onnx_cycle(data, size);
    return 0;
}
