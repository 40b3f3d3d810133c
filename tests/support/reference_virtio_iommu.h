/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The IOMMU device as the specification describes it: slow, small, and without a line of the
 * library's own device role.
 *
 * It gets a request as bytes and answers in bytes. Tables are arrays that are searched from the
 * start. A test may make it misbehave. [virtio 1.4, IOMMU Device]
 */
#ifndef VIRTQ_TESTS_REFERENCE_VIRTIO_IOMMU_H
#define VIRTQ_TESTS_REFERENCE_VIRTIO_IOMMU_H

#include <stddef.h>
#include <stdint.h>

enum {
    REFERENCE_VIOMMU_ENDPOINTS = 8, /**< Endpoints 0 to 7 exist. */
    REFERENCE_VIOMMU_MAPPINGS = 1024,
    REFERENCE_VIOMMU_TYPES = 6,
    REFERENCE_VIOMMU_NOWHERE = -1, /**< The domain of an endpoint that is not attached. */
    REFERENCE_VIOMMU_HONEST = -1   /**< No fault is played. */
};

/** @brief One mapping: made by one MAP request. */
struct reference_viommu_mapping {
    uint32_t domain;
    uint64_t start;
    uint64_t end;
    uint64_t phys;
    uint32_t flags;
};

/** @brief The device. Zeroed but for `granule`, `input_end`, `domain_end` and `room`. */
struct reference_viommu {
    uint64_t granule;     /**< The lowest bit of page_size_mask. */
    uint64_t input_start; /**< input_range */
    uint64_t input_end;
    uint32_t domain_start; /**< domain_range */
    uint32_t domain_end;
    uint32_t known_flags;            /**< Of MAP. */
    uint32_t attach_flags;           /**< Of ATTACH. */
    unsigned room;                   /**< Mappings that there can be; more are NOMEM. */
    const unsigned char *properties; /**< What PROBE answers ... */
    size_t properties_size;          /**< ... and how much; the rest is zero. */
    struct {
        int64_t domain;
        uint32_t bypass;
    } endpoints[REFERENCE_VIOMMU_ENDPOINTS];
    struct reference_viommu_mapping mappings[REFERENCE_VIOMMU_MAPPINGS];
    unsigned count;
    unsigned
        requests[REFERENCE_VIOMMU_TYPES]; /**< How many there were of each type; [0]: others. */
    unsigned rule_breaks; /**< How often a driver did what it must not, or should not. */

    /* Misbehaviour, for the requests of one type from number `lie_from` on, `lies` of them. */
    int lie_type;           /**< 0: none. */
    unsigned lie_from;      /**< Counted from 0 within the type. */
    unsigned lies;          /**< How many. */
    int lie_status;         /**< The status instead; REFERENCE_VIOMMU_HONEST: its own. */
    int64_t lie_length;     /**< The used length instead; REFERENCE_VIOMMU_HONEST: its own. */
    uint32_t tail_reserved; /**< What it writes there, which the driver is to ignore. */
    int lie_acts;           /**< 1: it does what was asked before it lies. */
};

/** @brief A device with every endpoint detached and nothing mapped. */
void reference_viommu_init(struct reference_viommu *device, uint64_t granule);

/** @brief One request. @return the used length */
uint32_t reference_viommu_request(struct reference_viommu *device, const unsigned char *readable,
                                  size_t readable_size, unsigned char *writable,
                                  size_t writable_size);

/** @brief Whether the endpoint reaches `address` with these MAP flags, and where. */
int reference_viommu_translate(const struct reference_viommu *device, uint32_t endpoint,
                               uint64_t address, uint32_t flags, uint64_t *phys);

/** @brief The configuration space: 40 bytes. */
void reference_viommu_config(const struct reference_viommu *device, uint32_t probe_size,
                             unsigned char bytes[40]);

#endif
