/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief The back-end's end of vhost-user: a device that another program's guest drives.
 *
 * The caller accepts a connection, makes a back-end of it, and lets its own event loop wait until
 * virtq_vhost_user_backend_fd() can be read; then it calls virtq_vhost_user_backend_process(). That
 * answers the front-end, maps its memory, and calls struct virtq_vhost_user_ops: above all
 * virtq_vhost_user_ops::serve, when a ring has, or may have, buffers. There:
 *
 *     virtq_vhost_user_vring_enter(backend, index);
 *     device = virtq_vhost_user_vring_device(backend, index);
 *     n = virtq_device_pop(device, ...);      // serve, virtq_device_push(), virtq_device_publish()
 *     virtq_vhost_user_vring_notify(backend, index);
 *     virtq_vhost_user_vring_leave(backend, index);
 *
 * Where the driver is behind an IOMMU (VIRTIO_F_ACCESS_PLATFORM was accepted) an address may not be
 * known yet: a call on the queue says VIRTQ_EMISS. Then there is nothing to do but to leave: what
 * is missing has been noted, is asked for once, and when the answer is there the ring is served
 * again (a thread that waits for kicks itself gets one). What was pushed and could not be
 * published, or published and not told, is made up for by the next virtq_vhost_user_vring_enter();
 * what could not be pushed is to be pushed again.
 *
 * No thread is started. A ring may be served by another thread than the one that calls process:
 * without virtq_vhost_user_ops::serve nothing here listens to kicks, and each thread waits for
 * virtq_vhost_user_vring_kick_fd() itself. Memory that the front-end takes away stays mapped until
 * the last buffer in it has been pushed.
 *
 * The front-end is hostile: a bad message is refused with a reason. If the front-end has asked for
 * a result it is told and the connection goes on as though the message had not come; else the
 * connection ends, for the two ends would go on with different ideas of the device.
 */
#ifndef VIRTQ_HOST_VHOST_USER_BACKEND_H
#define VIRTQ_HOST_VHOST_USER_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "../api.h"
#include "../device.h"
#include "vhost_user.h"

VIRTQ_BEGIN_DECLS

/** @brief Most regions of memory that one front-end may have: SET_MEM_TABLE and ADD_MEM_REG. */
#define VIRTQ_VHOST_USER_SLOTS_MAX 32
/** @brief Most rings of one back-end: what the kick message can name. */
#define VIRTQ_VHOST_USER_QUEUES_MAX 256

/** @brief A back-end. Lives in memory that the caller gives. */
struct virtq_vhost_user_backend;

/** @brief What a device does. A member that is NULL is something it need not do. All are called
 * within virtq_vhost_user_backend_process() or virtq_vhost_user_backend_fini(), and may not call
 * these two. */
struct virtq_vhost_user_ops {
    /** sizeof(struct virtq_vhost_user_ops) of whoever fills the table; what lies beyond counts as
     * NULL. */
    size_t size;
    /** @brief The driver's features are known, or have changed. @param opaque as in the
     * configuration @param features accepted: a subset of those offered */
    void (*features)(void *opaque, uint64_t features);
    /** @brief A ring can be served from now on. @param opaque as in the configuration @param index
     * the ring's @return 0, or anything else: the device cannot, and the ring does not start */
    int (*started)(void *opaque, uint32_t index);
    /** @brief A ring stops: push all its buffers, wait for all that still works in the guest's
     * memory, and let no thread use its device any more. No new ones come. @param opaque as in the
     * configuration @param index the ring's */
    void (*stopping)(void *opaque, uint32_t index);
    /** @brief A ring that runs and is enabled may have buffers. @param opaque as in the
     * configuration @param index the ring's */
    void (*serve)(void *opaque, uint32_t index);
    /** @brief For rings that threads of the device's own serve, without
     * virtq_vhost_user_ops::serve: something has changed, such as whether the ring is enabled or
     * where its kicks come, and its thread is to look at the ring again. @param opaque as in the
     * configuration @param index the ring's */
    void (*wake)(void *opaque, uint32_t index);
    /** @brief Reads the configuration space. @param opaque as in the configuration @param offset
     * first byte @param data result @param len bytes, all within the space's size @return 0, or
     * anything else: refused */
    int (*config_read)(void *opaque, uint32_t offset, void *data, uint32_t len);
    /** @brief Writes the configuration space. @param opaque as in the configuration @param offset
     * first byte @param data as received, not trusted @param len bytes, all within the space's
     * size @param flags 0: by the driver; 1: by migration @return 0, or anything else: refused */
    int (*config_write)(void *opaque, uint32_t offset, const void *data, uint32_t len,
                        uint32_t flags);
    /** @brief All rings are stopped, and the device is to be as new. @param opaque as in the
     * configuration */
    void (*reset)(void *opaque);
    /** @brief A message was refused: for logs. @param opaque as in the configuration @param request
     * its number, not trusted @param refusal an enum virtq_vhost_user_refusal */
    void (*refused)(void *opaque, uint32_t request, uint32_t refusal);
    /** @brief A range is mapped no longer, and buffers that were popped before may lie there: the
     * front-end is told so when this returns, so wait here for transfers into and out of them, as
     * far as the device has any under way. The buffers can be pushed later; no burst is under way.
     * @param opaque as in the configuration @param first first device address @param last last
     * device address, inclusive */
    void (*withdrawn)(void *opaque, virtq_addr_t first, virtq_addr_t last);
};

