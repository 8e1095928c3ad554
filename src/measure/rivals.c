/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/rivals.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define MAX_LINE ((size_t)1 << 24)

extern char **environ;

static const char *path_in(const clvi_rivals *r, char text[320], const char *name, size_t number)
{
    if (strchr(name, '%'))
        (void)snprintf(text, 320, "%s/%.8s%zu.npy", r->folder, name + 1, number);
    else
        (void)snprintf(text, 320, "%s/%s", r->folder, name);
    return text;
}

/* names.txt, in<i>.npy, out<i>.npy in a new folder */
static clv_status write_tensors(clvi_rivals *r, const clvi_bench_job *job, clv_error *err)
{
    const clvi_graph *const g = job->graph;
    const char *const base = getenv("TMPDIR");
    char path[320];
    clvi_str names = {0};
    (void)snprintf(r->folder, sizeof r->folder, "%.200s/cleave-bench-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(r->folder)) {
        r->folder[0] = '\0';
        return FAIL(err, CLV_ERR_IO, "cannot make a temporary folder: %s", strerror(errno));
    }
    clv_status st = CLV_OK;
    for (size_t i = 0; i < g->n_inputs && st == CLV_OK; i++) {
        clvi_str_printf(&names, "%s\n", g->values[g->inputs[i]].name);
        st = clv_npy_write(&job->inputs[i], path_in(r, path, "%in", i), err);
    }
    for (size_t i = 0; i < g->n_outputs && st == CLV_OK; i++)
        st = clv_npy_write(&job->outputs[i], path_in(r, path, "%out", i), err);
    if (st == CLV_OK && (names.failed || !names.text))
        st = FAIL(err, CLV_ERR_NOMEM, "names of %zu inputs", g->n_inputs);
    if (st == CLV_OK)
        st = clvi_file_replace(path_in(r, path, "names.txt", 0), names.text, names.size, err);
    clvi_str_free(&names);
    return st;
}

/* The script with a socket as its standard input and output and a file for its complaints. */
static clv_status spawn(clvi_rivals *r, const clv_against_opts *opts, int threads, clv_error *err)
{
    char log[320], count[16];
    int ends[2];
    const char *const python = opts->python ? opts->python : "python3";
    char *const words[] = {
        (char *)python, (char *)opts->script, (char *)opts->path, count, r->folder, (char *)opts->engines, NULL};
    posix_spawn_file_actions_t actions;
    (void)snprintf(count, sizeof count, "%d", threads);
    (void)path_in(r, log, "log", 0);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return FAIL(err, CLV_ERR_IO, "cannot make a socket: %s", strerror(errno));
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    r->fd = ends[0];
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    (void)posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)posix_spawn_file_actions_addclose(&actions, ends[1]);
    const int failure = posix_spawnp(&r->pid, python, &actions, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    if (failure) {
        r->pid = 0;
        return FAIL(err, CLV_ERR_IO, "cannot run \"%s\": %s", python, strerror(failure));
    }
    r->from = fdopen(ends[0], "r");
    return r->from ? CLV_OK : FAIL(err, CLV_ERR_IO, "cannot read from \"%s\": %s", python, strerror(errno));
}

/* The last line that the script complained with, in text; "" when there is none. */
static void last_complaint(const clvi_rivals *r, char *text, size_t size)
{
    char path[320], line[400];
    text[0] = '\0';
    FILE *const f = fopen(path_in(r, path, "log", 0), "r");
    while (f && fgets(line, sizeof line, f))
        if (line[0] != '\n')
            (void)snprintf(text, size, ": %.*s", (int)strcspn(line, "\n"), line);
    if (f)
        (void)fclose(f);
}

