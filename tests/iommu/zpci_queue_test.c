/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of both formats whose driver end maps through a guest's tables and whose device end
 * translates through the host's shadow of them: rings, indirect tables and buffers. M1, M7. */
#include <stdio.h>

#include "support/random.h"
#include "virtq/virtq.h"
#include "zpci_pair.h"

enum { SIZE = 8, RANGES = 64, ROUNDS = 300, RINGS = 0x200, DATA = 0x280, LONGEST = 3 * 4096 };

enum way { WAY_SHARED, WAY_STRICT, WAY_LAZY_LIST, WAY_LAZY_BITMAP, WAYS };

struct stand {
    struct zpci_pair pair;
    struct virtq_iova_range ranges[RANGES + 64 * 16];
    struct virtq_iova_magazine magazines[64];
    struct virtq_iova iova;
    struct virtq_iova_depot depot;
    struct virtq_iommu iommu;
    struct virtq_iommu_queue queue;
    struct virtq_zpci_lazy lazy;
    void *memory;
    struct virtq_space *space;
    void *ends[2];
    struct virtq_driver *driver;
    struct virtq_device *device;
};

static struct stand stand;

static void open_iommu(struct stand *s, enum way way)
{
    struct virtq_iommu_config iommu = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_iommu_queue_config queue = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    const unsigned count = sizeof(s->ranges) / sizeof(s->ranges[0]);

    cr_assert_eq(virtq_iova_init(&s->iova, 0x100000, 0x3fffff, 4096, s->ranges, count), 0);
    if (way == WAY_SHARED) {
        iommu.iova = &s->iova;
        iommu.backend = &s->pair.backend;
        cr_assert_eq(virtq_iommu_init(&s->iommu, &iommu), 0);
        s->space = &s->iommu.space;
        return;
    }
    cr_assert_eq(virtq_iova_depot_init(&s->depot, &s->iova, UINT64_MAX, s->magazines, 64), 0);
    queue.depot = &s->depot;
    queue.backend = &s->pair.backend;
    queue.policy = way == WAY_STRICT ? VIRTQ_IOMMU_STRICT : VIRTQ_IOMMU_LAZY;
    queue.entries = way == WAY_STRICT ? 0 : 24;
    queue.memory_size = virtq_iommu_queue_private_size(queue.policy, queue.entries);
    queue.memory = s->memory = queue.memory_size != 0 ? malloc(queue.memory_size) : NULL;
    cr_assert_eq(virtq_iommu_queue_init(&s->queue, &queue), 0);
    s->space = &s->queue.space;
}

static void open_lazy(struct stand *s)
{
    struct virtq_zpci_lazy_config config = VIRTQ_ZPCI_LAZY_CONFIG_INIT;

    config.guest = &s->pair.guest;
    config.first = 0x100000;
    config.last = 0x17ffff;
    config.bitmaps_size = virtq_zpci_lazy_size(config.first, config.last);
    config.bitmaps = s->memory = malloc(config.bitmaps_size);
    cr_assert_eq(virtq_zpci_lazy_init(&s->lazy, &config), 0);
    s->space = &s->lazy.space;
}

static void open_ends(struct stand *s, unsigned format, bool tables)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;

    cr_assert_eq(virtq_layout_init(format, SIZE, &layout), 0);
    driver.format = device.format = format;
    driver.size = device.size = SIZE;
    driver.features = device.features =
        VIRTQ_FEATURE(VIRTIO_F_VERSION_1) |
        (tables ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : (uint64_t)0) |
        (format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : (uint64_t)0);
    driver.segments_max = 4;
    driver.space = s->space;
    virtq_layout_areas(&layout, s->pair.stand.memory + RINGS * 4096, &driver.areas);
    if (tables) {
        driver.tables = s->pair.stand.memory + (RINGS + 16) * 4096;
    }
    s->ends[0] = aligned_alloc(64, (virtq_driver_size(&driver) + 63) & ~(size_t)63);
    cr_assert_eq(virtq_driver_init(s->ends[0], virtq_driver_size(&driver), &driver, &s->driver), 0);
    device.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    device.space = &s->pair.stand.host.space;
    virtq_driver_addresses(s->driver, &device.addresses);
    s->ends[1] = aligned_alloc(64, (virtq_device_size(&device) + 63) & ~(size_t)63);
    cr_assert_eq(
        virtq_device_init(s->ends[1], virtq_device_size(&device), &device, &s->device, NULL), 0);
}

