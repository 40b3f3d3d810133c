/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest of a POWER hypervisor is told (a flattened device tree) and may call: the hypervisor
 * itself, and the run-time services. */
#ifndef PEERS_GUEST_SPAPR_H
#define PEERS_GUEST_SPAPR_H

#include <stdint.h>

/* A call by its number; the first of its results, if any, goes to `result`. */
int64_t spapr_call(uint64_t call, const uint64_t arguments[4], uint64_t *result);

/* A service by its name; what it answers goes to `results`, its status the first. */
void spapr_service(const char *name, unsigned argument_count, const uint32_t *arguments,
                   unsigned result_count, uint32_t *results);

/* A property of the first node whose name begins like that: its words; NULL: there is none. */
const uint32_t *spapr_property(const char *node, const char *name, uint32_t *bytes);

/* The unit of the PCI host bridge, in two words. */
const uint32_t *spapr_bridge(void);

#endif
