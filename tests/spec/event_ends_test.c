/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether to wake the other end, asked of the ends themselves in both formats: the peer's words
 * take every value, and a walk from entry to entry says what the answer has to be. B7, S11, S12,
 * S14, P9, P10, N2. */
#include "order_bench.h"
#include "support/random.h"

ORDER_INSTANCE(split, direct, VIRTQ_INSTANCE_DIRECT);
ORDER_INSTANCE(packed, direct, VIRTQ_INSTANCE_DIRECT);

/* What one end has shown since it was last asked. */
struct watch {
    uint32_t offset; /* Of the first of it: index, or descriptor. */
    bool wrap;
    uint32_t count; /* Entries, or descriptors. */
};

static struct order_bench b;
static struct watch watches[2]; /* The driver's, the device's. */

static bool event_idx(void)
{
    return virtq_feature_has(b.features, VIRTIO_F_EVENT_IDX) != 0;
}

static void advance(struct watch *watch)
{
    watch->offset++;
    watch->count--;
    if (watch->offset == (b.packed ? b.size : 65536)) {
        watch->offset = 0;
        watch->wrap = !watch->wrap;
    }
}

/* The oracle: walks over all that is new, and looks for what the peer has armed. What was asked
 * about once is not new any more, whatever the answer was. */
static bool expected(struct watch *watch, uint32_t word)
{
    const uint32_t flags = b.packed ? word >> 16 & 3 : event_idx() ? 2 : word & 1;
    const uint32_t offset = b.packed ? word & 0x7fff : word & 0xffff;
    bool wanted = false;

    if (watch->count != 0 && flags != 1 && (flags != 2 || !event_idx())) {
        wanted = true;
    }
    if (flags == 2 && event_idx() && watch->count != 0 && b.packed && offset >= b.size) {
        wanted = true;
    }
    while (watch->count != 0) {
        if (flags == 2 && event_idx() && watch->offset == offset &&
            (!b.packed || watch->wrap == ((word & 0x8000) != 0))) {
            wanted = true;
        }
        advance(watch);
    }
    return wanted;
}

/* Writes the peer's wish, as the peer would: event index, flags, or event suppression structure. */
static void arm(bool device, uint32_t word)
{
    unsigned char *area = device ? order_queue.areas.driver : order_queue.areas.device;

    if (b.packed) {
        area[2] = (unsigned char)(word >> 16);
        area[3] = (unsigned char)(word >> 24);
    } else if (event_idx()) {
        area += 4 + (size_t)b.size * (device ? 2 : 8);
    }
    area[0] = (unsigned char)word;
    area[1] = (unsigned char)(word >> 8);
}

static bool ask(bool device)
{
    int wanted;

    if (!device) {
        return b.with->driver_test(&b, NULL);
    }
    wanted = b.with->device_test(&b);
    cr_assert(wanted == 0 || wanted == 1);
    return wanted == 1;
}

static void ask_and_compare(bool device, uint32_t word)
{
    const struct watch watch = watches[device];
    bool wanted;

    arm(device, word);
    wanted = ask(device);
    cr_assert_eq(wanted, expected(&watches[device], word),
                 "%s, word %x, %u entries from %u on, wrap %d", device ? "device" : "driver",
                 (unsigned)word, (unsigned)watch.count, (unsigned)watch.offset, watch.wrap);
}

static void supply(void)
{
    order_begin();
    order_add(&b);
    cr_assert_eq(b.with->publish(&b), b.batch);
    watches[0].count += b.batch * b.slots;
}

static void use(void)
{
    order_pop(&b);
    order_push(&b);
    cr_assert_eq(b.with->device_publish(&b), (int)b.batch);
    watches[1].count += b.batch * b.slots;
}

/* A round trip in which both ends are asked. */
static void trip(uint32_t driver_word, uint32_t device_word)
{
    supply();
    ask_and_compare(false, driver_word);
    use();
    ask_and_compare(true, device_word);
    order_poll(&b);
}

/* `shape`: bit 0 EVENT_IDX, bit 1 chains of three, bit 2 IN_ORDER. The first round is over: the
 * device's first answer is always yes. */
static void open_ends(bool packed, unsigned shape, uint32_t size)
{
    memset(&b, 0, sizeof(b));
    memset(watches, 0, sizeof(watches));
    b.with = packed ? &packed_direct : &split_direct;
    b.packed = packed;
    b.size = size;
    b.chain = (shape & 2) != 0 && size >= ORDER_CHAIN ? ORDER_CHAIN : 1;
    b.batch = 1;
    b.features = ((shape & 1) != 0 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : 0) |
                 ((shape & 4) != 0 ? VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) : 0);
    order_open(&b);
    /* An entry of a split queue is a buffer, not a descriptor. */
    b.slots = packed ? b.slots : 1;
    watches[0].wrap = watches[1].wrap = true;
    supply();
    (void)ask(false);
    use();
    cr_assert(ask(true), "S14");
    order_poll(&b);
    while (watches[0].count != 0) {
        advance(&watches[0]);
        advance(&watches[1]);
    }
}

