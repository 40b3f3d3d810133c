/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The slots that a queue keeps. See virtq/space/slots.h. They are taken and put back for a
 * record of staging, with no lock and no shared line while its class has one, or room for one.
 */
#ifndef VIRTQ_LIB_SPACE_SLOTS_H
#define VIRTQ_LIB_SPACE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "granules.h"
#include "stage.h"
#include "virtq/space/slots.h"

/** @brief What a record's number is: a class, with this bit if the space says so ... */
#define VIRTQ_PRIV_SLOT_PARTS ((uint64_t)1 << 8)
/** @brief ... or granules with this one, if the slot goes back to the books: 0 of them, if there is
 * no slot. */
#define VIRTQ_PRIV_SLOT_POOLED ((uint64_t)1 << 63)

/** @brief How far the search for a slot goes. */
enum virtq_priv_slots_effort {
    VIRTQ_PRIV_SLOTS_ALL = 0,  /**< If need be all that is kept of other sizes is given back. */
    VIRTQ_PRIV_SLOTS_ROOM = 1, /**< The books, if they have one that can be kept. */
    VIRTQ_PRIV_SLOTS_KEPT = 2  /**< What is kept. */
};

/** @brief The smallest class for `last` + 1 bytes; beyond the largest there is one more, which is
 * always empty. A loop that ends at once for small buffers, and no builtin: it is a call on some
 * processors. */
VIRTQ_TEMPLATE uint64_t virtq_priv_slots_class_of(const struct virtq_slots *slots, uint64_t last)
{
    uint64_t units = last >> slots->shift;
    uint64_t at = 0;

    while (VIRTQ_UNLIKELY(units != 0) && at < slots->classes) {
        units >>= 1;
        at++;
    }
    return at;
}

/** @brief Bytes of the slots of a class. */
VIRTQ_INLINE uint64_t virtq_priv_slots_class_bytes(const struct virtq_slots *slots, uint32_t at)
{
    return (uint64_t)1 << (slots->shift + at);
}

/** @brief Bytes of a record's slot. */
VIRTQ_INLINE uint64_t virtq_priv_slots_bytes(const struct virtq_slots *slots,
                                             const struct virtq_priv_stage_record *record)
{
    const uint64_t number = record->number;

    if ((number & VIRTQ_PRIV_SLOT_POOLED) != 0) {
        return (number & ~VIRTQ_PRIV_SLOT_POOLED) << slots->shift;
    }
    return virtq_priv_slots_class_bytes(slots, (uint32_t)(number & (VIRTQ_PRIV_SLOT_PARTS - 1)));
}

/** @brief Bytes of the stacks of so many classes of such a depth; 0 if that is not legal. */
size_t virtq_priv_slots_size(uint32_t classes, uint32_t depth);

/** @brief Empty, with nothing counted.
 * @param slots   result
 * @param granules the books @param start device address of the first granule
 * @param align   a power of two @param classes at most VIRTQ_SLOTS_CLASSES_MAX
 * @param depth   0: nothing is kept @param memory virtq_priv_slots_size() bytes, if `depth` is not
 * 0
 */
void virtq_priv_slots_init(struct virtq_slots *slots, struct virtq_granules *granules,
                           uint64_t start, uint64_t align, uint32_t classes, uint32_t depth,
                           uint64_t *memory);

/** @brief Takes a slot of `len` bytes, from its class or from the books, and notes it in `first`
 * (bytes from the memory's start) and `number` of the record: 0, VIRTQ_ENOMEM or VIRTQ_ETOOBIG. */
int virtq_priv_slots_take(struct virtq_slots *slots, struct virtq_priv_stage_record *record,
                          uint64_t len);

/** @brief Keeps a record's slot, if it is of a class that has room. False: it is still to be given
 * back. */
bool virtq_priv_slots_keep(struct virtq_slots *slots, const struct virtq_priv_stage_record *record);

/** @brief Gives a record's slot back to the books. */
void virtq_priv_slots_give(struct virtq_slots *slots, const struct virtq_priv_stage_record *record);

/** @brief Gives all that is kept back to the books. @return bytes */
uint64_t virtq_priv_slots_flush(struct virtq_slots *slots);

/** @brief What was counted. */
void virtq_priv_slots_read_usage(const struct virtq_slots *slots, struct virtq_slots_usage *usage);

#endif
