/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest and its host, the s390 way: the guest maps by writing tables in its own memory and saying
 * once which part of them has changed; the host follows. docs/spaces/zpci.md goes through it.
 *
 *     cc zpci.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "queue.h"

#define PAGE 4096u
#define MEMORY 0x100000u     /* of the guest */
#define ABSOLUTE 0x80000000u /* where it begins for the guest */
#define HANDLE 0x00010001u   /* of the function */
#define FIRST 0x100000000u   /* of the function's device addresses */
#define LAST (FIRST + 0x3fffffu)
#define PAGES 64u /* of a buffer */
#define ROUNDS 100u
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)

struct machine {
    unsigned char *memory; /* the guest's; its tables are at the end */
    struct virtq_region region;
    struct virtq_direct absolute;
    struct virtq_zpci_host host;
    struct virtq_zpci_guest guest;
    void *shadow;
    void *books;
    unsigned intercepts;
};

/* [rpcit] */
/* In a guest: the instruction. Its host's intercept: the call in here. */
static uint32_t rpcit(void *context, uint64_t function, virtq_addr_t first, uint64_t len,
                      uint32_t *status)
{
    struct machine *machine = context;
    struct virtq_zpci_answer answer;

    machine->intercepts++;
    virtq_zpci_host_refresh(&machine->host, function, first, len, &answer);
    *status = answer.status;
    return answer.condition;
}
/* [rpcit] */

static void open_host(struct machine *machine)
{
    /* [host] */
    struct virtq_zpci_host_config config = VIRTQ_ZPCI_HOST_CONFIG_INIT;

    config.memory = &machine->absolute.space;
    config.regions = 1;
    config.segments = 8;
    config.tables_size = virtq_zpci_host_size(config.regions, config.segments);
    config.tables = machine->shadow = memory(config.tables_size, 8);
    config.handle = HANDLE;
    config.first = FIRST;
    config.last = LAST;
    check(virtq_zpci_host_init(&machine->host, &config) == VIRTQ_OK, "the host's end");
    /* [host] */
}

static void open_guest(struct machine *machine)
{
    /* [guest] */
    struct virtq_zpci_guest_config config = VIRTQ_ZPCI_GUEST_CONFIG_INIT;

    config.memory = &machine->region;
    config.memory_count = 1;
    config.flags = VIRTQ_ZPCI_REFRESH_MAP; /* as the hypervisor says */
    config.segment_tables = 1;
    config.page_tables = 8;
    config.tables_size = virtq_zpci_guest_tables_size(1, 8);
    config.tables = machine->memory + MEMORY - 0x20000u;
    config.books_size = virtq_zpci_guest_books_size(1, 8);
    config.books = machine->books = memory(config.books_size, 8);
    config.first = FIRST;
    config.last = LAST;
    config.handle = HANDLE;
    config.context = machine;
    config.rpcit = rpcit;
    check(virtq_zpci_guest_init(&machine->guest, &config) == VIRTQ_OK, "the guest's end");
    check(virtq_zpci_host_register(&machine->host, FIRST, LAST,
                                   virtq_zpci_guest_anchor(&machine->guest)) == VIRTQ_OK,
          "the guest registers its tables");
    /* [guest] */
}

/* Half of the pages go out, the other half is the answer. */
static void exchange(struct machine *machine, struct virtq_space *space, const char *name)
{
    const uint32_t half = PAGES / 2 * PAGE;
    unsigned char *data = machine->memory + 0x10000u;
    struct virtq_segment segments[] = {{.base = data, .len = half},
                                       {.base = data + half, .len = half}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};
    struct queue queue;
    unsigned before;

    queue_open(&queue, space, &machine->host.space, machine->memory);
    before = machine->intercepts;
    for (unsigned round = 0; round < ROUNDS; round++) {
        memset(data, (int)round + 1, half);
        check(queue_carry(&queue, &buffer) == half, "the answer");
        check(memcmp(data, data + half, half) == 0, "each byte came back");
    }
    printf("%-6s %u buffers of %u pages, %u intercepts\n", name, ROUNDS, PAGES,
           machine->intercepts - before);
    queue_close(&queue);
}

static void run_strict(struct machine *machine)
{
    /* [strict] */
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_iova_range ranges[16];
    struct virtq_iommu_backend backend;
    struct virtq_iommu space;
    struct virtq_iova iova;

    check(virtq_iova_init(&iova, FIRST, FIRST + 0x1fffffu, PAGE, ranges, 16) == VIRTQ_OK,
          "addresses");
    virtq_zpci_guest_backend(&machine->guest, &backend);
    config.iova = &iova;
    config.backend = &backend;
    check(virtq_iommu_init(&space, &config) == VIRTQ_OK, "strict");
    /* [strict] */
    exchange(machine, &space.space, "strict");
}

static void run_lazy(struct machine *machine)
{
    /* [lazy] */
    struct virtq_zpci_lazy_config config = VIRTQ_ZPCI_LAZY_CONFIG_INIT;
    struct virtq_zpci_lazy space;

    config.guest = &machine->guest;
    config.first = FIRST + 0x200000u;
    config.last = LAST;
    config.bitmaps_size = virtq_zpci_lazy_size(config.first, config.last);
    config.bitmaps = memory(config.bitmaps_size, 8);
    check(virtq_zpci_lazy_init(&space, &config) == VIRTQ_OK, "lazy");
    /* [lazy] */
    exchange(machine, &space.space, "lazy");
    check(virtq_zpci_lazy_flush(&space) == VIRTQ_OK, "nothing is within reach any more");
    free(config.bitmaps);
}

int main(void)
{
    struct machine *machine = memory(sizeof(*machine), VIRTQ_CACHE_LINE);

    machine->memory = memory(MEMORY, PAGE);
    machine->region = (struct virtq_region){ABSOLUTE, ABSOLUTE + MEMORY - 1, machine->memory, BOTH};
    check(virtq_direct_init_regions(&machine->absolute, &machine->region, 1) == VIRTQ_OK,
          "the guest's memory");
    open_host(machine);
    open_guest(machine);
    run_strict(machine);
    run_lazy(machine);
    virtq_zpci_host_destroy(&machine->host);
    free(machine->shadow);
    free(machine->books);
    free(machine->memory);
    free(machine);
    return 0;
}
