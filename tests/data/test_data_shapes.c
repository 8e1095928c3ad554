/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in pictures: the same bytes always and everywhere, balanced, and not to be told apart by colour. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "data/shapes.h"

#define SIDE    CLVI_SHAPES_SIDE
#define CLASSES CLVI_SHAPES_CLASSES
#define PIXELS  ((size_t)3 * SIDE * SIDE)
#define GOLDEN  0x432f73e83bda2706u

static clv_dataset *open_set(const char *path, int64_t limit)
{
    clv_dataset_opts opts = clv_dataset_opts_default();
    clv_dataset *set = NULL;
    opts.limit = limit;
    assert_ok(clv_dataset_open(&set, path, &opts, err));
    return set;
}

/* [n, 3, 32, 32] raw pixels (clv_npy_free) */
static clv_tensor pixels(const char *path, int threads)
{
    clv_dataset *const set = open_set(path, 0);
    clv_context *const context = make_context(threads, NULL, NULL);
    const clv_tensor t = read_all(set, SIDE, SIDE, NULL, context);
    clv_context_free(context);
    clv_dataset_free(set);
    return t;
}

static size_t bytes_of(const clv_tensor *t)
{
    return (size_t)t->dims[0] * PIXELS * sizeof(float);
}

static void the_seed_decides_every_byte(void **state)
{
    clv_tensor a = pixels("builtin:shapes?n=200&seed=5", 1), b = pixels("builtin:shapes?seed=5&n=200", 3),
               c = pixels("builtin:shapes?n=200&seed=6", 1);
    (void)state;
    assert_int_equal(a.dims[0], 200);
    assert_memory_equal(a.data, b.data, bytes_of(&a));
    for (size_t i = 0; i < 200; i++) /* no picture is shared by two seeds */
        assert_memory_not_equal((float *)a.data + i * PIXELS, (float *)c.data + i * PIXELS, PIXELS * sizeof(float));
    clv_npy_free(&a);
    clv_npy_free(&b);
    clv_npy_free(&c);
}

/* FNV-1a over a hundred pictures: what it was when the set was made, on every machine and compiler. */
static void the_bytes_never_change(void **state)
{
    uint8_t rgb[PIXELS];
    uint64_t hash = 14695981039346656037u;
    (void)state;
    for (int i = 0; i < 100; i++) {
        clvi_shapes_draw(rgb, i % CLASSES, 1, (uint64_t)(i / CLASSES));
        for (size_t k = 0; k < PIXELS; k++)
            hash = (hash ^ rgb[k]) * 1099511628211u;
    }
    assert_int_equal(hash, GOLDEN);
}

static void classes_are_balanced_and_sorted(void **state)
{
    clv_dataset *set = open_set("builtin:shapes", 0);
    int64_t count[CLASSES] = {0}, last = 0;
    (void)state;
    assert_int_equal(clv_dataset_count(set), 4000);
    assert_int_equal(clv_dataset_classes(set), CLASSES);
    for (int64_t i = 0; i < 4000; i++) {
        const int64_t label = clv_dataset_label(set, i);
        assert_true(label >= last && label < CLASSES);
        last = label;
        count[label]++;
    }
    for (int k = 0; k < CLASSES; k++)
        assert_int_equal(count[k], 400);
    assert_string_equal(clv_dataset_name(set, 0), "disc/000000");
    assert_string_equal(clv_dataset_name(set, 3999), "spots/000399");
    clv_dataset_free(set);

    set = open_set("builtin:shapes?n=1000", 50);
    memset(count, 0, sizeof count);
    for (int64_t i = 0; i < 50; i++)
        count[clv_dataset_label(set, i)]++;
    for (int k = 0; k < CLASSES; k++)
        assert_int_equal(count[k], 5);
    clv_dataset_free(set);

    set = open_set("builtin:shapes?n=7", 0);
    assert_int_equal(clv_dataset_count(set), 7);
    clv_dataset_free(set);
}

