/* SPDX-License-Identifier: BSD-3-Clause */
/* A POWER guest: each payload is put into a table of the hypervisor and cleared again, by calls. */
#include <virtq/iommu/tce_backend.h>
#include <virtq/iommu/tce_table.h>

#include "cross/ways.h"

/* The window that every device has: 1 GiB at 0. */
enum { LIOBN = 0x1000, ENTRIES = 1 << 18, SHIFT = 12 };

/* Where guest memory begins for the hypervisor. */
#define REAL ((uint64_t)1 << 28)

/* Each queue's magazines for every size, and as many again to swap with. */
enum { MAGAZINES = 2 * CROSS_QUEUES_MAX * VIRTQ_IOVA_CACHE_MAGAZINES };

/* Buffers and the ring's areas; addresses that are in magazines count as taken. */
enum { RANGES = CROSS_QUEUES_MAX * (CROSS_WINDOW_MAX + 8) + MAGAZINES * VIRTQ_IOVA_MAGAZINE_ROOM };

/* Guest and hypervisor, but for what each queue has. */
struct books {
    struct virtq_iova_magazine magazines[MAGAZINES];
    struct virtq_iova_range ranges[RANGES];
    struct virtq_region memory;
    struct virtq_direct space;
    struct virtq_tce_table table;
    struct virtq_tce_host host;
    struct virtq_tce_backend backend;
    uint64_t request_ns;
    uint64_t entries[ENTRIES + VIRTQ_TCE_LIST_MAX];
};

static const struct virtq_tce_window window = {0, ENTRIES, LIOBN, SHIFT};

/* A call costs what a request costs, however many entries it is for. */
static int64_t call(void *context, uint64_t number, const uint64_t *arguments, uint64_t *result)
{
    struct books *books = context;

    cross_backend_ask(books->request_ns);
    return virtq_tce_host_call(&books->host, number, arguments, result);
}

static int open_hypervisor(struct cross_world *world, struct books *books)
{
    struct virtq_tce_table_config config = VIRTQ_TCE_TABLE_CONFIG_INIT;
    int error;

    books->memory = (struct virtq_region){REAL, REAL + world->size - 1, world->memory, CROSS_BOTH};
    error = virtq_direct_init_regions(&books->space, &books->memory, 1);
    config.window = window;
    config.memory = &books->space.space;
    config.entries = books->entries;
    config.entries_size = sizeof(books->entries);
    if (error == 0) {
        error = virtq_tce_table_init(&books->table, &config);
    }
    virtq_tce_host_init(&books->host);
    if (error == 0) {
        error = virtq_tce_host_add(&books->host, &books->table);
    }
    world->device = &books->table.space;
    return error;
}

static int open_guest(struct cross_world *world, struct books *books)
{
    struct virtq_tce_backend_config config = VIRTQ_TCE_BACKEND_CONFIG_INIT;
    virtq_addr_t first = 0;
    virtq_addr_t last = 0;
    int error;

    books->request_ns = world->config.request_ns;
    config.window = window;
    config.call = call;
    config.context = books;
    config.memory = &books->memory;
    config.memory_count = 1;
    config.calls = VIRTQ_TCE_HAS_PUT_INDIRECT | VIRTQ_TCE_HAS_STUFF;
    config.lists = cross_world_ring(world, CROSS_QUEUES_MAX * VIRTQ_TCE_LIST_SIZE);
    config.list_count = CROSS_QUEUES_MAX;
    error = virtq_tce_backend_init(&books->backend, &config);
    if (error == 0) {
        error = virtq_tce_window_range(&window, UINT32_MAX, &first, &last);
    }
    if (error == 0) {
        error = virtq_iova_init(&world->iova, first, last, CROSS_PAGE, books->ranges, RANGES);
    }
    return error != 0 ? error
                      : virtq_iova_depot_init(&world->depot, &world->iova, UINT32_MAX,
                                              books->magazines, MAGAZINES);
}

int cross_tce_open(struct cross_world *world)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    struct books *books = world->books = cross_private(sizeof(*books));
    int error = books != NULL ? open_hypervisor(world, books) : VIRTQ_ENOMEM;

    if (error == 0) {
        error = open_guest(world, books);
    }
    if (error == 0 && !cross_world_open_ports(world)) {
        error = VIRTQ_ENOMEM;
    }
    config.depot = &world->depot;
    config.policy = VIRTQ_IOMMU_STRICT;
    for (unsigned queue = 0; error == 0 && queue < world->config.queues; queue++) {
        config.backend = &books->backend.backend;
        error = virtq_iommu_queue_init(&world->ports[queue]->iommu, &config);
        world->driver[queue] = &world->ports[queue]->iommu.space;
    }
    return error;
}
