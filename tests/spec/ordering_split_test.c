/* SPDX-License-Identifier: BSD-3-Clause */
/* In which order the two ends of a split queue load, store and fence: the barriers B1 to B7 and
 * B15 to B17, each on single and batched buffers, chains and indirect tables, with and without
 * EVENT_IDX and IN_ORDER, in every instance of the templates. [virtio 1.4, Supplying Buffers to The
 * Device; Receiving Used Buffers From The Device; Reserved Feature Bits] */
#include "order_bench.h"

#define STRING(text) STRING_(text)
#define STRING_(text) #text

ORDER_INSTANCE(split, direct, VIRTQ_INSTANCE_DIRECT);
ORDER_INSTANCE(split, called, VIRTQ_INSTANCE_CALLED);
ORDER_INSTANCE(split, premapped, VIRTQ_INSTANCE_PREMAPPED);
ORDER_INSTANCE(split, legacy, VIRTQ_INSTANCE_CALLED | VIRTQ_INSTANCE_BIG_ENDIAN);
ORDER_INSTANCE(split, platform, VIRTQ_INSTANCE_CALLED | VIRTQ_INSTANCE_PLATFORM);
ORDER_INSTANCE(split, premapped_platform, VIRTQ_INSTANCE_PREMAPPED | VIRTQ_INSTANCE_PLATFORM);

static const struct order_instance *const instances[] = {
    &split_direct, &split_called,   &split_premapped,
    &split_legacy, &split_platform, &split_premapped_platform};

enum { SIZE = 8, INSTANCES = sizeof(instances) / sizeof(instances[0]) };

static void rounds(unsigned stages, void (*check)(const struct order_bench *b))
{
    order_rounds(instances, INSTANCES, SIZE, stages, check);
}

static bool has_event_idx(const struct order_bench *b)
{
    return virtq_feature_has(b->features, VIRTIO_F_EVENT_IDX) != 0;
}

/* ---- The driver supplies ---- */

static void check_b1(const struct order_bench *b)
{
    const unsigned parts = ORDER_DESC | ORDER_TABLE | ORDER_AVAIL_SLOT;
    const unsigned shown = order_check_release(ORDER_AVAIL_IDX);

    cr_assert_eq(order_number("SR", ORDER_AVAIL_IDX), 1u, "one store makes all of them available");
    cr_assert_geq(order_number("S", ORDER_DESC), 2 * b->batch * b->slots);
    cr_assert_eq(order_number("S", ORDER_TABLE) != 0, b->slots < b->chain);
    cr_assert_lt(order_last("S", parts), shown);
}

Test(spec_ordering_split, b1_descriptors_tables_and_slots_are_stored_before_the_index_is_released)
{
    rounds(ORDER_SUPPLY, check_b1);
}

static void check_b2(const struct order_bench *b)
{
    const unsigned asked = has_event_idx(b) ? ORDER_AVAIL_EVENT : ORDER_USED_FLAGS;

    order_check_store_load(order_last("R", ORDER_AVAIL_IDX), asked, 2);
    cr_assert_eq(order_number("LA", ~(asked | ORDER_BARRIER)), 0u,
                 "the driver reads nothing else, nothing of its own least of all");
}

Test(spec_ordering_split, b2_a_full_barrier_stands_between_the_index_and_the_devices_wish)
{
    rounds(ORDER_SUPPLY, check_b2);
}

/* ---- The device takes ---- */

/* Every look at an index is an acquire load with a read barrier right behind it, and all of `parts`
 * is loaded after one. */
static void check_acquire(unsigned index, unsigned parts)
{
    cr_assert(order_is(0, "A", index), "first of all the index");
    cr_assert_eq(order_number("L", index), 0u);
    for (unsigned i = order_next(0, "A", index); i < order_count;
         i = order_next(i + 1, "A", index)) {
        cr_assert_eq(order_log[i].width, 2u);
        cr_assert(order_is(i + 1, "r", ORDER_BARRIER));
    }
    cr_assert_eq(order_number("LA", ~(index | parts | ORDER_BARRIER)), 0u);
    cr_assert_eq(order_number("SR", ~0u), 0u);
}

static void check_b3(const struct order_bench *b)
{
    const unsigned entries = b->chain > b->slots ? b->chain : 0;

    check_acquire(ORDER_AVAIL_IDX, ORDER_AVAIL_SLOT | ORDER_DESC | ORDER_TABLE);
    cr_assert_eq(order_number("L", ORDER_AVAIL_SLOT), b->batch);
    cr_assert_geq(order_number("L", ORDER_DESC), 3 * b->batch * b->slots);
    cr_assert_geq(order_number("L", ORDER_TABLE), 3 * b->batch * entries);
}

