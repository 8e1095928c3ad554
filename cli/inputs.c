/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "0.5", "1/255" */
static bool parse_number(const char *text, float *out)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text)
        return false;
    if (*end == '/') {
        const char *divisor = end + 1;
        const double y = strtod(divisor, &end);
        if (end == divisor || y == 0)
            return false;
        x /= y;
    }
    *out = (float)x;
    return *end == '\0' && isfinite(*out);
}

/* "0.485,0.456,0.406", or one number for all three */
static bool parse_three(const char *text, float out[3])
{
    int n = 0;
    for (const char *p = text;; n++) {
        char item[64];
        const size_t length = strcspn(p, ",");
        if (n == 3 || length >= sizeof item)
            return false;
        memcpy(item, p, length);
        item[length] = '\0';
        if (!parse_number(item, &out[n]))
            return false;
        if (p[length] == '\0')
            break;
        p += length + 1;
    }
    if (n == 0)
        out[1] = out[2] = out[0];
    return n == 0 || n == 2;
}

/* "224" -> 224 x 0, "240x320" -> 240 x 320 */
static bool parse_extent(const char *text, int *h, int *w)
{
    char *end;
    errno = 0;
    const long first = strtol(text, &end, 10);
    long second = 0;
    if (end == text || first < 0)
        return false;
    if (*end == 'x') {
        const char *p = end + 1;
        second = strtol(p, &end, 10);
        if (end == p || second < 1 || first < 1)
            return false;
    }
    *h = (int)first;
    *w = (int)second;
    return !errno && *end == '\0' && first <= INT_MAX / 4 && second <= INT_MAX / 4;
}

static clv_status bad_value(app *a, const char *name, const char *value, const char *expected)
{
    return app_fail(a, CLV_ERR_ARG, "--%s is \"%s\", %s was expected", name, value, expected);
}

static clv_status apply_sizes(app *a, const image_options *o, clv_preprocess *p)
{
    int h, w;
    if (o->resize) {
        if (!parse_extent(o->resize, &h, &w))
            return bad_value(a, "resize", o->resize, "N or HxW");
        p->resize = w ? 0 : h;
        p->resize_h = w ? h : 0;
        p->resize_w = w;
        p->letterbox = 0;
    }
    if (o->letterbox) {
        if (!parse_extent(o->letterbox, &h, &w) || w)
            return bad_value(a, "letterbox", o->letterbox, "N");
        p->letterbox = h;
        p->resize = p->resize_h = p->resize_w = 0;
    }
    if (o->crop) {
        if (!parse_extent(o->crop, &h, &w))
            return bad_value(a, "crop", o->crop, "N or HxW");
        p->crop_h = h;
        p->crop_w = w ? w : h;
    }
    if (o->no_antialias)
        p->antialias = false;
    if (o->crop_floor)
        p->crop_floor = true;
    return clv_preprocess_check(p, &a->err);
}

static clv_status apply_options(app *a, const image_options *o, clv_preprocess *p)
{
    if (o->mean && !parse_three(o->mean, p->mean))
        return bad_value(a, "mean", o->mean, "one number or three with commas");
    if (o->std && (!parse_three(o->std, p->std) || p->std[0] == 0 || p->std[1] == 0 || p->std[2] == 0))
        return bad_value(a, "std", o->std, "one number or three with commas, none of them 0,");
    if (o->scale && (!parse_number(o->scale, &p->scale) || p->scale == 0))
        return bad_value(a, "scale", o->scale, "a number or a fraction like 1/255");
    if (o->order) {
        if (strcmp(o->order, "rgb") != 0 && strcmp(o->order, "bgr") != 0)
            return bad_value(a, "channel-order", o->order, "rgb or bgr");
        p->order = o->order[0] == 'b' ? CLV_BGR : CLV_RGB;
    }
    return apply_sizes(a, o, p);
}

