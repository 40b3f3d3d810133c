/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of a served disk: what it does by itself, what it has a carrier do, and how it ends, is
 * drained and told of. */
#include "blk_ring.h"

#include <endian.h>
#include <errno.h>

#include "process.h"

Test(host_blk_ring, without_a_carrier_it_does_everything_itself_and_a_kick_wakes_it)
{
    for (unsigned shape = 0; shape < 4; shape++) {
        stand_describe();
        stand.config.polls = shape < 2 ? 0 : 100;
        stand_open(shape % 2 == 0 ? VERSION_1 : VERSION_1 | PACKED);
        for (unsigned round = 0; round < 20; round++) {
            const unsigned slot = round % SLOTS;

            place(slot, VIRTIO_BLK_T_OUT, 2);
            kick();
            wait_left(0);
            cr_assert(*stand.status[slot] == VIRTIO_BLK_S_OK && written(slot, NULL));
            place(slot, VIRTIO_BLK_T_IN, 1);
            place((slot + 1) % SLOTS, VIRTIO_BLK_T_FLUSH, 0);
            kick();
            wait_left(0);
            cr_assert_eq(*stand.status[(slot + 1) % SLOTS], VIRTIO_BLK_S_OK);
            cr_assert(*stand.status[slot] == VIRTIO_BLK_S_OK);
            cr_assert(written(slot, slot_at(slot) + DATA));
            cr_assert_eq(ftruncate(stand.config.file, 0), 0);
            cr_assert_eq(ftruncate(stand.config.file, SECTORS * VIRTQ_BLK_SECTOR), 0);
        }
        stand_close();
        cr_assert_eq(stand.counters.popped, 60u);
        cr_assert_eq(stand.counters.bad, 0u);
        cr_assert(stand.counters.lowest == UINT64_MAX && stand.counters.highest == 0);
    }
}

Test(host_blk_ring, a_carrier_has_what_would_be_waited_for_and_ends_it_in_any_order)
{
    for (unsigned shape = 0; shape < 4; shape++) {
        stand_describe();
        stand.carried = true;
        stand.carrier.reverse = shape >= 2;
        stand_open(shape % 2 == 0 ? VERSION_1 : VERSION_1 | PACKED);
        for (unsigned i = 0; i < 6; i++) {
            place(i, i == 5 ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_OUT, 1);
        }
        kick();
        wait_held(6);
        cr_assert_eq(virtq_driver_outstanding(stand.f.driver[0]), 6u);
        for (unsigned i = 0; i < 6; i++) {
            const unsigned slot = stand.carrier.reverse ? 5 - i : i;

            cr_assert_eq(*stand.status[slot], 0xee);
            permit(1);
            wait_left(5 - i);
            cr_assert_eq(*stand.status[slot], VIRTIO_BLK_S_OK);
            cr_assert(slot == 5 || written(slot, NULL));
        }
        stand_close();
    }
}

/* Each line: what the carrier says of a write, and what the driver gets. */
Test(host_blk_ring, what_a_carrier_does_not_do_to_the_end_is_done_and_an_error_is_told)
{
    static const struct {
        int64_t result;
        uint32_t type, status;
    } lines[] = {{100, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK},
                 {-EAGAIN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK},
                 {-EINTR, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK},
                 {-EIO, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR},
                 {-EAGAIN, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_S_IOERR},
                 {-EIO, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_S_IOERR}};

    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        stand_carried(VERSION_1);
        stand.carrier.result = lines[i].result;
        place(1, lines[i].type, 3 - 1);
        kick();
        wait_held(1);
        permit(1);
        wait_left(0);
        cr_assert_eq(*stand.status[1], lines[i].status, "line %u", i);
        if (lines[i].type == VIRTIO_BLK_T_OUT) {
            cr_assert_eq(written(1, NULL), lines[i].status == VIRTIO_BLK_S_OK, "line %u", i);
        }
        stand_close();
    }
}

Test(host_blk_ring,
     a_carrier_that_is_full_is_done_without_and_one_that_cannot_submit_is_asked_again)
{
    stand_describe();
    stand.carried = true;
    stand.config.polls = 0;
    stand.carrier.refusals = 1;
    stand.carrier.failures = 5;
    stand_open(VERSION_1);
    place(0, VIRTIO_BLK_T_OUT, 1);
    place(1, VIRTIO_BLK_T_OUT, 1);
    kick();
    wait_left(1);
    cr_assert(*stand.status[0] == VIRTIO_BLK_S_OK && written(0, NULL));
    wait_held(1);
    permit(1);
    wait_left(0);
    cr_assert(*stand.status[1] == VIRTIO_BLK_S_OK && written(1, NULL));
    stand_close();
}

