/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver role on a queue of either format, against the reference device. */
#ifndef VIRTQ_TESTS_IOMMU_VIRTIO_IOMMU_FIXTURE_H
#define VIRTQ_TESTS_IOMMU_VIRTIO_IOMMU_FIXTURE_H

#include "pair.h"
#include "reference_virtio_iommu.h"
#include "runner.h"
#include "virtq/iommu/virtio_iommu.h"
#include "virtq/iommu/virtio_iommu_mapper.h"

#define BIT(name) VIRTQ_FEATURE(VIRTIO_IOMMU_F_##name)

enum { PAGE = 4096, REQUESTS = 64, PROBE_SIZE = 256, ENDPOINT = 3, DOMAIN = 7 };

struct stand {
    struct pair *pair;
    struct reference_viommu device;
    struct virtq_virtio_iommu_settings settings;
    struct virtq_virtio_iommu_driver_config config;
    struct virtq_virtio_iommu_driver driver;
    struct virtq_virtio_iommu_mapper mapper;
    struct virtq_iommu_backend backend;
    unsigned notified;
    unsigned waited;
    unsigned woken;           /* How often the device was to notify after a wait's requests. */
    unsigned serve_on_notify; /* Requests that the device takes each time. */
    unsigned serve_on_wait;
    unsigned backwards; /* It answers what it has taken in reverse. */
    unsigned breaks;    /* It breaks the queue instead of taking anything. */
    int wait_result;
    uint32_t bypass; /* As it was written; 2: never. */
};

/* One request as the reference wants it: bytes in, bytes out, and a used length. */
static inline uint32_t stand_answer(struct stand *stand, const struct virtq_chain *chain)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    unsigned char readable[128];
    unsigned char writable[PROBE_SIZE + 4];
    size_t wanted;
    uint32_t length;

    cr_assert_eq(chain->reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert(chain->readable_bytes <= sizeof(readable));
    cr_assert(chain->writable_bytes <= sizeof(writable));
    wanted = virtq_cursor_peek(&writer, writable, sizeof(writable));
    length = reference_viommu_request(&stand->device, readable,
                                      virtq_cursor_read(&reader, readable, sizeof(readable)),
                                      writable, wanted);
    if (length > 0) {
        (void)virtq_cursor_write(&writer, writable, wanted);
    }
    return length;
}

/* The device takes up to `count` requests. */
static inline void stand_serve(struct stand *stand, unsigned count)
{
    struct pair *p = stand->pair;
    int popped = count == 0 ? 0 : pair_pop(p, count < PAIR_CHAINS ? count : PAIR_CHAINS);
    uint32_t lengths[PAIR_CHAINS];

    for (int i = 0; i < popped; i++) {
        lengths[i] = stand_answer(stand, &p->chains[i]);
    }
    for (int i = 0; i < popped; i++) {
        unsigned at = (unsigned)(stand->backwards != 0 ? popped - 1 - i : i);

        cr_assert_eq(pair_push(p, at, lengths[at]), 1);
    }
    if (popped > 0) {
        cr_assert_eq(virtq_device_publish(p->device), popped);
    }
}

static inline void stand_notify(void *context, uint32_t data)
{
    struct stand *stand = context;

    (void)data;
    stand->notified++;
    if (stand->breaks != 0) {
        pair_break_driver(stand->pair);
    }
    stand_serve(stand, stand->serve_on_notify);
}

static inline int stand_wait(void *context)
{
    struct stand *stand = context;

    stand->waited++;
    cr_assert_lt(stand->waited, 1u << 20, "nothing comes any more");
    stand_serve(stand, stand->serve_on_wait);
    stand->woken += virtq_device_needs_notify(stand->pair->device) == 1;
    return stand->wait_result;
}

static inline int stand_write_bypass(void *context, uint8_t value)
{
    struct stand *stand = context;

    stand->bypass = value;
    return 0;
}

