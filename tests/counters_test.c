/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two ends count: exact numbers for traffic that is known. */
#include <stddef.h>

#include "pair.h"

static struct virtq_counters driver_counts(const struct pair *p)
{
    struct virtq_counters counters;

    virtq_driver_counters(p->driver, &counters);
    return counters;
}

static struct virtq_counters device_counts(const struct pair *p)
{
    struct virtq_counters counters;

    virtq_device_counters(p->device, &counters);
    return counters;
}

static void equal(struct virtq_counters found, struct virtq_counters expected)
{
    cr_assert_eq(found.added, expected.added);
    cr_assert_eq(found.used, expected.used);
    cr_assert_eq(found.notify_asked, expected.notify_asked);
    cr_assert_eq(found.notify_suppressed, expected.notify_suppressed);
    cr_assert_eq(found.window_hits, expected.window_hits, "%u hits, not %u",
                 (unsigned)found.window_hits, (unsigned)expected.window_hits);
    cr_assert_eq(found.window_misses, expected.window_misses, "%u misses, not %u",
                 (unsigned)found.window_misses, (unsigned)expected.window_misses);
    cr_assert_eq(found.bytes_copied, expected.bytes_copied);
    cr_assert_eq(found.error_full, expected.error_full);
    cr_assert_eq(found.error_memory, expected.error_memory);
    cr_assert_eq(found.error_miss, expected.error_miss);
    cr_assert_eq(found.error_buffer, expected.error_buffer);
    cr_assert_eq(found.error_length, expected.error_length);
    cr_assert_eq(found.error_caller, expected.error_caller);
}

PairTest(core_counters, a_new_queue_has_counted_nothing)
{
    const struct virtq_counters none = {0};

    pair_prepare(p, 8, 0, PAIR_LEDGER);
    memset(p->driver_memory, 0xff, p->driver_size);
    memset(p->device_memory, 0xff, p->device_size);
    pair_start_driver(p);
    pair_start_device(p);
    pair_idle(p);
    cr_assert_eq(virtq_driver_publish(p->driver), 0u);
    cr_assert_eq(virtq_device_publish(p->device), 0);
    equal(driver_counts(p), none);
    equal(device_counts(p), none);
}

PairTest(core_counters, a_driver_counts_buffers_bytes_and_errors_by_kind)
{
    struct virtq_counters expected = {0};
    struct virtq_buffer batch[2];

    pair_open(p, 8, 0, PAIR_LEDGER);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(pair_add(p, 1, 1, i + 1), 1);
    }
    expected.added = 3;
    expected.bytes_copied = 3 * PAIR_SEGMENT; /* The ledger says it copies what can be read. */
    equal(driver_counts(p), expected);
    cr_assert_eq(pair_add(p, 2, 1, 9), VIRTQ_EFULL);
    cr_assert_eq(pair_add(p, 1, 2, 9), VIRTQ_EFULL);
    expected.error_full = 2;
    p->ledger.map_error = VIRTQ_ENOMEM;
    cr_assert_eq(pair_add(p, 1, 1, 9), VIRTQ_ENOMEM);
    expected.error_memory = 1;
    p->ledger.map_error = VIRTQ_EFAULT;
    cr_assert_eq(pair_add(p, 1, 1, 9), VIRTQ_EFAULT);
    cr_assert_eq(pair_add(p, 0, 0, 9), VIRTQ_EINVAL);
    cr_assert_eq(pair_add(p, 5, 4, 9), VIRTQ_ETOOBIG);
    expected.error_caller = 3;
    p->ledger.map_error = VIRTQ_OK;
    equal(driver_counts(p), expected);
    batch[0] = pair_buffer(p, 0, 1, 1, 4);
    batch[1] = pair_buffer(p, 1, 0, 0, 5);
    cr_assert_eq(virtq_driver_add(p->driver, batch, 2), 1);
    expected.added = 4;
    expected.bytes_copied += PAIR_SEGMENT;
    expected.error_caller = 4;
    (void)virtq_driver_publish(p->driver);
    pair_serve(p, 4);
    equal(driver_counts(p), expected);
    cr_assert_eq(pair_poll(p, 3), 3);
    expected.used = 3;
    expected.bytes_copied += 3 * PAIR_SEGMENT; /* And what was written. */
    equal(driver_counts(p), expected);
    cr_assert_eq(pair_poll(p, 3), 1);
    cr_assert_eq(pair_poll(p, 3), 0);
    expected.used = 4;
    expected.bytes_copied += PAIR_SEGMENT;
    equal(driver_counts(p), expected);
}

