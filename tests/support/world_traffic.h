/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Random traffic through a world, every byte checked: the same on every machine.
 */
#ifndef VIRTQ_TESTS_WORLD_TRAFFIC_H
#define VIRTQ_TESTS_WORLD_TRAFFIC_H

#include "world.h"

/** @brief What happened, over as many runs as it was given to: so that a test can say that it did.
 */
struct world_tally {
    uint64_t buffers;
    uint64_t full;      /**< The ring had no room. */
    uint64_t shortages; /**< The space had none. */
    uint64_t sleeps[2]; /**< The driver, the device slept. */
    uint64_t silent;    /**< Tests for a notification that said no. */
    uint64_t unpopped;  /**< Buffers put back. */
    uint64_t misses;    /**< Of the space's windows. */
};

/** @brief Sends `buffers` random buffers through a new world and closes it.
 *
 * Each end does what a sensible one does: it works in batches of random size, and sleeps only after
 * `enable` said that nothing more has come; it is woken only when the other end was told to. So a
 * wake-up that is lost leaves both asleep, which is found.
 * @param config  the world; `data` is chosen here
 * @param buffers how many
 * @param tally   added to; or NULL
 * @return NULL, or what went wrong, and where */
const char *world_traffic(const struct world_config *config, uint64_t buffers,
                          struct world_tally *tally);

#endif
