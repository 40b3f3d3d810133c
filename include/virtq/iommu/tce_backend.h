/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_tce
 * @brief The guest's end of a TCE window: a backend of the iommu space that changes the table by
 * hypercalls, as few as possible.
 *
 * - A list of ranges that lie one behind the other on the bus, as the segments of a buffer do, is
 * one run of entries, whatever memory each of them is for. A run of one page is one put, a longer
 * one a put-indirect for each 512 entries; unmapping a run is one stuff.
 * - Where the hypervisor lacks one of those (it says so in advance, or by H_FUNCTION), each page is
 * a put of its own.
 * - A call has taken effect when it returns, so there is nothing left to flush.
 *
 * In a secure guest the hypervisor cannot read the list page unless it is shared: share it, or
 * configure no VIRTQ_TCE_HAS_PUT_INDIRECT.
 */
#ifndef VIRTQ_IOMMU_TCE_BACKEND_H
#define VIRTQ_IOMMU_TCE_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../region.h"
#include "../space.h"
#include "../types.h"
#include "backend.h"
#include "tce.h"

VIRTQ_BEGIN_DECLS

/** @brief Calls that not every hypervisor has ("hcall-multi-tce"). */
enum virtq_tce_has {
    VIRTQ_TCE_HAS_PUT_INDIRECT = 1, /**< VIRTQ_TCE_PUT_INDIRECT. */
    VIRTQ_TCE_HAS_STUFF = 2         /**< VIRTQ_TCE_STUFF. */
};

/** @brief List pages that a backend can have. */
#define VIRTQ_TCE_LISTS_MAX 64u

/** @brief How a backend is to be. Begin with #VIRTQ_TCE_BACKEND_CONFIG_INIT. */
struct virtq_tce_backend_config {
    size_t struct_size; /**< sizeof(struct virtq_tce_backend_config): lets the struct grow. */
    struct virtq_tce_window window; /**< The window; copied. */
    /** @brief Makes a call: in a guest the instruction, in a test virtq_tce_host_call().
     *
     * Any thread, several at once. It is the one with a clock: where the hypervisor answers that it
     * is busy, it waits and calls again; what it gives up on counts as a shortage.
     * @param context   as configured
     * @param call      an enum virtq_tce_call
     * @param arguments four words, those that the call does not have are 0
     * @param result    the call's one result, written by VIRTQ_TCE_GET only
     * @return an enum virtq_tce_status */
    int64_t (*call)(void *context, uint64_t call, const uint64_t *arguments, uint64_t *result);
    void *context; /**< Given to `call`. */
    /** What there is of guest memory, with real addresses as device addresses: `memory_count`
     * regions, disjoint; in each, pointer and real address are congruent modulo the page size.
     * Permissions do not count. Owned by the caller, must outlive the backend unchanged. */
    const struct virtq_region *memory;
    unsigned memory_count; /**< At least 1. */
    uint32_t calls;        /**< What the hypervisor has: a set of enum virtq_tce_has. */
    /** List pages for VIRTQ_TCE_PUT_INDIRECT: `list_count` times #VIRTQ_TCE_LIST_SIZE bytes in one
     * region of `memory`, whose real address is a multiple of that. As many threads as there are
     * pages can map at once. The backend owns them until it is no longer used. */
    void *lists;
    unsigned list_count; /**< 0 to #VIRTQ_TCE_LISTS_MAX; 0: no VIRTQ_TCE_PUT_INDIRECT is made. */
};

/** @brief The initial value of a struct virtq_tce_backend_config. */
#define VIRTQ_TCE_BACKEND_CONFIG_INIT                                                          \
    {                                                                                          \
        sizeof(struct virtq_tce_backend_config), {0, 0, 0, 0}, NULL, NULL, NULL, 0, 0, NULL, 0 \
    }

