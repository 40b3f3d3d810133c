/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of the iommu space: misses, IOTLB and domain. M1, M4; threats 76, 79. */
#include <pthread.h>

#include "iommu_fixture.h"

Test(space_iommu_device, M4_a_miss_is_reported_resolved_and_retried)
{
    static struct world world;
    struct spaces_buffer buffer;
    struct virtq_miss miss;
    unsigned char byte = 0;

    world_open(&world, 0x10000, 0xfffff, 1);
    spaces_segment(&buffer, 0, data, 10);
    spaces_segment(&buffer, 1, data + PAGE, 10);
    cr_assert_eq(spaces_map(driver_of(&world), &buffer, 1, 1, 2), 0);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[0].addr, &byte, 1, SPACES_READ),
                 VIRTQ_EMISS);
    memset(&miss, 0, sizeof(miss));
    miss.addr = buffer.runs[0].addr;
    miss.len = 10;
    miss.permissions = SPACES_READ;
    cr_assert_eq(virtq_iommu_device_resolve(&world.device, &miss), 0);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[0].addr, &byte, 1, SPACES_READ), 0);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[1].addr, &byte, 1, SPACES_WRITE),
                 VIRTQ_EMISS);
    miss.permissions = SPACES_WRITE;
    cr_assert_eq(virtq_iommu_device_resolve(&world.device, &miss), VIRTQ_EPERM);
    miss.addr = 0x5000;
    cr_assert_eq(virtq_iommu_device_resolve(&world.device, &miss), VIRTQ_EFAULT);
    /* M1: the unmapping reaches the IOTLB, and queues forget their windows. */
    cr_assert_eq(world.device.space.generation, 0u);
    spaces_unmap(driver_of(&world), &buffer, 0);
    cr_assert_eq(world.device.space.generation, 1u);
    cr_assert_eq(world.iotlb.tree.count, 0u);
    cr_assert_eq(spaces_copy(device_of(&world), buffer.runs[0].addr, &byte, 1, SPACES_READ),
                 VIRTQ_EMISS);
    virtq_iommu_device_destroy(&world.device);
    cr_assert_null(world.domain.listeners);
    cr_assert_null(world.iotlb.space);
}

Test(space_iommu_device, what_was_resolved_for_reading_may_be_written_if_the_domain_grants_it)
{
    static struct world world;
    struct virtq_miss miss = {0x1800, 1, SPACES_READ, 0};
    unsigned char byte = 0;

    world_open(&world, 0x10000, 0xfffff, 1);
    cr_assert_eq(virtq_domain_map(&world.domain, 0x1000, 0x1fff, data, SPACES_BOTH), 0);
    cr_assert_eq(virtq_domain_map(&world.domain, 0x2000, 0x2fff, data + PAGE, SPACES_READ), 0);
    cr_assert_eq(virtq_iommu_device_resolve(&world.device, &miss), 0);
    cr_assert_eq(spaces_copy(device_of(&world), 0x1800, &byte, 1, SPACES_READ), 0);
    cr_assert_eq(spaces_copy(device_of(&world), 0x1800, &byte, 1, SPACES_WRITE), 0);
    virtq_iommu_device_destroy(&world.device);
}

Test(space_iommu_device, a_full_iotlb_makes_room)
{
    static struct world world;
    unsigned char one[VIRTQ_TREE_SIZE(1)];
    unsigned char byte = 0;
    unsigned round;

    world_open(&world, 0x10000, 0xfffff, 0);
    virtq_iommu_device_destroy(&world.device);
    cr_assert_eq(virtq_iotlb_init(&world.iotlb, 1, one, sizeof(one)), 0);
    cr_assert_eq(virtq_iommu_device_init(&world.device, &world.domain, &world.iotlb), 0);
    cr_assert_eq(virtq_domain_map(&world.domain, 0x1000, 0x1fff, data, SPACES_BOTH), 0);
    cr_assert_eq(virtq_domain_map(&world.domain, 0x4000, 0x4fff, data, SPACES_BOTH), 0);
    for (round = 0; round < 4; round++) {
        struct virtq_miss miss = {round % 2 != 0 ? 0x1010u : 0x4010u, 1, SPACES_READ, 0};

        cr_assert_eq(spaces_copy(device_of(&world), miss.addr, &byte, 1, SPACES_READ), VIRTQ_EMISS);
        cr_assert_eq(virtq_iommu_device_resolve(&world.device, &miss), 0);
        cr_assert_eq(spaces_copy(device_of(&world), miss.addr, &byte, 1, SPACES_READ), 0);
    }
    virtq_iommu_device_destroy(&world.device);
}

