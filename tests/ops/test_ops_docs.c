// SPDX-License-Identifier: Apache-2.0
/* docs/operators.md lists the rows of op_list.h, no more and no less, each with its operator sets. Run in the root. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"

enum { first_opset = 7, last_opset = 22 }; /* what src/onnx reads */

int main(void)
{
    size_t n;
    const clvi_op *const *rows = clvi_op_all(&n);
    int bad = 0;
    size_t listed = 0;
    char line[400], type[100];
    FILE *docs = fopen("docs/operators.md", "r");
    if (!docs)
        return printf("cannot open docs/operators.md\n"), 1;
    while (fgets(line, sizeof line, docs)) {
        int since, until;
        if (sscanf(line, "| %99[A-Za-z0-9] | %d-%d |", type, &since, &until) != 3)
            continue;
        listed++;
        size_t k = 0;
        while (k < n && strcmp(rows[k]->type, type) != 0)
            k++;
        const int from = k < n && rows[k]->since > first_opset ? rows[k]->since : first_opset;
        const int to = k < n && rows[k]->until ? rows[k]->until : last_opset;
        if (k == n || since != from || until != to)
            bad += printf("docs/operators.md: %s %d-%d, the code %s %d-%d\n", type, since, until,
                          k < n ? "serves" : "does not have it", from, to) > 0;
    }
    fclose(docs);
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < k; j++)
            if (!strcmp(rows[j]->type, rows[k]->type))
                bad += printf("%s has two rows: the table cannot tell them apart\n", rows[k]->type) > 0;
    if (listed != n)
        bad += printf("docs/operators.md lists %zu operators, the code %zu\n", listed, n) > 0;
    printf("%zu operators\n", n);
    return bad != 0;
}
