/* SPDX-License-Identifier: BSD-3-Clause */
/* What the figures were measured on, and with what. */
#ifndef BENCH_HARNESS_MACHINE_H
#define BENCH_HARNESS_MACHINE_H

#include <jansson.h>

/* {"cpu", "cores", "architecture", "memory_bytes", "kernel", "system", "clock", "load"}; a new
 * reference. */
json_t *bench_machine_describe(void);
/* {"compiler", "flags", "type"}; a new reference. */
json_t *bench_build_describe(void);

#endif