/** @brief Flags of a struct virtq_vhost_user_backend_config. */
enum virtq_vhost_user_backend_flag {
    /** Memory whose file could become shorter is refused: access to it would end this program. */
    VIRTQ_VHOST_USER_STRICT = 1,
    /** Where such memory is taken, an access to it breaks this back-end and nothing else. The
     * handler has to be installed: virtq_vhost_user_fault_install(). */
    VIRTQ_VHOST_USER_CATCH = 2,
    /** The device uses virtq_vhost_user_vring_pop(), virtq_vhost_user_vring_push() and
     * virtq_vhost_user_vring_publish() for all buffers, and never virtq_device_unpop(): so records
     * of buffers in flight are offered, with which it goes on after a crash, and a log of what is
     * written, with which the guest can migrate. */
    VIRTQ_VHOST_USER_RECORDED = 4
};

/** @brief How a back-end is to be. Begin with #VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT. */
struct virtq_vhost_user_backend_config {
    size_t struct_size;   /**< sizeof(struct virtq_vhost_user_backend_config). */
    int socket;           /**< A connected stream socket; the back-end's after an init without
                               error. Not needed for the size. */
    uint32_t flags;       /**< A set of enum virtq_vhost_user_backend_flag. */
    uint64_t features;    /**< What the device offers. With VIRTIO_F_ACCESS_PLATFORM it can be
                               behind an IOMMU; if it is not the front-end takes that back. */
    uint32_t queue_count; /**< Rings, 1 to #VIRTQ_VHOST_USER_QUEUES_MAX. */
    uint32_t queue_size;  /**< Descriptors of the largest ring, 1 to 32768. */
    uint32_t table_max;   /**< Entries of the largest indirect table; 0: the ring's size. */
    uint32_t config_size; /**< Bytes of the configuration space, at most
                               #VIRTQ_VHOST_USER_CONFIG_MAX; 0: there is none. */
    const struct virtq_vhost_user_ops *ops; /**< What the device does; copied. */
    void *opaque;                           /**< Handed to each of them. */
    uint64_t window_first;                  /**< The guest's address from which on, ... */
    uint64_t window_size;  /**< ... for so many bytes, its memory is mapped and used, whatever the
                                front-end gives: the pool of a guest with restricted DMA. A ring
                                elsewhere is refused, a buffer elsewhere is a bad one. 0: all. */
    uint32_t translations; /**< With VIRTIO_F_ACCESS_PLATFORM: how many translations are kept, 16 to
                                2^24; 0: 2048. As many as all rings and the largest buffer of each
                                need, and two more; with fewer a large buffer may never be found as
                                a whole. */
};

/** @brief The initial value of a struct virtq_vhost_user_backend_config. */
#define VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT                                                      \
    {                                                                                             \
        sizeof(struct virtq_vhost_user_backend_config), -1, 0, 0, 1, 256, 0, 0, NULL, NULL, 0, 0, \
            0                                                                                     \
    }

/** @brief Bytes of memory that a back-end needs.
 * @param config the configuration
 * @return bytes, a multiple of #VIRTQ_CACHE_LINE, to which they are to be aligned; 0 if the
 * configuration is illegal. Any thread.
 */
VIRTQ_API size_t
virtq_vhost_user_backend_size(const struct virtq_vhost_user_backend_config *config);

