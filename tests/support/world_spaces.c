/* SPDX-License-Identifier: BSD-3-Clause */
/* The library's spaces, as worlds use them. */
#include <stdlib.h>
#include <string.h>

#include "guarded.h"
#include "virtq/space/bar.h"
#include "virtq/space/direct.h"
#include "virtq/space/iommu.h"
#include "virtq/space/swiotlb.h"
#include "world_private.h"

enum { PAGE = 4096, GRANULE = 64, IOTLB = 24 };

/* Device addresses are nowhere near pointers, so that one that was not translated is noticed. */
#define FIRST ((virtq_addr_t)1 << 60)
#define BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

static void close_own(struct world_space *space)
{
    free(space->own);
}

/* ---- Direct: all of this program's memory, elsewhere ---- */

struct direct_world {
    struct virtq_direct direct;
    struct virtq_premapped premapped;
};

static bool open_direct(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    struct direct_world *own = world_memory(sizeof(*own));

    (void)ring;
    (void)data;
    (void)buffers;
    space->own = own;
    space->driver = &own->direct.space;
    space->device = &own->direct.space;
    return virtq_direct_init(&own->direct, NULL, FIRST, 2 * FIRST - 1, BOTH) == 0;
}

const struct world_space_kind world_direct = {
    .name = "direct", .open = open_direct, .close = close_own};

static bool open_premapped(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    struct direct_world *own;

    if (!open_direct(space, ring, data, buffers)) {
        return false;
    }
    own = space->own;
    virtq_premapped_init(&own->premapped, &own->direct.space);
    space->driver = &own->premapped.space;
    space->device = &own->premapped.space;
    return true;
}

const struct world_space_kind world_premapped = {
    .name = "premapped", .premapped = true, .open = open_premapped, .close = close_own};

/* ---- Regions: rings in one, payload in pages whose device addresses run backwards ---- */

struct regions_world {
    struct virtq_direct direct;
    struct virtq_region *regions;
    unsigned char *memory;
    size_t ring;
    size_t size;
    size_t used;
};

static bool open_regions(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    struct regions_world *own = world_memory(sizeof(*own));
    unsigned pages;

    (void)buffers;
    space->own = own;
    own->ring = round_up(ring, PAGE) + 8 * PAGE;
    own->size = own->ring + round_up(data, PAGE);
    own->memory = guarded_alloc(own->size);
    pages = (unsigned)((own->size - own->ring) / PAGE);
    own->regions = world_memory((pages + 1) * sizeof(*own->regions));
    for (unsigned i = 0; i < pages; i++) {
        virtq_addr_t first = FIRST + (virtq_addr_t)i * PAGE;
        unsigned char *base = own->memory + own->size - (size_t)(i + 1) * PAGE;

        own->regions[i] = (struct virtq_region){first, first + PAGE - 1, base, BOTH};
    }
    own->regions[pages] =
        (struct virtq_region){UINT64_MAX - (own->ring - 1), UINT64_MAX, own->memory, BOTH};
    space->driver = &own->direct.space;
    space->device = &own->direct.space;
    return virtq_direct_init_regions(&own->direct, own->regions, pages + 1) == 0;
}

static void *alloc_regions(struct world_space *space, size_t bytes, size_t align, bool payload)
{
    struct regions_world *own = space->own;
    size_t at = round_up(own->used, align);

    if (payload) {
        return bytes <= own->size - own->ring ? own->memory + own->ring : NULL;
    }
    own->used = at + bytes;
    return own->used <= own->ring ? own->memory + at : NULL;
}

static void free_regions(struct world_space *space, void *base)
{
    (void)space;
    (void)base;
}

static void close_regions(struct world_space *space)
{
    struct regions_world *own = space->own;

    guarded_free(own->memory, own->size);
    free(own->regions);
    free(own);
}

const struct world_space_kind world_regions = {.name = "regions",
                                               .granule = PAGE,
                                               .open = open_regions,
                                               .close = close_regions,
                                               .alloc = alloc_regions,
                                               .free = free_regions,
                                               .data_inside = true};

/* ---- Bar ---- */

struct bar_world {
    struct virtq_bar bar;
    unsigned char *memory;
    size_t size;
    void *books;
};

static bool open_bar(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    struct bar_world *own = world_memory(sizeof(*own));
    size_t books;

    (void)buffers;
    space->own = own;
    own->size = round_up(ring + data, PAGE) + 8 * PAGE;
    own->memory = guarded_alloc(own->size);
    books = virtq_bar_private_size(own->size, GRANULE);
    own->books = world_memory(books);
    space->driver = &own->bar.space;
    space->device = &own->bar.space;
    return virtq_bar_init(&own->bar, own->memory, own->size, BOTH, 7) == 0 &&
           virtq_bar_manage(&own->bar, GRANULE, own->books, books) == 0;
}

static void *alloc_bar(struct world_space *space, size_t bytes, size_t align, bool payload)
{
    struct bar_world *own = space->own;
    void *base = NULL;

    (void)payload;
    return virtq_bar_alloc(&own->bar, bytes, align, &base) == 0 ? base : NULL;
}

static void free_bar(struct world_space *space, void *base)
{
    struct bar_world *own = space->own;

    (void)virtq_bar_free(&own->bar, base);
}

static void close_bar(struct world_space *space)
{
    struct bar_world *own = space->own;

    guarded_free(own->memory, own->size);
    free(own->books);
    free(own);
}

