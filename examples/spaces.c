/* SPDX-License-Identifier: BSD-3-Clause */
/* One queue over each of the four spaces, both ends: what has to be set up for each, and how the
 * device end resolves a miss. docs/address-spaces.md goes through it.
 *
 *     cc spaces.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "support.h"

#define QUEUE_SIZE 16u
#define POOL_SIZE 65536u
#define PAGE 4096u
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)

/* A queue with both ends: each has a space of its own. */
struct link {
    struct virtq_space *driver_space;
    struct virtq_space *device_space;
    void *ring;
    struct virtq_iommu_device *resolver; /* iommu: where misses are resolved */
    unsigned misses;
};

/* [miss] */
/* Pops one buffer; whatever the device end does not know yet is looked up, and asked again. */
static int pop(struct link *link, struct virtq_device *device, struct virtq_chain *chain,
               struct virtq_piece *pieces, unsigned piece_count)
{
    int count = virtq_device_pop(device, chain, 1, pieces, piece_count);

    while (count == VIRTQ_EMISS && link->resolver != NULL) {
        struct virtq_miss miss;

        virtq_device_miss(device, &miss);
        if (virtq_iommu_device_resolve(link->resolver, &miss) != VIRTQ_OK) {
            break; /* not mapped at all, or not for this */
        }
        link->misses++;
        count = virtq_device_pop(device, chain, 1, pieces, piece_count);
    }
    return count;
}
/* [miss] */

/* Sends a page of text back reversed. */
static void serve(struct link *link, struct virtq_device *device)
{
    static char text[PAGE];
    struct virtq_chain chain;
    struct virtq_piece pieces[4];
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    struct virtq_used_buffer used;
    size_t len;

    check(pop(link, device, &chain, pieces, 4) == 1, "pop");
    check(chain.reason == VIRTQ_REASON_NONE, virtq_reason_name(chain.reason));
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    len = virtq_cursor_read(&reader, text, sizeof(text));
    for (size_t i = len; i > 0; i--) {
        check(virtq_cursor_write(&writer, &text[i - 1], 1) == 1, "write");
    }
    used = (struct virtq_used_buffer){chain.id, (uint32_t)virtq_cursor_moved(&writer)};
    check(virtq_device_push(device, &used, 1) == 1, "push");
    check(virtq_device_publish(device) == 1, "publish");
}

/* `page` is memory that the space covers: half of it goes out, half of it is the answer. */
static void exchange(struct link *link, struct virtq_driver *driver, struct virtq_device *device,
                     unsigned char *page)
{
    struct virtq_segment segments[] = {{.base = page, .len = PAGE / 2},
                                       {.base = page + PAGE / 2, .len = PAGE / 2}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};
    struct virtq_completion done;

    for (unsigned i = 0; i < PAGE / 2; i++) {
        page[i] = (unsigned char)(i * 7u);
        page[PAGE / 2 + i] = 0;
    }
    check(virtq_driver_add(driver, &buffer, 1) == 1, "add");
    check(virtq_driver_publish(driver) == 1, "publish");
    serve(link, device);
    check(virtq_driver_poll(driver, &done, 1) == 1 && done.len == PAGE / 2, "poll");
    for (unsigned i = 0; i < PAGE / 2; i++) {
        check(page[PAGE - 1 - i] == page[i], "each byte came back");
    }
}

static void open_device(struct link *link, const struct virtq_driver_config *driver,
                        const struct virtq_area_addresses *addresses, void **private_memory,
                        struct virtq_device **device)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_miss miss;
    size_t size;
    int error;

    config.size = driver->size;
    config.features = driver->features;
    config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    config.addresses = *addresses;
    config.space = link->device_space;
    size = virtq_device_size(&config);
    *private_memory = memory(size, VIRTQ_CACHE_LINE);
    do {
        error = virtq_device_init(*private_memory, size, &config, device, &miss);
    } while (error == VIRTQ_EMISS && link->resolver != NULL &&
             virtq_iommu_device_resolve(link->resolver, &miss) == VIRTQ_OK);
    check(error == VIRTQ_OK, virtq_error_name(error));
}

/* The same for every space: the queue does not know which one it has. */
static void run(struct link *link, const char *name, unsigned char *page)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_area_addresses addresses;
    struct virtq_layout layout;
    struct virtq_driver *driver;
    struct virtq_device *device;
    void *driver_memory;
    void *device_memory;
    size_t size;

    check(virtq_layout_init(VIRTQ_FORMAT_SPLIT, QUEUE_SIZE, &layout) == VIRTQ_OK, "layout");
    config.size = QUEUE_SIZE;
    config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    config.segments_max = 2;
    config.space = link->driver_space;
    virtq_layout_areas(&layout, link->ring, &config.areas);
    size = virtq_driver_size(&config);
    driver_memory = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_driver_init(driver_memory, size, &config, &driver) == VIRTQ_OK, "driver");
    virtq_driver_addresses(driver, &addresses);
    open_device(link, &config, &addresses, &device_memory, &device);
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++) {
        exchange(link, driver, device, page);
    }
    printf("%-8s descriptor area at 0x%llx, %u misses\n", name,
           (unsigned long long)addresses.descriptor, link->misses);
    virtq_driver_destroy(driver);
    free(driver_memory);
    free(device_memory);
}

