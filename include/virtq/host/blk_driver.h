/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_blk
 * @brief The block device's requests from the driver's side: made, and judged when they are back.
 *
 *     request.type = VIRTIO_BLK_T_IN;             // where to and how much: the fields
 *     virtq_blk_driver_request_add(&request, driver);
 *     ...                                         // virtq_driver_poll() gives the request back
 *     if (virtq_blk_driver_request_end(completion.cookie, completion.len) == VIRTIO_BLK_S_OK) {
 *
 * The device is hostile: a status that it did not write, an unknown one, or a read of which it did
 * not write all is an error.
 *
 * Source: [virtio 1.4, Block Device]
 */
#ifndef VIRTQ_HOST_BLK_DRIVER_H
#define VIRTQ_HOST_BLK_DRIVER_H

#include <stdint.h>

#include "../api.h"
#include "../driver.h"
#include "blk.h"

VIRTQ_BEGIN_DECLS

/** @brief Bytes of a request's header. */
#define VIRTQ_BLK_HEADER_SIZE 16

/** @brief A request. The caller owns it, in memory of no device's, and what it points to; both stay
 * until the request is back. */
struct virtq_blk_driver_request {
    uint32_t type;         /**< #VIRTIO_BLK_T_IN, #VIRTIO_BLK_T_OUT or #VIRTIO_BLK_T_FLUSH. */
    uint32_t len;          /**< Bytes of data, whole sectors; flush: does not count. */
    uint64_t offset;       /**< First byte on the disk, at a sector; flush: does not count. */
    void *data;            /**< `len` bytes; flush: does not count. */
    unsigned char *header; /**< #VIRTQ_BLK_HEADER_SIZE bytes that the device reads: in a page of
                                their own nothing else is shown with them. */
    unsigned char *status; /**< One byte that it writes; the same. */
    void *cookie;          /**< The caller's own. */
};

/** @brief How large a disk is.
 * @param config the first 8 bytes of its configuration space
 * @return bytes; 0 if it is empty or says what cannot be, 2^63 bytes or more. Any thread.
 * Source: [virtio 1.4, Block Device, Device configuration layout] */
VIRTQ_API uint64_t virtq_blk_driver_capacity(const unsigned char *config);

/** @brief Writes a request's header, and places its buffer: the cookie is the request itself.
 * @param request its fields are filled in
 * @param driver  a queue for buffers of three segments
 * @return 1; VIRTQ_EINVAL (another type, or a part of a sector), or what virtq_driver_add()
 * answers: it was not added. Owner's thread.
 * Source: [virtio 1.4, Block Device, Device Operation] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_blk_driver_request_add(
    struct virtq_blk_driver_request *request, struct virtq_driver *driver);

/** @brief How a request ended.
 * @param request one that came back
 * @param written bytes that the device has written, as virtq_driver_poll() says
 * @return #VIRTIO_BLK_S_OK, #VIRTIO_BLK_S_UNSUPP, or #VIRTIO_BLK_S_IOERR for all else. Any thread.
 */
VIRTQ_API VIRTQ_MUST_CHECK uint32_t
virtq_blk_driver_request_end(const struct virtq_blk_driver_request *request, uint32_t written);

VIRTQ_END_DECLS

#endif