static void set_batch(unsigned batch)
{
    const unsigned most = b.size / b.chain;

    b.batch = batch > most ? most : batch;
}

Test(spec_event_ends, split_every_value_of_the_peers_word)
{
    for (unsigned shape = 0; shape < 4; shape++) {
        open_ends(false, shape, 8);
        for (uint32_t value = 0; value < 65536; value++) {
            set_batch(1 + value % 2);
            trip(value, 65535 - value);
        }
    }
}

/* The index goes round more than once; the word is near it all the time. */
Test(spec_event_ends, split_every_event_near_the_index_at_every_index)
{
    static const uint32_t sizes[] = {1, 2, 8};

    for (unsigned i = 0; i < 3; i++) {
        open_ends(false, 1, sizes[i]);
        for (uint32_t round = 0; round < 70000; round++) {
            set_batch(1 + round % ORDER_BATCH);
            trip(watches[0].offset + round % 11 - 3, watches[1].offset + round % 13 - 3);
        }
    }
}

Test(spec_event_ends, packed_every_value_of_offset_and_wrap)
{
    for (unsigned shape = 0; shape < 4; shape++) {
        open_ends(true, shape, 7);
        for (uint32_t value = 0; value < 65536; value++) {
            set_batch(1 + value % 2);
            trip(2u << 16 | value, 2u << 16 | (65535 - value));
        }
    }
}

Test(spec_event_ends, packed_every_value_of_the_flags)
{
    for (unsigned shape = 0; shape < 4; shape++) {
        open_ends(true, shape, 7);
        for (uint32_t value = 0; value < 65536; value++) {
            set_batch(1 + value % 2);
            trip(value << 16 | 0x8003, (65535 - value) << 16 | 4);
        }
    }
}

/* All places of rings of several sizes and the one offset behind the last, at all positions. */
Test(spec_event_ends, packed_every_place_at_every_position)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 7, 12, 16};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned shape = 1; shape < 8; shape += 2) {
            const uint32_t words = 2 * (sizes[i] + 1);

            open_ends(true, shape, sizes[i]);
            for (uint32_t round = 0; round < 8 * words * words; round++) {
                const uint32_t driver = round % words;
                const uint32_t device = round / 3 % words;

                set_batch(1 + round / words % ORDER_BATCH);
                trip(2u << 16 | driver / 2 | (driver & 1) << 15,
                     2u << 16 | device / 2 | (device & 1) << 15);
            }
        }
    }
}

/* P10: what was asked about once is over, also where the answer needed no arithmetic. */
static void one_question(bool packed, bool device)
{
    const uint32_t off = packed ? 1u << 16 : 1;
    const uint32_t on = 0;

    open_ends(packed, 0, packed ? 7 : 8);
    supply();
    if (device) {
        use();
    }
    arm(device, off);
    cr_assert(!ask(device));
    arm(device, on);
    cr_assert(!ask(device), "a question while it was off was a question");
    open_ends(packed, 1, packed ? 7 : 8);
    supply();
    if (device) {
        use();
    }
    /* Entry 1 is out: asked about while it was not armed, or while all was off. */
    arm(device, packed ? off : 100);
    cr_assert(!ask(device));
    arm(device, packed ? 2u << 16 | 0x8001 : 1);
    cr_assert(!ask(device), "it was counted in the question before");
    if (!device) {
        use();
    }
    order_poll(&b);
    supply();
    if (device) {
        use();
    }
    cr_assert(!ask(device), "the entry after it is not the one");
}

Test(spec_event_ends, every_question_begins_a_new_count)
{
    for (unsigned which = 0; which < 4; which++) {
        one_question((which & 1) != 0, (which & 2) != 0);
    }
}

