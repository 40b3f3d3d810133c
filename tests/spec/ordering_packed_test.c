/* SPDX-License-Identifier: BSD-3-Clause */
/* In which order the two ends of a packed queue load, store and fence: the barriers B7 to B17, each
 * on single and batched buffers, lists that pass the ring's end, indirect tables, with and without
 * EVENT_IDX and IN_ORDER, in every instance of the templates. [virtio 1.4, Supplying Buffers to The
 * Device; Receiving Used Buffers From The Device; Reserved Feature Bits] */
#include "order_bench.h"

ORDER_INSTANCE(packed, direct, VIRTQ_INSTANCE_DIRECT);
ORDER_INSTANCE(packed, called, VIRTQ_INSTANCE_CALLED);
ORDER_INSTANCE(packed, premapped, VIRTQ_INSTANCE_PREMAPPED);
ORDER_INSTANCE(packed, platform, VIRTQ_INSTANCE_CALLED | VIRTQ_INSTANCE_PLATFORM);
ORDER_INSTANCE(packed, premapped_platform, VIRTQ_INSTANCE_PREMAPPED | VIRTQ_INSTANCE_PLATFORM);

static const struct order_instance *const instances[] = {&packed_direct, &packed_called,
                                                         &packed_premapped, &packed_platform,
                                                         &packed_premapped_platform};

/* Not a power of two, and no multiple of what a round takes: lists pass the end at every place. */
enum { SIZE = 7, INSTANCES = sizeof(instances) / sizeof(instances[0]) };

static void rounds(unsigned stages, void (*check)(const struct order_bench *b))
{
    order_rounds(instances, INSTANCES, SIZE, stages, check);
}

static bool has(const struct order_bench *b, unsigned feature)
{
    return virtq_feature_has(b->features, feature) != 0;
}

static unsigned stores_of_flags(unsigned index)
{
    unsigned number = 0;

    for (unsigned i = 0; i < order_count; i++) {
        number += order_is(i, "SR", ORDER_DESC_FLAGS) && order_index(i) == index;
    }
    return number;
}

/* ---- The driver supplies ---- */

static void check_b8(const struct order_bench *b)
{
    const unsigned shown = order_check_release(ORDER_DESC_FLAGS);

    cr_assert_eq(order_index(shown), b->first, "the first buffer's head");
    cr_assert_eq(order_last("SR", ~(unsigned)ORDER_BARRIER), shown, "the last store of all");
    for (unsigned i = 0; i < b->size; i++) {
        const unsigned ahead = (i + b->size - b->first) % b->size;

        cr_assert_eq(stores_of_flags(i), ahead < b->batch * b->slots ? 1u : 0u);
    }
    cr_assert_eq(order_number("S", ORDER_DESC), 3 * b->batch * b->slots);
    cr_assert_eq(order_number("S", ORDER_TABLE) != 0, b->slots < b->chain);
}

Test(spec_ordering_packed, b8_the_first_heads_flags_are_stored_last_and_released)
{
    rounds(ORDER_SUPPLY, check_b8);
}

Test(spec_ordering_packed, b8_nothing_is_available_before_the_release)
{
    static struct order_bench b;

    for (unsigned with = 0; with < INSTANCES; with++) {
        memset(&b, 0, sizeof(b));
        b.with = instances[with];
        b.packed = true;
        b.size = SIZE;
        b.chain = ORDER_CHAIN;
        b.batch = 2;
        order_open(&b);
        for (unsigned round = 0; round < 2 * SIZE; round++) {
            order_begin();
            order_add(&b);
            cr_assert_eq(stores_of_flags(b.first), 0u);
            cr_assert_eq(order_number("R", ~0u), 0u);
            cr_assert_eq(b.with->pop(&b, b.chains, 2), 0, "the device finds none");
            cr_assert_eq(b.with->publish(&b), 2u);
            order_act(&b, ORDER_TAKE);
            order_act(&b, ORDER_USE);
            order_act(&b, ORDER_COLLECT);
            b.first = (b.first + 2 * ORDER_CHAIN) % SIZE;
        }
    }
}

