/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/json_check.h"
#include "report/number.h"
#include "report/plot.h"
#include "report/report.h"

static char folder[] = "/tmp/cleave-report-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static clv_report *new_report(void)
{
    clv_report *r = NULL;
    assert_int_equal(clv_report_create(&r, NULL), CLV_OK);
    return r;
}

/* The file, ended by a NUL and removed (clvi_free). */
static char *take_file(const char *path)
{
    clvi_bytes bytes;
    assert_int_equal(clvi_file_read(&bytes, path, NULL), CLV_OK);
    char *text = clvi_grow(bytes.data, bytes.size, bytes.size + 1);
    assert_non_null(text);
    text[bytes.size] = '\0';
    assert_int_equal(unlink(path), 0);
    return text;
}

static char *json_of(const clv_report *r)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/x.json", folder);
    assert_int_equal(clv_report_write_json(r, path, NULL), CLV_OK);
    return take_file(path);
}

static char *print_of(const clv_report *r)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/x.txt", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(clv_report_print(r, f, NULL), CLV_OK);
    assert_int_equal(fclose(f), 0);
    return take_file(path);
}

static void fill(clv_report *r)
{
    clvi_item *root = clvi_report_root(r), *after = clvi_report_object(root, "after");
    clvi_report_text(root, "file", "net.onnx");
    clvi_report_int(after, "macs", 40551040);
    clvi_report_real(after, "top1", 91.5, 2);
    clvi_item *layers = clvi_report_table(root, "layers");
    for (int i = 0; i < 3; i++) {
        clvi_item *row = clvi_report_row(layers);
        clvi_report_text(row, "layer", i == 1 ? "a \"quoted\"\n\\name" : "conv");
        clvi_report_real(row, "error", i == 2 ? (double)NAN : 0.125 * i, 3);
        if (i == 1)
            clvi_report_bool(row, "kept", true);
    }
}

static void entries_are_found_by_path(void **state)
{
    (void)state;
    double x;
    clv_error err;
    clv_report *r = new_report();
    fill(r);
    assert_int_equal(clv_report_number(r, "after.top1", &x, NULL), CLV_OK);
    assert_true(x == 91.5);
    assert_int_equal(clv_report_number(r, "layers.1.error", &x, NULL), CLV_OK);
    assert_true(x == 0.125);
    assert_int_equal(clv_report_number(r, "layers.1.kept", &x, NULL), CLV_OK);
    assert_string_equal(clv_report_string(r, "file"), "net.onnx");
    const char *const nowhere[] = {"",
                                   ".",
                                   "after",
                                   "after.",
                                   "layers.3.error",
                                   "layers.x.error",
                                   "layers..error",
                                   "file",
                                   "file.x",
                                   "layers.99999999999999999999999.error"};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
        assert_int_equal(clv_report_number(r, nowhere[i], &x, &err), CLV_ERR_ARG);
    assert_null(clv_report_string(r, "after.top1"));
    clv_report_free(r);
}

static void setting_again_replaces(void **state)
{
    (void)state;
    double x;
    clv_report *r = new_report();
    clvi_item *root = clvi_report_root(r);
    clvi_report_int(root, "n", 1);
    clvi_report_real(root, "n", 2.5, 1);
    assert_int_equal(clv_report_number(r, "n", &x, NULL), CLV_OK);
    assert_true(x == 2.5);
    assert_ptr_equal(clvi_report_object(root, "o"), clvi_report_object(root, "o"));
    clvi_report_int(clvi_report_object(root, "n"), "inside", 3);
    assert_int_equal(clv_report_number(r, "n.inside", &x, NULL), CLV_OK);
    char *text = json_of(r);
    assert_null(strstr(text, "2.5"));
    clvi_free(text);
    clv_report_free(r);
}

