/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue/space.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, GRANULE = 64, SLACK = 1 << 20 };

/* Where device addresses begin: nowhere near a pointer, so that one that was not translated is
 * noticed. */
#define FIRST_ADDRESS ((virtq_addr_t)1 << 40)

#define BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

const char *const bench_space_names[BENCH_SPACES + 1] = {"direct", "swiotlb", "iommu", "bar", NULL};

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) & ~(to - 1);
}

static unsigned char *map(size_t size, int flags, int file)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);

    return memory != MAP_FAILED ? memory : NULL;
}

/* A file without a name, mapped twice: what two processes share, each at an address of its own. */
static void map_two_views(struct bench_space *space)
{
    int file = memfd_create("virtq-bench", MFD_CLOEXEC);

    if (file < 0) {
        return;
    }
    if (ftruncate(file, (off_t)space->size) == 0) {
        space->memory = map(space->size, MAP_SHARED, file);
        space->view = map(space->size, MAP_SHARED, file);
    }
    (void)close(file);
}

static int open_direct(struct bench_space *space, const struct bench_space_needs *needs)
{
    virtq_addr_t last = FIRST_ADDRESS + space->size - 1;
    int error = virtq_direct_init(&space->direct[0], space->memory, FIRST_ADDRESS, last, BOTH);

    (void)needs;
    if (error == 0) {
        error = virtq_direct_init(&space->direct[1], space->view, FIRST_ADDRESS, last, BOTH);
    }
    space->driver = &space->direct[0].space;
    space->device = &space->direct[1].space;
    return error;
}

static int open_bar(struct bench_space *space, const struct bench_space_needs *needs)
{
    size_t private = virtq_bar_private_size(space->size, GRANULE);
    int error = virtq_bar_init(&space->bar[0], space->memory, space->size, BOTH, 0);

    (void)needs;
    space->books = malloc(private);
    if (space->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    if (error == 0) {
        error = virtq_bar_manage(&space->bar[0], GRANULE, space->books, private);
    }
    if (error == 0) {
        error = virtq_bar_init(&space->bar[1], space->view, space->size, BOTH, 0);
    }
    space->driver = &space->bar[0].space;
    space->device = &space->bar[1].space;
    return error;
}

static int open_swiotlb(struct bench_space *space, const struct bench_space_needs *needs)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;
    int error;

    space->own_size = round_up(needs->data_bytes + SLACK, PAGE);
    space->own = map(space->own_size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    config.pool = space->memory;
    config.pool_size = space->size;
    config.addr = FIRST_ADDRESS;
    config.granule = GRANULE;
    config.memory_size = virtq_swiotlb_private_size(space->size, GRANULE);
    config.memory = space->books = malloc(config.memory_size);
    if (space->own == NULL || space->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_swiotlb_init(&space->swiotlb, &config);
    space->driver = &space->swiotlb.space;
    space->device = &space->swiotlb.space;
    if (error == 0 && needs->two_views) {
        error = virtq_direct_init(&space->direct[1], space->view, FIRST_ADDRESS,
                                  FIRST_ADDRESS + space->size - 1, BOTH);
        space->device = &space->direct[1].space;
    }
    return error;
}

static int open_iommu(struct bench_space *space, const struct bench_space_needs *needs)
{
    /* A segment can begin in one page and end in another, but is one mapping; the ring has four
     * areas. */
    unsigned mappings = needs->segments + 16;
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_iova_range *ranges;
    size_t size = virtq_domain_size(mappings);
    int error;

    if (needs->two_views) {
        return VIRTQ_ENOTSUP;
    }
    space->books = calloc(1, mappings * sizeof(*ranges) + size);
    if (space->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    ranges = space->books;
    error = virtq_domain_init(&space->domain, mappings, ranges + mappings, size);
    if (error == 0) {
        error = virtq_iova_init(&space->iova, FIRST_ADDRESS, 2 * FIRST_ADDRESS - 1, PAGE, ranges,
                                mappings);
    }
    virtq_domain_backend(&space->domain, &space->backend);
    config.iova = &space->iova;
    config.backend = &space->backend;
    if (error == 0) {
        error = virtq_iommu_init(&space->iommu, &config);
    }
    if (error == 0) {
        error = virtq_iommu_device_init(&space->iommu_device, &space->domain, NULL);
    }
    space->driver = &space->iommu.space;
    space->device = &space->iommu_device.space;
    return error;
}

int bench_space_open(struct bench_space *space, enum bench_space_kind kind,
                     const struct bench_space_needs *needs)
{
    static int (*const open[BENCH_SPACES])(struct bench_space * space,
                                           const struct bench_space_needs *needs) = {
        open_direct, open_swiotlb, open_iommu, open_bar};
    int error;

    memset(space, 0, sizeof(*space));
    space->kind = kind;
    /* A pool holds what is outstanding at most, each part rounded up to a granule. */
    space->size = round_up(
        needs->ring_bytes + needs->data_bytes + (size_t)needs->segments * GRANULE + SLACK, PAGE);
    if (needs->two_views) {
        map_two_views(space);
    } else {
        space->memory = map(space->size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        space->view = space->memory;
    }
    error = space->memory == NULL || space->view == NULL ? VIRTQ_ENOMEM : open[kind](space, needs);
    if (error != 0) {
        bench_space_close(space);
    }
    return error;
}

void bench_space_close(struct bench_space *space)
{
    if (space->iommu_device.domain != NULL) {
        virtq_iommu_device_destroy(&space->iommu_device);
    }
    if (space->view != NULL && space->view != space->memory) {
        (void)munmap(space->view, space->size);
    }
    if (space->memory != NULL) {
        (void)munmap(space->memory, space->size);
    }
    if (space->own != NULL) {
        (void)munmap(space->own, space->own_size);
    }
    free(space->books);
    memset(space, 0, sizeof(*space));
}

void bench_space_leave_driver(struct bench_space *space)
{
    if (space->view != space->memory) {
        (void)munmap(space->memory, space->size);
    }
    if (space->own != NULL) {
        (void)munmap(space->own, space->own_size);
    }
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

void *bench_space_ring(struct bench_space *space, size_t bytes, size_t align)
{
    void *base = NULL;

    if (space->kind == BENCH_SPACE_SWIOTLB) {
        return virtq_swiotlb_alloc(&space->swiotlb, bytes, align, &base) == 0 ? base : NULL;
    }
    if (space->kind == BENCH_SPACE_BAR) {
        return virtq_bar_alloc(&space->bar[0], bytes, align, &base) == 0 ? base : NULL;
    }
    return take(space->memory, space->size, &space->used, bytes, align);
}

void *bench_space_data(struct bench_space *space, size_t bytes, size_t align)
{
    if (space->kind == BENCH_SPACE_SWIOTLB) {
        return take(space->own, space->own_size, &space->own_used, bytes, align);
    }
    return bench_space_ring(space, bytes, align);
}
