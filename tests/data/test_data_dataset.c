/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of source, labels, picking, corrupt items, threads and cancellation. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "data/dataset.h"

static clv_dataset *open_with(const char *path, const char *labels, int64_t limit, uint64_t seed)
{
    clv_dataset_opts opts = clv_dataset_opts_default();
    clv_dataset *set = NULL;
    opts.labels = labels;
    opts.limit = limit;
    opts.seed = seed;
    assert_ok(clv_dataset_open(&set, path, &opts, err));
    return set;
}

static clv_dataset *open_plain(const char *path)
{
    return open_with(path, NULL, 0, 0);
}

#define assert_not_opened(path, labels_, text)                                            \
    do {                                                                                  \
        clv_dataset_opts opts_ = clv_dataset_opts_default();                              \
        clv_dataset *set_ = NULL;                                                         \
        opts_.labels = (labels_);                                                         \
        assert_refused(clv_dataset_open(&set_, (path), &opts_, err), CLV_ERR_DATA, text); \
        assert_null(set_);                                                                \
    } while (0)

static void assert_items(const clv_dataset *set, int count, const char *const *names, const int *labels)
{
    assert_int_equal(clv_dataset_count(set), count);
    for (int i = 0; i < count; i++) {
        assert_string_equal(clv_dataset_name(set, i), names[i]);
        assert_int_equal(clv_dataset_label(set, i), labels[i]);
    }
    assert_string_equal(clv_dataset_name(set, count), "");
    assert_int_equal(clv_dataset_label(set, -1), -1);
}

/* Item i is the 4x6 picture numbered pictures[i]. */
static void assert_pixels(clv_dataset *set, const int *pictures)
{
    clv_tensor t = read_all(set, 4, 6, NULL, NULL);
    const float *x = t.data;
    for (int64_t i = 0; i < clv_dataset_count(set); i++)
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < 4; y++)
                for (int w = 0; w < 6; w++)
                    assert_int_equal((int)*x++, picture_value(pictures[i], y, w, c));
    clv_npy_free(&t);
}

static void class_folders(void **state)
{
    static const char *const names[] = {"a/1.png", "a/x, y's.PNG", "a-b/0.png", "b/0.png"};
    (void)state;
    make_folder(in_folder("classes"));
    make_folder(in_folder("classes/b"));
    make_folder(in_folder("classes/a"));
    make_folder(in_folder("classes/a-b"));
    make_folder(in_folder("classes/.hidden"));
    write_png(in_folder("classes/b/0.png"), 3, 4, 6);
    write_png(in_folder("classes/a-b/0.png"), 2, 4, 6);
    write_png(in_folder("classes/a/x, y's.PNG"), 1, 4, 6);
    write_png(in_folder("classes/a/1.png"), 0, 4, 6);
    write_text(in_folder("classes/a/notes.md"), "not an image");
    write_text(in_folder("classes/a/.2.png"), "hidden");
    clv_dataset *set = open_plain(in_folder("classes"));
    assert_items(set, 4, names, (const int[]){0, 0, 1, 2});
    assert_int_equal(clv_dataset_classes(set), 3);
    assert_false(clv_dataset_is_tensor(set));
    assert_pixels(set, (const int[]){0, 1, 2, 3});
    clv_dataset_free(set);

    write_text(in_folder("order.txt"), "7\n0\n\n5\n5\r\n");
    set = open_with(in_folder("classes"), in_folder("order.txt"), 0, 0);
    assert_items(set, 4, names, (const int[]){7, 0, 5, 5});
    assert_int_equal(clv_dataset_classes(set), 8);
    clv_dataset_free(set);

    make_folder(in_folder("classes/empty"));
    assert_not_opened(in_folder("classes"), NULL, "\"empty\" holds no image");
    assert_not_opened(in_folder("classes/empty"), NULL, "holds neither images");
    make_folder(in_folder("outer"));
    make_folder(in_folder("outer/test"));
    make_folder(in_folder("outer/test/cat"));
    assert_not_opened(in_folder("outer"), NULL, "name that folder instead");
    write_png(in_folder("outer/test/0.png"), 0, 4, 6);
    assert_not_opened(in_folder("outer/test"), NULL, "1 folders, 1 images");
}

