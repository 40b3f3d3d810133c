/* SPDX-License-Identifier: BSD-3-Clause */
#include "swiotlb_pool.h"

#include "copy/copy.h"
#include "granules.h"
#include "lock.h"
#include "region.h"

void virtq_priv_swiotlb_release(struct virtq_swiotlb *swiotlb, uint64_t first, uint64_t number)
{
    uint32_t shift = swiotlb->granules.shift;

    /* Padding included, and while the slot is still ours: whoever takes it next finds zeros. */
    virtq_priv_copy_zero(&swiotlb->copy, swiotlb->pool + (first << shift),
                         (size_t)(number << shift));
    virtq_priv_copy_done(&swiotlb->copy);
    virtq_priv_granules_free(&swiotlb->granules, first, number);
}

bool virtq_priv_swiotlb_pass(const unsigned char *base, uint64_t size, virtq_addr_t addr,
                             struct virtq_mapping *mapping)
{
    const unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    unsigned i;

    if (count == 0 || count > mapping->capacity) {
        return false;
    }
    for (i = 0; i < count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];
        /* Memory below the pool wraps to an offset far beyond it. */
        const uint64_t offset = (uintptr_t)segment->base - (uintptr_t)base;

        if (offset >= size || segment->len > size - offset || segment->len == 0) {
            return false;
        }
        mapping->runs[i].addr = addr + offset;
        mapping->runs[i].len = segment->len;
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return true;
}

int virtq_priv_swiotlb_share(struct virtq_space *space, void *base, uint64_t len,
                             uint32_t permissions, virtq_addr_t *addr)
{
    struct virtq_swiotlb *swiotlb = (struct virtq_swiotlb *)space;
    uint64_t offset = (uintptr_t)base - (uintptr_t)swiotlb->pool;
    uint32_t shift = swiotlb->granules.shift;

    if (len == 0 || !virtq_priv_permissions_legal(permissions)) {
        return VIRTQ_EINVAL;
    }
    /* Memory below the pool wraps to an offset far beyond it. */
    if (len > swiotlb->pool_size || offset > swiotlb->pool_size - len) {
        return VIRTQ_EFAULT;
    }
    if (!virtq_priv_granules_taken(&swiotlb->granules, offset >> shift,
                                   (offset + (len - 1)) >> shift)) {
        return VIRTQ_EFAULT;
    }
    *addr = swiotlb->addr + offset;
    return 0;
}

int virtq_swiotlb_alloc(struct virtq_swiotlb *swiotlb, uint64_t len, uint64_t align, void **base)
{
    struct virtq_granules *granules = &swiotlb->granules;
    uint64_t first;
    int error;

    if (len == 0 || (align & (align - 1)) != 0) {
        return VIRTQ_EINVAL;
    }
    error = virtq_priv_granules_alloc(granules, virtq_priv_granules_of(granules, len),
                                      virtq_priv_granules_place(granules, swiotlb->addr, 0, align),
                                      &first);
    if (error == 0) {
        *base = swiotlb->pool + (first << granules->shift);
    }
    return error;
}

int virtq_swiotlb_free(struct virtq_swiotlb *swiotlb, void *base)
{
    struct virtq_granules *granules = &swiotlb->granules;
    uint64_t offset = (uintptr_t)base - (uintptr_t)swiotlb->pool;
    uint64_t first = offset >> granules->shift;
    uint64_t number = virtq_priv_granules_slot(granules, first);

    if (number == 0 || first << granules->shift != offset) {
        return VIRTQ_EINVAL;
    }
    virtq_priv_swiotlb_release(swiotlb, first, number);
    return 0;
}

void virtq_swiotlb_read_usage(struct virtq_swiotlb *swiotlb, struct virtq_swiotlb_usage *usage)
{
    struct virtq_granules *granules = &swiotlb->granules;

    virtq_priv_lock(&granules->lock);
    usage->size = swiotlb->pool_size;
    usage->used = granules->taken << granules->shift;
    usage->high_water = granules->high_water << granules->shift;
    usage->shortages = granules->shortages;
    usage->too_big = granules->impossible;
    virtq_priv_unlock(&granules->lock);
}

uint64_t virtq_swiotlb_max_mapping(const struct virtq_swiotlb *swiotlb)
{
    /* Lost at worst: to reach the first part's low bits, to end on a granule, to reach the second
     * part's low bits. */
    uint64_t lost = 2 * swiotlb->low_mask + (((uint64_t)1 << swiotlb->granules.shift) - 1);
    uint64_t left = swiotlb->pool_size > lost ? swiotlb->pool_size - lost : 0;

    return left < UINT32_MAX ? left : UINT32_MAX;
}
