/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A virtio-iommu device with two endpoints over a guest's memory, and requests made by hand.
 */
#ifndef VIRTQ_TESTS_IOMMU_VIRTIO_IOMMU_DEVICE_FIXTURE_H
#define VIRTQ_TESTS_IOMMU_VIRTIO_IOMMU_DEVICE_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "support/runner.h"
#include "virtq/inline/shm.h"
#include "virtq/iommu/virtio_iommu.h"
#include "virtq/iommu/virtio_iommu_device.h"
#include "virtq/space/direct.h"

enum {
    RIG_MEMORY = 1 << 20, /**< Bytes of the guest's memory. */
    RIG_PHYS = 0x10000,   /**< Where they begin. */
    RIG_ENDPOINTS = 3,    /**< Endpoints that are added ... */
    RIG_ID = 8,           /**< ... from this id on. */
    RIG_PROBE = 128,      /**< `probe_size`. */
    RIG_READ = VIRTQ_PERMISSION_READ,
    RIG_WRITE = VIRTQ_PERMISSION_WRITE,
    RIG_BOTH = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE
};

/** @brief The device and what is around it. */
struct rig {
    struct virtq_virtio_iommu_device_config config;
    struct virtq_direct direct;
    struct virtq_region region;
    unsigned char *memory; /**< The guest's. */
    void *own;             /**< The device's. */
    struct virtq_virtio_iommu_device *iommu;
    struct virtq_virtio_iommu_endpoint endpoints[RIG_ENDPOINTS];
    uint32_t used;                        /**< Of the last request. */
    unsigned char answer[RIG_PROBE + 64]; /**< Its device-writable part. */
};

static inline uint32_t rig_le32(uint32_t value)
{
    return virtq_shm_order32(value, 0);
}

static inline uint64_t rig_le64(uint64_t value)
{
    return virtq_shm_order64(value, 0);
}

/** @brief Sets up the configuration and the guest's memory; rig_start() makes the device. */
static inline void rig_prepare(struct rig *rig)
{
    const struct virtq_virtio_iommu_device_config config = VIRTQ_VIRTIO_IOMMU_DEVICE_CONFIG_INIT;

    memset(rig, 0, sizeof(*rig));
    rig->memory = calloc(1, RIG_MEMORY);
    cr_assert(rig->memory != NULL);
    rig->region = (struct virtq_region){RIG_PHYS, RIG_PHYS + RIG_MEMORY - 1, rig->memory, RIG_BOTH};
    cr_assert_eq(virtq_direct_init_regions(&rig->direct, &rig->region, 1), VIRTQ_OK);
    rig->config = config;
    rig->config.endpoints = RIG_ENDPOINTS;
    rig->config.mappings = 64;
    rig->config.faults = 4;
    rig->config.probe_size = RIG_PROBE;
    rig->config.memory = &rig->direct.space;
}

/** @brief Makes the device of the configuration, without endpoints. */
static inline void rig_make(struct rig *rig)
{
    const size_t size = virtq_virtio_iommu_device_size(&rig->config);

    cr_assert(size != 0);
    rig->own = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert(rig->own != NULL);
    cr_assert_eq(virtq_virtio_iommu_device_init(rig->own, size, &rig->config, &rig->iommu),
                 VIRTQ_OK);
    cr_assert_eq(virtq_virtio_iommu_device_negotiate(rig->iommu, rig->config.features), VIRTQ_OK);
}

/** @brief Makes the device, adds the endpoints, and negotiates all that is offered. */
static inline void rig_start(struct rig *rig)
{
    struct virtq_virtio_iommu_endpoint_config config = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;
    unsigned i;

    rig_make(rig);
    for (i = 0; i < RIG_ENDPOINTS; i++) {
        config.id = RIG_ID + i;
        cr_assert_eq(virtq_virtio_iommu_device_add(rig->iommu, &rig->endpoints[i], &config),
                     VIRTQ_OK);
    }
}

/** @brief A device with the usual configuration. */
static inline void rig_open(struct rig *rig)
{
    rig_prepare(rig);
    rig_start(rig);
}

/** @brief Frees all of it. */
static inline void rig_close(struct rig *rig)
{
    virtq_virtio_iommu_device_destroy(rig->iommu);
    free(rig->own);
    free(rig->memory);
}

/** @brief Sends a request in two pieces. The answer is in `answer`, its length in `used`.
 * @return the status where one was written, else -1 */
