/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end: whom it lets in, and where a ring may lie. */
#include "fixture.h"

static void forget(struct pool *p)
{
    free(p->books);
    block_free(&p->block);
}

Test(restricted_device, offers_and_requires_restricted_dma_in_each_form)
{
    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        struct virtq_access_decision decision;
        struct pool p;

        pool_prepare(&p, form);
        cr_assert_eq(virtq_restricted_device_offer(&p.device_config, &decision), 0);
        cr_assert_eq(decision.offer, POOL_VERSION | POOL_RESTRICTED);
        cr_assert_eq(decision.require, POOL_VERSION | POOL_RESTRICTED);
        p.device_config.pool.form = POOL_FORMS;
        decision.offer = 5;
        cr_assert_eq(virtq_restricted_device_offer(&p.device_config, &decision), VIRTQ_EINVAL);
        cr_assert_eq(decision.offer, 5u);
        forget(&p);
    }
}

Test(restricted_device, refuses_at_features_ok_a_driver_that_does_not_acknowledge)
{
    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        struct pool p;

        pool_prepare(&p, form);
        cr_assert_eq(virtq_restricted_device_init(&p.device, &p.device_config, POOL_VERSION),
                     VIRTQ_ENOTSUP);
        cr_assert_eq(p.device.decision.reason, (uint32_t)VIRTQ_ACCESS_POOL_DECLINED);
        cr_assert_null(p.device.space);
        forget(&p);
    }
}

Test(restricted_device, may_let_an_older_driver_be_whose_platform_forces_the_pool)
{
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_SYSTEM);
    p.device_config.facts.flags = VIRTQ_ACCESS_POOL_FORCED;
    cr_assert_eq(virtq_restricted_device_init(&p.device, &p.device_config, POOL_VERSION), 0);
    cr_assert_eq(p.device.decision.reason, (uint32_t)VIRTQ_ACCESS_FORCED);
    /* ... and reaches nothing but the pool even then. */
    cr_assert_eq(p.device.space->linear.first, pool_first(&p));
    cr_assert_eq(p.device.space->linear.last, pool_last(&p));
    forget(&p);
}

Test(restricted_device, the_number_of_the_feature_is_a_parameter)
{
    const uint64_t bit = VIRTQ_FEATURE(57);
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_SYSTEM);
    p.device_config.facts.restricted_bit = 57;
    p.device_config.facts.features = POOL_VERSION | bit;
    cr_assert_eq(
        virtq_restricted_device_init(&p.device, &p.device_config, POOL_VERSION | POOL_RESTRICTED),
        VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_restricted_device_init(&p.device, &p.device_config, POOL_VERSION | bit), 0);
    cr_assert_not_null(p.device.space);
    forget(&p);
}

Test(restricted_device, has_no_pool_where_an_iommu_was_negotiated)
{
    const uint64_t platform = VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM);
    struct virtq_device_config queue = VIRTQ_DEVICE_CONFIG_INIT;
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_SYSTEM);
    p.device_config.facts.features |= platform;
    p.device_config.facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    cr_assert_eq(virtq_restricted_device_init(&p.device, &p.device_config, POOL_VERSION | platform),
                 0);
    cr_assert_eq(p.device.decision.space, (uint32_t)VIRTQ_ACCESS_IOMMU);
    cr_assert_null(p.device.space);
    queue.size = 16;
    cr_assert_eq(virtq_restricted_device_attach(&p.device, &queue), VIRTQ_ENOTSUP);
    forget(&p);
}

/* One area at each place where it must not be, and at the pool's two ends. */
static void attach_area(struct pool *p, const struct virtq_device_config *good, unsigned which,
                        uint64_t size)
{
    const virtq_addr_t first = pool_first(p);
    const virtq_addr_t last = pool_last(p);
    const virtq_addr_t places[] = {first - 1,
                                   first - 64,
                                   last,
                                   last + 1,
                                   last - (size - 1) + 1,
                                   0x10,
                                   UINT64_MAX,
                                   UINT64_MAX - (size - 1),
                                   0 - (size - 1),
                                   first,
                                   last - (size - 1)};

    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        const bool inside = places[i] >= first && places[i] <= last && size - 1 <= last - places[i];
        struct virtq_device_config queue = *good;
        virtq_addr_t *const areas[] = {&queue.addresses.descriptor, &queue.addresses.driver,
                                       &queue.addresses.device};

        *areas[which] = places[i];
        cr_assert_eq(virtq_restricted_device_attach(&p->device, &queue), inside ? 0 : VIRTQ_EFAULT,
                     "area %u place %u", which, i);
        cr_assert_eq(queue.space, inside ? p->device.space : NULL);
        cr_assert_eq(queue.flags, inside ? (uint32_t)VIRTQ_DEVICE_RING_TRANSLATED : 0u);
    }
}

Test(restricted_device, m9_a_ring_has_to_lie_in_the_pool_as_a_whole)
{
    for (unsigned bits = 0; bits < 2 * POOL_FORMS; bits++) {
        const bool packed = (bits & 1) != 0;
        struct virtq_driver_config driver = pool_queue(packed, 16, false);
        struct virtq_area_addresses addresses;
        struct virtq_device_config queue;
        struct virtq_layout layout;
        struct pool p;

        pool_open(&p, bits / 2, 0);
        cr_assert_eq(virtq_layout_init((enum virtq_format)driver.format, 16, &layout), 0);
        addresses.descriptor = pool_first(&p);
        addresses.driver = pool_first(&p) + layout.driver.offset;
        addresses.device = pool_first(&p) + layout.device.offset;
        queue = pool_queue_of(&driver, &addresses);
        attach_area(&p, &queue, 0, layout.descriptor.size);
        attach_area(&p, &queue, 1, layout.driver.size);
        attach_area(&p, &queue, 2, layout.device.size);
        queue.size = 0;
        cr_assert_eq(virtq_restricted_device_attach(&p.device, &queue), VIRTQ_EINVAL);
        pool_close(&p);
    }
}
