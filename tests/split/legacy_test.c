/* SPDX-License-Identifier: BSD-3-Clause */
/* Legacy split queues: S2, the layout with its padding and the guest's byte order, on both ends. */
#include "memory.h"
#include "support/reference.h"

enum { LEGACY_SIZE = 8, LEGACY_ALIGN = 4096, LEGACY_DATA = 2048 };

/** @brief Both ends of the library on one legacy queue. */
struct legacy {
    unsigned char *block; /**< The ring's, with junk at first. */
    unsigned char *tables;
    unsigned char *data;
    size_t size;
    struct wire wire;
    struct virtq_direct direct;
    struct virtq_driver_config driver_config;
    struct virtq_device_config device_config;
    void *driver_memory;
    void *device_memory;
    struct virtq_driver *driver;
    struct virtq_device *device;
};

static void legacy_space(struct legacy *l)
{
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;

    l->block = aligned_alloc(LEGACY_ALIGN, l->size);
    cr_assert_not_null(l->block);
    memset(l->block, 0xa5, l->size);
    cr_assert_eq(
        virtq_direct_init(&l->direct, l->block, MEMORY_FIRST, MEMORY_FIRST + l->size - 1, both), 0);
}

static void legacy_init(struct legacy *l, bool big, uint64_t features)
{
    const struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    const struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    struct virtq_areas areas;
    size_t size;

    memset(l, 0, sizeof(*l));
    cr_assert_eq(virtq_layout_init_legacy(LEGACY_SIZE, LEGACY_ALIGN, &layout), 0);
    l->size = layout.size + 8192;
    legacy_space(l);
    l->tables = l->block + layout.size;
    l->data = l->tables + 4096;
    virtq_layout_areas(&layout, l->block, &areas);
    l->wire = (struct wire){l->block, l->block + LEGACY_SIZE * 16, l->block + LEGACY_ALIGN,
                            LEGACY_SIZE, big};
    l->driver_config = driver;
    l->driver_config.size = LEGACY_SIZE;
    l->driver_config.features = features;
    l->driver_config.flags = big ? VIRTQ_DRIVER_BIG_ENDIAN : 0;
    l->driver_config.segments_max = 4;
    l->driver_config.space = &l->direct.space;
    l->driver_config.areas = areas;
    l->driver_config.tables = l->tables;
    cr_assert(virtq_driver_tables_size(&l->driver_config) <= 4096);
    size = virtq_driver_size(&l->driver_config);
    l->driver_memory = memory_private(size);
    cr_assert_eq(virtq_driver_init(l->driver_memory, size, &l->driver_config, &l->driver), 0);
    l->device_config = device;
    l->device_config.size = LEGACY_SIZE;
    l->device_config.features = features;
    l->device_config.flags = big ? VIRTQ_DEVICE_BIG_ENDIAN : 0;
    l->device_config.space = &l->direct.space;
    l->device_config.areas = areas;
    size = virtq_device_size(&l->device_config);
    l->device_memory = memory_private(size);
    cr_assert_eq(virtq_device_init(l->device_memory, size, &l->device_config, &l->device, NULL), 0);
}

static void legacy_free(struct legacy *l)
{
    virtq_driver_destroy(l->driver);
    free(l->driver_memory);
    free(l->device_memory);
    free(l->block);
}

/* ---- Layout ---- */

Test(split_legacy, s2_the_used_ring_begins_at_the_next_multiple_of_queue_align)
{
    for (uint32_t align = 4; align <= 65536; align *= 2) {
        for (uint32_t size = 1; size <= 32768; size *= 2) {
            /* The prose's macro takes qalign for a mask: 4095 for pages of 4096. */
            const uint64_t mask = align - 1;
            const uint64_t n = size;
            const uint64_t used = (16 * n + 2 * (3 + n) + mask) & ~mask;
            const uint64_t whole = used + ((2 * 3 + 8 * n + mask) & ~mask);
            struct virtq_layout layout;

            cr_assert_eq(virtq_layout_init_legacy(size, align, &layout), 0);
            cr_assert_eq(layout.descriptor.offset, 0u);
            cr_assert_eq(layout.driver.offset, 16 * n);
            cr_assert_eq(layout.device.offset, used);
            cr_assert_eq(layout.size, whole);
            cr_assert_eq(layout.descriptor.size, 16 * n);
            cr_assert_eq(layout.driver.size, 6 + 2 * n);
            cr_assert_eq(layout.device.size, 6 + 8 * n);
        }
    }
}

