/* SPDX-License-Identifier: Apache-2.0 */
#include "search/time_curve.h"

#include <math.h>

double clvi_time_at(const clvi_time_point *points, size_t n, const clvi_form *form, int64_t macs)
{
    const clvi_time_point *below = NULL, *above = NULL; /* nearest sizes <= macs and >= macs */
    for (size_t i = 0; i < n; i++) {
        const clvi_time_point *p = &points[i];
        if (p->form != form)
            continue;
        if (p->macs <= macs &&
            (!below || p->macs > below->macs || (p->macs == below->macs && p->seconds < below->seconds)))
            below = p;
        if (p->macs >= macs &&
            (!above || p->macs < above->macs || (p->macs == above->macs && p->seconds < above->seconds)))
            above = p;
    }
    if (!below && !above)
        return (double)NAN;
    if (!below)
        return above->seconds;
    if (!above)
        return below->macs > 0 ? below->seconds * (double)macs / (double)below->macs : below->seconds;
    if (below->macs == above->macs)
        return below->seconds;
    const double share = (double)(macs - below->macs) / (double)(above->macs - below->macs);
    return below->seconds + share * (above->seconds - below->seconds);
}
