/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_driver
 * @brief The driver end of a virtqueue: places buffers, takes used ones back.
 *
 * In order of use: virtq_driver_size(), virtq_driver_init(), then a loop of virtq_driver_add(),
 * virtq_driver_publish(), virtq_driver_needs_notify() and virtq_driver_poll(). One thread at a time
 * may call functions on one queue.
 *
 * The caller owns all memory: the ring (shared), the indirect tables (shared) and the private
 * state. The device is hostile: everything it writes is read once and checked; nothing the driver
 * wrote is read back.
 */
#ifndef VIRTQ_DRIVER_H
#define VIRTQ_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "feature.h"
#include "space.h"
#include "state.h"
#include "types.h"

VIRTQ_BEGIN_DECLS

/** @brief A driver's queue. Lives in memory that the caller gives. */
struct virtq_driver;

/** @brief Flags of a struct virtq_driver_config. */
enum virtq_driver_flag {
    /** A used length beyond the writable part breaks the queue; without it, it is clamped and
       counted. */
    VIRTQ_DRIVER_STRICT_LENGTH = 1,
    /** Legacy split queue of a big-endian guest. */
    VIRTQ_DRIVER_BIG_ENDIAN = 2
};

/** @brief How a driver's queue is to be. Begin with #VIRTQ_DRIVER_CONFIG_INIT. */
struct virtq_driver_config {
    size_t struct_size;    /**< sizeof(struct virtq_driver_config): lets the struct grow. */
    uint32_t format;       /**< An enum virtq_format; must agree with VIRTIO_F_RING_PACKED. */
    uint32_t size;         /**< Descriptors: split a power of two, packed any number, 1 to 32768. */
    uint64_t features;     /**< Negotiated feature bits; those that concern no queue are ignored. */
    uint32_t flags;        /**< A set of enum virtq_driver_flag. */
    uint16_t segments_max; /**< Segments of the largest buffer; 0 counts as 1. */
    uint16_t notify_id; /**< Queue index, or the device's value with VIRTIO_F_NOTIF_CONFIG_DATA. */
    struct virtq_space
        *space;               /**< Where buffers and the ring are mapped; must outlive the queue. */
    struct virtq_areas areas; /**< The ring's memory; it need not be zeroed, init does. */
    void *tables; /**< Indirect tables: virtq_driver_tables_size() bytes, 16-byte aligned; NULL:
                     none. */
};

/** @brief The initial value of a struct virtq_driver_config. */
#define VIRTQ_DRIVER_CONFIG_INIT                                                             \
    {                                                                                        \
        sizeof(struct virtq_driver_config), 0, 0, 0, 0, 0, 0, NULL, {NULL, NULL, NULL}, NULL \
    }

/** @brief Bytes of private memory that a queue needs.
 * @param config the configuration; `areas` and `tables` need not be set yet
 * @return bytes, to be aligned to #VIRTQ_CACHE_LINE; 0 if the configuration is illegal. Any thread.
 */
VIRTQ_API size_t virtq_driver_size(const struct virtq_driver_config *config);

/** @brief Bytes of the indirect tables: one of `segments_max` entries for each descriptor.
 * @param config the configuration
 * @return bytes; 0 if the configuration is illegal. Any thread. */
VIRTQ_API size_t virtq_driver_tables_size(const struct virtq_driver_config *config);

/** @brief Builds a queue in memory that the caller gives, and zeroes its ring.
 *
 * The ring and the tables are shared through the space here, once.
 * @param memory      private memory, aligned to #VIRTQ_CACHE_LINE; never shared with the device;
 * owned by the caller, must outlive the queue
 * @param memory_size its bytes, at least virtq_driver_size()
 * @param config      read during the call only
 * @param driver      result: the queue, inside `memory`
 * @return 0; VIRTQ_EINVAL (configuration or alignment), VIRTQ_ENOMEM (memory too small, or the
 * space is full), VIRTQ_EFAULT (the space cannot reach the ring). On an error nothing is shared and
 * the ring is untouched. Any thread. Source: [virtio 1.4, Virtqueue Configuration; The Virtqueue
 * Used Ring] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_driver_init(void *memory, size_t memory_size,
                                                 const struct virtq_driver_config *config,
                                                 struct virtq_driver **driver);

/** @brief The device addresses of the ring, for the transport.
 * @param driver    a queue
 * @param addresses result */
