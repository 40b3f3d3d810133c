/* SPDX-License-Identifier: BSD-3-Clause */
/* From an endpoint's address to a guest-physical one, and on to memory. On any thread. */
#include "../space/region.h"
#include "virtio_iommu_device_private.h"

/* The identity, but for what is reserved: an access there is to affect nobody else. */
static int identity(const struct virtq_virtio_iommu_endpoint *endpoint, virtq_addr_t addr,
                    struct virtq_region *region)
{
    uint32_t i;

    region->first = 0;
    region->last = UINT64_MAX;
    region->permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    for (i = 0; i < endpoint->reserved_count; i++) {
        const struct virtq_virtio_iommu_resv_mem *range = &endpoint->reserved[i];

        if (addr < range->first) {
            region->last = range->first - 1;
            break;
        }
        if (addr <= range->last) {
            return VIRTQ_EFAULT;
        }
        region->first = range->last + 1;
    }
    /* A machine of 32 bits knows no address beyond its own. */
    if (region->last > UINTPTR_MAX) {
        region->last = UINTPTR_MAX;
    }
    region->base = (void *)(uintptr_t)region->first;
    return addr > region->last ? VIRTQ_EFAULT : VIRTQ_OK;
}

VIRTQ_TEMPLATE int from_table(struct virtq_virtio_iommu_domain *domain, virtq_addr_t addr,
                              uint32_t permission, struct virtq_region *region)
{
    const int error = virtq_priv_tree_find(&domain->tree, &domain->lock, addr, region);

    if (error == VIRTQ_OK && (region->permissions & permission) != permission) {
        return VIRTQ_EPERM;
    }
    return error;
}

/* [virtio 1.4, Device operations]: who is in bypass mode. */
VIRTQ_TEMPLATE int translate(struct virtq_virtio_iommu_endpoint *endpoint, virtq_addr_t addr,
                             uint32_t permission, struct virtq_region *region)
{
    struct virtq_virtio_iommu_domain *domain = __atomic_load_n(&endpoint->domain, __ATOMIC_ACQUIRE);
    uint32_t reason = VIRTIO_IOMMU_FAULT_R_MAPPING;
    int error;

    if (domain == NULL) {
        if (__atomic_load_n(&endpoint->iommu->unattached_bypass, __ATOMIC_ACQUIRE) != 0) {
            error = identity(endpoint, addr, region);
        } else {
            error = VIRTQ_EFAULT;
            reason = VIRTIO_IOMMU_FAULT_R_DOMAIN;
        }
    } else if (__atomic_load_n(&domain->bypass, __ATOMIC_RELAXED) != 0) {
        error = identity(endpoint, addr, region);
    } else {
        error = from_table(domain, addr, permission, region);
    }
    if (error != VIRTQ_OK) {
        virtq_priv_viommu_fault(endpoint, reason, addr, permission);
    }
    return error;
}

int virtq_virtio_iommu_endpoint_translate(struct virtq_virtio_iommu_endpoint *endpoint,
                                          virtq_addr_t addr, uint32_t permission,
                                          struct virtq_virtio_iommu_mapping *mapping)
{
    struct virtq_region region;
    int error;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    error = translate(endpoint, addr, permission, &region);
    if (error == VIRTQ_OK) {
        mapping->first = region.first;
        mapping->last = region.last;
        mapping->phys = (uintptr_t)region.base;
        mapping->flags = region.permissions & ~(uint32_t)VIOMMU_PRESENT;
    }
    return error;
}

/* Cuts a window of guest-physical addresses to the mapping, and calls it by virtual ones. */
static void combine(const struct virtq_region *region, const struct virtq_window *under,
                    virtq_addr_t addr, uint64_t phys, struct virtq_window *window)
{
    const uint64_t below =
        addr - region->first < phys - under->first ? addr - region->first : phys - under->first;
    const uint64_t above =
        region->last - addr < under->last - phys ? region->last - addr : under->last - phys;

    window->first = addr - below;
    window->last = addr + above;
    window->base =
        (unsigned char *)((uintptr_t)under->base + (uintptr_t)(phys - under->first - below));
    window->permissions = region->permissions & under->permissions;
    window->reserved_ = 0;
}

static int endpoint_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                           struct virtq_window *window)
{
    struct virtq_virtio_iommu_endpoint *endpoint = (struct virtq_virtio_iommu_endpoint *)space;
    struct virtq_space *memory = endpoint->iommu->config.memory;
    struct virtq_region region;
    struct virtq_window under;
    uint64_t phys;
    int error;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    error = translate(endpoint, addr, permission, &region);
    if (error != VIRTQ_OK) {
        return error;
    }
    phys = (uintptr_t)region.base + (addr - region.first);
    /* Whoever has a window copies, in whatever pieces: not what was promised for registers. */
    error = (region.permissions & VIRTIO_IOMMU_MAP_F_MMIO) != 0
                ? VIRTQ_EFAULT
                : memory->ops->window(memory, phys, permission, &under);
    if (error == VIRTQ_OK && (phys < under.first || phys > under.last)) {
        error = VIRTQ_EFAULT;
    }
    if (error == VIRTQ_EMISS) {
        return error;
    }
    if (error != VIRTQ_OK) {
        virtq_priv_viommu_fault(endpoint, VIRTIO_IOMMU_FAULT_R_UNKNOWN, addr, permission);
        return error;
    }
    combine(&region, &under, addr, phys, window);
    return VIRTQ_OK;
}

const struct virtq_space_ops virtq_priv_viommu_endpoint_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "virtio-iommu",
    .window = endpoint_window,
};
