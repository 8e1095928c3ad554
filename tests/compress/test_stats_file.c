/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics on disk: shards against one pass, in float64; files that are damaged; spilled rows. The images are drawn
 * (builtin:shapes), the network is a small ResNet of random weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spill.h"
#include "compress/collect.h"
#include "compress/stats_file.h"
#include "compress/survey.h"
#include "runtime/passes.h"

#define IMAGES "builtin:shapes?n=30&seed=1"
#define SHARDS 3

static char folder[] = "/tmp/cleave-stats-XXXXXX";
static clv_error err;

#define OK(call)                                                      \
    do {                                                              \
        const clv_status ok_status_ = (call);                         \
        if (ok_status_ != CLV_OK)                                     \
            fail_msg("%s: %s", clv_status_text(ok_status_), err.msg); \
    } while (0)

static const char *path(const char *name)
{
    static char text[4][256];
    static int next;
    next = (next + 1) % 4;
    (void)snprintf(text[next], sizeof text[next], "%s/%s", folder, name);
    return text[next];
}

static clvi_graph *network(void)
{
    clvi_graph *g;
    clv_arch_opts opts = clvi_arch_opts_default();
    opts.width = 0.25;
    OK(clvi_arch_build(&g, "resnet20", &opts, NULL, &err));
    return g;
}

static void collect(const clvi_graph *g, const char *to, clvi_shard shard, int threads)
{
    clv_dataset *data = NULL;
    clv_context *context = NULL;
    clv_preprocess cifar;
    clv_context_opts opts = clv_context_opts_default();
    clv_compress_opts how = clv_compress_opts_default();
    opts.threads = threads;
    how.samples = 3000;
    OK(clv_context_create(&context, &opts, &err));
    OK(clv_preprocess_preset(&cifar, "cifar10", &err));
    OK(clv_dataset_open(&data, IMAGES, NULL, &err));
    OK(clvi_stats_collect(g, data, &cifar, &how, shard, to, context, &err));
    clv_dataset_free(data);
    clv_context_free(context);
}

static void sites_of(clvi_sites *sites, clvi_shapes *shapes, clvi_graph *g)
{
    const clv_tensor input = {.dtype = CLV_FLOAT32, .rank = 4, .dims = {1, 3, 32, 32}};
    OK(clvi_pass_fold_constants(g, &err));
    OK(clvi_pass_fold_batchnorm(g, &err));
    OK(clvi_shapes_infer(shapes, g, &input, 1, &err));
    OK(clvi_sites_find(sites, g, shapes, &err));
}

static double apart(const double *a, const double *b, size_t n)
{
    double d = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        d = fmax(d, fabs(a[i] - b[i]));
        scale = fmax(scale, fabs(b[i]));
    }
    return scale > 0 ? d / scale : d;
}

/* Relative to the largest element of each array. */
static void shards_add_up_to_one_pass(void **state)
{
    (void)state;
    clvi_graph *g = network();
    char names[SHARDS][32];
    const char *parts[SHARDS];
    collect(g, path("whole"), (clvi_shard){0, 1}, 2);
    for (int i = 0; i < SHARDS; i++) {
        (void)snprintf(names[i], sizeof names[i], "part%d", i);
        collect(g, path(names[i]), (clvi_shard){i, SHARDS}, 1);
        parts[i] = strdup(path(names[i]));
    }
    OK(clvi_stats_merge(path("merged"), parts, SHARDS, &err));
    clvi_stats whole, merged;
    clvi_sites sites;
    clvi_shapes shapes;
    char whole_path[256], merged_path[256];
    (void)snprintf(whole_path, sizeof whole_path, "%s", path("whole"));
    (void)snprintf(merged_path, sizeof merged_path, "%s", path("merged"));
    OK(clvi_stats_open(&whole, whole_path, &err));
    OK(clvi_stats_open(&merged, merged_path, &err));
    assert_int_equal(merged.head->n_pieces, SHARDS);
    sites_of(&sites, &shapes, g);
    size_t seen = 0;
    for (size_t i = 0; i < sites.n; i++) {
        clvi_site_stats a, b;
        clvi_covariance *ca, *cb;
        if (sites.site[i].kept)
            continue;
        OK(clvi_stats_read(&a, &whole, i, &sites.site[i], &err));
        OK(clvi_stats_read(&b, &merged, i, &sites.site[i], &err));
        assert_true(a.moments[0].count == b.moments[0].count);
        assert_true(a.share > 0 && a.share <= 1 && fabs(a.share - b.share) < 0.2);
        assert_true((sites.site[i].sum == CLVI_NONE) == (a.share == 1));
        OK(clvi_covariances_of(&ca, a.moments, 1, &err));
        OK(clvi_covariances_of(&cb, b.moments, 1, &err));
        assert_true(apart(cb->s, ca->s, ca->q * ca->q) < 1e-12);
        assert_true(apart(cb->h, ca->h, ca->n * ca->q) < 1e-12);
        assert_true(apart(cb->t, ca->t, ca->n * ca->n) < 1e-12);
        assert_true(apart(cb->mean_x, ca->mean_x, ca->q) < 1e-12);
        clvi_covariances_free(ca, 1);
        clvi_covariances_free(cb, 1);
        clvi_site_moments_free(a.moments, &sites.site[i]);
        clvi_site_moments_free(b.moments, &sites.site[i]);
        seen++;
    }
    assert_true(seen > 15);
    clvi_stats_close(&whole);
    clvi_stats_close(&merged);
    clvi_sites_free(&sites);
    clvi_shapes_free(&shapes);
    for (int i = 0; i < SHARDS; i++)
        free((void *)(uintptr_t)parts[i]);
    clvi_graph_free(g);
}

