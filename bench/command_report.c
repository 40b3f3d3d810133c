/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench report: one report out of the results of several commands. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "report/html.h"
#include "report/value.h"
#include "report/views.h"

enum { OPTION_HTML = BENCH_OPTION_OWN, OPTION_TABLE, INPUTS_MAX = 64 };

struct report_input {
    const char *html;
    const char *table;
    const char *inputs[INPUTS_MAX];
    unsigned input_count;
};

static struct report_input report_input;

static const struct argp_option report_options[] = {
    {"html", OPTION_HTML, "FILE", 0,
     "Write the report as one self-contained HTML file (plots need gnuplot)", 0},
    {"table", OPTION_TABLE, "FILE", 0, "Write the tables to FILE instead of stdout", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t report_parse(int key, char *argument, struct argp_state *state)
{
    struct report_input *input = state->input;

    switch (key) {
    case OPTION_HTML:
        input->html = argument;
        return 0;
    case OPTION_TABLE:
        input->table = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (input->input_count == INPUTS_MAX) {
            argp_error(state, "more than %d files", INPUTS_MAX);
            return 0;
        }
        input->inputs[input->input_count++] = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "no FILE is given: name results that other commands wrote with --json");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);

    if (root == NULL) {
        (void)fprintf(stderr, "virtq-bench report: %s: %s\n", path, error.text);
        return NULL;
    }
    if (strcmp(bench_value_text(root, "program"), "virtq-bench") != 0 ||
        !json_is_array(json_object_get(root, "rows"))) {
        (void)fprintf(stderr, "virtq-bench report: %s: not a result of virtq-bench\n", path);
        json_decref(root);
        return NULL;
    }
    return root;
}

/* The first file tells the machine; the rows are put together. */
static json_t *load_all(const struct report_input *input)
{
    json_t *all = NULL;

    for (unsigned index = 0; index < input->input_count; index++) {
        json_t *root = load(input->inputs[index]);

        if (root == NULL) {
            json_decref(all);
            return NULL;
        }
        if (all == NULL) {
            all = root;
            continue;
        }
        (void)json_array_extend(json_object_get(all, "rows"), json_object_get(root, "rows"));
        if (json_is_true(json_object_get(root, "stopped"))) {
            (void)json_object_set_new(all, "stopped", json_true());
        }
        json_decref(root);
    }
    return all;
}

static FILE *open_output(const char *path)
{
    FILE *stream = fopen(path, "w");

    if (stream == NULL) {
        (void)fprintf(stderr, "virtq-bench report: cannot write '%s': %s\n", path, strerror(errno));
    }
    return stream;
}

static bool close_output(FILE *stream, const char *path)
{
    if (ferror(stream) != 0 || fclose(stream) != 0) {
        (void)fprintf(stderr, "virtq-bench report: cannot write '%s': %s\n", path, strerror(errno));
        return false;
    }
    return true;
}

static bool write_table(const json_t *root, const char *path)
{
    FILE *stream = path != NULL ? open_output(path) : stdout;

    if (stream == NULL) {
        return false;
    }
    bench_views_print(root, stream);
    return path == NULL || close_output(stream, path);
}

static bool write_html(const json_t *root, const char *path)
{
    FILE *stream = open_output(path);

    if (stream == NULL) {
        return false;
    }
    if (bench_html_write(root, stream) < 0) {
        (void)fprintf(
            stderr, "virtq-bench report: plots are missing: gnuplot is not installed or failed\n");
    }
    return close_output(stream, path);
}

static bool write_json(const json_t *root, const char *path)
{
    if (json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) != 0) {
        (void)fprintf(stderr, "virtq-bench report: cannot write '%s'\n", path);
        return false;
    }
    return true;
}

static int run(const struct bench_command *command, const struct bench_options *options)
{
    json_t *root = load_all(&report_input);
    bool written;
    unsigned failures;

    (void)command;
    if (root == NULL) {
        return BENCH_EXIT_FAILED;
    }
    written = write_table(root, report_input.table);
    written = (report_input.html == NULL || write_html(root, report_input.html)) && written;
    written = (options->json == NULL || write_json(root, options->json)) && written;
    failures = bench_views_failures(root);
    json_decref(root);
    return written && failures == 0 ? 0 : BENCH_EXIT_FAILED;
}

static const struct argp report_argp = {report_options, report_parse, NULL, NULL, NULL, NULL, NULL};

const struct bench_command bench_command_report = {
    .name = "report",
    .summary = "tables and an HTML page out of results written with --json",
    .text =
        "Puts results together that other commands wrote with --json, and writes tables, one HTML page and one JSON file.\v"
        "The exit code is 1 if a case in them failed.",
    .arguments = "FILE...",
    .own = &report_argp,
    .own_input = &report_input,
    .run = run,
};
