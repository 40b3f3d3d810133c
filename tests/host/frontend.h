/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A front-end of the tests: it speaks the protocol word for word, has a guest in a memfd of
 * two regions, and drives rings of a back-end that gives back each buffer's bytes inverted.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_H
#define VIRTQ_TESTS_HOST_FRONTEND_H

#include "frontend_connection.h"

static inline struct virtq_vhost_user_region frontend_region(unsigned i)
{
    struct virtq_vhost_user_region region = {frontend_guest[i], FRONTEND_REGION, frontend_user[i],
                                             (uint64_t)i * FRONTEND_REGION};

    return region;
}

/* Features of both kinds, and the memory table. */
static inline void frontend_greet(struct frontend *f, uint64_t features)
{
    struct virtq_vhost_user_memory memory = {.count = 2};
    int fds[2] = {f->file, f->file};
    uint64_t protocol;

    cr_assert_eq(frontend_ask(f, VHOST_USER_GET_FEATURES) & ~VIRTQ_FEATURE(VHOST_F_LOG_ALL),
                 FRONTEND_OFFERED | FRONTEND_PROTOCOL | f->more);
    protocol = frontend_ask(f, VHOST_USER_GET_PROTOCOL_FEATURES);
    frontend_put(f, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0), 0);
    cr_assert_eq(frontend_try_number(f, VHOST_USER_SET_FEATURES, features), 0);
    memory.regions[0] = frontend_region(1);
    memory.regions[1] = frontend_region(0);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 2 * 32, fds, 2), 0);
}

/* Where a ring lies in the guest's memory. */
static inline size_t frontend_ring_at(unsigned index)
{
    return 0x1000 + (size_t)index * 0x10000;
}

static inline struct virtq_vhost_user_addr frontend_addr(struct frontend *f, unsigned index)
{
    const uint64_t base = f->ring_base + frontend_ring_at(index);
    struct virtq_vhost_user_addr addr = {0};

    addr.index = index;
    addr.descriptor = base + f->layout.descriptor.offset;
    addr.available = base + f->layout.driver.offset;
    addr.used = base + f->layout.device.offset;
    return addr;
}

/* All that a ring needs but its kick. */
static inline void frontend_describe(struct frontend *f, unsigned index, uint32_t size,
                                     uint32_t base)
{
    struct virtq_vhost_user_addr addr = frontend_addr(f, index);
    uint64_t number = index;

    cr_assert_eq(frontend_try_state(f, VHOST_USER_SET_VRING_NUM, index, size), 0);
    cr_assert_eq(frontend_try_state(f, VHOST_USER_SET_VRING_BASE, index, base), 0);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0), 0);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_VRING_CALL, &number, 8, &f->call[index], 1), 0);
}

static inline int frontend_kick_message(struct frontend *f, unsigned index)
{
    uint64_t number = index;

    return frontend_try(f, VHOST_USER_SET_VRING_KICK, &number, 8, &f->kick[index], 1);
}

/* A new driver on a ring of zeros, and the ring started. */
static inline void frontend_start(struct frontend *f, unsigned index, uint64_t features,
                                  uint32_t size)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    const bool packed = virtq_feature_has(features, VIRTIO_F_RING_PACKED) != 0;

    config.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = size;
    config.features = features & ~FRONTEND_PROTOCOL;
    config.segments_max = 4;
    config.space = &f->space.space;
    cr_assert_eq(virtq_layout_init((enum virtq_format)config.format, size, &f->layout), 0);
    memset(f->guest + frontend_ring_at(index), 0, (size_t)f->layout.size);
    virtq_layout_areas(&f->layout, f->guest + frontend_ring_at(index), &config.areas);
    free(f->driver_memory[index]);
    f->driver_memory[index] = aligned_alloc(VIRTQ_CACHE_LINE, virtq_driver_size(&config));
    cr_assert(f->driver_memory[index] != NULL);
    cr_assert_eq(virtq_driver_init(f->driver_memory[index], virtq_driver_size(&config), &config,
                                   &f->driver[index]),
                 0);
    frontend_describe(f, index, size, packed ? 0x80008000u : 0);
    cr_assert_eq(frontend_kick_message(f, index), 0, "%s",
                 virtq_vhost_user_refusal_name(f->last_refusal));
    if ((features & FRONTEND_PROTOCOL) != 0) {
        cr_assert_eq(frontend_try_state(f, VHOST_USER_SET_VRING_ENABLE, index, 1), 0);
    }
}

