/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a bad buffer's last byte is: the one that a status would be in. */
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "virtq/iommu/iotlb.h"
#include "virtq/virtq.h"

#define WRITE VIRTQ_DESC_F_WRITE
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)

enum {
    SIZE = 8,
    ELEMENTS = 4,
    PAGE = 4096,
    GOOD = 0x10000,     /* A page that may be read and written, ... */
    READABLE = 0x20000, /* ... one that may be read, ... */
    NOWHERE = 0x90000,  /* ... and one that is not there. */
    TABLE = GOOD + 2048
};

struct element {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
};

enum shape { SPLIT, SPLIT_TABLE, PACKED, PACKED_TABLE, SHAPES };

/* What the driver writes, and the device; all in one place, for there is no driver. */
struct rig {
    unsigned char pages[2][PAGE] __attribute__((aligned(PAGE)));
    unsigned char ring[2 * PAGE] __attribute__((aligned(PAGE)));
    unsigned char memory[16384] __attribute__((aligned(VIRTQ_CACHE_LINE)));
    struct virtq_direct direct;
    struct virtq_region regions[2];
    struct virtq_areas areas;
    struct virtq_device *device;
    struct virtq_chain chain;
    struct virtq_piece pieces[ELEMENTS];
    uint32_t next; /* The descriptor that comes next. */
    uint16_t available;
};

static struct rig rig;

static bool is_packed(enum shape shape)
{
    return shape == PACKED || shape == PACKED_TABLE;
}

static void put(void *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        ((unsigned char *)to)[i] = (unsigned char)(value >> 8 * i);
    }
}

static void open_on(enum shape shape, struct virtq_space *space)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    const enum virtq_format format = is_packed(shape) ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    struct virtq_layout layout;

    cr_assert_eq(virtq_layout_init(format, SIZE, &layout), 0);
    virtq_layout_areas(&layout, rig.ring, &rig.areas);
    config.format = format;
    config.size = SIZE;
    config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) |
                      (is_packed(shape) ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    config.areas = rig.areas;
    config.space = space;
    cr_assert_eq(virtq_device_init(rig.memory, sizeof(rig.memory), &config, &rig.device, NULL), 0);
}

/* One page to read and write, and perhaps one to read. */
static void open_regions(enum shape shape, unsigned count)
{
    memset(&rig, 0, sizeof(rig));
    for (unsigned i = 0; i < 2; i++) {
        rig.regions[i].first = i == 0 ? GOOD : READABLE;
        rig.regions[i].last = rig.regions[i].first + PAGE - 1;
        rig.regions[i].base = rig.pages[i];
        rig.regions[i].permissions = i == 0 ? BOTH : VIRTQ_PERMISSION_READ;
    }
    cr_assert_eq(virtq_direct_init_regions(&rig.direct, rig.regions, count), 0);
    open_on(shape, &rig.direct.space);
}

/* An entry of a ring or of a table: what it leads to is `next`, or nothing. */
static void describe(unsigned char *at, bool packed, const struct element *element, bool goes_on,
                     uint32_t next, uint16_t more)
{
    const uint16_t flags = (uint16_t)(element->flags | more | (goes_on ? VIRTQ_DESC_F_NEXT : 0));

    put(at, element->addr, 8);
    put(at + 8, element->len, 4);
    put(at + (packed ? 14 : 12), flags, 2);
    put(at + (packed ? 12 : 14), packed ? 3 : next, 2);
}

static unsigned char *descriptor(uint32_t index)
{
    return (unsigned char *)rig.areas.descriptor + (size_t)index * 16;
}

/* Makes a buffer available. The packed ring is not gone round in full. */
static void offer(enum shape shape, const struct element *elements, unsigned count)
{
    const struct element table = {TABLE, count * 16, VIRTQ_DESC_F_INDIRECT};
    const bool tabled = shape == SPLIT_TABLE || shape == PACKED_TABLE;
    const uint32_t head = rig.next;
    const uint16_t available = is_packed(shape) ? PVIRTQ_DESC_F_AVAIL : 0;

    if (tabled) {
        for (unsigned i = 0; i < count; i++) {
            describe(rig.pages[0] + (TABLE - GOOD) + (size_t)i * 16, is_packed(shape), &elements[i],
                     i + 1 < count, i + 1, 0);
        }
        elements = &table;
        count = 1;
    }
    for (unsigned i = 0; i < count; i++) {
        describe(descriptor(head + i), is_packed(shape), &elements[i], i + 1 < count, head + i + 1,
                 available);
    }
    rig.next += count;
    if (!is_packed(shape)) {
        put((unsigned char *)rig.areas.driver + 4 + (size_t)rig.available * 2, head, 2);
        put((unsigned char *)rig.areas.driver + 2, ++rig.available, 2);
    }
}

