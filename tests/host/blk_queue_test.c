/* SPDX-License-Identifier: BSD-3-Clause */
/* A block device's requests in flight: no more of them than there is room for, ended in any order,
 * and none lost. */
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "virtq/host/blk_queue.h"
#include "virtq/virtq.h"

enum { SIZE = 16, DEPTH = 4, REQUESTS = 10, MEMORY = 1 << 16, RING = 1 << 12 };

struct rig {
    unsigned char memory[MEMORY] __attribute__((aligned(4096)));
    unsigned char private_memory[MEMORY] __attribute__((aligned(VIRTQ_CACHE_LINE)));
    struct virtq_direct space;
    struct virtq_region region;
    struct virtq_blk_disk disk;
    struct virtq_driver *driver;
    struct virtq_device *device;
    struct virtq_blk_queue *queue;
    void *queue_memory;
};

static struct rig rig;

static void open_rig(uint32_t format)
{
    const struct virtq_blk_disk disk = VIRTQ_BLK_DISK_INIT;
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_blk_queue_config config = VIRTQ_BLK_QUEUE_CONFIG_INIT;
    struct virtq_layout layout;
    size_t size;

    memset(&rig, 0, sizeof(rig));
    rig.disk = disk;
    rig.disk.sectors = 64;
    rig.region.base = rig.memory;
    rig.region.last = MEMORY - 1;
    rig.region.permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    cr_assert_eq(virtq_direct_init_regions(&rig.space, &rig.region, 1), 0);
    cr_assert_eq(virtq_layout_init((enum virtq_format)format, 4 * SIZE, &layout), 0);
    driver.format = device.format = format;
    driver.size = device.size = 4 * SIZE;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver.features |= format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    device.features = driver.features;
    driver.segments_max = 3;
    driver.space = device.space = &rig.space.space;
    virtq_layout_areas(&layout, rig.memory, &driver.areas);
    device.areas = driver.areas;
    cr_assert_eq(virtq_driver_init(rig.private_memory, MEMORY / 2, &driver, &rig.driver), 0);
    cr_assert_eq(
        virtq_device_init(rig.private_memory + MEMORY / 2, MEMORY / 2, &device, &rig.device, NULL),
        0);
    config.depth = DEPTH;
    config.pieces = 8;
    config.device = rig.device;
    config.disk = &rig.disk;
    size = virtq_blk_queue_size(&config);
    rig.queue_memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert_eq(virtq_blk_queue_init(rig.queue_memory, size, &config, &rig.queue), 0);
}

/* Request i: a read of sector i, or something that nobody knows. */
static void send(unsigned i, uint32_t type)
{
    unsigned char *place = rig.memory + RING + (size_t)i * 1024;
    struct virtq_segment segments[2];
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};

    memset(segments, 0, sizeof(segments));
    memset(place, 0, 1024);
    place[0] = (unsigned char)type;
    place[8] = (unsigned char)i;
    place[16 + 512] = 0xee;
    segments[0].base = place;
    segments[0].len = 16;
    segments[1].base = place + 16;
    segments[1].len = 513;
    buffer.cookie = place + 16 + 512;
    cr_assert_eq(virtq_driver_add(rig.driver, &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(rig.driver), 1u);
}

/* How many came back with this status. */
static unsigned back(unsigned char status)
{
    struct virtq_completion completion;
    unsigned count = 0;

    while (virtq_driver_poll(rig.driver, &completion, 1) == 1) {
        cr_assert_eq(*(unsigned char *)completion.cookie, status);
        cr_assert_eq(completion.len, 513u);
        count++;
    }
    return count;
}

