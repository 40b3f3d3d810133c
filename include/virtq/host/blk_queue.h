/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_blk
 * @brief The requests of one queue of a block device that are in flight, for a device that carries
 * out several at a time and ends them in any order.
 *
 *     while (virtq_blk_queue_pop(queue, &request) == 1) {
 *         // begin it; when it has come to its end, now or later:
 *         virtq_blk_queue_finish(queue, request);
 *     }
 *     virtq_blk_queue_publish(queue);
 *
 * Nothing is lost when a translation is missing: what could not be pushed is pushed with the next
 * virtq_blk_queue_publish().
 */
#ifndef VIRTQ_HOST_BLK_QUEUE_H
#define VIRTQ_HOST_BLK_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "../api.h"
#include "../device.h"
#include "blk.h"
#include "vhost_user_backend.h"

VIRTQ_BEGIN_DECLS

/** @brief The requests of a queue. Lives in memory that the caller gives. */
struct virtq_blk_queue;

/** @brief How they are to be. Begin with #VIRTQ_BLK_QUEUE_CONFIG_INIT. */
struct virtq_blk_queue_config {
    size_t struct_size; /**< sizeof(struct virtq_blk_queue_config): lets the struct grow. */
    uint32_t depth;     /**< Most requests in flight, 1 to 32768. */
    uint32_t pieces;    /**< Most pieces of one, 3 to 32768; a request of more is answered with an
                             error. */
    struct virtq_device *device;       /**< The queue; must outlive the requests. */
    const struct virtq_blk_disk *disk; /**< One that virtq_blk_disk_config() accepts; likewise. */
    struct virtq_vhost_user_backend *backend; /**< With VIRTQ_VHOST_USER_RECORDED: whose ring the
                                                   queue is; else it may be NULL. */
    uint32_t index;                           /**< Which of its rings. */
};

/** @brief The initial value of a struct virtq_blk_queue_config. */
#define VIRTQ_BLK_QUEUE_CONFIG_INIT                                           \
    {                                                                         \
        sizeof(struct virtq_blk_queue_config), 128, 1024, NULL, NULL, NULL, 0 \
    }

/** @brief Bytes of memory that the requests need. Most of it is not touched while requests are few
 * and small.
 * @param config `depth` and `pieces` count
 * @return bytes, to be aligned to #VIRTQ_CACHE_LINE; 0 if the configuration is illegal, or asks for
 * more than half of what can be addressed. Any thread. */
VIRTQ_API size_t virtq_blk_queue_size(const struct virtq_blk_queue_config *config);

/** @brief Makes room for requests; none is in flight.
 * @param memory private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must stay as
 * long as the queue is used
 * @param size   its bytes, at least virtq_blk_queue_size()
 * @param config read during the call only
 * @param queue  result: inside `memory`
 * @return 0; VIRTQ_EINVAL (configuration or alignment) or VIRTQ_ENOMEM (memory too small): nothing
 * is kept. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_blk_queue_init(void *memory, size_t size,
                                                    const struct virtq_blk_queue_config *config,
                                                    struct virtq_blk_queue **queue);

/** @brief Takes the next request that is to be carried out. Those that are not are answered.
 *
 * So are bad buffers, such as one of whose data the IOMMU knows nothing: with no length; and with
 * #VIRTIO_BLK_S_IOERR in the last byte if that one may be written (virtq_device_last_byte()), for
 * Linux takes no notice of a length, and would find there how an earlier request ended. Where the
 * byte is may be a miss of its own; until it is resolved nothing is taken. A bad buffer that a
 * crash has left behind is answered without a status.
 * @param queue   the requests
 * @param request result: parsed; the caller's until virtq_blk_queue_finish(); undefined unless 1 is
 * returned
 * @return 1; 0: there is none now, or as many as can be are in flight; VIRTQ_EMISS, VIRTQ_EBROKEN:
 * as virtq_device_pop(). The thread that owns the device's queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_blk_queue_pop(struct virtq_blk_queue *queue,
                                                   struct virtq_blk_request **request);

/** @brief Where the rest of a read's or write's data lies, in memory that stays until the request
 * is finished. See virtq_blk_request_vector().
 * @param queue   the requests
 * @param request one of them, in flight
 * @param count   result: entries; 0 for a request without data
 * @return the entries. The thread that owns the device's queue. */
VIRTQ_API struct iovec *virtq_blk_queue_vector(struct virtq_blk_queue *queue,
                                               struct virtq_blk_request *request, unsigned *count);

/** @brief Ends a request: writes its status. The driver does not see it before
 * virtq_blk_queue_publish().
 * @param queue   the requests
 * @param request one of them, in flight; not the caller's any more
 * @return how many are finished and not published. The thread that owns the device's queue, while
 * the guest's memory may be touched. */
VIRTQ_API uint32_t virtq_blk_queue_finish(struct virtq_blk_queue *queue,
                                          struct virtq_blk_request *request);

/** @brief Shows all finished requests to the driver.
 * @param queue the requests
 * @return how many buffers became used; VIRTQ_EMISS, VIRTQ_EBROKEN: as virtq_device_push() and
 * virtq_device_publish(), and what is not shown is kept for the next call. The thread that owns the
 * device's queue, while the guest's memory may be touched. */
VIRTQ_API int virtq_blk_queue_publish(struct virtq_blk_queue *queue);

/** @brief Answers a bad buffer at whose status' place virtq_blk_queue_pop() was missing a
 * translation, without a status: for a ring from which nothing is popped any more. Before the last
 * virtq_blk_queue_publish().
 * @param queue the requests. The thread that owns the device's queue. */
VIRTQ_API void virtq_blk_queue_give_up(struct virtq_blk_queue *queue);

/** @brief Requests that were popped and are not finished: the caller's to finish.
 * @param queue the requests
 * @return their number. The thread that owns the device's queue. */
VIRTQ_API uint32_t virtq_blk_queue_busy(const struct virtq_blk_queue *queue);

VIRTQ_END_DECLS

#endif
