/* SPDX-License-Identifier: BSD-3-Clause */
/* The subcommands. */
#ifndef BENCH_COMMANDS_H
#define BENCH_COMMANDS_H

#include "harness/options.h"

extern const struct bench_command bench_command_matrix;
extern const struct bench_command bench_command_pair;
extern const struct bench_command bench_command_cross;
extern const struct bench_command bench_command_copy;
extern const struct bench_command bench_command_floor;
extern const struct bench_command bench_command_lookup;
extern const struct bench_command bench_command_stream;
extern const struct bench_command bench_command_viommu;
extern const struct bench_command bench_command_report;

#endif