static void flat_folder_and_label_files(void **state)
{
    static const char *const names[] = {"a b 3.png", "b.png", "c,d.png"};
    (void)state;
    make_folder(in_folder("flat"));
    write_png(in_folder("flat/c,d.png"), 2, 4, 6);
    write_png(in_folder("flat/a b 3.png"), 0, 4, 6);
    write_png(in_folder("flat/b.png"), 1, 4, 6);
    clv_dataset *set = open_plain(in_folder("flat"));
    assert_items(set, 3, names, (const int[]){-1, -1, -1});
    assert_int_equal(clv_dataset_classes(set), 0);
    assert_pixels(set, (const int[]){0, 1, 2});
    clv_dataset_free(set);

    static const char *const good[] = {
        "c,d.png\t4\tn01\tit's, a thing\nb.png\t9\tn02\tx\na b 3.png\t0\tn03\ty\n", /* as imagenet-sample has it */
        "\xef\xbb\xbf./a b 3.png 0\nc,d.png 4\nb.png  9",
        "a b 3.png,0\r\nc,d.png, 4\r\nb.png,9\r\n",
        "./b.png 9\n./a b 3.png,0\n./c,d.png\t4\n",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        write_text(in_folder("l.txt"), good[i]);
        set = open_with(in_folder("flat"), in_folder("l.txt"), 0, 0);
        assert_items(set, 3, names, (const int[]){0, 9, 4});
        clv_dataset_free(set);
    }
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "has no lines"},
        {"\n\n", "has no lines"},
        {"1\n2\n", "has 2 labels"},
        {"1\n2\n3\n4\n", "has 4 labels"},
        {"a b 3.png 0\nb.png 1\n", "is about \"c,d.png\""},
        {"a b 3.png 0\nb.png 1\nc,d.png 2\nzz.png 3\n", "line 4: there is no image \"zz.png\""},
        {"a b 3.png 0\nb.png 1\nb.png 2\n", "lines 2 and 3 both"},
        {"a b 3.png\t0\nb.png\tcat\nc,d.png\t2\n", "line 2: name TAB label"},
        {"a b 3.png\t0\n\nb.png\t\nc,d.png\t2\n", "line 3"},
        {"a b 3.png 0\nb.png dog\n", "line 1 has a label (an integer 0 to 999999 at its end), line 2 has none"},
        {"a b 3.png\nb.png\nc,d.png\n", "line 1 has no label"},
        {"a b 3.png 0\n1\n", "line 1 has a name, line 2 has none"},
        {"a b 3.png 1000000\n", "line 1 has no label"},
        {"a b 3.png\t99999999999999999999\n", "line 1"},
        {"a b 3.png\t-1\n", "line 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(in_folder("l.txt"), bad[i].text);
        assert_not_opened(in_folder("flat"), in_folder("l.txt"), bad[i].message);
    }
    write_file(in_folder("l.txt"), "a\0b 1\n", 6);
    assert_not_opened(in_folder("flat"), in_folder("l.txt"), "zero byte");
    write_text(in_folder("flat/labels.txt"), good[0]);
    set = open_plain(in_folder("flat"));
    assert_items(set, 3, names, (const int[]){0, 9, 4});
    clv_dataset_free(set);
}

static void list_file(void **state)
{
    char text[400];
    (void)state;
    make_folder(in_folder("lists"));
    make_folder(in_folder("lists/img"));
    for (int i = 0; i < 3; i++)
        write_png(in_folder("lists/img/p %d.png", i), i, 4, 6);
    (void)snprintf(text, sizeof text, "img/p 2.png 1\n%s 0\nimg/p 1.png 3\n", in_folder("lists/img/p 0.png"));
    write_text(in_folder("lists/l.lst"), text);
    clv_dataset *set = open_plain(in_folder("lists/l.lst"));
    assert_items(set, 3, (const char *const[]){"img/p 2.png", in_folder("lists/img/p 0.png"), "img/p 1.png"},
                 (const int[]){1, 0, 3});
    assert_pixels(set, (const int[]){2, 0, 1});
    clv_dataset_free(set);
    write_text(in_folder("lists/l.csv"), "img/p 1.png\nimg/p 0.png\n");
    set = open_plain(in_folder("lists/l.csv"));
    assert_items(set, 2, (const char *const[]){"img/p 1.png", "img/p 0.png"}, (const int[]){-1, -1});
    clv_dataset_free(set);
    write_text(in_folder("lists/l.txt"), "img/p 1.png 1\n\nimg/p 7.png 0\n");
    assert_not_opened(in_folder("lists/l.txt"), NULL, "line 3: there is no image");
    write_text(in_folder("lists/l.txt"), "img 1\n");
    assert_not_opened(in_folder("lists/l.txt"), NULL, "line 1: there is no image");
}

