/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_wire
 * @brief The IOMMU device's requests, properties, faults and configuration, by the specification's
 * names.
 *
 * Every field is little-endian; nothing here converts. A request is two parts, whatever its
 * segmentation: device-readable up to the tail (or up to `properties` of PROBE), device-writable
 * from there. An operating system's header may define structs of the same names: include only one
 * of them in a file. [virtio 1.4, IOMMU Device]
 */
#ifndef VIRTQ_IOMMU_VIRTIO_IOMMU_H
#define VIRTQ_IOMMU_VIRTIO_IOMMU_H

#include <stddef.h>
#include <stdint.h>

#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief The device ID of an IOMMU. */
#define VIRTIO_IOMMU_DEVICE_ID 23

/** @brief The queue that takes requests. */
#define VIRTIO_IOMMU_REQUESTQ 0
/** @brief The queue that reports faults. */
#define VIRTIO_IOMMU_EVENTQ 1

#ifndef VIRTIO_IOMMU_F_INPUT_RANGE
/** @brief `input_range` limits virtual addresses (a bit number, as all feature bits). */
#    define VIRTIO_IOMMU_F_INPUT_RANGE 0
#endif
#ifndef VIRTIO_IOMMU_F_DOMAIN_RANGE
/** @brief `domain_range` limits domain numbers. */
#    define VIRTIO_IOMMU_F_DOMAIN_RANGE 1
#endif
#ifndef VIRTIO_IOMMU_F_MAP_UNMAP
/** @brief MAP and UNMAP are available. */
#    define VIRTIO_IOMMU_F_MAP_UNMAP 2
#endif
#ifndef VIRTIO_IOMMU_F_BYPASS
/** @brief Endpoints that are attached to no domain are in bypass mode. Superseded by
 * VIRTIO_IOMMU_F_BYPASS_CONFIG. */
#    define VIRTIO_IOMMU_F_BYPASS 3
#endif
#ifndef VIRTIO_IOMMU_F_PROBE
/** @brief PROBE is available. */
#    define VIRTIO_IOMMU_F_PROBE 4
#endif
#ifndef VIRTIO_IOMMU_F_MMIO
/** @brief VIRTIO_IOMMU_MAP_F_MMIO is available. */
#    define VIRTIO_IOMMU_F_MMIO 5
#endif
#ifndef VIRTIO_IOMMU_F_BYPASS_CONFIG
/** @brief The field `bypass` says whether endpoints that are attached to no domain are in bypass
 * mode; VIRTIO_IOMMU_ATTACH_F_BYPASS makes bypass domains. */
#    define VIRTIO_IOMMU_F_BYPASS_CONFIG 6
#endif

#ifndef VIRTIO_IOMMU_T_ATTACH
/** @brief Type of struct virtio_iommu_req_attach. */
#    define VIRTIO_IOMMU_T_ATTACH 1
/** @brief Type of struct virtio_iommu_req_detach. */
#    define VIRTIO_IOMMU_T_DETACH 2
/** @brief Type of struct virtio_iommu_req_map. */
#    define VIRTIO_IOMMU_T_MAP 3
/** @brief Type of struct virtio_iommu_req_unmap. */
#    define VIRTIO_IOMMU_T_UNMAP 4
/** @brief Type of struct virtio_iommu_req_probe. */
#    define VIRTIO_IOMMU_T_PROBE 5
#endif

#ifndef VIRTIO_IOMMU_S_OK
/** @brief All good. */
#    define VIRTIO_IOMMU_S_OK 0
/** @brief Virtio communication error. */
#    define VIRTIO_IOMMU_S_IOERR 1
/** @brief Unsupported request. */
#    define VIRTIO_IOMMU_S_UNSUPP 2
/** @brief Internal device error. */
#    define VIRTIO_IOMMU_S_DEVERR 3
/** @brief Invalid parameters. */
#    define VIRTIO_IOMMU_S_INVAL 4
/** @brief Out-of-range parameters. */
#    define VIRTIO_IOMMU_S_RANGE 5
/** @brief Entry not found. */
#    define VIRTIO_IOMMU_S_NOENT 6
/** @brief Bad address. */
#    define VIRTIO_IOMMU_S_FAULT 7
/** @brief Insufficient resources. */
#    define VIRTIO_IOMMU_S_NOMEM 8
#endif

#ifndef VIRTIO_IOMMU_ATTACH_F_BYPASS
/** @brief The domain is a bypass domain. */
#    define VIRTIO_IOMMU_ATTACH_F_BYPASS (1u << 0)
#endif