/* What the device offers may be changed between the two. */
static inline void stand_prepare(struct stand *stand, struct pair *p, uint32_t ring,
                                 unsigned options)
{
    const struct virtq_virtio_iommu_driver_config config = VIRTQ_VIRTIO_IOMMU_DRIVER_CONFIG_INIT;
    unsigned char bytes[40];

    memset(stand, 0, sizeof(*stand));
    stand->pair = p;
    pair_open(p, ring, 0, options);
    reference_viommu_init(&stand->device, PAGE);
    stand->device.input_start = 0x100000;
    stand->device.input_end = 0xffffffff;
    stand->device.domain_start = 1;
    stand->device.domain_end = 100;
    stand->device.attach_flags = VIRTIO_IOMMU_ATTACH_F_BYPASS;
    stand->device.known_flags = 7;
    stand->serve_on_notify = PAIR_CHAINS;
    stand->serve_on_wait = PAIR_CHAINS;
    stand->bypass = 2;
    reference_viommu_config(&stand->device, PROBE_SIZE, bytes);
    cr_assert_eq(virtq_virtio_iommu_settings_read(&stand->settings, bytes, sizeof(bytes),
                                                  BIT(INPUT_RANGE) | BIT(DOMAIN_RANGE) |
                                                      BIT(MAP_UNMAP) | BIT(PROBE) | BIT(MMIO) |
                                                      BIT(BYPASS_CONFIG)),
                 0);
    stand->config = config;
    stand->config.queue = p->driver;
    stand->config.space = p->space;
    stand->config.settings = &stand->settings;
    stand->config.requests = REQUESTS;
    stand->config.context = stand;
    stand->config.notify = stand_notify;
    stand->config.wait = stand_wait;
    stand->config.write_bypass = stand_write_bypass;
}

static inline void stand_start(struct stand *stand)
{
    stand->config.shared_size = virtq_virtio_iommu_driver_shared_size(&stand->config);
    stand->config.memory_size = virtq_virtio_iommu_driver_private_size(&stand->config);
    cr_assert_neq(stand->config.shared_size, 0u);
    stand->config.shared = aligned_alloc(VIRTQ_CACHE_LINE, stand->config.shared_size);
    stand->config.memory = calloc(1, stand->config.memory_size);
    cr_assert(stand->config.shared != NULL && stand->config.memory != NULL);
    cr_assert_eq(virtq_virtio_iommu_driver_init(&stand->driver, &stand->config), 0);
    cr_assert_eq(virtq_virtio_iommu_mapper_init(&stand->mapper, &stand->driver, DOMAIN, 0), 0);
    virtq_virtio_iommu_mapper_backend(&stand->mapper, &stand->backend);
}

static inline void stand_open(struct stand *stand, struct pair *p)
{
    stand_prepare(stand, p, 256, PAIR_DIRECT);
    stand_start(stand);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand->mapper, ENDPOINT), 0);
    stand->notified = stand->waited = 0;
}

/* The device was well used, unless a test says otherwise. */
static inline void stand_close(struct stand *stand)
{
    cr_assert_eq(stand->device.requests[0], 0u, "a request was not understood");
    cr_assert_eq(stand->device.rule_breaks, 0u);
    cr_assert_eq(virtq_virtio_iommu_driver_destroy(&stand->driver), 0);
    free(stand->config.shared);
    free(stand->config.memory);
}

static inline struct virtq_virtio_iommu_driver_usage stand_usage(struct stand *stand)
{
    struct virtq_virtio_iommu_driver_usage usage;

    virtq_virtio_iommu_driver_read_usage(&stand->driver, &usage);
    return usage;
}

/* The requests of one type that are to go wrong. */
static inline void stand_lie(struct stand *stand, unsigned type, unsigned after, unsigned lies,
                             int status)
{
    stand->device.lie_type = (int)type;
    stand->device.lie_from = stand->device.requests[type] + after;
    stand->device.lies = lies;
    stand->device.lie_status = status;
    stand->device.lie_length = REFERENCE_VIOMMU_HONEST;
    stand->device.lie_acts = 0;
}

/* Page number `at` of the address space, to page number `at` of a memory that nobody touches. */
static inline struct virtq_region stand_range(unsigned at)
{
    const virtq_addr_t first = 0x100000 + (virtq_addr_t)at * PAGE;
    const struct virtq_region range = {first, first + PAGE - 1,
                                       (void *)(uintptr_t)(0x40000000 + (uintptr_t)at * PAGE),
                                       VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE};

    return range;
}

static inline int stand_map(struct stand *stand, const struct virtq_region *ranges, unsigned count)
{
    return stand->backend.map(stand->backend.context, ranges, count);
}

static inline int stand_unmap(struct stand *stand, const struct virtq_region *ranges,
                              unsigned count)
{
    return stand->backend.unmap(stand->backend.context, ranges, count);
}

static inline int stand_flush(struct stand *stand, const struct virtq_region *ranges,
                              unsigned count)
{
    return stand->backend.flush(stand->backend.context, ranges, count);
}

#endif
