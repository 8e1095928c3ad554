/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the small models that fuzzing starts from. */
#include <stdio.h>

#include "base/file.h"
#include "unit/onnx_wire.h"

int main(int argc, char **argv)
{
    clvi_str models[] = {wire_small_model(), wire_strange_model(), wire_typed_model(), wire_old_model()};
    const char *names[] = {"small", "strange", "typed", "old"};
    int failed = argc != 2;
    for (size_t i = 0; i < 4; i++) {
        char path[4096];
        clv_error err;
        if (!failed && (size_t)snprintf(path, sizeof path, "%s/%s.onnx", argv[1], names[i]) < sizeof path &&
            clvi_file_replace(path, models[i].text, models[i].size, &err) != CLV_OK) {
            (void)fprintf(stderr, "%s\n", err.msg);
            failed = 1;
        }
        clvi_str_free(&models[i]);
    }
    return failed;
}
