/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_state
 * @brief Where a queue stands: to save, to restore, and to exchange with a vhost front-end.
 */
#ifndef VIRTQ_STATE_H
#define VIRTQ_STATE_H

#include <stdint.h>

#include "error.h"
#include "types.h"

VIRTQ_BEGIN_DECLS

/** @brief A queue's position. Nothing else of a quiesced queue needs to be saved.
 *
 * A position is the free-running index (split) or descriptor offset | wrap counter << 15 (packed).
 * It comes from a file or a socket: restoring validates it like any other input. */
struct virtq_state {
    uint32_t format;    /**< An enum virtq_format. */
    uint32_t size;      /**< Queue size. */
    uint16_t available; /**< Where the next available buffer is put (driver) or taken (device). */
    uint16_t used;      /**< Where the next used buffer is taken (driver) or put (device). */
    uint32_t reserved_;
};

/** @brief A state as the 32-bit "vring base" that vhost messages carry.
 *
 * Split: the available index. Packed: `available` in bits 0 to 15 and `used` in bits 16 to 31, each
 * with its wrap counter on top.
 * @param state a state
 * @return the base */
VIRTQ_API uint32_t virtq_state_to_base(const struct virtq_state *state);

/** @brief A state from a "vring base".
 *
 * Split: a base says nothing of the used index. The same is taken, as for a queue with nothing in
 * flight; else put the ring's own used index into the result.
 * @param format an enum virtq_format
 * @param size   queue size
 * @param base   as received; not trusted
 * @param state  result; untouched on error
 * @return 0, or VIRTQ_EINVAL: illegal size, bits set above those in use, or an offset not below
 * `size` */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_state_from_base(enum virtq_format format, uint32_t size,
                                                     uint32_t base, struct virtq_state *state);

/** @brief Whether a state can belong to a queue at all.
 * @param state a state; not trusted
 * @return 0, or VIRTQ_EINVAL: format, size, an offset not below the size, or the two positions
 * further apart than the size */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_state_validate(const struct virtq_state *state);

VIRTQ_END_DECLS

#endif