static void pop_bad(unsigned room)
{
    cr_assert_eq(virtq_device_pop(rig.device, &rig.chain, 1, rig.pieces, room), 1);
    cr_assert(rig.chain.reason != (uint32_t)VIRTQ_REASON_NONE);
}

static void give_back(void)
{
    const struct virtq_used_buffer used = {rig.chain.id, 0};

    cr_assert_eq(virtq_device_push(rig.device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(rig.device), 1);
}

struct row {
    struct element elements[ELEMENTS];
    unsigned count;
    unsigned room; /* Pieces. */
    uint64_t last; /* 0: there is none. */
};

static const struct row rows[] = {
    {{{GOOD, 16, 0}, {NOWHERE, 512, WRITE}, {GOOD + 100, 1, WRITE}}, 3, 4, GOOD + 100},
    {{{GOOD, 16, 0}, {NOWHERE, 512, WRITE}, {GOOD + 100, 8, WRITE}}, 3, 4, GOOD + 107},
    {{{NOWHERE, 16, 0}, {GOOD, 512, WRITE}, {GOOD + PAGE - 1, 1, WRITE}}, 3, 4, GOOD + PAGE - 1},
    {{{NOWHERE, 16, 0}, {GOOD + 4, 4, WRITE}, {NOWHERE, 0, WRITE}}, 3, 4, GOOD + 7},
    {{{UINT64_MAX - 1, 4, 0}, {GOOD, 1, WRITE}}, 2, 4, GOOD},
    {{{GOOD, 16, 0}, {GOOD + 16, 4, WRITE}, {GOOD + 20, 1, WRITE}}, 3, 1, GOOD + 20},
    /* What may not be written. */
    {{{GOOD, 16, 0}, {GOOD, 512, WRITE}, {NOWHERE, 1, WRITE}}, 3, 4, 0},
    {{{GOOD, 16, 0}, {GOOD, 512, WRITE}, {GOOD + PAGE - 4, 5, WRITE}}, 3, 4, 0},
    {{{GOOD, 16, 0}, {NOWHERE, 512, WRITE}, {READABLE, 1, WRITE}}, 3, 4, 0},
    {{{GOOD, 16, 0}, {GOOD, 512, WRITE}, {UINT64_MAX - GOOD, 2 * GOOD + 2, WRITE}}, 3, 4, 0},
    /* What is not there to be written. */
    {{{GOOD, 16, 0}, {NOWHERE, 512, WRITE}, {GOOD, 16, 0}}, 3, 4, 0},
    {{{GOOD, 16, 0}, {NOWHERE, 16, 0}}, 2, 4, 0},
    {{{NOWHERE, 16, 0}, {GOOD, 0, WRITE}}, 2, 4, 0},
};

static void judge_row(enum shape shape, const struct row *row, unsigned number)
{
    struct virtq_piece piece = {.base = NULL, .len = 7};
    const int got = virtq_device_last_byte(rig.device, &rig.chain, &piece);

    cr_assert_eq(got, row->last != 0 ? 1 : 0, "shape %u, row %u", (unsigned)shape, number);
    cr_assert_eq(piece.len, row->last != 0 ? 1u : 7u);
    cr_assert(row->last == 0 || piece.base == rig.pages[0] + (row->last - GOOD));
}

Test(core_last, the_last_byte_is_found_whatever_is_wrong_before_it)
{
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        for (unsigned regions = 1; regions <= 2; regions++) { /* One is a window, two are asked. */
            for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
                open_regions((enum shape)shape, regions);
                offer((enum shape)shape, rows[r].elements, rows[r].count);
                pop_bad(rows[r].room);
                judge_row((enum shape)shape, &rows[r], r);
                judge_row((enum shape)shape, &rows[r], r);
                give_back();
            }
        }
    }
}

Test(core_last, only_of_the_latest_buffer_and_a_bad_one)
{
    static const struct element good[] = {{GOOD, 16, 0}, {GOOD + 16, 1, WRITE}};

    for (unsigned shape = 0; shape < SHAPES; shape++) {
        struct virtq_piece piece;
        struct virtq_chain first;

        open_regions((enum shape)shape, 1);
        offer((enum shape)shape, rows[0].elements, rows[0].count);
        pop_bad(4);
        first = rig.chain;
        give_back();
        cr_assert_eq(virtq_device_last_byte(rig.device, &first, &piece), VIRTQ_EINVAL);
        open_regions((enum shape)shape, 1);
        offer((enum shape)shape, good, 2);
        cr_assert_eq(virtq_device_pop(rig.device, &rig.chain, 1, rig.pieces, 4), 1);
        cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), VIRTQ_EINVAL);
        rig.chain.id = SIZE;
        rig.chain.reason = (uint32_t)VIRTQ_REASON_ADDRESS;
        cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), VIRTQ_EINVAL);
    }
}

