/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a split queue: reset, resize, suspend, save and restore, and a ring that goes
 * through the space: R1, R2, U1, A1. */
#include "device_rig.h"

/** @brief The driver starts its ring anew. */
static void clear(const struct device_rig *r)
{
    memset(r->w->desc, 0, wire_bytes(r->w, 0));
    memset(r->w->avail, 0, wire_bytes(r->w, 1));
    memset(r->w->used, 0, wire_bytes(r->w, 2));
}

/* ---- R1 ---- */

DeviceTest(split_device_state, r1_a_reset_touches_nothing_and_forgets_everything)
{
    const uint64_t features[3] = {MEMORY_BASIC, MEMORY_EVENTS, MEMORY_ORDERED};

    for (unsigned f = 0; f < 3; f++) {
        struct wire_image before;

        rig_open_at(r, 8, features[f], 4242);
        for (unsigned k = 0; k < 5; k++) {
            rig_offer(r, k, 8);
        }
        cr_assert_eq(rig_pop(r, 4), 4);
        r->calls->disable_notify(&r->q);
        cr_assert_eq(rig_push(r, 0, 8), 1);
        cr_assert_eq(rig_push(r, 2, 8), 1);
        wire_keep(r->w, &before);
        r->calls->reset(&r->q);
        cr_assert(wire_same_all(r->w, &before));
        /* Nothing of before can be given back, and there is nothing to tell. */
        cr_assert_eq(rig_outstanding(r), 0u);
        cr_assert_eq(rig_push(r, 1, 8), VIRTQ_EINVAL);
        cr_assert_eq(r->calls->publish(&r->q), 0);
        cr_assert_eq(r->calls->unpop(&r->q, r->chains + 3, 1), VIRTQ_EINVAL);
        cr_assert(wire_same_all(r->w, &before));
        clear(r);
        cr_assert_eq(rig_pop(r, 4), 0);
        rig_pass(r, 9);
        cr_assert_eq(wire_used_idx(r->w), 9);
        cr_assert_eq(wire_used_id(r->w, 0), 0u);
        r->calls->disable_notify(&r->q);
        cr_assert_eq(wire_used_flags(r->w), f == 1 ? 0 : 1);
    }
}

DeviceTest(split_device_state, r1_a_reset_clears_a_fault)
{
    rig_open(r, 8, MEMORY_BASIC);
    wire_offer(r->w, 99);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_HEAD, 99);
    r->calls->reset(&r->q);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
    clear(r);
    rig_pass(r, 3);
}

/* ---- R2: the library's own word; the inline tier builds anew ---- */

DeviceTest(split_device_state, r2_a_queue_can_go_on_smaller_and_elsewhere)
{
    struct virtq_device_config config;
    struct wire_image before;

    if (r->calls->core != NULL) {
        return;
    }
    rig_open(r, 16, MEMORY_BASIC);
    rig_pass(r, 3);
    config = r->config;
    wire_keep(r->w, &before);
    config.size = 12;
    cr_assert_eq(virtq_device_resize(r->q.library, &config), VIRTQ_EINVAL);
    config.size = 4096;
    cr_assert_eq(virtq_device_resize(r->q.library, &config), VIRTQ_ENOMEM);
    config = r->config;
    config.areas.device = r->w->used + 2;
    cr_assert_eq(virtq_device_resize(r->q.library, &config), VIRTQ_EINVAL);
    config = r->config;
    config.format = VIRTQ_FORMAT_PACKED;
    config.features |= VIRTQ_FEATURE(VIRTIO_F_RING_PACKED);
    cr_assert_eq(virtq_device_resize(r->q.library, &config), VIRTQ_EINVAL);
    cr_assert(wire_same_all(r->w, &before));
    /* The old queue is as it was. */
    rig_pass(r, 3);
    cr_assert_eq(wire_used_idx(r->w), 6);
    config = r->config;
    config.size = 4;
    config.areas.driver = r->w->avail + 4;
    cr_assert_eq(virtq_device_resize(r->q.library, &config), 0);
    r->w->avail += 4;
    r->w->size = 4;
    clear(r);
    rig_pass(r, 6);
    cr_assert_eq(wire_used_idx(r->w), 6);
    cr_assert_eq(wire_used_id(r->w, 5), 1u);
}

/* ---- U1 ---- */

