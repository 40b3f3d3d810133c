/* SPDX-License-Identifier: BSD-3-Clause */
/* The backend of an iommu space: lists of ranges become system calls. */
#include <string.h>

#include "vfio_private.h"

static bool usable(const struct virtq_vfio *vfio, const struct virtq_region *range)
{
    uint32_t i = 0;

    while (i < vfio->range_count && range->first > vfio->ranges[i].last) {
        i++;
    }
    return i < vfio->range_count && range->first >= vfio->ranges[i].first &&
           range->last <= vfio->ranges[i].last;
}

/* Whole pages, and not all of 2^64 bytes, which the kernel has no number for. */
static bool whole(const struct virtq_vfio *vfio, const struct virtq_region *range)
{
    uint64_t mask = vfio->granule - 1;

    return vfio->granule != 0 && range->first <= range->last && (range->first & mask) == 0 &&
           (range->last & mask) == mask && range->last - range->first != UINT64_MAX;
}

static int judge(const struct virtq_vfio *vfio, const struct virtq_region *range)
{
    const uint32_t both = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;

    if (!whole(vfio, range) || range->permissions == 0 || (range->permissions & ~both) != 0 ||
        ((uintptr_t)range->base & (vfio->granule - 1)) != 0 ||
        range->last - range->first > UINTPTR_MAX - (uintptr_t)range->base) {
        return VIRTQ_EINVAL;
    }
    return usable(vfio, range) ? 0 : VIRTQ_EFAULT;
}

/* A page that was never written would be pinned as the page of zeros, which stays that when the
 * program writes. Memory that cannot be written has no such page to lose: that is no failure. */
static void populate(const struct virtq_vfio *vfio, const struct virtq_region *range)
{
    const struct virtq_vfio_system *system = vfio->system;

    (void)system->populate(system->context, range->base, (size_t)(range->last - range->first) + 1);
}

static int map_type1(const struct virtq_vfio *vfio, const struct virtq_region *range)
{
    struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
                                           .vaddr = (uintptr_t)range->base,
                                           .iova = range->first,
                                           .size = range->last - range->first + 1};

    map.flags |= (range->permissions & VIRTQ_PERMISSION_READ) != 0 ? VFIO_DMA_MAP_FLAG_READ : 0u;
    map.flags |= (range->permissions & VIRTQ_PERMISSION_WRITE) != 0 ? VFIO_DMA_MAP_FLAG_WRITE : 0u;
    if ((range->permissions & VIRTQ_PERMISSION_WRITE) == 0) {
        populate(vfio, range);
    }
    return virtq_priv_vfio_call(vfio, vfio->fd, VFIO_IOMMU_MAP_DMA, &map);
}

static int map_iommufd(const struct virtq_vfio *vfio, const struct virtq_region *range)
{
    struct virtq_priv_iommufd_map map = {.size = sizeof(map),
                                         .flags = VIRTQ_PRIV_IOMMUFD_FIXED,
                                         .space_id = vfio->space_id,
                                         .base = (uintptr_t)range->base,
                                         .length = range->last - range->first + 1,
                                         .iova = range->first};

    if ((range->permissions & VIRTQ_PERMISSION_READ) != 0) {
        map.flags |= VIRTQ_PRIV_IOMMUFD_READABLE;
    }
    if ((range->permissions & VIRTQ_PERMISSION_WRITE) != 0) {
        map.flags |= VIRTQ_PRIV_IOMMUFD_WRITEABLE;
    }
    return virtq_priv_vfio_call(vfio, vfio->fd, VIRTQ_PRIV_IOMMUFD_MAP, &map);
}

/* What the kernel says, and how many bytes it unmapped. Once it returns, no device reaches the
 * memory any more: IOMMU and devices have forgotten it. */
static int unmap_run(const struct virtq_vfio *vfio, uint64_t first, uint64_t *size)
{
    struct vfio_iommu_type1_dma_unmap type1 = {
        .argsz = sizeof(type1), .iova = first, .size = *size};
    struct virtq_priv_iommufd_unmap iommufd = {sizeof(iommufd), vfio->space_id, first, *size};
    int result;

    if (vfio->kind == (uint32_t)VIRTQ_VFIO_TYPE1) {
        result = virtq_priv_vfio_call(vfio, vfio->fd, VFIO_IOMMU_UNMAP_DMA, &type1);
        *size = type1.size;
    } else {
        result = virtq_priv_vfio_call(vfio, vfio->fd, VIRTQ_PRIV_IOMMUFD_UNMAP, &iommufd);
        *size = iommufd.length;
    }
    return result;
}

