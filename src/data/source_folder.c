/* SPDX-License-Identifier: Apache-2.0 */
/* Folders: of class folders, of images, or of CIFAR files; and the single image. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/str.h"
#include "data/dataset.h"

static const clvi_source images = {.image = clvi_dataset_decode};

/* What lies in a folder, hidden names left out. Names are NUL-terminated one after the other. */
typedef struct listing {
    clvi_str folders, images, cifar;
    int64_t folder_count, image_count, cifar_count;
    bool labels;
} listing;

static void listing_free(listing *l)
{
    clvi_str_free(&l->folders);
    clvi_str_free(&l->images);
    clvi_str_free(&l->cifar);
}

static bool is_cifar_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && strcasecmp(dot, ".bin") == 0;
}

static void list_name(listing *l, const char *name, bool folder)
{
    clvi_str *names = folder                     ? &l->folders
                      : clvi_image_is_name(name) ? &l->images
                      : is_cifar_name(name)      ? &l->cifar
                                                 : NULL;
    l->labels |= !folder && strcmp(name, "labels.txt") == 0;
    if (!names)
        return;
    clvi_str_append(names, name, strlen(name) + 1);
    l->folder_count += names == &l->folders;
    l->image_count += names == &l->images;
    l->cifar_count += names == &l->cifar;
}

static clv_status list_folder(listing *l, const char *path, clv_error *err)
{
    clvi_str full = {0};
    struct stat info;
    *l = (listing){0};
    DIR *dir = opendir(path);
    if (!dir)
        return FAIL(err, CLV_ERR_IO, "cannot open the folder \"%s\": %s", path, strerror(errno));
    clv_status st = CLV_OK;
    while (st == CLV_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno)
                st = FAIL(err, CLV_ERR_IO, "cannot read the folder \"%s\": %s", path, strerror(errno));
            break;
        }
        if (entry->d_name[0] == '.')
            continue;
        full.size = 0;
        clvi_str_printf(&full, "%s/%s", path, entry->d_name);
        if (full.failed)
            break;
        /* A link to nowhere is listed as a file, so that it is met, named and counted as unreadable. */
        const bool found = stat(full.text, &info) == 0;
        list_name(l, entry->d_name, found && S_ISDIR(info.st_mode));
    }
    (void)closedir(dir);
    if (st == CLV_OK && (full.failed || l->folders.failed || l->images.failed || l->cifar.failed))
        st = FAIL(err, CLV_ERR_NOMEM, "names in \"%s\"", path);
    clvi_str_free(&full);
    if (st != CLV_OK)
        listing_free(l);
    return st;
}

/* The next of NUL-terminated names; *name is NULL at the start and at the end. */
static bool next_name(const clvi_str *names, const char **name)
{
    const char *next = *name ? *name + strlen(*name) + 1 : names->text;
    *name = next && next < names->text + names->size ? next : NULL;
    return *name != NULL;
}