Test(split_legacy, s2_a_mask_is_no_alignment_and_three_is_no_size)
{
    static const uint32_t aligns[] = {0, 1, 2, 3, 4095, 4097, 6000, UINT32_MAX};
    static const uint32_t sizes[] = {0, 3, 12, 32767, 32769, 65536, UINT32_MAX};
    struct virtq_layout layout;

    memset(&layout, 0x33, sizeof(layout));
    for (unsigned i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
        cr_assert_eq(virtq_layout_init_legacy(8, aligns[i], &layout), VIRTQ_EINVAL);
    }
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        cr_assert_eq(virtq_layout_init_legacy(sizes[i], 4096, &layout), VIRTQ_EINVAL);
    }
    cr_assert_eq(layout.size, UINT64_C(0x3333333333333333));
}

/* ---- Byte order ---- */

Test(split_legacy, s2_big_endian_is_for_legacy_split_queues_only)
{
    struct legacy l;

    legacy_init(&l, true, 0);
    l.driver_config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    cr_assert_eq(virtq_driver_size(&l.driver_config), 0u);
    l.device_config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    cr_assert_eq(virtq_device_size(&l.device_config), 0u);
    legacy_free(&l);
}

/** @brief One buffer from end to end, and every field of the ring in the guest's order. */
static void round_trip(struct legacy *l, uint16_t n)
{
    struct virtq_segment segments[2] = {{.base = l->data, .len = 0x0102},
                                        {.base = l->data + 0x203, .len = 0x0304}};
    const struct virtq_buffer buffer = {segments, l, 1, 1, n % 2 != 0 ? VIRTQ_BUFFER_DIRECT : 0};
    struct virtq_completion done;
    struct virtq_piece pieces[4];
    struct virtq_chain chain;
    struct virtq_used_buffer used;
    struct wire_desc head;

    cr_assert_eq(virtq_driver_add(l->driver, &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(l->driver), 1u);
    cr_assert_eq(wire_avail_idx(&l->wire), (uint16_t)(n + 1));
    head = wire_desc(&l->wire, wire_avail_head(&l->wire, n));
    if (n % 2 == 0) {
        cr_assert_eq(head.flags, (unsigned)WIRE_INDIRECT);
        cr_assert_eq(head.len, 32u);
        head = wire_desc_of(l->block + (head.addr - MEMORY_FIRST), l->wire.big);
    }
    cr_assert_eq(head.addr, MEMORY_FIRST + (uint64_t)(l->data - l->block));
    cr_assert_eq(head.len, 0x0102u);
    cr_assert_eq(head.flags, (unsigned)WIRE_NEXT);
    cr_assert_eq(virtq_device_pop(l->device, &chain, 1, pieces, 4), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert(pieces[0].base == segments[0].base && pieces[0].len == 0x0102);
    cr_assert(pieces[1].base == segments[1].base && pieces[1].len == 0x0304);
    used = (struct virtq_used_buffer){chain.id, 0x0203};
    cr_assert_eq(virtq_device_push(l->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(l->device), 1);
    cr_assert_eq(wire_used_idx(&l->wire), (uint16_t)(n + 1));
    cr_assert_eq(wire_used_id(&l->wire, n), chain.id);
    cr_assert_eq(wire_used_len(&l->wire, n), 0x0203u);
    cr_assert_eq(virtq_driver_poll(l->driver, &done, 1), 1);
    cr_assert(done.cookie == l && done.len == 0x0203);
}

Test(split_legacy, s2_both_ends_speak_the_guests_byte_order)
{
    for (unsigned big = 0; big < 2; big++) {
        struct legacy l;

        legacy_init(&l, big != 0, VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC));
        for (uint16_t n = 0; n < 600; n++) {
            round_trip(&l, n);
        }
        /* The padding belongs to nobody. */
        for (size_t i = LEGACY_SIZE * 16 + LEGACY_SIZE * 2 + 6; i < LEGACY_ALIGN; i++) {
            cr_assert_eq(l.block[i], 0xa5);
        }
        legacy_free(&l);
    }
}

Test(split_legacy, s2_event_words_and_flags_are_in_the_guests_byte_order)
{
    const uint64_t events =
        VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX);

    for (unsigned big = 0; big < 2; big++) {
        struct legacy l;

        legacy_init(&l, big != 0, events);
        for (uint16_t n = 0; n < 0x0203; n++) {
            round_trip(&l, n);
        }
        cr_assert(virtq_driver_needs_notify(l.driver, NULL));
        cr_assert_eq(virtq_device_needs_notify(l.device), 1);
        cr_assert(!virtq_driver_enable_notify(l.driver));
        cr_assert(!virtq_device_enable_notify(l.device));
        cr_assert_eq(wire_used_event(&l.wire), 0x0203);
        cr_assert_eq(wire_avail_event(&l.wire), 0x0203);
        round_trip(&l, 0x0203);
        cr_assert(virtq_driver_needs_notify(l.driver, NULL));
        cr_assert_eq(virtq_device_needs_notify(l.device), 1);
        round_trip(&l, 0x0204);
        cr_assert(!virtq_driver_needs_notify(l.driver, NULL));
        cr_assert_eq(virtq_device_needs_notify(l.device), 0);
        legacy_free(&l);
        legacy_init(&l, big != 0, VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC));
        virtq_driver_disable_notify(l.driver);
        virtq_device_disable_notify(l.device);
        cr_assert_eq(wire_avail_flags(&l.wire), 1);
        cr_assert_eq(wire_used_flags(&l.wire), 1);
        round_trip(&l, 0);
        cr_assert(!virtq_driver_needs_notify(l.driver, NULL));
        cr_assert_eq(virtq_device_needs_notify(l.device), 1);
        round_trip(&l, 1);
        cr_assert_eq(virtq_device_needs_notify(l.device), 0);
        legacy_free(&l);
    }
}