VIRTQ_API void virtq_driver_addresses(const struct virtq_driver *driver,
                                      struct virtq_area_addresses *addresses);

/** @brief Places buffers, in order. The device does not see them before virtq_driver_publish().
 *
 * @param driver  a queue
 * @param buffers `count` buffers; read during the call only. The segments' memory is the device's
 * until the buffer comes back.
 * @param count   at least 1
 * @return how many were added, from the first on; or, if the first could not be: VIRTQ_EFULL (no
 * room now), VIRTQ_ENOMEM (the space has no room now), VIRTQ_EINVAL (no segment, one of length 0,
 * unknown flag), VIRTQ_ETOOBIG (more segments than `segments_max`, than the queue's size without
 * tables, or more than 2^32 bytes), VIRTQ_EFAULT (memory the space does not cover), VIRTQ_EBROKEN.
 * A buffer that was not added changed nothing. Owner's thread. Source: [virtio 1.4, Supplying
 * Buffers to The Device] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_driver_add(struct virtq_driver *driver,
                                                const struct virtq_buffer *buffers, unsigned count);

/** @brief Makes everything that was added available to the device, with one store.
 * @param driver a queue
 * @return how many buffers became available; 0 on a broken queue. Owner's thread. Barrier B1
 * (split), B8 (packed). */
VIRTQ_API unsigned virtq_driver_publish(struct virtq_driver *driver);

/** @brief Whether the device wants to be notified of what was published since the last test.
 *
 * Begins with a full barrier (B2 split, B12 packed); MMIO and PCI transports need a write barrier
 * of their own only if their register write is not ordered after it.
 * @param driver a queue
 * @param data   result, if not NULL: the notification word; for VIRTIO_F_NOTIFICATION_DATA queue |
 * next_off << 16 | next_wrap << 31, else just the queue
 * @return true: send the notification; false on a broken queue. Owner's thread. Source: [virtio
 * 1.4, Driver Notifications] */
VIRTQ_API VIRTQ_MUST_CHECK bool virtq_driver_needs_notify(struct virtq_driver *driver,
                                                          uint32_t *data);

/** @brief Takes used buffers back.
 *
 * Each one has been unmapped, and its bytes are the caller's again.
 * @param driver      a queue
 * @param completions room for `count`
 * @param count       at least 1
 * @return how many came back, 0 for none; or VIRTQ_EBROKEN once everything before the break was
 * given out: then see virtq_driver_fault(), and after a reset of the device take the rest with
 * virtq_driver_detach(). Owner's thread. Barrier B6 (split), B11 (packed). Source: [virtio 1.4,
 * Receiving Used Buffers From The Device] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_driver_poll(struct virtq_driver *driver,
                                                 struct virtq_completion *completions,
                                                 unsigned count);

/** @brief Asks the device to notify of used buffers, and looks once more.
 * @param driver a queue
 * @return false: nothing came, it is safe to sleep; true: buffers were used meanwhile, poll again.
 * Owner's thread. Barrier B7. */
VIRTQ_API VIRTQ_MUST_CHECK bool virtq_driver_enable_notify(struct virtq_driver *driver);

/** @brief As virtq_driver_enable_notify(), but to be woken only after `buffers` more used buffers,
 * where the device can do that (VIRTIO_F_EVENT_IDX); else at the next one.
 * @param driver  a queue
 * @param buffers 1 to as many as are outstanding; more counts as that
 * @return true: buffers were used meanwhile (split: that many), poll again. Owner's thread. Barrier
 * B7. */
