/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <virtq/version.h>

#include "harness/machine.h"
#include "harness/stop.h"
#include "report/views.h"

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *date_json(void)
{
    char text[40];
    time_t now = time(NULL);
    struct tm parts;

    if (localtime_r(&now, &parts) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &parts) == 0) {
        text[0] = '\0';
    }
    return json_string(text);
}

void bench_results_begin(struct bench_results *results, const struct bench_options *options)
{
    memset(results, 0, sizeof(*results));
    (void)bench_cpu_pin(options->cpus.cpu[0]);
    (void)bench_counters_open();
    results->rows = json_array();
    results->root = json_pack(
        "{s:s, s:s, s:s, s:o, s:b, s:b, s:o, s:o, s:[i,i], s:b, s:o}", "program", "virtq-bench",
        "version", BENCH_VERSION, "library", virtq_version(), "date", date_json(), "quick",
        options->quick, "stopped", 0, "machine", bench_machine_describe(), "build",
        bench_build_describe(), "cpus", options->cpus.cpu[0], options->cpus.cpu[1], "counters",
        bench_counters_available(), "rows", results->rows);
}

json_t *bench_results_row(struct bench_results *results, const struct bench_command *command,
                          const struct bench_point *point)
{
    json_t *axes = json_object();
    json_t *row;
    char label[160];

    for (unsigned axis = 0; axis < command->axis_count; axis++) {
        const struct bench_axis *known = &command->axes[axis];

        (void)json_object_set_new(axes, known->name, json_string(known->values[point->at[axis]]));
    }
    bench_axes_label(command->axes, command->axis_count, point, label, sizeof(label));
    row = json_pack("{s:s, s:o, s:s, s:b}", "command", command->name, "axes", axes, "label", label,
                    "verified", 1);
    (void)json_array_append_new(results->rows, row);
    return row;
}

json_t *bench_spread_json(const struct bench_spread *spread, unsigned rounds)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:i}", "min", spread->min, "p25", spread->p25,
                     "median", spread->median, "p75", spread->p75, "max", spread->max, "rounds",
                     (int)rounds);
}

void bench_row_set_measured(json_t *row, const char *unit, const struct bench_measured *measured,
                            const char *const *floors)
{
    static const char *const keys[BENCH_FLOORS_MAX] = {"floor", "floor2"};

    (void)json_object_set_new(row, "unit", json_string(unit));
    (void)json_object_set_new(row, "ns", bench_spread_json(&measured->ns, measured->rounds));
    (void)json_object_set_new(row, "disturbed", json_integer((json_int_t)measured->disturbed));
    (void)json_object_set_new(row, "instructions", number_or_null(measured->instructions));
    (void)json_object_set_new(row, "cycles", number_or_null(measured->cycles));
    for (unsigned floor = 0; floor < measured->floors; floor++) {
        json_t *spread = bench_spread_json(&measured->floor_ns[floor], measured->rounds);

        (void)json_object_set_new(row, keys[floor],
                                  json_pack("{s:s, s:o, s:o}", "name", floors[floor], "ns", spread,
                                            "ratio", number_or_null(measured->ratio[floor])));
    }
}

void bench_row_fail(struct bench_results *results, json_t *row, const char *why)
{
    const char *label = json_string_value(json_object_get(row, "label"));
    const char *command = json_string_value(json_object_get(row, "command"));

    if (bench_stop_asked()) {
        /* It did not fail, it was not finished: the last row, as if it had not been begun. */
        (void)json_array_remove(results->rows, json_array_size(results->rows) - 1);
        return;
    }
    (void)fprintf(stderr, "%sFAILED: %s %s: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", command,
                  label, why);
    results->failed = true;
    (void)json_object_set_new(row, "verified", json_false());
    (void)json_object_set_new(row, "failure", json_string(why));
}

static bool write_json(const json_t *root, const char *path)
{
    size_t flags = JSON_INDENT(1) | JSON_REAL_PRECISION(7);
    int result = strcmp(path, "-") == 0 ? json_dumpf(root, stdout, flags)
                                        : json_dump_file(root, path, flags);

    if (result != 0) {
        (void)fprintf(stderr, "virtq-bench: cannot write '%s'\n", path);
    }
    return result == 0;
}

int bench_results_end(struct bench_results *results, const struct bench_options *options)
{
    bool written = true;
    bool table = options->json == NULL || strcmp(options->json, "-") != 0;

    bench_counters_close();
    (void)json_object_set_new(results->root, "stopped", json_boolean(bench_stop_asked()));
    if (table) {
        bench_views_print(results->root, stdout);
    }
    if (options->json != NULL) {
        written = write_json(results->root, options->json);
    }
    json_decref(results->root);
    if (results->failed) {
        (void)fprintf(stderr, "virtq-bench: FAILED, see above\n");
        return BENCH_EXIT_FAILED;
    }
    if (bench_stop_asked()) {
        (void)fprintf(stderr, "virtq-bench: stopped\n");
        return BENCH_EXIT_STOPPED;
    }
    return written ? 0 : BENCH_EXIT_FAILED;
}
