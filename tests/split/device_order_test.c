/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a split queue with VIRTIO_F_IN_ORDER: I2, I4, I6. */
#include "device_rig.h"

/** @brief Offers buffers of 8 writable bytes in ring order and pops them. */
static void take(struct device_rig *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rig_offer(r, wire_avail_idx(r->w) % r->w->size, 8);
    }
    cr_assert_eq(rig_pop(r, count), (int)count);
}

DeviceTest(split_device_order, i2_one_element_stands_for_a_batch_at_the_slot_of_its_first)
{
    rig_open_at(r, 8, MEMORY_ORDERED, 65532);
    for (unsigned round = 0; round < 30; round++) {
        const unsigned count = 1 + round % 8;
        const uint16_t at = wire_used_idx(r->w);

        memset(r->w->used + 4, 0xee, (size_t)8 * 8);
        take(r, count);
        for (unsigned i = 0; i < count; i++) {
            cr_assert_eq(rig_push(r, r->chains[i].id, i + 1 == count ? 5 : 8), 1);
        }
        cr_assert_eq(wire_used_idx(r->w), at);
        cr_assert_eq(r->calls->publish(&r->q), (int)count);
        cr_assert_eq(wire_used_idx(r->w), (uint16_t)(at + count));
        /* The last one's id, and its length. */
        cr_assert_eq(wire_used_id(r->w, at), r->chains[count - 1].id);
        cr_assert_eq(wire_used_len(r->w, at), 5u);
        for (unsigned i = 1; i < count; i++) {
            cr_assert_eq(wire_used_id(r->w, at + i), 0xeeeeeeeeu);
            cr_assert_eq(wire_used_len(r->w, at + i), 0xeeeeeeeeu);
        }
    }
}

DeviceTest(split_device_order, i2_the_index_counts_buffers_not_descriptors)
{
    rig_open(r, 8, MEMORY_ORDERED);
    for (unsigned k = 0; k < 6; k += 3) {
        rig_desc(r, k, 0, 1, WIRE_NEXT, k + 1);
        rig_desc(r, k + 1, 0, 1, WIRE_NEXT, k + 2);
        rig_desc(r, k + 2, 0, 8, WIRE_WRITE, 0);
        wire_offer(r->w, k);
    }
    cr_assert_eq(rig_pop(r, 4), 2);
    cr_assert_eq(rig_push(r, 0, 8), 1);
    cr_assert_eq(rig_push(r, 3, 0), 1);
    cr_assert_eq(r->calls->publish(&r->q), 2);
    cr_assert_eq(wire_used_idx(r->w), 2);
    cr_assert_eq(wire_used_id(r->w, 0), 3u);
}

DeviceTest(split_device_order, i4_a_buffer_not_written_in_full_ends_its_batch)
{
    /* Lengths of 6 buffers of 8 bytes; the driver takes skipped ones for full. */
    static const uint32_t lengths[6] = {8, 3, 8, 8, 0, 8};

    rig_open_at(r, 8, MEMORY_ORDERED, 65534);
    memset(r->w->used + 4, 0xee, (size_t)8 * 8);
    take(r, 6);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(rig_push(r, r->chains[i].id, lengths[i]), 1);
    }
    cr_assert_eq(r->calls->publish(&r->q), 6);
    cr_assert_eq(wire_used_idx(r->w), 4);
    /* 0 and 1, then 2 to 4, then 5. */
    cr_assert_eq(wire_used_id(r->w, 65534), r->chains[1].id);
    cr_assert_eq(wire_used_len(r->w, 65534), 3u);
    cr_assert_eq(wire_used_id(r->w, 65535), 0xeeeeeeeeu);
    cr_assert_eq(wire_used_id(r->w, 65536), r->chains[4].id);
    cr_assert_eq(wire_used_len(r->w, 65536), 0u);
    cr_assert_eq(wire_used_id(r->w, 65537), 0xeeeeeeeeu);
    cr_assert_eq(wire_used_id(r->w, 65538), 0xeeeeeeeeu);
    cr_assert_eq(wire_used_id(r->w, 65539), r->chains[5].id);
    cr_assert_eq(wire_used_len(r->w, 65539), 8u);
}

