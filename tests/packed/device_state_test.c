/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed queue is reset, resized, suspended, moved: R1, R2, U1, P14, A1. */
#include "device_rig.h"

/** @brief What the driver does to the ring in a reset: all zeroes, both counters 1. */
static void clear(struct device_rig *r)
{
    memset(r->w->desc, 0, (size_t)r->w->size * WIRE_DESC);
    memset(r->w->driver, 0, 4);
    memset(r->w->device, 0, 4);
    r->avail = r->used = place_start();
}

/* ---- R1 ---- */

DeviceTest(packed_device_state, r1_a_reset_touches_nothing_and_forgets_everything)
{
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        struct wire_image before;

        rig_open_at(r, 7, ordered != 0 ? MEMORY_ORDERED : MEMORY_EVENTS, 5);
        rig_offer_list(r, 1, 1, 1);
        rig_offer(r, 2, 8);
        rig_offer(r, 3, 8);
        cr_assert_eq(rig_pop(r, 8), 3);
        cr_assert_eq(rig_push(r, 2, 8), 1);
        wire_keep(r->w, &before);
        r->calls->reset(&r->q);
        cr_assert_eq(rig_outstanding(r), 0u);
        /* Pushed and not shown before the reset: it never will be. */
        cr_assert_eq(r->calls->publish(&r->q), 0);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        cr_assert_eq(rig_push(r, 1, 0), VIRTQ_EINVAL);
        cr_assert_eq(r->calls->unpop(&r->q, r->chains, 3), VIRTQ_EINVAL);
        cr_assert(wire_same(r->w, &before));
        /* Position and both wrap counters are at their start. */
        clear(r);
        cr_assert_eq(rig_pop(r, 1), 0);
        rig_pass(r, 15);
    }
}

DeviceTest(packed_device_state, r1_a_reset_clears_a_fault_and_the_suppression)
{
    rig_open_at(r, 7, MEMORY_EVENTS, 3);
    r->calls->disable_notify(&r->q);
    rig_put(r, 0, 1, RIG_NO_ID, WIRE_NEXT);
    cr_assert_eq(rig_pop(r, 1), VIRTQ_EBROKEN);
    r->calls->reset(&r->q);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
    clear(r);
    rig_pass(r, 9);
    /* It is not thought to be switched off still. */
    r->calls->disable_notify(&r->q);
    cr_assert_eq(wire_event(r->w->device).flags, (unsigned)WIRE_DISABLE);
}

/* ---- R2: the library's own word; the inline tier builds anew ---- */

DeviceTest(packed_device_state, r2_a_queue_can_go_on_with_another_size_and_elsewhere)
{
    struct virtq_device_config config;
    struct wire_image before;

    if (r->calls->core != NULL) {
        return;
    }
    rig_open_at(r, 16, MEMORY_BASIC, 15);
    rig_pass(r, 3);
    wire_keep(r->w, &before);
    for (unsigned i = 0; i < 4; i++) {
        static const int expected[4] = {VIRTQ_EINVAL, VIRTQ_ENOMEM, VIRTQ_EINVAL, VIRTQ_EINVAL};

        config = r->config;
        config.size = i == 0 ? 32769 : i == 1 ? 4096 : 16;
        config.areas.device = r->w->device + (i == 2 ? 2 : 0);
        config.features &= i == 3 ? ~VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : UINT64_MAX;
        config.format = i == 3 ? VIRTQ_FORMAT_SPLIT : VIRTQ_FORMAT_PACKED;
        cr_assert_eq(virtq_device_resize(r->q.library, &config), expected[i]);
    }
    cr_assert(wire_same(r->w, &before));
    /* The old queue is as it was. */
    rig_pass(r, 20);
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t sizes[3] = {5, 1, 3};

        config = r->config;
        config.size = sizes[i];
        config.areas.driver = r->w->driver + 4;
        cr_assert_eq(virtq_device_resize(r->q.library, &config), 0);
        r->w->driver += 4;
        r->w->size = sizes[i];
        clear(r);
        rig_pass(r, 20);
    }
}

