/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest without an operating system: drives a disk and a source of noise over virtio-mmio, says
 * so, and ends the machine. */
#include "block.h"
#include "console.h"
#include "entropy.h"
#include "platform.h"

static struct transport current; /* the one whose interrupts are open */

void platform_interrupted(unsigned slot)
{
    if (slot == current.slot) {
        current.ops->acknowledge(&current);
    }
}

_Noreturn void guest_main(void)
{
    struct virtq_direct direct;

    /* Memory is where its pointers say, and the device may have all of it. */
    check(virtq_direct_init(&direct, NULL, 0, UINTPTR_MAX,
                            VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE) == VIRTQ_OK,
          "the space");
    check(mmio_find(BLOCK_TYPE, 0, &current), "there is a disk");
    block_run(&current, &direct.space);
    check(mmio_find(ENTROPY_TYPE, 0, &current), "there is a source of noise");
    entropy_run(&current, &direct.space);
    console_text("guest: passed\n");
    platform_exit(0);
}
