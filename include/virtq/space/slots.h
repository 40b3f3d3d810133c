/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space
 * @brief The free slots that one queue keeps of memory that several share, in classes of one size
 * each, so that in steady state it asks for none and gives none back.
 *
 * Here only because spaces that copy hold one; there is nothing to call. The stacks lie in the
 * caller's private memory.
 */
#ifndef VIRTQ_SPACE_SLOTS_H
#define VIRTQ_SPACE_SLOTS_H

#include <stdint.h>

#include "../api.h"
#include "granules.h"

VIRTQ_BEGIN_DECLS

/** @brief The most classes there can be. */
#define VIRTQ_SLOTS_CLASSES_MAX 12

/** @brief The free slots of one size. */
struct virtq_slots_class {
    uint64_t *slots; /**< Where they begin, in bytes from the memory's start: a stack. */
    uint32_t count;  /**< How many there are. */
    uint32_t reserved_;
};

/** @brief What a queue's slots counted. */
struct virtq_slots_usage {
    uint64_t misses;    /**< Buffers for which the memory was asked: the rest found a slot here. */
    uint64_t returns;   /**< Slots given back to the memory because their class was full. */
    uint64_t shortages; /**< Buffers answered VIRTQ_ENOMEM. */
    uint64_t too_big;   /**< Buffers answered VIRTQ_ETOOBIG. */
    uint64_t held; /**< Bytes taken of the memory now: slots that buffers have, and free ones. */
    uint64_t high_water; /**< The most that `held` ever was. */
    uint64_t kept;       /**< Bytes of the free slots among them. */
};

/** @brief One queue's slots. All fields are private, and its owner's. */
struct virtq_slots {
    struct virtq_granules *granules; /**< The books that slots are taken of, shared. */
    /** Gives `number` granules from `first` on back to the books; NULL: as they are. */
    void (*give)(struct virtq_slots *slots, uint64_t first, uint64_t number);
    uint64_t start;      /**< Device address of the first granule. */
    uint64_t align;      /**< What the device address of a slot is a multiple of. */
    uint32_t shift;      /**< A granule is 1 << shift bytes. */
    uint32_t classes;    /**< Size classes: the first has slots of a granule, each next one twice
                              that. */
    uint32_t depth;      /**< Slots that each keeps at most. */
    uint32_t effort;     /**< How far the search for a slot goes. */
    uint64_t misses;     /**< Counted. */
    uint64_t returns;    /**< Counted. */
    uint64_t shortages;  /**< Counted. */
    uint64_t too_big;    /**< Counted. */
    uint64_t held;       /**< Bytes taken of the books. */
    uint64_t high_water; /**< The most that `held` ever was. */
    struct virtq_slots_class free[VIRTQ_SLOTS_CLASSES_MAX + 1]; /**< The free slots, by class; the
                                                      one behind the last is always empty. */
};

VIRTQ_END_DECLS

#endif
