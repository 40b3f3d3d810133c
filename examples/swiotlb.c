/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool that is all the device can reach, two queues on it, each with slots of its own, and
 * requests that keep theirs.
 * docs/spaces/swiotlb.md goes through it.
 *
 *     cc swiotlb.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "queue.h"

#define PAGE 4096u
#define POOL_SIZE (64u * PAGE)
#define QUEUES 2u
#define HALF 64u

/* One queue's part: its space, its ring in the pool. */
struct part {
    struct virtq_swiotlb_queue space;
    struct queue queue;
    void *memory;
    void *ring;
};

static void open_part(struct part *part, struct virtq_swiotlb *pool, struct virtq_space *device)
{
    /* [queue] */
    struct virtq_swiotlb_queue_config config = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;

    config.pool = pool;
    config.classes = 7;        /* slots of 64 B, 128 B, ... 4 KiB; larger ones go to the pool */
    config.depth = QUEUE_SIZE; /* as many of each as there are buffers outstanding */
    config.memory_size = virtq_swiotlb_queue_private_size(&config);
    config.memory = part->memory = memory(config.memory_size, VIRTQ_CACHE_LINE);
    check(virtq_swiotlb_queue_init(&part->space, &config) == VIRTQ_OK, "the queue's slots");
    check(virtq_swiotlb_alloc(pool, QUEUE_RING_BYTES, PAGE, &part->ring) == VIRTQ_OK, "its ring");
    queue_open(&part->queue, &part->space.space, device, part->ring);
    /* [queue] */
}

static void exchange(struct part *part, unsigned rounds)
{
    /* Memory of the program's own: the device never sees it. */
    char text[2 * HALF] = "copied through the pool";
    struct virtq_segment segments[] = {{.base = text, .len = HALF},
                                       {.base = text + HALF, .len = HALF}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};

    for (unsigned round = 0; round < rounds; round++) {
        memset(text + HALF, 0, HALF);
        check(queue_carry(&part->queue, &buffer) == HALF, "the answer");
        check(memcmp(text, text + HALF, HALF) == 0, "each byte came back");
    }
}

/* A request that keeps its slot: using it again costs the copy and nothing else. */
static void exchange_persistent(struct part *part, struct virtq_swiotlb *pool, unsigned rounds)
{
    char text[2 * HALF] = "copied into the same slot each time";
    struct virtq_segment segments[] = {{.base = text, .len = HALF},
                                       {.base = text + HALF, .len = HALF}};
    /* [request] */
    struct virtq_swiotlb_request request;
    struct virtq_buffer buffer = {.cookie = &request};

    /* The most that it will ever carry, each way. */
    check(virtq_swiotlb_request_init(&request, 1, pool, NULL, HALF, HALF) == VIRTQ_OK, "a slot");
    for (unsigned round = 0; round < rounds; round++) {
        memset(text + HALF, 0, HALF);
        check(virtq_swiotlb_request_prepare(&request, segments, 1, 1, &buffer) == VIRTQ_OK,
              "copy in");
        check(virtq_swiotlb_request_complete(&request, queue_carry(&part->queue, &buffer)) == HALF,
              "copy out");
        check(memcmp(text, text + HALF, HALF) == 0, "each byte came back");
    }
    virtq_swiotlb_request_fini(&request, 1);
    /* [request] */
}

int main(void)
{
    unsigned char *memory_of_pool = memory(POOL_SIZE, PAGE);
    struct virtq_swiotlb pool;
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;
    struct virtq_slots_usage kept;
    struct virtq_swiotlb_usage usage;
    struct part parts[QUEUES];

    config.pool = memory_of_pool;
    config.pool_size = POOL_SIZE;
    config.addr = 0x80000000u;
    config.memory_size = virtq_swiotlb_private_size(POOL_SIZE, config.granule);
    config.memory = memory(config.memory_size, 8);
    check(virtq_swiotlb_init(&pool, &config) == VIRTQ_OK, "the pool");
    for (unsigned i = 0; i < QUEUES; i++) {
        open_part(&parts[i], &pool, &pool.space);
        exchange(&parts[i], 100);
        exchange_persistent(&parts[i], &pool, 100);
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        /* [usage] */
        virtq_swiotlb_queue_read_usage(&parts[i].space, &kept);
        check(kept.misses == 1, "the pool is asked for a slot once");
        /* [usage] */
        printf("queue %u: 100 buffers, the pool was asked %llu times\n", i,
               (unsigned long long)kept.misses);
        queue_close(&parts[i].queue);
        (void)virtq_swiotlb_queue_flush(&parts[i].space);
        check(virtq_swiotlb_free(&pool, parts[i].ring) == VIRTQ_OK, "the ring's memory");
        free(parts[i].memory);
    }
    virtq_swiotlb_read_usage(&pool, &usage);
    check(usage.used == 0, "everything is back in the pool");
    free(config.memory);
    free(memory_of_pool);
    return 0;
}