static void threads_write_the_same_file(void **state)
{
    (void)state;
    clvi_graph *g = network();
    clvi_bytes a, b;
    collect(g, path("one"), (clvi_shard){0, 1}, 1);
    collect(g, path("three"), (clvi_shard){0, 1}, 3);
    OK(clvi_file_read(&a, path("one"), &err));
    OK(clvi_file_read(&b, path("three"), &err));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    clvi_free(a.data);
    clvi_free(b.data);
    clvi_graph_free(g);
}

/* Read everything that is in a file: CLV_OK, or what is wrong with it. */
static clv_status read_all(const char *file)
{
    clvi_stats stats;
    clv_report *report;
    clv_status st = clvi_stats_open(&stats, file, &err);
    if (st != CLV_OK)
        return st;
    clvi_stats_close(&stats);
    OK(clv_report_create(&report, &err));
    st = clvi_stats_show(file, report, &err);
    clv_report_free(report);
    return st;
}

/* Bytes bent and lengths cut, densely at the start of the file, then at sixty places: never CLV_OK, never a crash. */
static void damage_is_seen(void **state)
{
    (void)state;
    clvi_graph *g = network();
    clvi_bytes whole;
    char bent[256];
    (void)snprintf(bent, sizeof bent, "%s", path("bent"));
    collect(g, path("sound"), (clvi_shard){0, 8}, 2);
    OK(clvi_file_read(&whole, path("sound"), &err));
    assert_int_equal(read_all(path("sound")), CLV_OK);
    const size_t step = whole.size / 60;
    for (size_t i = 0; i < whole.size; i += i < 512 ? 13 : step) {
        whole.data[i] ^= 0x41;
        OK(clvi_file_replace(bent, whole.data, whole.size, &err));
        const clv_status st = read_all(bent);
        if (st != CLV_ERR_FORMAT && st != CLV_ERR_NOMEM)
            fail_msg("byte %zu bent: %s", i, clv_status_text(st));
        whole.data[i] ^= 0x41;
    }
    for (size_t n = 0; n < whole.size; n += n < 512 ? 17 : step) {
        OK(clvi_file_replace(bent, whole.data, n, &err));
        assert_int_equal(read_all(bent), CLV_ERR_FORMAT);
    }
    clvi_free(whole.data);
    clvi_graph_free(g);
}

/* In memory while there is room, in a file when there is none: the same rows either way. */
static void rows_come_back(void **state)
{
    (void)state;
    for (int tight = 0; tight < 2; tight++) {
        clvi_room room = {tight ? 100 : 100000};
        clvi_spill *s;
        float in[30], out[30] = {0};
        for (int i = 0; i < 30; i++)
            in[i] = (float)(i * i);
        OK(clvi_spill_create(&s, 10, 3 * sizeof(float), &room, &err));
        assert_true(room.free_bytes == (tight ? 100 : 100000 - 10 * 3 * sizeof(float)));
        OK(clvi_spill_write(s, 4, 6, in, &err));
        OK(clvi_spill_write(s, 0, 4, in + 18, &err));
        OK(clvi_spill_read(s, 0, 10, out, &err));
        assert_memory_equal(out, in + 18, 12 * sizeof(float));
        assert_memory_equal(out + 12, in, 18 * sizeof(float));
        assert_int_equal(clvi_spill_read(s, 8, 3, out, &err), CLV_ERR_ARG);
        assert_int_equal(clvi_spill_write(s, 11, 0, in, &err), CLV_ERR_ARG);
        clvi_spill_free(s);
        assert_true(room.free_bytes == (tight ? 100 : 100000));
    }
    clvi_spill *none;
    clvi_room room = {0};
    assert_int_equal(clvi_spill_create(&none, SIZE_MAX, 16, &room, &err), CLV_ERR_ARG);
    const char *before = getenv("TMPDIR");
    char *kept = before ? strdup(before) : NULL;
    assert_int_equal(setenv("TMPDIR", "/no/such/folder", 1), 0);
    assert_int_equal(clvi_spill_create(&none, 10, 16, &room, &err), CLV_ERR_IO);
    assert_int_equal(kept ? setenv("TMPDIR", kept, 1) : unsetenv("TMPDIR"), 0);
    free(kept);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {"whole", "part0", "part1", "part2", "merged", "one", "three", "sound", "bent"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void)unlink(path(files[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_add_up_to_one_pass),
        cmocka_unit_test(threads_write_the_same_file),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(rows_come_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
