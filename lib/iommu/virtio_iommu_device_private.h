/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the files of the virtio-iommu device role share.
 *
 * Requests are carried out by one thread. Other threads only translate: they read an endpoint's
 * domain, a domain's table, and whether bypass is on, and they note faults.
 */
#ifndef VIRTQ_LIB_IOMMU_VIRTIO_IOMMU_DEVICE_PRIVATE_H
#define VIRTQ_LIB_IOMMU_VIRTIO_IOMMU_DEVICE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "../space/tree.h"
#include "virtq/inline/shm.h"
#include "virtq/iommu/virtio_iommu.h"
#include "virtq/iommu/virtio_iommu_device.h"

enum {
    VIOMMU_BATCH = 8,  /* Requests popped at once. */
    VIOMMU_PRESENT = 8 /* Set in each item of a table: a mapping may grant nothing. */
};

/** @brief A domain. The slot lives as long as the device: a late reader finds an empty table. */
struct virtq_virtio_iommu_domain {
    struct virtq_tree tree; /**< The mappings; `base` is the guest-physical address. */
    struct virtq_virtio_iommu_endpoint *endpoints; /**< Those attached; NULL: the slot is free. */
    uint32_t id;                                   /**< The driver's number. */
    uint32_t bypass;                               /**< 1: the identity, and no mappings. */
    uint32_t lock;                                 /**< 1 while the table is changed. */
};

/** @brief A fault that waits for a buffer. */
struct virtq_priv_viommu_fault {
    virtq_addr_t addr;
    uint32_t endpoint;
    uint32_t flags;
    uint32_t reason;
};

/** @brief Faults on their way from any thread to the one that reports. A ring. */
struct virtq_priv_viommu_faults {
    struct virtq_priv_viommu_fault *ring; /**< `capacity` of them. */
    uint32_t capacity;
    uint32_t first; /**< The oldest. */
    uint32_t count;
    uint32_t lock; /**< Guards all of this. */
    uint64_t dropped;
    uint64_t reported;
};

/** @brief The device. */
struct virtq_virtio_iommu_device {
    struct virtq_virtio_iommu_device_config config; /**< As it was given, checked. */
    struct virtq_space_listener ear;                /**< Hears of the guest's memory. */
    uint64_t offered;                               /**< VIRTIO_IOMMU_F_*. */
    uint64_t negotiated;                            /**< Those that the driver accepted. */
    uint64_t granule;                               /**< The smallest page, minus 1. */
    uint32_t unattached_bypass; /**< 1: endpoints without a domain are in bypass mode. */
    uint32_t bypass;            /**< The configuration's field. */
    uint32_t map_flags;         /**< The flags of MAP that are known. */
    uint32_t mappings;          /**< How many there are. */
    uint32_t reserves;          /**< Endpoints that have reserved ranges. */

    struct virtq_virtio_iommu_endpoint **endpoints; /**< Sorted by id. */
    uint32_t endpoint_count;
    uint32_t domain_count;
    struct virtq_virtio_iommu_domain **domains; /**< Sorted by id; behind them the free ones. */
    struct virtq_virtio_iommu_domain *last;     /**< Found last, or NULL. */
    struct virtq_tree pool;                     /**< Whose nodes the domains' tables are made of. */
    struct virtq_priv_viommu_faults faults;

    uint32_t awaited;        /**< 1: an endpoint has, or had, buffers in what was withdrawn. */
    uint32_t waits;          /**< 1: a request is done and waits for them. */
    uint32_t status;         /**< Its answer. */
    struct virtq_chain held; /**< The request, where serve() popped it. */
    struct virtq_used_buffer done[VIOMMU_BATCH]; /**< Answered, not pushed. */
    uint32_t done_count;
    uint32_t holds; /**< 1: `held` is one. */
    struct virtq_piece *pieces;
    uint32_t piece_count;
    uint64_t requests;
    uint64_t malformed;
};

/** @brief Little-endian to the processor's order, and back. */
VIRTQ_INLINE uint32_t viommu_le32(uint32_t value)
{
    return virtq_shm_order32(value, 0);
}

/** @brief Little-endian to the processor's order, and back. */
VIRTQ_INLINE uint64_t viommu_le64(uint64_t value)
{
    return virtq_shm_order64(value, 0);
}

