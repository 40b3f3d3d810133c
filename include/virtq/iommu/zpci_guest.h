/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_zpci
 * @brief The guest's end of zPCI: tables in the guest's own memory, as the backend of an iommu
 * space.
 *
 * Mapping and unmapping are stores into tables; RPCIT, which the caller brings as a function, says
 * that a range of them has changed. It is one call for a whole list of ranges, over the run from
 * the first to the last of them:
 * - after unmapping, always (virtq_iommu_backend::flush);
 * - after mapping, only where the hypervisor asks for it (::VIRTQ_ZPCI_REFRESH_MAP): one that
 * keeps a shadow does, a machine that walks the tables by itself does not.
 *
 * Where the hypervisor has not enough resources, everything is refreshed, so that it finds what it
 * may let go, and the range once more; what is still refused is taken out again and answered
 * VIRTQ_ENOMEM.
 *
 * The tables are written and never read: which entries are in use is kept in private memory. So a
 * host that writes into the tables changes what its own device reaches, and nothing else.
 *
 * The format has no page that a device may only write: what it may write it may read.
 */
#ifndef VIRTQ_IOMMU_ZPCI_GUEST_H
#define VIRTQ_IOMMU_ZPCI_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../region.h"
#include "backend.h"
#include "zpci.h"

VIRTQ_BEGIN_DECLS

/** @brief What a guest's end does. */
enum virtq_zpci_guest_flag {
    VIRTQ_ZPCI_REFRESH_MAP = 1, /**< The hypervisor has to be told of new mappings too. */
    VIRTQ_ZPCI_LARGE_FRAMES = 2 /**< It knows segment entries of 1 MiB: they are used where address
                                   and memory allow. */
};

/** @brief How the guest's end is to be. Begin with #VIRTQ_ZPCI_GUEST_CONFIG_INIT. */
struct virtq_zpci_guest_config {
    size_t struct_size; /**< sizeof(struct virtq_zpci_guest_config): lets the struct grow. */
    const struct virtq_region *memory; /**< What absolute addresses the guest's memory has: `first`
                                          and `last` are absolute. Tables and buffers lie in it.
                                          Must outlive the guest's end. */
    uint32_t memory_count;             /**< How many regions, at least 1. */
    uint32_t flags;                    /**< A set of enum virtq_zpci_guest_flag. */
    void *tables;         /**< Memory for the tables, 8-byte aligned, contiguous in absolute
                             addresses too; must outlive the guest's end. */
    uint64_t tables_size; /**< Bytes of it: virtq_zpci_guest_tables_size(). */
    void *books;          /**< Private memory, 8-byte aligned; must outlive the guest's end. */
    size_t books_size;    /**< Bytes of it: virtq_zpci_guest_books_size(). */
    uint32_t
        segment_tables;   /**< One for each region (2 GiB) that is ever used; never given back. */
    uint32_t page_tables; /**< One for each segment (1 MiB) that is used at a time. */
    virtq_addr_t first;   /**< The lowest device address, as the function says: of whole pages. */
    virtq_addr_t last;    /**< The highest one, inclusive; at most #VIRTQ_ZPCI_LAST. */
    uint32_t handle;      /**< The function's handle. */
    uint32_t busy_tries;  /**< How often a call that finds the hypervisor busy is made at most. */
    void *context;        /**< Given to `rpcit`. */

    /** @brief The instruction, or the call in its place. Must be safe to call from any thread.
     * @param context  the config's
     * @param function its first operand: the handle in the upper half
     * @param first    device address where the range begins, of whole pages
     * @param len      bytes, whole pages
     * @param status   result with VIRTQ_ZPCI_ERROR: an enum virtq_zpci_status
     * @return an enum virtq_zpci_condition: the condition code */
    uint32_t (*rpcit)(void *context, uint64_t function, virtq_addr_t first, uint64_t len,
                      uint32_t *status);
};

/** @brief The initial value of a struct virtq_zpci_guest_config. */
#define VIRTQ_ZPCI_GUEST_CONFIG_INIT                                                    \
    {                                                                                   \
        sizeof(struct virtq_zpci_guest_config), NULL, 0, 0, NULL, 0, NULL, 0, 1, 64, 0, \
            VIRTQ_ZPCI_LAST, 0, 1u << 20, NULL, NULL                                    \
    }

/** @brief What happened at a guest's end. */
struct virtq_zpci_guest_usage {
    uint64_t pages;     /**< Pages mapped now. */
    uint64_t refreshes; /**< Calls of RPCIT, all of them. */
    uint64_t global;    /**< Of them: over everything. */
    uint64_t busy;      /**< Of them: answered VIRTQ_ZPCI_BUSY. */
    uint64_t shortages; /**< Of them: answered with not enough resources. */
    uint64_t reclaims;  /**< How often empty page tables were given back because one was wanted. */
};

/** @brief What is private of a page table. The fields are private. */
struct virtq_zpci_leaf {
    uint64_t valid[4];   /**< One bit for each entry that leads somewhere. */
    uint64_t reclaiming; /**< 1: taken out, and free after the refresh that is under way. */
};

