/* SPDX-License-Identifier: Apache-2.0 */
#include "train/loss.h"

#include <math.h>

/* log of sum_i exp(x_i / T - max) and max = max_i x_i / T; returns the index of the first largest. */
static size_t normaliser(const float *x, size_t n, double temperature, double *high, double *log_sum)
{
    size_t best = 0;
    double sum = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    *high = (double)x[best] / temperature;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] / temperature - *high);
    *log_sum = log(sum);
    return best;
}

double clvi_loss_kl(float *gradient, const float *student, const float *teacher, size_t rows, size_t n,
                    double temperature, double scale, int64_t *same)
{
    double loss = 0;
    for (size_t r = 0; r < rows; r++) {
        const float *const s = student + r * n, *const t = teacher + r * n;
        double s_high, s_log, t_high, t_log;
        const size_t s_best = normaliser(s, n, temperature, &s_high, &s_log);
        const size_t t_best = normaliser(t, n, temperature, &t_high, &t_log);
        if (same)
            *same += s_best == t_best;
        for (size_t i = 0; i < n; i++) {
            const double ls = (double)s[i] / temperature - s_high - s_log;
            const double lt = (double)t[i] / temperature - t_high - t_log;
            loss += exp(lt) * (lt - ls) * temperature * temperature;
            if (gradient)
                gradient[r * n + i] = (float)(scale * temperature * (exp(ls) - exp(lt)));
        }
    }
    return loss;
}

double clvi_loss_mixed(float *gradient, const float *x, const clvi_labels *labels, size_t rows, size_t n,
                       double smoothing, double scale, int64_t *right)
{
    double loss = 0;
    for (size_t r = 0; r < rows; r++) {
        const int64_t first = labels->first[r], second = labels->second ? labels->second[r] : first;
        const double share = labels->second ? labels->share[r] : 1;
        double high, log_sum;
        const size_t best = normaliser(x + r * n, n, 1, &high, &log_sum);
        if (right)
            *right += (int64_t)best == first;
        for (size_t i = 0; i < n; i++) {
            const double l = (double)x[r * n + i] - high - log_sum;
            const double part = ((int64_t)i == first ? share : 0) + ((int64_t)i == second ? 1 - share : 0);
            const double q = smoothing / (double)n + part * (1 - smoothing);
            loss -= q * l;
            if (gradient)
                gradient[r * n + i] = (float)(scale * (exp(l) - q));
        }
    }
    return loss;
}

double clvi_loss_cross_entropy(float *gradient, const float *x, const int64_t *labels, size_t rows, size_t n,
                               double smoothing, double scale, int64_t *right)
{
    const clvi_labels plain = {.first = labels};
    return clvi_loss_mixed(gradient, x, &plain, rows, n, smoothing, scale, right);
}

double clvi_loss_relative(const clvi_loops *loops, float *gradient, const float *s, const float *t, size_t count,
                          double scale)
{
    double sums[2];
    loops->compare(sums, s, t, count);
    const double all = sums[1] > 0 ? sums[1] : 1;
    if (gradient)
        loops->difference(gradient, s, t, (float)(2 * scale / all), count);
    return sums[0] / all;
}
