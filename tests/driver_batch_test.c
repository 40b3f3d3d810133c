/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end through the library tier: batches that fit in part, what add refuses, completions
 * in any order, notifications. */
#include "virtq/driver.h"

#include "pair.h"

PairTest(core_driver_batch, of_a_batch_whose_third_does_not_fit_two_are_added)
{
    struct virtq_buffer batch[4];

    pair_open(p, 4, 0, PAIR_DIRECT);
    batch[0] = pair_buffer(p, 0, 1, 0, 1);
    batch[1] = pair_buffer(p, 1, 1, 1, 2);
    batch[2] = pair_buffer(p, 2, 1, 1, 3); /* One descriptor too many. */
    batch[3] = pair_buffer(p, 3, 1, 0, 4); /* Would fit, but its turn does not come. */
    cr_assert_eq(virtq_driver_add(p->driver, batch, 4), 2);
    cr_assert_eq(virtq_driver_room(p->driver), 1u);
    cr_assert_eq(virtq_driver_outstanding(p->driver), 2u);
    cr_assert_eq(virtq_driver_add(p->driver, batch + 2, 2), VIRTQ_EFULL);
    cr_assert_eq(virtq_driver_add(p->driver, batch + 3, 1), 1);
    cr_assert_eq(virtq_driver_add(p->driver, batch + 3, 1), VIRTQ_EFULL);
    cr_assert_eq(virtq_driver_publish(p->driver), 3u);
    cr_assert_eq(virtq_driver_publish(p->driver), 0u);
    pair_serve(p, 3);
    cr_assert_eq(pair_poll(p, 9), 3);
    cr_assert_eq((uintptr_t)p->done[0].cookie, 1u);
    cr_assert_eq((uintptr_t)p->done[1].cookie, 2u);
    cr_assert_eq((uintptr_t)p->done[2].cookie, 4u);
    cr_assert_eq(virtq_driver_room(p->driver), 4u);
    pair_idle(p);
}

PairTest(core_driver_batch, of_a_batch_whose_third_is_wrong_two_are_added)
{
    struct virtq_buffer batch[3];

    for (unsigned i = 0; i < 4; i++) {
        pair_open(p, 8, 0, i < 2 ? PAIR_DIRECT : PAIR_LEDGER);
        batch[0] = pair_buffer(p, 0, 1, 0, 1);
        batch[1] = pair_buffer(p, 1, 0, 1, 2);
        batch[2] = pair_buffer(p, 2, i % 2, 1, 3);
        p->segments[2][0].len = 0;
        cr_assert_eq(virtq_driver_add(p->driver, batch, 3), 2);
        cr_assert_eq(virtq_driver_add(p->driver, batch + 2, 1), VIRTQ_EINVAL);
        cr_assert_eq(virtq_driver_publish(p->driver), 2u);
        pair_serve(p, 2);
        pair_receive(p, 2, 1);
        pair_idle(p);
        pair_close(p);
    }
}

/* Add refuses a buffer, and no trace of it is left. */
static void add_refuses(struct pair *p, const struct virtq_buffer *buffer, int error)
{
    const uint32_t room = virtq_driver_room(p->driver);
    const unsigned granted = p->ledger.count;

    cr_assert_eq(virtq_driver_add(p->driver, buffer, 1), error);
    cr_assert_eq(virtq_driver_room(p->driver), room);
    cr_assert_eq(virtq_driver_publish(p->driver), 0u);
    cr_assert_eq(p->ledger.count, granted);
    cr_assert_eq(pair_pop(p, 1), 0);
}

