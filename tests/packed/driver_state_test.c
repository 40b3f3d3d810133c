/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed queue is reset, resized, moved: R1, R2, A1, P14. */
#include "driver_rig.h"

/** @brief The queue is as after its initialisation. */
static void expect_fresh(struct driver_rig *r)
{
    r->avail = place_start();
    r->used = place_start();
    for (uint32_t at = 0; at < r->w->size * WIRE_DESC; at++) {
        cr_assert_eq(r->w->desc[at], 0);
    }
    cr_assert_eq(wire_get(r->w->driver, 4), 0u);
    cr_assert_eq(wire_get(r->w->device, 4), 0u);
    cr_assert_eq(rig_room(r), r->w->size);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert_eq(rig_poll_none(r), 0);
    cr_assert(!r->calls->needs_notify(&r->q, NULL));
    /* Both wrap counters are 1. */
    rig_pass(r, 2 * r->w->size + 1);
}

/* ---- R1: reset ---- */

DriverTest(packed_driver_state, r1_a_reset_waits_until_every_buffer_came_back)
{
    unsigned back = 0;
    void *cookie = NULL;
    struct wire_image before;

    rig_open_at(r, 7, MEMORY_EVENTS, 5);
    rig_use(r, rig_send(r, 2, 1, 0), 1, 3);
    (void)rig_send(r, 1, 1, 1);
    rig_add(r, 1, 0, 2);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 0u);
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->reset(&r->q), VIRTQ_EBUSY);
    while (r->calls->detach(&r->q, &cookie) == 1) {
        cr_assert_eq(back & 1u << (uintptr_t)cookie, 0u);
        back |= 1u << (uintptr_t)cookie;
    }
    /* What was shown and what was not, each once. */
    cr_assert_eq(back, 6u);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 0);
    /* The ring still shows them to the device: nothing may be added, and nothing was written. */
    cr_assert_eq(rig_try(r, 1, 0, 9), VIRTQ_EFULL);
    cr_assert_eq(r->calls->publish(&r->q), 0u);
    cr_assert(wire_same(r->w, &before));
    cr_assert_eq(r->calls->reset(&r->q), 0);
    expect_fresh(r);
}

DriverTest(packed_driver_state, r1_a_reset_puts_wrap_counters_suppression_and_faults_to_their_start)
{
    void *cookie;

    rig_open_at(r, 3, MEMORY_EVENTS, 1);
    rig_pass(r, 1);
    r->calls->disable_notify(&r->q);
    (void)rig_send(r, 1, 0, 1);
    rig_use(r, 0xffff, 0, 1);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    cr_assert_eq(r->calls->reset(&r->q), VIRTQ_EBUSY);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 1);
    cr_assert_eq((uintptr_t)cookie, 1u);
    cr_assert_eq(r->calls->reset(&r->q), 0);
    expect_fresh(r);
    /* It is not thought to be switched off still. */
    r->calls->disable_notify(&r->q);
    cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_DISABLE);
}

/* ---- R2: resize ---- */

DriverTest(packed_driver_state, r2_a_queue_can_go_on_with_another_size_and_elsewhere)
{
    static const uint32_t sizes[] = {16, 1, 7, 3};

    rig_open(r, 16, MEMORY_TABLES);
    for (unsigned i = 0; i < 4; i++) {
        struct virtq_driver_config config = r->config;
        struct virtq_area_addresses addresses;
        uint16_t id;

        config.size = sizes[i];
        config.areas.descriptor = r->m.wire.desc + 16;
        config.areas.driver = r->m.wire.driver + 4;
        config.areas.device = r->m.wire.device + 4;
        id = rig_send(r, 1, 0, 1);
        cr_assert_eq(r->calls->resize(&r->q, &config), VIRTQ_EBUSY);
        rig_use(r, id, 0, 1);
        (void)rig_poll(r);
        cr_assert_eq(r->calls->resize(&r->q, &config), 0);
        r->w->desc += 16;
        r->w->driver += 4;
        r->w->device += 4;
        r->w->size = sizes[i];
        r->config = config;
        expect_fresh(r);
        if (r->calls->core != NULL) {
            addresses = r->calls->core(&r->q)->addresses;
        } else {
            virtq_driver_addresses(r->q.library, &addresses);
        }
        cr_assert_eq(addresses.descriptor, memory_addr(&r->m, r->w->desc));
        cr_assert_eq(addresses.driver, memory_addr(&r->m, r->w->driver));
        cr_assert_eq(addresses.device, memory_addr(&r->m, r->w->device));
    }
}

DriverTest(packed_driver_state, r2_a_resize_that_fails_leaves_the_old_queue_usable)
{
    static const int expected[5] = {VIRTQ_EINVAL, VIRTQ_ENOMEM, VIRTQ_EINVAL, VIRTQ_EINVAL,
                                    VIRTQ_EFAULT};
    struct virtq_driver_config bad[5];
    struct virtq_direct other;
    unsigned char *outside = aligned_alloc(4096, 4096);
    struct wire_image before;

    cr_assert_not_null(outside);
    rig_open_at(r, 7, MEMORY_BASIC, 5);
    rig_pass(r, 3);
    for (unsigned i = 0; i < 5; i++) {
        bad[i] = r->config;
    }
    other = r->m.direct;
    bad[0].size = 32769;
    bad[1].size = 4096;
    bad[2].areas.device = r->m.wire.device + 2;
    bad[3].space = &other.space;
    bad[4].areas.device = outside;
    for (unsigned i = 0; i < 5; i++) {
        wire_keep(r->w, &before);
        cr_assert_eq(r->calls->resize(&r->q, &bad[i]), expected[i]);
        cr_assert(wire_same(r->w, &before));
        /* It goes on where it was. */
        rig_pass(r, 9);
    }
    free(outside);
}

