/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A world: one queue between a driver and a device in guarded memory, each of them ours (of
 * either tier) or the reference, in any format and on any space.
 *
 * A test drives it through two small tables of operations and need not know what is behind them.
 * Everything runs in one thread, and only one world is open at a time.
 */
#ifndef VIRTQ_TESTS_WORLD_H
#define VIRTQ_TESTS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reference.h"
#include "virtq/inline/device_setup.h"
#include "virtq/inline/driver_state.h"
#include "virtq/virtq.h"

enum {
    WORLD_SEGMENTS = 8, /**< Of the largest buffer. */
    WORLD_RUNS = 32,    /**< Of the largest buffer, when a space cuts segments. */
    WORLD_BATCH = 8     /**< Most buffers of one pop or poll. */
};

/* ---- Spaces ---- */

struct world_space;

/** @brief A space as worlds use it. One table for each kind. */
struct world_space_kind {
    const char *name;
    bool premapped;   /**< Segments and pieces hold device addresses. */
    bool copies;      /**< What is read is copied in, what was written out. */
    uint32_t granule; /**< Segments are cut at its multiples; 0: never. */

    /** @brief Opens both ends: `ring` bytes for rings and tables, `data` bytes of payload in
     * `buffers` buffers at most. */
    bool (*open)(struct world_space *space, size_t ring, size_t data, unsigned buffers);
    void (*close)(struct world_space *space);
    /** @brief Memory that the device can reach, for rings and tables or for payload. NULL: any
     * memory will do. */
    void *(*alloc)(struct world_space *space, size_t bytes, size_t align, bool payload);
    void (*free)(struct world_space *space, void *base);
    bool data_inside; /**< Payload, too, has to come from `alloc`. */
    /** @brief Makes a miss good. NULL: there are none. */
    int (*resolve)(struct world_space *space, const struct virtq_miss *miss);
    /** @brief NULL, or which of the seam's laws was broken. `idle`: nothing is mapped or shared. */
    const char *(*judge)(struct world_space *space, bool idle);
};

/** @brief An open space. */
struct world_space {
    const struct world_space_kind *kind;
    struct virtq_space *driver; /**< What the driver's queue is given. */
    struct virtq_space *device; /**< What the device's queue is given. */
    void *own;                  /**< The kind's. */
};

extern const struct world_space_kind world_direct;
extern const struct world_space_kind world_regions;
extern const struct world_space_kind world_premapped;
extern const struct world_space_kind world_bar;
extern const struct world_space_kind world_swiotlb;
extern const struct world_space_kind world_iommu;

/* ---- Configuration ---- */

enum world_pairing {
    WORLD_OURS,             /**< Ours and ours. */
    WORLD_REFERENCE_DEVICE, /**< Our driver, the reference's device. */
    WORLD_REFERENCE_DRIVER, /**< The reference's driver, our device. */
    WORLD_REFERENCES        /**< To judge the tests themselves. */
};

/** @brief How a world is to be; zero is a sane value of all but `space` and `size`. */
struct world_config {
    const struct world_space_kind *space;
    enum world_pairing pairing;
    bool inlined; /**< Our ends are the inline tier; else the library. */
    bool packed;
    bool event_idx;
    bool indirect;
    bool in_order;
    bool big_endian;     /**< Legacy split queue. */
    bool order_platform; /**< Device-strength barriers. */
    uint32_t size;
    uint32_t start; /**< As reference_config::start. */
    size_t data;    /**< Bytes of payload memory. */
};

/* ---- Operations ---- */

struct world;

/** @brief A buffer to add: where its segments lie in `world->data`. */
struct world_buffer {
    struct world_span {
        uint32_t at;
        uint32_t len;
    } spans[WORLD_SEGMENTS];
    uint16_t readable;
    uint16_t writable;
    bool direct; /**< Ring descriptors even where a table could be used. */
    uint64_t cookie;
};

struct world_done {
    uint64_t cookie;
    uint32_t len;
};

/** @brief A buffer that the device has; the memory is the caller's. */
struct world_chain {
    struct virtq_chain ours;
    struct virtq_piece pieces[WORLD_RUNS];
    struct reference_chain reference;
    uint64_t readable; /**< Bytes. */
    uint64_t writable; /**< Bytes. */
};

/** @brief What can be done with a driver. A result below zero is an enum virtq_error. */
struct world_driver_ops {
    /** @brief 1, or VIRTQ_EFULL, VIRTQ_ENOMEM, ... */
    int (*add)(struct world *world, const struct world_buffer *buffer);
    void (*publish)(struct world *world);
    bool (*should_notify)(struct world *world);
    int (*poll)(struct world *world, struct world_done *done, unsigned count);
    /** @brief Asks to be woken after so many more. True: poll again. */
    bool (*enable)(struct world *world, unsigned after);
    void (*disable)(struct world *world);
    /** @brief NULL, or what is amiss in the books of an end that got `total` buffers back. */
    const char *(*judge)(struct world *world, uint64_t total);
    void (*close)(struct world *world);
};

