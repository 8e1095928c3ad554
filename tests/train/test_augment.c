/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of training images: crops keep a ramp a ramp, colours follow the formula in 8-bit pixels, shares have the
 * variance of their distribution, mixtures are of the images and labels that they say, and a part of a batch is that
 * part of the whole one. */
#include "train/augment.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/networks.h"
#include "train/loader.h"
#include "train/loss.h"

#define H     24
#define W     32
#define PLANE (H * W)

static const int64_t chw[3] = {3, H, W};

static clvi_augment with(const clvi_augment_opts *opts, const clv_preprocess *p)
{
    clvi_augment a;
    assert_int_equal(clvi_augment_create(&a, opts, chw, p, NULL), CLV_OK);
    return a;
}

/* x + 100 y: behind a crop still linear, with steps that tell the size of the window. */
static void test_crop(void **state)
{
    static float in[3 * PLANE], out[3 * PLANE], room[3 * PLANE];
    const clvi_augment a = with(&(clvi_augment_opts){.crop = 0.25}, NULL);
    const clvi_augment whole = with(&(clvi_augment_opts){.crop = 1}, NULL);
    double areas = 0, smallest = 1;
    clvi_rng rng;
    (void)state;
    for (int i = 0; i < 3 * PLANE; i++)
        in[i] = (float)(i % W + 100 * (i / W % H));
    for (uint64_t k = 0; k < 2000; k++) {
        clvi_rng_seed_stream(&rng, 1, k);
        clvi_augment_image(&a, out, in, room, &rng);
        const float *const middle = out + (H / 2) * W + W / 2;
        const double dx = (double)(middle[1] - middle[0]), dy = (double)(middle[W] - middle[0]) / 100;
        const double area = dx * dy; /* window / image: the rounded sides may be half a pixel short */
        assert_true(dx > 0 && dx < 1.0001 && dy > 0 && dy < 1.0001);
        assert_true(area > 0.25 * 0.92 && dx * W / (dy * H) < 4.0 / 3 * 1.1 && dx * W / (dy * H) > 0.75 / 1.1);
        for (int y = 4; y < H - 4; y++)
            for (int x = 4; x < W - 4; x++) {
                const double expected = (double)middle[0] + dx * (x - W / 2) + 100 * dy * (y - H / 2);
                assert_true(fabs((double)out[y * W + x] - expected) < 0.02);
            }
        assert_true(out[0] >= 0 && out[PLANE - 1] <= in[PLANE - 1]);
        assert_memory_equal(out, out + PLANE, PLANE * sizeof *out); /* channels are cropped alike */
        areas += area / 2000;
        smallest = fmin(smallest, area);
    }
    assert_true(areas > 0.5 && areas < 0.7 && smallest < 0.3); /* uniform from 1/4 to 1, large odd ones left out */
    clvi_rng_seed(&rng, 3);
    clvi_augment_image(&whole, out, in, room, &rng);
    for (int i = 0; i < PLANE; i++)
        assert_true(fabsf(out[i] - in[i]) < 1e-3F);
}

static double cut(double x)
{
    return fmin(fmax(x, 0), 255);
}

static void test_jitter(void **state)
{
    static float in[3 * PLANE], out[3 * PLANE];
    static double pixel[3 * PLANE];
    static const double grey[3] = {0.299, 0.587, 0.114};
    static const char *const presets[] = {"cifar10", "caffe", "tf"};
    (void)state;
    for (size_t s = 0; s < 3; s++) {
        clv_preprocess p;
        clvi_rng rng, same;
        double seen = 0;
        assert_int_equal(clv_preprocess_preset(&p, presets[s], NULL), CLV_OK);
        const clvi_augment a = with(&(clvi_augment_opts){.jitter = 0.5}, &p);
        for (uint64_t k = 0; k < 20; k++) {
            double factor[3], mean = 0;
            clvi_rng_seed_stream(&rng, 7, k);
            for (int i = 0; i < 3 * PLANE; i++) {
                const int c = i / PLANE;
                pixel[i] = (double)clvi_rng_below(&rng, 256);
                in[i] = (float)((pixel[i] * (double)p.scale - (double)p.mean[c]) / (double)p.std[c]);
            }
            same = rng;
            clvi_augment_image(&a, out, in, NULL, &rng);
            for (int i = 0; i < 3; i++)
                factor[i] = 1 + 0.5 * (2 * clvi_rng_uniform(&same) - 1);
            for (int i = 0; i < 3 * PLANE; i++) {
                pixel[i] = cut(pixel[i] * factor[0]);
                mean += grey[p.order == CLV_BGR ? 2 - i / PLANE : i / PLANE] * pixel[i] / PLANE;
            }
            for (int i = 0; i < PLANE; i++) {
                double g = 0;
                for (int c = 0; c < 3; c++) {
                    double *const u = &pixel[c * PLANE + i];
                    *u = cut(*u * factor[1] + (1 - factor[1]) * mean);
                    g += grey[p.order == CLV_BGR ? 2 - c : c] * *u;
                }
                for (int c = 0; c < 3; c++) {
                    const double u = cut(pixel[c * PLANE + i] * factor[2] + (1 - factor[2]) * g);
                    const double x = (double)out[c * PLANE + i] * (double)p.std[c] + (double)p.mean[c];
                    assert_true(fabs(x / (double)p.scale - u) < 1e-2); /* of 255 */
                    seen += fabs(x - (double)in[c * PLANE + i]);
                }
            }
        }
        assert_true(seen > 0);
    }
    clvi_augment none;
    clv_error err = {0};
    assert_int_equal(clvi_augment_create(&none, &(clvi_augment_opts){.jitter = 0.1}, chw, NULL, &err), CLV_ERR_UNSUP);
    assert_non_null(strstr(err.msg, "no colours"));
}

