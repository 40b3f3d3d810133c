/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: buffers of 64 bytes go through a pool, in functions whose
 * names begin with `count_`.
 *
 * Usage: swiotlb dynamic|persistent readable|writable ROUNDS, and it exits with 1 if a byte is
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

COUNTED int count_dynamic_map(struct virtq_space *space, struct virtq_mapping *mapping);
COUNTED int count_dynamic_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    return space->ops->map(space, mapping);
}

COUNTED void count_dynamic_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                 uint64_t written);
COUNTED void count_dynamic_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                 uint64_t written)
{
    space->ops->unmap(space, mapping, written);
}

static void dynamic(unsigned writable, unsigned rounds)
{
    unsigned char data[BYTES];
    struct virtq_segment segment = {.base = data, .len = BYTES};
    uint64_t record[64];
    unsigned round;

    check(virtq_space_record_size(&queue.space, 1) <= sizeof(record), "record");
    for (round = 0; round < rounds; round++) {
        struct virtq_run runs[2];
        struct virtq_mapping mapping = {.runs = runs,
                                        .segments = &segment,
                                        .record = record,
                                        .segments_readable = (uint16_t)(1 - writable),
                                        .segments_writable = (uint16_t)writable,
                                        .capacity = 2};

        memset(data, (int)round, BYTES);
        check(count_dynamic_map(&queue.space, &mapping) == 0, "map");
        check(pool_bytes[runs[0].addr + BYTES - 1] == (writable != 0 ? 0 : (unsigned char)round),
              "data lost, or shown");
        memset(pool_bytes + runs[0].addr, (int)(round ^ 0x55), BYTES);
        count_dynamic_unmap(&queue.space, &mapping, writable != 0 ? BYTES : 0);
        check(data[BYTES - 1] == (unsigned char)(writable != 0 ? round ^ 0x55 : round), "reply");
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

int main(int argc, char **argv)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;
    struct virtq_swiotlb_queue_config cache = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;
    uint16_t writable;
    unsigned rounds;

    check(argc == 4, "usage: swiotlb dynamic|persistent readable|writable ROUNDS");
    writable = strcmp(argv[2], "writable") == 0;
    rounds = (unsigned)strtoul(argv[3], NULL, 10);
    config.pool = pool_bytes;
    config.pool_size = POOL;
    config.memory_size = virtq_swiotlb_private_size(POOL, config.granule);
    config.memory = zeroed(config.memory_size);
    check(virtq_swiotlb_init(&pool, &config) == 0, "pool");
    cache.pool = &pool;
    cache.memory_size = virtq_swiotlb_queue_private_size(&cache);
    cache.memory = zeroed(cache.memory_size);
    check(virtq_swiotlb_queue_init(&queue, &cache) == 0, "queue");
    if (strcmp(argv[1], "persistent") == 0) {
        persistent(writable, rounds);
    } else {
        dynamic(writable, rounds);
    }
    return 0;
}