static void tar_archive(void **state)
{
    static tar_bytes tar;
    clvi_bytes p[4];
    char deep[300], pax[400];
    (void)state;
    for (int i = 0; i < 4; i++)
        p[i] = encode_png(i, 4, 6, 8, 2, false);
    memset(deep, 'd', 200);
    (void)snprintf(deep + 200, 50, "/long.png");
    tar_add(&tar, "set/", '5', NULL, 0);
    tar_add(&tar, "set/b/1.png", '0', p[3].data, p[3].size);
    tar_add(&tar, "./set/a/2.png", '\0', p[1].data, p[1].size);
    tar_add(&tar, "set/a/0.png", '0', p[2].data, p[2].size); /* overwritten below */
    tar_add(&tar, "set/a/readme", '0', "hello", 5);
    tar_add(&tar, "set/a/._0.png", '0', "mac", 3);
    tar_add(&tar, "set/a/link.png", '2', NULL, 0);
    tar_add(&tar, "set/a/0.png", '0', p[0].data, p[0].size);
    tar_end(&tar);
    write_file(in_folder("t.tar"), tar.bytes, tar.size);
    clv_dataset *set = open_plain(in_folder("t.tar"));
    assert_items(set, 3, (const char *const[]){"set/a/0.png", "set/a/2.png", "set/b/1.png"}, (const int[]){0, 0, 1});
    assert_pixels(set, (const int[]){0, 1, 3});
    clv_dataset_free(set);

    tar.size = 0; /* long names of both kinds, and a size given by pax; one folder: no labels */
    tar_add(&tar, "././@LongLink", 'L', deep, strlen(deep) + 1);
    tar_add(&tar, "short", '0', p[0].data, p[0].size);
    deep[0] = 'e';
    const int n = snprintf(pax, sizeof pax, "219 path=%s\n", deep);
    assert_int_equal(n, 219);
    tar_add(&tar, "PaxHeader", 'x', pax, (size_t)n);
    tar_add(&tar, "short", '0', p[1].data, p[1].size);
    write_file(in_folder("t.tar"), tar.bytes, tar.size); /* without closing blocks */
    set = open_plain(in_folder("t.tar"));
    assert_int_equal(clv_dataset_count(set), 2);
    assert_string_equal(clv_dataset_name(set, 1), deep);
    assert_int_equal(clv_dataset_label(set, 1), 1);
    assert_pixels(set, (const int[]){0, 1});
    clv_dataset_free(set);

    write_file(in_folder("t.tar"), tar.bytes, tar.size - 512);
    assert_not_opened(in_folder("t.tar"), NULL, p[1].size % 512 ? "cut off" : "");
    tar.bytes[3] ^= 1;
    write_file(in_folder("t.tar"), tar.bytes, tar.size);
    assert_not_opened(in_folder("t.tar"), NULL, "no tar header at byte 0");
    tar.size = 0;
    tar_add(&tar, "only.png", '0', p[2].data, p[2].size);
    tar_end(&tar);
    write_file(in_folder("t.tar"), tar.bytes, tar.size);
    set = open_plain(in_folder("t.tar"));
    assert_items(set, 1, (const char *const[]){"only.png"}, (const int[]){-1});
    clv_dataset_free(set);
    write_file(in_folder("t.tar"), "", 0);
    assert_not_opened(in_folder("t.tar"), NULL, "holds no image");
    for (int i = 0; i < 4; i++)
        clvi_free(p[i].data);
}

