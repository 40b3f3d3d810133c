/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file reference.h
 * The reference ring: both ends of both virtqueue formats, written from the prose and the
 * pseudo-code of virtio 1.4 ("Split Virtqueues", "Packed Virtqueues") and from nothing else.
 *
 * It is an oracle, so it shares no code and no header with the library, prefers the slow and
 * obvious way everywhere, and is strict about its peer: whatever the specification forbids the
 * other end is a violation, kept as a text in `violation`, after which every call of that end
 * fails. It trusts its own caller no further: a misuse that would make the reference itself break
 * the rules aborts.
 *
 * Every word by which one end signals the other (indices, flags, event words) is one sequentially
 * consistent access of its whole width, so the two ends may run in one thread or in two. All else
 * is read and written byte by byte, in the byte order that the queue has.
 */
#ifndef TESTS_SUPPORT_REFERENCE_H
#define TESTS_SUPPORT_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reference_format { REFERENCE_SPLIT, REFERENCE_PACKED };

/** How device addresses and CPU pointers belong together. */
struct reference_memory {
    /** CPU memory of [address, address + length), or NULL when the device may not touch it. */
    void *(*at)(void *ctx, uint64_t address, uint32_t length);
    uint64_t (*address_of)(void *ctx, const void *pointer);
    void *ctx;
};

/** One queue, described alike for both ends; zero is a sane value of all that is optional. */
struct reference_config {
    enum reference_format format;
    uint32_t size;
    void *descriptor_area;
    void *driver_area;
    void *device_area;
    struct reference_memory memory;
    bool event_idx;
    bool in_order;
    /** VIRTIO_F_INDIRECT_DESC was not negotiated: the device treats a table as a violation. */
    bool no_indirect;
    /** Legacy queue of a big-endian guest (split only). */
    bool big_endian;
    /** The driver sets WRITE in descriptors of tables, which the device must ignore. */
    bool write_on_indirect;
    /**
     * How far the queue has already run. Split: the value of both indices. Packed: the descriptors
     * passed so far, so `i` is offset i with wrap counter 1 and `size + i` the same with 0.
     */
    uint32_t start;
    /** Most elements of a buffer; 0 means the queue size, which is what the prose allows. */
    uint32_t longest_chain;
    /**
     * Where the driver puts its indirect tables: `size` of them, `table_entries` descriptors each,
     * at any alignment. NULL: each table is allocated, exactly as long as it has to be.
     */
    void *tables;
    uint32_t table_entries;
};

/** One element of a buffer, as a descriptor says it. */
struct reference_segment {
    uint64_t address;
    uint32_t length;
    bool writable;
};

/** A place in a packed ring: an offset and the wrap counter with which it is visited. */
struct reference_position {
    uint16_t index;
    bool wrap;
};

/* ---- Layout ---- */

struct reference_area {
    uint64_t offset;
    uint64_t size;
    uint64_t alignment;
};

/** The three areas one after another in one block of memory. */
struct reference_layout {
    struct reference_area descriptor;
    struct reference_area driver;
    struct reference_area device;
    uint64_t total;
};

struct reference_layout reference_split_layout(uint32_t size);
struct reference_layout reference_packed_layout(uint32_t size);
/** @p align is Queue Align in bytes (4096), a power of two. */
struct reference_layout reference_legacy_layout(uint32_t size, uint32_t align);

/* ---- Event arithmetic ---- */

/** The place after @p position in a ring of @p size. */
struct reference_position reference_position_next(struct reference_position position,
                                                  uint32_t size);
struct reference_position reference_position_advance(struct reference_position position,
                                                     uint32_t size, uint32_t count);
/** The place at which a ring of @p size stands after @p passed descriptors since its birth. */
struct reference_position reference_position_start(uint32_t size, uint32_t passed);

/**
 * Whether an entry with the armed index is among those written at old_index .. new_index - 1. Equal
 * indices mean that nothing was written.
 */
bool reference_split_event(uint16_t event, uint16_t old_index, uint16_t new_index);

/**
 * Whether the armed descriptor is among the @p count ones from @p old on. @p off_wrap is the `desc`
 * word of the event suppression structure. An offset outside the ring names no descriptor; the
 * prose leaves that open and a spurious notification is always legal, so it counts as armed.
 */
bool reference_packed_event(uint16_t off_wrap, uint32_t size, struct reference_position old,
                            uint32_t count);

/* ---- Driver end ---- */

/** What the driver remembers of a buffer, by head (split) or buffer id (packed). */
struct reference_buffer {
    bool outstanding;
    unsigned long token;
    uint64_t writable;
    uint32_t descriptors;
    void *own_table;
};

struct reference_driver {
    struct reference_config config;
    const char *violation;
    struct reference_buffer *buffers;
    uint32_t free_descriptors;
    /* A stack of what can be handed out: table slots (split) or buffer ids (packed). */
    uint16_t *unused;
    uint32_t unused_count;
    /* Outstanding heads or ids, oldest first; kept for IN_ORDER only. */
    uint16_t *order;
    uint32_t oldest;
    uint32_t outstanding;
    /* The rest of a batch that one used element announced. */
    uint32_t batch_left;
    uint32_t batch_length;
    /* Entries (split) or descriptors (packed) made available since the last test. */
    uint32_t since_test;
    /* Split only. */
    uint16_t avail_idx;
    uint16_t used_idx;
    uint16_t tested_idx;
    uint16_t next_slot;
    uint16_t *link;
    unsigned char *table_copy;
    /* Packed only. */
    struct reference_position next_avail;
    struct reference_position next_used;
    struct reference_position tested;
};

