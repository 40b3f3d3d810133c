/* SPDX-License-Identifier: BSD-3-Clause */
/* A broken queue: the first reason is kept, a repaired ring stays broken, only a reset clears it,
 * and no other queue notices. G5, G17, G20, H6; rows 37 to 39. */
#include "device.h"
#include "driver.h"

static void break_it(struct hostile *h)
{
    if (h->packed) {
        packed_desc(h, GUEST, 1, 9, 0);
        expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, 0x8000, 9);
    } else {
        split_offer(h, 9);
        expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, 0, 9);
    }
}

static void repaired(struct hostile *h)
{
    break_it(h);
    /* The same words again, now sound. */
    for (unsigned i = 0; i < 2; i++) {
        memset(h->ring[i].at, 0, h->ring[i].size);
    }
    h->next = h->packed ? 0x8000 : 0;
    offer_one(h, GUEST, 4, WRITE);
    expect_latched(h, VIRTQ_REASON_QUEUE_HEAD, h->packed ? 0x8000 : 0, 9);
    /* And unsound in another way: the first reason stays. */
    if (h->packed) {
        put16(h->ring[0].at + 14, AVAIL | NEXT | INDIRECT);
    } else {
        split_index(h, 100);
    }
    expect_latched(h, VIRTQ_REASON_QUEUE_HEAD, h->packed ? 0x8000 : 0, 9);
}

Hostile(hostile_latch, a_repaired_ring_stays_broken_for_the_first_reason)
{
    both_formats(h, EVENTS, repaired);
}

static void after_reset(struct hostile *h)
{
    struct virtq_counters counters;

    offer_one(h, GUEST, 4, WRITE);
    expect_good(h, 0, 1, 0, 4);
    if (h->packed) {
        h->next = 0x8000;
        memset(h->ring[0].at, 0, h->ring[0].size);
        virtq_device_reset(h->device);
    } else {
        split_index(h, 0);
        virtq_device_reset(h->device);
    }
    break_it(h);
    virtq_device_reset(h->device);
    cr_assert_eq(hostile_fault(h).reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert_eq(virtq_device_outstanding(h->device), 0u);
    for (unsigned i = 0; i < 3; i++) {
        memset(h->ring[i].at, 0, h->ring[i].size);
    }
    h->next = h->packed ? 0x8000 : 0;
    for (unsigned k = 0; k < 20; k++) {
        offer_one(h, GUEST, 4, WRITE);
        expect_good(h, 0, 1, 0, 4);
        cr_assert(virtq_device_needs_notify(h->device) == 1 || k != 0, "told once after a reset");
    }
    virtq_device_counters(h->device, &counters);
    cr_assert_eq(counters.added, 21u, "what was counted is kept");
}

Hostile(hostile_latch, row_37_a_reset_clears_the_fault_and_all_that_was_in_flight)
{
    both_formats(h, EVENTS, after_reset);
}

static void in_flight_over_reset(struct hostile *h)
{
    struct virtq_used_buffer used = {0, 0};

    offer_one(h, GUEST, 4, WRITE);
    cr_assert_eq(hostile_pop(h), 1);
    virtq_device_reset(h->device);
    cr_assert_eq(virtq_device_push(h->device, &used, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_device_publish(h->device), 0);
    cr_assert_eq(virtq_device_needs_notify(h->device), 0);
}

Hostile(hostile_latch, row_37_what_was_popped_before_a_reset_cannot_be_pushed_after_it)
{
    both_formats(h, EVENTS, in_flight_over_reset);
    both_formats(h, EVENTS | VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), in_flight_over_reset);
}

Hostile(hostile_latch, G20_one_queue_that_breaks_and_is_reset_touches_no_other)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        unsigned char before[4][4096];
        struct hostile other;
        const struct block *blocks[4] = {&other.memory, &other.ring[0], &other.ring[1],
                                         &other.ring[2]};

        hostile_open(h, packed != 0, 8, EVENTS);
        memset(&other, 0, sizeof(other));
        other.begins = h->begins;
        other.called = h->called;
        other.config.space = h->config.space; /* The one thing they share. */
        hostile_grant(&other, VIRTQ_PERMISSION_READ);
        hostile_open(&other, packed != 0, 8, EVENTS);
        offer_one(&other, GUEST, 4, WRITE);
        cr_assert_eq(hostile_pop(&other), 1);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_leq(blocks[i]->size, sizeof(before[i]));
            memcpy(before[i], blocks[i]->at, blocks[i]->size);
        }
        offer_one(h, 0, 4, 0);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
        if (packed != 0) {
            packed_desc(h, 0, 0, 0xffff, 0);
        } else {
            split_offer(h, 0xffff);
        }
        cr_assert_eq(hostile_pop(h), VIRTQ_EBROKEN);
        virtq_device_reset(h->device);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert(memcmp(before[i], blocks[i]->at, blocks[i]->size) == 0);
        }
        hostile_return(&other, 4);
        hostile_close(&other);
        h->config.space = NULL;
    }
}

