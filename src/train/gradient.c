/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "train/node.h"

#define GRADIENT(symbol) extern const clvi_gradient symbol;
#include "train/gradient_list.h"
#undef GRADIENT

static const clvi_gradient *const rows[] = {
#define GRADIENT(symbol) &symbol,
#include "train/gradient_list.h"
#undef GRADIENT
};

const clvi_gradient *clvi_gradient_find(const clvi_node *node)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (clvi_node_is(node, rows[i]->type))
            return rows[i];
    return NULL;
}