const struct world_space_kind world_bar = {.name = "bar",
                                           .open = open_bar,
                                           .close = close_bar,
                                           .alloc = alloc_bar,
                                           .free = free_bar,
                                           .data_inside = true};

/* ---- Swiotlb: rings in the pool, payload outside ---- */

struct swiotlb_world {
    struct virtq_swiotlb swiotlb;
    unsigned char *pool;
    size_t size;
    void *books;
    uint64_t rings; /* Bytes taken for good. */
};

/* The pool holds what is outstanding on most days and not on all: shortages are to happen too. */
static bool open_swiotlb(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    struct swiotlb_world *own = world_memory(sizeof(*own));
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;

    (void)buffers;
    space->own = own;
    own->size = round_up(ring + data / 4, PAGE) + PAGE;
    own->pool = guarded_alloc(own->size);
    config.pool = own->pool;
    config.pool_size = own->size;
    config.addr = FIRST;
    config.granule = GRANULE;
    config.memory_size = virtq_swiotlb_private_size(own->size, GRANULE);
    config.memory = own->books = world_memory(config.memory_size);
    space->driver = &own->swiotlb.space;
    space->device = &own->swiotlb.space;
    return virtq_swiotlb_init(&own->swiotlb, &config) == 0;
}

static void *alloc_swiotlb(struct world_space *space, size_t bytes, size_t align, bool payload)
{
    struct swiotlb_world *own = space->own;
    struct virtq_swiotlb_usage usage;
    void *base = NULL;
    int error = virtq_swiotlb_alloc(&own->swiotlb, bytes, align, &base);

    (void)payload;
    virtq_swiotlb_read_usage(&own->swiotlb, &usage);
    own->rings = usage.used;
    return error == 0 ? base : NULL;
}

static void free_swiotlb(struct world_space *space, void *base)
{
    struct swiotlb_world *own = space->own;

    (void)virtq_swiotlb_free(&own->swiotlb, base);
}

static const char *judge_swiotlb(struct world_space *space, bool idle)
{
    struct swiotlb_world *own = space->own;
    struct virtq_swiotlb_usage usage;

    virtq_swiotlb_read_usage(&own->swiotlb, &usage);
    return idle && usage.used != own->rings ? "the pool has lost slots" : NULL;
}

static void close_swiotlb(struct world_space *space)
{
    struct swiotlb_world *own = space->own;

    guarded_free(own->pool, own->size);
    free(own->books);
    free(own);
}

const struct world_space_kind world_swiotlb = {.name = "swiotlb",
                                               .copies = true,
                                               .open = open_swiotlb,
                                               .close = close_swiotlb,
                                               .alloc = alloc_swiotlb,
                                               .free = free_swiotlb,
                                               .judge = judge_swiotlb};

/* ---- Iommu: a domain, and a small IOTLB in front of it ---- */

struct iommu_world {
    struct virtq_iova iova;
    struct virtq_domain domain;
    struct virtq_iotlb iotlb;
    struct virtq_iommu_backend backend;
    struct virtq_iommu iommu;
    struct virtq_iommu_device device;
    unsigned char entries[VIRTQ_TREE_SIZE(IOTLB)];
    struct virtq_iova_range *ranges;
    unsigned char *mappings;
};

static bool open_iommu(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    struct iommu_world *own = world_memory(sizeof(*own));
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    const unsigned capacity = buffers * WORLD_SEGMENTS + 16;
    bool good;

    (void)ring;
    (void)data;
    space->own = own;
    own->ranges = world_memory(capacity * sizeof(*own->ranges));
    own->mappings = world_memory(virtq_domain_size(capacity));
    good = virtq_domain_init(&own->domain, capacity, own->mappings, virtq_domain_size(capacity)) ==
               0 &&
           virtq_iova_init(&own->iova, UINT64_MAX - (FIRST - 1), UINT64_MAX, PAGE, own->ranges,
                           capacity) == 0 &&
           virtq_iotlb_init(&own->iotlb, IOTLB, own->entries, sizeof(own->entries)) == 0;
    virtq_domain_backend(&own->domain, &own->backend);
    config.iova = &own->iova;
    config.backend = &own->backend;
    space->driver = &own->iommu.space;
    space->device = &own->device.space;
    return good && virtq_iommu_init(&own->iommu, &config) == 0 &&
           virtq_iommu_device_init(&own->device, &own->domain, &own->iotlb) == 0;
}

static int resolve_iommu(struct world_space *space, const struct virtq_miss *miss)
{
    struct iommu_world *own = space->own;

    return virtq_iommu_device_resolve(&own->device, miss);
}

static const char *judge_iommu(struct world_space *space, bool idle)
{
    struct iommu_world *own = space->own;
    struct virtq_iommu_usage usage;

    virtq_iommu_read_usage(&own->iommu, &usage);
    if (usage.leaked != 0) {
        return "address ranges have leaked";
    }
    if (idle &&
        (usage.mapped != 0 || own->iova.count != 0 || virtq_domain_count(&own->domain) != 0)) {
        return "mappings are left";
    }
    return NULL;
}

static void close_iommu(struct world_space *space)
{
    struct iommu_world *own = space->own;

    virtq_iommu_device_destroy(&own->device);
    free(own->ranges);
    free(own->mappings);
    free(own);
}

const struct world_space_kind world_iommu = {.name = "iommu",
                                             .open = open_iommu,
                                             .close = close_iommu,
                                             .resolve = resolve_iommu,
                                             .judge = judge_iommu};