/** @brief Whether the driver accepted a feature. */
VIRTQ_INLINE bool viommu_has(const struct virtq_virtio_iommu_device *iommu, unsigned bit)
{
    return (iommu->negotiated >> bit & 1u) != 0;
}

/** @brief Sets `unattached_bypass` as features and `bypass` say; withdraws what ends. */
void virtq_priv_viommu_settle_bypass(struct virtq_virtio_iommu_device *iommu);

/* ---- Endpoints ---- */

/** @brief The endpoint of that id, or NULL. */
struct virtq_virtio_iommu_endpoint *virtq_priv_viommu_endpoint(
    const struct virtq_virtio_iommu_device *iommu, uint32_t id);

/** @brief An endpoint translates differently from now on: returns when no burst uses what it could
 * reach before, and notes whether buffers are awaited. */
void virtq_priv_viommu_withdraw(struct virtq_virtio_iommu_endpoint *endpoint);

/** @brief Whether no endpoint has buffers any more in what was withdrawn. */
bool virtq_priv_viommu_released(struct virtq_virtio_iommu_device *iommu);

/** @brief The reserved range that shares an address with [first, last], or NULL. */
const struct virtq_virtio_iommu_resv_mem *virtq_priv_viommu_reserved(
    const struct virtq_virtio_iommu_endpoint *endpoint, virtq_addr_t first, virtq_addr_t last);

/* ---- Domains ---- */

/** @brief The same without what was found last. */
struct virtq_virtio_iommu_domain *virtq_priv_viommu_domain_search(
    struct virtq_virtio_iommu_device *iommu, uint32_t id);

/** @brief The domain of that number, or NULL. */
VIRTQ_INLINE struct virtq_virtio_iommu_domain *virtq_priv_viommu_domain(
    struct virtq_virtio_iommu_device *iommu, uint32_t id)
{
    return VIRTQ_LIKELY(iommu->last != NULL && iommu->last->id == id)
               ? iommu->last
               : virtq_priv_viommu_domain_search(iommu, id);
}

/** @brief Takes an endpoint out of its domain, and the domain away if it was the last. */
void virtq_priv_viommu_detach(struct virtq_virtio_iommu_endpoint *endpoint);

/* ---- Requests: each gives a status ---- */

uint32_t virtq_priv_viommu_req_attach(struct virtq_virtio_iommu_device *iommu,
                                      const struct virtio_iommu_req_attach *request);
uint32_t virtq_priv_viommu_req_detach(struct virtq_virtio_iommu_device *iommu,
                                      const struct virtio_iommu_req_detach *request);
uint32_t virtq_priv_viommu_req_map(struct virtq_virtio_iommu_device *iommu,
                                   const struct virtio_iommu_req_map *request);
uint32_t virtq_priv_viommu_req_unmap(struct virtq_virtio_iommu_device *iommu,
                                     const struct virtio_iommu_req_unmap *request);

/** @brief Removes all mappings of a domain. */
void virtq_priv_viommu_mappings_clear(struct virtq_virtio_iommu_device *iommu,
                                      struct virtq_virtio_iommu_domain *domain);

/** @brief Bytes that an endpoint's properties take. */
uint64_t virtq_priv_viommu_properties_size(const struct virtq_virtio_iommu_endpoint_config *config);

/** @brief Answers a PROBE whose writable part is `writer`: properties, zeroes, and room for the
 * tail is left. @return the status; the cursor stands where the tail belongs */
uint32_t virtq_priv_viommu_req_probe(struct virtq_virtio_iommu_device *iommu,
                                     const struct virtio_iommu_req_probe *request,
                                     struct virtq_cursor *writer);

/** @brief What an error of the owner's is to the driver. */
uint32_t virtq_priv_viommu_status(int error);

/* ---- Faults ---- */

/** @brief Notes a fault, or drops it. Any thread. */
void virtq_priv_viommu_fault(struct virtq_virtio_iommu_endpoint *endpoint, uint32_t reason,
                             virtq_addr_t addr, uint32_t permission);

/** @brief Forgets all faults. */
void virtq_priv_viommu_faults_clear(struct virtq_virtio_iommu_device *iommu);

/** @brief Fills in what concerns faults. */
void virtq_priv_viommu_faults_usage(struct virtq_virtio_iommu_device *iommu,
                                    struct virtq_virtio_iommu_usage *usage);

/** @brief The operations of an endpoint's space. */
extern const struct virtq_space_ops virtq_priv_viommu_endpoint_ops;

#endif
