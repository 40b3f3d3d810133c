/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/iommu.h"

#include <string.h>

#include "iommu_place.h"
#include "lock.h"
#include "region.h"

/* What unmap needs: the address of the whole buffer, and the pages of each segment, as the backend
 * was told of them. */
struct record {
    virtq_addr_t addr;
    uint64_t count;
};

static struct virtq_region *ranges_of(struct record *record)
{
    return (struct virtq_region *)(void *)(record + 1);
}

static int take_address(struct virtq_iommu *iommu, uint64_t len, virtq_addr_t *addr)
{
    int error;

    virtq_priv_lock(&iommu->lock);
    error = virtq_iova_alloc(iommu->iova, len, 0, iommu->limit, addr);
    iommu->usage.shortages += error == VIRTQ_ENOMEM;
    iommu->usage.mapped += error == 0;
    virtq_priv_unlock(&iommu->lock);
    return error;
}

static void give_address_back(struct virtq_iommu *iommu, virtq_addr_t addr, int mapping_error)
{
    virtq_priv_lock(&iommu->lock);
    (void)virtq_iova_free(iommu->iova, addr);
    iommu->usage.shortages += mapping_error == VIRTQ_ENOMEM;
    iommu->usage.mapped--;
    virtq_priv_unlock(&iommu->lock);
}

/* Strict, and in this order (L4): unmapped, flushed, free. An address whose mapping may linger is
 * never free again. */
static void withdraw(struct virtq_iommu *iommu, virtq_addr_t addr,
                     const struct virtq_region *ranges, unsigned count)
{
    const struct virtq_iommu_backend *backend = iommu->backend;

    if (backend->unmap(backend->context, ranges, count) == 0 &&
        backend->flush(backend->context, ranges, count) == 0) {
        give_address_back(iommu, addr, 0);
        return;
    }
    virtq_priv_lock(&iommu->lock);
    iommu->usage.leaked++;
    iommu->usage.mapped--;
    virtq_priv_unlock(&iommu->lock);
}

static int install(struct virtq_iommu *iommu, virtq_addr_t addr, const struct virtq_region *ranges,
                   unsigned count)
{
    const struct virtq_iommu_backend *backend = iommu->backend;
    int error = backend->map(backend->context, ranges, count);

    if (error != 0) {
        give_address_back(iommu, addr, error);
    }
    return error;
}

/* One segment after the other, each on pages of its own with its own permission, in a range that
 * begins at 0 as yet; its bytes in `len`. */
static int measure(const struct virtq_iommu *iommu, const struct virtq_mapping *mapping,
                   struct record *record, uint64_t *len)
{
    struct virtq_priv_layout layout = {.mask = iommu->iova->granule - 1};
    struct virtq_region *ranges = ranges_of(record);
    unsigned i;

    for (i = 0; i < record->count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];
        int error = virtq_priv_layout_add(&layout, segment->base, segment->len, &ranges[i]);

        if (error != 0) {
            return error;
        }
        ranges[i].permissions =
            i < mapping->segments_readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
    }
    *len = layout.len;
    return 0;
}

/* Moves them to where the range really begins. A segment keeps its low bits. */
static void place(struct virtq_mapping *mapping, struct record *record)
{
    struct virtq_region *ranges = ranges_of(record);
    unsigned i;

    for (i = 0; i < record->count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];
        uint64_t lead = (uintptr_t)segment->base - (uintptr_t)ranges[i].base;

        ranges[i].first += record->addr;
        ranges[i].last += record->addr;
        mapping->runs[i] = (struct virtq_run){.addr = ranges[i].first + lead, .len = segment->len};
    }
}

static int iommu_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_iommu *iommu = (struct virtq_iommu *)space;
    unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    struct record *record = mapping->record;
    uint64_t len;
    int error;

    if (count == 0) {
        return VIRTQ_EINVAL;
    }
    record->count = count;
    error = measure(iommu, mapping, record, &len);
    if (error != 0) {
        return error;
    }
    if (count > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    error = take_address(iommu, len, &record->addr);
    if (error != 0) {
        return error;
    }
    place(mapping, record);
    error = install(iommu, record->addr, ranges_of(record), count);
    if (error != 0) {
        return error;
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return 0;
}

static void iommu_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    struct record *record = mapping->record;

    (void)written;
    withdraw((struct virtq_iommu *)space, record->addr, ranges_of(record), (unsigned)record->count);
}

static int iommu_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                       virtq_addr_t *addr)
{
    struct virtq_iommu *iommu = (struct virtq_iommu *)space;
    struct virtq_priv_layout layout = {.mask = iommu->iova->granule - 1};
    struct virtq_region range;
    virtq_addr_t start;
    int error = virtq_priv_layout_add(&layout, base, len, &range);

    if (error != 0 || !virtq_priv_permissions_legal(permissions)) {
        return error == VIRTQ_EFAULT ? VIRTQ_EFAULT : VIRTQ_EINVAL;
    }
    error = take_address(iommu, layout.len, &start);
    if (error != 0) {
        /* virtq_space_share() has one word for all that does not fit. */
        return VIRTQ_ENOMEM;
    }
    range.first += start;
    range.last += start;
    range.permissions = permissions;
    error = install(iommu, range.first, &range, 1);
    if (error == 0) {
        *addr = range.first + ((uintptr_t)base - (uintptr_t)range.base);
    }
    return error;
}

static void iommu_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    struct virtq_iommu *iommu = (struct virtq_iommu *)space;
    uint64_t mask = iommu->iova->granule - 1;
    struct virtq_region range = {addr & ~mask, (addr + (len - 1)) | mask, NULL, 0};

    withdraw(iommu, range.first, &range, 1);
}

static const struct virtq_space_ops iommu_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "iommu",
    .map = iommu_map,
    .unmap = iommu_unmap,
    .share = iommu_share,
    .unshare = iommu_unshare,
};

int virtq_iommu_init(struct virtq_iommu *iommu, const struct virtq_iommu_config *config)
{
    const struct virtq_iommu_backend *backend = config->backend;

    if (config->struct_size < sizeof(*config) || config->iova == NULL || backend == NULL ||
        backend->size < sizeof(*backend) || backend->map == NULL || backend->unmap == NULL ||
        backend->flush == NULL) {
        return VIRTQ_EINVAL;
    }
    memset(iommu, 0, sizeof(*iommu));
    iommu->space.ops = &iommu_ops;
    iommu->space.driver_kind = VIRTQ_SPACE_CALLED;
    iommu->space.device_kind = VIRTQ_SPACE_CALLED;
    iommu->space.record_fixed = sizeof(struct record);
    iommu->space.record_per_segment = sizeof(struct virtq_region);
    iommu->backend = backend;
    iommu->iova = config->iova;
    iommu->limit = config->limit;
    return 0;
}

void virtq_iommu_read_usage(struct virtq_iommu *iommu, struct virtq_iommu_usage *usage)
{
    virtq_priv_lock(&iommu->lock);
    *usage = iommu->usage;
    virtq_priv_unlock(&iommu->lock);
}