/* ---- U1 ---- */

DeviceTest(packed_device_state, u1_a_quiesced_queue_takes_nothing_and_completes_what_it_started)
{
    struct wire_image before;
    uint16_t flags;

    rig_open_at(r, 7, MEMORY_EVENTS, 5);
    for (unsigned n = 0; n < 5; n++) {
        rig_offer(r, n, 8);
    }
    cr_assert_eq(rig_pop(r, 2), 2);
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->quiesce(&r->q), 2u);
    cr_assert_eq(rig_pop(r, 8), 0);
    /* It does not ask to be told of what it would not take. */
    cr_assert(!r->calls->enable_notify(&r->q));
    cr_assert(wire_same(r->w, &before));
    rig_return(r, 1, 8, 1);
    cr_assert_eq(r->calls->quiesce(&r->q), 1u);
    rig_return(r, 0, 8, 1);
    cr_assert_eq(r->calls->quiesce(&r->q), 0u);
    cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    /* Drained: no access of any kind, whatever the driver does meanwhile. */
    flags = wire_desc(r->w, place_after(place_of(5), 7, 2)).flags;
    wire_flags_put(r->w, 0, flags | (unsigned)WIRE_NEXT | (unsigned)WIRE_INDIRECT);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_pop(r, 8), 0);
    cr_assert_eq(r->calls->publish(&r->q), 0);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert(wire_same(r->w, &before));
    wire_flags_put(r->w, 0, flags);
    r->calls->resume(&r->q);
    cr_assert_eq(rig_pop(r, 8), 3);
    cr_assert_eq(r->chains[0].id, 2);
}

/* ---- Save and restore ---- */

DeviceTest(packed_device_state, a_state_is_saved_only_when_all_is_shown)
{
    struct virtq_state state = {9, 9, 9, 9, 9};

    for (unsigned ordered = 0; ordered < 2; ordered++) {
        rig_open_at(r, 7, ordered != 0 ? MEMORY_ORDERED : MEMORY_BASIC, 4);
        rig_offer_list(r, 0, 1, 1);
        rig_offer(r, 1, 8);
        cr_assert_eq(rig_pop(r, 2), 2);
        state.size = 9;
        cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
        cr_assert_eq(rig_push(r, 1, 8), 1);
        (void)r->calls->publish(&r->q);
        cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
        cr_assert_eq(rig_push(r, 0, 1), 1);
        cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
        cr_assert_eq(state.size, 9u);
        (void)r->calls->publish(&r->q);
        cr_assert_eq(r->calls->save(&r->q, &state), 0);
        cr_assert(state.format == (uint32_t)VIRTQ_FORMAT_PACKED && state.size == 7);
        cr_assert_eq(state.available, 0 | 0x8000);
        cr_assert_eq(state.used, 0 | 0x8000);
        cr_assert_eq(virtq_state_to_base(&state), 0x80008000u);
    }
}

DeviceTest(packed_device_state, p14_a_state_saved_with_buffers_waiting_goes_on_with_the_next_one)
{
    for (unsigned i = 1; i < MEMORY_SIZES; i++) {
        const uint32_t size = memory_sizes[i];
        struct virtq_state state;
        uint32_t base;

        rig_open_at(r, size, MEMORY_BASIC, (uint16_t)(size - 1));
        rig_pass(r, 1);
        rig_offer(r, 0, 8);
        rig_offer(r, 1, 8);
        (void)rig_pop_one(r);
        rig_return(r, 0, 3, 1);
        cr_assert_eq(r->calls->save(&r->q, &state), 0);
        base = virtq_state_to_base(&state);
        cr_assert_eq(base, place_word(r->used) * 0x10001u);
        /* Another device takes over; it has the ring and the base. */
        memset(r->memory, 0x5a, r->memory_size);
        cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
        cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_PACKED, size, base, &state), 0);
        cr_assert_eq(r->calls->restore(&r->q, &state), 0);
        cr_assert_eq(rig_pop_one(r)->id, 1);
        rig_return(r, 1, 4, 1);
        cr_assert_eq(rig_pop(r, 1), 0);
        rig_pass(r, 5);
    }
}