PairTest(core_driver_batch, a_buffer_that_was_not_added_changed_nothing)
{
    static const unsigned options[] = {PAIR_DIRECT, PAIR_DIRECT | PAIR_TABLES, PAIR_LEDGER,
                                       PAIR_LEDGER | PAIR_TABLES};

    for (unsigned i = 0; i < 4; i++) {
        struct virtq_buffer buffer;

        pair_open(p, 4, 0, options[i]);
        pair_send(p, 1, 1);
        cr_assert_eq(pair_pop(p, 1), 1);
        buffer = pair_buffer(p, 1, 0, 0, 2);
        add_refuses(p, &buffer, VIRTQ_EINVAL); /* No segment. */
        buffer = pair_buffer(p, 1, 1, 1, 2);
        buffer.flags = 4; /* Unknown. */
        add_refuses(p, &buffer, VIRTQ_EINVAL);
        buffer.flags = 0x80000000;
        add_refuses(p, &buffer, VIRTQ_EINVAL);
        buffer.flags = 0;
        p->segments[1][1].len = 0;
        add_refuses(p, &buffer, VIRTQ_EINVAL);
        p->segments[1][0].len = UINT32_MAX;
        p->segments[1][1].len = 2; /* 2^32 + 1 bytes. */
        add_refuses(p, &buffer, VIRTQ_ETOOBIG);
        buffer = pair_buffer(p, 1, 4, 5, 2);
        add_refuses(p, &buffer, VIRTQ_ETOOBIG); /* More than `segments_max`. */
        buffer = pair_buffer(p, 1, 4, 1, 2);
        if ((options[i] & PAIR_TABLES) == 0) {
            add_refuses(p, &buffer, VIRTQ_ETOOBIG); /* More than the queue. */
        }
        buffer.flags = VIRTQ_BUFFER_DIRECT;
        add_refuses(p, &buffer, VIRTQ_ETOOBIG);
        buffer = pair_buffer(p, 1, 3, 1, 2);
        buffer.flags = VIRTQ_BUFFER_DIRECT;
        add_refuses(p, &buffer, VIRTQ_EFULL); /* More than is free. */
        pair_close(p);
    }
}

PairTest(core_driver_batch, a_segment_of_length_0_is_the_callers_mistake_in_every_space)
{
    for (unsigned options = 0; options < 8; options++) {
        pair_open(p, 4, 0, options); /* Each PAIR_SPACE, with tables and without. */
        for (unsigned count = 1; count <= 4; count++) {
            for (unsigned empty = 0; empty < count; empty++) {
                const struct virtq_buffer buffer =
                    pair_buffer(p, 0, count / 2, count - count / 2, 1);

                p->segments[0][empty].len = 0;
                add_refuses(p, &buffer, VIRTQ_EINVAL);
            }
        }
        pair_close(p);
    }
}

PairTest(core_driver_batch, what_the_space_says_to_a_buffer_add_says)
{
    static const int errors[] = {VIRTQ_ENOMEM, VIRTQ_EFAULT, VIRTQ_ETOOBIG};
    struct virtq_buffer buffer;

    pair_open(p, 4, 0, PAIR_LEDGER);
    buffer = pair_buffer(p, 0, 1, 1, 1);
    for (unsigned i = 0; i < 3; i++) {
        p->ledger.map_error = errors[i];
        add_refuses(p, &buffer, errors[i]);
    }
    /* More runs than there is room for: in an empty ring they will never fit. */
    p->ledger.map_error = VIRTQ_EFULL;
    add_refuses(p, &buffer, VIRTQ_ETOOBIG);
    p->ledger.map_error = VIRTQ_OK;
    pair_send(p, 1, 1);
    cr_assert_eq(pair_pop(p, 1), 1);
    p->ledger.map_error = VIRTQ_EFULL;
    add_refuses(p, &buffer, VIRTQ_EFULL);
    p->ledger.map_error = VIRTQ_OK;
    cr_assert_eq(pair_push(p, 0, 0), 1);
    cr_assert_eq(virtq_device_publish(p->device), 1);
    pair_receive(p, 1, 1);
    pair_exchange(p, 4, 5);
    cr_assert_eq(p->ledger.maps, p->ledger.unmaps);
}

PairTest(core_driver_batch, exactly_2_to_the_32_bytes_are_legal)
{
    static const unsigned options[] = {PAIR_DIRECT, PAIR_DIRECT | PAIR_TABLES, PAIR_LEDGER,
                                       PAIR_LEDGER | PAIR_TABLES};

    for (unsigned i = 0; i < 4; i++) {
        struct virtq_buffer buffer;

        pair_open(p, 4, 0, options[i]);
        buffer = pair_buffer(p, 0, 1, 1, 1);
        p->segments[0][0].len = UINT32_MAX;
        p->segments[0][1].len = 1;
        cr_assert_eq(virtq_driver_add(p->driver, &buffer, 1), 1);
        pair_close(p);
    }
}

PairTest(core_driver_batch, poll_gives_as_many_as_it_is_asked_for)
{
    pair_open(p, 8, 0, PAIR_DIRECT);
    pair_send(p, 7, 1);
    pair_serve(p, 7);
    pair_receive(p, 3, 1);
    cr_assert_eq(virtq_driver_outstanding(p->driver), 4u);
    pair_receive(p, 1, 4);
    cr_assert_eq(pair_poll(p, 64), 3);
    cr_assert_eq(pair_poll(p, 64), 0);
}

