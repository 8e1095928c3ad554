/* SPDX-License-Identifier: Apache-2.0 */
/* The list of forms, and their options. */
#include "decompose/form.h"

#include <string.h>

#define F(form) extern const clvi_form form;
#include "decompose/form_list.h"
#undef F

static const clvi_form *const forms[] = {
#define F(form) &form,
#include "decompose/form_list.h"
#undef F
};

const clvi_form *const *clvi_form_all(size_t *n)
{
    *n = sizeof forms / sizeof *forms;
    return forms;
}

const clvi_form *clvi_form_find(const char *name)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i]->name, name) == 0)
            return forms[i];
    return NULL;
}

static const char *const method_names[] = {"svd", "gsvd", "inter-channel", "sweeps", "joint"};
#define METHODS (sizeof method_names / sizeof *method_names)

const char *clvi_method_name(clvi_method method)
{
    return (size_t)method < METHODS ? method_names[method] : "unknown";
}

bool clvi_method_parse(const char *name, clvi_method *out)
{
    for (size_t i = 0; i < METHODS; i++)
        if (strcmp(method_names[i], name) == 0) {
            *out = (clvi_method)i;
            return true;
        }
    return false;
}

clvi_fit_opts clvi_fit_opts_default(void)
{
    return (clvi_fit_opts){.method = CLVI_METHOD_JOINT,
                           .multiplier = 1,
                           .ridge = 1e-3,
                           .max_iterations = 100,
                           .seed = 1,
                           .starts = 3,
                           .tolerance = 1e-6};
}

void clvi_memo_free(clvi_memo *memo)
{
    for (size_t i = 0; i < memo->groups; i++)
        if (memo->made[i])
            memo->release((char *)memo->items + i * memo->bytes);
    clvi_free(memo->items);
    clvi_free(memo->made);
    *memo = (clvi_memo){0};
}

int64_t clvi_conv_macs_per_pixel(const clvi_conv *conv)
{
    return conv->o * (conv->c / conv->groups) * conv->kh * conv->kw;
}

clvi_conv_extent clvi_conv_extent_of(const clvi_conv *conv)
{
    const int64_t inputs = conv->c / conv->groups * conv->kh * conv->kw;
    return inputs >= 2048 ? CLVI_CONV_HUGE : inputs >= 1024 ? CLVI_CONV_LARGE : CLVI_CONV_USUAL;
}
