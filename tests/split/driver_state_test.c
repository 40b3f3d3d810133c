/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a split queue: reset, resize, save and restore, and a ring that goes through
 * the space: R1, R2, A1. */
#include "driver_rig.h"

static void expect_fresh(struct driver_rig *r)
{
    for (unsigned area = 0; area < 3; area++) {
        const unsigned char *const at[3] = {r->w->desc, r->w->avail, r->w->used};

        for (size_t i = 0; i < wire_bytes(r->w, area); i++) {
            cr_assert_eq(at[area][i], 0);
        }
    }
    cr_assert_eq(rig_room(r), r->w->size);
    cr_assert_eq(rig_outstanding(r), 0u);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
    /* All of it can be used at once. */
    for (uint32_t i = 0; i < r->w->size; i++) {
        cr_assert_eq(rig_send(r, i), i);
        cr_assert_eq(wire_avail_idx(r->w), i + 1);
    }
    cr_assert_eq(rig_room(r), 0u);
}

/* ---- R1: reset ---- */

DriverTest(split_driver_state, r1_a_reset_waits_until_every_buffer_came_back)
{
    struct wire_image before;
    unsigned back = 0;
    void *cookie;

    rig_open(r, 8, MEMORY_EVENTS);
    for (unsigned i = 0; i < 3; i++) {
        rig_add(r, 1, 1, i);
    }
    cr_assert_eq(r->calls->publish(&r->q), 3u);
    rig_add(r, 1, 0, 3);
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->reset(&r->q), VIRTQ_EBUSY);
    cr_assert(wire_same_all(r->w, &before));
    while (r->calls->detach(&r->q, &cookie) == 1) {
        back |= 1u << (uintptr_t)cookie;
        /* The ring is the device's still. */
        cr_assert(wire_same_all(r->w, &before));
    }
    cr_assert_eq(back, 0xfu);
    cr_assert_eq(r->calls->reset(&r->q), 0);
    expect_fresh(r);
}

DriverTest(split_driver_state, r1_between_detach_and_reset_nothing_can_be_added)
{
    void *cookie;

    rig_open(r, 8, MEMORY_BASIC);
    (void)rig_send(r, 1);
    (void)rig_send(r, 2);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 1);
    cr_assert_eq(rig_try(r, 1, 0, 3), VIRTQ_EFULL);
    cr_assert_eq(r->calls->publish(&r->q), 0u);
    cr_assert_eq(r->calls->reset(&r->q), VIRTQ_EBUSY);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 1);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 0);
    cr_assert_eq(r->calls->reset(&r->q), 0);
    expect_fresh(r);
}

DriverTest(split_driver_state, r1_between_detach_and_reset_nothing_comes_back_otherwise)
{
    void *cookie;
    uint16_t heads[3];

    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned i = 0; i < 3; i++) {
        heads[i] = rig_send(r, i);
    }
    wire_use(r->w, heads[1], 0);
    wire_use(r->w, heads[2], 0);
    /* The second element has been seen by then, and not taken. */
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 1u);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 1);
    cr_assert_eq((uintptr_t)cookie, 0u);
    cr_assert_eq(rig_poll_none(r), 0);
    wire_use(r->w, heads[0], 0);
    cr_assert_eq(rig_poll_none(r), 0);
    cr_assert_eq(rig_room(r), 0u);
    cr_assert_eq(rig_outstanding(r), 0u);
    cr_assert_eq(rig_try(r, 1, 0, 3), VIRTQ_EFULL);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 1);
    cr_assert_eq((uintptr_t)cookie, 2u);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 0);
    cr_assert_eq(r->calls->reset(&r->q), 0);
    expect_fresh(r);
}

DriverTest(split_driver_state, r1_a_reset_puts_indices_suppression_and_faults_to_their_start)
{
    void *cookie;

    rig_open_at(r, 8, MEMORY_BASIC, 777);
    r->calls->disable_notify(&r->q);
    (void)rig_send(r, 1);
    wire_use(r->w, 99, 0);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, 777, 99);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 1);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    cr_assert_eq(r->calls->reset(&r->q), 0);
    cr_assert_eq(wire_avail_flags(r->w), 0);
    expect_fresh(r);
    wire_use(r->w, 0, 0);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 0u);
    /* It is not thought to be switched off still. */
    r->calls->disable_notify(&r->q);
    cr_assert_eq(wire_avail_flags(r->w), 1);
}

/* ---- R2: resize ---- */

