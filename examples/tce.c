/* SPDX-License-Identifier: BSD-3-Clause */
/* A POWER guest and its hypervisor in one program: the guest puts entries by calls, the device
 * translates by the table that these change. docs/spaces/tce.md goes through it.
 *
 *     cc tce.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "queue.h"

#define PAGE 65536u
#define PAGES 32u
#define REAL UINT64_C(0x1000000) /* more memory than the first window holds */
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)
#define RANGES 64u

/* The window that every device has, and a second one, of larger pages and far above it. */
static const struct virtq_tce_window windows[] = {{0, 1024, 0x80000001, 12},
                                                  {UINT64_C(1) << 59, 1024, 0x80000002, 16}};

/* The hypervisor: it knows where guest memory is, and keeps the tables. */
struct hypervisor {
    struct virtq_direct memory;
    struct virtq_tce_table tables[2];
    struct virtq_tce_host host;
    struct virtq_mux device; /* what the device has: both windows */
    void *entries[2];
};

static void hypervisor_open(struct hypervisor *hypervisor, const struct virtq_region *memory_region)
{
    struct virtq_mux_member members[2];
    struct virtq_mux_config mux = VIRTQ_MUX_CONFIG_INIT;

    check(virtq_direct_init_regions(&hypervisor->memory, memory_region, 1) == VIRTQ_OK, "memory");
    virtq_tce_host_init(&hypervisor->host);
    for (unsigned i = 0; i < 2; i++) {
        /* [table] */
        struct virtq_tce_table_config config = VIRTQ_TCE_TABLE_CONFIG_INIT;

        config.window = windows[i];
        config.memory = &hypervisor->memory.space; /* guest memory by real address */
        config.entries_size = virtq_tce_table_size(&windows[i]);
        config.entries = hypervisor->entries[i] = memory(config.entries_size, 8);
        check(virtq_tce_table_init(&hypervisor->tables[i], &config) == VIRTQ_OK, "table");
        check(virtq_tce_host_add(&hypervisor->host, &hypervisor->tables[i]) == VIRTQ_OK, "host");
        /* [table] */
        members[i] =
            (struct virtq_mux_member){&hypervisor->tables[i].space, windows[i].first,
                                      virtq_tce_window_last(&windows[i]), windows[i].first, BOTH};
    }
    mux.members = members;
    mux.member_count = 2;
    check(virtq_mux_init(&hypervisor->device, &mux) == VIRTQ_OK, "mux");
}

static void hypervisor_close(struct hypervisor *hypervisor)
{
    virtq_mux_fini(&hypervisor->device);
    for (unsigned i = 0; i < 2; i++) {
        virtq_tce_table_fini(&hypervisor->tables[i]);
        free(hypervisor->entries[i]);
    }
}

/* The guest's end of the window it has chosen. */
static void guest_open(struct virtq_tce_backend *backend, const struct virtq_tce_window *window,
                       const struct virtq_region *memory_region, struct hypervisor *hypervisor)
{
    /* [backend] */
    struct virtq_tce_backend_config config = VIRTQ_TCE_BACKEND_CONFIG_INIT;

    config.window = *window;
    config.call = virtq_tce_host_call; /* in a guest: the instruction that calls the hypervisor */
    config.context = &hypervisor->host;
    config.memory = memory_region;
    config.memory_count = 1;
    config.calls = VIRTQ_TCE_HAS_PUT_INDIRECT | VIRTQ_TCE_HAS_STUFF;
    config.lists = memory_region->base; /* a page of the guest's, for the entries of a call */
    config.list_count = 1;
    check(virtq_tce_backend_init(backend, &config) == VIRTQ_OK, "backend");
    /* [backend] */
}

/* Half a page goes out, the other half is the answer. */
static void exchange(struct virtq_space *driver, struct hypervisor *hypervisor, unsigned char *at,
                     struct virtq_tce_backend *backend, const char *name)
{
    unsigned char *page = at + PAGE;
    struct virtq_segment segments[] = {{.base = page, .len = PAGE / 2},
                                       {.base = page + PAGE / 2, .len = PAGE / 2}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};
    struct virtq_tce_usage before;
    struct virtq_tce_usage after;
    struct queue queue;

