/* SPDX-License-Identifier: BSD-3-Clause */
/* A strict queue: buffers that one poll takes are unmapped and flushed in one request, and before
 * any of them is given out. L1, L2, L4; both formats. */
#include <stdlib.h>

#include "iommu_queue_fixture.h"
#include "virtq/device.h"
#include "virtq/driver.h"
#include "virtq/layout.h"
#include "virtq/space/swiotlb.h"
#include "virtq/split.h"

enum { SIZE = 64, MOST = 16, PARTS = 3, BYTES = 200 };

/* How a buffer goes into the ring. */
enum { SINGLE, CHAINED, TABLED };

/* The device end: what the ledger holds, and nothing else. */
struct reach {
    struct virtq_space space;
    struct ledger *ledger;
};

static int reach_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                        struct virtq_window *window)
{
    const struct ledger *ledger = ((struct reach *)space)->ledger;

    for (unsigned i = 0; i < ledger->count; i++) {
        const struct virtq_region *range = &ledger->ranges[i];

        if (addr >= range->first && addr <= range->last) {
            *window = (struct virtq_window){.first = range->first,
                                            .last = range->last,
                                            .base = range->base,
                                            .permissions = range->permissions};
            return (range->permissions & permission) == permission ? 0 : VIRTQ_EPERM;
        }
    }
    return VIRTQ_EFAULT;
}

static const struct virtq_space_ops reach_ops = {
    .size = sizeof(struct virtq_space_ops), .name = "reach", .window = reach_window};

/* Both ends of a queue. */
struct rig {
    struct house house;
    struct reach reach;
    struct virtq_driver *driver;
    struct virtq_device *device;
    void *memory[4]; /* ring, tables, driver, device */
    unsigned char *payload;
    struct virtq_segment segments[MOST][PARTS];
    struct virtq_buffer buffers[MOST];
    struct virtq_completion done[MOST];
    unsigned shared; /* Ranges that are mapped all the time. */
    int way;
};

static void *pages(size_t bytes)
{
    size_t rounded = (bytes + PAGE - 1) & ~((size_t)PAGE - 1);
    void *memory = aligned_alloc(PAGE, rounded);

    cr_assert_neq(memory, NULL);
    memset(memory, 0, rounded);
    return memory;
}

static void open_driver(struct rig *rig, uint32_t format, uint64_t features)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_layout layout;
    size_t size;

    cr_assert_eq(virtq_layout_init(format, SIZE, &layout), 0);
    rig->memory[0] = pages((size_t)layout.size);
    config.size = SIZE;
    config.format = format;
    config.features = features;
    config.segments_max = PARTS;
    config.space = &rig->house.queues[0].space;
    virtq_layout_areas(&layout, rig->memory[0], &config.areas);
    if (rig->way == TABLED) {
        size = virtq_driver_tables_size(&config);
        config.tables = rig->memory[1] = pages(size);
    }
    size = virtq_driver_size(&config);
    rig->memory[2] = pages(size);
    cr_assert_eq(virtq_driver_init(rig->memory[2], size, &config, &rig->driver), 0);
}

static void open_device(struct rig *rig, uint32_t format, uint64_t features)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    size_t size;

    rig->reach.space.ops = &reach_ops;
    rig->reach.ledger = &rig->house.ledger;
    config.size = SIZE;
    config.format = format;
    config.features = features;
    config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    config.space = &rig->reach.space;
    virtq_driver_addresses(rig->driver, &config.addresses);
    size = virtq_device_size(&config);
    rig->memory[3] = pages(size);
    cr_assert_eq(virtq_device_init(rig->memory[3], size, &config, &rig->device, NULL), 0);
}

static struct rig *rig_open(uint32_t format, int way, uint64_t extra)
{
    const uint64_t features =
        VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM) | extra |
        (way == TABLED ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0) |
        (format == (uint32_t)VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    struct rig *rig = calloc(1, sizeof(*rig));

    cr_assert_neq(rig, NULL);
    rig->way = way;
    house_open(&rig->house, 0x100000, 0xffffff, VIRTQ_IOMMU_STRICT, 0);
    rig->payload = pages((size_t)MOST * PARTS * PAGE);
    open_driver(rig, format, features);
    open_device(rig, format, features);
    rig->shared = rig->house.ledger.count;
    return rig;
}

static void rig_close(struct rig *rig)
{
    virtq_driver_destroy(rig->driver);
    house_close(&rig->house);
    for (unsigned i = 0; i < 4; i++) {
        free(rig->memory[i]);
    }
    free(rig->payload);
    free(rig);
}

