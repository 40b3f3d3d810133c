/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of every subcommand: the common options, a filter for each axis, and what is its
 * own. */
#ifndef BENCH_HARNESS_OPTIONS_H
#define BENCH_HARNESS_OPTIONS_H

#include <argp.h>
#include <stdbool.h>

#include "harness/axis.h"
#include "harness/cpu.h"

/* sysexits.h has 64 for this, but 2 is what most commands use. */
#define BENCH_EXIT_USAGE 2
#define BENCH_EXIT_FAILED 1

/* Keys of a subcommand's own options begin here. */
#define BENCH_OPTION_OWN 0x1000

struct bench_options {
    bool quick;
    bool cpu_given;
    unsigned rounds;  /* 0: as --quick says */
    const char *json; /* NULL: none; "-": stdout, and no table */
    struct bench_cpus cpus;
};

struct bench_command {
    const char *name;
    const char *summary;     /* one line, for the list of subcommands */
    const char *text;        /* for its --help, after the summary */
    struct bench_axis *axes; /* each becomes an option; may be NULL */
    unsigned axis_count;
    const char *arguments;  /* "FILE..." or NULL: takes none */
    const struct argp *own; /* further options; its parser gets `own_input`; may be NULL */
    void *own_input;
    int (*run)(const struct bench_command *command, const struct bench_options *options);
};

/* Ends the program with BENCH_EXIT_USAGE and a message if the command line is wrong. */
void bench_options_parse(const struct bench_command *command, int argc, char **argv,
                         struct bench_options *options);

#endif
