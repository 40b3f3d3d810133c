/* SPDX-License-Identifier: BSD-3-Clause */
/* Driver and device in two processes over shared memory, which the device has at another address:
 * what they share is device addresses. */
#include "hostile/block.h"
/* Its macros first. */
#include <sys/wait.h>

#include "setup.h"

/* Where the block begins for the device. */
#define SHARED_FIRST UINT64_C(0x7000000000)

static void device_process(struct stress *s, const struct virtq_device_config *config)
{
    size_t need = s->device.calls->size(config);
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, (need + VIRTQ_CACHE_LINE - 1) /
                                                       VIRTQ_CACHE_LINE * VIRTQ_CACHE_LINE);

    if (memory == NULL || s->device.calls->init(&s->device, config, memory, need) != 0) {
        (void)stress_fail(s, "the device's queue was not built");
    }
    stress_device(s);
    free(memory);
}

static void run(const struct stress_shape *shape)
{
    const uint32_t both = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    struct block block;
    struct virtq_direct spaces[2];
    struct virtq_driver_config driver;
    struct virtq_device_config device;
    struct stress s;
    void *memory;
    pid_t child;
    int status = -1;

    block_init(&block, (STRESS_BLOCK + 4095) / 4096 * 4096, 4096, true);
    cr_assert_eq(virtq_direct_init(&spaces[0], block.at, SHARED_FIRST,
                                   SHARED_FIRST + (block.size - 1), both),
                 0);
    cr_assert_eq(virtq_direct_init(&spaces[1], block.view, SHARED_FIRST,
                                   SHARED_FIRST + (block.size - 1), both),
                 0);
    stress_init(&s, shape, (struct stress_shared *)(void *)(block.at + STRESS_RING));
    driver = stress_driver_config(shape, block.at, &spaces[0].space);
    device = stress_device_config(&driver, block.view, &spaces[1].space);
    memory = stress_memory(s.driver.calls->size(&driver));
    cr_assert_eq(s.driver.calls->init(&s.driver, &driver, memory, s.driver.calls->size(&driver)),
                 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        s.shared = (struct stress_shared *)(void *)(block.view + STRESS_RING);
        (void)munmap(block.maps[0], block.inner + 2 * block_page());
        device_process(&s, &device);
        _exit(0);
    }
    stress_driver(&s);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    stress_judge(&s);
    free(memory);
    block_free(&block);
}

static void runs(bool packed, bool sleeps)
{
    for (unsigned i = 0; i < STRESS_FEATURES; i++) {
        struct stress_shape shape = {(i & 1) != 0, packed, sleeps, false, stress_features[i]};

        run(&shape);
    }
}

Test(stress_processes, split_polling)
{
    runs(false, false);
}

Test(stress_processes, split_sleeping)
{
    runs(false, true);
}

Test(stress_processes, packed_polling)
{
    runs(true, false);
}

Test(stress_processes, packed_sleeping)
{
    runs(true, true);
}
