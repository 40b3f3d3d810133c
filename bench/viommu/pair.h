/* SPDX-License-Identifier: BSD-3-Clause */
/* Both roles of virtio-iommu on one request queue: the guest maps through it, and an endpoint of
 * the device reaches what was mapped. Guest-physical addresses are pointers. */
#ifndef BENCH_VIOMMU_PAIR_H
#define BENCH_VIOMMU_PAIR_H

#include <pthread.h>
#include <stdint.h>

#include <virtq/virtq.h>

#define VIOMMU_PAGE 4096u

/* Virtual addresses: nowhere near a pointer. */
#define VIOMMU_FIRST ((virtq_addr_t)1 << 40)
#define VIOMMU_LAST (2 * VIOMMU_FIRST - 1)

struct viommu_config {
    enum virtq_format format;
    unsigned mappings;   /* at a time */
    uint64_t request_ns; /* what a notification costs on top */
};

struct viommu_pair {
    struct virtq_direct direct;
    struct virtq_virtio_iommu_device *iommu;
    struct virtq_virtio_iommu_endpoint endpoint; /* its space is the device end's */
    struct virtq_driver *queue_driver;
    struct virtq_device *queue_device;
    struct virtq_virtio_iommu_driver driver;
    struct virtq_virtio_iommu_mapper mapper;
    struct virtq_iommu_backend backend; /* the driver end's */
    uint64_t request_ns;
    pthread_mutex_t lock; /* of the device role, which runs on the thread that notifies it */
    bool open;
    void *ring;
    void *shared;
    void *private_memory[4];
};

/* 0, or an enum virtq_error. viommu_pair_close() in either case; `pair` is zeroed before. */
int viommu_pair_open(struct viommu_pair *pair, const struct viommu_config *config);
void viommu_pair_close(struct viommu_pair *pair);

/* How many notifications were sent. */
uint64_t viommu_pair_notifications(struct viommu_pair *pair);

#endif
