/* SPDX-License-Identifier: BSD-3-Clause */
/* What the queues of one case share: memory, and an address space used in one of the ways that are
 * compared.
 *
 * Every way carries the same payload. It begins, or ends, in memory of the program; what a way does
 * to bring it where the device can reach it is the way's cost.
 */
#ifndef BENCH_CROSS_WORLD_H
#define BENCH_CROSS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtq/layout.h>
#include <virtq/restricted_device.h>
#include <virtq/restricted_driver.h>
#include <virtq/space.h>
#include <virtq/space/bar.h>
#include <virtq/space/bar_stage.h>
#include <virtq/space/direct.h>
#include <virtq/space/iommu.h>
#include <virtq/space/iommu_queue.h>
#include <virtq/space/swiotlb.h>
#include <virtq/space/swiotlb_group_queue.h>
#include <virtq/space/swiotlb_queue.h>
#include <virtq/space/swiotlb_request.h>

#include "cross/backend.h"
#include "viommu/pair.h"

enum cross_way {
    CROSS_DIRECT,
    CROSS_PREMAPPED,
    CROSS_SWIOTLB_DYNAMIC,
    CROSS_SWIOTLB_PERSISTENT,
    CROSS_IOMMU_STRICT,
    CROSS_IOMMU_LAZY,
    CROSS_IOMMU_PERSISTENT,
    CROSS_BAR_CACHEABLE,
    CROSS_BAR_WRITE_COMBINING,
    CROSS_ZPCI_STRICT,
    CROSS_ZPCI_BY_PAGE,
    CROSS_ZPCI_LAZY,
    CROSS_TCE,
    CROSS_RESTRICTED,
    CROSS_VIOMMU_STRICT,
    CROSS_VIOMMU_LAZY,
    CROSS_SWIOTLB_GROUP,
    CROSS_IOMMU_STRICT_BATCH,
    CROSS_WAYS
};

/* Their names, for an axis. */
extern const char *const cross_way_names[CROSS_WAYS + 1];

/* Whether it copies the payload; whether it makes requests to a backend for each buffer. */
bool cross_way_copies(enum cross_way way);
bool cross_way_asks(enum cross_way way);

#define CROSS_QUEUES_MAX 2u
#define CROSS_WINDOW_MAX 64u

struct cross_config {
    enum cross_way way;
    enum virtq_format format;
    bool to_device; /* the payload goes to the device; else it comes from there */
    uint32_t bytes; /* of a payload */
    unsigned queues;
    uint64_t request_ns; /* what a request to the backend takes on top */
};

/* How a payload is offered to a queue. */
enum cross_offer {
    CROSS_OFFER_POINTER, /* where it lies; the space sees to the rest */
    CROSS_OFFER_ADDRESS, /* where it lies, by its device address */
    CROSS_OFFER_REQUEST  /* through a slot of the pool that it keeps */
};

/* What one queue has to itself. */
struct cross_port {
    struct virtq_swiotlb_queue swiotlb;
    struct virtq_swiotlb_group_queue swiotlb_group;
    struct virtq_bar_stage stage;
    struct virtq_iommu_queue iommu;
    struct virtq_iommu_device device;
    void *memory;        /* private memory of one of them */
    virtq_addr_t shared; /* where all the device's memory is mapped, once; 0: it is not */
};

struct cross_world {
    struct cross_config config;
    enum cross_offer offer;
    struct virtq_space *driver[CROSS_QUEUES_MAX];     /* what each driver end is given */
    struct virtq_space *device;                       /* what every device end is given ... */
    struct virtq_space *own_device[CROSS_QUEUES_MAX]; /* ... that has none of its own */
    unsigned window;                                  /* buffers outstanding on each queue */
    unsigned char *memory;                            /* what the device can reach */
    size_t size;
    size_t used;
    unsigned char *own; /* the program's own memory, out of the device's reach */
    size_t own_size;
    size_t own_used;
    void *books;        /* private memory of whatever the queues share */
    virtq_addr_t first; /* device address of `memory`, for payload that is offered by address */
    struct cross_port *ports[CROSS_QUEUES_MAX]; /* NULL: that queue has nothing to itself */
    struct virtq_direct direct;
    struct virtq_premapped premapped;
    struct virtq_swiotlb swiotlb;
    struct virtq_swiotlb_group swiotlb_group;
    struct virtq_bar bar;
    struct virtq_restricted_driver restricted;
    struct virtq_restricted_device restricted_device;
    struct virtq_domain domain;
    struct virtq_iova iova;
    struct virtq_iova_depot depot;
    struct cross_backend backend;
    struct viommu_pair viommu;
};

/* 0, or an enum virtq_error. cross_world_close() in either case. */
int cross_world_open(struct cross_world *world, const struct cross_config *config);
void cross_world_close(struct cross_world *world);

/* How many buffers of so many bytes are outstanding at once: enough to be busy, and not so many
 * that memory alone is measured. */
unsigned cross_window(uint32_t bytes);

/* Memory for a ring, where the device reaches it; for a payload, where the program has it. NULL:
 * none left. */
void *cross_world_ring(struct cross_world *world, size_t bytes);
void *cross_world_payload(struct cross_world *world, size_t bytes);

/* The device address of memory from one of them, where it is offered by address. */
static inline virtq_addr_t cross_world_address(const struct cross_world *world, const void *base)
{
    return world->first + (virtq_addr_t)((const unsigned char *)base - world->memory);
}

#endif