DeviceTest(split_device_order, i4_a_bad_buffer_ends_its_batch)
{
    rig_open(r, 8, MEMORY_ORDERED);
    rig_offer(r, 0, 8);
    /* Bad: its writable part is not known, so it is given back with 0, which is all of nothing. */
    rig_desc(r, 1, 0, 8, (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE, 2);
    rig_desc(r, 2, 0, 8, 0, 0);
    wire_offer(r->w, 1);
    rig_desc(r, 3, 0, 8, WIRE_WRITE, 0);
    wire_offer(r->w, 3);
    cr_assert_eq(rig_pop(r, 3), 3);
    cr_assert_eq(r->chains[1].reason, (uint32_t)VIRTQ_REASON_ORDER);
    cr_assert_eq(rig_push(r, 0, 8), 1);
    cr_assert_eq(rig_push(r, 1, 0), 1);
    cr_assert_eq(rig_push(r, 3, 8), 1);
    cr_assert_eq(r->calls->publish(&r->q), 3);
    /* The driver would take it for 8 bytes written if it were skipped. */
    cr_assert_eq(wire_used_id(r->w, 0), 1u);
    cr_assert_eq(wire_used_len(r->w, 0), 0u);
    cr_assert_eq(wire_used_id(r->w, 2), 3u);
    cr_assert_eq(wire_used_idx(r->w), 3);
}

DeviceTest(split_device_order, i4_a_buffer_of_more_pieces_than_the_caller_has_ends_its_batch)
{
    /* Nothing is wrong with it: the bound is this device's own. */
    rig_open(r, 8, MEMORY_ORDERED);
    rig_desc(r, 0, 0, 4, (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE, 1);
    rig_desc(r, 1, 0, 4, WIRE_WRITE, 0);
    wire_offer(r->w, 0);
    rig_desc(r, 2, 0, 8, WIRE_WRITE, 0);
    wire_offer(r->w, 2);
    cr_assert_eq(r->calls->pop(&r->q, r->chains, 1, r->pieces, 1), 1);
    cr_assert_eq(r->chains[0].reason, (uint32_t)VIRTQ_REASON_PIECES);
    cr_assert_eq(r->calls->pop(&r->q, r->chains, 1, r->pieces, 1), 1);
    cr_assert_eq(rig_push(r, 0, 0), 1);
    cr_assert_eq(rig_push(r, 2, 8), 1);
    cr_assert_eq(r->calls->publish(&r->q), 2);
    /* Skipped, it would count as 8 bytes written. */
    cr_assert_eq(wire_used_id(r->w, 0), 0u);
    cr_assert_eq(wire_used_len(r->w, 0), 0u);
    cr_assert_eq(wire_used_id(r->w, 1), 2u);
}

DeviceTest(split_device_order, i6_what_is_pushed_early_is_held_back)
{
    struct wire_image before;

    rig_open(r, 8, MEMORY_ORDERED);
    take(r, 5);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_push(r, 3, 8), 1);
    cr_assert_eq(rig_push(r, 1, 2), 1);
    cr_assert_eq(r->calls->publish(&r->q), 0);
    cr_assert_eq(rig_push(r, 4, 7), 1);
    cr_assert_eq(r->calls->publish(&r->q), 0);
    cr_assert(wire_same_all(r->w, &before));
    cr_assert_eq(rig_outstanding(r), 2u);
    /* The oldest comes: it and the one after it are shown, not 3 and 4 behind the gap. */
    cr_assert_eq(rig_push(r, 0, 8), 1);
    cr_assert_eq(r->calls->publish(&r->q), 2);
    cr_assert_eq(wire_used_idx(r->w), 2);
    cr_assert_eq(wire_used_id(r->w, 0), 1u);
    cr_assert_eq(wire_used_len(r->w, 0), 2u);
    cr_assert_eq(rig_push(r, 2, 1), 1);
    cr_assert_eq(r->calls->publish(&r->q), 3);
    cr_assert_eq(wire_used_idx(r->w), 5);
    cr_assert_eq(wire_used_id(r->w, 2), 2u);
    cr_assert_eq(wire_used_id(r->w, 3), 4u);
    cr_assert_eq(wire_used_len(r->w, 3), 7u);
}

DeviceTest(split_device_order, i6_every_order_of_completion_reaches_the_driver_in_ring_order)
{
    rig_open_at(r, 4, MEMORY_ORDERED, 65535);
    for (unsigned order = 0; order < 256; order++) {
        const uint16_t at = wire_used_idx(r->w);
        unsigned done = 0;

        take(r, 4);
        /* Each of the 24 orders comes up, some more than once. */
        for (unsigned turn = 0; turn < 4; turn++) {
            unsigned pick = (order >> (turn * 2)) & 3;

            while ((done & 1u << pick) != 0) {
                pick = (pick + 1) % 4;
            }
            done |= 1u << pick;
            cr_assert_eq(rig_push(r, r->chains[pick].id, pick), 1);
            cr_assert_geq(r->calls->publish(&r->q), 0);
            /* The contiguous prefix, and no more. */
            cr_assert_eq((uint16_t)(wire_used_idx(r->w) - at), (done & 1) == 0   ? 0
                                                               : (done & 2) == 0 ? 1
                                                               : (done & 4) == 0 ? 2
                                                               : (done & 8) == 0 ? 3
                                                                                 : 4);
        }
        /* None was written in full, so none was skipped. */
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_eq(wire_used_id(r->w, at + i), r->chains[i].id);
            cr_assert_eq(wire_used_len(r->w, at + i), i);
        }
    }
}

DeviceTest(split_device_order, i6_a_buffer_that_is_held_back_was_pushed)
{
    struct wire_image before;

    rig_open(r, 8, MEMORY_ORDERED);
    take(r, 2);
    cr_assert_eq(rig_push(r, 1, 8), 1);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_push(r, 1, 8), VIRTQ_EINVAL);
    /* None of what is unpopped may have been pushed. */
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 1, 1), VIRTQ_EINVAL);
    cr_assert_eq(rig_outstanding(r), 1u);
    cr_assert(wire_same_all(r->w, &before));
    cr_assert_eq(rig_push(r, 0, 8), 1);
    cr_assert_eq(r->calls->publish(&r->q), 2);
    cr_assert_eq(wire_used_id(r->w, 0), 1u);
    cr_assert_eq(rig_pop(r, 1), 0);
}

DeviceTest(split_device_order, i6_what_was_unpopped_takes_its_place_again)
{
    rig_open_at(r, 4, MEMORY_ORDERED, 65533);
    for (unsigned n = 0; n < 30; n++) {
        const uint16_t at = wire_used_idx(r->w);

        take(r, 3);
        cr_assert_eq(r->calls->unpop(&r->q, r->chains + 1, 2), 0);
        cr_assert_eq(rig_push(r, r->chains[0].id, 1), 1);
        cr_assert_eq(rig_pop(r, 4), 2);
        cr_assert_eq(rig_push(r, r->chains[1].id, 3), 1);
        cr_assert_eq(rig_push(r, r->chains[0].id, 2), 1);
        cr_assert_eq(r->calls->publish(&r->q), 3);
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(wire_used_id(r->w, at + i), (uint16_t)(at + i) % 4);
            cr_assert_eq(wire_used_len(r->w, at + i), i + 1);
        }
    }
}