/* A longer set holds the pictures of a shorter one. */
static void a_longer_set_begins_as_a_shorter_one(void **state)
{
    clv_tensor few = pixels("builtin:shapes?n=20&seed=3", 1), many = pixels("builtin:shapes?n=50&seed=3", 1);
    (void)state;
    for (size_t kind = 0; kind < CLASSES; kind++)
        assert_memory_equal((float *)few.data + 2 * kind * PIXELS, (float *)many.data + 5 * kind * PIXELS,
                            2 * PIXELS * sizeof(float));
    clv_npy_free(&few);
    clv_npy_free(&many);
}

static void wrong_paths_are_refused(void **state)
{
    static const char *const wrong[] = {"builtin:",
                                        "builtin:faces",
                                        "builtin:shape",
                                        "builtin:shapes?n",
                                        "builtin:shapes?n=",
                                        "builtin:shapes?n=-4",
                                        "builtin:shapes?m=4",
                                        "builtin:shapes?n=4x",
                                        "builtin:shapes?n=4,seed=1",
                                        "builtin:shapes?n=0",
                                        "builtin:shapes?n=1e9",
                                        "builtin:shapes?n=1000001",
                                        "builtin:shapes?seed=99999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        clv_dataset *set = NULL;
        assert_refused(clv_dataset_open(&set, wrong[i], NULL, err), CLV_ERR_DATA, "builtin:");
        assert_null(set);
    }
}

/* Share of the n test vectors (n a multiple of CLASSES, sorted by class) that lie nearest to the mean of their own
 * class in the training vectors. */
static double nearest_centroid(const double *train, const double *test, size_t n, size_t dim)
{
    static double mean[CLASSES][PIXELS];
    size_t right = 0;
    memset(mean, 0, sizeof mean);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < dim; d++)
            mean[i * CLASSES / n][d] += train[i * dim + d] * CLASSES / (double)n;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        double least = 0;
        for (size_t k = 0; k < CLASSES; k++) {
            double sum = 0;
            for (size_t d = 0; d < dim; d++)
                sum += (test[i * dim + d] - mean[k][d]) * (test[i * dim + d] - mean[k][d]);
            if (k == 0 || sum < least) {
                least = sum;
                best = k;
            }
        }
        right += best == i * CLASSES / n;
    }
    return (double)right / (double)n;
}

/* Per picture: means of the three colours when `means`, else all pixels. */
static double *features(const char *path, bool means, size_t *n)
{
    clv_tensor t = pixels(path, 2);
    *n = (size_t)t.dims[0];
    const size_t dim = means ? 3 : PIXELS, pool = PIXELS / dim;
    double *const f = clvi_calloc(*n * dim, sizeof *f);
    assert_non_null(f);
    for (size_t i = 0; i < *n * PIXELS; i++)
        f[i / pool] += (double)((const float *)t.data)[i] / (double)pool;
    clv_npy_free(&t);
    return f;
}

static void colours_and_templates_do_not_tell_the_class(void **state)
{
    (void)state;
    for (int means = 0; means < 2; means++) {
        size_t n, m;
        double *const train = features("builtin:shapes?n=2000&seed=1", means, &n), *const test = features(
                                                                                       "builtin:shapes?n=2000&seed=2",
                                                                                       means, &m);
        const double right = nearest_centroid(train, test, n, means ? 3 : PIXELS);
        assert_int_equal(n, m);
        if (!(right < 0.2))
            fail_msg("%s alone tell the class of %.1f %%", means ? "mean colours" : "templates", 100 * right);
        clvi_free(train);
        clvi_free(test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seed_decides_every_byte),
        cmocka_unit_test(the_bytes_never_change),
        cmocka_unit_test(classes_are_balanced_and_sorted),
        cmocka_unit_test(a_longer_set_begins_as_a_shorter_one),
        cmocka_unit_test(wrong_paths_are_refused),
        cmocka_unit_test(colours_and_templates_do_not_tell_the_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
