/* SPDX-License-Identifier: Apache-2.0 */
/* Presets, their text, geometry against torchvision, channel order, and the check of scale. */
#include "fixture.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "data/preprocess_apply.h"
#include "data/scale_check.h"

static clv_preprocess preset(const char *name)
{
    clv_preprocess p;
    assert_ok(clv_preprocess_preset(&p, name, err));
    return p;
}

static void presets_are_sensible(void **state)
{
    static const char *const names[] = {"imagenet", "cifar10", "raw", "unit", "caffe", "tf", "ultraface", "nanodet"};
    clv_preprocess p;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        p = preset(names[i]);
        assert_string_equal(p.name, names[i]);
        assert_ok(clv_preprocess_check(&p, err));
    }
    assert_refused(clv_preprocess_preset(&p, "imagenot", err), CLV_ERR_ARG,
                   "imagenet, cifar10, raw, unit, caffe, tf, ultraface, nanodet");
}

static bool same(const clv_preprocess *a, const clv_preprocess *b)
{
    return strcmp(a->name, b->name) == 0 && memcmp(&a->scale, &b->scale, 4) == 0 && memcmp(a->mean, b->mean, 12) == 0 &&
           memcmp(a->std, b->std, 12) == 0 && a->order == b->order && a->resize == b->resize &&
           a->resize_h == b->resize_h && a->resize_w == b->resize_w && a->letterbox == b->letterbox &&
           a->crop_h == b->crop_h && a->crop_w == b->crop_w && a->crop_floor == b->crop_floor &&
           a->antialias == b->antialias;
}

/* Any finite non-zero float, all exponents alike. */
static float any_float(clvi_rng *rng)
{
    float v;
    do {
        const uint32_t bits = (uint32_t)clvi_rng_u64(rng);
        memcpy(&v, &bits, 4);
    } while (!isfinite(v) || v == 0);
    return v;
}

static void text_brings_every_preprocessing_back(void **state)
{
    clvi_rng rng;
    (void)state;
    clvi_rng_seed(&rng, 1);
    for (int i = 0; i < 5000; i++) {
        clv_preprocess p = {.name = "a-b_c.9"}, q;
        char text[512];
        p.scale = any_float(&rng);
        for (int c = 0; c < 3; c++) {
            p.mean[c] = any_float(&rng);
            p.std[c] = any_float(&rng);
        }
        p.order = clvi_rng_below(&rng, 2) ? CLV_BGR : CLV_RGB;
        int *const sizes[] = {&p.resize, &p.resize_h, &p.letterbox};
        *sizes[clvi_rng_below(&rng, 3)] = (int)clvi_rng_below(&rng, 65536);
        p.resize_w = p.resize_h;
        p.crop_h = p.crop_w = (int)clvi_rng_below(&rng, 65536);
        p.crop_floor = clvi_rng_below(&rng, 2);
        p.antialias = clvi_rng_below(&rng, 2);
        assert_ok(clv_preprocess_format(&p, text, sizeof text, err));
        memset(&q, 0xa5, sizeof q);
        assert_ok(clv_preprocess_parse(&q, text, err));
        if (!same(&p, &q))
            fail_msg("%s", text);
    }
}

static void text_is_fixed_and_strict(void **state)
{
    static const char text[] = "name=imagenet scale=0.00392156886 mean=0.485000014,0.456,0.405999988 "
                               "std=0.229000002,0.224000007,0.224999994 order=RGB resize=256 resize_to=0x0 letterbox=0 "
                               "crop=224x224 crop_floor=0 antialias=1";
    clv_preprocess p = preset("imagenet"), q = {.name = "kept"};
    char buffer[512];
    (void)state;
    assert_ok(clv_preprocess_format(&p, buffer, sizeof buffer, err));
    assert_string_equal(buffer, text);
    assert_ok(clv_preprocess_format(&p, buffer, sizeof text, err));
    assert_refused(clv_preprocess_format(&p, buffer, sizeof text - 1, err), CLV_ERR_ARG, "needs");
    for (size_t i = 0; i < sizeof text - 1; i++) { /* every shorter text, and every text with a foreign character */
        memcpy(buffer, text, sizeof text);
        buffer[i] = '\0';
        assert_int_equal(clv_preprocess_parse(&q, buffer, NULL), CLV_ERR_ARG);
        memcpy(buffer, text, sizeof text);
        buffer[i] = '!';
        assert_int_equal(clv_preprocess_parse(&q, buffer, NULL), CLV_ERR_ARG);
    }
    assert_string_equal(q.name, "kept");
    p.name[0] = ' ';
    assert_refused(clv_preprocess_format(&p, buffer, sizeof buffer, err), CLV_ERR_ARG, "name");
}

