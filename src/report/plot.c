/* SPDX-License-Identifier: Apache-2.0 */
#include "report/plot.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "report/number.h"

#define WIDTH  800
#define HEIGHT 480
#define LEFT   76
#define RIGHT  620 /* the legend stands to the right of it */
#define TOP    52
#define BOTTOM 416
#define TICKS  24
#define LEGEND (RIGHT + 24)

/* Colours of equal weight on white and on near-black, apart for colour-blind readers too (after Okabe and Ito); the
 * dashes and the end marks tell series apart without colour. */
static const char *const colour[CLVI_PLOT_MAX_SERIES] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                         "#b58900", "#56a0d3", "#7f7f7f", "#8c564b",
                                                         "#6a51a3", "#e7298a", "#1b9e77", "#a6761d"};
static const char *const dash[] = {"none", "8 4", "2 3", "8 3 2 3"};

typedef struct axis {
    bool log;
    double low, high; /* of what is drawn; logarithms to base 10 on a logarithmic axis */
    double from, to;  /* pixels */
    double tick[TICKS];
    size_t n_ticks;
} axis;

static bool on_axis(double v, bool log)
{
    return isfinite(v) && (!log || v > 0);
}

static double place(const axis *a, double v)
{
    const double u = a->log ? log10(v) : v;
    return a->from + (u - a->low) / (a->high - a->low) * (a->to - a->from);
}

/* About six steps of 1, 2 or 5 times a power of ten. */
static double nice_step(double range)
{
    const double raw = range / 6, power = pow(10, floor(log10(raw))), m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

static void linear_ticks(axis *a)
{
    const double step = nice_step(a->high - a->low);
    a->low = floor(a->low / step + 1e-9) * step;
    a->high = ceil(a->high / step - 1e-9) * step;
    for (double i = 0; a->n_ticks < TICKS && a->low + i * step <= a->high + 0.5 * step; i++) {
        const double v = a->low + i * step;
        a->tick[a->n_ticks++] = fabs(v) < 1e-9 * step ? 0 : v;
    }
}

/* Powers of ten, with 2 and 5 times between them on a short axis. */
static void log_ticks(axis *a)
{
    static const double part[] = {1, 2, 5};
    const bool shortly = a->high - a->low < 3;
    const double every = fmax(1, ceil((a->high - a->low) / 8));
    for (double d = floor(a->low); d <= a->high; d += every)
        for (size_t i = 0; i < (shortly ? 3U : 1U); i++) {
            const double u = d + log10(part[i]);
            if (u >= a->low - 1e-9 && u <= a->high + 1e-9 && a->n_ticks < TICKS)
                a->tick[a->n_ticks++] = part[i] * pow(10, d);
        }
}

static bool find_axis(axis *a, const clvi_plot *plot, bool is_x)
{
    bool any = false;
    a->log = is_x ? plot->log_x : plot->log_y;
    for (size_t s = 0; s < plot->n_series; s++)
        for (size_t i = 0; i < plot->series[s].n; i++) {
            const double x = plot->series[s].x[i], y = plot->series[s].y[i], v = is_x ? x : y;
            if (!on_axis(x, plot->log_x) || !on_axis(y, plot->log_y))
                continue;
            const double u = a->log ? log10(v) : v;
            a->low = any ? fmin(a->low, u) : u;
            a->high = any ? fmax(a->high, u) : u;
            any = true;
        }
    if (!any || !isfinite(a->high - a->low))
        return false;
    const double least = a->log ? 0.1 : fmax(1e-9 * fabs(a->high), 1e-300);
    if (a->high - a->low < least) {
        const double around = a->log ? 0.5 : fmax(0.5 * fabs(a->high), 1e-3);
        a->low -= around;
        a->high += around;
    }
    if (a->log) {
        const double margin = 0.04 * (a->high - a->low);
        a->low -= margin;
        a->high += margin;
        log_ticks(a);
    } else {
        linear_ticks(a);
    }
    return true;
}

static void put_escaped(clvi_str *out, const char *text)
{
    for (; text && *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '<')
            clvi_str_puts(out, "&lt;");
        else if (c == '&')
            clvi_str_puts(out, "&amp;");
        else if (c == '"')
            clvi_str_puts(out, "&quot;");
        else
            clvi_str_append(out, c < 0x20 || c == 0x7F ? "?" : text, 1);
    }
}

