/* SPDX-License-Identifier: BSD-3-Clause */
/* A device of another program, and what it reaches of this one: a connection, memory, and one of
 * the four spaces over it. The same memory each time; what differs is what a device address is, and
 * what the back-end is given. */
#ifndef EXAMPLES_REACH_H
#define EXAMPLES_REACH_H

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <virtq/host/memory.h>
#include <virtq/host/vhost_user_frontend.h>
#include <virtq/virtq.h>

#include "support.h"

#define REACH_BASE UINT64_C(0x100000000)
#define REACH_BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)
enum {
    REACH_PAGE = 4096,
    REACH_QUEUES = 2,
    REACH_MAPPINGS = 256,
    REACH_MAGAZINES = 2 * VIRTQ_IOVA_CACHE_MAGAZINES
};

struct reach {
    struct virtq_vhost_user_frontend *frontend;
    struct virtq_host_memory memory;
    struct virtq_vhost_user_share share; /* The memory, as the back-end is given it. */
    struct virtq_space *space;           /* One of these: */
    struct virtq_direct direct;
    struct virtq_swiotlb swiotlb;
    struct virtq_bar bar;
    struct virtq_iommu_queue iommu;
    void *rings;   /* Pages for rings and tables ... */
    void *buffers; /* ... and for buffers. */
    void *private; /* Memory of no device: to be freed. */
    void *bounced;
    void *connection;
    void *queues[REACH_QUEUES];                      /* Private memory of each queue, ... */
    struct virtq_vhost_user_ring made[REACH_QUEUES]; /* ... and what it was made of. */
    uint64_t features;
    /* Behind the iommu space: a domain, or a slot of memory. */
    struct virtq_iommu_backend backend;
    struct virtq_domain domain;
    struct virtq_iova iova;
    struct virtq_iova_depot depot;
    virtq_addr_t shared;
    struct virtq_iova_magazine magazines[REACH_MAGAZINES];
    struct virtq_iova_range ranges[REACH_MAPPINGS + REACH_MAGAZINES * VIRTQ_IOVA_MAGAZINE_ROOM];
    unsigned char mappings[VIRTQ_TREE_SIZE(REACH_MAPPINGS)];
};

/* Without an IOTLB a mapping is memory that the back-end is given, in a slot of its own. */
static inline int reach_map_slot(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct reach *r = context;

    check(count == 1 && ranges->base == r->memory.base, "one mapping of everything");
    r->share.address = ranges->first;
    return virtq_vhost_user_frontend_add_memory(r->frontend, &r->share);
}

static inline int reach_unmap_slot(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct reach *r = context;

    (void)ranges, (void)count;
    return virtq_vhost_user_frontend_remove_memory(r->frontend, &r->share);
}

static inline int reach_flush_slot(void *context, const struct virtq_region *ranges, unsigned count)
{
    (void)context, (void)ranges, (void)count;
    return 0;
}

/* With an IOTLB each buffer is mapped and unmapped; else all is mapped once. */
static inline void reach_open_iommu(struct reach *r, int iotlb)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;

    r->backend = (struct virtq_iommu_backend){sizeof(r->backend), r, reach_map_slot,
                                              reach_unmap_slot, reach_flush_slot};
    if (iotlb) {
        virtq_domain_backend(&r->domain, &r->backend);
    }
    check(virtq_iova_init(&r->iova, REACH_BASE, 2 * REACH_BASE - 1, REACH_PAGE, r->ranges,
                          sizeof(r->ranges) / sizeof(r->ranges[0])) == 0 &&
              virtq_iova_depot_init(&r->depot, &r->iova, UINT64_MAX, r->magazines,
                                    REACH_MAGAZINES) == 0,
          "addresses");
    config.depot = &r->depot;
    config.backend = &r->backend;
    config.policy = iotlb ? VIRTQ_IOMMU_STRICT : VIRTQ_IOMMU_PERSISTENT;
    config.entries = iotlb ? 0 : 8;
    config.memory_size = virtq_iommu_queue_private_size(config.policy, config.entries);
    config.memory = r->private = config.memory_size != 0 ? memory(config.memory_size, 8) : NULL;
    check(virtq_iommu_queue_init(&r->iommu, &config) == 0, "the iommu space");
    r->space = &r->iommu.space;
    check(iotlb || virtq_space_share(r->space, r->memory.base, r->memory.size, REACH_BOTH,
                                     &r->shared) == 0,
          "the back-end has no slots of memory");
}

