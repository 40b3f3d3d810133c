/* SPDX-License-Identifier: BSD-3-Clause */
/* A back-end behind an IOMMU: misses, updates, invalidations. */
#include "frontend_iommu.h"

#define VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENT_IDX VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX)
#define SPLIT_FEATURES (VERSION_1 | EVENT_IDX | FRONTEND_PROTOCOL)
#define PACKED_FEATURES (SPLIT_FEATURES | PACKED)

static const uint64_t formats[2] = {SPLIT_FEATURES, PACKED_FEATURES};

Test(host_iommu, each_page_is_asked_for_once_and_then_known)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        iommu_open(&io, formats[i]);
        iommu_start(&io, 0, formats[i], 8);
        cr_assert_eq(io.f.started, 1u);
        iommu_traffic(&io, 0, 40);
        /* The ring is one page, but may be asked for at each of its areas; the buffers are one. */
        cr_assert(io.misses >= 2 && io.misses <= 5, "%u", io.misses);
        cr_assert_eq(io.f.refused + io.failed, 0u);
        iommu_close(&io);
    }
}

Test(host_iommu, two_rings_share_what_is_known)
{
    struct iommu io;
    unsigned before;

    iommu_open(&io, SPLIT_FEATURES);
    iommu_start(&io, 0, SPLIT_FEATURES, 8);
    iommu_traffic(&io, 0, 4);
    before = io.misses;
    iommu_start(&io, 1, SPLIT_FEATURES, 16);
    iommu_traffic(&io, 1, 8);
    cr_assert(io.misses - before <= 3, "%u", io.misses - before);
    iommu_traffic(&io, 0, 8);
    iommu_close(&io);
}

Test(host_iommu, a_ring_waits_until_all_of_it_is_mapped)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;
        uint64_t used;

        iommu_open(&io, formats[i]);
        io.silent = true;
        /* Large enough for several pages. */
        iommu_start(&io, 0, formats[i], 256);
        cr_assert(virtq_vhost_user_vring_device(io.f.backend, 0) == NULL);
        cr_assert_eq(io.f.started, 0u);
        cr_assert(io.misses >= 2, "%u", io.misses);
        /* What a front-end loads by itself: the used ring. It is not enough. */
        used = (iommu_first[0] + frontend_ring_at(0) + io.f.layout.device.offset) &
               ~(uint64_t)(IOMMU_PAGE - 1);
        cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, used, IOMMU_PAGE,
                                iommu_page(&io, used)->user, IOMMU_BOTH),
                     0);
        frontend_add(&io.f, 0, 0);
        frontend_kick(&io.f, 0);
        iommu_run(&io);
        cr_assert_eq(io.f.started, 0u);
        cr_assert_eq(frontend_take(&io.f, 0), 0u);
        /* All the rest at once: it starts, and serves what nobody kicks for again. */
        cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, iommu_first[0], FRONTEND_REGION,
                                frontend_user[0], IOMMU_BOTH),
                     0);
        cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, iommu_first[1], FRONTEND_REGION,
                                frontend_user[1], IOMMU_BOTH),
                     0);
        iommu_run(&io);
        cr_assert_eq(io.f.started, 1u);
        cr_assert_eq(frontend_take(&io.f, 0), 1u);
        cr_assert(iommu_called(&io, 0));
        iommu_close(&io);
    }
}

/* Page by page, from the last one of its three areas to the first: not before all of it is there.
 */
Test(host_iommu, m3_a_ring_that_is_mapped_in_part_does_not_run)
{
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t first = iommu_first[0] + frontend_ring_at(0);
        struct iommu io;
        uint64_t page;

        iommu_open(&io, formats[i]);
        io.silent = true;
        iommu_start(&io, 0, formats[i], 256);
        page = (first + io.f.layout.size - 1) & ~(uint64_t)(IOMMU_PAGE - 1);
        cr_assert(page > first);
        for (; page >= first; page -= IOMMU_PAGE) {
            cr_assert_eq(io.f.started, 0u);
            cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, page, IOMMU_PAGE,
                                    iommu_page(&io, page)->user, IOMMU_BOTH),
                         0);
            iommu_run(&io);
        }
        cr_assert_eq(io.f.started, 1u);
        /* And the last page alone is gone again: it waits, whatever is in the others. */
        iommu_invalidate(&io, first + io.f.layout.size - 1, 1);
        frontend_add(&io.f, 0, 0);
        frontend_kick(&io.f, 0);
        iommu_run(&io);
        cr_assert_eq(frontend_take(&io.f, 0), 0u);
        io.silent = false;
        iommu_answer(&io, &io.last, true);
        iommu_run(&io);
        cr_assert_eq(frontend_take(&io.f, 0), 1u);
        iommu_close(&io);
    }
}