#ifndef VIRTIO_IOMMU_MAP_F_READ
/** @brief Endpoints may read. */
#    define VIRTIO_IOMMU_MAP_F_READ (1u << 0)
/** @brief Endpoints may write. */
#    define VIRTIO_IOMMU_MAP_F_WRITE (1u << 1)
/** @brief The range is registers of a device. */
#    define VIRTIO_IOMMU_MAP_F_MMIO (1u << 2)
#endif

#ifndef VIRTIO_IOMMU_PROBE_T_NONE
/** @brief The end of the list of properties. */
#    define VIRTIO_IOMMU_PROBE_T_NONE 0
/** @brief Type of struct virtio_iommu_probe_resv_mem. */
#    define VIRTIO_IOMMU_PROBE_T_RESV_MEM 1
#endif
#ifndef VIRTIO_IOMMU_PROBE_T_MASK
/** @brief The bits of virtio_iommu_probe_property::type that are the type; the others are
 * reserved. */
#    define VIRTIO_IOMMU_PROBE_T_MASK 0xfffu
#endif

#ifndef VIRTIO_IOMMU_RESV_MEM_T_RESERVED
/** @brief The addresses can not be used in a MAP request. */
#    define VIRTIO_IOMMU_RESV_MEM_T_RESERVED 0
/** @brief As reserved; and it is the doorbell of message signalled interrupts. */
#    define VIRTIO_IOMMU_RESV_MEM_T_MSI 1
#endif

#ifndef VIRTIO_IOMMU_FAULT_R_UNKNOWN
/** @brief An internal error, or one that no other reason describes. */
#    define VIRTIO_IOMMU_FAULT_R_UNKNOWN 0
/** @brief The endpoint is attached to no domain. */
#    define VIRTIO_IOMMU_FAULT_R_DOMAIN 1
/** @brief The address is not mapped, or not for this kind of access. */
#    define VIRTIO_IOMMU_FAULT_R_MAPPING 2
#endif

#ifndef VIRTIO_IOMMU_FAULT_F_READ
/** @brief The endpoint wanted to read. */
#    define VIRTIO_IOMMU_FAULT_F_READ (1u << 0)
/** @brief The endpoint wanted to write. */
#    define VIRTIO_IOMMU_FAULT_F_WRITE (1u << 1)
/** @brief `address` is valid. */
#    define VIRTIO_IOMMU_FAULT_F_ADDRESS (1u << 8)
#endif

/** @brief Inclusive limits of 64 bits. */
struct virtio_iommu_range_64 {
    virtq_le64 start; /**< The first value that is legal. */
    virtq_le64 end;   /**< The last. */
};

/** @brief Inclusive limits of 32 bits. */
struct virtio_iommu_range_32 {
    virtq_le32 start; /**< The first value that is legal. */
    virtq_le32 end;   /**< The last. */
};

/** @brief The device's configuration space. */
struct virtio_iommu_config {
    virtq_le64 page_size_mask; /**< Page sizes, a bit each; the lowest is the granularity. */
    struct virtio_iommu_range_64
        input_range; /**< Virtual addresses; with VIRTIO_IOMMU_F_INPUT_RANGE. */
    struct virtio_iommu_range_32
        domain_range;      /**< Domain numbers; with VIRTIO_IOMMU_F_DOMAIN_RANGE. */
    virtq_le32 probe_size; /**< Bytes of `properties`; with VIRTIO_IOMMU_F_PROBE. */
    uint8_t bypass;      /**< 0 or 1; with VIRTIO_IOMMU_F_BYPASS_CONFIG the driver may write it. */
    uint8_t reserved[3]; /**< 0. */
};

/** @brief Begins every request. */
struct virtio_iommu_req_head {
    uint8_t type;        /**< VIRTIO_IOMMU_T_*. */
    uint8_t reserved[3]; /**< The device ignores it. */
};

/** @brief Ends every request, written by the device. */
struct virtio_iommu_req_tail {
    uint8_t status;      /**< VIRTIO_IOMMU_S_*. */
    uint8_t reserved[3]; /**< 0; the driver ignores it. */
};

/** @brief Attaches an endpoint to a domain. */
struct virtio_iommu_req_attach {
    struct virtio_iommu_req_head head; /**< VIRTIO_IOMMU_T_ATTACH. */
    virtq_le32 domain;                 /**< Is made if it does not exist. */
    virtq_le32 endpoint;               /**< Which endpoint. */
    virtq_le32 flags;                  /**< VIRTIO_IOMMU_ATTACH_F_*. */
    uint8_t reserved[4];               /**< 0, else the device refuses. */
    struct virtio_iommu_req_tail tail; /**< Device-writable. */
};

