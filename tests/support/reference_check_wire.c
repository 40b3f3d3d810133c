/* SPDX-License-Identifier: BSD-3-Clause */
/* Event arithmetic, layouts, and bytes in memory as the specification's structures have them. */
#include <string.h>

#include "reference_check.h"

/* The closed formulas in common use; they must tell the same as the walk. */
static bool split_formula(uint16_t event, uint16_t old_index, uint16_t new_index)
{
    return (uint16_t)(new_index - event - 1) < (uint16_t)(new_index - old_index);
}

static bool packed_formula(uint32_t off, bool wrap, uint32_t size, struct reference_position old,
                           uint32_t count)
{
    /* On a circle of both laps, a place is armed if it is less than `count` steps ahead. */
    uint32_t armed = off + (wrap ? 0 : size);
    uint32_t here = old.index + (old.wrap ? 0 : size);

    return (armed + 2 * size - here) % (2 * size) < count;
}

static void check_split_events(void)
{
    static const uint16_t edges[] = {0, 1, 2, 255, 32767, 32768, 65279, 65533, 65534, 65535};
    const unsigned n = sizeof(edges) / sizeof(edges[0]);

    reference_check_at("split events");
    for (unsigned i = 0; i < n * n * n; i++) {
        uint16_t event = edges[i % n];
        uint16_t old_index = edges[i / n % n];
        uint16_t new_index = edges[i / n / n];

        reference_check(reference_split_event(event, old_index, new_index) ==
                            split_formula(event, old_index, new_index),
                        "walk and formula agree");
    }
    /* The note: with used_event 0 a notification comes after the first buffer. */
    reference_check(reference_split_event(0, 0, 1), "the specification's example");
    reference_check(!reference_split_event(0, 1, 0), "not before the 65536th");
    reference_check(!reference_split_event(5, 5, 5), "nothing written");
    reference_check(reference_split_event(65527, 65527, 23), "across the wrap");
}

static void check_packed_events(uint32_t size)
{
    reference_check_at("packed events, size %u", (unsigned)size);
    for (uint32_t here = 0; here < 2 * size; here++) {
        struct reference_position old = reference_position_start(size, here);

        for (uint32_t armed = 0; armed < 2 * size; armed++) {
            struct reference_position at = reference_position_start(size, armed);
            uint16_t off_wrap = (uint16_t)(at.index + (at.wrap ? 32768 : 0));
            bool agree = true;

            for (uint32_t count = 0; count <= 2 * size; count++) {
                agree = agree && reference_packed_event(off_wrap, size, old, count) ==
                                     packed_formula(at.index, at.wrap, size, old, count);
            }
            reference_check(agree, "walk and formula agree");
        }
    }
}

void reference_check_events(void)
{
    struct reference_position last = {6, true};

    check_split_events();
    for (uint32_t size = 1; size <= 12; size++) {
        check_packed_events(size);
    }
    reference_check_at("packed positions");
    last = reference_position_next(last, 7);
    reference_check(last.index == 0 && !last.wrap, "the wrap counter changes after the last");
    last = reference_position_advance(last, 7, 8);
    reference_check(last.index == 1 && last.wrap, "and again a lap later");
}

static void check_area(struct reference_area area, uint64_t offset, uint64_t size)
{
    reference_check(area.offset == offset && area.size == size, "offset and size of an area");
}

static void check_layouts(void)
{
    struct reference_layout layout = reference_split_layout(256);

    reference_check_at("layouts");
    check_area(layout.descriptor, 0, 4096);
    check_area(layout.driver, 4096, 518);
    check_area(layout.device, 4616, 2054);
    layout = reference_legacy_layout(256, 4096);
    check_area(layout.driver, 4096, 518);
    check_area(layout.device, 8192, 2054);
    reference_check(layout.total == 12288, "legacy total");
    layout = reference_packed_layout(7);
    check_area(layout.descriptor, 0, 112);
    check_area(layout.driver, 112, 4);
    check_area(layout.device, 116, 4);
}

static void check_bytes(const void *area, const char *expected, size_t length, const char *what)
{
    reference_check(memcmp(area, expected, length) == 0, what);
}

/* Two elements of 16 and 1 bytes at 0x1122334455667788 and 0x0102030405060708. */
static const struct reference_segment two_elements[] = {{UINT64_C(0x1122334455667788), 16, false},
                                                        {UINT64_C(0x0102030405060708), 1, true}};

