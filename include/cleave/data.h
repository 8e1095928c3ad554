/* SPDX-License-Identifier: Apache-2.0 */
/* Images and arrays on disk -> float32 batches [n, c, h, w]. */
#ifndef CLEAVE_DATA_H
#define CLEAVE_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleave/context.h"
#include "cleave/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clv_channel_order { CLV_RGB = 0, CLV_BGR = 1 } clv_channel_order;

/* From 8-bit pixels p to the network's input: resize, crop, then per channel (p * scale - mean) / std, in the order of
 * `order` (mean[0] belongs to the first channel that the network sees). torchvision's meaning throughout. At most one
 * of `resize`, `resize_h` with `resize_w`, and `letterbox` is set. */
typedef struct clv_preprocess {
    char name[32]; /* preset it started from, for messages and metadata: letters, digits, '-', '_', '.' */
    float scale;   /* 1/255 for ToTensor, 1 for raw pixels */
    float mean[3], std[3];
    clv_channel_order order;
    int resize; /* shorter side to this, keeping aspect, longer side truncated (torchvision Resize(int)); 0: none */
    int resize_h, resize_w; /* both > 0: resize to exactly this, aspect not kept */
    int letterbox;          /* > 0: longer side to this, at the top left of a black square of this side */
    int crop_h, crop_w;     /* centre crop after resizing, black where the picture is smaller; 0: none */
    bool crop_floor;        /* odd margins: offset rounded down, not half to even as torchvision does */
    bool antialias; /* antialiased bilinear (default), as torchvision and Pillow do; else plain half-pixel bilinear */
} clv_preprocess;

/* Presets; change fields afterwards for a variant.
 *   "imagenet"   (p/255 - mean)/std with ImageNet's mean and std, RGB, resize 256, crop 224
 *   "cifar10"    the same numbers, no resize, as the common CIFAR-10 ResNets use
 *   "raw"        p;  "unit"  p/255: RGB, no resize
 *   "caffe"      p - (104, 117, 123), BGR, resize 256, crop 227 with offsets rounded down (Caffe's SqueezeNet, AlexNet)
 *   "tf"         p/127.5 - 1, RGB, resize 256, crop 224 (MobileNet of Keras and TensorFlow)
 *   "ultraface"  (p - 127)/128, RGB, resize to exactly 240x320 (height x width), not antialiased
 *   "nanodet"    (p - (103.53, 116.28, 123.675)) * (0.017429, 0.017507, 0.017125), BGR, letterbox 320
 * CLV_ERR_ARG lists the names. Reentrant. */
CLV_API clv_status clv_preprocess_preset(clv_preprocess *out, const char *name, clv_error *err);

/* CLV_ERR_ARG names the field that makes no sense: non-finite or zero scale or std, negative or huge sizes, one crop
 * side without the other, two kinds of resizing. Reentrant. */
CLV_API clv_status clv_preprocess_check(const clv_preprocess *p, clv_error *err);

/* One line of text that holds a preprocessing whole, as stored in a model's metadata under "cleave.preprocess", and
 * back. buffer is written with a NUL; CLV_ERR_ARG when size is short (512 is enough) or text is malformed. Reentrant.
 */
CLV_API clv_status clv_preprocess_format(const clv_preprocess *p, char *buffer, size_t size, clv_error *err);
CLV_API clv_status clv_preprocess_parse(clv_preprocess *out, const char *text, clv_error *err);

typedef struct clv_dataset clv_dataset;

typedef struct clv_dataset_opts {
    const char *labels; /* file with lines `name<sep>label` or `label`, see below; NULL: from folders */
    double max_bad;     /* share of unreadable images above which work stops, default 0.01 */
    int64_t limit;      /* use at most this many items; 0: all. Chosen evenly over the whole set, not the first ones */
    uint64_t seed;      /* of the items that limit takes: 0 the first of each stretch, else any one of it */
} clv_dataset_opts;

CLV_API clv_dataset_opts clv_dataset_opts_default(void);