Test(space_iommu_device, the_device_end_alone_lives_on_updates_of_its_owner)
{
    unsigned char entries[VIRTQ_TREE_SIZE(4)];
    struct virtq_iotlb iotlb;
    struct virtq_iommu_device device;
    struct virtq_iommu_device other;
    struct virtq_miss miss = {0, 1, SPACES_READ, 0};
    unsigned char bytes[300];

    cr_assert_eq(virtq_iotlb_init(&iotlb, 4, entries, sizeof(entries)), 0);
    cr_assert_eq(virtq_iommu_device_init(&device, NULL, NULL), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iommu_device_init(&device, NULL, &iotlb), 0);
    cr_assert_eq(virtq_iommu_device_init(&other, NULL, &iotlb), VIRTQ_EBUSY);
    cr_assert_eq(device.space.device_kind, (uint32_t)VIRTQ_SPACE_CALLED);
    cr_assert_eq(virtq_iommu_device_resolve(&device, &miss), VIRTQ_ENOTSUP);
    cr_assert_eq(spaces_copy(&device.space, 0, bytes, 1, SPACES_READ), VIRTQ_EMISS);
    /* Threat 79: a range over mappings that are neighbours, contiguous or not, is cut and not
     * refused. */
    memset(data, 1, 100);
    memset(data + 1000, 2, 100);
    memset(data + 1100, 3, 100);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0, 99, data, SPACES_READ), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 100, 199, data + 1000, SPACES_READ), 0);
    cr_assert_eq(spaces_copy(&device.space, 0, bytes, 300, SPACES_READ), VIRTQ_EMISS);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 200, 299, data + 1100, SPACES_READ), 0);
    cr_assert_eq(spaces_copy(&device.space, 0, bytes, 300, SPACES_READ), 0);
    cr_assert(bytes[99] == 1 && bytes[100] == 2 && bytes[199] == 2 && bytes[200] == 3);
    virtq_iommu_device_destroy(&device);
}

struct resolver {
    struct world *world;
    int stop;
};

/* Threat 76: one thread resolves misses while another maps and unmaps. When an unmapping has
 * returned, the IOTLB has nothing left of it, however the two interleaved. */
static void *resolves(void *context)
{
    struct resolver *resolver = context;
    struct virtq_miss miss = {0, 1, SPACES_READ, 0};

    while (!__atomic_load_n(&resolver->stop, __ATOMIC_RELAXED)) {
        (void)!virtq_iommu_device_resolve(&resolver->world->device, &miss);
    }
    return NULL;
}

Test(space_iommu_device, threat_76_a_resolution_never_outlives_the_unmapping)
{
    static struct world world;
    struct resolver resolver = {&world, 0};
    pthread_t thread;
    int round;

    world_open(&world, 0, 16 * PAGE - 1, 1);
    cr_assert_eq(pthread_create(&thread, NULL, resolves, &resolver), 0);
    for (round = 0; round < 20000; round++) {
        struct spaces_buffer buffer;
        struct virtq_window window;

        spaces_segment(&buffer, 0, data, 10);
        cr_assert_eq(spaces_map(driver_of(&world), &buffer, 1, 0, 1), 0);
        cr_assert_eq(buffer.runs[0].addr, 0u);
        spaces_unmap(driver_of(&world), &buffer, 0);
        cr_assert_eq(virtq_iotlb_lookup(&world.iotlb, 0, SPACES_READ, &window), VIRTQ_EMISS);
    }
    __atomic_store_n(&resolver.stop, 1, __ATOMIC_RELAXED);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    virtq_iommu_device_destroy(&world.device);
}

