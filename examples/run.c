/* SPDX-License-Identifier: Apache-2.0 */
/* Run a network on zeros with the small library alone, and print its outputs.
 *
 * usage: example_run MODEL.onnx
 * build: cc run.c $(pkg-config --cflags --libs cleave-rt) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleave/run.h"

#define MAX_PORTS 8

/* Zeros in the shape that the model declares; what it leaves open becomes 1. */
static clv_status make_input(const clv_model *model, size_t index, clv_tensor *out, clv_error *err)
{
    clv_port port;
    const clv_status st = clv_model_input(model, index, &port, err);
    if (st != CLV_OK)
        return st;
    *out = (clv_tensor){.dtype = port.dtype, .rank = port.rank};
    for (int d = 0; d < port.rank; d++)
        out->dims[d] = port.dims[d] < 0 ? 1 : port.dims[d];
    const int64_t count = clv_tensor_count(out);
    out->data = count > 0 ? calloc((size_t)count, clv_dtype_size(out->dtype)) : NULL;
    (void)printf("input  %-10s %s, %" PRId64 " elements\n", port.name, clv_dtype_name(port.dtype), count);
    return CLV_OK;
}

static void print_output(const char *name, const clv_tensor *t)
{
    const int64_t count = clv_tensor_count(t);
    (void)printf("output %-10s %s, %" PRId64 " elements", name, clv_dtype_name(t->dtype), count);
    if (t->dtype == CLV_FLOAT32 && count > 0)
        (void)printf(", the first is %g", (double)((const float *)t->data)[0]);
    (void)putchar('\n');
}

static clv_status work(const char *path, clv_error *err)
{
    clv_context *context = NULL;
    clv_model *model = NULL;
    clv_session *session = NULL;
    clv_tensor inputs[MAX_PORTS] = {{0}}, outputs[MAX_PORTS];
    size_t n_in = 0, n_out = 0;
    clv_status st;

    if ((st = clv_context_create(&context, NULL, err)) != CLV_OK ||
        (st = clv_model_load(&model, path, err)) != CLV_OK ||
        (st = clv_session_create(&session, model, NULL, 0, context, err)) != CLV_OK)
        goto out;
    n_in = clv_model_inputs(model);
    n_out = clv_session_outputs(session);
    if (n_in > MAX_PORTS || n_out > MAX_PORTS) {
        n_in = 0;
        (void)snprintf(err->msg, sizeof err->msg, "this example takes at most %d inputs and outputs", MAX_PORTS);
        st = err->code = CLV_ERR_UNSUP;
        goto out;
    }
    for (size_t i = 0; i < n_in; i++)
        if ((st = make_input(model, i, &inputs[i], err)) != CLV_OK)
            goto out;
    if ((st = clv_session_run(session, inputs, n_in, outputs, n_out, err)) != CLV_OK)
        goto out;
    for (size_t i = 0; i < n_out; i++)
        print_output(clv_session_output_name(session, i), &outputs[i]);

out:
    for (size_t i = 0; i < n_in; i++)
        free(inputs[i].data);
    clv_session_free(session); /* before the model and the context that it views */
    clv_model_free(model);
    clv_context_free(context);
    return st;
}

int main(int argc, char **argv)
{
    clv_error err;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s MODEL.onnx\n", argv[0]);
        return 2;
    }
    if (work(argv[1], &err) != CLV_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}
