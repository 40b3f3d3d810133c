/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings that go through the space: found whole, with the right permissions, again after each
 * invalidation; both formats. */
#include "source.h"

#define READ ((uint32_t)VIRTQ_PERMISSION_READ)
#define RW ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)
#define FORMATS(packed_) for (unsigned packed_ = 0; packed_ < 2; packed_++)

/* Where the areas are, as the device is told. */
static const uint64_t at[3] = {0x100000, 0x200002, 0x300004};

/* A source with a run for each area and one for the payload. */
static void runs(struct source *source, struct hostile *h)
{
    source->count = 0;
    for (unsigned i = 0; i < 3; i++) {
        source_add(source, at[i], h->ring[i].size, h->ring[i].view, RW);
    }
    source_add(source, GUEST, GUEST_SIZE, h->guest.view, RW);
}

static int init(struct hostile *h, struct virtq_miss *miss)
{
    return virtq_device_init(h->memory.view, h->memory.size, &h->config, &h->device, miss);
}

/* A queue of 8 whose ring is translated. */
static void open_translated(struct source *source, struct hostile *h, bool packed)
{
    source_init(source, h);
    memset(&h->config.addresses, 0, sizeof(h->config.addresses));
    h->config.flags = 0;
    hostile_open(h, packed, 8, EVENTS);
    runs(source, h);
    memset(&h->config.areas, 0, sizeof(h->config.areas));
    h->config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    /* The second and third area are aligned as the formats ask: 2 and 4 on split, 4 on packed. */
    h->config.addresses = (struct virtq_area_addresses){at[0], at[1], at[2]};
    cr_assert_eq(init(h, NULL), 0);
    source->questions = 0;
}

static void offer_any(struct hostile *h)
{
    offer_one(h, GUEST, 4, WRITE);
}

Hostile(hostile_ring, L2_a_ring_behind_the_space_works_and_is_translated_once)
{
    FORMATS(packed)
    {
        struct source source;

        open_translated(&source, h, packed != 0);
        for (unsigned k = 0; k < 50; k++) {
            offer_any(h);
            expect_good(h, 0, 1, 0, 4);
        }
        cr_assert_eq(source.questions, 1u, "for the payload");
    }
}

Hostile(hostile_ring, row_77_an_area_that_is_missing_or_whose_end_is_makes_init_fail)
{
    FORMATS(packed)
    {
        for (unsigned i = 0; i < 3; i++) {
            static const uint32_t needs[2][3] = {
                {VIRTQ_PERMISSION_READ, VIRTQ_PERMISSION_READ, VIRTQ_PERMISSION_WRITE},
                {RW, VIRTQ_PERMISSION_READ, VIRTQ_PERMISSION_WRITE}};
            struct virtq_miss miss = {0, 0, 0, 0};
            struct source source;

            open_translated(&source, h, packed != 0);
            source.runs[i].missing = true;
            cr_assert_eq(init(h, &miss), VIRTQ_EMISS);
            cr_assert(miss.addr == at[i] && miss.len == h->ring[i].size);
            cr_assert_eq(miss.permissions, needs[packed][i]);
            source.runs[i].missing = false;
            source.runs[i].last--; /* Its last byte is not granted. */
            cr_assert_eq(init(h, &miss), VIRTQ_EFAULT);
            source_add(&source, at[i] + h->ring[i].size - 1, 1,
                       h->ring[i].view + h->ring[i].size - 1, RW);
            source.runs[4].missing = true;
            cr_assert_eq(init(h, &miss), VIRTQ_EMISS);
            cr_assert(miss.addr == at[i] + h->ring[i].size - 1 && miss.len == 1);
            source.runs[4].missing = false;
            cr_assert_eq(init(h, &miss), 0); /* Two windows, one run of memory. */
            source.runs[4].base++;
            cr_assert_eq(init(h, &miss), VIRTQ_EFAULT); /* No longer one. */
        }
    }
}

Hostile(hostile_ring, row_78_each_area_needs_its_permissions_and_no_more)
{
    FORMATS(packed)
    {
        for (unsigned i = 0; i < 3; i++) {
            for (uint32_t granted = 0; granted < 4; granted++) {
                const uint32_t need = i == 2                  ? (uint32_t)VIRTQ_PERMISSION_WRITE
                                      : i == 0 && packed != 0 ? RW
                                                              : READ;
                struct source source;

                open_translated(&source, h, packed != 0);
                source.runs[i].permissions = granted;
                cr_assert_eq(init(h, NULL), (granted & need) == need ? 0 : VIRTQ_EPERM);
            }
        }
    }
}

Hostile(hostile_ring, row_18_an_area_that_wraps_makes_init_fail)
{
    FORMATS(packed)
    {
        for (unsigned i = 0; i < 3; i++) {
            struct virtq_area_addresses *to = &h->config.addresses;
            virtq_addr_t *which[3] = {&to->descriptor, &to->driver, &to->device};
            struct source source;

            open_translated(&source, h, packed != 0);
            source.runs[i].first = UINT64_MAX - 3;
            source.runs[i].last = UINT64_MAX;
            *which[i] = UINT64_MAX - (h->ring[i].size - 2);
            cr_assert_eq(init(h, NULL), VIRTQ_EFAULT);
        }
    }
}

Hostile(hostile_ring, a_ring_that_is_not_aligned_in_memory_makes_init_fail)
{
    FORMATS(packed)
    {
        for (unsigned i = 0; i < 3; i++) {
            struct source source;

            open_translated(&source, h, packed != 0);
            source.runs[i].base++;
            cr_assert_eq(init(h, NULL), VIRTQ_EINVAL);
        }
    }
}

