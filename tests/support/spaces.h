/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the tests of all spaces do with one: map a buffer and unmap it, copy as a device
 * would.
 */
#ifndef VIRTQ_TESTS_SPACES_H
#define VIRTQ_TESTS_SPACES_H

#include <stdint.h>
#include <string.h>

#include "runner.h"
#include "virtq/space.h"

enum {
    SPACES_READ = VIRTQ_PERMISSION_READ,
    SPACES_WRITE = VIRTQ_PERMISSION_WRITE,
    SPACES_BOTH = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE,
    SPACES_SEGMENTS = 16, /* Of the largest buffer in tests. */
    SPACES_RUNS = 64
};

/** @brief A buffer in a test: its segments, what map made of them, and the space's record. */
struct spaces_buffer {
    struct virtq_segment segments[SPACES_SEGMENTS];
    struct virtq_run runs[SPACES_RUNS];
    struct virtq_mapping mapping;
    uint64_t record[512];
};

/** @brief Maps `readable` + `writable` segments that are filled in already, with room for
 * `capacity` runs. */
static inline int spaces_map(struct virtq_space *space, struct spaces_buffer *buffer,
                             unsigned readable, unsigned writable, unsigned capacity)
{
    cr_assert(virtq_space_record_size(space, SPACES_SEGMENTS) <= sizeof(buffer->record));
    memset(&buffer->mapping, 0, sizeof(buffer->mapping));
    buffer->mapping.runs = buffer->runs;
    buffer->mapping.segments = buffer->segments;
    buffer->mapping.record = buffer->record;
    buffer->mapping.segments_readable = (uint16_t)readable;
    buffer->mapping.segments_writable = (uint16_t)writable;
    buffer->mapping.capacity = (uint16_t)capacity;
    return space->ops->map(space, &buffer->mapping);
}

/** @brief Unmaps; as the seam allows, runs and segments are gone by then. */
static inline void spaces_unmap(struct virtq_space *space, struct spaces_buffer *buffer,
                                uint64_t written)
{
    buffer->mapping.runs = NULL;
    buffer->mapping.segments = NULL;
    space->ops->unmap(space, &buffer->mapping, written);
}

/** @brief One segment. */
static inline void spaces_segment(struct spaces_buffer *buffer, unsigned at, void *base,
                                  uint64_t len)
{
    buffer->segments[at].base = base;
    buffer->segments[at].len = (uint32_t)len;
}

/** @brief Copies as a device does, window by window; the way is `permission`. 0, or what the space
 * said. */
static inline int spaces_copy(struct virtq_space *space, virtq_addr_t addr, void *data,
                              uint64_t len, uint32_t permission)
{
    unsigned char *bytes = data;

    while (len != 0) {
        struct virtq_window window;
        unsigned char *at;
        uint64_t some;
        int error = space->ops->window(space, addr, permission, &window);

        if (error != 0) {
            return error;
        }
        cr_assert(window.first <= addr && addr <= window.last);
        cr_assert((window.permissions & permission) == permission);
        some = len - 1 < window.last - addr ? len : window.last - addr + 1;
        at = window.base + (addr - window.first);
        if (permission == (uint32_t)VIRTQ_PERMISSION_READ) {
            memcpy(bytes, at, some);
        } else {
            memcpy(at, bytes, some);
        }
        bytes += some;
        addr += some;
        len -= some;
    }
    return 0;
}

#endif
