/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-iommu device serves requests on one thread while endpoints translate on others: what
 * they get is right, or nothing. L5, M5. */
#include <pthread.h>
#include <stdatomic.h>

#include "../iommu/virtio_iommu_device_fixture.h"
#include "support/random.h"

enum {
    READERS = 2,
    PAGES = 400,
    PAGE = 4096,
    ROUNDS = 3000,
    RW = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE
};

struct reader {
    struct rig *rig;
    atomic_uint *stop;
    unsigned endpoint;
    unsigned wrong;
};

/* Each domain maps page i to the one of that number from a place of its own. */
static uint64_t phys_of(unsigned domain, uint64_t page)
{
    return ((uint64_t)domain << 28) + page * PAGE;
}

static void *read_on(void *argument)
{
    struct reader *reader = argument;
    uint64_t random = reader->endpoint + 1;

    while (atomic_load(reader->stop) == 0) {
        struct virtq_virtio_iommu_mapping mapping = {0, 0, 0, 0};
        const uint64_t addr = random_below(&random, PAGES) * PAGE;
        const int error = virtq_virtio_iommu_endpoint_translate(
            &reader->rig->endpoints[reader->endpoint], addr, RIG_READ, &mapping);

        if (error == VIRTQ_OK) {
            reader->wrong +=
                addr < mapping.first || addr > mapping.last ||
                mapping.phys + (addr - mapping.first) != phys_of(reader->endpoint, addr / PAGE);
        } else {
            reader->wrong += error != VIRTQ_EFAULT;
        }
    }
    return NULL;
}

static void change(struct rig *rig, uint64_t *random)
{
    const uint32_t domain = (uint32_t)random_below(random, READERS);
    const uint64_t first = random_below(random, PAGES);
    uint64_t last = first + random_below(random, 3);

    last = last < PAGES ? last : PAGES - 1;
    if (random_below(random, 200) == 0) {
        /* All goes, and the nodes may become the other domain's. */
        cr_assert_eq(rig_unmap(rig, domain, 0, UINT64_MAX), VIRTIO_IOMMU_S_OK);
    } else if (random_below(random, 3) != 0) {
        (void)rig_map(rig, domain, first * PAGE, last * PAGE + PAGE - 1, phys_of(domain, first),
                      RW);
    } else {
        (void)rig_unmap(rig, domain, first * PAGE, last * PAGE + PAGE - 1);
    }
}

Test(stress_virtio_iommu_device, translations_are_right_while_mappings_come_and_go)
{
    struct reader readers[READERS];
    pthread_t threads[READERS];
    atomic_uint stop;
    struct rig rig;
    uint64_t random = 4;
    unsigned i;

    atomic_init(&stop, 0);
    rig_prepare(&rig);
    rig.config.mappings = 300;
    rig_start(&rig);
    for (i = 0; i < READERS; i++) {
        cr_assert_eq(rig_attach(&rig, i, RIG_ID + i), VIRTIO_IOMMU_S_OK);
        readers[i] = (struct reader){&rig, &stop, i, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (i = 0; i < ROUNDS; i++) {
        change(&rig, &random);
    }
    atomic_store(&stop, 1);
    for (i = 0; i < READERS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(readers[i].wrong, 0u);
    }
    rig_close(&rig);
}
