/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue over four spaces at once, both ends: what the tests of it stand on. */
#ifndef VIRTQ_TESTS_SPACE_MUX_STAND_H
#define VIRTQ_TESTS_SPACE_MUX_STAND_H

#include <stdlib.h>

#include "support/guarded.h"
#include "support/random.h"
#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/space/mux.h"
#include "virtq/virtq.h"

enum {
    SIZE = 16,     /* Of the queue. */
    BUFFERS = 8,   /* Outstanding at most. */
    SEGMENTS = 6,  /* Of the largest buffer. */
    SEGMENT = 192, /* Bytes of the largest segment, and from one to the next. */
    AREA = BUFFERS * SEGMENTS * SEGMENT,
    PAGE = 4096,
    REGION = 16 * PAGE,
    POOL = 4 * PAGE,
    DIRECT = 0, /* The members. */
    BAR = 1,
    SWIOTLB = 2,
    IOMMU = 3,
    MEMBERS = 4
};

/* A buffer on its way. */
struct flight {
    struct virtq_segment segments[SEGMENTS];
    unsigned readable;
    unsigned writable;
    unsigned char before[SEGMENTS * SEGMENT]; /* All segments' bytes, one after another. */
    unsigned char written[SEGMENTS * SEGMENT];
    uint32_t len; /* What the device said. */
    int busy;
};

struct stand {
    uint64_t random;
    unsigned char *region;
    unsigned char *pool;
    unsigned char *direct_memory;
    unsigned char *areas[MEMBERS]; /* Where segments of each member lie. */
    struct virtq_direct direct;
    struct virtq_bar bar;
    struct virtq_swiotlb swiotlb;
    struct virtq_direct pool_window;
    struct virtq_iova iova;
    struct virtq_iova_range ranges[256];
    struct virtq_domain domain;
    unsigned char mappings[VIRTQ_TREE_SIZE(256)];
    struct virtq_iommu_backend backend;
    struct virtq_iommu iommu;
    struct virtq_iotlb iotlb;
    unsigned char entries[VIRTQ_TREE_SIZE(24)];
    struct virtq_iommu_device iommu_device;
    struct virtq_mux_route routes[MEMBERS];
    struct virtq_mux driver_mux;
    struct virtq_mux device_mux;
    void *books[2];
    void *queue_memory[2];
    struct virtq_driver *driver;
    struct virtq_device *device;
    struct flight flights[BUFFERS];
    unsigned misses;
    unsigned shortages;
    unsigned full;
    unsigned mixed; /* Buffers over several members. */
};

static inline void open_members(struct stand *s)
{
    struct virtq_swiotlb_config pool = VIRTQ_SWIOTLB_CONFIG_INIT;
    struct virtq_iommu_config iommu = VIRTQ_IOMMU_CONFIG_INIT;
    const size_t books = virtq_bar_private_size(REGION, 64);

    s->direct_memory = guarded_alloc(REGION);
    s->region = guarded_alloc(REGION);
    s->pool = guarded_alloc(POOL);
    s->books[0] = malloc(books);
    cr_assert_eq(
        virtq_direct_init(&s->direct, s->direct_memory, 0x10000, 0x10000 + REGION - 1, SPACES_BOTH),
        0);
    cr_assert_eq(virtq_bar_init(&s->bar, s->region, REGION, SPACES_BOTH, 0), 0);
    cr_assert_eq(virtq_bar_manage(&s->bar, 64, s->books[0], books), 0);
    pool.pool = s->pool;
    pool.pool_size = POOL;
    pool.addr = 0x40000;
    pool.memory_size = virtq_swiotlb_private_size(POOL, pool.granule);
    pool.memory = s->books[1] = malloc(pool.memory_size);
    cr_assert_eq(virtq_swiotlb_init(&s->swiotlb, &pool), 0);
    cr_assert_eq(
        virtq_direct_init(&s->pool_window, s->pool, 0x40000, 0x40000 + POOL - 1, SPACES_BOTH), 0);
    cr_assert_eq(virtq_domain_init(&s->domain, 256, s->mappings, sizeof(s->mappings)), 0);
    cr_assert_eq(virtq_iova_init(&s->iova, 0x100000, 0xffffffff, PAGE, s->ranges, 256), 0);
    cr_assert_eq(virtq_iotlb_init(&s->iotlb, 24, s->entries, sizeof(s->entries)), 0);
    virtq_domain_backend(&s->domain, &s->backend);
    iommu.iova = &s->iova;
    iommu.backend = &s->backend;
    cr_assert_eq(virtq_iommu_init(&s->iommu, &iommu), 0);
    cr_assert_eq(virtq_iommu_device_init(&s->iommu_device, &s->domain, &s->iotlb), 0);
}

