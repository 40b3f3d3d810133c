/* SPDX-License-Identifier: BSD-3-Clause */
#include "cross/world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, GRANULE = 64, RING_BYTES = 1 << 16, SLACK = 1 << 20 };

/* Payload outstanding on one queue, at most. */
enum { OUTSTANDING_BYTES = 2 << 20 };

/* Where device addresses begin: nowhere near a pointer, so that one that was not translated is
 * noticed. */
#define FIRST_ADDRESS ((virtq_addr_t)1 << 40)

#define BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

const char *const cross_way_names[CROSS_WAYS + 1] = {
    "direct",       "premapped",        "swiotlb-dynamic", "swiotlb-persistent",
    "iommu-strict", "iommu-persistent", "bar-cacheable",   NULL};

unsigned cross_window(uint32_t bytes)
{
    uint32_t fits = OUTSTANDING_BYTES / bytes;

    return fits < CROSS_WINDOW_MAX ? fits : CROSS_WINDOW_MAX;
}

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) & ~(to - 1);
}

/* Payloads lie a line further apart than they are long, so that they do not all want the same cache
 * sets. */
static size_t stride(size_t bytes)
{
    return round_up(bytes, GRANULE) + GRANULE;
}

/* The same space for every driver end. */
static void use(struct cross_world *world, struct virtq_space *space)
{
    for (unsigned queue = 0; queue < CROSS_QUEUES_MAX; queue++) {
        world->driver[queue] = space;
    }
}

static int open_direct(struct cross_world *world)
{
    use(world, &world->direct.space);
    world->device = &world->direct.space;
    return virtq_direct_init(&world->direct, world->memory, FIRST_ADDRESS,
                             FIRST_ADDRESS + world->size - 1, BOTH);
}

/* Gives the device all of the memory, once, and its address to whoever adds buffers. */
static int share_all(struct cross_world *world, struct virtq_space *under)
{
    virtq_premapped_init(&world->premapped, under);
    use(world, &world->premapped.space);
    return virtq_space_share(under, world->memory, world->size, BOTH, &world->shared);
}

static int open_premapped(struct cross_world *world)
{
    int error = open_direct(world);

    return error != 0 ? error : share_all(world, &world->direct.space);
}

static int open_swiotlb(struct cross_world *world)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;

    config.pool = world->memory;
    config.pool_size = world->size;
    config.addr = FIRST_ADDRESS;
    config.granule = GRANULE;
    config.memory_size = virtq_swiotlb_private_size(world->size, GRANULE);
    config.memory = world->books = malloc(config.memory_size);
    if (world->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    use(world, &world->swiotlb.space);
    world->device = &world->swiotlb.space;
    return virtq_swiotlb_init(&world->swiotlb, &config);
}

static int open_swiotlb_persistent(struct cross_world *world)
{
    int error = open_swiotlb(world);

    /* The pool is the device's from the beginning: there is nothing to share. */
    virtq_premapped_init(&world->premapped, &world->swiotlb.space);
    use(world, &world->premapped.space);
    world->shared = FIRST_ADDRESS;
    return error;
}

static int open_iommu(struct cross_world *world)
{
    /* Each queue has three areas beside its buffers. */
    unsigned mappings = world->config.queues * (world->window + 4u) + 1u;
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_iova_range *ranges;
    size_t size = virtq_domain_size(mappings);
    int error;

    world->books = calloc(1, mappings * sizeof(*ranges) + size);
    if (world->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    ranges = world->books;
    error = virtq_domain_init(&world->domain, mappings, ranges + mappings, size);
    if (error == 0) {
        error = virtq_iova_init(&world->iova, FIRST_ADDRESS, 2 * FIRST_ADDRESS - 1, PAGE, ranges,
                                mappings);
    }
    cross_backend_init(&world->backend, &world->domain, world->config.request_ns);
    config.iova = &world->iova;
    config.backend = &world->backend.backend;
    if (error == 0) {
        error = virtq_iommu_init(&world->iommu, &config);
    }
    if (error == 0) {
        error = virtq_iommu_device_init(&world->iommu_device, &world->domain, NULL);
    }
    use(world, &world->iommu.space);
    world->device = &world->iommu_device.space;
    return error;
}

static int open_iommu_persistent(struct cross_world *world)
{
    int error = open_iommu(world);

    return error != 0 ? error : share_all(world, &world->iommu.space);
}

static int open_bar(struct cross_world *world)
{
    size_t private_size = virtq_bar_private_size(world->size, GRANULE);
    int error = virtq_bar_init(&world->bar, world->memory, world->size, BOTH, 0);

    world->books = malloc(private_size);
    if (world->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    use(world, &world->bar.space);
    world->device = &world->bar.space;
    return error != 0 ? error : virtq_bar_manage(&world->bar, GRANULE, world->books, private_size);
}

static const struct {
    int (*open)(struct cross_world *world);
    enum cross_offer offer;
} ways[CROSS_WAYS] = {
    [CROSS_DIRECT] = {open_direct, CROSS_OFFER_POINTER},
    [CROSS_PREMAPPED] = {open_premapped, CROSS_OFFER_ADDRESS},
    [CROSS_SWIOTLB_DYNAMIC] = {open_swiotlb, CROSS_OFFER_POINTER},
    [CROSS_SWIOTLB_PERSISTENT] = {open_swiotlb_persistent, CROSS_OFFER_STAGED_ADDRESS},
    [CROSS_IOMMU_STRICT] = {open_iommu, CROSS_OFFER_POINTER},
    [CROSS_IOMMU_PERSISTENT] = {open_iommu_persistent, CROSS_OFFER_ADDRESS},
    [CROSS_BAR_CACHEABLE] = {open_bar, CROSS_OFFER_STAGED},
};

/* The program's memory is of its own where the device does not reach it. */
static bool is_apart(const struct cross_world *world)
{
    return world->config.way == CROSS_SWIOTLB_DYNAMIC || cross_world_stages(world);
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
    payload = config->queues * world->window * stride(config->bytes);
    /* Twice what is outstanding: a pool that hands out slots of any size has gaps. */
    world->size = round_up(2 * payload + (size_t)config->queues * RING_BYTES + SLACK, PAGE);
    world->own_size = is_apart(world) ? round_up(payload + SLACK, PAGE) : 0;
    world->memory = map(world->size);
    world->own = world->own_size > 0 ? map(world->own_size) : NULL;
    if (world->memory == NULL || (world->own_size > 0 && world->own == NULL)) {
        return VIRTQ_ENOMEM;
    }
    return ways[config->way].open(world);
}

void cross_world_close(struct cross_world *world)
{
    if (world->iommu_device.domain != NULL) {
        virtq_iommu_device_destroy(&world->iommu_device);
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
        return virtq_swiotlb_alloc(&world->swiotlb, bytes, align, &base) == 0 ? base : NULL;
    case CROSS_BAR_CACHEABLE:
        return virtq_bar_alloc(&world->bar, bytes, align, &base) == 0 ? base : NULL;
    default:
        return take(world->memory, world->size, &world->used, bytes, align);
    }
}

void *cross_world_ring(struct cross_world *world, size_t bytes)
{
    return reachable(world, bytes, PAGE);
}

void *cross_world_payload(struct cross_world *world, size_t bytes)
{
    if (world->own != NULL) {
        return take(world->own, world->own_size, &world->own_used, stride(bytes), GRANULE);
    }
    return reachable(world, stride(bytes), GRANULE);
}

void *cross_world_stage(struct cross_world *world, size_t bytes)
{
    return reachable(world, stride(bytes), GRANULE);
}