static void add(uint64_t *counter, uint64_t number)
{
    (void)__atomic_add_fetch(counter, number, __ATOMIC_RELAXED);
}

/* [first, last], which is `count` ranges of a list. */
static int clear(struct virtq_vfio *vfio, uint64_t first, uint64_t last, unsigned count)
{
    uint64_t size = last - first + 1;
    uint64_t done = size;
    int result = unmap_run(vfio, first, &done);

    add(&vfio->usage.unmaps, 1);
    if (result < 0 || done != size) {
        /* Less than all: it was not what had been mapped. */
        add(&vfio->usage.failures, 1);
        add(&vfio->usage.lost, count);
        return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_UNMAP, result < 0 ? result : 0);
    }
    add(&vfio->usage.mapped, ~(uint64_t)count + 1);
    return 0;
}

/* The first `count` ranges. Those that continue each other, up or down, go in one call: addresses
 * that were taken one after the other come back in either order. */
static int clear_list(struct virtq_vfio *vfio, const struct virtq_region *ranges, unsigned count)
{
    uint64_t first = ranges[0].first;
    uint64_t last = ranges[0].last;
    unsigned begin = 0;
    int error = 0;
    int result;
    unsigned i;

    for (i = 1; i < count; i++) {
        const struct virtq_region *range = &ranges[i];

        if (range->first - 1 == last && range->first != 0 && range->last - first != UINT64_MAX) {
            last = range->last;
        } else if (range->last + 1 == first && first != 0 && last - range->first != UINT64_MAX) {
            first = range->first;
        } else {
            result = clear(vfio, first, last, i - begin);
            error = error == 0 ? result : error;
            begin = i;
            first = range->first;
            last = range->last;
        }
    }
    result = clear(vfio, first, last, i - begin);
    return error == 0 ? result : error;
}

int virtq_priv_vfio_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_vfio *vfio = context;
    int result = 0;
    int error = 0;
    unsigned i;

    for (i = 0; i < count && error == 0; i++) {
        error = judge(vfio, &ranges[i]);
    }
    if (error != 0) {
        return error;
    }
    for (i = 0; i < count; i++) {
        result = vfio->kind == (uint32_t)VIRTQ_VFIO_TYPE1 ? map_type1(vfio, &ranges[i])
                                                          : map_iommufd(vfio, &ranges[i]);
        add(&vfio->usage.maps, 1);
        if (result < 0) {
            break;
        }
        add(&vfio->usage.mapped, 1);
    }
    if (result >= 0) {
        return 0;
    }
    /* All or none. */
    add(&vfio->usage.failures, 1);
    if (i != 0) {
        (void)clear_list(vfio, ranges, i);
    }
    return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_MAP, result);
}

int virtq_priv_vfio_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_vfio *vfio = context;
    unsigned i;

    for (i = 0; i < count; i++) {
        if (!whole(vfio, &ranges[i])) {
            return VIRTQ_EINVAL;
        }
    }
    return count == 0 ? 0 : clear_list(vfio, ranges, count);
}

/* A call that has unmapped has waited: there is nothing left to wait for. */
int virtq_priv_vfio_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    (void)context;
    (void)ranges;
    (void)count;
    return 0;
}

void virtq_vfio_read_usage(const struct virtq_vfio *vfio, struct virtq_vfio_usage *usage)
{
    usage->mapped = __atomic_load_n(&vfio->usage.mapped, __ATOMIC_RELAXED);
    usage->maps = __atomic_load_n(&vfio->usage.maps, __ATOMIC_RELAXED);
    usage->unmaps = __atomic_load_n(&vfio->usage.unmaps, __ATOMIC_RELAXED);
    usage->failures = __atomic_load_n(&vfio->usage.failures, __ATOMIC_RELAXED);
    usage->lost = __atomic_load_n(&vfio->usage.lost, __ATOMIC_RELAXED);
}
