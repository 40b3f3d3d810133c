/* SPDX-License-Identifier: BSD-3-Clause */
/* Each rule that the driver end holds the device to, and what the driver itself refuses. */
#include <string.h>

#include "reference_check.h"

enum { SIZE = 4, WRITE = 2, AVAIL = 128, USED = 32768 };

/* A queue of 4 whose device is this file, with three buffers of 8 writable bytes available. */
struct bench {
    struct reference_check_queue queue;
    struct reference_driver driver;
    unsigned long token;
    uint32_t length;
};

static void put(unsigned char *bytes, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
}

static void open_bench(struct bench *bench, enum reference_format format, bool in_order)
{
    struct reference_config config = {.format = format, .size = SIZE, .in_order = in_order};

    memset(bench, 0, sizeof(*bench));
    reference_check_open(&bench->queue, &config, 4096);
    reference_check(reference_driver_init(&bench->driver, &bench->queue.config), "driver init");
    for (unsigned i = 0; i < 3; i++) {
        struct reference_segment segment =
            reference_check_segment(&bench->queue, bench->queue.data + (size_t)i * 8, 8);

        reference_check(reference_driver_add(&bench->driver, &segment, 0, 1, 100 + i, false),
                        "add");
    }
}

static void close_bench(struct bench *bench)
{
    reference_driver_free(&bench->driver);
    reference_check_close(&bench->queue);
}

static void use_split(struct bench *bench, unsigned at, uint32_t id, uint32_t length, uint16_t idx)
{
    unsigned char *used = bench->queue.config.device_area;

    put(used + 4 + (size_t)at * 8, 4, id);
    put(used + 8 + (size_t)at * 8, 4, length);
    put(used + 2, 2, idx);
}

static void use_packed(struct bench *bench, unsigned at, uint16_t id, uint32_t length,
                       uint16_t flags)
{
    unsigned char *bytes = (unsigned char *)bench->queue.config.descriptor_area + (size_t)at * 16;

    put(bytes + 8, 4, length);
    put(bytes + 12, 2, id);
    put(bytes + 14, 2, flags);
}

static void expect_violation(struct bench *bench, const char *violation)
{
    reference_check_at("driver must say: %s", violation);
    reference_check(reference_driver_poll(&bench->driver, &bench->token, &bench->length) == -1,
                    "poll refuses");
    reference_check(bench->driver.violation && strstr(bench->driver.violation, violation),
                    "and says why");
    reference_check(reference_driver_poll(&bench->driver, &bench->token, &bench->length) == -1,
                    "for good");
    close_bench(bench);
}

static void expect_used(struct bench *bench, unsigned long token, uint32_t length)
{
    reference_check_at("driver must take %lu", token);
    reference_check(reference_driver_poll(&bench->driver, &bench->token, &bench->length) == 1,
                    "poll");
    reference_check(bench->token == token && bench->length == length, "token and length");
}

static void check_split(void)
{
    struct bench bench;

    open_bench(&bench, REFERENCE_SPLIT, false);
    use_split(&bench, 0, 0, 8, 4);
    expect_violation(&bench, "passes the outstanding");
    open_bench(&bench, REFERENCE_SPLIT, false);
    use_split(&bench, 0, 0, 8, 0xffff);
    expect_violation(&bench, "passes the outstanding");
    open_bench(&bench, REFERENCE_SPLIT, false);
    use_split(&bench, 0, 3, 8, 1);
    expect_violation(&bench, "not an outstanding head");
    open_bench(&bench, REFERENCE_SPLIT, false);
    use_split(&bench, 0, 0x10000, 8, 1);
    expect_violation(&bench, "not an outstanding head");
    open_bench(&bench, REFERENCE_SPLIT, false);
    use_split(&bench, 0, 1, 9, 1);
    expect_violation(&bench, "exceeds");
    open_bench(&bench, REFERENCE_SPLIT, false);
    use_split(&bench, 0, 1, 8, 1);
    put((unsigned char *)bench.queue.config.descriptor_area + 16, 1, 1);
    expect_violation(&bench, "wrote to the descriptor table");
    open_bench(&bench, REFERENCE_SPLIT, false);
    use_split(&bench, 0, 1, 8, 1);
    expect_used(&bench, 101, 8);
    use_split(&bench, 1, 1, 8, 2);
    expect_violation(&bench, "not an outstanding head");
}

static void check_split_in_order(void)
{
    struct bench bench;

    open_bench(&bench, REFERENCE_SPLIT, true);
    use_split(&bench, 0, 1, 5, 1);
    expect_violation(&bench, "out of order");
    open_bench(&bench, REFERENCE_SPLIT, true);
    use_split(&bench, 0, 1, 5, 2);
    expect_used(&bench, 100, 8);
    expect_used(&bench, 101, 5);
    reference_check(reference_driver_poll(&bench.driver, &bench.token, &bench.length) == 0,
                    "the batch has two");
    use_split(&bench, 2, 2, 0, 3);
    expect_used(&bench, 102, 0);
    close_bench(&bench);
}