/* A second batch while the first is still out: its own head, not the first one's. */
Test(spec_ordering_packed, b8_each_batch_ends_with_its_own_head)
{
    static struct order_bench b;

    memset(&b, 0, sizeof(b));
    b.with = &packed_direct;
    b.packed = true;
    b.size = SIZE;
    b.chain = ORDER_CHAIN;
    b.batch = 1;
    order_open(&b);
    for (unsigned i = 0; i < 2; i++) {
        order_begin();
        order_act(&b, ORDER_SUPPLY);
        check_b8(&b);
        b.first += ORDER_CHAIN;
    }
}

/* ---- Descriptors are read ---- */

/* Follows one end as it reads the ring: flags of a head by an acquire load with a read barrier
 * right behind it; nothing else of a descriptor before its own flags and before the head's. */
static void check_read(unsigned slots, unsigned parts)
{
    bool seen[SIZE] = {false};
    unsigned head = SIZE;

    for (unsigned i = 0; i < order_count; i++) {
        const unsigned at = order_index(i);

        if (order_is(i, "A", ORDER_DESC_FLAGS)) {
            cr_assert(order_is(i + 1, "r", ORDER_BARRIER) || i + 1 == order_count);
            head = at;
            seen[at] = true;
        } else if (order_is(i, "L", ORDER_DESC_FLAGS)) {
            cr_assert_lt((at + SIZE - head) % SIZE, slots, "a later descriptor of the list");
            cr_assert_neq(head, (unsigned)SIZE);
            seen[at] = true;
        } else if (order_is(i, "L", ORDER_DESC)) {
            cr_assert_neq(head, (unsigned)SIZE);
            cr_assert(seen[at] && (at + SIZE - head) % SIZE < slots);
        } else if (order_is(i, "LA", parts)) {
            cr_assert_neq(head, (unsigned)SIZE);
        } else {
            cr_assert(order_is(i, "r", ORDER_BARRIER), "nothing else is touched");
        }
    }
}

static void check_b9(const struct order_bench *b)
{
    check_read(b->slots, ORDER_TABLE);
    cr_assert_eq(order_number("A", ORDER_DESC_FLAGS), b->batch, "each head is acquired");
    /* Address and length of each, and the id of a list's last one. */
    cr_assert_geq(order_number("L", ORDER_DESC), (2 * b->slots + 1) * b->batch);
    cr_assert_eq(order_number("L", ORDER_TABLE) != 0, b->slots < b->chain);
}

Test(spec_ordering_packed, b9_flags_are_acquired_before_address_length_id_and_table)
{
    rounds(ORDER_TAKE, check_b9);
}

/* ---- The device uses ---- */

static void check_b10(const struct order_bench *b)
{
    const unsigned shown = order_check_release(ORDER_DESC_FLAGS);
    const unsigned used = order_number("SR", ORDER_DESC_FLAGS);

    cr_assert_eq(order_index(shown), b->first, "P11: the first of the batch");
    cr_assert_eq(order_last("SR", ~(unsigned)ORDER_BARRIER), shown, "the last store of all");
    cr_assert_eq(stores_of_flags(b->first), 1u);
    cr_assert(used == b->batch || (has(b, VIRTIO_F_IN_ORDER) && used < b->batch));
    cr_assert_eq(order_number("S", ORDER_DESC), 2 * used, "length and id of each");
    cr_assert_eq(order_number("SR", ~(unsigned)(ORDER_DESC | ORDER_DESC_FLAGS)), 0u);
}

Test(spec_ordering_packed, b10_lengths_ids_and_later_flags_are_stored_before_the_flags_are_released)
{
    rounds(ORDER_USE, check_b10);
}

static struct order_bench written;
static unsigned written_seen;

/* What the driver would find if it ran just before the flags are stored. */
static void look_at_data(const struct order_event *event)
{
    if (event->kind == 'R') {
        written_seen += written.data[0][ORDER_CHAIN - 1][ORDER_SEGMENT - 1] == 0x5a;
    }
}

