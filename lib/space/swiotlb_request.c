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
    const uint32_t low_mask = (uint32_t)pool->low_mask;
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
    request->take = virtq_priv_copy_is_plain(&request->copy) ? pool->take : NULL;
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

/* What an earlier use left in the readable part and one of [at, at + len) does not overwrite. */
VIRTQ_COLD void clear_rest(const struct virtq_copy *copy, const struct virtq_swiotlb_part *part,
                           uint64_t at, uint64_t len)
{
    const uint64_t old = part->at;
    const uint64_t old_end = old + part->len;
    const uint64_t end = at + len;
    const uint64_t before = old_end < at ? old_end : at;
    const uint64_t behind = old > end ? old : end;

    if (old < before) {
        virtq_priv_copy_zero(copy, part->base + old, (size_t)(before - old));
    }
    if (behind < old_end) {
        virtq_priv_copy_zero(copy, part->base + behind, (size_t)(old_end - behind));
    }
}

/* Whether an earlier use left bytes outside [at, at + len). */
VIRTQ_TEMPLATE int leaves_rest(const struct virtq_swiotlb_part *part, uint64_t at, uint64_t len)
{
    return part->at < at || (uint64_t)part->at + part->len > at + len;
}

/* Where a part begins, and its device address. */
VIRTQ_TEMPLATE unsigned char *place(const struct virtq_swiotlb_request *request, unsigned which,
                                    uint32_t at, uint32_t len, struct virtq_segment *device)
{
    const struct virtq_swiotlb_part *part = &request->parts[which];

    device->addr = part->addr + at;
    device->len = len;
    return part->base + at;
}

/* Fills the readable part, which may have no segments. The writable one is zero already: complete()
 * leaves it so. */
static void fill(struct virtq_swiotlb_request *request, const struct virtq_segment *segments,
                 const uint64_t len[2])
{
    struct virtq_swiotlb_part *parts = request->parts;
    struct virtq_segment *device = request->device;
    uint32_t at = (uint32_t)(uintptr_t)segments->base & request->low_mask;
    unsigned char *slot;

    at = request->readable != 0 ? at : parts[READABLE].at;
    if (leaves_rest(&parts[READABLE], at, len[READABLE])) {
        clear_rest(&request->copy, &parts[READABLE], at, len[READABLE]);
    }
    parts[READABLE].at = at;
    parts[READABLE].len = (uint32_t)len[READABLE];
    parts[WRITABLE].len = (uint32_t)len[WRITABLE];
    if (request->readable != 0) {
        slot = place(request, READABLE, at, (uint32_t)len[READABLE], device++);
        virtq_priv_stage_gather(&request->copy, slot, segments, request->readable);
    }
    if (request->writable != 0) {
        at = (uint32_t)(uintptr_t)segments[request->readable].base & request->low_mask;
        parts[WRITABLE].at = at;
        (void)place(request, WRITABLE, at, (uint32_t)len[WRITABLE], device);
    }
    virtq_priv_copy_done(&request->copy);
}

/* Any buffer. */
VIRTQ_OUTLINE int prepare_parts(struct virtq_swiotlb_request *request,
                                const struct virtq_segment *segments, uint16_t readable,
                                uint16_t writable, struct virtq_buffer *buffer)
{
    uint64_t len[2] = {0, 0};
    int error;

    if (request->segments != NULL) {
        return VIRTQ_EBUSY;
    }
    if (readable == 0 && writable == 0) {
        return VIRTQ_EINVAL;
    }
    error = virtq_priv_stage_sum(segments, readable, &len[READABLE]);
    if (error == 0) {
        error = virtq_priv_stage_sum(segments + readable, writable, &len[WRITABLE]);
    }
    if (error != 0) {
        return error;
    }
    if (len[READABLE] > request->parts[READABLE].most ||
        len[WRITABLE] > request->parts[WRITABLE].most) {
        return VIRTQ_ETOOBIG;
    }
    request->segments = segments;
    request->readable = readable;
    request->writable = writable;
    fill(request, segments, len);
    buffer->segments = request->device;
    buffer->readable = readable != 0;
    buffer->writable = writable != 0;
    buffer->flags = VIRTQ_BUFFER_PREMAPPED;
    return 0;
}

/* What prepare_parts() would do with one segment, copied plainly, when the slot holds nothing that
 * would have to be zeroed: in half the instructions. Nothing is changed before all of it is known
 * to hold. */
int virtq_swiotlb_request_prepare(struct virtq_swiotlb_request *request,
                                  const struct virtq_segment *segments, uint16_t readable,
                                  uint16_t writable, struct virtq_buffer *buffer)
{
    struct virtq_swiotlb_part *part;
    unsigned char *slot;
    uint32_t len;
    uint32_t at;

    if (VIRTQ_UNLIKELY(request->segments != NULL || (uint32_t)readable + writable != 1 ||
                       request->take == NULL)) {
        return prepare_parts(request, segments, readable, writable, buffer);
    }
    part = &request->parts[writable];
    len = segments->len;
    at = (uint32_t)(uintptr_t)segments->base & request->low_mask;
    /* A length of 0 becomes one that no part has. */
    if (VIRTQ_UNLIKELY(
            (uint32_t)(len - 1) >= part->most || (uintptr_t)segments->base + len < len ||
            (readable != 0 ? leaves_rest(part, at, len) : request->parts[READABLE].len != 0))) {
        return prepare_parts(request, segments, readable, writable, buffer);
    }
    request->segments = segments;
    request->readable = readable;
    request->writable = writable;
    part->at = at;
    part->len = len;
    slot = place(request, writable, at, len, request->device);
    buffer->segments = request->device;
    buffer->readable = readable;
    buffer->writable = writable;
    buffer->flags = VIRTQ_BUFFER_PREMAPPED;
    if (readable != 0) {
        memcpy(slot, segments->base, len);
    }
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

/* Any buffer. */
VIRTQ_OUTLINE uint64_t complete_parts(struct virtq_swiotlb_request *request, uint64_t written)
{
    const struct virtq_swiotlb_part *part = &request->parts[WRITABLE];
    const uint64_t len = written < part->len ? written : part->len;

    if (request->writable == 0) {
        request->segments = NULL;
        return 0;
    }
    move(request, WRITABLE, 0, len);
    /* All of it, for the device may have written more than it says; and now, for it was just read:
     * what lies here at the next use is nobody's (M8). */
    virtq_priv_copy_zero(&request->copy, part->base + part->at, part->len);
    virtq_priv_copy_done(&request->copy);
    request->segments = NULL;
    return len;
}

uint64_t virtq_swiotlb_request_complete(struct virtq_swiotlb_request *request, uint64_t written)
{
    const struct virtq_segment *segments = request->segments;
    const struct virtq_swiotlb_part *part = &request->parts[WRITABLE];
    unsigned char *slot = part->base + part->at;
    size_t len;

    if (VIRTQ_UNLIKELY(segments == NULL)) {
        return 0;
    }
    if (VIRTQ_UNLIKELY(request->take == NULL || request->writable > 1)) {
        return complete_parts(request, written);
    }
    request->segments = NULL;
    if (request->writable == 0) {
        return 0;
    }
    len = written < part->len ? (size_t)written : part->len;
    request->take(segments[request->readable].base, slot, len, part->len);
    return len;
}

static int sync(const struct virtq_swiotlb_request *request, unsigned which, uint64_t offset,
                uint64_t len)
{
    const uint16_t count = which == READABLE ? request->readable : request->writable;
    const uint64_t size = count != 0 ? request->parts[which].len : 0;

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
