/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief A ring of a device that another program serves, with its driver end.
 *
 * In order of use, for each ring: virtq_vhost_user_queue_ring_size() bytes of memory that the
 * back-end was given, virtq_vhost_user_queue_init(), virtq_vhost_user_queue_start(); and when all
 * have been started virtq_vhost_user_frontend_ready(). Then
 *
 *     virtq_driver_add(virtq_vhost_user_queue_driver(queue), &buffer, 1);
 *     virtq_vhost_user_queue_publish(queue);
 *     count = virtq_vhost_user_queue_take(queue, completions, room, milliseconds);
 *
 * The rest of driver.h is there as well; who has a loop of his own leaves `take` alone, and waits
 * for virtq_vhost_user_frontend_call_fd().
 *
 * Everything is called on the thread that owns the front-end.
 */
#ifndef VIRTQ_HOST_VHOST_USER_QUEUE_H
#define VIRTQ_HOST_VHOST_USER_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "../api.h"
#include "../driver.h"
#include "../error.h"
#include "../space.h"
#include "../types.h"
#include "vhost_user_frontend.h"

VIRTQ_BEGIN_DECLS

/** @brief A ring and its driver end. Lives in memory that the caller gives. */
struct virtq_vhost_user_queue;

/** @brief How a queue is to be. Begin with #VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT. */
struct virtq_vhost_user_queue_config {
    size_t struct_size; /**< sizeof(struct virtq_vhost_user_queue_config): lets the struct grow. */
    struct virtq_vhost_user_frontend
        *frontend; /**< With features accepted, which the ring is made with; must outlive it. */
    struct virtq_space *space; /**< Where buffers and the ring are mapped; must outlive the queue.
                                    For the ring's size NULL is any of the four. */
    void *ring;                /**< virtq_vhost_user_queue_ring_size() bytes, at a page, inside
                                    memory that the back-end was given; the caller's until
                                    virtq_vhost_user_queue_fini(). Not needed for sizes. */
    uint32_t index;            /**< Which of the device's rings it is. */
    uint32_t size;             /**< Descriptors, as in struct virtq_driver_config. */
    uint32_t flags;            /**< A set of enum virtq_driver_flag. */
    uint16_t segments_max;     /**< Segments of the largest buffer; 0 counts as 1. */
    uint16_t reserved_;        /**< Zero. */
};

/** @brief The initial value of a struct virtq_vhost_user_queue_config. */
#define VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT                                               \
    {                                                                                    \
        sizeof(struct virtq_vhost_user_queue_config), NULL, NULL, NULL, 0, 256, 0, 1, 0, \
    }

/** @brief Bytes of memory for a ring and its indirect tables, which both ends use.
 * @param config the configuration
 * @return whole pages of 4096 bytes, so that rings side by side are shown to the device one by one;
 * 0 if the configuration is illegal. Owner's thread. */
VIRTQ_API size_t
virtq_vhost_user_queue_ring_size(const struct virtq_vhost_user_queue_config *config);

/** @brief Bytes of private memory that a queue needs.
 * @param config the configuration
 * @return bytes, a multiple of #VIRTQ_CACHE_LINE, to be aligned to that; 0 if the configuration is
 * illegal. Owner's thread. */
VIRTQ_API size_t virtq_vhost_user_queue_size(const struct virtq_vhost_user_queue_config *config);

/** @brief Makes a queue: its ring is laid out and zeroed. The back-end is told nothing yet, but by
 * the space.
 * @param memory private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must stay until
 * virtq_vhost_user_queue_fini()
 * @param size   its bytes, at least virtq_vhost_user_queue_size()
 * @param config read during the call only
 * @param queue  result: inside `memory`
 * @return 0; VIRTQ_EINVAL (configuration or alignment), VIRTQ_ENOMEM (memory too small, or the
 * space is full), VIRTQ_EFAULT (the space cannot reach the ring): nothing is kept. Owner's thread.
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_queue_init(
    void *memory, size_t size, const struct virtq_vhost_user_queue_config *config,
    struct virtq_vhost_user_queue **queue);

/** @brief Gives back to the space what init shared; outstanding buffers are unmapped.
 * @param queue a queue that is stopped, or whose connection is over; its memory is the caller's
 * again. Owner's thread. */
VIRTQ_API void virtq_vhost_user_queue_fini(struct virtq_vhost_user_queue *queue);

/** @brief Its driver end.
 * @param queue a queue
 * @return what the functions of driver.h take; ends with the queue. Any thread. */
VIRTQ_API struct virtq_driver *virtq_vhost_user_queue_driver(
    const struct virtq_vhost_user_queue *queue);

/** @brief Starts and enables the ring.
 *
 * The first time it takes what was added already. After virtq_vhost_user_queue_stop() it goes on
 * where both ends stand, if all buffers have come back; if some were taken away by
 * virtq_driver_detach(), the queue is broken or the device was reset, it begins anew, with a ring
 * of zeros.
 * @param queue a queue
 * @return 0; VIRTQ_EBUSY (it runs, or it did and buffers are outstanding), VIRTQ_ENOTSUP (the
 * back-end refuses), VIRTQ_ENOMEM (no descriptor), VIRTQ_EINVAL (no such ring): it does not run;
 * VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_queue_start(struct virtq_vhost_user_queue *queue);

/** @brief Stops the ring: once this returns 0 the device uses it no more. What it has used before
 * can be taken, the rest of what is outstanding virtq_driver_detach() gives back.
 *
 * With nothing outstanding the back-end has to stand where the driver does: else the connection is
 * over, with ::VIRTQ_VHOST_USER_REFUSED_RING.
 * @param queue a queue that runs
 * @return 0; VIRTQ_EINVAL (it does not run); VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_queue_stop(struct virtq_vhost_user_queue *queue);

/** @brief Makes everything that was added available, and notifies the device if it wants that.
 * @param queue a queue
 * @return how many buffers became available; 0 on a broken queue. Owner's thread. */
VIRTQ_API unsigned virtq_vhost_user_queue_publish(struct virtq_vhost_user_queue *queue);

/** @brief Takes used buffers back, and sleeps until there is one; meanwhile the back-end's own
 * requests are answered.
 *
 * The device is asked for notifications only while this sleeps.
 * @param queue        a queue
 * @param completions  room for `count`
 * @param count        at least 1
 * @param milliseconds how long to sleep, 0: not at all, UINT32_MAX: for ever
 * @return how many came back; 0: none in so much time; VIRTQ_EBROKEN as virtq_driver_poll() says;
 * VIRTQ_EPEER: the connection is over, and nothing more comes. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_queue_take(struct virtq_vhost_user_queue *queue,
                                                           struct virtq_completion *completions,
                                                           unsigned count, uint32_t milliseconds);

VIRTQ_END_DECLS

#endif
