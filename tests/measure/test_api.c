/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions, called as a program outside would, wrongly too. */
#include "cli/networks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cleave/cleave.h"
#include "onnx/onnx.h"

/* A model through bytes, as a program would get it; ends the graph. */
static clv_model *model_of(clvi_graph *graph)
{
    clvi_bytes bytes;
    clv_error err = {0};
    clv_model *model = NULL;
    assert_int_equal(clvi_onnx_write_bytes(graph, &bytes, NULL), CLV_OK);
    if (clv_model_load_bytes(&model, bytes.data, bytes.size, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    clvi_free(bytes.data);
    clvi_graph_free(graph);
    return model;
}

static void ports_are_described(void **state)
{
    (void)state;
    clv_error err;
    clv_port port;
    clv_model *model = model_of(network_residual(1));
    assert_int_equal(clv_model_inputs(model), 1);
    assert_int_equal(clv_model_outputs(model), 1);
    assert_int_equal(clv_model_input(model, 0, &port, &err), CLV_OK);
    assert_string_equal(port.name, "input");
    assert_int_equal(port.dtype, CLV_FLOAT32);
    assert_int_equal(port.rank, 4);
    assert_int_equal(port.dims[0], -1);
    assert_int_equal(port.dims[3], 32);
    assert_int_equal(clv_model_output(model, 0, &port, &err), CLV_OK);
    assert_string_equal(port.name, "logits");
    assert_int_equal(clv_model_input(model, 1, &port, &err), CLV_ERR_ARG);
    assert_int_equal(clv_model_output(model, SIZE_MAX, &port, &err), CLV_ERR_ARG);
    clv_model_free(model);
}

static void metadata_survive_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/cleave-api-XXXXXX";
    clv_model *model = model_of(network_colour()), *again = NULL, *copy = NULL;
    clv_preprocess p, q;
    clv_error err = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_null(clv_model_metadata(model, "author"));
    assert_int_equal(clv_model_set_metadata(model, "author", "nobody", &err), CLV_OK);
    assert_int_equal(clv_model_set_metadata(model, "author", "somebody", &err), CLV_OK);
    assert_int_equal(clv_model_preprocess(model, &p, &err), CLV_ERR_ARG);
    assert_int_equal(clv_preprocess_preset(&p, "imagenet", &err), CLV_OK);
    assert_int_equal(clv_model_set_preprocess(model, &p, &err), CLV_OK);
    if (clv_model_save(model, path, &err) != CLV_OK || clv_model_load(&again, path, &err) != CLV_OK ||
        clv_model_clone(&copy, again, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    clv_model_free(again); /* the copy shares nothing with it */
    assert_string_equal(clv_model_metadata(copy, "author"), "somebody");
    assert_int_equal(clv_model_preprocess(copy, &q, &err), CLV_OK);
    assert_int_equal(q.crop_h, 224);
    assert_true(q.std[1] == p.std[1]);
    clv_model_free(copy);
    clv_model_free(model);
    assert_int_equal(unlink(path), 0);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    clv_error err;
    clv_model *model = (clv_model *)&err;
    const struct {
        const char *path;
        clv_status status;
    } files[] = {{"/nowhere/net.onnx", CLV_ERR_IO}, {"/", CLV_ERR_IO}, {"/proc/self/cmdline", CLV_ERR_FORMAT}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(clv_model_load(&model, files[i].path, &err), files[i].status);
        assert_null(model);
        assert_int_equal(err.code, files[i].status);
    }
    assert_int_equal(clv_model_load_bytes(&model, "", 0, &err), CLV_ERR_FORMAT);
    assert_int_equal(clv_model_load_bytes(&model, "\x08\x07garbage", 9, &err), CLV_ERR_FORMAT);
    clv_model_free(NULL);
}

typedef struct sums {
    clv_context *context;
    clv_model *model;
    clv_session *session;
    float left[6], right[6];
    clv_tensor inputs[2], outputs[2];
} sums;

static int sums_set_up(void **state)
{
    sums *s = calloc(1, sizeof *s);
    clv_error err = {0};
    assert_non_null(s);
    s->model = model_of(network_two_inputs());
    assert_int_equal(clv_context_create(&s->context, NULL, &err), CLV_OK);
    if (clv_session_create(&s->session, s->model, NULL, 0, s->context, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    for (int i = 0; i < 6; i++) {
        s->left[i] = (float)i;
        s->right[i] = 10;
    }
    s->inputs[0] = (clv_tensor){CLV_FLOAT32, 2, {2, 3}, s->left};
    s->inputs[1] = (clv_tensor){CLV_FLOAT32, 2, {2, 3}, s->right};
    *state = s;
    return 0;
}

static int sums_tear_down(void **state)
{
    sums *s = *state;
    clv_session_free(s->session);
    clv_model_free(s->model);
    clv_context_free(s->context);
    free(s);
    assert_int_equal(clvi_mem_live(), 0);
    return 0;
}

static float element(const clv_tensor *t, int i)
{
    return ((const float *)t->data)[i];
}

static void inputs_go_by_order_or_by_name(void **state)
{
    sums *s = *state;
    clv_error err = {0};
    assert_int_equal(clv_session_outputs(s->session), 2);
    assert_string_equal(clv_session_output_name(s->session, 0), "out/sum");
    assert_null(clv_session_output_name(s->session, 2));
    if (clv_session_run(s->session, s->inputs, 2, s->outputs, 2, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_true(element(&s->outputs[0], 5) == 15 && element(&s->outputs[1], 5) == 30);
    const char *const names[] = {"right", "left"};
    s->left[0] = 7; /* now given as "right" */
    if (clv_session_run_named(s->session, names, s->inputs, 2, s->outputs, 2, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_true(element(&s->outputs[0], 0) == 17);
}

static void wrong_inputs_are_refused(void **state)
{
    sums *s = *state;
    clv_error err;
    const char *const twice[] = {"left", "left"}, *const unknown[] = {"left", "centre"};
    assert_int_equal(clv_session_run_named(s->session, twice, s->inputs, 2, s->outputs, 2, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "twice"));
    assert_int_equal(clv_session_run_named(s->session, unknown, s->inputs, 2, s->outputs, 2, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "\"left\", \"right\""));
    assert_int_equal(clv_session_run_named(s->session, twice, s->inputs, 1, s->outputs, 2, &err), CLV_ERR_ARG);
    assert_non_null(strstr(err.msg, "missing"));
    assert_int_equal(clv_session_run(s->session, s->inputs, 1, s->outputs, 2, &err), CLV_ERR_ARG);
    assert_int_equal(clv_session_run(s->session, s->inputs, 2, s->outputs, 1, &err), CLV_ERR_ARG);
    const clv_tensor good = s->inputs[1];
    const clv_tensor wrong[] = {{CLV_FLOAT32, 2, {3, 2}, s->right},   {CLV_FLOAT32, 1, {6}, s->right},
                                {CLV_INT32, 2, {2, 3}, s->right},     {CLV_FLOAT32, 2, {2, 3}, NULL},
                                {CLV_FLOAT32, 2, {-2, -3}, s->right}, {CLV_FLOAT32, -1, {0}, s->right},
                                {CLV_FLOAT32, 999, {2, 3}, s->right}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        s->inputs[1] = wrong[i];
        if (clv_session_run(s->session, s->inputs, 2, s->outputs, 2, &err) != CLV_ERR_ARG)
            fail_msg("wrong input %zu was taken", i);
        assert_non_null(strstr(err.msg, "\"right\""));
    }
    s->inputs[1] = good; /* and it still works */
    assert_int_equal(clv_session_run(s->session, s->inputs, 2, s->outputs, 2, &err), CLV_OK);
}

static void inner_tensors_can_be_fetched(void **state)
{
    sums *s = *state;
    clv_error err = {0};
    clv_session *inner = NULL;
    const char *const fetch[] = {"out/sum"}, *const nobody[] = {"nobody"};
    assert_int_equal(clv_session_create(&inner, s->model, nobody, 1, s->context, &err), CLV_ERR_ARG);
    assert_null(inner);
    assert_int_equal(clv_session_create(&inner, s->model, fetch, 1, s->context, &err), CLV_OK);
    assert_int_equal(clv_session_run(inner, s->inputs, 2, s->outputs, 1, &err), CLV_OK);
    assert_true(element(&s->outputs[0], 0) == 10);
    clv_session_free(inner);
}

static void what_cannot_run_is_named(void **state)
{
    sums *s = *state;
    clv_error err;
    clv_session *session = NULL;
    clv_model *model = model_of(network_unknown_operator());
    assert_int_equal(clv_session_create(&session, model, NULL, 0, s->context, &err), CLV_ERR_UNSUP);
    assert_non_null(strstr(err.msg, "Invent"));
    clv_model_free(model);
}

static void compression_leaves_a_model_whole_or_untouched(void **state)
{
    sums *s = *state;
    char folder[] = "/tmp/cleave-api-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/images.bin", folder);
    write_colour_images(path, 64);
    clv_error err = {0};
    clv_dataset *images = NULL;
    clv_report *report = NULL;
    clv_preprocess p;
    double before, after;
    assert_int_equal(clv_dataset_open(&images, path, NULL, &err), CLV_OK);
    assert_int_equal(clv_preprocess_preset(&p, "cifar10", &err), CLV_OK);
    assert_int_equal(clv_report_create(&report, &err), CLV_OK);
    clv_model *model = model_of(network_residual(1));
    clv_compress_opts opts = clv_compress_opts_default();
    opts.samples = 2048;
    opts.form = "nonsense";
    assert_int_equal(clv_compress(model, images, &p, &opts, s->context, NULL, &err), CLV_ERR_ARG);
    assert_int_equal(clv_compress(model, images, NULL, NULL, s->context, NULL, &err), CLV_ERR_ARG);
    assert_null(clv_model_metadata(model, "cleave.recipe"));
    opts.form = "depthwise";
    if (clv_compress(model, images, &p, &opts, s->context, report, &err) != CLV_OK)
        fail_msg("%s", err.msg);
    assert_non_null(clv_model_metadata(model, "cleave.recipe"));
    assert_int_equal(clv_report_number(report, "before.macs", &before, &err), CLV_OK);
    assert_int_equal(clv_report_number(report, "after.macs", &after, &err), CLV_OK);
    assert_true(after < before);
    assert_int_equal(clv_evaluate(model, images, NULL, s->context, report, &err), CLV_OK); /* knows its preprocessing */
    clv_report_free(report);
    clv_dataset_free(images);
    clv_model_free(model);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void probabilities_are_checked(void **state)
{
    (void)state;
    clv_error err;
    double p[3];
    const float logits[] = {0, 0, 0}, bad[] = {0, (float)INFINITY, 0};
    assert_int_equal(clv_probabilities(logits, 3, p, &err), CLV_OK);
    assert_true(p[2] > 0.333 && p[2] < 0.334);
    assert_int_equal(clv_probabilities(bad, 3, p, &err), CLV_ERR_NUMERIC);
    assert_int_equal(clv_probabilities(logits, 0, p, &err), CLV_ERR_ARG);
    assert_non_null(clv_version());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sums_set_up, sums_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_are_described),
        cmocka_unit_test(metadata_survive_a_file),
        cmocka_unit_test(bad_files_are_refused),
        TEST(inputs_go_by_order_or_by_name),
        TEST(wrong_inputs_are_refused),
        TEST(inner_tensors_can_be_fetched),
        TEST(what_cannot_run_is_named),
        TEST(compression_leaves_a_model_whole_or_untouched),
        cmocka_unit_test(probabilities_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