/* Two device ends on one domain, each with windows of its own shard. */
struct pair {
    unsigned char room[VIRTQ_DOMAIN_SHARDS_SIZE(4, 8)];
    struct virtq_domain domain;
    struct virtq_iommu_backend backend;
    struct virtq_iommu_device ends[2];
};

static void pair_open(struct pair *pair)
{
    struct virtq_domain_config config = VIRTQ_DOMAIN_CONFIG_INIT;
    unsigned i;

    config.first = 0x10000;
    config.last = 0x1ffff;
    config.shards = 4;
    config.capacity = 8;
    config.memory = pair->room;
    config.memory_size = sizeof(pair->room);
    cr_assert_eq(virtq_domain_init_shards(&pair->domain, &config), 0);
    virtq_domain_backend(&pair->domain, &pair->backend);
    for (i = 0; i < 2; i++) {
        cr_assert_eq(virtq_iommu_device_init(&pair->ends[i], &pair->domain, NULL), 0);
    }
}

Test(space_iommu_device, L3_a_flush_moves_those_whom_it_concerns_and_once)
{
    static struct pair pair;
    const struct virtq_region own[3] = {{0x10000, 0x10fff, data, SPACES_BOTH},
                                        {0x11000, 0x11fff, data, SPACES_BOTH},
                                        {0x12000, 0x12fff, data, SPACES_BOTH}};
    const struct virtq_region far = {0x18000, 0x18fff, data, SPACES_BOTH};
    const struct virtq_iommu_backend *backend = &pair.backend;
    unsigned char byte;

    pair_open(&pair);
    cr_assert_eq(backend->map(backend->context, own, 3), 0);
    cr_assert_eq(backend->map(backend->context, &far, 1), 0);
    cr_assert_eq(spaces_copy(&pair.ends[0].space, 0x10000, &byte, 1, SPACES_READ), 0);
    cr_assert_eq(spaces_copy(&pair.ends[1].space, 0x18000, &byte, 1, SPACES_READ), 0);
    cr_assert_eq(backend->unmap(backend->context, own, 3), 0);
    cr_assert_eq(backend->flush(backend->context, own, 3), 0);
    cr_assert_eq(pair.ends[0].space.generation, 1u, "once for the list");
    cr_assert_eq(pair.ends[1].space.generation, 0u, "it never had a window there");
    cr_assert_eq(virtq_domain_unmap(&pair.domain, 0x18000, 0x18fff), 0);
    cr_assert_eq(pair.ends[0].space.generation, 1u);
    cr_assert_eq(pair.ends[1].space.generation, 1u);
    cr_assert_eq(virtq_domain_unmap(&pair.domain, 0, UINT64_MAX), 0);
    cr_assert_eq(pair.ends[0].space.generation, 2u);
    virtq_iommu_device_destroy(&pair.ends[0]);
    virtq_iommu_device_destroy(&pair.ends[1]);
}

/* The window begins in one shard and ends in another: all of them count. */
Test(space_iommu_device, L3_a_window_over_shards_is_withdrawn_with_any_of_them)
{
    static struct pair pair;
    unsigned char byte;

    pair_open(&pair);
    cr_assert_eq(virtq_domain_map(&pair.domain, 0x13000, 0x13fff, data, SPACES_BOTH), 0);
    cr_assert_eq(virtq_domain_map(&pair.domain, 0x14000, 0x14fff, data + PAGE, SPACES_BOTH), 0);
    cr_assert_eq(spaces_copy(&pair.ends[0].space, 0x13000, &byte, 1, SPACES_READ), 0);
    cr_assert_eq(virtq_domain_unmap(&pair.domain, 0x14000, 0x14fff), 0);
    cr_assert_eq(pair.ends[0].space.generation, 1u);
    cr_assert_eq(pair.ends[1].space.generation, 0u);
    virtq_iommu_device_destroy(&pair.ends[0]);
    virtq_iommu_device_destroy(&pair.ends[1]);
}