clv_status choose_preprocess(app *a, const image_options *o, const clv_model *model, clv_preprocess *room,
                             const clv_preprocess **out)
{
    const bool any = o->preset || o->mean || o->std || o->scale || o->order || o->resize || o->letterbox || o->crop ||
                     o->crop_floor || o->no_antialias;
    *out = NULL;
    if (!any)
        return CLV_OK;
    clv_status st;
    if (o->preset) {
        st = clv_preprocess_preset(room, o->preset, &a->err);
    } else if (clv_model_preprocess(model, room, &a->err) == CLV_OK) {
        st = CLV_OK;
    } else if (o->scale) { /* whoever says the scale says all: mean 0 and std 1 unless given */
        st = clv_preprocess_preset(room, "raw", &a->err);
    } else {
        st = app_fail(a, CLV_ERR_ARG,
                      "say --scale too (1/255 when mean and std are for pixels from 0 to 1, 1 when they "
                      "are for bytes), or a preset: --preprocess imagenet, cifar10, tf, caffe, ...");
    }
    if (st == CLV_OK)
        st = apply_options(a, o, room);
    *out = room;
    return st;
}

clv_status open_dataset(app *a, const image_options *o, const char *path, clv_dataset **out)
{
    clv_dataset_opts opts = clv_dataset_opts_default();
    opts.labels = o->labels;
    opts.limit = o->limit;
    if (o->max_bad >= 0)
        opts.max_bad = o->max_bad / 100;
    return clv_dataset_open(out, path, &opts, &a->err);
}

clv_status parse_input_shape(app *a, const char *text, char *name, size_t size, clv_input_shape *out)
{
    const char *equals = strrchr(text, '='), *p = equals ? equals + 1 : text;
    *out = (clv_input_shape){.name = equals ? name : NULL};
    if (equals)
        (void)snprintf(name, size, "%.*s", (int)(equals - text), text);
    for (;;) {
        char *end;
        errno = 0;
        const long long n = strtoll(p, &end, 10);
        if (end == p || errno || n < 1 || out->rank == CLV_MAX_RANK || (*end && *end != ','))
            return bad_value(a, "input-shape", text, "NAME=1,3,224,224 (sizes from 1 on)");
        out->dims[out->rank++] = n;
        if (!*end)
            return CLV_OK;
        p = end + 1;
    }
}

/* Splits "NAME=path"; the name is looked up among the inputs, so that it may itself hold a "=". */
static clv_status find_input(app *a, const clv_model *model, const char *text, const char **name, const char **path)
{
    char list[160] = "";
    clv_port port;
    *path = text;
    for (size_t i = 0; i < clv_model_inputs(model); i++) {
        if (clv_model_input(model, i, &port, &a->err) != CLV_OK)
            return a->err.code;
        const size_t n = strlen(port.name), used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s\"%s\"", i ? ", " : "", port.name);
        if (strncmp(text, port.name, n) == 0 && text[n] == '=') {
            *name = port.name;
            *path = text + n + 1;
            return CLV_OK;
        }
    }
    if (clv_model_inputs(model) == 1 && !strchr(text, '=')) {
        *name = port.name;
        return CLV_OK;
    }
    return app_fail(a, CLV_ERR_ARG, "--input is \"%s\", NAME=FILE.npy was expected; the inputs are %s", text, list);
}

clv_status read_arrays(app *a, const texts *inputs, const clv_model *model, arrays *out)
{
    *out = (arrays){0};
    for (size_t i = 0; i < inputs->n; i++) {
        const char *path;
        clv_status st = find_input(a, model, inputs->item[i], &out->name[i], &path);
        if (st == CLV_OK)
            st = clv_npy_read(&out->tensor[i], path, &a->err);
        if (st != CLV_OK)
            return st;
        out->n++;
    }
    return CLV_OK;
}

void free_arrays(arrays *x)
{
    for (size_t i = 0; i < x->n; i++)
        clv_npy_free(&x->tensor[i]);
    x->n = 0;
}