static void direct(void)
{
    unsigned char *page = memory(2 * PAGE, PAGE);
    struct link link = {.ring = page + PAGE};
    /* [direct] */
    struct virtq_direct space;

    check(virtq_direct_init(&space, NULL, 0, UINTPTR_MAX, BOTH) == VIRTQ_OK, "direct");
    link.driver_space = &space.space;
    link.device_space = &space.space;
    /* [direct] */
    run(&link, "direct", page);
    free(page);
}

static void swiotlb(void)
{
    unsigned char *page = memory(PAGE, PAGE);
    unsigned char *pool = memory(POOL_SIZE, PAGE);
    struct link link = {.ring = NULL};
    /* [swiotlb] */
    struct virtq_swiotlb space;
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;
    struct virtq_direct other_end;

    config.pool = pool; /* the only memory that the device can reach */
    config.pool_size = POOL_SIZE;
    config.addr = 0x80000000u; /* where the device sees it */
    config.memory_size = virtq_swiotlb_private_size(POOL_SIZE, config.granule);
    config.memory = memory(config.memory_size, 8);
    check(virtq_swiotlb_init(&space, &config) == VIRTQ_OK, "swiotlb");
    /* The ring lies in the pool too, or the device would not reach it. */
    check(virtq_swiotlb_alloc(&space, PAGE, PAGE, &link.ring) == VIRTQ_OK, "the ring's memory");
    link.driver_space = &space.space;
    /* A device in another program sees the pool as a window of its own. */
    check(virtq_direct_init(&other_end, pool, config.addr, config.addr + POOL_SIZE - 1, BOTH) ==
              VIRTQ_OK,
          "the device's view");
    link.device_space = &other_end.space;
    /* [swiotlb] */
    run(&link, "swiotlb", page);
    check(virtq_swiotlb_free(&space, link.ring) == VIRTQ_OK, "free");
    free(config.memory);
    free(pool);
    free(page);
}

static void iommu(void)
{
    unsigned char *page = memory(2 * PAGE, PAGE);
    struct link link = {.ring = page + PAGE};
    /* [iommu] */
    unsigned char mappings[VIRTQ_TREE_SIZE(16)];
    struct virtq_iova_range ranges[16];
    struct virtq_domain domain;
    struct virtq_iommu_backend backend;
    struct virtq_iova iova;
    struct virtq_iommu space;
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;

    check(virtq_domain_init(&domain, 16, mappings, sizeof(mappings)) == VIRTQ_OK, "domain");
    virtq_domain_backend(&domain, &backend);
    check(virtq_iova_init(&iova, 0x100000u, 0xffffffffu, PAGE, ranges, 16) == VIRTQ_OK, "iova");
    config.iova = &iova;
    config.backend = &backend;
    check(virtq_iommu_init(&space, &config) == VIRTQ_OK, "iommu");
    link.driver_space = &space.space;
    /* [iommu] */
    /* [iotlb] */
    unsigned char entries[VIRTQ_TREE_SIZE(8)];
    struct virtq_iotlb iotlb;
    struct virtq_iommu_device device_space;

    check(virtq_iotlb_init(&iotlb, 8, entries, sizeof(entries)) == VIRTQ_OK, "iotlb");
    check(virtq_iommu_device_init(&device_space, &domain, &iotlb) == VIRTQ_OK, "the device end");
    link.device_space = &device_space.space;
    link.resolver = &device_space;
    /* [iotlb] */
    run(&link, "iommu", page);
    check(link.misses > 0, "the device end had to ask");
    virtq_iommu_device_destroy(&device_space);
    free(page);
}

static void bar(void)
{
    unsigned char *region = memory(POOL_SIZE, PAGE);
    struct link link = {.ring = NULL};
    void *page;
    /* [bar] */
    struct virtq_bar space;
    size_t size = virtq_bar_private_size(POOL_SIZE, PAGE);
    void *books = memory(size, 8);

    check(virtq_bar_init(&space, region, POOL_SIZE, BOTH, 0) == VIRTQ_OK, "bar");
    check(virtq_bar_manage(&space, PAGE, books, size) == VIRTQ_OK, "its memory");
    /* Ring and buffers lie in the region; their device addresses are offsets into it. */
    check(virtq_bar_alloc(&space, PAGE, PAGE, &link.ring) == VIRTQ_OK, "the ring's memory");
    check(virtq_bar_alloc(&space, PAGE, PAGE, &page) == VIRTQ_OK, "a buffer's memory");
    link.driver_space = &space.space;
    link.device_space = &space.space;
    /* [bar] */
    run(&link, "bar", page);
    check(virtq_bar_free(&space, page) == VIRTQ_OK, "free");
    check(virtq_bar_free(&space, link.ring) == VIRTQ_OK, "free");
    free(books);
    free(region);
}

int main(void)
{
    direct();
    swiotlb();
    iommu();
    bar();
    return 0;
}