Test(spec_ordering_packed, b10_the_buffers_data_are_there_before_the_flags_are_released)
{
    memset(&written, 0, sizeof(written));
    written.with = &packed_direct;
    written.packed = true;
    written.size = SIZE;
    written.chain = ORDER_CHAIN;
    written.batch = 1;
    order_open(&written);
    order_act(&written, ORDER_SUPPLY);
    order_act(&written, ORDER_TAKE);
    written_seen = 0;
    order_hook = look_at_data;
    for (unsigned i = 0; i < written.chains[0].writable; i++) {
        memset(written.pieces[written.chains[0].readable + i].base, 0x5a, ORDER_SEGMENT);
    }
    order_act(&written, ORDER_USE);
    cr_assert_eq(written_seen, 1u);
    order_hook = NULL;
}

/* ---- The driver collects ---- */

static void check_b11(const struct order_bench *b)
{
    const unsigned taken = order_number("L", ORDER_DESC);

    check_read(1, 0);
    cr_assert_eq(order_number("L", ORDER_DESC_FLAGS), 0u, "each by an acquire load");
    cr_assert_eq(taken, 2 * order_number("A", ORDER_DESC_FLAGS), "length and id, once each");
    cr_assert(taken == 2 * b->batch || (has(b, VIRTIO_F_IN_ORDER) && taken < 2 * b->batch));
}

Test(spec_ordering_packed, b11_flags_are_acquired_before_length_and_id)
{
    rounds(ORDER_COLLECT, check_b11);
}

/* ---- Either end asks whether to wake the other ---- */

static void check_b12_driver(const struct order_bench *b)
{
    order_check_store_load(order_last("R", ORDER_DESC_FLAGS), ORDER_DEVICE_EVENT, 4);
    cr_assert_eq(order_number("LA", ~(unsigned)(ORDER_DEVICE_EVENT | ORDER_BARRIER)), 0u);
    (void)b;
}

Test(spec_ordering_packed, b12_a_full_barrier_stands_between_flags_and_the_devices_wish)
{
    rounds(ORDER_SUPPLY, check_b12_driver);
}

static void check_b12_device(const struct order_bench *b)
{
    order_check_store_load(order_last("R", ORDER_DESC_FLAGS), ORDER_DRIVER_EVENT, 4);
    cr_assert_eq(order_number("LA", ~(unsigned)(ORDER_DRIVER_EVENT | ORDER_BARRIER)), 0u);
    (void)b;
}

Test(spec_ordering_packed, b12_a_full_barrier_stands_between_used_flags_and_the_drivers_wish)
{
    rounds(ORDER_USE, check_b12_device);
}

/* ---- Either end asks to be woken ---- */

/* One store of a wish, a full barrier, one load of the next descriptor's flags; nothing else. */
static void check_b7(const struct order_bench *b, unsigned wish)
{
    cr_assert(order_is(0, "S", wish));
    cr_assert(order_is(1, "f", ORDER_BARRIER));
    cr_assert(order_is(2, "LA", ORDER_DESC_FLAGS));
    cr_assert_eq(order_index(2), b->first);
    cr_assert_eq(order_count, 3u);
}

static void check_b7_driver(const struct order_bench *b)
{
    check_b7(b, ORDER_DRIVER_EVENT);
}

Test(spec_ordering_packed, b7_the_driver_stores_its_wish_then_fences_then_looks_again)
{
    rounds(ORDER_DRIVER_ENABLE, check_b7_driver);
}

static void check_b7_device(const struct order_bench *b)
{
    check_b7(b, ORDER_DEVICE_EVENT);
}

Test(spec_ordering_packed, b7_the_device_stores_its_wish_then_fences_then_looks_again)
{
    rounds(ORDER_DEVICE_ENABLE, check_b7_device);
}

/* ---- The event suppression structure ---- */

/* Offset, write barrier, flags; or, as here, both in one store that nobody can see half of. What
 * it stored is checked as the bytes that the peer will read. */
