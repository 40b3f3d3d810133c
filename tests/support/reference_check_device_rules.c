/* SPDX-License-Identifier: BSD-3-Clause */
/* Each rule that the device end holds the driver to, against rings written by hand. */
#include <stdio.h>
#include <string.h>

#include "reference_check.h"

enum { NEXT = 1, WRITE = 2, INDIRECT = 4, AVAIL = 128, USED = 32768 };

/* A queue of 4 whose driver is this file. */
struct bench {
    struct reference_check_queue queue;
    struct reference_device device;
    struct reference_chain chain;
    uint16_t avail_idx;
};

static void put(unsigned char *bytes, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
}

static void open_bench(struct bench *bench, enum reference_format format, bool in_order)
{
    struct reference_config config = {.format = format, .size = 4, .in_order = in_order};
    struct reference_driver driver;

    memset(bench, 0, sizeof(*bench));
    reference_check_open(&bench->queue, &config, 4096);
    reference_check(reference_driver_init(&driver, &bench->queue.config), "driver init");
    reference_driver_free(&driver);
    reference_check(reference_device_init(&bench->device, &bench->queue.config), "device init");
}

static void close_bench(struct bench *bench)
{
    reference_chain_free(&bench->chain);
    reference_device_free(&bench->device);
    reference_check_close(&bench->queue);
}

static uint64_t data_address(const struct bench *bench, size_t offset)
{
    return reference_check_segment(&bench->queue, bench->queue.data + offset, 1).address;
}

/* One descriptor given by hand; `third` and `fourth` are the words at offsets 12 and 14. */
struct raw {
    uint64_t address;
    uint32_t length;
    uint16_t third;
    uint16_t fourth;
};

static void put_raw(unsigned char *table, unsigned slot, struct raw raw)
{
    unsigned char *bytes = table + (size_t)slot * 16;

    put(bytes, 8, raw.address);
    put(bytes + 8, 4, raw.length);
    put(bytes + 12, 2, raw.third);
    put(bytes + 14, 2, raw.fourth);
}

static void set(struct bench *bench, unsigned slot, struct raw raw)
{
    put_raw(bench->queue.config.descriptor_area, slot, raw);
}

static void make_available(struct bench *bench, uint16_t head)
{
    unsigned char *avail = bench->queue.config.driver_area;

    put(avail + 4 + (bench->avail_idx % 4) * 2, 2, head);
    bench->avail_idx++;
    put(avail + 2, 2, bench->avail_idx);
}

static void expect(struct bench *bench, int result, const char *violation)
{
    int popped = reference_device_pop(&bench->device, &bench->chain);

    reference_check_at("device must say: %s", violation ? violation : "nothing");
    reference_check(popped == result, "result of pop");
    reference_check(!violation == !bench->device.violation, "violation or none");
    if (violation && bench->device.violation) {
        reference_check(strstr(bench->device.violation, violation) != NULL,
                        bench->device.violation);
    }
}

/* One list from head 0 and its verdict. */
struct split_case {
    struct raw ring[4];
    struct raw table[4];
    uint16_t head;
    bool in_order;
    const char *violation;
};