/** @brief Makes a back-end of a connection.
 * @param memory  private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must stay until
 * virtq_vhost_user_backend_fini()
 * @param size    its bytes, at least virtq_vhost_user_backend_size()
 * @param config  read during the call only
 * @param backend result: inside `memory`
 * @return 0; VIRTQ_EINVAL (configuration, alignment, or there is no handler for
 * ::VIRTQ_VHOST_USER_CATCH) or VIRTQ_ENOMEM (memory too small, or no
 * descriptor to be had): nothing is kept, and the socket is still the caller's. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_backend_init(
    void *memory, size_t size, const struct virtq_vhost_user_backend_config *config,
    struct virtq_vhost_user_backend **backend);

/** @brief Stops all rings, closes the connection, unmaps all memory.
 * @param backend a back-end; its memory is the caller's again. The thread that calls process. */
VIRTQ_API void virtq_vhost_user_backend_fini(struct virtq_vhost_user_backend *backend);

/** @brief What an event loop waits for: readable means that process has something to do.
 * @param backend a back-end
 * @return a descriptor, the back-end's own, the same until it ends. Any thread. */
VIRTQ_API int virtq_vhost_user_backend_fd(const struct virtq_vhost_user_backend *backend);

/** @brief Does what there is to do, and never waits: a bounded number of messages and kicks.
 * @param backend a back-end
 * @return 0: wait and call again; VIRTQ_EPEER: the connection is over (see
 * virtq_vhost_user_backend_refusal()), all rings are stopped, only
 * virtq_vhost_user_backend_fini() is left to do. One thread at a time, not between enter and leave.
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_backend_process(
    struct virtq_vhost_user_backend *backend);

/** @brief Why the latest message that was refused was refused.
 * @param backend a back-end
 * @return an enum virtq_vhost_user_refusal. The thread that calls process. */
VIRTQ_API uint32_t virtq_vhost_user_backend_refusal(const struct virtq_vhost_user_backend *backend);

/** @brief The features that the driver has accepted.
 * @param backend a back-end
 * @return a set of bits, without #VHOST_USER_F_PROTOCOL_FEATURES. The thread that calls process. */
VIRTQ_API uint64_t
virtq_vhost_user_backend_features(const struct virtq_vhost_user_backend *backend);

/** @brief Bytes of the guest's memory that are mapped, those that were taken away and are still in
 * use included.
 * @param backend a back-end
 * @return bytes. The thread that calls process. */
VIRTQ_API uint64_t virtq_vhost_user_backend_mapped(const struct virtq_vhost_user_backend *backend);

/** @brief Where in the guest's memory a byte lies that a piece points to: for logs.
 * @param backend a back-end
 * @param byte    any address of this program
 * @param addr    result: the guest-physical address; unchanged if there is none
 * @return 1, or 0: it lies in no memory that the front-end gives. The thread that calls process, or
 * a ring's within a burst. */
VIRTQ_API int virtq_vhost_user_backend_locate(const struct virtq_vhost_user_backend *backend,
                                              const void *byte, virtq_addr_t *addr);

/** @brief A ring's queue.
 * @param backend a back-end
 * @param index   the ring's
 * @return the queue, or NULL while the ring does not run. The ring's thread, from
 * virtq_vhost_user_ops::started to virtq_vhost_user_ops::stopping, both included. */
VIRTQ_API struct virtq_device *virtq_vhost_user_vring_device(
    const struct virtq_vhost_user_backend *backend, uint32_t index);

/** @brief Whether a ring may have effects. One that runs and may not is left alone;
 * virtq_vhost_user_ops::serve is not called for it.
 * @param backend a back-end
 * @param index   the ring's
 * @return 1 or 0. Any thread. */
VIRTQ_API int virtq_vhost_user_vring_enabled(const struct virtq_vhost_user_backend *backend,
                                             uint32_t index);

/** @brief Begins a burst: the guest's memory may be touched until virtq_vhost_user_vring_leave().
 * @param backend a back-end
 * @param index   a ring that runs. Its thread, outside of a burst. */
VIRTQ_API void virtq_vhost_user_vring_enter(struct virtq_vhost_user_backend *backend,
                                            uint32_t index);

/** @brief Ends a burst. Buffers that are in flight keep their memory.
 * @param backend a back-end
 * @param index   a ring within a burst. Its thread. */
VIRTQ_API void virtq_vhost_user_vring_leave(struct virtq_vhost_user_backend *backend,
                                            uint32_t index);

