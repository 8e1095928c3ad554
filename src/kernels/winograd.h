/* SPDX-License-Identifier: Apache-2.0 */
/* The matrices of Winograd's F(m x m, 3 x 3), m = 4 or 2 (Lavin and Gray 2016, section 4):
 *
 *   y = A^T [ (G g G^T) . (B^T d B) ] A        g [3, 3], d [m + 2, m + 2], y [m, m], `.` element by element
 *
 * is the 3x3 correlation of d with g: (m + 2)^2 products instead of 9 m^2. A 1-D transform evaluates polynomials at
 * m + 1 points and infinity (Toom and Cook): F(2,3) at 0, 1, -1; F(4,3) at 0, +-sqrt(1/2), +-sqrt(2). At the usual 0,
 * +-1, +-2 errors are larger (docs/perf.md).
 *
 * Error. Let u = 2^-24 and x, w be the inputs and filters of an output channel of c input channels. Computed in float
 * with weights transformed in double and rounded once, sums over channels in order,
 *
 *   |y' - y| <= g(c + CLVI_WINOGRAD_ROUNDINGS) * amplification^2 * max |x| * sum |w|,     g(k) = k u / (1 - k u),
 *   amplification = max_{r, k} sum_p |A[p, r]| |G[p, k]| sum_l |B[l, p]|
 *
 * because each factor in the sums above is replaced by its absolute value, and each term of the result passes at most c
 * additions of the sum over channels and CLVI_WINOGRAD_ROUNDINGS other operations (Higham 2002, 3.1). This holds for
 * every input; rounding errors of random signs stay hundreds of times below it: on normal random data of 64 to 512
 * channels the largest error is below CLVI_WINOGRAD_USUAL of the largest output. */
#ifndef CLVI_KERNELS_WINOGRAD_H
#define CLVI_KERNELS_WINOGRAD_H

#include <stddef.h>

#define CLVI_WINOGRAD_MOST      6 /* largest m + 2 */
#define CLVI_WINOGRAD_ROUNDINGS 24
#define CLVI_WINOGRAD_USUAL     1e-5

typedef struct clvi_winograd {
    size_t m, n; /* outputs and inputs of a tile along an axis */
    double bt[CLVI_WINOGRAD_MOST][CLVI_WINOGRAD_MOST], g[CLVI_WINOGRAD_MOST][3], at[4][CLVI_WINOGRAD_MOST];
    double amplification;
} clvi_winograd;

const clvi_winograd *clvi_winograd_of(size_t m); /* m: 4 or 2 */

#endif
