/* SPDX-License-Identifier: Apache-2.0 */
/* cleave: makes trained convolutional networks cheaper without training them again.
 *
 * A network comes in as an ONNX file. Its convolutions are split into chains of cheaper ones, fitted to what the
 * network sees on unlabelled images, and it goes out as an ONNX file that any engine runs. The library also runs,
 * measures and compares networks on a CPU.
 *
 * Every call that can fail returns a clv_status and, when err is not NULL, writes one sentence that says what is wrong.
 * Handles belong to one thread at a time. The words used below: an argument is *borrowed* during the call; a result
 * *views* what it points into; a function *gives* what the caller frees, and *takes* what it frees itself.
 *
 * The main job in five calls, errors left out:
 *
 *     clv_model_load(&model, "resnet20.onnx", &err);
 *     clv_dataset_open(&images, "train/", NULL, &err);
 *     clv_preprocess_preset(&preprocess, "cifar10", &err);
 *     clv_compress(model, images, &preprocess, NULL, context, NULL, &err);
 *     clv_model_save(model, "resnet20-sep.onnx", &err);
 *
 * with a context from clv_context_create. examples/compress.c is the same with everything in it. Programs that only run
 * networks include cleave/run.h and link libcleave-rt, which needs no BLAS, LAPACK or image libraries. */
#ifndef CLEAVE_CLEAVE_H
#define CLEAVE_CLEAVE_H

#include "cleave/arch.h"
#include "cleave/bench.h"
#include "cleave/compress.h"
#include "cleave/context.h"
#include "cleave/data.h"
#include "cleave/frontier.h"
#include "cleave/heal.h"
#include "cleave/measure.h"
#include "cleave/model.h"
#include "cleave/ranks.h"
#include "cleave/report.h"
#include "cleave/run.h"
#include "cleave/stats.h"
#include "cleave/status.h"
#include "cleave/synth.h"
#include "cleave/tensor.h"
#include "cleave/train.h"
#include "cleave/version.h"

#endif