DeviceTest(split_device_state, u1_a_quiesced_queue_takes_nothing_and_completes_what_it_started)
{
    struct wire_image before;

    rig_open_at(r, 8, MEMORY_BASIC, 65534);
    for (unsigned k = 0; k < 5; k++) {
        rig_offer(r, k, 8);
    }
    cr_assert_eq(rig_pop(r, 2), 2);
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->quiesce(&r->q), 2u);
    cr_assert_eq(rig_pop(r, 8), 0);
    /* It does not ask to be told of what it would not take. */
    cr_assert(!r->calls->enable_notify(&r->q));
    cr_assert(wire_same_all(r->w, &before));
    rig_return(r, 1, 8);
    cr_assert_eq(r->calls->quiesce(&r->q), 1u);
    rig_return(r, 0, 8);
    cr_assert_eq(r->calls->quiesce(&r->q), 0u);
    cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    /* Drained: no access of any kind, whatever the driver does meanwhile. */
    wire_keep(r->w, &before);
    wire_put(r->w->avail + 2, 2, 40000, false);
    cr_assert_eq(rig_pop(r, 8), 0);
    cr_assert_eq(r->calls->publish(&r->q), 0);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
    wire_put(r->w->avail + 2, 2, 65534 + 5, false);
    cr_assert(wire_same_all(r->w, &before));
    r->calls->resume(&r->q);
    cr_assert_eq(rig_pop(r, 8), 3);
    cr_assert_eq(r->chains[0].id, 2);
}

/* ---- Save and restore ---- */

DeviceTest(split_device_state, a_state_is_saved_only_when_all_is_shown)
{
    struct virtq_state state = {9, 9, 9, 9, 9};

    for (unsigned ordered = 0; ordered < 2; ordered++) {
        rig_open_at(r, 8, ordered != 0 ? MEMORY_ORDERED : MEMORY_BASIC, 65535);
        rig_offer(r, 0, 8);
        rig_offer(r, 1, 8);
        cr_assert_eq(rig_pop(r, 2), 2);
        state.size = 9;
        cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
        cr_assert_eq(rig_push(r, 1, 8), 1);
        (void)r->calls->publish(&r->q);
        cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
        cr_assert_eq(rig_push(r, 0, 8), 1);
        cr_assert_eq(r->calls->save(&r->q, &state), VIRTQ_EBUSY);
        cr_assert_eq(state.size, 9u);
        (void)r->calls->publish(&r->q);
        cr_assert_eq(r->calls->save(&r->q, &state), 0);
        cr_assert(state.format == (uint32_t)VIRTQ_FORMAT_SPLIT && state.size == 8);
        cr_assert_eq(state.available, 1);
        cr_assert_eq(state.used, 1);
        cr_assert_eq(virtq_state_to_base(&state), 1u);
    }
}

DeviceTest(split_device_state, a_state_saved_with_buffers_waiting_goes_on_with_the_next_one)
{
    struct virtq_state state;
    uint32_t base;

    rig_open_at(r, 8, MEMORY_EVENTS, 65533);
    for (unsigned k = 0; k < 6; k++) {
        rig_offer(r, k, 8);
    }
    for (unsigned k = 0; k < 4; k++) {
        rig_return(r, rig_pop_one(r)->id, k);
    }
    cr_assert_eq(r->calls->save(&r->q, &state), 0);
    base = virtq_state_to_base(&state);
    cr_assert_eq(base, (65533u + 4) & 0xffff);
    /* Another device takes over; it has the ring and the base. */
    memset(r->memory, 0x5a, r->memory_size);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_SPLIT, 8, base, &state), 0);
    cr_assert_eq(state.used, wire_used_idx(r->w));
    cr_assert_eq(r->calls->restore(&r->q, &state), 0);
    for (unsigned k = 4; k < 6; k++) {
        cr_assert_eq(rig_pop_one(r)->id, k);
        rig_return(r, k, k);
        cr_assert_eq(wire_used_id(r->w, 65533 + k), k);
    }
    cr_assert_eq(wire_used_idx(r->w), (65533 + 6) & 0xffff);
    cr_assert_eq(rig_pop(r, 1), 0);
}