static void cifar_files(void **state)
{
    static uint8_t bytes[3 * 3074];
    (void)state;
    make_folder(in_folder("cifar"));
    for (int kind = 1; kind <= 2; kind++) {
        const size_t record = 3072 + (size_t)kind;
        for (size_t i = 0; i < 3; i++) {
            uint8_t *r = bytes + i * record;
            r[0] = (uint8_t)(2 * i);
            r[kind - 1] = (uint8_t)(kind == 2 ? 33 * i : 2 * i);
            for (size_t k = 0; k < 3072; k++)
                r[(size_t)kind + k] = picture_value((int)i, (int)(k / 32 % 32), (int)(k % 32), (int)(k / 1024));
        }
        write_file(in_folder("cifar/data_%d.bin", kind), bytes, 3 * record);
        clv_dataset *set = open_plain(in_folder("cifar/data_%d.bin", kind));
        assert_int_equal(clv_dataset_count(set), 3);
        assert_int_equal(clv_dataset_label(set, 1), kind == 2 ? 33 : 2);
        clv_tensor t = read_all(set, 32, 32, NULL, NULL);
        for (size_t i = 0; i < 3; i++)
            for (size_t k = 0; k < 3072; k++)
                assert_int_equal((int)((float *)t.data)[i * 3072 + k], bytes[i * record + (size_t)kind + k]);
        clv_npy_free(&t);
        clv_dataset_free(set);
    }
    clv_dataset *set = open_plain(in_folder("cifar"));
    assert_int_equal(clv_dataset_count(set), 6);
    assert_string_equal(clv_dataset_name(set, 4), "data_2.bin#00001");
    clv_dataset_free(set);
    write_file(in_folder("cifar/test_batch.bin"), bytes, 3073);
    assert_not_opened(in_folder("cifar"), NULL, "training and test files");
    bytes[0] = 10;
    write_file(in_folder("x.bin"), bytes, 3073);
    assert_not_opened(in_folder("x.bin"), NULL, "neither CIFAR-10 records");
    write_file(in_folder("x.bin"), bytes, 3000);
    assert_not_opened(in_folder("x.bin"), NULL, "its 3000 bytes");
}

/* A zip of stored members, as numpy.savez writes them. */
static void write_npz(const char *path, const char *const *names, const clv_tensor *const *arrays, int n)
{
    static uint8_t out[1 << 16], directory[1 << 12];
    size_t at = 0, d = 0;
    for (int i = 0; i < n; i++) {
        clvi_bytes b;
        assert_ok(clv_npy_write(arrays[i], in_folder("member.npy"), err));
        assert_ok(clvi_file_read(&b, in_folder("member.npy"), err));
        const size_t length = strlen(names[i]);
        uint8_t local[30] = {'P', 'K', 3, 4}, central[46] = {'P', 'K', 1, 2};
        local[26] = central[28] = (uint8_t)length;
        for (size_t k = 0; k < 4; k++) {
            central[20 + k] = central[24 + k] = (uint8_t)(b.size >> (8 * k));
            central[42 + k] = (uint8_t)(at >> (8 * k));
        }
        memcpy(directory + d, central, 46);
        memcpy(directory + d + 46, names[i], length);
        d += 46 + length;
        memcpy(out + at, local, 30);
        memcpy(out + at + 30, names[i], length);
        memcpy(out + at + 30 + length, b.data, b.size);
        at += 30 + length + b.size;
        clvi_free(b.data);
    }
    uint8_t end[22] = {'P', 'K', 5, 6};
    end[8] = end[10] = (uint8_t)n;
    for (size_t k = 0; k < 4; k++) {
        end[12 + k] = (uint8_t)(d >> (8 * k));
        end[16 + k] = (uint8_t)(at >> (8 * k));
    }
    memcpy(out + at, directory, d);
    memcpy(out + at + d, end, 22);
    write_file(path, out, at + d + 22);
}

