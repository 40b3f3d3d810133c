/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <string.h>

#include "../iommu/domain_private.h"
#include "../iommu/iotlb_private.h"
#include "virtq/space/iommu.h"

static struct virtq_iommu_device *device_of(struct virtq_domain_listener *listener)
{
    unsigned char *at = (unsigned char *)listener;

    return (struct virtq_iommu_device *)(void *)(at -
                                                 offsetof(struct virtq_iommu_device, listener));
}

/* Whether a queue may have a window that any of the ranges lies in. `reach` was added to before the
 * domain was asked; the fences make one of two see the other: who asks, what was unmapped, or who
 * unmaps, that it was within reach. */
static bool is_reached(const struct virtq_iommu_device *device, const struct virtq_region *ranges,
                       unsigned count)
{
    uint64_t reach;
    unsigned i;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    reach = __atomic_load_n(&device->reach, __ATOMIC_RELAXED);
    for (i = 0; i < count; i++) {
        if ((reach & virtq_priv_domain_set(device->domain, ranges[i].first, ranges[i].last)) != 0) {
            return true;
        }
    }
    return false;
}

/* The domain no longer has the ranges: first the IOTLB, then the queues. */
static void domain_unmapped_list(struct virtq_domain_listener *listener,
                                 const struct virtq_region *ranges, unsigned count)
{
    struct virtq_iommu_device *device = device_of(listener);
    unsigned i;

    if (device->iotlb == NULL) {
        if (is_reached(device, ranges, count)) {
            virtq_space_invalidated(&device->space);
        }
        return;
    }
    for (i = 0; i < count; i++) {
        (void)virtq_iotlb_invalidate(device->iotlb, ranges[i].first, ranges[i].last);
    }
}

static void domain_unmapped(struct virtq_domain_listener *listener, virtq_addr_t first,
                            virtq_addr_t last)
{
    const struct virtq_region range = {first, last, NULL, 0};

    domain_unmapped_list(listener, &range, 1);
}

/* Adds shards to what an unmapping has to tell this space of. False: they were there already. */
static bool reach_for(struct virtq_iommu_device *device, uint64_t shards)
{
    if ((__atomic_load_n(&device->reach, __ATOMIC_ACQUIRE) & shards) == shards) {
        return false;
    }
    (void)__atomic_fetch_or(&device->reach, shards, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return true;
}

/* Within reach first, then looked up; a window that goes further is looked up again. At most once
 * for each shard. */
static int domain_window(struct virtq_iommu_device *device, virtq_addr_t addr, uint32_t permission,
                         struct virtq_window *window)
{
    struct virtq_domain *domain = device->domain;
    struct virtq_window found;
    int error;

    (void)reach_for(device, virtq_priv_domain_set(domain, addr, addr));
    do {
        error = virtq_domain_lookup(domain, addr, permission, &found);
        if (error != 0) {
            return error;
        }
    } while (reach_for(device, virtq_priv_domain_set(domain, found.first, found.last)));
    *window = found;
    return 0;
}

static int device_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                         struct virtq_window *window)
{
    struct virtq_iommu_device *device = (struct virtq_iommu_device *)space;

    if (device->iotlb != NULL) {
        return virtq_iotlb_lookup(device->iotlb, addr, permission, window);
    }
    return domain_window(device, addr, permission, window);
}

static const struct virtq_space_ops device_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "iommu",
    .window = device_window,
};

int virtq_iommu_device_init(struct virtq_iommu_device *device, struct virtq_domain *domain,
                            struct virtq_iotlb *iotlb)
{
    if (domain == NULL && iotlb == NULL) {
        return VIRTQ_EINVAL;
    }
    if (iotlb != NULL && iotlb->space != NULL) {
        return VIRTQ_EBUSY;
    }
    memset(device, 0, sizeof(*device));
    device->space.ops = &device_ops;
    device->space.driver_kind = VIRTQ_SPACE_CALLED;
    device->space.device_kind = VIRTQ_SPACE_CALLED;
    device->domain = domain;
    device->iotlb = iotlb;
    device->listener.invalidate = domain_unmapped;
    device->listener.invalidate_list = domain_unmapped_list;
    if (iotlb != NULL) {
        iotlb->space = &device->space;
    }
    if (domain != NULL) {
        virtq_domain_listen(domain, &device->listener);
    }
    return 0;
}

void virtq_iommu_device_destroy(struct virtq_iommu_device *device)
{
    if (device->iotlb != NULL) {
        device->iotlb->space = NULL;
    }
    if (device->domain != NULL) {
        virtq_domain_unlisten(device->domain, &device->listener);
    }
}

int virtq_iommu_device_resolve(struct virtq_iommu_device *device, const struct virtq_miss *miss)
{
    struct virtq_domain *domain = device->domain;
    struct virtq_iotlb *iotlb = device->iotlb;
    struct virtq_domain_shard *shard;
    struct virtq_window window;
    bool replaced = false;
    bool evicted = false;
    int error;

    if (domain == NULL || iotlb == NULL) {
        return VIRTQ_ENOTSUP;
    }
    /* Looked up and entered under the shard's lock: an unmapping takes that lock before it tells
     * the IOTLB, so it finds either the mapping still to be removed or the entry to be invalidated.
     * Only neighbours with equal permissions are merged: an entry says all that is granted, or an
     * access of another kind would be refused where it is only unknown. */
    shard = virtq_priv_domain_hold(domain, miss->addr);
    error = virtq_priv_domain_window(shard, miss->addr, miss->permissions, VIRTQ_PRIV_MERGE_EQUAL,
                                     &window);
    if (error == 0) {
        const struct virtq_region region = {window.first, window.last, window.base,
                                            window.permissions};

        error = virtq_priv_iotlb_enter(iotlb, &region, true, &replaced, &evicted);
    }
    virtq_priv_domain_release(shard);
    /* Nobody is waited for: what was replaced says the same, or its unmapping is about to tell. */
    if (replaced || evicted) {
        virtq_space_moved(&device->space);
    }
    return error;
}