/* <NAME then one KEY="value" for each pair, pixels with one decimal. */
static void put_pixels(clvi_str *out, const char *open, const char *keys, const double *values)
{
    char number[CLVI_NUMBER_SIZE];
    clvi_str_printf(out, "<%s", open);
    for (size_t i = 0; *keys; i++) {
        const size_t n = strcspn(keys, " ");
        clvi_number_fixed(number, round(values[i] * 10) / 10, 1);
        clvi_str_printf(out, " %.*s=\"%s\"", (int)n, keys, number);
        keys += n + (keys[n] == ' ');
    }
}

static void put_text(clvi_str *out, double x, double y, const char *more, const char *text)
{
    put_pixels(out, "text", "x y", (double[]){x, y});
    clvi_str_printf(out, "%s>", more);
    put_escaped(out, text);
    clvi_str_puts(out, "</text>\n");
}

/* A tick's number: at most 6 digits, with k, M or G for ten thousand and up. */
static void tick_text(char text[CLVI_NUMBER_SIZE + 1], double v)
{
    static const struct {
        double least, unit;
        char letter;
    } scale[] = {{1e9, 1e9, 'G'}, {1e6, 1e6, 'M'}, {1e4, 1e3, 'k'}, {0, 1, '\0'}};
    size_t i = fabs(v) < 1e12 ? 0 : 3;
    while (fabs(v) < scale[i].least)
        i++;
    clvi_number_short(text, v / scale[i].unit);
    const size_t n = strlen(text);
    text[n] = scale[i].letter;
    text[n + 1] = '\0';
}

static void put_axes(clvi_str *out, const axis *x, const axis *y, const clvi_plot *plot)
{
    char text[CLVI_NUMBER_SIZE + 1];
    for (size_t i = 0; i < y->n_ticks; i++) {
        const double p = place(y, y->tick[i]);
        put_pixels(out, "line class=\"grid\"", "x1 y1 x2 y2", (double[]){LEFT, p, RIGHT, p});
        clvi_str_puts(out, "/>\n");
        tick_text(text, y->tick[i]);
        put_text(out, LEFT - 8, p + 4, " class=\"tick\" text-anchor=\"end\"", text);
    }
    for (size_t i = 0; i < x->n_ticks; i++) {
        const double p = place(x, x->tick[i]);
        put_pixels(out, "line class=\"grid\"", "x1 y1 x2 y2", (double[]){p, TOP, p, BOTTOM});
        clvi_str_puts(out, "/>\n");
        tick_text(text, x->tick[i]);
        put_text(out, p, BOTTOM + 18, " class=\"tick\" text-anchor=\"middle\"", text);
    }
    clvi_str_printf(out, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, BOTTOM, RIGHT);
    put_text(out, (LEFT + RIGHT) / 2.0, BOTTOM + 44, " text-anchor=\"middle\"", plot->x_label);
    put_text(out, -(TOP + BOTTOM) / 2.0, 20, " text-anchor=\"middle\" transform=\"rotate(-90)\"", plot->y_label);
    put_text(out, LEFT, 30, " class=\"title\"", plot->title);
}

static void put_series(clvi_str *out, const axis *x, const axis *y, const clvi_plot *plot, size_t s)
{
    const clvi_series *series = &plot->series[s];
    char px[CLVI_NUMBER_SIZE], py[CLVI_NUMBER_SIZE];
    const char *stroke = dash[s % (sizeof dash / sizeof *dash)];
    const char *separator = "";
    clvi_str_printf(out, "<g stroke=\"%s\" fill=\"%s\">\n", colour[s], colour[s]);
    clvi_str_printf(out, "<polyline class=\"line\" stroke-dasharray=\"%s\" points=\"", stroke);
    for (size_t i = 0; i < series->n; i++) {
        if (!on_axis(series->x[i], x->log) || !on_axis(series->y[i], y->log))
            continue;
        clvi_number_fixed(px, place(x, series->x[i]), 1);
        clvi_number_fixed(py, place(y, series->y[i]), 1);
        clvi_str_printf(out, "%s%s,%s", separator, px, py);
        separator = " ";
    }
    clvi_str_puts(out, "\"/>\n");
    for (size_t i = 0; i < series->n; i++)
        if (on_axis(series->x[i], x->log) && on_axis(series->y[i], y->log)) {
            put_pixels(out, "circle", "cx cy r", (double[]){place(x, series->x[i]), place(y, series->y[i]), 3.5});
            clvi_str_puts(out, "/>\n");
        }
    clvi_str_puts(out, "</g>\n");
}

