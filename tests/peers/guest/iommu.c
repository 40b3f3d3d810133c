/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommu.h"

#include <string.h>
#include <virtq/iommu/virtio_iommu.h>

#include "console.h"
#include "refusal.h"

#define PAGE 4096u
#define EVENTS 8u
#define RANGES 256u
#define REQUESTS 4u
#define WAITS 100000000u /* looks at the queue, before the device counts as gone */

static struct {
    struct transport *transport;
    struct queue requests;
    struct queue events;
    struct virtq_virtio_iommu_settings settings;
    struct virtq_virtio_iommu_driver driver;
    struct virtq_virtio_iommu_events faults;
    struct virtq_virtio_iommu_mapper mapper;
    struct virtq_iommu_backend backend;
    struct virtq_iova iova;
    struct virtq_iova_range ranges[RANGES];
    struct virtq_iommu space;
    uint32_t endpoint;
    uint32_t waits;
    uint64_t memory[512];
} iommu;

static uint8_t shared[4 * PAGE] __attribute__((aligned(4096)));
static uint8_t event_memory[EVENTS * VIRTQ_VIRTIO_IOMMU_EVENT_BYTES] __attribute__((aligned(8)));

static void notify(void *context, uint32_t data)
{
    (void)context;
    iommu.transport->ops->notify(iommu.transport, iommu.requests.index, data);
}

static int wait(void *context)
{
    (void)context;
    return ++iommu.waits < WAITS ? 0 : VIRTQ_EPEER;
}

static void read_settings(void)
{
    uint8_t bytes[40];

    for (unsigned at = 0; at < sizeof(bytes); at += 4) {
        uint32_t word = iommu.transport->ops->read_config(iommu.transport, at);

        memcpy(bytes + at, &word, 4);
    }
    check(virtq_virtio_iommu_settings_read(&iommu.settings, bytes, sizeof(bytes),
                                           iommu.transport->features) == VIRTQ_OK,
          "what the IOMMU can do");
}

static void open_driver(struct virtq_space *memory)
{
    struct virtq_virtio_iommu_driver_config config = VIRTQ_VIRTIO_IOMMU_DRIVER_CONFIG_INIT;

    config.queue = iommu.requests.driver;
    config.space = memory;
    config.settings = &iommu.settings;
    config.requests = REQUESTS;
    config.shared = shared;
    config.shared_size = virtq_virtio_iommu_driver_shared_size(&config);
    config.memory = iommu.memory;
    config.memory_size = virtq_virtio_iommu_driver_private_size(&config);
    check(config.shared_size <= sizeof(shared) && config.memory_size <= sizeof(iommu.memory),
          "the IOMMU's memory");
    config.notify = notify;
    config.wait = wait;
    check(virtq_virtio_iommu_driver_init(&iommu.driver, &config) == VIRTQ_OK, "the IOMMU's driver");
}

void iommu_open(struct transport *transport, struct virtq_space *memory)
{
    struct virtq_virtio_iommu_events_config config = VIRTQ_VIRTIO_IOMMU_EVENTS_CONFIG_INIT;

    iommu.transport = transport;
    transport_open(transport, QUEUE_FEATURES | virtq_virtio_iommu_settings_accept(UINT64_MAX, 0));
    queue_open(&iommu.requests, transport, 0, memory);
    queue_open(&iommu.events, transport, 1, memory);
    transport_start(transport);
    read_settings();
    open_driver(memory);
    config.queue = iommu.events.driver;
    config.space = memory;
    config.shared = event_memory;
    config.count = EVENTS;
    check(virtq_virtio_iommu_events_init(&iommu.faults, &config) == VIRTQ_OK, "buffers for faults");
    queue_kick(&iommu.events);
}

struct virtq_space *iommu_attach(uint32_t endpoint)
{
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_virtio_iommu_region reserved[4];
    unsigned count;

    iommu.endpoint = endpoint;
    check(virtq_iova_init(&iommu.iova, iommu.settings.first + 0x100000u, iommu.settings.last,
                          iommu.settings.granule, iommu.ranges, RANGES) == VIRTQ_OK,
          "addresses");
    check(virtq_virtio_iommu_mapper_init(&iommu.mapper, &iommu.driver, 1, 0) == VIRTQ_OK,
          "a domain");
    check(virtq_virtio_iommu_mapper_join(&iommu.mapper, endpoint, &iommu.iova, reserved, 4,
                                         &count) == VIRTQ_OK,
          "the disk joins the domain");
    virtq_virtio_iommu_mapper_backend(&iommu.mapper, &iommu.backend);
    config.iova = &iommu.iova;
    config.backend = &iommu.backend;
    check(virtq_iommu_init(&iommu.space, &config) == VIRTQ_OK, "the disk's space");
    return &iommu.space.space;
}

/* The reports of what was refused, of which there has to be one. */
static void judge(virtq_addr_t first, uint64_t bytes)
{
    struct virtq_virtio_iommu_event event;
    unsigned faults = 0;
    unsigned found;

    while (virtq_virtio_iommu_events_poll(&iommu.faults, &event, 1, &found) > 0) {
        check(found == 1 && event.endpoint == iommu.endpoint, "a fault of the disk");
        check(event.address >= first && event.address - first < bytes, "where it was");
        faults++;
    }
    check(faults > 0, "the IOMMU reports a fault");
    queue_kick(&iommu.events);
}

void iommu_refuses(struct transport *disk)
{
    const struct refusal refusal = {&iommu.space.space, judge, NULL, NULL};

    refusal_run(&refusal, disk);
}

void iommu_describe(void)
{
    struct virtq_virtio_iommu_driver_usage usage;
    struct virtq_iommu_usage mapped;

    virtq_virtio_iommu_driver_read_usage(&iommu.driver, &usage);
    virtq_iommu_read_usage(&iommu.space, &mapped);
    check(usage.failures == 0 && mapped.mapped == 0 && mapped.leaked == 0, "all is unmapped");
    console_text("iommu: unmapped, nothing is written;");
    queue_describe(&iommu.requests);
    console_pair("requests", (uint32_t)usage.requests);
    console_pair("notifications", (uint32_t)usage.notifications);
    console_text("\n");
}