Test(host_iommu, a_ring_that_waits_can_be_stopped_and_started_elsewhere)
{
    struct iommu io;

    iommu_open(&io, SPLIT_FEATURES);
    io.silent = true;
    iommu_start(&io, 0, SPLIT_FEATURES, 8);
    /* It counts as one that runs. */
    cr_assert_eq(frontend_try_state(&io.f, VHOST_USER_SET_VRING_NUM, 0, 16), 1);
    cr_assert_eq(io.f.last_refusal, (uint32_t)VIRTQ_VHOST_USER_REFUSED_ORDER);
    cr_assert_eq(frontend_try_number(&io.f, VHOST_USER_SET_FEATURES, VERSION_1), 1);
    cr_assert_eq(frontend_stop(&io.f, 0), 0u);
    cr_assert_eq(io.f.started + io.f.stopping, 0u);
    io.silent = false;
    iommu_start(&io, 0, SPLIT_FEATURES, 16);
    iommu_traffic(&io, 0, 20);
    iommu_close(&io);
}

Test(host_iommu, m4_a_miss_is_asked_for_once_however_often_it_is_run_into)
{
    struct iommu io;
    unsigned before;

    iommu_open(&io, SPLIT_FEATURES);
    iommu_start(&io, 0, SPLIT_FEATURES, 8);
    iommu_start(&io, 1, SPLIT_FEATURES, 8);
    before = io.misses;
    io.silent = true;
    frontend_add(&io.f, 0, 0);
    frontend_add(&io.f, 1, 8);
    for (unsigned i = 0; i < 5; i++) {
        frontend_kick(&io.f, 0);
        frontend_kick(&io.f, 1);
        iommu_run(&io);
    }
    /* In the same page, but the lower one does not answer for the higher one. */
    cr_assert(io.misses - before >= 1 && io.misses - before <= 2, "%u", io.misses - before);
    cr_assert_eq(frontend_take(&io.f, 0) + frontend_take(&io.f, 1), 0u);
    io.silent = false;
    /* One answer, without a kick, and both go on. */
    iommu_answer(&io, &io.last, true);
    if (io.misses - before == 2) {
        iommu_reply(&io, 0);
    }
    iommu_run(&io);
    cr_assert_eq(frontend_take(&io.f, 0), 1u);
    cr_assert_eq(frontend_take(&io.f, 1), 1u);
    cr_assert(iommu_called(&io, 0) && iommu_called(&io, 1));
    iommu_close(&io);
}

/* A device that publishes in one burst and decides in another. */
static const struct virtq_vhost_user_ops late_ops = {.size = sizeof(struct virtq_vhost_user_ops),
                                                     .serve = iommu_serve_silently};

static void late_open(struct iommu *io, uint64_t features)
{
    iommu_open_with(io, 0, &late_ops);
    frontend_greet(&io->f, features | IOMMU_PLATFORM);
    iommu_connect(io);
    iommu_start(io, 0, features, 8);
}

