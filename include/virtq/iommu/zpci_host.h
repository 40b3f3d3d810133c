/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_zpci
 * @brief The host's end of zPCI: on RPCIT a shadow of the guest's tables is brought up to date, and
 * a device end translates through that shadow alone.
 *
 * Between two refreshes the guest may write what it likes into its tables: nobody looks. During
 * one, each word is loaded once and judged as it was loaded; a table that changes meanwhile gives a
 * mapping that the guest could have had anyway. The shadow is in the caller's memory and can hold
 * so much and no more; what does not fit is answered "not enough resources".
 *
 * The work of one refresh is bounded: it reads at most `words_max` words of the guest's. Beyond
 * that it removes the rest of the range from the shadow, so that nothing old stays, and answers
 * "not enough resources".
 *
 * Whatever a refresh removes is gone when it returns: queues forget their windows as
 * virtq_space_invalidated() says, and only then pages are unpinned (L3, M1).
 */
#ifndef VIRTQ_IOMMU_ZPCI_HOST_H
#define VIRTQ_IOMMU_ZPCI_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../space.h"
#include "zpci.h"

VIRTQ_BEGIN_DECLS

/** @brief What state a function is in. */
enum virtq_zpci_state {
    VIRTQ_ZPCI_DISABLED = 0, /**< Not enabled: RPCIT finds no function, the device no memory. */
    VIRTQ_ZPCI_ENABLED = 1,  /**< In use. */
    VIRTQ_ZPCI_BLOCKED = 2,  /**< Refreshed as ever, but the device finds no memory. */
    VIRTQ_ZPCI_IN_ERROR = 3  /**< After an error: not refreshed, and the device finds no memory. */
};

/** @brief How the host's end is to be. Begin with #VIRTQ_ZPCI_HOST_CONFIG_INIT. */
struct virtq_zpci_host_config {
    size_t struct_size;         /**< sizeof(struct virtq_zpci_host_config): lets the struct grow. */
    struct virtq_space *memory; /**< The guest's absolute memory as a device end sees it, with
                                   windows of whole pages for all of it that there is. Must outlive
                                   this space, and withdraw nothing during a refresh. */
    void *tables;       /**< Memory for the shadow, 8-byte aligned; must outlive the space. */
    size_t tables_size; /**< Bytes of it: virtq_zpci_host_size(). */
    uint32_t regions;   /**< In how many regions (2 GiB) there may be mappings at a time. */
    uint32_t segments;  /**< In how many segments (1 MiB) there may be mappings at a time. */
    uint64_t pages_max; /**< How many pages may be pinned at a time. */
    uint64_t words_max; /**< How many words of the guest's one refresh reads. */
    uint32_t handle;    /**< The function's handle. */
    virtq_addr_t first; /**< The lowest address that may be registered. */
    virtq_addr_t last;  /**< The highest one, inclusive; at most #VIRTQ_ZPCI_LAST. */
    void *context;      /**< Given to `pin` and `unpin`. */

    /** @brief Keeps pages of the guest in place for the device. NULL: nothing has to be done.
     * @param context     the config's
     * @param absolute    the guest's address of the first page
     * @param len         bytes, whole pages
     * @param permissions what the device may do: a set of enum virtq_permission
     * @return 0; VIRTQ_ENOMEM: not now, the guest is told "not enough resources"; anything else:
     * the guest's entry is in error. Nothing is pinned on an error. */
    int (*pin)(void *context, uint64_t absolute, uint64_t len, uint32_t permissions);

    /** @brief Lets go of pages that `pin` was called for. Page by page as often as they were
     * pinned, but not necessarily in the same runs. No window leads to them any more; buffers that
     * were popped before may still lie there, virtq_guard_held() says whether there are any.
     * @param context     the config's
     * @param absolute    the guest's address of the first page
     * @param len         bytes, whole pages
     * @param permissions as they were for `pin` */
    void (*unpin)(void *context, uint64_t absolute, uint64_t len, uint32_t permissions);
};

