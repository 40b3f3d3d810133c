/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end: what it accepts, and where it puts rings and tables. */
#include "fixture.h"

Test(restricted_driver, accepts_restricted_dma_and_has_the_space_of_each_form)
{
    static const uint32_t spaces[] = {VIRTQ_ACCESS_SWIOTLB, VIRTQ_ACCESS_BAR, VIRTQ_ACCESS_SWIOTLB};

    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        struct pool p;

        pool_open(&p, form, 0);
        cr_assert_eq(p.driver.decision.space, spaces[form]);
        cr_assert_eq(p.driver.decision.accept, POOL_VERSION | POOL_RESTRICTED);
        cr_assert_eq(p.driver.decision.bounce, (uint32_t)VIRTQ_ACCESS_BOUNCE_ALL);
        cr_assert_eq(p.driver.space->linear.first, pool_first(&p));
        cr_assert_eq(p.driver.space->linear.last, pool_last(&p));
        pool_close(&p);
    }
}

Test(restricted_driver, a_refusal_says_why_and_leaves_no_space)
{
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_SYSTEM);
    p.driver_config.facts.known = 0;
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), VIRTQ_ENOTSUP);
    cr_assert_eq(p.driver.decision.reason, (uint32_t)VIRTQ_ACCESS_DRIVER_OLD);
    cr_assert_null(p.driver.space);
    free(p.books);
    block_free(&p.block);
}

Test(restricted_driver, an_older_driver_whose_platform_forces_the_pool_uses_it)
{
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_SYSTEM);
    p.driver_config.facts.known = POOL_VERSION;
    p.driver_config.facts.flags = VIRTQ_ACCESS_POOL_FORCED;
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), 0);
    cr_assert_eq(p.driver.decision.reason, (uint32_t)VIRTQ_ACCESS_FORCED);
    cr_assert_eq(p.driver.decision.accept, POOL_VERSION);
    cr_assert_not_null(p.driver.space);
    pool_close(&p);
}

Test(restricted_driver, with_an_iommu_that_it_can_program_it_has_no_pool)
{
    struct virtq_driver_config queue = pool_queue(false, 16, false);
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_SYSTEM);
    p.driver_config.facts.features |= VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM);
    p.driver_config.facts.known |= VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM);
    p.driver_config.facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), 0);
    cr_assert_eq(p.driver.decision.space, (uint32_t)VIRTQ_ACCESS_IOMMU);
    cr_assert_null(p.driver.space);
    cr_assert_eq(virtq_restricted_driver_place(&p.driver, &queue), VIRTQ_ENOTSUP);
    cr_assert_null(queue.space);
    pool_close(&p);
}

Test(restricted_driver, the_place_of_the_pool_follows_from_the_form)
{
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_DEVICE);
    p.driver_config.facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), 0);
    cr_assert_eq(p.driver.decision.space, (uint32_t)VIRTQ_ACCESS_BAR);
    pool_close(&p);
}

Test(restricted_driver, private_memory_is_checked)
{
    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        struct pool p;

        pool_prepare(&p, form);
        p.driver_config.memory_size -= 1;
        cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), VIRTQ_ENOMEM);
        cr_assert_null(p.driver.space);
        p.driver_config.memory_size += 1;
        p.driver_config.granule = 32;
        cr_assert_eq(virtq_restricted_private_size(&p.driver_config), 0u);
        cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), VIRTQ_EINVAL);
        p.driver_config.granule = 8192;
        cr_assert_eq(virtq_restricted_private_size(&p.driver_config), 0u);
        free(p.books);
        block_free(&p.block);
    }
}

/* Whether [base, base + len) lies in the part of the pool that the device reaches. */
static bool inside(const struct pool *p, const void *base, size_t len)
{
    uint64_t at = (uint64_t)((const unsigned char *)base - p->block.at);
    uint64_t size = pool_last(p) - pool_first(p) + 1;

    return len <= size && at <= size - len;
}

