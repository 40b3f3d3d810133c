/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: buffers of 64 bytes, and a header or a status, go through
 * a pool or a region, in functions whose names begin with `count_`.
 *
 * Usage: swiotlb dynamic|group|staged|persistent SHAPE ROUNDS, and it exits with 1 if a byte is
 * wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtq/virtq.h"

enum { POOL = 65536, BYTES = 64 };

#define COUNTED __attribute__((noinline, noclone))

static unsigned char pool_bytes[POOL] __attribute__((aligned(4096)));
static struct virtq_swiotlb pool;
static struct virtq_swiotlb_queue queue;
static struct virtq_swiotlb_group group;
static struct virtq_swiotlb_group_queue group_queue;
static struct virtq_bar bar;
static struct virtq_bar_stage stage;

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "swiotlb: %s\n", what);
        exit(1);
    }
}

static void *zeroed(size_t bytes)
{
    void *memory = calloc(1, bytes);

    check(memory != NULL, "no memory");
    return memory;
}

COUNTED int count_mapped_map(struct virtq_space *space, struct virtq_mapping *mapping);
COUNTED int count_mapped_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    return space->ops->map(space, mapping);
}

COUNTED void count_mapped_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                uint64_t written);
COUNTED void count_mapped_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                uint64_t written)
{
    space->ops->unmap(space, mapping, written);
}

/* A buffer's segments, readable ones first. */
struct shape {
    const char *name;
    uint16_t readable;
    uint16_t writable;
    uint32_t lens[3];
};

static const struct shape shapes[] = {
    {"readable", 1, 0, {BYTES, 0, 0}},
    {"writable", 0, 1, {BYTES, 0, 0}},
    {"header-payload", 2, 0, {12, BYTES, 0}},
    {"payload-status", 0, 2, {BYTES, 1, 0}},
    {"header-payload-status", 2, 1, {16, BYTES, 1}}, /* A block is written, ... */
    {"header-reply-status", 1, 2, {16, BYTES, 1}},   /* ... a block is read. */
};

static const struct shape *find_shape(const char *name)
{
    unsigned i;

    for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return &shapes[i];
        }
    }
    check(0, "no such shape");
    return NULL;
}

/* Each segment lies apart, and its bytes are the round's. */
static uint32_t make_segments(const struct shape *shape, struct virtq_segment *segments,
                              unsigned char data[3][2 * BYTES], unsigned round)
{
    uint32_t writable = 0;
    unsigned i;

    memset(data, (int)round, (size_t)3 * 2 * BYTES);
    for (i = 0; i < (unsigned)shape->readable + shape->writable; i++) {
        segments[i] = (struct virtq_segment){.base = data[i], .len = shape->lens[i]};
        writable += i >= shape->readable ? shape->lens[i] : 0;
    }
    return writable;
}

/* `zeroed`: whether the device finds zeros where it is to write; else what the caller had there. */
static void mapped(struct virtq_space *space, const struct shape *shape, unsigned rounds,
                   int zeroed)
{
    const unsigned count = (unsigned)shape->readable + shape->writable;
    unsigned char data[3][2 * BYTES];
    struct virtq_segment segments[3];
    uint64_t record[64];
    unsigned round;

    check(virtq_space_record_size(space, 3) <= sizeof(record), "record");
    for (round = 0; round < rounds; round++) {
        const uint32_t writable = make_segments(shape, segments, data, round);
        struct virtq_run runs[2];
        struct virtq_mapping mapping = {.runs = runs,
                                        .segments = segments,
                                        .record = record,
                                        .segments_readable = shape->readable,
                                        .segments_writable = shape->writable,
                                        .capacity = 2};
        unsigned i;

        check(count_mapped_map(space, &mapping) == 0, "map");
        check(shape->readable == 0 ||
                  pool_bytes[runs[0].addr + runs[0].len - 1] == (unsigned char)round,
              "data lost");
        if (shape->writable != 0) {
            const struct virtq_run *run = &runs[mapping.runs_readable];

            check(run->len == writable &&
                      pool_bytes[run->addr] == (zeroed ? 0 : (unsigned char)round),
                  "data shown");
            memset(pool_bytes + run->addr, (int)(round ^ 0x55), run->len);
        }
        count_mapped_unmap(space, &mapping, writable);
        for (i = 0; i < count; i++) {
            check(data[i][shape->lens[i] - 1] ==
                      (unsigned char)(i >= shape->readable ? round ^ 0x55 : round),
                  "reply");
            check(data[i][shape->lens[i]] == (unsigned char)round, "too much of a reply");
        }
    }
}