/* A space that is one window, for reading. */
Test(core_last, not_where_nothing_may_be_written)
{
    static const struct element elements[] = {
        {GOOD, 16, 0}, {NOWHERE, 512, WRITE}, {GOOD + 16, 1, WRITE}};

    for (unsigned shape = 0; shape < SHAPES; shape++) {
        struct virtq_piece piece;

        open_regions((enum shape)shape, 1);
        rig.regions[0].permissions = VIRTQ_PERMISSION_READ;
        cr_assert_eq(virtq_direct_init_regions(&rig.direct, rig.regions, 1), 0);
        open_on((enum shape)shape, &rig.direct.space);
        offer((enum shape)shape, elements, 3);
        pop_bad(4);
        cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), 0);
    }
}

/* A walk of what the driver has made of it meanwhile comes to an end. */
Test(core_last, what_goes_round_has_no_end)
{
    struct virtq_piece piece;

    for (unsigned shape = SPLIT; shape <= SPLIT_TABLE; shape++) {
        unsigned char *entries = shape == SPLIT ? rig.ring : rig.pages[0] + (TABLE - GOOD);

        for (unsigned i = 0; i < 3; i++) {
            static const uint16_t nexts[] = {0, 2, 0x7fff};

            open_regions((enum shape)shape, 1);
            offer((enum shape)shape, rows[0].elements, rows[0].count);
            pop_bad(4);
            put(entries + 32 + 12, WRITE | VIRTQ_DESC_F_NEXT, 2);
            put(entries + 32 + 14, nexts[i], 2);
            cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), 0);
        }
    }
    /* A table in a table, and one that goes on. */
    open_regions(SPLIT_TABLE, 1);
    offer(SPLIT_TABLE, rows[0].elements, rows[0].count);
    pop_bad(4);
    put(rig.pages[0] + (TABLE - GOOD) + 32 + 12, WRITE | VIRTQ_DESC_F_INDIRECT, 2);
    cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), 0);
    put(rig.pages[0] + (TABLE - GOOD) + 32 + 12, WRITE, 2);
    cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), 1);
    put(descriptor(0) + 12, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT, 2);
    cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), 0);
}

/* The IOMMU knows the data's page to be for reading, and nothing yet of the status'. */
Test(core_last, m4_a_miss_is_to_be_resolved_and_the_question_asked_again)
{
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        static const struct element elements[] = {
            {GOOD, 16, 0}, {READABLE, 512, WRITE}, {NOWHERE + 8, 1, WRITE}};
        static unsigned char memory[16384];
        struct virtq_iommu_device device;
        struct virtq_iotlb iotlb;
        struct virtq_miss miss;
        struct virtq_piece piece;

        memset(&rig, 0, sizeof(rig));
        cr_assert_eq(virtq_iotlb_init(&iotlb, 8, memory, sizeof(memory)), 0);
        cr_assert_eq(virtq_iommu_device_init(&device, NULL, &iotlb), 0);
        cr_assert_eq(virtq_iotlb_update(&iotlb, GOOD, GOOD + PAGE - 1, rig.pages[0], BOTH), 0);
        cr_assert_eq(virtq_iotlb_update(&iotlb, READABLE, READABLE + PAGE - 1, rig.pages[1],
                                        VIRTQ_PERMISSION_READ),
                     0);
        open_on((enum shape)shape, &device.space);
        offer((enum shape)shape, elements, 3);
        pop_bad(4);
        cr_assert_eq(rig.chain.reason, (uint32_t)VIRTQ_REASON_PERMISSION);
        cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), VIRTQ_EMISS);
        virtq_device_miss(rig.device, &miss);
        cr_assert_eq(miss.addr, (virtq_addr_t)NOWHERE + 8);
        cr_assert_eq(miss.len, 1u);
        cr_assert_eq(miss.permissions, (uint32_t)VIRTQ_PERMISSION_WRITE);
        cr_assert_eq(virtq_iotlb_update(&iotlb, NOWHERE, NOWHERE + PAGE - 1, rig.pages[1], BOTH),
                     0);
        cr_assert_eq(virtq_device_last_byte(rig.device, &rig.chain, &piece), 1);
        cr_assert(piece.base == rig.pages[1] + 8);
        give_back();
        virtq_iommu_device_destroy(&device);
    }
}
