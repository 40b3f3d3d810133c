/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: one thread, direct space, EVENT_IDX, batches of 32, 256
 * descriptors.
 *
 * Each end is played by the library in functions whose names begin with `count_`, so that a counter
 * can be told to look at nothing else; the opposite end is the library's too, outside of them.
 * Usage: instructions FORMAT TIER SEGMENTS ROUNDS, and it exits with 1 if a byte or a length is
 * wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtq/inline/device_setup.h"
#include "virtq/inline/driver_state.h"
#include "virtq/virtq.h"

enum { SIZE = 256, BATCH = 32, SEGMENTS = 4, BYTES = 64 };

#define COUNTED __attribute__((noinline, noclone))

struct world {
    struct virtq_direct direct;
    struct virtq_split_driver split_driver;
    struct virtq_split_device split_device;
    struct virtq_packed_driver packed_driver;
    struct virtq_packed_device packed_device;
    struct virtq_driver *driver;
    struct virtq_device *device;
    struct virtq_buffer buffers[BATCH];
    struct virtq_segment segments[BATCH][SEGMENTS];
    struct virtq_completion completions[BATCH];
    struct virtq_chain chains[BATCH];
    struct virtq_piece pieces[BATCH * SEGMENTS];
    struct virtq_used_buffer used[BATCH];
    unsigned char data[BATCH][SEGMENTS][BYTES];
};

/* Every function below must do the whole of its work: what it returns is checked. */
#define ENDS(name, driver_call, device_call)                                    \
    COUNTED int count_driver_submit_##name(struct world *w);                    \
    COUNTED int count_driver_submit_##name(struct world *w)                     \
    {                                                                           \
        int added = driver_call(add, w->buffers, BATCH);                        \
                                                                                \
        (void)driver_call(publish);                                             \
        return added + (int)driver_call(needs_notify, NULL) * 1000;             \
    }                                                                           \
    COUNTED int count_driver_reap_##name(struct world *w);                      \
    COUNTED int count_driver_reap_##name(struct world *w)                       \
    {                                                                           \
        return driver_call(poll, w->completions, BATCH);                        \
    }                                                                           \
    COUNTED int count_device_pop_##name(struct world *w);                       \
    COUNTED int count_device_pop_##name(struct world *w)                        \
    {                                                                           \
        return device_call(pop, w->chains, BATCH, w->pieces, BATCH * SEGMENTS); \
    }                                                                           \
    COUNTED int count_device_push_##name(struct world *w);                      \
    COUNTED int count_device_push_##name(struct world *w)                       \
    {                                                                           \
        int pushed = device_call(push, w->used, BATCH);                         \
                                                                                \
        (void)device_call(publish);                                             \
        return pushed + device_call(needs_notify) * 1000;                       \
    }

#define SPLIT_DRIVER(verb, ...) \
    virtq_split_driver_##verb(&w->split_driver, VIRTQ_INSTANCE_DIRECT, ##__VA_ARGS__)
#define SPLIT_DEVICE(verb, ...) \
    virtq_split_device_##verb(&w->split_device, VIRTQ_INSTANCE_DIRECT, ##__VA_ARGS__)
#define PACKED_DRIVER(verb, ...) \
    virtq_packed_driver_##verb(&w->packed_driver, VIRTQ_INSTANCE_DIRECT, ##__VA_ARGS__)
#define PACKED_DEVICE(verb, ...) \
    virtq_packed_device_##verb(&w->packed_device, VIRTQ_INSTANCE_DIRECT, ##__VA_ARGS__)
#define LIBRARY_DRIVER(verb, ...) virtq_driver_##verb(w->driver, ##__VA_ARGS__)
#define LIBRARY_DEVICE(verb, ...) virtq_device_##verb(w->device, ##__VA_ARGS__)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
ENDS(split, SPLIT_DRIVER, SPLIT_DEVICE)
ENDS(packed, PACKED_DRIVER, PACKED_DEVICE)
ENDS(library, LIBRARY_DRIVER, LIBRARY_DEVICE)
#pragma GCC diagnostic pop

struct ends {
    int (*submit)(struct world *w);
    int (*reap)(struct world *w);
    int (*pop)(struct world *w);
    int (*push)(struct world *w);
};

static const struct ends ends_split = {count_driver_submit_split, count_driver_reap_split,
                                       count_device_pop_split, count_device_push_split};
static const struct ends ends_packed = {count_driver_submit_packed, count_driver_reap_packed,
                                        count_device_pop_packed, count_device_push_packed};
static const struct ends ends_library = {count_driver_submit_library, count_driver_reap_library,
                                         count_device_pop_library, count_device_push_library};

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "instructions: %s\n", what);
        exit(1);
    }
}