static void place(uint32_t form, uint32_t flags, bool packed, bool tables)
{
    struct virtq_driver_config queue = pool_queue(packed, 16, tables);
    struct virtq_layout layout;
    struct pool p;

    pool_open(&p, form, flags);
    cr_assert_eq(virtq_layout_init((enum virtq_format)queue.format, 16, &layout), 0);
    cr_assert_eq(virtq_restricted_driver_place(&p.driver, &queue), 0);
    cr_assert_eq(queue.space, p.driver.space);
    cr_assert(inside(&p, queue.areas.descriptor, layout.descriptor.size));
    cr_assert(inside(&p, queue.areas.driver, layout.driver.size));
    cr_assert(inside(&p, queue.areas.device, layout.device.size));
    cr_assert_eq(queue.tables != NULL, tables);
    cr_assert(!tables || inside(&p, queue.tables, virtq_driver_tables_size(&queue)));
    cr_assert_eq(virtq_restricted_driver_fini(&p.driver), VIRTQ_EBUSY);
    virtq_restricted_driver_remove(&p.driver, &queue);
    cr_assert_null(queue.areas.descriptor);
    cr_assert_null(queue.tables);
    pool_close(&p);
}

Test(restricted_driver, rings_and_tables_lie_in_the_pool)
{
    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        for (unsigned bits = 0; bits < 8; bits++) {
            place(form, (bits & 1) != 0 ? VIRTQ_RESTRICTED_PARTS : 0, (bits & 2) != 0,
                  (bits & 4) != 0);
        }
    }
}

Test(restricted_driver, a_ring_and_its_tables_are_placed_both_or_not_at_all)
{
    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        struct virtq_driver_config queue = pool_queue(false, 1024, true);
        struct virtq_driver_config before;
        struct pool p;

        pool_open(&p, form, 0);
        before = queue; /* The ring takes 26 KiB, the tables 96 KiB. */
        cr_assert_eq(virtq_restricted_driver_place(&p.driver, &queue), 0);
        virtq_restricted_driver_remove(&p.driver, &queue);
        queue = before;
        queue.segments_max = 8; /* Now 128 KiB: never. */
        cr_assert_eq(virtq_restricted_driver_place(&p.driver, &queue),
                     form == VIRTQ_RESTRICTED_RANGE ? VIRTQ_ETOOBIG : VIRTQ_ENOMEM);
        cr_assert_null(queue.space);
        cr_assert_null(queue.areas.descriptor);
        queue.size = 3; /* Not of a split queue. */
        cr_assert_eq(virtq_restricted_driver_place(&p.driver, &queue), VIRTQ_EINVAL);
        pool_close(&p); /* Nothing is taken. */
    }
}

Test(restricted_driver, write_combining_memory_gets_barriers_for_devices)
{
    struct virtq_driver_config queue = pool_queue(false, 16, false);
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_DEVICE);
    p.driver_config.pool.memory = VIRTQ_BAR_WRITE_COMBINING;
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), VIRTQ_EINVAL);
    virtq_copy_streaming(&p.driver_config.copy);
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), 0);
    cr_assert_eq(virtq_restricted_driver_place(&p.driver, &queue), 0);
    cr_assert((queue.features & VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM)) != 0);
    virtq_restricted_driver_remove(&p.driver, &queue);
    pool_close(&p);
}

Test(restricted_driver, a_second_life_begins_with_an_empty_pool)
{
    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        struct virtq_driver_config queue = pool_queue(true, 16, true);
        struct pool p;

        pool_open(&p, form, VIRTQ_RESTRICTED_PARTS);
        cr_assert_eq(virtq_restricted_driver_place(&p.driver, &queue), 0);
        cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), 0);
        pool_close(&p);
    }
}

Test(restricted_driver, queues_can_have_slots_of_their_own_in_front_of_the_pool)
{
    struct virtq_swiotlb_queue_config config = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;
    struct virtq_driver_config queue = pool_queue(false, 16, true);
    struct virtq_swiotlb_queue slots;
    struct pool p;

    pool_open(&p, VIRTQ_RESTRICTED_RANGE, 0);
    config.pool = virtq_restricted_driver_swiotlb(&p.driver);
    cr_assert_not_null(config.pool);
    config.memory_size = virtq_swiotlb_queue_private_size(&config);
    config.memory = malloc(config.memory_size);
    cr_assert_eq(virtq_swiotlb_queue_init(&slots, &config), 0);
    queue.space = &slots.space;
    cr_assert_eq(virtq_restricted_driver_place(&p.driver, &queue), 0);
    cr_assert_eq(queue.space, &slots.space);
    cr_assert(inside(&p, queue.tables, virtq_driver_tables_size(&queue)));
    virtq_restricted_driver_remove(&p.driver, &queue);
    (void)virtq_swiotlb_queue_flush(&slots);
    free(config.memory);
    pool_close(&p);
    pool_open(&p, VIRTQ_RESTRICTED_DEVICE, 0);
    cr_assert_null(virtq_restricted_driver_swiotlb(&p.driver));
    pool_close(&p);
}