Test(spec_ordering_split, b3_the_index_is_acquired_before_slots_descriptors_and_tables_are_loaded)
{
    rounds(ORDER_TAKE, check_b3);
}

static struct order_bench stale;
static bool stale_done;

/* The driver makes a second buffer available while the device looks at the first. */
static void supply_more(const struct order_event *event)
{
    if (event->kind == 'r' && !stale_done) {
        stale_done = true;
        order_add(&stale);
        cr_assert_eq(stale.with->publish(&stale), 1u);
    }
}

Test(spec_ordering_split, b3_nothing_beyond_the_acquired_index_is_taken)
{
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct virtq_chain chains[2];

        memset(&stale, 0, sizeof(stale));
        stale_done = false;
        stale.with = instances[i];
        stale.size = SIZE;
        stale.chain = stale.batch = 1;
        order_open(&stale);
        order_add(&stale);
        cr_assert_eq(stale.with->publish(&stale), 1u);
        order_hook = supply_more;
        cr_assert_eq(stale.with->pop(&stale, chains, 2), 1, "as many as the index said");
        cr_assert(stale_done);
        cr_assert_eq(stale.with->pop(&stale, chains, 2), 1, "the other one after a new look");
        order_hook = NULL;
    }
}

/* ---- The device uses ---- */

static void check_b4(const struct order_bench *b)
{
    const unsigned shown = order_check_release(ORDER_USED_IDX);
    const bool in_order = virtq_feature_has(b->features, VIRTIO_F_IN_ORDER) != 0;
    const unsigned elements = order_number("S", ORDER_USED_ELEMENT);

    cr_assert_eq(order_number("SR", ORDER_USED_IDX), 1u, "one store makes all of them used");
    cr_assert(in_order ? elements >= 2 && elements % 2 == 0 : elements == 2 * b->batch);
    cr_assert_lt(order_last("S", ORDER_USED_ELEMENT), shown);
    cr_assert_eq(order_number("SR", ~(unsigned)(ORDER_USED_ELEMENT | ORDER_USED_IDX)), 0u);
}

Test(spec_ordering_split, b4_used_elements_are_stored_before_the_used_index_is_released)
{
    rounds(ORDER_USE, check_b4);
}

static struct order_bench written;
static unsigned written_seen;

/* What the driver would find if it ran just before the index is stored. */
static void look_at_data(const struct order_event *event)
{
    if (event->kind == 'R') {
        written_seen += written.data[0][ORDER_CHAIN - 1][ORDER_SEGMENT - 1] == 0x5a;
    }
}

Test(spec_ordering_split, b4_the_buffers_data_are_there_before_the_used_index_is_released)
{
    memset(&written, 0, sizeof(written));
    written.with = &split_direct;
    written.size = SIZE;
    written.chain = ORDER_CHAIN;
    written.batch = 1;
    order_open(&written);
    order_act(&written, ORDER_SUPPLY);
    order_act(&written, ORDER_TAKE);
    written_seen = 0;
    order_hook = look_at_data;
    for (unsigned i = 0; i < written.chains[0].writable; i++) {
        memset(written.pieces[written.chains[0].readable + i].base, 0x5a, ORDER_SEGMENT);
    }
    order_act(&written, ORDER_USE);
    cr_assert_eq(written_seen, 1u);
    order_hook = NULL;
}

static void check_b5(const struct order_bench *b)
{
    const unsigned asked = has_event_idx(b) ? ORDER_USED_EVENT : ORDER_AVAIL_FLAGS;

    order_check_store_load(order_last("R", ORDER_USED_IDX), asked, 2);
    cr_assert_eq(order_number("LA", ~(asked | ORDER_BARRIER)), 0u);
}

Test(spec_ordering_split, b5_a_full_barrier_stands_between_the_used_index_and_the_drivers_wish)
{
    rounds(ORDER_USE, check_b5);
}

/* S13: the last question of a legacy device is about the available index: also after the barrier.
 */
Test(spec_ordering_split, b5_the_look_for_a_drained_ring_comes_after_the_full_barrier_too)
{
    static struct order_bench b;
    unsigned store;

    memset(&b, 0, sizeof(b));
    b.with = &split_direct;
    b.size = SIZE;
    b.chain = b.batch = 1;
    b.features = VIRTQ_FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY);
    order_open(&b);
    for (unsigned round = 0; round < 3; round++) {
        b.with->driver_disable(&b);
        order_act(&b, ORDER_SUPPLY);
        order_act(&b, ORDER_TAKE);
        order_begin();
        order_act(&b, ORDER_USE);
        store = order_last("R", ORDER_USED_IDX);
        order_check_store_load(store, ORDER_AVAIL_FLAGS, 2);
        order_check_store_load(store, ORDER_AVAIL_IDX, 2);
        order_act(&b, ORDER_COLLECT);
    }
}

