/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_error
 * @brief What can go wrong, in three classes that are never mixed.
 *
 * - A **bad buffer**: one request breaks a rule. It is handed out with its reason and no pieces,
 * and the caller completes it with length 0. The queue goes on.
 * - A **broken queue**: the ring itself breaks a rule, so nothing after it can be trusted. The
 * first reason is kept; every later call answers ::VIRTQ_EBROKEN until a reset.
 * - A **shortage**: no room, no slot, no window yet. Nothing was consumed; try again later.
 *
 * Mistakes of the caller are answered with ::VIRTQ_EINVAL (or ::VIRTQ_ETOOBIG) and change nothing.
 * "Empty" is not an error: it is a count of 0.
 */
#ifndef VIRTQ_ERROR_H
#define VIRTQ_ERROR_H

#include <stdint.h>

#include "api.h"

VIRTQ_BEGIN_DECLS

/** @ingroup virtq_error
 * @brief Results below zero. The values are part of the ABI. */
enum virtq_error {
    VIRTQ_OK = 0,      /**< No error. */
    VIRTQ_EINVAL = -1, /**< Caller: an argument is wrong; nothing changed. */
    VIRTQ_EFULL = -2,  /**< Shortage: no room in the ring for the whole buffer now. */
    VIRTQ_ENOMEM = -3, /**< Shortage: the space has no slot or address left now, or memory given is
                          too small. */
    VIRTQ_EFAULT = -4, /**< An address lies outside everything the space grants. */
    VIRTQ_EMISS = -5, /**< Shortage: no window is known yet for an address; resolve it and retry. */
    VIRTQ_EBROKEN = -6,  /**< The queue is broken; the reason is kept; only a reset clears it. */
    VIRTQ_EBUSY = -7,    /**< Buffers or users are still out; try again when they are back. */
    VIRTQ_ETOOBIG = -8,  /**< Caller: the buffer can never fit this queue; nothing changed. */
    VIRTQ_EPERM = -9,    /**< A window is known, but not for this kind of access. */
    VIRTQ_ENOTSUP = -10, /**< The space or the format cannot do this. */
    VIRTQ_EPEER = -11 /**< The peer failed a request, or answered it with nonsense; the queue goes
                         on. */
};

/** @ingroup virtq_error
 * @brief Why a buffer is bad or a queue is broken. The values are part of the ABI.
 *
 * Below 32 the reason is about one buffer, from 32 on it is about the whole queue. */
enum virtq_reason {
    VIRTQ_REASON_NONE = 0,       /**< Nothing is wrong. */
    VIRTQ_REASON_ADDRESS = 1,    /**< A range is not inside any window the space grants. */
    VIRTQ_REASON_PERMISSION = 2, /**< The window exists, but may not be read, or not be written. */
    VIRTQ_REASON_ORDER = 3,      /**< A device-readable element follows a device-writable one. */
    VIRTQ_REASON_TOTAL = 4,      /**< The lengths add up to more than 2^32 bytes. */
    VIRTQ_REASON_PIECES =
        5, /**< The buffer has more pieces than the caller's array could ever hold. */
    VIRTQ_REASON_TABLE_OFF =
        6, /**< An indirect table though VIRTIO_F_INDIRECT_DESC was not negotiated. */
    VIRTQ_REASON_TABLE_NEXT = 7, /**< INDIRECT together with NEXT. */
    VIRTQ_REASON_TABLE_LENGTH =
        8, /**< A table's length is 0, not a multiple of 16, or over the limit. */
    VIRTQ_REASON_TABLE_NESTED = 9, /**< A table inside a table (split). */
    VIRTQ_REASON_TABLE_RANGE = 10, /**< `next` leaves the table (split). */
    VIRTQ_REASON_TABLE_LOOP = 11,  /**< The chain in a table runs in a circle (split). */
    VIRTQ_REASON_QUEUE_INDEX = 32, /**< The peer's index moved further than the queue is long. */
    VIRTQ_REASON_QUEUE_HEAD = 33,  /**< A head or buffer id is not below the queue size. */
    VIRTQ_REASON_QUEUE_NEXT =
        34, /**< `next` of a ring descriptor is not below the queue size (split). */
    VIRTQ_REASON_QUEUE_LOOP = 35, /**< A chain has more descriptors than the queue. */
    VIRTQ_REASON_QUEUE_IN_FLIGHT =
        36, /**< A head or id is made available again while the device has it. */
    VIRTQ_REASON_QUEUE_PARTIAL =
        37, /**< A list goes on into a descriptor that is not available (packed). */
    VIRTQ_REASON_QUEUE_ID = 38, /**< The device used an id that is not outstanding. */
    VIRTQ_REASON_QUEUE_LENGTH =
        39, /**< The device says it wrote more than it could (strict only). */
    VIRTQ_REASON_QUEUE_ORDER = 40, /**< VIRTIO_F_IN_ORDER was negotiated and not kept. */
    VIRTQ_REASON_QUEUE_TABLE =
        41, /**< A direct list goes on into an indirect table, or from one (packed). */
    VIRTQ_REASON_QUEUE_RING = 42 /**< The ring's own memory is no longer granted. */
};

/** @ingroup virtq_error
 * @brief Whether a reason concerns the whole queue.
 * @param reason an enum virtq_reason
 * @return non-zero for a queue's reason, 0 for a buffer's */
VIRTQ_INLINE int virtq_reason_is_queue(uint32_t reason)
{
    return reason >= (uint32_t)VIRTQ_REASON_QUEUE_INDEX;
}

/** @ingroup virtq_error
 * @brief The first reason a queue was latched broken, and where. */
struct virtq_fault {
    uint32_t reason; /**< An enum virtq_reason; VIRTQ_REASON_NONE while the queue is whole. */
    uint32_t
        position; /**< Ring position: free-running index (split) or offset | wrap << 15 (packed). */
    uint64_t value; /**< The offending value, as it was read. */
};

/** @ingroup virtq_error
 * @brief A short English name of an enum virtq_error.
 * @param error a result of any function; a value of 0 or more gives "ok"
 * @return a constant string, never NULL; any thread may call */
VIRTQ_API const char *virtq_error_name(int error);

/** @ingroup virtq_error
 * @brief A short English text of an enum virtq_reason.
 * @param reason the reason
 * @return a constant string, never NULL; any thread may call */
VIRTQ_API const char *virtq_reason_name(uint32_t reason);

VIRTQ_END_DECLS

#endif
