/* SPDX-License-Identifier: Apache-2.0 */
/* The presets, and what makes a preprocessing sensible. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "cleave/data.h"
#include "data/image.h"

/* clang-format off */
#define IMAGENET_MEAN {0.485f, 0.456f, 0.406f}
#define IMAGENET_STD  {0.229f, 0.224f, 0.225f}
#define UNITS         {1, 1, 1}

static const clv_preprocess presets[] = {
    {.name = "imagenet", .scale = 1 / 255.0f, .mean = IMAGENET_MEAN, .std = IMAGENET_STD, .resize = 256, .crop_h = 224,
     .crop_w = 224, .antialias = true},
    {.name = "cifar10", .scale = 1 / 255.0f, .mean = IMAGENET_MEAN, .std = IMAGENET_STD, .antialias = true},
    {.name = "raw", .scale = 1, .std = UNITS, .antialias = true},
    {.name = "unit", .scale = 1 / 255.0f, .std = UNITS, .antialias = true},
    {.name = "caffe", .scale = 1, .mean = {104, 117, 123}, .std = UNITS, .order = CLV_BGR, .resize = 256, .crop_h = 227,
     .crop_w = 227, .crop_floor = true, .antialias = true},
    {.name = "tf", .scale = 1 / 127.5f, .mean = {1, 1, 1}, .std = UNITS, .resize = 256, .crop_h = 224, .crop_w = 224,
     .antialias = true},
    {.name = "ultraface", .scale = 1, .mean = {127, 127, 127}, .std = {128, 128, 128}, .resize_h = 240, .resize_w = 320},
    {.name = "nanodet", .scale = 1, .mean = {103.53f, 116.28f, 123.675f},
     .std = {1 / 0.017429f, 1 / 0.017507f, 1 / 0.017125f}, .order = CLV_BGR, .letterbox = 320, .antialias = true},
};
/* clang-format on */

clv_status clv_preprocess_preset(clv_preprocess *out, const char *name, clv_error *err)
{
    char names[300] = "";
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            *out = presets[i];
            return CLV_OK;
        }
        const size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, "%s%.31s", i ? ", " : "", presets[i].name);
    }
    return FAIL(err, CLV_ERR_ARG, "preprocessing preset \"%s\" is unknown, there are: %s", name, names);
}

static clv_status check_numbers(const clv_preprocess *p, clv_error *err)
{
    if (!isfinite(p->scale) || p->scale == 0)
        return FAIL(err, CLV_ERR_ARG, "preprocessing: scale is %g", (double)p->scale);
    for (int c = 0; c < 3; c++) {
        if (!isfinite(p->mean[c]))
            return FAIL(err, CLV_ERR_ARG, "preprocessing: mean of channel %d is %g", c, (double)p->mean[c]);
        if (!isfinite(p->std[c]) || p->std[c] == 0)
            return FAIL(err, CLV_ERR_ARG, "preprocessing: std of channel %d is %g", c, (double)p->std[c]);
    }
    if (p->order != CLV_RGB && p->order != CLV_BGR)
        return FAIL(err, CLV_ERR_ARG, "preprocessing: channel order %d is neither RGB nor BGR", (int)p->order);
    return CLV_OK;
}

clv_status clv_preprocess_check(const clv_preprocess *p, clv_error *err)
{
    const struct {
        const char *name;
        int value;
    } sizes[] = {{"resize", p->resize},       {"resize_h", p->resize_h}, {"resize_w", p->resize_w},
                 {"letterbox", p->letterbox}, {"crop_h", p->crop_h},     {"crop_w", p->crop_w}};
    if (!memchr(p->name, '\0', sizeof p->name))
        return FAIL(err, CLV_ERR_ARG, "preprocessing: the name is not terminated");
    TRY(check_numbers(p, err));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 0 || sizes[i].value > CLVI_IMAGE_MAX_SIDE)
            return FAIL(err, CLV_ERR_ARG, "preprocessing: %s is %d, 0 to %d is possible", sizes[i].name, sizes[i].value,
                        CLVI_IMAGE_MAX_SIDE);
    if ((p->resize_h > 0) != (p->resize_w > 0))
        return FAIL(err, CLV_ERR_ARG, "preprocessing: resize to %dx%d (height x width) lacks a side", p->resize_h,
                    p->resize_w);
    if ((p->crop_h > 0) != (p->crop_w > 0))
        return FAIL(err, CLV_ERR_ARG, "preprocessing: crop %dx%d (height x width) lacks a side", p->crop_h, p->crop_w);
    if ((p->resize > 0) + (p->resize_h > 0) + (p->letterbox > 0) > 1)
        return FAIL(err, CLV_ERR_ARG, "preprocessing: resize %d, resize to %dx%d and letterbox %d exclude each other",
                    p->resize, p->resize_h, p->resize_w, p->letterbox);
    return CLV_OK;
}