/* The `n`-th order of 4 things. */
static void permute(unsigned n, unsigned order[4])
{
    unsigned left[4] = {0, 1, 2, 3};

    for (unsigned i = 0; i < 4; i++) {
        const unsigned k = n % (4 - i);

        n /= 4 - i;
        order[i] = left[k];
        left[k] = left[3 - i];
    }
}

PairTest(core_driver_batch, completions_come_in_whatever_order_the_device_likes)
{
    for (unsigned options = 0; options < 8; options++) {
        pair_open(p, 10 - 2 * (p->format == VIRTQ_FORMAT_SPLIT), 0,
                  (options & 1) | (options & 2 ? (unsigned)PAIR_TABLES : 0));
        for (unsigned n = 0; n < 24; n++) {
            unsigned order[4];

            permute(n, order);
            for (unsigned i = 0; i < 4; i++) {
                cr_assert_eq(pair_add(p, i % 2, 1, 4 * n + i + 1), 1);
            }
            cr_assert_eq(virtq_driver_publish(p->driver), 4u);
            cr_assert_eq(pair_pop(p, 4), 4);
            for (unsigned i = 0; i < 4; i++) {
                cr_assert_eq(pair_push(p, order[i], order[i]), 1);
                /* Shown one by one, or all at once. */
                cr_assert(options < 4 || virtq_device_publish(p->device) == 1);
            }
            cr_assert(options >= 4 || virtq_device_publish(p->device) == 4);
            cr_assert_eq(pair_poll(p, 4), 4);
            for (unsigned i = 0; i < 4; i++) {
                cr_assert_eq((uintptr_t)p->done[i].cookie, 4 * n + order[i] + 1);
                cr_assert_eq(p->done[i].len, order[i]);
            }
            pair_idle(p);
        }
        pair_close(p);
    }
}

PairTest(core_driver_batch, a_used_length_beyond_the_buffer_is_clamped_or_breaks_the_queue)
{
    for (unsigned strict = 0; strict < 2; strict++) {
        struct virtq_counters counters;
        struct virtq_fault fault;

        pair_prepare(p, 4, 0, PAIR_DIRECT);
        p->driver_config.flags = strict != 0 ? VIRTQ_DRIVER_STRICT_LENGTH : 0;
        pair_start_driver(p);
        pair_start_device(p);
        pair_send(p, 1, 1);
        pair_serve(p, 1);
        /* The device's word, behind its back. */
        pair_poke(p->format == VIRTQ_FORMAT_SPLIT ? p->driver_config.areas.device
                                                  : p->driver_config.areas.descriptor,
                  8, PAIR_SEGMENT + 1);
        virtq_driver_fault(p->driver, &fault);
        cr_assert_eq(fault.reason, (uint32_t)VIRTQ_REASON_NONE);
        cr_assert_eq(pair_poll(p, 1), strict != 0 ? VIRTQ_EBROKEN : 1);
        virtq_driver_counters(p->driver, &counters);
        cr_assert_eq(counters.error_length, 1u);
        virtq_driver_fault(p->driver, &fault);
        if (strict == 0) {
            cr_assert_eq(p->done[0].len, (uint32_t)PAIR_SEGMENT);
            cr_assert_eq(fault.reason, (uint32_t)VIRTQ_REASON_NONE);
        } else {
            cr_assert_eq(fault.reason, (uint32_t)VIRTQ_REASON_QUEUE_LENGTH);
            cr_assert_eq(fault.value, PAIR_SEGMENT + 1u);
            cr_assert_eq(pair_add(p, 1, 0, 2), VIRTQ_EBROKEN);
            cr_assert_eq(pair_poll(p, 1), VIRTQ_EBROKEN);
        }
        pair_close(p);
    }
}

