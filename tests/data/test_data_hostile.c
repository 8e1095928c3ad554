/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged files of every kind: bytes changed, cut, repeated. Whatever comes, a status with a message or a result, and
 * nothing leaked. Then every allocation in turn is refused. The cases are the same each time; run under the sanitizers
 * they also show that no byte outside is touched. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "data/dataset.h"

#define CASES 1500 /* of each kind */

/* One to eight wounds: a bit, a byte, a run of one byte, an interesting number, a cut, a piece copied elsewhere. */
static size_t mutate(uint8_t *bytes, size_t size, clvi_rng *rng)
{
    static const uint32_t numbers[] = {0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x80000000, 65500};
    for (uint64_t n = 1 + clvi_rng_below(rng, 8); n > 0 && size > 8; n--) {
        const size_t at = (size_t)clvi_rng_below(rng, size), room = size - at;
        const size_t some = 1 + (size_t)clvi_rng_below(rng, room < 16 ? room : 16);
        switch (clvi_rng_below(rng, 7)) {
        case 0:
        case 1:
            bytes[at] ^= (uint8_t)(1U << clvi_rng_below(rng, 8));
            break;
        case 2:
            bytes[at] = (uint8_t)clvi_rng_u64(rng);
            break;
        case 3:
            memset(bytes + at, (int)clvi_rng_below(rng, 256), some);
            break;
        case 4:
            memcpy(bytes + at, &numbers[clvi_rng_below(rng, 10)], room < 4 ? room : 4);
            break;
        case 5:
            memmove(bytes + at, bytes + clvi_rng_below(rng, size - some + 1), some);
            break;
        default:
            if (clvi_rng_below(rng, 4) == 0)
                size = at + 1;
        }
    }
    return size;
}

/* tars are mutated inside too: a header whose sum is wrong is all that would otherwise be seen */
static void mend_tar(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + 512 <= size; at += 512)
        if (memcmp(bytes + at + 257, "ustar", 5) == 0) {
            unsigned sum = 0;
            char text[8];
            memset(bytes + at + 148, ' ', 8);
            for (size_t i = 0; i < 512; i++)
                sum += bytes[at + i];
            (void)snprintf(text, sizeof text, "%06o", sum);
            memcpy(bytes + at + 148, text, 7);
        }
}

/* Open, and read what opened. True when all went well. */
static bool use(const char *path, const char *labels, clv_context *context, clv_status *st)
{
    clv_error err = {0};
    clv_dataset *set = NULL;
    clv_dataset_opts opts = clv_dataset_opts_default();
    clv_preprocess p;
    int64_t chw[3];
    opts.max_bad = 0.5;
    opts.labels = labels;
    *st = clv_preprocess_preset(&p, "unit", &err);
    p.resize_h = p.resize_w = 5;
    if (*st == CLV_OK)
        *st = clv_dataset_open(&set, path, &opts, &err);
    if (*st == CLV_OK)
        *st = clv_dataset_shape(set, 0, &p, chw, &err);
    clv_tensor out = {.dtype = CLV_FLOAT32, .rank = 4};
    const int64_t n = *st == CLV_OK && clv_dataset_count(set) > 8 ? 8 : *st == CLV_OK ? clv_dataset_count(set) : 0;
    if (*st == CLV_OK) {
        const int64_t dims[4] = {n, chw[0], chw[1], chw[2]};
        memcpy(out.dims, dims, sizeof dims);
        out.data = clvi_alloc_array((size_t)(n * chw[0] * chw[1] * chw[2]), sizeof(float));
        *st = out.data ? clv_dataset_read(set, 0, n, &p, &out, NULL, context, &err) : FAIL(&err, CLV_ERR_NOMEM, "test");
    }
    if ((*st != CLV_OK) != (err.msg[0] != '\0') || err.code != *st)
        fail_msg("%s: status %d, \"%s\"", path, *st, err.msg);
    clv_npy_free(&out);
    clv_dataset_free(set);
    return *st == CLV_OK;
}

typedef struct seed {
    const char *name; /* of the file; "labels" is the label file of folder "flat" */
    clvi_bytes bytes;
} seed;

static seed seeds[12];
static int seed_count;

static void add_seed(const char *name, const void *bytes, size_t size)
{
    uint8_t *copy = clvi_alloc(size);
    memcpy(copy, bytes, size);
    seeds[seed_count++] = (seed){name, {copy, size}};
    write_file(in_folder("%s", name), bytes, size);
}

static void add_taken(const char *name, clvi_bytes bytes)
{
    add_seed(name, bytes.data, bytes.size);
    clvi_free(bytes.data);
}

static void add_file(const char *name, const char *path)
{
    clvi_bytes bytes;
    assert_ok(clvi_file_read(&bytes, path, err));
    add_taken(name, bytes);
}