static void check_b13(unsigned wish, const void *area, unsigned off_wrap, unsigned flags)
{
    const unsigned char *word = area;

    cr_assert_eq(order_number("SR", wish), 1u);
    cr_assert(order_is(0, "SR", wish));
    cr_assert_eq(order_log[0].width, 4u);
    cr_assert_eq(order_log[0].at, word);
    cr_assert_eq((uintptr_t)order_log[0].at % 4, 0u);
    cr_assert_eq(word[2] + word[3] * 256u, flags);
    if (flags == VIRTQ_RING_EVENT_FLAGS_DESC) {
        cr_assert_eq(word[0] + word[1] * 256u, off_wrap);
    }
}

static unsigned position_of(const struct order_bench *b)
{
    const unsigned polled = b->driver.packed.polled;

    cr_assert_eq(polled & 0x7fffu, b->first);
    return polled;
}

static void check_b13_driver_enable(const struct order_bench *b)
{
    check_b13(ORDER_DRIVER_EVENT, order_queue.areas.driver, position_of(b),
              has(b, VIRTIO_F_EVENT_IDX) ? VIRTQ_RING_EVENT_FLAGS_DESC
                                         : VIRTQ_RING_EVENT_FLAGS_ENABLE);
}

static void check_b13_driver_disable(const struct order_bench *b)
{
    (void)b;
    check_b13(ORDER_DRIVER_EVENT, order_queue.areas.driver, 0, VIRTQ_RING_EVENT_FLAGS_DISABLE);
}

static void check_b13_device_enable(const struct order_bench *b)
{
    check_b13(ORDER_DEVICE_EVENT, order_queue.areas.device, position_of(b),
              has(b, VIRTIO_F_EVENT_IDX) ? VIRTQ_RING_EVENT_FLAGS_DESC
                                         : VIRTQ_RING_EVENT_FLAGS_ENABLE);
}

static void check_b13_device_disable(const struct order_bench *b)
{
    (void)b;
    check_b13(ORDER_DEVICE_EVENT, order_queue.areas.device, 0, VIRTQ_RING_EVENT_FLAGS_DISABLE);
}

Test(spec_ordering_packed, b13_offset_and_flags_are_written_by_one_store)
{
    rounds(ORDER_DRIVER_ENABLE, check_b13_driver_enable);
    rounds(ORDER_DRIVER_DISABLE, check_b13_driver_disable);
    rounds(ORDER_DEVICE_ENABLE, check_b13_device_enable);
    rounds(ORDER_DEVICE_DISABLE, check_b13_device_disable);
}

static void check_b14(const struct order_bench *b)
{
    const unsigned both = ORDER_DRIVER_EVENT | ORDER_DEVICE_EVENT;
    const unsigned load = order_next(0, "LA", both);

    (void)b;
    cr_assert_eq(order_number("LA", both), 1u, "flags and offset by the same load");
    cr_assert_eq(order_log[load].width, 4u);
    cr_assert_eq((uintptr_t)order_log[load].at % 4, 0u);
}

Test(spec_ordering_packed, b14_flags_and_offset_are_read_by_one_load)
{
    rounds(ORDER_SUPPLY | ORDER_USE, check_b14);
}

/* ---- Strength ---- */

static unsigned strengths[2];

static void check_b15(const struct order_bench *b)
{
    const bool platform = (b->with->how & (unsigned)VIRTQ_INSTANCE_PLATFORM) != 0;

    for (unsigned i = order_next(0, "wrf", ORDER_BARRIER); i < order_count;
         i = order_next(i + 1, "wrf", ORDER_BARRIER)) {
        cr_assert_eq(order_log[i].platform, platform);
        strengths[platform]++;
    }
}

/* What the strength amounts to on this processor is checked with the split queue. */
Test(spec_ordering_packed, b15_every_barrier_is_of_device_strength_with_order_platform_only)
{
    rounds(~0u, check_b15);
    cr_assert(strengths[0] > 0 && strengths[1] > 0);
}

/* ---- What is the transport's, and what is the platform's ---- */

/* The store that kicks is the transport's, and so is the barrier that orders it behind ordinary
 * memory where it goes to a device's register. What is ours: when needs_notify has answered, all
 * that the notification is about is stored and fenced off, and nothing is stored after that. */
static void check_b16(const struct order_bench *b)
{
    (void)b;
    cr_assert_lt(order_last("SR", ~0u), order_fence(0, "f"));
    cr_assert_eq(order_number("f", ORDER_BARRIER), 1u);
}