/** @brief How many calls were made, and what came of them. */
struct virtq_tce_usage {
    uint64_t puts;          /**< VIRTQ_TCE_PUT. */
    uint64_t puts_indirect; /**< VIRTQ_TCE_PUT_INDIRECT. */
    uint64_t stuffs;        /**< VIRTQ_TCE_STUFF. */
    uint64_t failures;      /**< Of these, those that were not answered with success. */
    uint64_t lost; /**< Runs of entries that could not be cleared after a mapping had failed half
                      way: the device may reach what they say until they are put again. */
};

/** @brief A backend. The caller owns the memory; the fields are private. */
struct virtq_tce_backend {
    struct virtq_iommu_backend backend; /**< What a space is given: `&backend.backend`. */
    struct virtq_tce_window window;     /**< As configured. */
    int64_t (*call)(void *context, uint64_t call, const uint64_t *arguments,
                    uint64_t *result); /**< As configured. */
    void *context;                     /**< As configured. */
    const struct virtq_region *memory; /**< As configured. */
    unsigned memory_count;             /**< As configured. */
    unsigned list_count;               /**< As configured. */
    unsigned char *lists;              /**< As configured. */
    uint64_t lists_real;               /**< The real address of the first of them. */
    uint64_t lists_taken;              /**< A bit for each list page that a thread fills. */
    uint32_t calls;                    /**< What the hypervisor has, as far as is known. */
    uint32_t reserved_;
    struct virtq_tce_usage usage; /**< Each counter by itself. */
};

/** @brief Makes a backend.
 * @param backend result; owned by the caller, must outlive every space on it
 * @param config  read during the call only, but for what it points to
 * @return 0; VIRTQ_EINVAL (something is missing, the window or a region is not legal, memory is not
 * congruent to pages, list pages are not aligned or not in one region of memory): `backend` is
 * untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_backend_init(
    struct virtq_tce_backend *backend, const struct virtq_tce_backend_config *config);

/** @brief Maps all of memory, once: the bus address is the window's first plus the real address.
 *
 * From then on the device reaches all of it with these permissions, whatever it was given.
 * @param backend     a backend of whose window nothing is mapped; no space uses it to map buffers
 * @param permissions a set of enum virtq_permission, not empty
 * @return 0; VIRTQ_EINVAL (permissions, a region that is not made of whole pages or exceeds the
 * window: no call was made), or what a call was answered, as virtq_tce_error() says: nothing is
 * mapped. One thread at a time. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_map_all(struct virtq_tce_backend *backend,
                                                 uint32_t permissions);

/** @brief Takes back virtq_tce_map_all().
 * @param backend a backend after it; no queue uses these addresses any more
 * @return 0, or what a call was answered: some of memory may still be mapped. One thread at a time.
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_unmap_all(struct virtq_tce_backend *backend);

/** @brief What virtq_tce_map_all() makes of pointers: the window for virtq_direct_init(), or for
 * virtq_iommu_queue_config::identity.
 * @param backend     a backend
 * @param permissions as given to virtq_tce_map_all()
 * @param linear      result: all of memory, what lies between regions included
 * @return 0; VIRTQ_EINVAL (permissions, or memory exceeds the window) or VIRTQ_ENOTSUP (regions of
 * memory lie differently in pointers than in real addresses; make a table for
 * virtq_direct_init_regions()): nothing is written. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_linear(const struct virtq_tce_backend *backend,
                                                uint32_t permissions, struct virtq_window *linear);

/** @brief Asks for the entry of an address, with VIRTQ_TCE_GET: what whoever booted before left
 * there, or what the hypervisor believes.
 * @param backend a backend
 * @param addr    a bus address in its window
 * @param entry   result: the entry as a number
 * @return 0; VIRTQ_EFAULT (not in the window) or what the call was answered: nothing is written.
 * Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_read_entry(const struct virtq_tce_backend *backend,
                                                    virtq_addr_t addr, uint64_t *entry);

/** @brief How many calls were made so far.
 * @param backend a backend
 * @param usage   result; while others call, each counter is of its own moment. Any thread. */
VIRTQ_API void virtq_tce_read_usage(const struct virtq_tce_backend *backend,
                                    struct virtq_tce_usage *usage);

VIRTQ_END_DECLS

#endif