/* ---- Save and restore ---- */

DriverTest(packed_driver_state, a_state_is_saved_only_when_nothing_is_out)
{
    struct virtq_state state = {9, 9, 9, 9, 9};
    uint16_t id;

    rig_open_at(r, 7, MEMORY_BASIC, 6);
    rig_add(r, 1, 1, 1);
    cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    id = rig_expect_list(r, place_of(6));
    cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
    rig_use(r, id, 0, 2);
    cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
    cr_assert_eq(state.size, 9u);
    (void)rig_poll(r);
    cr_assert_eq(r->calls->save(&r->q, &state), 0);
    cr_assert(state.format == (uint32_t)VIRTQ_FORMAT_PACKED && state.size == 7);
    cr_assert_eq(state.available, 1 | 0x8000);
    cr_assert_eq(state.used, 1 | 0x8000);
    cr_assert_eq(state.reserved_, 0u);
}

DriverTest(packed_driver_state, p14_a_restored_queue_goes_on_at_its_offsets_and_wraps)
{
    for (unsigned i = 0; i < MEMORY_SIZES; i++) {
        const uint32_t size = memory_sizes[i];

        for (unsigned at = 0; at < 4; at++) {
            const uint16_t start = (uint16_t)((at % 2 == 0 ? 0 : size - 1) | at / 2 << 15);
            struct virtq_state state;

            /* With the counter at 0 and a ring of zeroes, nothing is taken for used. */
            rig_open_at(r, size, MEMORY_BASIC, start);
            cr_assert_eq(rig_poll_none(r), 0);
            cr_assert(!r->calls->enable_notify(&r->q, 1));
            rig_pass(r, 5);
            cr_assert_eq(r->calls->save(&r->q, &state), 0);
            cr_assert_eq(virtq_state_to_base(&state), place_word(r->avail) * 0x10001u);
            /* Into a fresh queue in other memory, by way of the base. */
            memset(r->memory, 0x5a, r->memory_size);
            cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
            cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_PACKED, size,
                                               place_word(r->avail) * 0x10001u, &state),
                         0);
            cr_assert_eq(r->calls->restore(&r->q, &state), 0);
            rig_pass(r, 5);
        }
    }
}

DriverTest(packed_driver_state, p14_a_state_that_does_not_fit_is_refused)
{
    static const struct virtq_state bad[] = {
        {VIRTQ_FORMAT_SPLIT, 7, 1, 1, 0},
        {VIRTQ_FORMAT_PACKED, 8, 1, 1, 0},
        {VIRTQ_FORMAT_PACKED, 0, 0, 0, 0},
        {VIRTQ_FORMAT_PACKED, 7, 7, 7, 0},
        {VIRTQ_FORMAT_PACKED, 7, 0x8007, 0x8007, 0},
        {VIRTQ_FORMAT_PACKED, 7, 2, 1, 0},
        {VIRTQ_FORMAT_PACKED, 7, 1, 0x8001, 0},
        {VIRTQ_FORMAT_PACKED, 7, 0x7fff, 0x7fff, 0},
        {5, 7, 1, 1, 0},
    };
    const struct virtq_state good = {VIRTQ_FORMAT_PACKED, 7, 6, 6, 0};
    struct wire_image before;

    rig_open(r, 7, MEMORY_EVENTS);
    rig_pass(r, 3);
    (void)r->calls->needs_notify(&r->q, NULL);
    wire_keep(r->w, &before);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(r->calls->restore(&r->q, &bad[i]), VIRTQ_EINVAL);
        cr_assert(wire_same(r->w, &before));
    }
    cr_assert(!r->calls->needs_notify(&r->q, NULL));
    rig_use(r, rig_send(r, 1, 0, 1), 0, 1);
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->restore(&r->q, &good), VIRTQ_EBUSY);
    cr_assert(wire_same(r->w, &before));
    (void)rig_poll(r);
    cr_assert_eq(r->calls->restore(&r->q, &good), 0);
    r->avail = r->used = place_of(6);
    rig_pass(r, 9);
}

/* ---- A1: everything goes through the space ---- */

DriverTest(packed_driver_state, a1_ring_tables_and_data_carry_the_addresses_of_the_space)
{
    struct virtq_area_addresses addresses;
    struct virtq_buffer buffer;
    struct wire_desc whole;

    rig_open(r, 8, MEMORY_TABLES | VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM));
    if (r->calls->core != NULL) {
        addresses = r->calls->core(&r->q)->addresses;
    } else {
        virtq_driver_addresses(r->q.library, &addresses);
    }
    cr_assert_eq(addresses.descriptor, memory_addr(&r->m, r->w->desc));
    cr_assert_eq(addresses.driver, memory_addr(&r->m, r->w->driver));
    cr_assert_eq(addresses.device, memory_addr(&r->m, r->w->device));
    (void)rig_send(r, 1, 1, 1);
    whole = wire_desc(r->w, place_start());
    cr_assert_eq(whole.addr, memory_addr(&r->m, r->m.tables));
    cr_assert_eq(wire_desc_of(r->m.tables).addr, memory_addr(&r->m, r->latest[0].base));
    /* An address that the caller mapped is passed on as it is. */
    buffer = rig_make(r, 1, 0, 2);
    buffer.flags = VIRTQ_BUFFER_PREMAPPED;
    r->latest[0].addr = UINT64_C(0xfedcba9876543210);
    cr_assert_eq(r->calls->add(&r->q, &buffer, 1), 1);
    cr_assert_eq(wire_desc_of(wire_at(r->w, 1)).addr, UINT64_C(0xfedcba9876543210));
}
