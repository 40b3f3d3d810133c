/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-access: which space a driver and a device use, and why. */
#include <argp.h>
#include <stdio.h>

#include "access/options.h"
#include "access/print.h"

int main(int argc, char **argv)
{
    struct access_options options;
    struct access_outcome outcome;

    argp_program_version = "virtq-access " BENCH_VERSION;
    access_options_parse(argc, argv, &options);
    if (options.table) {
        access_print_table();
        return ferror(stdout) != 0 ? ACCESS_EXIT_REFUSED : 0;
    }
    outcome = access_negotiate(&options.facts);
    access_print_outcome(&options.facts, &outcome);
    return outcome.works ? 0 : ACCESS_EXIT_REFUSED;
}
