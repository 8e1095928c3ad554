// SPDX-License-Identifier: Apache-2.0
/* The node tests that the ONNX package ships as data, for every operator that op_list.h claims.
 *
 *   test_backend FOLDER EXCLUSIONS MINIMUM
 *
 * FOLDER holds one folder a source (tools/get_backend_tests.sh makes it), each with folders of model.onnx and
 * test_data_set_0/{input,output}_k.pb. A test whose operators are all claimed must pass or stand in the exclusions.
 * Every test is run three times: on one thread, on three, and in place; the three must agree to the bit. Every row of
 * op_list.h must be met at least once, and MINIMUM tests must pass. */
#include <dirent.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "onnx/onnx.h"
#include "ops/node_runner.h"
#include "ops/tensor_file.h"

typedef struct exclusion {
    char pattern[100];
    int used;
} exclusion;

typedef struct suite {
    exclusion *exclusions;
    size_t n_exclusions;
    clvi_pool *pool; /* three threads */
    bool *met;       /* [rows of op_list.h] */
    int passed, excluded, unclaimed, failed;
} suite;

static int read_exclusions(suite *s, const char *path)
{
    char line[400];
    FILE *f = fopen(path, "r");
    if (!f)
        return printf("cannot open %s\n", path), 1;
    while (fgets(line, sizeof line, f)) {
        char pattern[100], reason[8];
        const int fields = sscanf(line, "%99s %7s", pattern, reason);
        if (fields < 1 || pattern[0] == '#')
            continue;
        exclusion *grown = realloc(s->exclusions, (s->n_exclusions + 1) * sizeof *grown);
        if (fields < 2 || !grown) {
            fclose(f);
            return printf("exclusion \"%s\" gives no reason\n", pattern), 1;
        }
        s->exclusions = grown;
        grown[s->n_exclusions] = (exclusion){.used = 0};
        memcpy(grown[s->n_exclusions++].pattern, pattern, sizeof pattern);
    }
    fclose(f);
    return 0;
}

/* name: source/test */
static bool is_excluded(suite *s, const char *name)
{
    for (size_t i = 0; i < s->n_exclusions; i++)
        if (!fnmatch(s->exclusions[i].pattern, name, 0))
            return ++s->exclusions[i].used;
    return false;
}

/* --- comparing
 * ------------------------------------------------------------------------------------------------------------ */

/* As onnx does, but a hundred times tighter: |y - expected| <= 1e-6 + rtol * |expected|; rtol 1e-5, or 1e-3 when either
 * came as float16 or bfloat16. NaN equals NaN. */
static clv_status compare(const clv_tensor *y, const clv_tensor *expected, double rtol, int k, clv_error *err)
{
    bool same = y->dtype == expected->dtype && y->rank == expected->rank;
    for (int i = 0; i < y->rank && same; i++)
        same = y->dims[i] == expected->dims[i];
    if (!same)
        return FAIL(err, CLV_ERR_VERIFY, "output %d: %s of rank %d and %lld elements, expected %s of rank %d and %lld",
                    k, clv_dtype_name(y->dtype), y->rank, (long long)clv_tensor_count(y),
                    clv_dtype_name(expected->dtype), expected->rank, (long long)clv_tensor_count(expected));
    const int64_t n = clv_tensor_count(y);
    if (y->dtype != CLV_FLOAT32) {
        for (int64_t i = 0; i < n * (int64_t)clv_dtype_size(y->dtype); i++)
            if (((const char *)y->data)[i] != ((const char *)expected->data)[i])
                return FAIL(err, CLV_ERR_VERIFY, "output %d: byte %lld of the integers differs", k, (long long)i);
        return CLV_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        const double a = (double)((const float *)y->data)[i], b = (double)((const float *)expected->data)[i];
        const bool equal = a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-6 + rtol * fabs(b);
        if (!equal)
            return FAIL(err, CLV_ERR_VERIFY, "output %d: element %lld is %.9g, expected %.9g", k, (long long)i, a, b);
    }
    return CLV_OK;
}

static clv_status same_bits(const clv_tensor *a, const clv_tensor *b, const char *how, clv_error *err)
{
    const size_t bytes = (size_t)clv_tensor_count(a) * clv_dtype_size(a->dtype);
    if (bytes && memcmp(a->data, b->data, bytes) != 0)
        return FAIL(err, CLV_ERR_VERIFY, "the result differs %s", how);
    return CLV_OK;
}

/* --- one test
 * -------------------------------------------------------------------------------------------------------------- */

typedef struct fixture {
    const char *folder;
    clvi_graph *graph;
    clvi_arena *arena;
    double rtol;
} fixture;

static clv_status read_tensor(fixture *f, const char *kind, size_t k, clv_tensor *out, clv_error *err)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%zu.pb", f->folder, kind, k);
    TRY(tensor_file_read(out, path, f->arena, err));
    if (out->dtype == CLV_FLOAT16 || out->dtype == CLV_BFLOAT16)
        f->rtol = 1e-3;
    return tensor_to_runtime(out, f->arena, err);
}

static clv_status run_nodes(fixture *f, node_runner *r, clvi_pool *pool, bool in_place, clv_error *err)
{
    TRY(node_runner_open(r, f->graph, pool, err));
    r->in_place = in_place;
    for (size_t i = 0; i < f->graph->n_values; i++)
        if (r->values[i].data)
            TRY(tensor_to_runtime(&r->values[i], f->arena, err));
    for (size_t k = 0; k < f->graph->n_inputs; k++)
        TRY(read_tensor(f, "input", k, &r->values[f->graph->inputs[k]], err));
    for (size_t i = 0; i < f->graph->n_nodes; i++)
        TRY(node_runner_step(r, f->graph->nodes[i], err));
    return CLV_OK;
}

