/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The driver end of a mux, and what both ends know of members.
 */
#ifndef VIRTQ_LIB_SPACE_MUX_PRIVATE_H
#define VIRTQ_LIB_SPACE_MUX_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "virtq/space/mux.h"

/** @brief What a mux keeps of a buffer in the queue's private record. */
struct virtq_priv_mux_record {
    uint32_t segments;                  /**< Of the buffer. */
    uint32_t readable;                  /**< The first so many of them. */
    uint32_t members;                   /**< Of the mux. */
    uint32_t only;                      /**< The one member that has all of them, or `members`. */
    uint32_t counts[VIRTQ_MUX_MEMBERS]; /**< How many went to each member. */
};

/** @brief And of each segment, behind it. */
struct virtq_priv_mux_step {
    uint32_t len;    /**< Bytes. */
    uint32_t member; /**< Where it went. */
};

/** @brief From a member's own addresses to those that queues know: all of [addr, addr + len), or
 * not at all. @return whether it lies in the member's range */
VIRTQ_INLINE bool virtq_priv_mux_place(const struct virtq_mux_member *member, virtq_addr_t *addr,
                                       uint64_t len)
{
    uint64_t span = member->last - member->first;
    /* What lies below wraps to more than the span: the member's own range does not wrap. */
    uint64_t offset = *addr - member->own;

    if (offset > span || len - 1 > span - offset) {
        return false;
    }
    *addr = member->first + offset;
    return true;
}

/** @brief The member for memory of this program: its index, VIRTQ_EFAULT (in no route, or across
 * the end of one) or VIRTQ_EINVAL (len). `hint` becomes the number of the route, if there is one.
 */
int virtq_priv_mux_find(const struct virtq_mux *mux, const void *base, uint64_t len,
                        uint32_t *hint);

/** @brief virtq_space_ops::map. */
int virtq_priv_mux_map(struct virtq_space *space, struct virtq_mapping *mapping);

/** @brief virtq_space_ops::unmap. */
void virtq_priv_mux_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                          uint64_t written);

/** @brief How many runs each member gave. */
struct virtq_priv_mux_runs {
    uint32_t readable[VIRTQ_MUX_MEMBERS]; /**< Readable ones ... */
    uint32_t writable[VIRTQ_MUX_MEMBERS]; /**< ... and writable ones, after those. */
};

/** @brief Puts runs, which lie one member after another, into the buffer's order; one that covers
 * segments which are no neighbours in the buffer is cut there.
 * @param record  of the buffer
 * @param steps   its segments
 * @param scratch room for as many runs as the buffer has segments
 * @param mapping the runs, in room for `capacity`; their counts are filled in
 * @param given   how many they are
 * @return 0; VIRTQ_EFULL (no room for the cuts); VIRTQ_EFAULT (a member's runs are not as long as
 * its segments) */
int virtq_priv_mux_order(const struct virtq_priv_mux_record *record,
                         const struct virtq_priv_mux_step *steps, struct virtq_run *scratch,
                         struct virtq_mapping *mapping, const struct virtq_priv_mux_runs *given);

#endif
