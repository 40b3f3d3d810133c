/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults: noted by any thread, reported by the device's own. Nobody waits for a buffer. */
#include <string.h>

#include "../space/lock.h"
#include "virtio_iommu_device_private.h"

enum { PIECES = 32 };

void virtq_priv_viommu_fault(struct virtq_virtio_iommu_endpoint *endpoint, uint32_t reason,
                             virtq_addr_t addr, uint32_t permission)
{
    const struct virtq_virtio_iommu_device_config *config = &endpoint->iommu->config;
    struct virtq_priv_viommu_faults *faults = &endpoint->iommu->faults;
    struct virtq_priv_viommu_fault fault = {addr, endpoint->id, VIRTIO_IOMMU_FAULT_F_ADDRESS,
                                            reason};
    bool first = false;

    if ((permission & (uint32_t)VIRTQ_PERMISSION_READ) != 0) {
        fault.flags |= VIRTIO_IOMMU_FAULT_F_READ;
    }
    if ((permission & (uint32_t)VIRTQ_PERMISSION_WRITE) != 0) {
        fault.flags |= VIRTIO_IOMMU_FAULT_F_WRITE;
    }
    virtq_priv_lock(&faults->lock);
    if (faults->count == faults->capacity) {
        faults->dropped++;
    } else {
        const uint64_t at = (uint64_t)faults->first + faults->count;

        first = faults->count == 0;
        faults->ring[at < faults->capacity ? at : at - faults->capacity] = fault;
        faults->count++;
    }
    virtq_priv_unlock(&faults->lock);
    if (first && config->hooks != NULL && config->hooks->fault != NULL) {
        config->hooks->fault(config->context);
    }
}

/* The oldest fault. */
static bool take(struct virtq_priv_viommu_faults *faults, struct virtq_priv_viommu_fault *fault)
{
    bool any;

    virtq_priv_lock(&faults->lock);
    any = faults->count != 0;
    if (any) {
        *fault = faults->ring[faults->first];
        faults->first = faults->first + 1 == faults->capacity ? 0 : faults->first + 1;
        faults->count--;
        faults->reported++;
    }
    virtq_priv_unlock(&faults->lock);
    return any;
}

static bool any_waits(struct virtq_priv_viommu_faults *faults)
{
    bool any;

    virtq_priv_lock(&faults->lock);
    any = faults->count != 0;
    virtq_priv_unlock(&faults->lock);
    return any;
}

/* Fills one buffer. A report goes into one buffer or into none. */
static uint32_t fill(struct virtq_priv_viommu_faults *faults, const struct virtq_chain *chain)
{
    struct virtio_iommu_fault report;
    struct virtq_priv_viommu_fault fault;
    struct virtq_cursor writer;

    if (chain->reason != (uint32_t)VIRTQ_REASON_NONE || chain->writable_bytes < sizeof(report) ||
        !take(faults, &fault)) {
        return 0;
    }
    memset(&report, 0, sizeof(report));
    report.reason = (uint8_t)fault.reason;
    report.flags = viommu_le32(fault.flags);
    report.endpoint = viommu_le32(fault.endpoint);
    report.address = viommu_le64(fault.addr);
    writer = virtq_chain_writer(chain);
    return (uint32_t)virtq_cursor_write(&writer, &report, sizeof(report));
}

int virtq_virtio_iommu_device_report(struct virtq_virtio_iommu_device *iommu,
                                     struct virtq_device *queue)
{
    struct virtq_piece pieces[PIECES];
    struct virtq_chain chain;
    int count = 0;
    int error = 0;

    while (any_waits(&iommu->faults)) {
        struct virtq_used_buffer used;

        error = virtq_device_pop(queue, &chain, 1, pieces, PIECES);
        if (error != 1) {
            break;
        }
        used.id = chain.id;
        used.len = fill(&iommu->faults, &chain);
        error = virtq_device_push(queue, &used, 1);
        if (error != 1) {
            break;
        }
        count++;
    }
    (void)virtq_device_publish(queue);
    return count != 0 || error > 0 ? count : error;
}

void virtq_priv_viommu_faults_clear(struct virtq_virtio_iommu_device *iommu)
{
    virtq_priv_lock(&iommu->faults.lock);
    iommu->faults.first = 0;
    iommu->faults.count = 0;
    virtq_priv_unlock(&iommu->faults.lock);
}

void virtq_priv_viommu_faults_usage(struct virtq_virtio_iommu_device *iommu,
                                    struct virtq_virtio_iommu_usage *usage)
{
    virtq_priv_lock(&iommu->faults.lock);
    usage->faults = iommu->faults.count;
    usage->dropped = iommu->faults.dropped;
    usage->reported = iommu->faults.reported;
    virtq_priv_unlock(&iommu->faults.lock);
}
