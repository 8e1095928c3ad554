/* SPDX-License-Identifier: Apache-2.0 */
/* Options that say what goes into a network: images and their preprocessing, arrays, shapes. */
#ifndef CLEAVE_CLI_INPUTS_H
#define CLEAVE_CLI_INPUTS_H

#include "app.h"
#include "cleave/data.h"
#include "cleave/measure.h"
#include "cleave/model.h"

typedef struct image_options {
    const char *preset, *mean, *std, *scale, *order, *resize, *crop, *letterbox;
    bool no_antialias, crop_floor;
    const char *labels;
    int64_t limit;
    double max_bad; /* percent; < 0: the library's default */
} image_options;

#define NO_IMAGE_OPTIONS \
    {                    \
        .max_bad = -1    \
    }

/* clang-format off */
#define IMAGE_OPTIONS(o)                                                                                              \
    {0, "preprocess", "NAME", "how images become the input: imagenet, cifar10, tf, caffe, unit, raw,\n"               \
                              "ultraface or nanodet (default: what the model's metadata say);\n"                      \
                              "the options below change single parts of it", OPTION_TEXT, &(o)->preset},              \
    {0, "mean", "A,B,C", "per channel (p * scale - mean) / std, in the order of the channels", OPTION_TEXT,           \
     &(o)->mean},                                                                                                     \
    {0, "std", "A,B,C", "see --mean", OPTION_TEXT, &(o)->std},                                                        \
    {0, "scale", "X", "factor of the 8-bit pixels p, e.g. 1/255 or 1", OPTION_TEXT, &(o)->scale},                     \
    {0, "channel-order", "ORDER", "rgb or bgr", OPTION_TEXT, &(o)->order},                                            \
    {0, "resize", "N or HxW", "shorter side to N, or to exactly H x W; 0: leave the size", OPTION_TEXT, &(o)->resize},\
    {0, "letterbox", "N", "longer side to N, at the top left of a black square", OPTION_TEXT, &(o)->letterbox},       \
    {0, "crop", "N or HxW", "centre crop after resizing; 0: none", OPTION_TEXT, &(o)->crop},                          \
    {0, "crop-floor", NULL, "round odd margins of the crop down, not half to even", OPTION_FLAG, &(o)->crop_floor},   \
    {0, "no-antialias", NULL, "plain bilinear resizing", OPTION_FLAG, &(o)->no_antialias},                            \
    {0, "limit", "N", "use at most N images, spread evenly over the set", OPTION_INT, &(o)->limit},                   \
    {0, "max-bad", "PERCENT", "stop when more images than this are corrupt (default 1)", OPTION_REAL, &(o)->max_bad}
/* clang-format on */

/* The preprocessing that the options ask for, based on the preset or on what the model says. *out NULL when no option
 * was given, so that the library looks it up; else `room`. */
clv_status choose_preprocess(app *a, const image_options *o, const clv_model *model, clv_preprocess *room,
                             const clv_preprocess **out);

clv_status open_dataset(app *a, const image_options *o, const char *path, clv_dataset **out);

/* "NAME=1,3,224,224" (or "1,3,224,224" for the only input) -> shape whose name is copied into `name`. */
clv_status parse_input_shape(app *a, const char *text, char *name, size_t size, clv_input_shape *out);

/* "NAME=in.npy" for each input, or "in.npy" when the model has one. */
typedef struct arrays {
    clv_tensor tensor[MAX_REPEATED];
    const char *name[MAX_REPEATED]; /* views the model */
    size_t n;
} arrays;

clv_status read_arrays(app *a, const texts *inputs, const clv_model *model, arrays *out);
void free_arrays(arrays *x);

#endif
