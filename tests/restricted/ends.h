/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A queue over a restricted pool: the driver end in both tiers, random buffers, and a device
 * that answers what it read.
 */
#ifndef VIRTQ_TESTS_RESTRICTED_ENDS_H
#define VIRTQ_TESTS_RESTRICTED_ENDS_H

#include "fixture.h"
#include "support/random.h"
#include "virtq/inline/driver_setup.h"

enum {
    ENDS_SIZE = 16,     /**< Of the queue. */
    ENDS_BUFFERS = 12,  /**< Outstanding at most. */
    ENDS_SEGMENTS = 6,  /**< Of the largest buffer. */
    ENDS_SEGMENT = 700, /**< Bytes of the largest segment. */
    ENDS_PIECES = 64
};

/** @brief A driver end of either tier. */
union ends_driver {
    struct virtq_driver *library;
    struct virtq_split_driver split;
    struct virtq_packed_driver packed;
};

/** @brief What a driver end is called by. */
struct ends_calls {
    int (*init)(union ends_driver *q, void *memory, size_t size,
                const struct virtq_driver_config *config, struct virtq_area_addresses *addresses);
    int (*add)(union ends_driver *q, const struct virtq_buffer *buffer);
    unsigned (*publish)(union ends_driver *q);
    int (*poll)(union ends_driver *q, struct virtq_completion *done);
    void (*destroy)(union ends_driver *q);
};

static inline int ends_library_init(union ends_driver *q, void *memory, size_t size,
                                    const struct virtq_driver_config *config,
                                    struct virtq_area_addresses *addresses)
{
    int error = virtq_driver_init(memory, size, config, &q->library);

    if (error == 0) {
        virtq_driver_addresses(q->library, addresses);
    }
    return error;
}

static inline int ends_library_add(union ends_driver *q, const struct virtq_buffer *buffer)
{
    return virtq_driver_add(q->library, buffer, 1);
}

static inline unsigned ends_library_publish(union ends_driver *q)
{
    return virtq_driver_publish(q->library);
}

static inline int ends_library_poll(union ends_driver *q, struct virtq_completion *done)
{
    return virtq_driver_poll(q->library, done, 1);
}

static inline void ends_library_destroy(union ends_driver *q)
{
    virtq_driver_destroy(q->library);
}

/* The templates, as a guest compiles them. */
#define ENDS_INLINE(format)                                                                        \
    static inline int ends_##format##_init(union ends_driver *q, void *memory, size_t size,        \
                                           const struct virtq_driver_config *config,               \
                                           struct virtq_area_addresses *addresses)                 \
    {                                                                                              \
        int error = virtq_##format##_driver_init(&q->format, config, memory, size);                \
                                                                                                   \
        if (error == 0) {                                                                          \
            *addresses = q->format.core.addresses;                                                 \
        }                                                                                          \
        return error;                                                                              \
    }                                                                                              \
    static inline int ends_##format##_add(union ends_driver *q, const struct virtq_buffer *buffer) \
    {                                                                                              \
        return virtq_##format##_driver_add(&q->format, VIRTQ_INSTANCE_CALLED, buffer, 1);          \
    }                                                                                              \
    static inline unsigned ends_##format##_publish(union ends_driver *q)                           \
    {                                                                                              \
        return virtq_##format##_driver_publish(&q->format, VIRTQ_INSTANCE_CALLED);                 \
    }                                                                                              \
    static inline int ends_##format##_poll(union ends_driver *q, struct virtq_completion *done)    \
    {                                                                                              \
        return virtq_##format##_driver_poll(&q->format, VIRTQ_INSTANCE_CALLED, done, 1);           \
    }                                                                                              \
    static inline void ends_##format##_destroy(union ends_driver *q)                               \
    {                                                                                              \
        virtq_driver_setup_destroy(&q->format.core, VIRTQ_INSTANCE_CALLED);                        \
    }

ENDS_INLINE(split)
ENDS_INLINE(packed)

static const struct ends_calls ends_library = {ends_library_init, ends_library_add,
                                               ends_library_publish, ends_library_poll,
                                               ends_library_destroy};
