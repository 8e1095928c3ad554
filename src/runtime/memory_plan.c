/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/memory_plan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

/* Larger first; equal sizes in the order they were given, so that the plan does not depend on qsort. */
static int by_size(const void *a, const void *b)
{
    const clvi_interval *const x = *(clvi_interval *const *)a, *const y = *(clvi_interval *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}

static size_t footprint(const clvi_interval *item)
{
    return clvi_round_up(item->bytes, CLV_ALIGN);
}

/* The lowest offset at which `item` meets nothing that is alive with it; placed[] is sorted by offset. */
static size_t lowest_gap(const clvi_interval *item, clvi_interval *const *placed, size_t n)
{
    size_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        const clvi_interval *const p = placed[i];
        if (p->last < item->first || item->last < p->first)
            continue;
        if (p->offset >= offset && p->offset - offset >= footprint(item))
            break;
        offset = clvi_max_size(offset, p->offset + footprint(p));
    }
    return offset;
}

clv_status clvi_memory_plan(clvi_interval *items, size_t n, size_t *total, clv_error *err)
{
    size_t sum = 0;
    *total = 0;
    for (size_t i = 0; i < n; i++)
        if (items[i].bytes > PTRDIFF_MAX - CLV_ALIGN || !clvi_add(sum, footprint(&items[i]), &sum) || sum > PTRDIFF_MAX)
            return FAIL(err, CLV_ERR_NOMEM, "activations larger than the address space");
    clvi_interval **const order = clvi_alloc_array(2 * n, sizeof *order);
    if (!order)
        return FAIL(err, CLV_ERR_NOMEM, "memory plan of %zu buffers", n);
    clvi_interval **const placed = order + n;
    for (size_t i = 0; i < n; i++)
        order[i] = &items[i];
    qsort(order, n, sizeof *order, by_size);
    for (size_t i = 0; i < n; i++) {
        clvi_interval *const item = order[i];
        item->offset = lowest_gap(item, placed, i);
        *total = clvi_max_size(*total, item->offset + footprint(item));
        size_t at = i;
        while (at > 0 && placed[at - 1]->offset > item->offset)
            at--;
        memmove(placed + at + 1, placed + at, (i - at) * sizeof *placed);
        placed[at] = item;
    }
    clvi_free(order);
    return CLV_OK;
}