Test(spec_ordering_packed, b16_nothing_is_stored_between_the_full_barrier_and_the_kick)
{
    rounds(ORDER_SUPPLY | ORDER_USE, check_b16);
}

Test(spec_ordering_packed, b16_the_notification_word_names_what_the_barrier_has_shown)
{
    static struct order_bench b;
    unsigned next = 0;
    bool wrap = true;

    memset(&b, 0, sizeof(b));
    b.with = &packed_direct;
    b.packed = true;
    b.size = SIZE;
    b.chain = ORDER_CHAIN;
    b.batch = 1;
    b.features = VIRTQ_FEATURE(VIRTIO_F_NOTIFICATION_DATA);
    order_open(&b);
    for (unsigned round = 0; round < 2 * SIZE; round++) {
        uint32_t word = 0;

        order_add(&b);
        cr_assert_eq(b.with->publish(&b), 1u);
        next += ORDER_CHAIN;
        wrap = next >= SIZE ? !wrap : wrap;
        next %= SIZE;
        order_add(&b); /* Not shown yet: not named. */
        (void)b.with->driver_test(&b, &word);
        cr_assert_eq(word >> 16, next | (wrap ? 0x8000u : 0u));
        cr_assert_eq(b.with->publish(&b), 1u);
        next += ORDER_CHAIN;
        wrap = next >= SIZE ? !wrap : wrap;
        next %= SIZE;
        for (unsigned i = 0; i < 2; i++) {
            order_act(&b, ORDER_TAKE);
            order_act(&b, ORDER_USE);
            order_act(&b, ORDER_COLLECT);
        }
    }
}

/* Whoever wrote to a cache line of the shared memory: bit 0 driver, bit 1 device. */
static unsigned char writers[ORDER_RING / VIRTQ_CACHE_LINE];
static unsigned writer;

static void note_writers(const struct order_bench *b)
{
    for (unsigned i = order_next(0, "SR", ~0u); i < order_count; i = order_next(i + 1, "SR", ~0u)) {
        writers[(size_t)(order_log[i].at - b->shared) / VIRTQ_CACHE_LINE] |= (unsigned char)writer;
    }
}

/* To clean and to invalidate caches is the platform's, as the library takes memory to be coherent.
 * The descriptor ring is written by both ends, as the format has it; all else that either writes
 * lies on lines that the other does not. */
Test(spec_ordering_packed, b17_only_the_descriptor_ring_is_written_by_both_ends)
{
    const unsigned drivers =
        ORDER_SUPPLY | ORDER_COLLECT | ORDER_DRIVER_ENABLE | ORDER_DRIVER_DISABLE;

    memset(writers, 0, sizeof(writers));
    writer = 1;
    rounds(drivers, note_writers);
    writer = 2;
    rounds(~drivers, note_writers);
    for (size_t i = 0; i < sizeof(writers); i++) {
        cr_assert(writers[i] != 3 || i < (SIZE * 16 + VIRTQ_CACHE_LINE - 1) / VIRTQ_CACHE_LINE,
                  "line %zu", i);
    }
}

Test(spec_ordering_packed, b17_the_layout_gives_each_area_lines_of_its_own_at_every_size)
{
    for (uint32_t size = 1; size <= VIRTQ_SIZE_MAX; size++) {
        struct virtq_layout layout;

        cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_PACKED, size, &layout), 0);
        cr_assert_eq(layout.align % VIRTQ_CACHE_LINE, 0u);
        cr_assert_eq(layout.descriptor.offset % VIRTQ_CACHE_LINE, 0u);
        cr_assert_eq(layout.driver.offset % VIRTQ_CACHE_LINE, 0u);
        cr_assert_eq(layout.device.offset % VIRTQ_CACHE_LINE, 0u);
        cr_assert_leq(layout.descriptor.offset + layout.descriptor.size, layout.driver.offset);
        cr_assert_leq(layout.driver.offset + layout.driver.size, layout.device.offset);
        cr_assert_eq(layout.size % VIRTQ_CACHE_LINE, 0u, "what follows the ring shares no line");
    }
}
