/* SPDX-License-Identifier: Apache-2.0 */
/* What libcleave-mpi.so gives: the few operations that ranks.c waits for. One at a time is begun, then tested until it
 * is done. Sizes are bytes and below 2^31, or multiples of 64 below 2^37. */
#ifndef CLVI_RANKS_RANKS_DRIVER_H
#define CLVI_RANKS_RANKS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#define CLVI_RANKS_DRIVER_VERSION 1
#define CLVI_RANKS_DRIVER_SYMBOL  "clv_mpi_driver"
#define CLVI_RANKS_DRIVER_FILE    "libcleave-mpi.so"

typedef enum clvi_ranks_channel { CLVI_RANKS_WORK, CLVI_RANKS_END } clvi_ranks_channel;

/* All but `why` return 0, or a number that `why` explains. */
typedef struct clvi_ranks_driver {
    int version;
    int (*start)(int *rank, int *count, int *here); /* here: ranks on this machine */
    /* data[count][bytes], own part filled: all parts everywhere. */
    int (*gather)(clvi_ranks_channel channel, void *data, size_t bytes);
    /* from[count][bytes]: part k goes to rank k; to[count][bytes]: part k came from there. */
    int (*exchange)(const void *from, void *to, size_t bytes);
    int (*share)(void *data, size_t bytes, int from);
    int (*send)(const void *data, size_t bytes, int to);
    int (*receive)(void *data, size_t bytes, int from);
    int (*test)(bool *done);
    void (*finish)(void);
    void (*abort)(int status); /* of all ranks; does not return */
    void (*why)(int code, char *text, size_t size);
} clvi_ranks_driver;

#endif
