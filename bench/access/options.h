/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of virtq-access. */
#ifndef BENCH_ACCESS_OPTIONS_H
#define BENCH_ACCESS_OPTIONS_H

#include <stdbool.h>

#include "virtq/access.h"

/* As virtq-bench has it. */
#define ACCESS_EXIT_REFUSED 1
#define ACCESS_EXIT_USAGE 2

struct access_options {
    bool table;
    struct virtq_access_facts facts;
};

/* Ends the program with ACCESS_EXIT_USAGE and a message if the command line is wrong, or if the
 * facts on it contradict each other. */
void access_options_parse(int argc, char **argv, struct access_options *options);

#endif