static void numpy_arrays(void **state)
{
    uint8_t nchw[2 * 3 * 4 * 6], nhwc[2 * 4 * 6 * 3], grey[2 * 4 * 6];
    float floats[2 * 5 * 2 * 3];
    int64_t y[2] = {4, 0}, three[3] = {0};
    const clv_tensor a = {CLV_UINT8, 4, {2, 3, 4, 6}, nchw}, b = {CLV_UINT8, 4, {2, 4, 6, 3}, nhwc},
                     g = {CLV_UINT8, 3, {2, 4, 6}, grey}, f = {CLV_FLOAT32, 4, {2, 5, 2, 3}, floats},
                     labels = {CLV_INT64, 1, {2}, y}, wrong = {CLV_INT64, 1, {3}, three},
                     flat = {CLV_FLOAT32, 2, {2, 30}, floats}, none = {CLV_UINT8, 4, {0, 3, 4, 6}, nchw};
    (void)state;
    for (int n = 0; n < 2; n++)
        for (int h = 0; h < 4; h++)
            for (int w = 0; w < 6; w++) {
                grey[(n * 4 + h) * 6 + w] = picture_value(n, h, w, 0);
                for (int c = 0; c < 3; c++)
                    nchw[((n * 3 + c) * 4 + h) * 6 + w] = nhwc[((n * 4 + h) * 6 + w) * 3 + c] =
                        picture_value(n, h, w, c);
            }
    for (int i = 0; i < 60; i++)
        floats[i] = (float)i * 0.25f;
    const clv_tensor *const pixels[2] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        assert_ok(clv_npy_write(pixels[i], in_folder("x.npy"), err));
        clv_dataset *set = open_plain(in_folder("x.npy"));
        assert_items(set, 2, (const char *const[]){"x.npy[0]", "x.npy[1]"}, (const int[]){-1, -1});
        assert_pixels(set, (const int[]){0, 1});
        clv_dataset_free(set);
    }
    write_npz(in_folder("x.npz"), (const char *const[]){"y.npy", "images.npy"},
              (const clv_tensor *const[]){&labels, &g}, 2);
    clv_dataset *set = open_plain(in_folder("x.npz"));
    assert_items(set, 2, (const char *const[]){"images.npy[0]", "images.npy[1]"}, (const int[]){4, 0});
    clv_tensor t = read_all(set, 4, 6, NULL, NULL);
    for (int i = 0; i < 2 * 3 * 24; i++)
        assert_int_equal((int)((float *)t.data)[i], grey[i / 72 * 24 + i % 24]);
    clv_npy_free(&t);
    clv_dataset_free(set);

    write_npz(in_folder("x.npz"), (const char *const[]){"other.npy", "labels.npy"},
              (const clv_tensor *const[]){&f, &labels}, 2);
    set = open_plain(in_folder("x.npz")); /* the only one of rank 4 */
    float out[60];
    clv_tensor batch = {CLV_FLOAT32, 4, {2, 5, 2, 3}, out};
    int64_t chw[3];
    assert_true(clv_dataset_is_tensor(set));
    assert_ok(clv_dataset_shape(set, 1, NULL, chw, err));
    assert_true(chw[0] == 5 && chw[1] == 2 && chw[2] == 3);
    assert_ok(clv_dataset_read(set, 0, 2, NULL, &batch, NULL, NULL, err));
    assert_memory_equal(out, floats, sizeof out);
    batch.dims[1] = 3;
    assert_refused(clv_dataset_read(set, 0, 2, NULL, &batch, NULL, NULL, err), CLV_ERR_DATA, "5x2x3");
    clv_dataset_free(set);

    write_npz(in_folder("x.npz"), (const char *const[]){"data.npy", "labels.npy"},
              (const clv_tensor *const[]){&f, &wrong}, 2);
    assert_not_opened(in_folder("x.npz"), NULL, "3 labels (rank 1) for 2 images");
    y[1] = -1;
    write_npz(in_folder("x.npz"), (const char *const[]){"data.npy", "labels.npy"},
              (const clv_tensor *const[]){&f, &labels}, 2);
    assert_not_opened(in_folder("x.npz"), NULL, "label 1 of array");
    write_npz(in_folder("x.npz"), (const char *const[]){"p.npy", "q.npy"}, (const clv_tensor *const[]){&f, &a}, 2);
    assert_not_opened(in_folder("x.npz"), NULL, "2 have rank 3 or 4");
    assert_ok(clv_npy_write(&flat, in_folder("x.npy"), err));
    assert_not_opened(in_folder("x.npy"), NULL, "float32 of rank 2");
    assert_ok(clv_npy_write(&none, in_folder("x.npy"), err));
    assert_not_opened(in_folder("x.npy"), NULL, "without elements");
    clvi_bytes file;
    assert_ok(clv_npy_write(&a, in_folder("x.npy"), err));
    assert_ok(clvi_file_read(&file, in_folder("x.npy"), err));
    memcpy(strstr((char *)file.data + 10, "False"), "True ", 5);
    write_file(in_folder("x.npy"), file.data, file.size);
    assert_not_opened(in_folder("x.npy"), NULL, "Fortran order");
    clvi_free(file.data);
}

static void compressed_npz_is_unpacked_aside(void **state)
{
    (void)state;
    clv_dataset *set = open_plain(FIXTURES "set.npz");
    assert_items(set, 3, (const char *const[]){"images.npy[0]", "images.npy[1]", "images.npy[2]"},
                 (const int[]){2, 0, 1});
    assert_pixels(set, (const int[]){0, 1, 2});
    clv_dataset_free(set);
    assert_not_opened(FIXTURES "resize.npz", NULL, "have rank 3 or 4");
}