/**
 * Sets up the driver end and writes the initial state into all three areas, those of a queue that
 * has run to `start` and is empty. Initialise the device end after it. False: illegal
 * configuration.
 */
bool reference_driver_init(struct reference_driver *driver, const struct reference_config *config);
void reference_driver_free(struct reference_driver *driver);

/**
 * Makes one buffer available at once: @p readable elements, then @p writable ones (the `writable`
 * members are ignored). False: no room, or a buffer that a driver must not make.
 */
bool reference_driver_add(struct reference_driver *driver, const struct reference_segment *segments,
                          unsigned readable, unsigned writable, unsigned long token, bool indirect);
/** The same with the first @p direct elements in the ring and the rest in a table (split). */
bool reference_driver_add_mixed(struct reference_driver *driver,
                                const struct reference_segment *segments, unsigned readable,
                                unsigned writable, unsigned long token, unsigned direct);
/** 1: a used buffer, 0: none, -1: the device broke a rule. Buffers of a batch come one by one. */
int reference_driver_poll(struct reference_driver *driver, unsigned long *token, uint32_t *length);
/** Whether the device must be notified of what was added since the last call. */
bool reference_driver_should_notify(struct reference_driver *driver);
/** The 32-bit word of a notification with VIRTIO_F_NOTIFICATION_DATA. */
uint32_t reference_driver_notification_data(const struct reference_driver *driver, uint16_t queue);
/** True: used buffers are waiting already, poll again before sleeping. */
bool reference_driver_enable_used_notifications(struct reference_driver *driver);
void reference_driver_disable_used_notifications(struct reference_driver *driver);
/**
 * Asks for a notification when @p n more buffers (1 .. size) are used: with EVENT_IDX on split
 * exactly then, on packed at the latest then, for a used buffer skips one descriptor at least;
 * without EVENT_IDX after the first. True: it may have happened already, poll before sleeping.
 */
bool reference_driver_set_event(struct reference_driver *driver, unsigned n);

/* ---- Device end ---- */

/** A popped buffer; grows as needed and may be used again for the next one. */
struct reference_chain {
    struct reference_segment *segments;
    unsigned count;
    unsigned capacity;
    /** Head (split) or buffer id (packed). */
    uint16_t id;
    /** Descriptors of the ring that it occupies. */
    uint32_t descriptors;
    uint64_t readable;
    uint64_t writable;
};

void reference_chain_free(struct reference_chain *chain);
/** Copies bytes from the device-readable elements; gives how many there were. */
size_t reference_chain_read(const struct reference_chain *chain,
                            const struct reference_memory *memory, uint64_t offset, void *to,
                            size_t length);
/** Copies bytes to the device-writable elements; gives how many fitted. */
size_t reference_chain_write(const struct reference_chain *chain,
                             const struct reference_memory *memory, uint64_t offset,
                             const void *from, size_t length);

struct reference_device {
    struct reference_config config;
    const char *violation;
    /* By table slot (split) or buffer id (packed): the device holds it. */
    bool *busy;
    uint32_t busy_descriptors;
    /* Popped heads or ids, oldest first; kept for IN_ORDER only. */
    uint16_t *order;
    uint32_t oldest;
    uint32_t outstanding;
    uint32_t since_test;
    /* Split only. */
    uint16_t avail_idx;
    uint16_t used_idx;
    uint16_t tested_idx;
    uint16_t *link;
    /* The slot IN_ORDER demands for the next head; not known on a queue that ran before. */
    bool slot_known;
    uint16_t expected_slot;
    /* Packed only. */
    struct reference_position next_avail;
    struct reference_position next_used;
    struct reference_position tested;
};

bool reference_device_init(struct reference_device *device, const struct reference_config *config);
void reference_device_free(struct reference_device *device);

/** 1: a buffer, 0: none, -1: the driver broke a rule. */
int reference_device_pop(struct reference_device *device, struct reference_chain *chain);
void reference_device_push(struct reference_device *device, const struct reference_chain *chain,
                           uint32_t written);
/** Several used elements that the driver sees at once ("Multi-buffer requests"). */
void reference_device_push_all(struct reference_device *device,
                               const struct reference_chain *chains, const uint32_t *written,
                               unsigned n);
/**
 * IN_ORDER: one used element for the @p n oldest buffers. All but the last must have been used
 * completely, for so the driver will take them.
 */
void reference_device_push_batch(struct reference_device *device,
                                 const struct reference_chain *chains, unsigned n,
                                 uint32_t last_written);
/** Whether the driver must be notified of what was pushed since the last call. */
bool reference_device_should_notify(struct reference_device *device);
/** True: buffers are waiting already, pop again before sleeping. */
bool reference_device_enable_available_notifications(struct reference_device *device);
void reference_device_disable_available_notifications(struct reference_device *device);
/** As reference_driver_set_event(), for buffers made available. */
bool reference_device_set_event(struct reference_device *device, unsigned n);

#endif
