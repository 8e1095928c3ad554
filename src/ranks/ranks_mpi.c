/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that knows MPI: libcleave-mpi.so, loaded by ranks.c in a process that mpirun started. */
#include <limits.h>
#include <mpi.h>
#include <stdio.h>

#include "ranks/ranks_driver.h"

#define LINE ((size_t)64) /* bytes of `lines` */

static MPI_Comm channels[2]; /* what ends a job does not meet what was under way */
static MPI_Request request = MPI_REQUEST_NULL;
static MPI_Datatype lines;

extern const clvi_ranks_driver clv_mpi_driver;

static int start(int *rank, int *count, int *here)
{
    int level, code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    MPI_Comm machine = MPI_COMM_NULL;
    for (int i = 0; i < 2 && !code; i++) {
        code = MPI_Comm_dup(MPI_COMM_WORLD, &channels[i]);
        if (!code)
            code = MPI_Comm_set_errhandler(channels[i], MPI_ERRORS_RETURN);
    }
    if (!code)
        code = MPI_Type_contiguous((int)LINE, MPI_BYTE, &lines);
    if (!code)
        code = MPI_Type_commit(&lines);
    if (!code)
        code = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
    if (!code)
        code = MPI_Comm_size(machine, here);
    if (!code)
        code = MPI_Comm_free(&machine);
    if (!code)
        code = MPI_Comm_rank(channels[0], rank);
    return code ? code : MPI_Comm_size(channels[0], count);
}

/* bytes as a number of units that an int holds; -1: too many. */
static int units(size_t bytes, MPI_Datatype *type)
{
    const size_t size = bytes % LINE == 0 ? LINE : 1;
    *type = size == LINE ? lines : MPI_BYTE;
    return bytes / size <= INT_MAX ? (int)(bytes / size) : -1;
}

static int gather(clvi_ranks_channel channel, void *data, size_t bytes)
{
    MPI_Datatype type;
    const int n = units(bytes, &type);
    return n < 0 ? MPI_ERR_COUNT
                 : MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, data, n, type, channels[channel], &request);
}

static int exchange(const void *from, void *to, size_t bytes)
{
    MPI_Datatype type;
    const int n = units(bytes, &type);
    return n < 0 ? MPI_ERR_COUNT : MPI_Ialltoall(from, n, type, to, n, type, channels[0], &request);
}

static int share(void *data, size_t bytes, int from)
{
    MPI_Datatype type;
    const int n = units(bytes, &type);
    return n < 0 ? MPI_ERR_COUNT : MPI_Ibcast(data, n, type, from, channels[0], &request);
}

static int send(const void *data, size_t bytes, int to)
{
    MPI_Datatype type;
    const int n = units(bytes, &type);
    return n < 0 ? MPI_ERR_COUNT : MPI_Isend(data, n, type, to, 0, channels[0], &request);
}

static int receive(void *data, size_t bytes, int from)
{
    MPI_Datatype type;
    const int n = units(bytes, &type);
    return n < 0 ? MPI_ERR_COUNT : MPI_Irecv(data, n, type, from, 0, channels[0], &request);
}

static int test(bool *done)
{
    int flag = 0;
    const int code = MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    *done = flag != 0;
    return code;
}

static void finish(void)
{
    (void)MPI_Type_free(&lines);
    (void)MPI_Comm_free(&channels[0]);
    (void)MPI_Comm_free(&channels[1]);
    (void)MPI_Finalize();
}

static void stop(int status)
{
    (void)MPI_Abort(MPI_COMM_WORLD, status);
}

static void why(int code, char *text, size_t size)
{
    char reason[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, reason, &length) != MPI_SUCCESS)
        (void)snprintf(reason, sizeof reason, "error %d", code);
    (void)snprintf(text, size, "%s", reason);
}

__attribute__((visibility("default"))) const clvi_ranks_driver clv_mpi_driver = {.version = CLVI_RANKS_DRIVER_VERSION,
                                                                                 .start = start,
                                                                                 .gather = gather,
                                                                                 .exchange = exchange,
                                                                                 .share = share,
                                                                                 .send = send,
                                                                                 .receive = receive,
                                                                                 .test = test,
                                                                                 .finish = finish,
                                                                                 .abort = stop,
                                                                                 .why = why};