PairTest(core_counters, tests_for_a_notification_are_asked_or_suppressed)
{
    struct virtq_counters driver = {0};
    struct virtq_counters device = {0};

    pair_open(p, 8, 0, PAIR_DIRECT);
    for (unsigned round = 0; round < 3; round++) {
        pair_send(p, 2, 1);
        pair_tell(p); /* The device has nothing to tell. */
        pair_tell(p); /* Neither has. */
        pair_serve(p, 2);
        pair_tell(p);
        pair_receive(p, 2, 1);
        driver.notify_asked += 1;
        driver.notify_suppressed += 2;
        device.notify_asked += 1;
        device.notify_suppressed += 2;
    }
    virtq_driver_disable_notify(p->driver);
    virtq_device_disable_notify(p->device);
    for (unsigned round = 0; round < 5; round++) {
        pair_exchange(p, 1, 1);
        pair_tell(p);
        driver.notify_suppressed++;
        device.notify_suppressed++;
    }
    cr_assert(!virtq_driver_enable_notify(p->driver));
    cr_assert(!virtq_device_enable_notify(p->device));
    pair_exchange(p, 1, 1);
    pair_tell(p);
    driver.added = 12;
    driver.used = 12;
    driver.notify_asked++;
    device.added = 12;
    device.used = 12;
    device.notify_asked++;
    device.window_hits = 12;
    equal(driver_counts(p), driver);
    equal(device_counts(p), device);
    cr_assert_eq(p->told, 4u);
}

PairTest(core_counters, a_device_counts_buffers_and_errors_by_kind)
{
    struct virtq_counters expected = {0};
    struct virtq_used_buffer used[2];

    pair_open(p, 16, 0, PAIR_DIRECT);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(pair_add(p, 1, 1, i + 1), 1);
    }
    (void)virtq_driver_publish(p->driver);
    cr_assert_eq(pair_pop(p, 4), 4);
    expected.added = 4;
    expected.window_hits = 8;
    equal(device_counts(p), expected);
    cr_assert_eq(virtq_device_unpop(p->device, p->chains + 2, 2), VIRTQ_OK);
    expected.added = 2; /* Whoever is put back was not taken. */
    used[0].id = p->chains[0].id;
    used[0].len = 0;
    used[1].id = p->chains[1].id;
    used[1].len = PAIR_SEGMENT + 1;
    cr_assert_eq(virtq_device_push(p->device, used, 2), 1);
    cr_assert_eq(virtq_device_push(p->device, used, 2), VIRTQ_EINVAL);
    cr_assert_eq(virtq_device_push(p->device, used + 1, 1), VIRTQ_EINVAL);
    expected.used = 1;
    expected.error_caller = 3;
    cr_assert_eq(virtq_device_publish(p->device), 1);
    cr_assert_eq(device_counts(p).added, expected.added);
    cr_assert_eq(device_counts(p).used, expected.used);
    cr_assert_eq(device_counts(p).error_caller, expected.error_caller);
    /* A bad buffer: two pieces where there is room for one. */
    cr_assert_eq(virtq_device_pop(p->device, p->chains, 1, p->pieces, 1), 1);
    cr_assert_eq(device_counts(p).error_buffer, 1u);
    cr_assert_eq(device_counts(p).added, 3u);
    cr_assert_eq(pair_push(p, 0, 0), 1);
    cr_assert_eq(device_counts(p).used, 2u);
}

/* Two buffers of two readable and two writable segments. */
static void send_two(struct pair *p)
{
    cr_assert_eq(pair_add(p, 2, 2, 1), 1);
    cr_assert_eq(pair_add(p, 2, 2, 2), 1);
    cr_assert_eq(virtq_driver_publish(p->driver), 2u);
}