static const struct ends_calls ends_split = {ends_split_init, ends_split_add, ends_split_publish,
                                             ends_split_poll, ends_split_destroy};
static const struct ends_calls ends_packed = {
    ends_packed_init, ends_packed_add, ends_packed_publish, ends_packed_poll, ends_packed_destroy};

/** @brief The calls of a tier. */
static inline const struct ends_calls *ends_calls_of(bool packed, bool tier_inline)
{
    return !tier_inline ? &ends_library : packed ? &ends_packed : &ends_split;
}

/** @brief The next byte of an answer to what has this sum. */
static inline unsigned char ends_answer(uint32_t sum, uint32_t at)
{
    return (unsigned char)(((sum + at) * UINT32_C(2654435761)) >> 24);
}

/** @brief A sum over bytes in which each place counts. */
static inline uint32_t ends_sum(uint32_t sum, const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum = (sum ^ bytes[i]) * UINT32_C(16777619);
    }
    return sum;
}

/** @brief The device: takes one buffer, reads all of it, and writes an answer to what it read.
 * @return buffers served, 0 or 1; a negative number for what was not a good buffer */
static inline int ends_serve(struct virtq_device *device)
{
    unsigned char bytes[256];
    struct virtq_chain chain;
    struct virtq_piece pieces[ENDS_PIECES];
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    uint32_t sum = 1;
    uint32_t at = 0;
    size_t count;
    int popped = virtq_device_pop(device, &chain, 1, pieces, ENDS_PIECES);

    if (popped != 1) {
        return popped;
    }
    used = (struct virtq_used_buffer){chain.id, 0};
    if (chain.reason == (uint32_t)VIRTQ_REASON_NONE) {
        reader = virtq_chain_reader(&chain);
        writer = virtq_chain_writer(&chain);
        while ((count = (size_t)virtq_cursor_read(&reader, bytes, sizeof(bytes))) != 0) {
            sum = ends_sum(sum, bytes, count);
        }
        /* Not always all that there is room for. */
        used.len = (uint32_t)chain.writable_bytes - (uint32_t)(chain.writable_bytes / 5);
        while (at < used.len) {
            for (count = 0; count < sizeof(bytes) && at + count < used.len; count++) {
                bytes[count] = ends_answer(sum, at + (uint32_t)count);
            }
            at += (uint32_t)virtq_cursor_write(&writer, bytes, count);
        }
    }
    if (virtq_device_push(device, &used, 1) != 1 || virtq_device_publish(device) != 1) {
        return -100;
    }
    return chain.reason == (uint32_t)VIRTQ_REASON_NONE ? 1 : -(int)chain.reason;
}

/** @brief A buffer on its way. */
struct ends_flight {
    struct virtq_segment segments[ENDS_SEGMENTS];
    unsigned readable;
    unsigned writable;
    uint32_t room; /**< Bytes of the writable part. */
    uint32_t sum;  /**< Of what the device reads. */
    int busy;
    void *held[ENDS_SEGMENTS]; /**< Memory of the pool: one segment each, or NULL. */
    unsigned char memory[ENDS_SEGMENTS][ENDS_SEGMENT]; /**< What is not. */
};

/** @brief Makes a random buffer.
 * @param random  the generator
 * @param flight  result
 * @param driver  whose pool some segments lie in; NULL: none does */
static inline void ends_make(uint64_t *random, struct ends_flight *flight,
                             struct virtq_restricted_driver *driver)
{
    const unsigned count = 1 + (unsigned)random_below(random, ENDS_SEGMENTS);

    flight->readable = (unsigned)random_below(random, count + 1);
    flight->writable = count - flight->readable;
    flight->room = 0;
    flight->sum = 1;
    for (unsigned i = 0; i < count; i++) {
        const uint32_t len = 1 + (uint32_t)random_below(random, ENDS_SEGMENT);
        unsigned char *base = flight->memory[i] + random_below(random, ENDS_SEGMENT - len + 1);

        flight->held[i] = NULL;
        if (driver != NULL && random_below(random, 2) == 0 &&
            virtq_restricted_driver_alloc(driver, len, 0, &flight->held[i]) == 0) {
            base = flight->held[i];
        }
        for (uint32_t at = 0; at < len; at++) {
            base[at] = (unsigned char)random_next(random);
        }
        flight->segments[i] = (struct virtq_segment){.base = base, .len = len};
        if (i < flight->readable) {
            flight->sum = ends_sum(flight->sum, base, len);
        } else {
            flight->room += len;
        }
    }
}

