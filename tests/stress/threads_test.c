/* SPDX-License-Identifier: BSD-3-Clause */
/* Driver and device in two threads, polling or sleeping. VIRTQ_STRESS_SECONDS is the time of each
 * configuration. */
#include <pthread.h>

#include "setup.h"

static void *driver_thread(void *argument)
{
    stress_driver(argument);
    return NULL;
}

static void *device_thread(void *argument)
{
    stress_device(argument);
    return NULL;
}

static void run(const struct stress_shape *shape)
{
    unsigned char *block = stress_memory(STRESS_BLOCK);
    struct virtq_direct direct;
    struct virtq_driver_config driver;
    struct virtq_device_config device;
    void *memory[2];
    pthread_t threads[2];
    struct stress s;

    memset(block, 0, STRESS_BLOCK);
    cr_assert_eq(virtq_direct_init(&direct, NULL, 0, UINT64_MAX,
                                   VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE),
                 0);
    stress_init(&s, shape, (struct stress_shared *)(void *)(block + STRESS_RING));
    driver = stress_driver_config(shape, block, &direct.space);
    device = stress_device_config(&driver, block, &direct.space);
    memory[0] = stress_memory(s.driver.calls->size(&driver));
    memory[1] = stress_memory(s.device.calls->size(&device));
    cr_assert_eq(s.driver.calls->init(&s.driver, &driver, memory[0], s.driver.calls->size(&driver)),
                 0);
    cr_assert_eq(s.device.calls->init(&s.device, &device, memory[1], s.device.calls->size(&device)),
                 0);
    cr_assert_eq(pthread_create(&threads[0], NULL, driver_thread, &s), 0);
    cr_assert_eq(pthread_create(&threads[1], NULL, device_thread, &s), 0);
    cr_assert_eq(pthread_join(threads[0], NULL), 0);
    cr_assert_eq(pthread_join(threads[1], NULL), 0);
    stress_judge(&s);
    free(memory[0]);
    free(memory[1]);
    free(block);
}

static void runs(bool library, bool packed, bool sleeps)
{
    for (unsigned i = 0; i < STRESS_FEATURES; i++) {
        struct stress_shape shape = {library, packed, sleeps, false, stress_features[i]};

        run(&shape);
    }
}

Test(stress_threads, inline_split_polling)
{
    runs(false, false, false);
}

Test(stress_threads, inline_split_sleeping)
{
    runs(false, false, true);
}

Test(stress_threads, inline_packed_polling)
{
    runs(false, true, false);
}

Test(stress_threads, inline_packed_sleeping)
{
    runs(false, true, true);
}

Test(stress_threads, library_split_polling)
{
    runs(true, false, false);
}

Test(stress_threads, library_split_sleeping)
{
    runs(true, false, true);
}

Test(stress_threads, library_packed_polling)
{
    runs(true, true, false);
}

Test(stress_threads, library_packed_sleeping)
{
    runs(true, true, true);
}