static void text_does_not_depend_on_the_locale(void **state)
{
    clv_preprocess p = preset("imagenet"), q;
    char a[512], b[512];
    (void)state;
    assert_ok(clv_preprocess_format(&p, a, sizeof a, err));
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C"};
    for (size_t i = 0; i < 4 && !setlocale(LC_ALL, names[i]); i++)
        ;
    assert_ok(clv_preprocess_format(&p, b, sizeof b, err));
    assert_ok(clv_preprocess_parse(&q, b, err));
    setlocale(LC_ALL, "C");
    assert_string_equal(a, b);
    assert_true(same(&p, &q));
}

static void nonsense_is_refused(void **state)
{
    clv_preprocess p;
    (void)state;
#define REFUSED(change, text)                                             \
    do {                                                                  \
        p = preset("imagenet");                                           \
        change;                                                           \
        assert_refused(clv_preprocess_check(&p, err), CLV_ERR_ARG, text); \
    } while (0)
    REFUSED(p.scale = 0, "scale");
    REFUSED(p.scale = NAN, "scale");
    REFUSED(p.mean[1] = INFINITY, "mean of channel 1");
    REFUSED(p.std[2] = 0, "std of channel 2");
    REFUSED(p.order = (clv_channel_order)7, "order");
    REFUSED(p.resize = -1, "resize is -1");
    REFUSED(p.crop_w = 70000, "crop_w is 70000");
    REFUSED(p.crop_w = 0, "crop 224x0");
    REFUSED((p.resize = 0, p.resize_h = 5), "5x0");
    REFUSED(p.letterbox = 4, "exclude each other");
    REFUSED(memset(p.name, 'a', sizeof p.name), "name");
#undef REFUSED
}

/* Resize and CenterCrop of torchvision on a PIL image, byte for byte. */
static void geometry_is_torchvisions(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "in%d", i);
        clv_tensor in = stored(FIXTURES "torchvision.npz", name);
        (void)snprintf(name, sizeof name, "out%d", i);
        clv_tensor want = stored(FIXTURES "torchvision.npz", name);
        (void)snprintf(name, sizeof name, "case%d", i);
        clv_tensor sizes = stored(FIXTURES "torchvision.npz", name);
        const int32_t *size = sizes.data;
        const clvi_image image = {in.data, (int)in.dims[1], (int)in.dims[0]};
        clv_preprocess p = preset("raw");
        int64_t hw[2];
        p.resize = size[0];
        p.crop_h = size[1];
        p.crop_w = size[2];
        assert_ok(clvi_preprocess_size(&p, image.height, image.width, hw, err));
        assert_int_equal(hw[0], want.dims[0]);
        assert_int_equal(hw[1], want.dims[1]);
        float *out = clvi_alloc_array((size_t)(3 * hw[0] * hw[1]), sizeof *out);
        assert_ok(clvi_preprocess_apply(&p, &image, out, err));
        for (int64_t k = 0; k < hw[0] * hw[1]; k++)
            for (int c = 0; c < 3; c++)
                if ((int)out[c * hw[0] * hw[1] + k] != ((uint8_t *)want.data)[3 * k + c])
                    fail_msg("case %d, pixel %lld, channel %d: %g, torchvision has %d", i, (long long)k, c,
                             (double)out[c * hw[0] * hw[1] + k], ((uint8_t *)want.data)[3 * k + c]);
        clvi_free(out);
        clv_npy_free(&in);
        clv_npy_free(&want);
        clv_npy_free(&sizes);
    }
}

static void extreme_shapes_are_refused(void **state)
{
    clv_preprocess p = preset("imagenet");
    int64_t hw[2];
    (void)state;
    assert_refused(clvi_preprocess_size(&p, 1, 60000, hw, err), CLV_ERR_FORMAT, "256x15360000");
    p.crop_h = p.crop_w = 60000;
    assert_refused(clvi_preprocess_size(&p, 300, 300, hw, err), CLV_ERR_FORMAT, "300x300");
    p = preset("nanodet");
    assert_ok(clvi_preprocess_size(&p, 1, 60000, hw, err)); /* one row of 320 */
    assert_true(hw[0] == 320 && hw[1] == 320);
}

