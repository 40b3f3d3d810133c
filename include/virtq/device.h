/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_device
 * @brief The device end of a virtqueue: takes available buffers, gives used ones back.
 *
 * In order of use: virtq_device_size(), virtq_device_init(), then a loop of virtq_device_pop(),
 * virtq_device_push(), virtq_device_publish() and virtq_device_needs_notify(). One thread at a time
 * may call functions on one queue.
 *
 * The driver is hostile: each of its words is read once and checked, every call does a bounded
 * amount of work, and nothing outside the windows of the space is touched.
 */
#ifndef VIRTQ_DEVICE_H
#define VIRTQ_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chain.h"
#include "error.h"
#include "feature.h"
#include "packed.h"
#include "space.h"
#include "state.h"
#include "types.h"

VIRTQ_BEGIN_DECLS

/** @brief A device's queue. Lives in memory that the caller gives. */
struct virtq_device;

/** @brief Flags of a struct virtq_device_config. */
enum virtq_device_flag {
    /** The ring lies at `addresses` and goes through the space; without it, it lies at `areas`. */
    VIRTQ_DEVICE_RING_TRANSLATED = 1,
    /** Legacy split queue of a big-endian guest. */
    VIRTQ_DEVICE_BIG_ENDIAN = 2
};

/** @brief How a device's queue is to be. Begin with #VIRTQ_DEVICE_CONFIG_INIT. */
struct virtq_device_config {
    size_t struct_size; /**< sizeof(struct virtq_device_config): lets the struct grow. */
    uint32_t format;    /**< An enum virtq_format; must agree with VIRTIO_F_RING_PACKED. */
    uint32_t size;      /**< Descriptors: split a power of two, packed any number, 1 to 32768. */
    uint64_t features;  /**< Negotiated feature bits; those that concern no queue are ignored. */
    uint32_t flags;     /**< A set of enum virtq_device_flag. */
    uint32_t table_max; /**< Entries of the largest indirect table accepted; 0: the queue size. */
    struct virtq_space *space; /**< Where device addresses lead; must outlive the queue. */
    struct virtq_areas areas;  /**< The ring in this program's memory. */
    struct virtq_area_addresses
        addresses; /**< The ring's device addresses, for VIRTQ_DEVICE_RING_TRANSLATED. */
};

/** @brief The initial value of a struct virtq_device_config. */
#define VIRTQ_DEVICE_CONFIG_INIT                                                     \
    {                                                                                \
        sizeof(struct virtq_device_config), 0, 0, 0, 0, 0, NULL, {NULL, NULL, NULL}, \
        {                                                                            \
            0, 0, 0                                                                  \
        }                                                                            \
    }

/** @brief A used buffer on its way back. */
struct virtq_used_buffer {
    uint32_t id;  /**< virtq_chain::id. */
    uint32_t len; /**< Bytes written, from the start of the writable part; the driver trusts no byte
                     beyond. */
};

/** @brief A buffer that an earlier queue on the same ring had popped and not pushed, as a record of
 * it says. See virtq_device_retake(). */
struct virtq_taken_buffer {
    const struct pvirtq_desc
        *descs;     /**< Packed: its ring descriptors, as they lay in the ring. Split: NULL. */
    uint32_t count; /**< Packed: how many. Split: 0. */
    uint32_t id;    /**< virtq_chain::id. */
};

/** @brief Bytes of private memory that a queue needs.
 * @param config the configuration; `areas` and `addresses` need not be set yet
 * @return bytes, to be aligned to #VIRTQ_CACHE_LINE; 0 if the configuration is illegal. Any thread.
 */
VIRTQ_API size_t virtq_device_size(const struct virtq_device_config *config);

/** @brief Builds a queue in memory that the caller gives. The ring is not written.
 *
 * @param memory      private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must
 * outlive the queue
 * @param memory_size its bytes, at least virtq_device_size()
 * @param config      read during the call only
 * @param device      result: the queue, inside `memory`
 * @return 0; VIRTQ_EINVAL (configuration or alignment), VIRTQ_ENOMEM (memory too small); with
 * translated rings also VIRTQ_EMISS (resolve the miss of `miss_of_ring`, then again), VIRTQ_EFAULT,
 * VIRTQ_EPERM. Nothing is kept on an error.
 * @param miss_of_ring result for VIRTQ_EMISS, if not NULL
 * Any thread. Source: [virtio 1.4, Virtqueue Configuration] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_init(void *memory, size_t memory_size,
                                                 const struct virtq_device_config *config,
                                                 struct virtq_device **device,
                                                 struct virtq_miss *miss_of_ring);

/** @brief Takes available buffers, in ring order.
 *
 * A bad buffer comes out like any other, with virtq_chain::reason set and no pieces.
 * @param device      a queue
 * @param chains      room for `count` chains
 * @param count       at least 1: the caller's budget
 * @param pieces      room for the pieces of all of them; belongs to the caller, must stay as it is
 * while the chains are used
 * @param piece_count at least 1; a buffer of more pieces than this is bad (VIRTQ_REASON_PIECES):
 * give as many as the largest buffer can have, or whatever waits is refused buffer by buffer
 * @return how many were taken, 0 when the ring is empty (or the queue quiesced); fewer than `count`
 * also when `pieces` ran short or before a miss; or, when nothing was taken: VIRTQ_EMISS (see
 * virtq_device_miss(); nothing was consumed: resolve and pop again) or VIRTQ_EBROKEN (see
 * virtq_device_fault()). A queue that breaks behind some good buffers gives those first; a broken
 * queue takes no push. Owner's thread. Barrier B3 (split), B9 (packed). */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_pop(struct virtq_device *device,
                                                struct virtq_chain *chains, unsigned count,
                                                struct virtq_piece *pieces, unsigned piece_count);

