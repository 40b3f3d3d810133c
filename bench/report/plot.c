/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/plot.h"

#include <math.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/value.h"

/* Told apart also by those who do not see all colours. */
static const char *const colours[] = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                      "#56b4e9", "#d55e00", "#999999", "#222222"};

enum { COLOURS = sizeof(colours) / sizeof(colours[0]) };

json_t *bench_plot_new(const char *title, const char *x, const char *y, bool bars)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:[]}", "title", title, "x", x, "y", y, "bars",
                     (int)bars, "series");
}

json_t *bench_plot_series(json_t *plot, const char *name)
{
    json_t *series = json_pack("{s:s, s:[]}", "name", name, "points");

    (void)json_array_append_new(json_object_get(plot, "series"), series);
    return series;
}

void bench_plot_point(json_t *series, json_t *x, double y)
{
    if (isfinite(y)) {
        (void)json_array_append_new(json_object_get(series, "points"), json_pack("[o, f]", x, y));
    } else {
        json_decref(x);
    }
}

void bench_plot_drop_empty(json_t *plot)
{
    json_t *all = json_object_get(plot, "series");
    size_t last = json_array_size(all) - 1;

    if (json_array_size(json_object_get(json_array_get(all, last), "points")) == 0) {
        (void)json_array_remove(all, last);
    }
}

/* gnuplot's double quotes take backslashes; our texts have neither, and whatever else comes is made
 * harmless. */
static void quote(FILE *script, const char *text)
{
    (void)fputc('"', script);
    for (; *text != '\0'; text++) {
        (void)fputc(*text == '"' || *text == '\\' || *text == '\n' ? '\'' : *text, script);
    }
    (void)fputc('"', script);
}

static void write_setting(FILE *script, const char *setting, const char *text)
{
    (void)fprintf(script, "set %s ", setting);
    quote(script, text);
    (void)fputs(" noenhanced\n", script);
}

static void write_frame(FILE *script, const json_t *plot, unsigned number)
{
    (void)fprintf(
        script,
        "set terminal svg size 1040,380 dynamic font 'sans-serif,13' name 'plot%u' background 'white'\n"
        "set key outside right top noenhanced\nset border 3 lc rgb '#888888'\nset tics nomirror\n"
        "set xtics noenhanced\nset grid y lc rgb '#dddddd' lt 1\n"
        "set datafile missing '?'\n",
        number);
    write_setting(script, "title", bench_value_text(plot, "title"));
    write_setting(script, "ylabel", bench_value_text(plot, "y"));
    write_setting(script, "xlabel", bench_value_text(plot, "x"));
}

static double y_at(const json_t *series, const char *cluster)
{
    size_t index;
    json_t *point;

    json_array_foreach(json_object_get(series, "points"), index, point)
    {
        if (strcmp(json_string_value(json_array_get(point, 0)), cluster) == 0) {
            return json_number_value(json_array_get(point, 1));
        }
    }
    return (double)NAN;
}

/* The clusters in the order in which the series name them. */
static json_t *clusters_of(const json_t *all)
{
    json_t *clusters = json_object();
    size_t index;
    size_t at;
    json_t *series;
    json_t *point;

    json_array_foreach(all, index, series)
    {
        json_array_foreach(json_object_get(series, "points"), at, point)
        {
            (void)json_object_set_new(clusters, json_string_value(json_array_get(point, 0)),
                                      json_true());
        }
    }
    return clusters;
}

static void write_bars(FILE *script, const json_t *all)
{
    json_t *clusters = clusters_of(all);
    const char *cluster;
    json_t *unused;
    size_t index;
    json_t *series;

    (void)fputs("$data << END\n", script);
    json_object_foreach(clusters, cluster, unused)
    {
        quote(script, cluster);
        json_array_foreach(all, index, series)
        {
            double y = y_at(series, cluster);

            (void)fprintf(script, isfinite(y) ? " %.6g" : " ?", y);
        }
        (void)fputc('\n', script);
    }
    (void)fprintf(script,
                  "END\nset style data histograms\nset style histogram clustered gap 1\n"
                  "set style fill solid 0.9 noborder\nset boxwidth 0.95\nset yrange [0:*]\n"
                  "set xrange [-0.6:%zu.6]\nplot ",
                  json_object_size(clusters) - 1);
    json_array_foreach(all, index, series)
    {
        (void)fprintf(script, "%s$data using %zu%s lc rgb '%s' title ", index == 0 ? "" : ", ",
                      index + 2, index == 0 ? ":xtic(1)" : "", colours[index % COLOURS]);
        quote(script, bench_value_text(series, "name"));
    }
    (void)fputc('\n', script);
    json_decref(clusters);
}