/* ---- The driver collects ---- */

static void check_b6(const struct order_bench *b)
{
    const unsigned elements = order_number("L", ORDER_USED_ELEMENT);

    check_acquire(ORDER_USED_IDX, ORDER_USED_ELEMENT);
    cr_assert(virtq_feature_has(b->features, VIRTIO_F_IN_ORDER) != 0 ? elements >= 2
                                                                     : elements == 2 * b->batch);
}

Test(spec_ordering_split, b6_the_used_index_is_acquired_before_elements_are_loaded)
{
    rounds(ORDER_COLLECT, check_b6);
}

/* ---- Either end asks to be woken ---- */

/* One store of a wish, a full barrier, one load of the other end's index; nothing else. */
static void check_b7(unsigned wish, unsigned index)
{
    cr_assert(order_is(0, "S", wish));
    cr_assert_eq(order_log[0].width, 2u);
    cr_assert(order_is(1, "f", ORDER_BARRIER));
    cr_assert(order_is(2, "LA", index));
    cr_assert_eq(order_log[2].width, 2u);
    cr_assert_eq(order_count, 3u);
}

static void check_b7_driver(const struct order_bench *b)
{
    check_b7(has_event_idx(b) ? ORDER_USED_EVENT : ORDER_AVAIL_FLAGS, ORDER_USED_IDX);
}

Test(spec_ordering_split, b7_the_driver_stores_its_wish_then_fences_then_looks_again)
{
    rounds(ORDER_DRIVER_ENABLE, check_b7_driver);
}

static void check_b7_device(const struct order_bench *b)
{
    check_b7(has_event_idx(b) ? ORDER_AVAIL_EVENT : ORDER_USED_FLAGS, ORDER_AVAIL_IDX);
}

Test(spec_ordering_split, b7_the_device_stores_its_wish_then_fences_then_looks_again)
{
    rounds(ORDER_DEVICE_ENABLE, check_b7_device);
}

/* ---- Strength ---- */

static unsigned strengths[2];

static void check_b15(const struct order_bench *b)
{
    const bool platform = (b->with->how & (unsigned)VIRTQ_INSTANCE_PLATFORM) != 0;

    for (unsigned i = order_next(0, "wrf", ORDER_BARRIER); i < order_count;
         i = order_next(i + 1, "wrf", ORDER_BARRIER)) {
        cr_assert_eq(order_log[i].platform, platform);
        strengths[platform]++;
    }
}

Test(spec_ordering_split, b15_every_barrier_is_of_device_strength_with_order_platform_only)
{
    rounds(~0u, check_b15);
    cr_assert(strengths[0] > 0 && strengths[1] > 0);
}

/* The checks of b1 to b7 ask for 'w', 'r' and 'f' at each point in all instances; this is what
 * stands behind those letters where devices are concerned. */
Test(spec_ordering_split, b15_device_strength_is_the_processors_own_instruction)
{
    const char *write = STRING(VIRTQ_BARRIER_DEVICE_WRITE());
    const char *read = STRING(VIRTQ_BARRIER_DEVICE_READ());
    const char *full = STRING(VIRTQ_BARRIER_DEVICE_FULL());

#if defined(__x86_64__) || defined(__i386__)
    cr_assert_not_null(strstr(write, "sfence"));
    cr_assert_not_null(strstr(read, "lfence"));
    cr_assert_not_null(strstr(full, "mfence"));
#elif defined(__aarch64__)
    cr_assert_not_null(strstr(write, "dmb oshst"));
    cr_assert_not_null(strstr(read, "dmb oshld"));
    cr_assert(strstr(full, "dmb osh") != NULL && strstr(full, "oshst") == NULL);
#elif defined(__riscv)
    cr_assert_not_null(strstr(write, "fence ow, ow"));
    cr_assert_not_null(strstr(read, "fence ir, ir"));
    cr_assert_not_null(strstr(full, "fence iorw, iorw"));
#else
    cr_assert_str_eq(write, STRING(__atomic_thread_fence(__ATOMIC_SEQ_CST)));
    cr_assert_str_eq(read, write);
    cr_assert_str_eq(full, write);
#endif
}

/* ---- What is the transport's, and what is the platform's ---- */

/* The store that kicks is the transport's, and so is the barrier that orders it behind ordinary
 * memory where it goes to a device's register. What is ours: when needs_notify has answered, all
 * that the notification is about is stored and fenced off, and nothing is stored after that. */
static void check_b16(const struct order_bench *b)
{
    (void)b;
    cr_assert_lt(order_last("SR", ~0u), order_fence(0, "f"));
    cr_assert_eq(order_number("f", ORDER_BARRIER), 1u);
}