static const struct split_case split_cases[] = {
    {.head = 0, .ring = {{0, 8, 0, 99}}},
    {.head = 0, .ring = {{0, 8, NEXT, 3}, {0}, {0, 8, WRITE, 0}, {0, 8, NEXT | WRITE, 2}}},
    {.head = 0, .ring = {{0, 8, NEXT, 1}, {0, 8, NEXT, 2}, {0, 0, NEXT, 3}, {0, 8, WRITE, 0}}},
    {.head = 4, .violation = "outside the table"},
    {.head = 0, .ring = {{0, 8, NEXT, 4}}, .violation = "outside the table"},
    {.head = 0, .ring = {{0, 8, NEXT, 1}, {0, 8, NEXT, 0}}, .violation = "loops"},
    {.head = 0, .ring = {{0, 8, NEXT, 0}}, .violation = "loops"},
    {.head = 0, .ring = {{0, 8, NEXT | WRITE, 1}, {0, 8, 0, 0}}, .violation = "readable element"},
    {.head = 0, .ring = {{0, 0, NEXT | WRITE, 1}, {0, 8, 0, 0}}, .violation = "readable element"},
    {.head = 0,
     .ring = {{0, UINT32_MAX, NEXT, 1}, {0, 1, NEXT, 2}, {0, 1, 0, 0}},
     .violation = "2^32"},
    {.head = 0, .ring = {{0, UINT32_MAX, NEXT, 1}, {0, 1, 0, 0}}},
    {.head = 0, .ring = {{0, 16, INDIRECT | NEXT, 1}}, .violation = "both INDIRECT and NEXT"},
    {.head = 0, .ring = {{0, 0, INDIRECT, 0}}, .violation = "multiple of 16"},
    {.head = 0, .ring = {{0, 24, INDIRECT, 0}}, .violation = "multiple of 16"},
    {.head = 0, .ring = {{1 << 20, 16, INDIRECT, 0}}, .violation = "outside the memory"},
    {.head = 0, .ring = {{0, 16, INDIRECT, 0}}, .table = {{0, 8, 0, 9}}},
    {.head = 0, .ring = {{0, 16, INDIRECT | WRITE, 0}}, .table = {{0, 8, 0, 0}}},
    {.head = 0,
     .ring = {{0, 8, NEXT, 1}, {0, 32, INDIRECT, 0}},
     .table = {{0, 8, NEXT, 1}, {0, 8, WRITE, 0}}},
    {.head = 0, .ring = {{0, 48, INDIRECT, 0}}, .table = {{0, 8, NEXT, 2}, {0}, {0, 8, 0, 0}}},
    {.head = 0,
     .ring = {{0, 64, INDIRECT, 0}},
     .table = {{0, 8, NEXT, 1}, {0, 8, NEXT, 2}, {0, 8, NEXT, 3}, {0, 8, 0, 0}}},
    {.head = 0,
     .ring = {{0, 8, NEXT, 1}, {0, 64, INDIRECT, 0}},
     .table = {{0, 8, NEXT, 1}, {0, 8, NEXT, 2}, {0, 8, NEXT, 3}, {0, 8, 0, 0}},
     .violation = "longer than allowed"},
    {.head = 0,
     .ring = {{0, 16, INDIRECT, 0}},
     .table = {{0, 16, INDIRECT, 0}},
     .violation = "inside an indirect table"},
    {.head = 0,
     .ring = {{0, 16, INDIRECT, 0}},
     .table = {{0, 8, NEXT, 1}},
     .violation = "leaves the table"},
    {.head = 0,
     .ring = {{0, 32, INDIRECT, 0}},
     .table = {{0, 8, NEXT, 1}, {0, 8, NEXT, 0}},
     .violation = "leaves the table or loops"},
    {.head = 0,
     .ring = {{0, 8, NEXT | WRITE, 1}, {0, 16, INDIRECT, 0}},
     .table = {{0, 8, 0, 0}},
     .violation = "readable element"},
    {.head = 0, .in_order = true, .ring = {{0, 8, NEXT, 1}, {0, 8, 0, 0}}},
    {.head = 1, .in_order = true, .ring = {{0}, {0, 8, 0, 0}}, .violation = "ring order"},
    {.head = 0,
     .in_order = true,
     .ring = {{0, 8, NEXT, 2}, {0}, {0, 8, 0, 0}},
     .violation = "ring order"},
    {.head = 0,
     .in_order = true,
     .ring = {{0, 48, INDIRECT, 0}},
     .table = {{0, 8, NEXT, 2}, {0}, {0, 8, 0, 0}},
     .violation = "not sequential"},
};

