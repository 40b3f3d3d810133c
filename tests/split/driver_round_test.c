/* SPDX-License-Identifier: BSD-3-Clause */
/* Which descriptors of a split queue go round: as few as suffice, the same ones again, and all of
 * them if need be. */
#include "driver_rig.h"
#include "random.h"

enum { ROUND_SIZE = 256, ROUND_FIRST = 16, ROUND_MOST = 3 /* segments */, ROUND_STEPS = 500 };

/** @brief Descriptors that go round, with so many in use at most. */
static unsigned round_of(unsigned most)
{
    unsigned round = ROUND_FIRST;

    while (round < most) {
        round *= 2;
    }
    return round;
}

/** @brief So many turns of a queue that always has `depth` buffers; `heads`: what slots hold. */
static void turn(struct driver_rig *r, unsigned depth, unsigned turns, uint16_t *heads)
{
    for (unsigned i = 0; i < turns; i++) {
        const uint16_t used = wire_used_idx(r->w);
        const uint16_t at = wire_avail_idx(r->w);

        if ((uint16_t)(at - used) == depth) {
            wire_use(r->w, wire_avail_head(r->w, used), 0);
            (void)rig_poll(r);
        }
        heads[at % ROUND_SIZE] = rig_send(r, i);
    }
}

static const unsigned depths[] = {1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 128, 129, 255, 256};

DriverTest(split_driver_round, few_buffers_in_a_large_queue_take_few_descriptors)
{
    for (unsigned i = 0; i < sizeof(depths) / sizeof(*depths); i++) {
        uint16_t heads[ROUND_SIZE];
        uint16_t first[ROUND_SIZE];

        rig_open(r, ROUND_SIZE, MEMORY_BASIC);
        turn(r, depths[i], 3 * ROUND_SIZE, first);
        for (unsigned slot = 0; slot < ROUND_SIZE; slot++) {
            cr_assert_lt(first[slot], round_of(depths[i]), "depth %u", depths[i]);
        }
        /* And the available ring stays as it is. */
        turn(r, depths[i], ROUND_SIZE, heads);
        cr_assert_eq(memcmp(heads, first, sizeof(heads)), 0, "depth %u", depths[i]);
    }
}

/* ---- Against books of our own ---- */

struct round_books {
    uint8_t busy[ROUND_SIZE];
    uint16_t heads[ROUND_SIZE]; /* Outstanding. */
    unsigned outstanding;
    unsigned in_use; /* Descriptors. */
};

/** @brief Adds one buffer: its descriptors were free. False: there is no room. */
static bool enter(struct driver_rig *r, struct round_books *books, unsigned segments, bool publish,
                  uint16_t slot)
{
    const int result = rig_try(r, segments, 0, 1);
    uint16_t head;

    if (books->in_use + segments > r->config.size) {
        cr_assert(result < 0);
        return false;
    }
    cr_assert_eq(result, 1);
    if (publish) {
        (void)r->calls->publish(&r->q);
    }
    head = wire_avail_head(r->w, slot);
    books->heads[books->outstanding++] = head;
    for (unsigned k = 0; k < segments; k++) {
        const struct wire_desc desc = wire_desc(r->w, head);

        cr_assert_lt(head, r->config.size);
        cr_assert_eq(books->busy[head], 0, "descriptor %u is in use", head);
        cr_assert_eq((desc.flags & WIRE_NEXT) != 0, k + 1 < segments);
        books->busy[head] = 1;
        head = desc.next;
    }
    books->in_use += segments;
    return true;
}

/** @brief The device uses so many, any ones of the first `known`. */
static void use(struct driver_rig *r, struct round_books *books, unsigned known, unsigned count,
                uint64_t *seed)
{
    for (unsigned i = 0; i < count; i++, known--) {
        const unsigned which = (unsigned)random_below(seed, known);
        uint16_t head = books->heads[which];
        struct wire_desc desc;

        wire_use(r->w, head, 0);
        books->heads[which] = books->heads[known - 1];
        books->heads[known - 1] = books->heads[--books->outstanding];
        do {
            desc = wire_desc(r->w, head);
            books->busy[head] = 0;
            books->in_use--;
            head = desc.next;
        } while ((desc.flags & WIRE_NEXT) != 0);
    }
}

/** @brief Some steps with no more in use than `most`. */
static void wander(struct driver_rig *r, struct round_books *books, unsigned most, uint64_t *seed)
{
    struct virtq_completion done[ROUND_SIZE];
    uint16_t slot = wire_avail_idx(r->w);

    for (unsigned step = 0; step < ROUND_STEPS; step++) {
        const unsigned segments = 1 + (unsigned)random_below(seed, ROUND_MOST);
        unsigned known;
        unsigned count;

        if (books->in_use + segments <= most && random_below(seed, 8) != 0) {
            slot = (uint16_t)(slot + enter(r, books, segments, true, slot));
            continue;
        }
        known = books->outstanding;
        count = (unsigned)random_below(seed, known + 1u);
        /* Now and then one that the device cannot know yet. */
        if (books->in_use < most && random_below(seed, 4) == 0) {
            slot = (uint16_t)(slot + enter(r, books, 1, false, slot));
        }
        use(r, books, known, count, seed);
        cr_assert_eq(r->calls->poll(&r->q, done, ROUND_SIZE), (int)count);
        cr_assert_eq(rig_room(r), r->config.size - books->in_use);
        (void)r->calls->publish(&r->q);
    }
}

DriverTest(split_driver_round, every_descriptor_is_given_out_once_until_it_is_free_again)
{
    static const uint32_t sizes[] = {1, 4, 16, 32, 64, ROUND_SIZE};
    uint64_t seed = 1;

    for (unsigned i = 0; i < 6; i++) {
        for (unsigned from = 1; from <= 8; from *= 2) {
            struct round_books books;

            memset(&books, 0, sizeof(books));
            rig_open(r, sizes[i], MEMORY_BASIC);
            for (unsigned most = from; most < sizes[i] + 3 * from; most += 3 * from) {
                wander(r, &books, most < sizes[i] ? most : sizes[i], &seed);
            }
            while (enter(r, &books, 1, true, wire_avail_idx(r->w))) {
            }
            cr_assert_eq(books.in_use, sizes[i]);
            cr_assert_eq(rig_room(r), 0u);
        }
    }
}

/* ---- What begins anew ---- */

DriverTest(split_driver_round, a_ring_that_begins_anew_keeps_to_few_descriptors_again)
{
    for (unsigned way = 0; way < 3; way++) {
        const struct virtq_state state = {VIRTQ_FORMAT_SPLIT, ROUND_SIZE, 65530, 65530, 0};
        struct round_books books;
        uint16_t heads[ROUND_SIZE];
        uint64_t seed = way;
        void *cookie;

        rig_open(r, ROUND_SIZE, MEMORY_BASIC);
        turn(r, 100, 2 * ROUND_SIZE, heads);
        while (r->calls->detach(&r->q, &cookie) == 1) {
        }
        cr_assert_eq(way == 0   ? r->calls->reset(&r->q)
                     : way == 1 ? r->calls->resize(&r->q, &r->config)
                                : r->calls->restore(&r->q, &state),
                     0);
        memset(&books, 0, sizeof(books));
        wander(r, &books, ROUND_FIRST, &seed);
        for (unsigned i = 0; i < books.outstanding; i++) {
            cr_assert_lt(books.heads[i], (unsigned)ROUND_FIRST);
        }
        wander(r, &books, ROUND_SIZE, &seed);
    }
}