/* Questions and news in any mixture; the words are mostly near, of all kinds. */
Test(spec_event_ends, questions_and_news_in_any_mixture)
{
    for (unsigned shape = 0; shape < 16; shape++) {
        const bool packed = (shape & 8) != 0;
        uint64_t seed = 10 + shape;

        open_ends(packed, shape & 7, packed ? 5 : 4);
        for (unsigned round = 0; round < 20000; round++) {
            for (unsigned end = 0; end < 2; end++) {
                const uint32_t near = (uint32_t)random_below(&seed, 12);
                const uint32_t flags = (uint32_t)random_below(&seed, 4) << 16;
                const uint32_t wrap = (uint32_t)random_below(&seed, 2) << 15;

                set_batch(1 + (unsigned)random_below(&seed, ORDER_BATCH));
                if (end == 0) {
                    supply();
                    use();
                    order_poll(&b);
                }
                if (random_below(&seed, 3) != 0) {
                    ask_and_compare(end != 0, packed ? flags | wrap | near % 6
                                                     : watches[end].offset + near - 2);
                }
            }
        }
    }
}

/* S12: so many that 16 bits cannot count them. */
static void show(uint32_t entries)
{
    while (entries != 0) {
        b.batch = entries < ORDER_BATCH ? entries : ORDER_BATCH;
        supply();
        use();
        order_poll(&b);
        entries -= b.batch;
    }
}

Test(spec_event_ends, split_more_than_65535_entries_between_two_questions_notify)
{
    static const uint32_t many[] = {65536, 65537, 65540, 131072};

    open_ends(false, 1, 8);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned near = 0; near < 3; near++) {
            show(many[i]);
            for (unsigned end = 0; end < 2; end++) {
                arm(end != 0, watches[end].offset + many[i] + near - 1);
                cr_assert(ask(end != 0));
                (void)expected(&watches[end], 0);
            }
        }
    }
}

Test(spec_event_ends, split_exactly_65535_entries_leave_one_event_out)
{
    open_ends(false, 1, 8);
    for (unsigned near = 0; near < 4; near++) {
        show(65535);
        ask_and_compare(false, watches[0].offset + 65535 + near - 2);
        ask_and_compare(true, watches[1].offset + 65535 + near - 2);
    }
}

Test(spec_event_ends, packed_more_than_65535_descriptors_between_two_questions_notify)
{
    open_ends(true, 1, 7);
    for (uint32_t value = 0; value < 8; value++) {
        show(65535 + value);
        ask_and_compare(false, 2u << 16 | value | (value & 1) << 15);
        ask_and_compare(true, 2u << 16 | value | (value & 1) << 15);
    }
}

/* ---- S14 ---- */

/* All that the driver can do to be left alone. */
static void silence_device(void)
{
    arm(true, b.packed ? 1u << 16 : event_idx() ? watches[1].offset + 1000 : 1);
}

static void expect_first_yes(void)
{
    cr_assert(!ask(true), "nothing to tell");
    supply();
    use();
    silence_device();
    cr_assert(ask(true), "what the driver knows is not known");
    order_poll(&b);
    supply();
    use();
    silence_device();
    cr_assert(!ask(true), "and only once");
    order_poll(&b);
}

Test(spec_event_ends, s14_the_first_question_about_anything_says_yes)
{
    for (unsigned shape = 0; shape < 16; shape++) {
        const bool packed = (shape & 8) != 0;

        open_ends(packed, shape & 7, packed ? 7 : 8);
        if (packed) {
            cr_assert_eq(virtq_packed_device_init(&b.device.packed, &b.device_config, b.own[1],
                                                  ORDER_PRIVATE, NULL),
                         0);
            cr_assert_eq(virtq_packed_driver_init(&b.driver.packed, &b.driver_config, b.own[0],
                                                  ORDER_PRIVATE),
                         0);
        } else {
            cr_assert_eq(virtq_split_device_init(&b.device.split, &b.device_config, b.own[1],
                                                 ORDER_PRIVATE, NULL),
                         0);
            cr_assert_eq(
                virtq_split_driver_init(&b.driver.split, &b.driver_config, b.own[0], ORDER_PRIVATE),
                0);
        }
        expect_first_yes();
    }
}

Test(spec_event_ends, s14_the_first_question_of_a_restored_driver_says_yes)
{
    struct virtq_state state;

    for (unsigned shape = 0; shape < 16; shape++) {
        const bool packed = (shape & 8) != 0;

        open_ends(packed, shape & 7, packed ? 7 : 8);
        if (packed) {
            cr_assert_eq(virtq_packed_driver_save(&b.driver.packed, &state), 0);
            cr_assert_eq(virtq_packed_driver_restore(&b.driver.packed, b.with->how, &state), 0);
        } else {
            cr_assert_eq(virtq_split_driver_save(&b.driver.split, &state), 0);
            cr_assert_eq(virtq_split_driver_restore(&b.driver.split, b.with->how, &state), 0);
        }
        arm(false, packed ? 1u << 16 : event_idx() ? 1000 : 1);
        cr_assert(ask(false));
        cr_assert(!ask(false));
    }
}