VIRTQ_API VIRTQ_MUST_CHECK bool virtq_driver_enable_notify_after(struct virtq_driver *driver,
                                                                 unsigned buffers);

/** @brief Asks the device for no notifications; spurious ones remain legal. Owner's thread.
 * @param driver a queue */
VIRTQ_API void virtq_driver_disable_notify(struct virtq_driver *driver);

/** @brief Takes back one buffer that the device has not used: after a reset of the queue or the
 * device, never before.
 *
 * @param driver a queue
 * @param cookie result: the buffer's cookie, untouched if there is none; its mapping is undone with
 * nothing copied back
 * @return 1, or 0 when none is outstanding. From the first one on nothing can be added, and nothing
 * polled, before virtq_driver_reset(). Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_driver_detach(struct virtq_driver *driver, void **cookie);

/** @brief Starts anew with the same ring, once the device has finished its reset of the queue.
 * @param driver a queue, also a broken one
 * @return 0, or VIRTQ_EBUSY while buffers are outstanding (virtq_driver_detach() first). The ring
 * is zeroed, all positions are at their start, a fault is cleared. Owner's thread. Source:
 * [virtio 1.4, Virtqueue Reset; Virtqueue Re-enable] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_driver_reset(struct virtq_driver *driver);

/** @brief As virtq_driver_reset(), with another size or other ring memory.
 *
 * @param driver a queue; its private memory must suffice for the new configuration
 * @param config as for virtq_driver_init(); format and space must be the same
 * @return 0; VIRTQ_EBUSY, VIRTQ_EINVAL, VIRTQ_ENOMEM (private memory too small, or the space),
 * VIRTQ_EFAULT. On an error the old queue is as it was. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_driver_resize(struct virtq_driver *driver,
                                                   const struct virtq_driver_config *config);

/** @brief Gives back to the space what init shared. Outstanding buffers are unmapped; the memory is
 * the caller's again.
 * @param driver a queue the device no longer uses. Owner's thread. */
VIRTQ_API void virtq_driver_destroy(struct virtq_driver *driver);

/** @brief Saves the position of a queue with nothing outstanding and nothing unpublished.
 * @param driver a queue
 * @param state  result; untouched on error
 * @return 0, or VIRTQ_EBUSY. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_driver_save(const struct virtq_driver *driver,
                                                 struct virtq_state *state);

/** @brief Continues at a saved position, in a queue just initialised or reset. The next test for a
 * notification says yes.
 *
 * The ring is zeroed but for the positions, which are written into it: the device must not run yet.
 * @param driver a queue with nothing outstanding
 * @param state  not trusted: validated
 * @return 0; VIRTQ_EINVAL or VIRTQ_EBUSY, nothing changed. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_driver_restore(struct virtq_driver *driver,
                                                    const struct virtq_state *state);

/** @brief Buffers that were added and have not come back.
 * @param driver a queue
 * @return their number */
VIRTQ_API uint32_t virtq_driver_outstanding(const struct virtq_driver *driver);

/** @brief Ring descriptors that are free.
 * @param driver a queue
 * @return their number: a buffer of so many segments fits now, space permitting */
VIRTQ_API uint32_t virtq_driver_room(const struct virtq_driver *driver);

/** @brief Why the queue is broken.
 * @param driver a queue
 * @param fault  result; its reason is VIRTQ_REASON_NONE while the queue is whole */
VIRTQ_API void virtq_driver_fault(const struct virtq_driver *driver, struct virtq_fault *fault);

/** @brief What was counted.
 * @param driver   a queue
 * @param counters result. Owner's thread, or a snapshot that may be torn. */
VIRTQ_API void virtq_driver_counters(const struct virtq_driver *driver,
                                     struct virtq_counters *counters);

VIRTQ_END_DECLS

#endif