/* Places a buffer: four bytes to read and four to write, in slot `slot` of the second region. */
static inline void frontend_add(struct frontend *f, unsigned index, unsigned slot)
{
    unsigned char *place = f->guest + FRONTEND_REGION + (size_t)slot * 64;
    struct virtq_segment segments[2];
    struct virtq_buffer buffer = {0};

    for (unsigned i = 0; i < 4; i++) {
        place[i] = (unsigned char)(slot * 7 + i);
        place[32 + i] = 0;
    }
    memset(segments, 0, sizeof(segments));
    segments[0].base = place;
    segments[0].len = 4;
    segments[1].base = place + 32;
    segments[1].len = 4;
    buffer.segments = segments;
    buffer.readable = 1;
    buffer.writable = 1;
    buffer.cookie = place;
    cr_assert_eq(virtq_driver_add(f->driver[index], &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(f->driver[index]), 1);
}

static inline void frontend_kick(struct frontend *f, unsigned index)
{
    uint64_t one = 1;

    cr_assert_eq(write(f->kick[index], &one, sizeof(one)), (ssize_t)sizeof(one));
}

/* How often a call or an error's descriptor was written; 0: never. An emulator does not know that
 * what was handed on is an eventfd, and has it count in the host's order of bytes. */
static inline uint64_t frontend_count(int fd)
{
    uint64_t count = 0;

    if (read(fd, &count, sizeof(count)) != (ssize_t)sizeof(count)) {
        return 0;
    }
    return count > UINT32_MAX ? __builtin_bswap64(count) : count;
}

/* Takes buffers back, and looks at what the device has written: how many there were. */
static inline unsigned frontend_take(struct frontend *f, unsigned index)
{
    struct virtq_completion completion;
    unsigned count = 0;

    while (virtq_driver_poll(f->driver[index], &completion, 1) == 1) {
        const unsigned char *place = completion.cookie;

        cr_assert_eq(completion.len, 4u);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_eq(place[32 + i] + place[i], 255);
        }
        count++;
    }
    return count;
}

/* `count` buffers there and back, in lots of up to four. */
static inline void frontend_traffic(struct frontend *f, unsigned index, unsigned count)
{
    uint64_t calls = 0;

    (void)!read(f->call[index], &calls, sizeof(calls));
    for (unsigned done = 0; done < count;) {
        unsigned lot = count - done < 4 ? count - done : 4;

        for (unsigned i = 0; i < lot; i++) {
            frontend_add(f, index, done + i);
        }
        frontend_kick(f, index);
        cr_assert_eq(frontend_run(f), 0);
        cr_assert_eq(frontend_take(f, index), lot);
        cr_assert_eq(read(f->call[index], &calls, sizeof(calls)), (ssize_t)sizeof(calls),
                     "no interrupt");
        cr_assert(!virtq_driver_enable_notify(f->driver[index]));
        done += lot;
    }
}

/* Stops a ring: its base. */
static inline uint32_t frontend_stop(struct frontend *f, unsigned index)
{
    struct virtq_vhost_user_state state = {index, 0};

    frontend_put(f, VHOST_USER_GET_VRING_BASE, 0, &state, sizeof(state), NULL, 0);
    cr_assert_eq(frontend_run(f), 0);
    cr_assert_eq(frontend_answer(f, VHOST_USER_GET_VRING_BASE, &state, sizeof(state)), 8);
    cr_assert_eq(state.index, index);
    return state.num;
}

#endif