/* ---- Saved state is input like any other ---- */

static bool plausible(bool packed, uint32_t available, uint32_t used)
{
    uint32_t a = available & 0x7fff;
    uint32_t u = used & 0x7fff;

    if (!packed) {
        return ((available - used) & 0xffff) <= 8;
    }
    if (a >= 8 || u >= 8) {
        return false;
    }
    return ((available ^ used) & 0x8000) == 0 ? a >= u : a <= u;
}

static void states(struct hostile *h)
{
    static const uint16_t edges[] = {0,      1,      3,      7,      8,      9,      15,
                                     0x7ff8, 0x7fff, 0x8000, 0x8001, 0x8003, 0x8007, 0x8008,
                                     0xc000, 0xfff7, 0xfff8, 0xfff9, 0xffff};
    struct virtq_state state = {h->packed, 8, 0, 0, 0};
    uint16_t now = h->packed ? 0x8000 : 0;

    for (unsigned a = 0; a < sizeof(edges) / sizeof(edges[0]); a++) {
        for (unsigned u = 0; u < sizeof(edges) / sizeof(edges[0]); u++) {
            bool good = plausible(h->packed, edges[a], edges[u]);
            struct virtq_state saved;

            state.available = edges[a];
            state.used = edges[u];
            cr_assert_eq(virtq_device_restore(h->device, &state), good ? 0 : VIRTQ_EINVAL,
                         "%#x %#x", edges[a], edges[u]);
            cr_assert_eq(virtq_state_validate(&state), good ? 0 : VIRTQ_EINVAL);
            cr_assert_eq(virtq_device_save(h->device, &saved), 0);
            now = good ? edges[a] : now;
            cr_assert_eq(saved.available, now);
            if (good) {
                /* S14, row 38: what the driver was told is not known, so it is told once. */
                cr_assert_eq(virtq_device_needs_notify(h->device), 1);
                cr_assert_eq(virtq_device_needs_notify(h->device), 0);
            }
        }
    }
    state = (struct virtq_state){!h->packed, 8, 0x8000, 0x8000, 0};
    cr_assert_eq(virtq_device_restore(h->device, &state), VIRTQ_EINVAL);
    state = (struct virtq_state){h->packed, 4, 0x8000, 0x8000, 0};
    cr_assert_eq(virtq_device_restore(h->device, &state), VIRTQ_EINVAL);
    state = (struct virtq_state){7, 8, 0x8000, 0x8000, 0};
    cr_assert_eq(virtq_device_restore(h->device, &state), VIRTQ_EINVAL);
}

Hostile(hostile_latch, row_39_a_restored_state_is_validated)
{
    both_formats(h, EVENTS, states);
}

