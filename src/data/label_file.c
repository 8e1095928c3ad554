/* SPDX-License-Identifier: Apache-2.0 */
#include "data/label_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "data/dataset.h"

#define TEXT_MAX ((size_t)1 << 31)

/* All of text[0, n) as an integer 0..CLVI_LABEL_MAX; -1 when it is anything else. */
static int64_t parse_label(const char *text, size_t n)
{
    int64_t v = 0;
    if (n == 0 || n > 7)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        v = v * 10 + (text[i] - '0');
    }
    return v <= CLVI_LABEL_MAX ? v : -1;
}

static size_t trim(const char *line, size_t n, const char *of)
{
    while (n > 0 && strchr(of, line[n - 1]))
        n--;
    return n;
}

/* name TAB label [TAB ...] */
static clv_status cut_tabs(clvi_label_line *out, char *line, size_t n, const char *path, clv_error *err)
{
    char *tab = memchr(line, '\t', n);
    const char *field = tab + 1;
    const char *stop = memchr(field, '\t', n - (size_t)(field - line));
    const size_t length = stop ? (size_t)(stop - field) : n - (size_t)(field - line);
    out->label = parse_label(field, length);
    if (out->label < 0 || tab == line)
        return FAIL(err, CLV_ERR_DATA,
                    "\"%s\" line %lld: name TAB label was expected, the label an integer 0 to %d: \"%.80s\"", path,
                    (long long)out->number, CLVI_LABEL_MAX, line);
    *tab = '\0';
    out->name = line;
    return CLV_OK;
}

/* [name][ or ,]label, or a name alone */
static void cut_end(clvi_label_line *out, char *line, size_t n, bool labels_alone)
{
    size_t at = n;
    while (at > 0 && line[at - 1] != ' ' && line[at - 1] != ',')
        at--;
    const int64_t label = parse_label(line + at, n - at);
    if (label >= 0 && (at > 0 || labels_alone)) {
        out->label = label;
        n = trim(line, at, " ,");
    }
    line[n] = '\0';
    out->name = line;
}

static clv_status cut_line(clvi_label_line *out, char *line, size_t n, bool labels_alone, const char *path,
                           clv_error *err)
{
    if (memchr(line, '\0', n))
        return FAIL(err, CLV_ERR_DATA, "\"%s\" line %lld holds a zero byte: not a text file", path,
                    (long long)out->number);
    line[n] = '\0';
    if (memchr(line, '\t', n))
        return cut_tabs(out, line, n, path, err);
    cut_end(out, line, n, labels_alone);
    return CLV_OK;
}

static clv_status check_same_kind(const clvi_label_file *file, const char *path, clv_error *err)
{
    for (int64_t i = 1; i < file->count; i++) {
        const clvi_label_line *a = &file->lines[0], *b = &file->lines[i];
        if ((a->label < 0) != (b->label < 0))
            return FAIL(err, CLV_ERR_DATA,
                        "\"%s\": line %lld has %s label (an integer 0 to %d at its end), line %lld has %s: \"%.80s\"",
                        path, (long long)a->number, a->label < 0 ? "no" : "a", CLVI_LABEL_MAX, (long long)b->number,
                        b->label < 0 ? "none" : "one", b->name);
        if (!*a->name != !*b->name)
            return FAIL(err, CLV_ERR_DATA, "\"%s\": line %lld has %s name, line %lld has %s", path,
                        (long long)a->number, *a->name ? "a" : "no", (long long)b->number, *b->name ? "one" : "none");
    }
    return CLV_OK;
}

static clv_status cut_lines(clvi_label_file *file, bool labels_alone, const char *path, clv_error *err)
{
    char *text = (char *)file->text.data;
    const size_t size = file->text.size; /* text[size] may be written */
    int64_t number = 0;
    size_t at = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < size) {
        char *end = memchr(text + at, '\n', size - at);
        const size_t stop = end ? (size_t)(end - text) : size;
        const size_t n = trim(text + at, stop - at, "\r \t");
        number++;
        if (n > 0) {
            clvi_label_line *line = &file->lines[file->count];
            *line = (clvi_label_line){.label = -1, .number = number};
            TRY(cut_line(line, text + at, n, labels_alone, path, err));
            file->count++;
        }
        at = stop + 1;
    }
    return CLV_OK;
}

static size_t count_lines(const clvi_bytes *text)
{
    size_t n = 1;
    for (size_t i = 0; i < text->size; i++)
        n += text->data[i] == '\n';
    return n;
}