/** @brief Detaches an endpoint from a domain. */
struct virtio_iommu_req_detach {
    struct virtio_iommu_req_head head; /**< VIRTIO_IOMMU_T_DETACH. */
    virtq_le32 domain;                 /**< The domain that it is attached to. */
    virtq_le32 endpoint;               /**< Which endpoint. */
    uint8_t reserved[8];               /**< The device ignores it. */
    struct virtio_iommu_req_tail tail; /**< Device-writable. */
};

/** @brief Maps a range of virtual addresses to as many guest-physical ones. */
struct virtio_iommu_req_map {
    struct virtio_iommu_req_head head; /**< VIRTIO_IOMMU_T_MAP. */
    virtq_le32 domain;                 /**< A domain with an endpoint. */
    virtq_le64 virt_start;             /**< First virtual address. */
    virtq_le64 virt_end;               /**< Last virtual address, inclusive. */
    virtq_le64 phys_start;             /**< Guest-physical address of `virt_start`. */
    virtq_le32 flags;                  /**< VIRTIO_IOMMU_MAP_F_*. */
    struct virtio_iommu_req_tail tail; /**< Device-writable. */
};

/** @brief Removes the mappings that lie in a range. */
struct virtio_iommu_req_unmap {
    struct virtio_iommu_req_head head; /**< VIRTIO_IOMMU_T_UNMAP. */
    virtq_le32 domain;                 /**< A domain with an endpoint. */
    virtq_le64 virt_start;             /**< First virtual address. */
    virtq_le64 virt_end;               /**< Last virtual address, inclusive. */
    uint8_t reserved[4];               /**< 0. */
    struct virtio_iommu_req_tail tail; /**< Device-writable. */
};

/** @brief Asks for an endpoint's properties: the device-readable part. `properties`, `probe_size`
 * bytes, and a struct virtio_iommu_req_tail follow as the device-writable part. */
struct virtio_iommu_req_probe {
    struct virtio_iommu_req_head head; /**< VIRTIO_IOMMU_T_PROBE. */
    virtq_le32 endpoint;               /**< Which endpoint. */
    uint8_t reserved[64];              /**< 0; the device ignores it. */
};

/** @brief Begins every property. */
struct virtio_iommu_probe_property {
    virtq_le16 type;   /**< VIRTIO_IOMMU_PROBE_T_* in bits 0 to 11; bits 12 to 15 are reserved. */
    virtq_le16 length; /**< Bytes of the value that follows this header. */
};

/** @brief A range of virtual addresses that the driver can not map. */
struct virtio_iommu_probe_resv_mem {
    struct virtio_iommu_probe_property head; /**< VIRTIO_IOMMU_PROBE_T_RESV_MEM, 20 bytes. */
    uint8_t subtype;                         /**< VIRTIO_IOMMU_RESV_MEM_T_*. */
    uint8_t reserved[3];                     /**< 0. */
    virtq_le64 start;                        /**< First virtual address. */
    virtq_le64 end;                          /**< Last virtual address, inclusive. */
};

/** @brief A report on the event queue. */
struct virtio_iommu_fault {
    uint8_t reason;       /**< VIRTIO_IOMMU_FAULT_R_*. */
    uint8_t reserved[3];  /**< 0, else the driver ignores the report. */
    virtq_le32 flags;     /**< VIRTIO_IOMMU_FAULT_F_*. */
    virtq_le32 endpoint;  /**< Who caused it. */
    virtq_le32 reserved1; /**< 0; the driver ignores it. */
    virtq_le64 address;   /**< The address, with VIRTIO_IOMMU_FAULT_F_ADDRESS. */
};

VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_config) == 40, "the configuration has 40 bytes");
VIRTQ_STATIC_ASSERT(offsetof(struct virtio_iommu_config, bypass) == 36, "bypass is at byte 36");
VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_req_attach) == 24, "20 to read, 4 to write");
VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_req_detach) == 24, "20 to read, 4 to write");
VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_req_map) == 40, "36 to read, 4 to write");
VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_req_unmap) == 32, "28 to read, 4 to write");
VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_req_probe) == 72, "72 to read");
VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_probe_resv_mem) == 24, "a header and 20 bytes");
VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_fault) == 24, "a fault report has 24 bytes");

VIRTQ_END_DECLS

#endif