/* `count` buffers to the device, which writes and gives them back. */
static void send(struct rig *rig, unsigned count)
{
    const uint16_t writable = rig->way == SINGLE ? 1 : 2;

    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < PARTS; k++) {
            rig->segments[i][k] = (struct virtq_segment){
                .base = rig->payload + ((size_t)i * PARTS + k) * PAGE, .len = BYTES};
        }
        rig->buffers[i] = (struct virtq_buffer){.segments = rig->segments[i],
                                                .cookie = &rig->buffers[i],
                                                .readable = rig->way != SINGLE,
                                                .writable = writable};
    }
    cr_assert_eq(virtq_driver_add(rig->driver, rig->buffers, count), (int)count);
    cr_assert_eq(virtq_driver_publish(rig->driver), count);
    for (unsigned i = 0; i < count; i++) {
        struct virtq_chain chain;
        struct virtq_piece pieces[2 * PARTS];
        struct virtq_used_buffer used;

        cr_assert_eq(virtq_device_pop(rig->device, &chain, 1, pieces, 2 * PARTS), 1);
        cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
        memset(chain.pieces[chain.readable].base, (int)i + 1, BYTES);
        used = (struct virtq_used_buffer){.id = chain.id, .len = BYTES};
        cr_assert_eq(virtq_device_push(rig->device, &used, 1), 1);
    }
    cr_assert_eq(virtq_device_publish(rig->device), (int)count);
}

/* What a poll asks of the backend: lists of at most ENTRIES ranges, of whole buffers. */
static unsigned lists(unsigned count, unsigned ranges)
{
    const unsigned fit = ENTRIES / ranges;

    return count == 1 ? 1 : (count + fit - 1) / fit;
}

static void receive(struct rig *rig, unsigned count, unsigned outstanding)
{
    const unsigned ranges = rig->way == SINGLE ? 1 : PARTS;
    struct ledger *ledger = &rig->house.ledger;
    const unsigned unmaps = ledger->calls[1];
    const unsigned flushes = ledger->calls[2];

    cr_assert_eq(virtq_driver_poll(rig->driver, rig->done, count), (int)count);
    cr_assert_eq(ledger->calls[1] - unmaps, lists(count, ranges));
    cr_assert_eq(ledger->calls[2] - flushes, lists(count, ranges));
    /* Strict: of what has come back the device reaches nothing. */
    cr_assert_eq(ledger->count, rig->shared + (outstanding - count) * ranges);
    cr_assert_eq(rig->house.queues[0].pending_count, 0u);
    for (unsigned i = 0; i < count; i++) {
        const struct virtq_buffer *buffer = rig->done[i].cookie;
        const unsigned char *bytes = buffer->segments[buffer->readable].base;

        cr_assert_eq(rig->done[i].len, (uint32_t)BYTES);
        cr_assert_eq(bytes[BYTES - 1], buffer - rig->buffers + 1);
    }
}

static void poll_in_batches(uint32_t format, uint64_t extra)
{
    for (int way = SINGLE; way <= TABLED; way++) {
        struct rig *rig = rig_open(format, way, extra);
        const unsigned maps = rig->house.ledger.calls[0];
        unsigned sent = 0;

        for (unsigned count = 1; count <= MOST; count++) {
            send(rig, count);
            receive(rig, count, count);
            sent += count;
            /* In two polls, each of which is a batch. */
            send(rig, count);
            receive(rig, (count + 1) / 2, count);
            if (count > 1) {
                receive(rig, count / 2, count / 2);
            }
            sent += count;
        }
        cr_assert_eq(rig->house.ledger.calls[0] - maps, sent, "one list to map for each buffer");
        cr_assert_eq(virtq_driver_poll(rig->driver, rig->done, MOST), 0);
        rig_close(rig);
    }
}

Test(space_iommu_queue_batch, a_split_queues_poll_unmaps_its_buffers_in_one_request)
{
    poll_in_batches(VIRTQ_FORMAT_SPLIT, 0);
}

Test(space_iommu_queue_batch, a_packed_queues_poll_unmaps_its_buffers_in_one_request)
{
    poll_in_batches(VIRTQ_FORMAT_PACKED, 0);
}

Test(space_iommu_queue_batch, buffers_in_order_are_unmapped_in_one_request_too)
{
    poll_in_batches(VIRTQ_FORMAT_SPLIT, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER));
    poll_in_batches(VIRTQ_FORMAT_PACKED, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER));
}

Test(space_iommu_queue_batch, l4_addresses_whose_unmapping_failed_are_not_used_again)
{
    for (unsigned which = 1; which <= 2; which++) {
        for (uint32_t format = VIRTQ_FORMAT_SPLIT; format <= VIRTQ_FORMAT_PACKED; format++) {
            struct rig *rig = rig_open(format, SINGLE, 0);
            struct ledger *ledger = &rig->house.ledger;
            struct virtq_iommu_queue_usage usage;

            send(rig, 5);
            ledger->failing[which] = VIRTQ_EFAULT;
            cr_assert_eq(virtq_driver_poll(rig->driver, rig->done, 5), 5, "they are back anyway");
            virtq_iommu_queue_read_usage(&rig->house.queues[0], &usage);
            cr_assert_eq(usage.leaked, 5u);
            cr_assert_eq(ledger->count, rig->shared + 5);
            rig->shared += 5; /* The ledger fails if one of them is mapped again. */
            for (unsigned round = 0; round < 20; round++) {
                send(rig, MOST);
                receive(rig, MOST, MOST);
            }
            virtq_driver_destroy(rig->driver);
            virtq_iommu_queue_destroy(&rig->house.queues[0]);
            cr_assert_eq(ledger->count, 5u);
            for (unsigned i = 0; i < 4; i++) {
                free(rig->memory[i]);
            }
            free(rig->payload);
            free(rig);
        }
    }
}

