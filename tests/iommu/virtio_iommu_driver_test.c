/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver role: its queue, its replies, and a device that lies. */
#include "virtq/iommu/virtio_iommu_driver.h"

#include "virtio_iommu_fixture.h"

PairTest(iommu_virtio_iommu_driver, refuses_a_configuration_that_makes_no_sense)
{
    struct virtq_virtio_iommu_settings none = {0};
    struct virtq_virtio_iommu_driver_config config;
    struct virtq_virtio_iommu_driver driver;
    struct stand stand;

    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand_start(&stand);
#define REFUSED(field, value, error)                                                           \
    do {                                                                                       \
        config = stand.config;                                                                 \
        config.field = (value);                                                                \
        cr_assert_eq(virtq_virtio_iommu_driver_init(&driver, &config), (error), "%s", #field); \
    } while (0)
    REFUSED(struct_size, sizeof(config) - 1, VIRTQ_EINVAL);
    REFUSED(queue, NULL, VIRTQ_EINVAL);
    REFUSED(space, NULL, VIRTQ_EINVAL);
    REFUSED(settings, NULL, VIRTQ_EINVAL);
    REFUSED(settings, &none, VIRTQ_EINVAL);
    REFUSED(shared, NULL, VIRTQ_EINVAL);
    REFUSED(shared, (unsigned char *)stand.config.shared + 8, VIRTQ_EINVAL);
    REFUSED(memory, NULL, VIRTQ_EINVAL);
    REFUSED(memory, (unsigned char *)stand.config.memory + 4, VIRTQ_EINVAL);
    REFUSED(notify, NULL, VIRTQ_EINVAL);
    REFUSED(wait, NULL, VIRTQ_EINVAL);
    REFUSED(flags, 2, VIRTQ_EINVAL);
    REFUSED(requests, 0, VIRTQ_EINVAL);
    REFUSED(requests, VIRTQ_SIZE_MAX + 1, VIRTQ_EINVAL);
    REFUSED(shared_size, stand.config.shared_size - 1, VIRTQ_ENOMEM);
    REFUSED(memory_size, stand.config.memory_size - 1, VIRTQ_ENOMEM);
#undef REFUSED
    stand_close(&stand);
    cr_assert_eq(pair_add(p, 1, 1, 1), 1);
    cr_assert_eq(virtq_virtio_iommu_driver_init(&driver, &stand.config), VIRTQ_EINVAL,
                 "a queue that is in use");
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, shares_its_memory_once_and_maps_no_request_by_itself)
{
    struct virtq_region range = stand_range(0);
    struct stand stand;
    unsigned before;

    stand_prepare(&stand, p, 256, PAIR_LEDGER | PAIR_TABLES);
    before = p->ledger.count;
    stand_start(&stand);
    cr_assert_eq(p->ledger.count, before + 1);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(stand_map(&stand, &range, 1), 0);
        cr_assert_eq(p->ledger.count, before + 1);
        cr_assert_eq(stand_unmap(&stand, &range, 1), 0);
        cr_assert_eq(stand_flush(&stand, &range, 1), 0);
    }
    stand_close(&stand);
    cr_assert_eq(p->ledger.count, before);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, each_status_has_its_error)
{
    static const int errors[] = {0,
                                 VIRTQ_EPEER,
                                 VIRTQ_ENOTSUP,
                                 VIRTQ_EPEER,
                                 VIRTQ_EINVAL,
                                 VIRTQ_EINVAL,
                                 VIRTQ_EINVAL,
                                 VIRTQ_EFAULT,
                                 VIRTQ_ENOMEM,
                                 VIRTQ_EPEER,
                                 VIRTQ_EPEER};
    struct stand stand;

    stand_open(&stand, p);
    for (unsigned i = 0; i < 11; i++) {
        /* The last one is a status that no specification knows. */
        const int status = i == 10 ? 254 : (int)i;

        stand_lie(&stand, VIRTIO_IOMMU_T_ATTACH, 0, 1, status);
        cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), errors[i],
                     "status %d", status);
        cr_assert(i == 0 || stand_usage(&stand).last_status == (uint32_t)status);
        cr_assert_eq(stand_usage(&stand).failures, i);
    }
    /* The queue goes on. */
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, m5_a_used_length_without_the_whole_tail_is_a_failure)
{
    struct stand stand;

    stand_open(&stand, p);
    for (int64_t length = 0; length < 4; length++) {
        stand_lie(&stand, VIRTIO_IOMMU_T_ATTACH, 0, 1, 0);
        stand.device.lie_length = length;
        cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), VIRTQ_EPEER,
                     "length %d", (int)length);
        cr_assert_eq(stand_usage(&stand).last_status, 256u);
    }
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, a_reply_that_was_not_written_is_not_an_earlier_one)
{
    struct stand stand;

    stand_open(&stand, p);
    /* The device says that it wrote four bytes, and did not: the slot was one of an OK before. */
    stand_lie(&stand, VIRTIO_IOMMU_T_ATTACH, 0, 1, REFERENCE_VIOMMU_HONEST);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), VIRTQ_EPEER);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, the_reserved_bytes_of_a_reply_are_ignored)
{
    struct stand stand;
    unsigned count = 0;

    stand_open(&stand, p);
    stand.device.tail_reserved = 0xffffff;
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, 8), VIRTQ_EINVAL);
    cr_assert_eq(stand_usage(&stand).last_status, (uint32_t)VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, ENDPOINT, NULL, 0, &count), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, a_broken_queue_breaks_it_until_a_reset)
{
    struct virtq_region range = stand_range(0);
    struct virtq_iommu_backend *backend;
    struct stand stand;

    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand_start(&stand);
    backend = &stand.backend;
    stand.serve_on_notify = stand.serve_on_wait = 0;
    stand.breaks = 1;
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), VIRTQ_EBROKEN);
    cr_assert_eq(virtq_virtio_iommu_mapper_detach(&stand.mapper, ENDPOINT), VIRTQ_EBROKEN);
    cr_assert_eq(backend->map(backend->context, &range, 1), VIRTQ_EBROKEN);
    cr_assert_eq(backend->unmap(backend->context, &range, 1), VIRTQ_EBROKEN);
    cr_assert_eq(backend->flush(backend->context, &range, 1), VIRTQ_EBROKEN);
    cr_assert_eq(virtq_virtio_iommu_driver_reap(&stand.driver), VIRTQ_EBROKEN);
    cr_assert_eq(virtq_virtio_iommu_driver_destroy(&stand.driver), VIRTQ_EBUSY);
    cr_assert_eq(stand_usage(&stand).requests, 1u);
    virtq_device_reset(p->device);
    cr_assert_eq(virtq_virtio_iommu_driver_reset(&stand.driver), 0);
    stand.breaks = 0;
    stand.serve_on_notify = 1;
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, a_device_that_does_not_answer_is_given_up)
{
    struct virtq_region range = stand_range(0);
    struct stand stand;

    stand_open(&stand, p);
    stand.serve_on_notify = stand.serve_on_wait = 0;
    stand.wait_result = 1;
    cr_assert_eq(stand_map(&stand, &range, 1), VIRTQ_EBROKEN);
    cr_assert_eq(stand.waited, 1u);
    /* An answer that comes after all is nobody's any more. */
    stand_serve(&stand, 1);
    cr_assert_eq(stand_map(&stand, &range, 1), VIRTQ_EBROKEN);
    cr_assert_eq(stand.waited, 1u);
    virtq_device_reset(p->device);
    cr_assert_eq(virtq_virtio_iommu_driver_reset(&stand.driver), 0);
    stand.serve_on_notify = PAIR_CHAINS;
    stand.device.count = 0;
    cr_assert_eq(stand_map(&stand, &range, 1), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, giving_up_comes_after_a_last_look)
{
    struct stand stand;

    stand_open(&stand, p);
    stand.serve_on_notify = 0;
    stand.wait_result = 1;
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    stand_close(&stand);
    pair_close(p);
}

/* Until the device is told to wake us, a wait would not end. */
PairTest(iommu_virtio_iommu_driver, asks_to_be_woken_only_where_the_hook_sleeps)
{
    for (unsigned sleeps = 0; sleeps < 2; sleeps++) {
        struct stand stand;

        stand_prepare(&stand, p, 256, PAIR_DIRECT);
        stand.config.flags = sleeps != 0 ? VIRTQ_VIRTIO_IOMMU_DRIVER_SLEEPS : 0;
        stand_start(&stand);
        stand.serve_on_notify = 0;
        cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
        /* A device's first notification is always wanted. */
        stand.waited = stand.woken = 0;
        cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
        cr_assert_eq(stand.waited, 1u);
        cr_assert_eq(stand.woken, sleeps);
        /* Awake again: an answer that comes without a wait wakes nobody. */
        stand.serve_on_notify = 1;
        cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
        cr_assert_eq(virtq_device_needs_notify(p->device), 0);
        stand_close(&stand);
        pair_close(p);
    }
}

PairTest(iommu_virtio_iommu_driver, any_ring_and_any_number_of_requests_will_do)
{
    static const struct {
        uint32_t ring;
        uint32_t requests;
        unsigned options;
    } rows[] = {{2, 1, 0},  {2, 64, 0}, {4, 64, 0},           {4, 3, 0},
                {16, 5, 0}, {64, 1, 0}, {4, 64, PAIR_TABLES}, {64, 64, PAIR_TABLES}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned serve = 1; serve <= 3; serve += 2) {
            struct virtq_region ranges[100];
            struct stand stand;

            stand_prepare(&stand, p, rows[i].ring, rows[i].options);
            stand.config.requests = rows[i].requests;
            stand_start(&stand);
            stand.serve_on_notify = 0;
            stand.serve_on_wait = serve;
            stand.backwards = 1;
            cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
            for (unsigned k = 0; k < 100; k++) {
                ranges[k] = stand_range(k);
            }
            cr_assert_eq(stand_map(&stand, ranges, 100), 0, "row %u", i);
            cr_assert_eq(stand.device.count, 100u);
            cr_assert_eq(stand_unmap(&stand, ranges, 100), 0);
            cr_assert_eq(stand_flush(&stand, ranges, 100), 0);
            cr_assert_eq(stand.device.count, 0u);
            cr_assert_eq(stand_usage(&stand).requests, 201u);
            stand_close(&stand);
            pair_close(p);
        }
    }
}

