/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel of vfio_kernel.h: its files, and what its IOMMU does by each of the two interfaces. */
#ifndef TESTS_HOST_VFIO_KERNEL_IOMMU_H
#define TESTS_HOST_VFIO_KERNEL_IOMMU_H

#include <errno.h>
#include <linux/ioctl.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runner.h"
#include "virtq/host/vfio_device.h"

enum { KERNEL_PAGE = 4096, KERNEL_MAPPINGS = 512, KERNEL_FILES = 16, KERNEL_BAR = 8192 };
enum kernel_file { FILE_NONE, FILE_CONTAINER, FILE_IOMMUFD, FILE_GROUP, FILE_DEVICE };

/* Requests of iommufd by number: the headers of many systems lack them. */
#define KERNEL_IOAS_ALLOC _IO(';', 0x81)
#define KERNEL_IOAS_RANGES _IO(';', 0x84)
#define KERNEL_IOAS_MAP _IO(';', 0x85)
#define KERNEL_IOAS_UNMAP _IO(';', 0x86)
#define KERNEL_BIND _IO(';', 118)
#define KERNEL_ATTACH _IO(';', 119)

struct kernel_mapping {
    uint64_t first;
    uint64_t last;
    uint64_t base;
    bool readable;
    bool writable;
};

struct kernel {
    struct virtq_vfio_system system;
    enum kernel_file files[KERNEL_FILES];
    struct kernel_mapping mappings[KERNEL_MAPPINGS];
    unsigned count;
    /* What it is like: */
    unsigned limit; /* mappings */
    struct virtq_vfio_range ranges[40];
    unsigned range_count;
    uint64_t page_sizes;
    int version;
    bool type1;
    bool viable;
    bool without_caps;
    bool not_pci;
    bool no_reset;
    unsigned vectors;
    unsigned char answer[256]; /* of VFIO_IOMMU_GET_INFO, instead of the right one */
    size_t answer_len;
    /* A call of that request fails, after so many that succeed. */
    unsigned long fails;
    unsigned fails_after;
    int fails_with;
    bool unmaps_nothing;
    /* What happened: */
    unsigned calls; /* of ioctl() */
    bool iommu_set;
    unsigned resets;
    uint64_t populated[2]; /* what got pages last: first byte, bytes */
    unsigned populated_count;
    int events[8];
    unsigned event_count;
    unsigned char config[256];
    unsigned char bar[KERNEL_BAR];
};

static int kernel_open_file(struct kernel *kernel, enum kernel_file file)
{
    for (int fd = 0; fd < KERNEL_FILES; fd++) {
        if (kernel->files[fd] == FILE_NONE) {
            kernel->files[fd] = file;
            return fd;
        }
    }
    return -EMFILE;
}

static unsigned kernel_open_files(const struct kernel *kernel)
{
    unsigned count = 0;

    for (int fd = 0; fd < KERNEL_FILES; fd++) {
        count += kernel->files[fd] != FILE_NONE;
    }
    return count;
}

static int kernel_open(void *context, const char *path)
{
    struct kernel *kernel = context;

    if (strcmp(path, "/dev/vfio/vfio") == 0) {
        return kernel_open_file(kernel, FILE_CONTAINER);
    }
    if (strcmp(path, "/dev/iommu") == 0) {
        return kernel_open_file(kernel, FILE_IOMMUFD);
    }
    if (strncmp(path, "/dev/vfio/devices/vfio", 22) == 0) {
        return kernel_open_file(kernel, FILE_DEVICE);
    }
    return strncmp(path, "/dev/vfio/", 10) == 0 ? kernel_open_file(kernel, FILE_GROUP) : -ENOENT;
}

static void kernel_close(void *context, int fd)
{
    struct kernel *kernel = context;

    cr_assert(fd >= 0 && fd < KERNEL_FILES && kernel->files[fd] != FILE_NONE,
              "a file is closed once");
    kernel->files[fd] = FILE_NONE;
}

static int kernel_map(struct kernel *kernel, uint64_t iova, uint64_t base, uint64_t size,
                      bool readable, bool writable)
{
    bool usable = false;

    if (size == 0 || ((iova | base | size) % KERNEL_PAGE) != 0 || iova + (size - 1) < iova ||
        (!readable && !writable)) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < kernel->range_count; i++) {
        usable |= iova >= kernel->ranges[i].first && iova + (size - 1) <= kernel->ranges[i].last;
    }
    for (unsigned i = 0; i < kernel->count; i++) {
        if (iova <= kernel->mappings[i].last && iova + (size - 1) >= kernel->mappings[i].first) {
            return -EEXIST;
        }
    }
    if (!usable) {
        return -EINVAL;
    }
    if (kernel->count == kernel->limit) {
        return -ENOSPC;
    }
    kernel->mappings[kernel->count++] =
        (struct kernel_mapping){iova, iova + (size - 1), base, readable, writable};
    return 0;
}