    queue_open(&queue, driver, &hypervisor->device.space, at);
    virtq_tce_read_usage(backend, &before);
    memset(page, 0x5a, PAGE / 2);
    check(queue_carry(&queue, &buffer) == PAGE / 2, "the answer");
    check(memcmp(page, page + PAGE / 2, PAGE / 2) == 0, "each byte came back");
    virtq_tce_read_usage(backend, &after);
    printf(
        "%-20s a buffer takes %llu calls to map, %llu to unmap\n", name,
        (unsigned long long)(after.puts + after.puts_indirect - before.puts - before.puts_indirect),
        (unsigned long long)(after.stuffs - before.stuffs));
    queue_close(&queue);
}

/* Each buffer is mapped while the device has it. */
static void dynamic(struct virtq_tce_backend *backend, virtq_addr_t limit,
                    struct hypervisor *hypervisor, unsigned char *at)
{
    /* [dynamic] */
    struct virtq_iova_range ranges[RANGES];
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_iommu iommu;
    struct virtq_iova iova;
    virtq_addr_t first;
    virtq_addr_t last;

    check(virtq_tce_window_range(&backend->window, limit, &first, &last) == VIRTQ_OK, "range");
    check(virtq_iova_init(&iova, first, last, UINT64_C(1) << backend->window.shift, ranges,
                          RANGES) == VIRTQ_OK,
          "addresses");
    config.iova = &iova;
    config.backend = &backend->backend;
    config.limit = limit;
    check(virtq_iommu_init(&iommu, &config) == VIRTQ_OK, "iommu");
    /* [dynamic] */
    exchange(&iommu.space, hypervisor, at, backend, "32 bits, dynamic:");
}

/* All of memory is mapped, once. */
static void all(struct virtq_tce_backend *backend, struct hypervisor *hypervisor, unsigned char *at)
{
    /* [all] */
    struct virtq_window linear;
    struct virtq_direct direct;

    check(virtq_tce_map_all(backend, BOTH) == VIRTQ_OK, "all of memory");
    check(virtq_tce_linear(backend, BOTH, &linear) == VIRTQ_OK, "address = pointer + constant");
    check(virtq_direct_init(&direct, linear.base, linear.first, linear.last, BOTH) == VIRTQ_OK,
          "direct");
    /* [all] */
    exchange(&direct.space, hypervisor, at, backend, "64 bits, all memory:");
    check(virtq_tce_unmap_all(backend) == VIRTQ_OK, "unmap");
}

static void run(virtq_addr_t limit, const struct virtq_region *memory_region,
                struct hypervisor *hypervisor)
{
    unsigned char *at = (unsigned char *)memory_region->base + PAGE;
    struct virtq_tce_backend backend;
    /* [choose] */
    struct virtq_tce_needs needs = {memory_region->last, limit, 1, 0};
    struct virtq_tce_choice choice;

    check(virtq_tce_choose(windows, 2, &needs, &choice) == VIRTQ_OK, "a window");
    /* [choose] */
    guest_open(&backend, &windows[choice.window], memory_region, hypervisor);
    if (choice.all != 0) {
        all(&backend, hypervisor, at);
    } else {
        dynamic(&backend, limit, hypervisor, at);
    }
}

int main(void)
{
    unsigned char *guest = memory((size_t)PAGES * PAGE, PAGE);
    struct virtq_region memory_region = {REAL, REAL + PAGES * PAGE - 1, guest, BOTH};
    struct hypervisor hypervisor;

    memset(guest, 0, (size_t)PAGES * PAGE);
    hypervisor_open(&hypervisor, &memory_region);
    run(UINT32_MAX, &memory_region, &hypervisor);
    run(UINT64_MAX, &memory_region, &hypervisor);
    hypervisor_close(&hypervisor);
    free(guest);
    return 0;
}
