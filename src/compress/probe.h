/* SPDX-License-Identifier: Apache-2.0 */
/* What an error in one convolution does to the outputs of the network, measured: the convolution alone is replaced by
 * chains of known error e, some images run through the rest, and
 *
 *   harm = sum over the outputs' elements of (changed - original)^2 / sum of (original - its mean over the images)^2
 *
 * (the mean over outputs, where there are several). Between and beyond the two chains of a convolution the harm follows
 * the law  scale e^power  through them. A layer in front of an average over all pixels does little harm, one that
 * halves the map much: by factors up to fifty (docs/perf.md, "The loss of the search"). */
#ifndef CLVI_COMPRESS_PROBE_H
#define CLVI_COMPRESS_PROBE_H

#include "compress/candidates.h"
#include "compress/front.h"

/* A chain to try in the place of a site. */
typedef struct clvi_probe {
    size_t site;
    size_t item;  /* of the site's candidates: its own harm is set; SIZE_MAX: a point of the site's law */
    double error; /* of the chain */
    clvi_chain chain;
    double harm; /* measured */
} clvi_probe;

/* Measure probes[n], which are in the order of their sites, and set the laws and harms of lists[sites]. */
clv_status clvi_probe_run(clvi_probe *probes, size_t n, clvi_candidates *lists, const clvi_graph *original,
                          const clvi_sites *sites, clvi_calibration *calibration, clv_error *err);

#endif
