/* SPDX-License-Identifier: BSD-3-Clause */
/* What a driver does to its own mappings, and what a front-end says that is not so: a buffer fails
 * or waits, a message is refused, and all else goes on. */
#include <errno.h>

#include "frontend_iommu.h"
#include "random.h"

#define FEATURES (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)
#define PACKED_FEATURES (FEATURES | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED))

static const uint64_t formats[2] = {FEATURES, PACKED_FEATURES};

Test(host_iommu_hostile, an_address_that_is_not_mapped_fails_one_buffer)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        iommu_open(&io, formats[i]);
        iommu_start(&io, 0, formats[i], 8);
        for (unsigned round = 0; round < 4; round++) {
            iommu_traffic(&io, 0, 4);
            iommu_invalidate(&io, iommu_first[1], FRONTEND_REGION);
            io.pages[1][0].permissions = 0;
            iommu_bad_buffer(&io, 0);
            cr_assert_eq(io.failed, round * 2 + 1);
            /* Each access asks anew. */
            iommu_bad_buffer(&io, 0);
            cr_assert_eq(io.failed, round * 2 + 2);
            io.pages[1][0].permissions = IOMMU_BOTH;
        }
        cr_assert_eq(io.f.refused, 0u);
        iommu_close(&io);
    }
}

Test(host_iommu_hostile, an_access_failure_told_in_place_of_an_answer_fails_the_buffer_too)
{
    struct iommu io;
    struct virtq_completion completion;

    iommu_open(&io, FEATURES);
    iommu_start(&io, 0, FEATURES, 8);
    io.silent = true;
    frontend_add(&io.f, 0, 0);
    frontend_kick(&io.f, 0);
    iommu_run(&io);
    cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_ACCESS_FAIL, iommu_first[1], IOMMU_PAGE, 0, 0),
                 0);
    iommu_run(&io);
    cr_assert_eq(virtq_driver_poll(io.f.driver[0], &completion, 1), 1);
    cr_assert_eq(completion.len, 0u);
    iommu_close(&io);
}

/* The ring's page, copied elsewhere, and what the driver sees with it. */
static void move_ring(struct iommu *io, size_t to)
{
    const size_t at = frontend_ring_at(0);

    memcpy(io->f.guest + to, io->f.guest + at, IOMMU_PAGE);
    cr_assert(mmap(io->f.guest + at, IOMMU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                   io->f.file, (off_t)to) == io->f.guest + at);
    iommu_page(io, iommu_first[0] + at)->user = frontend_user[0] + to;
}

Test(host_iommu_hostile, a_ring_whose_pages_go_while_it_runs_goes_on_where_they_come_back)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        iommu_open(&io, formats[i]);
        iommu_start(&io, 0, formats[i], 8);
        for (unsigned round = 0; round < 5; round++) {
            iommu_traffic(&io, 0, 5);
            io.silent = true;
            iommu_invalidate(&io, iommu_first[0] + frontend_ring_at(0), IOMMU_PAGE);
            frontend_add(&io.f, 0, 0);
            frontend_kick(&io.f, 0);
            iommu_run(&io);
            cr_assert_eq(frontend_take(&io.f, 0), 0u);
            move_ring(&io, 0x40000 + round * 0x3000);
            io.silent = false;
            iommu_answer(&io, &io.last, true);
            iommu_run(&io);
            cr_assert_eq(frontend_take(&io.f, 0), 1u, "round %u", round);
        }
        cr_assert_eq(io.f.refused, 0u);
        iommu_close(&io);
    }
}

Test(host_iommu_hostile, a_ring_whose_pages_stay_away_stops_all_the_same)
{
    for (unsigned i = 0; i < 2; i++) {
        struct iommu io;

        iommu_open(&io, formats[i]);
        iommu_start(&io, 0, formats[i], 8);
        iommu_traffic(&io, 0, 4);
        io.f.hold = true;
        frontend_add(&io.f, 0, 0);
        frontend_kick(&io.f, 0);
        iommu_run(&io);
        cr_assert_eq(io.f.held_count, 1u);
        iommu_invalidate(&io, 0, 0);
        io.f.hold = false;
        io.f.held_count = 0; /* It could not push it. */
        (void)frontend_stop(&io.f, 0);
        cr_assert_eq(io.f.stopping, 1u);
        iommu_start(&io, 0, formats[i], 8);
        iommu_traffic(&io, 0, 8);
        iommu_close(&io);
    }
}