static void crop_offsets_can_be_floored(void **state)
{
    uint8_t rgb[7 * 3];
    const clvi_image image = {rgb, 7, 1};
    clv_preprocess p = preset("raw");
    float out[3 * 4];
    (void)state;
    for (int x = 0; x < 21; x++)
        rgb[x] = (uint8_t)(x / 3);
    p.crop_h = 1;
    p.crop_w = 4; /* margin 3: torchvision begins at 2 (1.5 to even), floored at 1 */
    assert_ok(clvi_preprocess_apply(&p, &image, out, err));
    assert_true(out[0] == 2.0f && out[3] == 5.0f);
    p.crop_floor = true;
    assert_ok(clvi_preprocess_apply(&p, &image, out, err));
    assert_true(out[0] == 1.0f && out[3] == 4.0f);
}

static void channels_are_normalised_in_their_order(void **state)
{
    uint8_t rgb[3] = {10, 20, 40};
    const clvi_image image = {rgb, 1, 1};
    const clv_preprocess p = {.scale = 0.5f, .mean = {1, 2, 3}, .std = {2, 4, 8}, .order = CLV_BGR};
    const clv_preprocess q = clvi_preprocess_swapped_order(&p), back = clvi_preprocess_swapped_order(&q);
    float a[3], b[3];
    (void)state;
    assert_ok(clvi_preprocess_apply(&p, &image, a, err));
    assert_true(a[0] == (20.0f - 1) / 2 && a[1] == (10.0f - 2) / 4 && a[2] == (5.0f - 3) / 8);
    assert_ok(clvi_preprocess_apply(&q, &image, b, err));
    assert_true(q.order == CLV_RGB && b[0] == a[2] && b[1] == a[1] && b[2] == a[0]);
    assert_true(same(&p, &back));
}

static const char *verdict(char *sentence, const char *name, double mean, double std)
{
    const clvi_channel_stats s[1] = {{mean, std}};
    clv_preprocess p = {0};
    if (name)
        p = preset(name);
    return clvi_data_check_scale(sentence, 300, s, 1, name ? &p : NULL);
}

static void wrong_scale_is_noticed(void **state)
{
    char s[300];
    (void)state;
    assert_non_null(strstr(verdict(s, "raw", 118, 64), "raw may be wrong: channel 0"));
    assert_non_null(strstr(verdict(s, "raw", 45, 50), "neither scaled nor centred"));
    assert_non_null(verdict(s, NULL, 118, 64));
    assert_non_null(strstr(verdict(s, "imagenet", -2.1, 0.004), "scaled down twice"));
    assert_non_null(strstr(verdict(s, "unit", -120, 0.25), "different units"));
    assert_non_null(strstr(verdict(s, "unit", (double)NAN, 0.25), "finite"));
    assert_null(verdict(s, "imagenet", -0.3, 1.1));
    assert_null(verdict(s, "unit", 0.46, 0.26));
    assert_null(verdict(s, "caffe", 12, 66));
    assert_null(verdict(s, NULL, 3, 66));
}

static void channel_statistics_leave_bad_items_out(void **state)
{
    float x[3 * 2 * 2] = {1, 3, 10, 10, 9, 9, 9, 9, 5, 7, 10, 10};
    const clv_tensor batch = {CLV_FLOAT32, 4, {3, 2, 1, 2}, x};
    const bool bad[3] = {false, true, false};
    clvi_channel_stats s[3];
    (void)state;
    assert_int_equal(clvi_data_channel_stats(s, 3, &batch, bad), 2);
    assert_true(s[0].mean == 4 && fabs(s[0].std - sqrt(5)) < 1e-12 && s[1].mean == 10 && s[1].std == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_are_sensible),
        cmocka_unit_test(text_brings_every_preprocessing_back),
        cmocka_unit_test(text_is_fixed_and_strict),
        cmocka_unit_test(text_does_not_depend_on_the_locale),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(geometry_is_torchvisions),
        cmocka_unit_test(extreme_shapes_are_refused),
        cmocka_unit_test(crop_offsets_can_be_floored),
        cmocka_unit_test(channels_are_normalised_in_their_order),
        cmocka_unit_test(wrong_scale_is_noticed),
        cmocka_unit_test(channel_statistics_leave_bad_items_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