DriverTest(split_driver_state, r2_a_queue_can_go_on_smaller_and_elsewhere)
{
    struct virtq_driver_config config;

    rig_open(r, 16, MEMORY_TABLES);
    config = r->config;
    config.size = 4;
    config.areas.descriptor = r->m.wire.desc + 64;
    config.areas.device = r->m.wire.used + 8;
    r->w->desc += 64;
    r->w->used += 8;
    (void)rig_send(r, 1);
    cr_assert_eq(r->calls->resize(&r->q, &config), VIRTQ_EBUSY);
    wire_put(r->w->used - 8 + 4, 4, 0, false);
    wire_put(r->w->used - 8 + 2, 2, 1, false);
    (void)rig_poll(r);
    cr_assert_eq(r->calls->resize(&r->q, &config), 0);
    r->w->size = 4;
    expect_fresh(r);
    cr_assert_eq(rig_try(r, 1, 0, 0), VIRTQ_EFULL);
    if (r->calls->core == NULL) {
        struct virtq_area_addresses addresses;

        virtq_driver_addresses(r->q.library, &addresses);
        cr_assert_eq(addresses.descriptor, memory_addr(&r->m, r->w->desc));
        cr_assert_eq(addresses.driver, memory_addr(&r->m, r->w->avail));
        cr_assert_eq(addresses.device, memory_addr(&r->m, r->w->used));
    }
}

DriverTest(split_driver_state, r2_a_resize_that_fails_leaves_the_old_queue_usable)
{
    struct virtq_driver_config bad[5];
    static const int expected[5] = {VIRTQ_EINVAL, VIRTQ_ENOMEM, VIRTQ_EINVAL, VIRTQ_EINVAL,
                                    VIRTQ_EFAULT};
    struct virtq_direct other = {0};
    unsigned char *outside = aligned_alloc(4096, 4096);
    struct wire_image before;
    unsigned tried = 0;

    cr_assert_not_null(outside);
    rig_open(r, 16, MEMORY_BASIC);
    cr_assert_eq(rig_send(r, 5), 0);
    wire_use(r->w, 0, 0);
    (void)rig_poll(r);
    for (unsigned i = 0; i < 5; i++) {
        bad[i] = r->config;
    }
    bad[0].size = 12;
    bad[1].size = 4096;
    bad[2].areas.device = r->m.wire.used + 1;
    bad[3].space = &other.space;
    other = r->m.direct;
    bad[4].areas.device = outside;
    wire_keep(r->w, &before);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(r->calls->resize(&r->q, &bad[i]), expected[i]);
        cr_assert(wire_same_all(r->w, &before));
        /* It goes on where it was. */
        (void)rig_send(r, 100 + i);
        cr_assert_eq(wire_avail_idx(r->w), 2 + i);
        wire_use(r->w, wire_avail_head(r->w, 1 + i), 0);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, 100u + i);
        wire_keep(r->w, &before);
        tried++;
    }
    cr_assert_eq(tried, 5u);
    free(outside);
}

/* ---- Save and restore ---- */

DriverTest(split_driver_state, a_state_is_saved_only_when_nothing_is_out)
{
    struct virtq_state state = {9, 9, 9, 9, 9};

    rig_open_at(r, 4, MEMORY_BASIC, 65534);
    rig_add(r, 1, 0, 1);
    cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
    cr_assert(state.format == 9 && state.size == 9 && state.available == 9 && state.used == 9);
    wire_use(r->w, wire_avail_head(r->w, 65534), 0);
    (void)rig_poll(r);
    cr_assert_eq(r->calls->save(&r->q, &state), 0);
    cr_assert_eq(state.format, (uint32_t)VIRTQ_FORMAT_SPLIT);
    cr_assert_eq(state.size, 4u);
    cr_assert_eq(state.available, 65535);
    cr_assert_eq(state.used, 65535);
    cr_assert_eq(state.reserved_, 0u);
}

DriverTest(split_driver_state, a_restored_queue_writes_its_position_and_goes_on)
{
    static const uint16_t starts[] = {0, 1, 5, 0x7fff, 0xffff};

    for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct virtq_state state = {VIRTQ_FORMAT_SPLIT, 4, starts[i], starts[i], 0};
        uint16_t head;

        rig_open(r, 4, MEMORY_EVENTS);
        cr_assert_eq(r->calls->restore(&r->q, &state), 0);
        cr_assert_eq(wire_avail_idx(r->w), starts[i]);
        cr_assert_eq(wire_used_idx(r->w), starts[i]);
        cr_assert_eq(wire_avail_flags(r->w), 0);
        cr_assert_eq(wire_used_flags(r->w), 0);
        cr_assert_eq(rig_poll_none(r), 0);
        head = rig_send(r, 42);
        cr_assert_eq(wire_desc(r->w, head).len, 1u);
        cr_assert_eq(wire_avail_idx(r->w), (uint16_t)(starts[i] + 1));
        wire_use(r->w, head, 0);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, 42u);
        cr_assert_eq(r->calls->save(&r->q, &state), 0);
        cr_assert_eq(state.used, (uint16_t)(starts[i] + 1));
        cr_assert_eq(virtq_state_to_base(&state), (starts[i] + 1u) & 0xffff);
    }
}

