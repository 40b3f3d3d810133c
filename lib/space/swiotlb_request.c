/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/swiotlb_request.h"

#include <string.h>

#include "copy/copy.h"
#include "region.h"
#include "stage.h"

enum { READABLE = 0, WRITABLE = 1 };

/* Bytes of a slot for a part: with room to reach any low bits, and whole blocks. */
static uint64_t part_size(uint64_t most, uint64_t low_mask, uint64_t block_mask)
{
    return most == 0 ? 0 : (most + low_mask + block_mask) & ~block_mask;
}

static int init_one(struct virtq_swiotlb_request *request, struct virtq_swiotlb *pool,
                    const struct virtq_copy *copy, uint32_t readable_max, uint32_t writable_max)
{
    const uint64_t low_mask = pool->low_mask;
    const uint64_t block_mask = low_mask | (((uint64_t)1 << pool->granules.shift) - 1);
    const uint64_t readable = part_size(readable_max, low_mask, block_mask);
    const uint64_t writable = part_size(writable_max, low_mask, block_mask);
    void *slot;
    int error = virtq_swiotlb_alloc(pool, readable + writable, block_mask + 1, &slot);

    if (error != 0) {
        return error;
    }
    memset(request, 0, sizeof(*request));
    request->pool = pool;
    request->low_mask = low_mask;
    request->copy = copy != NULL ? *copy : pool->copy;
    request->slot = slot;
    request->parts[READABLE].base = slot;
    request->parts[READABLE].addr =
        pool->addr + (uint64_t)(request->parts[READABLE].base - pool->pool);
    request->parts[READABLE].most = readable_max;
    request->parts[WRITABLE].base = request->parts[READABLE].base + readable;
    request->parts[WRITABLE].addr = request->parts[READABLE].addr + readable;
    request->parts[WRITABLE].most = writable_max;
    return 0;
}

int virtq_swiotlb_request_init(struct virtq_swiotlb_request *requests, unsigned count,
                               struct virtq_swiotlb *pool, const struct virtq_copy *copy,
                               uint32_t readable_max, uint32_t writable_max)
{
    unsigned i;

    if (count == 0 || (readable_max == 0 && writable_max == 0)) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < count; i++) {
        int error = init_one(&requests[i], pool, copy, readable_max, writable_max);

        if (error != 0) {
            virtq_swiotlb_request_fini(requests, i);
            return error;
        }
    }
    return 0;
}

void virtq_swiotlb_request_fini(struct virtq_swiotlb_request *requests, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        (void)virtq_swiotlb_free(requests[i].pool, requests[i].slot);
        requests[i].slot = NULL;
        requests[i].segments = NULL;
    }
}

/* What an earlier use left and this one does not overwrite. */
VIRTQ_COLD void clear_rest(const struct virtq_copy *copy, struct virtq_swiotlb_part *part,
                           uint64_t from, uint64_t to)
{
    const uint64_t before = part->filled_to < from ? part->filled_to : from;
    const uint64_t behind = part->filled_from > to ? part->filled_from : to;

    if (part->filled_from < before) {
        virtq_priv_copy_zero(copy, part->base + part->filled_from,
                             (size_t)(before - part->filled_from));
    }
    if (behind < part->filled_to) {
        virtq_priv_copy_zero(copy, part->base + behind, (size_t)(part->filled_to - behind));
    }
}

/* As virtq_priv_stage_sum(), without a call for what is usual. */
static int sum(const struct virtq_segment *segments, unsigned count, uint64_t *len)
{
    if (VIRTQ_LIKELY(count == 1 && segments->len != 0 &&
                     virtq_priv_memory_legal(segments->base, segments->len))) {
        *len = segments->len;
        return 0;
    }
    return count == 0 ? 0 : virtq_priv_stage_sum(segments, count, len);
}

static void gather(const struct virtq_copy *copy, unsigned char *to,
                   const struct virtq_segment *segments, unsigned count)
{
    if (VIRTQ_LIKELY(count == 1)) {
        virtq_priv_copy_to_shared(copy, to, segments->base, segments->len);
    } else {
        virtq_priv_stage_gather(copy, to, segments, count);
    }
}

/* Fills a part, which may have no segments, and gives its device address. */
VIRTQ_TEMPLATE unsigned fill(struct virtq_swiotlb_request *request, unsigned which,
                             const struct virtq_segment *segments, unsigned count, uint64_t len,
                             struct virtq_segment *device)
{
    struct virtq_swiotlb_part *part = &request->parts[which];
    uint64_t at;