static void single_image_and_unknown_files(void **state)
{
    clv_dataset *set = NULL;
    (void)state;
    write_png(in_folder("one.png"), 5, 4, 6);
    set = open_plain(in_folder("one.png"));
    assert_items(set, 1, (const char *const[]){"one.png"}, (const int[]){-1});
    assert_pixels(set, (const int[]){5});
    clv_dataset_free(set);
    write_text(in_folder("x.gif"), "GIF89a");
    assert_not_opened(in_folder("x.gif"), NULL, "is none of");
    assert_refused(clv_dataset_open(&set, in_folder("absent"), NULL, err), CLV_ERR_IO, "absent");
    assert_refused(clv_dataset_open(&set, "", NULL, err), CLV_ERR_ARG, "empty");
    clv_dataset_opts opts = clv_dataset_opts_default();
    opts.max_bad = 1.5;
    assert_refused(clv_dataset_open(&set, in_folder("one.png"), &opts, err), CLV_ERR_ARG, "max_bad 1.5");
    opts = (clv_dataset_opts){.limit = -1};
    assert_refused(clv_dataset_open(&set, in_folder("one.png"), &opts, err), CLV_ERR_ARG, "limit -1");
}

/* 40 pictures in 4 classes in folder `name`. */
static const char *many(const char *name)
{
    make_folder(in_folder("%s", name));
    for (int c = 0; c < 4; c++) {
        make_folder(in_folder("%s/%d", name, c));
        for (int i = 0; i < 10; i++)
            write_png(in_folder("%s/%d/%d.png", name, c, i), 10 * c + i, 4, 6);
    }
    return in_folder("%s", name);
}

static void limit_picks_evenly(void **state)
{
    const char *path = many("even");
    (void)state;
    for (int limit = 1; limit <= 45; limit++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            clv_dataset *set = open_with(path, NULL, limit, seed);
            const int64_t n = clv_dataset_count(set);
            int previous = -1;
            assert_int_equal(n, limit < 40 ? limit : 40);
            assert_int_equal(clv_dataset_classes(set), 4);
            for (int64_t i = 0; i < n; i++) {
                const char *name = clv_dataset_name(set, i);
                const int index = (name[0] - '0') * 10 + name[2] - '0';
                assert_true(index > previous && index >= i * 40 / n && index < (i + 1) * 40 / n);
                if (seed == 0)
                    assert_int_equal(index, i * 40 / n);
                previous = index;
            }
            clv_dataset_free(set);
        }
}

static void corrupt_items_are_named_and_counted_once(void **state)
{
    const char *path = many("corrupt");
    logged log = {0};
    clv_context *context = make_context(2, &log, NULL);
    clv_dataset_opts opts = clv_dataset_opts_default();
    clv_dataset *set = NULL;
    bool bad[40];
    (void)state;
    write_text(in_folder("corrupt/1/4.png"), "\x89PNG\r\n\x1a\nbroken");
    write_text(in_folder("corrupt/3/9.png"), "");
    opts.max_bad = 0.05; /* 2 of 40 */
    assert_ok(clv_dataset_open(&set, path, &opts, err));
    for (int turn = 0; turn < 2; turn++) {
        clv_tensor t = read_all(set, 4, 6, bad, context);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(bad[i], i == 14 || i == 39);
            assert_int_equal((int)((float *)t.data)[i * 72 + 71], bad[i] ? 0 : picture_value(i, 3, 5, 2));
        }
        assert_int_equal(clv_dataset_bad(set), 2);
        assert_int_equal(log.count, 2);
        assert_non_null(strstr(log.last, "skipped \"3/9.png\""));
        clv_npy_free(&t);
    }
    clv_preprocess raw;
    int64_t chw[3];
    assert_ok(clv_preprocess_preset(&raw, "raw", err));
    assert_refused(clv_dataset_shape(set, 14, &raw, chw, err), CLV_ERR_DATA, "1/4.png: PNG");
    clv_dataset_free(set);

    opts.max_bad = 0.03;
    assert_ok(clv_dataset_open(&set, path, &opts, err));
    static float out[40 * 72];
    clv_tensor batch = {CLV_FLOAT32, 4, {40, 3, 4, 6}, out};
    assert_refused(clv_dataset_read(set, 0, 40, &raw, &batch, NULL, context, err), CLV_ERR_DATA, "2 of the 40 items");
    clv_dataset_free(set);

    set = open_plain(in_folder("corrupt/0"));
    write_png(in_folder("corrupt/0/3.png"), 0, 5, 6);
    batch.dims[0] = 10;
    assert_refused(clv_dataset_read(set, 0, 10, &raw, &batch, NULL, context, err), CLV_ERR_DATA, "\"3.png\"");
    assert_refused(clv_dataset_read(set, 0, 10, &raw, &batch, NULL, context, err), CLV_ERR_DATA, "3x5x6");
    assert_refused(clv_dataset_read(set, 5, 10, &raw, &batch, NULL, context, err), CLV_ERR_ARG, "items 5 to 14");
    assert_refused(clv_dataset_read(set, 0, 5, &raw, &batch, NULL, context, err), CLV_ERR_ARG, "5 items");
    assert_refused(clv_dataset_read(set, 0, 10, NULL, &batch, NULL, context, err), CLV_ERR_ARG, "need a preprocessing");
    raw.std[0] = 0;
    assert_refused(clv_dataset_read(set, 0, 10, &raw, &batch, NULL, context, err), CLV_ERR_ARG, "std of channel 0");
    clv_dataset_free(set);
    clv_context_free(context);
}