/* Var Beta(a, a) = 1 / (4 (2 a + 1)), which the larger part has about 1/2 as well. */
static void test_share(void **state)
{
    static const double alphas[] = {1, 0.4, 0.2, 0.05};
    enum { DRAWS = 20000 };
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 11);
    for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++) {
        double square = 0;
        for (int k = 0; k < DRAWS; k++) {
            const double share = clvi_augment_share(&rng, alphas[i]);
            assert_true(share >= 0.5 && share <= 1);
            square += (share - 0.5) * (share - 0.5) / DRAWS;
        }
        const double expected = 1 / (4 * (2 * alphas[i] + 1));
        assert_true(fabs(square - expected) < 4 * 0.1 / sqrt(DRAWS)); /* four standard errors: the range is 1/4 */
    }
}

static void test_loss(void **state)
{
    const float x[8] = {1, -2, 0.5F, 0, 3, 3, -1, 2};
    const int64_t first[2] = {0, 3}, second[2] = {2, 3};
    const double share[2] = {0.7, 0.6};
    float mixed[8], a[8], b[8];
    int64_t right = 0;
    (void)state;
    const clvi_labels labels = {first, second, share};
    const double loss = clvi_loss_mixed(mixed, x, &labels, 2, 4, 0.1, 0.5, &right);
    double expected = 0;
    for (int r = 0; r < 2; r++) {
        expected += share[r] * clvi_loss_cross_entropy(a + 4 * r, x + 4 * r, first + r, 1, 4, 0.1, 0.5, NULL);
        expected += (1 - share[r]) * clvi_loss_cross_entropy(b + 4 * r, x + 4 * r, second + r, 1, 4, 0.1, 0.5, NULL);
    }
    assert_true(fabs(loss - expected) < 1e-12);
    assert_int_equal(right, 1);
    for (int i = 0; i < 8; i++)
        assert_true(fabs((double)mixed[i] - share[i / 4] * (double)a[i] - (1 - share[i / 4]) * (double)b[i]) < 1e-7);
}

/* --- batches ----------------------------------------------------------------------------------------------------- */

#define N     40
#define BATCH 8
#define IMAGE ((size_t)3 * 32 * 32)

typedef struct batches {
    float image[2][BATCH * IMAGE];
    int64_t label[2][BATCH], other[2][BATCH];
    double share[2][BATCH];
} batches;

/* Steps 4 and 5 of the loader: the last of an epoch and the first of the next; a part of each. */
static void load(batches *b, const char *path, clvi_loader_opts o)
{
    int64_t items[N];
    clv_dataset *data = NULL;
    clvi_loader *loader = NULL;
    clv_preprocess p;
    for (int64_t i = 0; i < N; i++)
        items[i] = i;
    o.items = items;
    o.n_items = N;
    o.batch = BATCH;
    memcpy(o.chw, (const int64_t[3]){3, 32, 32}, sizeof o.chw);
    o.labels = true;
    o.first_step = 4;
    assert_int_equal(clv_preprocess_preset(&p, "cifar10", NULL), CLV_OK);
    assert_int_equal(clv_dataset_open(&data, path, NULL, NULL), CLV_OK);
    assert_int_equal(clvi_loader_create(&loader, data, &p, &o, NULL), CLV_OK);
    const size_t own = (size_t)(BATCH / (o.parts ? o.parts : 1)), at = (size_t)o.part * own;
    for (int s = 0; s < 2; s++) {
        clvi_batch batch;
        assert_int_equal(clvi_loader_next(loader, &batch, NULL), CLV_OK);
        memcpy(b->image[s] + at * IMAGE, batch.images, own * IMAGE * sizeof(float));
        memcpy(b->label[s] + at, batch.labels, own * sizeof(int64_t));
        assert_true((batch.others != NULL) == (o.mixup > 0) && (batch.shares != NULL) == (o.mixup > 0));
        if (batch.others && batch.shares) {
            memcpy(b->other[s] + at, batch.others, own * sizeof(int64_t));
            memcpy(b->share[s] + at, batch.shares, own * sizeof(double));
        }
    }
    clvi_loader_free(loader);
    clv_dataset_free(data);
}

static void test_batches(void **state)
{
    static batches plain, mixed, parts;
    char folder[] = "/tmp/cleave-augment-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/images.bin", folder);
    write_colour_images(path, N);
    clvi_loader_opts o = {.shift = 3, .flip = true, .cutout = 5, .crop = 0.5, .jitter = 0.3, .seed = 9};
    load(&plain, path, o);
    o.mixup = 0.4;
    load(&mixed, path, o);
    for (o.part = 0, o.parts = 4; o.part < o.parts; o.part++)
        load(&parts, path, o);
    assert_memory_equal(&parts, &mixed, sizeof mixed);
    size_t apart = 0;
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < BATCH; i++) {
            const size_t k = (i + BATCH / 2) % BATCH;
            const double share = mixed.share[s][i];
            assert_int_equal(mixed.label[s][i], plain.label[s][i]);
            assert_int_equal(mixed.other[s][i], plain.label[s][k]);
            for (size_t p = 0; p < IMAGE; p++)
                assert_true(fabs((double)mixed.image[s][i * IMAGE + p] - share * (double)plain.image[s][i * IMAGE + p] -
                                 (1 - share) * (double)plain.image[s][k * IMAGE + p]) < 1e-5);
            apart += share < 0.99;
        }
    assert_true(apart > BATCH / 2);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crop), cmocka_unit_test(test_jitter),
                                       cmocka_unit_test(test_share), cmocka_unit_test(test_loss),
                                       cmocka_unit_test(test_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