/** @brief The guest's end. The caller owns the memory; the fields are private. */
struct virtq_zpci_guest {
    const struct virtq_region *memory; /**< The config's. */
    uint32_t memory_count;             /**< The config's. */
    uint32_t flags;                    /**< The config's. */
    unsigned char *tables;          /**< The region table; segment tables behind it, page tables. */
    uint64_t absolute;              /**< Its absolute address. */
    struct virtq_zpci_index index;  /**< Which tables there are; guarded by `lock`. */
    struct virtq_zpci_leaf *leaves; /**< Of each page table; guarded by `lock`. */
    virtq_addr_t first;             /**< The lowest device address. */
    virtq_addr_t last;              /**< The highest one. */
    uint32_t handle;                /**< The function's. */
    uint32_t busy_tries;            /**< The config's. */
    void *context;                  /**< For the hook. */
    uint32_t (*rpcit)(void *context, uint64_t function, virtq_addr_t first, uint64_t len,
                      uint32_t *status);
    /**< The config's. */
    uint32_t lock;       /**< 1 while a thread is at the tables; never held over the hook. */
    uint32_t reclaiming; /**< 1 while a thread gives empty page tables back; guarded by `lock`. */
    uint32_t owes; /**< How many ranges that were taken back may linger: nothing is mapped before
                      everything has been refreshed. */
    uint32_t reserved_;
    struct virtq_zpci_guest_usage usage; /**< What happened; counted by any thread. */
};

/** @brief How much of the guest's memory the tables need, whatever its alignment.
 * @param segment_tables struct virtq_zpci_guest_config::segment_tables, 1 to 2048
 * @param page_tables    struct virtq_zpci_guest_config::page_tables, 1 to 2^22
 * @return bytes: 16 KiB a segment table, 2 KiB a page table, 32 KiB; UINT64_MAX: not so many. Any
 * thread. */
VIRTQ_API uint64_t virtq_zpci_guest_tables_size(uint32_t segment_tables, uint32_t page_tables);

/** @brief How much private memory a guest's end needs.
 * @param segment_tables as for virtq_zpci_guest_tables_size()
 * @param page_tables    as for virtq_zpci_guest_tables_size()
 * @return bytes; SIZE_MAX: not so many. Any thread. */
VIRTQ_API size_t virtq_zpci_guest_books_size(uint32_t segment_tables, uint32_t page_tables);

/** @brief Makes the guest's end, with tables that lead nowhere. Nothing is refreshed.
 * @param guest  result; owned by the caller
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (something is missing or too small, unknown flags, a range that is
 * inverted, not of whole pages or above #VIRTQ_ZPCI_LAST) or VIRTQ_EFAULT (the tables do not lie in
 * one region of the memory): `guest` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_guest_init(struct virtq_zpci_guest *guest,
                                                     const struct virtq_zpci_guest_config *config);

/** @brief The I/O translation anchor with which the tables are to be registered for the function,
 * along with `first` and `last` of the config.
 * @param guest a guest's end
 * @return the anchor. Any thread. */
VIRTQ_API uint64_t virtq_zpci_guest_anchor(const struct virtq_zpci_guest *guest);

/** @brief RPCIT over a range. While the hypervisor is busy it is made again.
 * @param guest a guest's end
 * @param first device address where it begins, of whole pages
 * @param last  device address where it ends, inclusive
 * @return 0; VIRTQ_EINVAL (inverted, not of whole pages, not in the config's range);
 * VIRTQ_ENOMEM (not enough resources: something is not mapped), VIRTQ_EBUSY (too often busy) or
 * VIRTQ_EBROKEN (no such function, or in error: it has to be recovered). On an error nothing can be
 * said of the range. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_guest_refresh(struct virtq_zpci_guest *guest,
                                                        virtq_addr_t first, virtq_addr_t last);

/** @brief RPCIT over everything: after it no cache holds what the tables no longer say.
 * @param guest a guest's end
 * @return as virtq_zpci_guest_refresh(), without VIRTQ_EINVAL. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_guest_refresh_all(struct virtq_zpci_guest *guest);

/** @brief The guest's end as the backend of an iommu space. Granule of the space's addresses:
 * #VIRTQ_ZPCI_PAGE; large page: #VIRTQ_ZPCI_SEGMENT.
 *
 * `map` answers VIRTQ_EINVAL (not of whole pages, outside of the config's range, no or unknown
 * permissions, mapped already), VIRTQ_EFAULT (memory without an absolute address), VIRTQ_ENOMEM (no
 * table is free, or the hypervisor's resources: retry later), VIRTQ_EBUSY or VIRTQ_EBROKEN as
 * virtq_zpci_guest_refresh(); `unmap` VIRTQ_EINVAL (not mapped): nothing changed; `flush` what
 * virtq_zpci_guest_refresh() does.
 * @param guest   a guest's end; must outlive every space on the backend
 * @param backend result; owned by the caller */
VIRTQ_API void virtq_zpci_guest_backend(struct virtq_zpci_guest *guest,
                                        struct virtq_iommu_backend *backend);

/** @brief What happened so far.
 * @param guest a guest's end
 * @param usage result. Any thread; each count by itself is exact. */
VIRTQ_API void virtq_zpci_guest_read_usage(const struct virtq_zpci_guest *guest,
                                           struct virtq_zpci_guest_usage *usage);

VIRTQ_END_DECLS

#endif
