/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest that drives a virtio-iommu, and the hypervisor that is one: a device behind it reaches a
 * buffer while it is mapped, and its fault is reported after that. docs/spaces/virtio-iommu.md goes
 * through it.
 *
 *     cc virtio_iommu.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/iommu/virtio_iommu.h>
#include <virtq/virtq.h>

#include "queue.h"

#define PAGE 4096u
#define MEMORY (16u * PAGE)
#define PHYSICAL 0x40000000u /* where the guest's memory begins */
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)
#define ENDPOINT 8u
#define DOMAIN 1u
#define EVENTS 4u
#define BUFFERS 4u

/* The hypervisor: what it knows of the guest is its memory. */
struct hypervisor {
    struct virtq_direct memory;
    struct virtq_virtio_iommu_device *iommu;
    struct virtq_virtio_iommu_endpoint endpoint;
    void *own;
    struct virtq_device *requests; /* its ends of the two queues */
    struct virtq_device *events;
};

/* The guest: it knows the device by two queues and a configuration space. */
struct guest {
    struct virtq_virtio_iommu_driver driver;
    struct virtq_virtio_iommu_mapper mapper;
    struct virtq_virtio_iommu_events events;
    struct virtq_iommu_backend backend;
    struct virtq_iova_range ranges[32];
    struct virtq_iova iova;
    struct virtq_iommu space; /* how it maps for the device behind the IOMMU */
    void *own;
};

static void open_hypervisor(struct hypervisor *hypervisor, unsigned char *memory_of_guest)
{
    /* [device] */
    static const struct virtq_virtio_iommu_resv_mem doorbell[] = {
        {0xfee00000, 0xfeefffff, VIRTIO_IOMMU_RESV_MEM_T_MSI}};
    struct virtq_virtio_iommu_device_config config = VIRTQ_VIRTIO_IOMMU_DEVICE_CONFIG_INIT;
    struct virtq_virtio_iommu_endpoint_config endpoint = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;
    size_t size;

    check(virtq_direct_init(&hypervisor->memory, memory_of_guest, PHYSICAL, PHYSICAL + MEMORY - 1,
                            BOTH) == VIRTQ_OK,
          "the guest's memory");
    config.memory = &hypervisor->memory.space;
    config.mappings = 64; /* a guest cannot use more of the hypervisor's memory */
    size = virtq_virtio_iommu_device_size(&config);
    hypervisor->own = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_virtio_iommu_device_init(hypervisor->own, size, &config, &hypervisor->iommu) ==
              VIRTQ_OK,
          "the device role");
    endpoint.id = ENDPOINT;
    endpoint.reserved = doorbell;
    endpoint.reserved_count = 1;
    check(virtq_virtio_iommu_device_add(hypervisor->iommu, &hypervisor->endpoint, &endpoint) ==
              VIRTQ_OK,
          "the endpoint");
    /* [device] */
}

/* [hooks] */
/* A notification runs the hypervisor here; elsewhere it is a register or an eventfd. */
static void notify(void *context, uint32_t data)
{
    struct hypervisor *hypervisor = context;

    (void)data;
    check(virtq_virtio_iommu_device_serve(hypervisor->iommu, hypervisor->requests, 64) >= 0,
          "serve");
}

/* Nothing comes by waiting: what was not answered when it was notified never will be. */
static int wait_for_reply(void *context)
{
    (void)context;
    return VIRTQ_EPEER;
}
/* [hooks] */

static void open_driver(struct guest *guest, struct hypervisor *hypervisor, struct queue *requests,
                        void *shared)
{
    struct virtq_virtio_iommu_driver_config config = VIRTQ_VIRTIO_IOMMU_DRIVER_CONFIG_INIT;
    struct virtq_virtio_iommu_settings settings;
    unsigned char bytes[40];
    uint64_t features;

    /* [settings] */
    features = virtq_virtio_iommu_settings_accept(0x77u, 0);
    check(virtq_virtio_iommu_device_negotiate(hypervisor->iommu, features) == VIRTQ_OK, "features");
    check(virtq_virtio_iommu_device_config_read(hypervisor->iommu, 0, bytes, 40) == VIRTQ_OK,
          "configuration space");
    check(virtq_virtio_iommu_settings_read(&settings, bytes, 40, features) == VIRTQ_OK, "settings");
    /* [settings] */
    /* [driver] */
    config.queue = requests->driver;
    config.space = &hypervisor->memory.space;    /* reaches `shared` */
    config.physical = &hypervisor->memory.space; /* pointers to guest-physical addresses */
    config.settings = &settings;
    config.requests = 8;
    config.shared_size = virtq_virtio_iommu_driver_shared_size(&config);
    config.shared = shared;
    config.memory_size = virtq_virtio_iommu_driver_private_size(&config);
    config.memory = guest->own = memory(config.memory_size, 8);
    config.context = hypervisor;
    config.notify = notify;
    config.wait = wait_for_reply;
    check(virtq_virtio_iommu_driver_init(&guest->driver, &config) == VIRTQ_OK, "the driver role");
    /* [driver] */
    check(virtq_iova_init(&guest->iova, settings.first + 0x100000, settings.last, PAGE,
                          guest->ranges, 32) == VIRTQ_OK,
          "addresses");
}