static void go_through(uint32_t format)
{
    struct virtq_blk_request *requests[DEPTH + 1];
    struct iovec *vector;
    unsigned count;

    open_rig(format);
    for (unsigned i = 0; i < REQUESTS; i++) {
        send(i, VIRTIO_BLK_T_IN);
    }
    for (unsigned i = 0; i < DEPTH; i++) {
        cr_assert_eq(virtq_blk_queue_pop(rig.queue, &requests[i]), 1);
        cr_assert_eq(requests[i]->offset, (uint64_t)i * VIRTQ_BLK_SECTOR);
        cr_assert_eq(virtq_blk_queue_busy(rig.queue), i + 1);
    }
    cr_assert_eq(virtq_blk_queue_pop(rig.queue, &requests[DEPTH]), 0, "more than there is room");
    vector = virtq_blk_queue_vector(rig.queue, requests[2], &count);
    cr_assert(count == 1 && vector[0].iov_len == 512);
    cr_assert(vector[0].iov_base == rig.memory + RING + 2 * 1024 + 16);

    /* Out of order; what is done and not shown takes up room as well. */
    cr_assert_eq(virtq_blk_queue_finish(rig.queue, requests[3]), 1u);
    cr_assert_eq(virtq_blk_queue_finish(rig.queue, requests[0]), 2u);
    cr_assert_eq(back(0), 0u, "shown before its time");
    cr_assert_eq(virtq_blk_queue_pop(rig.queue, &requests[DEPTH]), 0);
    cr_assert_eq(virtq_blk_queue_publish(rig.queue), 2);
    cr_assert_eq(back(VIRTIO_BLK_S_OK), 2u);
    cr_assert_eq(virtq_blk_queue_publish(rig.queue), 0);
    cr_assert_eq(virtq_blk_queue_pop(rig.queue, &requests[0]), 1);
    cr_assert_eq(virtq_blk_queue_pop(rig.queue, &requests[3]), 1);
    cr_assert_eq(requests[3]->offset, UINT64_C(5) * VIRTQ_BLK_SECTOR);
    for (unsigned i = 0; i < DEPTH; i++) {
        requests[i]->status = VIRTIO_BLK_S_IOERR;
        (void)virtq_blk_queue_finish(rig.queue, requests[i]);
    }
    cr_assert_eq(virtq_blk_queue_publish(rig.queue), DEPTH);
    cr_assert_eq(back(VIRTIO_BLK_S_IOERR), (unsigned)DEPTH);
    cr_assert_eq(virtq_blk_queue_busy(rig.queue), 0u);
    free(rig.queue_memory);
}

Test(host_blk_queue, requests_end_in_any_order_split)
{
    go_through(VIRTQ_FORMAT_SPLIT);
}

Test(host_blk_queue, requests_end_in_any_order_packed)
{
    go_through(VIRTQ_FORMAT_PACKED);
}

Test(host_blk_queue, what_is_not_to_be_carried_out_is_answered_a_bounded_number_a_call)
{
    struct virtq_blk_request *request;

    open_rig(VIRTQ_FORMAT_SPLIT);
    for (unsigned i = 0; i < REQUESTS; i++) {
        send(i, 99);
    }
    for (unsigned shown = 0, lot; shown < REQUESTS; shown += lot) {
        lot = REQUESTS - shown < DEPTH ? REQUESTS - shown : DEPTH;

        cr_assert_eq(virtq_blk_queue_pop(rig.queue, &request), 0);
        cr_assert_eq(virtq_blk_queue_busy(rig.queue), 0u);
        cr_assert_eq(virtq_blk_queue_publish(rig.queue), (int)lot);
        cr_assert_eq(back(VIRTIO_BLK_S_UNSUPP), lot);
    }
    free(rig.queue_memory);
}

Test(host_blk_queue, an_illegal_configuration_makes_nothing)
{
    const struct virtq_blk_queue_config legal = VIRTQ_BLK_QUEUE_CONFIG_INIT;
    struct virtq_blk_queue_config config = legal;
    struct virtq_blk_queue *queue = NULL;
    size_t size;

    open_rig(VIRTQ_FORMAT_SPLIT);
    for (unsigned i = 0; i < 5; i++) {
        config = legal;
        config.struct_size -= i == 0;
        config.depth = i == 1 ? 0 : (i == 2 ? 32769 : 4);
        config.pieces = i == 3 ? 2 : (i == 4 ? 32769 : 4);
        cr_assert_eq(virtq_blk_queue_size(&config), (size_t)0, "%u", i);
    }
    config = legal;
    config.depth = DEPTH;
    config.pieces = 8;
    size = virtq_blk_queue_size(&config);
    cr_assert_eq(virtq_blk_queue_init(rig.queue_memory, size, &config, &queue), VIRTQ_EINVAL);
    config.device = rig.device;
    cr_assert_eq(virtq_blk_queue_init(rig.queue_memory, size, &config, &queue), VIRTQ_EINVAL);
    config.disk = &rig.disk;
    cr_assert_eq(virtq_blk_queue_init(rig.queue_memory, size - 1, &config, &queue), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_blk_queue_init((unsigned char *)rig.queue_memory + 8, size, &config, &queue),
                 VIRTQ_EINVAL);
    cr_assert(queue == NULL);
    free(rig.queue_memory);
}