/* Sizes, as people say them. */
static void write_size_tics(FILE *script)
{
    static const char units[] = {'\0', 'K', 'M', 'G'};
    const char *separator = "";

    (void)fputs("set xtics (", script);
    for (unsigned power = 4; power <= 32; power += 2) {
        (void)fprintf(script, "%s\"%u%.1s\" %.0f", separator, 1u << power % 10, &units[power / 10],
                      exp2((double)power));
        separator = ", ";
    }
    (void)fputs(")\n", script);
}

static void write_lines(FILE *script, const json_t *all)
{
    size_t index;
    size_t at;
    json_t *series;
    json_t *point;
    const char *separator = "";

    (void)fputs("set logscale x 2\nset logscale y\nset xrange [*:*] noextend\n", script);
    json_array_foreach(all, index, series)
    {
        (void)fprintf(script, "$data%zu << END\n", index);
        json_array_foreach(json_object_get(series, "points"), at, point)
        {
            (void)fprintf(script, "%.6g %.6g\n", json_number_value(json_array_get(point, 0)),
                          json_number_value(json_array_get(point, 1)));
        }
        (void)fputs("END\n", script);
    }
    (void)fputs("plot ", script);
    json_array_foreach(all, index, series)
    {
        const char *name = bench_value_text(series, "name");

        if (strncmp(name, "crossing", 8) == 0) {
            (void)fprintf(script, "%s$data%zu with points lw 2 pt 6 ps 1.6 lc rgb '#000000' title ",
                          separator, index);
        } else {
            /* Colours that come again are told apart by their lines. */
            bool dashed = index >= COLOURS || strncmp(name, "floor", 5) == 0;

            (void)fprintf(script,
                          "%s$data%zu with linespoints lw 2 pt 7 ps 0.6 lc rgb '%s'%s title ",
                          separator, index, colours[index % COLOURS], dashed ? " dt 2" : "");
        }
        quote(script, bench_value_text(series, "name"));
        separator = ", ";
    }
    (void)fputc('\n', script);
}

static bool run_gnuplot(FILE *script, FILE *output)
{
    char *arguments[] = {(char[]){"gnuplot"}, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;
    bool ran;

    (void)fflush(script);
    rewind(script);
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return false;
    }
    (void)posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, fileno(output), STDOUT_FILENO);
    ran = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ) == 0 &&
          waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    (void)posix_spawn_file_actions_destroy(&actions);
    return ran;
}

/* Leaves out what may stand only at the beginning of a file. */
static bool copy_element(FILE *from, FILE *to)
{
    char line[4096];
    bool begun = false;

    rewind(from);
    while (fgets(line, sizeof(line), from) != NULL) {
        const char *start = begun ? line : strstr(line, "<svg");

        if (start != NULL) {
            begun = true;
            (void)fputs(start, to);
        }
    }
    return begun;
}

bool bench_plot_has_points(const json_t *plot)
{
    size_t index;
    json_t *series;

    json_array_foreach(json_object_get(plot, "series"), index, series)
    {
        if (json_array_size(json_object_get(series, "points")) > 0) {
            return true;
        }
    }
    return false;
}

bool bench_plot_write(const json_t *plot, unsigned number, FILE *stream)
{
    const json_t *all = json_object_get(plot, "series");
    FILE *script = tmpfile();
    FILE *output = tmpfile();
    bool written = false;

    if (script != NULL && output != NULL) {
        write_frame(script, plot, number);
        if (json_is_true(json_object_get(plot, "bars"))) {
            write_bars(script, all);
        } else {
            if (json_is_true(json_object_get(plot, "sizes"))) {
                write_size_tics(script);
            }
            write_lines(script, all);
        }
        written = run_gnuplot(script, output) && copy_element(output, stream);
    }
    if (script != NULL) {
        (void)fclose(script);
    }
    if (output != NULL) {
        (void)fclose(output);
    }
    return written;
}