COUNTED int count_persistent_prepare(struct virtq_swiotlb_request *request,
                                     const struct virtq_segment *segment, uint16_t writable,
                                     struct virtq_buffer *buffer);
COUNTED int count_persistent_prepare(struct virtq_swiotlb_request *request,
                                     const struct virtq_segment *segment, uint16_t writable,
                                     struct virtq_buffer *buffer)
{
    return virtq_swiotlb_request_prepare(request, segment, (uint16_t)(1 - writable), writable,
                                         buffer);
}

COUNTED uint64_t count_persistent_complete(struct virtq_swiotlb_request *request, uint64_t written);
COUNTED uint64_t count_persistent_complete(struct virtq_swiotlb_request *request, uint64_t written)
{
    return virtq_swiotlb_request_complete(request, written);
}

static void persistent(uint16_t writable, unsigned rounds)
{
    struct virtq_swiotlb_request request;
    unsigned char data[BYTES];
    struct virtq_segment segment = {.base = data, .len = BYTES};
    unsigned round;

    check(virtq_swiotlb_request_init(&request, 1, &pool, NULL, BYTES, BYTES) == 0, "request");
    for (round = 0; round < rounds; round++) {
        struct virtq_buffer buffer = {.cookie = NULL};
        unsigned char *slot;

        memset(data, (int)round, BYTES);
        check(count_persistent_prepare(&request, &segment, writable, &buffer) == 0, "prepare");
        slot = pool_bytes + buffer.segments[0].addr;
        check(slot[BYTES - 1] == (writable != 0 ? 0 : (unsigned char)round), "data lost, or shown");
        memset(slot, (int)(round ^ 0x55), BYTES);
        check(count_persistent_complete(&request, writable != 0 ? BYTES : 0) ==
                  (writable != 0 ? BYTES : 0),
              "complete");
        check(data[BYTES - 1] == (unsigned char)(writable != 0 ? round ^ 0x55 : round), "reply");
    }
}

static void open_pool(void)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;
    struct virtq_swiotlb_queue_config cache = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;

    config.pool = pool_bytes;
    config.pool_size = POOL;
    config.memory_size = virtq_swiotlb_private_size(POOL, config.granule);
    config.memory = zeroed(config.memory_size);
    check(virtq_swiotlb_init(&pool, &config) == 0, "pool");
    cache.pool = &pool;
    cache.memory_size = virtq_swiotlb_queue_private_size(&cache);
    cache.memory = zeroed(cache.memory_size);
    check(virtq_swiotlb_queue_init(&queue, &cache) == 0, "queue");
}

static void open_group(void)
{
    struct virtq_swiotlb_group_queue_config config = VIRTQ_SWIOTLB_GROUP_QUEUE_CONFIG_INIT;

    virtq_swiotlb_group_init(&group);
    check(virtq_swiotlb_group_add(&group, &pool) == 0, "group");
    config.group = &group;
    config.memory_size = virtq_swiotlb_group_queue_private_size(&config);
    config.memory = zeroed(config.memory_size);
    check(virtq_swiotlb_group_queue_init(&group_queue, &config) == 0, "queue of a group");
}

static void open_stage(void)
{
    struct virtq_bar_stage_config config = VIRTQ_BAR_STAGE_CONFIG_INIT;
    const size_t size = virtq_bar_private_size(POOL, 64);

    check(virtq_bar_init(&bar, pool_bytes, POOL, 3, 0) == 0, "region");
    check(virtq_bar_manage(&bar, 64, zeroed(size), size) == 0, "books");
    config.bar = &bar;
    config.depth = 64;
    config.memory_size = virtq_bar_stage_private_size(&config);
    config.memory = zeroed(config.memory_size);
    check(virtq_bar_stage_init(&stage, &config) == 0, "stage");
}

int main(int argc, char **argv)
{
    unsigned rounds;

    check(argc == 4, "usage: swiotlb dynamic|group|staged|persistent SHAPE ROUNDS");
    rounds = (unsigned)strtoul(argv[3], NULL, 10);
    if (strcmp(argv[1], "staged") == 0) {
        open_stage();
        mapped(&stage.space, find_shape(argv[2]), rounds, 0);
        return 0;
    }
    open_pool();
    if (strcmp(argv[1], "persistent") == 0) {
        persistent(strcmp(argv[2], "writable") == 0, rounds);
    } else if (strcmp(argv[1], "group") == 0) {
        open_group();
        mapped(&group_queue.space, find_shape(argv[2]), rounds, 1);
    } else {
        mapped(&queue.space, find_shape(argv[2]), rounds, 1);
    }
    return 0;
}
