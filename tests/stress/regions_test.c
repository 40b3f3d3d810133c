/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of regions is swapped while both ends run: whoever only adds or cuts regions stops no
 * queue, and an old table is freed once each end was seen between two calls. */
#include <pthread.h>

#include "setup.h"

enum { CUTS_MAX = 8 };

struct swapper {
    struct stress *s;
    struct virtq_direct *direct;
    unsigned char *block;
    struct virtq_direct_table *tables[2]; /* The one in force and the one before it. */
    unsigned long swaps;
};

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

/* A table over the same memory at the same device addresses, cut in `cuts` + 1 places: the regions
 * differ, what they grant does not. */
static struct virtq_direct_table *table_new(unsigned char *block, unsigned cuts)
{
    const uint32_t both = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    struct virtq_direct_table *table = malloc(sizeof(*table));
    struct virtq_region *regions = malloc((CUTS_MAX + 1) * sizeof(*regions));
    const uint64_t first = (uintptr_t)block;
    uint64_t at = 0;

    if (table == NULL || regions == NULL) {
        abort();
    }
    for (unsigned i = 0; i <= cuts; i++) {
        uint64_t end = i == cuts ? STRESS_BLOCK : STRESS_RING + (i + 1) * UINT64_C(1500);

        regions[i] = (struct virtq_region){first + at, first + (end - 1), block + at, both};
        at = end;
    }
    table->regions = regions;
    table->count = cuts + 1;
    return table;
}

static void table_free(const struct virtq_direct_table *table)
{
    if (table != NULL) {
        free((void *)(uintptr_t)table->regions);
        free((void *)(uintptr_t)table);
    }
}

/* Waits until both ends have been between two calls; they must not sleep. */
static bool both_seen(struct stress *s)
{
    uint64_t before[2];

    for (unsigned i = 0; i < 2; i++) {
        before[i] = __atomic_load_n(&s->shared->seen[i], __ATOMIC_ACQUIRE);
    }
    for (unsigned i = 0; i < 2; i++) {
        while (__atomic_load_n(&s->shared->seen[i], __ATOMIC_ACQUIRE) - before[i] < 2) {
            if (__atomic_load_n(&s->shared->stop, __ATOMIC_SEQ_CST) != 0) {
                return false;
            }
            (void)sched_yield();
        }
    }
    return true;
}

static void *swapper_thread(void *argument)
{
    struct swapper *swapper = argument;
    uint64_t seed = 3;

    do {
        struct virtq_direct_table *table =
            table_new(swapper->block, (unsigned)random_below(&seed, CUTS_MAX));

        table_free(swapper->tables[1]);
        swapper->tables[1] = swapper->tables[0];
        swapper->tables[0] = table;
        if (virtq_direct_set_regions(swapper->direct, table) != 0) {
            (void)stress_fail(swapper->s, "the table was refused");
        }
        swapper->swaps++;
    } while (both_seen(swapper->s));
    return NULL;
}

static void run(bool library, bool packed)
{
    const uint32_t both = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    const struct stress_shape shape = {library, packed, false, true,
                                       VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC)};
    unsigned char *block = stress_memory(STRESS_BLOCK);
    struct virtq_region region = {(uintptr_t)block, (uintptr_t)block + STRESS_BLOCK - 1, block,
                                  both};
    struct virtq_direct direct;
    struct swapper swapper = {NULL, &direct, block, {NULL, NULL}, 0};
    struct virtq_driver_config driver;
    struct virtq_device_config device;
    void *memory[2];
    pthread_t threads[3];
    struct stress s;

    memset(block, 0, STRESS_BLOCK);
    cr_assert_eq(virtq_direct_init_regions(&direct, &region, 1), 0);
    stress_init(&s, &shape, (struct stress_shared *)(void *)(block + STRESS_RING));
    swapper.s = &s;
    driver = stress_driver_config(&shape, block, &direct.space);
    driver.tables =
        NULL; /* Segments that cross regions make more runs than a table has room for. */
    device = stress_device_config(&driver, block, &direct.space);
    memory[0] = stress_memory(s.driver.calls->size(&driver));
    memory[1] = stress_memory(s.device.calls->size(&device));
    cr_assert_eq(s.driver.calls->init(&s.driver, &driver, memory[0], s.driver.calls->size(&driver)),
                 0);
    cr_assert_eq(s.device.calls->init(&s.device, &device, memory[1], s.device.calls->size(&device)),
                 0);
    cr_assert_eq(pthread_create(&threads[0], NULL, driver_thread, &s), 0);
    cr_assert_eq(pthread_create(&threads[1], NULL, device_thread, &s), 0);
    cr_assert_eq(pthread_create(&threads[2], NULL, swapper_thread, &swapper), 0);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    stress_judge(&s);
    cr_assert_gt(swapper.swaps, 10ul);
    table_free(swapper.tables[0]);
    table_free(swapper.tables[1]);
    free(memory[0]);
    free(memory[1]);
    free(block);
}

Test(stress_regions, split_device_and_driver_go_on_while_the_table_is_swapped)
{
    run(false, false);
    run(true, false);
}

Test(stress_regions, packed_device_and_driver_go_on_while_the_table_is_swapped)
{
    run(false, true);
    run(true, true);
}