/** @brief The initial value of a struct virtq_zpci_host_config. */
#define VIRTQ_ZPCI_HOST_CONFIG_INIT                                                               \
    {                                                                                             \
        sizeof(struct virtq_zpci_host_config), NULL, NULL, 0, 1, 256, UINT64_MAX, 1u << 22, 0, 0, \
            VIRTQ_ZPCI_LAST, NULL, NULL, NULL                                                     \
    }

/** @brief What the guest is told of a refresh. */
struct virtq_zpci_answer {
    uint32_t condition; /**< An enum virtq_zpci_condition: the condition code. */
    uint32_t status;    /**< An enum virtq_zpci_status. */
    uint32_t event; /**< An enum virtq_zpci_event: with any but NONE the guest gets an error event
                       too, and the function is in its error state. */
    uint32_t reserved_;
    virtq_addr_t addr; /**< Of an event: the device address that it is about. */
};

/** @brief What happened at a host's end. */
struct virtq_zpci_host_usage {
    uint64_t pages;       /**< Pages in the shadow now. */
    uint64_t refreshes;   /**< Refreshes that were done, wholly or in part. */
    uint64_t words;       /**< Words of the guest's that they read. */
    uint64_t shortages;   /**< Of them: answered "not enough resources". */
    uint64_t errors;      /**< Of them: the guest's tables were in error. */
    uint64_t withdrawals; /**< How often queues had to forget their windows. */
};

/** @brief The host's end. The caller owns the memory; the fields are private. */
struct virtq_zpci_host {
    struct virtq_space space;             /**< What queues are given: `&host.space`. */
    struct virtq_space *memory;           /**< The guest's absolute memory. */
    struct virtq_space_listener listener; /**< Hears of what that withdraws. */
    struct virtq_zpci_index index; /**< Which segments the shadow has; changed under `lock`. */
    uint64_t *entries;  /**< 256 for each leaf of the index: absolute address and permissions. */
    uint32_t *used;     /**< Of each leaf: how many entries lead somewhere. */
    uint64_t pages_max; /**< How many pages may be pinned. */
    uint64_t words_max; /**< How many words a refresh may read. */
    virtq_addr_t first; /**< What may be registered ... */
    virtq_addr_t last;  /**< ... inclusive. */
    virtq_addr_t base;  /**< What is registered ... */
    virtq_addr_t limit; /**< ... inclusive. */
    uint64_t origin;    /**< The guest's region table; UINT64_MAX: none is registered. */
    void *context;      /**< For the hooks. */
    int (*pin)(void *context, uint64_t absolute, uint64_t len, uint32_t permissions);
    /**< The config's, or NULL. */
    void (*unpin)(void *context, uint64_t absolute, uint64_t len, uint32_t permissions);
    /**< The config's, or NULL. */
    uint32_t handle;   /**< The function's. */
    uint32_t state;    /**< An enum virtq_zpci_state. */
    uint32_t busy;     /**< 1 while a thread refreshes. */
    uint32_t lock;     /**< 1 while the index changes; never held over a hook. */
    uint32_t sequence; /**< Odd while the index changes; readers compare it. */
    uint32_t reserved_;
    struct virtq_zpci_host_usage usage; /**< What happened; of whoever is `busy`. */
    uint64_t fresh[VIRTQ_ZPCI_PAGES];   /**< Entries as the guest wants them. */
    uint64_t moved[VIRTQ_ZPCI_PAGES];   /**< Entries that go, and then those that come. */
};

/** @brief How much memory a shadow needs: 2 KiB and 8 bytes a segment, 8 KiB a region, 8 KiB.
 * @param regions  struct virtq_zpci_host_config::regions, 1 to 2048
 * @param segments struct virtq_zpci_host_config::segments, 1 to 2^22
 * @return bytes; SIZE_MAX: not so many. Any thread. */
VIRTQ_API size_t virtq_zpci_host_size(uint32_t regions, uint32_t segments);