/* Makes a write of three sectors available, each byte of which has a descriptor of its own. */
static void describe(unsigned at, uint64_t offset, uint32_t len, unsigned flags)
{
    struct virtq_desc *desc =
        (struct virtq_desc *)(void *)(stand.f.guest + frontend_ring_at(0)) + at;

    desc->addr = htole64(frontend_guest[1] + offset);
    desc->len = htole32(len);
    desc->flags = htole16((uint16_t)flags);
    desc->next = htole16((uint16_t)(at + 1));
}

static void place_bytes(void)
{
    enum { BYTES = 3 * VIRTQ_BLK_SECTOR };
    uint16_t *avail =
        (uint16_t *)(void *)(stand.f.guest + frontend_ring_at(0) + stand.f.layout.driver.offset);

    memset(slot_at(0), 0, SLOT);
    slot_at(0)[HEADER] = VIRTIO_BLK_T_OUT;
    describe(0, HEADER, DATA - HEADER, VIRTQ_DESC_F_NEXT);
    for (unsigned i = 0; i < BYTES; i++) {
        slot_at(0)[DATA + i] = byte_of(0, i);
        describe(i + 1, DATA + i, 1, VIRTQ_DESC_F_NEXT);
    }
    describe(BYTES + 1, 0, 1, VIRTQ_DESC_F_WRITE);
    stand.status[0] = slot_at(0);
    *stand.status[0] = 0xee;
    __atomic_store_n(&avail[1], htole16(1), __ATOMIC_RELEASE);
    frontend_kick(&stand.f, 0);
}

Test(host_blk_ring, a_carrier_gets_no_more_entries_than_one_call_takes)
{
    unsigned char sectors[3 * VIRTQ_BLK_SECTOR];
    struct pollfd ready;

    stand_describe();
    stand.carried = true;
    stand.size = 2048;
    stand.config.pieces = 2048;
    stand_open(VERSION_1);
    ready = (struct pollfd){stand.f.call[0], POLLIN, 0};
    place_bytes();
    permit(1);
    cr_assert_eq(poll(&ready, 1, PATIENCE), 1, "no interrupt");
    cr_assert_eq(*stand.status[0], VIRTIO_BLK_S_OK);
    cr_assert_eq(pread(stand.config.file, sectors, sizeof(sectors), 0), (ssize_t)sizeof(sectors));
    for (unsigned i = 0; i < sizeof(sectors); i++) {
        cr_assert_eq(sectors[i], byte_of(0, i));
    }
    stand_close();
}

/* Says how many requests were in flight when it was drained. */
static void *drain_thread(void *opaque)
{
    const int *done = opaque;
    uint64_t said;

    virtq_blk_ring_drain(stand.ring);
    said = __atomic_load_n(&stand.carrier.count, __ATOMIC_ACQUIRE) + 1u;
    cr_assert_eq(write(*done, &said, sizeof(said)), (ssize_t)sizeof(said));
    return NULL;
}

Test(host_blk_ring, it_is_drained_when_nothing_is_in_flight_and_goes_on)
{
    int done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct pollfd ready = {done, POLLIN, 0};
    pthread_t thread;
    uint64_t said = 0;

    stand_carried(VERSION_1 | PACKED);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < round; i++) {
            place(i, VIRTIO_BLK_T_OUT, 1);
        }
        if (round != 0) {
            kick();
            wait_held(round);
        }
        cr_assert_eq(pthread_create(&thread, NULL, drain_thread, &done), 0);
        if (round != 0) {
            cr_assert_eq(poll(&ready, 1, 50), 0, "it was drained too soon");
            permit(round);
        }
        cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
        cr_assert_eq(read(done, &said, sizeof(said)), (ssize_t)sizeof(said));
        cr_assert_eq(said, 1u);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        wait_left(0);
    }
    stand_close();
    cr_assert_eq(close(done), 0);
}

Test(host_blk_ring, one_that_nobody_runs_is_drained)
{
    stand_carried(VERSION_1);
    end_thread();
    virtq_blk_ring_drain(stand.ring);
    virtq_blk_ring_drain(stand.ring);
    /* And the wish does not stay, should it be run again. */
    virtq_blk_ring_run(stand.ring);
    virtq_blk_ring_drain(stand.ring);
    stand_close();
}

