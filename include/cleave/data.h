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
 * `order` (mean[0] belongs to the first channel that the network sees). torchvision's meaning throughout: */
typedef struct clv_preprocess {
    char name[32]; /* preset it started from, for messages and metadata */
    float scale;   /* 1/255 for ToTensor, 1 for raw pixels */
    float mean[3], std[3];
    clv_channel_order order;
    int resize;             /* shorter side to this, keeping aspect (torchvision Resize(int)); 0: none */
    int resize_h, resize_w; /* both > 0: resize to exactly this, aspect not kept; wins over `resize` */
    int crop_h, crop_w;     /* centre crop after resizing; 0: none */
    bool antialias;         /* antialiased bilinear (default), as torchvision and Pillow do */
} clv_preprocess;

/* "imagenet": /255, ImageNet mean/std, RGB, resize 256, crop 224. "cifar10": /255, ImageNet mean/std as the common
 * CIFAR ResNets use, no resize. "raw": scale 1, mean 0, std 1. CLV_ERR_ARG lists the names. Reentrant. */
CLV_API clv_status clv_preprocess_preset(clv_preprocess *out, const char *name, clv_error *err);

/* One line of text that holds a preprocessing whole, as stored in a model's metadata under "cleave.preprocess", and
 * back. buffer is written with a NUL; CLV_ERR_ARG when size is short (512 is enough) or text is malformed. Reentrant.
 */
CLV_API clv_status clv_preprocess_format(const clv_preprocess *p, char *buffer, size_t size, clv_error *err);
CLV_API clv_status clv_preprocess_parse(clv_preprocess *out, const char *text, clv_error *err);

typedef struct clv_dataset clv_dataset;

typedef struct clv_dataset_opts {
    const char
        *labels;    /* file "name<sep>label ..." or one label a line in the order of the images; NULL: from folders */
    double max_bad; /* share of unreadable images above which work stops, default 0.01 */
    int64_t limit;  /* use at most this many items; 0: all. Chosen evenly over the whole set, not the first ones */
    uint64_t seed;  /* of clv_dataset_shuffle-independent choices */
} clv_dataset_opts;

CLV_API clv_dataset_opts clv_dataset_opts_default(void);

/* Open images or arrays, guessed from the path:
 *   a folder with sub-folders      class-per-folder; labels = index of the sorted folder names
 *   a folder of images             flat, sorted by name; a labels.txt inside is used
 *   x.txt, x.lst, x.csv            list file: image path (relative to the list) [separator label]
 *   x.tar                          tar of images; folders inside are classes
 *   x.bin or a folder of *.bin     CIFAR-10/100 binary
 *   x.npy, x.npz                   [n,c,h,w] or [n,h,w,c] uint8 images (preprocessed), or float32 tensors (taken as
 * they are) x.jpg, x.jpeg, x.png           one image Only names are read here, pixels later. Gives *out
 * (clv_dataset_free). CLV_ERR_DATA says what was looked for and found. opts may be NULL. */
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

/* [c, h, w] that item `index` has after preprocessing (decodes it). */
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