DeviceTest(packed_device_state, p14_available_and_used_go_on_with_wrap_counters_of_their_own)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        /* `lost` descriptors were taken by a device that is no more, the used place behind them. */
        for (uint32_t lost = 0; lost <= size; lost += size / 3 + 1) {
            for (unsigned start = 0; start < 2; start++) {
                const struct place used = place_of((size - 1) | start << 15);
                const uint32_t left = size - lost;
                struct virtq_state state;
                uint32_t base;

                rig_prepare(r, size, MEMORY_BASIC, place_word(used));
                r->avail = place_after(used, size, lost);
                base = (uint32_t)place_word(used) << 16 | place_word(r->avail);
                cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_PACKED, size, base, &state), 0);
                cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
                cr_assert_eq(r->calls->restore(&r->q, &state), 0);
                if (left != 0) {
                    rig_offer_list(r, 0, left - 1, 1);
                    rig_expect_list(r, rig_pop_one(r), 0, left - 1, 1);
                    rig_return(r, 0, 1, left);
                }
                /* No more than the ring has: the lost ones are still in flight. */
                cr_assert_eq(rig_pop(r, 1), 0);
            }
        }
    }
}

DeviceTest(packed_device_state, p14_a_state_that_does_not_fit_is_refused)
{
    static const struct virtq_state bad[] = {
        {VIRTQ_FORMAT_SPLIT, 7, 1, 1, 0},
        {VIRTQ_FORMAT_PACKED, 8, 1, 1, 0},
        {VIRTQ_FORMAT_PACKED, 0, 0, 0, 0},
        {VIRTQ_FORMAT_PACKED, 7, 7, 6, 0},
        {VIRTQ_FORMAT_PACKED, 7, 0x8007, 0x8006, 0},
        {VIRTQ_FORMAT_PACKED, 7, 0x8000, 7, 0},
        /* The used place before the available one, or more than a lap behind it. */
        {VIRTQ_FORMAT_PACKED, 7, 2, 3, 0},
        {VIRTQ_FORMAT_PACKED, 7, 0x8003, 2, 0},
        {7, 7, 1, 1, 0},
    };
    const struct virtq_state good = {VIRTQ_FORMAT_PACKED, 7, 0x8002, 2, 0};
    struct wire_image before;

    rig_open(r, 7, MEMORY_BASIC);
    rig_pass(r, 3);
    wire_keep(r->w, &before);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(r->calls->restore(&r->q, &bad[i]), VIRTQ_EINVAL);
    }
    cr_assert(wire_same(r->w, &before));
    rig_pass(r, 9);
    rig_offer(r, 0, 8);
    (void)rig_pop_one(r);
    cr_assert_eq(r->calls->restore(&r->q, &good), VIRTQ_EBUSY);
    rig_return(r, 0, 8, 1);
    cr_assert_eq(r->calls->restore(&r->q, &good), 0);
}

/* ---- P14: the base itself ---- */

Test(packed_state, p14_a_vhost_base_is_two_offsets_each_with_its_wrap_bit)
{
    static const uint32_t sizes[] = {1, 2, 7, 300, 32768};

    for (unsigned i = 0; i < 5; i++) {
        for (uint32_t at = 0; at < 2 * sizes[i]; at += sizes[i] / 5 + 1) {
            for (uint32_t behind = 0; behind <= sizes[i]; behind += sizes[i] / 5 + 1) {
                const struct place used = place_after(place_start(), sizes[i], at);
                const struct place avail = place_after(used, sizes[i], behind);
                const uint32_t base = avail.offset | (avail.wrap ? UINT32_C(1) << 15 : 0) |
                                      used.offset << 16 | (used.wrap ? UINT32_C(1) << 31 : 0);
                struct virtq_state state;

                cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_PACKED, sizes[i], base, &state), 0);
                /* Neither wrap bit leaks into an offset, nor into the other half. */
                cr_assert_eq(state.available, place_word(avail));
                cr_assert_eq(state.used, place_word(used));
                cr_assert_eq(virtq_state_validate(&state), 0);
                cr_assert_eq(virtq_state_to_base(&state), base);
            }
        }
    }
}

