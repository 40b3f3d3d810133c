/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_zpci
 * @brief zPCI, the s390 way: what both ends of it know of the tables and of the one instruction.
 *
 * A guest builds three levels of tables in its own memory: a region table of 2048 entries of 2 GiB
 * each, segment tables of 2048 entries of 1 MiB, page tables of 256 entries of 4 KiB. Entries are
 * big-endian doublewords. RPCIT, "refresh PCI translations", says that entries of a range of device
 * addresses have changed. Addresses in entries are the guest's absolute addresses.
 *
 * - iommu/zpci_guest.h: the guest's tables, as the backend of an iommu space
 * - iommu/zpci_lazy.h: a driver end whose addresses are used again after one refresh of everything
 * - iommu/zpci_host.h: the host's shadow of the tables, as the space of a device end
 */
#ifndef VIRTQ_IOMMU_ZPCI_H
#define VIRTQ_IOMMU_ZPCI_H

#include <stdint.h>

#include "../api.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief Bytes of a page. */
#define VIRTQ_ZPCI_PAGE ((uint64_t)1 << 12)
/** @brief Bytes that a segment entry leads to: a page table's, or a large frame. */
#define VIRTQ_ZPCI_SEGMENT ((uint64_t)1 << 20)
/** @brief Bytes that a region entry leads to. */
#define VIRTQ_ZPCI_REGION ((uint64_t)1 << 31)
/** @brief The highest device address that a region table leads to. */
#define VIRTQ_ZPCI_LAST (((uint64_t)1 << 42) - 1)

/** @brief Entries of a region table and of a segment table. */
#define VIRTQ_ZPCI_TABLE_ENTRIES 2048u
/** @brief Entries of a page table. */
#define VIRTQ_ZPCI_PAGES 256u
/** @brief Bytes of a region or segment table, and its alignment. */
#define VIRTQ_ZPCI_TABLE_SIZE ((uint64_t)1 << 14)
/** @brief Bytes of a page table, and its alignment. */
#define VIRTQ_ZPCI_PAGE_TABLE_SIZE ((uint64_t)1 << 11)

/** @brief The bits of entries, and of the anchor that leads to the region table. */
enum virtq_zpci_bit {
    VIRTQ_ZPCI_INVALID = 0x20,         /**< Region and segment entries: leads nowhere. */
    VIRTQ_ZPCI_PAGE_INVALID = 0x400,   /**< Page entries: leads nowhere. */
    VIRTQ_ZPCI_PROTECTED = 0x200,      /**< Any entry: nothing below it may be written. */
    VIRTQ_ZPCI_LARGE = 0x400,          /**< Segment entries: a frame of 1 MiB, no page table. */
    VIRTQ_ZPCI_TYPE = 0xc,             /**< Region and segment entries: which table it is in. */
    VIRTQ_ZPCI_TYPE_REGION = 0x4,      /**< In a region table. */
    VIRTQ_ZPCI_TYPE_SEGMENT = 0x0,     /**< In a segment table. */
    VIRTQ_ZPCI_LENGTH = 0x3,           /**< Region entries: the segment table is a whole one. */
    VIRTQ_ZPCI_OFFSET = 0xc0,          /**< Region entries: where a short one would begin. */
    VIRTQ_ZPCI_ANCHOR_ENABLED = 0x800, /**< The anchor: there is a translation. */
    VIRTQ_ZPCI_ANCHOR_REGION = 0x4     /**< The anchor: to a region table. */
};

/** @brief The condition codes of RPCIT. */
enum virtq_zpci_condition {
    VIRTQ_ZPCI_DONE = 0,  /**< Done: the range is as the tables say. */
    VIRTQ_ZPCI_ERROR = 1, /**< Not done; the status says why. */
    VIRTQ_ZPCI_BUSY = 2,  /**< Nothing was done: the same again, a little later. */
    VIRTQ_ZPCI_HANDLE = 3 /**< No such function, or it is not enabled. */
};

/** @brief The status with VIRTQ_ZPCI_ERROR. */
enum virtq_zpci_status {
    VIRTQ_ZPCI_STATUS_NONE = 0,        /**< Another condition. */
    VIRTQ_ZPCI_STATUS_UNAVAILABLE = 4, /**< A resource is not available: as the next but one. */
    VIRTQ_ZPCI_STATUS_IN_ERROR = 8,    /**< The function has gone into its error state. */
    VIRTQ_ZPCI_STATUS_RESOURCES = 16,  /**< Not enough resources: not all of it is mapped. */
    VIRTQ_ZPCI_STATUS_RECOVERY = 40    /**< The function was in its error state already. */
};

/** @brief Why a function went into its error state: codes of the error event that a guest gets. */
enum virtq_zpci_event {
    VIRTQ_ZPCI_EVENT_NONE = 0,       /**< It did not. */
    VIRTQ_ZPCI_EVENT_NO_TABLES = 1,  /**< No tables are registered. */
    VIRTQ_ZPCI_EVENT_RANGE = 2,      /**< The range is outside of what is registered. */
    VIRTQ_ZPCI_EVENT_PROTECTION = 5, /**< A device's access that no entry allows. */
    VIRTQ_ZPCI_EVENT_ENTRY = 7,      /**< An entry of zeros, or that leads out of the memory. */
    VIRTQ_ZPCI_EVENT_LENGTH = 8,     /**< A region entry with another length or an offset. */
    VIRTQ_ZPCI_EVENT_TYPE = 9        /**< An entry of another kind of table. */
};

/** @brief Which segments of the device's addresses have something, and what: three levels like the
 * tables themselves, in private memory. The fields are private. */
struct virtq_zpci_index {
    uint32_t *slots;      /**< 2048 of the root, then 2048 of each directory: 0, or a number + 1. */
    uint32_t *counts;     /**< Of each directory: slots taken; of a free one: the next free + 1. */
    uint32_t *owners;     /**< Of each leaf: the segment it is for; of a free one: as `counts`. */
    uint32_t directories; /**< How many there are. */
    uint32_t leaves;      /**< How many there are. */
    uint32_t directory_free; /**< The first free one + 1; 0: none. */
    uint32_t leaf_free;      /**< The first free one + 1; 0: none. */
};

VIRTQ_END_DECLS

#endif