Hostile(hostile_ring, a_source_that_lies_about_the_ring_makes_init_fail)
{
    FORMATS(packed)
    {
        for (unsigned lie = LIE_BELOW; lie <= LIE_EMPTY; lie++) {
            struct source source;

            open_translated(&source, h, packed != 0);
            source.lie = (enum lie)lie;
            cr_assert_eq(init(h, NULL), VIRTQ_EFAULT, "lie %u", lie);
        }
    }
}

Hostile(hostile_ring, a_failed_init_leaves_the_queue_that_was_there)
{
    FORMATS(packed)
    {
        struct source source;

        open_translated(&source, h, packed != 0);
        offer_any(h);
        source.runs[2].missing = true;
        cr_assert_eq(virtq_device_resize(h->device, &h->config), VIRTQ_EMISS);
        source.runs[2].missing = false;
        expect_good(h, 0, 1, 0, 4);
    }
}

Hostile(hostile_ring, row_77_a_ring_that_is_withdrawn_for_a_while_costs_nothing_but_the_while)
{
    FORMATS(packed)
    {
        for (unsigned i = 0; i < 3; i++) {
            struct virtq_used_buffer used;
            struct source source;
            struct virtq_miss miss;

            open_translated(&source, h, packed != 0);
            offer_any(h);
            source.runs[i].missing = true;
            virtq_space_invalidated(&source.space);
            cr_assert_eq(hostile_pop(h), VIRTQ_EMISS);
            virtq_device_miss(h->device, &miss);
            cr_assert(miss.addr == at[i] && miss.len == h->ring[i].size);
            cr_assert_eq(hostile_pop(h), VIRTQ_EMISS);
            source.runs[i].missing = false;
            cr_assert_eq(hostile_pop(h), 1);

            used = (struct virtq_used_buffer){h->chain.id, 4};
            source.runs[i].missing = true;
            virtq_space_invalidated(&source.space);
            cr_assert_eq(virtq_device_push(h->device, &used, 1), VIRTQ_EMISS);
            cr_assert_eq(virtq_device_outstanding(h->device), 1u);
            source.runs[i].missing = false;
            cr_assert_eq(virtq_device_push(h->device, &used, 1), 1);

            source.runs[i].missing = true;
            virtq_space_invalidated(&source.space);
            cr_assert_eq(virtq_device_publish(h->device), VIRTQ_EMISS);
            source.runs[i].missing = false;
            cr_assert_eq(virtq_device_publish(h->device), 1);

            /* The decision to notify is not lost either. */
            source.runs[i].missing = true;
            virtq_space_invalidated(&source.space);
            cr_assert_eq(virtq_device_needs_notify(h->device), VIRTQ_EMISS);
            cr_assert(virtq_device_enable_notify(h->device));
            source.runs[i].missing = false;
            cr_assert_eq(virtq_device_needs_notify(h->device), 1);
            cr_assert_eq(virtq_device_needs_notify(h->device), 0);
            cr_assert_eq(hostile_fault(h).reason, (uint32_t)VIRTQ_REASON_NONE);
        }
    }
}

Hostile(hostile_ring, row_77_a_ring_that_is_taken_away_breaks_the_queue)
{
    FORMATS(packed)
    {
        for (unsigned i = 0; i < 3; i++) {
            for (unsigned how = 0; how < 3; how++) {
                struct source source;
                int error = how == 1 ? VIRTQ_EPERM : VIRTQ_EFAULT;

                open_translated(&source, h, packed != 0);
                offer_any(h);
                expect_good(h, 0, 1, 0, 4);
                offer_any(h);
                if (how == 0) {
                    source.runs[i].last -= 1;
                } else if (how == 1) {
                    source.runs[i].permissions = 0;
                } else {
                    source.runs[i].first = source.runs[i].last;
                }
                virtq_space_invalidated(&source.space);
                expect_broken(h, VIRTQ_REASON_QUEUE_RING, packed != 0 ? 0x8001 : 1,
                              (uint64_t)(int64_t)error);
            }
        }
    }
}

Hostile(hostile_ring, a_ring_that_moves_is_found_where_it_is_now)
{
    FORMATS(packed)
    {
        struct block old[3];
        struct source source;

        open_translated(&source, h, packed != 0);
        offer_any(h);
        expect_good(h, 0, 1, 0, 4);
        for (unsigned i = 0; i < 3; i++) {
            old[i] = h->ring[i];
            block_init(&h->ring[i], old[i].size, i == 0 ? 16 : 4, h->begins);
            memcpy(h->ring[i].at, old[i].at, old[i].size);
        }
        runs(&source, h);
        virtq_space_invalidated(&source.space);
        /* Whoever still uses the old memory meets a trap. */
        for (unsigned i = 0; i < 3; i++) {
            block_free(&old[i]);
        }
        offer_any(h);
        expect_good(h, 0, 1, 0, 4);
        cr_assert_eq(virtq_device_needs_notify(h->device), 1);
    }
}

Hostile(hostile_ring, a_ring_that_moves_out_of_alignment_breaks_the_queue)
{
    FORMATS(packed)
    {
        for (unsigned i = 0; i < 3; i++) {
            struct source source;

            open_translated(&source, h, packed != 0);
            /* Readable memory, so that only the alignment is wrong. */
            source.runs[i].base = h->guest.view + 1;
            virtq_space_invalidated(&source.space);
            cr_assert_eq(hostile_pop(h), VIRTQ_EBROKEN);
            cr_assert_eq(hostile_fault(h).reason, (uint32_t)VIRTQ_REASON_QUEUE_RING);
        }
    }
}
