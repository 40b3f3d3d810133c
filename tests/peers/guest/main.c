/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest without an operating system: drives a disk, then a source of noise where there is one,
 * over virtio-mmio or virtio-pci; behind a virtio-iommu if there is one, or what the machine always
 * has. Says so, and ends the machine. */
#include "bar.h"
#include "block.h"
#include "console.h"
#include "dma.h"
#include "entropy.h"
#include "iommu.h"
#include "platform.h"

static struct transport current; /* the one whose interrupts are open */

void platform_interrupted(unsigned slot)
{
    if (slot == current.slot) {
        current.ops->acknowledge(&current);
    }
}

#ifdef GUEST_DMA
static void run_pci(struct virtq_space *memory)
{
    struct virtq_space *mapped;

    (void)memory;
    check(pci_find(BLOCK_TYPE, &current), "there is a disk");
    mapped = dma_open(&current);
    block_run(&current, mapped);
    dma_refuses(&current);
    block_run(&current, mapped);
    dma_describe();
    check(pci_find(ENTROPY_TYPE, &current), "there is a source of noise");
    entropy_run(&current, dma_open(&current));
    dma_describe();
}
#elif defined GUEST_PCI
static void run_pci(struct virtq_space *memory)
{
    struct virtq_space *bar = bar_open();
    struct transport iommu;

    check(pci_find(BLOCK_TYPE, &current), "there is a disk");
    if (pci_find(IOMMU_TYPE, &iommu)) {
        struct virtq_space *mapped;

        iommu_open(&iommu, memory);
        mapped = iommu_attach(current.endpoint);
        block_run(&current, mapped);
        iommu_refuses(&current);
        block_run(&current, mapped);
        iommu_describe();
        return;
    }
    if (bar != NULL) { /* twice, so that all of the region came back */
        block_run(&current, bar);
        block_run(&current, bar);
        return;
    }
    block_run(&current, memory);
    check(pci_find(ENTROPY_TYPE, &current), "there is a source of noise");
    entropy_run(&current, memory);
}
#endif

static void run_mmio(struct virtq_space *memory)
{
    block_run(&current, memory);
    check(mmio_find(ENTROPY_TYPE, 0, &current), "there is a source of noise");
    entropy_run(&current, memory);
}

_Noreturn void guest_main(void)
{
    struct virtq_direct direct;

    /* Memory is where its pointers say, and the device may have all of it. */
    check(virtq_direct_init(&direct, NULL, 0, UINTPTR_MAX,
                            VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE) == VIRTQ_OK,
          "the space");
    if (mmio_find(BLOCK_TYPE, 0, &current)) {
        run_mmio(&direct.space);
    } else {
#ifdef GUEST_PCI
        run_pci(&direct.space);
#else
        check(false, "there is a disk");
#endif
    }
    console_text("guest: passed\n");
    platform_exit(0);
}
