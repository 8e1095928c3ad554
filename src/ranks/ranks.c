/* SPDX-License-Identifier: Apache-2.0 */
#include "ranks/ranks.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/context.h"
#include "base/mem.h"
#include "ranks/ranks_driver.h"

#define PATIENCE       0.3  /* seconds that rank 0 waits for others once the job is being ended: mpirun gives it one */
#define PATIENCE_OTHER 3.0  /* others: rank 0 has to keep what there is before the job is ended */
#define SETTLE         2.0  /* seconds that a failed rank waits for the others to end as well */
#define SPINS          200  /* then sleep between looks: there may be more ranks than cores */
#define PATIENT        5000 /* looks: rank 0 has something of its own to do */
#define PIECE          ((size_t)64 << 20)

struct clv_ranks {
    const clvi_ranks_driver *driver;
    void *library;
    const volatile sig_atomic_t *cancel;
    int number, count, here;
    bool lost, settled;
    int status; /* for abort */
};

/* --- joining ----------------------------------------------------------------------------------------------------- */

int clv_ranks_started(void)
{
    static const char *const counts[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const char *const text = getenv(counts[i]);
        const long n = text ? strtol(text, NULL, 10) : 0;
        if (n >= 1 && n < INT32_MAX)
            return (int)n;
    }
    return 1;
}

#ifdef CLV_MPI
static clv_status load(clv_ranks *r, clv_error *err)
{
    r->library = dlopen(CLVI_RANKS_DRIVER_FILE, RTLD_NOW | RTLD_GLOBAL); /* MPI's own plugins look for its symbols */
    if (!r->library)
        return FAIL(err, CLV_ERR_UNSUP, "started as one of %d ranks, but MPI cannot be loaded: %s", clv_ranks_started(),
                    dlerror());
    r->driver = dlsym(r->library, CLVI_RANKS_DRIVER_SYMBOL);
    if (!r->driver || r->driver->version != CLVI_RANKS_DRIVER_VERSION)
        return FAIL(err, CLV_ERR_UNSUP, CLVI_RANKS_DRIVER_FILE " is of another version of cleave");
    return CLV_OK;
}
#else
static clv_status load(clv_ranks *r, clv_error *err)
{
    (void)r;
    return FAIL(err, CLV_ERR_UNSUP, "started as one of %d ranks, but this cleave was built without MPI",
                clv_ranks_started());
}
#endif

static clv_status fail(clv_ranks *r, int code, clv_error *err)
{
    char reason[120];
    r->lost = true;
    r->driver->why(code, reason, sizeof reason);
    return FAIL(err, CLV_ERR_IO, "rank %d of %d: MPI failed: %s", r->number, r->count, reason);
}

clv_status clv_ranks_join(clv_ranks **out, const volatile sig_atomic_t *cancel, clv_error *err)
{
    *out = NULL;
    if (clv_ranks_started() < 2)
        return CLV_OK;
    clv_ranks *const r = clvi_calloc(1, sizeof *r);
    if (!r)
        return FAIL(err, CLV_ERR_NOMEM, "ranks");
    r->cancel = cancel;
    clv_status st = load(r, err);
    if (st == CLV_OK) {
        const int code = r->driver->start(&r->number, &r->count, &r->here);
        if (code)
            st = fail(r, code, err);
    }
    if (st == CLV_OK)
        *out = r;
    else
        clvi_free(r); /* MPI, once loaded, stays */
    return st;
}

int clv_ranks_number(const clv_ranks *r)
{
    return r ? r->number : 0;
}

int clv_ranks_count(const clv_ranks *r)
{
    return r ? r->count : 1;
}

int clv_ranks_threads(const clv_ranks *r)
{
    const int cores = clvi_cpu_cores(); /* fewer than the machine has where mpirun binds ranks to some of them */
    const int share = r && r->here > 0 ? (int)(sysconf(_SC_NPROCESSORS_ONLN) / r->here) : cores;
    return share < 1 ? 1 : share < cores ? share : cores;
}

bool clvi_ranks_lost(const clv_ranks *r)
{
    return r && r->lost;
}