static void json_is_json(void **state)
{
    (void)state;
    clv_report *r = new_report();
    fill(r);
    clvi_item *root = clvi_report_root(r);
    clvi_report_text(root, "bytes", "caf\xC3\xA9 \xFF\xC0\xAF \xED\xA0\x80 \xF0\x9F\x98\x80 \x01\x7F");
    clvi_report_real(root, "third", 1.0 / 3, 2);
    clvi_report_real(root, "huge", -1e300, 0);
    clvi_report_real(root, "infinite", (double)-INFINITY, 0);
    (void)clvi_report_table(root, "empty");
    clvi_report_hide(clvi_report_table(root, "layers"));
    char *text = json_of(r);
    assert_true(is_json(text));
    assert_non_null(strstr(text, "\"schema\": 1"));
    assert_non_null(strstr(text, "\"error\": null"));
    assert_non_null(strstr(text, "a \\\"quoted\\\"\\u000a\\\\name"));
    assert_non_null(
        strstr(text, "caf\xC3\xA9 \\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd \xF0\x9F\x98\x80 \\u0001\\u007f"));
    assert_true(strtod(strstr(text, "\"third\": ") + 9, NULL) == 1.0 / 3);
    assert_non_null(strstr(text, "\"infinite\": null"));
    assert_non_null(strstr(text, "\"empty\": []"));
    clvi_free(text);
    clv_report_free(r);
}

static void text_is_aligned(void **state)
{
    (void)state;
    clv_report *r = new_report();
    fill(r);
    char *text = print_of(r);
    assert_string_equal(text, "file: net.onnx\n"
                              "\n"
                              "after\n"
                              "  macs: 40,551,040\n"
                              "  top1: 91.50\n"
                              "\n"
                              "layers\n"
                              "  layer             error  kept\n"
                              "  conv              0.000\n"
                              "  a \"quoted\"?\\name  0.125   yes\n"
                              "  conv                  -\n");
    clvi_free(text);
    clvi_report_hide(clvi_report_table(clvi_report_root(r), "layers"));
    text = print_of(r);
    assert_null(strstr(text, "layers"));
    clvi_free(text);
    clv_report_free(r);
}

static void paths_can_be_set(void **state)
{
    (void)state;
    double x;
    clv_error err;
    clv_report *r = new_report();
    assert_int_equal(clv_report_set_int(r, "a.b.c", 7, &err), CLV_OK);
    assert_int_equal(clv_report_set_text(r, "t.0.name", "first", &err), CLV_OK);
    assert_int_equal(clv_report_set_real(r, "t.0.size", 0.5, 1, &err), CLV_OK);
    assert_int_equal(clv_report_set_text(r, "t.1.name", "second", &err), CLV_OK);
    assert_int_equal(clv_report_number(r, "a.b.c", &x, NULL), CLV_OK);
    assert_true(x == 7);
    assert_string_equal(clv_report_string(r, "t.1.name"), "second");
    const char *const wrong[] = {"", "a..b", "3", "t.3.name", "t.x.name", "a.b.c.d", "t.0", "a.b.0.x", "t.0.0.x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (clv_report_set_int(r, wrong[i], 1, &err) != CLV_ERR_ARG)
            fail_msg("\"%s\" was taken", wrong[i]);
    char *text = json_of(r);
    assert_true(is_json(text));
    clvi_free(text);
    clv_report_free(r);
}

static void short_memory_is_said_once(void **state)
{
    (void)state;
    const long live = clvi_mem_live();
    int failures = 0;
    for (long n = 0; n < 40; n++) {
        clv_report *r = NULL;
        clvi_mem_fail_after(n);
        clv_status st = clv_report_create(&r, NULL);
        if (st == CLV_OK) {
            clvi_item *root = clvi_report_root(r);
            char big[5000];
            memset(big, 'x', sizeof big - 1);
            big[sizeof big - 1] = '\0';
            clvi_report_text(root, "big", big);
            clvi_report_text(clvi_report_row(clvi_report_table(root, "t")), "big", big);
            st = clvi_report_check(r, NULL);
        }
        clvi_mem_fail_after(-1);
        failures += st == CLV_ERR_NOMEM;
        assert_true(st == CLV_OK || st == CLV_ERR_NOMEM);
        clv_report_free(r);
        assert_int_equal(clvi_mem_live(), live);
    }
    assert_true(failures > 2 && failures < 40);
    clvi_report_text(clvi_report_row(clvi_report_table(clvi_report_root(NULL), "t")), "x",
                     "y"); /* no report, no work */
    assert_int_equal(clvi_report_check(NULL, NULL), CLV_OK);
}

static void numbers_are_the_same_everywhere(void **state)
{
    (void)state;
    char text[CLVI_NUMBER_SIZE];
    const char *const names[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
    for (size_t i = 0; i < 3; i++) {
        (void)setlocale(LC_ALL, names[i]); /* where it is installed */
        clvi_number_exact(text, 0.1);
        assert_string_equal(text, "0.1");
        clvi_number_fixed(text, 2.0 / 3, 3);
        assert_string_equal(text, "0.667");
        clvi_number_fixed(text, 1.26e-9, 3);
        assert_string_equal(text, "1.3e-09");
        clvi_number_short(text, 0.3 - 1e-17);
        assert_string_equal(text, "0.3");
    }
    (void)setlocale(LC_ALL, "C");
    clvi_number_grouped(text, INT64_MIN);
    assert_string_equal(text, "-9,223,372,036,854,775,808");
    clvi_number_grouped(text, 1234);
    assert_string_equal(text, "1234");
    clvi_number_fixed(text, (double)INFINITY, 3);
    assert_string_equal(text, "-");
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)); p++)
        n++;
    return n;
}