/* Tables lie at an odd address; indirect descriptors above give offsets into the data. */
static void run_split_case(const struct split_case *item)
{
    struct bench bench;

    open_bench(&bench, REFERENCE_SPLIT, item->in_order);
    for (unsigned i = 0; i < 4; i++) {
        struct raw raw = item->ring[i];

        raw.address += data_address(&bench, 1);
        set(&bench, i, raw);
        put_raw(bench.queue.data + 1, i, item->table[i]);
    }
    make_available(&bench, item->head);
    expect(&bench, item->violation ? -1 : 1, item->violation);
    close_bench(&bench);
}

static void check_split_queue_rules(void)
{
    struct bench bench;

    open_bench(&bench, REFERENCE_SPLIT, false);
    make_available(&bench, 0);
    make_available(&bench, 0);
    expect(&bench, 1, NULL);
    expect(&bench, -1, "still had it");
    expect(&bench, -1, "still had it");
    close_bench(&bench);

    open_bench(&bench, REFERENCE_SPLIT, false);
    bench.avail_idx = 4;
    make_available(&bench, 0);
    expect(&bench, -1, "runs ahead");
    close_bench(&bench);

    open_bench(&bench, REFERENCE_SPLIT, false);
    make_available(&bench, 0);
    expect(&bench, 1, NULL);
    for (uint16_t i = 0; i < 4; i++) {
        make_available(&bench, i);
    }
    expect(&bench, -1, "runs ahead");
    close_bench(&bench);

    open_bench(&bench, REFERENCE_SPLIT, false);
    bench.device.config.no_indirect = true;
    set(&bench, 0, (struct raw){data_address(&bench, 0), 16, INDIRECT, 0});
    make_available(&bench, 0);
    expect(&bench, -1, "not negotiated");
    close_bench(&bench);
}

/* A queue that ran before: the first head may be any, the next must follow it. */
static void check_restored_in_order(void)
{
    struct bench bench;

    open_bench(&bench, REFERENCE_SPLIT, true);
    bench.queue.config.start = 6;
    bench.avail_idx = 6;
    reference_device_free(&bench.device);
    reference_check(reference_device_init(&bench.device, &bench.queue.config), "device init");
    make_available(&bench, 3);
    make_available(&bench, 0);
    make_available(&bench, 2);
    expect(&bench, 1, NULL);
    expect(&bench, 1, NULL);
    expect(&bench, -1, "ring order");
    close_bench(&bench);
}

struct packed_case {
    struct raw ring[4];
    struct raw table[4];
    const char *violation;
};

static const struct packed_case packed_cases[] = {
    {.ring = {{0, 8, 3, AVAIL}}},
    {.ring = {{0, 8, 99, AVAIL | NEXT}, {0, 8, 0, AVAIL | WRITE}}},
    {.ring = {{0, 8, 4, AVAIL}}, .violation = "not below the queue size"},
    {.ring = {{0, 8, 0, AVAIL | NEXT}, {0, 8, 0, 0}}, .violation = "not available"},
    {.ring = {{0, 8, 0, AVAIL | NEXT}, {0, 8, 0, AVAIL | USED}}, .violation = "not available"},
    {.ring = {{0, 8, 0, AVAIL | NEXT | WRITE}, {0, 8, 0, AVAIL}}, .violation = "readable element"},
    {.ring = {{0, 8, 0, AVAIL | NEXT},
              {0, 8, 0, AVAIL | NEXT},
              {0, 8, 0, AVAIL | NEXT},
              {0, 8, 0, AVAIL | NEXT}},
     .violation = "not available"},
    {.ring = {{0, 16, 0, AVAIL | INDIRECT | NEXT}}, .violation = "linked by NEXT"},
    {.ring = {{0, 8, 0, AVAIL | NEXT}, {0, 16, 0, AVAIL | INDIRECT}},
     .violation = "linked by NEXT"},
    {.ring = {{0, 0, 0, AVAIL | INDIRECT}}, .violation = "multiple of 16"},
    {.ring = {{0, 17, 0, AVAIL | INDIRECT}}, .violation = "multiple of 16"},
    {.ring = {{1 << 20, 16, 0, AVAIL | INDIRECT}}, .violation = "outside the memory"},
    {.ring = {{0, 32, 0, AVAIL | INDIRECT | WRITE}}, .table = {{0, 8, 77, 0}, {0, 8, 0, WRITE}}},
    {.ring = {{0, 64, 0, AVAIL | INDIRECT}}},
    {.ring = {{0, 80, 0, AVAIL | INDIRECT}}, .violation = "longer than allowed"},
    {.ring = {{0, 16, 0, AVAIL | INDIRECT}},
     .table = {{0, 16, 0, INDIRECT}},
     .violation = "other than WRITE"},
    {.ring = {{0, 32, 0, AVAIL | INDIRECT}},
     .table = {{0, 8, 0, WRITE}, {0, 8, 0, 0}},
     .violation = "readable element"},
};