/* Whole mappings only; `partial` is said otherwise. */
static int kernel_unmap(struct kernel *kernel, uint64_t iova, uint64_t *size, int partial)
{
    uint64_t last = iova + (*size - 1);
    uint64_t done = 0;

    for (unsigned i = 0; i < kernel->count; i++) {
        const struct kernel_mapping *mapping = &kernel->mappings[i];

        if ((mapping->first < iova && mapping->last >= iova) ||
            (mapping->first <= last && mapping->last > last)) {
            return partial;
        }
    }
    for (unsigned i = 0; i < kernel->count && !kernel->unmaps_nothing;) {
        const struct kernel_mapping *mapping = &kernel->mappings[i];

        if (mapping->first >= iova && mapping->last <= last) {
            done += mapping->last - mapping->first + 1;
            kernel->mappings[i] = kernel->mappings[--kernel->count];
        } else {
            i++;
        }
    }
    *size = done;
    return 0;
}

/* The answer of VFIO_IOMMU_GET_INFO: page sizes, then the ranges, then how many mappings. */
static int kernel_info(struct kernel *kernel, struct vfio_iommu_type1_info *info)
{
    unsigned char *bytes = (unsigned char *)info;
    struct vfio_iommu_type1_info_cap_iova_range ranges = {.nr_iovas = kernel->range_count};
    struct vfio_iommu_type1_info_dma_avail available = {.avail = kernel->limit - kernel->count};
    uint32_t at = 24;
    uint32_t len = (uint32_t)(sizeof(ranges) + kernel->range_count * sizeof(kernel->ranges[0]));

    cr_assert_geq(info->argsz, at + len + sizeof(available));
    if (kernel->answer_len != 0) {
        memcpy(info, kernel->answer, kernel->answer_len);
        return 0;
    }
    info->flags = VFIO_IOMMU_INFO_PGSIZES;
    info->iova_pgsizes = kernel->page_sizes;
    info->argsz = at + len + (uint32_t)sizeof(available);
    if (kernel->without_caps) {
        return 0;
    }
    info->flags |= VFIO_IOMMU_INFO_CAPS;
    info->cap_offset = at;
    ranges.header =
        (struct vfio_info_cap_header){VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, at + len};
    memcpy(bytes + at, &ranges, sizeof(ranges));
    memcpy(bytes + at + sizeof(ranges), kernel->ranges,
           kernel->range_count * sizeof(kernel->ranges[0]));
    available.header = (struct vfio_info_cap_header){VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, 0};
    memcpy(bytes + at + len, &available, sizeof(available));
    return 0;
}

static int kernel_container(struct kernel *kernel, unsigned long request, uintptr_t argument)
{
    void *at = (void *)argument;

    switch (request) {
    case VFIO_GET_API_VERSION:
        return kernel->version;
    case VFIO_CHECK_EXTENSION:
        return kernel->type1 && argument == VFIO_TYPE1v2_IOMMU;
    case VFIO_SET_IOMMU:
        if (kernel->iommu_set || argument != VFIO_TYPE1v2_IOMMU) {
            return -EINVAL;
        }
        kernel->iommu_set = true;
        return 0;
    case VFIO_IOMMU_GET_INFO:
        return kernel->iommu_set ? kernel_info(kernel, at) : -EINVAL;
    case VFIO_IOMMU_MAP_DMA: {
        const struct vfio_iommu_type1_dma_map *map = at;

        return map->argsz != sizeof(*map) || map->flags > 3
                   ? -EINVAL
                   : kernel_map(kernel, map->iova, map->vaddr, map->size,
                                (map->flags & VFIO_DMA_MAP_FLAG_READ) != 0,
                                (map->flags & VFIO_DMA_MAP_FLAG_WRITE) != 0);
    }
    case VFIO_IOMMU_UNMAP_DMA: {
        struct vfio_iommu_type1_dma_unmap *unmap = at;
        uint64_t size = unmap->size;
        int result = unmap->argsz != sizeof(*unmap) || unmap->flags != 0 || size == 0
                         ? -EINVAL
                         : kernel_unmap(kernel, unmap->iova, &size, -EINVAL);

        unmap->size = result == 0 ? size : 0;
        return result;
    }
    default:
        return -ENOTTY;
    }
}

static int kernel_iommufd(struct kernel *kernel, unsigned long request, uintptr_t argument)
{
    uint32_t *words = (uint32_t *)argument;
    uint64_t *longs = (uint64_t *)argument;

    switch (request) {
    case KERNEL_IOAS_ALLOC:
        words[2] = 5;
        return words[0] == 12 && words[1] == 0 ? 0 : -EINVAL;
    case KERNEL_IOAS_RANGES:
        cr_assert(words[0] == 32 && words[1] == 5 && words[2] >= kernel->range_count);
        words[2] = kernel->range_count;
        longs[3] = KERNEL_PAGE;
        memcpy((void *)(uintptr_t)longs[2], kernel->ranges,
               kernel->range_count * sizeof(kernel->ranges[0]));
        return 0;
    case KERNEL_IOAS_MAP:
        cr_assert(words[0] == 40 && (words[1] & 1) != 0 && words[2] == 5);
        return kernel_map(kernel, longs[4], longs[2], longs[3], (words[1] & 4) != 0,
                          (words[1] & 2) != 0);
    case KERNEL_IOAS_UNMAP: {
        int result;

        cr_assert(words[0] == 24 && words[1] == 5);
        result = kernel_unmap(kernel, longs[1], &longs[2], -ENOENT);
        return result == 0 && longs[2] == 0 ? -ENOENT : result;
    }
    default:
        return -ENOTTY;
    }
}

#endif