/** @brief Takes available buffers: as virtq_device_pop(), and records them. After a crash, those
 * that were in flight then come first, one a call, in the order in which they were taken: a device
 * that cannot tell what has become of them does them again.
 * @param backend     a back-end
 * @param index       a ring within a burst
 * @param chains      room for `count` chains
 * @param count       at least 1
 * @param pieces      as for virtq_device_pop()
 * @param piece_count at least 1
 * @return as virtq_device_pop(); VIRTQ_EBROKEN also if the records cannot be. Its thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_vring_pop(
    struct virtq_vhost_user_backend *backend, uint32_t index, struct virtq_chain *chains,
    unsigned count, struct virtq_piece *pieces, unsigned piece_count);

/** @brief Marks a buffer used: as virtq_device_push(), and logs what was written to it.
 * @param backend a back-end
 * @param index   a ring within a burst
 * @param chain   as popped, with its pieces
 * @param len     bytes written from the start of its writable part
 * @return 1, or an error of virtq_device_push(). Its thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_vring_push(struct virtq_vhost_user_backend *backend,
                                                           uint32_t index,
                                                           const struct virtq_chain *chain,
                                                           uint32_t len);

/** @brief Logs what was written to a buffer, for one that is pushed later, when its pieces may be
 * gone.
 * @param backend a back-end
 * @param index   a ring within a burst
 * @param chain   as popped, with its pieces
 * @param len     bytes written from the start of its writable part. Its thread, after the data was
 * written and before virtq_vhost_user_vring_push_used(). */
VIRTQ_API void virtq_vhost_user_vring_written(struct virtq_vhost_user_backend *backend,
                                              uint32_t index, const struct virtq_chain *chain,
                                              uint32_t len);

/** @brief Marks buffers used whose writes were logged: as virtq_device_push().
 * @param backend a back-end
 * @param index   a ring within a burst
 * @param used    `count` of them
 * @param count   at least 1
 * @return as virtq_device_push(). Its thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_vring_push_used(
    struct virtq_vhost_user_backend *backend, uint32_t index, const struct virtq_used_buffer *used,
    unsigned count);

/** @brief Shows what was pushed to the driver: as virtq_device_publish(), and crosses it off the
 * records.
 * @param backend a back-end
 * @param index   a ring within a burst
 * @return as virtq_device_publish(). Its thread. */
VIRTQ_API int virtq_vhost_user_vring_publish(struct virtq_vhost_user_backend *backend,
                                             uint32_t index);

/** @brief Notifies the driver of what was published, if it wants to be.
 *
 * Does not wait for the front-end, whatever that does with its eventfds (so it is with all that is
 * signalled here): the process's kernel does the counting, by an asynchronous request (io_submit).
 * Where there are none, O_NONBLOCK is set and room looked for, and a front-end that clears the one
 * and fills the other between that and the write is waited for.
 * @param backend a back-end
 * @param index   a ring within a burst
 * @return 1: notified; 0: not wanted; VIRTQ_EBROKEN. Its thread. */
VIRTQ_API int virtq_vhost_user_vring_notify(struct virtq_vhost_user_backend *backend,
                                            uint32_t index);

/** @brief Tells the front-end that a ring is broken: once for each start, however often it is
 * called.
 * @param backend a back-end
 * @param index   a ring within a burst. Its thread. */
VIRTQ_API void virtq_vhost_user_vring_error(struct virtq_vhost_user_backend *backend,
                                            uint32_t index);

/** @brief Where a ring's kicks come, for a thread that waits for them itself.
 * @param backend a back-end
 * @param index   the ring's
 * @return a descriptor, the back-end's own, to wait for and not to read: see
 * virtq_vhost_user_vring_take_kick(); good until virtq_vhost_user_ops::stopping or until
 * virtq_vhost_user_ops::wake, for the front-end may give another one; -1: poll the ring. Its
 * thread, from virtq_vhost_user_ops::started on. */
VIRTQ_API int virtq_vhost_user_vring_kick_fd(const struct virtq_vhost_user_backend *backend,
                                             uint32_t index);

/** @brief Takes the kicks that have come, for a thread that waits for them itself: read(2) may wait
 * for ever, for the front-end has the same descriptor, and O_NONBLOCK is its to clear.
 * @param backend a back-end
 * @param index   a ring that runs
 * @return 1: there were some; 0: there are none, or there is no descriptor; VIRTQ_EPEER: none will
 * ever come, though it may be readable: do not wait for it any more. Its thread, outside of a
 * burst. Never waits, but on a system that cannot read so (Linux before 5.10): there O_NONBLOCK is
 * set first, and a front-end that clears it within the call, and empties the counter, is waited
 * for. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_vring_take_kick(
    struct virtq_vhost_user_backend *backend, uint32_t index);

VIRTQ_END_DECLS

#endif
