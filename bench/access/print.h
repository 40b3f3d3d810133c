/* SPDX-License-Identifier: BSD-3-Clause */
/* What virtq-access prints. */
#ifndef BENCH_ACCESS_PRINT_H
#define BENCH_ACCESS_PRINT_H

#include <stdbool.h>

#include "virtq/access.h"

/* A negotiation from end to end. What was not reached is a refusal's decision, with space 0. */
struct access_outcome {
    struct virtq_access_decision device, driver, agreed;
    bool shown;    /* the device lets itself be seen */
    bool accepted; /* ... the driver wants it */
    bool works;    /* ... and FEATURES_OK stays set */
};

/* Both ends decide. The facts contradict nothing. */
struct access_outcome access_negotiate(const struct virtq_access_facts *facts);

/* Both ends' decisions, the negotiated bits, and the reasons. */
void access_print_outcome(const struct virtq_access_facts *facts,
                          const struct access_outcome *outcome);

/* All positions, as the table of docs/access.md. */
void access_print_table(void);

#endif
