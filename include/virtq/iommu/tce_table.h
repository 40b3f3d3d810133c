/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_tce
 * @brief The hypervisor's end of TCE windows: tables that answer the guest's calls, and are spaces
 * for device ends.
 *
 * The guest is not trusted. Every argument is judged; a list page is read once, entry by entry,
 * into private memory, and only that copy is judged and used, for the guest may change the page
 * meanwhile; an entry's page has to lie in guest memory as a whole. A call changes all that it asks
 * for, or nothing.
 *
 * **Device end.** A bus address leads to its entry, by one load, and from there to guest memory: a
 * space of guest real addresses, usually direct. Neighbouring entries whose pages are neighbours
 * are one window, up to 64 of them on each side. An entry that was changed is withdrawn from every
 * queue before the call returns, as virtq_space_invalidated() says: put a guard before the table
 * where devices run on threads of their own.
 *
 * A device with two windows has a mux of their two tables (space/mux.h), each at its own addresses.
 */
#ifndef VIRTQ_IOMMU_TCE_TABLE_H
#define VIRTQ_IOMMU_TCE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../space.h"
#include "../types.h"
#include "tce.h"

VIRTQ_BEGIN_DECLS

/** @brief How a table is to be. Begin with #VIRTQ_TCE_TABLE_CONFIG_INIT. */
struct virtq_tce_table_config {
    size_t struct_size; /**< sizeof(struct virtq_tce_table_config): lets the struct grow. */
    struct virtq_tce_window window; /**< The window; copied. */
    /** Guest memory: a space whose device end is given real addresses. Must know all of its windows
     * (VIRTQ_EMISS counts as VIRTQ_EFAULT) and outlive the table; what it withdraws the table
     * withdraws. */
    struct virtq_space *memory;
    void *entries;       /**< Memory for the table, 8-byte aligned, never the guest's:
                            virtq_tce_table_size() bytes. */
    size_t entries_size; /**< Bytes of `entries`. */
};

/** @brief The initial value of a struct virtq_tce_table_config. */
#define VIRTQ_TCE_TABLE_CONFIG_INIT                                        \
    {                                                                      \
        sizeof(struct virtq_tce_table_config), {0, 0, 0, 0}, NULL, NULL, 0 \
    }

/** @brief A table. The caller owns the memory; the fields are private. */
struct virtq_tce_table {
    struct virtq_space space;             /**< What queues are given: `&table.space`. */
    struct virtq_space_listener listener; /**< Hears of what guest memory withdraws. */
    struct virtq_tce_window window;       /**< As configured. */
    struct virtq_space *memory;           /**< As configured. */
    uint64_t *entries;            /**< Big-endian, as an IOMMU would walk them; loaded and stored
                                     whole. */
    uint64_t *list;               /**< The copy of a list page; guarded by `lock`. */
    struct virtq_tce_table *next; /**< Of the same host. */
    uint32_t lock;                /**< 1 while a thread judges a list. */
    uint32_t reserved_;
};

/** @brief Bytes of memory for a window's table.
 * @param window a window
 * @return 8 for each entry, and a list page; SIZE_MAX: the window is not legal, or too large. Any
 * thread. */
VIRTQ_API size_t virtq_tce_table_size(const struct virtq_tce_window *window);

/** @brief Makes a table that grants nothing.
 *
 * Sets `device_kind` to VIRTQ_SPACE_CALLED. It has no driver end.
 * @param table  result; owned by the caller, must outlive every queue on it
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (window, memory) or VIRTQ_ENOMEM (too little for the table): `table` is
 * untouched. While no other thread uses the space of guest memory. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_table_init(struct virtq_tce_table *table,
                                                    const struct virtq_tce_table_config *config);

/** @brief Lets go of guest memory. No queue is on the table any more, and no host has it.
 * @param table a table; no other thread uses the space of guest memory during this call */
VIRTQ_API void virtq_tce_table_fini(struct virtq_tce_table *table);

/** @brief Clears every entry and withdraws what they granted: for a reset of the machine.
 * @param table a table. Any thread, not within a burst. */
VIRTQ_API void virtq_tce_table_reset(struct virtq_tce_table *table);

/** @brief The tables of one guest, by their LIOBNs. The caller owns the memory; the fields are
 * private. */
struct virtq_tce_host {
    struct virtq_tce_table *tables; /**< All of them. */
};

/** @brief A guest without tables. @param host result; owned by the caller */
VIRTQ_API void virtq_tce_host_init(struct virtq_tce_host *host);

/** @brief Adds a table: the guest can name it from now on.
 * @param host  a host
 * @param table a table that no host has; must stay until virtq_tce_host_remove()
 * @return 0, or VIRTQ_EBUSY (its LIOBN is taken): nothing changed. While no call is under way. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_host_add(struct virtq_tce_host *host,
                                                  struct virtq_tce_table *table);

/** @brief Removes a table, if it is one of the host's. What it grants stays.
 * @param host  a host
 * @param table one of its tables. While no call is under way. */
VIRTQ_API void virtq_tce_host_remove(struct virtq_tce_host *host, struct virtq_tce_table *table);

/** @brief Answers a call of the guest.
 *
 * - Bus addresses are at pages and, with the count, in the window: else VIRTQ_TCE_PARAMETER.
 * - An entry without permissions is legal, whatever else it says. Any other has no bit set between
 * its permissions and its page, and its page lies in guest memory, in at most 64 pieces: else
 * VIRTQ_TCE_PARAMETER. If
 * memory does not grant these permissions there, VIRTQ_TCE_PERMISSION.
 * - A list page is aligned, has up to #VIRTQ_TCE_LIST_MAX entries, and can be read: else
 * VIRTQ_TCE_PARAMETER. A count of 0 is legal and does nothing.
 *
 * On anything but success nothing was changed. When it returns, no window answers with what was
 * replaced, and queues forget as virtq_space_invalidated() says.
 * @param host      a struct virtq_tce_host; void, so that the function can be the `call` of a
 * struct virtq_tce_backend_config in the same program
 * @param call      an enum virtq_tce_call, as the guest gave it
 * @param arguments four words, as the guest gave them
 * @param result    what VIRTQ_TCE_GET answers; untouched by other calls and on failure
 * @return an enum virtq_tce_status; VIRTQ_TCE_FUNCTION for a call that is none of these. Any
 * thread, several at once, not within a burst: where two change an entry at once, it becomes what
 * one of them says. */
VIRTQ_API int64_t virtq_tce_host_call(void *host, uint64_t call, const uint64_t *arguments,
                                      uint64_t *result);

VIRTQ_END_DECLS

#endif