static void stand_open(struct stand *s, enum way way, unsigned format, bool tables)
{
    memset(s, 0, sizeof(*s));
    pair_open(&s->pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair_start(&s->pair);
    if (way == WAY_LAZY_BITMAP) {
        open_lazy(s);
    } else {
        open_iommu(s, way);
    }
    open_ends(s, format, tables);
}

static void stand_close(struct stand *s, enum way way)
{
    virtq_driver_destroy(s->driver);
    if (way == WAY_STRICT || way == WAY_LAZY_LIST) {
        virtq_iommu_queue_destroy(&s->queue);
    } else if (way == WAY_LAZY_BITMAP) {
        cr_assert_eq(virtq_zpci_lazy_flush(&s->lazy), 0);
    }
    cr_assert_eq(s->pair.stand.pinned, 0u, "all that was mapped is unpinned");
    pair_close(&s->pair);
    free(s->memory);
    free(s->ends[0]);
    free(s->ends[1]);
}

/* One buffer there and back: the device gets what was sent, and sends it back the other way round.
 */
static void exchange(struct stand *s, uint64_t *seed)
{
    unsigned char *out = s->pair.stand.memory + DATA * 4096 + random_below(seed, 4096);
    unsigned char *in = s->pair.stand.memory + (DATA + 16) * 4096 + random_below(seed, 4096);
    const uint32_t len = 2 + (uint32_t)random_below(seed, LONGEST);
    struct virtq_segment segments[3] = {
        {.base = out, .len = len - 1}, {.base = out + len - 1, .len = 1}, {.base = in, .len = len}};
    const struct virtq_buffer buffer = {.segments = segments, .readable = 2, .writable = 1};
    static unsigned char bytes[LONGEST + 2];
    struct virtq_piece pieces[16];
    struct virtq_completion done;
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    struct virtq_chain chain;

    for (uint32_t i = 0; i < len; i++) {
        out[i] = (unsigned char)random_next(seed);
    }
    cr_assert_eq(virtq_driver_add(s->driver, &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(s->driver), 1u);
    cr_assert_eq(virtq_device_pop(s->device, &chain, 1, pieces, 16), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    cr_assert_eq(virtq_cursor_read(&reader, bytes, sizeof(bytes)), (uint64_t)len);
    cr_assert_eq(memcmp(bytes, out, len), 0);
    for (uint32_t i = 0; i < len; i++) {
        bytes[i] ^= 0xff;
    }
    cr_assert_eq(virtq_cursor_write(&writer, bytes, len), (uint64_t)len);
    used = (struct virtq_used_buffer){chain.id, len};
    cr_assert_eq(virtq_device_push(s->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(s->device), 1u);
    cr_assert_eq(virtq_driver_poll(s->driver, &done, 1), 1);
    cr_assert_eq(done.len, len);
    cr_assert_eq(memcmp(bytes, in, len), 0);
}

static void traffic(enum way way)
{
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? ROUNDS / 10 : ROUNDS;
    uint64_t seed = 3;

    (void)printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned bits = 0; bits < 4; bits++) {
        stand_open(&stand, way, bits & 1, (bits & 2) != 0);
        for (unsigned round = 0; round < rounds; round++) {
            exchange(&stand, &seed);
        }
        stand_close(&stand, way);
    }
}

Test(iommu_zpci_queue, m7_both_formats_over_the_strict_space)
{
    traffic(WAY_SHARED);
}

Test(iommu_zpci_queue, m7_both_formats_over_a_queues_own_strict_space)
{
    traffic(WAY_STRICT);
}

Test(iommu_zpci_queue, m6_both_formats_over_a_list_that_is_flushed_when_it_is_full)
{
    traffic(WAY_LAZY_LIST);
}

Test(iommu_zpci_queue, m6_both_formats_over_the_bitmap_that_is_refreshed_at_the_wrap)
{
    traffic(WAY_LAZY_BITMAP);
}

/* A driver that makes a buffer available without saying so to the hypervisor. */
Test(iommu_zpci_queue, m7_a_buffer_whose_refresh_was_withheld_is_a_bad_buffer)
{
    for (unsigned format = 0; format < 2; format++) {
        struct virtq_segment segment = {.base = NULL, .len = 64};
        const struct virtq_buffer buffer = {.segments = &segment, .readable = 1};
        struct virtq_completion done;
        struct virtq_used_buffer used;
        struct virtq_piece pieces[16];
        struct virtq_chain chain;

        stand_open(&stand, WAY_SHARED, format, false);
        segment.base = stand.pair.stand.memory + DATA * 4096;
        pair_withhold(&stand.pair, 1, VIRTQ_ZPCI_DONE, 0);
        cr_assert_eq(virtq_driver_add(stand.driver, &buffer, 1), 1);
        cr_assert_eq(virtq_driver_publish(stand.driver), 1u);
        cr_assert_eq(virtq_device_pop(stand.device, &chain, 1, pieces, 16), 1);
        cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_ADDRESS);
        used = (struct virtq_used_buffer){chain.id, 0};
        cr_assert_eq(virtq_device_push(stand.device, &used, 1), 1);
        cr_assert_eq(virtq_device_publish(stand.device), 1u);
        cr_assert_eq(virtq_driver_poll(stand.driver, &done, 1), 1);
        stand_close(&stand, WAY_SHARED);
    }
}