static inline int rig_send(struct rig *rig, const void *readable, uint32_t length,
                           uint32_t writable)
{
    unsigned char copy[256];
    struct virtq_piece pieces[2];
    struct virtq_chain chain;
    uint32_t count = 0;

    memset(&chain, 0, sizeof(chain));
    memset(rig->answer, 0xee, sizeof(rig->answer));
    memcpy(copy, readable, length);
    chain.pieces = pieces;
    if (length != 0) {
        pieces[count++] = (struct virtq_piece){.base = copy, .len = length};
        chain.readable = 1;
        chain.readable_bytes = length;
    }
    if (writable != 0) {
        pieces[count] = (struct virtq_piece){.base = rig->answer, .len = writable};
        chain.writable = 1;
        chain.writable_bytes = writable;
    }
    rig->used = UINT32_MAX;
    cr_assert_eq(virtq_virtio_iommu_device_handle(rig->iommu, &chain, &rig->used), VIRTQ_OK);
    cr_assert(rig->used <= writable, "no more than there is room for");
    return rig->used < 4 ? -1 : rig->answer[rig->used - 4];
}

/** @brief Sends an ATTACH. */
static inline int rig_attach_with(struct rig *rig, uint32_t domain, uint32_t endpoint,
                                  uint32_t flags)
{
    struct virtio_iommu_req_attach request;

    memset(&request, 0, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_ATTACH;
    request.domain = rig_le32(domain);
    request.endpoint = rig_le32(endpoint);
    request.flags = rig_le32(flags);
    return rig_send(rig, &request, offsetof(struct virtio_iommu_req_attach, tail), 4);
}

/** @brief Sends an ATTACH without flags. */
static inline int rig_attach(struct rig *rig, uint32_t domain, uint32_t endpoint)
{
    return rig_attach_with(rig, domain, endpoint, 0);
}

/** @brief Sends a DETACH. */
static inline int rig_detach(struct rig *rig, uint32_t domain, uint32_t endpoint)
{
    struct virtio_iommu_req_detach request;

    memset(&request, 0, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_DETACH;
    request.domain = rig_le32(domain);
    request.endpoint = rig_le32(endpoint);
    return rig_send(rig, &request, offsetof(struct virtio_iommu_req_detach, tail), 4);
}

/** @brief Sends a MAP. */
static inline int rig_map(struct rig *rig, uint32_t domain, uint64_t first, uint64_t last,
                          uint64_t phys, uint32_t flags)
{
    struct virtio_iommu_req_map request;

    memset(&request, 0, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_MAP;
    request.domain = rig_le32(domain);
    request.virt_start = rig_le64(first);
    request.virt_end = rig_le64(last);
    request.phys_start = rig_le64(phys);
    request.flags = rig_le32(flags);
    return rig_send(rig, &request, offsetof(struct virtio_iommu_req_map, tail), 4);
}

/** @brief Sends an UNMAP. */
static inline int rig_unmap(struct rig *rig, uint32_t domain, uint64_t first, uint64_t last)
{
    struct virtio_iommu_req_unmap request;

    memset(&request, 0, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_UNMAP;
    request.domain = rig_le32(domain);
    request.virt_start = rig_le64(first);
    request.virt_end = rig_le64(last);
    return rig_send(rig, &request, offsetof(struct virtio_iommu_req_unmap, tail), 4);
}

/** @brief Sends a PROBE with room for `room` bytes of properties. */
static inline int rig_probe(struct rig *rig, uint32_t endpoint, uint32_t room)
{
    struct virtio_iommu_req_probe request;

    memset(&request, 0, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_PROBE;
    request.endpoint = rig_le32(endpoint);
    return rig_send(rig, &request, sizeof(request), room + 4);
}

/** @brief Where an endpoint's address leads, or NULL: it is refused. */
static inline void *rig_reach(struct rig *rig, unsigned endpoint, uint64_t addr,
                              uint32_t permission)
{
    void *base = NULL;

    return virtq_space_translate(&rig->endpoints[endpoint].space, addr, 1, permission, &base) == 1
               ? base
               : NULL;
}

/** @brief What the device holds. */
static inline struct virtq_virtio_iommu_usage rig_usage(struct rig *rig)
{
    struct virtq_virtio_iommu_usage usage;

    virtq_virtio_iommu_device_read_usage(rig->iommu, &usage);
    return usage;
}

#endif
