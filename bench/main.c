/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench: what each variant of a virtqueue costs on this machine. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "harness/stop.h"

static const struct bench_command *const commands[] = {
    &bench_command_matrix, &bench_command_pair,   &bench_command_cross,
    &bench_command_copy,   &bench_command_floor,  &bench_command_stream,
    &bench_command_lookup, &bench_command_viommu, &bench_command_report,
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *stream)
{
    (void)fprintf(stream,
                  "Usage: virtq-bench COMMAND [OPTION...]\n"
                  "Measures virtqueues: both ends, both formats, each address space, each tier.\n\n"
                  "Commands:\n");
    for (size_t command = 0; command < COMMANDS; command++) {
        (void)fprintf(stream, "  %-10s %s\n", commands[command]->name, commands[command]->summary);
    }
    (void)fprintf(
        stream,
        "\n"
        "  --help     this text; after a command: its options\n"
        "  --version  the version\n\n"
        "Exit codes: 0 fine; 1 wrong data, or a case could not run; 2 wrong usage; 130 stopped by a signal.\n"
        "Tables go to stdout, progress to stderr.\n");
}

static int usage_error(const char *what, const char *argument)
{
    (void)fprintf(stderr, "virtq-bench: %s%s%s%s\n", what, argument != NULL ? " '" : "",
                  argument != NULL ? argument : "", argument != NULL ? "'" : "");
    (void)fprintf(stderr, "Try 'virtq-bench --help'.\n");
    return BENCH_EXIT_USAGE;
}

static int run(const struct bench_command *command, int argc, char **argv)
{
    struct bench_options options;
    char name[64];

    /* argp names the program after the first argument: here, program and subcommand. */
    (void)snprintf(name, sizeof(name), "virtq-bench %s", command->name);
    argv[0] = name;
    bench_options_parse(command, argc, argv, &options);
    bench_stop_install();
    return command->run(command, &options);
}

int main(int argc, char **argv)
{
    argp_program_version = "virtq-bench " BENCH_VERSION;
    if (argc < 2) {
        return usage_error("a command is missing", NULL);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        (void)printf("%s\n", argp_program_version);
        return 0;
    }
    for (size_t command = 0; command < COMMANDS; command++) {
        if (strcmp(argv[1], commands[command]->name) == 0) {
            return run(commands[command], argc - 1, argv + 1);
        }
    }
    return usage_error(argv[1][0] == '-' ? "unknown option" : "unknown command", argv[1]);
}