static void put_legend(clvi_str *out, const clvi_plot *plot)
{
    double y = TOP + 8;
    for (size_t s = 0; s < plot->n_series; s++) {
        if (!plot->series[s].label)
            continue;
        clvi_str_printf(out, "<g stroke=\"%s\" fill=\"%s\">", colour[s], colour[s]);
        put_pixels(out, "line class=\"line\"", "x1 y1 x2 y2", (double[]){LEGEND, y, LEGEND + 28, y});
        clvi_str_printf(out, " stroke-dasharray=\"%s\"/>", dash[s % (sizeof dash / sizeof *dash)]);
        put_pixels(out, "circle", "cx cy r", (double[]){LEGEND + 14, y, 3.5});
        clvi_str_puts(out, "/></g>\n");
        put_text(out, LEGEND + 36, y + 4, "", plot->series[s].label);
        y += 22;
    }
}

static void put_head(clvi_str *out, size_t panels)
{
    const size_t height = panels * HEIGHT;
    clvi_str_printf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" width=\"%d\" height=\"%zu\">\n",
                    WIDTH, height, WIDTH, height);
    clvi_str_puts(out, "<style>\n"
                       ".page{fill:#fff} text{fill:#24292f;font:13px system-ui,sans-serif} .title{font-size:16px;"
                       "font-weight:600} .tick{font-size:12px;fill:#57606a}\n"
                       ".grid{stroke:#8c959f;stroke-opacity:.25} .axis{stroke:#57606a;fill:none} "
                       ".line{fill:none;stroke-width:2}\n"
                       "@media (prefers-color-scheme:dark){.page{fill:#0d1117} text{fill:#e6edf3} .tick{fill:#9198a1} "
                       ".axis{stroke:#9198a1}}\n"
                       "</style>\n");
    clvi_str_printf(out, "<rect class=\"page\" width=\"%d\" height=\"%zu\"/>\n", WIDTH, height);
}

static clv_status put_panel(clvi_str *out, const clvi_plot *plot, size_t panel, clv_error *err)
{
    axis x = {.from = LEFT, .to = RIGHT}, y = {.from = BOTTOM, .to = TOP};
    if (plot->n_series > CLVI_PLOT_MAX_SERIES)
        return FAIL(err, CLV_ERR_ARG, "%zu series, at most %d can be drawn", plot->n_series, CLVI_PLOT_MAX_SERIES);
    if (!find_axis(&x, plot, true) || !find_axis(&y, plot, false))
        return FAIL(err, CLV_ERR_ARG, "no point of \"%s\" can be drawn", plot->title ? plot->title : "");
    clvi_str_printf(out, "<g transform=\"translate(0 %zu)\">\n", panel * HEIGHT);
    put_axes(out, &x, &y, plot);
    for (size_t s = 0; s < plot->n_series; s++)
        put_series(out, &x, &y, plot, s);
    put_legend(out, plot);
    clvi_str_puts(out, "</g>\n");
    return CLV_OK;
}

clv_status clvi_plot_write(const clvi_plot *plots, size_t n, const char *path, clv_error *err)
{
    clvi_str out = {0};
    clv_status st = CLV_OK;
    put_head(&out, n);
    for (size_t i = 0; st == CLV_OK && i < n; i++)
        st = put_panel(&out, &plots[i], i, err);
    clvi_str_puts(&out, "</svg>\n");
    if (st == CLV_OK)
        st = out.failed ? FAIL(err, CLV_ERR_NOMEM, "text of \"%s\"", path)
                        : clvi_file_replace(path, out.text, out.size, err);
    clvi_str_free(&out);
    return st;
}
