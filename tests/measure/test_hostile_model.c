/* SPDX-License-Identifier: Apache-2.0 */
/* Models with flipped bits, cut ends and exchanged pieces through load, inspect, save and run: an error or a result,
 * never a crash, a leak or a message that names nothing. */
#include "cli/networks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cleave/cleave.h"
#include "onnx/onnx.h"
#include "runtime/count.h"
#include "runtime/session.h"

#define MAX_ELEMENTS 100000 /* of any tensor of a network that is run: the point is the odd, not the large */
#define MAX_MACS     2000000

typedef struct tally {
    long cases, loaded, inspected, ran;
} tally;

/* Whether all tensors are known and small. */
static bool is_small(const clvi_graph *graph, const clv_tensor *inputs)
{
    clvi_shapes shapes = {0};
    clvi_count count;
    if (clvi_count_graph(&count, graph, inputs, graph->n_inputs, NULL) != CLV_OK || count.macs > MAX_MACS ||
        clvi_shapes_infer(&shapes, graph, inputs, graph->n_inputs, NULL) != CLV_OK)
        return false;
    bool small = true;
    for (size_t i = 0; i < shapes.n_values; i++)
        small = small && (shapes.values[i].rank < 0 || clv_tensor_count(&shapes.values[i]) <= MAX_ELEMENTS);
    clvi_shapes_free(&shapes);
    return small;
}

static void run_on_zeros(clv_model *model, tally *t)
{
    enum { MAX = 8 };
    clv_tensor inputs[MAX], outputs[MAX];
    clv_error err = {0};
    clv_session *session = NULL;
    static double zeros[MAX_ELEMENTS];
    const size_t n_in = clv_model_inputs(model), n_out = clv_model_outputs(model);
    if (n_in > MAX || n_out > MAX)
        return;
    clvi_default_inputs(model->graph, 1, 4, inputs);
    for (size_t i = 0; i < n_in; i++) {
        inputs[i].data = zeros;
        if (inputs[i].rank < 0 || clv_tensor_count(&inputs[i]) > MAX_ELEMENTS || clv_dtype_size(inputs[i].dtype) > 8)
            return;
    }
    if (!is_small(model->graph, inputs))
        return;
    clv_status st = clv_session_create(&session, model, NULL, 0, NULL, &err);
    if (st == CLV_OK)
        st = clv_session_run(session, inputs, n_in, outputs, n_out, &err);
    t->ran += st == CLV_OK;
    if (st != CLV_OK)
        assert_true(err.code == st && err.msg[0]);
    clv_session_free(session);
}

static void try_bytes(const uint8_t *bytes, size_t size, tally *t)
{
    clv_error err = {0};
    clv_model *model = NULL;
    clv_report *report = NULL;
    t->cases++;
    clv_status st = clv_model_load_bytes(&model, bytes, size, &err);
    if (st != CLV_OK) {
        assert_null(model);
        assert_true(err.code == st && err.msg[0]);
        return;
    }
    t->loaded++;
    assert_int_equal(clv_report_create(&report, NULL), CLV_OK);
    st = clv_inspect(model, NULL, 0, report, &err);
    t->inspected += st == CLV_OK;
    if (st != CLV_OK)
        assert_true(err.code == st && err.msg[0]);
    run_on_zeros(model, t);
    clv_report_free(report);
    clv_model_free(model);
}

static void mutate(uint8_t *bytes, size_t *size, clvi_rng *rng)
{
    const size_t n = *size;
    switch (clvi_rng_below(rng, 4)) {
    case 0: /* flip bits */
        for (uint64_t k = clvi_rng_below(rng, 6) + 1; k > 0; k--)
            bytes[clvi_rng_below(rng, n)] ^= (uint8_t)(1U << clvi_rng_below(rng, 8));
        break;
    case 1: /* extreme bytes */
        for (uint64_t k = clvi_rng_below(rng, 4) + 1; k > 0; k--)
            bytes[clvi_rng_below(rng, n)] = (uint8_t[]){0, 1, 0x7F, 0x80, 0xFF, 8}[clvi_rng_below(rng, 6)];
        break;
    case 2: /* cut */
        *size = clvi_rng_below(rng, n);
        break;
    default: { /* one piece over another */
        const size_t length = clvi_rng_below(rng, 24) + 1, from = clvi_rng_below(rng, n), to = clvi_rng_below(rng, n);
        if (from + length <= n && to + length <= n)
            memmove(bytes + to, bytes + from, length);
    }
    }
}

/* Most bytes of a model are weights; the mutations go to the small networks, whose bytes are mostly structure. */
static void mutated_models_do_no_harm(void **state)
{
    (void)state;
    const char *text = getenv("CLEAVE_HOSTILE_CASES");
    const long wanted = text ? atol(text) : 3000;
    clvi_graph *const graphs[] = {network_two_inputs(), network_unknown_operator(), network_colour(),
                                  network_residual(3), network_identity(5)};
    clvi_rng rng;
    clvi_rng_seed(&rng, 7);
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        clvi_bytes whole;
        tally t = {0};
        assert_int_equal(clvi_onnx_write_bytes(graphs[i], &whole, NULL), CLV_OK);
        clvi_graph_free(graphs[i]);
        const long live = clvi_mem_live();
        uint8_t *copy = malloc(whole.size);
        assert_non_null(copy);
        for (long k = 0; k < wanted; k++) {
            size_t size = whole.size;
            memcpy(copy, whole.data, size);
            mutate(copy, &size, &rng);
            uint8_t *exact = malloc(size + !size); /* so that a read past the end is seen */
            assert_non_null(exact);
            memcpy(exact, copy, size);
            try_bytes(exact, size, &t);
            free(exact);
            assert_int_equal(clvi_mem_live(), live);
        }
        free(copy);
        clvi_free(whole.data);
        print_message("network %zu: %ld cases, %ld loaded, %ld inspected, %ld ran\n", i, t.cases, t.loaded, t.inspected,
                      t.ran);
        assert_true(t.loaded > 0 && t.loaded < t.cases);
        assert_true(t.inspected > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mutated_models_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