/** @brief Finds the last byte of a bad buffer, if the device may write it: where a driver whose
 * device ends each buffer with a status looks for one, whatever it is told of the length.
 *
 * The buffer's descriptors are read once more, not trusted, and of its bytes none but that one is
 * looked for.
 * @param device a queue
 * @param chain  a bad buffer: the latest one that was popped, and not pushed
 * @param piece  result: 1 byte, for use in this burst; untouched unless 1 is returned
 * @return 1; 0: there is no such byte, or it may not be written, or (on a VIRTQ_SPACE_PREMAPPED
 * space) nobody looks it up; VIRTQ_EINVAL: the buffer is not bad, or not the latest;
 * VIRTQ_EMISS (see virtq_device_miss(); resolve it and ask again), VIRTQ_EBROKEN. The buffer stays
 * in flight. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_last_byte(struct virtq_device *device,
                                                      const struct virtq_chain *chain,
                                                      struct virtq_piece *piece);

/** @brief Puts the latest popped chains back, to be popped again.
 * @param device a queue
 * @param chains the `count` chains popped last, in the order in which they came; none of them
 * pushed
 * @param count  at least 1
 * @return 0, or VIRTQ_EINVAL if they are not the latest: nothing changed. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_unpop(struct virtq_device *device,
                                                  const struct virtq_chain *chains, unsigned count);

/** @brief Marks buffers used, in any order. The driver does not see them before
 * virtq_device_publish().
 *
 * With VIRTIO_F_IN_ORDER what is pushed early is held back until its turn.
 * @param device a queue
 * @param used   `count` of them: ids of popped chains and the bytes written
 * @param count  at least 1
 * @return how many were pushed, from the first on; or, if the first could not be: VIRTQ_EINVAL (its
 * id is not in flight, or its length exceeds the writable part), VIRTQ_EBROKEN, or VIRTQ_EMISS (the
 * ring's own window was withdrawn: resolve virtq_device_miss() and push again). A buffer that was
 * not pushed is in flight as before. Owner's thread. Source: [virtio 1.4, The Virtqueue Used Ring]
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_push(struct virtq_device *device,
                                                 const struct virtq_used_buffer *used,
                                                 unsigned count);

/** @brief Shows everything that was pushed to the driver, with one store.
 * @param device a queue
 * @return how many buffers became used, 0 also when nothing was pushed; VIRTQ_EMISS or
 * VIRTQ_EBROKEN as for push, with everything still to be published. Owner's thread. Barrier B4
 * (split), B10 (packed). */
VIRTQ_API int virtq_device_publish(struct virtq_device *device);

/** @brief Whether the driver wants to be notified of what was published since the last test. At
 * most one notification a call.
 *
 * Begins with a full barrier (B5 split, B12 packed).
 * @param device a queue
 * @return 1: notify; 0: do not; VIRTQ_EMISS: the driver's words lie in a withdrawn window: resolve
 * it and ask again, the decision is not lost; VIRTQ_EBROKEN. Owner's thread. Source: [virtio 1.4,
 * Used Buffer Notification Suppression] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_needs_notify(struct virtq_device *device);

/** @brief Asks the driver to notify of available buffers, and looks once more.
 * @param device a queue
 * @return false: nothing *new* came since the last pop looked, it is safe to sleep (buffers that
 * pop left behind for want of a window, and those put back by unpop, are not new); true: pop again.
 * Owner's thread. Barrier B7. */
VIRTQ_API VIRTQ_MUST_CHECK bool virtq_device_enable_notify(struct virtq_device *device);

/** @brief Asks the driver for no notifications; spurious ones remain legal. Does nothing on a
 * quiesced queue. Owner's thread.
 * @param device a queue */
VIRTQ_API void virtq_device_disable_notify(struct virtq_device *device);

/** @brief Stops taking buffers: from now on pop gives 0. For SUSPEND, RING_RESET, migration.
 * @param device a queue
 * @return how many popped buffers have not been pushed: drain until it is 0, publish, notify, and
 * only then report. From then on no call touches the ring. Owner's thread. Source: [virtio 1.4,
 * Device Suspend] */
VIRTQ_API uint32_t virtq_device_quiesce(struct virtq_device *device);

