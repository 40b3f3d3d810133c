/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool that becomes too small: another one is added while the queue runs, and withdrawn when it
 * is no longer needed. The queue keeps slots of both.
 * docs/spaces/swiotlb.md goes through it.
 *
 *     cc swiotlb_group.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "queue.h"

#define PAGE 4096u
#define SMALL (2u * PAGE) /* the ring, and a page */
#define LARGE (16u * PAGE)
#define TEXT 3000u

struct store {
    struct virtq_swiotlb pool;
    void *books;
    unsigned char *bytes;
};

static void open_store(struct store *store, size_t size, virtq_addr_t addr)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;

    config.pool = store->bytes = memory(size, PAGE);
    config.pool_size = size;
    config.addr = addr;
    config.memory_size = virtq_swiotlb_private_size(size, config.granule);
    config.memory = store->books = memory(config.memory_size, 8);
    check(virtq_swiotlb_init(&store->pool, &config) == VIRTQ_OK, "a pool");
}

static void close_store(struct store *store)
{
    check(virtq_swiotlb_fini(&store->pool) == VIRTQ_OK, "an empty pool");
    free(store->books);
    free(store->bytes);
}

static void *open_space(struct virtq_swiotlb_group_queue *space, struct virtq_swiotlb_group *group)
{
    /* [queue] */
    struct virtq_swiotlb_group_queue_config config = VIRTQ_SWIOTLB_GROUP_QUEUE_CONFIG_INIT;

    config.group = group;
    config.pools = 2;   /* of so many it keeps slots, ... */
    config.classes = 8; /* ... of 64 B, 128 B, ... 8 KiB */
    config.depth = QUEUE_SIZE;
    config.memory_size = virtq_swiotlb_group_queue_private_size(&config);
    config.memory = memory(config.memory_size, VIRTQ_CACHE_LINE);
    check(virtq_swiotlb_group_queue_init(space, &config) == VIRTQ_OK, "the queue's slots");
    /* [queue] */
    return config.memory;
}

/* A text to the device and back. */
static int exchange(struct queue *queue)
{
    static char text[2 * TEXT] = "copied through one pool or the other";
    struct virtq_segment segments[] = {{.base = text, .len = TEXT},
                                       {.base = text + TEXT, .len = TEXT}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};

    memset(text + TEXT, 0, TEXT);
    buffer.cookie = &buffer;
    if (queue_carry(queue, &buffer) != TEXT) {
        return 0;
    }
    check(memcmp(text, text + TEXT, TEXT) == 0, "each byte came back");
    return 1;
}

int main(void)
{
    struct virtq_swiotlb_group group;
    struct virtq_swiotlb_group_queue space;
    struct virtq_slots_usage kept;
    struct store small;
    struct store large;
    struct queue queue;
    void *slots;
    void *ring;

    open_store(&small, SMALL, 0x80000000u);
    open_store(&large, LARGE, 0x90000000u);
    virtq_swiotlb_group_init(&group);
    check(virtq_swiotlb_group_add(&group, &small.pool) == VIRTQ_OK, "the small pool");
    slots = open_space(&space, &group);
    check(virtq_swiotlb_alloc(&small.pool, QUEUE_RING_BYTES, PAGE, &ring) == VIRTQ_OK, "the ring");
    /* The device end is given the group. */
    queue_open(&queue, &space.space, &group.space, ring);
    /* [group] */
    check(virtq_swiotlb_group_add(&group, &large.pool) == VIRTQ_OK, "more room, at any time");
    for (unsigned round = 0; round < 100; round++) {
        check(exchange(&queue), "a buffer for which the small pool is too small");
    }
    virtq_swiotlb_group_queue_read_usage(&space, &kept);
    check(kept.misses == 1, "the pools are asked for a slot once");
    /* The queue keeps a slot of it, which goes back with its next buffer. */
    check(virtq_swiotlb_group_remove(&group, &large.pool) == VIRTQ_EBUSY, "in use, and now closed");
    (void)virtq_swiotlb_group_queue_flush(&space); /* or now, if there is no next one */
    check(virtq_swiotlb_group_remove(&group, &large.pool) == VIRTQ_OK, "withdrawn");
    /* [group] */
    printf("100 buffers, the pools were asked %llu times\n", (unsigned long long)kept.misses);
    queue_close(&queue);
    check(virtq_swiotlb_free(&small.pool, ring) == VIRTQ_OK, "the ring's memory");
    close_store(&small);
    close_store(&large);
    free(slots);
    return 0;
}
