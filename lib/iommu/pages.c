/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/pages.h"

/* The lowest bit; counting bits is a library call on some machines. */
static uint64_t lowest(uint64_t set)
{
    return set & (0 - set);
}

/* How many bytes minus 1 pages of `size` may cover before a page of the size `larger` fits. */
static uint64_t until_larger(uint64_t larger, const struct virtq_region *rest, uint64_t span)
{
    uint64_t base = (uintptr_t)rest->base;
    uint64_t forward = (0 - rest->first) & (larger - 1);

    if (larger == 0 ||
        ((rest->first ^ (rest->base != NULL ? base : rest->first)) & (larger - 1)) != 0) {
        return span;
    }
    if (forward == 0 || forward > span || span - forward < larger - 1) {
        return span;
    }
    return forward - 1;
}

int virtq_iommu_pages_next(uint64_t page_sizes, struct virtq_region *rest,
                           struct virtq_iommu_pages *pages)
{
    uint64_t aligned = rest->first | (uintptr_t)rest->base;
    uint64_t span = rest->last - rest->first;
    uint64_t sizes = page_sizes;
    uint64_t size = 0;
    unsigned shift = 0;

    if (rest->first > rest->last) {
        return 0;
    }
    while (sizes != 0 && (aligned & (lowest(sizes) - 1)) == 0 && lowest(sizes) - 1 <= span) {
        size = lowest(sizes);
        sizes &= sizes - 1;
    }
    /* With the smallest size the end is at a page if it is with any. */
    if (size == 0 || ((rest->last + 1) & (lowest(page_sizes) - 1)) != 0) {
        return VIRTQ_EINVAL;
    }
    span = until_larger(lowest(sizes), rest, span);
    while ((uint64_t)1 << shift != size) {
        shift++;
    }
    pages->first = rest->first;
    pages->base = rest->base;
    pages->size = size;
    pages->count = ((span - (size - 1)) >> shift) + 1;
    span = (pages->count - 1) * size + (size - 1);
    if (span == rest->last - rest->first) {
        *rest = (struct virtq_region){1, 0, rest->base, rest->permissions};
        return 1;
    }
    rest->first += span + 1;
    rest->base = rest->base != NULL ? (unsigned char *)rest->base + span + 1 : NULL;
    return 1;
}