/* The pool is all that the device is given; buffers lie elsewhere. */
static inline void reach_open_swiotlb(struct reach *r, size_t rings, size_t buffers)
{
    struct virtq_swiotlb_config pool = VIRTQ_SWIOTLB_CONFIG_INIT;

    pool.pool = r->memory.base;
    pool.pool_size = r->memory.size;
    pool.addr = REACH_BASE;
    pool.memory_size = virtq_swiotlb_private_size(pool.pool_size, pool.granule);
    pool.memory = r->private = memory(pool.memory_size, 8);
    check(virtq_swiotlb_init(&r->swiotlb, &pool) == 0 &&
              virtq_swiotlb_alloc(&r->swiotlb, rings, REACH_PAGE, &r->rings) == 0,
          "the pool");
    r->space = &r->swiotlb.space;
    r->buffers = r->bounced = memory(buffers, REACH_PAGE);
}

/* Connects to a back-end, and greets it. Its misses are answered from the domain. */
static inline void reach_connect(struct reach *r, const char *path, uint32_t queues)
{
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size;

    memset(r, 0, sizeof(*r));
    check(virtq_domain_init(&r->domain, REACH_MAPPINGS, r->mappings, sizeof(r->mappings)) == 0,
          "a domain");
    check(strlen(path) < sizeof(address.sun_path), "a shorter path");
    memcpy(address.sun_path, path, strlen(path));
    config.socket = socket(AF_UNIX, SOCK_STREAM, 0);
    check(connect(config.socket, (struct sockaddr *)&address, sizeof(address)) == 0,
          "nobody listens at the socket");
    config.queue_count = queues;
    config.deadline = 60000;
    config.domain = &r->domain;
    size = virtq_vhost_user_frontend_size(&config);
    r->connection = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_vhost_user_frontend_init(r->connection, size, &config, &r->frontend) == 0 &&
              virtq_vhost_user_frontend_greet(r->frontend) == 0,
          "no vhost-user back-end");
}

/* Accepts what is wanted and offered; what is needed has to be. */
static inline void reach_accept(struct reach *r, uint64_t wanted, uint64_t needed)
{
    const uint64_t offered = virtq_vhost_user_frontend_offered(r->frontend);
    const uint64_t missing = needed & ~offered;

    check((missing & VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)) == 0, "no packed ring is offered");
    check((missing & VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM)) == 0, "no IOTLB is offered");
    check(missing == 0, "a feature is not offered");
    r->features = (wanted & offered) | needed;
    check(virtq_vhost_user_frontend_accept(r->frontend, r->features) == 0,
          "the features are refused");
}

/* Memory and a space of that name, with so many bytes for rings and for buffers. */
static inline void reach_open(struct reach *r, const char *name, size_t rings, size_t buffers)
{
    const int iotlb = virtq_feature_has(r->features, VIRTIO_F_ACCESS_PLATFORM);
    const int iommu = strcmp(name, "iommu") == 0;

    check(virtq_host_memory_init(&r->memory, rings + 2 * buffers, 0) == 0, "shared memory");
    r->rings = r->memory.base;
    r->buffers = (char *)r->memory.base + rings;
    r->share = (struct virtq_vhost_user_share){
        r->memory.base, r->memory.size, REACH_BASE, 0, r->memory.fd, 0};
    if (strcmp(name, "direct") == 0) {
        check(virtq_direct_init(&r->direct, r->memory.base, REACH_BASE,
                                REACH_BASE + r->memory.size - 1, REACH_BOTH) == 0,
              name);
        r->space = &r->direct.space;
    } else if (strcmp(name, "bar") == 0) {
        r->share.address = 0; /* A device address is an offset. */
        check(virtq_bar_init(&r->bar, r->memory.base, r->memory.size, REACH_BOTH, 0) == 0, name);
        r->space = &r->bar.space;
    } else if (strcmp(name, "swiotlb") == 0) {
        reach_open_swiotlb(r, rings, buffers);
    }
    check(r->space != NULL || iommu, "a space: direct, swiotlb, iommu or bar");
    check(!iotlb || iommu, "an IOTLB is behind the space iommu only");
    check((iommu && !iotlb) || virtq_vhost_user_frontend_set_memory(r->frontend, &r->share, 1) == 0,
          "the back-end does not take the memory");
    if (iommu) {
        reach_open_iommu(r, iotlb);
    }
}

