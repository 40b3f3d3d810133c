/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_zpci
 * @brief A driver end over zPCI tables that refreshes once for all that was unmapped: when its
 * addresses have all been used.
 *
 * Addresses are taken one after the other. What is unmapped is invalid in the tables at once, but
 * its addresses wait, marked in a bitmap; when the end of the range is reached everything is
 * refreshed, once, and what waited is free (L4, M6). So unmapping costs no call at all, and the
 * device may reach a buffer that is back until the next of these refreshes: judge a copy of it.
 *
 * Mapping calls the hypervisor only if it asks for it (::VIRTQ_ZPCI_REFRESH_MAP).
 */
#ifndef VIRTQ_IOMMU_ZPCI_LAZY_H
#define VIRTQ_IOMMU_ZPCI_LAZY_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../space.h"
#include "backend.h"
#include "zpci_guest.h"

VIRTQ_BEGIN_DECLS

/** @brief How a lazy space is to be. Begin with #VIRTQ_ZPCI_LAZY_CONFIG_INIT. */
struct virtq_zpci_lazy_config {
    size_t struct_size; /**< sizeof(struct virtq_zpci_lazy_config): lets the struct grow. */
    struct virtq_zpci_guest *guest; /**< Whose tables; must outlive the space. */
    virtq_addr_t first;  /**< The lowest device address that is used, in the guest's range. */
    virtq_addr_t last;   /**< The highest one, inclusive. No other user of the tables has any of
                            these. Of whole pages. */
    void *bitmaps;       /**< Private memory, 8-byte aligned; must outlive the space. */
    size_t bitmaps_size; /**< Bytes of it: virtq_zpci_lazy_size(). */
};

/** @brief The initial value of a struct virtq_zpci_lazy_config. */
#define VIRTQ_ZPCI_LAZY_CONFIG_INIT                                        \
    {                                                                      \
        sizeof(struct virtq_zpci_lazy_config), NULL, 0, 0, NULL, (size_t)0 \
    }

/** @brief What happened in a lazy space. */
struct virtq_zpci_lazy_usage {
    uint64_t mapped;    /**< Buffers and shared areas mapped now. */
    uint64_t waiting;   /**< Pages that are unmapped and not refreshed. */
    uint64_t flushes;   /**< How often everything was refreshed, with success. */
    uint64_t shortages; /**< Requests answered VIRTQ_ENOMEM. */
    uint64_t leaked;    /**< Pages never to be used again: they could not be unmapped. */
};

/** @brief A lazy space. The caller owns the memory; the fields are private. */
struct virtq_zpci_lazy {
    struct virtq_space space;           /**< What queues are given: `&lazy.space`. */
    struct virtq_zpci_guest *guest;     /**< Whose tables. */
    struct virtq_iommu_backend backend; /**< The guest's. */
    virtq_addr_t first;                 /**< The address of page 0. */
    uint64_t pages;                     /**< How many there are. */
    uint64_t next;     /**< Where the next search begins; this and all below guarded by `lock`. */
    uint64_t *taken;   /**< Pages that are in use, or wait. */
    uint64_t *waiting; /**< Pages that wait for a refresh. */
    uint64_t *leaving; /**< Pages that the refresh under way is for. */
    struct virtq_zpci_lazy_usage usage; /**< What happened. */
    uint32_t lock;                      /**< 1 while a thread is inside; never held over a call. */
    uint32_t flushing;                  /**< 1 while everything is refreshed. */
};

/** @brief How much private memory a lazy space needs: three bits a page.
 * @param first struct virtq_zpci_lazy_config::first
 * @param last  struct virtq_zpci_lazy_config::last
 * @return bytes; SIZE_MAX: inverted, not of whole pages or above #VIRTQ_ZPCI_LAST. Any thread. */
VIRTQ_API size_t virtq_zpci_lazy_size(virtq_addr_t first, virtq_addr_t last);

/** @brief Makes a lazy space.
 *
 * Sets `driver_kind` to VIRTQ_SPACE_CALLED. It has no device end. Any number of queues may be on
 * it.
 * @param lazy   result; owned by the caller, must outlive every queue on it
 * @param config read during the call only
 * @return 0, or VIRTQ_EINVAL (something is missing or too small, or the range is not in the
 * guest's): `lazy` is untouched. Any thread, before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_lazy_init(struct virtq_zpci_lazy *lazy,
                                                    const struct virtq_zpci_lazy_config *config);

/** @brief Refreshes everything now: what was unmapped before is out of the device's reach, and its
 * addresses are free.
 * @param lazy a lazy space
 * @return 0; VIRTQ_EBUSY (another thread is at it) or what virtq_zpci_guest_refresh_all() answers:
 * what waits goes on waiting. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_lazy_flush(struct virtq_zpci_lazy *lazy);

/** @brief What happened so far.
 * @param lazy  a lazy space
 * @param usage result: one consistent moment. Any thread. */
VIRTQ_API void virtq_zpci_lazy_read_usage(struct virtq_zpci_lazy *lazy,
                                          struct virtq_zpci_lazy_usage *usage);

VIRTQ_END_DECLS

#endif
