/* SPDX-License-Identifier: Apache-2.0 */
/* Make a network cheaper and see what it costs: load, compress, save, evaluate.
 *
 * usage: example_compress IN.onnx IMAGES OUT.onnx
 * build: cc compress.c $(pkg-config --cflags --libs cleave) */
#include <stdio.h>

#include "cleave/cleave.h"

/* Whatever fails first says why; everything that was made is freed in any case. */
static clv_status work(const char *in, const char *images, const char *out, clv_error *err)
{
    clv_context *context = NULL;
    clv_report *report = NULL;
    clv_model *original = NULL, *smaller = NULL;
    clv_dataset *data = NULL;
    clv_preprocess preprocess;
    clv_status st;

    if ((st = clv_context_create(&context, NULL, err)) != CLV_OK || /* all cores, the best instruction set */
        (st = clv_report_create(&report, err)) != CLV_OK || (st = clv_model_load(&original, in, err)) != CLV_OK ||
        (st = clv_model_clone(&smaller, original, err)) != CLV_OK ||
        (st = clv_dataset_open(&data, images, NULL, err)) != CLV_OK ||
        (st = clv_preprocess_preset(&preprocess, "cifar10", err)) != CLV_OK)
        goto out;

    clv_compress_opts how = clv_compress_opts_default();
    how.multiplier = 2; /* two depthwise filters for each input channel: about a third of the multiply-adds */
    if ((st = clv_compress(smaller, data, &preprocess, &how, context, report, err)) != CLV_OK ||
        (st = clv_model_save(smaller, out, err)) != CLV_OK)
        goto out;

    clv_evaluate_opts compare = clv_evaluate_opts_default();
    compare.against = original; /* the preprocessing is in the model now, and need not be given again */
    double before, after, agreement;
    if ((st = clv_evaluate(smaller, data, &compare, context, report, err)) != CLV_OK ||
        (st = clv_report_number(report, "before.macs", &before, err)) != CLV_OK ||
        (st = clv_report_number(report, "after.macs", &after, err)) != CLV_OK ||
        (st = clv_report_number(report, "agreement.same_class", &agreement, err)) != CLV_OK)
        goto out;
    (void)printf("%.0f multiply-adds became %.0f; %.1f %% of the images keep their class\n", before, after, agreement);

out:
    clv_dataset_free(data);
    clv_model_free(smaller);
    clv_model_free(original);
    clv_report_free(report);
    clv_context_free(context);
    return st;
}

int main(int argc, char **argv)
{
    clv_error err;
    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s IN.onnx IMAGES OUT.onnx\n", argv[0]);
        return 2;
    }
    if (work(argv[1], argv[2], argv[3], &err) != CLV_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}