clv_status clvi_label_file_read(clvi_label_file *file, const char *path, bool labels_alone, clv_error *err)
{
    clv_status st;
    *file = (clvi_label_file){0};
    if ((st = clvi_file_read(&file->text, path, err)) != CLV_OK)
        return st;
    uint8_t *grown =
        file->text.size < TEXT_MAX ? clvi_grow(file->text.data, file->text.size, file->text.size + 1) : NULL;
    if (grown)
        file->text.data = grown;
    file->lines = grown ? clvi_alloc_array(count_lines(&file->text), sizeof *file->lines) : NULL;
    if (!file->lines) {
        st = FAIL(err, CLV_ERR_NOMEM, "the lines of \"%s\", %zu bytes", path, file->text.size);
        goto out;
    }
    if ((st = cut_lines(file, labels_alone, path, err)) != CLV_OK)
        goto out;
    if (file->count == 0) {
        st = FAIL(err, CLV_ERR_DATA, "\"%s\" has no lines", path);
        goto out;
    }
    st = check_same_kind(file, path, err);
out:
    if (st != CLV_OK)
        clvi_label_file_free(file);
    return st;
}

void clvi_label_file_free(clvi_label_file *file)
{
    clvi_free(file->text.data);
    clvi_free(file->lines);
    *file = (clvi_label_file){0};
}

static const char *last_component(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static int by_name(const void *a, const void *b)
{
    const clvi_label_line *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static clv_status apply_in_order(clv_dataset *dataset, const clvi_label_file *file, const char *path, clv_error *err)
{
    if (file->count != dataset->count)
        return FAIL(err, CLV_ERR_DATA, "\"%s\" has %lld labels, \"%s\" has %lld images", path, (long long)file->count,
                    dataset->path, (long long)dataset->count);
    for (int64_t i = 0; i < dataset->count; i++)
        dataset->items[i].label = file->lines[i].label;
    return CLV_OK;
}

/* Sorts the lines. used[i] tells whether line i has met its image. */
static clv_status apply_by_name(clv_dataset *dataset, clvi_label_file *file, bool *used, const char *path,
                                clv_error *err)
{
    const size_t n = (size_t)file->count;
    bool whole = false; /* names with folders are compared whole */
    for (size_t i = 0; i < n; i++) {
        clvi_label_line *line = &file->lines[i];
        line->name += strncmp(line->name, "./", 2) == 0 ? 2 : 0;
        whole |= strchr(line->name, '/') != NULL;
    }
    qsort(file->lines, n, sizeof *file->lines, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(file->lines[i - 1].name, file->lines[i].name) == 0)
            return FAIL(err, CLV_ERR_DATA, "\"%s\": lines %lld and %lld both label \"%s\"", path,
                        (long long)file->lines[i - 1].number, (long long)file->lines[i].number, file->lines[i].name);
    for (int64_t i = 0; i < dataset->count; i++) {
        clvi_item *item = &dataset->items[i];
        const clvi_label_line key = {.name = whole ? item->name : last_component(item->name)};
        size_t low = 0, high = n; /* the first line that is not below the key */
        while (low < high) {
            const size_t mid = low + (high - low) / 2;
            if (strcmp(file->lines[mid].name, key.name) < 0)
                low = mid + 1;
            else
                high = mid;
        }
        if (low == n || strcmp(file->lines[low].name, key.name) != 0)
            return FAIL(err, CLV_ERR_DATA, "\"%s\": none of its %zu lines is about \"%s\"", path, n, item->name);
        item->label = file->lines[low].label;
        used[low] = true;
    }
    const clvi_label_line *first = NULL;
    for (size_t i = 0; i < n; i++)
        if (!used[i] && (!first || file->lines[i].number < first->number))
            first = &file->lines[i];
    if (first)
        return FAIL(err, CLV_ERR_DATA, "\"%s\" line %lld: there is no image \"%s\" in \"%s\"", path,
                    (long long)first->number, first->name, dataset->path);
    return CLV_OK;
}

clv_status clvi_label_file_apply(clv_dataset *dataset, const char *path, clv_error *err)
{
    clvi_label_file file;
    TRY(clvi_label_file_read(&file, path, true, err));
    clv_status st;
    bool *used = clvi_calloc((size_t)file.count, sizeof *used);
    if (!used)
        st = FAIL(err, CLV_ERR_NOMEM, "the labels of \"%s\"", path);
    else if (file.lines[0].label < 0)
        st = FAIL(err, CLV_ERR_DATA, "\"%s\" line %lld has no label (an integer 0 to %d at its end): \"%.80s\"", path,
                  (long long)file.lines[0].number, CLVI_LABEL_MAX, file.lines[0].name);
    else if (*file.lines[0].name)
        st = apply_by_name(dataset, &file, used, path, err);
    else
        st = apply_in_order(dataset, &file, path, err);
    clvi_free(used);
    clvi_label_file_free(&file);
    return st;
}
