/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/host/blk_driver.h"

#include <string.h>

/* What no device answers: it has written no status. */
enum { NO_STATUS = 0xff };

static void put(unsigned char *bytes, unsigned count, uint64_t word)
{
    unsigned i;

    for (i = 0; i < count; i++, word >>= 8) {
        bytes[i] = (unsigned char)word;
    }
}

VIRTQ_API uint64_t virtq_blk_driver_capacity(const unsigned char *config)
{
    uint64_t sectors = 0;
    unsigned i;

    for (i = 8; i-- > 0;) {
        sectors = sectors << 8 | config[i];
    }
    return sectors <= INT64_MAX / VIRTQ_BLK_SECTOR ? sectors * VIRTQ_BLK_SECTOR : 0;
}

VIRTQ_API int virtq_blk_driver_request_add(struct virtq_blk_driver_request *request,
                                           struct virtq_driver *driver)
{
    const int flushes = request->type == VIRTIO_BLK_T_FLUSH;
    struct virtq_segment segments[3];
    struct virtq_buffer buffer;
    unsigned count = 0;

    if ((!flushes && request->type != VIRTIO_BLK_T_IN && request->type != VIRTIO_BLK_T_OUT) ||
        (!flushes && (request->len == 0 || request->len % VIRTQ_BLK_SECTOR != 0 ||
                      request->offset % VIRTQ_BLK_SECTOR != 0))) {
        return VIRTQ_EINVAL;
    }
    memset(segments, 0, sizeof(segments));
    memset(&buffer, 0, sizeof(buffer));
    segments[count].base = request->header;
    segments[count++].len = VIRTQ_BLK_HEADER_SIZE;
    if (!flushes) {
        segments[count].base = request->data;
        segments[count++].len = request->len;
    }
    segments[count].base = request->status;
    segments[count++].len = 1;
    buffer.segments = segments;
    buffer.readable = request->type == VIRTIO_BLK_T_OUT ? 2 : 1;
    buffer.writable = (uint16_t)(count - buffer.readable);
    buffer.cookie = request;
    put(request->header, 4, request->type);
    put(request->header + 4, 4, 0);
    put(request->header + 8, 8, flushes ? 0 : request->offset / VIRTQ_BLK_SECTOR);
    request->status[0] = NO_STATUS;
    return virtq_driver_add(driver, &buffer, 1);
}

VIRTQ_API uint32_t virtq_blk_driver_request_end(const struct virtq_blk_driver_request *request,
                                                uint32_t written)
{
    const uint32_t data = request->type == VIRTIO_BLK_T_IN ? request->len : 0;
    const uint32_t status = *(const volatile unsigned char *)request->status;

    if (status != VIRTIO_BLK_S_OK) {
        return status == VIRTIO_BLK_S_UNSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
    }
    /* A status without the data: what was there before would be taken for it. Where there is none
     * to be written some devices say that they wrote nothing. */
    return written > data || data == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}
