/* SPDX-License-Identifier: BSD-3-Clause */
/* The four address spaces, each set up over memory of its own for one queue with both its ends. */
#ifndef BENCH_QUEUE_SPACE_H
#define BENCH_QUEUE_SPACE_H

#include <stdbool.h>
#include <stddef.h>

#include <virtq/space.h>
#include <virtq/space/bar.h>
#include <virtq/space/direct.h>
#include <virtq/space/iommu.h>
#include <virtq/space/swiotlb.h>

enum bench_space_kind {
    BENCH_SPACE_DIRECT,
    BENCH_SPACE_SWIOTLB,
    BENCH_SPACE_IOMMU,
    BENCH_SPACE_BAR,
    BENCH_SPACES
};

/* Their names, for an axis. */
extern const char *const bench_space_names[BENCH_SPACES + 1];

struct bench_space {
    enum bench_space_kind kind;
    struct virtq_space *driver; /* what the driver end is given */
    struct virtq_space *device; /* what the device end is given */
    unsigned char *memory;      /* what both ends may touch, as the driver end sees it */
    unsigned char *view;        /* the same, as the device end sees it; equal without `two_views` */
    size_t size;
    size_t used;        /* of `memory`, where this program hands it out itself */
    unsigned char *own; /* swiotlb: the driver's own memory, out of reach of the device */
    size_t own_size;
    size_t own_used;
    void *books; /* private memory of whatever the space has to keep */
    struct virtq_direct direct[2];
    struct virtq_bar bar[2];
    struct virtq_swiotlb swiotlb;
    struct virtq_iommu iommu;
    struct virtq_iommu_device iommu_device;
    struct virtq_iommu_backend backend;
    struct virtq_domain domain;
    struct virtq_iova iova;
};

/* What a space has to have room for. */
struct bench_space_needs {
    size_t ring_bytes; /* rings and tables */
    size_t data_bytes; /* segments, in all */
    unsigned segments; /* that are mapped at once */
    bool two_views;    /* the device end is another process: it sees the memory elsewhere */
};

/* 0, or an enum virtq_error. VIRTQ_ENOTSUP: this space cannot have its ends in two processes. */
int bench_space_open(struct bench_space *space, enum bench_space_kind kind,
                     const struct bench_space_needs *needs);
void bench_space_close(struct bench_space *space);

/* In the device's own process: takes away what only the driver end may see. Nothing is undone by it
 * in the driver's. */
void bench_space_leave_driver(struct bench_space *space);

/* Memory for rings and tables, and for segments; `align` a power of two, up to a page. NULL: none
 * left. */
void *bench_space_ring(struct bench_space *space, size_t bytes, size_t align);
void *bench_space_data(struct bench_space *space, size_t bytes, size_t align);

/* Where the device end sees something that the driver end sees at `base`. */
static inline void *bench_space_seen(const struct bench_space *space, void *base)
{
    return space->view + ((unsigned char *)base - space->memory);
}

#endif