Test(packed_state, p14_a_base_that_cannot_be_is_refused)
{
    static const struct {
        uint32_t size;
        uint32_t base;
    } bad[] = {
        {7, 7},           {7, 7u << 16},           {7, 0x8007}, {7, 0x80070000u}, {7, 0x7fff7fffu},
        {7, 0x00030002u}, {7, 0x8003u | 2u << 16}, {0, 0},      {32769, 0},       {1, 0x00010001u}};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct virtq_state state = {1, 2, 3, 4, 5};

        cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_PACKED, bad[i].size, bad[i].base, &state),
                     VIRTQ_EINVAL);
        cr_assert(state.format == 1 && state.size == 2 && state.available == 3 && state.used == 4);
    }
}

/* ---- A1 ---- */

DeviceTest(packed_device_state, a1_a_translated_ring_is_found_through_the_space)
{
    rig_prepare(r, 7, MEMORY_TABLES | VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM), 0x8000);
    r->config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    r->config.areas = (struct virtq_areas){NULL, NULL, NULL};
    r->config.addresses = (struct virtq_area_addresses){memory_addr(&r->m, r->w->desc),
                                                        memory_addr(&r->m, r->w->driver),
                                                        memory_addr(&r->m, r->w->device)};
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    rig_entry(r, 0, 0, 77, 5, 0);
    rig_table(r, 0, 0, 16, 0);
    rig_expect_piece(r, rig_pop_one(r), 0, 77, 5);
    rig_return(r, 0, 0, 1);
    rig_pass(r, 20);
    r->calls->disable_notify(&r->q);
    cr_assert_eq(wire_event(r->w->device).flags, (unsigned)WIRE_DISABLE);
    /* Each area must be granted to its last byte. */
    for (unsigned area = 0; area < 3; area++) {
        struct virtq_device_config bad = r->config;
        uint64_t *const to[3] = {&bad.addresses.descriptor, &bad.addresses.driver,
                                 &bad.addresses.device};

        *to[area] = r->m.region.last + 1 - (area == 0 ? 96 : 0);
        cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &bad), VIRTQ_EFAULT);
        *to[area] = MEMORY_FIRST - 4096;
        cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &bad), VIRTQ_EFAULT);
    }
    r->config.flags = 0;
}

DeviceTest(packed_device_state, a1_data_outside_the_space_makes_the_buffer_bad)
{
    rig_open(r, 7, MEMORY_BASIC);
    for (unsigned write = 0; write <= (unsigned)WIRE_WRITE; write += (unsigned)WIRE_WRITE) {
        const uint64_t bad[4] = {0, MEMORY_FIRST - 1, r->m.region.last, UINT64_MAX};

        for (unsigned i = 0; i < 4; i++) {
            const uint32_t at = r->avail.offset;

            rig_put(r, 0, 2, 1, write);
            wire_put(wire_at(r->w, at), 8, bad[i]);
            rig_expect_bad(r, VIRTQ_REASON_ADDRESS, 1);
        }
        /* To the last byte it is granted; and an empty element is nowhere. */
        rig_put(r, (uint32_t)(r->m.size - 1), 1, RIG_NO_ID, write | (unsigned)WIRE_NEXT);
        rig_put(r, (uint32_t)r->m.size, 0, 1, write);
        cr_assert_eq(rig_pop_one(r)->readable_bytes + r->chains[0].writable_bytes, 1u);
        rig_return(r, 1, 0, 2);
    }
}
