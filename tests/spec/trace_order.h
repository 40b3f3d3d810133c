/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Records the order of every access to shared memory and of every barrier, as the templates
 * ask for them; to be included before anything of the library.
 *
 * What is recorded is the program: which accesses, of which ordering, with which barriers between.
 * Whether a processor keeps that order is for the stress tests to show.
 */
#ifndef VIRTQ_TESTS_SPEC_TRACE_ORDER_H
#define VIRTQ_TESTS_SPEC_TRACE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { ORDER_MAX = 1024, ORDER_RING = 8192 };

/** @brief One access or barrier. */
struct order_event {
    const unsigned char *at; /**< NULL: a barrier. */
    unsigned width;          /**< Bytes; 0: a barrier. */
    char kind;     /**< 'L' load, 'S' store, 'A' acquire, 'R' release; 'w', 'r', 'f' barriers. */
    bool platform; /**< Of a barrier: of the strength that devices need. */
};

static struct order_event order_log[ORDER_MAX];
static unsigned order_count;
/** @brief Called before each access and barrier, if set; what it does itself is not recorded. */
static void (*order_hook)(const struct order_event *event);
static bool order_inside;
/** @brief The ring, and a copy of it as it was just before the latest release store. */
static const unsigned char *order_ring;
static size_t order_ring_size;
static unsigned char order_frozen[ORDER_RING];

static void order_record(struct order_event event)
{
    if (order_inside) {
        return;
    }
    if (order_hook != NULL) {
        order_inside = true;
        order_hook(&event);
        order_inside = false;
    }
    if (event.kind == 'R' && order_ring != NULL) {
        memcpy(order_frozen, order_ring, order_ring_size);
    }
    if (order_count < ORDER_MAX) {
        order_log[order_count++] = event;
    }
}

/* `access` is an enum virtq_access, whose values are pinned by its header. */
static void order_access(const void *at, size_t width, unsigned access)
{
    order_record((struct order_event){(const unsigned char *)at, (unsigned)width,
                                      "LSAR"[access & 3], false});
}

static void order_barrier(char kind, bool platform)
{
    order_record((struct order_event){NULL, 0, kind, platform});
}

#define VIRTQ_SHM_TRACE(pointer, width, access) order_access((pointer), (width), (unsigned)(access))
/* Stands in functions whose argument `how` is the instance. */
#define VIRTQ_BARRIER_TRACE(kind) order_barrier((kind), (how & VIRTQ_INSTANCE_PLATFORM) != 0u)

#include "support/runner.h"
#include "virtq/inline/device_setup.h"
#include "virtq/inline/driver_state.h"
#include "virtq/virtq.h"

VIRTQ_STATIC_ASSERT(VIRTQ_ACCESS_LOAD == 0 && VIRTQ_ACCESS_STORE == 1 &&
                        VIRTQ_ACCESS_ACQUIRE == 2 && VIRTQ_ACCESS_RELEASE == 3,
                    "kinds are looked up by these values");

/** @brief What an access is to; a set of them. */
enum order_place {
    ORDER_NOWHERE = 1,     /**< No part of the queue. */
    ORDER_BARRIER = 2,     /**< Not an access. */
    ORDER_TABLE = 4,       /**< An indirect table. */
    ORDER_DESC = 8,        /**< A descriptor; packed: its address, length or id. */
    ORDER_DESC_FLAGS = 16, /**< Packed: a descriptor's flags. */
    ORDER_AVAIL_FLAGS = 32,
    ORDER_AVAIL_IDX = 64,
    ORDER_AVAIL_SLOT = 128,
    ORDER_USED_EVENT = 256,
    ORDER_USED_FLAGS = 512,
    ORDER_USED_IDX = 1024,
    ORDER_USED_ELEMENT = 2048,
    ORDER_AVAIL_EVENT = 4096,
    ORDER_DRIVER_EVENT = 8192, /**< Packed: driver event suppression. */
    ORDER_DEVICE_EVENT = 16384 /**< Packed: device event suppression. */
};

/** @brief Where the parts of the queue under test lie. */
static struct {
    struct virtq_areas areas;
    const unsigned char *tables;
    size_t tables_size;
    uint32_t size;
    bool packed;
} order_queue;

static inline bool order_within(const unsigned char *at, const void *area, size_t bytes,
                                size_t *offset)
{
    *offset = (size_t)((uintptr_t)at - (uintptr_t)area);
    return *offset < bytes;
}

static inline unsigned order_place_split(const unsigned char *at, unsigned *index)
{
    const size_t size = order_queue.size;
    size_t offset;

    if (order_within(at, order_queue.areas.descriptor, size * 16, &offset)) {
        *index = (unsigned)(offset / 16);
        return ORDER_DESC;
    }
    if (order_within(at, order_queue.areas.driver, size * 2 + 6, &offset)) {
        if (offset < 4) {
            return offset < 2 ? ORDER_AVAIL_FLAGS : ORDER_AVAIL_IDX;
        }
        *index = (unsigned)((offset - 4) / 2);
        return *index < size ? ORDER_AVAIL_SLOT : ORDER_USED_EVENT;
    }
    if (order_within(at, order_queue.areas.device, size * 8 + 6, &offset)) {
        if (offset < 4) {
            return offset < 2 ? ORDER_USED_FLAGS : ORDER_USED_IDX;
        }
        *index = (unsigned)((offset - 4) / 8);
        return *index < size ? ORDER_USED_ELEMENT : ORDER_AVAIL_EVENT;
    }
    return ORDER_NOWHERE;
}

