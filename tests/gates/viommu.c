/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of 64 pages, mapped and unmapped by the driver role of virtio-iommu. What the device does
 * is a function of its own, which the gate leaves out. */
#include <stdlib.h>
#include <string.h>
#include <virtq/iommu/virtio_iommu.h>
#include <virtq/virtq.h>

#define COUNT 64u
#define PAGE 4096u
#define RING 256u

static struct virtq_driver *driver;
static struct virtq_device *device;

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void *lines(size_t size)
{
    void *memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);

    require(memory != NULL);
    memset(memory, 0, (size + 4095) / 4096 * 4096);
    return memory;
}

/* Says yes to everything. */
static __attribute__((noinline)) void work(void)
{
    static struct virtq_chain chains[COUNT];
    static struct virtq_piece pieces[4 * COUNT];
    struct virtq_used_buffer used[COUNT];
    int count = virtq_device_pop(device, chains, COUNT, pieces, 4 * COUNT);

    for (int i = 0; i < count; i++) {
        memset(chains[i].pieces[chains[i].readable].base, 0, 4);
        used[i] = (struct virtq_used_buffer){chains[i].id, 4};
    }
    require(virtq_device_push(device, used, (unsigned)count) == count);
    require(virtq_device_publish(device) == count);
}

/* Two names for it, so that each can be left out where its caller is counted. */
__attribute__((noinline)) void device_maps(void)
{
    work();
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void device_unmaps(void)
{
    work();
    __asm__ volatile("" ::: "memory");
}

static int mapping;

static void device_works(void *context, uint32_t data)
{
    (void)context;
    (void)data;
    if (mapping != 0) {
        device_maps();
    } else {
        device_unmaps();
    }
}

static int device_waits(void *context)
{
    (void)context;
    return 1;
}

static void open_queue(struct virtq_space *space, uint32_t format)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device_config = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;

    require(virtq_layout_init((enum virtq_format)format, RING, &layout) == 0);
    config.format = device_config.format = format;
    config.size = device_config.size = RING;
    config.features =
        VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | (format != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    device_config.features = config.features;
    config.segments_max = 2;
    config.space = device_config.space = space;
    virtq_layout_areas(&layout, lines((size_t)layout.size), &config.areas);
    device_config.areas = config.areas;
    require(virtq_driver_init(lines(virtq_driver_size(&config)), virtq_driver_size(&config),
                              &config, &driver) == 0);
    require(virtq_device_init(lines(virtq_device_size(&device_config)),
                              virtq_device_size(&device_config), &device_config, &device,
                              NULL) == 0);
}

int main(int argc, char **argv)
{
    const struct virtq_virtio_iommu_settings settings = {
        VIRTQ_FEATURE(VIRTIO_IOMMU_F_MAP_UNMAP), PAGE, PAGE, 0, UINT64_MAX, 0, UINT32_MAX, 0, 0};
    struct virtq_virtio_iommu_driver_config config = VIRTQ_VIRTIO_IOMMU_DRIVER_CONFIG_INIT;
    static struct virtq_virtio_iommu_driver viommu;
    struct virtq_virtio_iommu_mapper mapper;
    struct virtq_iommu_backend backend;
    struct virtq_region ranges[COUNT];
    struct virtq_direct direct;
    const int rounds = argc > 2 ? atoi(argv[1]) : 1;

    require(virtq_direct_init(&direct, NULL, 0, UINT64_MAX, 3) == 0);
    open_queue(&direct.space, argc > 2 && strcmp(argv[2], "packed") == 0);
    config.queue = driver;
    config.space = config.physical = &direct.space;
    config.settings = &settings;
    config.requests = COUNT;
    config.shared_size = virtq_virtio_iommu_driver_shared_size(&config);
    config.shared = lines(config.shared_size);
    config.memory_size = virtq_virtio_iommu_driver_private_size(&config);
    config.memory = lines(config.memory_size);
    config.notify = device_works;
    config.wait = device_waits;
    require(virtq_virtio_iommu_driver_init(&viommu, &config) == 0);
    require(virtq_virtio_iommu_mapper_init(&mapper, &viommu, 1, 0) == 0);
    virtq_virtio_iommu_mapper_backend(&mapper, &backend);
    for (unsigned i = 0; i < COUNT; i++) {
        const virtq_addr_t first = (virtq_addr_t)i * PAGE;

        ranges[i] = (struct virtq_region){first, first + PAGE - 1, (void *)(uintptr_t)first, 3};
    }
    for (int i = 0; i < rounds; i++) {
        mapping = 1;
        require(backend.map(backend.context, ranges, COUNT) == 0);
        mapping = 0;
        require(backend.unmap(backend.context, ranges, COUNT) == 0);
        require(backend.flush(backend.context, ranges, COUNT) == 0);
    }
    return 0;
}