DriverTest(split_driver_state, a_state_that_does_not_fit_is_refused)
{
    static const struct virtq_state bad[] = {
        {VIRTQ_FORMAT_PACKED, 4, 1, 1, 0}, {VIRTQ_FORMAT_SPLIT, 8, 1, 1, 0},
        {VIRTQ_FORMAT_SPLIT, 0, 1, 1, 0},  {VIRTQ_FORMAT_SPLIT, 4, 2, 1, 0},
        {VIRTQ_FORMAT_SPLIT, 4, 1, 2, 0},  {7, 4, 1, 1, 0},
    };
    const struct virtq_state good = {VIRTQ_FORMAT_SPLIT, 4, 9, 9, 0};
    struct wire_image before;

    rig_open(r, 4, MEMORY_BASIC);
    wire_keep(r->w, &before);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(r->calls->restore(&r->q, &bad[i]), VIRTQ_EINVAL);
        cr_assert(wire_same_all(r->w, &before));
    }
    (void)rig_send(r, 1);
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->restore(&r->q, &good), VIRTQ_EBUSY);
    cr_assert(wire_same_all(r->w, &before));
    wire_use(r->w, 0, 0);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 1u);
}

Test(split_driver_state, a_vhost_base_is_the_available_index)
{
    static const uint32_t bases[] = {0, 1, 255, 0x7fff, 0x8000, 0xffff};
    struct virtq_state state = {9, 9, 9, 9, 9};

    cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_SPLIT, 256, 0x10000, &state), VIRTQ_EINVAL);
    cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_SPLIT, 256, 0x80000001u, &state), VIRTQ_EINVAL);
    cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_SPLIT, 300, 1, &state), VIRTQ_EINVAL);
    cr_assert_eq(state.size, 9u);
    for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_SPLIT, 256, bases[i], &state), 0);
        cr_assert_eq(state.available, bases[i]);
        cr_assert_eq(state.used, bases[i]);
        /* The ring's own word may be behind, by what is in flight: as far as the queue is long. */
        state.used = (uint16_t)(bases[i] - 256);
        cr_assert_eq(virtq_state_validate(&state), 0);
        cr_assert_eq(virtq_state_to_base(&state), bases[i]);
        state.used = (uint16_t)(bases[i] - 257);
        cr_assert_eq(virtq_state_validate(&state), VIRTQ_EINVAL);
        state.used = (uint16_t)(bases[i] + 1);
        cr_assert_eq(virtq_state_validate(&state), VIRTQ_EINVAL);
    }
}

/* ---- A1: everything goes through the space ---- */

DriverTest(split_driver_state, a1_ring_tables_and_data_carry_the_addresses_of_the_space)
{
    struct virtq_area_addresses addresses;
    struct wire_desc whole;
    struct rig_buffer b;

    rig_open(r, 8, MEMORY_TABLES | VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM));
    if (r->calls->core != NULL) {
        addresses = r->calls->core(&r->q)->addresses;
    } else {
        virtq_driver_addresses(r->q.library, &addresses);
    }
    cr_assert_eq(addresses.descriptor, memory_addr(&r->m, r->w->desc));
    cr_assert_eq(addresses.driver, memory_addr(&r->m, r->w->avail));
    cr_assert_eq(addresses.device, memory_addr(&r->m, r->w->used));
    cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b, 1, 1, 1), 1), 1);
    whole = wire_desc(r->w, 0);
    cr_assert_eq(whole.addr, memory_addr(&r->m, r->m.tables));
    cr_assert_eq(wire_desc_of(r->m.tables, false).addr, memory_addr(&r->m, b.segments[0].base));
    /* An address that the caller mapped is passed on as it is. */
    (void)rig_make(r, &b, 1, 0, 2);
    b.buffer.flags = VIRTQ_BUFFER_PREMAPPED;
    b.segments[0].addr = UINT64_C(0xfedcba9876543210);
    cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), 1);
    cr_assert_eq(wire_desc(r->w, 1).addr, UINT64_C(0xfedcba9876543210));
}