static inline unsigned order_place_packed(const unsigned char *at, unsigned *index)
{
    size_t offset;

    if (order_within(at, order_queue.areas.descriptor, (size_t)order_queue.size * 16, &offset)) {
        *index = (unsigned)(offset / 16);
        return offset % 16 < 14 ? ORDER_DESC : ORDER_DESC_FLAGS;
    }
    if (order_within(at, order_queue.areas.driver, 4, &offset)) {
        return ORDER_DRIVER_EVENT;
    }
    return order_within(at, order_queue.areas.device, 4, &offset) ? ORDER_DEVICE_EVENT
                                                                  : ORDER_NOWHERE;
}

/** @brief What a recorded access is to. @param which its number @param index result: which
 * descriptor, slot or element */
static inline unsigned order_place(unsigned which, unsigned *index)
{
    const unsigned char *at = order_log[which].at;
    size_t offset;

    *index = 0;
    if (at == NULL) {
        return ORDER_BARRIER;
    }
    if (order_within(at, order_queue.tables, order_queue.tables_size, &offset)) {
        return ORDER_TABLE;
    }
    return order_queue.packed ? order_place_packed(at, index) : order_place_split(at, index);
}

/** @brief Whether an event is one of some kinds, to one of some places. @param which its number
 * @param kinds letters @param places a set of enum order_place */
static inline bool order_is(unsigned which, const char *kinds, unsigned places)
{
    unsigned index;

    return which < order_count && strchr(kinds, order_log[which].kind) != NULL &&
           (order_place(which, &index) & places) != 0;
}

/** @brief The first such event from `from` on; #order_count if there is none. */
static inline unsigned order_next(unsigned from, const char *kinds, unsigned places)
{
    while (from < order_count && !order_is(from, kinds, places)) {
        from++;
    }
    return from;
}

/** @brief The last such event; #order_count if there is none. */
static inline unsigned order_last(const char *kinds, unsigned places)
{
    for (unsigned i = order_count; i-- > 0;) {
        if (order_is(i, kinds, places)) {
            return i;
        }
    }
    return order_count;
}

/** @brief How many such events there are. */
static inline unsigned order_number(const char *kinds, unsigned places)
{
    unsigned number = 0;

    for (unsigned i = 0; i < order_count; i++) {
        number += order_is(i, kinds, places);
    }
    return number;
}

/** @brief The next barrier of one kind. */
static inline unsigned order_fence(unsigned from, const char *kind)
{
    return order_next(from, kind, ORDER_BARRIER);
}

/** @brief Which descriptor, slot or element an event is about. */
static inline unsigned order_index(unsigned which)
{
    unsigned index;

    (void)order_place(which, &index);
    return index;
}

static inline void order_begin(void)
{
    order_count = 0;
}

/** @brief Nothing was cut off, nothing was touched outside the queue, and each access is aligned to
 * its own width, so that no other thread can see half of it. */
static inline void order_check_sane(void)
{
    cr_assert_lt(order_count, (unsigned)ORDER_MAX);
    cr_assert_eq(order_number("LASR", ORDER_NOWHERE), 0u);
    for (unsigned i = 0; i < order_count; i++) {
        cr_assert(order_log[i].at == NULL || (uintptr_t)order_log[i].at % order_log[i].width == 0);
    }
}

/** @brief The store that shows things to the peer: there is one, it is a release store of 16 bits,
 * a write barrier stands directly before it, and nothing of the ring changes once it is done.
 * @param places where it goes
 * @return its number */
static inline unsigned order_check_release(unsigned places)
{
    const unsigned shown = order_last("SR", places);
    size_t offset;

    cr_assert_eq(order_number("R", ~0u), 1u);
    cr_assert(order_is(shown, "R", places), "the last store to it is a release store");
    cr_assert_eq(order_log[shown].width, 2u);
    cr_assert(shown > 0 && order_is(shown - 1, "w", ORDER_BARRIER));
    offset = (size_t)(order_log[shown].at - order_ring);
    for (size_t i = 0; i < order_ring_size; i++) {
        cr_assert(i == offset || i == offset + 1 || order_frozen[i] == order_ring[i],
                  "byte %zu changed later than the release", i);
    }
    return shown;
}

/** @brief A full barrier stands between a store and the one load that decides whether the peer is
 * woken, and that load is not done earlier too. @param store its number @param places what is
 * loaded @param width in one access of so many bytes */
static inline void order_check_store_load(unsigned store, unsigned places, unsigned width)
{
    const unsigned load = order_next(0, "LA", places);

    cr_assert_eq(order_number("LA", places), 1u, "loaded once");
    cr_assert_lt(store, order_fence(store, "f"));
    cr_assert_lt(order_fence(store, "f"), load, "the full barrier comes first");
    cr_assert_lt(load, order_count);
    cr_assert_eq(order_log[load].width, width);
}

#endif