static void bytes_do_not_depend_on_threads(void **state)
{
    const char *path = many("threads");
    clv_preprocess p;
    clv_tensor t[2];
    (void)state;
    assert_ok(clv_preprocess_preset(&p, "imagenet", err));
    p.resize = 15;
    p.crop_h = p.crop_w = 17;
    for (int i = 0; i < 2; i++) {
        clv_context *context = make_context(i + 1, NULL, NULL);
        clv_dataset *set = open_plain(path);
        t[i] = (clv_tensor){CLV_FLOAT32, 4, {40, 3, 17, 17}, clvi_alloc(40 * 3 * 17 * 17 * 4)};
        assert_ok(clv_dataset_read(set, 0, 40, &p, &t[i], NULL, context, err));
        clv_dataset_free(set);
        clv_context_free(context);
    }
    assert_memory_equal(t[0].data, t[1].data, 40 * 3 * 17 * 17 * 4);
    clv_npy_free(&t[0]);
    clv_npy_free(&t[1]);
}

static void reading_can_be_interrupted(void **state)
{
    static float out[40 * 72];
    volatile sig_atomic_t cancel = 0;
    clv_context *context = make_context(2, NULL, &cancel);
    clv_tensor batch = {CLV_FLOAT32, 4, {40, 3, 4, 6}, out};
    clv_dataset *set = open_plain(many("cancel"));
    clv_preprocess raw;
    (void)state;
    assert_ok(clv_preprocess_preset(&raw, "raw", err));
    assert_ok(clv_dataset_read(set, 0, 40, &raw, &batch, NULL, context, err));
    cancel = 1;
    assert_refused(clv_dataset_read(set, 0, 40, &raw, &batch, NULL, context, err), CLV_ERR_INTERRUPTED, "stopped");
    clv_dataset_free(set);
    clv_context_free(context);
}

static void paths_sort_by_component(void **state)
{
    static const char *const sorted[] = {"", "a", "a/b", "a/b/c", "a/c", "a b", "a-b", "a-b/a", "ab", "b", "\xc3\xa4"};
    (void)state;
    for (int i = 0; i < 11; i++)
        for (int j = 0; j < 11; j++)
            assert_int_equal(clvi_path_compare(sorted[i], sorted[j]), (i > j) - (i < j));
}

static int clean_live;

static int set_up(void **state)
{
    clean_live = (int)clvi_mem_live();
    return folder_make(state);
}

static int tear_down(void **state)
{
    return folder_remove(state) != 0 || clvi_mem_live() != clean_live;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_folders),
        cmocka_unit_test(flat_folder_and_label_files),
        cmocka_unit_test(list_file),
        cmocka_unit_test(tar_archive),
        cmocka_unit_test(cifar_files),
        cmocka_unit_test(numpy_arrays),
        cmocka_unit_test(compressed_npz_is_unpacked_aside),
        cmocka_unit_test(single_image_and_unknown_files),
        cmocka_unit_test(limit_picks_evenly),
        cmocka_unit_test(corrupt_items_are_named_and_counted_once),
        cmocka_unit_test(bytes_do_not_depend_on_threads),
        cmocka_unit_test(reading_can_be_interrupted),
        cmocka_unit_test(paths_sort_by_component),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