Test(host_blk_ring, it_stops_when_all_that_was_taken_is_done_and_shown)
{
    for (unsigned shape = 0; shape < 2; shape++) {
        stand_carried(shape == 0 ? VERSION_1 : VERSION_1 | PACKED);
        for (unsigned i = 0; i < 5; i++) {
            place(i, VIRTIO_BLK_T_OUT, 1);
        }
        kick();
        wait_held(5);
        stand.release = 5;
        (void)frontend_stop(&stand.f, 0);
        cr_assert(stand.ring == NULL && stand.carrier.count == 0);
        wait_left(0);
        for (unsigned i = 0; i < 5; i++) {
            cr_assert(*stand.status[i] == VIRTIO_BLK_S_OK && written(i, NULL));
        }
        stand_close();
    }
}

Test(host_blk_ring, a_burst_is_told_once_and_a_longer_one_now_and_then)
{
    for (unsigned shape = 0; shape < 2; shape++) {
        struct pollfd ready;

        stand_describe();
        stand.config.burst = shape == 0 ? 16 : 2;
        stand_open(VERSION_1);
        ready = (struct pollfd){stand.f.call[0], POLLIN, 0};
        for (unsigned i = 0; i < 6; i++) {
            place(i, VIRTIO_BLK_T_OUT, 1);
        }
        kick();
        /* What was there at once is done at once: it does not stop in between. */
        cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
        (void)frontend_stop(&stand.f, 0);
        cr_assert_eq(frontend_count(stand.f.call[0]), shape == 0 ? 1u : 3u);
        wait_left(0);
        stand_close();
    }
}

Test(host_blk_ring, no_more_are_in_flight_than_there_is_room_for)
{
    stand_describe();
    stand.carried = true;
    stand.config.depth = 2;
    stand_open(VERSION_1);
    for (unsigned i = 0; i < 6; i++) {
        place(i, VIRTIO_BLK_T_OUT, 1);
    }
    kick();
    for (unsigned i = 0; i < 6; i++) {
        wait_held(i < 5 ? 2 : 1);
        permit(1);
        wait_left(5 - i);
    }
    for (unsigned i = 0; i < 6; i++) {
        cr_assert(*stand.status[i] == VIRTIO_BLK_S_OK && written(i, NULL));
    }
    stand_close();
}

Test(host_blk_ring, a_driver_that_is_as_fast_does_not_keep_a_burst_from_its_end)
{
    for (unsigned shape = 0; shape < 2; shape++) {
        stand_describe();
        stand.carried = true;
        stand.config.depth = 4;
        stand.config.burst = 1;
        stand.carrier.refills = 20;
        stand.carrier.refusals = 1;
        stand_open(shape == 0 ? VERSION_1 : VERSION_1 | PACKED);
        place(0, VIRTIO_BLK_T_FLUSH, 0);
        kick();
        __atomic_store_n(&stand.carrier.handed, 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&stand.carrier.refills, __ATOMIC_ACQUIRE) != 0) {
            (void)poll(NULL, 0, 1);
        }
        wait_left(0);
        stand_close();
        cr_assert(stand.carrier.longest <= 4, "%u in one burst", stand.carrier.longest);
    }
}

Test(host_blk_ring, one_that_is_full_sleeps_whatever_there_is_to_take)
{
    enum { MANY = 10000 };

    for (unsigned shape = 0; shape < 4; shape++) {
        stand_describe();
        stand.carried = true;
        stand.config.depth = 2;
        stand.config.polls = shape < 2 ? 0 : 5;
        stand_open(shape % 2 == 0 ? VERSION_1 : VERSION_1 | PACKED);
        for (unsigned i = 0; i < 6; i++) {
            place(i, VIRTIO_BLK_T_OUT, 1);
        }
        kick();
        wait_held(2);
        __atomic_store_n(&stand.carrier.rests, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&stand.carrier.looks, 0, __ATOMIC_RELAXED);
        virtq_blk_ring_wake(stand.ring);
        while (__atomic_load_n(&stand.carrier.rests, __ATOMIC_RELAXED) == 0) {
            cr_assert(__atomic_load_n(&stand.carrier.looks, __ATOMIC_RELAXED) < MANY,
                      "it looks again and again");
            (void)poll(NULL, 0, 1);
        }
        permit(6);
        wait_left(0);
        stand_close();
    }
}

