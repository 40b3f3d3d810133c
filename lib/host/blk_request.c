/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <string.h>

#include "virtq/feature.h"
#include "virtq/host/blk.h"

/* Bytes of a request's header and of a range; the one flag of a range. */
enum { HEADER = 16, RANGE = 16, UNMAP = 1 };

static uint64_t get(const unsigned char *bytes, unsigned count)
{
    uint64_t word = 0;

    while (count-- != 0) {
        word = word << 8 | bytes[count];
    }
    return word;
}

static bool on_disk(const struct virtq_blk_disk *disk, uint64_t sector, uint64_t sectors)
{
    return sector <= disk->sectors && sectors <= disk->sectors - sector;
}

/* A read or a write: all its data goes one way, in whole sectors. */
static uint32_t judge_move(struct virtq_blk_request *request, const struct virtq_blk_disk *disk,
                           uint64_t sector)
{
    const bool reads = request->type == VIRTIO_BLK_T_IN;
    const uint64_t in = request->chain.writable_bytes - 1;
    const uint64_t out = request->chain.readable_bytes - HEADER;
    const uint64_t len = reads ? in : out;

    if ((reads ? out : in) != 0 || len % VIRTQ_BLK_SECTOR != 0 ||
        !on_disk(disk, sector, len / VIRTQ_BLK_SECTOR) ||
        (!reads && virtq_feature_has(disk->features, VIRTIO_BLK_F_RO))) {
        return VIRTIO_BLK_S_IOERR;
    }
    request->offset = sector * VIRTQ_BLK_SECTOR;
    request->len = len;
    return VIRTIO_BLK_S_OK;
}

/* One range. That flags are unknown outweighs all else: the specification insists on it. */
static uint32_t judge_range(const struct virtq_blk_request *request,
                            const struct virtq_blk_disk *disk, const unsigned char *bytes,
                            struct virtq_blk_range *range)
{
    const uint64_t sector = get(bytes, 8);
    const uint64_t sectors = get(bytes + 8, 4);
    const uint32_t flags = (uint32_t)get(bytes + 12, 4);
    const uint32_t known = request->type == VIRTIO_BLK_T_WRITE_ZEROES ? UNMAP : 0;

    if ((flags & ~known) != 0) {
        return VIRTIO_BLK_S_UNSUPP;
    }
    if (sectors > disk->range_sectors || !on_disk(disk, sector, sectors)) {
        return VIRTIO_BLK_S_IOERR;
    }
    range->offset = sector * VIRTQ_BLK_SECTOR;
    range->len = sectors * VIRTQ_BLK_SECTOR;
    range->unmap = flags & UNMAP;
    range->reserved_ = 0;
    return VIRTIO_BLK_S_OK;
}

/* All ranges are judged before the first of them is carried out. */
static uint32_t judge_ranges(struct virtq_blk_request *request, const struct virtq_blk_disk *disk,
                             struct virtq_cursor *reader)
{
    const uint64_t bytes = virtq_cursor_left(reader);
    const uint64_t count = bytes / RANGE;
    const unsigned feature =
        request->type == VIRTIO_BLK_T_DISCARD ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES;
    uint32_t worst = VIRTIO_BLK_S_OK;
    uint32_t i;

    if (!virtq_feature_has(disk->features, feature)) {
        return VIRTIO_BLK_S_UNSUPP;
    }
    if (bytes % RANGE != 0 || count == 0 || count > disk->ranges_max ||
        virtq_feature_has(disk->features, VIRTIO_BLK_F_RO)) {
        return VIRTIO_BLK_S_IOERR;
    }
    for (i = 0; i < count; i++) {
        unsigned char copy[RANGE];
        uint32_t status;

        (void)virtq_cursor_read(reader, copy, sizeof(copy));
        status = judge_range(request, disk, copy, &request->ranges[i]);
        worst = status > worst ? status : worst;
    }
    request->range_count = (uint32_t)count;
    return worst;
}

static uint32_t get_id(const struct virtq_blk_request *request, const struct virtq_blk_disk *disk)
{
    struct virtq_cursor writer = virtq_chain_writer(&request->chain);

    if (virtq_cursor_left(&writer) != VIRTQ_BLK_SERIAL_SIZE + 1) {
        return VIRTIO_BLK_S_IOERR;
    }
    (void)virtq_cursor_write(&writer, disk->serial, VIRTQ_BLK_SERIAL_SIZE);
    return VIRTIO_BLK_S_OK;
}

VIRTQ_API int virtq_blk_request_parse(struct virtq_blk_request *request,
                                      const struct virtq_blk_disk *disk)
{
    struct virtq_cursor reader = virtq_chain_reader(&request->chain);
    unsigned char header[HEADER];

    request->type = UINT32_MAX;
    request->status = VIRTIO_BLK_S_IOERR;
    request->offset = 0;
    request->len = 0;
    request->done = 0;
    request->range_count = 0;
    request->reserved_ = 0;
    if (request->chain.writable_bytes == 0 ||
        virtq_cursor_read_exact(&reader, header, sizeof(header)) != VIRTQ_OK) {
        return 0;
    }
    request->type = (uint32_t)get(header, 4);
    switch (request->type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT:
        request->status = judge_move(request, disk, get(header + 8, 8));
        break;
    case VIRTIO_BLK_T_FLUSH:
        request->status = virtq_feature_has(disk->features, VIRTIO_BLK_F_FLUSH)
                              ? VIRTIO_BLK_S_OK
                              : VIRTIO_BLK_S_UNSUPP;
        break;
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        request->status = judge_ranges(request, disk, &reader);
        break;
    case VIRTIO_BLK_T_GET_ID:
        request->status = get_id(request, disk);
        return 0;
    default:
        request->status = VIRTIO_BLK_S_UNSUPP;
        break;
    }
    return request->status == VIRTIO_BLK_S_OK;
}

VIRTQ_API unsigned virtq_blk_request_vector(const struct virtq_blk_request *request,
                                            struct iovec *vector, unsigned room)
{
    const bool reads = request->type == VIRTIO_BLK_T_IN;
    const struct virtq_piece *piece = request->chain.pieces + (reads ? request->chain.readable : 0);
    uint64_t skip = request->done + (reads ? 0 : HEADER);
    uint64_t left = request->len - request->done;
    unsigned count = 0;

    for (; left != 0 && count < room; piece++) {
        uint64_t span;

        if (skip >= piece->len) {
            skip -= piece->len;
            continue;
        }
        span = piece->len - skip;
        span = span < left ? span : left;
        vector[count].iov_base = (unsigned char *)piece->base + skip;
        vector[count].iov_len = (size_t)span;
        count++;
        left -= span;
        skip = 0;
    }
    return count;
}

VIRTQ_API struct virtq_used_buffer virtq_blk_request_finish(const struct virtq_blk_request *request)
{
    const struct virtq_chain *chain = &request->chain;
    struct virtq_used_buffer used = {chain->id, 0};

    if (chain->writable_bytes != 0) {
        const struct virtq_piece *last = chain->pieces + chain->readable + chain->writable - 1;

        /* The status is last, so that the length takes in what lies before it, written or not. */
        used.len =
            chain->writable_bytes < UINT32_MAX ? (uint32_t)chain->writable_bytes : UINT32_MAX;
        ((unsigned char *)last->base)[last->len - 1] = (unsigned char)request->status;
    }
    return used;
}