DeviceTest(split_device_state, a_state_with_buffers_lost_in_flight_goes_on_in_used_order)
{
    /* 3 were taken by a device that is no more, and only one of them was used. */
    const struct virtq_state state = {VIRTQ_FORMAT_SPLIT, 4, 2, 0, 0};

    rig_prepare(r, 4, MEMORY_BASIC, 65535);
    for (unsigned k = 0; k < 4; k++) {
        rig_offer(r, k, 8);
    }
    wire_use(r->w, 1, 0);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    cr_assert_eq(r->calls->restore(&r->q, &state), 0);
    cr_assert_eq(rig_pop_one(r)->id, 3);
    rig_return(r, 3, 1);
    cr_assert_eq(wire_used_idx(r->w), 1);
    cr_assert_eq(wire_used_id(r->w, 0), 3u);
    cr_assert_eq(wire_used_id(r->w, 65535), 1u);
}

DeviceTest(split_device_state, a_state_that_does_not_fit_is_refused)
{
    static const struct virtq_state bad[] = {
        {VIRTQ_FORMAT_PACKED, 4, 1, 1, 0},
        {VIRTQ_FORMAT_SPLIT, 8, 1, 1, 0},
        {VIRTQ_FORMAT_SPLIT, 0, 1, 1, 0},
        {VIRTQ_FORMAT_SPLIT, 4, 6, 1, 0},
        {VIRTQ_FORMAT_SPLIT, 4, 1, 2, 0},
        {VIRTQ_FORMAT_SPLIT, 4, 0, 65531, 0},
        {7, 4, 1, 1, 0},
    };
    const struct virtq_state good = {VIRTQ_FORMAT_SPLIT, 4, 5, 1, 0};

    rig_open(r, 4, MEMORY_BASIC);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(r->calls->restore(&r->q, &bad[i]), VIRTQ_EINVAL);
    }
    rig_offer(r, 0, 8);
    (void)rig_pop_one(r);
    cr_assert_eq(r->calls->restore(&r->q, &good), VIRTQ_EBUSY);
    rig_return(r, 0, 8);
    cr_assert_eq(wire_used_idx(r->w), 1);
    cr_assert_eq(r->calls->restore(&r->q, &good), 0);
}

/* ---- A1 ---- */

DeviceTest(split_device_state, a1_a_translated_ring_is_found_through_the_space)
{
    rig_prepare(r, 8, MEMORY_TABLES | VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM), 0);
    r->config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    r->config.areas = (struct virtq_areas){NULL, NULL, NULL};
    r->config.addresses = (struct virtq_area_addresses){memory_addr(&r->m, r->w->desc),
                                                        memory_addr(&r->m, r->w->avail),
                                                        memory_addr(&r->m, r->w->used)};
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    rig_entry(r, 0, 0, 77, 5, 0, 0);
    rig_table(r, 0, 0, 16, 0);
    wire_offer(r->w, 0);
    rig_expect_piece(r, rig_pop_one(r), 0, 77, 5);
    rig_return(r, 0, 0);
    rig_pass(r, 20);
    cr_assert_eq(wire_used_idx(r->w), 21);
    /* Each area must be granted, with what is done there, to its last byte. */
    for (unsigned area = 0; area < 3; area++) {
        struct virtq_device_config bad = r->config;
        uint64_t *const to[3] = {&bad.addresses.descriptor, &bad.addresses.driver,
                                 &bad.addresses.device};

        *to[area] = r->m.region.last + 1 - 16;
        cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &bad), VIRTQ_EFAULT);
        *to[area] = MEMORY_FIRST - 4096;
        cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &bad), VIRTQ_EFAULT);
    }
}

DeviceTest(split_device_state, a1_data_outside_the_space_makes_the_buffer_bad)
{
    const uint64_t last = UINT64_MAX;

    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned write = 0; write <= (unsigned)WIRE_WRITE; write += (unsigned)WIRE_WRITE) {
        const uint64_t bad[4] = {0, MEMORY_FIRST - 1, r->m.region.last, last};

        for (unsigned i = 0; i < 4; i++) {
            wire_desc_put(r->w->desc, false, bad[i], 2, write, 0);
            wire_offer(r->w, 0);
            rig_expect_bad(r, VIRTQ_REASON_ADDRESS);
        }
        /* To the last byte it is granted; and an empty element is nowhere. */
        wire_desc_put(r->w->desc, false, r->m.region.last, 1, write | (unsigned)WIRE_NEXT, 1);
        wire_desc_put(r->w->desc + 16, false, last, 0, write, 0);
        wire_offer(r->w, 0);
        cr_assert_eq(rig_pop_one(r)->readable_bytes + r->chains[0].writable_bytes, 1u);
        rig_return(r, 0, 0);
    }
}
