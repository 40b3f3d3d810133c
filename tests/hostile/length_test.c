/* SPDX-License-Identifier: BSD-3-Clause */
/* A hostile device against our driver, both formats: used lengths, and memory that is scribbled
 * over. */
#include "device.h"
#include "support/random.h"

static const uint32_t lies[] = {17, 18, 0x7fffffff, 0x80000000, 0xffffffff};

Rogue(hostile_length, row_51_a_length_beyond_the_writable_part_is_clamped_and_counted)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct virtq_counters counters;

        rogue_open(r, packed != 0, 8, 0, 0);
        for (unsigned k = 0; k < 5; k++) {
            rogue_use(r, rogue_send(r, 1, 2), lies[k], 3);
            expect_back(r, r->sent, 16);
            rogue_use(r, rogue_send(r, 1, 2), 16, 3);
            expect_back(r, r->sent, 16);
            rogue_use(r, rogue_send(r, 1, 2), 15, 3);
            expect_back(r, r->sent, 15);
            rogue_use(r, rogue_send(r, 2, 0), 1, 2);
            expect_back(r, r->sent, 0);
        }
        virtq_driver_counters(r->driver, &counters);
        cr_assert_eq(counters.error_length, 10u);
    }
}

Rogue(hostile_length, row_52_the_same_breaks_a_strict_queue)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        for (unsigned k = 0; k < 5; k++) {
            rogue_open(r, packed != 0, 8, 0, VIRTQ_DRIVER_STRICT_LENGTH);
            rogue_use(r, rogue_send(r, 1, 2), 16, 3);
            expect_back(r, 1, 16);
            rogue_use(r, rogue_send(r, 1, 2), 0, 3);
            expect_back(r, 2, 0);
            rogue_use(r, rogue_send(r, 1, 2), lies[k], 3);
            expect_break(r, VIRTQ_REASON_QUEUE_LENGTH, packed != 0 ? 0x8006 : 2, lies[k]);
        }
    }
}

Rogue(hostile_length, row_51_in_order_the_last_of_a_batch_is_clamped_too)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        unsigned id;

        rogue_open(r, packed != 0, 8, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), 0);
        (void)rogue_send(r, 0, 1);
        id = rogue_send(r, 0, 1);
        rogue_use(r, id, 9, 2);
        if (packed == 0) {
            put16(r->ring[2].at + 2, 2);
        }
        expect_back(r, 1, 8);
        expect_back(r, 2, 8);
        rogue_open(r, packed != 0, 8, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), VIRTQ_DRIVER_STRICT_LENGTH);
        rogue_use(r, rogue_send(r, 0, 1), 9, 1);
        expect_break(r, VIRTQ_REASON_QUEUE_LENGTH, packed != 0 ? 0x8000 : 0, 9);
    }
}

Rogue(hostile_length, row_53_a_device_that_wrote_nothing_may_say_so)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        rogue_open(r, packed != 0, 8, 0, VIRTQ_DRIVER_STRICT_LENGTH);
        rogue_use(r, rogue_send(r, 0, 1), 0, 1);
        expect_back(r, 1, 0);
    }
}

/* Every byte that the device can write, but for what makes buffers come back. */
static void scribble(struct rogue *r, uint64_t *seed)
{
    const unsigned areas = r->packed ? 2 : 3;

    for (unsigned i = 0; i < areas; i++) {
        for (size_t k = 0; k < r->ring[i].size; k++) {
            bool used_ring = i == 2;
            bool flags = r->packed && i == 0 && k % 16 >= 14;

            if (!used_ring && !flags) {
                r->ring[i].at[k] = (unsigned char)random_next(seed);
            }
        }
    }
    for (size_t k = 0; k < r->tables.size; k++) {
        r->tables.at[k] = (unsigned char)random_next(seed);
    }
}

static void survive(struct rogue *r, bool packed, uint64_t features)
{
    const bool in_order = (features & VIRTQ_FEATURE(VIRTIO_F_IN_ORDER)) != 0;
    const bool tables = (features & VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC)) != 0;
    unsigned char available[64];
    uint64_t seed = 48;

    rogue_open(r, packed, 8, features, 0);
    for (unsigned lap = 0; lap < 300; lap++) {
        unsigned ids[4];

        for (unsigned k = 0; k < 4; k++) {
            ids[k] = rogue_send(r, 1, 1);
        }
        memcpy(available, r->ring[1].at, r->ring[1].size);
        scribble(r, &seed);
        for (unsigned k = 0; k < 4; k++) {
            unsigned which = in_order ? k : (k * 3 + lap) % 4;

            rogue_use(r, ids[which], k, tables ? 1 : 2);
            expect_back(r, lap * 4ul + which + 1, k);
        }
        /* Slots that are to hold the same head again are not stored to, and this test reads them.
         */
        memcpy(r->ring[1].at, available, r->ring[1].size);
    }
}

Rogue(hostile_length, row_48_descriptors_tables_and_the_available_ring_are_never_read_back)
{
    static const uint64_t features[] = {
        0, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC),
        VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | VIRTQ_FEATURE(VIRTIO_F_IN_ORDER)};

    for (unsigned packed = 0; packed < 2; packed++) {
        for (unsigned k = 0; k < 4; k++) {
            survive(r, packed != 0, features[k]);
        }
    }
}
