/* SPDX-License-Identifier: BSD-3-Clause */
#include "cross/world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cross/ways.h"

enum { RING_BYTES = 1 << 16, SLACK = 1 << 20 };

/* Payload outstanding on one queue, at most. */
enum { OUTSTANDING_BYTES = 2 << 20 };

const char *const cross_way_names[CROSS_WAYS + 1] = {
    [CROSS_DIRECT] = "direct",
    [CROSS_PREMAPPED] = "premapped",
    [CROSS_SWIOTLB_DYNAMIC] = "swiotlb-dynamic",
    [CROSS_SWIOTLB_PERSISTENT] = "swiotlb-persistent",
    [CROSS_IOMMU_STRICT] = "iommu-strict",
    [CROSS_IOMMU_LAZY] = "iommu-lazy",
    [CROSS_IOMMU_PERSISTENT] = "iommu-persistent",
    [CROSS_TCE] = "tce",
    [CROSS_BAR_CACHEABLE] = "bar-cacheable",
    [CROSS_BAR_WRITE_COMBINING] = "bar-write-combining",
    [CROSS_ZPCI_STRICT] = "zpci-strict",
    [CROSS_ZPCI_BY_PAGE] = "zpci-by-page",
    [CROSS_ZPCI_LAZY] = "zpci-lazy",
    [CROSS_RESTRICTED] = "restricted",
    [CROSS_VIOMMU_STRICT] = "viommu-strict",
    [CROSS_VIOMMU_LAZY] = "viommu-lazy",
    [CROSS_SWIOTLB_GROUP] = "swiotlb-group",
    [CROSS_IOMMU_STRICT_BATCH] = "iommu-strict-batch",
};

static const struct {
    int (*open)(struct cross_world *world);
    enum cross_offer offer;
} ways[CROSS_WAYS] = {
    [CROSS_DIRECT] = {cross_direct_open, CROSS_OFFER_POINTER},
    [CROSS_PREMAPPED] = {cross_premapped_open, CROSS_OFFER_ADDRESS},
    [CROSS_SWIOTLB_DYNAMIC] = {cross_swiotlb_dynamic_open, CROSS_OFFER_POINTER},
    [CROSS_SWIOTLB_PERSISTENT] = {cross_swiotlb_persistent_open, CROSS_OFFER_REQUEST},
    [CROSS_IOMMU_STRICT] = {cross_iommu_strict_open, CROSS_OFFER_POINTER},
    [CROSS_IOMMU_LAZY] = {cross_iommu_lazy_open, CROSS_OFFER_POINTER},
    [CROSS_IOMMU_PERSISTENT] = {cross_iommu_persistent_open, CROSS_OFFER_POINTER},
    [CROSS_BAR_CACHEABLE] = {cross_bar_cacheable_open, CROSS_OFFER_POINTER},
    [CROSS_BAR_WRITE_COMBINING] = {cross_bar_write_combining_open, CROSS_OFFER_POINTER},
    [CROSS_ZPCI_STRICT] = {cross_zpci_strict_open, CROSS_OFFER_POINTER},
    [CROSS_ZPCI_BY_PAGE] = {cross_zpci_by_page_open, CROSS_OFFER_POINTER},
    [CROSS_ZPCI_LAZY] = {cross_zpci_lazy_open, CROSS_OFFER_POINTER},
    [CROSS_TCE] = {cross_tce_open, CROSS_OFFER_POINTER},
    [CROSS_RESTRICTED] = {cross_restricted_open, CROSS_OFFER_POINTER},
    [CROSS_VIOMMU_STRICT] = {cross_viommu_strict_open, CROSS_OFFER_POINTER},
    [CROSS_VIOMMU_LAZY] = {cross_viommu_lazy_open, CROSS_OFFER_POINTER},
    [CROSS_SWIOTLB_GROUP] = {cross_swiotlb_group_open, CROSS_OFFER_POINTER},
    [CROSS_IOMMU_STRICT_BATCH] = {cross_iommu_strict_batch_open, CROSS_OFFER_POINTER},
};

unsigned cross_window(uint32_t bytes)
{
    uint32_t fits = OUTSTANDING_BYTES / bytes;

    return fits < CROSS_WINDOW_MAX ? fits : CROSS_WINDOW_MAX;
}

bool cross_way_copies(enum cross_way way)
{
    return way == CROSS_SWIOTLB_DYNAMIC || way == CROSS_SWIOTLB_PERSISTENT ||
           way == CROSS_BAR_CACHEABLE || way == CROSS_BAR_WRITE_COMBINING ||
           way == CROSS_RESTRICTED || way == CROSS_SWIOTLB_GROUP;
}

