/* SPDX-License-Identifier: BSD-3-Clause */
#include "bar.h"

#include "console.h"
#include "memory.h"
#include "transport.h"

#define IVSHMEM 0x11101af4u
#define IVSHMEM_BAR 2u
#define GRANULE 64u

static struct virtq_bar bar;
static uint64_t books[0x10000 / 8];

/* The bus places a BAR at a multiple of its size, a power of two: so that the address a device
 * uses is the region's place, as an id, and then the offset. */
struct virtq_space *bar_open(void)
{
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;
    uintptr_t base;
    uint32_t size;

    if (!pci_region(IVSHMEM, IVSHMEM_BAR, &base, &size)) {
        return NULL;
    }
    config.base = (void *)base;
    config.size = size;
    config.permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    config.shift = (uint32_t)__builtin_ctz(size);
    config.id = (uint32_t)(base >> config.shift);
    config.memory = VIRTQ_BAR_DEVICE; /* as all memory is while the MMU is off */
    config.widths = 1 + 2 + 4 + 8;
    check(virtq_bar_init_config(&bar, &config) == VIRTQ_OK, "the region");
    check(virtq_bar_private_size(size, GRANULE) <= sizeof(books) &&
              virtq_bar_manage(&bar, GRANULE, books, sizeof(books)) == VIRTQ_OK,
          "the region's books");
    memory_share(&bar);
    console_text("bar: at ");
    console_hex(base);
    console_pair("id", config.id);
    console_pair("shift", config.shift);
    console_text("\n");
    return &bar.space;
}