Test(host_iommu, a_miss_while_the_decision_to_notify_is_read_does_not_lose_it)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        late_open(&io, formats[i]);
        /* The first one misses its buffer too, and what a new queue tells the driver is no news. */
        frontend_add(&io.f, 0, 0);
        frontend_kick(&io.f, 0);
        iommu_run(&io);
        cr_assert_eq(frontend_take(&io.f, 0), 1u);
        cr_assert(!virtq_driver_enable_notify(io.f.driver[0]));
        (void)iommu_called(&io, 0);
        frontend_add(&io.f, 0, 0);
        frontend_kick(&io.f, 0);
        iommu_run(&io);
        cr_assert(!iommu_called(&io, 0));
        /* The used entry is there; now the driver's words go. */
        io.silent = true;
        iommu_invalidate(&io, iommu_first[0], FRONTEND_REGION);
        virtq_vhost_user_vring_enter(io.f.backend, 0);
        cr_assert_eq(virtq_vhost_user_vring_notify(io.f.backend, 0), VIRTQ_EMISS);
        virtq_vhost_user_vring_leave(io.f.backend, 0);
        iommu_run(&io);
        cr_assert(!iommu_called(&io, 0));
        /* They come back. There is nothing to pop, and the device decides nothing by itself. */
        io.silent = false;
        iommu_answer(&io, &io.last, true);
        iommu_run(&io);
        cr_assert(iommu_called(&io, 0), "the interrupt is lost");
        cr_assert_eq(frontend_take(&io.f, 0), 1u);
        cr_assert_eq(io.f.refused, 0u);
        iommu_close(&io);
    }
}

Test(host_iommu, a_miss_while_publishing_does_not_lose_what_was_pushed)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        late_open(&io, formats[i]);
        io.f.hold = true;
        frontend_add(&io.f, 0, 0);
        frontend_kick(&io.f, 0);
        iommu_run(&io);
        cr_assert_eq(frontend_take(&io.f, 0), 0u);
        io.silent = true;
        iommu_invalidate(&io, iommu_first[0], FRONTEND_REGION);
        virtq_vhost_user_vring_enter(io.f.backend, 0);
        cr_assert_eq(virtq_device_publish(virtq_vhost_user_vring_device(io.f.backend, 0)),
                     VIRTQ_EMISS);
        virtq_vhost_user_vring_leave(io.f.backend, 0);
        iommu_run(&io);
        io.silent = false;
        iommu_answer(&io, &io.last, true);
        iommu_run(&io);
        cr_assert_eq(frontend_take(&io.f, 0), 1u);
        cr_assert(iommu_called(&io, 0));
        iommu_close(&io);
    }
}

static virtq_addr_t withdrawn_first;
static virtq_addr_t withdrawn_last;

static void withdrawn(void *opaque, virtq_addr_t first, virtq_addr_t last)
{
    (void)opaque;
    withdrawn_first = first;
    withdrawn_last = last;
}

Test(host_iommu, m1_a_device_hears_of_what_goes_while_it_has_buffers)
{
    struct virtq_vhost_user_ops ops = frontend_ops;
    struct iommu io;

    ops.withdrawn = withdrawn;
    iommu_open_with(&io, 0, &ops);
    frontend_greet(&io.f, SPLIT_FEATURES | IOMMU_PLATFORM);
    iommu_connect(&io);
    iommu_start(&io, 0, SPLIT_FEATURES, 8);
    iommu_traffic(&io, 0, 4);
    withdrawn_last = 0;
    iommu_invalidate(&io, iommu_first[1], 0x2000);
    cr_assert_eq(withdrawn_last, 0u);
    io.f.hold = true;
    frontend_add(&io.f, 0, 0);
    frontend_kick(&io.f, 0);
    iommu_run(&io);
    iommu_invalidate(&io, iommu_first[1], 0x2000);
    cr_assert_eq(withdrawn_first, iommu_first[1]);
    cr_assert_eq(withdrawn_last, iommu_first[1] + 0x1fff);
    /* Its memory is there as long as it has it. */
    io.f.hold = false;
    frontend_release(&io.f, 0);
    iommu_run(&io);
    cr_assert_eq(frontend_take(&io.f, 0), 1u);
    iommu_close(&io);
}