static void check_split_bytes(void)
{
    struct reference_config config = {.format = REFERENCE_SPLIT, .size = 4, .event_idx = true};
    struct reference_check_queue queue;
    struct reference_driver driver;
    struct reference_device device;

    reference_check_at("split bytes");
    reference_check_open(&queue, &config, 0);
    reference_check(reference_driver_init(&driver, &queue.config), "driver init");
    reference_check(reference_device_init(&device, &queue.config), "device init");
    reference_check(reference_driver_add(&driver, two_elements, 1, 1, 9, false), "add");
    check_bytes(queue.config.descriptor_area,
                "\x88\x77\x66\x55\x44\x33\x22\x11\x10\0\0\0\x01\0\x01\0"
                "\x08\x07\x06\x05\x04\x03\x02\x01\x01\0\0\0\x02\0\0\0",
                32, "descriptor table");
    check_bytes(queue.config.driver_area, "\0\0\x01\0\0\0\0\0\0\0\0\0\0\0", 14, "available ring");
    check_bytes(queue.config.device_area, "\0\0\0\0", 4, "used ring");
    reference_check(reference_driver_notification_data(&driver, 3) == 0x00010003, "notification");
    reference_check(reference_driver_set_event(&driver, 3) == false, "nothing used");
    check_bytes((unsigned char *)queue.config.driver_area + 12, "\x02\0", 2, "used_event");
    reference_driver_disable_used_notifications(&driver);
    reference_device_disable_available_notifications(&device);
    check_bytes(queue.config.driver_area, "\0\0\x01\0\0\0\0\0\0\0\0\0\xff\xff", 14, "far event");
    check_bytes((unsigned char *)queue.config.device_area + 36, "\xff\xff", 2, "far avail_event");
    reference_driver_free(&driver);
    reference_device_free(&device);
    reference_check_close(&queue);
}

static void check_big_endian_bytes(void)
{
    struct reference_config config = {
        .format = REFERENCE_SPLIT, .size = 4, .big_endian = true, .start = 0xfffe};
    struct reference_check_queue queue;
    struct reference_driver driver;
    struct reference_device device;
    struct reference_chain chain = {0};

    reference_check_at("big-endian bytes");
    reference_check_open(&queue, &config, 0);
    reference_check(reference_driver_init(&driver, &queue.config), "driver init");
    reference_check(reference_device_init(&device, &queue.config), "device init");
    reference_driver_disable_used_notifications(&driver);
    reference_check(reference_driver_add(&driver, two_elements, 1, 1, 9, false), "add");
    check_bytes(queue.config.descriptor_area,
                "\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x10\0\x01\0\x01"
                "\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x01\0\x02\0\0",
                32, "descriptor table");
    check_bytes(queue.config.driver_area, "\0\x01\xff\xff\0\0\0\0\0\0\0\0", 12, "available ring");
    reference_check(reference_device_pop(&device, &chain) == 1, "pop");
    reference_device_push(&device, &chain, 1);
    check_bytes(queue.config.device_area, "\0\0\xff\xff", 4, "used index");
    check_bytes((unsigned char *)queue.config.device_area + 4 + 16, "\0\0\0\0\0\0\0\x01", 8,
                "used element");
    reference_chain_free(&chain);
    reference_driver_free(&driver);
    reference_device_free(&device);
    reference_check_close(&queue);
}

/* Size 3, from offset 2 with wrap counter 1: the list wraps, and so do AVAIL (0x80) and USED
 * (0x8000) in its second descriptor. */
static void check_packed_bytes(void)
{
    struct reference_config config = {
        .format = REFERENCE_PACKED, .size = 3, .start = 2, .event_idx = true};
    struct reference_check_queue queue;
    struct reference_driver driver;
    struct reference_device device;
    struct reference_chain chain = {0};
    const unsigned char *ring;

    reference_check_at("packed bytes");
    reference_check_open(&queue, &config, 0);
    ring = queue.config.descriptor_area;
    reference_check(reference_driver_init(&driver, &queue.config), "driver init");
    reference_check(reference_device_init(&device, &queue.config), "device init");
    check_bytes(queue.config.driver_area, "\x02\x80\x02\0", 4, "driver event suppression");
    reference_check(reference_driver_add(&driver, two_elements, 1, 1, 9, false), "add");
    check_bytes(ring + 32, "\x88\x77\x66\x55\x44\x33\x22\x11\x10\0\0\0\xff\xff\x81\0", 16,
                "first descriptor");
    check_bytes(ring, "\x08\x07\x06\x05\x04\x03\x02\x01\x01\0\0\0\0\0\x02\x80", 16,
                "last descriptor");
    reference_check(reference_driver_notification_data(&driver, 3) == 0x00010003, "notification");
    reference_check(reference_device_pop(&device, &chain) == 1, "pop");
    reference_device_push(&device, &chain, 1);
    check_bytes(ring + 32 + 8, "\x01\0\0\0\0\0\x82\x80", 8, "used descriptor");
    reference_device_disable_available_notifications(&device);
    check_bytes((unsigned char *)queue.config.device_area + 2, "\x01\0", 2, "disabled");
    reference_chain_free(&chain);
    reference_driver_free(&driver);
    reference_device_free(&device);
    reference_check_close(&queue);
}

void reference_check_wire(void)
{
    check_layouts();
    check_split_bytes();
    check_big_endian_bytes();
    check_packed_bytes();
}