PairTest(core_counters, every_piece_is_a_hit_or_asks_the_space)
{
    struct virtq_counters expected = {0};

    pair_open(p, 16, 0, PAIR_LEDGER);
    send_two(p);
    cr_assert_eq(pair_pop(p, 2), 2);
    /* Each segment is a window of its own. */
    expected.added = 2;
    expected.window_misses = 8;
    equal(device_counts(p), expected);
    cr_assert_eq(p->ledger.windows, 8u);
    /* Of what is put back, the last of either kind is known still. */
    cr_assert_eq(virtq_device_unpop(p->device, p->chains + 1, 1), VIRTQ_OK);
    cr_assert_eq(pair_pop(p, 2), 1);
    cr_assert_eq(p->ledger.windows, 12u);
    pair_close(p);

    pair_open(p, 16, 0, PAIR_LEDGER);
    p->ledger.wide = true;
    send_two(p);
    cr_assert_eq(pair_pop(p, 2), 2);
    expected.window_misses = 2; /* One window for reading, one for writing. */
    expected.window_hits = 6;
    equal(device_counts(p), expected);
    cr_assert_eq(p->ledger.windows, 2u);
    virtq_space_invalidated(p->space);
    cr_assert_eq(virtq_device_unpop(p->device, p->chains, 2), VIRTQ_OK);
    cr_assert_eq(pair_pop(p, 2), 2);
    expected.window_misses = 4; /* Forgotten, asked again. */
    expected.window_hits = 12;
    equal(device_counts(p), expected);
    cr_assert_eq(p->ledger.windows, 4u);
}

PairTest(core_counters, a_window_of_tables_is_no_piece)
{
    struct virtq_counters expected = {0};

    pair_open(p, 16, 0, PAIR_LEDGER | PAIR_TABLES);
    p->ledger.wide = true;
    send_two(p);
    cr_assert_eq(pair_pop(p, 2), 2);
    expected.added = 2;
    expected.window_misses = 3; /* Questions: table, read, write. */
    expected.window_hits = 6;   /* Of 8 pieces, 2 had to be asked for. */
    cr_assert_eq(p->ledger.windows, 3u);
    equal(device_counts(p), expected);
}

PairTest(core_counters, a_question_in_vain_takes_no_hit_away)
{
    struct virtq_counters expected = {0};

    pair_open(p, 16, 0, PAIR_LEDGER);
    p->ledger.wide = true;
    send_two(p);
    cr_assert_eq(pair_pop(p, 2), 2);
    expected.added = 2;
    expected.window_misses = 2;
    expected.window_hits = 6;
    equal(device_counts(p), expected);
    cr_assert_eq(pair_add(p, 0, 1, 3), 1);
    (void)virtq_driver_publish(p->driver);
    virtq_space_invalidated(p->space);
    p->ledger.hidden = ledger_addr(pair_payload(p, 3));
    for (unsigned i = 1; i <= 3; i++) {
        cr_assert_eq(pair_pop(p, 1), VIRTQ_EMISS);
        expected.window_misses = 2 + i;
        expected.error_miss = i;
        cr_assert_eq(p->ledger.windows, 2 + i);
        equal(device_counts(p), expected); /* Pieces found before stay found. */
    }
    p->ledger.hidden = 0;
    cr_assert_eq(pair_pop(p, 1), 1);
    expected.added = 3;
    expected.window_misses = 6;
    equal(device_counts(p), expected);
}

PairTest(core_counters, a_clamped_length_is_counted_and_no_more_is_copied_back)
{
    struct virtq_counters expected = {0};

    pair_open(p, 8, 0, PAIR_LEDGER);
    pair_send(p, 1, 1);
    pair_serve(p, 1);
    pair_poke(p->format == VIRTQ_FORMAT_SPLIT ? p->driver_config.areas.device
                                              : p->driver_config.areas.descriptor,
              8, 0x7fff);
    cr_assert_eq(pair_poll(p, 1), 1);
    cr_assert_eq(p->ledger.written, (uint64_t)PAIR_SEGMENT);
    expected.added = 1;
    expected.used = 1;
    expected.bytes_copied = PAIR_SEGMENT;
    expected.error_length = 1;
    equal(driver_counts(p), expected);
}
