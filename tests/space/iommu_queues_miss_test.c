/* SPDX-License-Identifier: BSD-3-Clause */
/* M4: several queues of both formats miss at once on one IOTLB; each goes on where it was, in
 * order, when its own translation has come. */
#include <stdlib.h>

#include "support/runner.h"
#include "virtq/iommu/iotlb.h"
#include "virtq/space/iommu.h"
#include "virtq/virtq.h"

enum { QUEUES = 4, BUFFERS = 4, PAGE = 4096, CAPACITY = 64, SIZE = 16 };

#define ADDR(queue, buffer) (UINT64_C(0x100000) * ((queue) + 1u) + (uint64_t)(buffer)*PAGE)

struct queue {
    struct virtq_driver *driver;
    struct virtq_device *device;
    struct virtq_chain chains[BUFFERS];
    struct virtq_piece pieces[BUFFERS];
    unsigned popped;
    void *memory[3]; /* The ring, the ends. */
};

static unsigned char pages[QUEUES][BUFFERS][PAGE] __attribute__((aligned(4096)));
static unsigned char entries[VIRTQ_TREE_SIZE(CAPACITY)];
static struct virtq_miss list[QUEUES];
static struct virtq_iotlb iotlb;
static struct virtq_iommu_device iommu;
static struct virtq_direct direct;
static struct virtq_premapped premapped;

static void *zeroed(size_t bytes)
{
    void *memory = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);

    cr_assert_not_null(memory);
    memset(memory, 0, bytes);
    return memory;
}

static void open_queue(struct queue *q, bool packed)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;

    driver.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    cr_assert_eq(virtq_layout_init((enum virtq_format)driver.format, SIZE, &layout), 0);
    driver.size = SIZE;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver.features |= packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    driver.segments_max = 1;
    driver.space = &premapped.space;
    memset(q, 0, sizeof(*q));
    q->memory[0] = zeroed(layout.size);
    virtq_layout_areas(&layout, q->memory[0], &driver.areas);
    device.format = driver.format;
    device.size = driver.size;
    device.features = driver.features;
    device.space = &iommu.space;
    device.areas = driver.areas;
    q->memory[1] = zeroed(virtq_driver_size(&driver));
    q->memory[2] = zeroed(virtq_device_size(&device));
    cr_assert_eq(virtq_driver_init(q->memory[1], virtq_driver_size(&driver), &driver, &q->driver),
                 0);
    cr_assert_eq(
        virtq_device_init(q->memory[2], virtq_device_size(&device), &device, &q->device, NULL), 0);
}

static void offer(struct queue *q, unsigned number)
{
    for (unsigned i = 0; i < BUFFERS; i++) {
        struct virtq_segment segment = {.addr = ADDR(number, i) + 16 * i, .len = 100 + i};
        const struct virtq_buffer buffer = {
            .segments = &segment, .cookie = &pages[number][i], .readable = 1};

        cr_assert_eq(virtq_driver_add(q->driver, &buffer, 1), 1);
    }
    cr_assert_eq(virtq_driver_publish(q->driver), (unsigned)BUFFERS);
}

/* Pops as far as translations are known, and notes what is not. False: nothing is missing. */
static bool advance(struct queue *q, unsigned number, int *noted)
{
    struct virtq_miss miss;
    int count;

    do {
        count = virtq_device_pop(q->device, q->chains + q->popped, BUFFERS - q->popped,
                                 q->pieces + q->popped, BUFFERS - q->popped);
        q->popped += count > 0 ? (unsigned)count : 0u;
    } while (count > 0 && q->popped < BUFFERS);
    if (count != VIRTQ_EMISS) {
        return false;
    }
    virtq_device_miss(q->device, &miss);
    cr_assert_eq(miss.addr, ADDR(number, q->popped) + 16 * q->popped);
    cr_assert_eq(miss.len, 100 + q->popped);
    cr_assert_eq(miss.permissions, (uint32_t)VIRTQ_PERMISSION_READ);
    *noted = virtq_iotlb_note_miss(&iotlb, &miss);
    return true;
}

