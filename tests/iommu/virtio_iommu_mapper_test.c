/* SPDX-License-Identifier: BSD-3-Clause */
/* A domain of the driver role: as a backend of spaces, and request by request. */
#include "virtq/iommu/virtio_iommu_mapper.h"

#include "virtio_iommu_fixture.h"

enum { MANY = 600 };

PairTest(iommu_virtio_iommu_mapper, a_list_is_one_batch_with_one_notification)
{
    struct virtq_region ranges[50];
    struct stand stand;

    stand_open(&stand, p);
    stand.serve_on_notify = 0;
    for (unsigned i = 0; i < 50; i++) {
        ranges[i] = stand_range(i);
        ranges[i].permissions = 1 + i % 3;
    }
    cr_assert_eq(stand_map(&stand, ranges, 50), 0);
    cr_assert_eq(stand.notified, 1u);
    cr_assert_eq(stand.waited, 1u);
    cr_assert_eq(stand.device.requests[VIRTIO_IOMMU_T_MAP], 50u);
    for (unsigned i = 0; i < 50; i++) {
        uint64_t phys = 0;

        cr_assert(reference_viommu_translate(&stand.device, ENDPOINT, ranges[i].first + 5,
                                             ranges[i].permissions, &phys));
        cr_assert_eq(phys, (uintptr_t)ranges[i].base + 5);
        cr_assert(!reference_viommu_translate(&stand.device, ENDPOINT, ranges[i].first,
                                              ranges[i].permissions ^ 3u, &phys) ||
                  ranges[i].permissions == 3);
    }
    cr_assert_eq(stand_unmap(&stand, ranges, 50), 0);
    cr_assert_eq(stand_flush(&stand, ranges, 50), 0);
    cr_assert_eq(stand.notified, 2u);
    cr_assert_eq(stand.waited, 2u);
    cr_assert_eq(stand.device.count, 0u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_mapper, m6_unmap_sends_and_flush_waits_for_every_reply)
{
    struct virtq_region ranges[10];
    struct stand stand;

    stand_open(&stand, p);
    for (unsigned i = 0; i < 10; i++) {
        ranges[i] = stand_range(i);
    }
    cr_assert_eq(stand_map(&stand, ranges, 10), 0);
    stand.notified = stand.waited = 0;
    stand.serve_on_notify = 3;
    stand.serve_on_wait = 3;
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(stand_unmap(&stand, &ranges[i], 1), 0);
    }
    cr_assert_eq(stand.notified, 0u);
    cr_assert_eq(stand.waited, 0u);
    cr_assert_eq(stand.device.count, 10u);
    cr_assert_eq(stand_flush(&stand, ranges, 10), 0);
    cr_assert_eq(stand.device.count, 0u);
    cr_assert_eq(stand.notified, 1u);
    cr_assert_eq(stand.waited, 3u);
    /* Nothing is asked twice. */
    cr_assert_eq(stand_flush(&stand, ranges, 10), 0);
    cr_assert_eq(stand.waited, 3u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_mapper, unmaps_go_out_with_the_next_map)
{
    struct virtq_region ranges[2];
    struct stand stand;

    stand_open(&stand, p);
    ranges[0] = stand_range(0);
    ranges[1] = stand_range(1);
    cr_assert_eq(stand_map(&stand, &ranges[0], 1), 0);
    cr_assert_eq(stand_unmap(&stand, &ranges[0], 1), 0);
    cr_assert_eq(stand_map(&stand, &ranges[1], 1), 0);
    cr_assert_eq(stand.notified, 2u);
    cr_assert_eq(stand.device.count, 1u);
    cr_assert_eq(stand_flush(&stand, &ranges[0], 1), 0);
    cr_assert_eq(stand.notified, 2u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_mapper, l4_a_flush_says_which_unmap_failed)
{
    struct virtq_virtio_iommu_mapper other;
    struct virtq_iommu_backend backend;
    struct virtq_region ranges[6];
    struct stand stand;

    stand_open(&stand, p);
    cr_assert_eq(virtq_virtio_iommu_mapper_init(&other, &stand.driver, DOMAIN + 1, 0), 0);
    virtq_virtio_iommu_mapper_backend(&other, &backend);
    for (unsigned i = 0; i < 6; i++) {
        ranges[i] = stand_range(i);
    }
    cr_assert_eq(stand_map(&stand, ranges, 6), 0);
    stand_lie(&stand, VIRTIO_IOMMU_T_UNMAP, 2, 1, VIRTIO_IOMMU_S_DEVERR);
    cr_assert_eq(stand_unmap(&stand, ranges, 6), 0);
    cr_assert_eq(stand_flush(&stand, &ranges[0], 2), 0);
    cr_assert_eq(stand_usage(&stand).lost, 1u);
    cr_assert_eq(backend.flush(backend.context, ranges, 6), 0, "of another domain");
    cr_assert_eq(stand_flush(&stand, &ranges[3], 3), 0);
    cr_assert_eq(stand_flush(&stand, &ranges[1], 2), VIRTQ_EPEER);
    cr_assert_eq(stand_usage(&stand).lost, 0u);
    cr_assert_eq(stand_flush(&stand, &ranges[2], 1), 0, "each failure is said once");
    cr_assert_eq(stand.device.count, 1u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_mapper, l4_each_of_several_failures_is_said)
{
    struct virtq_region ranges[6];
    struct stand stand;

    stand_open(&stand, p);
    for (unsigned i = 0; i < 6; i++) {
        ranges[i] = stand_range(i);
    }
    cr_assert_eq(stand_map(&stand, ranges, 6), 0);
    stand_lie(&stand, VIRTIO_IOMMU_T_UNMAP, 1, 3, VIRTIO_IOMMU_S_IOERR);
    cr_assert_eq(stand_unmap(&stand, ranges, 6), 0);
    cr_assert_eq(stand_flush(&stand, &ranges[4], 2), 0);
    cr_assert_eq(stand_usage(&stand).lost, 3u);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(stand_flush(&stand, &ranges[i], 1), i >= 1 && i <= 3 ? VIRTQ_EPEER : 0,
                     "range %u", i);
    }
    cr_assert_eq(stand_usage(&stand).lost, 0u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_mapper, failed_unmaps_that_nobody_asks_for_break_it_in_the_end)
{
    struct virtq_region ranges[4];
    struct stand stand;

    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand.config.requests = 3;
    stand_start(&stand);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    for (unsigned i = 0; i < 4; i++) {
        ranges[i] = stand_range(i);
    }
    cr_assert_eq(stand_map(&stand, ranges, 4), 0);
    stand_lie(&stand, VIRTIO_IOMMU_T_UNMAP, 0, 100, VIRTIO_IOMMU_S_DEVERR);
    cr_assert_eq(stand_unmap(&stand, ranges, 4), VIRTQ_EBROKEN);
    cr_assert_eq(stand_map(&stand, ranges, 1), VIRTQ_EBROKEN);
    stand_close(&stand);
    pair_close(p);
}

/* A list of which some fail: all or none. What the device refused is not taken back, for it may be
 * another's. */
PairTest(iommu_virtio_iommu_mapper, a_list_that_fails_maps_nothing_and_leaves_what_was_there)
{
    struct virtq_region ranges[MANY];
    struct stand stand;
    unsigned unmaps;

    stand_open(&stand, p);
    for (unsigned i = 0; i < MANY; i++) {
        ranges[i] = stand_range(i);
    }
    for (unsigned count = 1; count <= MANY; count += 1 + count / 2) {
        for (unsigned bad = 0; bad < count; bad += 1 + count / 3) {
            /* In the way: a mapping of before. */
            cr_assert_eq(stand_map(&stand, &ranges[bad], 1), 0);
            unmaps = stand.device.requests[VIRTIO_IOMMU_T_UNMAP];
            cr_assert_eq(stand_map(&stand, ranges, count), VIRTQ_EINVAL, "%u of %u", bad, count);
            cr_assert_eq(stand.device.count, 1u);
            cr_assert_eq(stand.device.mappings[0].start, ranges[bad].first);
            unmaps = stand.device.requests[VIRTIO_IOMMU_T_UNMAP] - unmaps;
            cr_assert(unmaps < count);
            cr_assert_eq(
                virtq_virtio_iommu_mapper_unmap(&stand.mapper, ranges[bad].first, ranges[bad].last),
                0);
        }
    }
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_mapper, a_device_without_room_is_a_shortage)
{
    struct virtq_region ranges[8];
    struct stand stand;

    stand_open(&stand, p);
    stand.device.room = 5;
    for (unsigned i = 0; i < 8; i++) {
        ranges[i] = stand_range(i);
    }
    cr_assert_eq(stand_map(&stand, ranges, 8), VIRTQ_ENOMEM);
    cr_assert_eq(stand.device.count, 0u);
    cr_assert_eq(stand_map(&stand, ranges, 5), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_mapper, what_may_be_mapped_is_taken_back)
{
    struct virtq_region ranges[8];
    struct stand stand;

    stand_open(&stand, p);
    for (unsigned i = 0; i < 8; i++) {
        ranges[i] = stand_range(i);
    }
    /* It maps, and gives no answer. */
    stand_lie(&stand, VIRTIO_IOMMU_T_MAP, 3, 1, REFERENCE_VIOMMU_HONEST);
    stand.device.lie_length = 0;
    stand.device.lie_acts = 1;
    cr_assert_eq(stand_map(&stand, ranges, 8), VIRTQ_EPEER);
    cr_assert_eq(stand.device.count, 0u);
    cr_assert_eq(stand.device.requests[VIRTIO_IOMMU_T_UNMAP], 8u);
    cr_assert_eq(stand_map(&stand, ranges, 8), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_mapper, l4_what_cannot_be_taken_back_breaks_it)
{
    struct virtq_region ranges[2];
    struct stand stand;

    stand_open(&stand, p);
    ranges[0] = stand_range(0);
    ranges[1] = stand_range(1);
    cr_assert_eq(stand_map(&stand, &ranges[1], 1), 0);
    stand_lie(&stand, VIRTIO_IOMMU_T_UNMAP, 0, 1, VIRTIO_IOMMU_S_IOERR);
    /* The second is refused, and the first stays mapped at an address that counts as free. */
    cr_assert_eq(stand_map(&stand, ranges, 2), VIRTQ_EINVAL);
    cr_assert_eq(stand.device.count, 2u);
    cr_assert_eq(stand_map(&stand, &ranges[0], 1), VIRTQ_EBROKEN);
    stand_close(&stand);
    pair_close(p);
}
