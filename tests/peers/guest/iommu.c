/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommu.h"

#include <string.h>
#include <virtq/iommu/virtio_iommu.h>

#include "block.h"
#include "console.h"

#define PAGE 4096u
#define EVENTS 8u
#define RANGES 256u
#define REQUESTS 4u
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)
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

/* What the disk is to write to: mapped for all of its life, and unmapped after a while. */
static uint8_t landing[PAGE] __attribute__((aligned(4096)));
static uint8_t target[2 * PAGE] __attribute__((aligned(4096)));
static uint8_t request[PAGE] __attribute__((aligned(4096))); /* header, then status */

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

static virtq_addr_t share(void *pages, uint64_t bytes, uint32_t permissions)
{
    virtq_addr_t addr = 0;

    check(virtq_space_share(&iommu.space.space, pages, bytes, permissions, &addr) == VIRTQ_OK,
          "pages are mapped");
    return addr;
}

/* Reads from sector 0 on: the first bytes to landing[], the others to target[]. */
static void send_read(struct queue *queue, const virtq_addr_t *addr, uint32_t first,
                      uint32_t others)
{
    const struct virtq_segment segments[] = {{.addr = addr[0], .len = 16},
                                             {.addr = addr[1], .len = first},
                                             {.addr = addr[2], .len = others},
                                             {.addr = addr[0] + 16, .len = 1}};
    const struct virtq_buffer buffer = {
        .segments = segments, .readable = 1, .writable = 3, .flags = VIRTQ_BUFFER_PREMAPPED};

    memset(request, 0, 16);
    request[16] = 0xa5;
    memset(landing, 0x5a, sizeof(landing));
    memset(target, 0x5a, sizeof(target));
    check(queue_add(queue, &buffer), "room");
    queue_kick(queue);
}

/* The reports of what was refused, of which there has to be one; and not a byte was written. */
static void judge_refusal(virtq_addr_t addr)
{
    struct virtq_virtio_iommu_event event;
    unsigned faults = 0;
    unsigned found;

    while (virtq_virtio_iommu_events_poll(&iommu.faults, &event, 1, &found) > 0) {
        check(found == 1 && event.endpoint == iommu.endpoint, "a fault of the disk");
        check(event.address >= addr && event.address - addr < sizeof(target), "where it was");
        faults++;
    }
    check(faults > 0, "the IOMMU reports a fault");
    queue_kick(&iommu.events);
    for (unsigned i = 0; i < sizeof(target); i++) {
        check(target[i] == 0x5a, "unmapped, memory is not written");
    }
}

/* QEMU stops a device whose chain it cannot map; but it does carry out a request of which one short
 * segment is not mapped, says that it succeeded, and drops the bytes. Where it stops a device with
 * packed queues, version 7.2 hangs. */
static void refuse(struct queue *queue, const virtq_addr_t *addr)
{
    struct transport *disk = queue->transport;
    struct virtq_completion done;
    unsigned waits = 0;

    send_read(queue, addr, 508, 4);
    check(queue_wait(queue, &done, 1) == 1 && landing[0] != 0x5a, "what is mapped is written");
    judge_refusal(addr[2]);
    if (virtq_feature_has(disk->features, VIRTIO_F_RING_PACKED)) {
        return;
    }
    send_read(queue, addr, PAGE, 2 * PAGE);
    while ((disk->ops->read_status(disk) & STATUS_NEEDS_RESET) == 0) {
        check(waits++ < WAITS, "the disk fails");
    }
    check(virtq_driver_poll(queue->driver, &done, 1) == 0 && request[16] == 0xa5,
          "the request is not carried out");
    judge_refusal(addr[2]);
}

void iommu_refuses(struct transport *disk)
{
    struct queue queue;
    struct virtq_completion done;
    virtq_addr_t addr[3];

    transport_open(disk, QUEUE_FEATURES);
    queue_open(&queue, disk, 0, &iommu.space.space);
    transport_start(disk);
    addr[0] = share(request, PAGE, BOTH);
    addr[1] = share(landing, sizeof(landing), VIRTQ_PERMISSION_WRITE);
    addr[2] = share(target, sizeof(target), VIRTQ_PERMISSION_WRITE);
    send_read(&queue, addr, PAGE, 2 * PAGE);
    check(queue_wait(&queue, &done, 1) == 1 && done.len == 3 * PAGE + 1 && request[16] == 0 &&
              target[0] != 0x5a,
          "mapped, memory is written");
    virtq_space_unshare(&iommu.space.space, addr[2], sizeof(target));
    refuse(&queue, addr);
    transport_stop(disk);
    queue_close(&queue);
    virtq_space_unshare(&iommu.space.space, addr[1], sizeof(landing));
    virtq_space_unshare(&iommu.space.space, addr[0], PAGE);
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