/* Makes a queue at a place among the rings, and starts it. */
static inline struct virtq_driver *reach_queue(struct reach *r, uint32_t index, size_t place,
                                               uint32_t size, uint16_t segments)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_vhost_user_ring *ring = &r->made[index];
    const int packed = virtq_feature_has(r->features, VIRTIO_F_RING_PACKED);
    unsigned char *at = (unsigned char *)r->rings + place;
    struct virtq_driver *driver = NULL;
    struct virtq_layout layout;
    size_t private_size;

    config.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = size;
    config.features = r->features;
    config.segments_max = segments;
    config.space = r->space;
    check(virtq_layout_init((enum virtq_format)config.format, size, &layout) == 0, "a ring");
    virtq_layout_areas(&layout, at, &config.areas);
    if (virtq_feature_has(r->features, VIRTIO_F_INDIRECT_DESC)) {
        config.tables = at + (layout.size + REACH_PAGE - 1) / REACH_PAGE * REACH_PAGE;
    }
    private_size = virtq_driver_size(&config);
    r->queues[index] = memory(private_size, VIRTQ_CACHE_LINE);
    check(virtq_driver_init(r->queues[index], private_size, &config, &driver) == 0, "a queue");
    *ring = (struct virtq_vhost_user_ring){
        .struct_size = sizeof(*ring), .size = size, .areas = config.areas};
    virtq_driver_addresses(driver, &ring->addresses);
    check(virtq_vhost_user_frontend_start(r->frontend, index, ring) == 0,
          "the back-end does not start the ring");
    return driver;
}

/* All rings are started: the driver is ready. A back-end that hears of the status serves nothing
 * before. */
static inline void reach_run(struct reach *r)
{
    const uint64_t protocol = virtq_vhost_user_frontend_protocol(r->frontend);

    if (virtq_feature_has(protocol, VHOST_USER_PROTOCOL_F_STATUS)) {
        check(virtq_vhost_user_frontend_set_status(r->frontend, 15) == 0, "the device's status");
    }
}

/* Takes one buffer back, or sleeps until there is one; meanwhile the back-end may ask. */
static inline struct virtq_completion reach_take(struct reach *r, uint32_t index,
                                                 struct virtq_driver *driver)
{
    struct pollfd ready[2] = {{virtq_vhost_user_frontend_call_fd(r->frontend, index), POLLIN, 0},
                              {virtq_vhost_user_frontend_fd(r->frontend), POLLIN, 0}};
    struct virtq_completion completion = {NULL, 0, 0};
    int got = virtq_driver_poll(driver, &completion, 1);

    while (got == 0) {
        if (!virtq_driver_enable_notify(driver)) {
            check(poll(ready, 2, 60000) > 0, "the device does not answer");
            (void)virtq_vhost_user_frontend_called(r->frontend, index);
            check(virtq_vhost_user_frontend_process(r->frontend) == 0,
                  virtq_vhost_user_refusal_name(virtq_vhost_user_frontend_refusal(r->frontend)));
        }
        got = virtq_driver_poll(driver, &completion, 1);
    }
    check(got == 1, "the ring is broken");
    return completion;
}

/* Stops a ring with nothing outstanding, where its driver stands. */
static inline void reach_stop(struct reach *r, uint32_t index, struct virtq_driver *driver)
{
    struct virtq_state state;
    uint32_t base;

    check(virtq_driver_save(driver, &state) == 0 &&
              virtq_vhost_user_frontend_stop(r->frontend, index, &base) == 0 &&
              base == virtq_state_to_base(&state),
          "both ends stand at the same place");
    virtq_driver_destroy(driver);
    free(r->queues[index]);
}

/* After the queues. */
static inline void reach_close(struct reach *r)
{
    if (r->shared != 0) {
        virtq_space_unshare(r->space, r->shared, r->memory.size);
    }
    if (r->space == &r->iommu.space) {
        virtq_iommu_queue_destroy(&r->iommu);
    }
    virtq_vhost_user_frontend_fini(r->frontend);
    virtq_host_memory_fini(&r->memory);
    free(r->connection);
    free(r->private);
    free(r->bounced);
}

#endif