static clv_status check_outputs(suite *s, fixture *f, clv_error *err)
{
    node_runner runs[3] = {{0}};
    static const char *const how[] = {"", "on three threads", "in place"};
    clv_status st = CLV_OK;
    for (int i = 0; i < 3 && st == CLV_OK; i++)
        st = run_nodes(f, &runs[i], i == 1 ? s->pool : NULL, i == 2, err);
    for (size_t k = 0; k < f->graph->n_outputs && st == CLV_OK; k++) {
        const int32_t id = f->graph->outputs[k];
        clv_tensor expected = {0};
        st = read_tensor(f, "output", k, &expected, err);
        if (st == CLV_OK)
            st = compare(&runs[0].values[id], &expected, f->rtol, (int)k, err);
        for (int i = 1; i < 3 && st == CLV_OK; i++)
            st = same_bits(&runs[i].values[id], &runs[0].values[id], how[i], err);
    }
    for (int i = 0; i < 3; i++)
        if (runs[i].graph)
            node_runner_close(&runs[i]);
    return st;
}

/* Every node is served, and every input is a tensor. */
static bool is_claimed(suite *s, const clvi_graph *graph)
{
    size_t rows;
    const clvi_op *const *all = clvi_op_all(&rows);
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (!clvi_op_find(graph, graph->nodes[i]))
            return false;
    for (size_t i = 0; i < graph->n_nodes; i++)
        for (size_t k = 0; k < rows; k++)
            s->met[k] = s->met[k] || all[k] == clvi_op_find(graph, graph->nodes[i]);
    return true;
}

static void run_test(suite *s, const char *source, const char *name)
{
    char folder[900], path[1000], label[900];
    const char *last = strrchr(source, '/');
    snprintf(folder, sizeof folder, "%s/%s", source, name);
    snprintf(label, sizeof label, "%s/%s", last ? last + 1 : source, name);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    fixture f = {.folder = folder, .rtol = 1e-5};
    struct stat info;
    clv_error err = {0};
    if (stat(path, &info))
        return;
    clv_status st = clvi_onnx_read(&f.graph, path, &err);
    if (st == CLV_ERR_UNSUP || (st == CLV_OK && !is_claimed(s, f.graph))) {
        s->unclaimed++;
    } else if (is_excluded(s, label)) {
        s->excluded++;
    } else {
        f.arena = clvi_arena_create();
        if (st == CLV_OK)
            st = f.arena ? check_outputs(s, &f, &err) : CLV_ERR_NOMEM;
        if (st == CLV_OK)
            s->passed++;
        else {
            printf("FAILED %s: %s: %s\n", folder, clv_status_text(st), err.msg);
            s->failed++;
        }
        clvi_arena_free(f.arena);
    }
    clvi_graph_free(f.graph);
}

/* --- all
 * --------------------------------------------------------------------------------------------------------------------
 */

static int by_name(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_source(suite *s, const char *folder)
{
    struct dirent **entries;
    const int n = scandir(folder, &entries, by_name, alphasort);
    for (int i = 0; i < n; i++) {
        run_test(s, folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

/* Rows that no test met, and exclusions that excluded nothing, are failures. */
static int leftovers(suite *s)
{
    size_t rows;
    const clvi_op *const *all = clvi_op_all(&rows);
    int bad = 0;
    for (size_t k = 0; k < rows; k++) {
        char label[100];
        snprintf(label, sizeof label, "operator/%s", all[k]->type);
        if (!s->met[k] && !is_excluded(s, label))
            bad +=
                printf("operator %s (from opset %d) is listed, but no test has it\n", all[k]->type, all[k]->since) > 0;
    }
    for (size_t i = 0; i < s->n_exclusions; i++)
        if (!s->exclusions[i].used)
            bad += printf("exclusion %s matches no test\n", s->exclusions[i].pattern) > 0;
    return bad;
}

static bool is_complete(const char *folder)
{
    char path[1000];
    struct stat info;
    snprintf(path, sizeof path, "%s/.complete", folder);
    return stat(path, &info) == 0;
}

int main(int argc, char **argv)
{
    suite s = {0};
    struct dirent **entries;
    size_t rows;
    if (argc != 4)
        return fprintf(stderr, "usage: test_backend FOLDER EXCLUSIONS MINIMUM\n"), 2;
    const int n = scandir(argv[1], &entries, by_name, alphasort);
    if (n <= 0) {
        printf("skipped: no backend tests in %s; tools/get_backend_tests.sh fetches them\n", argv[1]);
        return 77;
    }
    clvi_op_all(&rows);
    s.met = calloc(rows, sizeof s.met[0]);
    if (!s.met || read_exclusions(&s, argv[2]) || clvi_pool_create(&s.pool, 3, NULL) != CLV_OK)
        return 1;
    for (int i = 0; i < n; i++) {
        char folder[600];
        snprintf(folder, sizeof folder, "%s/%s", argv[1], entries[i]->d_name);
        run_source(&s, folder);
        free(entries[i]);
    }
    free(entries);
    printf("%d passed, %d failed, %d excluded, %d not claimed\n", s.passed, s.failed, s.excluded, s.unclaimed);
    int bad = 0;
    if (is_complete(argv[1])) {
        bad = leftovers(&s);
        if (s.passed < atoi(argv[3]))
            bad += printf("fewer than %s tests ran\n", argv[3]) > 0;
    } else {
        printf("the tests are not complete here (tools/get_backend_tests.sh): their number was not checked\n");
    }
    clvi_pool_free(s.pool);
    free(s.exclusions);
    free(s.met);
    return s.failed || bad || !s.passed;
}