Test(spec_ordering_split, b16_nothing_is_stored_between_the_full_barrier_and_the_kick)
{
    rounds(ORDER_SUPPLY | ORDER_USE, check_b16);
}

Test(spec_ordering_split, b16_the_notification_word_names_what_the_barrier_has_shown)
{
    static struct order_bench b;

    memset(&b, 0, sizeof(b));
    b.with = &split_direct;
    b.size = SIZE;
    b.chain = b.batch = 1;
    b.features = VIRTQ_FEATURE(VIRTIO_F_NOTIFICATION_DATA);
    order_open(&b);
    for (unsigned i = 1; i <= SIZE / 2; i++) {
        const unsigned char *index = (const unsigned char *)order_queue.areas.driver + 2;
        uint32_t word = 0;

        order_add(&b);
        cr_assert_eq(b.with->publish(&b), 1u);
        order_add(&b); /* Not shown yet: not named. */
        (void)b.with->driver_test(&b, &word);
        cr_assert_eq(word >> 16, index[0] + index[1] * 256u);
        cr_assert_eq(b.with->publish(&b), 1u);
    }
}

/* Whoever wrote to a cache line of the shared memory: bit 0 driver, bit 1 device. */
static unsigned char writers[ORDER_RING / VIRTQ_CACHE_LINE];

static void note_writers(const struct order_bench *b)
{
    const bool driver = order_number("SR", ORDER_AVAIL_IDX | ORDER_AVAIL_FLAGS | ORDER_AVAIL_SLOT |
                                               ORDER_USED_EVENT | ORDER_DESC | ORDER_TABLE) != 0;

    for (unsigned i = order_next(0, "SR", ~0u); i < order_count; i = order_next(i + 1, "SR", ~0u)) {
        writers[(size_t)(order_log[i].at - b->shared) / VIRTQ_CACHE_LINE] |= driver ? 1 : 2;
    }
}

/* To clean and to invalidate caches is the platform's, as the library takes memory to be coherent.
 * What is ours: in the library's own layout no line is written by both ends, so that a platform
 * which must can do it without losing the other end's bytes. */
Test(spec_ordering_split, b17_no_cache_line_is_written_by_both_ends)
{
    memset(writers, 0, sizeof(writers));
    rounds(~0u, note_writers);
    for (size_t i = 0; i < sizeof(writers); i++) {
        cr_assert_neq(writers[i], 3, "line %zu", i);
    }
}

Test(spec_ordering_split, b17_the_layout_gives_each_area_lines_of_its_own_at_every_size)
{
    for (uint32_t size = 1; size <= VIRTQ_SIZE_MAX; size *= 2) {
        const uint64_t line = VIRTQ_CACHE_LINE;
        struct virtq_layout layout;

        cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, size, &layout), 0);
        cr_assert_eq(layout.align % line, 0u);
        cr_assert_eq(layout.descriptor.offset % line, 0u);
        cr_assert_leq(layout.descriptor.offset + layout.descriptor.size,
                      layout.driver.offset / line * line);
        cr_assert_leq(layout.driver.offset + layout.driver.size,
                      layout.device.offset / line * line);
        cr_assert_eq(layout.size % line, 0u, "what follows the ring shares no line");
    }
}

/* A private array on a line of the ring would be thrown away by an invalidation. */
Test(spec_ordering_split, b17_private_memory_lies_on_whole_lines)
{
    static struct order_bench b;

    memset(&b, 0, sizeof(b));
    b.with = &split_called;
    b.size = SIZE;
    b.chain = b.batch = 1;
    b.features = VIRTQ_FEATURE(VIRTIO_F_IN_ORDER);
    order_open(&b);
    cr_assert_eq(virtq_driver_setup_size(&b.driver_config) % VIRTQ_CACHE_LINE, 0u);
    cr_assert_eq(virtq_device_setup_size(&b.device_config) % VIRTQ_CACHE_LINE, 0u);
    cr_assert_eq((uintptr_t)b.driver.split.core.entries % VIRTQ_CACHE_LINE, 0u);
    cr_assert_eq((uintptr_t)b.driver.split.next % VIRTQ_CACHE_LINE, 0u);
    cr_assert_eq((uintptr_t)b.driver.split.heads % VIRTQ_CACHE_LINE, 0u);
    cr_assert_eq((uintptr_t)b.device.split.core.entries % VIRTQ_CACHE_LINE, 0u);
    cr_assert_eq((uintptr_t)b.device.split.core.lengths % VIRTQ_CACHE_LINE, 0u);
    cr_assert_eq(virtq_split_driver_init(&b.driver.split, &b.driver_config, b.own[0] + 16,
                                         ORDER_PRIVATE - 16),
                 VIRTQ_EINVAL, "and nowhere else");
}