Test(host_iommu_hostile, a_ring_that_is_refused_its_pages_is_told_as_broken)
{
    struct iommu io;
    const uint64_t zero = 0;
    int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t count = 0;

    cr_assert(err >= 0);
    iommu_open(&io, FEATURES);
    cr_assert_eq(frontend_try(&io.f, VHOST_USER_SET_VRING_ERR, &zero, 8, &err, 1), 0);
    iommu_page(&io, iommu_first[0] + frontend_ring_at(0))->permissions = 0;
    iommu_start(&io, 0, FEATURES, 8);
    cr_assert_eq(io.f.started, 0u);
    cr_assert_eq(io.f.last_refusal, (uint32_t)VIRTQ_VHOST_USER_REFUSED_PLACE);
    cr_assert_eq(read(err, &count, sizeof(count)), (ssize_t)sizeof(count));
    /* Mapped to be read only, a ring cannot be used either. */
    iommu_page(&io, iommu_first[0] + frontend_ring_at(0))->permissions = IOMMU_READ;
    iommu_start(&io, 0, FEATURES, 8);
    cr_assert_eq(io.f.started, 0u);
    iommu_page(&io, iommu_first[0] + frontend_ring_at(0))->permissions = IOMMU_BOTH;
    iommu_start(&io, 0, FEATURES, 8);
    iommu_traffic(&io, 0, 4);
    iommu_close(&io);
    cr_assert_eq(close(err), 0);
}

struct bad {
    uint8_t type;
    uint8_t permissions;
    uint32_t refusal;
    uint64_t iova, size, user;
};

#define VALUE VIRTQ_VHOST_USER_REFUSED_VALUE
#define MEMORY VIRTQ_VHOST_USER_REFUSED_MEMORY
#define USER UINT64_C(0x7f0000000000)

static const struct bad bads[] = {
    {0, 3, VALUE, 0, 0x1000, USER},
    {VHOST_USER_IOTLB_MISS, 3, VALUE, 0, 0x1000, USER},
    {5, 3, VALUE, 0, 0x1000, USER},
    {255, 3, VALUE, 0, 0x1000, USER},
    {VHOST_USER_IOTLB_UPDATE, 3, VALUE, 0, 0, USER},
    {VHOST_USER_IOTLB_UPDATE, 0, VALUE, 0, 0x1000, USER},
    {VHOST_USER_IOTLB_UPDATE, 4, VALUE, 0, 0x1000, USER},
    {VHOST_USER_IOTLB_UPDATE, 7, VALUE, 0, 0x1000, USER},
    {VHOST_USER_IOTLB_UPDATE, 3, VALUE, UINT64_MAX, 2, USER},
    {VHOST_USER_IOTLB_UPDATE, 3, VALUE, 1, UINT64_MAX, USER},
    {VHOST_USER_IOTLB_UPDATE, 3, VALUE, 0, 0x1000, UINT64_MAX},
    {VHOST_USER_IOTLB_UPDATE, 3, MEMORY, 0, 0x1000, 0},
    {VHOST_USER_IOTLB_UPDATE, 3, MEMORY, 0, 0x1000, USER - 1},
    {VHOST_USER_IOTLB_UPDATE, 3, MEMORY, 0, 0x1000, USER + FRONTEND_REGION - 0xfff},
    {VHOST_USER_IOTLB_UPDATE, 3, MEMORY, 0, UINT64_MAX - USER, USER},
};

Test(host_iommu_hostile, each_bad_translation_is_refused_for_its_reason_and_changes_nothing)
{
    struct iommu io;
    unsigned before;

    iommu_open(&io, FEATURES);
    iommu_start(&io, 0, FEATURES, 8);
    iommu_traffic(&io, 0, 4);
    before = io.misses;
    for (unsigned i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        const struct bad *bad = &bads[i];

        cr_assert_eq(iommu_tell(&io, bad->type, bad->iova, bad->size, bad->user, bad->permissions),
                     1, "%u", i);
        cr_assert_eq(io.f.last_refusal, bad->refusal, "%u", i);
        iommu_traffic(&io, 0, 4);
    }
    cr_assert_eq(io.misses, before);
    iommu_close(&io);
}