static void charts_hold_their_points(void **state)
{
    (void)state;
    char path[64];
    clv_error err;
    const double x[] = {1, 10, 100, 1000}, y[] = {0.5, (double)NAN, 0.25, -1}, same[] = {3, 3, 3, 3};
    const clvi_series series[] = {{"a < b & \"c\"", x, y, 4}, {NULL, x, x, 4}};
    clvi_plot plot = {.title = "T", .x_label = "X", .y_label = "Y", .log_x = true, .series = series, .n_series = 2};
    (void)snprintf(path, sizeof path, "%s/x.svg", folder);
    assert_int_equal(clvi_plot_write(&plot, 1, path, &err), CLV_OK);
    char *text = take_file(path);
    assert_int_equal(count_of(text, "<circle"), 3 + 4 + 1); /* finite points, and one legend entry */
    assert_int_equal(count_of(text, "<g "), count_of(text, "</g>"));
    assert_non_null(strstr(text, "a &lt; b &amp; &quot;c&quot;"));
    assert_non_null(strstr(text, "prefers-color-scheme:dark"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    clvi_free(text);
    plot.log_y = true; /* leaves the negative one out */
    const clvi_plot both[] = {plot, plot};
    assert_int_equal(clvi_plot_write(both, 2, path, &err), CLV_OK);
    text = take_file(path);
    assert_int_equal(count_of(text, "<circle"), 2 * (2 + 4 + 1));
    clvi_free(text);
    const clvi_series flat = {"flat", same, same, 4};
    const clvi_plot flats[] = {{.series = &flat, .n_series = 1},
                               {.series = &flat, .n_series = 1, .log_x = true, .log_y = true}};
    assert_int_equal(clvi_plot_write(flats, 2, path, &err), CLV_OK);
    text = take_file(path);
    assert_null(strstr(text, "nan"));
    clvi_free(text);
    const clvi_series nothing = {"none", x, y + 1, 1};
    const clvi_plot bare = {.series = &nothing, .n_series = 1};
    assert_int_equal(clvi_plot_write(&bare, 1, path, &err), CLV_ERR_ARG);
    assert_int_equal(access(path, F_OK), -1);
    plot.n_series = CLVI_PLOT_MAX_SERIES + 1;
    assert_int_equal(clvi_plot_write(&plot, 1, path, &err), CLV_ERR_ARG);
}

static void the_checker_of_json_refuses(void **state)
{
    (void)state;
    const char *const wrong[] = {"",    "{",     "[1,]",    "{\"a\":1,}", "{a:1}", "01",        "1.",  "\"\n\"",
                                 "nul", "[1 2]", "\"\\x\"", "{\"a\" 1}",  "1 1",   "\"\\u12\"", "[1]]"};
    const char *const right[] = {"{}", "[]", " [ 1 , -0.5e+3 , \"\\u00e9\" , null ] ", "{\"a\":{\"b\":[true,false]}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (is_json(wrong[i]))
            fail_msg("%s is taken for JSON", wrong[i]);
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        if (!is_json(right[i]))
            fail_msg("%s is not taken for JSON", right[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_by_path),
        cmocka_unit_test(setting_again_replaces),
        cmocka_unit_test(json_is_json),
        cmocka_unit_test(text_is_aligned),
        cmocka_unit_test(paths_can_be_set),
        cmocka_unit_test(short_memory_is_said_once),
        cmocka_unit_test(numbers_are_the_same_everywhere),
        cmocka_unit_test(charts_hold_their_points),
        cmocka_unit_test(the_checker_of_json_refuses),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