bool cross_way_asks(enum cross_way way)
{
    return way == CROSS_IOMMU_STRICT || way == CROSS_IOMMU_LAZY ||
           way == CROSS_IOMMU_STRICT_BATCH ||
           (way >= CROSS_ZPCI_STRICT && way != CROSS_RESTRICTED && way != CROSS_SWIOTLB_GROUP);
}

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) & ~(to - 1);
}

size_t cross_stride(size_t bytes)
{
    return round_up(bytes, CROSS_GRANULE) + CROSS_GRANULE;
}

/* Slots up to the payload's size, and one class more for what its alignment adds. */
uint32_t cross_classes(uint32_t bytes)
{
    uint32_t classes = 2;

    while (((uint64_t)CROSS_GRANULE << (classes - 2)) < bytes &&
           classes < VIRTQ_SLOTS_CLASSES_MAX) {
        classes++;
    }
    return classes;
}

void *cross_private(size_t bytes)
{
    size_t rounded = round_up(bytes, VIRTQ_CACHE_LINE);
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, rounded);

    if (memory != NULL) {
        memset(memory, 0, rounded);
    }
    return memory;
}

void cross_world_use(struct cross_world *world, struct virtq_space *space)
{
    for (unsigned queue = 0; queue < CROSS_QUEUES_MAX; queue++) {
        world->driver[queue] = space;
    }
}

bool cross_world_open_ports(struct cross_world *world)
{
    for (unsigned queue = 0; queue < world->config.queues; queue++) {
        world->ports[queue] = cross_private(sizeof(struct cross_port));
        if (world->ports[queue] == NULL) {
            return false;
        }
    }
    return true;
}

static unsigned char *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory != MAP_FAILED ? memory : NULL;
}

int cross_world_open(struct cross_world *world, const struct cross_config *config)
{
    size_t payload;

    memset(world, 0, sizeof(*world));
    world->config = *config;
    world->offer = ways[config->way].offer;
    world->window = cross_window(config->bytes);
    payload = config->queues * world->window * cross_stride(config->bytes);
    /* More than is outstanding: slots are larger than what they hold, and a pool that hands out
     * slots of any size has gaps. */
    world->size = round_up(3 * payload + (size_t)config->queues * RING_BYTES + SLACK, CROSS_PAGE);
    /* The program's memory is of its own where the device does not reach it. */
    world->own_size = cross_way_copies(config->way) ? round_up(payload + SLACK, CROSS_PAGE) : 0;
    world->memory = map(world->size);
    world->own = world->own_size > 0 ? map(world->own_size) : NULL;
    if (world->memory == NULL || (world->own_size > 0 && world->own == NULL)) {
        return VIRTQ_ENOMEM;
    }
    return ways[config->way].open(world);
}

void cross_world_close(struct cross_world *world)
{
    cross_iommu_close(world);
    viommu_pair_close(&world->viommu);
    for (unsigned queue = 0; queue < CROSS_QUEUES_MAX; queue++) {
        if (world->ports[queue] != NULL) {
            free(world->ports[queue]->memory);
            free(world->ports[queue]);
        }
    }
    if (world->memory != NULL) {
        (void)munmap(world->memory, world->size);
    }
    if (world->own != NULL) {
        (void)munmap(world->own, world->own_size);
    }
    free(world->books);
    memset(world, 0, sizeof(*world));
}

static void *take(unsigned char *memory, size_t size, size_t *used, size_t bytes, size_t align)
{
    size_t at = round_up(*used, align);

    if (at > size || bytes > size - at) {
        return NULL;
    }
    *used = at + bytes;
    return memory + at;
}

/* Reachable memory: from the space where it hands out its own. */
static void *reachable(struct cross_world *world, size_t bytes, size_t align)
{
    void *base = NULL;

    switch (world->config.way) {
    case CROSS_SWIOTLB_DYNAMIC:
    case CROSS_SWIOTLB_PERSISTENT:
    case CROSS_SWIOTLB_GROUP:
        return virtq_swiotlb_alloc(&world->swiotlb, bytes, align, &base) == 0 ? base : NULL;
    case CROSS_BAR_CACHEABLE:
    case CROSS_BAR_WRITE_COMBINING:
        return virtq_bar_alloc(&world->bar, bytes, align, &base) == 0 ? base : NULL;
    case CROSS_RESTRICTED:
        return virtq_restricted_driver_alloc(&world->restricted, bytes, align, &base) == 0 ? base
                                                                                           : NULL;
    default:
        return take(world->memory, world->size, &world->used, bytes, align);
    }
}

void *cross_world_ring(struct cross_world *world, size_t bytes)
{
    return reachable(world, bytes, CROSS_PAGE);
}

void *cross_world_payload(struct cross_world *world, size_t bytes)
{
    if (world->own != NULL) {
        return take(world->own, world->own_size, &world->own_used, cross_stride(bytes),
                    CROSS_GRANULE);
    }
    return reachable(world, cross_stride(bytes), CROSS_GRANULE);
}