PairTest(iommu_virtio_iommu_driver, probes_an_endpoint)
{
    static const unsigned char properties[] = {1,    0,    20, 0, 1, 0, 0,    0,    0,    0,
                                               0xe0, 0xfe, 0,  0, 0, 0, 0xff, 0xff, 0xef, 0xfe,
                                               0,    0,    0,  0, 9, 0, 1,    0,    77};
    struct virtq_virtio_iommu_region regions[4];
    struct stand stand;
    unsigned count = 99;

    stand_open(&stand, p);
    stand.device.properties = properties;
    stand.device.properties_size = sizeof(properties);
    cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, ENDPOINT, regions, 4, &count), 0);
    cr_assert_eq(count, 1u);
    cr_assert(regions[0].first == 0xfee00000 && regions[0].last == 0xfeefffff);
    cr_assert_eq(regions[0].msi, 1u);
    /* Nothing of it is left for the next. */
    stand.device.properties_size = 0;
    stand_lie(&stand, VIRTIO_IOMMU_T_PROBE, 0, 1, 0);
    cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, 4, regions, 4, &count), 0);
    cr_assert_eq(count, 0u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, a_probe_that_fails_is_an_error_and_the_next_one_works)
{
    static const unsigned char overrun[] = {5, 0, 0xff, 0xff};
    struct virtq_virtio_iommu_region regions[4];
    struct stand stand;
    unsigned count = 99;

    stand_open(&stand, p);
    cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, 8, regions, 4, &count),
                 VIRTQ_EINVAL, "no such endpoint");
    stand.device.properties = overrun;
    stand.device.properties_size = sizeof(overrun);
    cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, 3, regions, 4, &count), VIRTQ_EPEER,
                 "malformed");
    stand.device.properties_size = 0;
    for (int64_t length = 0; length < PROBE_SIZE + 4; length += 1 + length / 3) {
        stand_lie(&stand, VIRTIO_IOMMU_T_PROBE, 0, 1, 0);
        stand.device.lie_length = length;
        cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, 3, regions, 4, &count),
                     VIRTQ_EPEER, "used length %d", (int)length);
    }
    cr_assert_eq(count, 99u);
    cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, 3, regions, 4, &count), 0);
    cr_assert_eq(count, 0u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, sends_no_probe_where_it_was_not_negotiated)
{
    struct stand stand;
    unsigned count = 99;

    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand.settings.features &= ~BIT(PROBE);
    stand.settings.probe_size = 0;
    stand_start(&stand);
    cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, ENDPOINT, NULL, 0, &count), 0);
    cr_assert_eq(count, 0u);
    cr_assert_eq(stand.device.requests[VIRTIO_IOMMU_T_PROBE], 0u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_driver, properties_of_any_size_fit)
{
    static const uint32_t sizes[] = {0, 1, 3, 4, 59, 60, 61, 63, 64, 252};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct stand stand;
        unsigned count = 99;

        stand_prepare(&stand, p, 256, PAIR_DIRECT);
        stand.settings.probe_size = sizes[i];
        stand_start(&stand);
        cr_assert_eq(virtq_virtio_iommu_driver_probe(&stand.driver, ENDPOINT, NULL, 0, &count), 0,
                     "%u bytes", sizes[i]);
        cr_assert_eq(count, 0u);
        stand_close(&stand);
        pair_close(p);
    }
}

PairTest(iommu_virtio_iommu_driver, writes_nothing_but_0_or_1_to_bypass)
{
    struct stand stand;

    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand_start(&stand);
    cr_assert_eq(virtq_virtio_iommu_driver_set_bypass(&stand.driver, 2), VIRTQ_EINVAL);
    cr_assert_eq(virtq_virtio_iommu_driver_set_bypass(&stand.driver, 256), VIRTQ_EINVAL);
    cr_assert_eq(stand.bypass, 2u);
    cr_assert_eq(virtq_virtio_iommu_driver_set_bypass(&stand.driver, 1), 0);
    cr_assert_eq(stand.bypass, 1u);
    cr_assert_eq(virtq_virtio_iommu_driver_set_bypass(&stand.driver, 0), 0);
    cr_assert_eq(stand.bypass, 0u);
    stand_close(&stand);
    pair_close(p);
    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand.settings.features &= ~BIT(BYPASS_CONFIG);
    stand_start(&stand);
    cr_assert_eq(virtq_virtio_iommu_driver_set_bypass(&stand.driver, 1), VIRTQ_ENOTSUP);
    cr_assert_eq(stand.bypass, 2u);
    stand_close(&stand);
    pair_close(p);
}