Test(host_iommu, l6_an_invalidation_may_end_where_all_addresses_do)
{
    struct iommu io;
    unsigned before;

    iommu_open(&io, SPLIT_FEATURES);
    iommu_start(&io, 0, SPLIT_FEATURES, 8);
    iommu_traffic(&io, 0, 4);
    before = io.misses;
    /* As a front-end with device IOTLB and lazy unmapping sends them: iova + size is 2^64. The
     * buffers lie there, the ring does not. */
    iommu_invalidate(&io, 0xfef00000, UINT64_C(0xffffffff01100000));
    iommu_traffic(&io, 0, 4);
    cr_assert_eq(io.misses - before, 1u);
    iommu_invalidate(&io, 0, 0xfee00000);
    iommu_traffic(&io, 0, 4);
    cr_assert(io.misses - before > 1 && io.misses - before <= 5, "%u", io.misses - before);
    for (unsigned i = 0; i < 4; i++) {
        static const uint64_t iova[4] = {UINT64_MAX, 0, 0x1000, UINT64_MAX - 0xfff};
        static const uint64_t size[4] = {1, 0, UINT64_MAX, 0x2000};

        before = io.misses;
        iommu_invalidate(&io, iova[i], size[i]);
        iommu_traffic(&io, 0, 4);
        cr_assert_eq(io.misses != before, i == 1 || i == 2, "%u", i);
    }
    cr_assert_eq(io.f.refused, 0u);
    iommu_close(&io);
}

Test(host_iommu, m3_a_translation_may_grant_more_than_was_asked_and_less)
{
    struct iommu io;
    unsigned before;

    iommu_open(&io, SPLIT_FEATURES);
    iommu_start(&io, 0, SPLIT_FEATURES, 8);
    before = io.misses;
    iommu_traffic(&io, 0, 4);
    /* To read was asked, both were given: the device's writes ask no more. */
    cr_assert_eq(io.misses - before, 1u);
    for (unsigned i = 0; i < 2; i++) {
        iommu_invalidate(&io, iommu_first[1], FRONTEND_REGION);
        io.pages[1][0].permissions = i == 0 ? IOMMU_READ : IOMMU_WRITE;
        iommu_bad_buffer(&io, 0);
        cr_assert_eq(io.forbidden, i + 1);
        cr_assert(io.last.iova - iommu_first[1] < IOMMU_PAGE);
        /* Wider again, without a word: the next access finds out. */
        io.pages[1][0].permissions = IOMMU_BOTH;
        iommu_traffic(&io, 0, 4);
    }
    cr_assert_eq(io.f.refused, 0u);
    iommu_close(&io);
}

Test(host_iommu, m2_of_overlapping_updates_the_last_one_counts)
{
    struct iommu io;
    unsigned char *here;

    iommu_open(&io, SPLIT_FEATURES);
    iommu_start(&io, 0, SPLIT_FEATURES, 8);
    iommu_traffic(&io, 0, 4);
    here = io.f.guest + FRONTEND_REGION;
    /* The buffers' page leads to page 9 now, and all around it stays. */
    cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, iommu_first[1], FRONTEND_REGION,
                            frontend_user[1], IOMMU_BOTH),
                 0);
    cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, iommu_first[1], IOMMU_PAGE,
                            frontend_user[1] + 9 * IOMMU_PAGE, IOMMU_BOTH),
                 0);
    frontend_add(&io.f, 0, 0);
    memcpy(here + 9 * IOMMU_PAGE, "abcd", 4);
    frontend_kick(&io.f, 0);
    iommu_run(&io);
    cr_assert_eq(here[32], 0);
    cr_assert_eq(here[9 * IOMMU_PAGE + 32], (unsigned char)~'a');
    iommu_close(&io);
}

