/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/measure.h"

enum { OPTION_QUICK = 0x100, OPTION_JSON, OPTION_CPU, OPTION_ROUNDS, OPTION_AXIS = 0x200 };

enum { COMMON_OPTIONS = 4 };

static const struct argp_option common_options[COMMON_OPTIONS] = {
    {"quick", OPTION_QUICK, NULL, 0, "Fewer and shorter rounds: rough figures, soon", 1},
    {"json", OPTION_JSON, "FILE", 0,
     "Also write the results to FILE as JSON; '-': to stdout, instead of the table", 1},
    {"cpu", OPTION_CPU, "A[,B]", 0,
     "Run on these processors: A the driver (and all that needs one), B the device", 1},
    {"rounds", OPTION_ROUNDS, "N", 0, "Rounds per case, 1 to 101; medians are of these", 1},
};

struct parse_input {
    const struct bench_command *command;
    struct bench_options *options;
};

static bool parse_number(const char *text, long lowest, long highest, const char **end,
                         long *number)
{
    char *stop;

    errno = 0;
    *number = strtol(text, &stop, 10);
    *end = stop;
    return stop != text && errno == 0 && *number >= lowest && *number <= highest;
}

static void parse_cpus(struct argp_state *state, const char *text, struct bench_options *options)
{
    const char *end;
    long first;
    long second;

    if (!parse_number(text, 0, CPU_SETSIZE - 1, &end, &first)) {
        argp_error(state, "--cpu: '%s' is not a processor's number", text);
        return;
    }
    second = first;
    if (*end == ',' && !parse_number(end + 1, 0, CPU_SETSIZE - 1, &end, &second)) {
        argp_error(state, "--cpu: '%s' is not A or A,B", text);
        return;
    }
    if (*end != '\0') {
        argp_error(state, "--cpu: '%s' is not A or A,B", text);
        return;
    }
    if (!bench_cpu_allowed((int)first) || !bench_cpu_allowed((int)second)) {
        argp_error(state, "--cpu: this process may not run on processor %s", text);
        return;
    }
    options->cpus.cpu[0] = (int)first;
    options->cpus.cpu[1] = (int)second;
    options->cpu_given = true;
}

static void parse_rounds(struct argp_state *state, const char *text, struct bench_options *options)
{
    const char *end;
    long rounds;

    if (!parse_number(text, 1, (long)BENCH_ROUNDS_MAX, &end, &rounds) || *end != '\0') {
        argp_error(state, "--rounds: '%s' is not a number from 1 to %u", text, BENCH_ROUNDS_MAX);
        return;
    }
    options->rounds = (unsigned)rounds;
}

static error_t parse_axis(struct argp_state *state, const struct bench_command *command, int key,
                          const char *list)
{
    unsigned axis = (unsigned)(key - OPTION_AXIS);
    char error[1024];

    if (key < OPTION_AXIS || axis >= command->axis_count) {
        return ARGP_ERR_UNKNOWN;
    }
    if (!bench_axis_choose(&command->axes[axis], list, error, sizeof(error))) {
        argp_error(state, "%s", error);
    }
    return 0;
}

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
    struct parse_input *input = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        if (input->command->own != NULL) {
            state->child_inputs[0] = input->command->own_input;
        }
        return 0;
    case OPTION_QUICK:
        input->options->quick = true;
        return 0;
    case OPTION_JSON:
        input->options->json = argument;
        return 0;
    case OPTION_CPU:
        parse_cpus(state, argument, input->options);
        return 0;
    case OPTION_ROUNDS:
        parse_rounds(state, argument, input->options);
        return 0;
    case ARGP_KEY_ARG:
        if (input->command->arguments == NULL) {
            argp_error(state, "'%s': this subcommand takes no arguments", argument);
            return 0;
        }
        return ARGP_ERR_UNKNOWN;
    default:
        return parse_axis(state, input->command, key, argument);
    }
}

/* "Only these ...: a, b or c (repeat, or separate with commas)" */
static char *axis_help(const struct bench_axis *axis)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    if (stream == NULL) {
        return NULL;
    }
    (void)fprintf(stream, "Only %s:", axis->help);
    for (unsigned index = 0; axis->values[index] != NULL; index++) {
        (void)fprintf(stream, "%s %s", index == 0 ? "" : ",", axis->values[index]);
    }
    (void)fclose(stream);
    return text;
}

void bench_options_parse(const struct bench_command *command, int argc, char **argv,
                         struct bench_options *options)
{
    struct argp_option known[BENCH_AXES_MAX + COMMON_OPTIONS + 1];
    struct argp_child children[2] = {{command->own, 0, NULL, 0}, {NULL, 0, NULL, 0}};
    struct argp argp = {known, parse_common, command->arguments, command->text, NULL, NULL, NULL};
    struct parse_input input = {command, options};
    char *help[BENCH_AXES_MAX] = {NULL};
    unsigned count = 0;

    memset(known, 0, sizeof(known));
    for (unsigned axis = 0; axis < command->axis_count; axis++) {
        if (command->axes[axis].own) {
            continue;
        }
        help[axis] = axis_help(&command->axes[axis]);
        known[count].name = command->axes[axis].name;
        known[count].key = OPTION_AXIS + (int)axis;
        known[count].arg = "LIST";
        known[count].doc = help[axis];
        known[count].group = 2;
        count++;
    }
    memcpy(&known[count], common_options, sizeof(common_options));
    argp.children = command->own != NULL ? children : NULL;
    memset(options, 0, sizeof(*options));
    options->cpus = bench_cpus_choose();
    argp_err_exit_status = BENCH_EXIT_USAGE;
    (void)argp_parse(&argp, argc, argv, 0, NULL, &input);
    bench_cpu_shared = options->cpus.cpu[0] == options->cpus.cpu[1];
    for (unsigned axis = 0; axis < command->axis_count; axis++) {
        free(help[axis]);
    }
}