static void make_seeds(void)
{
    static tar_bytes tar;
    static uint8_t records[2 * 3073];
    uint8_t pixels[2 * 3 * 4 * 6] = {0};
    const clv_tensor array = {CLV_UINT8, 4, {2, 3, 4, 6}, pixels};
    static const char pax[] = "20 path=a/other.png\n";
    clvi_bytes png = encode_png(1, 4, 6, 8, 2, false);
    tar_add(&tar, "a/1.png", '0', png.data, png.size);
    tar_add(&tar, "x", 'x', pax, 20);
    tar_add(&tar, "b/2.png", '0', png.data, png.size);
    tar_add(&tar, "L", 'L', "long/name.png", 14);
    tar_add(&tar, "b/3.png", '0', png.data, png.size);
    tar_end(&tar);
    clvi_free(png.data);
    make_folder(in_folder("flat"));
    for (int i = 0; i < 3; i++)
        write_png(in_folder("flat/%d.png", i), i, 4, 6);
    assert_ok(clv_npy_write(&array, in_folder("array.npy"), err));
    add_taken("rgb.png", encode_png(0, 12, 17, 8, 2, false));
    add_taken("deep.png", encode_png(0, 12, 17, 16, 6, true));
    add_file("palette.png", FIXTURES "palette.png");
    add_taken("plain.jpg", encode_jpeg(0, 20, 33));
    add_file("progressive.jpg", FIXTURES "progressive.jpg");
    add_file("cmyk.jpg", FIXTURES "cmyk.jpg");
    add_file("a.npy", in_folder("array.npy"));
    add_file("a.npz", FIXTURES "set.npz");
    add_seed("a.tar", tar.bytes, tar.size);
    add_seed("a.bin", records, sizeof records);
    add_seed("a.lst", "flat/0.png 0\nflat/1.png,1\nflat/2.png\t2\n", 40);
    add_seed("labels", "0.png 0\n1.png,1\n2.png\t2\n", 25);
}

static void any_damage_gives_a_status(void **state)
{
    static uint8_t bytes[1 << 16];
    clvi_rng rng;
    int used[12] = {0};
    (void)state;
    clvi_rng_seed(&rng, 2026);
    const long live = clvi_mem_live();
    for (int s = 0; s < seed_count; s++)
        for (int i = 0; i < CASES; i++) {
            const bool labels = strcmp(seeds[s].name, "labels") == 0;
            const char *path = in_folder("m_%s", seeds[s].name);
            clv_status st;
            memcpy(bytes, seeds[s].bytes.data, seeds[s].bytes.size);
            const size_t size = mutate(bytes, seeds[s].bytes.size, &rng);
            if (i % 4 && strcmp(seeds[s].name, "a.tar") == 0)
                mend_tar(bytes, size);
            write_file(path, bytes, size);
            used[s] += labels ? use(in_folder("flat"), path, NULL, &st) : use(path, NULL, NULL, &st);
            if (st != CLV_OK && st != CLV_ERR_DATA && st != CLV_ERR_IO)
                fail_msg("case %d of %s: status %d", i, seeds[s].name, st);
            if (clvi_mem_live() != live)
                fail_msg("case %d of %s: %ld blocks leaked", i, seeds[s].name, clvi_mem_live() - live);
        }
    for (int s = 0; s < seed_count; s++)
        print_message("%s: %d of %d damaged files still usable\n", seeds[s].name, used[s], CASES);
}

static void every_refused_allocation_is_a_status(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        clv_context *context = make_context(threads, NULL, NULL);
        const long live = clvi_mem_live();
        for (int s = 0; s <= seed_count; s++) {
            const bool labels = s < seed_count && strcmp(seeds[s].name, "labels") == 0;
            char path[300];
            (void)snprintf(path, sizeof path, "%s",
                           in_folder("%s", s == seed_count || labels ? "flat" : seeds[s].name));
            clv_status st = CLV_ERR_NOMEM;
            for (long n = 0; st != CLV_OK; n++) {
                clvi_mem_fail_after(n);
                (void)use(path, labels ? in_folder("labels") : NULL, context, &st);
                clvi_mem_fail_after(-1);
                if (st != CLV_OK && st != CLV_ERR_NOMEM)
                    fail_msg("%s with %ld allocations: status %d", path, n, st);
                if (clvi_mem_live() != live)
                    fail_msg("%s with %ld allocations: %ld blocks leaked", path, n, clvi_mem_live() - live);
                assert_true(n < 2000);
            }
        }
        clv_context_free(context);
    }
}

static int set_up(void **state)
{
    if (folder_make(state) != 0)
        return -1;
    make_seeds();
    return 0;
}

static int tear_down(void **state)
{
    for (int s = 0; s < seed_count; s++)
        clvi_free(seeds[s].bytes.data);
    return folder_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_damage_gives_a_status),
        cmocka_unit_test(every_refused_allocation_is_a_status),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