/* One line without its end (clvi_free). */
static clv_status read_line(clvi_rivals *r, char **out, clv_error *err)
{
    clvi_str line = {0};
    char complaint[240];
    int c;
    *out = NULL;
    while ((c = fgetc(r->from)) != EOF && c != '\n' && line.size < MAX_LINE) {
        const char byte = (char)c;
        clvi_str_append(&line, &byte, 1);
    }
    if (c == '\n' && line.text && !line.failed) {
        *out = line.text;
        return CLV_OK;
    }
    const bool short_of_memory = line.failed;
    clvi_str_free(&line);
    if (short_of_memory)
        return FAIL(err, CLV_ERR_NOMEM, "an answer of the other engines");
    last_complaint(r, complaint, sizeof complaint);
    return FAIL(err, CLV_ERR_IO, "the process of the other engines ended early%s", complaint);
}

/* "engine NAME VERSION ERROR", "missing NAME TEXT" or "failed NAME TEXT" */
static bool parse_engine(clvi_rival *e, const char *line)
{
    int at = 0;
    *e = (clvi_rival){.error = 0};
    if (sscanf(line, "engine %31s %47s %lf", e->name, e->version, &e->error) == 3)
        return true;
    if (sscanf(line, "missing %31s %n", e->name, &at) == 1 && at) {
        (void)snprintf(e->note, sizeof e->note, "not installed: %.180s", line + at);
        return true;
    }
    if (sscanf(line, "failed %31s %n", e->name, &at) == 1 && at) {
        (void)snprintf(e->note, sizeof e->note, "%.199s", line + at);
        return true;
    }
    return false;
}

clv_status clvi_rivals_start(clvi_rivals *r, const clv_against_opts *opts, const clvi_bench_job *job, int threads,
                             clv_error *err)
{
    clv_status st;
    bool ready = false;
    *r = (clvi_rivals){.fd = -1};
    TRY(write_tensors(r, job, err));
    TRY(spawn(r, opts, threads, err));
    do {
        char *line = NULL;
        st = read_line(r, &line, err);
        ready = st == CLV_OK && strcmp(line, "ready") == 0;
        if (st == CLV_OK && !ready && (r->n == CLVI_MAX_RIVALS || !parse_engine(&r->engine[r->n++], line)))
            st = FAIL(err, CLV_ERR_IO, "the process of the other engines said \"%.100s\"", line);
        clvi_free(line);
    } while (st == CLV_OK && !ready);
    return st;
}

clv_status clvi_rivals_run(clvi_rivals *r, size_t index, double seconds, clvi_times *times, clv_error *err)
{
    char command[80], *line = NULL;
    const clvi_rival *const e = &r->engine[index];
    const int length = snprintf(command, sizeof command, "run %s %.6f\n", e->name, seconds);
    if (send(r->fd, command, (size_t)length, MSG_NOSIGNAL) != length)
        return FAIL(err, CLV_ERR_IO, "the process of the other engines does not listen: %s", strerror(errno));
    TRY(read_line(r, &line, err));
    int at = 0, used = 0;
    double value;
    clv_status st = CLV_OK;
    (void)sscanf(line, "times %*s%n", &at);
    for (; at && st == CLV_OK && sscanf(line + at, "%lf%n", &value, &used) == 1; at += used)
        st = clvi_times_add(times, value, err);
    if (st == CLV_OK && !used)
        st = FAIL(err, CLV_ERR_IO, "%s answered \"%.100s\"", e->name, line);
    clvi_free(line);
    return st;
}

void clvi_rivals_stop(clvi_rivals *r, const clvi_bench_job *job)
{
    char path[320];
    if (r->fd >= 0)
        (void)shutdown(r->fd, SHUT_RDWR);
    if (r->from)
        (void)fclose(r->from);
    else if (r->fd >= 0)
        (void)close(r->fd);
    if (r->pid > 0)
        while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    if (r->folder[0]) {
        for (size_t i = 0; job->graph && i < job->graph->n_inputs; i++)
            (void)unlink(path_in(r, path, "%in", i));
        for (size_t i = 0; job->graph && i < job->graph->n_outputs; i++)
            (void)unlink(path_in(r, path, "%out", i));
        (void)unlink(path_in(r, path, "names.txt", 0));
        (void)unlink(path_in(r, path, "log", 0));
        (void)rmdir(r->folder);
    }
    *r = (clvi_rivals){.fd = -1};
}