static void run_packed_case(const struct packed_case *item)
{
    struct bench bench;

    open_bench(&bench, REFERENCE_PACKED, false);
    memset(bench.queue.data, 0, 128);
    for (unsigned i = 0; i < 4; i++) {
        struct raw raw = item->ring[i];

        raw.address += data_address(&bench, 1);
        set(&bench, i, raw);
        put_raw(bench.queue.data + 1, i, item->table[i]);
    }
    expect(&bench, item->violation ? -1 : 1, item->violation);
    close_bench(&bench);
}

static void check_packed_queue_rules(void)
{
    struct bench bench;

    open_bench(&bench, REFERENCE_PACKED, false);
    set(&bench, 0, (struct raw){0, 8, 2, AVAIL});
    expect(&bench, 1, NULL);
    expect(&bench, 0, NULL);
    set(&bench, 1, (struct raw){0, 8, 2, AVAIL});
    expect(&bench, -1, "still has");
    close_bench(&bench);

    /* A driver that laps the device: all four are held when the first is written anew. */
    open_bench(&bench, REFERENCE_PACKED, false);
    for (uint16_t i = 0; i < 4; i++) {
        set(&bench, i, (struct raw){0, 8, i, AVAIL});
        expect(&bench, 1, NULL);
    }
    expect(&bench, 0, NULL);
    set(&bench, 0, (struct raw){0, 8, 0, USED});
    expect(&bench, -1, "more descriptors than are free");
    close_bench(&bench);
}

/* Suppression words that no correct driver writes. */
static void check_suppression_rules(void)
{
    struct bench bench;

    reference_check_at("suppression words");
    open_bench(&bench, REFERENCE_SPLIT, false);
    put(bench.queue.config.driver_area, 2, 2);
    reference_device_should_notify(&bench.device);
    reference_check(bench.device.violation != NULL, "flags of 2");
    close_bench(&bench);

    open_bench(&bench, REFERENCE_SPLIT, false);
    bench.device.config.event_idx = true;
    put(bench.queue.config.driver_area, 2, 1);
    reference_device_should_notify(&bench.device);
    reference_check(bench.device.violation != NULL, "flags of 1 with EVENT_IDX");
    close_bench(&bench);

    for (unsigned flags = 2; flags <= 4; flags++) {
        open_bench(&bench, REFERENCE_PACKED, false);
        put((unsigned char *)bench.queue.config.driver_area + 2, 2, flags);
        reference_device_should_notify(&bench.device);
        reference_check(bench.device.violation != NULL, "packed flags");
        close_bench(&bench);
    }
}

void reference_check_device_rules(void)
{
    for (unsigned i = 0; i < sizeof(split_cases) / sizeof(split_cases[0]); i++) {
        run_split_case(&split_cases[i]);
    }
    for (unsigned i = 0; i < sizeof(packed_cases) / sizeof(packed_cases[0]); i++) {
        run_packed_case(&packed_cases[i]);
    }
    check_split_queue_rules();
    check_restored_in_order();
    check_packed_queue_rules();
    check_suppression_rules();
}
