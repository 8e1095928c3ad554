/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy files: round trips, NumPy's own dialects, and headers that lie. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "data/npy.h"
#include "data/zip.h"

/* magic, version, header text, data -> a file; the length field is right unless `length` >= 0. */
static const char *npy_file(int version, const char *header, long length, const void *data, size_t size)
{
    const char *path = in_folder("made.npy");
    uint8_t bytes[70000];
    const size_t n = strlen(header), at = version > 1 ? 12 : 10;
    const unsigned long claimed = length >= 0 ? (unsigned long)length : n;
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (uint8_t)version;
    bytes[7] = 0;
    for (size_t i = 8; i < at; i++)
        bytes[i] = (uint8_t)(claimed >> (8 * (i - 8)));
    memcpy(bytes + at, header, n);
    if (size)
        memcpy(bytes + at + n, data, size);
    write_file(path, bytes, at + n + size);
    return path;
}

static void every_type_comes_back(void **state)
{
    static const clv_dtype types[] = {CLV_FLOAT32, CLV_FLOAT64, CLV_FLOAT16, CLV_UINT8, CLV_INT8,   CLV_UINT16,
                                      CLV_INT16,   CLV_UINT32,  CLV_INT32,   CLV_INT64, CLV_UINT64, CLV_BOOL};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int rank = 0; rank <= CLV_MAX_RANK; rank++) {
            uint8_t bytes[2048];
            clv_tensor t = {types[i], rank, {2, 3, 1, 2, 1, 2, 1, 2}, bytes}, back;
            for (size_t k = 0; k < sizeof bytes; k++)
                bytes[k] = types[i] == CLV_BOOL ? k % 2 : (uint8_t)(k * 29);
            assert_ok(clv_npy_write(&t, in_folder("t.npy"), err));
            assert_ok(clv_npy_read(&back, in_folder("t.npy"), err));
            assert_int_equal(back.dtype, t.dtype);
            assert_int_equal(back.rank, rank);
            assert_memory_equal(back.dims, t.dims, (size_t)rank * sizeof *t.dims);
            assert_memory_equal(back.data, bytes, (size_t)clv_tensor_count(&t) * clv_dtype_size(t.dtype));
            clv_npy_free(&back);
        }
}

static void data_begins_at_a_multiple_of_64(void **state)
{
    float x[3] = {1, 2, 3};
    const clv_tensor t = {CLV_FLOAT32, 1, {3}, x};
    clvi_bytes file;
    (void)state;
    assert_ok(clv_npy_write(&t, in_folder("t.npy"), err));
    assert_ok(clvi_file_read(&file, in_folder("t.npy"), err));
    assert_int_equal(file.size, 128 + 12);
    assert_memory_equal(file.data + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }  ", 59);
    assert_int_equal(file.data[127], '\n');
    clvi_free(file.data);
}

static void empty_arrays_are_arrays(void **state)
{
    const clv_tensor t = {CLV_FLOAT32, 3, {4, 0, 5}, NULL};
    clv_tensor back;
    (void)state;
    assert_ok(clv_npy_write(&t, in_folder("t.npy"), err));
    assert_ok(clv_npy_read(&back, in_folder("t.npy"), err));
    assert_int_equal(clv_tensor_count(&back), 0);
    clv_npy_free(&back);
}

static void dialects_are_understood(void **state)
{
    const int16_t data[6] = {1, 2, 3, 4, 5, 6};
    static const char *const headers[] = {
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }\n",
        "{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<i2\"}",
        " { 'fortran_order' : False , 'descr':'=i2','shape':(2L, 3L)}   \n",
        "{'descr': '|i2', 'fortran_order': False, 'shape': (2, 3,), }",
    };
    (void)state;
    for (int version = 1; version <= 3; version++)
        for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
            clv_tensor t;
            assert_ok(clv_npy_read(&t, npy_file(version, headers[i], -1, data, 12), err));
            assert_true(t.rank == 2 && t.dims[0] == 2 && t.dims[1] == 3 && t.dtype == CLV_INT16);
            assert_memory_equal(t.data, data, 12);
            clv_npy_free(&t);
        }
}

static void fortran_order_is_transposed(void **state)
{
    int32_t data[24];
    clv_tensor t;
    (void)state;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++)
                data[i + 2 * (j + 3 * k)] = 100 * i + 10 * j + k;
    assert_ok(clv_npy_read(
        &t, npy_file(1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3, 4), }", -1, data, 96), err));
    for (int i = 0; i < 24; i++)
        assert_int_equal(((int32_t *)t.data)[i], 100 * (i / 12) + 10 * (i / 4 % 3) + i % 4);
    clv_npy_free(&t);
}

