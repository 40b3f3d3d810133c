/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest maps by tables in its own memory, and the host follows on a request for each range; or,
 * for comparison, for each page of it. */
#include <stdlib.h>

#include <virtq/iommu/zpci_guest.h>
#include <virtq/iommu/zpci_host.h>
#include <virtq/iommu/zpci_lazy.h>

#include "cross/ways.h"

#define HANDLE 1u

/* Device addresses: a region's; those of the lazy way are used again after as many. */
#define ADDRESSES ((uint64_t)VIRTQ_ZPCI_REGION)
#define LAZY_ADDRESSES ((uint64_t)256 << 20)

enum {
    SEGMENTS = 2048,
    RANGES = 4096,
    MAGAZINES = 2 * CROSS_QUEUES_MAX * VIRTQ_IOVA_CACHE_MAGAZINES
};

/* What the queues share. The guest's tables lie in memory of their own, which is the guest's too.
 */
struct books {
    struct virtq_region regions[2];
    struct virtq_zpci_host host;
    struct virtq_zpci_guest guest;
    struct virtq_zpci_lazy lazy;
    struct virtq_iommu_backend backend;
    struct virtq_iova_range ranges[RANGES];
    struct virtq_iova_magazine magazines[MAGAZINES];
    uint64_t request_ns;
    bool by_page;
    /* Shadow, the guest's books, bitmaps, tables. */
    unsigned char rest[] __attribute__((aligned(VIRTQ_CACHE_LINE)));
};

/* One intercept. Processors that come at once wait for each other in the host. */
static uint32_t rpcit(void *context, uint64_t function, virtq_addr_t first, uint64_t len,
                      uint32_t *status)
{
    struct books *books = context;
    struct virtq_zpci_answer answer;
    uint64_t requests = books->by_page ? len / CROSS_PAGE : 1;

    for (uint64_t i = 0; i < requests; i++) {
        cross_backend_ask(books->request_ns);
    }
    do {
        virtq_zpci_host_refresh(&books->host, function, first, len, &answer);
    } while (answer.condition == (uint32_t)VIRTQ_ZPCI_BUSY);
    *status = answer.status;
    return answer.condition;
}

/* Absolute addresses are pointers. */
static struct virtq_region region_of(unsigned char *base, size_t size)
{
    return (struct virtq_region){(uintptr_t)base, (uintptr_t)base + size - 1, base, CROSS_BOTH};
}

static int open_host(struct cross_world *world, struct books *books, unsigned char *shadow)
{
    struct virtq_zpci_host_config config = VIRTQ_ZPCI_HOST_CONFIG_INIT;

    config.memory = &world->direct.space;
    config.regions = 1;
    config.segments = SEGMENTS;
    config.tables = shadow;
    config.tables_size = virtq_zpci_host_size(1, SEGMENTS);
    config.handle = HANDLE;
    world->device = &books->host.space;
    return virtq_zpci_host_init(&books->host, &config);
}

static int open_guest(struct books *books, unsigned char *private, unsigned char *tables)
{
    struct virtq_zpci_guest_config config = VIRTQ_ZPCI_GUEST_CONFIG_INIT;
    int error;

    config.memory = books->regions;
    config.memory_count = 2;
    config.flags = VIRTQ_ZPCI_REFRESH_MAP;
    config.segment_tables = 1;
    config.page_tables = SEGMENTS;
    config.tables = tables;
    config.tables_size = virtq_zpci_guest_tables_size(1, SEGMENTS);
    config.books = private;
    config.books_size = virtq_zpci_guest_books_size(1, SEGMENTS);
    config.first = CROSS_FIRST;
    config.last = CROSS_FIRST + ADDRESSES - 1;
    config.handle = HANDLE;
    config.context = books;
    config.rpcit = rpcit;
    error = virtq_zpci_guest_init(&books->guest, &config);
    virtq_zpci_guest_backend(&books->guest, &books->backend);
    return error != 0 ? error
                      : virtq_zpci_host_register(&books->host, config.first, config.last,
                                                 virtq_zpci_guest_anchor(&books->guest));
}

static int open_lazy(struct books *books, unsigned char *bitmaps)
{
    struct virtq_zpci_lazy_config config = VIRTQ_ZPCI_LAZY_CONFIG_INIT;

    config.guest = &books->guest;
    config.first = CROSS_FIRST;
    config.last = CROSS_FIRST + LAZY_ADDRESSES - 1;
    config.bitmaps = bitmaps;
    config.bitmaps_size = virtq_zpci_lazy_size(config.first, config.last);
    return virtq_zpci_lazy_init(&books->lazy, &config);
}

static int open_both(struct cross_world *world, bool by_page)
{
    const size_t shadow = virtq_zpci_host_size(1, SEGMENTS);
    const size_t private = virtq_zpci_guest_books_size(1, SEGMENTS);
    const size_t bitmaps = virtq_zpci_lazy_size(CROSS_FIRST, CROSS_FIRST + LAZY_ADDRESSES - 1);
    const size_t tables = virtq_zpci_guest_tables_size(1, SEGMENTS);
    struct books *books = cross_private(sizeof(*books) + shadow + private + bitmaps + tables);
    unsigned char *at;
    unsigned data;
    int error;

    world->books = books;
    if (books == NULL) {
        return VIRTQ_ENOMEM;
    }
    at = books->rest + shadow + private + bitmaps;
    data = at < world->memory ? 1 : 0;
    books->regions[data] = region_of(world->memory, world->size);
    books->regions[1 - data] = region_of(at, tables);
    books->request_ns = world->config.request_ns;
    books->by_page = by_page;
    error = virtq_direct_init_regions(&world->direct, books->regions, 2);
    if (error == 0) {
        error = open_host(world, books, books->rest);
    }
    if (error == 0) {
        error = open_guest(books, books->rest + shadow, at);
    }
    if (error == 0) {
        error = open_lazy(books, books->rest + shadow + private);
    }
    return error;
}

static int open_port(struct cross_world *world, unsigned queue)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    struct books *books = world->books;
    struct cross_port *port = world->ports[queue];
    int error;

    config.depot = &world->depot;
    config.backend = &books->backend;
    config.policy = VIRTQ_IOMMU_STRICT;
    error = virtq_iommu_queue_init(&port->iommu, &config);
    world->driver[queue] = &port->iommu.space;
    return error;
}

static int open_strict(struct cross_world *world, bool by_page)
{
    struct books *books;
    int error = open_both(world, by_page);

    if (error == 0 && !cross_world_open_ports(world)) {
        error = VIRTQ_ENOMEM;
    }
    books = world->books;
    if (error == 0) {
        error = virtq_iova_init(&world->iova, CROSS_FIRST, CROSS_FIRST + ADDRESSES - 1, CROSS_PAGE,
                                books->ranges, RANGES);
    }
    if (error == 0) {
        error = virtq_iova_depot_init(&world->depot, &world->iova, UINT64_MAX, books->magazines,
                                      MAGAZINES);
    }
    for (unsigned queue = 0; error == 0 && queue < world->config.queues; queue++) {
        error = open_port(world, queue);
    }
    return error;
}

int cross_zpci_strict_open(struct cross_world *world)
{
    return open_strict(world, false);
}

int cross_zpci_by_page_open(struct cross_world *world)
{
    return open_strict(world, true);
}

int cross_zpci_lazy_open(struct cross_world *world)
{
    int error = open_both(world, false);

    if (error == 0) {
        cross_world_use(world, &((struct books *)world->books)->lazy.space);
    }
    return error;
}