/** @brief What can be done with a device. */
struct world_device_ops {
    bool reorders; /**< May push in any order, IN_ORDER or not. */
    /** @brief Takes up to `count` buffers. */
    int (*pop)(struct world *world, struct world_chain *const *chains, unsigned count);
    /** @brief Puts back what the latest pop gave, or the last ones of it. 0 or an error. */
    int (*unpop)(struct world *world, struct world_chain *const *chains, unsigned count);
    size_t (*read)(struct world *world, const struct world_chain *chain, uint64_t at, void *to,
                   size_t len);
    size_t (*write)(struct world *world, const struct world_chain *chain, uint64_t at,
                    const void *from, size_t len);
    /** @brief 1 or an error. */
    int (*push)(struct world *world, const struct world_chain *chain, uint32_t written);
    /** @brief 0 or an error. */
    int (*publish)(struct world *world);
    /** @brief 1: notify, 0: do not, or an error. */
    int (*should_notify)(struct world *world);
    /** @brief True: pop again. */
    bool (*enable)(struct world *world);
    void (*disable)(struct world *world);
    const char *(*judge)(struct world *world, uint64_t total);
    void (*close)(struct world *world);
};

/* ---- Ends ---- */

struct world_driver_calls;
struct world_device_calls;

/** @brief What our ends answered, to be compared with what they counted. */
struct world_answers {
    uint64_t notify; /**< Tests for a notification: yes, ... */
    uint64_t silent; /**< ... and no. */
    uint64_t full;
    uint64_t memory;
    uint64_t miss;
};

/** @brief Our driver, of either tier. */
struct world_our_driver {
    const struct world_driver_calls *calls;
    struct world_answers answers;
    void *memory;
    union {
        struct virtq_split_driver split;
        struct virtq_packed_driver packed;
        struct virtq_driver *library;
    } queue;
};

/** @brief Our device, of either tier. */
struct world_our_device {
    const struct world_device_calls *calls;
    struct world_answers answers;
    void *memory;
    union {
        struct virtq_split_device split;
        struct virtq_packed_device packed;
        struct virtq_device *library;
    } queue;
};

/** @brief The reference's driver maps for itself, and keeps what the space wants remembered. */
struct world_reference_driver {
    struct reference_driver end;
    unsigned char *records;
    uint64_t *cookies;
    uint16_t *unused;
    unsigned unused_count;
    size_t record_size;
    virtq_addr_t tables;
};

/** @brief Used buffers that the reference's device has not published yet. */
struct world_reference_device {
    struct reference_device end;
    struct reference_chain *pending;
    uint32_t *written;
    unsigned count;
    uint64_t published;
    bool writing; /**< Memory is wanted for writing, else for reading. */
};

/** @brief Calls of the seam, counted between the queue and the space. */
struct world_ledger {
    uint64_t maps;
    uint64_t unmaps;
    uint64_t shares;
    uint64_t unshares;
    uint64_t windows;
    uint64_t misses;
    uint64_t refusals; /**< Answers below 0 that are no miss and no shortage. */
};

/** @brief An area of the ring, or the tables. */
struct world_area {
    unsigned char *base;
    size_t size;
    bool guarded; /**< From guarded_alloc(); else from the space. */
};

enum { WORLD_DESCRIPTOR, WORLD_DRIVER, WORLD_DEVICE, WORLD_TABLES, WORLD_DATA, WORLD_AREAS };

struct world {
    struct world_config config;
    struct world_space space;
    const struct virtq_space_ops *real[2]; /**< The spaces' own tables: driver's, device's. */
    struct virtq_space_ops counted[2];
    struct world_ledger ledger;
    const struct world_driver_ops *driver;
    const struct world_device_ops *device;
    struct world_area areas[WORLD_AREAS];
    struct virtq_area_addresses addresses;
    unsigned char *data;    /**< Payload memory: the WORLD_DATA area. */
    virtq_addr_t data_addr; /**< Its device address, if premapped. */
    uint64_t features;
    uint64_t bytes_copied; /**< What a copying space must have copied. */
    struct world_our_driver our_driver;
    struct world_our_device our_device;
    struct world_reference_driver reference_driver;
    struct world_reference_device reference_device;
    char name[160];
    char trouble[160];
};

/** @brief Opens a world; the test fails if it cannot be.
 * @param world  result; not to be moved
 * @param config how it is to be */
void world_open(struct world *world, const struct world_config *config);

/** @brief Closes it. @return NULL, or what was out of balance: an outstanding buffer, a mapping
 * without an unmapping, an access outside windows */
const char *world_close(struct world *world);

/** @brief Ring descriptors that a buffer takes, at most, when no table is used. */
unsigned world_runs(const struct world *world, const struct world_buffer *buffer);

#endif