PairTest(core_driver_batch, a_ring_filled_before_the_device_begins_is_kept_full)
{
    static const unsigned options[] = {PAIR_DIRECT, PAIR_LEDGER, PAIR_LEDGER | PAIR_TRANSLATED};

    for (unsigned i = 0; i < 3; i++) {
        const unsigned size = p->format == VIRTQ_FORMAT_SPLIT ? 8 : 7;
        uintptr_t next = 1;

        pair_prepare(p, size, VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX), options[i]);
        pair_start_driver(p);
        pair_send(p, size, next); /* Receive buffers, of the driver's own accord. */
        cr_assert_eq(pair_add(p, 0, 1, 99), VIRTQ_EFULL);
        pair_start_device(p);
        for (; next < 100; next++) {
            pair_serve(p, 1);
            cr_assert_eq(virtq_device_needs_notify(p->device) >= 0, 1);
            pair_receive(p, 1, next);
            pair_send(p, 1, next + size);
            cr_assert_eq(virtq_driver_room(p->driver), 0u);
        }
        pair_serve(p, size);
        pair_receive(p, size, next);
        pair_idle(p);
        pair_close(p);
    }
}

PairTest(core_driver_batch, what_came_before_a_break_is_given_out_first)
{
    struct virtq_fault fault;

    for (unsigned budget = 1; budget < 5; budget++) {
        unsigned got = 0;

        pair_open(p, 8, 0, PAIR_LEDGER);
        pair_send(p, 5, 1);
        pair_serve(p, 4);
        /* The third used id is none that was given. */
        if (p->format == VIRTQ_FORMAT_SPLIT) {
            pair_poke(p->driver_config.areas.device, 4 + 2 * 8, 7);
        } else {
            pair_poke(p->driver_config.areas.descriptor, 2 * 16 + 12, 7);
        }
        while (got < 2) {
            const int come = pair_poll(p, budget);

            cr_assert(come > 0 && got + (unsigned)come <= 2);
            for (int i = 0; i < come; i++) {
                cr_assert_eq((uintptr_t)p->done[i].cookie, ++got);
            }
        }
        cr_assert_eq(pair_poll(p, budget), VIRTQ_EBROKEN);
        cr_assert_eq(pair_add(p, 0, 1, 9), VIRTQ_EBROKEN);
        cr_assert_eq(virtq_driver_outstanding(p->driver), 3u);
        virtq_driver_fault(p->driver, &fault);
        cr_assert_eq(fault.reason, (uint32_t)VIRTQ_REASON_QUEUE_ID);
        cr_assert_eq(fault.value, 7u);
        cr_assert_eq(fault.position, p->format == VIRTQ_FORMAT_SPLIT ? 2u : 0x8002u);
        cr_assert(virtq_driver_enable_notify(p->driver)); /* Poll says why. */
        pair_close(p);
    }
}

PairTest(core_driver_batch, n1_a_notification_names_the_queue_and_the_position_if_that_was_agreed)
{
    for (unsigned with = 0; with < 2; with++) {
        pair_prepare(p, 4, with != 0 ? VIRTQ_FEATURE(VIRTIO_F_NOTIFICATION_DATA) : 0, PAIR_DIRECT);
        p->driver_config.notify_id = 0xabcd;
        pair_start_driver(p);
        pair_start_device(p);
        for (unsigned n = 1; n < 20; n++) {
            const uint32_t packed = n % 4 | (n / 4 % 2 == 0 ? 0x8000u : 0);
            const uint32_t next = p->format == VIRTQ_FORMAT_SPLIT ? n : packed;
            uint32_t word = 0;

            pair_exchange(p, 1, n);
            cr_assert(virtq_driver_needs_notify(p->driver, &word));
            cr_assert_eq(word, 0xabcdu | (with != 0 ? next << 16 : 0u));
            cr_assert(!virtq_driver_needs_notify(p->driver, &word));
        }
        pair_close(p);
    }
}

PairTest(core_driver_batch, a_driver_is_woken_after_as_many_as_it_asked_for)
{
    for (unsigned after = 1; after <= 7; after++) {
        pair_open(p, 8, VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX), PAIR_DIRECT);
        pair_exchange(p, 3, 1);
        pair_tell(p); /* The first test says yes whatever was asked. */
        pair_send(p, 5, 1);
        cr_assert(!virtq_driver_enable_notify_after(p->driver, after));
        for (unsigned n = 1; n <= 5; n++) {
            /* More than are outstanding counts as those. */
            const bool now = n == after || (n == 5 && after > 5);

            pair_serve(p, 1);
            cr_assert_eq(virtq_device_needs_notify(p->device), now ? 1 : 0, "%u of %u", n, after);
        }
        cr_assert(virtq_driver_enable_notify_after(p->driver, after));
        pair_receive(p, 5, 1);
        pair_close(p);
    }
}