/* The region's offsets begin at 0, as physical addresses might: for queues they are elsewhere. */
static inline void open_muxes(struct stand *s)
{
    struct virtq_space *const driver[MEMBERS] = {&s->direct.space, &s->bar.space, &s->swiotlb.space,
                                                 &s->iommu.space};
    struct virtq_space *const device[MEMBERS] = {&s->direct.space, &s->bar.space,
                                                 &s->pool_window.space, &s->iommu_device.space};
    struct virtq_mux_member members[MEMBERS] = {
        {NULL, 0, 0x3ffff, 0, SPACES_BOTH},
        {NULL, UINT64_MAX - (REGION - 1), UINT64_MAX, 0, SPACES_BOTH},
        {NULL, 0x40000, 0x40000 + POOL - 1, 0x40000, SPACES_BOTH},
        {NULL, 0x100000, 0xffffffff, 0x100000, SPACES_BOTH}};
    struct virtq_mux_config config = VIRTQ_MUX_CONFIG_INIT;
    unsigned count = 0;

    s->areas[DIRECT] = s->direct_memory;
    s->areas[BAR] = s->region;
    s->areas[SWIOTLB] = guarded_alloc(AREA);
    s->areas[IOMMU] = guarded_alloc(AREA);
    for (unsigned i = 0; i < MEMBERS; i++) {
        size_t size = i < (unsigned)SWIOTLB ? (size_t)REGION : (size_t)AREA;
        unsigned at = count++;

        for (; at != 0 && s->routes[at - 1].first > (uintptr_t)s->areas[i]; at--) {
            s->routes[at] = s->routes[at - 1];
        }
        s->routes[at].first = (uintptr_t)s->areas[i];
        s->routes[at].last = s->routes[at].first + size - 1;
        s->routes[at].member = i;
        members[i].space = driver[i];
    }
    config.members = members;
    config.member_count = MEMBERS;
    config.routes = s->routes;
    config.route_count = MEMBERS;
    cr_assert_eq(virtq_mux_init(&s->driver_mux, &config), 0);
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i].space = device[i];
    }
    config.route_count = 0;
    cr_assert_eq(virtq_mux_init(&s->device_mux, &config), 0);
}

/* Whoever owns the members resolves; the mux says whose a miss is. */
static inline int resolve(struct stand *s, const struct virtq_miss *miss)
{
    struct virtq_miss own = *miss;

    s->misses++;
    cr_assert_eq(virtq_mux_own(&s->device_mux, miss->addr, &own.addr), IOMMU);
    return virtq_iommu_device_resolve(&s->iommu_device, &own);
}

static inline void open_queue(struct stand *s, unsigned format, bool tables, unsigned ring_member)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    unsigned char *ring = s->areas[ring_member] + REGION - 4 * PAGE;
    struct virtq_layout layout;
    struct virtq_miss miss;
    size_t size;
    int error;

    cr_assert(AREA <= REGION - 4 * PAGE);
    cr_assert_eq(virtq_layout_init((enum virtq_format)format, SIZE, &layout), 0);
    cr_assert(layout.size <= PAGE);
    driver.format = format;
    driver.size = SIZE;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver.features |= format != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    driver.features |= tables ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0;
    driver.segments_max = SEGMENTS;
    driver.space = &s->driver_mux.space;
    driver.tables = tables ? ring + PAGE : NULL;
    cr_assert(virtq_driver_tables_size(&driver) <= 3 * (size_t)PAGE);
    virtq_layout_areas(&layout, ring, &driver.areas);
    size = virtq_driver_size(&driver);
    s->queue_memory[0] = aligned_alloc(VIRTQ_CACHE_LINE, (size + 63) & ~(size_t)63);
    cr_assert_eq(virtq_driver_init(s->queue_memory[0], size, &driver, &s->driver), 0);
    device.format = format;
    device.size = SIZE;
    device.features = driver.features;
    device.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    device.space = &s->device_mux.space;
    device.table_max = 2 * SEGMENTS;
    virtq_driver_addresses(s->driver, &device.addresses);
    size = virtq_device_size(&device);
    s->queue_memory[1] = aligned_alloc(VIRTQ_CACHE_LINE, (size + 63) & ~(size_t)63);
    do {
        error = virtq_device_init(s->queue_memory[1], size, &device, &s->device, &miss);
    } while (error == VIRTQ_EMISS && resolve(s, &miss) == 0);
    cr_assert_eq(error, 0);
}

static inline struct stand *stand_open(unsigned format, bool tables, unsigned ring_member)
{
    struct stand *s = calloc(1, sizeof(*s));

    cr_assert_not_null(s);
    s->random = 0x6d757832 + format;
    open_members(s);
    open_muxes(s);
    open_queue(s, format, tables, ring_member);
    return s;
}

static inline void stand_close(struct stand *s)
{
    struct virtq_swiotlb_usage pool;
    struct virtq_iommu_usage iommu;

    virtq_driver_destroy(s->driver);
    virtq_swiotlb_read_usage(&s->swiotlb, &pool);
    virtq_iommu_read_usage(&s->iommu, &iommu);
    cr_assert_eq(pool.used, 0u, "the pool has lost slots");
    cr_assert(iommu.mapped == 0 && iommu.leaked == 0, "mappings are left");
    virtq_mux_fini(&s->driver_mux);
    virtq_mux_fini(&s->device_mux);
    virtq_iommu_device_destroy(&s->iommu_device);
    guarded_free(s->direct_memory, REGION);
    guarded_free(s->region, REGION);
    guarded_free(s->pool, POOL);
    guarded_free(s->areas[SWIOTLB], AREA);
    guarded_free(s->areas[IOMMU], AREA);
    free(s->books[0]);
    free(s->books[1]);
    free(s->queue_memory[0]);
    free(s->queue_memory[1]);
    free(s);
}

static inline int pop(struct stand *s, struct virtq_chain *chain, struct virtq_piece *pieces,
                      unsigned count)
{
    int popped = virtq_device_pop(s->device, chain, 1, pieces, count);

    while (popped == VIRTQ_EMISS) {
        struct virtq_miss miss;

        virtq_device_miss(s->device, &miss);
        cr_assert_eq(resolve(s, &miss), 0);
        popped = virtq_device_pop(s->device, chain, 1, pieces, count);
    }
    return popped;
}

#endif