Test(split_legacy, s2_a_restored_driver_writes_its_position_in_the_guests_byte_order)
{
    for (unsigned big = 0; big < 2; big++) {
        const struct virtq_state state = {VIRTQ_FORMAT_SPLIT, LEGACY_SIZE, 0x1234, 0x1234, 0};
        struct legacy l;

        legacy_init(&l, big != 0, VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC));
        cr_assert_eq(virtq_driver_restore(l.driver, &state), 0);
        cr_assert_eq(l.wire.avail[2], big != 0 ? 0x12 : 0x34);
        cr_assert_eq(wire_avail_idx(&l.wire), 0x1234);
        cr_assert_eq(wire_used_idx(&l.wire), 0x1234);
        cr_assert_eq(virtq_device_restore(l.device, &state), 0);
        for (uint16_t n = 0x1234; n < 0x1300; n++) {
            round_trip(&l, n);
        }
        legacy_free(&l);
    }
}

/* ---- Against the reference ring ---- */

static void *reference_at(void *ctx, uint64_t address, uint32_t length)
{
    const struct legacy *l = ctx;

    if (address < MEMORY_FIRST || length > l->size || address - MEMORY_FIRST > l->size - length) {
        return NULL;
    }
    return l->block + (address - MEMORY_FIRST);
}

