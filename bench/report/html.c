/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/html.h"

#include "report/plot.h"
#include "report/value.h"
#include "report/views.h"

static const char style[] =
    "body{font:15px/1.45 sans-serif;color:#222;background:#fff;max-width:1120px;margin:2em auto;padding:0 1em}\n"
    "h1{font-size:1.7em;margin-bottom:0}h2{margin-top:2em;border-bottom:2px solid #0072b2;padding-bottom:.15em}\n"
    "h3{margin:1.6em 0 .2em}p.note{color:#555;margin:.2em 0 .6em;white-space:pre-line}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:2px 9px;text-align:right;white-space:nowrap}th.text,td.text{text-align:left}\n"
    "thead th{background:#f2f5f8;border-bottom:1px solid #b8c4d0;font-weight:600}\n"
    "th.group{text-align:center;border-left:1px solid #b8c4d0}td.first{border-left:1px solid #dde3e9}\n"
    "tr.new td{border-top:1px solid #e6eaee}tbody tr:hover td{background:#fff8e1}\n"
    ".bad{background:#fdecea;border-left:4px solid #c62828;padding:.5em 1em}.good{color:#2e7d32}\n"
    "svg{width:100%;height:auto;margin:.6em 0}\n";

static void write_view(bench_view view, const json_t *root, FILE *stream)
{
    struct bench_table *table = view(root);

    if (!bench_table_is_empty(table)) {
        bench_table_html(table, stream);
    }
    bench_table_free(table);
}

static void write_failures(const json_t *root, FILE *stream)
{
    size_t index;
    json_t *row;

    if (bench_views_failures(root) == 0) {
        (void)fprintf(stream, "<p class=\"good\">The data of all %zu cases was verified.</p>\n",
                      json_array_size(json_object_get(root, "rows")));
        return;
    }
    (void)fprintf(stream, "<div class=\"bad\"><strong>%u of %zu cases failed:</strong><ul>\n",
                  bench_views_failures(root), json_array_size(json_object_get(root, "rows")));
    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (json_is_false(json_object_get(row, "verified"))) {
            (void)fputs("<li>", stream);
            bench_html_text(stream, bench_value_text(row, "command"));
            (void)fputc(' ', stream);
            bench_html_text(stream, bench_value_text(row, "label"));
            (void)fputs(": ", stream);
            bench_html_text(stream, bench_value_text(row, "failure"));
            (void)fputs("</li>\n", stream);
        }
    }
    (void)fputs("</ul></div>\n", stream);
}

static int write_plots(const json_t *root, FILE *stream)
{
    json_t *plots = bench_plots_make(root);
    int drawn = 0;
    bool failed = false;
    size_t index;
    json_t *plot;

    json_array_foreach(plots, index, plot)
    {
        if (!bench_plot_has_points(plot)) {
            continue;
        }
        if (bench_plot_write(plot, (unsigned)index, stream)) {
            drawn++;
        } else {
            failed = true;
        }
    }
    if (failed) {
        (void)fputs(
            "<p class=\"note\">Some plots are missing: gnuplot is not installed or failed.</p>\n",
            stream);
    } else if (drawn == 0) {
        (void)fputs("<p class=\"note\">These results have nothing to plot.</p>\n", stream);
    }
    json_decref(plots);
    return failed ? -1 : drawn;
}

static void write_head(const json_t *root, FILE *stream)
{
    (void)fprintf(
        stream,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>virtq-bench</title>\n"
        "<style>\n%s</style></head><body>\n<h1>virtq-bench</h1>\n<p class=\"note\">",
        style);
    bench_html_text(stream, bench_value_text(root, "machine.cpu"));
    (void)fputs(", ", stream);
    bench_html_text(stream, bench_value_text(root, "machine.kernel"));
    (void)fputs(", ", stream);
    bench_html_text(stream, bench_value_text(root, "date"));
    (void)fputs(json_is_true(json_object_get(root, "quick")) ? " (quick: rough figures)" : "",
                stream);
    (void)fputs("</p>\n", stream);
}

int bench_html_write(const json_t *root, FILE *stream)
{
    int drawn;

    write_head(root, stream);
    write_failures(root, stream);
    write_view(bench_view_headline, root, stream);
    (void)fputs("<h2>Plots</h2>\n", stream);
    drawn = write_plots(root, stream);
    (void)fputs("<h2>Figures</h2>\n", stream);
    for (unsigned view = 0; bench_views[view] != NULL; view++) {
        write_view(bench_views[view], root, stream);
    }
    (void)fputs("<h2>Machine and build</h2>\n", stream);
    write_view(bench_view_machine, root, stream);
    (void)fputs("</body></html>\n", stream);
    return drawn;
}
