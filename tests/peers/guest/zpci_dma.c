/* SPDX-License-Identifier: BSD-3-Clause */
/* Each function has tables of its own. Whatever the device is told is unmapped strictly: RPCIT
 * before its address is used again. */
#include <virtq/iommu/zpci_guest.h>
#include <virtq/space/iommu.h>

#include "console.h"
#include "dma.h"
#include "refusal.h"
#include "zpci.h"

#define DEVICES 2u
#define RANGES 256u
#define REACH ((uint64_t)64 << 20) /* addresses that a device is given */
#define SEGMENT_TABLES 1u
#define PAGE_TABLES 64u

static struct dma {
    const struct zpci_function *function;
    struct virtq_region memory;
    struct virtq_zpci_guest guest;
    struct virtq_iommu_backend backend;
    struct virtq_iova iova;
    struct virtq_iova_range ranges[RANGES];
    struct virtq_iommu space;
    uint64_t books[0x2000];
    uint8_t tables[0x10000 + PAGE_TABLES * 0x800] __attribute__((aligned(4096)));
} devices[DEVICES];

static unsigned opened;
static uint32_t recovered;

static struct dma *current(void)
{
    return &devices[opened - 1];
}

static void make_tables(struct dma *dma)
{
    struct virtq_zpci_guest_config config = VIRTQ_ZPCI_GUEST_CONFIG_INIT;

    dma->memory =
        (struct virtq_region){0, UINT32_MAX, NULL, VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE};
    config.memory = &dma->memory;
    config.memory_count = 1;
    config.flags = dma->function->refresh ? VIRTQ_ZPCI_REFRESH_MAP : 0;
    config.segment_tables = SEGMENT_TABLES;
    config.page_tables = PAGE_TABLES;
    config.tables = dma->tables;
    config.tables_size = virtq_zpci_guest_tables_size(SEGMENT_TABLES, PAGE_TABLES);
    config.books = dma->books;
    config.books_size = virtq_zpci_guest_books_size(SEGMENT_TABLES, PAGE_TABLES);
    check(config.tables_size <= sizeof(dma->tables) && config.books_size <= sizeof(dma->books),
          "memory for tables");
    config.first = dma->function->first;
    config.last = dma->function->first + REACH - 1;
    config.handle = dma->function->handle;
    config.rpcit = zpci_refresh;
    check(virtq_zpci_guest_init(&dma->guest, &config) == VIRTQ_OK, "tables");
}

static void register_tables(struct dma *dma)
{
    const struct zpci_block block = {.first = dma->function->first,
                                     .last = dma->function->first + REACH - 1,
                                     .anchor = virtq_zpci_guest_anchor(&dma->guest)};

    check(zpci_modify(dma->function->handle, ZPCI_REGISTER_TABLES, &block) == 0,
          "the tables are registered");
}

struct virtq_space *dma_open(const struct transport *transport)
{
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct dma *dma;

    check(opened < DEVICES, "tables for one more");
    opened++;
    dma = current();
    dma->function = zpci_function(transport->device);
    make_tables(dma);
    register_tables(dma);
    check(virtq_iova_init(&dma->iova, dma->function->first, dma->function->first + REACH - 1,
                          VIRTQ_ZPCI_PAGE, dma->ranges, RANGES) == VIRTQ_OK,
          "addresses");
    virtq_zpci_guest_backend(&dma->guest, &dma->backend);
    config.iova = &dma->iova;
    config.backend = &dma->backend;
    check(virtq_iommu_init(&dma->space, &config) == VIRTQ_OK, "the device's space");
    return &dma->space.space;
}

static uint8_t state(void)
{
    struct zpci_block block = {0};

    check(zpci_store(current()->function->handle, &block) == 0, "the function's state");
    check(block.anchor == virtq_zpci_guest_anchor(&current()->guest), "its tables");
    return block.state;
}

static bool stopped(void)
{
    return (state() & ZPCI_ERROR_BLOCKED) != 0;
}

/* First loads and stores are let through, then the device. */
static void recover(void)
{
    const struct zpci_block block = {0};
    uint32_t handle = current()->function->handle;
    uint32_t status;

    check(state() == (ZPCI_ENABLED | ZPCI_ERROR_BLOCKED | ZPCI_TABLES), "it is in error");
    check(zpci_refresh(NULL, (uint64_t)handle << 32, current()->function->first, VIRTQ_ZPCI_PAGE,
                       &status) == VIRTQ_ZPCI_ERROR &&
              status == VIRTQ_ZPCI_STATUS_RECOVERY,
          "in error, nothing is refreshed");
    check(zpci_modify(handle, ZPCI_RESET_BLOCKED, &block) == 0 &&
              zpci_modify(handle, ZPCI_RESET_ERROR, &block) == 0,
          "it recovers");
    check(state() == (ZPCI_ENABLED | ZPCI_TABLES), "it has recovered");
    recovered++;
}

void dma_refuses(struct transport *disk)
{
    const struct refusal refusal = {&current()->space.space, NULL, stopped, recover};

    refusal_run(&refusal, disk);
}

void dma_describe(void)
{
    struct virtq_zpci_guest_usage usage;
    struct virtq_iommu_usage mapped;

    virtq_zpci_guest_read_usage(&current()->guest, &usage);
    virtq_iommu_read_usage(&current()->space, &mapped);
    check(mapped.mapped == 0 && mapped.leaked == 0 && usage.pages == 0, "all is unmapped");
    console_text("iommu: zPCI;");
    console_pair("refresh-map", current()->function->refresh ? 1 : 0);
    console_pair("refreshes", (uint32_t)usage.refreshes);
    console_pair("recovered", recovered);
    console_text("\n");
}