static void open_domain(struct guest *guest)
{
    /* [domain] */
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_virtio_iommu_region reserved[4];
    unsigned count;

    check(virtq_virtio_iommu_mapper_init(&guest->mapper, &guest->driver, DOMAIN, 0) == VIRTQ_OK,
          "the domain");
    /* Probed, its doorbell kept out of the addresses, attached. */
    check(virtq_virtio_iommu_mapper_join(&guest->mapper, ENDPOINT, &guest->iova, reserved, 4,
                                         &count) == VIRTQ_OK,
          "join");
    check(count == 1 && reserved[0].msi == 1, "one reserved region");
    virtq_virtio_iommu_mapper_backend(&guest->mapper, &guest->backend);
    config.iova = &guest->iova;
    config.backend = &guest->backend;
    check(virtq_iommu_init(&guest->space, &config) == VIRTQ_OK, "the space of its queues");
    /* [domain] */
}

/* All of a buffer's segments are one batch, with one notification. */
static void exchange(struct guest *guest, struct queue *queue, unsigned char *page)
{
    struct virtq_segment segments[] = {{.base = page, .len = PAGE},
                                       {.base = page + PAGE, .len = PAGE}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};
    struct virtq_virtio_iommu_driver_usage usage;

    for (unsigned round = 1; round <= BUFFERS; round++) {
        memset(page, (int)round, PAGE);
        check(queue_carry(queue, &buffer) == PAGE, "the answer");
        check(memcmp(page, page + PAGE, PAGE) == 0, "each byte came back");
    }
    virtq_virtio_iommu_driver_read_usage(&guest->driver, &usage);
    printf("%u buffers through the endpoint, %llu requests, %llu notifications in all\n", BUFFERS,
           (unsigned long long)usage.requests, (unsigned long long)usage.notifications);
}

static void fault(struct guest *guest, struct hypervisor *hypervisor, unsigned char *page)
{
    struct virtq_virtio_iommu_event event;
    virtq_addr_t addr;
    unsigned found;
    void *base;

    /* [fault] */
    check(virtq_space_share(&guest->space.space, page, PAGE, BOTH, &addr) == VIRTQ_OK, "share");
    check(virtq_space_translate(&hypervisor->endpoint.space, addr, 1, VIRTQ_PERMISSION_READ,
                                &base) == 1 &&
              base == page,
          "the endpoint reaches the page");
    virtq_space_unshare(&guest->space.space, addr, PAGE);
    check(virtq_space_translate(&hypervisor->endpoint.space, addr, 1, VIRTQ_PERMISSION_READ,
                                &base) == VIRTQ_EFAULT,
          "after UNMAP it does not");
    check(virtq_virtio_iommu_device_report(hypervisor->iommu, hypervisor->events) == 1, "report");
    check(virtq_virtio_iommu_events_poll(&guest->events, &event, 1, &found) == 1 && found == 1,
          "the fault");
    check(event.endpoint == ENDPOINT && event.address == addr, "who, and where");
    /* [fault] */
    printf("endpoint %u, fault at 0x%llx\n", event.endpoint, (unsigned long long)event.address);
}

int main(void)
{
    struct virtq_virtio_iommu_events_config config = VIRTQ_VIRTIO_IOMMU_EVENTS_CONFIG_INIT;
    struct hypervisor *hypervisor = memory(sizeof(*hypervisor), VIRTQ_CACHE_LINE);
    struct guest *guest = memory(sizeof(*guest), VIRTQ_CACHE_LINE);
    unsigned char *ram = memory(MEMORY, PAGE);
    struct queue requests;
    struct queue events;
    struct queue queue;

    open_hypervisor(hypervisor, ram);
    queue_open(&requests, &hypervisor->memory.space, &hypervisor->memory.space, ram);
    queue_open(&events, &hypervisor->memory.space, &hypervisor->memory.space, ram + PAGE);
    hypervisor->requests = requests.device;
    hypervisor->events = events.device;
    open_driver(guest, hypervisor, &requests, ram + 2 * PAGE);
    /* [events] */
    config.queue = events.driver;
    config.space = &hypervisor->memory.space;
    config.shared = ram + 4 * PAGE; /* VIRTQ_VIRTIO_IOMMU_EVENT_BYTES for each */
    config.count = EVENTS;
    check(virtq_virtio_iommu_events_init(&guest->events, &config) == VIRTQ_OK, "event buffers");
    /* [events] */
    open_domain(guest);
    queue_open(&queue, &guest->space.space, &hypervisor->endpoint.space, ram + 5 * PAGE);
    exchange(guest, &queue, ram + 8 * PAGE);
    fault(guest, hypervisor, ram + 10 * PAGE);

    queue_close(&queue);
    check(virtq_virtio_iommu_mapper_detach(&guest->mapper, ENDPOINT) == VIRTQ_OK, "detach");
    virtq_virtio_iommu_events_destroy(&guest->events);
    check(virtq_virtio_iommu_driver_destroy(&guest->driver) == VIRTQ_OK, "destroy");
    queue_close(&events);
    queue_close(&requests);
    virtq_virtio_iommu_device_remove(&hypervisor->endpoint);
    virtq_virtio_iommu_device_destroy(hypervisor->iommu);
    free(guest->own);
    free(guest);
    free(hypervisor->own);
    free(hypervisor);
    free(ram);
    return 0;
}