Test(host_iommu_hostile, noise_on_the_back_ends_channel_ends_that_channel_only)
{
    struct iommu io;
    char byte;

    for (unsigned i = 0; i < 5; i++) {
        /* A result nobody asked for, a request, another size, another version, and half of one. */
        const uint32_t flags[5] = {5, 1, 5, 6, 5};
        struct {
            struct virtq_vhost_user_header header;
            uint32_t words[2];
        } noise = {{VHOST_USER_BACKEND_IOTLB_MSG, flags[i], i == 2 ? 4 : 8}, {0, 0}};

        iommu_open(&io, FEATURES);
        iommu_start(&io, 0, FEATURES, 8);
        iommu_traffic(&io, 0, 4);
        cr_assert(send(io.channel, &noise, i == 4 ? 10 : 20, MSG_NOSIGNAL) > 0);
        if (i == 4) {
            cr_assert_eq(shutdown(io.channel, SHUT_WR), 0);
        }
        cr_assert_eq(frontend_run(&io.f), 0);
        cr_assert(recv(io.channel, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET, "%u", i);
        /* What is known is known still, and another channel is as good. */
        iommu_traffic(&io, 0, 4);
        iommu_connect(&io);
        iommu_invalidate(&io, 0, 0);
        iommu_traffic(&io, 0, 4);
        iommu_close(&io);
    }
}

Test(host_iommu_hostile, a_new_channel_is_asked_what_the_old_one_did_not_answer)
{
    struct iommu io;

    iommu_open(&io, FEATURES);
    iommu_start(&io, 0, FEATURES, 8);
    io.silent = true;
    frontend_add(&io.f, 0, 0);
    frontend_kick(&io.f, 0);
    iommu_run(&io);
    cr_assert_eq(frontend_take(&io.f, 0), 0u);
    io.silent = false;
    iommu_connect(&io);
    iommu_run(&io);
    cr_assert_eq(frontend_take(&io.f, 0), 1u);
    iommu_close(&io);
}

/* Whether the back-end has done all there is to do, and its loop can sleep. */
static bool sleeps(struct iommu *io)
{
    struct pollfd ready = {virtq_vhost_user_backend_fd(io->f.backend), POLLIN, 0};

    for (unsigned i = 0; i < 100 && poll(&ready, 1, 0) > 0; i++) {
        cr_assert_eq(virtq_vhost_user_backend_process(io->f.backend), 0);
    }
    return poll(&ready, 1, 0) == 0;
}

/* The front-end may keep the descriptor that it sent: for the system the socket is open then, and
 * is waited for although nobody reads from it. */
Test(host_iommu_hostile, a_channel_that_is_no_more_does_not_keep_the_loop_awake)
{
    struct iommu io;
    int ends[2];

    iommu_open(&io, FEATURES);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        cr_assert_eq(frontend_try(&io.f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &ends[1], 1), 0);
        if (i == 0) {
            /* Replaced, and then written to. */
            iommu_connect(&io);
            cr_assert_eq(send(ends[0], "noise", 5, MSG_NOSIGNAL), 5);
        } else if (i == 1) {
            /* Ended, because of what was written. */
            cr_assert_eq(send(ends[0], "no header at all", 16, MSG_NOSIGNAL), 16);
            cr_assert(sleeps(&io));
            cr_assert_eq(send(ends[0], "and more", 8, MSG_NOSIGNAL), 8);
        } else {
            cr_assert_eq(shutdown(ends[0], SHUT_RDWR), 0);
        }
        cr_assert(sleeps(&io), "way %u", i);
        cr_assert(close(ends[0]) == 0 && close(ends[1]) == 0);
    }
    iommu_close(&io);
}

/* Sixteen translations, and many more pages in use: what goes is asked for again. */
Test(host_iommu_hostile, a_small_table_is_enough_and_stays_small)
{
    uint64_t seed = 33;
    struct iommu io;

    iommu_open_with(&io, 16, &frontend_ops);
    frontend_greet(&io.f, FEATURES | IOMMU_PLATFORM);
    iommu_connect(&io);
    iommu_start(&io, 0, FEATURES, 8);
    for (unsigned round = 0; round < 200; round++) {
        const uint64_t page = random_below(&seed, IOMMU_PAGES);

        /* Slots are of 64 bytes. */
        frontend_add(&io.f, 0, (unsigned)page * (IOMMU_PAGE / 64));
        /* Its bytes are the slot's: only their low half matters. */
        frontend_kick(&io.f, 0);
        iommu_run(&io);
        cr_assert_eq(frontend_take(&io.f, 0), 1u, "seed 33, round %u", round);
        if (random_below(&seed, 10) == 0) {
            iommu_invalidate(&io, random_next(&seed), random_next(&seed));
        }
    }
    cr_assert(io.misses > 100, "%u", io.misses);
    iommu_close(&io);
}

/* Whatever is unmapped and mapped, a buffer comes back right, or empty. */
Test(host_iommu_hostile, mappings_that_come_and_go_under_a_running_ring)
{
    uint64_t seed = 4711;

    for (unsigned round = 0; round < 20; round++) {
        struct iommu io;

        iommu_open(&io, formats[round % 2]);
        iommu_start(&io, 0, formats[round % 2], 8);
        for (unsigned i = 0; i < 60; i++) {
            struct iommu_page *page = &io.pages[1][0];
            struct virtq_completion completion;
            const bool was = page->permissions == (uint32_t)IOMMU_BOTH;

            frontend_add(&io.f, 0, 0);
            frontend_kick(&io.f, 0);
            iommu_run(&io);
            cr_assert_eq(virtq_driver_poll(io.f.driver[0], &completion, 1), 1, "seed 4711");
            cr_assert(completion.len == (was ? 4u : 0u), "seed 4711: %u", completion.len);
            page->permissions = (uint32_t)random_below(&seed, 2) * IOMMU_BOTH;
            if (random_below(&seed, 4) == 0) {
                iommu_invalidate(&io, 0, 0);
            } else {
                iommu_invalidate(&io, iommu_first[1], IOMMU_PAGE);
            }
        }
        cr_assert_eq(io.f.refused, 0u);
        iommu_close(&io);
    }
}
