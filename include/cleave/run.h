/* SPDX-License-Identifier: Apache-2.0 */
/* Running a network on tensors. */
#ifndef CLEAVE_RUN_H
#define CLEAVE_RUN_H

#include <stddef.h>

#include "cleave/context.h"
#include "cleave/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clv_session clv_session;

/* Make a network ready to run.
 *
 * out      gives (clv_session_free); NULL on failure
 * model    viewed: must outlive the session and must not change meanwhile
 * fetch    names of the n_fetch tensors wanted, any inner ones too; NULL: the outputs of the model
 * context  viewed: must outlive the session
 *
 * CLV_ERR_UNSUP  the first operator that the library cannot run, by name
 * CLV_ERR_ARG    no tensor is called like one of `fetch`
 *
 * Per object: each session belongs to one thread at a time; sessions of one model may run at once when their contexts
 * differ. */
CLV_API clv_status clv_session_create(clv_session **out, const clv_model *model, const char *const *fetch,
                                      size_t n_fetch, clv_context *context, clv_error *err);

CLV_API void clv_session_free(clv_session *session); /* NULL-safe; before the model and the context */

/* Run once.
 *
 * inputs   borrowed; inputs[i] is input i of the model, [dims as declared; symbolic ones free], dense. The types are
 *          those declared; float16, bfloat16 and float64 are computed in float32
 * outputs  written: outputs[j].data views fetch j, valid until the next run or clv_session_free
 *
 * The plan is made at the first run and again when the shapes of the inputs change; other runs allocate nothing.
 *
 * CLV_ERR_ARG     wrong number of inputs or outputs, or an input that does not fit what the model declares
 * CLV_ERR_FORMAT  the network contradicts itself at these shapes; the message names the node
 *
 * Per object. Same bits for any number of threads. */
CLV_API clv_status clv_session_run(clv_session *session, const clv_tensor *inputs, size_t n_inputs, clv_tensor *outputs,
                                   size_t n_outputs, clv_error *err);

/* The same with inputs in any order: inputs[i] goes to the model's input called names[i]. CLV_ERR_ARG lists the inputs
 * when a name is unknown, given twice or missing. Per object. */
CLV_API clv_status clv_session_run_named(clv_session *session, const char *const *names, const clv_tensor *inputs,
                                         size_t n_inputs, clv_tensor *outputs, size_t n_outputs, clv_error *err);

/* How many tensors a run writes, and the name of each (views the session; NULL: index out of range). Per object. */
CLV_API size_t clv_session_outputs(const clv_session *session);
CLV_API const char *clv_session_output_name(const clv_session *session, size_t index);

#ifdef __cplusplus
}
#endif
#endif
