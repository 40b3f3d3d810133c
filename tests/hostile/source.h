/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A source of windows that does as it is told: small windows, holes, misses, and lies.
 */
#ifndef VIRTQ_TESTS_HOSTILE_SOURCE_H
#define VIRTQ_TESTS_HOSTILE_SOURCE_H

#include "driver.h"

enum { RUNS = 8 };

/** @brief A run of device addresses with memory behind it. */
struct run {
    uint64_t first;
    uint64_t last;
    unsigned char *base;
    uint32_t permissions;
    bool missing; /**< Not known yet: VIRTQ_EMISS. */
};

/** @brief What a source answers besides the truth. */
enum lie {
    LIE_NONE,
    LIE_BELOW,      /**< A window that ends before the address. */
    LIE_ABOVE,      /**< One that begins behind it. */
    LIE_INVERTED,   /**< One whose last address is before its first. */
    LIE_PERMISSION, /**< One that does not grant the access. */
    LIE_EMPTY       /**< One that grants nothing. */
};

/** @brief The source; a fifth kind of space, as the seam has it. */
struct source {
    struct virtq_space space;
    struct run runs[RUNS];
    unsigned count;
    uint64_t grain; /**< Windows are cut to this many bytes, a power of two; 0: not. */
    enum lie lie;
    int answer;         /**< If not 0, what every question is answered with. */
    bool same;          /**< Every window leads to the base of its run, whatever the address. */
    unsigned questions; /**< How many there were. */
};

static inline void source_lie(const struct source *source, uint64_t addr,
                              struct virtq_window *window)
{
    switch (source->lie) {
    case LIE_BELOW:
        window->first = 0;
        window->last = addr - 1;
        break;
    case LIE_ABOVE:
        window->first = addr + 1;
        window->last = UINT64_MAX;
        break;
    case LIE_INVERTED:
        window->first = addr + 1;
        window->last = addr - 1;
        break;
    case LIE_PERMISSION:
        window->permissions ^= VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
        break;
    case LIE_EMPTY:
        window->permissions = 0;
        break;
    case LIE_NONE:
        break;
    }
}

static inline int source_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                                struct virtq_window *window)
{
    struct source *source = (struct source *)space;

    source->questions++;
    if (source->answer != 0) {
        return source->answer;
    }
    for (unsigned i = 0; i < source->count; i++) {
        const struct run *run = &source->runs[i];
        uint64_t low;

        if (addr < run->first || addr > run->last) {
            continue;
        }
        if (run->missing) {
            return VIRTQ_EMISS;
        }
        if ((run->permissions & permission) == 0) {
            return VIRTQ_EPERM;
        }
        window->first = run->first;
        window->last = run->last;
        window->permissions = run->permissions & permission;
        if (source->grain != 0) {
            low = addr & ~(source->grain - 1);
            window->first = low > run->first ? low : run->first;
            window->last =
                low + (source->grain - 1) < run->last ? low + (source->grain - 1) : run->last;
        }
        window->base = run->base + (source->same ? 0 : window->first - run->first);
        source_lie(source, addr, window);
        return 0;
    }
    return VIRTQ_EFAULT;
}

static const struct virtq_space_ops source_ops = {
    .size = sizeof(source_ops), .name = "source", .window = source_window};

/** @brief Adds a run. */
static inline void source_add(struct source *source, uint64_t first, uint64_t size,
                              unsigned char *base, uint32_t permissions)
{
    cr_assert_lt(source->count, (unsigned)RUNS);
    source->runs[source->count++] =
        (struct run){first, first + (size - 1), base, permissions, false};
}

/** @brief Makes a source the space of a queue that is opened after it, empty at first. */
static inline void source_init(struct source *source, struct hostile *h)
{
    memset(source, 0, sizeof(*source));
    source->space.ops = &source_ops;
    if (h->guest.at == NULL) {
        hostile_grant(h, VIRTQ_PERMISSION_READ);
    }
    h->config.space = &source->space;
}

/** @brief The same with all of the guest's memory at GUEST, readable and writable. */
static inline void source_whole(struct source *source, struct hostile *h)
{
    source_init(source, h);
    source_add(source, GUEST, GUEST_SIZE, h->guest.view,
               VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE);
}

/** @brief Pops a chain and checks where its `count` pieces lie, as offsets into guest memory. */
static inline void expect_pieces(struct hostile *h, const size_t *offsets, const uint32_t *lens,
                                 unsigned count)
{
    cr_assert_eq(hostile_pop(h), 1);
    cr_assert_eq(h->chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert_eq(h->chain.readable + h->chain.writable, count);
    for (unsigned i = 0; i < count; i++) {
        cr_assert(h->chain.pieces[i].base == h->guest.view + offsets[i]);
        cr_assert_eq(h->chain.pieces[i].len, lens[i]);
    }
    hostile_return(h, 0);
}

/** @brief The next pop misses exactly this, and nothing was consumed. */
static inline void expect_miss(struct hostile *h, uint64_t addr, uint64_t len, uint32_t permission)
{
    struct virtq_miss miss;
    uint32_t outstanding = virtq_device_outstanding(h->device);

    for (unsigned i = 0; i < 3; i++) {
        memset(&miss, 0xee, sizeof(miss));
        cr_assert_eq(hostile_pop(h), VIRTQ_EMISS);
        virtq_device_miss(h->device, &miss);
        cr_assert_eq(miss.addr, addr);
        cr_assert_eq(miss.len, len);
        cr_assert_eq(miss.permissions, permission);
        cr_assert_eq(virtq_device_outstanding(h->device), outstanding);
    }
    cr_assert_eq(hostile_fault(h).reason, (uint32_t)VIRTQ_REASON_NONE);
}

#endif