/** @brief Makes the host's end of a function, enabled and without tables.
 *
 * Sets `device_kind` to VIRTQ_SPACE_CALLED. It has no driver end.
 * @param host   result; owned by the caller, must outlive every queue on it
 * @param config read during the call only
 * @return 0; or VIRTQ_EINVAL (something is missing or too small, only one of `pin` and `unpin`, a
 * range that is inverted, not of whole pages or above #VIRTQ_ZPCI_LAST): `host` is untouched.
 * Before the first queue, and while no queue uses the space below. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_host_init(struct virtq_zpci_host *host,
                                                    const struct virtq_zpci_host_config *config);

/** @brief Unpins everything and lets go of the guest's memory. No queue may be on the space any
 * more.
 * @param host a host's end; no thread uses it */
VIRTQ_API void virtq_zpci_host_destroy(struct virtq_zpci_host *host);

/** @brief The guest registers its tables. Nothing is read before the first refresh.
 * @param host   a host's end
 * @param base   first device address, in the config's range; low 12 bits do not count
 * @param limit  last device address, inclusive, in the config's range; low 12 bits do not count
 * @param anchor the I/O translation anchor: where the region table is, and what it is
 * @return 0; VIRTQ_EINVAL (range), VIRTQ_ENOTSUP (an anchor to other tables than a region table,
 * without translation or with a storage key) or VIRTQ_EBUSY (tables are registered, or a thread
 * refreshes): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_host_register(struct virtq_zpci_host *host,
                                                        virtq_addr_t base, virtq_addr_t limit,
                                                        uint64_t anchor);

/** @brief The guest takes its tables back: the shadow is emptied, as by a refresh.
 * @param host a host's end
 * @return 0, or VIRTQ_EBUSY (a thread refreshes): nothing changed. Any thread that may call
 * virtq_space_invalidated(). */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_host_unregister(struct virtq_zpci_host *host);

/** @brief Puts the function into a state. VIRTQ_ZPCI_DISABLED takes the tables back, and
 * VIRTQ_ZPCI_IN_ERROR empties the shadow: the guest refreshes everything after its recovery.
 * @param host  a host's end
 * @param state an enum virtq_zpci_state
 * @return 0; VIRTQ_EINVAL (no such state) or VIRTQ_EBUSY (a thread refreshes): nothing changed. Any
 * thread that may call virtq_space_invalidated(). */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_zpci_host_set_state(struct virtq_zpci_host *host,
                                                         uint32_t state);

/** @brief What state the function is in.
 * @param host a host's end
 * @return an enum virtq_zpci_state. Any thread. */
VIRTQ_API uint32_t virtq_zpci_host_state(const struct virtq_zpci_host *host);

/** @brief RPCIT: brings a range of the shadow up to date with the guest's tables.
 *
 * The range is rounded to whole pages, and clipped to what is registered. Afterwards, unless the
 * answer is VIRTQ_ZPCI_BUSY, it holds nothing that the tables no longer say; and all of what they
 * say if it is VIRTQ_ZPCI_DONE. While a refresh is under way on another thread it is
 * VIRTQ_ZPCI_BUSY. An error of the tables empties the whole shadow and puts the function into its
 * error state.
 * @param host     a host's end
 * @param function the instruction's first operand: the handle in the upper half
 * @param first    device address where it begins
 * @param len      bytes; 0: nothing is to be done
 * @param answer   result: what the guest is told. Any thread that may call
 * virtq_space_invalidated(): not within a burst. */
VIRTQ_API void virtq_zpci_host_refresh(struct virtq_zpci_host *host, uint64_t function,
                                       virtq_addr_t first, uint64_t len,
                                       struct virtq_zpci_answer *answer);

/** @brief What happened so far.
 * @param host  a host's end
 * @param usage result. Any thread; exact while no other refreshes. */
VIRTQ_API void virtq_zpci_host_read_usage(const struct virtq_zpci_host *host,
                                          struct virtq_zpci_host_usage *usage);

VIRTQ_END_DECLS

#endif