int64_t clvi_ranks_lanes(const clv_ranks *r, int64_t usual)
{
    const int64_t count = clv_ranks_count(r);
    return usual % count == 0 ? usual : count;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

static void pause_between_looks(unsigned *looks)
{
    static const struct timespec little = {0, 20000}, long_wait = {0, 1000000};
    if (++*looks < SPINS)
        (void)sched_yield();
    else
        (void)nanosleep(*looks < PATIENT ? &little : &long_wait, NULL);
}

/* Until what was begun is done; `code`: what beginning it gave. */
static clv_status finish(clv_ranks *r, int code, clv_error *err)
{
    const double patience = r->number == 0 ? PATIENCE : PATIENCE_OTHER;
    double told = 0;
    unsigned looks = 0;
    bool done = false;
    while (!code) {
        code = r->driver->test(&done);
        if (code || done)
            break;
        if (r->cancel && *r->cancel) {
            const double now = clvi_now();
            told = told > 0 ? told : now;
            if (now - told > patience) {
                r->lost = true;
                return FAIL(err, CLV_ERR_IO,
                            "rank %d of %d: the job is being ended, and another rank does not answer: it is lost",
                            r->number, r->count);
            }
        }
        pause_between_looks(&looks);
    }
    return code ? fail(r, code, err) : CLV_OK;
}

clv_status clvi_ranks_gather(clv_ranks *r, void *data, size_t bytes, clv_error *err)
{
    return r ? finish(r, r->driver->gather(CLVI_RANKS_WORK, data, bytes), err) : CLV_OK;
}

clv_status clvi_ranks_exchange(clv_ranks *r, const void *from, void *to, size_t bytes, clv_error *err)
{
    return r ? finish(r, r->driver->exchange(from, to, bytes), err) : CLV_OK;
}

/* In pieces, for any size. */
clv_status clvi_ranks_share(clv_ranks *r, void *data, size_t bytes, int from, clv_error *err)
{
    for (size_t at = 0; r && at < bytes; at += PIECE) {
        const size_t n = bytes - at < PIECE ? bytes - at : PIECE;
        TRY(finish(r, r->driver->share((char *)data + at, n, from), err));
    }
    return CLV_OK;
}

clv_status clvi_ranks_send(clv_ranks *r, const void *data, size_t bytes, int to, clv_error *err)
{
    return r ? finish(r, r->driver->send(data, bytes, to), err) : CLV_OK;
}

clv_status clvi_ranks_receive(clv_ranks *r, void *data, size_t bytes, int from, clv_error *err)
{
    return r ? finish(r, r->driver->receive(data, bytes, from), err) : CLV_OK;
}

clv_status clvi_ranks_agree(clv_ranks *r, uint64_t number, const char *what, clv_error *err)
{
    if (!r)
        return CLV_OK;
    uint64_t *const all = clvi_calloc((size_t)r->count, sizeof *all);
    if (!all)
        return FAIL(err, CLV_ERR_NOMEM, "%d ranks", r->count);
    all[r->number] = number;
    clv_status st = clvi_ranks_gather(r, all, sizeof *all, err);
    for (int k = 1; k < r->count && st == CLV_OK; k++)
        if (all[k] != all[0])
            st = FAIL(err, CLV_ERR_DATA, "rank %d of %d has other %s than rank 0", k, r->count, what);
    clvi_free(all);
    return st;
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

static bool gather_ends(clv_ranks *r, int *all, double patience)
{
    const double began = clvi_now();
    unsigned looks = 0;
    bool done = false;
    int code = r->driver->gather(CLVI_RANKS_END, all, sizeof *all);
    while (!code && !done && (patience <= 0 || clvi_now() - began < patience)) {
        code = r->driver->test(&done);
        if (!code && !done)
            pause_between_looks(&looks);
    }
    return !code && done;
}

bool clv_ranks_settle(clv_ranks *r, clv_status status)
{
    if (!r)
        return true;
    r->status = status == CLV_OK ? 0 : 1;
    int *const all = clvi_calloc((size_t)r->count, sizeof *all);
    if (all)
        all[r->number] = r->status;
    r->settled = all && !r->lost && gather_ends(r, all, r->status ? SETTLE : 0);
    int first = 0;
    for (int k = r->count - 1; r->settled && k >= 0; k--)
        first = all[k] ? k : first;
    clvi_free(all);
    return !r->settled || r->number == first;
}

void clv_ranks_leave(clv_ranks *r)
{
    if (!r)
        return;
    if (r->settled)
        r->driver->finish();
    else
        r->driver->abort(r->status ? r->status : 1);
    clvi_free(r); /* the library stays: MPI leaves handlers behind that must not vanish */
}