Test(host_iommu, an_update_may_reach_over_regions_and_nothing_beyond_them)
{
    struct iommu io;
    struct virtq_vhost_user_slot slot = {0, {0x8000000, 0x10000, 0, 0}};
    struct virtq_vhost_user_memory memory = {.count = 2};
    unsigned before;
    int fds[2];

    iommu_open(&io, SPLIT_FEATURES);
    fds[0] = io.f.file;
    fds[1] = io.f.file;
    /* Right behind the second region, as the front-end sees it. */
    slot.region.user_address = frontend_user[1] + FRONTEND_REGION;
    cr_assert_eq(frontend_try(&io.f, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &io.f.file, 1),
                 0);
    cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, 0x1000, FRONTEND_REGION + 0x10000,
                            frontend_user[1], IOMMU_BOTH),
                 0);
    cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, 0x1000, FRONTEND_REGION + 0x10001,
                            frontend_user[1], IOMMU_BOTH),
                 1);
    cr_assert_eq(io.f.last_refusal, (uint32_t)VIRTQ_VHOST_USER_REFUSED_MEMORY);
    iommu_start(&io, 0, SPLIT_FEATURES, 8);
    iommu_traffic(&io, 0, 4);
    /* Memory that goes takes all translations along. */
    cr_assert_eq(frontend_try(&io.f, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot), NULL, 0), 0);
    before = io.misses;
    iommu_traffic(&io, 0, 4);
    cr_assert(io.misses > before);
    memory.regions[0] = frontend_region(1);
    memory.regions[1] = frontend_region(0);
    before = io.misses;
    cr_assert_eq(frontend_try(&io.f, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 2 * 32, fds, 2), 0);
    iommu_traffic(&io, 0, 4);
    cr_assert(io.misses > before);
    cr_assert_eq(virtq_vhost_user_backend_mapped(io.f.backend), 2u * FRONTEND_REGION);
    iommu_close(&io);
}

Test(host_iommu, what_was_accepted_decides_and_not_what_was_offered)
{
    static const uint64_t next[] = {SPLIT_FEATURES, SPLIT_FEATURES | IOMMU_PLATFORM,
                                    PACKED_FEATURES | IOMMU_PLATFORM, PACKED_FEATURES,
                                    SPLIT_FEATURES | IOMMU_PLATFORM};
    struct iommu io;

    iommu_open_with(&io, 0, &frontend_ops);
    iommu_no_addresses(&io);
    frontend_greet(&io.f, next[0]);
    iommu_connect(&io);
    /* Stopped and started again with other features, in one connection. */
    for (unsigned i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
        const unsigned before = io.misses;
        const bool translated = (next[i] & IOMMU_PLATFORM) != 0;
        const bool packed = (next[i] & PACKED) != 0;

        if (translated) {
            iommu_addresses(&io);
        } else {
            iommu_no_addresses(&io);
        }
        cr_assert_eq(frontend_try_number(&io.f, VHOST_USER_SET_FEATURES, next[i]), 0);
        iommu_start(&io, 0, next[i], 8);
        iommu_traffic(&io, 0, 11);
        cr_assert_eq(io.misses != before, translated);
        /* 22 descriptors = 2 * 8 + 6: round twice. Both halves of a packed base say it. */
        cr_assert_eq(frontend_stop(&io.f, 0), packed ? 0x80068006u : 11u, "%u", i);
        cr_assert_eq(io.f.stopping, i + 1);
    }
    cr_assert_eq(io.f.refused, 0u);
    iommu_close(&io);
}

Test(host_iommu, what_was_never_offered_is_refused)
{
    struct iommu io;
    struct frontend plain;
    struct virtq_vhost_user_iotlb message = {0};

    iommu_open_with(&io, 0, &frontend_ops);
    cr_assert((frontend_ask(&io.f, VHOST_USER_GET_PROTOCOL_FEATURES) &
               VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ)) != 0);
    frontend_greet(&io.f, VERSION_1);
    cr_assert_eq(frontend_try_number(&io.f, VHOST_USER_SET_FEATURES,
                                     VERSION_1 | VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM)),
                 1);
    cr_assert_eq(io.f.last_refusal, (uint32_t)VIRTQ_VHOST_USER_REFUSED_FEATURES);
    iommu_close(&io);
    frontend_open(&plain, 0);
    frontend_greet(&plain, VERSION_1);
    cr_assert((frontend_ask(&plain, VHOST_USER_GET_PROTOCOL_FEATURES) &
               VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ)) == 0);
    cr_assert_eq(frontend_try_number(&plain, VHOST_USER_SET_FEATURES, VERSION_1 | IOMMU_PLATFORM),
                 1);
    message.type = VHOST_USER_IOTLB_INVALIDATE;
    cr_assert_eq(frontend_try(&plain, VHOST_USER_IOTLB_MSG, &message, sizeof(message), NULL, 0), 1);
    cr_assert_eq(plain.last_refusal, (uint32_t)VIRTQ_VHOST_USER_REFUSED_REQUEST);
    frontend_close(&plain);
}