/** @brief Takes buffers again after virtq_device_quiesce().
 * @param device a queue. Owner's thread. */
VIRTQ_API void virtq_device_resume(struct virtq_device *device);

/** @brief Forgets all buffers in flight and begins anew at position 0 with the same ring. Clears a
 * fault.
 * @param device a queue. Nothing of the ring is touched. It is no longer quiesced: quiesce it again
 * while the driver has not enabled it anew. Owner's thread. Source: [virtio 1.4, Virtqueue Reset]
 */
VIRTQ_API void virtq_device_reset(struct virtq_device *device);

/** @brief As virtq_device_reset(), with another size or ring.
 * @param device a queue; its private memory must suffice
 * @param config as for virtq_device_init(); the format must be the same
 * @return as virtq_device_init(); on an error the old queue is as it was. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_resize(struct virtq_device *device,
                                                   const struct virtq_device_config *config);

/** @brief Saves the position of a queue with nothing in flight and nothing unpublished.
 * @param device a queue, usually quiesced
 * @param state  result; untouched on error
 * @return 0, or VIRTQ_EBUSY. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_save(const struct virtq_device *device,
                                                 struct virtq_state *state);

/** @brief Continues at a saved position. The next test for a notification says yes.
 * @param device a queue with nothing in flight
 * @param state  not trusted: validated like any input
 * @return 0; VIRTQ_EINVAL or VIRTQ_EBUSY, nothing changed. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_restore(struct virtq_device *device,
                                                    const struct virtq_state *state);

/** @brief Takes a buffer that was popped before the queue was restored, out of a record instead of
 * the ring: for a device that goes on after a crash.
 *
 * virtq_device_restore() is given an available position that is beyond all such buffers; how many
 * ring descriptors lie between its two positions is how many can be retaken. Retake all, in the
 * order in which they were popped, before the first pop. Of a split queue the descriptors are read
 * from the ring, where they are the device's until the buffer is pushed; those of a packed queue
 * may be overwritten, so that the record must have them.
 * @param device      a queue
 * @param buffer      read once; not trusted: judged like what pop reads
 * @param chain       result: a bad buffer comes out like any other
 * @param pieces      as for virtq_device_pop()
 * @param piece_count at least 1
 * @return 1; 0 if the queue is quiesced; VIRTQ_EINVAL (the id is none or in flight, no such
 * descriptors can be in a ring, or more than the positions say), VIRTQ_EMISS (see
 * virtq_device_miss(); resolve and call again): nothing changed; or VIRTQ_EBROKEN. Owner's thread.
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_device_retake(struct virtq_device *device,
                                                   const struct virtq_taken_buffer *buffer,
                                                   struct virtq_chain *chain,
                                                   struct virtq_piece *pieces,
                                                   unsigned piece_count);

/** @brief Ring descriptors that a buffer in flight takes up, for records of it.
 * @param device a queue
 * @param id     virtq_chain::id
 * @return 1 for any of a split queue, the length of its list for one of a packed queue; 0 if it is
 * not in flight. Owner's thread. */
VIRTQ_API uint32_t virtq_device_slots(const struct virtq_device *device, uint32_t id);

/** @brief Where the queue stands, whatever is in flight or unpublished: for records and logs.
 * @param device a queue
 * @param state  result: `available` is where pop goes on, `used` what the driver has been shown.
 * Owner's thread. */
VIRTQ_API void virtq_device_position(const struct virtq_device *device, struct virtq_state *state);

/** @brief Where the ring lies in this program's memory.
 * @param device a queue
 * @param areas  result; with VIRTQ_DEVICE_RING_TRANSLATED good until the space withdraws a window.
 * Owner's thread. */
VIRTQ_API void virtq_device_areas(const struct virtq_device *device, struct virtq_areas *areas);

/** @brief Popped buffers that have not been pushed.
 * @param device a queue
 * @return their number */
VIRTQ_API uint32_t virtq_device_outstanding(const struct virtq_device *device);

/** @brief Of virtq_device_outstanding(), those that were popped before the latest invalidation of
 * the space: they may lie in memory that was withdrawn. See guard.h.
 * @param device a queue
 * @return their number, never too small. Owner's thread. */
VIRTQ_API uint32_t virtq_device_stale(const struct virtq_device *device);

/** @brief The miss that the last VIRTQ_EMISS was about.
 * @param device a queue
 * @param miss   result: exactly what has to be resolved */
VIRTQ_API void virtq_device_miss(const struct virtq_device *device, struct virtq_miss *miss);

/** @brief Why the queue is broken.
 * @param device a queue
 * @param fault  result; its reason is VIRTQ_REASON_NONE while the queue is whole */
VIRTQ_API void virtq_device_fault(const struct virtq_device *device, struct virtq_fault *fault);

/** @brief What was counted.
 * @param device   a queue
 * @param counters result. Owner's thread, or a snapshot that may be torn. */
VIRTQ_API void virtq_device_counters(const struct virtq_device *device,
                                     struct virtq_counters *counters);

VIRTQ_END_DECLS

#endif
