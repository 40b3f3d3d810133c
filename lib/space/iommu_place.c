/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommu_place.h"

#include "region.h"

/* The largest page size of which a whole page lies in the `span` + 1 bytes from `page` on; 0: none
 * above the granule. */
static uint64_t page_size(uint64_t sizes, uint64_t page, uint64_t span)
{
    uint64_t best = 0;

    while (sizes != 0) {
        uint64_t size = sizes & (0 - sizes);
        uint64_t forward = (0 - page) & (size - 1);

        if (size - 1 > span || forward > span - (size - 1)) {
            break;
        }
        best = size;
        sizes &= sizes - 1;
    }
    return best;
}

int virtq_priv_layout_add(struct virtq_priv_layout *layout, void *base, uint64_t len,
                          struct virtq_region *range)
{
    uint64_t mask = layout->mask;
    uint64_t lead = (uintptr_t)base & mask;
    uint64_t page = (uintptr_t)base - lead;
    uint64_t at = layout->len;
    uint64_t span;
    uint64_t size;

    if (len == 0) {
        return VIRTQ_EINVAL;
    }
    if (!virtq_priv_memory_legal(base, len - 1)) {
        return VIRTQ_EFAULT;
    }
    if (len - 1 > UINT64_MAX - lead) {
        return VIRTQ_ETOOBIG;
    }
    span = (lead + (len - 1)) | mask;
    size = page_size(layout->page_sizes, page, span);
    if (size != 0) {
        uint64_t forward = (page - at) & (size - 1);

        if (forward > UINT64_MAX - at) {
            return VIRTQ_ETOOBIG;
        }
        at += forward;
        layout->align = size > layout->align ? size : layout->align;
    }
    if (span >= UINT64_MAX - at) {
        return VIRTQ_ETOOBIG;
    }
    range->first = layout->base + at;
    range->last = layout->base + at + span;
    range->base = (unsigned char *)base - lead;
    layout->len = at + span + 1;
    return 0;
}
