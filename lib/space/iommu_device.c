/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../iommu/domain_private.h"
#include "../iommu/iotlb_private.h"
#include "lock.h"
#include "virtq/space/iommu.h"

static struct virtq_iommu_device *device_of(struct virtq_domain_listener *listener)
{
    unsigned char *at = (unsigned char *)listener;

    return (struct virtq_iommu_device *)(void *)(at -
                                                 offsetof(struct virtq_iommu_device, listener));
}

/* The domain no longer has the range: first the IOTLB, then the queues. */
static void domain_unmapped(struct virtq_domain_listener *listener, virtq_addr_t first,
                            virtq_addr_t last)
{
    struct virtq_iommu_device *device = device_of(listener);

    if (device->iotlb == NULL) {
        virtq_space_invalidated(&device->space);
    } else {
        virtq_iotlb_invalidate(device->iotlb, first, last);
    }
}

static int device_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                         struct virtq_window *window)
{
    struct virtq_iommu_device *device = (struct virtq_iommu_device *)space;

    if (device->iotlb != NULL) {
        return virtq_iotlb_lookup(device->iotlb, addr, permission, window);
    }
    return virtq_domain_lookup(device->domain, addr, permission, window);
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
    struct virtq_window window;
    bool replaced = false;
    bool evicted = false;
    int error;

    if (domain == NULL || iotlb == NULL) {
        return VIRTQ_ENOTSUP;
    }
    /* Looked up and entered under the domain's lock: an unmapping takes that lock before it tells
     * the IOTLB, so it finds either the mapping still to be removed or the entry to be invalidated.
     * Only neighbours with equal permissions are merged: an entry says all that is granted, or an
     * access of another kind would be refused where it is only unknown. */
    virtq_priv_lock(&domain->lock);
    error = virtq_priv_domain_window(domain, miss->addr, miss->permissions, VIRTQ_PRIV_MERGE_EQUAL,
                                     &window);
    if (error == 0) {
        const struct virtq_region region = {window.first, window.last, window.base,
                                            window.permissions};

        error = virtq_priv_iotlb_enter(iotlb, &region, true, &replaced, &evicted);
    }
    virtq_priv_unlock(&domain->lock);
    /* Nobody is waited for: what was replaced says the same, or its unmapping is about to tell. */
    if (replaced || evicted) {
        virtq_space_moved(&device->space);
    }
    return error;
}