static void restored_over_work(struct hostile *h)
{
    struct virtq_state state = {h->packed, 8, 0x8000, 0x8000, 0};

    offer_one(h, GUEST, 1, 0);
    cr_assert_eq(hostile_pop(h), 1);
    cr_assert_eq(virtq_device_restore(h->device, &state), VIRTQ_EBUSY);
    cr_assert_eq(virtq_device_save(h->device, &state), VIRTQ_EBUSY);
    hostile_return(h, 0);
    cr_assert_eq(virtq_device_save(h->device, &state), 0);
    cr_assert_eq(state.available, state.used);
}

Hostile(hostile_latch, row_38_no_state_is_saved_or_restored_while_buffers_are_in_flight)
{
    both_formats(h, EVENTS, restored_over_work);
}

/* A restored position that the ring does not bear out: whatever happens, it is a verdict. */
static void restored_lies(struct hostile *h)
{
    static const uint16_t lies[] = {0, 1, 7, 0x8000, 0x8007, 0x8003};

    for (unsigned a = 0; a < 6; a++) {
        struct virtq_state state = {h->packed, 8, lies[a], lies[a], 0};
        int got;

        cr_assert_eq(virtq_device_restore(h->device, &state), 0);
        got = hostile_pop(h);
        cr_assert(got == 0 || got == 1 || got == VIRTQ_EBROKEN);
        virtq_device_reset(h->device);
    }
}

Hostile(hostile_latch, row_38_a_restored_position_that_the_ring_contradicts_is_judged_by_pop)
{
    both_formats(h, EVENTS, restored_lies);
}

Rogue(hostile_latch, a_driver_state_that_is_illegal_is_refused)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct virtq_state state = {packed, 8, 0, 1, 0};

        rogue_open(r, packed != 0, 8, 0, 0);
        cr_assert_eq(virtq_driver_restore(r->driver, &state), VIRTQ_EINVAL);
        state.used = 0;
        state.size = 4;
        cr_assert_eq(virtq_driver_restore(r->driver, &state), VIRTQ_EINVAL);
        state.size = 8;
        state.format = !packed;
        cr_assert_eq(virtq_driver_restore(r->driver, &state), VIRTQ_EINVAL);
        state.format = packed;
        state.available = state.used = packed != 0 ? 8 : 0xffff;
        block_protect(&r->ring[2], true);
        cr_assert_eq(virtq_driver_restore(r->driver, &state), packed != 0 ? VIRTQ_EINVAL : 0);
        state.available = state.used = packed != 0 ? 0x0005 : 0xfffe;
        cr_assert_eq(virtq_driver_restore(r->driver, &state), 0);
        cr_assert(virtq_driver_needs_notify(r->driver, NULL));
        r->used = state.used;
        for (unsigned k = 0; k < 20; k++) {
            rogue_use(r, rogue_send(r, 0, 1), 2, 1);
            expect_back(r, k + 1, 2);
        }
    }
}

Rogue(hostile_latch, G10_a_broken_driver_gives_every_buffer_back_once_by_detach)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        rogue_open(r, packed != 0, 8, 0, 0);
        for (unsigned k = 0; k < 3; k++) {
            (void)rogue_send(r, 1, 1);
        }
        cr_assert_eq(rogue_add(r, 1, 0), 1);
        rogue_use(r, 0x4000, 0, 1);
        expect_break(r, VIRTQ_REASON_QUEUE_ID, packed != 0 ? 0x8000 : 0, 0x4000);
    }
}

Rogue(hostile_latch, a_broken_driver_publishes_nothing_and_wakes_nobody)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct virtq_completion completion;

        rogue_open(r, packed != 0, 8, 0, 0);
        (void)rogue_send(r, 1, 1);
        cr_assert_eq(rogue_add(r, 1, 0), 1);
        rogue_use(r, 0x4000, 0, 1);
        cr_assert_eq(virtq_driver_poll(r->driver, &completion, 1), VIRTQ_EBROKEN);
        for (unsigned area = 0; area < 3; area++) {
            block_protect(&r->ring[area], false);
        }
        cr_assert_eq(virtq_driver_publish(r->driver), 0u);
        cr_assert(!virtq_driver_needs_notify(r->driver, NULL));
    }
}