static void bools_become_0_or_1(void **state)
{
    clv_tensor t;
    (void)state;
    assert_ok(clv_npy_read(
        &t, npy_file(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", -1, "\0\1\377", 3), err));
    assert_memory_equal(t.data, "\0\1\1", 3);
    clv_npy_free(&t);
}

static void lying_headers_are_refused(void **state)
{
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "big-endian"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "\"<c8\""},
        {"{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }", "\"<f3\""},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "structured"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "3 elements of float32"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "1 elements of float32"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "overflows"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952,), }", "2305843009213693952 elements"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }", "more than 8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, }", "malformed"},
        {"{'descr': '<f4', 'shape': (2,), }", "malformed"},
        {"{'fortran_order': False, 'shape': (2,), }", "malformed"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "malformed"},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", "malformed"},
        {"{'descr': '<f4", "malformed"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2,), }", "malformed"},
        {"{'a very long key that is not known': '<f4'}", "malformed"},
        {"", "malformed"},
    };
    clv_tensor t;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(clv_npy_read(&t, npy_file(1, cases[i].header, -1, "12345678", 8), err), CLV_ERR_DATA,
                       cases[i].message);
        assert_null(t.data);
    }
    const char *good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
    assert_refused(clv_npy_read(&t, npy_file(4, good, -1, "12345678", 8), err), CLV_ERR_DATA, "version 4");
    assert_refused(clv_npy_read(&t, npy_file(1, good, 60000, "12345678", 8), err), CLV_ERR_DATA, "ends after");
    assert_refused(clv_npy_read(&t, npy_file(2, good, 0x7fffffff, "12345678", 8), err), CLV_ERR_DATA,
                   "2147483647 bytes");
    write_text(in_folder("made.npy"), "PK");
    assert_refused(clv_npy_read(&t, in_folder("made.npy"), err), CLV_ERR_DATA, "2 bytes");
    write_text(in_folder("made.npy"), "not an array at all");
    assert_refused(clv_npy_read(&t, in_folder("made.npy"), err), CLV_ERR_DATA, "does not begin");
    assert_refused(clv_npy_read(&t, in_folder("absent.npy"), err), CLV_ERR_IO, "absent.npy");
    assert_refused(clv_npy_read(&t, in_folder("."), err), CLV_ERR_IO, "not a regular file");
}

static void what_cannot_be_written_is_refused(void **state)
{
    float x[1] = {0};
    const clv_tensor bf16 = {CLV_BFLOAT16, 1, {1}, x}, broken = {CLV_FLOAT32, 1, {-1}, x},
                     none = {CLV_FLOAT32, 1, {1}, NULL}, good = {CLV_FLOAT32, 1, {1}, x};
    (void)state;
    assert_refused(clv_npy_write(&bf16, in_folder("w.npy"), err), CLV_ERR_ARG, "cannot hold bfloat16");
    assert_refused(clv_npy_write(&broken, in_folder("w.npy"), err), CLV_ERR_ARG, "dimensions");
    assert_refused(clv_npy_write(&none, in_folder("w.npy"), err), CLV_ERR_ARG, "dimensions");
    assert_refused(clv_npy_write(&good, in_folder("no/w.npy"), err), CLV_ERR_IO, "no/w.npy");
    write_text(in_folder("w.npy"), "old");
    assert_refused(clv_npy_write(&good, "/dev/full", err), CLV_ERR_IO, "/dev/full");
}

/* NumPy's savez_compressed made the fixtures; here its stored twin by hand, and damage. */
static void zip_members_are_found_and_checked(void **state)
{
    clvi_bytes file;
    clvi_zip zip;
    clvi_range range;
    clv_tensor t = stored(FIXTURES "torchvision.npz", "case0");
    (void)state;
    assert_true(t.dtype == CLV_INT32 && t.rank == 1 && ((int32_t *)t.data)[0] == 13);
    clv_npy_free(&t);
    assert_ok(clvi_file_read(&file, FIXTURES "torchvision.npz", err));
    const long live = clvi_mem_live();
    for (size_t i = 0; i < 2; i++) { /* one wrong byte inside the first member's data */
        uint8_t *copy = clvi_alloc(file.size);
        memcpy(copy, file.data, file.size);
        copy[60 + 40 * i] ^= 0x10;
        write_file(in_folder("bad.npz"), copy, file.size);
        assert_ok(clvi_zip_open(&zip, in_folder("bad.npz"), err));
        assert_refused(clvi_zip_member(&range, &zip, &zip.entries[0], err), CLV_ERR_FORMAT, "in0.npy\" is corrupt");
        clvi_zip_close(&zip);
        clvi_free(copy);
    }
    for (size_t n = 0; n < file.size; n += 97) {
        write_file(in_folder("bad.npz"), file.data, n);
        assert_refused(clvi_zip_open(&zip, in_folder("bad.npz"), err), CLV_ERR_FORMAT, "bad.npz");
    }
    assert_int_equal(clvi_mem_live(), live);
    clvi_free(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(data_begins_at_a_multiple_of_64),
        cmocka_unit_test(empty_arrays_are_arrays),
        cmocka_unit_test(dialects_are_understood),
        cmocka_unit_test(fortran_order_is_transposed),
        cmocka_unit_test(bools_become_0_or_1),
        cmocka_unit_test(lying_headers_are_refused),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(zip_members_are_found_and_checked),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