Test(host_blk_ring, it_counts_buffers_and_notes_where_they_lie)
{
    stand_describe();
    stand.config.flags = VIRTQ_BLK_RING_LOCATE | VIRTQ_BLK_RING_STABLE;
    stand.config.pieces = 3;
    stand_open(VERSION_1);
    place(3, VIRTIO_BLK_T_OUT, 1);
    place(1, VIRTIO_BLK_T_IN, 1);
    place(2, VIRTIO_BLK_T_IN, 2); /* More pieces than there is room for. */
    kick();
    wait_left(0);
    cr_assert(*stand.status[3] == VIRTIO_BLK_S_OK && *stand.status[1] == VIRTIO_BLK_S_OK);
    stand_close();
    cr_assert_eq(stand.counters.popped, 3u);
    cr_assert_eq(stand.counters.bad, 1u);
    cr_assert_eq(stand.counters.lowest, frontend_guest[1] + SLOT);
    cr_assert_eq(stand.counters.highest,
                 frontend_guest[1] + 3 * SLOT + DATA + 2 * VIRTQ_BLK_SECTOR - 1);
}

Test(host_blk_ring, a_broken_ring_is_told_once_and_ends_in_order)
{
    const uint64_t zero = 0;
    int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct pollfd ready = {err, POLLIN, 0};
    unsigned char *index;

    stand_describe();
    stand_open(VERSION_1);
    cr_assert_eq(frontend_try(&stand.f, VHOST_USER_SET_VRING_ERR, &zero, 8, &err, 1), 0);
    /* More buffers than there are descriptors. */
    index = stand.f.guest + frontend_ring_at(0) + stand.f.layout.driver.offset + 2;
    __atomic_store_n((uint16_t *)(void *)index, (uint16_t)0x7f7f, __ATOMIC_RELEASE);
    frontend_kick(&stand.f, 0);
    cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
    for (unsigned i = 0; i < 3; i++) {
        frontend_kick(&stand.f, 0);
        virtq_blk_ring_drain(stand.ring);
    }
    cr_assert_eq(frontend_count(err), 1u);
    stand_close();
    cr_assert_eq(close(err), 0);
}

Test(host_blk_ring, a_carrier_that_lacks_a_function_is_none)
{
    stand_carried(VERSION_1);
    end_thread();
    for (unsigned i = 0; i < 5; i++) {
        struct virtq_blk_carrier_ops ops = carrier_ops;

        ops.size -= i == 0 ? 8 : 0;
        ops.begin = i == 1 ? NULL : ops.begin;
        ops.submit = i == 2 ? NULL : ops.submit;
        ops.next = i == 3 ? NULL : ops.next;
        ops.fd = i == 4 ? NULL : ops.fd;
        cr_assert_eq(virtq_blk_ring_carry(stand.ring, &ops, NULL), VIRTQ_EINVAL, "%u", i);
    }
    stand_close();
}

Test(host_blk_ring, an_illegal_configuration_makes_nothing)
{
    struct virtq_blk_ring_config legal;
    struct virtq_blk_ring *ring = NULL;
    unsigned char *memory;
    unsigned before;
    size_t size;

    stand_carried(VERSION_1);
    legal = stand.config;
    size = virtq_blk_ring_size(&legal);
    cr_assert(size != 0 && size % VIRTQ_CACHE_LINE == 0);
    memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    before = process_fds();
    for (unsigned i = 0; i < 11; i++) {
        struct virtq_blk_ring_config config = legal;

        config.struct_size -= i == 0 ? 8 : 0;
        config.depth = i == 1 ? 0 : config.depth;
        config.pieces = i == 2 ? 2 : config.pieces;
        config.burst = i == 3 ? 0 : config.burst;
        config.flags = i == 4 ? 4 : 0;
        cr_assert_eq(virtq_blk_ring_size(&config) != 0, i >= 5, "%u", i);
        config.backend = i == 5 ? NULL : config.backend;
        config.disk = i == 6 ? NULL : config.disk;
        config.file = i == 7 ? -1 : config.file;
        config.index = i == 8 ? 1 : 0; /* It does not run. */
        cr_assert_eq(virtq_blk_ring_init(memory + (i == 9 ? 8 : 0), i == 10 ? size - 1 : size,
                                         &config, &ring),
                     i == 10 ? VIRTQ_ENOMEM : VIRTQ_EINVAL, "%u", i);
        cr_assert(ring == NULL, "%u", i);
    }
    cr_assert_eq(virtq_blk_ring_init(NULL, size, &legal, &ring), VIRTQ_EINVAL);
    cr_assert_eq(process_fds(), before, "descriptors are left");
    free(memory);
    stand_close();
}
