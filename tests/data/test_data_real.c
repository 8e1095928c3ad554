/* SPDX-License-Identifier: Apache-2.0 */
/* Real pictures (../shared/data): what comes out of a data set is what other software fed to the reference networks. */
#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void open_set(clv_dataset **out, const char *path, int64_t limit)
{
    clv_dataset_opts opts = clv_dataset_opts_default();
    opts.limit = limit;
    assert_ok(clv_dataset_open(out, path, &opts, err));
}

static void lossless_test_set_is_class_per_folder(void **state)
{
    static const char *const names[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck"};
    clv_dataset *set;
    int counts[10] = {0};
    (void)state;
    open_set(&set, SHARED "cifar10-lossless/test", 0);
    assert_int_equal(clv_dataset_count(set), 1000);
    assert_int_equal(clv_dataset_classes(set), 10);
    for (int64_t i = 0; i < 1000; i++) {
        const int64_t label = clv_dataset_label(set, i);
        const char *name = clv_dataset_name(set, i);
        assert_true(label >= 0 && label < 10);
        assert_int_equal(strncmp(name, names[label], strlen(names[label])), 0);
        assert_int_equal(name[strlen(names[label])], '/');
        if (i > 0)
            assert_true(label >= clv_dataset_label(set, i - 1));
        counts[label]++;
    }
    for (int c = 0; c < 10; c++)
        assert_in_range(counts[c], 80, 120);
    clv_dataset_free(set);
}

static void check_tar(const char *path, int64_t count, int64_t per_class)
{
    clv_dataset *set;
    int64_t counts[10] = {0};
    open_set(&set, path, 0);
    assert_int_equal(clv_dataset_count(set), count);
    assert_int_equal(clv_dataset_classes(set), 10);
    clv_dataset_free(set);
    open_set(&set, path, 1000);
    assert_int_equal(clv_dataset_count(set), 1000);
    for (int64_t i = 0; i < 1000; i++)
        counts[clv_dataset_label(set, i)]++;
    for (int c = 0; c < 10; c++)
        if (per_class)
            assert_int_equal(counts[c], per_class);
        else
            assert_in_range(counts[c], 80, 120);
    clv_tensor out = read_all(set, 32, 32, NULL, NULL);
    assert_int_equal(clv_dataset_bad(set), 0);
    clv_npy_free(&out);
    clv_dataset_free(set);
}

static void training_tars_are_read_evenly(void **state)
{
    (void)state;
    check_tar(SHARED "cifar10-lossless/train.tar", 2000, 0);
    check_tar(SHARED "cifar10/train.tar", 50000, 100);
}

static void labels_of_the_flat_folder(void **state)
{
    clv_dataset *set;
    bool quote = false;
    (void)state;
    open_set(&set, SHARED "imagenet-sample", 0);
    assert_int_equal(clv_dataset_count(set), 700);
    assert_int_equal(clv_dataset_classes(set), 1000);
    for (int64_t i = 0; i < 700; i++) {
        if (i > 0) /* names begin with the wnid, and classes are in the order of the wnids */
            assert_true(clv_dataset_label(set, i) > clv_dataset_label(set, i - 1));
        if (strcmp(clv_dataset_name(set, i), "n02966687_carpenter's_kit.jpg") == 0) {
            quote = true;
            assert_int_equal(clv_dataset_label(set, i), 477);
        }
    }
    assert_true(quote);
    clv_dataset_free(set);
}

/* Largest |x - expected| and the share of values that differ by more than `step` / 4, where step is one grey level. */
typedef struct difference {
    double largest, share;
} difference;

static difference compare(const char *image, const char *expected, int64_t index, const clv_preprocess *p, double step)
{
    clv_dataset *set;
    int64_t chw[3];
    difference d = {0, 0};
    open_set(&set, image, 0);
    assert_ok(clv_dataset_shape(set, 0, p, chw, err));
    const size_t n = (size_t)(chw[0] * chw[1] * chw[2]);
    clv_tensor out = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {1, chw[0], chw[1], chw[2]}};
    float *x = out.data = clvi_alloc(n * sizeof(float)), *want = clvi_alloc(n * sizeof(float));
    assert_ok(clv_dataset_read(set, 0, 1, p, &out, NULL, NULL, err));
    assert_ok(clvi_file_read_at(want, n * sizeof(float), (uint64_t)index * n * sizeof(float), expected, err));
    for (size_t i = 0; i < n; i++) {
        const double e = fabs((double)x[i] - (double)want[i]);
        d.largest = e > d.largest || isnan(e) ? e : d.largest;
        d.share += e > step / 4;
    }
    d.share /= (double)n;
    print_message("%s: largest difference %.3g, %.3g %% of the values by a grey level\n", expected + strlen(SHARED),
                  d.largest, 100 * d.share);
    clvi_free(x);
    clvi_free(want);
    clv_dataset_free(set);
    return d;
}

static void inputs_of_the_reference_networks(void **state)
{
    static const char *const cifar[] = {"cat/0000.png", "ship/0000.png", "airplane/0000.png", "frog/0000.png"};
    clv_preprocess p;
    (void)state;
    assert_ok(clv_preprocess_preset(&p, "cifar10", err));
    for (int i = 0; i < 4; i++) {
        char path[200];
        (void)snprintf(path, sizeof path, SHARED "cifar10-lossless/test/%s", cifar[i]);
        assert_true(compare(path, SHARED "expected/cifar.input.f32", i, &p, 1 / 255.0 / 0.229).largest <= 1e-6);
    }
    /* The other picture of these two is not among those we have. */
    assert_ok(clv_preprocess_preset(&p, "caffe", err));
    assert_true(compare(SHARED "imagenet-sample/n02123045_tabby.jpg", SHARED "expected/squeezenet.input.f32", 1, &p, 1)
                    .largest == 0);
    assert_ok(clv_preprocess_preset(&p, "tf", err));
    assert_true(
        compare(SHARED "imagenet-sample/n02123045_tabby.jpg", SHARED "expected/mobilenet.input.f32", 1, &p, 1 / 127.5)
            .largest <= 1e-6);
    assert_ok(clv_preprocess_preset(&p, "imagenet", err));
    p.resize = p.crop_h = p.crop_w = 0;
    p.resize_h = p.resize_w = 256;
    assert_true(
        compare(SHARED "images-extra/sample5.jpg", SHARED "expected/dicenet.input.f32", 0, &p, 1 / 255.0 / 0.229)
            .largest <= 1e-6);
    assert_ok(clv_preprocess_preset(&p, "nanodet", err));
    assert_true(
        compare(SHARED "images-extra/sample13.jpg", SHARED "expected/nanodet.input.f32", 0, &p, 0.0171).largest <=
        2e-6);
    /* The scale is 3.2, so many values end in exactly 1/2, and which way the reference's floats fell is its own affair.
     */
    assert_ok(clv_preprocess_preset(&p, "ultraface", err));
    const difference d = compare(SHARED "faces/3.jpg", SHARED "expected/ultraface.input.f32", 0, &p, 1 / 128.0);
    assert_true(d.largest <= 1 / 128.0 && d.share < 0.03);
}

int main(void)
{
    if (access(SHARED "README.md", R_OK) != 0) {
        print_message("skipped: " SHARED " is absent\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lossless_test_set_is_class_per_folder),
        cmocka_unit_test(training_tars_are_read_evenly),
        cmocka_unit_test(labels_of_the_flat_folder),
        cmocka_unit_test(inputs_of_the_reference_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