/* Items of one listing, under `inside` ("" or the class folder). */
static clv_status add_images(clv_dataset *dataset, const listing *l, const char *inside, int64_t label, clv_error *err)
{
    for (const char *name = NULL; next_name(&l->images, &name);) {
        const char *full = clvi_dataset_join(dataset, inside, name);
        const char *file = full ? clvi_dataset_join(dataset, dataset->path, full) : NULL;
        const clvi_item item = {.name = full, .file = file, .size = CLVI_WHOLE_FILE, .label = label};
        TRY(clvi_dataset_add(dataset, item, err));
    }
    return CLV_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static clv_status add_class(clv_dataset *dataset, const char *name, int64_t label, clv_error *err)
{
    listing l;
    const char *path = clvi_dataset_join(dataset, dataset->path, name);
    if (!path)
        return FAIL(err, CLV_ERR_NOMEM, "folder \"%s\"", name);
    TRY(list_folder(&l, path, err));
    clv_status st;
    if (l.image_count == 0)
        st = FAIL(err, CLV_ERR_DATA,
                  "\"%s\" was taken for class folders of .jpg .jpeg .png images, but \"%s\" holds no image%s",
                  dataset->path, name, l.folder_count ? ", only folders: name that folder instead" : "");
    else
        st = add_images(dataset, &l, name, label, err);
    listing_free(&l);
    return st;
}

static clv_status add_classes(clv_dataset *dataset, const listing *l, clv_error *err)
{
    const size_t n = (size_t)l->folder_count;
    const char **names = clvi_alloc_array(n, sizeof *names), *name = NULL;
    if (!names)
        return FAIL(err, CLV_ERR_NOMEM, "%zu classes of \"%s\"", n, dataset->path);
    for (size_t i = 0; i < n && next_name(&l->folders, &name); i++)
        names[i] = name;
    qsort(names, n, sizeof *names, by_text);
    clv_status st = CLV_OK;
    for (size_t i = 0; i < n && st == CLV_OK; i++)
        st = add_class(dataset, names[i], (int64_t)i, err);
    clvi_free(names);
    return st;
}

static clv_status add_flat(clv_dataset *dataset, const listing *l, clv_error *err)
{
    TRY(add_images(dataset, l, "", -1, err));
    clvi_dataset_sort(dataset);
    if (!l->labels)
        return CLV_OK;
    const char *path = clvi_dataset_join(dataset, dataset->path, "labels.txt");
    return path ? clvi_label_file_apply(dataset, path, err)
                : FAIL(err, CLV_ERR_NOMEM, "labels of \"%s\"", dataset->path);
}

/* The folder that CIFAR comes in holds the training and the test files: together they would be a mistake. */
static clv_status add_cifar(clv_dataset *dataset, const listing *l, clv_error *err)
{
    int64_t test = 0;
    for (const char *name = NULL; next_name(&l->cifar, &name);)
        test += strstr(name, "test") != NULL;
    if (test > 0 && test < l->cifar_count)
        return FAIL(err, CLV_ERR_DATA,
                    "\"%s\" holds training and test files (.bin); name one file, or a folder with one kind alone",
                    dataset->path);
    for (const char *name = NULL; next_name(&l->cifar, &name);) {
        const char *path = clvi_dataset_join(dataset, dataset->path, name);
        if (!path)
            return FAIL(err, CLV_ERR_NOMEM, "file \"%s\"", name);
        TRY(clvi_cifar_add_file(dataset, path, name, err));
    }
    clvi_dataset_sort(dataset);
    return CLV_OK;
}

clv_status clvi_open_folder(clv_dataset *dataset, clv_error *err)
{
    listing l;
    TRY(list_folder(&l, dataset->path, err));
    clv_status st;
    dataset->source = &images;
    if ((l.image_count > 0) + (l.folder_count > 0) + (l.cifar_count > 0) > 1) {
        st = FAIL(err, CLV_ERR_DATA,
                  "\"%s\" holds %lld folders, %lld images and %lld .bin files; one kind alone was expected",
                  dataset->path, (long long)l.folder_count, (long long)l.image_count, (long long)l.cifar_count);
    } else if (l.folder_count > 0) {
        st = add_classes(dataset, &l, err);
        clvi_dataset_sort(dataset);
    } else if (l.image_count > 0) {
        st = add_flat(dataset, &l, err);
    } else if (l.cifar_count > 0) {
        st = add_cifar(dataset, &l, err);
    } else {
        st = FAIL(err, CLV_ERR_DATA,
                  "\"%s\" holds neither images (.jpg .jpeg .png), nor folders of them, nor CIFAR files (.bin)",
                  dataset->path);
    }
    listing_free(&l);
    return st;
}

clv_status clvi_open_single(clv_dataset *dataset, clv_error *err)
{
    const char *slash = strrchr(dataset->path, '/');
    dataset->source = &images;
    const clvi_item item = {
        .name = slash ? slash + 1 : dataset->path, .file = dataset->path, .size = CLVI_WHOLE_FILE, .label = -1};
    return clvi_dataset_add(dataset, item, err);
}