static void check_packed(void)
{
    struct bench bench;

    open_bench(&bench, REFERENCE_PACKED, false);
    use_packed(&bench, 0, 3, 8, AVAIL | USED | WRITE);
    expect_violation(&bench, "not an outstanding buffer");
    open_bench(&bench, REFERENCE_PACKED, false);
    use_packed(&bench, 0, 4, 8, AVAIL | USED | WRITE);
    expect_violation(&bench, "not an outstanding buffer");
    open_bench(&bench, REFERENCE_PACKED, false);
    use_packed(&bench, 0, 1, 9, AVAIL | USED | WRITE);
    expect_violation(&bench, "exceeds");
    open_bench(&bench, REFERENCE_PACKED, false);
    use_packed(&bench, 0, 2, 7, AVAIL | USED | WRITE);
    expect_used(&bench, 102, 7);
    /* Without WRITE the length is reserved and ignored. */
    use_packed(&bench, 1, 0, 99, AVAIL | USED);
    expect_used(&bench, 100, 0);
    /* The place after that was used on no lap yet: equal flags alone do not mean "used". */
    use_packed(&bench, 2, 1, 8, WRITE);
    reference_check(reference_driver_poll(&bench.driver, &bench.token, &bench.length) == 0,
                    "flags of the other wrap counter");
    use_packed(&bench, 2, 2, 8, AVAIL | USED | WRITE);
    expect_violation(&bench, "not an outstanding buffer");

    open_bench(&bench, REFERENCE_PACKED, true);
    use_packed(&bench, 0, 2, 3, AVAIL | USED | WRITE);
    expect_used(&bench, 100, 8);
    expect_used(&bench, 101, 8);
    expect_used(&bench, 102, 3);
    close_bench(&bench);
}

static void check_refusals(void)
{
    struct bench bench;
    struct reference_segment segments[SIZE + 1] = {{0}};
    struct reference_config config;

    open_bench(&bench, REFERENCE_SPLIT, false);
    reference_check_at("what the driver refuses");
    config = bench.queue.config;
    reference_check(!reference_driver_add(&bench.driver, segments, 0, 0, 0, false), "no element");
    reference_check(!reference_driver_add(&bench.driver, segments, 2, 0, 0, false), "no room");
    reference_check(!reference_driver_add(&bench.driver, segments, 5, 0, 0, true), "too long");
    bench.driver.config.no_indirect = true;
    reference_check(!reference_driver_add(&bench.driver, segments, 2, 0, 0, true), "no tables");
    bench.driver.config.no_indirect = false;
    segments[0].length = UINT32_MAX;
    segments[1].length = 2;
    reference_check(!reference_driver_add(&bench.driver, segments, 2, 0, 0, true), "2^32 + 1");
    reference_check(reference_driver_add(&bench.driver, segments + 1, 4, 0, 0, true), "fits");
    reference_driver_free(&bench.driver);
    config.size = 3;
    reference_check(!reference_driver_init(&bench.driver, &config), "split size of 3");
    config.format = REFERENCE_PACKED;
    config.size = 32769;
    reference_check(!reference_driver_init(&bench.driver, &config), "size of 32769");
    config.size = 0;
    reference_check(!reference_driver_init(&bench.driver, &config), "size of 0");
    close_bench(&bench);
}

/* Four buffers pushed one by one with an event armed for the third. */
static void check_event_after_three(enum reference_format format)
{
    struct reference_config config = {.format = format, .size = SIZE, .event_idx = true};
    struct reference_check_queue queue;
    struct reference_driver driver;
    struct reference_device device;
    struct reference_chain chain = {0};

    reference_check_at("event after three");
    reference_check_open(&queue, &config, 64);
    config = queue.config;
    config.start = format == REFERENCE_SPLIT ? 0xfffe : 2;
    reference_check(reference_driver_init(&driver, &config), "driver init");
    reference_check(reference_device_init(&device, &config), "device init");
    for (unsigned i = 0; i < SIZE; i++) {
        struct reference_segment segment = reference_check_segment(&queue, queue.data, 8);

        reference_check(reference_driver_add(&driver, &segment, 1, 0, i, false), "add");
        reference_check(reference_driver_should_notify(&driver) == (i == 0), "only the first");
    }
    reference_check(!reference_driver_set_event(&driver, 3), "nothing used");
    for (unsigned i = 0; i < SIZE; i++) {
        reference_check(reference_device_pop(&device, &chain) == 1, "pop");
        reference_device_push(&device, &chain, 0);
        reference_check(reference_device_should_notify(&device) == (i == 2), "only the third");
    }
    reference_check(reference_driver_set_event(&driver, 3), "four are used");
    reference_chain_free(&chain);
    reference_driver_free(&driver);
    reference_device_free(&device);
    reference_check_close(&queue);
}

void reference_check_driver_rules(void)
{
    check_split();
    check_split_in_order();
    check_packed();
    check_refusals();
    check_event_after_three(REFERENCE_SPLIT);
    check_event_after_three(REFERENCE_PACKED);
}