/** @brief The flight as a buffer. */
static inline struct virtq_buffer ends_buffer(struct ends_flight *flight)
{
    return (struct virtq_buffer){.segments = flight->segments,
                                 .cookie = flight,
                                 .readable = (uint16_t)flight->readable,
                                 .writable = (uint16_t)flight->writable};
}

/** @brief Gives back what the buffer has of the pool. */
static inline void ends_drop(struct ends_flight *flight, struct virtq_restricted_driver *driver)
{
    for (unsigned i = 0; i < flight->readable + flight->writable; i++) {
        if (flight->held[i] != NULL) {
            cr_assert_eq(virtq_restricted_driver_free(driver, flight->held[i]), 0);
            flight->held[i] = NULL;
        }
    }
}

/** @brief Whether a buffer came back with the device's answer to what it had read.
 * @return NULL, or what is wrong */
static inline const char *ends_judge(const struct ends_flight *flight, uint32_t len)
{
    uint32_t at = 0;

    if (len != flight->room - flight->room / 5) {
        return "another length than the device wrote";
    }
    for (unsigned i = flight->readable; i < flight->readable + flight->writable; i++) {
        const unsigned char *base = flight->segments[i].base;

        for (uint32_t j = 0; j < flight->segments[i].len && at < len; j++, at++) {
            if (base[j] != ends_answer(flight->sum, at)) {
                return "a byte that the device did not write";
            }
        }
    }
    return NULL;
}

/** @brief Aligned private memory for a queue; free() takes it back. */
static inline void *ends_memory(size_t size)
{
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, (size + VIRTQ_CACHE_LINE - 1) /
                                                       VIRTQ_CACHE_LINE * VIRTQ_CACHE_LINE);

    cr_assert(size != 0 && memory != NULL);
    return memory;
}

/** @brief Both ends of a queue in one program, each with its own mapping of the pool. */
struct ends {
    struct pool pool;
    const struct ends_calls *calls;
    struct virtq_driver_config driver_config;
    struct virtq_device_config device_config;
    union ends_driver driver;
    struct virtq_device *device;
    void *memory[2];
    struct ends_flight flights[ENDS_BUFFERS];
};

/** @brief Makes them. @param e result @param form of the pool @param flags of the driver end
 * @param packed the format @param tables with indirect tables @param tier_inline which tier */
static inline void ends_open(struct ends *e, uint32_t form, uint32_t flags, bool packed,
                             bool tables, bool tier_inline)
{
    struct virtq_area_addresses addresses;
    size_t size;

    pool_open(&e->pool, form, flags);
    e->calls = ends_calls_of(packed, tier_inline);
    e->driver_config = pool_queue(packed, ENDS_SIZE, tables);
    cr_assert_eq(virtq_restricted_driver_place(&e->pool.driver, &e->driver_config), 0);
    size = virtq_driver_size(&e->driver_config);
    e->memory[0] = ends_memory(size);
    cr_assert_eq(e->calls->init(&e->driver, e->memory[0], size, &e->driver_config, &addresses), 0);
    e->device_config = pool_queue_of(&e->driver_config, &addresses);
    cr_assert_eq(virtq_restricted_device_attach(&e->pool.device, &e->device_config), 0);
    size = virtq_device_size(&e->device_config);
    e->memory[1] = ends_memory(size);
    cr_assert_eq(virtq_device_init(e->memory[1], size, &e->device_config, &e->device, NULL), 0);
}

static inline void ends_close(struct ends *e)
{
    e->calls->destroy(&e->driver);
    virtq_restricted_driver_remove(&e->pool.driver, &e->driver_config);
    free(e->memory[0]);
    free(e->memory[1]);
    pool_close(&e->pool);
}

#endif