/* Open images or arrays, guessed from the path:
 *   a folder with sub-folders      class-per-folder; label = index of the folder in byte-wise sorted order
 *   a folder of images             flat, sorted by name; a labels.txt inside is used
 *   x.txt, x.lst, x.csv            list file: image path (relative to the list) [separator label], in the list's order
 *   x.tar                          tar of images sorted by path; folders are classes when there are two or more
 *   x.bin or a folder of *.bin     CIFAR-10/100 binary (CIFAR-100: the fine label)
 *   x.npy, x.npz                   uint8 images [n,c,h,w] or [n,h,w,c], c 1 or 3, or [n,h,w] (preprocessed); or
 *                                  float32 [n,c,h,w] (taken as they are). npz: the array "images", "data", "x", or the
 *                                  only one of rank 3 or 4; labels from an integer array "labels", "label" or "y"
 *   x.jpg, x.jpeg, x.png           one image
 *   builtin:shapes?n=4000&seed=1   n pictures of 32x32 drawn from a seed, ten classes of as many each (n, seed may be
 * left out): the same bytes on every machine; another seed gives other pictures
 *
 * Label files and list files, one line an image, all lines of the same kind:
 *   name TAB label [TAB anything]  when the line has a TAB: names may then hold spaces, commas and apostrophes
 *   name,label  or  name label     otherwise; the separator is the last one of the line
 *   name                           list file only: no labels
 *   label                          label file only: as many lines as images, in their order
 * A label is an integer 0..999999. Names in a label file are as clv_dataset_name gives them, or their last component.
 * An image without a line, a line without an image, and a malformed line are CLV_ERR_DATA with the number of the line.
 *
 * Only names and labels are read here, pixels later, so memory does not depend on the pixels (a compressed npz is
 * unpacked to an unnamed temporary file). Hidden files are skipped. Gives *out (clv_dataset_free). CLV_ERR_DATA says
 * what was looked for and found. opts may be NULL. */
CLV_API clv_status clv_dataset_open(clv_dataset **out, const char *path, const clv_dataset_opts *opts, clv_error *err);
CLV_API void clv_dataset_free(clv_dataset *dataset); /* NULL-safe */

CLV_API int64_t clv_dataset_count(const clv_dataset *dataset);
CLV_API const char *clv_dataset_name(const clv_dataset *dataset, int64_t index); /* views; for messages */
CLV_API int64_t clv_dataset_label(const clv_dataset *dataset, int64_t index);    /* -1: none */
CLV_API int64_t clv_dataset_classes(const clv_dataset *dataset);                 /* highest label + 1, 0: no labels */
CLV_API bool clv_dataset_is_tensor(const clv_dataset *dataset);                  /* float arrays: no preprocessing */

/* Decode and preprocess items [first, first + n) into out: float32 [n, 3, h, w], borrowed, shape given by the caller;
 * every item must come out at h x w (CLV_ERR_DATA names the one that does not and both sizes). A corrupt item is logged
 * by name, counted, filled with zeros and flagged in bad[i] (may be NULL); more than max_bad of the set is
 * CLV_ERR_DATA. Decoding runs on the context's threads. Same bytes for any number of threads. */
CLV_API clv_status clv_dataset_read(clv_dataset *dataset, int64_t first, int64_t n, const clv_preprocess *preprocess,
                                    clv_tensor *out, bool *bad, clv_context *context, clv_error *err);

/* [c, h, w] that item `index` has after preprocessing (decodes it; CLV_ERR_DATA when it is corrupt). */
CLV_API clv_status clv_dataset_shape(clv_dataset *dataset, int64_t index, const clv_preprocess *preprocess,
                                     int64_t chw[3], clv_error *err);

CLV_API int64_t clv_dataset_bad(const clv_dataset *dataset); /* corrupt items met so far, each counted once */

/* One .npy array. Gives out->data (clv_npy_free). float32/float64/ints/bool/uint8, C order (Fortran order is
 * transposed). Writing is atomic. */
CLV_API clv_status clv_npy_read(clv_tensor *out, const char *path, clv_error *err);
CLV_API clv_status clv_npy_write(const clv_tensor *tensor, const char *path, clv_error *err);
CLV_API void clv_npy_free(clv_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
