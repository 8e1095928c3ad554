/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

double parse_time(const char *text)
{
    char *end = NULL;
    errno = 0;
    const double value = strtod(text, &end);
    if (end == text || errno || !isfinite(value) || value <= 0)
        return -1;
    if (strcmp(end, "") == 0 || strcmp(end, "s") == 0)
        return value;
    if (strcmp(end, "m") == 0)
        return value * 60;
    return strcmp(end, "h") == 0 ? value * 3600 : -1;
}

int64_t parse_shift(const char *text)
{
    char *end = NULL;
    if (!text || !*text)
        return -1;
    const long n = strtol(text, &end, 10);
    return end == text || *end || n < 0 || n > 1024 ? -2 : n;
}

bool same_file(const char *x, const char *y)
{
    struct stat a, b;
    return stat(x, &a) == 0 && stat(y, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

const char *find_rivals(char path[SCRIPT_PATH])
{
    const char *const share = getenv("CLEAVE_SHARE");
    char self[SCRIPT_PATH - 64];
    if (share && *share) {
        (void)snprintf(path, SCRIPT_PATH, "%.900s/rivals.py", share);
        return path;
    }
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *const name = strrchr(self, '/');
    if (name)
        *name = '\0';
    (void)snprintf(path, SCRIPT_PATH, "%s/../%s", self, "share/cleave/rivals.py");
    return path;
}

/* From a report of its own into the app's. */
static clv_status copy_figures(app *a, const clv_report *report, const char *key)
{
    static const char *const figures[][2] = {{"accuracy.top1", "top1"}, {"agreement.same_class", "agreement"}};
    clv_status st = CLV_OK;
    double value;
    for (size_t i = 0; i < 2 && st == CLV_OK; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s.%s", key, figures[i][1]);
        if (clv_report_number(report, figures[i][0], &value, NULL) == CLV_OK)
            st = clv_report_set_real(a->report, path, value, 2, &a->err);
    }
    if (st == CLV_OK && clv_report_number(report, "against.top1", &value, NULL) == CLV_OK)
        st = clv_report_set_real(a->report, "teacher.top1", value, 2, &a->err);
    return st;
}

clv_status measure(app *a, const measured *m, const clv_model *model, const char *key)
{
    clv_dataset *dataset = NULL;
    clv_report *report = NULL;
    clv_evaluate_opts opts = clv_evaluate_opts_default();
    image_options plain = NO_IMAGE_OPTIONS; /* --limit is for the training images */
    plain.labels = m->labels;
    opts.against = m->against;
    opts.preprocess = m->preprocess;
    opts.no_check = true;
    clv_status st = open_dataset(a, &plain, m->images, &dataset);
    if (st == CLV_OK)
        st = clv_report_create(&report, &a->err);
    if (st == CLV_OK)
        st = clv_evaluate(model, dataset, &opts, a->context, report, &a->err);
    if (st == CLV_OK)
        st = copy_figures(a, report, key);
    clv_report_free(report);
    clv_dataset_free(dataset);
    return st;
}