static void *zeroed(size_t bytes)
{
    void *memory = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);

    check(memory != NULL, "no memory");
    memset(memory, 0, bytes);
    return memory;
}

static void build(struct world *w, enum virtq_format format, int library)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    void *memory[2];
    size_t bytes[2];
    int error;

    check(virtq_direct_init(&w->direct, NULL, 0, UINT64_MAX, 3) == 0, "space");
    check(virtq_layout_init(format, SIZE, &layout) == 0, "layout");
    driver.format = (uint32_t)format;
    driver.size = SIZE;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) |
                      VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC);
    driver.features |= format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    driver.segments_max = SEGMENTS;
    driver.space = &w->direct.space;
    virtq_layout_areas(&layout, zeroed(layout.size), &driver.areas);
    driver.tables = zeroed(virtq_driver_tables_size(&driver));
    device.format = driver.format;
    device.size = driver.size;
    device.features = driver.features;
    device.space = driver.space;
    device.areas = driver.areas;
    bytes[0] = virtq_driver_size(&driver);
    bytes[1] = virtq_device_size(&device);
    memory[0] = zeroed(bytes[0]);
    memory[1] = zeroed(bytes[1]);
    if (library) {
        error = virtq_driver_init(memory[0], bytes[0], &driver, &w->driver);
        error |= virtq_device_init(memory[1], bytes[1], &device, &w->device, NULL);
    } else if (format == VIRTQ_FORMAT_SPLIT) {
        error = virtq_split_driver_init(&w->split_driver, &driver, memory[0], bytes[0]);
        error |= virtq_split_device_init(&w->split_device, &device, memory[1], bytes[1], NULL);
    } else {
        error = virtq_packed_driver_init(&w->packed_driver, &driver, memory[0], bytes[0]);
        error |= virtq_packed_device_init(&w->packed_device, &device, memory[1], bytes[1], NULL);
    }
    check(error == 0, "queues");
}

static void fill(struct world *w, unsigned segments)
{
    for (unsigned i = 0; i < BATCH; i++) {
        for (unsigned k = 0; k < segments; k++) {
            w->segments[i][k].base = w->data[i][k];
            w->segments[i][k].len = BYTES;
        }
        w->buffers[i].segments = w->segments[i];
        w->buffers[i].cookie = &w->buffers[i];
        w->buffers[i].readable = (uint16_t)(segments == 1 ? 1 : segments - 1);
        w->buffers[i].writable = (uint16_t)(segments == 1 ? 0 : 1);
    }
}

/* What the device does with a batch: proves the readable bytes, writes the writable ones. */
static void serve(struct world *w, unsigned round)
{
    for (unsigned i = 0; i < BATCH; i++) {
        const struct virtq_chain *chain = &w->chains[i];

        check(chain->reason == 0, "bad buffer");
        check(*(unsigned char *)chain->pieces[0].base == (unsigned char)(round + i), "data lost");
        if (chain->writable != 0) {
            memset(chain->pieces[chain->readable].base, (int)(round ^ i), BYTES);
        }
        w->used[i].id = chain->id;
        w->used[i].len = (uint32_t)chain->writable_bytes;
    }
}

static void play(struct world *w, const struct ends *ends, unsigned segments, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < BATCH; i++) {
            memset(w->data[i][0], (int)(round + i), BYTES);
        }
        check(ends->submit(w) % 1000 == BATCH, "add");
        check(ends->pop(w) == BATCH, "pop");
        serve(w, round);
        check(ends->push(w) % 1000 == BATCH, "push");
        check(ends->reap(w) == BATCH, "poll");
        for (unsigned i = 0; i < BATCH; i++) {
            check(w->completions[i].cookie == &w->buffers[i], "order");
            check(segments == 1 ||
                      w->data[i][segments - 1][BYTES - 1] == (unsigned char)(round ^ i),
                  "reply lost");
        }
    }
}

int main(int argc, char **argv)
{
    static struct world w;
    int packed;
    int library;
    unsigned segments;

    check(argc == 5, "usage: instructions split|packed inline|library SEGMENTS ROUNDS");
    packed = strcmp(argv[1], "packed") == 0;
    library = strcmp(argv[2], "library") == 0;
    segments = (unsigned)strtoul(argv[3], NULL, 10);
    check(segments >= 1 && segments <= SEGMENTS, "segments");
    build(&w, packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT, library);
    fill(&w, segments);
    play(&w,
         library  ? &ends_library
         : packed ? &ends_packed
                  : &ends_split,
         segments, (unsigned)strtoul(argv[4], NULL, 10));
    return 0;
}