static void resolve(const struct virtq_miss *miss)
{
    const unsigned number = (unsigned)(miss->addr / 0x100000) - 1;
    const unsigned buffer = (unsigned)(miss->addr % 0x100000 / PAGE);

    cr_assert_eq(virtq_iotlb_update(&iotlb, ADDR(number, buffer), ADDR(number, buffer) + PAGE - 1,
                                    pages[number][buffer], VIRTQ_PERMISSION_READ),
                 0);
}

static void judge(struct queue *q, unsigned number)
{
    struct virtq_completion done[BUFFERS];

    cr_assert_eq(q->popped, (unsigned)BUFFERS);
    for (unsigned i = 0; i < BUFFERS; i++) {
        const struct virtq_used_buffer used = {q->chains[i].id, 0};

        cr_assert_eq(q->chains[i].reason, 0u);
        cr_assert_eq(q->pieces[i].base, (void *)(pages[number][i] + 16 * i));
        cr_assert_eq(q->pieces[i].len, 100 + i);
        cr_assert_eq(virtq_device_push(q->device, &used, 1), 1);
    }
    cr_assert_eq(virtq_device_publish(q->device), BUFFERS);
    cr_assert_eq(virtq_driver_poll(q->driver, done, BUFFERS), BUFFERS);
    for (unsigned i = 0; i < BUFFERS; i++) {
        cr_assert_eq(done[i].cookie, (void *)&pages[number][i]);
    }
}

Test(space_iommu_queues_miss, M4_queues_of_both_formats_miss_at_once_and_go_on_in_order)
{
    struct queue queues[QUEUES];
    struct virtq_miss misses[QUEUES];
    unsigned rounds = 0;
    bool missing = true;

    cr_assert_eq(virtq_iotlb_init(&iotlb, CAPACITY, entries, sizeof(entries)), 0);
    cr_assert_eq(virtq_iotlb_set_misses(&iotlb, list, QUEUES), 0);
    cr_assert_eq(virtq_iommu_device_init(&iommu, NULL, &iotlb), 0);
    cr_assert_eq(virtq_direct_init(&direct, NULL, 0, UINT64_MAX,
                                   (uint32_t)VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE),
                 0);
    virtq_premapped_init(&premapped, &direct.space);
    for (unsigned i = 0; i < QUEUES; i++) {
        open_queue(&queues[i], i % 2 != 0);
        offer(&queues[i], i);
    }
    for (; missing; rounds++) {
        int noted = 0;

        missing = false;
        for (unsigned i = 0; i < QUEUES; i++) {
            if (advance(&queues[i], i, &noted)) {
                missing = true;
                cr_assert_eq(noted, 1);
                /* A retry changes nothing, and asks for nothing twice. */
                cr_assert(advance(&queues[i], i, &noted));
                cr_assert_eq(noted, 0);
            }
        }
        if (missing) {
            for (unsigned i = 0; i < QUEUES; i++) {
                cr_assert_eq(virtq_iotlb_next_miss(&iotlb, &misses[i]), 1);
                cr_assert_eq(misses[i].addr / 0x100000, i + 1u, "in the order of asking");
            }
            cr_assert_eq(virtq_iotlb_next_miss(&iotlb, &misses[0]), 0);
            /* The answers come the other way round. */
            for (unsigned i = QUEUES; i-- > 0;) {
                resolve(&misses[i]);
            }
        }
    }
    cr_assert_eq(rounds, BUFFERS + 1u);
    for (unsigned i = 0; i < QUEUES; i++) {
        judge(&queues[i], i);
        virtq_driver_destroy(queues[i].driver);
        for (unsigned k = 0; k < 3; k++) {
            free(queues[i].memory[k]);
        }
    }
}
