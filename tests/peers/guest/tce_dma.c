/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows of TCEs: the disk in the one that the bridge has from the start, of 4 KiB pages; the
 * source of noise in one that is made for it, of 64 KiB pages and far above. */
#include <virtq/iommu/tce_backend.h>
#include <virtq/space/iommu.h>

#include "console.h"
#include "dma.h"
#include "refusal.h"
#include "spapr.h"

#define DEVICES 2u
#define RANGES 256u
#define MEMORY ((uint64_t)128 << 20)
#define PAGES_64K 2u /* among the sizes that a window can have */

static struct dma {
    struct virtq_region memory;
    struct virtq_tce_backend backend;
    struct virtq_iova iova;
    struct virtq_iova_range ranges[RANGES];
    struct virtq_iommu space;
    uint8_t list[VIRTQ_TCE_LIST_SIZE] __attribute__((aligned(4096)));
} devices[DEVICES];

static unsigned opened;

static struct dma *current(void)
{
    return &devices[opened - 1];
}

static int64_t call(void *context, uint64_t number, const uint64_t *arguments, uint64_t *result)
{
    (void)context;
    return spapr_call(number, arguments, number == VIRTQ_TCE_GET ? result : NULL);
}

/* The window that a bridge has from the start: its name, its first address and its bytes. */
static void find_window(struct virtq_tce_window *window)
{
    uint32_t bytes;
    const uint32_t *words = spapr_property("pci@", "ibm,dma-window", &bytes);

    check(words != NULL && bytes == 20, "a window");
    *window = (struct virtq_tce_window){
        .first = (uint64_t)words[1] << 32 | words[2],
        .entries = ((uint64_t)words[3] << 32 | words[4]) >> 12,
        .liobn = words[0],
        .shift = 12,
    };
}

/* One more window, if pages of that size are to be had. */
static void make_window(struct virtq_tce_window *window, uint32_t shift, uint32_t window_shift)
{
    const uint32_t *unit = spapr_bridge();
    const uint32_t arguments[] = {0, unit[0], unit[1], shift, window_shift};
    uint32_t query[5];
    uint32_t made[4];

    spapr_service("ibm,query-pe-dma-window", 3, arguments, 5, query);
    check(query[0] == 0 && query[1] > 0 && (query[3] & PAGES_64K) != 0, "a window can be made");
    spapr_service("ibm,create-pe-dma-window", 5, arguments, 4, made);
    check(made[0] == 0, "a window is made");
    *window = (struct virtq_tce_window){
        .first = (uint64_t)made[2] << 32 | made[3],
        .entries = (uint64_t)1 << (window_shift - shift),
        .liobn = made[1],
        .shift = shift,
    };
}

static void open_window(struct dma *dma)
{
    struct virtq_tce_backend_config config = VIRTQ_TCE_BACKEND_CONFIG_INIT;

    dma->memory =
        (struct virtq_region){0, MEMORY - 1, NULL, VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE};
    if (dma == &devices[0]) {
        find_window(&config.window);
    } else {
        make_window(&config.window, 16, 28);
    }
    config.call = call;
    config.memory = &dma->memory;
    config.memory_count = 1;
    config.calls = VIRTQ_TCE_HAS_PUT_INDIRECT | VIRTQ_TCE_HAS_STUFF;
    config.lists = dma->list;
    config.list_count = 1;
    check(virtq_tce_backend_init(&dma->backend, &config) == VIRTQ_OK, "the window's backend");
}

struct virtq_space *dma_open(const struct transport *transport)
{
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    virtq_addr_t first;
    virtq_addr_t last;
    struct dma *dma;

    (void)transport;
    check(opened < DEVICES, "a window for one more");
    opened++;
    dma = current();
    open_window(dma);
    check(virtq_tce_window_range(&dma->backend.window, UINT64_MAX, &first, &last) == VIRTQ_OK &&
              virtq_iova_init(&dma->iova, first, last, (uint64_t)1 << dma->backend.window.shift,
                              dma->ranges, RANGES) == VIRTQ_OK,
          "the window's addresses");
    config.iova = &dma->iova;
    config.backend = &dma->backend.backend;
    check(virtq_iommu_init(&dma->space, &config) == VIRTQ_OK, "the device's space");
    return &dma->space.space;
}

/* The hypervisor's table grants nothing there. */
static void judge(virtq_addr_t first, uint64_t bytes)
{
    for (virtq_addr_t addr = first; addr < first + bytes; addr += (uint64_t)1 << 12) {
        uint64_t entry = UINT64_MAX;

        check(virtq_tce_read_entry(&current()->backend, addr, &entry) == VIRTQ_OK &&
                  (entry & (VIRTQ_TCE_READ | VIRTQ_TCE_WRITE)) == 0,
              "the entry grants nothing");
    }
}

void dma_refuses(struct transport *disk)
{
    const struct refusal refusal = {&current()->space.space, judge, NULL, NULL};

    refusal_run(&refusal, disk);
}

void dma_describe(void)
{
    struct virtq_tce_usage usage;
    struct virtq_iommu_usage mapped;

    virtq_tce_read_usage(&current()->backend, &usage);
    virtq_iommu_read_usage(&current()->space, &mapped);
    check(mapped.mapped == 0 && mapped.leaked == 0, "all is unmapped");
    check(usage.failures == 0 && usage.lost == 0, "no call was refused");
    console_text("iommu: TCEs;");
    console_text(" from ");
    console_hex(current()->backend.window.first);
    console_pair("shift", current()->backend.window.shift);
    console_pair("puts", (uint32_t)usage.puts);
    console_pair("puts-indirect", (uint32_t)usage.puts_indirect);
    console_pair("stuffs", (uint32_t)usage.stuffs);
    console_text("\n");
}