static uint64_t reference_address_of(void *ctx, const void *pointer)
{
    const struct legacy *l = ctx;

    return MEMORY_FIRST + (uint64_t)((const unsigned char *)pointer - l->block);
}

static struct reference_config reference_of(struct legacy *l)
{
    struct reference_config config;

    memset(&config, 0, sizeof(config));
    config.format = REFERENCE_SPLIT;
    config.size = LEGACY_SIZE;
    config.descriptor_area = l->wire.desc;
    config.driver_area = l->wire.avail;
    config.device_area = l->wire.used;
    config.memory = (struct reference_memory){reference_at, reference_address_of, l};
    config.big_endian = l->wire.big;
    config.tables = l->tables;
    config.table_entries = 4;
    return config;
}

Test(split_legacy, s2_a_reference_device_understands_the_driver)
{
    for (unsigned big = 0; big < 2; big++) {
        struct legacy l;
        struct reference_config config;
        struct reference_device device;
        struct reference_chain chain = {0};

        legacy_init(&l, big != 0, VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC));
        config = reference_of(&l);
        cr_assert(reference_device_init(&device, &config));
        for (unsigned n = 0; n < 300; n++) {
            struct virtq_segment segments[3] = {{.base = l.data, .len = 100 + n},
                                                {.base = l.data + 500, .len = 300},
                                                {.base = l.data + 900, .len = 7}};
            const struct virtq_buffer buffer = {segments, &l, 1, (uint16_t)(n % 3),
                                                n % 2 != 0 ? VIRTQ_BUFFER_DIRECT : 0};
            struct virtq_completion done;

            cr_assert_eq(virtq_driver_add(l.driver, &buffer, 1), 1);
            cr_assert_eq(virtq_driver_publish(l.driver), 1u);
            cr_assert_eq(reference_device_pop(&device, &chain), 1, "%s",
                         device.violation != NULL ? device.violation : "nothing there");
            cr_assert_eq(chain.readable, 100u + n);
            cr_assert_eq(chain.writable, n % 3 == 0 ? 0u : n % 3 == 1 ? 300u : 307u);
            reference_device_push(&device, &chain, (uint32_t)chain.writable);
            cr_assert_eq(virtq_driver_poll(l.driver, &done, 1), 1);
            cr_assert_eq(done.len, chain.writable);
        }
        reference_chain_free(&chain);
        reference_device_free(&device);
        legacy_free(&l);
    }
}

Test(split_legacy, s2_the_device_understands_a_reference_driver)
{
    for (unsigned big = 0; big < 2; big++) {
        struct legacy l;
        struct reference_config config;
        struct reference_driver driver;

        legacy_init(&l, big != 0, VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC));
        config = reference_of(&l);
        cr_assert(reference_driver_init(&driver, &config));
        for (unsigned n = 0; n < 300; n++) {
            const struct reference_segment segments[2] = {
                {reference_address_of(&l, l.data), 100 + n, false},
                {reference_address_of(&l, l.data + 500), 300, true}};
            struct virtq_piece pieces[4];
            struct virtq_chain chain;
            struct virtq_used_buffer used;
            unsigned long token = 0;
            uint32_t length = 0;

            cr_assert(reference_driver_add(&driver, segments, 1, 1, n, n % 2 == 0));
            cr_assert_eq(virtq_device_pop(l.device, &chain, 1, pieces, 4), 1);
            cr_assert(pieces[0].base == l.data && pieces[0].len == 100 + n);
            cr_assert(pieces[1].base == l.data + 500 && pieces[1].len == 300);
            used = (struct virtq_used_buffer){chain.id, n % 301};
            cr_assert_eq(virtq_device_push(l.device, &used, 1), 1);
            cr_assert_eq(virtq_device_publish(l.device), 1);
            cr_assert_eq(reference_driver_poll(&driver, &token, &length), 1);
            cr_assert(token == n && length == n % 301);
        }
        reference_driver_free(&driver);
        legacy_free(&l);
    }
}