Test(space_iommu_queue_batch, what_came_before_a_broken_entry_is_unmapped_as_well)
{
    struct rig *rig = rig_open(VIRTQ_FORMAT_SPLIT, SINGLE, 0);
    struct virtq_layout layout;
    struct virtq_areas areas;
    struct virtq_used_elem *used;
    void *cookie;

    send(rig, 5);
    cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, SIZE, &layout), 0);
    virtq_layout_areas(&layout, rig->memory[0], &areas);
    used = (struct virtq_used_elem *)(void *)((unsigned char *)areas.device + 4);
    used[3].id = UINT32_MAX;
    cr_assert_eq(virtq_driver_poll(rig->driver, rig->done, 5), 3);
    cr_assert_eq(rig->house.ledger.calls[1], 1u);
    cr_assert_eq(rig->house.ledger.count, rig->shared + 2);
    cr_assert_eq(virtq_driver_poll(rig->driver, rig->done, 5), VIRTQ_EBROKEN);
    /* What is detached is a request of its own each. */
    while (virtq_driver_detach(rig->driver, &cookie) == 1) {
    }
    cr_assert_eq(rig->house.ledger.calls[1], 3u);
    cr_assert_eq(rig->house.ledger.count, rig->shared);
    rig_close(rig);
}

/* Whole pages are mapped, the rest goes through a pool: only the former are asked for. */
Test(space_iommu_queue_batch, a_device_that_is_not_trusted_loses_its_pages_in_one_request_too)
{
    enum { POOL = 16 * PAGE, BUFFERS = 4 };
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;
    static struct spaces_buffer buffers[BUFFERS];
    struct house *house = calloc(1, sizeof(*house));
    unsigned char *memory = pages(POOL + 2 * BUFFERS * PAGE);
    unsigned char *own = memory + POOL;
    struct virtq_space *space;
    struct virtq_swiotlb pool;

    cr_assert_neq(house, NULL);
    house_open(house, 0x100000, 0xffffff, VIRTQ_IOMMU_STRICT, 0);
    space = &house->queues[0].space;
    config.pool = memory;
    config.pool_size = POOL;
    cr_assert_eq(virtq_space_share(space, memory, POOL, SPACES_BOTH, &config.addr), 0);
    config.memory_size = virtq_swiotlb_private_size(POOL, config.granule);
    config.memory = calloc(1, config.memory_size);
    cr_assert_eq(virtq_swiotlb_init(&pool, &config), 0);
    cr_assert_eq(virtq_iommu_queue_distrust(&house->queues[0], &pool.space), 0);
    for (unsigned i = 0; i < BUFFERS; i++) {
        unsigned char *at = own + (size_t)2 * i * PAGE;

        spaces_segment(&buffers[i], 0, at + PAGE, 16);
        spaces_segment(&buffers[i], 1, at, PAGE);
        cr_assert_eq(spaces_map(space, &buffers[i], 1, 1, 2), 0);
    }
    space->ops->batch(space, 1);
    for (unsigned i = 0; i < BUFFERS; i++) {
        spaces_unmap(space, &buffers[i], PAGE);
    }
    cr_assert_eq(house->ledger.calls[1], 0u);
    space->ops->batch(space, 0);
    cr_assert_eq(house->ledger.calls[1], 1u);
    cr_assert_eq(house->ledger.calls[2], 1u);
    cr_assert_eq(house->ledger.count, 1u, "the pool");
    virtq_space_unshare(space, config.addr, POOL);
    house_close(house);
    free(config.memory);
    free(house);
    free(memory);
}

Test(space_iommu_queue_batch, without_memory_for_a_list_each_buffer_is_a_request)
{
    struct house *house = calloc(1, sizeof(*house));
    struct virtq_iommu_queue *queue;

    cr_assert_neq(house, NULL);
    house_open(house, 0x100000, 0xffffff, VIRTQ_IOMMU_STRICT, 0);
    queue = &house->queues[1];
    virtq_iommu_queue_destroy(queue);
    house->config.memory = NULL;
    cr_assert_eq(virtq_iommu_queue_init(queue, &house->config), 0);
    cr_assert(queue->space.ops->batch == NULL);
    virtq_iommu_queue_destroy(queue);
    house->config.memory = house->memory[0];
    house->config.memory_size = virtq_iommu_queue_private_size(VIRTQ_IOMMU_STRICT, ENTRIES) - 1;
    cr_assert_eq(virtq_iommu_queue_init(queue, &house->config), VIRTQ_ENOMEM);
    house->config.memory_size++;
    house->config.memory = (unsigned char *)house->memory[0] + 4;
    cr_assert_eq(virtq_iommu_queue_init(queue, &house->config), VIRTQ_EINVAL);
    house->config.memory = house->memory[1];
    cr_assert_eq(virtq_iommu_queue_init(queue, &house->config), 0);
    house_close(house);
    free(house);
}