    part->len = len;
    if (count == 0 && part->filled_from == part->filled_to) {
        return 0;
    }
    at = count != 0 ? (uintptr_t)segments[0].base & request->low_mask : part->filled_from;
    part->at = at;
    if (VIRTQ_UNLIKELY(part->filled_from < at || part->filled_to > at + len)) {
        clear_rest(&request->copy, part, at, at + len);
    }
    part->filled_from = at;
    part->filled_to = at + len;
    if (count == 0) {
        return 0;
    }
    gather(&request->copy, part->base + at, segments, count);
    device->addr = part->addr + at;
    device->len = (uint32_t)len;
    return 1;
}

int virtq_swiotlb_request_prepare(struct virtq_swiotlb_request *request,
                                  const struct virtq_segment *segments, uint16_t readable,
                                  uint16_t writable, struct virtq_buffer *buffer)
{
    uint64_t readable_len = 0;
    uint64_t writable_len = 0;
    int error;

    if (request->segments != NULL) {
        return VIRTQ_EBUSY;
    }
    if (readable == 0 && writable == 0) {
        return VIRTQ_EINVAL;
    }
    error = sum(segments, readable, &readable_len);
    if (error == 0) {
        error = sum(segments + readable, writable, &writable_len);
    }
    if (error != 0) {
        return error;
    }
    if (readable_len > request->parts[READABLE].most ||
        writable_len > request->parts[WRITABLE].most) {
        return VIRTQ_ETOOBIG;
    }
    request->segments = segments;
    request->readable = readable;
    request->writable = writable;
    buffer->segments = request->device;
    buffer->readable =
        (uint16_t)fill(request, READABLE, segments, readable, readable_len, &request->device[0]);
    buffer->writable = (uint16_t)fill(request, WRITABLE, segments + readable, writable,
                                      writable_len, &request->device[buffer->readable]);
    buffer->flags = VIRTQ_BUFFER_PREMAPPED;
    virtq_priv_copy_done(&request->copy);
    return 0;
}

/* Copies bytes [offset, offset + len) of a part between the slot and the segments. The range has
 * been checked; nothing but `copy` looks at the pool. */
VIRTQ_OUTLINE void move(const struct virtq_swiotlb_request *request, unsigned which,
                        uint64_t offset, uint64_t len)
{
    const struct virtq_swiotlb_part *part = &request->parts[which];
    const struct virtq_segment *segment =
        request->segments + (which == READABLE ? 0 : request->readable);
    unsigned char *slot = part->base + part->at + offset;

    while (len != 0 && offset >= segment->len) {
        offset -= segment->len;
        segment++;
    }
    while (len != 0) {
        unsigned char *own = (unsigned char *)segment->base + offset;
        const uint64_t left = segment->len - offset;
        const size_t some = len < left ? (size_t)len : (size_t)left;

        if (which == READABLE) {
            virtq_priv_copy_to_shared(&request->copy, slot, own, some);
        } else {
            virtq_priv_copy_from_shared(&request->copy, own, slot, some);
        }
        slot += some;
        len -= some;
        offset = 0;
        segment++;
    }
}

uint64_t virtq_swiotlb_request_complete(struct virtq_swiotlb_request *request, uint64_t written)
{
    const uint64_t most = request->parts[WRITABLE].len;
    const uint64_t len = written < most ? written : most;

    if (request->segments == NULL) {
        return 0;
    }
    if (len != 0) {
        const struct virtq_swiotlb_part *part = &request->parts[WRITABLE];
        const struct virtq_segment *segment = request->segments + request->readable;

        if (VIRTQ_LIKELY(len <= segment->len)) {
            virtq_priv_copy_from_shared(&request->copy, segment->base, part->base + part->at,
                                        (size_t)len);
        } else {
            move(request, WRITABLE, 0, len);
        }
    }
    request->segments = NULL;
    return len;
}

static int sync(const struct virtq_swiotlb_request *request, unsigned which, uint64_t offset,
                uint64_t len)
{
    const uint64_t size = request->parts[which].len;

    if (request->segments == NULL || len > size || offset > size - len) {
        return VIRTQ_EINVAL;
    }
    move(request, which, offset, len);
    virtq_priv_copy_done(&request->copy);
    return 0;
}

int virtq_swiotlb_request_sync_in(struct virtq_swiotlb_request *request, uint64_t offset,
                                  uint64_t len)
{
    return sync(request, READABLE, offset, len);
}

int virtq_swiotlb_request_sync_out(struct virtq_swiotlb_request *request, uint64_t offset,
                                   uint64_t len)
{
    return sync(request, WRITABLE, offset, len);
}
