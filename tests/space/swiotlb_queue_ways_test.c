/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue's space has shorter ways for buffers that are copied plainly. Each does what the long one
 * does: two queues, of which one has hooks that only copy, always answer alike. M8. */
#include "support/random.h"
#include "swiotlb_fixture.h"
#include "virtq/space/swiotlb_queue.h"

enum { POOL_BYTES = 32768, BYTES = 6000, SEGMENTS = 6 };

/* One queue, its pool, and a program's memory. */
struct side {
    struct pool pool;
    struct virtq_swiotlb_queue queue;
    uint64_t slots[VIRTQ_SWIOTLB_CLASSES_MAX * 4];
    unsigned char *data; /* Of both sides alike, also in their low bits. */
    struct spaces_buffer buffer;
    int result;
};

static void only_copy(void *context, void *to, const void *from, size_t len)
{
    (void)context;
    memcpy(to, from, len);
}

static void side_open(struct side *side, uint32_t mask, int hooked)
{
    struct virtq_swiotlb_queue_config config = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;

    pool_open(&side->pool, POOL_BYTES, 64, mask);
    side->data = guarded_alloc(2 * guarded_page());
    config.pool = &side->pool.swiotlb;
    config.classes = 8; /* Up to 8192 bytes. */
    config.depth = 4;
    config.memory = side->slots;
    config.memory_size = sizeof(side->slots);
    if (hooked) {
        config.copy.to_shared = only_copy;
        config.copy.from_shared = only_copy;
    }
    cr_assert_eq(virtq_swiotlb_queue_init(&side->queue, &config), 0);
}

static void side_close(struct side *side)
{
    (void)virtq_swiotlb_queue_flush(&side->queue);
    cr_assert(is_zero(&side->pool));
    cr_assert_eq(usage_of(&side->pool).used, 0u);
    guarded_free(side->data, 2 * guarded_page());
    pool_close(&side->pool);
}

/* Segments anywhere in the data, which one after another may overlap; now and then illegal ones. */
static void side_map(struct side *side, uint64_t seed, unsigned char number)
{
    const uint64_t long_ones = random_below(&seed, 3);
    const unsigned readable = (unsigned)random_below(&seed, 4);
    const unsigned writable = (unsigned)random_below(&seed, 4);
    unsigned i;

    memset(side->data, number, BYTES);
    for (i = 0; i < readable + writable; i++) {
        const uint64_t most = long_ones != 0 ? 100 : BYTES / SEGMENTS * (1 + 2 * (i % 2));
        uint64_t len = random_below(&seed, 60) != 0 ? 1 + random_below(&seed, most) : 0;
        /* Each has a part of the data to itself: what comes back is the same in any order. */
        unsigned char *base = side->data + (size_t)BYTES / SEGMENTS * i;

        len = len < BYTES / SEGMENTS || i + 1 == readable + writable ? len : BYTES / SEGMENTS;
        len = len < (uint64_t)(side->data + BYTES - base) ? len
                                                          : (uint64_t)(side->data + BYTES - base);
        spaces_segment(&side->buffer, i, base, len);
    }
    if (readable + writable != 0 && random_below(&seed, 100) == 0) {
        spaces_segment(&side->buffer, 0, (void *)(UINTPTR_MAX - 3), 9); /* Memory that wraps. */
    }
    side->result = spaces_map(&side->queue.space, &side->buffer, readable, writable,
                              random_below(&seed, 8) != 0 ? 2 : 1);
}

/* What the device would find, and what it writes. */
static void side_serve(const struct side *side, unsigned char number, uint64_t seed)
{
    const struct virtq_mapping *mapping = &side->buffer.mapping;
    const struct virtq_run *run = &side->buffer.runs[mapping->runs_readable];

    if (side->result == 0 && mapping->runs_writable != 0) {
        memset(side->pool.base + (run->addr - ADDR), 0x80 | number,
               (size_t)random_below(&seed, run->len + 1));
    }
}

static void check_alike(const struct side *sides, unsigned round)
{
    const struct virtq_mapping *one = &sides[0].buffer.mapping;
    const struct virtq_mapping *other = &sides[1].buffer.mapping;
    unsigned i;

    cr_assert_eq(sides[0].result, sides[1].result, "round %u: %d, not %d", round, sides[0].result,
                 sides[1].result);
    cr_assert(memcmp(sides[0].pool.base, sides[1].pool.base, POOL_BYTES) == 0, "round %u", round);
    cr_assert(memcmp(sides[0].data, sides[1].data, BYTES) == 0, "round %u", round);
    if (sides[0].result != 0) {
        return;
    }
    cr_assert_eq(one->runs_readable, other->runs_readable);
    cr_assert_eq(one->runs_writable, other->runs_writable);
    cr_assert_eq(one->copied, other->copied);
    for (i = 0; i < (unsigned)one->runs_readable + one->runs_writable; i++) {
        cr_assert_eq(sides[0].buffer.runs[i].addr, sides[1].buffer.runs[i].addr);
        cr_assert_eq(sides[0].buffer.runs[i].len, sides[1].buffer.runs[i].len);
    }
}

Test(space_swiotlb_queue_ways, m8_the_short_ways_do_what_the_long_one_does)
{
    const uint32_t masks[] = {0, 63, 127};
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 300 : 10000;
    static struct side sides[2];
    uint64_t seed = 15;
    unsigned fits = 0;
    unsigned m;
    unsigned round;

    for (m = 0; m < 3; m++) {
        side_open(&sides[0], masks[m], 0);
        side_open(&sides[1], masks[m], 1);
        for (round = 0; round < rounds; round++) {
            const uint64_t shape = random_next(&seed);
            const uint64_t claimed = random_below(&seed, 4) != 0 ? random_below(&seed, BYTES) : 0;
            const unsigned char number = (unsigned char)(1 + round % 127);
            unsigned s;

            for (s = 0; s < 2; s++) {
                side_map(&sides[s], shape, number);
                side_serve(&sides[s], number, shape);
            }
            check_alike(sides, round);
            for (s = 0; s < 2 && sides[s].result == 0; s++) {
                fits++;
                spaces_unmap(&sides[s].queue.space, &sides[s].buffer, claimed);
            }
            check_alike(sides, round);
        }
        side_close(&sides[0]);
        side_close(&sides[1]);
    }
    cr_assert_gt(fits, rounds, "hardly a buffer was mapped");
}
