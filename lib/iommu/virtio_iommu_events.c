/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/virtio_iommu_events.h"

#include <stdbool.h>

#include "virtq/inline/shm.h"
#include "virtq/iommu/virtio_iommu.h"

VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_fault) <= VIRTQ_VIRTIO_IOMMU_EVENT_BYTES,
                    "a report fits");

static unsigned char *buffer_at(const struct virtq_virtio_iommu_events *events, uint32_t index)
{
    return (unsigned char *)events->config.shared + (size_t)index * VIRTQ_VIRTIO_IOMMU_EVENT_BYTES;
}

/* Premapped, so that no space is asked again. The cookie is the buffer's private pointer. */
static int offer(struct virtq_virtio_iommu_events *events, uint32_t index)
{
    const struct virtq_segment segment = {.addr = events->addr +
                                                  (uint64_t)index * VIRTQ_VIRTIO_IOMMU_EVENT_BYTES,
                                          .len = sizeof(struct virtio_iommu_fault)};
    const struct virtq_buffer buffer = {.segments = &segment,
                                        .cookie = buffer_at(events, index),
                                        .writable = 1,
                                        .flags = VIRTQ_BUFFER_PREMAPPED};
    int added = virtq_driver_add(events->config.queue, &buffer, 1);

    return added < 0 ? added : 0;
}

int virtq_virtio_iommu_events_init(struct virtq_virtio_iommu_events *events,
                                   const struct virtq_virtio_iommu_events_config *config)
{
    uint32_t i;
    int error;

    if (config->struct_size < sizeof(*config) || config->queue == NULL || config->space == NULL ||
        config->shared == NULL || ((uintptr_t)config->shared & 7) != 0 || config->count == 0 ||
        virtq_driver_outstanding(config->queue) != 0 ||
        virtq_driver_room(config->queue) < config->count) {
        return VIRTQ_EINVAL;
    }
    events->config = *config;
    events->ignored = 0;
    error = virtq_space_share(config->space, config->shared,
                              (uint64_t)config->count * VIRTQ_VIRTIO_IOMMU_EVENT_BYTES,
                              VIRTQ_PERMISSION_WRITE, &events->addr);
    for (i = 0; i < config->count && error == 0; i++) {
        error = offer(events, i);
    }
    if (error == 0) {
        (void)virtq_driver_publish(config->queue);
    }
    return error;
}

static uint32_t load32(const unsigned char *report, size_t at)
{
    return virtq_shm_load32((const uint32_t *)(const void *)(report + at), 0);
}

/* Each word is read once. A report with a reserved bit is of a kind that is not known: it must be
 * ignored; a reason that is not known is a fault all the same. */
static bool parse(const unsigned char *report, struct virtq_virtio_iommu_event *fault)
{
    const uint32_t known =
        VIRTIO_IOMMU_FAULT_F_READ | VIRTIO_IOMMU_FAULT_F_WRITE | VIRTIO_IOMMU_FAULT_F_ADDRESS;
    const uint32_t head = load32(report, 0);

    if (head > UINT8_MAX) {
        return false;
    }
    fault->reason =
        head <= VIRTIO_IOMMU_FAULT_R_MAPPING ? head : (uint32_t)VIRTIO_IOMMU_FAULT_R_UNKNOWN;
    fault->flags = load32(report, offsetof(struct virtio_iommu_fault, flags)) & known;
    fault->endpoint = load32(report, offsetof(struct virtio_iommu_fault, endpoint));
    fault->reserved_ = 0;
    fault->address = 0;
    if ((fault->flags & VIRTIO_IOMMU_FAULT_F_ADDRESS) != 0) {
        const unsigned char *address = report + offsetof(struct virtio_iommu_fault, address);

        fault->address = virtq_shm_load64((const uint64_t *)(const void *)address, 0);
    }
    return true;
}

int virtq_virtio_iommu_events_poll(struct virtq_virtio_iommu_events *events,
                                   struct virtq_virtio_iommu_event *faults, unsigned count,
                                   unsigned *found)
{
    struct virtq_driver *queue = events->config.queue;
    struct virtq_completion done;
    unsigned taken = 0;
    int result = 1;

    *found = 0;
    while (taken < count && result == 1) {
        result = virtq_driver_poll(queue, &done, 1);
        if (result == 1) {
            const unsigned char *report = done.cookie;
            const size_t at = (size_t)(report - (const unsigned char *)events->config.shared);

            if (done.len >= sizeof(struct virtio_iommu_fault) && parse(report, &faults[*found])) {
                ++*found;
            } else {
                events->ignored++;
            }
            taken++;
            result = offer(events, (uint32_t)(at / VIRTQ_VIRTIO_IOMMU_EVENT_BYTES));
            result = result == 0 ? 1 : result;
        }
    }
    (void)virtq_driver_publish(queue);
    /* What came before an error is handed out first; the error comes again. */
    return taken > 0 ? (int)taken : result;
}

void virtq_virtio_iommu_events_destroy(struct virtq_virtio_iommu_events *events)
{
    void *cookie;

    while (virtq_driver_detach(events->config.queue, &cookie) == 1) {
    }
    virtq_space_unshare(events->config.space, events->addr,
                        (uint64_t)events->config.count * VIRTQ_VIRTIO_IOMMU_EVENT_BYTES);
}
